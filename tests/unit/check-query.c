/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of questions to reports. */

#include "check-common.h"
#include "check-json.h"
#include "check-scopes.h"

#include "base/measure-pace.h"
#include "questions/measure-changes.h"
#include "questions/measure-superspreaders.h"

/* More groups than a partition was expected to have rows, and rows than an
 * answer may have. */
START_TEST(many_rows_are_cut)
{
    uint32_t lines[MEASURE_N_LAYOUTS] = { 100000, 100 };
    struct measure_hitters_question q = {
        .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
    };
    struct measure_hitters_answer answer;
    struct measure_tally *tally;
    struct measure_report *report;
    struct measure_scope scope = { .n_reports = 1 };
    const uint32_t n = MEASURE_ANSWER_MAX_ROWS + 5000;

    draw_secret();
    tally = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_reset(tally, lines, lines));
    ck_assert(measure_tally_add_table(tally, MEASURE_NARROW, 200000));
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
    for (uint32_t i = 0; i < n; i++) {
        struct measure_fields fields = make_fields(MEASURE_NARROW, i * 8);
        struct measure_record record = make_record(&fields, 100);

        measure_tally_count(tally, &record, 1);
    }
    report = measure_report_merge(&tally, 1, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    measure_tally_destroy(tally);
    scope.reports = (const struct measure_report *const *) &report;

    ck_assert(measure_hitters_parse_by("source", &q));
    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    ck_assert_uint_eq(answer.keys, n);
    ck_assert_uint_eq(answer.n_rows, MEASURE_ANSWER_MAX_ROWS);
    ck_assert_uint_eq(answer.omitted_rows, 5000);
    ck_assert_uint_eq(answer.other_keys, 5000);
    ck_assert_uint_eq(answer.other_packets, 5000);
    for (uint32_t i = 0; i < answer.n_rows; i++) {
        struct measure_fields fields = make_fields(MEASURE_NARROW, i * 8);

        REQUIRE(!memcmp(answer.rows[i].fields.source, fields.source, 4));
    }
    measure_hitters_answer_destroy(&answer);

    q.n = MEASURE_ANSWER_MAX_ROWS + 1;
    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    ck_assert_uint_eq(answer.omitted_rows, 1);
    measure_hitters_answer_destroy(&answer);

    q.n = 7;
    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    ck_assert_uint_eq(answer.n_rows, 7);
    ck_assert_uint_eq(answer.omitted_rows, 0);
    measure_hitters_answer_destroy(&answer);

    /* Its rows are filtered, but not its totals. */
    measure_report_destroy(report);
}
END_TEST

/* Superspreaders. */

