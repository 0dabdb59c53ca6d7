/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the pipeline of the paper, made again. */

/* The prototype of "Packet-Level Analytics in Software" (HotCloud 2018),
 * sections 5 and 6, in C11.  Each kernel is a thread; queues are the ring of
 * the paper, for one writer and one reader; pointers to the packets in a
 * large buffer are passed, one at a time:
 *
 *                       ,-ring-> replica 0 -ring-.
 *     buffer -> source -+                        +-> sink
 *                       `-ring-> replica 1 -ring-'
 *
 *   - The source reads packets from the buffer and chooses the replica by a
 *     hash of the source address.
 *
 *   - A replica looks the source up in a hash table for each packet and adds
 *     to its packets and bytes, or does nothing, and passes the pointer on.
 *
 *   - The sink "captures the results and performs benchmarking": it counts
 *     what arrives, all of which went "through the same pipeline" in both
 *     applications.
 *
 * The table is what std::unordered_map of C++11 is: lists of nodes that are
 * taken from malloc(), one for each key, and twice the lists when there are
 * as many keys as lists.  Its key is 128 bits as in section 3.2.  In favour of
 * the paper, the number of lists is a power of two, which saves a division.
 *
 * A thread that waits spins, as the paper's do.  If there are more threads
 * than processors it lets others run at once, for the sake of fairness: the
 * paper had a processor for each thread. */

#include <config.h>

#include "pipeline-paper.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "paper-ring.h"
#include "pipeline.h"
#include "support.h"

#define MAX_REPLICAS 64
#define FIRST_LISTS 16
#define SPINS 1024              /* Before others may run. */

struct node {
    struct node *next;
    struct bench_address address;
    uint64_t packets;
    uint64_t bytes;
};

struct table {
    struct node **lists;
    uint64_t n_lists;
    uint64_t n;
};

struct replica {
    pthread_t thread;
    const struct run *run;
    struct paper_ring *input;
    struct paper_ring *output;
    struct table table;
    double ns;
};

struct run {
    const struct bench_pipeline_load *load;
    unsigned int spins;
    struct replica replicas[MAX_REPLICAS];
    pthread_t sink;
    uint64_t packets;           /* Found by the sink. */
    uint64_t bytes;
};

static inline uint64_t
hash(const struct bench_address *address)
{
    uint64_t h = (address->words[0] + address->words[1]
                  * UINT64_C(0xc2b2ae3d27d4eb4f));

    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

/* The table. */

static void
table_grow(struct table *table)
{
    uint64_t n_lists = table->n_lists ? 2 * table->n_lists : FIRST_LISTS;
    struct node **lists = measure_xzalloc(n_lists * sizeof *lists);

    for (uint64_t i = 0; i < table->n_lists; i++) {
        struct node *next;

        for (struct node *node = table->lists[i]; node; node = next) {
            struct node **list = &lists[hash(&node->address) & (n_lists - 1)];

            next = node->next;
            node->next = *list;
            *list = node;
        }
    }
    free(table->lists);
    table->lists = lists;
    table->n_lists = n_lists;
}

static struct node *
table_find(struct table *table, const struct bench_address *address)
{
    uint64_t h = hash(address);
    struct node *node;

    for (node = table->lists[h & (table->n_lists - 1)]; node;
         node = node->next) {
        if (bench_address_equals(&node->address, address)) {
            return node;
        }
    }
    if (table->n == table->n_lists) {
        table_grow(table);
    }
    node = measure_xzalloc(sizeof *node);
    node->address = *address;
    node->next = table->lists[h & (table->n_lists - 1)];
    table->lists[h & (table->n_lists - 1)] = node;
    table->n++;
    return node;
}

/* Checks what 'table' has counted, and frees it. */
static void
table_finish(struct table *table, const struct bench_pipeline_load *load)
{
    for (uint64_t i = 0; i < table->n_lists; i++) {
        struct node *next;

        for (struct node *node = table->lists[i]; node; node = next) {
            next = node->next;
            bench_records_check(load->records, &node->address, node->packets,
                                node->bytes, load->name);
            free(node);
        }
    }
    free(table->lists);
}

/* Queues of pointers to records.  NULL is the end. */

static void
rest(const struct run *run, unsigned int *n_waits)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (++*n_waits % run->spins == 0) {
        sched_yield();
    }
}

static inline void
push(const struct run *run, struct paper_ring *ring,
     const struct measure_slot *record)
{
    const struct measure_slot **place;
    unsigned int n_waits = 0;

    while (!(place = paper_ring_reserve(ring, sizeof record))) {
        rest(run, &n_waits);
    }
    *place = record;
    paper_ring_publish(ring);
}

/* Returns false if there is nothing. */
static inline bool
try_pop(struct paper_ring *ring, const struct measure_slot **record)
{
    const struct measure_slot *const *place
        = paper_ring_peek(ring, sizeof *record);

    if (!place) {
        return false;
    }
    *record = *place;
    paper_ring_release(ring);
    return true;
}

