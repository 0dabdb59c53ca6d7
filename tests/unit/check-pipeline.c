/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of pipelines. */

/* The stages are defined here:
 *
 *     seen        keeps all packets that it is given, and marks; a sink
 *     even        lets packets of even length through
 *     sum         packets and bytes by source, which it keeps exactly
 *     all         packets and bytes of everything; must see all packets
 *     add         adds up rows with the same key
 *     list        keeps all rows that it is given, and intervals; a sink
 *
 * Sources of packets are 10.0.0.0 and following; what is counted is compared
 * with what was written. */

#include "check-common.h"

#include <pthread.h>

#include "stream/measure-pipeline.h"

#define SECOND UINT64_C(1000000000)
#define START (UINT64_C(1700000000) * SECOND)
#define N_SOURCES 256           /* Addresses. */
#define MAX_SLOTS (1 << 16)

/* What the sinks have seen.  Each is used in one chain, without replicas. */

struct seen_packet {
    uint64_t time_ns;
    uint32_t number;            /* Sequence. */
    uint32_t length;
    uint8_t address;
    uint32_t source;
    uint32_t core_id;
};

static struct seen_packet *seen;
static size_t n_seen;           /* Atomic. */

struct list_row {
    uint8_t address;
    uint64_t packets;
    uint64_t bytes;
    size_t interval;            /* Number of those over before. */
};

struct list_interval {
    uint64_t start_ns;
    uint64_t end_ns;
    bool last;
};

static struct list_row *rows;
static size_t n_rows;
static struct list_interval *intervals;
static size_t n_intervals;      /* Atomic. */
static struct measure_mark marks[64];
static size_t n_marks;

/* Rows. */

static void
forget(void)
{
    free(seen);
    free(rows);
    free(intervals);
    seen = NULL;
    rows = NULL;
    intervals = NULL;
    n_seen = n_rows = n_intervals = n_marks = 0;
}

/* The stages. */

static void
seen_packets(struct measure_stage *stage UNUSED, struct measure_batch *batch)
{
    size_t n = n_seen;

    seen = realloc(seen, (n + batch->n) * sizeof *seen);
    for (size_t i = 0; i < batch->n; i++) {
        const struct measure_slot *slot = batch->records[i];

        seen[n++] = (struct seen_packet) {
            .time_ns = measure_slot_time_ns(slot),
            .number = measure_slot_sequence(slot),
            .length = measure_slot_length(slot),
            .address = ((const uint8_t *) slot->words)[3],
            .source = batch->source,
            .core_id = batch->core_id,
        };
    }
    __atomic_store_n(&n_seen, n, __ATOMIC_RELEASE);
}

static void
seen_mark(struct measure_stage *stage UNUSED,
          const struct measure_batch *batch UNUSED,
          const struct measure_mark *mark)
{
    marks[n_marks++] = *mark;
}

static const struct measure_stage_class seen_class = {
    .name = "seen",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct measure_stage),
    .packets = seen_packets,
    .mark = seen_mark,
};

static void
even_packets(struct measure_stage *stage UNUSED, struct measure_batch *batch)
{
    size_t n = 0;

    for (size_t i = 0; i < batch->n; i++) {
        batch->records[n] = batch->records[i];
        n += measure_slot_length(batch->records[i]) % 2 == 0;
    }
    batch->n = n;
}

static const struct measure_stage_class even_class = {
    .name = "even",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct measure_stage),
    .packets = even_packets,
};

struct sum {
    struct measure_stage stage;
    uint64_t packets[N_SOURCES];
    uint64_t bytes[N_SOURCES];
};

static char *
sum_begin(struct measure_stage *stage,
          const struct measure_schema *input UNUSED)
{
    measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_SOURCE);
    stage->schema.of = stage->class->name;
    stage->schema.has_key = true;
    stage->schema.group_by = stage->group_by;
    measure_schema_add(&stage->schema, "packets", MEASURE_COLUMN_COUNT);
    measure_schema_add(&stage->schema, "bytes", MEASURE_COLUMN_COUNT);
    return NULL;
}

static void
sum_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct sum *sum = MEASURE_STAGE_CAST(struct sum, stage);

    for (size_t i = 0; i < batch->n; i++) {
        uint8_t address
            = ((const uint8_t *) batch->records[i]->words)[3];

        sum->packets[address]++;
        sum->bytes[address] += measure_slot_length(batch->records[i]);
    }
}

