/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of pipelines. */

/* The stages are defined here:
 *
 *     seen        keeps all packets that it is given, and marks; a sink
 *     even        lets packets of even length through
 *     sum         packets and bytes by source, which it keeps exactly
 *     pairs       the same, but by pairs of addresses in either direction
 *     any         the same of any packets
 *     many        gives 5000 rows at once
 *     talks       which replica has seen which pair; makes no rows
 *     add         adds up rows with the same key
 *     list        keeps all rows that it is given, and intervals; a sink
 *     gate        a sink of rows that waits until it is opened
 *     total       a sink of rows that adds up their packets
 *     full        a sink whose disk is full
 *     names       keeps the name of port 1 for each packet; a sink
 *     greedy      takes as much memory as it gets
 *     traced      writes down the order of calls; a sink
 *
 * Sources of packets are 10.0.0.0 and following; what is counted is compared
 * with what was written. */

#include "check-common.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

#include "stream/measure-pipeline.h"
#include "stream/measure-stream-account.h"

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
static size_t n_rings;
static size_t n_list_marks;

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
    n_seen = n_rows = n_intervals = 0;
    n_marks = n_rings = n_list_marks = 0;
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
            .source = batch->ring,
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

static void
seen_ring(struct measure_stage *stage UNUSED, uint32_t source UNUSED)
{
    n_rings++;
}

static const struct measure_stage_class seen_class = {
    .name = "seen",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct measure_stage),
    .packets = seen_packets,
    .mark = seen_mark,
    .ring = seen_ring,
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

/* Packets of one address that came out of their order.  Atomic. */
static uint64_t n_disorders;

struct sum {
    struct measure_stage stage;
    uint32_t next[4][N_SOURCES];        /* By ring. */
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

        uint32_t number = measure_slot_sequence(batch->records[i]);

        sum->packets[address]++;
        sum->bytes[address] += measure_slot_length(batch->records[i]);
        if (number < sum->next[batch->ring % 4][address]) {
            __atomic_fetch_add(&n_disorders, 1, __ATOMIC_RELAXED);
        }
        sum->next[batch->ring % 4][address] = number + 1;
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

static const struct measure_stage_class pairs_class = {
    .name = "pairs",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_PAIR,
    .size = sizeof(struct sum),
    .begin = sum_begin,
    .packets = sum_packets,
    .interval = sum_interval,
};

/* The replicas that have seen a conversation, one bit each.  Atomic. */
static uint64_t talks[64];

static void
talks_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        __atomic_fetch_or(&talks[measure_slot_sequence(batch->records[i])],
                          UINT64_C(1) << stage->replica, __ATOMIC_RELAXED);
    }
}

static const struct measure_stage_class talks_class = {
    .name = "talks",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_PAIR,
    .size = sizeof(struct sum),
    .begin = sum_begin,
    .packets = talks_packets,
};

static const struct measure_stage_class any_class = {
    .name = "any",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct sum),
    .begin = sum_begin,
    .packets = sum_packets,
    .interval = sum_interval,
};

/* More rows than a ring has room for. */
#define MANY_ROWS 5000

static void
many_interval(struct measure_stage *stage, uint64_t start_ns UNUSED,
              uint64_t end_ns UNUSED, bool last UNUSED)
{
    union measure_row_buffer buffer;

    for (size_t i = 0; i < MANY_ROWS; i++) {
        memset(&buffer, 0, sizeof buffer);
        measure_stage_give(stage, &buffer.row);
    }
}

static const struct measure_stage_class many_class = {
    .name = "many",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct sum),
    .begin = sum_begin,
    .packets = even_packets,
    .interval = many_interval,
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

static void
list_mark(struct measure_stage *stage UNUSED,
          const struct measure_batch *batch, const struct measure_mark *mark)
{
    struct measure_mark want = {
        .epoch = n_list_marks, .time_ns = START + n_list_marks,
        .offered = 10 * n_list_marks, .filtered = 2 * n_list_marks,
        .dropped = 3 * n_list_marks, .records = 5 * n_list_marks,
        .marks_lost = n_list_marks, .end = n_list_marks % 2,
    };

    REQUIRE(!batch->n && batch->ring == 0 && batch->core_id == 0);
    REQUIRE(!memcmp(mark, &want, offsetof(struct measure_mark, end))
            && mark->end == want.end);
    n_list_marks++;
}

static const struct measure_stage_class list_class = {
    .name = "list",
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .row = list_row,
    .interval = list_interval,
    .mark = list_mark,
};

/* A sink that waits. */

static bool gate_is_open;       /* Atomic. */
static uint64_t n_gate_rows;

static void
nap(void)
{
    static const struct timespec time = { .tv_nsec = 100000 };

    nanosleep(&time, NULL);
}

static void
gate_row(struct measure_stage *stage UNUSED,
         const struct measure_row *row UNUSED)
{
    while (!__atomic_load_n(&gate_is_open, __ATOMIC_ACQUIRE)) {
        nap();
    }
    n_gate_rows++;
}

static uint64_t n_total;

static void
total_row(struct measure_stage *stage UNUSED, const struct measure_row *row)
{
    n_total += row->values[0];
}

static const struct measure_stage_class total_class = {
    .name = "total",
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .row = total_row,
};

static const struct measure_stage_class gate_class = {
    .name = "gate",
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .row = gate_row,
};

/* A sink that fails. */

static void
full_packets(struct measure_stage *stage,
             struct measure_batch *batch UNUSED)
{
    measure_stage_fail(stage);
}

static void
full_row(struct measure_stage *stage, const struct measure_row *row UNUSED)
{
    measure_stage_fail(stage);
}

static char *
full_close(struct measure_stage *stage)
{
    return stage->failed ? measure_format("the disk is full") : NULL;
}

static const struct measure_stage_class full_class = {
    .name = "full",
    .takes = MEASURE_TAKES_PACKETS | MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .packets = full_packets,
    .row = full_row,
    .close = full_close,
};

/* Names of ports. */

static char port_names[4][16];
static size_t n_port_names;     /* Atomic. */