static void
check_spreaders(const struct test_scope *t, enum measure_superspreaders_by by,
                bool sort_by_ports, uint64_t min, uint64_t n,
                const struct measure_prefixes *exclude)
{
    struct measure_superspreaders_question q = {
        .by = by, .sort_by_ports = sort_by_ports, .min = min, .n = n,
        .exclude = exclude,
    };
    struct measure_superspreaders_answer answer;
    struct measure_group_by row_group, pair_group, port_group;
    struct oracle rows, pairs, triples;
    struct measure_filter filter;
    struct measure_scope scope;
    size_t n_expected = 0, n_excluded = 0;
    uint64_t *spread, *n_ports;
    unsigned int fields
        = (by == MEASURE_SUPERSPREADERS_BY_SOURCE ? MEASURE_FIELD_SOURCE
           : by == MEASURE_SUPERSPREADERS_BY_DESTINATION
           ? MEASURE_FIELD_DESTINATION
           : MEASURE_FIELD_SOURCE | MEASURE_FIELD_SOURCE_PORT);

    open_scope(t, &scope, &filter);
    measure_group_by_init(&row_group, fields, 128, 128);
    measure_group_by_init(&pair_group, fields | MEASURE_FIELDS_PAIR, 128, 128);
    measure_group_by_init(&port_group, (fields | MEASURE_FIELDS_PAIR
                                        | MEASURE_FIELD_DESTINATION_PORT),
                          128, 128);
    rows = group_packets(t, &row_group);
    pairs = group_packets(t, &pair_group);
    triples = group_packets(t, &port_group);
    spread = calloc(rows.n + 1, sizeof *spread);
    n_ports = calloc(rows.n + 1, sizeof *n_ports);
    for (size_t i = 0; i < pairs.n; i++) {
        struct measure_fields f = pairs.rows[i].fields;

        cut_fields(&f, &row_group);
        spread[oracle_find(&rows, &f) - rows.rows]++;
    }
    for (size_t i = 0; i < triples.n; i++) {
        struct measure_fields f = triples.rows[i].fields;

        cut_fields(&f, &row_group);
        n_ports[oracle_find(&rows, &f) - rows.rows]++;
    }
    for (size_t i = 0; i < rows.n; i++) {
        const struct measure_fields *f = &rows.rows[i].fields;
        bool excluded
            = (exclude && f->family == MEASURE_IPV4
               && ((by == MEASURE_SUPERSPREADERS_BY_DESTINATION
                    ? f->destination : f->source)[3] & 0x7c) == 0);

        if ((sort_by_ports ? n_ports : spread)[i] >= min) {
            n_expected += !excluded;
            n_excluded += excluded;
        }
    }

    ck_assert(measure_superspreaders_ask(&scope, &q, &answer));
    ck_assert_uint_eq(answer.keys, rows.n);
    ck_assert_uint_eq(answer.excluded_rows, n_excluded);
    ck_assert_uint_eq(answer.n_rows, n && n < n_expected ? n : n_expected);
    ck_assert_uint_eq(answer.omitted_rows, n_expected - answer.n_rows);
    ck_assert_uint_eq(answer.error_max, 0);
    for (size_t i = 0; i < answer.n_rows; i++) {
        struct measure_superspreaders_row *row = &answer.rows[i];
        struct oracle_row *expected = oracle_find(&rows, &row->fields);
        size_t j = expected - rows.rows;

        REQUIRE(expected && !expected->seen);
        expected->seen = true;
        REQUIRE(row->spread == spread[j]);
        if (by != MEASURE_SUPERSPREADERS_BY_DESTINATION) {
            REQUIRE(row->ports == n_ports[j]);
        }
        REQUIRE(row->packets == expected->packets);
        REQUIRE(row->bytes == expected->bytes);
        if (i) {
            uint64_t a = sort_by_ports ? row[-1].ports : row[-1].spread;
            uint64_t b = sort_by_ports ? row->ports : row->spread;

            REQUIRE(a > b || (a == b
                              && measure_fields_compare(&row[-1].fields,
                                                        &row->fields) < 0));
        }
    }
    measure_superspreaders_answer_destroy(&answer);
    free(spread);
    free(n_ports);
    oracle_close(&rows);
    oracle_close(&pairs);
    oracle_close(&triples);
}

START_TEST(spreaders_are_those_of_the_oracle)
{
    struct measure_prefixes exclude;

    ck_assert(measure_prefixes_parse(
        "10.0.0.0/30,10.64.0.0/30,10.128.0.0/30,10.0.0.128/30,10.0.1.0/30,"
        "10.64.0.128/30,10.64.1.0/30,10.128.0.128/30,10.128.1.0/30",
        &exclude));
    make_reports(MEASURE_KIND_FLOW, 20000);
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE, false, 1,
                        0, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE, false,
                        35, 0, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE, true, 1,
                        3, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE, true, 50,
                        0, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_DESTINATION,
                        false, 20, 0, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE_PORT,
                        false, 1, 10, NULL);
    }
    check_spreaders(&scopes[0], MEASURE_SUPERSPREADERS_BY_DESTINATION, false,
                    1, 0, &exclude);
    check_spreaders(&scopes[1], MEASURE_SUPERSPREADERS_BY_SOURCE, false, 2, 0,
                    &exclude);
    destroy_reports();
}
END_TEST

START_TEST(spreaders_of_many_flows_are_those_of_the_oracle)
{
    many_flows = true;
    make_reports(MEASURE_KIND_FLOW, 20000);
    for (int i = 0; i < 2; i++) {
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE, false, 5,
                        0, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_SOURCE_PORT,
                        true, 2, 20, NULL);
        check_spreaders(&scopes[i], MEASURE_SUPERSPREADERS_BY_DESTINATION,
                        false, 10, 0, NULL);
    }
    destroy_reports();
    many_flows = false;
}
END_TEST

/* Hierarchical heavy hitters, by what they are: from the longest prefixes up,
 * those whose addresses that are under no heavy prefix yet add up to the
 * threshold. */
