/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the count array. */

#include "check-structures.h"

#include "burst.h"

struct fixture {
    struct measure_count_array array;
    void *memory;
    size_t size;
};

static void
open_array(struct fixture *f, enum measure_layout layout, uint32_t n_cells,
           const struct measure_heavy_params *heavy)
{
    struct measure_count_array_params params = {
        .layout = layout,
        .n_cells = n_cells,
        .heavy = *heavy,
        .secret = &secret,
    };

    f->size = measure_count_array_size(&params);
    f->memory = get_memory(f->size);
    measure_count_array_init(&f->array, &params, f->memory);
}

static void
close_array(struct fixture *f)
{
    put_memory(f->memory, f->size);
}

static void
add_burst(void *array, struct measure_record *records, size_t n)
{
    count_array_add_burst(array, records, n);
}

/* The same, packet by packet. */
static void
add_packets(void *array_, struct measure_record *records, size_t n)
{
    struct measure_count_array *array = array_;
    uint64_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t hash = measure_hash(&secret, records[i].key,
                                     measure_key_words(array->layout));

        measure_count_array_add(array, records[i].key, hash, 1,
                                records[i].bytes);
        bytes += records[i].bytes;
    }
    measure_heavy_keys_advance(&array->heavy, n, bytes);
}

static const struct measure_heavy_params no_keys = {
    .max_keys = 1,
    .min_packets = MEASURE_NEVER,
    .min_bytes = MEASURE_NEVER,
};

/* Checks that each cell has what its keys have, and nothing else. */
static void
check_cells(const struct measure_count_array *array, const struct traffic *t)
{
    struct measure_cell *expected = calloc(array->n_cells, sizeof *expected);

    for (uint32_t i = 0; i < t->n_keys; i++) {
        struct measure_estimate estimate;
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(t, i, key);
        size_t cell = measure_count_array_cell(array, hash) - array->cells;

        REQUIRE(cell < array->n_cells);
        expected[cell].packets += t->key_packets[i];
        expected[cell].bytes += t->key_bytes[i];

        measure_count_array_estimate(array, hash, &estimate);
        REQUIRE(estimate.packets >= t->key_packets[i]);
        REQUIRE(estimate.bytes >= t->key_bytes[i]);
        REQUIRE(estimate.packets_error <= estimate.packets);
        REQUIRE(estimate.bytes_error <= estimate.bytes);
    }
    ck_assert_mem_eq(expected, array->cells,
                     array->n_cells * sizeof *expected);
    free(expected);
}

START_TEST(cells_add_up)
{
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), 5000);
    struct fixture f;

    open_array(&f, t.layout, 1001, &no_keys);
    traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_burst, &f.array);
    check_cells(&f.array, &t);
    ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table), 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 0);
    traffic_close(&t);
    close_array(&f);
}
END_TEST

/* The bound of the header: an estimate is too high by more than k * N / m with
 * probability at most 1 / k.  On average it is too high by N / m. */
START_TEST(bound_holds)
{
    enum { N_KEYS = 50000, N_CELLS = 4096, N_PACKETS = 200000 };
    struct traffic t = traffic_open(_i % 2, _i / 4, N_KEYS);
    uint32_t n_beyond = 0;
    double sum = 0;
    struct fixture f;

    open_array(&f, t.layout, N_CELLS, &no_keys);
    traffic_send(&t, _i / 2 % 2 ? STREAM_ZIPF : STREAM_UNIFORM, N_PACKETS,
                 test_seed, add_burst, &f.array);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct measure_estimate estimate;
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(&t, i, key);
        uint64_t error;

        measure_count_array_estimate(&f.array, hash, &estimate);
        error = estimate.packets - t.key_packets[i];
        sum += error;
        n_beyond += (error > estimate.packets_error
                     || (estimate.bytes - t.key_bytes[i]
                         > estimate.bytes_error));
    }
    /* The few heaviest keys of Zipf's law move the average. */
    require_between("mean error, in N / m", _i / 2 % 2 ? 0.5 : 0.97,
                    sum / N_KEYS / ((double) N_PACKETS / N_CELLS),
                    _i / 2 % 2 ? 2.0 : 1.03);
    require_between("share of keys beyond the bound", 0,
                    (double) n_beyond / N_KEYS,
                    1.0 / MEASURE_COUNT_ARRAY_ERROR_FACTOR);
    traffic_close(&t);
    close_array(&f);
}
END_TEST