static void
names_ports(struct measure_stage *stage)
{
    const char *name = measure_port_name(stage->ports, 1);

    if (n_port_names < ARRAY_SIZE(port_names)) {
        snprintf(port_names[n_port_names], sizeof port_names[0], "%s", name);
        __atomic_store_n(&n_port_names, n_port_names + 1, __ATOMIC_RELEASE);
    }
}

static const struct measure_stage_class names_class = {
    .name = "names",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .packets = even_packets,
    .ports = names_ports,
};

/* Memory. */

struct greedy {
    struct measure_stage stage;
    void *blocks[64];
};

#define GREEDY_BLOCK (40 * MEASURE_KIB)

static void
greedy_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct greedy *greedy = MEASURE_STAGE_CAST(struct greedy, stage);

    for (size_t i = 0; i < batch->n; i++) {
        uint32_t number = measure_slot_sequence(batch->records[i]) % 64;

        if (!greedy->blocks[number]) {
            greedy->blocks[number] = measure_stage_alloc(stage,
                                                         GREEDY_BLOCK);
        }
        if (!greedy->blocks[number]) {
            measure_counter_add(&stage->lost, 1);
        }
    }
}

static void
greedy_destroy(struct measure_stage *stage)
{
    struct greedy *greedy = MEASURE_STAGE_CAST(struct greedy, stage);

    for (size_t i = 0; i < ARRAY_SIZE(greedy->blocks); i++) {
        measure_stage_free(stage, greedy->blocks[i], GREEDY_BLOCK);
    }
}

static const struct measure_stage_class greedy_class = {
    .name = "greedy",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct greedy),
    .packets = greedy_packets,
    .destroy = greedy_destroy,
};

/* The order of calls. */

static char trace[256];

static void
add_to_trace(const char *what)
{
    if (strlen(trace) + strlen(what) + 2 < sizeof trace) {
        strcat(strcat(trace, *trace ? " " : ""), what);
    }
}

static char *
traced_set(struct measure_stage *stage, const char *name, const char *value)
{
    add_to_trace(stage->next ? "wrong" : "set");
    add_to_trace(name ? name : "bare");
    return strcmp(value, "bad") ? NULL : measure_format("valid is good");
}

static char *
traced_begin(struct measure_stage *stage UNUSED,
             const struct measure_schema *input)
{
    add_to_trace("begin");
    add_to_trace(input ? input->of : "packets");
    return NULL;
}

static char *
traced_open(struct measure_stage *stage UNUSED)
{
    add_to_trace("open");
    return NULL;
}

static void
traced_row(struct measure_stage *stage UNUSED,
           const struct measure_row *row UNUSED)
{
    add_to_trace("row");
}

static void
traced_interval(struct measure_stage *stage UNUSED, uint64_t start_ns UNUSED,
                uint64_t end_ns UNUSED, bool last)
{
    add_to_trace(last ? "last" : "interval");
}

static char *
traced_close(struct measure_stage *stage UNUSED)
{
    add_to_trace("close");
    return NULL;
}

static void
traced_destroy(struct measure_stage *stage UNUSED)
{
    add_to_trace("destroy");
}

static const struct measure_stage_argument traced_arguments[] = {
    { "name", "NAME", "a name" },
    { NULL, NULL, NULL },
};

static const struct measure_stage_class traced_class = {
    .name = "traced",
    .arguments = traced_arguments,
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .set = traced_set,
    .begin = traced_begin,
    .open = traced_open,
    .row = traced_row,
    .interval = traced_interval,
    .close = traced_close,
    .destroy = traced_destroy,
};

static const struct measure_stage_class *const classes[] = {
    &seen_class, &even_class, &sum_class, &pairs_class, &talks_class,
    &any_class, &many_class, &add_class, NULL,
};

static const struct measure_stage_class *const more_classes[] = {
    &list_class, &gate_class, &total_class, &full_class, &names_class,
    &greedy_class,
    &traced_class, NULL,
};

/* Pipelines. */

static uint64_t clock_ns;       /* Atomic. */

static uint64_t
fake_now_ns(void)
{
    return __atomic_load_n(&clock_ns, __ATOMIC_ACQUIRE);
}

static void
set_clock(uint64_t now_ns)
{
    __atomic_store_n(&clock_ns, now_ns, __ATOMIC_RELEASE);
}

static const struct measure_pipeline_options plain = {
    .classes = classes, .more_classes = more_classes,
};
static const struct measure_pipeline_options live = {
    .classes = classes, .more_classes = more_classes, .live = true,
    .now_ns = fake_now_ns,
};

static void
add_chain(struct measure_pipeline *p, const char *chain)
{
    char *error = measure_pipeline_add_chain(p, chain);

    ck_assert_msg(!error, "%s", error);
}