static void
check_prefixes(const struct test_scope *t, bool destination, uint64_t pps)
{
    struct measure_hitters_question q = {
        .heavy_only = true, .threshold_text = "?",
        .threshold = { MEASURE_PACKETS_PER_SECOND, pps },
    };
    struct measure_hitters_answer answer;
    struct measure_filter filter;
    struct measure_scope scope;
    struct oracle addresses;
    size_t n_found = 0;

    open_scope(t, &scope, &filter);
    ck_assert(measure_hitters_parse_by(destination ? "destination/*"
                                       : "source/*", &q));
    addresses = group_packets(t, &q.group_by);
    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    ck_assert_uint_eq(answer.packets, addresses.packets);
    for (unsigned int bits = 128; bits > 0; bits -= 8) {
        for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
            struct measure_group_by group_by;
            struct oracle left = oracle_open(), all = oracle_open();

            if (family == MEASURE_IPV4 ? bits > 32 : bits % 16) {
                oracle_close(&left);
                oracle_close(&all);
                continue;
            }
            measure_group_by_init(&group_by, q.group_by.fields, bits, bits);
            for (size_t i = 0; i < addresses.n; i++) {
                struct oracle_row *row = &addresses.rows[i];
                struct measure_fields f = row->fields;

                if ((int) f.family != family) {
                    continue;
                }
                cut_fields(&f, &group_by);
                oracle_add(&all, &f, row->packets, row->bytes);
                if (!row->seen) {
                    oracle_add(&left, &f, row->packets, row->bytes);
                }
            }
            for (size_t i = 0; i < left.n; i++) {
                const struct oracle_row *row = &left.rows[i];
                const struct measure_hitters_row *found = NULL;

                for (size_t j = 0; j < answer.n_rows; j++) {
                    if (answer.rows[j].bits == bits
                        && fields_equal(&answer.rows[j].fields,
                                        &row->fields)) {
                        found = &answer.rows[j];
                    }
                }
                if (row->packets < pps * (uint64_t) t->n) {
                    REQUIRE(!found);
                    continue;
                }
                REQUIRE(found);
                REQUIRE(found->packets == row->packets);
                REQUIRE(found->bytes == row->bytes);
                REQUIRE(found->prefix_packets
                        == oracle_find(&all, &row->fields)->packets);
                n_found++;
                for (size_t j = 0; j < addresses.n; j++) {
                    struct measure_fields f = addresses.rows[j].fields;

                    cut_fields(&f, &group_by);
                    if (fields_equal(&f, &row->fields)) {
                        addresses.rows[j].seen = true;
                    }
                }
            }
            oracle_close(&left);
            oracle_close(&all);
        }
    }
    ck_assert_uint_eq(n_found, answer.n_rows);
    measure_hitters_answer_destroy(&answer);
    oracle_close(&addresses);
}

START_TEST(prefixes_are_those_of_the_oracle)
{
    static const uint64_t rates[] = { 1, 20, 30, 60, 100, 300, 1000, 5000 };

    make_reports(MEASURE_KIND_FLOW, 20000);
    for (size_t i = 0; i < 8; i++) {
        for (size_t j = 0; j < ARRAY_SIZE(rates); j++) {
            check_prefixes(&scopes[i], false, rates[j]);
            check_prefixes(&scopes[i], true, rates[j]);
        }
    }
    destroy_reports();
}
END_TEST

/* Expectations of either layout, for 'max_keys'. */
struct expectations {
    struct measure_expectations change[MEASURE_N_LAYOUTS];
    struct measure_expectations *pointers[MEASURE_N_LAYOUTS];
    void *memory[MEASURE_N_LAYOUTS];
};

static void
expectations_init(struct expectations *e, uint32_t max_keys)
{
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        struct measure_expectations_config config = {
            .layout = i, .max_keys = max_keys, .alpha = 1,
        };
        size_t size = measure_expectations_size(&config);

        ck_assert(!posix_memalign(&e->memory[i], MEASURE_LINE_SIZE, size));
        measure_expectations_init(&e->change[i], &config, &secret,
                                  e->memory[i]);
        e->pointers[i] = &e->change[i];
    }
}

static void
expectations_destroy(struct expectations *e)
{
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        free(e->memory[i]);
    }
}

/* Returns the values of the epoch: all that vanish in the next one. */
static struct measure_change_row *
expected_values(struct measure_expectations *change, size_t *n)
{
    size_t max = change->n_keys;
    struct measure_change_row *values = calloc(max + 1, sizeof *values);

    change->config.floor = 0;
    measure_expectations_close(change, values, 0);
    *n = measure_expectations_close(change, values, max);
    ck_assert_uint_eq(*n, max);
    return values;
}

