/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the cuckoo table. */

#include "check-structures.h"

#include "burst.h"

struct fixture {
    struct measure_cuckoo table;
    void *memory;
    size_t size;
};

static void
open_table(struct fixture *f, enum measure_layout layout,
           uint32_t rows_per_bucket, uint32_t n_buckets)
{
    struct measure_cuckoo_params params = {
        .layout = layout,
        .n_buckets = n_buckets,
        .rows_per_bucket = rows_per_bucket,
        .secret = &secret,
    };

    f->size = measure_cuckoo_size(&params);
    f->memory = get_memory(f->size);
    measure_cuckoo_init(&f->table, &params, f->memory);
}

static void
close_table(struct fixture *f)
{
    put_memory(f->memory, f->size);
}

static void
add_burst(void *table, struct measure_record *records, size_t n)
{
    cuckoo_add_burst(table, records, n);
}

/* Checks that each row has its key's exact counts, lies in one of the key's
 * two buckets or the stash, and that there is one for each key sent. */
static void
check_table(const struct measure_cuckoo *table, struct traffic *t,
            bool all_keys)
{
    uint32_t n = 0, n_stash = 0;

    traffic_forget(t);
    MEASURE_CUCKOO_FOR_EACH (row, table) {
        uint32_t number = traffic_number(t, row);
        uint64_t hash = measure_hash(&secret, row,
                                     measure_key_words(t->layout));
        size_t words = (measure_row_words(t->layout)
                        * table->rows_per_bucket);
        bool at_home = false;

        REQUIRE(*measure_row_packets(row, t->layout)
                == t->key_packets[number]);
        REQUIRE(*measure_row_bytes(row, t->layout) == t->key_bytes[number]);
        for (int i = 0; i < 2; i++) {
            const uint64_t *bucket = measure_cuckoo_bucket(table, t->layout,
                                                           hash, i);

            at_home |= row >= bucket && row < bucket + words;
        }
        n_stash += !at_home;
        n++;
    }
    ck_assert_uint_eq(n_stash, table->n_stash);
    ck_assert_uint_eq(n, measure_cuckoo_n_used(table));
    if (all_keys) {
        ck_assert_uint_eq(n, traffic_n_present(t));
        ck_assert_uint_eq(measure_cuckoo_n_refused(table), 0);
    }
}

START_TEST(counts_are_exact)
{
    enum measure_layout layout = LOOP_LAYOUT(_i);

    for (uint32_t rows = 1; rows <= 4; rows += 3) {
        enum { N_KEYS = 5000 };
        struct traffic t = traffic_open(layout, LOOP_KEYS(_i), N_KEYS);
        struct fixture f;

        open_table(&f, layout, rows,
                   measure_cuckoo_buckets_for(rows, N_KEYS));
        ck_assert_uint_ge(f.table.max_used, N_KEYS);
        traffic_send(&t, LOOP_STREAM(_i), 30000, test_seed, add_burst,
                     &f.table);
        check_table(&f.table, &t, true);
        traffic_close(&t);
        close_table(&f);
    }
}
END_TEST

/* All-new keys, to the limit of the load: with a bucket of one row a few are
 * in the stash, with four none or nearly so. */
