/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the linear hash table. */

#include "check-structures.h"

#include <sys/resource.h>

#include "structures/measure-table.h"

/* Adds one packet, as the packet path does. */
static bool
add(struct measure_table *table, const struct measure_fields *fields,
    uint64_t packets, uint64_t bytes)
{
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t hash;

    measure_key_from_fields(key, fields);
    hash = measure_hash(&secret, key, measure_key_words(table->layout));
    return measure_table_add(table, table->layout, MEASURE_TABLE_MAX_PROBES,
                             key, hash, packets, bytes);
}

/* Checks that 'table' holds the rows of 'o' of its layout, each once. */
static void
check_table(const struct measure_table *table, struct oracle *o)
{
    size_t n_rows = 0, n_keys = 0;

    for (size_t i = 0; i < o->n; i++) {
        o->rows[i].seen = false;
        n_keys += o->rows[i].fields.family == family_of(table->layout);
    }
    MEASURE_TABLE_FOR_EACH (row, table) {
        struct measure_fields fields;
        struct oracle_row *expected;

        measure_fields_from_key(&fields, table->layout, row);
        expected = oracle_find(o, &fields);
        REQUIRE(expected && !expected->seen);
        expected->seen = true;
        REQUIRE(*measure_row_packets(row, table->layout)
                == expected->packets);
        REQUIRE(*measure_row_bytes(row, table->layout) == expected->bytes);
        n_rows++;
    }
    ck_assert_uint_eq(n_rows, n_keys);
    ck_assert_uint_eq(measure_table_n_used(table), n_rows);
}

/* Loops over the kinds of streams and layouts. */
#define N_EXACT (N_STREAM_KINDS * MEASURE_N_LAYOUTS)

