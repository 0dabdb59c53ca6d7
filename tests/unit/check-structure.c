/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tallies that count in a structure. */

#include "check-common.h"

#include "check-answer.h"
#include "check-secret.h"
#include "questions/measure-heavy-hitters.h"
#include "structures/measure-structure.h"
#include "tally/measure-tally.h"

/* Tallies that count in a structure, and the reports of several of them. */

enum { N_TALLIES = 3, N_FLOWS = 4000, N_PACKETS = 60000 };

static const struct measure_structure_threshold threshold = {
    .min_packets = 1,
    .min_bytes = 1,
    .packets_share = MEASURE_WHOLE / 2000,
    .bytes_share = MEASURE_WHOLE / 2000,
};

static const struct question all_rows = {
    .key_kind = MEASURE_KIND_PAIR,
    .threshold = { MEASURE_SHARE, 0.1 },
};

struct epoch {
    struct measure_tally *tallies[N_TALLIES];
    struct measure_report *report;
    struct oracle flows;
    struct oracle keys;
    uint64_t not_ip;
};

static void
reset_tally(struct measure_tally *tally)
{
    static const uint32_t lines[MEASURE_N_LAYOUTS] = { 16, 16 };
    static const uint32_t none[MEASURE_N_LAYOUTS] = { 0, 0 };

    ck_assert(measure_tally_reset(tally, lines, none));
}

static void
begin_tally(struct measure_tally *tally, enum measure_structure_kind kind,
            size_t limit)
{
    ck_assert(measure_tally_use_structure(tally, kind, limit));
    ck_assert_int_eq(measure_tally_structure(tally), kind);
    measure_tally_begin(tally, MEASURE_KIND_PAIR);
    if (tally->structure) {
        measure_structure_begin(tally->structure, &threshold);
    }
}

/* Counts packets of both families in random tallies, and closes the epoch. */
static void
epoch_run(struct epoch *e, enum stream_kind stream_kind, uint64_t seed)
{
    struct stream stream = stream_open(stream_kind, N_FLOWS, seed);
    struct random r = random_from(seed + 1);
    uint32_t n_packets = 0;

    e->flows = oracle_open();
    e->not_ip = 0;
    while (n_packets < N_PACKETS) {
        struct measure_record records[MEASURE_BURST];
        uint32_t n = random_below(&r, MEASURE_BURST + 1);

        for (uint32_t i = 0; i < n; i++) {
            uint32_t flow = stream_next(&stream);
            struct measure_fields fields = make_fields(flow % 3 == 0, flow);

            records[i] = make_record(&fields, 60 + random_below(&r, 1459));
            measure_record_set_port(&records[i], random_below(&r, 4));
            if (!random_below(&r, 50)) {
                records[i].verdict = MEASURE_NOT_IP;
                e->not_ip++;
            } else {
                oracle_add(&e->flows, &fields, 1, records[i].bytes);
            }
        }
        n_packets += n;
        measure_tally_count(e->tallies[random_below(&r, N_TALLIES)], records,
                            n);
    }
    stream_close(&stream);
    e->keys = oracle_group(&e->flows, MEASURE_KIND_PAIR);
    e->report = measure_report_merge(e->tallies, N_TALLIES, MEASURE_KIND_PAIR,
                                     &secret, &budget);
}

static void
epoch_clear(struct epoch *e)
{
    measure_report_destroy(e->report);
    oracle_close(&e->flows);
    oracle_close(&e->keys);
}

/* What bounds that hold with a probability are held against: one report has
 * few rows, of which by chance twice as many may be beyond their bounds as in
 * the long run.  Thus reports of many secrets are added up. */
struct outcome {
    uint64_t n_rows;
    uint64_t n_outside;         /* Beyond their bounds. */
    uint64_t n_heavy;           /* Keys... */
    uint64_t n_missing;         /* ...and those without a row. */
};

/* Adds to 'outcome' what the report of 'e' has, in which no row may be wrong
 * in the direction that its structure excludes. */
