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

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Makes a file in memory of 'size' bytes and maps it to '*memory'.  Returns
 * its descriptor, or a negative errno value. */
static int
create_file(const char *name, unsigned int flags, size_t size, int numa_id,
            void **memory)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
    int error;

    if (fd < 0) {
        return -errno;
    }
    *memory = measure_memory_map_file(fd, size, numa_id);
    if (!*memory) {
        error = errno;
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

/* Makes the descriptor of the ring, 'fd', one that a reader may have.  Returns
 * 0 if successful, otherwise an errno value.  'fd' is closed. */
static int
seal_ring(struct measure_shared_ring *r, int fd)
{
    int error = 0;

    if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_FUTURE_WRITE)
        && fcntl(fd, F_ADD_SEALS, SEALS)) {
        error = errno;
    } else if (fchmod(fd, 0400) || (r->fd = open_read_only(fd)) < 0) {
        error = errno;
    }
    close(fd);
    return error;
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
        fd = create_file("ovs-measure-ring", MFD_HUGETLB, r->size, numa_id,
                         &r->memory);
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
        } else if (fcntl(r->cursor_fd, F_ADD_SEALS, SEALS)) {
            error = errno;
        }
    }
    if (error) {
        measure_shared_ring_destroy(r);
        return error;
    }
    measure_ring_header_init(r->memory, n_slots, core_id, numa_id);
    return 0;
}

/* Closes the descriptors of 'r', when the reader has got them. */
void
measure_shared_ring_close(struct measure_shared_ring *r)
{
    if (r->fd >= 0) {
        close(r->fd);
    }
    if (r->cursor_fd >= 0) {
        close(r->cursor_fd);
    }
    r->fd = r->cursor_fd = -1;
}

/* Lets go of the memory of 'r'.  The reader keeps what it has mapped. */
void
measure_shared_ring_destroy(struct measure_shared_ring *r)
{
    measure_shared_ring_close(r);
    measure_memory_unmap_file(r->memory, r->size);
    measure_memory_unmap_file(r->cursor, CURSOR_SIZE);
    r->memory = NULL;
    r->cursor = NULL;
}