/* Keys that collide under CRC32C are spread like others: a cell of 64 keys on
 * average has, with probability 1e-9 for all 1024, no more than 124. */
START_TEST(crc_collisions_do_not_collide)
{
    enum measure_layout layout = _i;
    enum { N_KEYS = 65536, N_CELLS = 1024 };
    struct traffic t = traffic_open(layout, KEYS_COLLIDING, N_KEYS);
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t max = 0;
    struct fixture f;

    for (uint32_t i = 0; i < 100; i++) {
        make_key(layout, KEYS_COLLIDING, i * 653, key);
        ck_assert_uint_eq(crc32c(0, key, measure_key_words(layout)),
                          0x12345678);
    }
    open_array(&f, layout, N_CELLS, &no_keys);
    traffic_send(&t, STREAM_ALL_NEW, N_KEYS, test_seed, add_burst, &f.array);
    for (uint32_t i = 0; i < N_CELLS; i++) {
        max = (f.array.cells[i].packets > max
               ? f.array.cells[i].packets : max);
    }
    require_between("largest of 1024 cells for 65536 keys", 65, max, 124);
    traffic_close(&t);
    close_array(&f);
}
END_TEST

/* Heavy hitters by the running threshold, where three keys of ten share their
 * cells with others: nearly all are found, and nearly all that is found is
 * heavy.  To ask for all keys afterwards would find many times too many. */
START_TEST(heavy_keys_are_recorded)
{
    enum { N_KEYS = 100000, N_CELLS = 262144, N_PACKETS = 400000 };
    struct measure_heavy_params heavy = {
        .max_keys = 4096,
        .min_packets = 1,
        .min_bytes = MEASURE_NEVER,
        .packets_share = MEASURE_WHOLE / 1000,
    };
    uint64_t threshold = N_PACKETS / 1000;
    struct traffic t = traffic_open(_i, KEYS_PLAIN, N_KEYS);
    uint32_t n_true = 0, n_found = 0, n_right = 0, n_asked = 0;
    struct fixture f;

    open_array(&f, t.layout, N_CELLS, &heavy);
    traffic_send(&t, STREAM_ZIPF, N_PACKETS, test_seed, add_burst, &f.array);
    /* The share is rounded. */
    ck_assert_uint_eq(f.array.heavy.packets_threshold, threshold - 1);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 0);

    for (uint32_t i = 0; i < N_KEYS; i++) {
        struct measure_estimate estimate;
        uint64_t key[MEASURE_KEY_WORDS];

        measure_count_array_estimate(&f.array, traffic_hash(&t, i, key),
                                     &estimate);
        n_true += t.key_packets[i] >= threshold;
        n_asked += estimate.packets >= threshold;
    }
    MEASURE_TABLE_FOR_EACH (row, &f.array.heavy.table) {
        struct measure_estimate estimate;
        uint32_t i = traffic_number(&t, row);
        uint64_t key[MEASURE_KEY_WORDS];

        measure_count_array_estimate(&f.array, traffic_hash(&t, i, key),
                                     &estimate);
        REQUIRE(*measure_row_packets(row, t.layout) <= estimate.packets);
        if (estimate.packets >= threshold) {
            n_found++;
            n_right += t.key_packets[i] >= threshold;
        }
    }
    require_between("recall", 0.9, (double) n_right / n_true, 1);
    require_between("precision", 0.9, (double) n_right / n_found, 1);
    require_between("precision of asking for all keys", 0,
                    (double) n_true / n_asked, 0.95);
    traffic_close(&t);
    close_array(&f);
}
END_TEST

/* A key is recorded with the packet that reaches the threshold, not before
 * and not again; by bytes as well as by packets; and 'lost' counts what finds
 * no room, and lifts the threshold so that the largest stay in the end. */