static void
add_outcome(const struct epoch *e, struct outcome *outcome)
{
    const struct measure_counters *counters = &e->report->counters;
    const char *estimate = (is_exact(e->report) ? "exact"
                            : !e->report->estimates ? "lower-bound"
                            : counters->overflow_packets ? "either"
                            : "upper-bound");
    struct measure_hitters_answer answer;

    ck_assert_uint_eq(counters->packets, e->flows.packets);
    ck_assert_uint_eq(counters->bytes, e->flows.bytes);
    ck_assert_uint_eq(counters->not_ip, e->not_ip);

    for (size_t i = 0; i < e->keys.n; i++) {
        e->keys.rows[i].seen = false;
    }
    ck_assert(ask(e->report, &all_rows, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        const struct measure_hitters_row *row = &answer.rows[i];
        struct oracle_row *truth = oracle_find(&e->keys, &row->fields);
        bool high, low;

        /* No wrong row. */
        REQUIRE(truth && !truth->seen);
        truth->seen = true;
        high = (row->packets > truth->packets + row->packets_error_max
                || row->bytes > truth->bytes + row->bytes_error_max);
        low = (row->packets + row->packets_error_max < truth->packets
               || row->bytes + row->bytes_error_max < truth->bytes);
        if (!strcmp(estimate, "upper-bound")) {
            REQUIRE(row->packets >= truth->packets);
            REQUIRE(row->bytes >= truth->bytes);
        } else if (!strcmp(estimate, "lower-bound")) {
            REQUIRE(row->packets <= truth->packets);
            REQUIRE(row->bytes <= truth->bytes);
        } else if (!strcmp(estimate, "exact")) {
            REQUIRE(row->packets == truth->packets);
            REQUIRE(row->bytes == truth->bytes);
            REQUIRE(!row->packets_error_max && !row->bytes_error_max);
        }
        outcome->n_outside += high || low;
    }
    outcome->n_rows += answer.n_rows;
    for (size_t i = 0; i < e->keys.n; i++) {
        const struct oracle_row *row = &e->keys.rows[i];

        if (row->packets * 1000 >= e->flows.packets) {
            outcome->n_heavy++;
            outcome->n_missing += !row->seen;
        }
    }
    measure_hitters_answer_destroy(&answer);
}

/* Checks that no more than 'max_outside' of the rows are beyond their bounds,
 * and no more than 'max_missing' of the heavy keys without a row. */
static void
check_outcome(enum measure_structure_kind kind, const struct outcome *outcome,
              double max_outside, double max_missing)
{
    double outside = (double) outcome->n_outside / outcome->n_rows;
    double missing = (double) outcome->n_missing / outcome->n_heavy;

    printf("%s: %"PRIu64" of %"PRIu64" rows beyond their error "
           "[0 <= %.4f <= %.4f], %"PRIu64" of %"PRIu64" heavy keys missing "
           "[0 <= %.4f <= %.4f]\n",
           measure_structure_name(kind), outcome->n_outside, outcome->n_rows,
           outside, max_outside, outcome->n_missing, outcome->n_heavy,
           missing, max_missing);
    fflush(stdout);
    ck_assert(outcome->n_rows > 0 && outcome->n_heavy > 0);
    ck_assert_double_le(outside, max_outside);
    ck_assert_double_le(missing, max_missing);
}

/* Each round has a secret and packets of its own. */
enum { N_ROUNDS = 20 };

static uint64_t
begin_round(int round)
{
    uint64_t seed = test_seed + (uint64_t) round * 1000;

    measure_hash_secret_init(&secret, seed);
    return seed;
}

/* Enough memory for the structure to be useful, three epochs one after the
 * other in the same tallies. */
START_TEST(reports_hold_their_bounds)
{
    enum measure_structure_kind kind = _i;
    bool sketch = (kind == MEASURE_COUNT_ARRAY || kind == MEASURE_COUNT_MIN);
    bool fits = (kind == MEASURE_CUCKOO_TABLE
                 || kind == MEASURE_SPACE_SAVING);
    struct outcome outcome = { 0 };
    double error_probability = 0;

    for (int round = 0; round < N_ROUNDS / 5; round++) {
        uint64_t seed = begin_round(round);
        struct epoch e;

        for (int i = 0; i < N_TALLIES; i++) {
            e.tallies[i] = measure_tally_create(&secret, &budget,
                                                MEASURE_ANY_NODE);
        }
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < N_TALLIES; j++) {
                reset_tally(e.tallies[j]);
                /* Threads need not have the same memory. */
                begin_tally(e.tallies[j], kind, (j + 2) << 21);
            }
            epoch_run(&e, i == 1 ? STREAM_UNIFORM : STREAM_ZIPF, seed + i);
            if (kind != MEASURE_LINEAR_TABLE) {
                ck_assert_int_eq(e.report->structure, kind);
                if (sketch || fits) {
                    ck_assert(is_exact(e.report) == fits);
                    ck_assert_uint_eq(e.report->n_lost, 0);
                }
                ck_assert(can_ask(e.report, MEASURE_KIND_PAIR));
                ck_assert(can_ask(e.report, MEASURE_KIND_SOURCE)
                          == measure_structure_is_complete(kind));
                add_outcome(&e, &outcome);
                error_probability = e.report->error_probability;
            }
            epoch_clear(&e);
        }
        for (int i = 0; i < N_TALLIES; i++) {
            measure_tally_destroy(e.tallies[i]);
        }
    }
    if (kind != MEASURE_LINEAR_TABLE) {
        check_outcome(kind, &outcome, error_probability,
                      kind == MEASURE_COUNT_ARRAY ? 0.1 : 0);
    }
}
END_TEST

