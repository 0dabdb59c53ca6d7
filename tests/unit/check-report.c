/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of reports and how they are made. */

#include "check-common.h"
#include "check-json.h"

#include <sys/mman.h>

#include "check-answer.h"
#include "check-tally.h"

/* The linker makes __wrap_NAME() of each call of NAME() in this program (see
 * tests/automake.mk): no memory, when a test says so. */

static bool no_memory;
static int allocations_left;    /* Until there is none; or 0. */

static bool
fails(void)
{
    if (allocations_left && !--allocations_left) {
        no_memory = true;
    }
    return no_memory;
}

void *__real_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap(void *, size_t, int, int, int, off_t);
void *__real_realloc(void *, size_t);
void *__wrap_realloc(void *, size_t);
void *__real_aligned_alloc(size_t, size_t);
void *__wrap_aligned_alloc(size_t, size_t);

void *
__wrap_mmap(void *p, size_t size, int protection, int flags, int fd,
            off_t offset)
{
    return (fails() ? MAP_FAILED
            : __real_mmap(p, size, protection, flags, fd, offset));
}

void *
__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

void *
__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

/* Two tallies, as of two packet threads, what they counted, and the report. */
struct epoch {
    struct measure_tally *tallies[2];
    struct measure_report *report;
    struct oracle flows;
    uint64_t not_ip;
    uint64_t malformed;
};

static struct epoch
epoch_open(enum measure_key_kind key_kind, uint32_t n_lines)
{
    struct epoch e = { .flows = oracle_open() };

    for (size_t i = 0; i < ARRAY_SIZE(e.tallies); i++) {
        e.tallies[i] = make_tally(key_kind, n_lines, n_lines);
    }
    return e;
}

static void
epoch_count(struct epoch *e, const struct measure_fields *fields,
            uint32_t bytes)
{
    struct measure_record record = make_record(fields, bytes);

    measure_tally_count(e->tallies[e->flows.packets % ARRAY_SIZE(e->tallies)],
                        &record, 1);
    oracle_add(&e->flows, fields, 1, bytes);
}

static void
epoch_skip(struct epoch *e, enum measure_verdict verdict)
{
    struct measure_record record = { .verdict = verdict, .bytes = 99 };

    measure_tally_count(e->tallies[0], &record, 1);
    e->not_ip += verdict == MEASURE_NOT_IP;
    e->malformed += verdict == MEASURE_MALFORMED;
}

static void
epoch_end(struct epoch *e, enum measure_key_kind key_kind)
{
    e->report = measure_report_merge(e->tallies, ARRAY_SIZE(e->tallies),
                                     key_kind, &secret, &budget);
    e->report->number = 7;
    e->report->start_ms = INT64_C(1700000000000);
    e->report->duration_ms = 1000;
}

static void
epoch_close(struct epoch *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(e->tallies); i++) {
        measure_tally_destroy(e->tallies[i]);
    }
    measure_report_destroy(e->report);
    oracle_close(&e->flows);
}

/* Traffic of both families with many ties: sizes of few values. */
static struct epoch
make_epoch(enum measure_key_kind key_kind, uint32_t n_lines,
           uint32_t n_packets)
{
    struct epoch e = epoch_open(key_kind, n_lines);
    struct stream stream = stream_open(STREAM_ZIPF, 1500, test_seed);
    struct random r = random_from(test_seed);

    for (uint32_t i = 0; i < n_packets; i++) {
        struct measure_fields fields
            = make_fields(random_below(&r, 2), stream_next(&stream));

        epoch_count(&e, &fields, 100 + 100 * random_below(&r, 2));
        if (!random_below(&r, 30)) {
            epoch_skip(&e, MEASURE_NOT_IP + random_below(&r, 2));
        }
    }
    stream_close(&stream);
    epoch_end(&e, key_kind);
    return e;
}

/* The oracle's own order of rows. */

static enum measure_sort oracle_sort;

