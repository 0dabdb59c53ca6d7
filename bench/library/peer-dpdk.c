/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: what DPDK offers for counting. */

/* What DPDK offers for counting: rte_hash, and the sketch of rte_member.
 *
 * Both get their memory from a heap of ours, in huge pages of the same kind
 * as all other contenders; DPDK's own memory holds no more than its names. */

#include <config.h>

#include "peer-dpdk.h"

#ifdef BENCH_HAVE_DPDK

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_log.h>
#include <rte_malloc.h>
#include <rte_member.h>
#include <rte_version.h>

#include "base/measure-base.h"
#include "support.h"

#define HEAP "measure-bench"
#define HEAP_SIZE (UINT64_C(2) << 30)
#define HUGE_PAGE (UINT64_C(2) << 20)

static int heap_socket = -1;
static char error[128];

const char *
bench_dpdk_version(void)
{
    return rte_version();
}

static bool
start_dpdk(const char **why_not)
{
    static char *arguments[] = {
        "measure-bench", "--no-huge", "--legacy-mem", "-m", "64", "--no-pci",
        "--no-telemetry", "--no-shconf", "--log-level=error", "-l", "0", NULL
    };
    void *memory;

    if (heap_socket >= 0) {
        return true;
    }
    if (*error) {
        *why_not = error;
        return false;
    }
    if (rte_eal_init(sizeof arguments / sizeof arguments[0] - 1, arguments)
        < 0) {
        snprintf(error, sizeof error, "DPDK does not start: %s",
                 rte_strerror(rte_errno));
        *why_not = error;
        return false;
    }
    memory = bench_memory(HEAP_SIZE + HUGE_PAGE);
    memory = (void *) (((uintptr_t) memory + HUGE_PAGE - 1)
                       & ~(HUGE_PAGE - 1));
    if (rte_malloc_heap_create(HEAP)
        || rte_malloc_heap_memory_add(HEAP, memory, HEAP_SIZE, NULL,
                                      HEAP_SIZE / HUGE_PAGE, HUGE_PAGE)) {
        snprintf(error, sizeof error, "DPDK refuses memory: %s",
                 rte_strerror(rte_errno));
        *why_not = error;
        return false;
    }
    heap_socket = rte_malloc_heap_get_socket(HEAP);
    return true;
}

static size_t
heap_used(void)
{
    struct rte_malloc_socket_stats stats;

    return (rte_malloc_get_socket_stats(heap_socket, &stats)
            ? 0 : stats.heap_allocsz_bytes);
}

/* rte_hash: bulk lookup of a burst, then rte_hash_add_key() for the keys that
 * were not found.  The counters stand in an array of their own, at the
 * position that rte_hash gives to each key, and are prefetched, too. */

struct counters {
    uint64_t packets;
    uint64_t bytes;
};

struct bulk {
    struct rte_hash *hash;
    struct counters *counters;
    uint32_t n_counters;
    uint64_t refused;
    size_t memory;
};

static void *
rte_hash_bulk_create(struct bench_settings *settings, const char **why_not)
{
    struct rte_hash_parameters parameters = {
        .name = "bulk",
        .key_len = sizeof(struct bench_key),
        .hash_func = rte_hash_crc,
        .hash_func_init_val = settings->secret.words[0],
    };
    struct bulk *bulk;
    size_t before;

    if (!start_dpdk(why_not)) {
        return NULL;
    }
    /* As full as the linear table at most; 8 bytes of buckets, 24 of keys and
     * 16 of counters for each. */
    parameters.entries = (settings->memory ? settings->memory / 48
                          : settings->n_flows * UINT64_C(2));
    if (parameters.entries < 8) {
        parameters.entries = 8;
    }
    parameters.socket_id = heap_socket;
    before = heap_used();
    bulk = measure_xzalloc(sizeof *bulk);
    bulk->hash = rte_hash_create(&parameters);
    if (!bulk->hash) {
        snprintf(error, sizeof error, "rte_hash_create: %s",
                 rte_strerror(rte_errno));
        *why_not = error;
        free(bulk);
        return NULL;
    }
    bulk->n_counters = rte_hash_max_key_id(bulk->hash) + 1;
    bulk->counters = bench_memory(bulk->n_counters * sizeof *bulk->counters);
    bulk->memory = (heap_used() - before
                    + bulk->n_counters * sizeof *bulk->counters);
    return bulk;
}

static void
rte_hash_bulk_clear(void *bulk_)
{
    struct bulk *bulk = bulk_;

    rte_hash_reset(bulk->hash);
    memset(bulk->counters, 0, bulk->n_counters * sizeof *bulk->counters);
    bulk->refused = 0;
}

static void
rte_hash_bulk_update(void *bulk_, const struct bench_key *keys,
                     const uint16_t *bytes)
{
    struct bulk *bulk = bulk_;
    const void *pointers[BENCH_BURST];
    int32_t positions[BENCH_BURST];

    for (int i = 0; i < BENCH_BURST; i++) {
        pointers[i] = &keys[i];
    }
    rte_hash_lookup_bulk(bulk->hash, pointers, BENCH_BURST, positions);
    for (int i = 0; i < BENCH_BURST; i++) {
        if (positions[i] >= 0) {
            __builtin_prefetch(&bulk->counters[positions[i]], 1);
        }
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        if (positions[i] < 0) {
            positions[i] = rte_hash_add_key(bulk->hash, &keys[i]);
            if (positions[i] < 0) {
                bulk->refused++;
                continue;
            }
        }
        bulk->counters[positions[i]].packets++;
        bulk->counters[positions[i]].bytes += bytes[i];
    }
}