/* Checks that the report of 'e', whose tallies count in SpaceSaving, says of
 * no key that more packets may be wrong than the sum of the bounds of all
 * summaries. */
static void
check_space_saving(const struct epoch *e)
{
    struct measure_hitters_answer answer;
    uint64_t bound = 0, max = 0;

    for (int i = 0; i < N_TALLIES; i++) {
        const struct measure_structure *s = e->tallies[i]->structure;

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            bound += s->packets[layout] / s->u[layout].space_saving.n_entries;
        }
    }
    ck_assert(ask(e->report, &all_rows, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        max = measure_max(max, answer.rows[i].packets_error_max);
    }
    measure_hitters_answer_destroy(&answer);
    ck_assert_uint_gt(max, 0);
    ck_assert_uint_le(max, bound);
    ck_assert_uint_gt(e->report->missed.packets, 0);
    ck_assert_uint_le(e->report->missed.packets, bound);
}

/* Hardly any memory: the totals stay exact, and what rows there are hold their
 * bounds. */
START_TEST(bounds_hold_without_memory)
{
    enum measure_structure_kind kind = _i;
    struct outcome outcome = { 0 };
    double error_probability = 0;

    for (int round = 0; round < N_ROUNDS; round++) {
        uint64_t seed = begin_round(round);
        struct epoch e;

        for (int i = 0; i < N_TALLIES; i++) {
            e.tallies[i] = measure_tally_create(&secret, &budget,
                                                MEASURE_ANY_NODE);
            reset_tally(e.tallies[i]);
            begin_tally(e.tallies[i], kind, 8192);
        }
        epoch_run(&e, STREAM_ZIPF, seed);
        ck_assert(!is_exact(e.report));
        if (kind == MEASURE_COUNT_ARRAY || kind == MEASURE_COUNT_MIN) {
            ck_assert_uint_gt(e.report->n_lost, 0);
        } else if (kind == MEASURE_SPACE_SAVING) {
            check_space_saving(&e);
        }
        add_outcome(&e, &outcome);
        error_probability = e.report->error_probability;
        epoch_clear(&e);
        for (int i = 0; i < N_TALLIES; i++) {
            measure_tally_destroy(e.tallies[i]);
        }
    }
    check_outcome(kind, &outcome, error_probability, 1);
}
END_TEST