static void
sum_row(struct measure_stage *stage, const struct measure_row *row)
{
    struct sum *sum = MEASURE_STAGE_CAST(struct sum, stage);
    uint8_t address = ((const uint8_t *) row->key)[3];

    sum->packets[address] += row->values[0];
    sum->bytes[address] += row->values[1];
}

static void
sum_interval(struct measure_stage *stage, uint64_t start_ns UNUSED,
             uint64_t end_ns, bool last UNUSED)
{
    struct sum *sum = MEASURE_STAGE_CAST(struct sum, stage);
    union measure_row_buffer buffer;

    for (size_t i = 0; i < N_SOURCES; i++) {
        if (sum->packets[i]) {
            memset(&buffer, 0, sizeof buffer);
            ((uint8_t *) buffer.row.key)[0] = 10;
            ((uint8_t *) buffer.row.key)[3] = i;
            buffer.row.n_present = 2;
            buffer.row.time_ns = end_ns;
            buffer.row.values[0] = sum->packets[i];
            buffer.row.values[1] = sum->bytes[i];
            sum->packets[i] = sum->bytes[i] = 0;
            measure_stage_give(stage, &buffer.row);
        }
    }
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

static const struct measure_stage_class add_class = {
    .name = "add",
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_ROWS,
    .size = sizeof(struct sum),
    .begin = sum_begin,
    .row = sum_row,
    .interval = sum_interval,
};

static void
list_row(struct measure_stage *stage UNUSED, const struct measure_row *row)
{
    rows = realloc(rows, (n_rows + 1) * sizeof *rows);
    rows[n_rows++] = (struct list_row) {
        .address = ((const uint8_t *) row->key)[3],
        .packets = row->values[0],
        .bytes = row->values[1],
        .interval = n_intervals,
    };
}

static void
list_interval(struct measure_stage *stage UNUSED, uint64_t start_ns,
              uint64_t end_ns, bool last)
{
    size_t n = n_intervals;

    intervals = realloc(intervals, (n + 1) * sizeof *intervals);
    intervals[n] = (struct list_interval) { start_ns, end_ns, last };
    __atomic_store_n(&n_intervals, n + 1, __ATOMIC_RELEASE);
}

static const struct measure_stage_class list_class = {
    .name = "list",
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .row = list_row,
    .interval = list_interval,
    .mark = seen_mark,
};

static const struct measure_stage_class *const classes[] = {
    &seen_class, &even_class, &sum_class, &add_class, &list_class, NULL,
};

/* Pipelines. */

static struct measure_pipeline *
make_pipeline(const char *chain)
{
    struct measure_pipeline_options options = { .classes = classes };
    struct measure_pipeline *p = measure_pipeline_create(&options);
    char *error = measure_pipeline_add_chain(p, chain);

    ck_assert_msg(!error, "%s", error);
    return p;
}

static void
start(struct measure_pipeline *p)
{
    char *error = measure_pipeline_start(p);

    ck_assert_msg(!error, "%s", error);
}

/* Ends 'p', which has no error. */
static void
finish(struct measure_pipeline *p)
{
    char *error = measure_pipeline_finish(p);

    ck_assert_msg(!error, "%s", error);
    measure_pipeline_destroy(p);
}

static void
write_packet(struct measure_source *source, uint64_t time_ns, uint8_t address,
             uint32_t length, uint32_t number)
{
    struct measure_ring_writer *w = measure_source_writer(source);
    struct measure_fields fields = {
        .family = MEASURE_IPV4, .source = { 10, 0, 0, address },
        .destination = { 10, 1, 0, number % 7 }, .protocol = 6,
    };
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_key_from_fields(key, &fields);
    struct measure_slot *slots = measure_source_reserve(source, 1);

    REQUIRE(slots);
    measure_ring_advance(w, measure_slot_write(slots, layout, key, time_ns,
                                               length,
                                               measure_slot_tcp(number, 0,
                                                                54)));
    measure_ring_publish(w);
}

START_TEST(smoke)
{
    struct measure_pipeline *p = make_pipeline("even | seen");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 3);

    start(p);
    for (uint32_t i = 0; i < 10000; i++) {
        write_packet(source, START + i, i % 5, 60 + i % 3, i);
    }
    finish(p);
    ck_assert_uint_eq(n_seen, 6667);
    for (size_t i = 0; i < n_seen; i++) {
        REQUIRE(seen[i].number == i / 2 * 3 + i % 2 * 2);
        REQUIRE(seen[i].time_ns == START + seen[i].number);
        REQUIRE(seen[i].source == 0 && seen[i].core_id == 3);
    }
    forget();
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-pipeline");

    tcase_add_test(tests, smoke);
    return tests_run(tests);
}
