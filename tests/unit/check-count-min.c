/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the Count-Min sketch. */

#include "check-structures.h"

#include <math.h>

#include "burst.h"

struct fixture {
    struct measure_count_min sketch;
    void *memory;
    size_t size;
};

static const struct measure_heavy_params no_keys = {
    .max_keys = 1,
    .min_packets = MEASURE_NEVER,
    .min_bytes = MEASURE_NEVER,
};

static void
open_sketch(struct fixture *f, enum measure_layout layout, uint32_t depth,
            uint32_t width, bool conservative,
            const struct measure_heavy_params *heavy)
{
    struct measure_count_min_params params = {
        .layout = layout,
        .depth = depth,
        .width = width,
        .conservative = conservative,
        .heavy = *heavy,
        .secret = &secret,
    };

    f->size = measure_count_min_size(&params);
    f->memory = get_memory(f->size);
    measure_count_min_init(&f->sketch, &params, f->memory);
}

static void
close_sketch(struct fixture *f)
{
    put_memory(f->memory, f->size);
}

static void
add_burst(void *sketch, struct measure_record *records, size_t n)
{
    count_min_add_burst(sketch, records, n);
}

/* The same, packet by packet. */
static void
add_packets(void *sketch_, struct measure_record *records, size_t n)
{
    struct measure_count_min *sketch = sketch_;
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t hash = measure_hash(&secret, records[i].key,
                                     measure_key_words(sketch->layout));

        measure_count_min_add(sketch, records[i].key, hash, 1,
                              records[i].bytes);
        bytes += records[i].bytes;
    }
    measure_heavy_keys_advance(&sketch->heavy, n, bytes);
}

/* Checks that each cell has what its keys have, and that no estimate is too
 * low. */
static void
check_cells(const struct measure_count_min *sketch, const struct traffic *t)
{
    size_t n_cells = (size_t) sketch->depth * sketch->width;
    struct measure_cell *expected = calloc(n_cells, sizeof *expected);

    for (uint32_t i = 0; i < t->n_keys; i++) {
        struct measure_cell *cells[MEASURE_COUNT_MIN_MAX_DEPTH];
        struct measure_estimate estimate;
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(t, i, key);

        measure_count_min_find(sketch, sketch->depth, hash, cells);
        for (uint32_t row = 0; row < sketch->depth; row++) {
            size_t cell = cells[row] - sketch->cells;

            REQUIRE(cell / sketch->width == row);
            expected[cell].packets += t->key_packets[i];
            expected[cell].bytes += t->key_bytes[i];
        }
        measure_count_min_estimate(sketch, hash, &estimate);
        REQUIRE(estimate.packets >= t->key_packets[i]);
        REQUIRE(estimate.bytes >= t->key_bytes[i]);
    }
    if (!sketch->conservative) {
        ck_assert_mem_eq(expected, sketch->cells,
                         n_cells * sizeof *expected);
    } else {
        for (size_t i = 0; i < n_cells; i++) {
            REQUIRE(sketch->cells[i].packets <= expected[i].packets);
            REQUIRE(sketch->cells[i].bytes <= expected[i].bytes);
        }
    }
    free(expected);
}

START_TEST(cells_add_up)
{
    static const uint32_t depths[] = { 1, 3, 8 };

    for (int i = 0; i < 6; i++) {
        struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), 2000);
        struct fixture f;

        open_sketch(&f, t.layout, depths[i % 3], 501, i / 3, &no_keys);
        traffic_send(&t, LOOP_STREAM(_i), 10000, test_seed, add_burst,
                     &f.sketch);
        check_cells(&f.sketch, &t);
        traffic_close(&t);
        close_sketch(&f);
    }
}
END_TEST

/* Two keys that share the cell of one row share that of another as often as
 * any two keys: of 'n' pairs, n / width.  With reseeded CRC32C it would be
 * all of them. */
START_TEST(rows_are_independent)
{
    enum measure_layout layout = _i % 2;
    enum { N_KEYS = 4000, WIDTH = 256 };
    /* Rows 0 and 1 are halves of one hash. */
    static const int pairs[3][2] = { { 0, 1 }, { 1, 2 }, { 0, 2 } };
    const int *rows = pairs[_i / 4];
    struct traffic t = traffic_open(layout, _i / 2 % 2, N_KEYS);
    size_t n_first = 0, n_second = 0;
    size_t (*columns)[2] = calloc(N_KEYS, sizeof *columns);
    struct fixture f;

    open_sketch(&f, layout, 3, WIDTH, false, &no_keys);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        struct measure_cell *cells[3];

        measure_count_min_find(&f.sketch, 3, traffic_hash(&t, i, key), cells);
        for (int row = 0; row < 2; row++) {
            columns[i][row] = cells[rows[row]] - f.sketch.cells;
        }
    }
    for (uint32_t i = 0; i < N_KEYS; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (columns[i][0] == columns[j][0]) {
                n_first++;
                n_second += columns[i][1] == columns[j][1];
            }
        }
    }
    /* Means 31242 and 122, standard deviations 177 and 11. */
    require_between("pairs in a cell of one row", 30000, n_first, 32500);
    require_between("of them, in a cell of another", 60, n_second, 200);
    free(columns);
    traffic_close(&t);
    close_sketch(&f);
}
END_TEST