/* A tally goes from each structure to each other one. */
START_TEST(tallies_change_their_structure)
{
    enum measure_structure_kind from = _i / MEASURE_N_STRUCTURES;
    enum measure_structure_kind to = _i % MEASURE_N_STRUCTURES;
    struct measure_fields fields = make_fields(_i % 2, 1);
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);
    enum measure_structure_kind kinds[] = { from, to, to };

    for (int i = 0; i < 3; i++) {
        struct measure_structure *old;
        struct measure_record records[3];
        struct measure_report *report;
        struct measure_hitters_answer answer;

        reset_tally(tally);
        old = tally->structure;
        begin_tally(tally, kinds[i], 1 << 16);
        ck_assert(i < 2 || old == tally->structure);
        for (int j = 0; j < 3; j++) {
            records[j] = make_record(&fields, 100);
            measure_record_set_port(&records[j], j);
        }
        measure_tally_count(tally, records, 3);
        report = measure_report_merge(&tally, 1, MEASURE_KIND_PAIR, &secret,
                                      &budget);
        ck_assert_uint_eq(report->counters.packets, 3);
        ck_assert_uint_eq(report->counters.overflow_packets, 0);
        ck_assert(ask(report, &all_rows, &answer));
        ck_assert_uint_eq(answer.n_rows, 1);
        ck_assert_uint_eq(answer.rows[0].packets, 3);
        ck_assert_uint_eq(answer.rows[0].bytes, 300);
        measure_hitters_answer_destroy(&answer);
        measure_report_destroy(report);
    }
    measure_tally_destroy(tally);
}
END_TEST

static void
count_packets(struct measure_tally *tally, const struct measure_fields *fields,
              int n, bool tunnelled)
{
    struct measure_record records[MEASURE_BURST];

    for (int i = 0; i < n; i++) {
        records[i] = make_record(fields, 100);
        if (tunnelled) {
            measure_record_set_tunnel(&records[i], 7 + i);
        }
    }
    measure_tally_count(tally, records, n);
}

/* Checks that 'scope' has a row for each of 'fields', with 'packets', and no
 * other. */
static void
check_rows(const struct measure_scope *scope, size_t n,
           const struct measure_fields *fields, const uint64_t *packets)
{
    struct measure_hitters_question question = { .n = 0 };
    struct measure_hitters_answer answer;

    measure_group_by_of_kind(&question.group_by, MEASURE_KIND_PAIR);
    ck_assert_ptr_null(measure_scope_check(scope, &question.group_by));
    ck_assert(measure_hitters_ask(scope, &question, &answer));
    ck_assert_uint_eq(answer.n_rows, n);
    for (size_t i = 0; i < n; i++) {
        const struct measure_hitters_row *row = &answer.rows[i];

        ck_assert_int_eq(measure_fields_compare(&row->fields, &fields[i]), 0);
        ck_assert_uint_eq(row->packets, packets[i]);
        ck_assert_uint_eq(row->bytes, 100 * packets[i]);
        ck_assert_uint_le(row->packets_error_max, packets[i]);
    }
    measure_hitters_answer_destroy(&answer);
}

/* What came out of a tunnel, in another layout, and what did not are one row,
 * of all threads and of each core, which can have several tallies. */
