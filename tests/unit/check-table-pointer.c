/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the table with values behind a pointer. */

#include "check-structures.h"

#include "contenders/measure-table-pointer.h"

struct fixture {
    struct measure_table_pointer table;
    void *memory;
    size_t size;
};

static void
open_table(struct fixture *f, enum measure_layout layout, uint32_t max_keys,
           uint32_t value_words)
{
    struct measure_table_pointer_params params = {
        .layout = layout,
        .max_keys = max_keys,
        .value_words = value_words,
        .secret = &secret,
    };

    f->size = measure_table_pointer_size(&params);
    f->memory = get_memory(f->size);
    measure_table_pointer_init(&f->table, &params, f->memory);
}

static void
close_table(struct fixture *f)
{
    put_memory(f->memory, f->size);
}

static void
add_burst(void *table, struct measure_record *records, size_t n)
{
    measure_table_pointer_add_burst(table, records, n);
}

static void
check_table(const struct measure_table_pointer *table, struct traffic *t)
{
    uint32_t n = 0;

    traffic_forget(t);
    MEASURE_TABLE_POINTER_FOR_EACH (row, table) {
        uint32_t number = traffic_number(t, row);
        const uint64_t *value = measure_table_pointer_row_value(table, row);

        REQUIRE(value[0] == t->key_packets[number]);
        REQUIRE(value[1] == t->key_bytes[number]);
        for (uint32_t i = 2; i < table->value_words; i++) {
            REQUIRE(!value[i]);
        }
        n++;
    }
    ck_assert_uint_eq(n, traffic_n_present(t));
    ck_assert_uint_eq(n, table->n_used);
    ck_assert_uint_eq(table->n_refused, 0);
}

START_TEST(counts_are_exact)
{
    enum { N_KEYS = 5000 };
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), N_KEYS);
    struct fixture f;

    open_table(&f, t.layout, N_KEYS, 2 + _i % 7);
    traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_burst, &f.table);
    check_table(&f.table, &t);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