/* What is expected is what all packets add up to; and of too many keys as many
 * are expected as there is place for. */
START_TEST(changes_are_those_of_all_packets)
{
    static const struct test_scope scope_of_one = { 0, 1, -1, NULL, NULL };
    struct expectations got, expected;
    struct measure_filter filter;
    struct measure_group_by group_by;
    struct measure_scope scope;

    many_flows = true;
    make_reports(MEASURE_KIND_FLOW, 20000);
    open_scope(&scope_of_one, &scope, &filter);
    measure_group_by_of_kind(&group_by, _i);
    expectations_init(&got, 20000);
    expectations_init(&expected, 20000);
    ck_assert(measure_changes_add(&scope, _i, got.pointers));
    for (size_t i = 0; i < n_packets; i++) {
        struct measure_record record = make_record(&packets[i].fields,
                                                   packets[i].bytes);
        struct measure_change_item item = { .packets = 1 };
        enum measure_layout layout
            = measure_group_by_key(&group_by, record.verdict, record.key,
                                   item.key);

        if (in_scope(&packets[i], &scope_of_one)) {
            measure_expectations_add(expected.pointers[layout], &item, 1);
        }
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_change_row *a, *b;
        size_t n_a, n_b;

        a = expected_values(got.pointers[layout], &n_a);
        b = expected_values(expected.pointers[layout], &n_b);
        ck_assert_uint_eq(n_a, n_b);
        ck_assert(n_a > 0 || layout == MEASURE_WIDE);
        for (size_t i = 0; i < n_a; i++) {
            REQUIRE(!memcmp(a[i].key, b[i].key, sizeof a[i].key));
            REQUIRE(a[i].expectation == b[i].expectation);
        }
        free(a);
        free(b);
    }
    expectations_destroy(&got);
    expectations_destroy(&expected);

    expectations_init(&got, 100);
    ck_assert(measure_changes_add(&scope, _i, got.pointers));
    ck_assert_uint_eq(got.change[MEASURE_NARROW].n_keys, 100);
    ck_assert_uint_gt(got.change[MEASURE_NARROW].refused_adds, 0);
    expectations_destroy(&got);
    destroy_reports();
    many_flows = false;
}
END_TEST

/* A report by 'key_kind' of one thread that counted 'n_steady' flows with 50
 * packets each, after 'n_first' and before 'n_last' others with one. */
static struct measure_report *
report_of_steady_flows(enum measure_key_kind key_kind, uint32_t n_lines,
                       uint32_t n_steady, uint32_t n_first, uint32_t n_last)
{
    struct measure_tally *tally = make_tally(key_kind, n_lines, 0);
    struct measure_report *report;

    for (uint32_t i = 0; i < n_first + n_steady + n_last; i++) {
        bool steady = i >= n_first && i < n_first + n_steady;

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            struct measure_fields fields
                = make_fields(layout, 8 * (steady ? i - n_first : 1000 + i));

            put_be32(fields.destination + (layout ? 12 : 0),
                     0x01000000 + 8 * (steady ? i - n_first : 1000 + i));
            for (int j = 0; j < (steady ? 50 : 1); j++) {
                struct measure_record record = make_record(&fields, 100);

                measure_tally_count(tally, &record, 1);
            }
        }
    }
    report = measure_report_merge(&tally, 1, key_kind, &secret, &budget);
    measure_tally_destroy(tally);
    return report;
}

/* Adds 'report' to the running epoch of 'e' and closes it.  Returns how many
 * changes there were. */
static size_t
close_epoch(struct expectations *e, const struct measure_report *report,
            enum measure_key_kind key_kind, bool ok)
{
    const struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_change_row rows[100];
    size_t n = 0;

    ck_assert_int_eq(measure_changes_add(&scope, key_kind, e->pointers), ok);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        n += measure_expectations_close(e->pointers[i], rows,
                                        ARRAY_SIZE(rows));
    }
    return n;
}

/* Keys that found no place in the tables have not vanished, nor did they
 * shrink, and they do not appear or grow when there is memory again. */