static struct measure_pipeline *
make_pipeline(const struct measure_pipeline_options *options,
              const char *chain)
{
    struct measure_pipeline *p = measure_pipeline_create(options);

    add_chain(p, chain);
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

/* Waits until CONDITION holds, and fails after a minute. */
#define WAIT_FOR(CONDITION)                                             \
    do {                                                                \
        for (int tries = 0; !(CONDITION); tries++) {                    \
            ck_assert_msg(tries < 600000, "'%s' does not come to hold", \
                          #CONDITION);                                  \
            nap();                                                      \
        }                                                               \
    } while (0)

static size_t
get(const size_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
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
    struct measure_slot *slots = measure_source_reserve(source, 5);
    unsigned int n;

    REQUIRE(slots);
    n = measure_slot_write(slots, layout, key, time_ns, length,
                           measure_slot_tcp(number, 0, 54));
    if (number % 11 == 0) {
        /* Not all are of the same size. */
        n = measure_slot_write_headers(slots, n, key, sizeof key);
    }
    measure_ring_advance(w, n);
    measure_ring_publish(w);
}

static void
write_mark(struct measure_source *source, uint64_t epoch)
{
    struct measure_mark mark = {
        .epoch = epoch, .time_ns = START + epoch, .offered = 10 * epoch,
        .filtered = 2 * epoch, .dropped = 3 * epoch, .records = 5 * epoch,
        .marks_lost = epoch, .end = epoch % 2,
    };
    struct measure_slot *slots = measure_source_reserve(source,
                                                        MEASURE_MARK_SLOTS);

    REQUIRE(slots);
    measure_slot_write_mark(slots, &mark);
    measure_ring_advance(measure_source_writer(source), MEASURE_MARK_SLOTS);
    measure_ring_publish(measure_source_writer(source));
}

/* What was written. */
static uint64_t want_packets[N_SOURCES];
static uint64_t want_bytes[N_SOURCES];

/* Compares what 'list' has, of all intervals, with what was written. */
static void
check_list(void)
{
    uint64_t packets[N_SOURCES] = { 0 }, bytes[N_SOURCES] = { 0 };

    for (size_t i = 0; i < n_rows; i++) {
        packets[rows[i].address] += rows[i].packets;
        bytes[rows[i].address] += rows[i].bytes;
    }
    for (size_t i = 0; i < N_SOURCES; i++) {
        REQUIRE(packets[i] == want_packets[i]);
        REQUIRE(bytes[i] == want_bytes[i]);
    }
}

/* Packets and bytes that 'list' has for interval 'i'. */
static uint64_t
packets_of_interval(size_t i)
{
    uint64_t packets = 0;

    for (size_t j = 0; j < n_rows; j++) {
        packets += rows[j].interval == i ? rows[j].packets : 0;
    }
    return packets;
}

/* Checks that interval 'i' begins 'start_ms' after START, has 'packets' and is
 * a second long. */
static void
check_interval(size_t i, int64_t start_ms, uint64_t packets)
{
    ck_assert_uint_lt(i, n_intervals);
    ck_assert_uint_eq(intervals[i].start_ns,
                      START + start_ms * INT64_C(1000000));
    ck_assert_uint_eq(intervals[i].end_ns, intervals[i].start_ns + SECOND);
    ck_assert_uint_eq(packets_of_interval(i), packets);
}

#define MS UINT64_C(1000000)

/* The tests. */

START_TEST(packets_in_order)
{
    struct measure_pipeline *p = make_pipeline(&plain, "even | seen");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 3);

    start(p);
    for (uint32_t i = 0; i < 10000; i++) {
        write_packet(source, START + i, i % 5, 60 + i % 3, i);
        if (i % 1000 == 500) {
            write_mark(source, i / 1000);
        }
    }
    finish(p);
    ck_assert_uint_eq(n_seen, 6667);
    for (size_t i = 0; i < n_seen; i++) {
        REQUIRE(seen[i].number == i / 2 * 3 + i % 2 * 2);
        REQUIRE(seen[i].time_ns == START + seen[i].number);
        REQUIRE(seen[i].source == 0 && seen[i].core_id == 3);
    }
    ck_assert_uint_eq(n_marks, 10);
    for (size_t i = 0; i < n_marks; i++) {
        REQUIRE(marks[i].epoch == i && marks[i].records == 5 * i
                && marks[i].end == i % 2);
    }
    forget();
}
END_TEST

/* Three chains see each packet of up to three sources; the counts of each are
 * exact for any number of replicas. */
START_TEST(all_counts)
{
    static const char *const makers[] = { "sum", "pairs", "any" };
    unsigned int n_replicas = _i % 4 + 1;
    unsigned int n_sources = _i / 4 % 3 + 1;
    const char *maker = makers[_i / 12];
    struct random r = random_from(test_seed + _i);
    struct measure_source *sources[3];
    char text[128];
    uint32_t number = 0;
    struct measure_pipeline *p;

    snprintf(text, sizeof text, "%s replicas=%u every=1s | add | list", maker,
             n_replicas);
    p = make_pipeline(&plain, text);
    add_chain(p, "even | seen");
    snprintf(text, sizeof text, "even | sum replicas=%u | gate",
             n_replicas % 3 + 1);
    add_chain(p, text);
    gate_is_open = true;
    for (unsigned int i = 0; i < n_sources; i++) {
        sources[i] = measure_pipeline_create_source(p, 1 << (6 + 3 * i), i);
    }
    start(p);
    for (uint32_t i = 0; i < 60000; i++) {
        uint8_t address = random_below(&r, random_below(&r, 250) + 1);
        uint32_t length = 60 + random_below(&r, 1400);

        want_packets[address]++;
        want_bytes[address] += length;
        write_packet(sources[random_below(&r, n_sources)], START + i * MS / 8,
                     address, length, number++);
        if (i % 5000 == 0) {
            write_mark(sources[0], i / 5000);
        }
    }
    finish(p);
    check_list();
    ck_assert_uint_eq(n_marks, 12);
    ck_assert_uint_eq(n_list_marks, 12);
    if (maker == makers[0]) {
        ck_assert_uint_eq(n_disorders, 0);
    }
    for (size_t i = 0; i + 1 < n_intervals; i++) {
        REQUIRE(!intervals[i].last);
        REQUIRE(intervals[i].start_ns % SECOND == 0);
        REQUIRE(intervals[i].end_ns == intervals[i].start_ns + SECOND);
    }
    ck_assert(intervals[n_intervals - 1].last);
    if (n_sources == 1) {
        ck_assert_uint_eq(n_intervals, 8);
        for (size_t i = 0; i < 8; i++) {
            check_interval(i, i * 1000, i < 7 ? 8000 : 4000);
        }
    }
    forget();
}
END_TEST

/* Both directions between two addresses come to the same replica, be they of
 * IPv4, of IPv6, or out of a tunnel, and not all to one. */
START_TEST(conversations)
{
    struct measure_pipeline *p
        = make_pipeline(&plain, "even | talks replicas=4 | list");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);
    struct random r = random_from(test_seed);
    uint64_t used = 0;

    start(p);
    for (uint32_t i = 0; i < 64; i++) {
        for (uint32_t j = 0; j < 20; j++) {
            struct measure_fields fields = make_fields(i % 2, 0);
            uint8_t *from = j % 2 ? fields.source : fields.destination;
            uint8_t *to = j % 2 ? fields.destination : fields.source;
            struct measure_slot *slots = measure_source_reserve(source, 5);
            uint64_t key[MEASURE_KEY_WORDS];
            enum measure_layout layout;
            size_t last = i % 2 ? 15 : 3;

            memcpy(fields.destination, fields.source, 16);
            from[last] = i;
            to[last] = 100 + i;
            fields.source_port = random_next(&r) >> 48;
            fields.vlan = j % 5;
            fields.tunnelled = i % 4 / 2 || j % 3;
            layout = measure_key_from_fields(key, &fields);
            measure_ring_advance(
                measure_source_writer(source),
                measure_slot_write(slots, layout, key, START, 60,
                                   measure_slot_tcp(i, 0, 54)));
        }
    }
    finish(p);
    for (uint32_t i = 0; i < 64; i++) {
        REQUIRE(talks[i] && !(talks[i] & (talks[i] - 1)));
        used |= talks[i];
    }
    ck_assert_uint_eq(used, 15);
    forget();
}
END_TEST