START_TEST(counts_are_exact)
{
    enum measure_layout layout = _i % MEASURE_N_LAYOUTS;
    enum stream_kind kind = _i / MEASURE_N_LAYOUTS;
    enum { N_KEYS = 20000 };
    uint32_t n_packets = kind == STREAM_ALL_NEW ? N_KEYS : 200000;
    struct stream stream = stream_open(kind, N_KEYS, test_seed);
    struct random r = random_from(test_seed + 1);
    struct oracle o = oracle_open();
    struct measure_table table;

    ck_assert(measure_table_init(&table, layout,
                                 measure_table_lines_for(layout, N_KEYS),
                                 &budget, MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < n_packets; i++) {
        struct measure_fields fields = make_fields(layout,
                                                   stream_next(&stream));
        uint64_t bytes = 60 + random_below(&r, 1459);

        REQUIRE(add(&table, &fields, 1, bytes));
        oracle_add(&o, &fields, 1, bytes);
    }
    check_table(&table, &o);
    if (kind == STREAM_ONE) {
        ck_assert_uint_eq(measure_table_n_used(&table), 1);
    } else if (kind == STREAM_ALL_NEW) {
        ck_assert_uint_eq(measure_table_n_used(&table), table.max_used);
    }

    measure_table_clear(&table);
    ck_assert_uint_eq(measure_table_n_used(&table), 0);
    ck_assert_ptr_eq(measure_table_next(&table, NULL), NULL);
    for (size_t i = 0; i < measure_table_size(table.n_lines) / 8; i++) {
        REQUIRE(!table.rows[i]);
    }

    stream_close(&stream);
    oracle_close(&o);
    measure_table_destroy(&table, &budget);
}
END_TEST

START_TEST(full_table_refuses_new_keys_and_changes_nothing)
{
    enum measure_layout layout = _i;
    enum { N_KEYS = 1000 };
    uint32_t n_lines = measure_table_lines_for(layout, N_KEYS);
    size_t size = measure_table_size(n_lines);
    struct oracle o = oracle_open();
    struct measure_table table, before;
    uint64_t *rows = malloc(size);

    ck_assert(measure_table_init(&table, layout, n_lines, &budget,
                                 MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct measure_fields fields = make_fields(layout, i);

        ck_assert(add(&table, &fields, i + 1, i));
        oracle_add(&o, &fields, i + 1, i);
    }
    ck_assert_uint_eq(measure_table_n_used(&table), N_KEYS);

    before = table;
    memcpy(rows, table.rows, size);
    for (uint32_t i = N_KEYS; i < 20 * N_KEYS; i++) {
        struct measure_fields fields = make_fields(layout, i);

        REQUIRE(!add(&table, &fields, 1, 1));
    }
    ck_assert_mem_eq(&table, &before, sizeof table);
    ck_assert_mem_eq(table.rows, rows, size);

    /* Those that are there are counted on. */
    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct measure_fields fields = make_fields(layout, i);

        ck_assert(add(&table, &fields, 7, 11));
        oracle_add(&o, &fields, 7, 11);
    }
    check_table(&table, &o);

    free(rows);
    oracle_close(&o);
    measure_table_destroy(&table, &budget);
}
END_TEST

/* Keys that all have the same home row, which in this test is any row that we
 * say: the hash is a parameter. */
static bool
add_at(struct measure_table *table, uint32_t max_probes, uint64_t hash,
       uint64_t number)
{
    uint64_t key[MEASURE_KEY_WORDS] = { number };

    return measure_table_add(table, table->layout, max_probes, key, hash, 1,
                             number);
}

START_TEST(probes_are_bounded)
{
    enum measure_layout layout = _i % 2;
    /* In the first line, and in the last one, where probing wraps around. */
    uint64_t hash = _i / 2 ? UINT64_MAX : 0;
    uint32_t n_lines = measure_table_lines_for(layout, 1000);
    struct measure_table table;
    uint32_t n = 0;

    ck_assert(measure_table_init(&table, layout, n_lines, &budget,
                                 MEASURE_ANY_NODE));
    while (add_at(&table, MEASURE_TABLE_MAX_PROBES, hash, n + 1)) {
        n++;
    }
    ck_assert_uint_eq(n, MEASURE_TABLE_MAX_PROBES);
    ck_assert_uint_eq(measure_table_n_used(&table), n);
    ck_assert_uint_lt(n, table.max_used);
    /* Without a gap where it wraps around. */
    ck_assert_ptr_eq(measure_table_next(&table, NULL), table.rows);

    /* Elsewhere than on the packet path, any number of probes will do. */
    ck_assert(add_at(&table, MEASURE_TABLE_ANY_PROBES, hash, n + 1));
    ck_assert_uint_eq(measure_table_n_used(&table), n + 1);

    /* The last one within reach is found, the one behind it is not. */
    ck_assert(add_at(&table, MEASURE_TABLE_MAX_PROBES, hash, n));
    ck_assert(!add_at(&table, MEASURE_TABLE_MAX_PROBES, hash, n + 1));
    ck_assert(add_at(&table, MEASURE_TABLE_ANY_PROBES, hash, n + 1));
    ck_assert_uint_eq(measure_table_n_used(&table), n + 1);

    n = 0;
    MEASURE_TABLE_FOR_EACH (row, &table) {
        uint64_t expected = (row[0] >= MEASURE_TABLE_MAX_PROBES ? 2 : 1);

        ck_assert_uint_eq(*measure_row_packets(row, layout), expected);
        ck_assert_uint_eq(*measure_row_bytes(row, layout),
                          expected * row[0]);
        n++;
    }
    ck_assert_uint_eq(n, MEASURE_TABLE_MAX_PROBES + 1);
    measure_table_destroy(&table, &budget);
}
END_TEST

START_TEST(home_lines_lie_in_the_table)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 300; i++) {
        uint32_t n_lines = i < 10 ? i + 1 : 1 + random_below(&r, 3000);
        struct measure_table table;
        uint64_t *last;

        ck_assert(measure_table_init(&table, i % 2, n_lines, &budget,
                                     MEASURE_ANY_NODE));
        last = table.rows + (n_lines - 1) * 8;
        ck_assert_uint_eq((uintptr_t) table.rows % MEASURE_LINE_SIZE, 0);
        ck_assert_ptr_eq(measure_table_home(&table, 0), table.rows);
        ck_assert_ptr_eq(measure_table_home(&table, UINT64_MAX), last);
        for (int j = 0; j < 100; j++) {
            uint64_t hash = random_next(&r);
            uint64_t *home = measure_table_home(&table, hash);

            REQUIRE(home >= table.rows && home <= last);
            REQUIRE((uintptr_t) home % MEASURE_LINE_SIZE == 0);
        }
        measure_table_destroy(&table, &budget);
    }
}
END_TEST

