/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of superspreaders against all packets. */

#include "check-common.h"
#include "check-scopes.h"

#include "questions/measure-superspreaders.h"

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

int
main(void)
{
    TCase *tests = tests_begin("superspreaders");

    tcase_add_test(tests, spreaders_are_those_of_the_oracle);
    tcase_add_test(tests, spreaders_of_many_flows_are_those_of_the_oracle);
    return tests_run(tests);
}