/* All packets of a key are given by one replica. */
START_TEST(one_interval)
{
    struct measure_pipeline *p = make_pipeline(&plain,
                                               "sum replicas=4 | list");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);

    start(p);
    for (uint32_t i = 0; i < 5000; i++) {
        want_packets[i % 100]++;
        want_bytes[i % 100] += 60;
        write_packet(source, START + i, i % 100, 60, i);
    }
    finish(p);
    check_list();
    ck_assert_uint_eq(n_rows, 100);
    ck_assert_uint_eq(n_intervals, 1);
    ck_assert(intervals[0].last);
    ck_assert_uint_eq(intervals[0].start_ns, START);
    ck_assert_uint_eq(intervals[0].end_ns, START + 5000);
    forget();
}
END_TEST

START_TEST(nothing_at_all)
{
    struct measure_pipeline *p
        = make_pipeline(&plain, _i % 2 ? "sum every=1s replicas=3 | list"
                                       : "sum | list");

    measure_pipeline_create_source(p, 64, 0);
    start(p);
    finish(p);
    ck_assert_uint_eq(n_rows, 0);
    ck_assert_uint_eq(n_intervals, 1);
    ck_assert(intervals[0].last);
    ck_assert_uint_eq(intervals[0].start_ns, intervals[0].end_ns);
    forget();
}
END_TEST

static const char *const interval_chains[] = {
    "sum every=1s | list", "sum every=1s replicas=3 | list",
};

/* Packets that are late, in the far future, and long after. */
START_TEST(late_packets)
{
    struct measure_pipeline *p = make_pipeline(&plain, interval_chains[_i]);
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);
    static const int64_t times_ms[] = {
        0, 999,                         /* 0. */
        1000, 500, 1, 0, 1999,          /* 1: late, but not by much. */
        INT64_C(100000000000),          /* 2: some years later. */
        2100, 1999, 1000,               /* 3: not earlier than that. */
        999,                            /* 4: earlier, its own. */
        31536000000,                    /* 5: a year, without an interval for
                                         * each second. */
    };

    start(p);
    for (size_t i = 0; i < ARRAY_SIZE(times_ms); i++) {
        write_packet(source, START + times_ms[i] * MS, i, 60, i);
    }
    finish(p);
    ck_assert_uint_eq(n_intervals, 6);
    check_interval(0, 0, 2);
    check_interval(1, 1000, 5);
    check_interval(2, INT64_C(100000000000), 1);
    check_interval(3, 2000, 3);
    check_interval(4, 0, 1);
    check_interval(5, 31536000000, 1);
    ck_assert(intervals[5].last);
    forget();
}
END_TEST

/* The same for lengths above a second: late is what is earlier than the
 * interval before. */
START_TEST(late_in_long_intervals)
{
    struct measure_pipeline *p = make_pipeline(&plain,
                                               "sum every=10s | list");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);

    start(p);
    write_packet(source, START + 10 * SECOND, 1, 60, 1);
    write_packet(source, START, 2, 60, 2);
    write_packet(source, START - 1, 3, 60, 3);
    finish(p);
    ck_assert_uint_eq(n_intervals, 2);
    ck_assert_uint_eq(intervals[0].start_ns, START + 10 * SECOND);
    ck_assert_uint_eq(packets_of_interval(0), 2);
    ck_assert_uint_eq(intervals[1].start_ns, START - 10 * SECOND);
    ck_assert_uint_eq(packets_of_interval(1), 1);
    forget();
}
END_TEST

/* Of several rings, none gets ahead of the others by an interval. */
START_TEST(several_rings)
{
    struct measure_pipeline *p = make_pipeline(&plain, interval_chains[_i]);
    struct measure_source *a = measure_pipeline_create_source(p, 4096, 0);
    struct measure_source *b = measure_pipeline_create_source(p, 4096, 1);
    struct measure_source *c = measure_pipeline_create_source(p, 4096, 2);

    start(p);
    write_packet(b, START, 2, 60, 0);
    write_packet(c, START + 50, 3, 60, 0);
    for (uint32_t i = 0; i < 100; i++) {
        write_packet(a, START + i * 100 * MS, 1, 60, i);
    }
    /* One ring is as far as it gets without the others. */
    WAIT_FOR(__atomic_load_n(&measure_source_writer(a)->cursors[0]
                             .cursor->tail, __ATOMIC_ACQUIRE));
    for (uint32_t i = 1; i < 100; i++) {
        write_packet(c, START + i * 100 * MS + 50, 3, 60, i);
    }
    for (uint32_t i = 1; i < 50; i++) {
        write_packet(b, START + i * 200 * MS, 2, 60, i);
    }
    finish(p);
    ck_assert_uint_eq(n_intervals, 10);
    for (size_t i = 0; i < 10; i++) {
        check_interval(i, i * 1000, 25);
    }
    forget();
}
END_TEST

/* A ring that is removed, or drained, waits for what others have of the
 * interval. */