START_TEST(lines_are_enough_and_not_more)
{
    struct random r = random_from(test_seed);

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        /* 64 bytes for an IPv4 flow, 128 for an IPv6 flow. */
        uint64_t per_key = layout == MEASURE_NARROW ? 64 : 128;

        for (int i = 0; i < 3000; i++) {
            uint64_t n = i < 2000 ? i : random_below(&r, 200000);
            uint32_t lines = measure_table_lines_for(layout, n);

            REQUIRE(lines >= 1);
            REQUIRE(measure_table_size(lines) == (n ? n : 1) * per_key);
            if (i % 50 == 1) {
                struct measure_table table;

                ck_assert(measure_table_init(&table, layout, lines, &budget,
                                             MEASURE_ANY_NODE));
                ck_assert_uint_eq(table.max_used, n);
                ck_assert_uint_eq(measure_budget_used(&budget),
                                  measure_table_size(lines));
                measure_table_destroy(&table, &budget);
            }
        }
        ck_assert_uint_eq(measure_table_lines_for(layout, UINT64_C(1) << 40),
                          MEASURE_TABLE_MAX_LINES);
    }
}
END_TEST

START_TEST(no_memory_makes_a_table_that_takes_nothing)
{
    enum measure_layout layout = _i;
    struct measure_fields fields = make_fields(layout, 1);
    struct rlimit limit = { 1 << 20, RLIM_INFINITY };
    struct measure_table table;

    /* Less than the process has already. */
    ck_assert(!setrlimit(RLIMIT_AS, &limit));
    ck_assert(!measure_table_init(&table, layout, 1 << 20, &budget,
                                  MEASURE_ANY_NODE));
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert(!setrlimit(RLIMIT_AS, &limit));

    ck_assert(!add(&table, &fields, 1, 1));
    ck_assert_uint_eq(measure_table_n_used(&table), 0);
    ck_assert_ptr_eq(measure_table_next(&table, NULL), NULL);
    measure_table_clear(&table);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
    measure_table_destroy(&table, &budget);
}
END_TEST

START_TEST(merge_adds_masked_keys)
{
    enum measure_layout layout = _i % MEASURE_N_LAYOUTS;
    enum measure_key_kind key_kind = _i / MEASURE_N_LAYOUTS;
    enum { N_KEYS = 5000, N_TABLES = 3 };
    struct oracle o = oracle_open();
    struct oracle groups;
    struct random r = random_from(test_seed);
    struct measure_table merged;

    ck_assert(measure_table_init(&merged, layout,
                                 measure_table_lines_for(layout, N_KEYS),
                                 &budget, MEASURE_ANY_NODE));
    for (int i = 0; i < N_TABLES; i++) {
        struct measure_table table;

        ck_assert(measure_table_init(&table, layout,
                                     measure_table_lines_for(layout, N_KEYS),
                                     &budget, MEASURE_ANY_NODE));
        /* The last one stays empty. */
        for (int j = 0; j < 20000 && i < N_TABLES - 1; j++) {
            struct measure_fields fields
                = make_fields(layout, random_below(&r, N_KEYS));

            REQUIRE(add(&table, &fields, 1, j));
            oracle_add(&o, &fields, 1, j);
        }
        measure_table_merge(&merged, &table,
                            measure_masks[key_kind].words[layout], &secret);
        measure_table_destroy(&table, &budget);
    }
    groups = oracle_group(&o, key_kind);
    check_table(&merged, &groups);
    oracle_close(&groups);
    oracle_close(&o);
    measure_table_destroy(&merged, &budget);
}
END_TEST