static int
compare_oracle_rows(const void *a_, const void *b_)
{
    const struct oracle_row *a = a_;
    const struct oracle_row *b = b_;
    bool a_ipv6 = a->fields.family == MEASURE_IPV6;
    bool b_ipv6 = b->fields.family == MEASURE_IPV6;
    uint64_t a_size = (oracle_sort == MEASURE_SORT_BYTES ? a->bytes
                       : a->packets);
    uint64_t b_size = (oracle_sort == MEASURE_SORT_BYTES ? b->bytes
                       : b->packets);
    int64_t differences[] = {
        (a_size < b_size) - (a_size > b_size),
        compare_addresses(a->fields.source, a_ipv6, b->fields.source, b_ipv6),
        compare_addresses(a->fields.destination, a_ipv6,
                          b->fields.destination, b_ipv6),
        a->fields.protocol - b->fields.protocol,
        a->fields.source_port - b->fields.source_port,
        a->fields.destination_port - b->fields.destination_port,
    };

    for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
        if (differences[i]) {
            return differences[i] > 0 ? 1 : -1;
        }
    }
    return 0;
}

static bool
oracle_heavy(const struct oracle_row *row, const struct oracle *o,
             const struct question *q, uint64_t duration_ms)
{
    bool by_bytes = q->sort == MEASURE_SORT_BYTES;
    uint64_t size = by_bytes ? row->bytes : row->packets;
    uint64_t total = by_bytes ? o->bytes : o->packets;
    double threshold = q->threshold.value - 1e-9;   /* For rounding. */

    switch (q->threshold.unit) {
    case MEASURE_SHARE:
        return size * 100.0 / total >= threshold;
    case MEASURE_BITS_PER_SECOND:
        return row->bytes * 8 * 1000.0 / duration_ms >= threshold;
    case MEASURE_PACKETS_PER_SECOND:
        return row->packets * 1000.0 / duration_ms >= threshold;
    }
    return false;
}

/* Checks the answer to 'q' of a report that is exact. */
static void
check_answer(const struct epoch *e, const struct question *q)
{
    struct oracle groups = oracle_group(&e->flows, q->key_kind);
    struct measure_hitters_answer answer;
    uint64_t packets = 0, bytes = 0;
    size_t n = 0;

    ck_assert(is_exact(e->report));
    ck_assert(ask(e->report, q, &answer));
    oracle_sort = q->sort;
    if (groups.n) {
        qsort(groups.rows, groups.n, sizeof *groups.rows,
              compare_oracle_rows);
    }
    for (size_t i = 0; i < groups.n; i++) {
        const struct oracle_row *expected = &groups.rows[i];
        bool heavy = oracle_heavy(expected, &groups, q,
                                  e->report->duration_ms);
        const struct measure_hitters_row *row = &answer.rows[n];

        if ((q->n && n >= q->n) || (q->heavy_only && !heavy)) {
            continue;
        }
        REQUIRE(n < answer.n_rows);
        REQUIRE(fields_equal(&row->fields, &expected->fields));
        REQUIRE(row->packets == expected->packets);
        REQUIRE(row->bytes == expected->bytes);
        REQUIRE(row->heavy == heavy);
        REQUIRE(!row->packets_error_max && !row->bytes_error_max);
        packets += row->packets;
        bytes += row->bytes;
        n++;
    }
    ck_assert_uint_eq(answer.n_rows, n);
    ck_assert_uint_eq(answer.other_keys, groups.n - n);
    ck_assert_uint_eq(answer.other_packets, e->flows.packets - packets);
    ck_assert_uint_eq(answer.other_bytes, e->flows.bytes - bytes);
    measure_hitters_answer_destroy(&answer);
    oracle_close(&groups);
}

static const struct measure_threshold thresholds[] = {
    { MEASURE_SHARE, 0.1 },
    { MEASURE_SHARE, 1 },
    { MEASURE_SHARE, 100 },
    { MEASURE_SHARE, 1e-12 },
    { MEASURE_BITS_PER_SECOND, 1 },
    { MEASURE_BITS_PER_SECOND, 80000 },
    { MEASURE_BITS_PER_SECOND, 1e15 },
    { MEASURE_PACKETS_PER_SECOND, 1 },
    { MEASURE_PACKETS_PER_SECOND, 20 },
    { MEASURE_PACKETS_PER_SECOND, 1e15 },
};