START_TEST(removed_beside_one_that_lags)
{
    enum { N = 4000, ROUNDS = 20 };
    struct measure_pipeline *p = make_pipeline(&plain, "sum every=1s | list");
    struct measure_source *b = measure_pipeline_create_source(p, 8192, 0);
    struct measure_source *a = NULL;

    start(p);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint64_t time_ns = START + round * 2 * SECOND;

        if (!a) {
            a = measure_pipeline_create_source(p, 64, 1);
        }
        for (int i = 0; i < N; i++) {
            struct measure_slot *slots = measure_source_reserve(b, 1);
            uint64_t key[MEASURE_KEY_WORDS] = { 10 | 1 << 24 };

            measure_slot_write(slots, MEASURE_NARROW, key, time_ns + i, 60, 0);
            measure_ring_advance(measure_source_writer(b), 1);
        }
        measure_ring_publish(measure_source_writer(b));
        write_packet(a, time_ns + SECOND, 2, 60, round);
        if (_i) {
            ck_assert(measure_source_drain(a));
        } else {
            measure_source_remove(a);
            a = NULL;
        }
    }
    finish(p);
    ck_assert_uint_eq(n_intervals, 2 * ROUNDS);
    for (size_t i = 0; i < ROUNDS; i++) {
        check_interval(2 * i, i * 2000, N);
        check_interval(2 * i + 1, i * 2000 + 1000, 1);
    }
    forget();
}
END_TEST

/* A writer that waits for room in a ring that is held does not wait for
 * ever. */
START_TEST(held_and_full)
{
    struct measure_pipeline *p = make_pipeline(&plain, interval_chains[_i]);
    struct measure_source *a = measure_pipeline_create_source(p, 64, 0);
    struct measure_source *b = measure_pipeline_create_source(p, 64, 1);

    start(p);
    for (uint32_t i = 0; i < 1000; i++) {
        write_packet(a, START + i * 100 * MS, 1, 60, i);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        write_packet(b, START + i * 100 * MS, 2, 60, i);
    }
    want_packets[1] = want_packets[2] = 1000;
    want_bytes[1] = want_bytes[2] = 60000;
    finish(p);
    check_list();
    forget();
}
END_TEST

/* In a live pipeline the clock ends intervals. */
START_TEST(live_intervals)
{
    struct measure_pipeline *p;
    struct measure_source *a, *b;

    set_clock(START);
    p = make_pipeline(&live, interval_chains[_i]);
    a = measure_pipeline_create_source(p, 64, 0);
    b = measure_pipeline_create_source(p, 64, 1);
    start(p);
    write_packet(a, START + 10, 1, 60, 0);
    write_packet(b, START + 20, 2, 60, 1);
    WAIT_FOR(measure_source_is_drained(a) && measure_source_is_drained(b));

    /* One is behind the end: the other one may still have some. */
    set_clock(START + SECOND + 99 * MS);
    write_packet(a, START + SECOND, 1, 60, 2);
    write_packet(b, START + SECOND - 1, 2, 60, 3);
    WAIT_FOR(measure_source_is_drained(b));
    ck_assert(!measure_source_is_drained(a));
    ck_assert_uint_eq(get(&n_intervals), 0);
    set_clock(START + SECOND + 100 * MS);
    WAIT_FOR(get(&n_intervals) == 1);
    WAIT_FOR(measure_source_is_drained(a));

    /* None has any. */
    set_clock(START + 2 * SECOND + 100 * MS);
    WAIT_FOR(get(&n_intervals) == 2);

    /* No interval without packets.  (The thread may look at the clock before
     * there is one: then the clock must be past the end of what it held.) */
    set_clock(START + 10 * SECOND + 100 * MS);
    write_packet(a, START + 10 * SECOND, 1, 60, 4);
    WAIT_FOR(measure_source_is_drained(a));

    /* One from the future at once, and then the present again. */
    write_packet(b, START + 20 * SECOND, 2, 60, 5);
    WAIT_FOR(get(&n_intervals) == 3);
    WAIT_FOR(measure_source_is_drained(b));
    write_packet(a, START + 10 * SECOND + 1, 1, 60, 6);
    WAIT_FOR(get(&n_intervals) == 4);
    finish(p);
    ck_assert_uint_eq(n_intervals, 5);
    check_interval(0, 0, 3);
    check_interval(1, 1000, 1);
    check_interval(2, 10000, 1);
    check_interval(3, 20000, 1);
    check_interval(4, 10000, 1);
    forget();
}
END_TEST

/* Rings that come and go. */
START_TEST(sources_come_and_go)
{
    struct measure_pipeline *p
        = make_pipeline(&plain, "sum replicas=2 every=1s | list");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);
    uint32_t number = 0;

    add_chain(p, "seen");
    start(p);
    for (uint32_t i = 0; i < 50; i++) {
        struct measure_source *next
            = measure_pipeline_create_source(p, 64 << i % 3, i + 1);

        for (uint32_t j = 0; j < 200; j++) {
            want_packets[i]++;
            want_bytes[i] += 70;
            write_packet(source, START + number * MS, i, 70, number);
            number++;
        }
        measure_source_remove(source);
        ck_assert(measure_source_is_drained(source));
        source = next;
    }
    finish(p);
    check_list();
    ck_assert_uint_eq(n_seen, number);
    for (uint32_t i = 0; i < number; i++) {
        REQUIRE(seen[i].number == i);
        /* There are two at a time. */
        REQUIRE(seen[i].source == i / 200 % 2);
        REQUIRE(seen[i].core_id == i / 200);
    }
    forget();
}
END_TEST

/* Ten thousand rings, one after the other, leave nothing but sums. */
START_TEST(many_sources)
{
    struct measure_pipeline *p = make_pipeline(&plain, "seen");
    struct measure_output *o = measure_output_create(MEASURE_JSON);
    char *text;

    start(p);
    for (uint32_t i = 0; i < 10000; i++) {
        struct measure_source *source
            = measure_pipeline_create_source(p, 64, i);

        write_packet(source, START + i, 0, 60, i);
        measure_source_remove(source);
    }
    measure_output_open_object(o, "p");
    measure_pipeline_write_counters(p, o);
    measure_output_close(o);
    text = measure_output_finish(o);
    ck_assert_msg(strstr(text, "\"sources\":[{\"source\":0,\"core\":9999,")
                  && !strstr(text, "{\"source\":1,")
                  && strstr(text, "\"sources-gone\":{\"sources\":9999,"
                            "\"records\":9999,"), "%s", text);
    free(text);
    finish(p);
    ck_assert_uint_eq(n_seen, 10000);
    for (uint32_t i = 0; i < n_seen; i++) {
        REQUIRE(seen[i].source == 0 && seen[i].core_id == i);
    }
    ck_assert_uint_eq(n_rings, 10000);
    forget();
}
END_TEST