START_TEST(signs_of_a_pair)
{
    static const uint64_t numbers[] = { 0, 1, UINT64_MAX >> 1,
                                        UINT64_C(1) << 63, UINT64_MAX };

    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            measure_pair pair = { numbers[i], numbers[j] };

            ck_assert_uint_eq(measure_pair_negative(pair),
                              (i >= 3) | (j >= 3) << 1);
            ck_assert_uint_eq(measure_pair_negative_generic(pair),
                              (i >= 3) | (j >= 3) << 1);
        }
    }
}
END_TEST

/* The bound of Cormode and Muthukrishnan: an estimate is too high by more than
 * e N / width with probability at most e^-depth. */
START_TEST(bound_holds)
{
    static const uint32_t depths[] = { 1, 2, 3, 5 };
    enum stream_kind kinds[] = { STREAM_UNIFORM, STREAM_ZIPF,
                                 STREAM_ALL_NEW };
    enum { N_KEYS = 30000, WIDTH = 1000, N_PACKETS = 60000 };
    uint32_t depth = depths[_i / 2 % 4];
    struct traffic t = traffic_open(_i % 2, (_i + _i / 8) % 2, N_KEYS);
    uint32_t n_packets = 0, n_bytes = 0;
    double sums[2] = { 0, 0 };

    for (int conservative = 0; conservative < 2; conservative++) {
        struct fixture f;

        traffic_close(&t);
        t = traffic_open(_i % 2, _i / 8 % 2, N_KEYS);
        open_sketch(&f, t.layout, depth, WIDTH, conservative, &no_keys);
        traffic_send(&t, kinds[_i / 8], N_PACKETS, test_seed, add_burst,
                     &f.sketch);
        for (uint32_t i = 0; i < N_KEYS; i++) {
            struct measure_estimate estimate;
            uint64_t key[MEASURE_KEY_WORDS];

            measure_count_min_estimate(&f.sketch, traffic_hash(&t, i, key),
                                       &estimate);
            sums[conservative] += estimate.packets - t.key_packets[i];
            n_packets += (estimate.packets - t.key_packets[i]
                          > M_E * N_PACKETS / WIDTH);
            n_bytes += (estimate.bytes - t.key_bytes[i]
                        > M_E * t.bytes / WIDTH);
            REQUIRE(estimate.packets_error <= M_E * N_PACKETS / WIDTH);
            REQUIRE(estimate.packets_error
                    >= fmin(estimate.packets, M_E * N_PACKETS / WIDTH) - 1);
        }
        close_sketch(&f);
    }
    printf("depth %u: ", depth);
    require_between("share of keys beyond the bound, packets", 0,
                    n_packets / 2.0 / N_KEYS, exp(-(double) depth));
    require_between("share of keys beyond the bound, bytes", 0,
                    n_bytes / 2.0 / N_KEYS, exp(-(double) depth));
    require_between("mean error of conservative update to the plain one", 0,
                    sums[1] / (sums[0] + 1e-9), depth == 1 ? 1 : 0.999);
    traffic_close(&t);
}
END_TEST

/* No key above the threshold is missing, and few below it are there. */
START_TEST(heavy_keys_are_recorded)
{
    enum { N_KEYS = 20000, N_PACKETS = 400000 };
    struct measure_heavy_params heavy = {
        .max_keys = 4096,
        .min_packets = 1,
        .min_bytes = 1,
        .packets_share = MEASURE_WHOLE / 1000,
        .bytes_share = MEASURE_WHOLE / 1000,
    };
    uint64_t threshold = N_PACKETS / 1000;
    struct traffic t = traffic_open(_i % 2, KEYS_PLAIN, N_KEYS);
    uint32_t n_found = 0, n_right = 0;
    struct fixture f;

    open_sketch(&f, t.layout, 3, 20000, _i / 2, &heavy);
    traffic_send(&t, STREAM_ZIPF, N_PACKETS, test_seed, add_burst, &f.sketch);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.sketch.heavy), 0);
    MEASURE_TABLE_FOR_EACH (row, &f.sketch.heavy.table) {
        struct measure_estimate estimate;
        uint32_t i = traffic_number(&t, row);
        uint64_t key[MEASURE_KEY_WORDS];

        measure_count_min_estimate(&f.sketch, traffic_hash(&t, i, key),
                                   &estimate);
        REQUIRE(*measure_row_packets(row, t.layout) <= estimate.packets);
        REQUIRE(*measure_row_bytes(row, t.layout) <= estimate.bytes);
        if (estimate.packets >= threshold) {
            n_found++;
            n_right += t.key_packets[i] >= threshold;
        }
    }
    for (uint32_t i = 0; i < N_KEYS; i++) {
        REQUIRE(t.seen[i] || (t.key_packets[i] < threshold
                              && t.key_bytes[i] < t.bytes / 1000));
    }
    require_between("precision", 0.95, (double) n_right / n_found, 1);
    traffic_close(&t);
    close_sketch(&f);
}
END_TEST

