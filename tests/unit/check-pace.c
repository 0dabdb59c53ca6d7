/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of rests in the background. */

#include "check-common.h"

#include "base/measure-pace.h"
#include "check-flow-cache.h"
#include "report/measure-aggregate.h"
#include "report/measure-expectations.h"
#include "tally/measure-tally.h"

/* A clock that stands still but for work() and rests. */
static uint64_t now;
static uint64_t rested;
static uint64_t longest_rest;
static uint64_t n_looks;        /* At the clock. */

static uint64_t
fake_now(void)
{
    n_looks++;
    return now;
}

static void
fake_sleep(uint64_t ns)
{
    now += ns;
    rested += ns;
    if (ns > longest_rest) {
        longest_rest = ns;
    }
}

static void
begin_test(void)
{
    measure_pace_clock.now_ns = fake_now;
    measure_pace_clock.sleep_ns = fake_sleep;
    now = UINT64_C(123456789);
}

#define MS (UINT64_C(1000) * 1000)
#define ROW_NS 100

/* Works for 'ns' nanoseconds for an epoch of 'epoch_ms', in portions of 'n'
 * rows.  Returns what measure_pace_end() says. */
static uint64_t
work(struct measure_pace *pace, uint64_t epoch_ms, uint64_t ns, uint64_t n)
{
    rested = longest_rest = 0;
    measure_pace_begin(pace, epoch_ms);
    for (uint64_t done = 0; done < ns; done += n * ROW_NS) {
        now += n * ROW_NS;
        measure_pace(n);
    }
    return measure_pace_end();
}

/* Work of 10 ms has a tenth of the time: 90 ms of rest, in short pieces. */
START_TEST(work_has_a_tenth_of_the_time)
{
    struct measure_pace pace = { .last_ns = 0 };

    begin_test();
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(work(&pace, 1000, 10 * MS, 50), 10 * MS);
        ck_assert_uint_ge(rested, 85 * MS);
        ck_assert_uint_le(rested, 90 * MS);
        /* A piece is over when the clock is looked at. */
        ck_assert_uint_le(longest_rest,
                          9 * (MEASURE_PACE_PIECE_NS
                               + MEASURE_PACE_ROWS * ROW_NS));
    }
}
END_TEST

/* The rests take an eighth of an epoch at most, nor more than 250 ms, and once
 * it is known how long the work takes they are spread over it. */
START_TEST(rests_are_bounded)
{
    static const struct { uint64_t epoch_ms, work_ms, rest_ms; } cases[] = {
        { 1000, 50, 125 },
        { 100, 10, 12 },
        { 86400000, 100, 250 },
        { 7, 10, 0 },
        { 0, 10, 0 },
    };

    begin_test();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct measure_pace pace = { .last_ns = 0 };
        uint64_t rest = cases[i].rest_ms * MS;
        uint64_t first_piece;

        work(&pace, cases[i].epoch_ms, cases[i].work_ms * MS, 50);
        ck_assert_uint_eq(rested, rest);
        first_piece = longest_rest;

        work(&pace, cases[i].epoch_ms, cases[i].work_ms * MS, 50);
        ck_assert_uint_le(rested, rest);
        ck_assert_uint_ge(rested, rest * 9 / 10);
        ck_assert(longest_rest < first_piece || !rest);
    }
}
END_TEST

/* Work that is much longer than its rests may be does not rest, but for the
 * first time, when that is not known. */
START_TEST(long_work_does_not_rest)
{
    struct measure_pace pace = { .last_ns = 0 };

    begin_test();
    ck_assert_uint_eq(work(&pace, 1000, 600 * MS, 50), 600 * MS);
    ck_assert_uint_eq(rested, 125 * MS);
    ck_assert_uint_eq(work(&pace, 1000, 10 * MS, 50), 10 * MS);
    ck_assert_uint_eq(rested, 0);
    work(&pace, 1000, 10 * MS, 50);
    ck_assert_uint_ge(rested, 85 * MS);
}
END_TEST

/* Nothing rests before the work begins, after its end, or in a piece that is
 * short. */
START_TEST(only_work_that_has_begun_rests)
{
    struct measure_pace pace = { .last_ns = 0 };

    begin_test();
    rested = 0;
    now += 10 * MS;
    measure_pace(1000000);
    ck_assert_uint_eq(measure_pace_end(), 0);
    ck_assert_uint_eq(rested, 0);

    ck_assert_uint_eq(work(&pace, 1000, MEASURE_PACE_PIECE_NS / 2, 1),
                      MEASURE_PACE_PIECE_NS / 2);
    ck_assert_uint_eq(rested, 0);
    now += 10 * MS;
    measure_pace(1000000);
    ck_assert_uint_eq(rested, 0);

    /* The time before the beginning is no work. */
    ck_assert_uint_eq(work(&pace, 1000, MEASURE_PACE_PIECE_NS / 2, 1000000),
                      1000000 * ROW_NS);
    /* A piece of 100 ms rests no longer than one of some pieces. */
    ck_assert_uint_eq(rested, 9 * MEASURE_PACE_MAX_PIECE_NS);
}
END_TEST