/* Every question to a report by '_i'. */
START_TEST(answers_are_those_of_the_oracle)
{
    static const uint64_t ns[] = { 0, 1, 2, 20, 64, 100000 };
    struct epoch e = make_epoch(_i, 8000, 30000);
    unsigned int n_questions = 0;

    ck_assert_uint_eq(e.report->counters.packets, e.flows.packets);
    ck_assert_uint_eq(e.report->counters.bytes, e.flows.bytes);
    ck_assert_uint_eq(e.report->counters.not_ip, e.not_ip);
    ck_assert_uint_eq(e.report->counters.malformed, e.malformed);
    ck_assert_uint_eq(e.report->key_kind, _i);
    /* Two tallies, two families, and none has begun its second table. */
    ck_assert_uint_eq(e.report->n_tables, 4);

    for (int kind = 0; kind < MEASURE_N_KINDS; kind++) {
        if (!measure_kind_derives(_i, kind)) {
            continue;
        }
        for (int sort = 0; sort < 2; sort++) {
            for (int heavy_only = 0; heavy_only < 2; heavy_only++) {
                for (size_t i = 0; i < ARRAY_SIZE(ns); i++) {
                    for (size_t j = 0; j < ARRAY_SIZE(thresholds); j++) {
                        struct question q = {
                            .key_kind = kind, .sort = sort,
                            .heavy_only = heavy_only, .n = ns[i],
                            .threshold = thresholds[j],
                        };

                        if (j && (i == 1 || i == 3)) {
                            continue;
                        }
                        check_answer(&e, &q);
                        n_questions++;
                    }
                }
            }
        }
    }
    ck_assert_uint_gt(n_questions, 0);
    epoch_close(&e);
}
END_TEST