START_TEST(overflow_is_no_change)
{
    enum measure_key_kind key_kind
        = _i % MEASURE_N_KINDS, counted = _i / MEASURE_N_KINDS;
    struct expectations e;
    struct measure_report *full, *report;

    if (!measure_kind_derives(counted, key_kind)) {
        return;
    }
    draw_secret();
    expectations_init(&e, 20000);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        e.change[i].config.alpha = .25;
        e.change[i].config.floor = 10;
    }
    report = report_of_steady_flows(counted, 1000, 20, 0, 0);
    ck_assert(!report->counters.overflow_packets);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(close_epoch(&e, report, key_kind, true), 0);
    }
    full = report_of_steady_flows(counted, 64, 20, 300, 0);
    ck_assert_uint_gt(full->counters.overflow_packets, 1000);
    ck_assert_uint_eq(close_epoch(&e, full, key_kind, true), 0);
    ck_assert_uint_eq(close_epoch(&e, report, key_kind, true), 0);
    measure_report_destroy(full);
    measure_report_destroy(report);

    /* It is certain, though, of keys that had more than can be missing. */
    full = report_of_steady_flows(counted, 64, 0, 300, 0);
    ck_assert_uint_gt(full->counters.overflow_packets, 100);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        uint64_t key[MEASURE_KEY_WORDS + 2] = { 0xffff };

        e.change[i].config.floor = 100;
        for (int j = 0; j < 10; j++) {
            key[measure_key_words(i)] = 1000;
            measure_expectations_add_rows(e.pointers[i], key, 1,
                                          measure_masks[key_kind].words[i]);
            measure_expectations_close(e.pointers[i], NULL, 0);
        }
    }
    ck_assert_uint_eq(close_epoch(&e, full, key_kind, true), 2);
    measure_report_destroy(full);
    expectations_destroy(&e);
}
END_TEST

/* An epoch without memory for the question is no change for any key. */
START_TEST(no_memory_is_no_change)
{
    struct expectations e;
    struct measure_report *report, *large;

    draw_secret();
    expectations_init(&e, 20000);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        e.change[i].config.floor = 10;
    }
    report = report_of_steady_flows(MEASURE_KIND_FLOW, 20000, 20, 0, 0);
    large = report_of_steady_flows(MEASURE_KIND_FLOW, 20000, 20, 0, 10000);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(close_epoch(&e, report, _i, true), 0);
    }
    measure_memory_trim(&budget, 0);
    budget.limit = 1;
    ck_assert_uint_eq(close_epoch(&e, large, _i, false), 0);
    budget.limit = 0;
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(close_epoch(&e, report, _i, true), 0);
    }
    ck_assert_uint_eq(e.change[MEASURE_NARROW].n_keys, 20);
    measure_report_destroy(report);
    measure_report_destroy(large);
    expectations_destroy(&e);
}
END_TEST

/* Tables that are full. */
START_TEST(errors_are_bounded)
{
    static const char *const key_kind[] = { "flow", "pair", "source", "port",
                                      "source/24" };
    static const struct test_scope some[] = {
        { 0, 1, -1, NULL, NULL }, { 0, 3, -1, NULL, NULL },
        { 0, 3, 1, NULL, NULL },
    };

    make_reports(_i, 100);
    for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(key_kind); j++) {
            struct measure_hitters_question q = {
                .threshold = { MEASURE_SHARE, 1 },
            };
            struct measure_hitters_answer answer;
            struct measure_filter filter;
            struct measure_totals totals;
            struct measure_scope scope;
            struct oracle truth;
            char *error;

            open_scope(&some[i], &scope, &filter);
            ck_assert(measure_hitters_parse_by(key_kind[j], &q));
            error = measure_scope_check(&scope, &q.group_by);
            if (error) {
                ck_assert(_i != MEASURE_KIND_FLOW);
                ck_assert(strstr(error, measure_kind_name(_i)));
                free(error);
                continue;
            }
            measure_scope_sum(&scope, &totals);
            ck_assert(!measure_totals_exact(&totals));
            truth = group_packets(&some[i], &q.group_by);
            ck_assert(measure_hitters_ask(&scope, &q, &answer));
            for (size_t k = 0; k < answer.n_rows; k++) {
                struct measure_hitters_row *row = &answer.rows[k];
                struct oracle_row *expected;

                if (!(q.group_by.fields & MEASURE_FIELDS_PAIR)) {
                    row->fields.family = 0;
                }
                expected = oracle_find(&truth, &row->fields);
                REQUIRE(expected && row->packets <= expected->packets);
                REQUIRE(row->bytes <= expected->bytes);
                REQUIRE(row->packets + row->packets_error_max
                        >= expected->packets);
                REQUIRE(row->bytes + row->bytes_error_max
                        >= expected->bytes);
            }
            measure_hitters_answer_destroy(&answer);
            oracle_close(&truth);
        }
    }
    destroy_reports();
}
END_TEST