START_TEST(full_table_refuses_new_keys)
{
    struct traffic t = traffic_open(_i, KEYS_PLAIN, 3000);
    uint64_t counted = 0;
    struct fixture f;

    open_table(&f, t.layout, 1000, 2);
    traffic_send(&t, STREAM_ALL_NEW, 6000, test_seed, add_burst, &f.table);
    ck_assert_uint_eq(f.table.n_used, 1000);
    MEASURE_TABLE_POINTER_FOR_EACH (row, &f.table) {
        uint32_t number = traffic_number(&t, row);
        const uint64_t *value = measure_table_pointer_row_value(&f.table,
                                                                row);

        REQUIRE(number < 1000 && value[0] == 2);
        REQUIRE(value[1] == t.key_bytes[number]);
        counted += value[0];
    }
    ck_assert_uint_eq(counted + f.table.n_refused, t.packets);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

START_TEST(probes_are_bounded)
{
    enum measure_layout layout = _i % 2;
    uint64_t hash = _i / 2 ? UINT64_MAX : 0;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct fixture f;

    open_table(&f, layout, 1000, 2);
    for (uint32_t i = 0; i < MEASURE_TABLE_MAX_PROBES; i++) {
        key[1] = i;
        ck_assert(measure_table_pointer_add(&f.table, key, hash, 1, i));
    }
    key[1]++;
    ck_assert(!measure_table_pointer_add(&f.table, key, hash, 5, 1));
    ck_assert_uint_eq(f.table.n_refused, 5);
    ck_assert_uint_eq(f.table.n_used, MEASURE_TABLE_MAX_PROBES);
    MEASURE_TABLE_POINTER_FOR_EACH (row, &f.table) {
        const uint64_t *value = measure_table_pointer_row_value(&f.table,
                                                                row);

        ck_assert_uint_eq(value[0], 1);
        ck_assert_uint_eq(value[1], row[1]);
    }
    close_table(&f);
}
END_TEST

/* At half load few keys are far from home, whatever CRC32C thinks of them. */
START_TEST(keys_are_near_home)
{
    enum { N_KEYS = 1 << 16 };
    struct traffic t = traffic_open(_i % 2, _i / 2, N_KEYS);
    uint32_t furthest = 0;
    struct fixture f;

    open_table(&f, t.layout, N_KEYS, 2);
    traffic_send(&t, STREAM_ALL_NEW, N_KEYS, test_seed, add_burst, &f.table);
    MEASURE_TABLE_POINTER_FOR_EACH (row, &f.table) {
        uint64_t hash = measure_hash(&secret, row,
                                     measure_key_words(t.layout));
        uint64_t *home = measure_table_pointer_home(&f.table, t.layout, hash);
        uint32_t words = measure_key_words(t.layout) + 1;
        uint32_t distance = (row - home) / words;

        distance = row < home ? f.table.n_rows - (home - row) / words
                              : distance;
        furthest = distance > furthest ? distance : furthest;
    }
    require_between("furthest key from home", 1, furthest,
                    MEASURE_TABLE_MAX_PROBES - 1);
    check_table(&f.table, &t);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

START_TEST(merge_adds)
{
    struct traffic t = traffic_open(_i, KEYS_PLAIN, 3000);
    struct fixture a, b;

    open_table(&a, t.layout, 3000, 2);
    open_table(&b, t.layout, 4000, 3);
    traffic_send(&t, STREAM_ZIPF, 20000, test_seed, add_burst, &a.table);
    traffic_send(&t, STREAM_UNIFORM, 20000, test_seed, add_burst, &b.table);
    ck_assert(measure_table_pointer_merge(&a.table, &b.table));
    check_table(&a.table, &t);
    traffic_close(&t);
    close_table(&a);
    close_table(&b);
}
END_TEST

START_TEST(counters_have_64_bits)
{
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    uint64_t *value;
    struct fixture f;

    open_table(&f, _i, 2, 2);
    measure_table_pointer_add(&f.table, key, 7, UINT32_MAX, UINT32_MAX);
    measure_table_pointer_add(&f.table, key, 7, 1, UINT64_C(1) << 62);
    value = measure_table_pointer_value(&f.table, key, 7);
    ck_assert_uint_eq(value[0], UINT64_C(1) << 32);
    ck_assert_uint_eq(value[1], (UINT64_C(1) << 62) + UINT32_MAX);
    close_table(&f);
}
END_TEST

/* Three keys side by side, of which the middle one has counted nearly all that
 * 64 bits hold. */
START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    uint64_t keys[3][MEASURE_KEY_WORDS] = { { 1 }, { 2 }, { 3 } };
    struct fixture f;

    open_table(&f, _i, 3, 2);
    for (int i = 0; i < 3; i++) {
        ck_assert(measure_table_pointer_add(&f.table, keys[i], 7, 1, i + 1));
    }
    ck_assert(measure_table_pointer_add(&f.table, keys[1], 7, UINT64_MAX - 2,
                                        UINT64_MAX - 3));
    ck_assert(measure_table_pointer_add(&f.table, keys[1], 7, 1, 1));
    for (int i = 0; i < 3; i++) {
        const uint64_t *value = measure_table_pointer_value(&f.table, keys[i],
                                                            7);

        ck_assert_uint_eq(value[0], i == 1 ? UINT64_MAX : 1);
        ck_assert_uint_eq(value[1], i == 1 ? UINT64_MAX : i + 1);
    }
    ck_assert_uint_eq(f.table.n_used, 3);
    close_table(&f);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-table-pointer");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, counts_are_exact, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, full_table_refuses_new_keys,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, probes_are_bounded, 0, 4);
    tcase_add_loop_test(tests, keys_are_near_home, 0, 4);
    tcase_add_loop_test(tests, merge_adds, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, counters_have_64_bits, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, MEASURE_N_LAYOUTS);
    return tests_run(tests);
}