START_TEST(fills_to_its_limit)
{
    enum measure_layout layout = _i % 2;
    uint32_t rows = _i / 2 % 2 ? 4 : 1;
    enum key_kind kind = _i / 4;
    enum { N_KEYS = 100000 };
    struct traffic t = traffic_open(layout, kind, N_KEYS);
    char what[64];
    struct fixture f;

    open_table(&f, layout, rows, measure_cuckoo_buckets_for(rows, N_KEYS));
    traffic_send(&t, STREAM_ALL_NEW, N_KEYS, test_seed, add_burst, &f.table);
    snprintf(what, sizeof what, "%s, %u rows a bucket: keys in the stash",
             layout == MEASURE_NARROW ? "IPv4" : "IPv6", rows);
    require_between(what, 0, f.table.n_stash, rows == 1 ? 6 : 1);
    check_table(&f.table, &t, true);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

/* Far more keys than rows: what is in the table stays exact, and the rest is
 * counted as refused. */
START_TEST(refuses_what_does_not_fit)
{
    enum measure_layout layout = _i % 2;
    uint32_t rows = _i / 2 ? 4 : 1;
    enum { N_KEYS = 20000 };
    struct traffic t = traffic_open(layout, KEYS_PLAIN, N_KEYS);
    uint64_t counted = 0;
    struct fixture f;

    open_table(&f, layout, rows, measure_cuckoo_buckets_for(rows, 1000));
    traffic_send(&t, STREAM_UNIFORM, 100000, test_seed, add_burst, &f.table);
    MEASURE_CUCKOO_FOR_EACH (row, &f.table) {
        counted += *measure_row_packets(row, layout);
    }
    ck_assert_uint_le(measure_cuckoo_n_used(&f.table), f.table.max_used);
    ck_assert_uint_ge(measure_cuckoo_n_used(&f.table), 990);
    ck_assert_uint_eq(counted + measure_cuckoo_n_refused(&f.table),
                      t.packets);

    /* Once a key has a row, all of it is there. */
    traffic_forget(&t);
    MEASURE_CUCKOO_FOR_EACH (row, &f.table) {
        REQUIRE(*measure_row_packets(row, layout)
                <= t.key_packets[traffic_number(&t, row)]);
    }
    traffic_close(&t);
    close_table(&f);
}
END_TEST

/* Two buckets for all keys: when they and the stash are full, the table is
 * closed for new keys, without another search. */
START_TEST(full_table_is_closed)
{
    enum measure_layout layout = _i % 2;
    uint32_t rows = _i / 2 ? 4 : 1;
    struct traffic t = traffic_open(layout, KEYS_PLAIN, 100);
    uint64_t key[MEASURE_KEY_WORDS];
    struct fixture f;
    uint32_t n = 0;

    open_table(&f, layout, rows, 2);
    f.table.max_used = 100;
    for (; n < 100; n++) {
        uint64_t hash = traffic_hash(&t, n, key);

        if (!measure_cuckoo_add(&f.table, key, hash, 1, 60)) {
            break;
        }
    }
    ck_assert_uint_ge(n, rows + MEASURE_CUCKOO_STASH);
    ck_assert_uint_le(n, 2 * rows + MEASURE_CUCKOO_STASH);
    ck_assert_uint_eq(f.table.max_used, n);
    ck_assert_uint_eq(f.table.n_stash, MEASURE_CUCKOO_STASH);
    ck_assert(!measure_cuckoo_add(&f.table, key, traffic_hash(&t, n, key), 7,
                                  1));
    ck_assert_uint_eq(measure_cuckoo_n_refused(&f.table), 8);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t hash = traffic_hash(&t, i, key);

        ck_assert(measure_cuckoo_add(&f.table, key, hash, 1, 60));
        t.key_packets[i] = 2;
        t.key_bytes[i] = 120;
    }
    check_table(&f.table, &t, false);
    ck_assert_uint_eq(measure_cuckoo_n_used(&f.table), n);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

/* Keys in the stash are counted on there. */
START_TEST(stash_counts)
{
    enum measure_layout layout = _i;
    struct traffic t = traffic_open(layout, KEYS_PLAIN, 4000);
    struct fixture f;

    /* Twice the load that cuckoo hashing with one row a bucket can have. */
    open_table(&f, layout, 1, 4000);
    f.table.max_used = 4000;
    traffic_send(&t, STREAM_ALL_NEW, 4000, test_seed, add_burst, &f.table);
    ck_assert_uint_eq(f.table.n_stash, MEASURE_CUCKOO_STASH);
    ck_assert_uint_lt(f.table.max_used, 4000);
    ck_assert_uint_eq(measure_cuckoo_n_refused(&f.table),
                      4000 - measure_cuckoo_n_used(&f.table));
    traffic_send(&t, STREAM_ALL_NEW, 4000, test_seed, add_burst, &f.table);
    ck_assert_uint_eq(f.table.n_stash, MEASURE_CUCKOO_STASH);
    check_table(&f.table, &t, false);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

START_TEST(counters_have_64_bits)
{
    enum measure_layout layout = _i % 2;
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    uint64_t hash = measure_hash(&secret, key, measure_key_words(layout));
    uint64_t *row;
    struct fixture f;

    open_table(&f, layout, _i / 2 ? 4 : 1, 10);
    ck_assert(measure_cuckoo_add(&f.table, key, hash, UINT32_MAX,
                                 UINT32_MAX));
    ck_assert(measure_cuckoo_add(&f.table, key, hash, 1, UINT64_C(1) << 62));
    row = measure_cuckoo_next(&f.table, NULL);
    ck_assert_uint_eq(*measure_row_packets(row, layout), UINT64_C(1) << 32);
    ck_assert_uint_eq(*measure_row_bytes(row, layout),
                      (UINT64_C(1) << 62) + UINT32_MAX);
    ck_assert_ptr_null(measure_cuckoo_next(&f.table, row));
    close_table(&f);
}
END_TEST

/* Counters at their limits, which move from bucket to bucket while the table
 * fills up to its limit. */
START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    enum measure_layout layout = _i % 2;
    uint32_t rows = _i / 2 ? 4 : 1;
    enum { N_LARGE = 500, N_KEYS = 10000 };
    struct traffic t = traffic_open(layout, KEYS_PLAIN, N_KEYS);
    uint64_t key[MEASURE_KEY_WORDS];
    struct fixture f;

    open_table(&f, layout, rows, measure_cuckoo_buckets_for(rows, N_KEYS));
    for (uint32_t i = 0; i < N_LARGE; i++) {
        uint64_t hash = traffic_hash(&t, i, key);

        t.key_packets[i] = UINT64_MAX - N_LARGE + i;
        t.key_bytes[i] = UINT64_MAX - 2 * N_LARGE - 2000 + i;
        ck_assert(measure_cuckoo_add(&f.table, key, hash, t.key_packets[i],
                                     t.key_bytes[i]));
    }
    /* The last of them reaches the limit of packets. */
    traffic_send(&t, STREAM_ALL_NEW, N_KEYS, test_seed, add_burst, &f.table);
    ck_assert_uint_eq(t.key_packets[N_LARGE - 1], UINT64_MAX);
    check_table(&f.table, &t, true);
    traffic_close(&t);
    close_table(&f);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-cuckoo");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, counts_are_exact, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, fills_to_its_limit, 0, 8);
    tcase_add_loop_test(tests, refuses_what_does_not_fit, 0, 4);
    tcase_add_loop_test(tests, full_table_is_closed, 0, 4);
    tcase_add_loop_test(tests, stash_counts, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, counters_have_64_bits, 0, 4);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, 4);
    return tests_run(tests);
}