/* Keys that have most of the rows. */

enum skew { SPREAD, ONE_SOURCE, ONE_DESTINATION, ONE_PAIR, N_SKEWS };

#define N_SKEWED 80000

static uint64_t max_lent;

static uint64_t
look_at_budget(void)
{
    uint64_t taken = (measure_budget_used(&budget)
                      + measure_budget_spare(&budget));

    max_lent = taken > max_lent ? taken : max_lent;
    return 0;
}

static void
do_not_sleep(uint64_t ns UNUSED)
{
}

/* The 'i'th flow: of one key, but for each eighth. */
static struct measure_fields
skewed_flow(enum skew skew, uint32_t i)
{
    struct measure_fields fields;
    bool one_source = skew == ONE_SOURCE || skew == ONE_PAIR;
    bool one_destination = skew == ONE_DESTINATION || skew == ONE_PAIR;

    memset(&fields, 0, sizeof fields);
    put_be32(fields.source, 0x0a000000 + (one_source && i % 8 ? 0 : i));
    put_be32(fields.destination,
             0x0b000000 + (one_destination && i % 8 ? 0 : i));
    fields.source_port = i;
    fields.destination_port = i >> 16;
    fields.protocol = 17;
    return fields;
}

/* Returns the report of all flows, some of which two threads have, and adds
 * them to 'flows'. */
