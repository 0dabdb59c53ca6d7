/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for tables: present, on the right NUMA node, and counted. */

#include <config.h>

#include "base/measure-memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/measure-base.h"
#include "base/measure-pace.h"

/* From <linux/mempolicy.h>, whose user space half is in libnuma. */
#define POLICY_PREFERRED 1

#define MAX_NODES 1024
#define LONG_BITS (8 * sizeof(long))

#define HUGE_PAGE_SIZE (2 * MEASURE_MIB)
#define PAGE_SIZE_MIN 4096
#define LINE_SIZE 64

/* Pages that are touched one after the other.  A virtual machine can take some
 * milliseconds for them. */
#define PIECE_SIZE (512 * MEASURE_KIB)

/* What is smaller comes from the heap. */
#define MIN_MAPPED_SIZE (64 * MEASURE_KIB)

#define ANSWER_BYTES MEASURE_MIB    /* For answers in any case. */

/* A memory policy of the calling thread. */
struct policy {
    bool valid;
    int mode;
    unsigned long nodes[MAX_NODES / LONG_BITS];
};

void (*measure_memory_maps)(size_t size);
__thread void (*measure_memory_interlude)(void);

/* Makes the calling thread prefer memory of 'node'.  Fails where the kernel
 * knows no nodes, and then nothing is lost. */
static void
policy_prefer(int node, struct policy *old)
{
    old->valid = false;
#if defined(SYS_get_mempolicy) && defined(SYS_set_mempolicy)
    if (node >= 0 && node < MAX_NODES
        && !syscall(SYS_get_mempolicy, &old->mode, old->nodes,
                    (unsigned long) MAX_NODES, NULL, 0ul)) {
        unsigned long nodes[MAX_NODES / LONG_BITS] = { 0 };

        nodes[node / LONG_BITS] = 1ul << node % LONG_BITS;
        old->valid = !syscall(SYS_set_mempolicy, POLICY_PREFERRED, nodes,
                              (unsigned long) MAX_NODES);
    }
#else
    (void) node;
#endif
}

static void
policy_restore(const struct policy *old)
{
#if defined(SYS_get_mempolicy) && defined(SYS_set_mempolicy)
    if (old->valid) {
        syscall(SYS_set_mempolicy, old->mode, old->nodes,
                (unsigned long) MAX_NODES);
    }
#else
    (void) old;
#endif
}

/* Returns 'size' bytes of address space, or NULL if there is none left.  What
 * is as large as a huge page begins with one: else the kernel uses small pages
 * for up to 2 MiB at either end, and each line that is read there at random
 * waits for its address to be translated. */