static inline const struct measure_slot *
pop(const struct run *run, struct paper_ring *ring)
{
    const struct measure_slot *record;
    unsigned int n_waits = 0;

    while (!try_pop(ring, &record)) {
        rest(run, &n_waits);
    }
    return record;
}

/* Kernels. */

static void
run_source(struct run *run)
{
    const struct bench_records *records = run->load->records;
    unsigned int n = run->load->replicas;

    for (uint64_t sweep = 0; sweep < run->load->sweeps; sweep++) {
        const struct measure_slot *end = &records->slots[records->n_slots];

        for (const struct measure_slot *record = records->slots; record < end;
             record += measure_slot_size(record)) {
            struct bench_address source = bench_record_source(record);
            uint64_t i = (hash(&source) & UINT32_MAX) * n >> 32;

            push(run, run->replicas[i].input, record);
        }
    }
    for (unsigned int i = 0; i < n; i++) {
        push(run, run->replicas[i].input, NULL);
    }
}

static void
count(struct table *table, const struct measure_slot *record)
{
    struct bench_address source = bench_record_source(record);
    struct node *node = table_find(table, &source);

    node->packets++;
    node->bytes += measure_slot_length(record);
}

static void *
replica_main(void *replica_)
{
    struct replica *replica = replica_;
    const struct run *run = replica->run;
    const struct measure_slot *record;

    do {
        record = pop(run, replica->input);
        if (record && run->load->counts) {
            count(&replica->table, record);
        }
        push(run, replica->output, record);
    } while (record);
    replica->ns = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    return NULL;
}

static void *
sink_main(void *run_)
{
    struct run *run = run_;
    unsigned int n = run->load->replicas, n_ended = 0, n_waits = 0;
    uint64_t packets = 0, bytes = 0;

    while (n_ended < n) {
        bool idle = true;

        for (unsigned int i = 0; i < n; i++) {
            const struct measure_slot *record;

            if (!try_pop(run->replicas[i].output, &record)) {
                continue;
            }
            idle = false;
            if (record) {
                packets++;
                bytes += measure_slot_length(record);
            } else {
                n_ended++;
            }
        }
        if (idle) {
            rest(run, &n_waits);
        }
    }
    run->packets = packets;
    run->bytes = bytes;
    return NULL;
}

static void
start(pthread_t *thread, void *(*main)(void *), void *arg)
{
    if (pthread_create(thread, NULL, main, arg)) {
        bench_fail("cannot start a thread");
    }
}

static unsigned int
paper_threads(unsigned int replicas)
{
    return replicas + 2;
}

static void
paper_run(const struct bench_pipeline_load *load,
          struct bench_pipeline_times *times)
{
    struct run *run = measure_xzalloc(sizeof *run);
    size_t ring_size = paper_ring_size(sizeof(struct measure_slot *));
    double wall, processor, source;

    run->load = load;
    run->spins = (paper_threads(load->replicas) > bench_processors()
                  ? 1 : SPINS);
    for (unsigned int i = 0; i < load->replicas; i++) {
        struct replica *replica = &run->replicas[i];

        replica->run = run;
        replica->input = bench_memory(ring_size);
        replica->output = bench_memory(ring_size);
        table_grow(&replica->table);
    }

    wall = bench_nanoseconds(CLOCK_MONOTONIC);
    processor = bench_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    source = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    /* Where the sink has no processor of its own it shares that of the
     * source, so that no ring has both ends on the same one. */
    bench_bind_to_others();
    for (unsigned int i = 0; i < load->replicas; i++) {
        start(&run->replicas[i].thread, replica_main, &run->replicas[i]);
    }
    if (run->spins == 1) {
        bench_bind_to_first();
    }
    start(&run->sink, sink_main, run);
    bench_bind_to_first();
    run_source(run);
    times->source_ns = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID) - source;
    for (unsigned int i = 0; i < load->replicas; i++) {
        pthread_join(run->replicas[i].thread, NULL);
    }
    pthread_join(run->sink, NULL);
    times->processor_ns = (bench_nanoseconds(CLOCK_PROCESS_CPUTIME_ID)
                           - processor);
    times->wall_ns = bench_nanoseconds(CLOCK_MONOTONIC) - wall;

    times->replicas_ns = 0;
    bench_records_check_total(load->records, load->sweeps, run->packets,
                              run->bytes, load->name);
    for (unsigned int i = 0; i < load->replicas; i++) {
        struct replica *replica = &run->replicas[i];

        times->replicas_ns += replica->ns;
        table_finish(&replica->table, load);
        bench_memory_free(replica->input, ring_size);
        bench_memory_free(replica->output, ring_size);
    }
    if (load->counts) {
        bench_records_check_end(load->records, load->sweeps, load->name);
    }
    free(run);
}

#define PIPELINE(COUNTS)                        \
    &(const struct bench_pipeline) {            \
        .counts = COUNTS,                       \
        .run = paper_run,                       \
        .threads = paper_threads,               \
    }

const struct bench_contender bench_paper_pass_through = {
    .name = "paper-pass-through", .pipeline = PIPELINE(false),
};
const struct bench_contender bench_paper_count = {
    .name = "paper-count", .pipeline = PIPELINE(true),
};
