/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

/* Groupings: those of any kind that answers are made from, those that a report
 * keeps, and the limit of the memory of both. */

#include "check-common.h"
#include "check-scopes.h"

static void
check_groups(const struct test_scope *t, const char *by, bool by_bytes)
{
    struct measure_hitters_question q = {
        .sort = by_bytes ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS,
        .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
    };
    struct measure_hitters_answer answer;
    struct measure_filter filter;
    struct measure_scope scope;
    struct oracle truth;
    char name[MEASURE_GROUP_NAME_SIZE];

    open_scope(t, &scope, &filter);
    ck_assert_msg(measure_hitters_parse_by(by, &q), "%s", by);
    measure_group_name(&q.group, name);
    ck_assert_str_eq(name, strcmp(by, "source/128") ? by : "source");
    ck_assert_ptr_null(measure_scope_check(&scope, &q.group));

    truth = group_packets(t, &q.group);
    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    ck_assert_msg(answer.n_rows == truth.n, "%s where %s: %zu rows, not %zu",
                  by, t->where, answer.n_rows, truth.n);
    ck_assert_uint_eq(answer.keys, truth.n);
    ck_assert_uint_eq(answer.packets, truth.packets);
    ck_assert_uint_eq(answer.bytes, truth.bytes);
    ck_assert_uint_eq(answer.other_packets, 0);
    for (size_t i = 0; i < answer.n_rows; i++) {
        struct measure_hitters_row *row = &answer.rows[i];
        struct oracle_row *expected;

        if (!(q.group.fields & MEASURE_FIELDS_PAIR)) {
            row->fields.family = 0;
        }
        expected = oracle_find(&truth, &row->fields);
        REQUIRE(expected && !expected->seen);
        expected->seen = true;
        REQUIRE(row->packets == expected->packets);
        REQUIRE(row->bytes == expected->bytes);
        REQUIRE(!row->packets_error_max && !row->bytes_error_max);
        if (i) {
            uint64_t a = by_bytes ? row[-1].bytes : row[-1].packets;
            uint64_t b = by_bytes ? row->bytes : row->packets;

            REQUIRE(a > b || (a == b
                              && measure_fields_compare(&row[-1].fields,
                                                        &row->fields) < 0));
        }
    }
    measure_hitters_answer_destroy(&answer);
    oracle_close(&truth);
}

START_TEST(groups_are_those_of_the_oracle)
{
    make_reports(MEASURE_BY_FLOW, 20000);
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(groups); j++) {
            check_groups(&scopes[i], groups[j], (i + j) % 2);
        }
    }
    destroy_reports();
}
END_TEST

/* With several parts, and rows that are groups by themselves. */
START_TEST(groups_of_many_flows_are_those_of_the_oracle)
{
    many_flows = true;
    make_reports(MEASURE_BY_FLOW, 20000);
    for (int i = 0; i < N_EPOCHS; i++) {
        ck_assert_uint_gt(reports[i]->n_parts, 4);
        ck_assert(!reports[i]->several_ports);
    }
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = i; j < ARRAY_SIZE(groups); j += 2 - !i) {
            check_groups(&scopes[i], groups[j], (i + j) % 2);
        }
    }
    destroy_reports();

    /* The same flows by another port. */
    many_flows = false;
    make_reports(MEASURE_BY_FLOW, 20000);
    for (int i = 0; i < N_EPOCHS; i++) {
        ck_assert(reports[i]->several_ports);
    }
    destroy_reports();
}
END_TEST

/* What a report keeps of answers is freed when it is to be, but not while it
 * is used, and from then on answers are the same without. */
START_TEST(groupings_are_forgotten)
{
    struct measure_groupings *groupings;
    uint64_t used;

    make_reports(MEASURE_BY_FLOW, 20000);
    groupings = reports[0]->groupings;
    used = measure_budget_used(&budget);
    for (int round = 0; round < 3; round++) {
        for (int by = MEASURE_BY_PAIR; by < MEASURE_N_BY; by++) {
            check_groups(&scopes[0], measure_by_name(by), false);
            ck_assert(!measure_groupings_get(groupings, by) == (round == 2));
        }
        if (!round) {
            ck_assert_uint_gt(measure_budget_used(&budget), used);
            measure_groupings_begin(groupings);
            measure_report_forget_groupings(reports[0]);
            ck_assert_uint_gt(measure_budget_used(&budget), used);
        } else {
            if (round == 1) {
                measure_groupings_end(groupings);
            }
            ck_assert_uint_eq(measure_budget_used(&budget), used);
        }
    }
    destroy_reports();
}
END_TEST

/* An answer that takes more than the budget allows is refused, and nothing is
 * kept for which there is no room. */
START_TEST(answers_stay_within_the_limit)
{
    struct measure_hitters_question q = {
        .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
    };
    struct measure_hitters_answer answer;
    struct measure_filter filter;
    struct measure_scope scope;
    uint64_t used;

    many_flows = true;
    make_reports(MEASURE_BY_FLOW, 20000);
    used = measure_budget_used(&budget);
    open_scope(&scopes[0], &scope, &filter);
    ck_assert(measure_hitters_parse_by("destination", &q));

    budget.limit = 50000;
    ck_assert(!measure_hitters_ask(&scope, &q, &answer));
    measure_hitters_answer_destroy(&answer);
    ck_assert_uint_eq(measure_budget_used(&budget), used);

    /* Tables may have used up their memory. */
    budget.limit = used;
    check_groups(&scopes[0], "destination", false);
    ck_assert_ptr_null(measure_groupings_get(reports[0]->groupings,
                                             MEASURE_BY_DESTINATION));
    ck_assert_uint_le(measure_budget_spare(&budget), used / 4);

    /* Enough for the answer, but not for it to be kept. */
    budget.limit = used * 5 / 4;
    check_groups(&scopes[0], "destination", false);
    ck_assert_ptr_null(measure_groupings_get(reports[0]->groupings,
                                             MEASURE_BY_DESTINATION));
    ck_assert_uint_le(measure_budget_used(&budget)
                      + measure_budget_spare(&budget), budget.limit);

    budget.limit = 2 * used + (16 << 20);
    check_groups(&scopes[0], "destination", false);
    ck_assert_ptr_nonnull(measure_groupings_get(reports[0]->groupings,
                                                MEASURE_BY_DESTINATION));
    budget.limit = 0;
    destroy_reports();
    many_flows = false;
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-grouping");

    tcase_add_test(tests, groups_are_those_of_the_oracle);
    tcase_add_test(tests, groups_of_many_flows_are_those_of_the_oracle);
    tcase_add_test(tests, groupings_are_forgotten);
    tcase_add_test(tests, answers_stay_within_the_limit);
    return tests_run(tests);
}