/* The ring of another writer, which knows one cursor. */

#define FOREIGN_SLOTS 256

static struct {
    struct measure_ring_header header;
    uint8_t unused[MEASURE_RING_HEADER_SIZE
                   - sizeof(struct measure_ring_header)];
    struct measure_slot slots[FOREIGN_SLOTS];
} foreign __attribute__((aligned(64)));

static struct measure_cursor foreign_cursor __attribute__((aligned(64)));

START_TEST(foreign_rings)
{
    struct measure_pipeline *p = make_pipeline(&plain, "seen");
    uint64_t key[MEASURE_KEY_WORDS] = { 0 }, tail = 0, given = 0;
    struct measure_ring_writer w;
    struct measure_source *source;

    if (_i) {
        add_chain(p, "sum replicas=3 | list");
    }
    measure_ring_header_init(&foreign.header, FOREIGN_SLOTS, 9, -1);
    measure_ring_writer_init(&w, &foreign);
    measure_ring_add_cursor(&w, &foreign_cursor);
    start(p);
    source = measure_pipeline_add_source(p, &foreign, &foreign_cursor, NULL);
    for (uint32_t i = 0; i < 50000; i++) {
        struct measure_slot *slots = measure_ring_reserve(&w, 1, 0);
        uint64_t now = __atomic_load_n(&foreign_cursor.tail,
                                       __ATOMIC_ACQUIRE);

        REQUIRE(now >= tail && now <= w.head);
        tail = now;
        if (slots) {
            measure_slot_write(slots, MEASURE_NARROW, key, START + i, 60,
                               measure_slot_tcp(given++, 0, 54));
            measure_ring_advance(&w, 1);
        } else {
            nap();
        }
        if (i % 32 == 0) {
            measure_ring_publish(&w);
        }
    }
    measure_ring_publish(&w);
    WAIT_FOR(measure_source_is_drained(source));
    measure_source_remove(source);
    ck_assert_uint_eq(foreign_cursor.tail, w.head);
    memset(&foreign, 0xff, sizeof foreign);
    finish(p);
    ck_assert_uint_eq(w.header->bad_cursors, UINT64_MAX);
    ck_assert_uint_eq(n_seen, given);
    for (size_t i = 0; i < n_seen; i++) {
        REQUIRE(seen[i].number == i && seen[i].core_id == 9);
    }
    forget();
}
END_TEST

/* A ring of FOREIGN_SLOTS whose end is that of the memory that may be read. */
static void *
make_strict_ring(struct measure_ring_writer *w)
{
    size_t size = measure_ring_size(FOREIGN_SLOTS);
    uint8_t *memory = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    ck_assert_int_eq(size % 4096, 0);
    ck_assert(memory != MAP_FAILED);
    ck_assert(!mprotect(memory + size, 4096, PROT_NONE));
    measure_ring_header_init((void *) memory, FOREIGN_SLOTS, 9, -1);
    measure_ring_writer_init(w, memory);
    measure_ring_add_cursor(w, &foreign_cursor);
    return memory;
}

static void
free_strict_ring(void *memory)
{
    munmap(memory, measure_ring_size(FOREIGN_SLOTS) + 4096);
}

/* A mark, or a record, of which there is only the first slot: at the end of
 * the ring, and of what is published. */
START_TEST(cut_records)
{
    struct measure_pipeline *p = make_pipeline(&plain, "seen");
    enum measure_slot_kind kind = (_i % 2 ? MEASURE_SLOT_WIDE
                                   : MEASURE_SLOT_MARK);
    uint32_t at = _i < 2 ? FOREIGN_SLOTS - 1 : 17;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct measure_mark mark = { .epoch = 1, .offered = 30, .records = 30 };
    struct measure_stream_account account;
    struct measure_stream_sums sums;
    struct measure_ring_writer w;
    struct measure_source *source;
    void *memory = make_strict_ring(&w);

    measure_stream_account_init(&account);
    start(p);
    source = measure_pipeline_add_source(p, memory, &foreign_cursor, &account);
    for (uint32_t i = 0; i <= at; i++) {
        measure_slot_write(&w.slots[i], MEASURE_NARROW, key, START + i, 60,
                           measure_slot_tcp(i, 0, 54));
    }
    w.slots[at].words[2] |= (uint64_t) kind << MEASURE_SLOT_KIND_SHIFT;
    measure_ring_advance(&w, at + 1);
    measure_ring_publish(&w);
    WAIT_FOR(measure_source_is_drained(source));
    measure_stream_account_get(&account, &sums);
    ck_assert_uint_eq(sums.records, at);
    ck_assert_uint_eq(sums.n_marks, 0);
    ck_assert(sums.broken);

    /* What follows can be read. */
    measure_slot_write_mark(measure_ring_reserve(&w, MEASURE_MARK_SLOTS, 0),
                            &mark);
    measure_ring_advance(&w, MEASURE_MARK_SLOTS);
    measure_ring_publish(&w);
    WAIT_FOR(measure_source_is_drained(source));
    measure_source_remove(source);
    measure_stream_account_get(&account, &sums);
    ck_assert_uint_eq(sums.n_marks, 1);
    ck_assert_uint_eq(sums.n_differences, 1);
    finish(p);
    ck_assert_uint_eq(n_seen, at);
    ck_assert_uint_eq(n_marks, 1);
    measure_stream_account_destroy(&account);
    free_strict_ring(memory);
    forget();
}
END_TEST

