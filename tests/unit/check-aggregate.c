/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of adding up rows, and of partitions. */

#include "check-common.h"

#include "report/measure-aggregate.h"
#include "report/measure-partition.h"

/* Keys that differ in their number, and for every other number only by the
 * port of the switch. */
static void
make_row(uint64_t *row, enum measure_layout layout, uint32_t number,
         uint64_t packets, uint64_t bytes)
{
    unsigned int n_words = measure_key_words(layout);

    memset(row, 0, n_words * sizeof *row);
    row[0] = number / 2 * UINT64_C(0x100000001);
    row[n_words - 1] = layout == MEASURE_WIDE ? number / 2 : 0;
    row[measure_key_ports(layout)]
        |= (uint64_t) (number % 2) << MEASURE_PORT_SHIFT;
    row[n_words] = packets;
    row[n_words + 1] = bytes;
}

/* The numbers of one run of a test, and what they add up to. */
enum { MAX_NUMBERS = 20000 };

static uint64_t packets[MAX_NUMBERS], bytes[MAX_NUMBERS];

static void
check_rows(const struct measure_aggregate *aggregate, uint32_t n_numbers)
{
    size_t row_words = measure_row_words(aggregate->layout);
    uint32_t n = 0;

    for (uint32_t i = 0; i < n_numbers; i++) {
        uint64_t key[MEASURE_KEY_WORDS + 2];
        uint64_t *row;

        make_row(key, aggregate->layout, i, 0, 0);
        row = measure_aggregate_find(aggregate, key);
        REQUIRE(!row == !packets[i]);
        if (row) {
            REQUIRE((row - aggregate->rows) % row_words == 0);
            REQUIRE(!memcmp(row, key,
                            measure_key_words(aggregate->layout) * 8));
            REQUIRE(row[row_words - 2] == packets[i]);
            REQUIRE(row[row_words - 1] == bytes[i]);
            n++;
        }
    }
    ck_assert_uint_eq(aggregate->n, n);
}

START_TEST(groups_add_up)
{
    static const uint32_t sizes[] = { 1, 2, 63, 64, 65, 1000, MAX_NUMBERS };
    enum measure_layout layout = _i;
    struct random r = random_from(test_seed);
    struct measure_hash_secret secret;
    struct measure_aggregate aggregate;

    measure_hash_secret_init(&secret, test_seed);
    measure_aggregate_init(&aggregate, layout, &secret, &budget);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        uint32_t n_rows = sizes[i] * 3;
        uint64_t *rows = calloc(n_rows, (MEASURE_KEY_WORDS + 2) * 8);
        struct measure_table view;
        uint32_t n_seen = 0;

        memset(packets, 0, sizeof packets);
        memset(bytes, 0, sizeof bytes);
        for (uint32_t j = 0; j < n_rows; j++) {
            uint32_t number = random_below(&r, sizes[i]);
            uint64_t more = 1 + random_below(&r, 1000);

            make_row(&rows[j * measure_row_words(layout)], layout, number,
                     more, more * 60);
            packets[number] += more;
            bytes[number] += more * 60;
        }
        aggregate.n = 0;
        ck_assert(measure_aggregate_begin(&aggregate, n_rows));
        ck_assert(measure_aggregate_add(&aggregate, rows, n_rows));
        check_rows(&aggregate, sizes[i]);
        measure_aggregate_view(&aggregate, &view);
        MEASURE_TABLE_FOR_EACH (row, &view) {
            REQUIRE(row == &aggregate.rows[n_seen++
                                           * measure_row_words(layout)]);
        }
        ck_assert_uint_eq(n_seen, aggregate.n);
        free(rows);
    }
    measure_aggregate_destroy(&aggregate);
    measure_memory_trim(&budget, 0);
}
END_TEST

/* What was there before stays, and is not found any more. */
START_TEST(groups_of_parts_are_apart)
{
    struct measure_hash_secret secret;
    struct measure_aggregate aggregate;
    uint64_t row[MEASURE_KEY_WORDS + 2];

    measure_hash_secret_init(&secret, test_seed);
    measure_aggregate_init(&aggregate, _i, &secret, &budget);
    make_row(row, _i, 10, 1, 60);
    for (uint32_t part = 0; part < 3000; part++) {
        ck_assert(measure_aggregate_begin(&aggregate, 1));
        REQUIRE(!measure_aggregate_find(&aggregate, row));
        ck_assert(measure_aggregate_add(&aggregate, row, 1));
        REQUIRE(measure_aggregate_find(&aggregate, row)
                == &aggregate.rows[part * measure_row_words(_i)]);
    }
    ck_assert_uint_eq(aggregate.n, 3000);
    measure_aggregate_destroy(&aggregate);
}
END_TEST

/* Returns true if it is seen that row 'number' is of a flow that another one
 * is of, too. */
static bool
add_flow(struct measure_aggregate *aggregate, uint32_t number)
{
    uint64_t row[MEASURE_KEY_WORDS + 2];
    bool differ = false;

    make_row(row, aggregate->layout, number, 1, 60);
    ck_assert(measure_aggregate_add_flows(aggregate, row, 1, &differ));
    return differ;
}

