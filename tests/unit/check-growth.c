/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the growth of tables. */

#include "check-common.h"
#include "check-tally.h"

#include "tally/measure-growth.h"

static struct random r;
static uint32_t n_sent;

#define LIMIT (UINT64_C(512) << 20)

/* Returns a tally with small tables. */
static struct measure_tally *
begin(void)
{
    r = random_from(test_seed);
    random_fill(&r, &secret, sizeof secret);
    return make_tally(MEASURE_KIND_FLOW, 16, 0);
}

/* Sends 'n' packets, each of a new flow. */
static void
send_flows(struct measure_tally *tally, uint32_t n)
{
    while (n) {
        struct measure_record records[MEASURE_BURST];
        uint32_t burst = n < MEASURE_BURST ? n : MEASURE_BURST;

        for (uint32_t i = 0; i < burst; i++) {
            struct measure_fields fields = make_fields(MEASURE_NARROW,
                                                       n_sent++);

            records[i] = make_record(&fields, 100);
        }
        measure_tally_count(tally, records, burst);
        n -= burst;
    }
}

static uint32_t
n_tables(const struct measure_tally *tally)
{
    return tally->n_tables[MEASURE_NARROW];
}

static uint32_t
last_lines(const struct measure_tally *tally)
{
    return tally->tables[MEASURE_NARROW][n_tables(tally) - 1].n_lines;
}

/* While a large table is prepared, in a flood of new flows, quick ones are all
 * that the tally gets.  They must not take the last places: the large table
 * comes in the end, and more of its size if need be. */
START_TEST(quick_tables_leave_places_for_large_ones)
{
    struct measure_tally *tally = begin();
    uint64_t left = LIMIT;
    struct measure_load load;

    send_flows(tally, 1);
    do {
        if (measure_tally_needs_table(tally, LIMIT, true)) {
            ck_assert_uint_gt(measure_tally_grow(tally, LIMIT, &left), 0);
            ck_assert_uint_eq(last_lines(tally), MEASURE_QUICK_LINES);
        }
        send_flows(tally, 1000);
        measure_tally_load(tally, &load);
        ck_assert_uint_le(n_tables(tally), MEASURE_TALLY_TABLES - 3);
    } while (load.n_unused[MEASURE_NARROW]
             || (load.current_used[MEASURE_NARROW]
                 <= load.max_used[MEASURE_NARROW] / 2));
    ck_assert_uint_eq(tally->counters.overflow_packets, 0);
    ck_assert_uint_ge(n_tables(tally), 4);

    for (int i = 0; i < 3; i++) {
        uint32_t n = n_tables(tally);

        while (!measure_tally_needs_table(tally, LIMIT, false)) {
            send_flows(tally, 1000);
        }
        ck_assert_uint_gt(measure_tally_grow(tally, LIMIT, &left), 0);
        ck_assert_uint_eq(n_tables(tally), n + 1);
        ck_assert_uint_ge(last_lines(tally), MEASURE_NEXT_LINES);
    }
    ck_assert_uint_eq(tally->counters.overflow_packets, 0);
    measure_tally_destroy(tally);
}
END_TEST

/* A tally that has what it needs is left alone, and one that counts in another
 * structure has no use for tables. */
START_TEST(nothing_grows_without_need)
{
    struct measure_tally *tally = begin();
    uint64_t left = LIMIT;

    ck_assert(!measure_tally_needs_table(tally, LIMIT, true));
    ck_assert(!measure_tally_needs_table(tally, LIMIT, false));
    ck_assert_uint_eq(measure_tally_grow(tally, LIMIT, &left), 0);
    ck_assert_uint_eq(left, LIMIT);

    /* IPv4 alone. */
    send_flows(tally, 1);
    ck_assert(measure_tally_needs_table(tally, LIMIT, true));
    ck_assert_uint_eq(measure_tally_grow(tally, LIMIT, &left),
                      measure_table_size(MEASURE_QUICK_LINES));
    ck_assert_uint_eq(left,
                      LIMIT - 2 * measure_table_size(MEASURE_QUICK_LINES));
    ck_assert_uint_eq(tally->n_tables[MEASURE_WIDE], 1);
    ck_assert(!measure_tally_needs_table(tally, LIMIT, true));
    measure_tally_destroy(tally);
}
END_TEST

/* At most half of the memory that is left, and nothing if it is too little. */
START_TEST(growth_is_limited)
{
    struct measure_tally *tally = begin();
    uint64_t left = 100 * MEASURE_LINE_SIZE * 4;

    send_flows(tally, 1);
    ck_assert_uint_eq(measure_tally_grow(tally, LIMIT, &left),
                      measure_table_size(100));
    ck_assert_uint_eq(last_lines(tally), 100);
    left = (MEASURE_TALLY_MIN_LINES * 4 - 1) * MEASURE_LINE_SIZE;
    ck_assert_uint_eq(measure_tally_grow(tally, LIMIT, &left), 0);
    ck_assert_uint_eq(left, (MEASURE_TALLY_MIN_LINES * 4 - 1)
                            * MEASURE_LINE_SIZE);
    ck_assert_uint_eq(n_tables(tally), 2);
    measure_tally_destroy(tally);
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