/* Whatever stands in a ring, and wherever its head is. */
START_TEST(any_slots)
{
    struct random r = random_from(test_seed + _i);
    struct measure_pipeline *p = make_pipeline(&plain,
                                               "sum replicas=3 | total");
    struct measure_stream_account account;
    struct measure_stream_sums sums;
    struct measure_ring_writer w;
    struct measure_source *source;
    void *memory = make_strict_ring(&w);

    n_total = 0;
    measure_stream_account_init(&account);
    start(p);
    source = measure_pipeline_add_source(p, memory, &foreign_cursor, &account);
    for (int i = 0; i < 50; i++) {
        random_fill(&r, w.slots, FOREIGN_SLOTS * sizeof(struct measure_slot));
        measure_ring_advance(&w, random_below(&r, FOREIGN_SLOTS + 1));
        measure_ring_publish(&w);
        WAIT_FOR(measure_source_is_drained(source));
    }
    /* A head that has gone mad does not hold up the end. */
    __atomic_store_n(&w.header->head,
                     _i % 2 ? w.head - 1 : w.head + 3 * FOREIGN_SLOTS,
                     __ATOMIC_RELEASE);
    measure_source_remove(source);
    finish(p);
    measure_stream_account_get(&account, &sums);
    ck_assert_uint_eq(n_total, sums.records);
    ck_assert_uint_gt(n_total, 0);
    measure_stream_account_destroy(&account);
    free_strict_ring(memory);
    forget();
}
END_TEST

/* A replica waits while its ring of rows is full, and loses none. */
START_TEST(full_rings_of_rows)
{
    struct measure_pipeline *p
        = make_pipeline(&plain, "sum replicas=2 every=1ms | gate");
    struct measure_source *source = measure_pipeline_create_source(p, 65536,
                                                                   0);
    struct measure_output *o;
    char *text, *error;

    start(p);
    for (uint32_t i = 0; i < 20000; i++) {
        write_packet(source, START + i * MS, i, 60, i);
    }
    for (bool waits = false; !waits; ) {
        o = measure_output_create(MEASURE_JSON);
        measure_pipeline_write_counters(p, o);
        text = measure_output_finish(o);
        waits = strstr(text, "\"waits\":1,") || strstr(text, "\"waits\":1}");
        free(text);
        nap();
    }
    __atomic_store_n(&gate_is_open, true, __ATOMIC_RELEASE);
    error = measure_pipeline_finish(p);
    ck_assert(!error);
    ck_assert_uint_eq(n_gate_rows, 20000);
    measure_pipeline_destroy(p);
}
END_TEST

/* It waits in the middle of an interval, too. */
START_TEST(many_rows_at_once)
{
    struct measure_pipeline *p = make_pipeline(&plain,
                                               "many replicas=2 | gate");

    gate_is_open = true;
    start(p);
    finish(p);
    ck_assert_uint_eq(n_gate_rows, 2 * MANY_ROWS);
}
END_TEST

static void *
stop_main(void *p)
{
    nap();
    measure_pipeline_stop(p);
    return NULL;
}

/* A producer that waits for room is told. */
START_TEST(stop)
{
    struct measure_pipeline *p = make_pipeline(&plain, "seen");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);
    pthread_t thread;
    unsigned int n = 0;

    ck_assert(!pthread_create(&thread, NULL, stop_main, p));
    while (measure_source_reserve(source, 1)) {
        measure_ring_advance(measure_source_writer(source), 1);
        n++;
    }
    pthread_join(thread, NULL);
    ck_assert_uint_le(n, 64);
    ck_assert(!measure_source_reserve(source, 1));
    ck_assert(!measure_pipeline_has_failed(p));
    measure_pipeline_destroy(p);
}
END_TEST

static const char *const full_chains[] = {
    "full", "even | full", "sum every=1ms | full",
    "sum every=1ms replicas=2 | add | full",
};

/* A sink that cannot go on ends its producer, and says why. */
START_TEST(full_disk)
{
    struct measure_pipeline *p = make_pipeline(&plain, full_chains[_i]);
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);
    struct measure_slot *slots;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    char *error;

    add_chain(p, "even | seen");
    start(p);
    for (uint32_t i = 0; (slots = measure_source_reserve(source, 1)); i++) {
        measure_slot_write(slots, MEASURE_NARROW, key, START + i * MS, 60, 0);
        measure_ring_advance(measure_source_writer(source), 1);
        measure_ring_publish(measure_source_writer(source));
    }
    ck_assert(measure_pipeline_has_failed(p));
    error = measure_pipeline_finish(p);
    ck_assert_str_eq(error, "full: the disk is full");
    free(error);
    measure_pipeline_destroy(p);
    forget();
}
END_TEST

static struct measure_port_names *
make_ports(const char *name)
{
    struct measure_port_names *ports = calloc(1, sizeof *ports);

    ck_assert_uint_eq(measure_port_number(ports, name), 1);
    return ports;
}

START_TEST(ports)
{
    struct measure_pipeline *p = measure_pipeline_create(&plain);

    measure_pipeline_set_ports(p, make_ports("first"));
    add_chain(p, "names");
    start(p);
    measure_pipeline_set_ports(p, make_ports("second"));
    WAIT_FOR(get(&n_port_names) == 1);
    measure_pipeline_set_ports(p, make_ports("third"));
    WAIT_FOR(get(&n_port_names) == 2);
    ck_assert_str_eq(port_names[0], "second");
    ck_assert_str_eq(port_names[1], "third");
    finish(p);
}
END_TEST

/* Bytes that malloc() has given; 0 if that is not known. */
static size_t
malloc_bytes(void)
{
#if __GLIBC_PREREQ(2, 33)
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
#else
    return 0;
#endif
}

/* Tables of names that no thread uses are freed. */
START_TEST(many_ports)
{
    struct measure_pipeline *p = make_pipeline(&plain, "names");
    size_t limit;

    add_chain(p, "sum replicas=2 | list");
    start(p);
    limit = malloc_bytes() + 100 * sizeof(struct measure_port_names);
    for (size_t i = 0; i < 2000; i++) {
        measure_pipeline_set_ports(p, make_ports("name"));
        measure_pipeline_work(p);
    }
    WAIT_FOR((measure_pipeline_work(p), malloc_bytes() < limit));
    finish(p);
}
END_TEST

