/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the ring of DPDK. */

/* rte_ring with a single producer and a single consumer, which copies a batch
 * at a time in and out, in memory of our own.  DPDK need not be started. */

#include <config.h>

#include "peer-rte-ring.h"

#include "ring.h"

#ifdef BENCH_HAVE_DPDK

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "support.h"

#define MAX_BATCH 256
#define MAX_BYTES 64

static size_t
rte_size(uint32_t bytes)
{
    return rte_ring_get_memsize_elem(bytes, BENCH_RING_RECORDS);
}

static void *
rte_create(uint32_t bytes, const char **why_not)
{
    struct rte_ring *r = bench_memory(rte_size(bytes));

    /* It holds one record less. */
    if (rte_ring_init(r, "bench", BENCH_RING_RECORDS,
                      RING_F_SP_ENQ | RING_F_SC_DEQ)) {
        *why_not = "rte_ring_init() fails";
        bench_memory_free(r, rte_size(bytes));
        return NULL;
    }
    return r;
}

static void
rte_destroy(void *r, uint32_t bytes)
{
    bench_memory_free(r, rte_size(bytes));
}

BENCH_RING_SOME
rte_write_some(void *r, uint64_t first, size_t n, size_t bytes)
{
    _Alignas(64) uint8_t records[MAX_BATCH * MAX_BYTES];

    for (size_t i = 0; i < n; i++) {
        bench_ring_make(&records[i * bytes], first + i, bytes);
    }
    return rte_ring_sp_enqueue_bulk_elem(r, records, bytes, n, NULL);
}

BENCH_RING_SOME
rte_read_some(void *r, uint64_t first, size_t n, size_t bytes,
              struct bench_ring_sum *sum)
{
    _Alignas(64) uint8_t records[MAX_BATCH * MAX_BYTES];

    n = rte_ring_sc_dequeue_bulk_elem(r, records, bytes, n, NULL);
    for (size_t i = 0; i < n; i++) {
        bench_ring_add(&records[i * bytes], first + i, bytes, sum);
    }
    return n;
}

BENCH_RING_LOOPS(rte)

#else /* !BENCH_HAVE_DPDK */

static void *
rte_create(uint32_t bytes, const char **why_not)
{
    (void) bytes;
    *why_not = "built without DPDK";
    return NULL;
}

#define rte_destroy NULL
#define rte_write NULL
#define rte_read NULL
#endif

const struct bench_contender bench_ring_rte = {
    .name = "rte-ring",
    .ring = &(const struct bench_ring) {
        .create = rte_create,
        .destroy = rte_destroy,
        .write = rte_write,
        .read = rte_read,
    },
};
