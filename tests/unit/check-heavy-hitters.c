/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of heavy hitters, also hierarchical ones, against all packets. */

#include "check-common.h"
#include "check-scopes.h"

#include "questions/measure-heavy-hitters.h"

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
    measure_report_destroy(report);
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
        for (int layout = 0; layout < 2; layout++) {
            struct measure_group_by group_by;
            struct oracle left = oracle_open(), all = oracle_open();

            if (layout == MEASURE_NARROW ? bits > 32 : bits % 16) {
                oracle_close(&left);
                oracle_close(&all);
                continue;
            }
            measure_group_by_init(&group_by, q.group_by.fields, bits, bits);
            for (size_t i = 0; i < addresses.n; i++) {
                struct oracle_row *row = &addresses.rows[i];
                struct measure_fields f = row->fields;

                if ((int) f.family != layout) {
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

int
main(void)
{
    TCase *tests = tests_begin("heavy-hitters");

    tcase_add_test(tests, many_rows_are_cut);
    tcase_add_loop_test(tests, errors_are_bounded, 0, MEASURE_N_KINDS);
    tcase_add_test(tests, prefixes_are_those_of_the_oracle);
    return tests_run(tests);
}