/* 30 keys in turn, and room for 10 of them. */
START_TEST(lost_keys_are_counted)
{
    struct measure_heavy_params heavy = {
        .max_keys = 10,
        .min_packets = 2,
        .min_bytes = MEASURE_NEVER,
    };
    struct traffic t = traffic_open(_i, KEYS_PLAIN, 30);
    struct fixture f;

    open_sketch(&f, t.layout, 3, 100000, false, &heavy);
    /* 10 are recorded, and the next one lifts the threshold to 3. */
    traffic_send(&t, STREAM_SEQUENTIAL, 2 * 30, test_seed, add_packets,
                 &f.sketch);
    ck_assert_uint_eq(measure_table_n_used(&f.sketch.heavy.table), 10);
    ck_assert_uint_ge(measure_heavy_keys_lost(&f.sketch.heavy), 1);
    ck_assert_uint_eq(f.sketch.heavy.packets_threshold, 3);

    /* However long this goes on, keys are lost while they are above the
     * threshold, which they lift above themselves. */
    traffic_send(&t, STREAM_SEQUENTIAL, 98 * 30, test_seed, add_packets,
                 &f.sketch);
    ck_assert_uint_eq(measure_table_n_used(&f.sketch.heavy.table), 10);
    ck_assert_uint_le(measure_heavy_keys_lost(&f.sketch.heavy), 30);
    ck_assert_uint_ge(f.sketch.heavy.packets_threshold, 80);
    ck_assert_uint_le(f.sketch.heavy.packets_threshold, 100 + 25 + 1);
    for (uint32_t i = 0; i < 30; i++) {
        uint64_t key[MEASURE_KEY_WORDS];

        traffic_hash(&t, i, key);
        t.seen[i] = false;
    }
    MEASURE_TABLE_FOR_EACH (row, &f.sketch.heavy.table) {
        traffic_number(&t, row);
    }
    for (uint32_t i = 0; i < 30; i++) {
        REQUIRE(t.seen[i]
                || t.key_packets[i] < f.sketch.heavy.packets_threshold);
    }
    traffic_close(&t);
    close_sketch(&f);
}
END_TEST

/* A key that gave way is recorded again, even if its hash was known. */
START_TEST(keys_that_gave_way_come_back)
{
    struct measure_heavy_params heavy = {
        .max_keys = 1,
        .min_packets = 1,
        .min_bytes = MEASURE_NEVER,
        .packets_share = MEASURE_WHOLE / 4,
    };
    struct traffic t = traffic_open(_i, KEYS_PLAIN, 2);
    struct fixture f;

    open_sketch(&f, t.layout, 3, 100000, false, &heavy);
    for (uint64_t i = 0, n = 100; i < 10; i++, n *= 4) {
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(&t, i % 2, key);

        for (int j = 0; j < 10; j++) {
            measure_count_min_add(&f.sketch, key, hash, n / 10, n);
            measure_heavy_keys_advance(&f.sketch.heavy, n / 10, n);
        }
        traffic_forget(&t);
        MEASURE_TABLE_FOR_EACH (row, &f.sketch.heavy.table) {
            traffic_number(&t, row);
        }
        ck_assert_uint_eq(measure_table_n_used(&f.sketch.heavy.table), 1);
        ck_assert(t.seen[i % 2]);
    }
    traffic_close(&t);
    close_sketch(&f);
}
END_TEST

START_TEST(counters_have_64_bits)
{
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    struct measure_estimate estimate;
    struct fixture f;

    open_sketch(&f, MEASURE_NARROW, 3, 16, _i, &no_keys);
    measure_count_min_add(&f.sketch, key, 7, UINT32_MAX, UINT32_MAX);
    measure_count_min_add(&f.sketch, key, 7, 1, UINT64_C(1) << 62);
    measure_count_min_estimate(&f.sketch, 7, &estimate);
    ck_assert_uint_eq(estimate.packets, UINT64_C(1) << 32);
    ck_assert_uint_eq(estimate.bytes, (UINT64_C(1) << 62) + UINT32_MAX);
    close_sketch(&f);
}
END_TEST