/* As much as half of the budget, again and again, always found. */
static void *
take_half(void *stage_)
{
    struct measure_stage *stage = stage_;
    size_t size = budget.limit / 2;

    for (int i = 0; i < 20000; i++) {
        void *p = measure_stage_alloc(stage, size);

        if (!p) {
            return stage;
        }
        measure_stage_free(stage, p, size);
        /* Too much. */
        if (measure_stage_alloc(stage, budget.limit + 1)) {
            return stage;
        }
    }
    return NULL;
}

START_TEST(memory_for_two)
{
    struct measure_stage stage = { .budget = &budget };
    pthread_t threads[2];

    budget.limit = 8192;
    for (int i = 0; i < 2; i++) {
        ck_assert(!pthread_create(&threads[i], NULL, take_half, &stage));
    }
    for (int i = 0; i < 2; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    ck_assert_uint_eq(budget.reserved, 0);
}
END_TEST

START_TEST(memory)
{
    struct measure_pipeline_options options = plain;
    struct measure_pipeline *p;
    struct measure_source *source;
    char *error;

    options.memory_bytes = MEASURE_MIB;
    p = make_pipeline(&options, "greedy");
    add_chain(p, "greedy");
    source = measure_pipeline_create_source(p, 64, 0);
    start(p);
    for (uint32_t i = 0; i < 64; i++) {
        write_packet(source, START, 1, 60, i);
    }
    error = measure_pipeline_finish(p);
    ck_assert(!error);
    /* 25 blocks are in it, of the 128 that both want. */
    ck_assert_uint_eq(measure_pipeline_lost(p), 128 - 25);
    measure_pipeline_destroy(p);
}
END_TEST

START_TEST(order_of_calls)
{
    struct measure_pipeline *p
        = make_pipeline(&plain, "sum every=1s | traced word name=x");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 0);
    char *error = measure_pipeline_add_chain(p, "sum | traced name=bad");

    ck_assert_str_eq(error, "traced: name=bad: valid is good");
    free(error);
    ck_assert_str_eq(trace, "set bare set name begin sum set name destroy");
    start(p);
    write_packet(source, START, 1, 60, 1);
    write_packet(source, START + SECOND, 1, 60, 2);
    finish(p);
    ck_assert_str_eq(trace, "set bare set name begin sum set name destroy "
                     "open row interval row last close destroy");
}
END_TEST

START_TEST(counters)
{
    struct measure_pipeline *p = make_pipeline(&plain, "even | sum | list");
    struct measure_source *source = measure_pipeline_create_source(p, 64, 7);
    struct measure_output *o = measure_output_create(MEASURE_JSON);
    char *text;

    for (uint32_t i = 1; i <= 10; i++) {
        write_packet(source, START, i % 4, 60 + i, i);
    }
    start(p);
    ck_assert(!measure_pipeline_finish(p));
    measure_pipeline_write_counters(p, o);
    text = measure_output_finish(o);
    ck_assert_str_eq(text, "{\"stages\":["
                     "{\"chain\":1,\"stage\":\"even\",\"replica\":0,"
                     "\"records\":10,\"batches\":1,\"given\":5,\"lost\":0,"
                     "\"waits\":0},"
                     "{\"chain\":1,\"stage\":\"sum\",\"replica\":0,"
                     "\"records\":5,\"batches\":1,\"given\":2,\"lost\":0,"
                     "\"waits\":0},"
                     "{\"chain\":1,\"stage\":\"list\",\"replica\":0,"
                     "\"records\":2,\"batches\":0,\"given\":0,\"lost\":0,"
                     "\"waits\":0}],"
                     "\"sources\":[{\"source\":0,\"core\":7,"
                     "\"removed\":false,\"slots\":64,\"occupancy-slots\":0,"
                     "\"max-occupancy-slots\":10,\"records\":10,\"waits\":0,"
                     "\"offered\":0,\"filtered\":0,\"dropped\":0,"
                     "\"marks-lost\":0}]}");
    free(text);
    o = measure_output_create(MEASURE_TEXT);
    measure_pipeline_write_counters(p, o);
    text = measure_output_finish(o);
    ck_assert(strstr(text, "even"));
    free(text);
    measure_pipeline_destroy(p);
    forget();
}
END_TEST

START_TEST(classes_by_name)
{
    ck_assert(measure_pipeline_find_class(&plain, "sum") == &sum_class);
    ck_assert(measure_pipeline_find_class(&plain, "list") == &list_class);
    ck_assert(!measure_pipeline_find_class(&plain, "lis"));
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-pipeline");

    tcase_add_test(tests, packets_in_order);
    tcase_add_loop_test(tests, all_counts, 0, 36);
    tcase_add_test(tests, conversations);
    tcase_add_test(tests, one_interval);
    tcase_add_loop_test(tests, nothing_at_all, 0, 40);
    tcase_add_loop_test(tests, late_packets, 0, 2);
    tcase_add_test(tests, late_in_long_intervals);
    tcase_add_loop_test(tests, several_rings, 0, 2);
    tcase_add_loop_test(tests, removed_beside_one_that_lags, 0, 2);
    tcase_add_loop_test(tests, held_and_full, 0, 2);
    tcase_add_loop_test(tests, live_intervals, 0, 2);
    tcase_add_test(tests, sources_come_and_go);
    tcase_add_test(tests, many_sources);
    tcase_add_loop_test(tests, foreign_rings, 0, 2);
    tcase_add_loop_test(tests, cut_records, 0, 4);
    tcase_add_loop_test(tests, any_slots, 0, 20);
    tcase_add_test(tests, full_rings_of_rows);
    tcase_add_test(tests, many_rows_at_once);
    tcase_add_test(tests, stop);
    tcase_add_loop_test(tests, full_disk, 0, ARRAY_SIZE(full_chains));
    tcase_add_test(tests, ports);
    tcase_add_test(tests, many_ports);
    tcase_add_test(tests, memory_for_two);
    tcase_add_test(tests, memory);
    tcase_add_test(tests, order_of_calls);
    tcase_add_test(tests, counters);
    tcase_add_test(tests, classes_by_name);
    return tests_run(tests);
}
