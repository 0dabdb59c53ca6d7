/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of structures that several threads share. */

#include "check-structures.h"

#include <pthread.h>

#include "contenders/measure-shared.h"

#define N_THREADS 4

struct table_fixture {
    struct measure_shared_table table;
    void *memory;
    size_t size;
};

struct array_fixture {
    struct measure_shared_array array;
    void *memory;
    size_t size;
};

static void
open_table(struct table_fixture *f, enum measure_layout layout,
           uint32_t max_keys)
{
    struct measure_shared_table_params params = {
        .layout = layout,
        .max_keys = max_keys,
        .secret = &secret,
    };

    f->size = measure_shared_table_size(&params);
    f->memory = get_memory(f->size);
    measure_shared_table_init(&f->table, &params, f->memory);
}

static void
open_array(struct array_fixture *f, enum measure_layout layout,
           uint32_t n_cells, uint64_t threshold)
{
    struct measure_shared_array_params params = {
        .layout = layout,
        .n_cells = n_cells,
        .max_keys = 5000,
        .threshold = threshold,
        .secret = &secret,
    };

    f->size = measure_shared_array_size(&params);
    f->memory = get_memory(f->size);
    measure_shared_array_init(&f->array, &params, f->memory);
}

static void
table_add_burst(void *table, struct measure_record *records, size_t n)
{
    measure_shared_table_add_burst(table, records, n);
}

static void
array_add_burst(void *array, struct measure_record *records, size_t n)
{
    measure_shared_array_add_burst(array, records, n);
}

/* Several threads that send traffic into one structure. */

struct sender {
    pthread_t thread;
    pthread_barrier_t *barrier;
    struct traffic traffic;
    enum stream_kind kind;
    uint32_t n_packets;
    uint64_t seed;
    add_burst_func *add_burst;
    void *structure;
};

static void *
send_main(void *sender_)
{
    struct sender *sender = sender_;

    pthread_barrier_wait(sender->barrier);
    traffic_send(&sender->traffic, sender->kind, sender->n_packets,
                 sender->seed, sender->add_burst, sender->structure);
    return NULL;
}

/* Returns what all threads sent. */
static struct traffic
send_from_threads(enum measure_layout layout, enum key_kind key_kind,
                  enum stream_kind kind, uint32_t n_keys, uint32_t n_packets,
                  add_burst_func *add_burst, void *structure)
{
    struct traffic sum = traffic_open(layout, key_kind, n_keys);
    struct sender senders[N_THREADS];
    pthread_barrier_t barrier;

    pthread_barrier_init(&barrier, NULL, N_THREADS);
    for (int i = 0; i < N_THREADS; i++) {
        senders[i] = (struct sender) {
            .barrier = &barrier,
            .traffic = traffic_open(layout, key_kind, n_keys),
            .kind = kind,
            .n_packets = n_packets,
            .seed = test_seed + i,
            .add_burst = add_burst,
            .structure = structure,
        };
        ck_assert(!pthread_create(&senders[i].thread, NULL, send_main,
                                  &senders[i]));
    }
    for (int i = 0; i < N_THREADS; i++) {
        const struct traffic *t = &senders[i].traffic;

        pthread_join(senders[i].thread, NULL);
        sum.packets += t->packets;
        sum.bytes += t->bytes;
        for (uint32_t j = 0; j < n_keys; j++) {
            sum.key_packets[j] += t->key_packets[j];
            sum.key_bytes[j] += t->key_bytes[j];
        }
        traffic_close(&senders[i].traffic);
    }
    pthread_barrier_destroy(&barrier);
    return sum;
}

/* All threads meet in the same new rows when all send the same keys in the
 * same order. */