#define N_ROWS 20000
#define MIN_LOOKS (N_ROWS / MEASURE_PACE_ROWS)

/* Fails unless the clock has been looked at often enough since the last time
 * that this was asked. */
static void
check_looks(uint64_t min_looks)
{
    ck_assert_uint_ge(n_looks, min_looks);
    n_looks = 0;
}

/* What takes long in the merging of an epoch and in the search for changes can
 * rest. */
START_TEST(long_loops_can_rest)
{
    static const struct measure_expectations_config config = {
        .layout = MEASURE_NARROW,
        .max_keys = N_ROWS,
        .alpha = .25,
    };
    static uint64_t rows[N_ROWS * (MEASURE_KEY_WORDS + 2)];
    static const uint32_t n_lines[MEASURE_N_LAYOUTS] = { 16, 16 };
    struct measure_pace pace = { .last_ns = 0 };
    struct measure_thread thread = { .tally = NULL };
    struct measure_hash_secret secret;
    struct measure_expectations change;
    struct measure_change_row changed;
    struct measure_aggregate aggregate;
    struct measure_table table;
    struct measure_tally *tally;
    uint64_t n = 0;
    void *memory;

    measure_hash_secret_init(&secret, test_seed);
    begin_test();
    measure_pace_begin(&pace, 1000);
    n_looks = 0;

    /* A table is gone through, and cleared. */
    ck_assert(measure_table_init(&table, MEASURE_NARROW, N_ROWS, &budget,
                                 MEASURE_ANY_NODE));
    for (uint64_t i = 0; i < N_ROWS; i++) {
        uint64_t key[MEASURE_KEY_WORDS] = { i };

        REQUIRE(measure_table_add(&table, MEASURE_NARROW,
                                  MEASURE_TABLE_MAX_PROBES, key,
                                  measure_key_hash(&secret, MEASURE_NARROW,
                                                   key), 1, 60));
    }
    check_looks(0);
    MEASURE_TABLE_FOR_EACH (row, &table) {
        memcpy(&rows[n * measure_row_words(MEASURE_NARROW)], row,
               measure_row_words(MEASURE_NARROW) * sizeof *row);
        n++;
    }
    ck_assert_uint_eq(n, N_ROWS);
    check_looks(MIN_LOOKS);
    measure_table_clear(&table);
    check_looks(MIN_LOOKS);
    measure_table_destroy(&table, &budget);

    /* Rows are grouped. */
    measure_aggregate_init(&aggregate, MEASURE_NARROW, &secret, &budget);
    ck_assert(measure_aggregate_begin(&aggregate, N_ROWS));
    check_looks(0);
    ck_assert(measure_aggregate_add(&aggregate, rows, N_ROWS));
    check_looks(MIN_LOOKS);
    measure_aggregate_destroy(&aggregate);

    /* Their changes are looked for. */
    memory = measure_memory_alloc(&budget, measure_expectations_size(&config),
                                  MEASURE_ANY_NODE);
    measure_expectations_init(&change, &config, &secret, memory);
    check_looks(0);
    measure_expectations_count(&change, rows,
                               measure_row_words(MEASURE_NARROW), N_ROWS);
    check_looks(MIN_LOOKS);
    measure_expectations_close(&change, &changed, 1);
    check_looks(MIN_LOOKS);
    measure_memory_free(&budget, memory, measure_expectations_size(&config));

    /* What is counted for entries of a flow cache is moved. */
    tally = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    flow_cache_begin(tally, measure_thread_get_keys(&thread, &budget,
                                                    MEASURE_ANY_NODE));
    ck_assert(measure_tally_reset(tally, n_lines, n_lines));
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
    check_looks(0);
    measure_tally_move_cache(tally);
    check_looks(MEASURE_CACHE_ENTRIES / MEASURE_PACE_ROWS);
    measure_tally_destroy(tally);
    measure_thread_free_keys(&thread, &budget);

    measure_pace_end();
}
END_TEST

/* The true clock runs, and its rests are at least as long as they should. */
START_TEST(true_clock_rests)
{
    uint64_t start = measure_pace_clock.now_ns();

    measure_pace_clock.sleep_ns(2 * MS);
    ck_assert_uint_ge(measure_pace_clock.now_ns() - start, 2 * MS);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-pace");

    tcase_add_test(tests, work_has_a_tenth_of_the_time);
    tcase_add_test(tests, rests_are_bounded);
    tcase_add_test(tests, long_work_does_not_rest);
    tcase_add_test(tests, only_work_that_has_begun_rests);
    tcase_add_test(tests, long_loops_can_rest);
    tcase_add_test(tests, true_clock_rests);
    return tests_run(tests);
}
