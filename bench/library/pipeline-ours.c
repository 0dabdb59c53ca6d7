/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: our pipeline, with its stages. */

/* Pipelines of lib/stream/measure-pipeline.h.  The source copies records into
 * a ring, in bursts, as a packet thread of the switch does.  The chains are
 *
 *     pass | count by=source replicas=R | sink
 *     pass | sum replicas=R | sink
 *
 * with the stage 'count' that people use, and three stages of this file:
 *
 *     pass    passes lists of pointers on, and takes the time of its thread
 *     sum     adds up packets and their lengths
 *     sink    keeps the rows, to be checked
 *
 * Stages pass pointers to records in the ring.  Each replica has a cursor of
 * its own on it, and leaves out the packets that belong to others. */

#include <config.h>

#include "pipeline-ours.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "pipeline.h"
#include "stages/measure-stages.h"
#include "stream/measure-pipeline.h"
#include "support.h"

#define RING_SLOTS 16384        /* 512 KiB. */
#define BURST 32                /* Records that are published together. */

enum { PACKETS, BYTES };        /* First columns of all rows. */

struct found {
    struct bench_address address;
    uint64_t packets;
    uint64_t bytes;
};

/* The run. */
static struct {
    uint64_t replicas_ns;       /* Atomic. */
    struct found *found;        /* Written by the thread of the sink. */
    size_t n_found;
    size_t max_found;
} run;

/* The stage 'pass'. */

static void
pass_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    (void) stage;
    (void) batch;
}

static void
pass_interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
              bool last)
{
    (void) stage;
    (void) start_ns;
    (void) end_ns;
    if (last) {
        __atomic_fetch_add(&run.replicas_ns,
                           bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID),
                           __ATOMIC_RELAXED);
    }
}

static const struct measure_stage_class pass_class = {
    .name = "pass",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct measure_stage),
    .packets = pass_packets,
    .interval = pass_interval,
};

/* The stage 'sum'. */

struct sum {
    struct measure_stage stage;
    uint64_t packets;
    uint64_t bytes;
};

static char *
sum_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    (void) input;
    measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_SOURCE);
    stage->schema.of = "sum";
    measure_schema_add(&stage->schema, "packets", MEASURE_COLUMN_COUNT);
    measure_schema_add(&stage->schema, "bytes", MEASURE_COLUMN_COUNT);
    return NULL;
}

static void
sum_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct sum *sum = MEASURE_STAGE_CAST(struct sum, stage);
    uint64_t bytes = 0;

    for (size_t i = 0; i < batch->n; i++) {
        bytes += measure_slot_length(batch->records[i]);
    }
    sum->packets += batch->n;
    sum->bytes += bytes;
}

static void
sum_interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
             bool last)
{
    struct sum *sum = MEASURE_STAGE_CAST(struct sum, stage);
    union measure_row_buffer buffer;

    (void) start_ns;
    (void) last;
    memset(&buffer.row, 0, sizeof buffer.row);
    buffer.row.n_present = 2;
    buffer.row.time_ns = end_ns;
    buffer.row.values[PACKETS] = sum->packets;
    buffer.row.values[BYTES] = sum->bytes;
    sum->packets = sum->bytes = 0;
    measure_stage_give(stage, &buffer.row);
}

static const struct measure_stage_class sum_class = {
    .name = "sum",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_KEY,
    .size = sizeof(struct sum),
    .begin = sum_begin,
    .packets = sum_packets,
    .interval = sum_interval,
};

/* The stage 'sink'. */

static void
sink_row(struct measure_stage *stage, const struct measure_row *row)
{
    bool is_narrow = row->layout == MEASURE_NARROW;

    (void) stage;
    if (run.n_found == run.max_found) {
        bench_fail("a pipeline has more rows than there are sources");
    }
    run.found[run.n_found++] = (struct found) {
        .address = {
            .words = { is_narrow ? (uint32_t) row->key[0] : row->key[0],
                       is_narrow ? 0 : row->key[1] },
            .is_ipv4 = is_narrow,
        },
        .packets = row->values[PACKETS],
        .bytes = row->values[BYTES],
    };
}

static const struct measure_stage_class sink_class = {
    .name = "sink",
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .row = sink_row,
};

static const struct measure_stage_class *const own_classes[] = {
    &pass_class, &sum_class, &sink_class, NULL
};

/* A run. */