START_TEST(table_is_exact)
{
    enum { N_KEYS = 3000 };
    struct table_fixture f;
    struct traffic t;
    uint32_t n = 0;

    open_table(&f, LOOP_LAYOUT(_i), N_KEYS + N_THREADS);
    t = send_from_threads(LOOP_LAYOUT(_i), LOOP_KEYS(_i), LOOP_STREAM(_i),
                          N_KEYS, 10000, table_add_burst, &f.table);
    MEASURE_SHARED_TABLE_FOR_EACH (row, &f.table) {
        uint32_t number = traffic_number(&t, measure_shared_row_key(row));

        REQUIRE(*measure_shared_row_packets(row, t.layout)
                == t.key_packets[number]);
        REQUIRE(*measure_shared_row_bytes(row, t.layout)
                == t.key_bytes[number]);
        n++;
    }
    ck_assert_uint_eq(n, traffic_n_present(&t));
    ck_assert_uint_eq(n, f.table.n_used);
    ck_assert_uint_eq(f.table.n_refused, 0);
    traffic_close(&t);
    put_memory(f.memory, f.size);
}
END_TEST

START_TEST(full_table_refuses)
{
    enum { N_KEYS = 5000, MAX_KEYS = 1000 };
    uint64_t counted = 0;
    uint32_t n = 0;
    struct table_fixture f;
    struct traffic t;

    open_table(&f, _i, MAX_KEYS);
    t = send_from_threads(_i, KEYS_PLAIN, STREAM_UNIFORM, N_KEYS, 20000,
                          table_add_burst, &f.table);
    MEASURE_SHARED_TABLE_FOR_EACH (row, &f.table) {
        uint32_t number = traffic_number(&t, measure_shared_row_key(row));

        REQUIRE(*measure_shared_row_packets(row, t.layout)
                <= t.key_packets[number]);
        counted += *measure_shared_row_packets(row, t.layout);
        n++;
    }
    require_between("keys with a row", MAX_KEYS, n, MAX_KEYS + N_THREADS);
    ck_assert_uint_eq(counted + f.table.n_refused, t.packets);
    traffic_close(&t);
    put_memory(f.memory, f.size);
}
END_TEST

START_TEST(probes_are_bounded)
{
    enum measure_layout layout = _i % 2;
    uint64_t hash = _i / 2 ? UINT64_MAX : 0;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct table_fixture f;

    open_table(&f, layout, 1000);
    for (uint32_t i = 0; i < MEASURE_TABLE_MAX_PROBES; i++) {
        key[1] = i;
        ck_assert(measure_shared_table_add(&f.table, key, hash, 1, i));
    }
    key[1]++;
    ck_assert(!measure_shared_table_add(&f.table, key, hash, 5, 1));
    ck_assert_uint_eq(f.table.n_refused, 5);
    MEASURE_SHARED_TABLE_FOR_EACH (row, &f.table) {
        ck_assert_uint_eq(*measure_shared_row_packets(row, layout), 1);
        ck_assert_uint_eq(*measure_shared_row_bytes(row, layout),
                          measure_shared_row_key(row)[1]);
    }
    put_memory(f.memory, f.size);
}
END_TEST

/* Each cell has what its keys have.  Each cell that reaches the threshold has
 * one key recorded, once, whichever thread's packet it was. */
START_TEST(array_adds_up)
{
    enum { N_KEYS = 3000, N_CELLS = 1000, THRESHOLD = 50 };
    struct measure_cell *expected = calloc(N_CELLS, sizeof *expected);
    uint32_t n_crossed = 0, n_recorded = 0;
    struct array_fixture f;
    struct traffic t;

    open_array(&f, LOOP_LAYOUT(_i), N_CELLS, THRESHOLD);
    t = send_from_threads(LOOP_LAYOUT(_i), LOOP_KEYS(_i), LOOP_STREAM(_i),
                          N_KEYS, 10000, array_add_burst, &f.array);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(&t, i, key);
        uint64_t packets, bytes;

        measure_shared_array_estimate(&f.array, hash, &packets, &bytes);
        REQUIRE(packets >= t.key_packets[i] && bytes >= t.key_bytes[i]);
        expected[((hash >> 32) * N_CELLS) >> 32].packets += t.key_packets[i];
        expected[((hash >> 32) * N_CELLS) >> 32].bytes += t.key_bytes[i];
    }
    ck_assert_mem_eq(expected, f.array.cells, N_CELLS * sizeof *expected);
    for (uint32_t i = 0; i < N_CELLS; i++) {
        n_crossed += expected[i].packets >= THRESHOLD;
    }
    MEASURE_SHARED_TABLE_FOR_EACH (row, &f.array.heavy) {
        traffic_number(&t, measure_shared_row_key(row));
        n_recorded += *measure_shared_row_packets(row, t.layout);
    }
    ck_assert_uint_eq(n_recorded, n_crossed);
    ck_assert_uint_eq(f.array.heavy.n_refused, 0);
    free(expected);
    traffic_close(&t);
    put_memory(f.memory, f.size);
}
END_TEST

