/*
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

#include "check-common.h"

#include "tally/measure-growth.h"

static struct measure_hash_secret secret;
static struct random r;
static uint32_t n_sent;

#define LIMIT (UINT64_C(512) << 20)

static struct measure_set *
make_set(void)
{
    static const uint32_t n_lines[MEASURE_N_FAMILIES] = { 16, 16 };
    static const uint32_t none[MEASURE_N_FAMILIES] = { 0, 0 };
    struct measure_set *set;

    r = random_from(test_seed);
    random_fill(&r, &secret, sizeof secret);
    set = measure_set_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_set_reset(set, n_lines, none));
    measure_set_begin(set, MEASURE_BY_FLOW);
    return set;
}

/* Sends 'n' packets, each of a new flow. */
static void
send_flows(struct measure_set *set, uint32_t n)
{
    while (n) {
        struct measure_record records[MEASURE_BURST];
        uint32_t burst = n < MEASURE_BURST ? n : MEASURE_BURST;

        for (uint32_t i = 0; i < burst; i++) {
            struct measure_fields fields = make_fields(MEASURE_IPV4, n_sent++);

            records[i] = make_record(&fields, 100);
        }
        measure_set_count(set, records, burst);
        n -= burst;
    }
}

static uint32_t
n_tables(const struct measure_set *set)
{
    return set->n_tables[MEASURE_IPV4];
}

static uint32_t
last_lines(const struct measure_set *set)
{
    return set->tables[MEASURE_IPV4][n_tables(set) - 1].n_lines;
}

/* While a large table is prepared, in a flood of new flows, quick ones are all
 * that the set gets.  They must not take the last places: the large table comes
 * in the end, and more of its size if need be. */
START_TEST(quick_tables_leave_places_for_large_ones)
{
    struct measure_set *set = make_set();
    uint64_t left = LIMIT;
    struct measure_load load;

    send_flows(set, 1);
    do {
        if (measure_set_needs_table(set, LIMIT, true)) {
            ck_assert_uint_gt(measure_set_grow(set, LIMIT, &left), 0);
            ck_assert_uint_eq(last_lines(set), MEASURE_QUICK_LINES);
        }
        send_flows(set, 1000);
        measure_set_load(set, &load);
        ck_assert_uint_le(n_tables(set), MEASURE_SET_TABLES - 3);
    } while (load.n_unused[MEASURE_IPV4]
             || (load.current_used[MEASURE_IPV4]
                 <= load.max_used[MEASURE_IPV4] / 2));
    ck_assert_uint_eq(set->counters.overflow_packets, 0);
    ck_assert_uint_ge(n_tables(set), 4);

    for (int i = 0; i < 3; i++) {
        uint32_t n = n_tables(set);

        while (!measure_set_needs_table(set, LIMIT, false)) {
            send_flows(set, 1000);
        }
        ck_assert_uint_gt(measure_set_grow(set, LIMIT, &left), 0);
        ck_assert_uint_eq(n_tables(set), n + 1);
        ck_assert_uint_ge(last_lines(set), MEASURE_NEXT_LINES);
    }
    ck_assert_uint_eq(set->counters.overflow_packets, 0);
    measure_set_destroy(set);
}
END_TEST

/* A set that has what it needs is left alone, and one that counts in another
 * structure has no use for tables. */
START_TEST(nothing_grows_without_need)
{
    struct measure_set *set = make_set();
    uint64_t left = LIMIT;

    ck_assert(!measure_set_needs_table(set, LIMIT, true));
    ck_assert(!measure_set_needs_table(set, LIMIT, false));
    ck_assert_uint_eq(measure_set_grow(set, LIMIT, &left), 0);
    ck_assert_uint_eq(left, LIMIT);

    /* IPv4 alone. */
    send_flows(set, 1);
    ck_assert(measure_set_needs_table(set, LIMIT, true));
    ck_assert_uint_eq(measure_set_grow(set, LIMIT, &left),
                      measure_table_size(MEASURE_QUICK_LINES));
    ck_assert_uint_eq(left,
                      LIMIT - 2 * measure_table_size(MEASURE_QUICK_LINES));
    ck_assert_uint_eq(set->n_tables[MEASURE_IPV6], 1);
    ck_assert(!measure_set_needs_table(set, LIMIT, true));
    measure_set_destroy(set);
}
END_TEST

/* At most half of the memory that is left, and nothing if it is too little. */
START_TEST(growth_is_limited)
{
    struct measure_set *set = make_set();
    uint64_t left = 100 * MEASURE_LINE_SIZE * 4;

    send_flows(set, 1);
    ck_assert_uint_eq(measure_set_grow(set, LIMIT, &left),
                      measure_table_size(100));
    ck_assert_uint_eq(last_lines(set), 100);
    left = (MEASURE_SET_MIN_LINES * 4 - 1) * MEASURE_LINE_SIZE;
    ck_assert_uint_eq(measure_set_grow(set, LIMIT, &left), 0);
    ck_assert_uint_eq(left, (MEASURE_SET_MIN_LINES * 4 - 1)
                            * MEASURE_LINE_SIZE);
    ck_assert_uint_eq(n_tables(set), 2);
    measure_set_destroy(set);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-growth");

    tcase_add_test(tests, quick_tables_leave_places_for_large_ones);
    tcase_add_test(tests, nothing_grows_without_need);
    tcase_add_test(tests, growth_is_limited);
    return tests_run(tests);
}