static void *
reserve_addresses(size_t size)
{
    size_t pages = (size + PAGE_SIZE_MIN - 1) / PAGE_SIZE_MIN * PAGE_SIZE_MIN;
    size_t spare = size >= HUGE_PAGE_SIZE ? HUGE_PAGE_SIZE : 0;
    size_t before;
    char *p;

    /* Inaccessible at first: under mlockall() the pages are populated as soon
     * as they are accessible, and then it is too late for huge ones. */
    p = mmap(NULL, pages + spare, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
             0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (spare) {
        before = -(uintptr_t) p % HUGE_PAGE_SIZE;
        if (before) {
            munmap(p, before);
        }
        p += before;
        munmap(p + pages, spare - before);
    }
    return p;
}

static void *
take_from_heap(size_t size)
{
    void *p = aligned_alloc(LINE_SIZE,
                            (size + LINE_SIZE - 1) / LINE_SIZE * LINE_SIZE);

    return p ? memset(p, 0, size) : NULL;
}

/* Makes the 'size' bytes at 'p', up to a huge page of those that
 * reserve_addresses() returned, accessible and present.  Under mlockall() they
 * are present as soon as they are accessible.  The kernel has cleared them. */
static bool
touch_pages(char *p, size_t size)
{
    if (mprotect(p, size, PROT_READ | PROT_WRITE)) {
        return false;
    }
    for (size_t i = 0; i < size; i += PAGE_SIZE_MIN) {
        *((volatile char *) p + i) = 0;
        if (i % PIECE_SIZE == PIECE_SIZE - PAGE_SIZE_MIN
            && measure_memory_interlude) {
            measure_memory_interlude();
        }
    }
    return true;
}

/* Returns 'size' bytes (more than 0) of zeros, or NULL if there is no memory
 * left.  The pages must exist, and be where the memory policy says, before the
 * packet thread comes. */
static void *
map(size_t size, int node)
{
    struct policy policy;
    void *p;

    if (size < MIN_MAPPED_SIZE) {
        return take_from_heap(size);
    }
    if (measure_memory_maps) {
        measure_memory_maps(size);
    }
    p = reserve_addresses(size);
    if (!p) {
        return NULL;
    }
    if (size >= HUGE_PAGE_SIZE) {
        madvise(p, size, MADV_HUGEPAGE);
    }

    policy_prefer(node, &policy);
    for (size_t done = 0; done < size; done += HUGE_PAGE_SIZE) {
        if (!touch_pages((char *) p + done,
                         measure_min(size - done, HUGE_PAGE_SIZE))) {
            policy_restore(&policy);
            munmap(p, size);
            return NULL;
        }
    }
    policy_restore(&policy);
    return p;
}

static void
unmap_pages(void *p, size_t size)
{
    if (measure_memory_maps) {
        measure_memory_maps(size);
    }
    munmap(p, size);
}

/* Gives back what map() returned for the same 'size'. */
static void
unmap(void *p, size_t size)
{
    if (size < MIN_MAPPED_SIZE) {
        free(p);
    } else {
        unmap_pages(p, size);
    }
}

/* Gives the file 'fd', which is in memory and empty, 'size' bytes of zeros on
 * NUMA node 'node', or MEASURE_ANY_NODE, and maps them to write.  Returns NULL
 * with errno set if that fails.  The pages exist, and are locked if that is
 * allowed. */
void *
measure_memory_map_file(int fd, size_t size, int node)
{
    struct policy policy;
    void *p = MAP_FAILED;
    int error;

    if (measure_memory_maps) {
        measure_memory_maps(size);
    }
    policy_prefer(node, &policy);
    if (!ftruncate(fd, size)) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (p != MAP_FAILED) {
        /* Huge pages only if they are asked for before there are others. */
        if (size >= HUGE_PAGE_SIZE) {
            madvise(p, size, MADV_HUGEPAGE);
        }
        /* A page that is touched and cannot be had would be SIGBUS. */
        do {
            error = posix_fallocate(fd, 0, size);
        } while (error == EINTR);
        if (error) {
            munmap(p, size);
            p = MAP_FAILED;
            errno = error;
        }
    }
    if (p != MAP_FAILED) {
        for (size_t i = 0; i < size; i += PAGE_SIZE_MIN) {
            *((volatile char *) p + i) = 0;
        }
        /* If it is not allowed, the kernel may swap them out. */
        int ignored = mlock(p, size);
        (void) ignored;
    }
    error = errno;
    policy_restore(&policy);
    errno = error;
    return p == MAP_FAILED ? NULL : p;
}

/* Unmaps what measure_memory_map_file() returned for the same 'size'. */
void
measure_memory_unmap_file(void *p, size_t size)
{
    if (p) {
        unmap_pages(p, size);
    }
}

/* Returns 'size' bytes (more than 0) of zeros, or NULL if there is no memory
 * left.  'node' is a NUMA node or MEASURE_ANY_NODE. */
void *
measure_memory_alloc(struct measure_budget *budget, size_t size, int node)
{
    void *p;

    /* In an interlude it is known already what this will take. */
    __atomic_fetch_add(&budget->used, size, __ATOMIC_RELAXED);
    p = map(size, node);
    if (!p) {
        __atomic_fetch_sub(&budget->used, size, __ATOMIC_RELAXED);
    }
    return p;
}

/* Frees what measure_memory_alloc() returned for the same 'size'. */
void
measure_memory_free(struct measure_budget *budget, void *p, size_t size)
{
    if (p) {
        unmap(p, size);
        __atomic_fetch_sub(&budget->used, size, __ATOMIC_RELAXED);
    }
}

/* Spare blocks.  Whoever takes the pointer to one out of its place, by an
 * atomic exchange, has it. */

/* Smaller ones are not worth a place. */
#define MIN_SPARE_SIZE MIN_MAPPED_SIZE

/* At the beginning of a spare block. */
struct spare {
    size_t size;
};

static struct spare *
take_block(struct measure_budget *budget, int i)
{
    struct spare *block = __atomic_exchange_n(&budget->blocks[i], NULL,
                                              __ATOMIC_ACQ_REL);

    if (block) {
        __atomic_fetch_sub(&budget->spare, block->size, __ATOMIC_RELAXED);
    }
    return block;
}

/* Puts 'block' into an empty place, or one that has a smaller block.  Returns
 * what is left over, or NULL. */
static struct spare *
put_block(struct measure_budget *budget, int i, struct spare *block)
{
    struct spare *other = take_block(budget, i);
    void *none = NULL;

    if (other && other->size >= block->size) {
        struct spare *smaller = block;

        block = other;
        other = smaller;
    }
    __atomic_fetch_add(&budget->spare, block->size, __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&budget->blocks[i], &none, block, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        /* Another thread was faster. */
        __atomic_fetch_sub(&budget->spare, block->size, __ATOMIC_RELAXED);
        unmap_pages(block, block->size);
    }
    return other;
}

static void
keep_block(struct measure_budget *budget, struct spare *block)
{
    for (int i = 0; block && i < MEASURE_SPARE_BLOCKS; i++) {
        block = put_block(budget, i, block);
    }
    if (block) {
        unmap_pages(block, block->size);
    }
}

/* Where blocks that are taken are counted. */
static uint64_t *
taken(struct measure_budget *budget, bool lasting)
{
    return lasting ? &budget->used : &budget->lent;
}

/* Returns at least '*size' (more than 0) bytes of anything, or NULL if there
 * is no memory left.  Sets '*size' to their number, for
 * measure_memory_give().  A spare block of up to 'max_size' bytes will do.
 * 'lasting' says whether it is for longer than a merge or a question. */
void *
measure_memory_take(struct measure_budget *budget, size_t *size,
                    size_t max_size, bool lasting)
{
    size_t step = PAGE_SIZE_MIN;
    void *p;

    if (*size >= MIN_SPARE_SIZE) {
        /* The largest are in the first places: leave these alone. */
        for (int i = MEASURE_SPARE_BLOCKS - 1; i >= 0; i--) {
            struct spare *block = take_block(budget, i);

            if (block && block->size >= *size && block->size <= max_size) {
                *size = block->size;
                __atomic_fetch_add(taken(budget, lasting), *size,
                                   __ATOMIC_RELAXED);
                return block;
            }
            if (block) {
                keep_block(budget, block);
            }
        }
        /* Steps of an eighth, so that it often will do the next time. */
        while (step * 16 <= *size) {
            step *= 2;
        }
        *size = (*size + step - 1) / step * step;
    }
    p = map(*size, MEASURE_ANY_NODE);
    if (p) {
        __atomic_fetch_add(taken(budget, lasting), *size, __ATOMIC_RELAXED);
    }
    return p;
}

/* Gives back the 'size' bytes at 'p', which measure_memory_take() returned for
 * the same 'lasting', or NULL. */
void
measure_memory_give(struct measure_budget *budget, void *p, size_t size,
                    bool lasting)
{
    if (!p) {
        return;
    }
    __atomic_fetch_sub(taken(budget, lasting), size, __ATOMIC_RELAXED);
    if (size >= MIN_SPARE_SIZE) {
        struct spare *block = p;

        block->size = size;
        keep_block(budget, block);
    } else {
        unmap(p, size);
    }
}

/* Makes the 'size' bytes at 'p' zeros, in small pieces. */
void
measure_memory_clear(void *p, size_t size)
{
    const size_t piece = 32 * MEASURE_KIB;

    for (size_t done = 0; done < size; done += piece) {
        memset((char *) p + done, 0, measure_min(size - done, piece));
        measure_pace(piece / LINE_SIZE);
    }
}

/* Frees spare blocks that nobody has taken until they are at most 'max_spare'
 * bytes. */
void
measure_memory_trim(struct measure_budget *budget, uint64_t max_spare)
{
    for (int i = 0; i < MEASURE_SPARE_BLOCKS
         && (__atomic_load_n(&budget->spare, __ATOMIC_RELAXED)
             > max_spare); i++) {
        struct spare *block = take_block(budget, i);

        if (block) {
            unmap_pages(block, block->size);
        }
    }
}

/* Returns what is kept for the next merge or question, and what those at work
 * have taken. */
uint64_t
measure_budget_spare(const struct measure_budget *budget)
{
    return (__atomic_load_n(&budget->spare, __ATOMIC_RELAXED)
            + __atomic_load_n(&budget->lent, __ATOMIC_RELAXED));
}

uint64_t
measure_budget_limit(const struct measure_budget *budget)
{
    return __atomic_load_n(&budget->limit, __ATOMIC_RELAXED);
}

/* Returns true if 'size' more bytes may be taken to work at an answer.  All
 * that work may take a quarter of the limit even if there is nothing left of
 * it: when tables have used up their memory, people have questions. */
bool
measure_budget_allows(struct measure_budget *budget, uint64_t size)
{
    uint64_t limit = measure_budget_limit(budget);
    uint64_t lent = __atomic_load_n(&budget->lent, __ATOMIC_RELAXED) + size;
    uint64_t taken = measure_budget_used(budget) + lent;
    uint64_t least = measure_min(limit, ANSWER_BYTES);

    if (!limit) {
        return true;
    }
    if (taken > limit && lent > measure_max(limit / 4, least)) {
        return false;
    }
    /* Spare blocks are no reason to refuse. */
    measure_memory_trim(budget, limit > taken ? limit - taken : 0);
    return true;
}

/* Returns true if 'size' more bytes may be kept of answers: a quarter of the
 * limit must be left.  Then other threads find so much less room until
 * measure_budget_unreserve(), which must come when they are taken. */
bool
measure_budget_reserve(struct measure_budget *budget, uint64_t size)
{
    uint64_t limit = measure_budget_limit(budget);

    /* In this order: what another thread has reserved no more is in 'used'. */
    uint64_t kept = __atomic_add_fetch(&budget->reserved, size,
                                       __ATOMIC_ACQ_REL);
    kept += (measure_budget_used(budget)
             + __atomic_load_n(&budget->lent, __ATOMIC_RELAXED));

    if (limit && kept > limit - limit / 4) {
        measure_budget_unreserve(budget, size);
        return false;
    }
    return true;
}

void
measure_budget_unreserve(struct measure_budget *budget, uint64_t size)
{
    __atomic_fetch_sub(&budget->reserved, size, __ATOMIC_RELEASE);
}

uint64_t
measure_budget_used(const struct measure_budget *budget)
{
    return __atomic_load_n(&budget->used, __ATOMIC_RELAXED);
}
