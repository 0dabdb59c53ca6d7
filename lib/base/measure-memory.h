/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for tables: present, on the right NUMA node, and counted. */

#ifndef MEASURE_MEMORY_H
#define MEASURE_MEMORY_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory for tables
 * =================
 *
 * Zeroed memory on a chosen NUMA node, all of it present: the packet path must
 * not take page faults, so each page is touched here.  Large blocks ask for
 * huge pages.
 *
 * Less than 64 KiB comes from the heap, wherever that is, and begins with a
 * cache line; more comes in pages of its own.  To give pages back to the
 * kernel interrupts all threads of the process, the packet threads too.
 *
 * The node is chosen by the memory policy of the calling thread, set around
 * the mapping: under mlockall() pages are populated inside mmap(), when
 * binding the range afterwards would be too late.  Where the kernel knows
 * nothing of NUMA nodes the memory comes from anywhere.
 *
 * 'used' sums what is allocated against one budget; it may be read at any
 * time.  Nothing here enforces its limit: who allocates decides.  Answers ask
 * measure_budget_allows() first; a merge must not fail.  What is kept of
 * answers is reserved before it is taken, so that several threads together do
 * not keep more than there is room for.
 *
 * Spare blocks.  The kernel clears each page that it hands out, which takes
 * longer than to fill it with rows.  What is as large in each epoch or
 * question, and written before it is read, is hence taken and given by
 * measure_memory_take() and measure_memory_give(): a large block that is given
 * is not freed but kept, as spare, for the next one to take.  Spare blocks are
 * not in 'used', but in measure_budget_spare(), and so are blocks that were
 * taken just for the time of a merge or a question.  measure_memory_trim()
 * frees those that nobody has.
 *
 * Memory that is shared with other processes is in files, which the caller has
 * made.  It is in no budget.
 *
 * Thread safety: one budget may be used by several threads at once.  Never
 * called from the packet path. */

#define MEASURE_ANY_NODE (-1)

#define MEASURE_SPARE_BLOCKS 6

struct measure_budget {
    uint64_t limit;             /* Bytes for answers, 0 for any.  Atomic. */
    uint64_t used;              /* Bytes.  Atomic. */
    uint64_t spare;             /* Bytes of 'blocks'.  Atomic. */
    uint64_t lent;              /* Taken, but not to last.  Atomic. */
    uint64_t reserved;          /* About to be taken to last.  Atomic. */
    void *blocks[MEASURE_SPARE_BLOCKS];     /* Or NULL.  Atomic. */
};

/* Called, if not NULL, before pages are mapped or unmapped, which takes long:
 * for the user of this library to find out if it holds a lock then.  Set it
 * before there are threads. */
extern void (*measure_memory_maps)(size_t size);

/* Called, if not NULL, after each piece of memory that the calling thread
 * prepares, so that it can do in time what is more urgent.  It may allocate
 * and free memory, but not what the caller of this function is at. */
extern __thread void (*measure_memory_interlude)(void);

void *measure_memory_alloc(struct measure_budget *, size_t size, int node);
void measure_memory_free(struct measure_budget *, void *, size_t size);
void *measure_memory_take(struct measure_budget *, size_t *size,
                          size_t max_size, bool lasting);
void measure_memory_give(struct measure_budget *, void *, size_t size,
                         bool lasting);
void measure_memory_clear(void *, size_t size);
void measure_memory_trim(struct measure_budget *, uint64_t max_spare);
void *measure_memory_map_file(int fd, size_t size, int node);
void measure_memory_unmap_file(void *, size_t size);
uint64_t measure_budget_limit(const struct measure_budget *);
bool measure_budget_allows(struct measure_budget *, uint64_t size);
bool measure_budget_reserve(struct measure_budget *, uint64_t size);
void measure_budget_unreserve(struct measure_budget *, uint64_t size);
uint64_t measure_budget_used(const struct measure_budget *);
uint64_t measure_budget_spare(const struct measure_budget *);

#endif /* measure-memory.h */