static struct measure_report *
make_skewed_report(enum skew skew, struct oracle *flows)
{
    uint32_t lines[MEASURE_N_LAYOUTS] = { N_SKEWED, 16 };
    struct measure_report *report;
    struct measure_tally *tallies[2];

    for (int i = 0; i < 2; i++) {
        tallies[i] = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
        ck_assert(measure_tally_reset(tallies[i], lines, lines));
        measure_tally_begin(tallies[i], MEASURE_KIND_FLOW);
    }
    for (uint32_t i = 0; i < N_SKEWED; i++) {
        struct measure_fields fields = skewed_flow(skew, i);

        for (int j = 0; j < 2; j++) {
            struct measure_record record = make_record(&fields, 60 + i % 9);

            if (!j || i % 64 == 0) {
                measure_tally_count(tallies[j], &record, 1);
                oracle_add(flows, &fields, 1, 60 + i % 9);
            }
        }
    }
    report = measure_report_merge(tallies, 2, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    report->duration_ms = 1000;
    for (int i = 0; i < 2; i++) {
        measure_tally_destroy(tallies[i]);
    }
    measure_memory_trim(&budget, 0);
    return report;
}

/* Returns false if there was no memory. */
static bool
check_skewed_hitters(const struct measure_scope *scope,
                     const struct oracle *flows,
                     enum measure_key_kind key_kind)
{
    struct measure_hitters_question q = { .threshold = { MEASURE_SHARE, 1 } };
    struct oracle expected = oracle_group(flows, key_kind);
    struct measure_hitters_answer answer;
    bool ok;

    measure_group_by_of_kind(&q.group_by, key_kind);
    ok = measure_hitters_ask(scope, &q, &answer);
    if (ok) {
        ck_assert_uint_eq(answer.keys, expected.n);
        ck_assert_uint_eq(answer.n_rows, expected.n);
        for (size_t i = 0; i < answer.n_rows; i++) {
            struct measure_hitters_row *row = &answer.rows[i];
            struct oracle_row *truth = oracle_find(&expected, &row->fields);

            REQUIRE(truth && !truth->seen);
            truth->seen = true;
            REQUIRE(row->packets == truth->packets);
            REQUIRE(row->bytes == truth->bytes);
        }
    }
    measure_hitters_answer_destroy(&answer);
    oracle_close(&expected);
    return ok;
}

static bool
check_skewed_spreaders(const struct measure_scope *scope, enum skew skew,
                       enum measure_superspreaders_by by)
{
    struct measure_superspreaders_question q = { .by = by, .min = 2 };
    bool source = by == MEASURE_SUPERSPREADERS_BY_SOURCE;
    uint32_t n_of_one = N_SKEWED - N_SKEWED / 8;
    struct measure_superspreaders_answer answer;
    bool ok = measure_superspreaders_ask(scope, &q, &answer);

    if (ok) {
        bool one = skew == (source ? ONE_SOURCE : ONE_DESTINATION);

        /* The first of the others has the address of the one, too. */
        if (one) {
            ck_assert_uint_eq(answer.n_rows, 1);
            ck_assert_uint_eq(answer.rows[0].spread, n_of_one + 1);
            if (source) {
                ck_assert_uint_eq(answer.rows[0].ports, n_of_one + 1);
            }
        } else {
            ck_assert_uint_eq(answer.n_rows, 0);
        }
        ck_assert_uint_eq(answer.keys,
                          (one || skew == ONE_PAIR ? N_SKEWED / 8
                           : N_SKEWED));
    }
    measure_superspreaders_answer_destroy(&answer);
    return ok;
}

/* One source, destination or pair of most flows is merged and asked for with
 * the memory that others need, and what is answered of others is of it. */
START_TEST(one_key_may_have_most_rows)
{
    enum { N_QUESTIONS = MEASURE_N_KINDS + 2 };
    bool answered[N_QUESTIONS];
    uint64_t max_spread = 0;

    draw_secret();
    measure_pace_clock.now_ns = look_at_budget;
    measure_pace_clock.sleep_ns = do_not_sleep;
    for (enum skew skew = 0; skew < N_SKEWS; skew++) {
        struct oracle flows = oracle_open();
        struct measure_pace pace = { 0 };
        struct measure_filter filter;
        struct measure_report *report;
        struct measure_scope scope = { .filter = &filter, .n_reports = 1 };

        max_lent = 0;
        measure_pace_begin(&pace, 1000);
        report = make_skewed_report(skew, &flows);
        ck_assert_uint_eq(report->counters.overflow_packets, 0);
        if (skew == SPREAD) {
            max_spread = max_lent;
        }
        ck_assert_uint_le(max_lent, max_spread + max_spread / 16);

        scope.reports = (const struct measure_report *const *) &report;
        ck_assert_ptr_null(measure_filter_parse("protocol=udp", NULL,
                                                &filter));
        /* First with no more than is there in any case. */
        for (int any_memory = 0; any_memory < 2; any_memory++) {
            for (int i = 0; i < N_QUESTIONS; i++) {
                bool ok;

                measure_report_forget_groups(report);
                measure_memory_trim(&budget, 0);
                budget.limit = any_memory ? 0 : measure_budget_used(&budget);
                max_lent = 0;
                ok = (i < MEASURE_N_KINDS
                      ? check_skewed_hitters(&scope, &flows, i)
                      : check_skewed_spreaders(&scope, skew,
                                               i - MEASURE_N_KINDS));
                if (any_memory) {
                    ck_assert(ok);
                    continue;
                }
                if (skew == SPREAD) {
                    answered[i] = ok;
                }
                ck_assert_msg(ok || !answered[i], "question %d", i);
                ck_assert_uint_le(max_lent, budget.limit + (1 << 20));
            }
        }
        measure_pace_end();
        ck_assert(answered[MEASURE_KIND_FLOW] && answered[MEASURE_KIND_PAIR]
                  && answered[MEASURE_KIND_SOURCE]);
        measure_report_destroy(report);
        oracle_close(&flows);
        budget.limit = 0;
    }
}
END_TEST

/* Texts. */

START_TEST(wrong_words_are_explained)
{
    static const struct {
        const char *where;
        const char *says;
    } cases[] = {
        { "", "unknown condition" },
        { "x=1", "unknown condition" },
        { "source", "unknown condition" },
        { "source=", "valid is an address" },
        { "source=10.0.0.0/33", "valid is an address" },
        { "source=10.0.0.0/", "valid is an address" },
        { "source=10.0.0/8", "valid is an address" },
        { "source=::1/129", "valid is an address" },
        { "protocol=tcpp", "tcp, udp" },
        { "protocol=256", "0 to 255" },
        { "source-port=65536", "0 to 65535" },
        { "destination-port=-1", "0 to 65535" },
        { "vlan=4096", "4095" },
        { "tunnel=4294967296", "4294967295" },
        { "port=three", "measured: one, two" },
        { "vlan=1,", "unknown condition" },
        { "vlan=1,,vlan=1", "unknown condition" },
    };
    static const char *const wrong_by[] = {
        "", "sources", "source/", "source/0", "source/129", "source/x",
        "pair/8", "source+", "source+source", "flow+source", "+source",
        "vlan/4", "source/24/", "source/1000000000000",
    };
    struct measure_hitters_question q;
    struct measure_filter filter;

    measure_port_number(&ports, "one");
    measure_port_number(&ports, "two");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *error = measure_filter_parse(cases[i].where, &ports, &filter);

        ck_assert_msg(error && strstr(error, cases[i].says), "%s: %s",
                      cases[i].where, error);
        free(error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong_by); i++) {
        ck_assert_msg(!measure_hitters_parse_by(wrong_by[i], &q), "%s",
                      wrong_by[i]);
    }
    measure_port_names_destroy(&ports);
    memset(&ports, 0, sizeof ports);
}
END_TEST

