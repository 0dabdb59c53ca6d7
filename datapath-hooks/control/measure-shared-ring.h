/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a ring that is shared with a reader. */

#ifndef MEASURE_SHARED_RING_H
#define MEASURE_SHARED_RING_H 1

#include "stream/measure-ring.h"

/* Memory that is shared with a reader
 * ===================================
 *
 * A ring and the page of its reader's cursor are files in memory, which the
 * reader gets as file descriptors.
 *
 * What a reader could do with them must not harm the switch: neither file can
 * be made smaller or larger, for else the packet thread would find no memory
 * where it writes; the ring can be mapped to read only; and the page of the
 * cursor cannot be taken away, for else the packet thread would wait for the
 * kernel to make another.  All are seals of the file, so that it does not
 * matter who opens it again.  The last seal of the cursor is not set before
 * the reader has mapped it to write: until then no packet thread uses the
 * ring.  (Linux before 5.1 cannot seal a file against writing by others alone:
 * there the descriptor of the ring is one that only reads, and a reader which
 * means harm, and is root or the user of ovs-vswitchd, could open it again to
 * write, or take the page of the cursor away.)
 *
 * The ring is on the NUMA node of its thread, and in huge pages of 2 MiB if it
 * is large enough for one and there are some.
 *
 * Thread safety: none needed, any thread that is not a packet thread. */

struct measure_shared_ring {
    void *memory;               /* The ring... */
    size_t size;                /* ...of so many bytes, whole pages. */
    struct measure_cursor *cursor;
    int fd;                     /* For the reader; negative when closed. */
    int cursor_fd;              /* Likewise; until it is sealed. */
};

uint64_t measure_shared_ring_size(uint64_t n_slots);
int measure_shared_ring_create(struct measure_shared_ring *, uint64_t n_slots,
                               uint32_t core_id, int numa_id);
int measure_shared_ring_seal_cursor(struct measure_shared_ring *);
void measure_shared_ring_close(struct measure_shared_ring *);
void measure_shared_ring_destroy(struct measure_shared_ring *);

#endif /* measure-shared-ring.h */