START_TEST(threshold_is_crossed_once)
{
    struct measure_heavy_params heavy = {
        .max_keys = 2,
        .min_packets = 10,
        .min_bytes = 100000,
    };
    enum measure_layout layout = _i;
    struct traffic t = traffic_open(layout, KEYS_PLAIN, 4);
    uint64_t keys[4][MEASURE_KEY_WORDS];
    uint64_t hashes[4];
    struct fixture f;

    open_array(&f, layout, 1 << 20, &heavy);
    for (int i = 0; i < 4; i++) {
        hashes[i] = traffic_hash(&t, i, keys[i]);
    }
    for (int i = 1; i <= 30; i++) {
        measure_count_array_add(&f.array, keys[0], hashes[0], 1, 60);
        ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table),
                          i >= 10);
    }
    for (int i = 1; i <= 3; i++) {
        measure_count_array_add(&f.array, keys[1], hashes[1], 1, 40000);
        ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table),
                          i == 3 ? 2 : 1);
    }
    measure_count_array_add(&f.array, keys[2], hashes[2], 9, 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 0);
    measure_count_array_add(&f.array, keys[2], hashes[2], 5, 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 1);
    ck_assert_uint_eq(f.array.heavy.packets_threshold, 14 + 3 + 1);
    ck_assert_uint_eq(f.array.heavy.bytes_threshold, 100000);
    measure_count_array_add(&f.array, keys[3], hashes[3], 17, 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 1);
    measure_count_array_add(&f.array, keys[3], hashes[3], 1, 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 2);
    ck_assert_uint_eq(f.array.heavy.packets_threshold, 18 + 4 + 1);
    ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table), 2);

    /* All are above the threshold: what has 30 packets, what has 120000 bytes,
     * and what comes with 26 packets.  Above 33 the first one gives way. */
    measure_count_array_add(&f.array, keys[2], hashes[2], 12, 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 3);
    ck_assert_uint_eq(f.array.heavy.packets_threshold, 26 + 6 + 1);
    measure_count_array_add(&f.array, keys[2], hashes[2], 7, 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 3);
    ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table), 2);
    MEASURE_TABLE_FOR_EACH (row, &f.array.heavy.table) {
        uint32_t number = traffic_number(&t, row);

        ck_assert(number == 1 || number == 2);
        ck_assert_uint_eq(*measure_row_packets(row, layout),
                          number == 1 ? 3 : 33);
    }
    traffic_close(&t);
    close_array(&f);
}
END_TEST

/* A sketch of one cell for all keys, which counts how often it is asked. */
struct asked {
    uint64_t packets;
    uint32_t n;
};

static void
ask_estimate(const void *asked_, uint64_t hash UNUSED,
             struct measure_cell *estimate)
{
    struct asked *asked = (struct asked *) asked_;

    estimate->packets = asked->packets;
    estimate->bytes = 1;
    asked->n++;
}

/* Keys that all have the same buckets, as no sender can make them: whatever
 * the rows hold, the packet path asks for no more estimates than it may, keys
 * of other buckets stay where they are, and keys that are above the threshold
 * after all do not give way. */
START_TEST(work_for_a_key_is_bounded)
{
    static const struct measure_heavy_class class = {
        .estimate = ask_estimate,
    };
    struct measure_heavy_params params = {
        .max_keys = 1000,
        .min_packets = 10,
        .min_bytes = MEASURE_NEVER,
    };
    enum measure_layout layout = _i;
    size_t size = measure_heavy_keys_size(layout, &params);
    enum { N_ROWS = 2 * MEASURE_HEAVY_BUCKET };
    struct asked asked = { .packets = 20 };
    struct measure_heavy_keys heavy;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    void *memory = get_memory(size);
    const uint64_t hash = UINT64_C(0x4000000080000000);

    measure_heavy_keys_init(&heavy, layout, &params, memory);
    for (uint32_t i = 0; i < N_ROWS; i++) {
        key[1] = i;
        ck_assert(measure_heavy_keys_record(&heavy, &class, &asked, &secret,
                                            key, hash));
    }
    ck_assert_uint_eq(measure_table_n_used(&heavy.table), N_ROWS);
    ck_assert_uint_eq(asked.n, N_ROWS);

    /* No row was below the threshold when asked last. */
    key[1] = 100;
    asked.n = 0;
    ck_assert(!measure_heavy_keys_record(&heavy, &class, &asked, &secret, key,
                                         hash));
    ck_assert_uint_eq(asked.n, 1);
    ck_assert_uint_eq(measure_heavy_keys_lost(&heavy), 1);
    ck_assert_uint_eq(heavy.packets_threshold, 20 + 5 + 1);

    /* All were, and none is. */
    asked.packets = 30;
    for (int i = 2; i <= 4; i++) {
        asked.n = 0;
        ck_assert(!measure_heavy_keys_record(&heavy, &class, &asked, &secret,
                                             key, hash));
        ck_assert_uint_eq(asked.n, 1 + MEASURE_HEAVY_TRIES);
        ck_assert_uint_eq(measure_heavy_keys_lost(&heavy), i);
        asked.packets = heavy.packets_threshold;
    }
    MEASURE_TABLE_FOR_EACH (row, &heavy.table) {
        REQUIRE(row[1] < N_ROWS);
    }

    /* All are: one gives way. */
    asked.packets = heavy.packets_threshold - 1;
    asked.n = 0;
    ck_assert(measure_heavy_keys_record(&heavy, &class, &asked, &secret, key,
                                        hash));
    ck_assert_uint_eq(asked.n, 2);
    ck_assert_uint_eq(measure_heavy_keys_lost(&heavy), 4);
    ck_assert_uint_eq(measure_table_n_used(&heavy.table), N_ROWS);
    put_memory(memory, size);
}
END_TEST

