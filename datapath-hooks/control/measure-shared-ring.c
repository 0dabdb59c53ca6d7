/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a ring that is shared with a reader. */

#include <config.h>

#include "measure-shared-ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/measure-memory.h"
#include "util.h"

#define CURSOR_SIZE 4096
#define HUGE_PAGE_SIZE (2 * MEASURE_MIB)

/* Since Linux 5.1; C libraries may not know it yet. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21u << 26)
#endif

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* Makes a file in memory of 'size' bytes, which stays that large, and maps it
 * to '*memory'.  Returns its descriptor, or a negative errno value. */
static int
create_file(const char *name, unsigned int flags, size_t size, int numa_id,
            void **memory)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    int error = 0;

    if (fd < 0) {
        return -errno;
    }
    *memory = measure_memory_map_file(fd, size, numa_id);
    if (!*memory) {
        error = errno;
    } else if (fcntl(fd, F_ADD_SEALS, SIZE_SEALS)) {
        error = errno;
        measure_memory_unmap_file(*memory, size);
        *memory = NULL;
    }
    if (error) {
        close(fd);
        return -error;
    }
    return fd;
}

/* Opens 'fd' once more, to read only. */
static int
open_read_only(int fd)
{
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Seals 'fd' so that what has not been mapped to write until now never will
 * be, and that its pages stay, as far as the kernel can do that.  Returns 0 if
 * successful, otherwise an errno value. */
static int
seal_contents(int fd)
{
    if (!fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)) {
        return 0;
    }
    return (errno == EINVAL && !fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL)
            ? 0 : errno);
}

/* Makes the descriptor of the ring, 'fd', one that a reader may have.  Returns
 * 0 if successful, otherwise an errno value.  'fd' is closed. */
static int
seal_ring(struct measure_shared_ring *r, int fd)
{
    int error = seal_contents(fd);
    if (!error && (fchmod(fd, 0400) || (r->fd = open_read_only(fd)) < 0)) {
        error = errno;
    }
    close(fd);
    return error;
}

/* Returns how much memory a ring of 'n_slots' slots takes with its cursor, at
 * most. */
uint64_t
measure_shared_ring_size(uint64_t n_slots)
{
    uint64_t size = measure_ring_size(n_slots);

    return CURSOR_SIZE + (size >= HUGE_PAGE_SIZE
                          ? ROUND_UP(size, HUGE_PAGE_SIZE) : size);
}

/* Makes an empty ring of 'n_slots' slots for the thread of 'core_id', on
 * 'numa_id' or MEASURE_ANY_NODE, and a cursor.  Returns 0 if successful,
 * otherwise an errno value. */
int
measure_shared_ring_create(struct measure_shared_ring *r, uint64_t n_slots,
                           uint32_t core_id, int numa_id)
{
    size_t size = measure_ring_size(n_slots);
    void *cursor = NULL;
    int error;
    int fd = -1;

    *r = (struct measure_shared_ring) { .fd = -1, .cursor_fd = -1 };
    if (size >= HUGE_PAGE_SIZE) {
        r->size = ROUND_UP(size, HUGE_PAGE_SIZE);
        fd = create_file("ovs-measure-ring", MFD_HUGETLB | MFD_HUGE_2MB,
                         r->size, numa_id, &r->memory);
    }
    if (fd < 0) {
        r->size = size;
        fd = create_file("ovs-measure-ring", 0, r->size, numa_id, &r->memory);
    }
    if (fd < 0) {
        r->memory = NULL;
        return -fd;
    }
    error = seal_ring(r, fd);
    if (!error) {
        r->cursor_fd = create_file("ovs-measure-cursor", 0, CURSOR_SIZE,
                                   numa_id, &cursor);
        r->cursor = cursor;
        if (r->cursor_fd < 0) {
            error = -r->cursor_fd;
        }
    }
    if (error) {
        measure_shared_ring_destroy(r);
        return error;
    }
    measure_ring_header_init(r->memory, n_slots, core_id, numa_id);
    return 0;
}

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

/* Has the page of the cursor stay for good, when the reader has mapped it.
 * Returns 0 if successful, otherwise an errno value: then no packet thread may
 * use the ring. */
int
measure_shared_ring_seal_cursor(struct measure_shared_ring *r)
{
    int error = seal_contents(r->cursor_fd);

    if (!error) {
        /* The reader may have taken it away before. */
        do {
            error = posix_fallocate(r->cursor_fd, 0, CURSOR_SIZE);
        } while (error == EINTR);
    }
    close_fd(&r->cursor_fd);
    return error;
}

/* Closes the descriptor of the ring, when the reader has got it. */
void
measure_shared_ring_close(struct measure_shared_ring *r)
{
    close_fd(&r->fd);
}

/* Lets go of the memory of 'r'.  The reader keeps what it has mapped. */
void
measure_shared_ring_destroy(struct measure_shared_ring *r)
{
    close_fd(&r->fd);
    close_fd(&r->cursor_fd);
    measure_memory_unmap_file(r->memory, r->size);
    measure_memory_unmap_file(r->cursor, CURSOR_SIZE);
    r->memory = NULL;
    r->cursor = NULL;
}