static struct measure_pipeline *
create_pipeline(const struct bench_pipeline_load *load)
{
    const struct measure_pipeline_options options = {
        .classes = measure_stages, .more_classes = own_classes,
    };
    struct measure_pipeline *pipeline = measure_pipeline_create(&options);
    char *text = measure_format("pass | %s replicas=%u | sink",
                                load->counts ? "count by=source" : "sum",
                                load->replicas);
    char *error = measure_pipeline_add_chain(pipeline, text);

    if (error) {
        bench_fail("%s: %s", load->name, error);
    }
    free(text);
    return pipeline;
}

/* Returns how many slots a burst of records from 'record' to 'end' has. */
static unsigned int
burst_slots(const struct measure_slot *record, const struct measure_slot *end)
{
    unsigned int n = 0;

    for (int i = 0; i < BURST && record + n < end; i++) {
        n += measure_slot_size(&record[n]);
    }
    return n;
}

/* The source: writes all records to its ring, a burst at once as
 * datapath-hooks/packet/measure-stream-producer.c. */
static void
run_source(struct measure_source *source,
           const struct bench_pipeline_load *load)
{
    const struct bench_records *records = load->records;
    const struct measure_slot *end = &records->slots[records->n_slots];
    struct measure_ring_writer *writer = measure_source_writer(source);

    for (uint64_t sweep = 0; sweep < load->sweeps; sweep++) {
        const struct measure_slot *record = records->slots;

        while (record < end) {
            unsigned int n = burst_slots(record, end);
            struct measure_slot *slots = measure_source_reserve(source, n);

            if (!slots) {
                bench_fail("%s: its source has failed", load->name);
            }
            for (unsigned int i = 0; i < n; i++) {
                slots[i] = record[i];
            }
            measure_ring_advance(writer, n);
            measure_ring_publish(writer);
            record += n;
        }
    }
}

/* Checks the rows that the sink was given. */
static void
check_rows(const struct bench_pipeline_load *load)
{
    uint64_t packets = 0, bytes = 0;

    for (size_t i = 0; i < run.n_found; i++) {
        const struct found *found = &run.found[i];

        packets += found->packets;
        bytes += found->bytes;
        if (load->counts) {
            bench_records_check(load->records, &found->address,
                                found->packets, found->bytes, load->name);
        }
    }
    bench_records_check_total(load->records, load->sweeps, packets, bytes,
                              load->name);
    if (load->counts) {
        bench_records_check_end(load->records, load->sweeps, load->name);
    }
}

static unsigned int
our_threads(unsigned int replicas)
{
    return 1 + replicas + (replicas > 1 ? 1 : 0);
}

static void
our_run(const struct bench_pipeline_load *load,
        struct bench_pipeline_times *times)
{
    struct measure_pipeline *pipeline = create_pipeline(load);
    struct measure_source *source
        = measure_pipeline_create_source(pipeline, RING_SLOTS, 0);
    double wall, processor, source_ns;
    char *error;

    run.replicas_ns = 0;
    run.n_found = 0;
    run.max_found = load->records->n_sources + load->replicas;
    run.found = bench_memory(run.max_found * sizeof *run.found);

    wall = bench_nanoseconds(CLOCK_MONOTONIC);
    processor = bench_nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    source_ns = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    bench_bind_to_others();
    error = measure_pipeline_start(pipeline);
    if (error) {
        bench_fail("%s: %s", load->name, error);
    }
    bench_bind_to_first();
    run_source(source, load);
    times->source_ns = (bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID)
                        - source_ns);
    error = measure_pipeline_finish(pipeline);
    times->processor_ns = (bench_nanoseconds(CLOCK_PROCESS_CPUTIME_ID)
                           - processor);
    times->wall_ns = bench_nanoseconds(CLOCK_MONOTONIC) - wall;
    if (error) {
        bench_fail("%s: %s", load->name, error);
    }

    times->replicas_ns = run.replicas_ns;
    check_rows(load);
    measure_pipeline_destroy(pipeline);
    bench_memory_free(run.found, run.max_found * sizeof *run.found);
}

#define PIPELINE(COUNTS)                        \
    &(const struct bench_pipeline) {            \
        .counts = COUNTS,                       \
        .run = our_run,                         \
        .threads = our_threads,                 \
    }

const struct bench_contender bench_our_pass_through = {
    .name = "pass-through", .pipeline = PIPELINE(false),
};
const struct bench_contender bench_our_count = {
    .name = "count", .pipeline = PIPELINE(true),
};