/* The row at the threshold is heavy, the one below is not. */
START_TEST(thresholds_at_their_boundary)
{
    static const struct {
        struct measure_threshold threshold;
        enum measure_sort sort;
        uint64_t duration_ms;
        size_t n_heavy;
    } cases[] = {
        /* Flows of 1 to 4 packets of 100 bytes: 10 packets, 1000 bytes. */
        { { MEASURE_SHARE, 30 }, MEASURE_SORT_PACKETS, 1000, 2 },
        { { MEASURE_SHARE, 30.0001 }, MEASURE_SORT_PACKETS, 1000, 1 },
        { { MEASURE_SHARE, 30 }, MEASURE_SORT_BYTES, 1000, 2 },
        { { MEASURE_SHARE, 10 }, MEASURE_SORT_BYTES, 1000, 4 },
        { { MEASURE_SHARE, 100 }, MEASURE_SORT_PACKETS, 1000, 0 },
        { { MEASURE_BITS_PER_SECOND, 2400 }, MEASURE_SORT_PACKETS, 1000, 2 },
        { { MEASURE_BITS_PER_SECOND, 2400 }, MEASURE_SORT_BYTES, 1000, 2 },
        { { MEASURE_BITS_PER_SECOND, 2401 }, MEASURE_SORT_BYTES, 1000, 1 },
        { { MEASURE_BITS_PER_SECOND, 4800 }, MEASURE_SORT_BYTES, 500, 2 },
        { { MEASURE_BITS_PER_SECOND, 2400 }, MEASURE_SORT_BYTES, 2000, 0 },
        { { MEASURE_PACKETS_PER_SECOND, 3 }, MEASURE_SORT_PACKETS, 1000, 2 },
        { { MEASURE_PACKETS_PER_SECOND, 3 }, MEASURE_SORT_BYTES, 1000, 2 },
        { { MEASURE_PACKETS_PER_SECOND, 1 }, MEASURE_SORT_BYTES, 1000, 4 },
        { { MEASURE_PACKETS_PER_SECOND, 1 }, MEASURE_SORT_BYTES, 4000, 1 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct epoch e = epoch_open(MEASURE_KIND_FLOW, 100);
        struct question q = {
            .key_kind
                = MEASURE_KIND_FLOW, .sort = cases[i].sort, .heavy_only = true,
            .threshold = cases[i].threshold,
        };
        struct measure_hitters_answer answer;

        for (int flow = 1; flow <= 4; flow++) {
            struct measure_fields fields = make_fields(flow % 2, flow);

            for (int j = 0; j < flow; j++) {
                epoch_count(&e, &fields, 100);
            }
        }
        epoch_end(&e, MEASURE_KIND_FLOW);
        e.report->duration_ms = cases[i].duration_ms;
        ck_assert(ask(e.report, &q, &answer));
        ck_assert_msg(answer.n_rows == cases[i].n_heavy,
                      "case %zu: %zu heavy", i, answer.n_rows);
        measure_hitters_answer_destroy(&answer);
        epoch_close(&e);
    }
}
END_TEST

/* All keys equally large: what comes first is what the addresses say. */
START_TEST(ties_are_in_the_order_of_addresses)
{
    struct epoch e = epoch_open(MEASURE_KIND_FLOW, 8000);
    struct random r = random_from(test_seed);

    for (int i = 0; i < 3000; i++) {
        struct measure_fields fields = random_fields(&r);

        /* IPv4 addresses that are how IPv6 addresses begin. */
        fields.source[0] = 0x20;
        fields.source[1] = 0x01;
        fields.source[2] %= 4;
        fields.source[3] = 0;
        epoch_count(&e, &fields, 100);
    }
    epoch_end(&e, MEASURE_KIND_FLOW);
    for (int kind = 0; kind < MEASURE_N_KINDS; kind++) {
        for (uint64_t n = 0; n < 3000; n += 1000) {
            struct question q = {
                .key_kind = kind, .sort = MEASURE_SORT_BYTES, .n = n,
                .threshold = { MEASURE_SHARE, 50 },
            };

            check_answer(&e, &q);
        }
    }
    epoch_close(&e);
}
END_TEST

/* Checks the answers of a report that is not exact. */
static void
check_bounds(const struct epoch *e)
{
    const struct measure_counters *counters = &e->report->counters;

    ck_assert(!is_exact(e->report));
    ck_assert_uint_eq(counters->packets, e->flows.packets);
    for (int kind = 0; kind < MEASURE_N_KINDS; kind++) {
        struct question q = {
            .key_kind = kind, .threshold = { MEASURE_SHARE, 0.1 },
        };
        struct oracle groups = oracle_group(&e->flows, kind);
        struct measure_hitters_answer answer;
        uint64_t packets = 0, bytes = 0;

        if (!measure_kind_derives(e->report->key_kind, kind)) {
            oracle_close(&groups);
            continue;
        }
        ck_assert(ask(e->report, &q, &answer));
        for (size_t i = 0; i < answer.n_rows; i++) {
            const struct measure_hitters_row *row = &answer.rows[i];
            const struct oracle_row *truth = oracle_find(&groups,
                                                         &row->fields);

            REQUIRE(truth);
            REQUIRE(row->packets <= truth->packets);
            REQUIRE(row->bytes <= truth->bytes);
            REQUIRE(row->packets + row->packets_error_max >= truth->packets);
            REQUIRE(row->bytes + row->bytes_error_max >= truth->bytes);
            REQUIRE(row->packets_error_max <= counters->overflow_packets);
            REQUIRE(row->bytes_error_max <= counters->overflow_bytes);
            if (kind != e->report->key_kind) {
                REQUIRE(row->packets_error_max
                        == counters->overflow_packets);
                REQUIRE(row->bytes_error_max == counters->overflow_bytes);
            }
            packets += row->packets;
            bytes += row->bytes;
        }
        /* Nothing is left but what overflowed. */
        ck_assert_uint_eq(answer.other_keys, 0);
        ck_assert_uint_eq(answer.other_packets, counters->overflow_packets);
        ck_assert_uint_eq(answer.other_bytes, counters->overflow_bytes);
        ck_assert_uint_eq(packets + answer.other_packets, e->flows.packets);
        ck_assert_uint_eq(bytes + answer.other_bytes, e->flows.bytes);
        measure_hitters_answer_destroy(&answer);
        oracle_close(&groups);
    }
}

START_TEST(errors_are_bounded_when_memory_is_used_up)
{
    struct epoch e = make_epoch(_i, 40, 30000);

    ck_assert_uint_gt(measure_table_n_used(&e.report->tables[MEASURE_NARROW]),
                      0);
    check_bounds(&e);
    epoch_close(&e);
}
END_TEST

/* No memory for merged tables, with and without overflow before that. */
START_TEST(report_without_memory_is_right)
{
    struct epoch e = make_epoch(MEASURE_KIND_PAIR, _i ? 40 : 8000, 5000);
    uint64_t used = measure_budget_used(&budget);
    struct question q = { .key_kind = MEASURE_KIND_PAIR };
    struct measure_hitters_answer answer;

    measure_report_destroy(e.report);
    no_memory = true;
    epoch_end(&e, MEASURE_KIND_PAIR);
    no_memory = false;

    ck_assert_uint_lt(measure_budget_used(&budget), used);
    ck_assert_uint_eq(e.report->counters.overflow_packets, e.flows.packets);
    ck_assert_uint_eq(e.report->counters.overflow_bytes, e.flows.bytes);
    ck_assert(ask(e.report, &q, &answer));
    ck_assert_uint_eq(answer.n_rows, 0);
    measure_hitters_answer_destroy(&answer);
    check_bounds(&e);
    epoch_close(&e);
}
END_TEST

/* The same for structures that estimate, two of which and a linear table are
 * merged: whichever allocation is the first to fail. */
START_TEST(estimates_without_memory_are_bounded)
{
    static const enum measure_structure_kind kinds[] = {
        MEASURE_COUNT_ARRAY, MEASURE_COUNT_MIN, MEASURE_SPACE_SAVING
    };
    static const struct measure_structure_threshold threshold = {
        .min_packets = 1, .min_bytes = 1,
    };
    enum { N_SOURCES = 50 };
    struct question q = { .key_kind = MEASURE_KIND_SOURCE };
    struct measure_hitters_answer answer;
    uint64_t packets[N_SOURCES] = { 0 };
    bool seen[N_SOURCES] = { false };
    struct epoch e = epoch_open(MEASURE_KIND_SOURCE, 16);
    uint64_t sent = 0;

    for (size_t i = 0; i < ARRAY_SIZE(e.tallies); i++) {
        if (i) {
            ck_assert(measure_tally_use_structure(e.tallies[i], kinds[_i / 8],
                                                  8192));
            measure_tally_begin(e.tallies[i], MEASURE_KIND_SOURCE);
            measure_structure_begin(e.tallies[i]->structure, &threshold);
        }
        for (int source = 0; source < N_SOURCES; source++) {
            for (int n = 0; n <= source; n++) {
                struct measure_fields fields = { 0 };
                struct measure_record record;

                fields.source[3] = source;
                record = make_record(&fields, 100);
                if (n % 2) {
                    measure_record_set_tunnel(&record, 7);
                }
                measure_tally_count(e.tallies[i], &record, 1);
                packets[source]++;
                sent++;
            }
        }
    }

    allocations_left = _i % 8 + 1;
    epoch_end(&e, MEASURE_KIND_SOURCE);
    no_memory = false;
    allocations_left = 0;

    ck_assert_uint_eq(e.report->counters.packets, sent);
    ck_assert_uint_le(e.report->counters.overflow_packets, sent);
    ck_assert(ask(e.report, &q, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        const struct measure_hitters_row *row = &answer.rows[i];
        int source = row->fields.source[3];

        seen[source] = true;
        ck_assert_uint_ge(row->packets + row->packets_error_max,
                          packets[source]);
    }
    for (int source = 0; source < N_SOURCES; source++) {
        ck_assert(seen[source] || packets[source] <= answer.missed.packets);
    }
    measure_hitters_answer_destroy(&answer);
    epoch_close(&e);
}
END_TEST

START_TEST(answer_without_memory_is_refused)
{
    struct epoch e = make_epoch(MEASURE_KIND_FLOW, 8000, 5000);

    for (int kind = 0; kind < MEASURE_N_KINDS; kind++) {
        uint64_t used = measure_budget_used(&budget);
        struct question q = {
            .key_kind = kind, .threshold = { MEASURE_SHARE, 0.1 },
        };
        struct measure_output *o = measure_output_create(MEASURE_JSON);
        struct measure_hitters_answer answer;
        bool asked, written;

        no_memory = true;
        asked = ask(e.report, &q, &answer);
        no_memory = false;
        ck_assert(!asked);
        ck_assert_uint_eq(answer.n_rows, 0);
        measure_hitters_answer_destroy(&answer);

        no_memory = true;
        written = write_answer(o, e.report, &q);
        no_memory = false;
        ck_assert(!written);
        free(measure_output_finish(o));

        ck_assert_uint_eq(measure_budget_used(&budget), used);
        check_answer(&e, &q);
    }
    epoch_close(&e);
}
END_TEST

/* A key with just the share that is asked for is heavy, whatever binary
 * fractions make of it: 7 % of 100 packets is 7 packets, but 0.07 * 100 is
 * more than 7. */
START_TEST(shares_are_not_lost_to_rounding)
{
    struct epoch e = epoch_open(MEASURE_KIND_FLOW, 400);
    struct measure_config config;

    /* Flows of 1, 2, 3... 140 packets, 9870 in all, and 130 of one more. */
    for (int flow = 0; flow <= 140; flow++) {
        struct measure_fields fields = make_fields(flow % 2, flow);

        for (int i = 0; i < (flow ? flow : 130); i++) {
            epoch_count(&e, &fields, 100);
        }
    }
    epoch_end(&e, MEASURE_KIND_FLOW);
    ck_assert_uint_eq(e.report->counters.packets, 10000);

    measure_config_init(&config);
    for (int flow = 1; flow <= 140; flow++) {
        struct question q = {
            .key_kind = MEASURE_KIND_FLOW, .heavy_only = true,
            .sort = flow % 2 ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS,
        };
        struct measure_hitters_answer answer;
        size_t n_heavy = 140 - flow + 1 + (flow <= 130);
        char share[16];

        snprintf(share, sizeof share, "%d.%02d%%", flow / 100, flow % 100);
        ck_assert(measure_config_set(&config, MEASURE_SETTING_HEAVY_HITTER,
                                     share));
        q.threshold = config.heavy_hitter;
        ck_assert(ask(e.report, &q, &answer));
        ck_assert_msg(answer.n_rows == n_heavy, "%s: %zu heavy, not %zu",
                      share, answer.n_rows, n_heavy);
        measure_hitters_answer_destroy(&answer);
    }
    epoch_close(&e);
}
END_TEST

START_TEST(empty_epoch_gives_an_empty_report)
{
    struct epoch e = epoch_open(MEASURE_KIND_PAIR, 10);

    epoch_end(&e, MEASURE_KIND_PAIR);
    ck_assert_uint_eq(e.report->n_tables, 0);
    for (int kind = MEASURE_KIND_PAIR; kind < MEASURE_N_KINDS; kind++) {
        for (size_t i = 0; i < ARRAY_SIZE(thresholds); i++) {
            struct question q = {
                .key_kind = kind, .threshold = thresholds[i],
            };

            check_answer(&e, &q);
        }
    }
    epoch_close(&e);

    /* Of no tallies at all, and of an epoch without a length. */
    e.flows = oracle_open();
    e.report = measure_report_merge(NULL, 0, MEASURE_KIND_FLOW, &secret,
                                    &budget);
    struct question q = { .key_kind = MEASURE_KIND_SOURCE };
    check_answer(&e, &q);
    measure_report_destroy(e.report);
    measure_report_destroy(NULL);
    oracle_close(&e.flows);
}
END_TEST

/* Writing. */

static char *
write_report(enum measure_format format, const struct epoch *e,
             const struct question *q)
{
    struct measure_output *o = measure_output_create(format);

    ck_assert(write_answer(o, e->report, q));
    return measure_output_finish(o);
}

static void
check_written(const struct epoch *e, const struct question *q,
              const char *json, const char *text)
{
    char *s = write_report(MEASURE_JSON, e, q);

    ck_assert(json_valid(s));
    ck_assert_str_eq(s, json);
    free(s);
    s = write_report(MEASURE_TEXT, e, q);
    ck_assert_str_eq(s, text);
    free(s);
}

/* Two flows of one pair, one of IPv6, and packets that do not count. */
static struct epoch
small_epoch(uint32_t n_lines)
{
    struct epoch e = epoch_open(MEASURE_KIND_FLOW, n_lines);

    for (int i = 0; i < 8; i++) {
        struct measure_fields fields
            = make_fields(i < 6 ? MEASURE_NARROW : MEASURE_WIDE, i < 5);

        epoch_count(&e, &fields, 100);
    }
    epoch_skip(&e, MEASURE_NOT_IP);
    epoch_skip(&e, MEASURE_MALFORMED);
    epoch_skip(&e, MEASURE_MALFORMED);
    epoch_end(&e, MEASURE_KIND_FLOW);
    return e;
}

#define JSON_HEAD \
    "{\"epoch\":{\"number\":7,\"start-ms\":1700000000000," \
    "\"duration-ms\":1000},\"exact\":true,\"total\":{\"packets\":8," \
    "\"bytes\":800},\"not-counted\":{\"not-ip\":1,\"malformed\":2}," \
    "\"heavy-hitters\":["
#define TEXT_HEAD \
    "epoch: number 7, start 2023-11-14T22:13:20.000Z, duration ms 1000\n" \
    "exact: yes\n" \
    "total: packets 8, bytes 800\n" \
    "not counted: not ip 1, malformed 2\n"

START_TEST(report_is_written)
{
    struct epoch e = small_epoch(100);
    struct question q = {
        .key_kind
            = MEASURE_KIND_FLOW, .n = 2, .threshold = { MEASURE_SHARE, 50 },
    };

    check_written(&e, &q, JSON_HEAD
        "{\"source\":\"10.0.0.0\",\"destination\":\"192.168.0.0\","
        "\"protocol\":6,\"source-port\":1025,\"destination-port\":443,"
        "\"packets\":5,\"bytes\":500,\"packets-error-max\":0,"
        "\"bytes-error-max\":0,\"packets-percentage-of-total\":62.500,"
        "\"heavy\":true,"
        "\"may-be-heavy\":true},"
        "{\"source\":\"2001:db8::\",\"destination\":"
        "\"2001:db8:1::\",\"protocol\":17,\"source-port\":1024,"
        "\"destination-port\":53,\"packets\":2,\"bytes\":200,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":25.000,\"heavy\":false,"
        "\"may-be-heavy\":false}],"
        "\"other\":{\"keys\":1,\"packets\":1,\"bytes\":100}}",
        TEXT_HEAD
        "Keys by flow, largest packets first, heavy from 0.1%.\n"
        "heavy hitters:\n"
        "  source      destination   protocol  source port  "
        "destination port  packets  bytes  packets percentage of total  "
        "heavy\n"
        "  10.0.0.0    192.168.0.0          6         1025  "
        "             443        5    500                       62.500  "
        "yes\n"
        "  2001:db8::  2001:db8:1::        17         1024  "
        "              53        2    200                       25.000  "
        "no\n"
        "other: keys 1, packets 1, bytes 100\n");

    q.key_kind = MEASURE_KIND_SOURCE;
    q.sort = MEASURE_SORT_BYTES;
    q.heavy_only = true;
    check_written(&e, &q, JSON_HEAD
        "{\"source\":\"10.0.0.0\",\"packets\":6,\"bytes\":600,"
        "\"packets-error-max\":0,\"bytes-error-max\":0,"
        "\"packets-percentage-of-total\":75.000,\"heavy\":true,"
        "\"may-be-heavy\":true}],"
        "\"other\":{\"keys\":1,\"packets\":2,\"bytes\":200}}",
        TEXT_HEAD
        "Keys by source, largest bytes first, heavy from 0.1%.\n"
        "heavy hitters:\n"
        "  source    packets  bytes  packets percentage of total  heavy\n"
        "  10.0.0.0        6    600                       75.000  yes\n"
        "other: keys 1, packets 2, bytes 200\n");

    q.key_kind = MEASURE_KIND_DESTINATION;
    q.threshold.value = 100;
    check_written(&e, &q, JSON_HEAD
        "],\"other\":{\"keys\":2,\"packets\":8,\"bytes\":800}}",
        TEXT_HEAD
        "Keys by destination, largest bytes first, heavy from 0.1%.\n"
        "heavy hitters:\n"
        "  (none)\n"
        "other: keys 2, packets 8, bytes 800\n");
    epoch_close(&e);
}
END_TEST

/* Tables of one line: a row for IPv4, and none for IPv6. */
START_TEST(report_with_errors_is_written)
{
    struct epoch e = epoch_open(MEASURE_KIND_PAIR, 1);
    struct question q = {
        .key_kind = MEASURE_KIND_SOURCE, .threshold = { MEASURE_SHARE, 50 },
    };

    for (int i = 0; i < 4; i++) {
        struct measure_fields fields = make_fields(i == 3, 0);

        epoch_count(&e, &fields, 100);
    }
    epoch_end(&e, MEASURE_KIND_PAIR);
    check_written(&e, &q,
        "{\"epoch\":{\"number\":7,\"start-ms\":1700000000000,"
        "\"duration-ms\":1000},\"exact\":false,"
        "\"estimate\":\"lower-bound\",\"total\":{\"packets\":4,"
        "\"bytes\":400},\"not-counted\":{\"not-ip\":0,\"malformed\":0},"
        "\"overflow\":{\"packets\":1,\"bytes\":100},"
        "\"heavy-hitters\":[{\"source\":\"10.0.0.0\",\"packets\":3,"
        "\"bytes\":300,\"packets-error-max\":1,\"bytes-error-max\":100,"
        "\"packets-percentage-of-total\":75.000,\"heavy\":true,"
        "\"may-be-heavy\":true}],"
        "\"without-row\":{\"packets-max\":1,\"bytes-max\":100},"
        "\"other\":{\"keys\":0,\"packets\":1,\"bytes\":100}}",
        "epoch: number 7, start 2023-11-14T22:13:20.000Z, "
        "duration ms 1000\n"
        "exact: no\n"
        "estimate: lower-bound\n"
        "total: packets 4, bytes 400\n"
        "not counted: not ip 0, malformed 0\n"
        "overflow: packets 1, bytes 100\n"
        "Not all keys found a place in the tables: counts may be too low by "
        "up to their error.  A larger measure-memory-mb helps.\n"
        "Keys by source, largest packets first, heavy from 0.1%.\n"
        "heavy hitters:\n"
        "  source    packets  bytes  packets error max  bytes error max  "
        "packets percentage of total  heavy\n"
        "  10.0.0.0        3    300                  1              100  "
        "                     75.000  yes\n"
        "without row: packets max 1, bytes max 100\n"
        "other: keys 0, packets 1, bytes 100\n");
    epoch_close(&e);
}
END_TEST

START_TEST(large_reports_are_json)
{
    struct epoch e = make_epoch(MEASURE_KIND_FLOW, _i ? 40 : 8000, 30000);

    for (int kind = 0; kind < MEASURE_N_KINDS; kind++) {
        struct question q = {
            .key_kind = kind, .threshold = { MEASURE_SHARE, 0.1 },
        };
        char *s = write_report(MEASURE_JSON, &e, &q);

        ck_assert(json_valid(s));
        free(s);
    }
    epoch_close(&e);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-report");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, answers_are_those_of_the_oracle,
                        0, MEASURE_N_KINDS);
    tcase_add_test(tests, thresholds_at_their_boundary);
    tcase_add_test(tests, ties_are_in_the_order_of_addresses);
    tcase_add_loop_test(tests, errors_are_bounded_when_memory_is_used_up,
                        0, MEASURE_N_KINDS);
    tcase_add_loop_test(tests, report_without_memory_is_right, 0, 2);
    tcase_add_loop_test(tests, estimates_without_memory_are_bounded, 0, 3 * 8);
    tcase_add_test(tests, answer_without_memory_is_refused);
    tcase_add_test(tests, shares_are_not_lost_to_rounding);
    tcase_add_test(tests, empty_epoch_gives_an_empty_report);
    tcase_add_test(tests, report_is_written);
    tcase_add_test(tests, report_with_errors_is_written);
    tcase_add_loop_test(tests, large_reports_are_json, 0, 2);
    return tests_run(tests);
}