/* From the smallest table to one that takes all, by any steps. */
START_TEST(merge_grows_the_table_as_needed)
{
    enum measure_layout layout = _i % MEASURE_N_LAYOUTS;
    enum measure_key_kind key_kind = _i / MEASURE_N_LAYOUTS;
    enum { N_KEYS = 30000 };
    struct oracle o = oracle_open();
    struct oracle groups;
    struct measure_table merged, table;
    uint64_t n_groups;

    ck_assert(measure_table_init(&merged, layout, 2, &budget,
                                 MEASURE_ANY_NODE));
    ck_assert(measure_table_init(&table, layout,
                                 measure_table_lines_for(layout, N_KEYS),
                                 &budget, MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct measure_fields fields = make_fields(layout, i);

        REQUIRE(add(&table, &fields, 1, i));
        oracle_add(&o, &fields, 2, 2 * i);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert(measure_table_merge_growing(
            &merged, &table, measure_masks[key_kind].words[layout], &secret,
            N_KEYS, &budget));
    }
    groups = oracle_group(&o, key_kind);
    n_groups = groups.n;
    check_table(&merged, &groups);

    /* Not much larger than what it holds. */
    ck_assert_uint_le(merged.max_used, 4 * n_groups + 4 * MEASURE_TABLE_BLOCK);
    ck_assert_uint_le(merged.max_used, N_KEYS);
    oracle_close(&groups);
    oracle_close(&o);
    measure_table_destroy(&merged, &budget);
    measure_table_destroy(&table, &budget);
}
END_TEST

/* Tables of several sizes, which share no keys, some, or all. */
START_TEST(estimates_see_common_keys)
{
    enum measure_layout layout = _i % MEASURE_N_LAYOUTS;
    enum { N_TABLES = 5, N_KEYS = 30000 };
    uint32_t distance = _i / MEASURE_N_LAYOUTS * (N_KEYS / 2);
    struct measure_table tables[N_TABLES];
    const struct measure_table *pointers[N_TABLES];
    uint64_t n_keys = N_KEYS + (N_TABLES - 1) * distance;
    uint64_t estimate;

    for (uint32_t i = 0; i < N_TABLES; i++) {
        uint32_t n_lines = measure_table_lines_for(layout, N_KEYS);

        ck_assert(measure_table_init(&tables[i], layout,
                                     n_lines + i * n_lines / 2, &budget,
                                     MEASURE_ANY_NODE));
        pointers[i] = &tables[i];
        for (uint32_t j = 0; j < N_KEYS; j++) {
            struct measure_fields fields
                = make_fields(layout, i * distance + j);

            REQUIRE(add(&tables[i], &fields, 1, 1));
        }
    }
    estimate = measure_table_estimate(
        pointers, N_TABLES, measure_masks[MEASURE_KIND_FLOW].words[layout],
        &secret);

    /* Five standard deviations with at least 65536 / 5 keys. */
    printf("keys in all tables: [%.0f <= %"PRIu64" <= %.0f]\n",
           n_keys * .955, estimate, n_keys * 1.045);
    fflush(stdout);
    ck_assert_double_ge(estimate, n_keys * .955);
    ck_assert_double_le(estimate, n_keys * 1.045);
    for (int i = 0; i < N_TABLES; i++) {
        measure_table_destroy(&tables[i], &budget);
    }
}
END_TEST

START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    enum measure_layout layout = _i;
    struct measure_table table;
    uint64_t *rows[3] = { NULL };

    ck_assert(measure_table_init(&table, layout,
                                 measure_table_lines_for(layout, 100),
                                 &budget, MEASURE_ANY_NODE));
    for (int i = 0; i < 3; i++) {
        ck_assert(add_at(&table, MEASURE_TABLE_MAX_PROBES, 0, i + 1));
    }
    MEASURE_TABLE_FOR_EACH (row, &table) {
        rows[row[0] - 1] = row;
    }

    *measure_row_packets(rows[1], layout) = UINT64_MAX - 1;
    *measure_row_bytes(rows[1], layout) = UINT64_MAX - 2;
    ck_assert(add_at(&table, MEASURE_TABLE_MAX_PROBES, 0, 2));
    ck_assert_uint_eq(*measure_row_packets(rows[1], layout), UINT64_MAX);
    ck_assert_uint_eq(*measure_row_bytes(rows[1], layout), UINT64_MAX);
    ck_assert_uint_eq(rows[1][0], 2);
    for (int i = 0; i < 3; i += 2) {
        ck_assert_uint_eq(rows[i][0], i + 1);
        ck_assert_uint_eq(*measure_row_packets(rows[i], layout), 1);
        ck_assert_uint_eq(*measure_row_bytes(rows[i], layout), i + 1);
    }
    ck_assert_uint_eq(measure_table_n_used(&table), 3);
    measure_table_destroy(&table, &budget);
}
END_TEST

/* At the load limit nine IPv4 keys of ten lie in their home line, and none is
 * further than MEASURE_TABLE_MAX_PROBES rows behind it.
 *
 * An IPv6 key, with a line for itself, comes home if that line is not used
 * yet, whose probability falls from 1 to 1/2 while the table fills: 3/4 on
 * average.  Simulated, the share of IPv4 is 0.883.  With 2^17 keys the
 * standard deviation of both is about 0.001. */