START_TEST(counters_have_64_bits)
{
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    uint64_t packets, bytes;
    struct array_fixture f;

    open_array(&f, _i, 4, MEASURE_NEVER);
    measure_shared_array_add(&f.array, key, 7, UINT32_MAX, UINT32_MAX);
    measure_shared_array_add(&f.array, key, 7, 1, UINT64_C(1) << 62);
    measure_shared_array_estimate(&f.array, 7, &packets, &bytes);
    ck_assert_uint_eq(packets, UINT64_C(1) << 32);
    ck_assert_uint_eq(bytes, (UINT64_C(1) << 62) + UINT32_MAX);
    put_memory(f.memory, f.size);
}
END_TEST

/* Of the table: three rows side by side, and of the array: all other cells. */
START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    enum measure_layout layout = _i;
    enum { N_CELLS = 64 };
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    uint64_t hash = UINT64_C(5) << 58;
    struct table_fixture t;
    struct array_fixture a;
    uint32_t n = 0;

    open_table(&t, layout, 100);
    for (int i = 0; i < 3; i++) {
        key[1] = i;
        ck_assert(measure_shared_table_add(&t.table, key, 7, 1, i + 1));
    }
    key[1] = 1;
    ck_assert(measure_shared_table_add(&t.table, key, 7, UINT64_MAX - 2,
                                       UINT64_MAX - 3));
    ck_assert(measure_shared_table_add(&t.table, key, 7, 1, 1));
    MEASURE_SHARED_TABLE_FOR_EACH (row, &t.table) {
        uint64_t i = measure_shared_row_key(row)[1];

        ck_assert_uint_eq(*measure_shared_row_packets(row, layout),
                          i == 1 ? UINT64_MAX : 1);
        ck_assert_uint_eq(*measure_shared_row_bytes(row, layout),
                          i == 1 ? UINT64_MAX : i + 1);
        n++;
    }
    ck_assert_uint_eq(n, 3);
    ck_assert_uint_eq(t.table.n_refused, 0);
    put_memory(t.memory, t.size);

    open_array(&a, layout, N_CELLS, MEASURE_NEVER);
    measure_shared_array_add(&a.array, key, hash, UINT64_MAX - 2,
                             UINT64_MAX - 1);
    measure_shared_array_add(&a.array, key, hash, 1, 1);
    for (int i = 0; i < N_CELLS; i++) {
        bool same = i == 5 * N_CELLS / 64;

        ck_assert_uint_eq(a.array.cells[i].packets,
                          same ? UINT64_MAX - 1 : 0);
        ck_assert_uint_eq(a.array.cells[i].bytes, same ? UINT64_MAX : 0);
    }
    ck_assert_uint_eq(a.array.heavy.n_used, 0);
    put_memory(a.memory, a.size);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-shared");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, table_is_exact, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, full_table_refuses, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, probes_are_bounded, 0, 4);
    tcase_add_loop_test(tests, array_adds_up, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, counters_have_64_bits, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, MEASURE_N_LAYOUTS);
    return tests_run(tests);
}