START_TEST(both_layouts_are_one_row)
{
    static const unsigned int cores[N_TALLIES] = { 3, 8, 8 };
    enum measure_structure_kind kind = _i;
    bool complete = measure_structure_is_complete(kind);
    struct measure_fields fields[] = {
        make_fields(false, 1), make_fields(true, 2)
    };
    struct measure_tally *tallies[N_TALLIES];
    const struct measure_report *reports[2];
    struct measure_report *report;
    struct measure_scope scope = { .reports = reports, .n_reports = 1 };
    struct measure_group_by source;
    char *error;

    for (int i = 0; i < 2; i++) {
        struct measure_fields *f = &fields[i];

        f->protocol = f->vlan = f->source_port = f->destination_port = 0;
        f->tunnel = 0;
        f->tunnelled = false;
    }
    for (int i = 0; i < N_TALLIES; i++) {
        tallies[i] = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
        reset_tally(tallies[i]);
        begin_tally(tallies[i], kind, 1 << 20);
    }
    count_packets(tallies[0], &fields[0], 10, false);
    count_packets(tallies[1], &fields[0], 6, true);
    count_packets(tallies[1], &fields[1], 5, false);
    count_packets(tallies[2], &fields[0], 7, false);
    report = measure_report_merge(tallies, N_TALLIES, MEASURE_KIND_PAIR,
                                  &secret, &budget);
    measure_report_keep_threads(report, tallies, cores, N_TALLIES);
    for (int i = 0; i < N_TALLIES; i++) {
        measure_tally_destroy(tallies[i]);
    }
    /* All that is left is what the report says that it takes. */
    ck_assert_uint_eq(measure_report_bytes(report),
                      (measure_budget_used(&budget)
                       + (complete ? 1 : 3) * sizeof *report
                       /* One part for each family. */
                       + (complete ? 2 * 2 * sizeof **report->parts : 0)
                       + report->n_threads * sizeof *report->threads));

    reports[0] = reports[1] = report;
    check_rows(&scope, 2, fields, (uint64_t[]) { 23, 5 });
    scope.one_core = true;
    scope.core = 3;
    check_rows(&scope, 1, fields, (uint64_t[]) { 10 });
    scope.core = 8;
    check_rows(&scope, 2, fields, (uint64_t[]) { 13, 5 });
    scope.one_core = false;

    measure_group_by_of_kind(&source, MEASURE_KIND_SOURCE);
    error = measure_scope_check(&scope, &source);
    ck_assert_int_eq(!error, complete);
    free(error);
    error = measure_scope_check_complete(&scope, "this");
    ck_assert_int_eq(!error, complete);
    free(error);
    scope.n_reports = 2;
    measure_group_by_of_kind(&source, MEASURE_KIND_PAIR);
    error = measure_scope_check(&scope, &source);
    ck_assert_int_eq(!error, complete);
    free(error);
    measure_report_destroy(report);
}
END_TEST

static void
flood(struct measure_tally *tally, enum measure_layout layout, uint32_t source,
      uint32_t n)
{
    struct measure_record records[MEASURE_BURST];
    struct measure_fields fields;

    memset(&fields, 0, sizeof fields);
    fields.family = family_of(layout);
    put_be32(fields.source, source);
    for (int i = 0; i < MEASURE_BURST; i++) {
        records[i] = make_record(&fields, 100);
    }
    for (; n; n -= n < MEASURE_BURST ? n : MEASURE_BURST) {
        measure_tally_count(tally, records,
                            n < MEASURE_BURST ? n : MEASURE_BURST);
    }
}

/* Returns the cell of 'source' in the count array of 'tally'. */
static const struct measure_cell *
cell_of(const struct measure_tally *tally, enum measure_layout layout,
        uint32_t source)
{
    struct measure_fields fields;
    struct measure_record record;

    memset(&fields, 0, sizeof fields);
    fields.family = family_of(layout);
    put_be32(fields.source, source);
    record = make_record(&fields, 100);
    return measure_count_array_cell(&tally->structure->u[layout].count_array,
                                    measure_hash(&secret, record.key,
                                                 measure_key_words(layout)));
}

/* A flood of sources, each with as many packets as make it heavy for a moment,
 * fills the keys of a sketch.  A source that comes afterwards, with as many
 * packets as all of them, is in the list, and the first one of the flood, if
 * it comes back; in a count array the source that had lifted the same cell
 * over the threshold may stand for it.  No other one has more than the report
 * says.  Thresholds that are shares, and those that are numbers, which no
 * flood leaves behind. */