/* A comma or backslash in the name of a port is part of it behind a
 * backslash. */
START_TEST(names_of_ports_are_escaped)
{
    static const struct {
        const char *name;
        const char *where;
    } cases[] = {
        { "one", "port=one" },
        { "a,b", "port=a\\,b" },
        { ",", "port=\\," },
        { "b\\", "port=b\\\\" },
        { "a\\", "port=a\\" },
        { "a\\,c", "port=a\\\\\\,c" },
        { "a\\x", "port=a\\x" },
        { "a=b", "port=a=b" },
    };
    uint16_t numbers[ARRAY_SIZE(cases)];
    struct measure_filter filter;
    char *error;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        numbers[i] = measure_port_number(&ports, cases[i].name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char where[40];

        snprintf(where, sizeof where, "%s%s", cases[i].where,
                 i % 2 ? ",vlan=1" : "");
        error = measure_filter_parse(where, &ports, &filter);
        ck_assert_msg(!error, "%s: %s", where, error);
        ck_assert_uint_eq(filter.fields, (MEASURE_FIELD_PORT
                                          | (i % 2 ? MEASURE_FIELD_VLAN : 0)));
        ck_assert_uint_eq(filter.narrow_value[1] >> MEASURE_PORT_SHIFT & 0xfff,
                          numbers[i]);
    }
    error = measure_filter_parse("port=a,b", &ports, &filter);
    ck_assert_msg(strstr(error, "measured: one, a\\,b, \\,, b\\\\, a"), "%s",
                  error);
    free(error);
    measure_port_names_destroy(&ports);
    memset(&ports, 0, sizeof ports);
}
END_TEST

START_TEST(answers_are_json)
{
    struct measure_filter filter;
    struct measure_scope scope;

    make_reports(MEASURE_KIND_FLOW, 20000);
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        for (int format = 0; format < 2; format++) {
            struct measure_superspreaders_question s = { .min = 1 };
            struct measure_hitters_question q = {
                .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
            };
            struct measure_output *o = measure_output_create(format);
            char *text;

            open_scope(&scopes[i], &scope, &filter);
            ck_assert(measure_hitters_parse_by(group_names[i], &q));
            measure_output_open_object(o, "a");
            ck_assert(measure_hitters_write(o, &scope, &q));
            measure_output_close(o);
            measure_output_open_object(o, "b");
            ck_assert(measure_superspreaders_write(o, &scope, &s));
            measure_output_close(o);
            ck_assert(measure_hitters_parse_by("source/*", &q));
            measure_output_open_object(o, "c");
            ck_assert(measure_hitters_write(o, &scope, &q));
            measure_output_close(o);
            text = measure_output_finish(o);
            ck_assert(format == MEASURE_TEXT || json_valid(text));
            free(text);
        }
    }
    destroy_reports();
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-query");

    tcase_add_test(tests, spreaders_of_many_flows_are_those_of_the_oracle);
    tcase_add_test(tests, many_rows_are_cut);
    tcase_add_test(tests, spreaders_are_those_of_the_oracle);
    tcase_add_test(tests, prefixes_are_those_of_the_oracle);
    tcase_add_loop_test(tests, changes_are_those_of_all_packets,
                        MEASURE_KIND_FLOW, MEASURE_KIND_SOURCE + 1);
    tcase_add_loop_test(tests, overflow_is_no_change, 0,
                        MEASURE_N_KINDS * MEASURE_N_KINDS);
    tcase_add_loop_test(tests, no_memory_is_no_change,
                        MEASURE_KIND_PAIR, MEASURE_N_KINDS);
    tcase_add_loop_test(tests, errors_are_bounded, 0, MEASURE_N_KINDS);
    tcase_add_test(tests, one_key_may_have_most_rows);
    tcase_add_test(tests, wrong_words_are_explained);
    tcase_add_test(tests, names_of_ports_are_escaped);
    tcase_add_test(tests, answers_are_json);
    return tests_run(tests);
}