/* As many keys as it takes find room, in whatever order. */
START_TEST(all_keys_find_room)
{
    enum { N_KEYS = 20000 };
    struct measure_heavy_params heavy = {
        .max_keys = N_KEYS,
        .min_packets = 1,
        .min_bytes = MEASURE_NEVER,
    };
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), _i / 2, N_KEYS);
    struct fixture f;

    open_array(&f, t.layout, 1 << 20, &heavy);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(&t, i, key);

        measure_count_array_add(&f.array, key, hash, 1, 1);
        REQUIRE(measure_count_array_record(&f.array, key, hash));
    }
    ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table), N_KEYS);
    ck_assert_uint_eq(measure_heavy_keys_lost(&f.array.heavy), 0);
    traffic_close(&t);
    close_array(&f);
}
END_TEST

START_TEST(thresholds_follow_shares)
{
    struct measure_heavy_params heavy = {
        .max_keys = 2,
        .min_packets = 10,
        .min_bytes = 5,
        .packets_share = MEASURE_WHOLE / 4,
        .bytes_share = MEASURE_WHOLE,
    };
    struct fixture f;

    open_array(&f, MEASURE_NARROW, 4, &heavy);
    ck_assert_uint_eq(f.array.heavy.packets_threshold, 10);
    ck_assert_uint_eq(f.array.heavy.bytes_threshold, 5);
    measure_heavy_keys_advance(&f.array.heavy, 40, 100);
    ck_assert_uint_eq(f.array.heavy.packets_threshold, 10);
    ck_assert_uint_eq(f.array.heavy.bytes_threshold, 100);
    measure_heavy_keys_advance(&f.array.heavy, 4, UINT64_C(1) << 60);
    ck_assert_uint_eq(f.array.heavy.packets_threshold, 11);
    ck_assert_uint_eq(f.array.heavy.bytes_threshold,
                      (UINT64_C(1) << 60) + 100);
    measure_heavy_keys_advance(&f.array.heavy, UINT64_C(1) << 60, 0);
    ck_assert_uint_eq(f.array.heavy.packets_threshold,
                      (UINT64_C(1) << 58) + 11);
    close_array(&f);
}
END_TEST

START_TEST(counters_have_64_bits)
{
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    struct measure_estimate estimate;
    struct fixture f;

    open_array(&f, MEASURE_NARROW, 16, &no_keys);
    measure_count_array_add(&f.array, key, 7, UINT32_MAX, UINT32_MAX);
    measure_count_array_add(&f.array, key, 7, 1, UINT64_C(1) << 62);
    measure_count_array_estimate(&f.array, 7, &estimate);
    ck_assert_uint_eq(estimate.packets, UINT64_C(1) << 32);
    ck_assert_uint_eq(estimate.bytes, (UINT64_C(1) << 62) + UINT32_MAX);
    close_array(&f);
}
END_TEST

/* Up to 2^63 - 1, counts are right, thresholds are crossed once and at the
 * right packet, and no other cell is touched. */