START_TEST(flood_hides_no_heavy_key)
{
    enum measure_structure_kind kind
        = _i % 2 ? MEASURE_COUNT_ARRAY : MEASURE_COUNT_MIN;
    enum measure_layout layout = _i / 2 % 2;
    bool share = _i / 4 % 2;
    struct measure_structure_threshold half = {
        .min_packets = share ? 1 : 20,
        .min_bytes = share || _i / 8 ? MEASURE_NEVER : 2000,
        .packets_share = share ? MEASURE_WHOLE / 200 : 0,
    };
    enum { N_SOURCES = 4000, HEAVY = 1000000 };
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);
    struct question question = all_rows;
    struct measure_hitters_answer answer;
    struct measure_report *report;
    bool heavy_seen = false, first_seen = false;
    uint64_t n = 0, n_largest = 0;

    reset_tally(tally);
    ck_assert(measure_tally_use_structure(tally, kind, 1 << 17));
    measure_tally_begin(tally, MEASURE_KIND_SOURCE);
    measure_structure_begin(tally->structure, &half);
    for (uint32_t i = 1; i <= N_SOURCES && n < 20000000; i++) {
        uint32_t n_packets = share ? n / 200 + 1 : 20;

        n_packets = n_packets < 2000 ? n_packets : 2000;
        flood(tally, layout, i, n_packets);
        n += n_packets;
        n_largest = n_packets;
    }
    flood(tally, layout, HEAVY, n);
    flood(tally, layout, 1, 2 * n);
    report = measure_report_merge(&tally, 1, MEASURE_KIND_SOURCE, &secret,
                                  &budget);
    ck_assert_uint_eq(report->counters.packets, 4 * n);

    question.key_kind = MEASURE_KIND_SOURCE;
    question.heavy_only = true;
    question.threshold.value = 1;
    ck_assert(ask(report, &question, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        const uint8_t *p = answer.rows[i].fields.source;
        uint32_t source = ((uint32_t) p[0] << 24 | p[1] << 16 | p[2] << 8
                           | p[3]);
        const struct measure_cell *cell
            = (kind == MEASURE_COUNT_ARRAY
               ? cell_of(tally, layout, source) : NULL);

        heavy_seen |= ((source == HEAVY
                        || (cell && cell == cell_of(tally, layout, HEAVY)))
                       && answer.rows[i].packets >= n);
        first_seen |= ((source == 1
                        || (cell && cell == cell_of(tally, layout, 1)))
                       && answer.rows[i].packets >= 2 * n);
    }
    printf("%s, %s: of %"PRIu64" packets, %"PRIu64" keys lost, %zu heavy, "
           "without row at most %"PRIu64"\n", measure_structure_name(kind),
           share ? "share" : "number", 4 * n, report->n_lost, answer.n_rows,
           report->missed.packets);
    fflush(stdout);
    ck_assert(heavy_seen);
    ck_assert(first_seen);
    ck_assert_uint_le(answer.n_rows, 2 + 2);
    ck_assert(kind == MEASURE_COUNT_ARRAY
              || report->missed.packets >= n_largest - 1);
    ck_assert(kind == MEASURE_COUNT_ARRAY
              || report->missed.packets < n);
    measure_hitters_answer_destroy(&answer);
    measure_report_destroy(report);
    measure_tally_destroy(tally);
}
END_TEST

START_TEST(memory_is_what_was_asked_for)
{
    enum measure_structure_kind kind = _i + 1;

    for (size_t limit = 1 << 13; limit <= 1 << 24; limit *= 8) {
        struct measure_structure *structure
            = measure_structure_create(kind, limit, &secret, &budget,
                                       MEASURE_ANY_NODE);

        ck_assert_uint_eq(measure_budget_used(&budget), structure->size);
        ck_assert_uint_le(structure->size, limit + 512);
        ck_assert_uint_ge(structure->size, limit * 9 / 10);
        measure_structure_destroy(structure);
    }
}
END_TEST

START_TEST(names)
{
    enum measure_structure_kind kind;

    for (int i = 0; i < MEASURE_N_STRUCTURES; i++) {
        ck_assert(measure_structure_from_name(measure_structure_name(i),
                                              &kind));
        ck_assert_int_eq(kind, i);
    }
    ck_assert(!measure_structure_from_name("linear", &kind));
    ck_assert(!measure_structure_from_name("", &kind));
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-structure");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, reports_hold_their_bounds,
                        0, MEASURE_N_STRUCTURES);
    tcase_add_loop_test(tests, bounds_hold_without_memory,
                        0, MEASURE_N_STRUCTURES);
    tcase_add_loop_test(tests, tallies_change_their_structure,
                        0, MEASURE_N_STRUCTURES * MEASURE_N_STRUCTURES);
    tcase_add_loop_test(tests, both_layouts_are_one_row,
                        0, MEASURE_N_STRUCTURES);
    tcase_add_loop_test(tests, flood_hides_no_heavy_key, 0, 12);
    tcase_add_loop_test(tests, memory_is_what_was_asked_for,
                        0, MEASURE_N_STRUCTURES - 1);
    tcase_add_test(tests, names);
    return tests_run(tests);
}