START_TEST(flows_by_several_ports_are_seen)
{
    struct measure_hash_secret secret;
    struct measure_aggregate aggregate;

    measure_hash_secret_init(&secret, test_seed);
    measure_aggregate_init(&aggregate, _i, &secret, &budget);
    ck_assert(measure_aggregate_begin(&aggregate,
                                      2 * MEASURE_AGGREGATE_BATCH));
    for (uint32_t i = 0; i < MEASURE_AGGREGATE_BATCH; i++) {
        ck_assert(!add_flow(&aggregate, 2 * i + i % 2));
        ck_assert(!add_flow(&aggregate, 2 * i + i % 2));
    }
    ck_assert_uint_eq(aggregate.n, MEASURE_AGGREGATE_BATCH);
    ck_assert(!add_flow(&aggregate, 15));
    ck_assert(add_flow(&aggregate, 14));
    ck_assert_uint_eq(aggregate.n, MEASURE_AGGREGATE_BATCH + 1);
    measure_aggregate_destroy(&aggregate);
}
END_TEST

/* By keys without the port of the switch, that is two numbers at a time: the
 * sums, and how many rows, with their packets. */
START_TEST(masked_rows_add_up)
{
    const uint64_t *mask = measure_masks[MEASURE_KIND_FLOW].words[_i];
    size_t row_words = measure_row_words(_i);
    enum { N = 1000 };
    uint64_t *rows = calloc(2 * N, (MEASURE_KEY_WORDS + 2) * 8);
    struct measure_hash_secret secret;
    struct measure_aggregate aggregate;

    measure_hash_secret_init(&secret, test_seed);
    measure_aggregate_init(&aggregate, _i, &secret, &budget);
    for (uint32_t i = 0; i < 2 * N; i++) {
        make_row(&rows[i * row_words], _i, i, i + 1, 100 * i);
    }
    for (int value = MEASURE_AGGREGATE_SUM; value <= MEASURE_AGGREGATE_COUNT;
         value++) {
        bool sum = value == MEASURE_AGGREGATE_SUM;

        aggregate.n = 0;
        ck_assert(measure_aggregate_begin(&aggregate, 2 * N));
        ck_assert(measure_aggregate_add_masked(&aggregate, rows, 2 * N, mask,
                                               value));
        ck_assert_uint_eq(aggregate.n, N);
        for (uint32_t i = 0; i < N; i++) {
            uint64_t key[MEASURE_KEY_WORDS + 2];
            uint64_t *row;

            make_row(key, _i, 2 * i, 0, 0);
            row = measure_aggregate_find(&aggregate, key);
            REQUIRE(row);
            REQUIRE(row[row_words - 2] == (sum ? 4 * i + 3 : 2));
            REQUIRE(row[row_words - 1] == (sum ? 100 * (4 * i + 1)
                                           : 4 * i + 3));
        }
    }
    measure_aggregate_destroy(&aggregate);
    free(rows);
}
END_TEST

/* Each row comes out of the partition that its hash chose, in order. */
START_TEST(partitions_keep_their_rows)
{
    enum measure_layout layout = _i;
    struct random r = random_from(test_seed);

    for (uint32_t n = 1; n <= 64; n *= 4) {
        struct measure_partitions p;
        uint32_t n_out = 0;

        ck_assert(measure_partitions_init(&p, layout, MAX_NUMBERS, n,
                                          &budget));
        for (uint32_t i = 0; i < MAX_NUMBERS; i++) {
            uint64_t row[MEASURE_KEY_WORDS + 2];
            /* Few in the first ones. */
            uint64_t hash = random_below(&r, n) | random_below(&r, n);

            make_row(row, layout, i, i + 1, hash);
            if (layout == MEASURE_NARROW) {
                measure_partitions_add(&p, MEASURE_NARROW, hash, row, i + 1,
                                       hash);
            } else {
                measure_partitions_add(&p, MEASURE_WIDE, hash, row, i + 1,
                                       hash);
            }
        }
        for (uint32_t i = 0; i < n; i++) {
            struct measure_chunk chunk = { .number = 0 };
            uint32_t before = n_out;
            uint64_t last = 0;

            while (measure_partition_next_chunk(&p, i, &chunk)) {
                for (size_t j = 0; j < chunk.n; j++, n_out++) {
                    uint64_t *row = &chunk.rows[j * measure_row_words(layout)];

                    REQUIRE(*measure_row_bytes(row, layout) == i);
                    REQUIRE(*measure_row_packets(row, layout) > last);
                    last = *measure_row_packets(row, layout);
                }
            }
            ck_assert_uint_eq(n_out - before, measure_partition_n_rows(&p, i));
        }
        ck_assert_uint_eq(n_out, MAX_NUMBERS);
        measure_partitions_destroy(&p, &budget);
    }
    ck_assert_uint_eq(measure_partitions_for(1), 1);
    ck_assert_uint_eq(measure_partitions_for(UINT64_MAX),
                      MEASURE_MAX_PARTITIONS);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-aggregate");

    tcase_add_loop_test(tests, groups_add_up, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, groups_of_parts_are_apart, 0,
                        MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, masked_rows_add_up, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, flows_by_several_ports_are_seen, 0,
                        MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, partitions_keep_their_rows, 0,
                        MEASURE_N_LAYOUTS);
    return tests_run(tests);
}