/* Up to 2^63 - 1, counts are right, thresholds are crossed at the right
 * packet, and no other cell is touched. */
START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    enum { DEPTH = 3, WIDTH = 64 };
    const uint64_t most = UINT64_MAX >> 1;
    struct measure_heavy_params heavy = {
        .max_keys = 10,
        .min_packets = most - 1,
        .min_bytes = most - 60,
    };
    struct traffic t = traffic_open(_i % 2, KEYS_PLAIN, 1);
    struct measure_cell *cells[MEASURE_COUNT_MIN_MAX_DEPTH];
    struct measure_record records[3];
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t hash = traffic_hash(&t, 0, key);
    struct fixture f;

    open_sketch(&f, t.layout, DEPTH, WIDTH, _i / 2, &heavy);
    measure_count_min_find(&f.sketch, DEPTH, hash, cells);
    for (int i = 0; i < DEPTH; i++) {
        cells[i]->packets = most - 4;
        cells[i]->bytes = most - 181;
    }
    memset(records, 0, sizeof records);
    for (int i = 0; i < 3; i++) {
        memcpy(records[i].key, key, sizeof key);
        records[i].verdict = t.layout;
        records[i].bytes = 60;
    }
    count_min_add_burst(&f.sketch, records, 2);
    ck_assert_uint_eq(measure_table_n_used(&f.sketch.heavy.table), 0);
    count_min_add_burst(&f.sketch, &records[2], 1);
    ck_assert_uint_eq(measure_table_n_used(&f.sketch.heavy.table), 1);
    measure_count_min_add(&f.sketch, key, hash, 1, 1);
    for (int i = 0; i < DEPTH * WIDTH; i++) {
        bool same = false;

        for (int j = 0; j < DEPTH; j++) {
            same |= &f.sketch.cells[i] == cells[j];
        }
        ck_assert_uint_eq(f.sketch.cells[i].packets, same ? most : 0);
        ck_assert_uint_eq(f.sketch.cells[i].bytes, same ? most : 0);
    }
    traffic_close(&t);
    close_sketch(&f);
}
END_TEST

/* The loop over a burst counts what adding packet by packet does, and records
 * the same keys.  (How often it records them again depends on which known key
 * took the place of which when.) */
START_TEST(bursts_are_their_packets)
{
    static const uint32_t depths[] = { 3, 3, 5, 5 };
    struct measure_heavy_params heavy = {
        .max_keys = 1000,
        .min_packets = 20,
        .min_bytes = 30000,
        .packets_share = MEASURE_WHOLE / 500,
    };

    for (int i = 0; i < 4; i++) {
        struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), 3000);
        struct fixture a, b;

        open_sketch(&a, t.layout, depths[i], 997, i % 2, &heavy);
        open_sketch(&b, t.layout, depths[i], 997, i % 2, &heavy);
        traffic_send(&t, LOOP_STREAM(_i), 20000, test_seed, add_burst,
                     &a.sketch);
        traffic_send(&t, LOOP_STREAM(_i), 20000, test_seed, add_packets,
                     &b.sketch);
        ck_assert_mem_eq(a.sketch.cells, b.sketch.cells,
                         sizeof *a.sketch.cells * depths[i] * 997);
        ck_assert_uint_eq(measure_table_n_used(&a.sketch.heavy.table),
                          measure_table_n_used(&b.sketch.heavy.table));
        MEASURE_TABLE_FOR_EACH (row, &a.sketch.heavy.table) {
            bool found = false;

            MEASURE_TABLE_FOR_EACH (other, &b.sketch.heavy.table) {
                found |= measure_key_equal(row, other, t.layout);
            }
            REQUIRE(found);
        }
        ck_assert(measure_table_n_used(&a.sketch.heavy.table)
                  || (LOOP_STREAM(_i) != STREAM_ONE
                      && LOOP_STREAM(_i) != STREAM_ZIPF));
        ck_assert_uint_eq(measure_heavy_keys_lost(&a.sketch.heavy),
                          measure_heavy_keys_lost(&b.sketch.heavy));
        traffic_close(&t);
        close_sketch(&a);
        close_sketch(&b);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-count-min");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, cells_add_up, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, rows_are_independent, 0, 12);
    tcase_add_test(tests, signs_of_a_pair);
    tcase_add_loop_test(tests, bound_holds, 0, 24);
    tcase_add_loop_test(tests, heavy_keys_are_recorded, 0, 4);
    tcase_add_loop_test(tests, lost_keys_are_counted, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, keys_that_gave_way_come_back,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, counters_have_64_bits, 0, 2);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, 4);
    tcase_add_loop_test(tests, bursts_are_their_packets, 0, N_TRAFFIC);
    return tests_run(tests);
}