START_TEST(full_table_keeps_keys_near_their_home)
{
    enum measure_layout layout = _i;
    enum { N_KEYS = 1 << 17 };
    size_t row_words = measure_row_words(layout);
    size_t n_home = 0, max_distance = 0, n_probes = 0;
    struct measure_probes probes = { 0, 0, 0 }, sample = { 0, 0, 0 };
    struct measure_table table;
    double share;

    ck_assert(measure_table_init(&table, layout,
                                 measure_table_lines_for(layout, N_KEYS),
                                 &budget, MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct measure_fields fields = make_fields(layout, i);

        REQUIRE(add(&table, &fields, 1, 1));
    }
    MEASURE_TABLE_FOR_EACH (row, &table) {
        uint64_t hash = measure_hash(&secret, row, measure_key_words(layout));
        uint64_t *home = measure_table_home(&table, hash);
        size_t n_words = measure_table_size(table.n_lines) / 8;
        size_t distance = (row - home + n_words) % n_words;

        n_home += distance < MEASURE_LINE_SIZE / 8;
        n_probes += distance / row_words + 1;
        if (distance / row_words > max_distance) {
            max_distance = distance / row_words;
        }
    }
    share = (double) n_home / N_KEYS;
    printf("%s: %.4f of the keys in their home line, furthest %zu rows\n",
           layout == MEASURE_NARROW ? "IPv4" : "IPv6", share, max_distance);
    fflush(stdout);
    ck_assert_double_eq_tol(share, layout == MEASURE_NARROW ? 0.883 : 0.75,
                            0.01);
    ck_assert_uint_lt(max_distance, MEASURE_TABLE_MAX_PROBES);

    measure_table_add_probes(&table, &secret, SIZE_MAX, &probes);
    ck_assert_uint_eq(probes.n_rows, N_KEYS);
    ck_assert_uint_eq(probes.n_probes, n_probes);
    ck_assert_uint_eq(probes.max_probes, max_distance + 1);
    measure_table_add_probes(&table, &secret, 1000, &sample);
    measure_table_add_probes(&table, &secret, 0, &sample);
    ck_assert_uint_eq(sample.n_rows, 1000);
    ck_assert_uint_le(sample.max_probes, max_distance + 1);
    measure_table_destroy(&table, &budget);
}
END_TEST

/* Keys that all have the same CRC32C lie where other keys do: see the test
 * before this one. */
START_TEST(crc_collisions_stay_near_their_home)
{
    enum measure_layout layout = _i;
    enum { N_KEYS = 1 << 17 };
    struct traffic t = traffic_open(layout, KEYS_COLLIDING, N_KEYS);
    struct measure_probes probes = { 0, 0, 0 };
    struct measure_table table;
    uint32_t n_home = 0;

    ck_assert(measure_table_init(&table, layout,
                                 measure_table_lines_for(layout, N_KEYS),
                                 &budget, MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < N_KEYS; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(&t, i, key);

        if (i % 1000 == 0) {
            ck_assert_uint_eq(crc32c(0, key, measure_key_words(layout)),
                              0x12345678);
        }
        REQUIRE(measure_table_add(&table, layout, MEASURE_TABLE_MAX_PROBES,
                                  key, hash, 1, i));
    }
    MEASURE_TABLE_FOR_EACH (row, &table) {
        uint64_t hash = measure_hash(&secret, row, measure_key_words(layout));
        uint64_t *home = measure_table_home(&table, hash);

        REQUIRE(*measure_row_packets(row, layout) == 1);
        REQUIRE(*measure_row_bytes(row, layout) == traffic_number(&t, row));
        n_home += row >= home && row < home + MEASURE_LINE_SIZE / 8;
    }
    ck_assert_uint_eq(measure_table_n_used(&table), N_KEYS);
    measure_table_add_probes(&table, &secret, SIZE_MAX, &probes);
    require_between("share of keys in their home line",
                    layout == MEASURE_NARROW ? .873 : .74,
                    (double) n_home / N_KEYS,
                    layout == MEASURE_NARROW ? .893 : .76);
    require_between("probes for the furthest key", 1, probes.max_probes,
                    MEASURE_TABLE_MAX_PROBES);
    traffic_close(&t);
    measure_table_destroy(&table, &budget);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-table");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, counts_are_exact, 0, N_EXACT);
    tcase_add_loop_test(tests,
                        full_table_refuses_new_keys_and_changes_nothing,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, probes_are_bounded, 0, 4);
    tcase_add_test(tests, home_lines_lie_in_the_table);
    tcase_add_test(tests, lines_are_enough_and_not_more);
    tcase_add_loop_test(tests, no_memory_makes_a_table_that_takes_nothing,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, merge_adds_masked_keys,
                        0, MEASURE_N_KINDS * MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, merge_grows_the_table_as_needed,
                        0, MEASURE_N_KINDS * MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, estimates_see_common_keys,
                        0, 3 * MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, full_table_keeps_keys_near_their_home,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, crc_collisions_stay_near_their_home,
                        0, MEASURE_N_LAYOUTS);
    return tests_run(tests);
}