static void
rte_hash_bulk_report(void *bulk_, uint64_t threshold,
                     bench_report_function *report, void *aux)
{
    struct bulk *bulk = bulk_;
    uint32_t next = 0;
    const void *key;
    int32_t position;
    void *data;

    while ((position = rte_hash_iterate(bulk->hash, &key, &data, &next))
           >= 0) {
        uint64_t packets = bulk->counters[position].packets;

        if (packets >= threshold) {
            struct bench_key copy;

            memcpy(&copy, key, sizeof copy);
            report(aux, &copy, packets);
        }
    }
}

static size_t
rte_hash_bulk_memory(const void *bulk_)
{
    const struct bulk *bulk = bulk_;

    return bulk->memory;
}

/* rte_member's sketch: five rows, and a heap of the TOP_K largest keys.
 *
 * Where the number of columns, 4 / ERROR_RATE / sample rate, is a power of
 * two, all rows are alike (the hash of the rows is CRC32C, whose seeds change
 * the same bits for all keys); a power of two for TOP_K is a known defect,
 * too.  So neither is one.  Only packets are counted, not bytes. */

#define TOP_K 300
#define ERROR_RATE 0.0009f

struct member {
    struct rte_member_setsum *sketch;
    size_t memory;
};

static void *
rte_member_sketch_create(struct bench_settings *settings,
                         const char **why_not)
{
    struct rte_member_parameters parameters = {
        .name = settings->contender->name,
        .type = RTE_MEMBER_TYPE_SKETCH,
        .key_len = sizeof(struct bench_key),
        .prim_hash_seed = settings->secret.words[1],
        .sec_hash_seed = settings->secret.words[2],
        .error_rate = ERROR_RATE,
        .sample_rate = settings->contender->parameter,
        .top_k = TOP_K,
    };
    struct member *member;
    size_t before;

    if (!start_dpdk(why_not)) {
        return NULL;
    }
    parameters.socket_id = heap_socket;
    if (settings->memory) {
        /* Five rows of 8 bytes, an odd number of columns. */
        uint32_t columns = (settings->memory / 40) | 1;

        parameters.error_rate = 4.0 / columns / settings->contender->parameter;
    }
    before = heap_used();
    member = measure_xzalloc(sizeof *member);
    member->sketch = rte_member_create(&parameters);
    if (!member->sketch) {
        snprintf(error, sizeof error, "rte_member_create: %s",
                 rte_strerror(rte_errno));
        *why_not = error;
        free(member);
        return NULL;
    }
    member->memory = heap_used() - before;
    return member;
}

static void
rte_member_sketch_clear(void *member_)
{
    struct member *member = member_;

    rte_member_reset(member->sketch);
}

static void
rte_member_sketch_update(void *member_, const struct bench_key *keys,
                         const uint16_t *bytes)
{
    struct member *member = member_;

    (void) bytes;
    for (int i = 0; i < BENCH_BURST; i++) {
        rte_member_add(member->sketch, &keys[i], 1);
    }
}

static void
rte_member_sketch_report(void *member_, uint64_t threshold,
                         bench_report_function *report, void *aux)
{
    struct member *member = member_;
    uint64_t counts[TOP_K];
    void *keys[TOP_K];
    int n = rte_member_report_heavyhitter(member->sketch, keys, counts);

    for (int i = 0; i < n; i++) {
        if (counts[i] >= threshold) {
            struct bench_key copy;

            memcpy(&copy, keys[i], sizeof copy);
            report(aux, &copy, counts[i]);
        }
    }
}

static size_t
rte_member_sketch_memory(const void *member_)
{
    const struct member *member = member_;

    return member->memory;
}

#else /* !BENCH_HAVE_DPDK */

const char *
bench_dpdk_version(void)
{
    return "none";
}

static void *
absent(struct bench_settings *settings, const char **why_not)
{
    (void) settings;
    *why_not = "built without DPDK";
    return NULL;
}

#define rte_hash_bulk_create absent
#define rte_hash_bulk_clear NULL
#define rte_hash_bulk_update NULL
#define rte_hash_bulk_report NULL
#define rte_hash_bulk_memory NULL
#define rte_member_sketch_create absent
#define rte_member_sketch_clear NULL
#define rte_member_sketch_update NULL
#define rte_member_sketch_report NULL
#define rte_member_sketch_memory NULL
#endif

const struct bench_contender bench_rte_hash_bulk = {
    .name = "rte-hash-bulk",
    .create = rte_hash_bulk_create,
    .clear = rte_hash_bulk_clear,
    .update = rte_hash_bulk_update,
    .report = rte_hash_bulk_report,
    .memory = rte_hash_bulk_memory,
};

#define RTE_MEMBER_SKETCH(NAME, RATE)           \
    {                                           \
        .name = NAME,                           \
        .create = rte_member_sketch_create,     \
        .clear = rte_member_sketch_clear,       \
        .update = rte_member_sketch_update,     \
        .report = rte_member_sketch_report,     \
        .memory = rte_member_sketch_memory,     \
        .parameter = RATE,                      \
    }

const struct bench_contender bench_rte_member[4] = {
    RTE_MEMBER_SKETCH("rte-member-sketch", 1),
    RTE_MEMBER_SKETCH("rte-member-sketch-0.1", 0.1),
    RTE_MEMBER_SKETCH("rte-member-sketch-0.01", 0.01),
    RTE_MEMBER_SKETCH("rte-member-sketch-0.001", 0.001),
};