START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    enum { N_CELLS = 64 };
    const uint64_t most = UINT64_MAX >> 1;
    struct measure_heavy_params heavy = {
        .max_keys = 10,
        .min_packets = most - 1,
        .min_bytes = most - 60,
    };
    struct traffic t = traffic_open(_i, KEYS_PLAIN, 1);
    struct measure_record records[3];
    struct measure_cell *cell;
    uint64_t key[MEASURE_KEY_WORDS];
    struct fixture f;

    open_array(&f, t.layout, N_CELLS, &heavy);
    cell = measure_count_array_cell(&f.array, traffic_hash(&t, 0, key));
    cell->packets = most - 4;
    cell->bytes = most - 181;

    memset(records, 0, sizeof records);
    for (int i = 0; i < 3; i++) {
        memcpy(records[i].key, key, sizeof key);
        records[i].verdict = t.layout;
        records[i].bytes = 60;
    }
    count_array_add_burst(&f.array, records, 2);
    ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table), 0);
    count_array_add_burst(&f.array, &records[2], 1);
    ck_assert_uint_eq(measure_table_n_used(&f.array.heavy.table), 1);
    measure_count_array_add(&f.array, key, records[0].hash, 1, 1);
    MEASURE_TABLE_FOR_EACH (row, &f.array.heavy.table) {
        ck_assert_uint_eq(*measure_row_packets(row, t.layout), most - 1);
    }
    for (int i = 0; i < N_CELLS; i++) {
        bool same = &f.array.cells[i] == cell;

        ck_assert_uint_eq(f.array.cells[i].packets, same ? most : 0);
        ck_assert_uint_eq(f.array.cells[i].bytes, same ? most : 0);
    }
    traffic_close(&t);
    close_array(&f);
}
END_TEST

/* The loop over a burst does what adding packet by packet does, key by key
 * that it records. */
START_TEST(bursts_are_their_packets)
{
    struct measure_heavy_params heavy = {
        .max_keys = 2000,
        .min_packets = 20,
        .min_bytes = 30000,
        .packets_share = MEASURE_WHOLE / 500,
    };
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), 3000);
    struct fixture a, b;

    open_array(&a, t.layout, 997, &heavy);
    open_array(&b, t.layout, 997, &heavy);
    traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_burst, &a.array);
    traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_packets,
                 &b.array);
    ck_assert_mem_eq(a.memory, b.memory, a.size);
    ck_assert_uint_gt(measure_table_n_used(&a.array.heavy.table), 0);
    ck_assert_uint_eq(measure_table_n_used(&a.array.heavy.table),
                      measure_table_n_used(&b.array.heavy.table));
    /* What is lost can depend on where bursts end. */
    ck_assert_uint_eq(measure_heavy_keys_lost(&a.array.heavy), 0);
    ck_assert_uint_eq(measure_heavy_keys_lost(&b.array.heavy), 0);
    ck_assert_uint_eq(a.array.heavy.bytes, b.array.heavy.bytes);
    traffic_close(&t);
    close_array(&a);
    close_array(&b);
}
END_TEST

/* The same where keys are lost, as in most kinds of traffic here: others, in
 * heavy cells, do not raise the thresholds further. */
START_TEST(bursts_lose_what_their_packets_lose)
{
    struct measure_heavy_params heavy = {
        .max_keys = 8,
        .min_packets = 20,
        .min_bytes = 30000,
    };
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), 3000);
    struct fixture a, b;

    open_array(&a, t.layout, 97, &heavy);
    open_array(&b, t.layout, 97, &heavy);
    traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_burst, &a.array);
    traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_packets,
                 &b.array);
    ck_assert_mem_eq(a.memory, b.memory, a.size);
    ck_assert_uint_eq(measure_heavy_keys_lost(&a.array.heavy),
                      measure_heavy_keys_lost(&b.array.heavy));
    ck_assert_uint_eq(a.array.heavy.packets_threshold,
                      b.array.heavy.packets_threshold);
    ck_assert_uint_eq(a.array.heavy.bytes_threshold,
                      b.array.heavy.bytes_threshold);
    traffic_close(&t);
    close_array(&a);
    close_array(&b);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-count-array");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, cells_add_up, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, bound_holds, 0, 8);
    tcase_add_loop_test(tests, crc_collisions_do_not_collide,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, heavy_keys_are_recorded,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, threshold_is_crossed_once,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, work_for_a_key_is_bounded,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, all_keys_find_room, 0, 4);
    tcase_add_test(tests, thresholds_follow_shares);
    tcase_add_test(tests, counters_have_64_bits);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, bursts_are_their_packets, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, bursts_lose_what_their_packets_lose,
                        0, N_TRAFFIC);
    return tests_run(tests);
}
