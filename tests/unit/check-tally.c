/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of tallies, and of what the packet path must not do. */

#include "check-common.h"

#include <pthread.h>
#include <sys/mman.h>

#include "check-answer.h"
#include "check-tally.h"

/* Counts calls of what the packet path must not call, while 'watching'.  The
 * linker makes __wrap_NAME() of each call of NAME() in this program (see
 * tests/automake.mk). */

static bool watching;
static unsigned int n_calls;

static void
called(void)
{
    n_calls += watching;
}

#define WRAP(TYPE, NAME, PARAMETERS, ARGUMENTS)     \
    TYPE __real_##NAME PARAMETERS;                  \
    TYPE __wrap_##NAME PARAMETERS;                  \
    TYPE                                            \
    __wrap_##NAME PARAMETERS                        \
    {                                               \
        called();                                   \
        return __real_##NAME ARGUMENTS;             \
    }

WRAP(void *, malloc, (size_t size), (size))
WRAP(void *, calloc, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, (void *p, size_t size), (p, size))
WRAP(void, free, (void *p), (p))
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP(void *, mmap, (void *p, size_t size, int protection, int flags, int fd,
                    off_t offset), (p, size, protection, flags, fd, offset))
WRAP(int, munmap, (void *p, size_t size), (p, size))
WRAP(int, madvise, (void *p, size_t size, int advice), (p, size, advice))
WRAP(int, pthread_mutex_lock, (pthread_mutex_t *lock), (lock))
WRAP(int, pthread_rwlock_rdlock, (pthread_rwlock_t *lock), (lock))
WRAP(int, pthread_rwlock_wrlock, (pthread_rwlock_t *lock), (lock))
WRAP(int, pthread_spin_lock, (pthread_spinlock_t *lock), (lock))

/* Traffic, and what it adds up to. */

struct traffic {
    struct random random;
    struct stream stream;
    struct oracle flows;
    uint64_t offered;
    uint64_t not_ip;
    uint64_t malformed;
};

static struct traffic
traffic_open(enum stream_kind kind, uint32_t n_keys)
{
    struct traffic t = {
        .random = random_from(test_seed),
        .stream = stream_open(kind, n_keys, test_seed),
        .flows = oracle_open(),
    };

    return t;
}

static void
traffic_close(struct traffic *t)
{
    stream_close(&t->stream);
    oracle_close(&t->flows);
}

/* Counts a burst in the steps of the switch, after the last of which, or a few
 * bursts later, measure_tally_count_fetched() must follow. */
static void
fetch_burst(struct measure_tally *tally, const struct measure_record *records,
            uint32_t n)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < n; i++) {
        *measure_tally_record(tally, i) = records[i];
        bytes += records[i].bytes;
    }
    measure_tally_receive(tally, n, bytes);
    measure_tally_fetch(tally, n);
}

/* Counts 'n' packets in 'tally', in bursts of all sizes. */
static void
send_packets(struct traffic *t, struct measure_tally *tally, uint32_t n)
{
    while (n) {
        struct measure_record records[MEASURE_BURST];
        uint32_t burst = random_below(&t->random, MEASURE_BURST + 1);

        burst = burst < n ? burst : n;
        for (uint32_t i = 0; i < burst; i++) {
            uint32_t kind = random_below(&t->random, 20);
            uint32_t bytes = 60 + random_below(&t->random, 9000);

            if (kind < 2) {
                memset(&records[i], 0xa5, sizeof records[i]);
                records[i].bytes = bytes;
                records[i].verdict = (kind ? MEASURE_NOT_IP
                                      : MEASURE_MALFORMED);
                t->not_ip += kind;
                t->malformed += !kind;
            } else {
                struct measure_fields fields
                    = make_fields(kind % MEASURE_N_LAYOUTS,
                                  stream_next(&t->stream));

                records[i] = make_record(&fields, bytes);
                oracle_add(&t->flows, &fields, 1, bytes);
            }
        }
        if (random_below(&t->random, 2)) {
            measure_tally_count(tally, records, burst);
        } else {
            fetch_burst(tally, records, burst);
            if (!random_below(&t->random, 4)) {
                measure_tally_count_fetched(tally);
            }
        }
        t->offered += burst;
        n -= burst;
    }
    measure_tally_count_fetched(tally);
}

/* Checks that all packets are in exactly one of the counters of 'c'. */
static void
check_counters(const struct measure_counters *c, const struct traffic *t)
{
    ck_assert_uint_eq(c->packets, t->flows.packets);
    ck_assert_uint_eq(c->bytes, t->flows.bytes);
    ck_assert_uint_eq(c->not_ip, t->not_ip);
    ck_assert_uint_eq(c->malformed, t->malformed);
    ck_assert_uint_eq(c->packets + c->not_ip + c->malformed, t->offered);
    ck_assert_uint_le(c->overflow_packets, c->packets);
    ck_assert_uint_le(c->overflow_bytes, c->bytes);
}

/* Checks the report of 'tallies' against 't': exact if it says so, else with
 * counts that are never too high and bounds that are never too low. */
static void
check_report(struct measure_tally *const tallies[], size_t n_tallies,
             enum measure_key_kind key_kind, const struct traffic *t,
             bool exact)
{
    struct measure_report *report
        = measure_report_merge(tallies, n_tallies, key_kind, &secret, &budget);
    struct oracle keys = oracle_group(&t->flows, key_kind);
    uint64_t packets = 0, bytes = 0;
    size_t n_rows = 0;

    check_counters(&report->counters, t);
    ck_assert_int_eq(is_exact(report), exact);
    for (size_t i = 0; i < keys.n; i++) {
        keys.rows[i].seen = false;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        MEASURE_TABLE_FOR_EACH (row, &report->tables[layout]) {
            struct measure_fields fields;
            struct oracle_row *expected;

            measure_fields_from_key(&fields, layout, row);
            expected = oracle_find(&keys, &fields);
            REQUIRE(expected && !expected->seen);
            expected->seen = true;
            REQUIRE(*measure_row_packets(row, layout) <= expected->packets);
            REQUIRE(*measure_row_bytes(row, layout) <= expected->bytes);
            packets += *measure_row_packets(row, layout);
            bytes += *measure_row_bytes(row, layout);
            n_rows++;
            if (exact) {
                REQUIRE(*measure_row_packets(row, layout)
                        == expected->packets);
                REQUIRE(*measure_row_bytes(row, layout) == expected->bytes);
            } else {
                uint64_t hash = measure_hash(&secret, row,
                                             measure_key_words(layout));
                const struct measure_overflow_cell *cell
                    = &report->overflow[measure_overflow_cell(hash)];

                REQUIRE(*measure_row_packets(row, layout) + cell->packets
                        >= expected->packets);
                REQUIRE(*measure_row_bytes(row, layout) + cell->bytes
                        >= expected->bytes);
            }
        }
    }
    if (exact) {
        ck_assert_uint_eq(n_rows, keys.n);
    }
    ck_assert_uint_eq(packets + report->counters.overflow_packets,
                      t->flows.packets);
    ck_assert_uint_eq(bytes + report->counters.overflow_bytes,
                      t->flows.bytes);

    /* Also of keys that have no row. */
    for (size_t i = 0; i < keys.n && !exact; i++) {
        if (!keys.rows[i].seen) {
            uint64_t key[MEASURE_KEY_WORDS];
            enum measure_layout layout
                = measure_key_from_fields(key, &keys.rows[i].fields);
            uint64_t hash = measure_hash(&secret, key,
                                         measure_key_words(layout));
            uint32_t cell;

            cell = measure_overflow_cell(hash);
            REQUIRE(report->overflow[cell].packets >= keys.rows[i].packets);
            REQUIRE(report->overflow[cell].bytes >= keys.rows[i].bytes);
        }
    }
    oracle_close(&keys);
    measure_report_destroy(report);
}

START_TEST(one_table_counts_exactly)
{
    enum measure_key_kind key_kind = _i % MEASURE_N_KINDS;
    struct traffic t = traffic_open(_i / MEASURE_N_KINDS, 3000);
    struct measure_tally *tally = make_tally(key_kind, 6000, 0);
    struct measure_load load;

    send_packets(&t, tally, 50000);
    measure_tally_load(tally, &load);
    check_counters(&load.counters, &t);
    check_counters(&tally->counters, &t);
    ck_assert_uint_eq(load.counters.overflow_packets, 0);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        ck_assert_uint_eq(load.n_tables[layout], 1);
        ck_assert_uint_eq(load.n_unused[layout], 0);
        ck_assert_uint_eq(load.n_lines[layout], 6000);
        ck_assert_uint_eq(load.last_lines[layout], 6000);
        ck_assert_uint_eq(load.n_used[layout], load.current_used[layout]);
    }
    ck_assert_uint_eq(load.table_bytes, 2 * 6000 * MEASURE_LINE_SIZE);
    check_report(&tally, 1, key_kind, &t, true);

    measure_tally_destroy(tally);
    traffic_close(&t);
}
END_TEST

START_TEST(several_tallies_add_up)
{
    enum measure_key_kind key_kind = _i;
    struct traffic t = traffic_open(STREAM_ZIPF, 3000);
    struct measure_tally *tallies[5];

    for (size_t i = 0; i < ARRAY_SIZE(tallies); i++) {
        tallies[i] = make_tally(key_kind, 6000, 0);
    }
    for (int i = 0; i < 50; i++) {
        /* The last one counts nothing. */
        send_packets(&t, tallies[i % (ARRAY_SIZE(tallies) - 1)], 1000);
    }
    check_report(tallies, ARRAY_SIZE(tallies), key_kind, &t, true);
    for (size_t i = 0; i < ARRAY_SIZE(tallies); i++) {
        measure_tally_destroy(tallies[i]);
    }
    traffic_close(&t);
}
END_TEST

START_TEST(full_tables_move_on_and_stay_exact)
{
    enum measure_key_kind key_kind = _i;
    struct traffic t = traffic_open(STREAM_UNIFORM, 4000);
    struct measure_tally *tally = make_tally(key_kind, 10, 20);
    struct measure_load load;
    uint32_t next_lines = 40;

    for (int i = 0; i < 3000; i++) {
        send_packets(&t, tally, 8);
        measure_tally_load(tally, &load);
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            if (!load.n_unused[layout]) {
                ck_assert(measure_tally_add_table(tally, layout, next_lines));
            }
        }
        if (load.n_tables[MEASURE_NARROW] > 1) {
            next_lines = 20000;
        }
    }
    measure_tally_load(tally, &load);
    check_counters(&load.counters, &t);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        uint64_t n_used = 0;

        ck_assert_uint_gt(load.n_tables[layout], 2);
        ck_assert_uint_eq(load.n_tables[layout] + load.n_unused[layout],
                          tally->n_tables[layout]);
        for (uint32_t i = 0; i < tally->n_tables[layout]; i++) {
            n_used += measure_table_n_used(&tally->tables[layout][i]);
        }
        ck_assert_uint_eq(load.n_used[layout], n_used);
        ck_assert_uint_eq(load.last_lines[layout], 20000);
        ck_assert_uint_eq(load.max_used[layout],
                          tally->current[layout]->max_used);
        ck_assert_uint_eq(load.current_used[layout],
                          measure_table_n_used(tally->current[layout]));
    }
    ck_assert_uint_eq(load.counters.overflow_packets, 0);
    check_report(&tally, 1, key_kind, &t, true);
    measure_tally_destroy(tally);
    traffic_close(&t);
}
END_TEST

START_TEST(tables_of_a_tally_are_limited)
{
    struct measure_tally *tally = make_tally(MEASURE_KIND_FLOW, 4, 0);

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        for (int i = 1; i < MEASURE_TALLY_TABLES; i++) {
            ck_assert(measure_tally_add_table(tally, layout, 4));
        }
        ck_assert(!measure_tally_add_table(tally, layout, 4));
        ck_assert_uint_eq(tally->n_tables[layout], MEASURE_TALLY_TABLES);
    }

    /* All of them are filled, one after the other. */
    struct traffic t = traffic_open(STREAM_ALL_NEW, 100000);
    struct measure_load load;

    send_packets(&t, tally, 5000);
    measure_tally_load(tally, &load);
    ck_assert_uint_eq(load.n_tables[MEASURE_NARROW], MEASURE_TALLY_TABLES);
    ck_assert_uint_eq(load.n_used[MEASURE_NARROW], MEASURE_TALLY_TABLES * 4);
    ck_assert_uint_eq(load.n_used[MEASURE_WIDE], MEASURE_TALLY_TABLES * 2);
    ck_assert_uint_eq(load.counters.overflow_packets,
                      t.flows.packets - MEASURE_TALLY_TABLES * 6);
    check_report(&tally, 1, MEASURE_KIND_FLOW, &t, false);
    measure_tally_destroy(tally);
    traffic_close(&t);
}
END_TEST

START_TEST(overflow_is_bounded_and_adds_up)
{
    enum measure_key_kind key_kind = _i % MEASURE_N_KINDS;
    struct traffic t = traffic_open(_i / MEASURE_N_KINDS, 20000);
    struct measure_tally *tallies[3];

    tallies[0] = make_tally(key_kind, 8, 16);
    tallies[1] = make_tally(key_kind, 20, 0);
    /* One that has no table for IPv6, as when there is no memory at all. */
    tallies[2] = make_tally(key_kind, 1, 0);
    ck_assert_uint_eq(tallies[2]->tables[MEASURE_WIDE][0].max_used, 0);
    for (int i = 0; i < 300; i++) {
        send_packets(&t, tallies[i % ARRAY_SIZE(tallies)], 200);
    }
    check_report(tallies, ARRAY_SIZE(tallies), key_kind, &t, false);
    for (size_t i = 0; i < ARRAY_SIZE(tallies); i++) {
        measure_tally_destroy(tallies[i]);
    }
    traffic_close(&t);
}
END_TEST

/* What a tally of a PMD thread that was quiet takes of IPv4 packets each of
 * which is a new flow, before the control thread gives it more: see
 * measure_tally_quiet_limit().  The rest of them is overflow. */
START_TEST(quiet_tallies_take_some_flows)
{
    static const struct {
        unsigned int pmds;
        uint64_t flows;
        uint64_t idle_mb;
    } cases[] = { { 1, 18400, 4 }, { 4, 4900, 4 }, { 7, 2800, 4 },
                  { 8, 2500, 4 }, { 32, 2500, 4 }, { 1, 262000, 64 } };
    static const uint64_t none[MEASURE_N_LAYOUTS] = { 0, 0 };
    unsigned int pmds = cases[_i].pmds;
    unsigned int weights = pmds * MEASURE_QUIET_WEIGHT + 1;
    uint64_t limit = measure_tally_quiet_limit(cases[_i].idle_mb << 20,
                                               MEASURE_QUIET_WEIGHT, weights);
    uint64_t before = measure_budget_used(&budget);
    struct random r = random_from(test_seed);
    uint32_t n_lines[MEASURE_N_LAYOUTS];
    uint32_t next_lines[MEASURE_N_LAYOUTS];
    struct measure_load load;
    struct measure_tally *tally;
    uint64_t n_sent = 0;

    measure_tally_choose_lines(none, limit, n_lines, next_lines);
    tally = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_reset(tally, n_lines, next_lines));
    measure_tally_begin(tally, MEASURE_KIND_FLOW);

    /* Two tallies of each thread; up to 7 threads, and the main thread with an
     * eighth of what one of them has, make less than the idle memory. */
    ck_assert_uint_lt(((measure_budget_used(&budget) - before) * 2
                       * ((pmds < 7 ? pmds : 7) * 8 + 2) / 8),
                      cases[_i].idle_mb * 1000000);

    do {
        struct measure_record records[MEASURE_BURST];

        memset(records, 0, sizeof records);
        for (int i = 0; i < MEASURE_BURST; i++) {
            records[i].verdict = MEASURE_COUNT_NARROW;
            records[i].bytes = 100;
            records[i].key[0] = n_sent + i;
            records[i].key[1] = random_next(&r);
        }
        measure_tally_count(tally, records, MEASURE_BURST);
        n_sent += MEASURE_BURST;
        measure_tally_load(tally, &load);
        ck_assert(!load.counters.overflow_packets
                  || n_sent > cases[_i].flows);
    } while (n_sent < 2 * cases[_i].flows);

    ck_assert_uint_ge(load.n_used[MEASURE_NARROW], cases[_i].flows);
    ck_assert_uint_eq(load.n_used[MEASURE_NARROW]
                      + load.counters.overflow_packets, n_sent);
    ck_assert_uint_eq(load.counters.packets, n_sent);
    measure_tally_destroy(tally);
}
END_TEST

static struct measure_tally *urgent_tally;

static void
grow_urgent_tally(void)
{
    measure_memory_interlude = NULL;
    /* The memory that is being prepared is not there for others. */
    ck_assert_uint_ge(measure_budget_used(&budget),
                      measure_table_size(65536));
    ck_assert(measure_tally_add_table(urgent_tally, MEASURE_NARROW, 1024));
}

/* While a large table is prepared, a small one that is needed at once comes
 * first, also to the same tally. */
START_TEST(small_tables_do_not_wait_for_large_ones)
{
    static const uint32_t n_lines[MEASURE_N_LAYOUTS] = { 16, 16 };
    static const uint32_t none[MEASURE_N_LAYOUTS] = { 0, 0 };

    urgent_tally = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_reset(urgent_tally, n_lines, none));
    measure_memory_interlude = grow_urgent_tally;
    ck_assert(measure_tally_add_table(urgent_tally, MEASURE_NARROW, 65536));
    ck_assert_ptr_null(measure_memory_interlude);
    ck_assert_uint_eq(urgent_tally->n_tables[MEASURE_NARROW], 3);
    ck_assert_uint_eq(urgent_tally->tables[MEASURE_NARROW][1].n_lines, 1024);
    ck_assert_uint_eq(urgent_tally->tables[MEASURE_NARROW][2].n_lines, 65536);

    /* The last place may go to the small one. */
    while (urgent_tally->n_tables[MEASURE_NARROW] < MEASURE_TALLY_TABLES - 1) {
        ck_assert(measure_tally_add_table(urgent_tally, MEASURE_NARROW, 16));
    }
    measure_memory_interlude = grow_urgent_tally;
    ck_assert(!measure_tally_add_table(urgent_tally, MEASURE_NARROW, 65536));
    ck_assert_uint_eq(urgent_tally->n_tables[MEASURE_NARROW],
                      MEASURE_TALLY_TABLES);
    ck_assert_uint_eq((urgent_tally->tables[MEASURE_NARROW]
                       [MEASURE_TALLY_TABLES - 1].n_lines), 1024);
    measure_tally_destroy(urgent_tally);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
}
END_TEST

START_TEST(reset_leaves_nothing_behind)
{
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);
    uint64_t own_size = measure_budget_used(&budget);
    struct random r = random_from(test_seed);

    /* The cells, the records, and a few hundred bytes. */
    ck_assert_uint_ge(own_size, MEASURE_OVERFLOW_CELLS * 16);
    ck_assert_uint_lt(own_size, (MEASURE_OVERFLOW_CELLS * 16
                                 + MEASURE_WAITING * 64 + 1000));

    for (int i = 0; i < 30; i++) {
        struct traffic t = traffic_open(STREAM_UNIFORM, 2000);
        enum measure_key_kind key_kind = random_below(&r, MEASURE_N_KINDS);
        uint32_t first[MEASURE_N_LAYOUTS], next[MEASURE_N_LAYOUTS];
        struct measure_counters none;
        uint64_t size = own_size;
        bool roomy = random_below(&r, 2);

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            /* Often the sizes of the time before. */
            first[layout] = 50 << random_below(&r, 2);
            next[layout] = (roomy ? 8000
                            : random_below(&r, 3) * 50);
            size += (first[layout] + next[layout]) * MEASURE_LINE_SIZE;
        }
        ck_assert(measure_tally_reset(tally, first, next));
        measure_tally_begin(tally, key_kind);

        memset(&none, 0, sizeof none);
        ck_assert_mem_eq(&tally->counters, &none, sizeof none);
        ck_assert_uint_eq(measure_budget_used(&budget), size);
        for (int j = 0; j < MEASURE_OVERFLOW_CELLS; j++) {
            REQUIRE(!tally->overflow[j].packets && !tally->overflow[j].bytes);
        }
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            const struct measure_table *tables = tally->tables[layout];

            ck_assert_uint_eq(tally->n_tables[layout], next[layout] ? 2 : 1);
            ck_assert_uint_eq(tables[0].n_lines, first[layout]);
            ck_assert_ptr_eq(tally->current[layout], tables);
            if (next[layout]) {
                ck_assert_uint_eq(tables[1].n_lines, next[layout]);
            }
            for (uint32_t j = 0; j < tally->n_tables[layout]; j++) {
                ck_assert_uint_eq(measure_table_n_used(&tables[j]), 0);
                ck_assert_ptr_eq(measure_table_next(&tables[j], NULL), NULL);
            }
        }

        send_packets(&t, tally, 20000);
        check_report(&tally, 1, key_kind, &t,
                     !tally->counters.overflow_packets);
        if (roomy) {
            ck_assert_uint_eq(tally->counters.overflow_packets, 0);
        }
        traffic_close(&t);
    }
    measure_tally_destroy(tally);
}
END_TEST

/* Tables that have the right size already are kept. */
START_TEST(reset_keeps_tables)
{
    static const uint32_t first[MEASURE_N_LAYOUTS] = { 100, 200 };
    static const uint32_t next[MEASURE_N_LAYOUTS] = { 300, 400 };
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);
    uint64_t *rows[MEASURE_N_LAYOUTS][2];

    ck_assert(measure_tally_reset(tally, first, next));
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        rows[layout][0] = tally->tables[layout][0].rows;
        rows[layout][1] = tally->tables[layout][1].rows;
    }

    /* In the other order, and back. */
    ck_assert(measure_tally_add_table(tally, MEASURE_NARROW, 64));
    for (int i = 0; i < 2; i++) {
        n_calls = 0;
        watching = true;
        measure_tally_reset(tally, i ? first : next, i ? next : first);
        watching = false;
        /* Only the table too many is given back, at the first time. */
        ck_assert_uint_eq(n_calls, i ? 0 : 1);
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            ck_assert_ptr_eq(tally->tables[layout][0].rows,
                             rows[layout][i ? 0 : 1]);
            ck_assert_ptr_eq(tally->tables[layout][1].rows,
                             rows[layout][i ? 1 : 0]);
            ck_assert_uint_eq(tally->n_tables[layout], 2);
        }
    }
    measure_tally_destroy(tally);
}
END_TEST

START_TEST(counters_are_added_one_by_one)
{
    struct measure_counters sum = { 1, 2, 3, 4, 5, 6 };
    struct measure_counters more = { 10, 20, 30, 40, 50, 60 };
    struct measure_counters expected = { 11, 22, 33, 44, 55, 66 };

    measure_counters_add(&sum, &more);
    ck_assert_mem_eq(&sum, &expected, sizeof sum);
}
END_TEST

START_TEST(overflow_cells_are_in_the_array)
{
    struct random r = random_from(test_seed);

    REQUIRE(measure_overflow_cell(0) < MEASURE_OVERFLOW_CELLS);
    REQUIRE(measure_overflow_cell(UINT64_MAX) < MEASURE_OVERFLOW_CELLS);
    for (int i = 0; i < 10000; i++) {
        uint64_t hash = random_next(&r);

        REQUIRE(measure_overflow_cell(hash) < MEASURE_OVERFLOW_CELLS);
        /* Keys of one line, whose upper bits are the same, spread. */
        REQUIRE(measure_overflow_cell(hash)
                == measure_overflow_cell(hash & UINT32_MAX));
    }
}
END_TEST

START_TEST(swap_returns_the_old_tally)
{
    struct measure_tally *a = make_tally(MEASURE_KIND_FLOW, 4, 0);
    struct measure_tally *b = make_tally(MEASURE_KIND_FLOW, 4, 0);
    struct measure_thread thread = { .tally = a };

    ck_assert_ptr_eq(measure_thread_tally(&thread), a);
    ck_assert_ptr_eq(measure_thread_swap(&thread, b), a);
    ck_assert_ptr_eq(measure_thread_tally(&thread), b);
    ck_assert_ptr_eq(measure_thread_swap(&thread, NULL), b);
    ck_assert_ptr_eq(measure_thread_tally(&thread), NULL);
    measure_tally_destroy(a);
    measure_tally_destroy(b);
    measure_tally_destroy(NULL);
}
END_TEST

/* First that the trap works, then that nothing falls into it. */
START_TEST(packet_path_allocates_nothing_and_takes_no_lock)
{
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    struct measure_tally *tally = make_tally(MEASURE_KIND_FLOW, 10, 20);
    struct measure_thread thread = { .tally = tally };
    enum { N_RECORDS = 320 * 2 * MEASURE_BURST };
    struct measure_record *records = malloc(N_RECORDS * sizeof *records);
    struct random r = random_from(test_seed);
    void *volatile p;

    for (int i = 0; i < N_RECORDS; i++) {
        struct measure_fields fields
            = make_fields(i % 2, random_below(&r, 10000));

        records[i] = make_record(&fields, 100);
        records[i].verdict = random_below(&r, MEASURE_N_VERDICTS);
    }

    n_calls = 0;
    watching = true;
    p = malloc(1);
    free(p);
    pthread_mutex_lock(&mutex);
    watching = false;
    pthread_mutex_unlock(&mutex);
    ck_assert_uint_eq(n_calls, 3);

    n_calls = 0;
    for (int i = 0; i < N_RECORDS; i += 2 * MEASURE_BURST) {
        watching = true;
        measure_tally_count(measure_thread_tally(&thread), &records[i],
                            MEASURE_BURST);
        fetch_burst(measure_thread_tally(&thread), &records[i + MEASURE_BURST],
                    MEASURE_BURST);
        if (i % 3) {
            measure_tally_count_fetched(measure_thread_tally(&thread));
        }
        watching = false;
    }
    ck_assert_uint_eq(n_calls, 0);
    /* It did all that it can do: filled tables, moved on, overflowed. */
    ck_assert_uint_gt(tally->counters.overflow_packets, 0);
    ck_assert_ptr_eq(tally->current[MEASURE_NARROW],
                     &tally->tables[MEASURE_NARROW][1]);
    free(records);
    measure_tally_destroy(tally);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-tally");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, one_table_counts_exactly,
                        0, N_STREAM_KINDS * MEASURE_N_KINDS);
    tcase_add_loop_test(tests, several_tallies_add_up, 0, MEASURE_N_KINDS);
    tcase_add_loop_test(tests, full_tables_move_on_and_stay_exact,
                        0, MEASURE_N_KINDS);
    tcase_add_test(tests, tables_of_a_tally_are_limited);
    tcase_add_loop_test(tests, overflow_is_bounded_and_adds_up,
                        0, 2 * MEASURE_N_KINDS);
    tcase_add_loop_test(tests, quiet_tallies_take_some_flows, 0, 6);
    tcase_add_test(tests, small_tables_do_not_wait_for_large_ones);
    tcase_add_test(tests, reset_leaves_nothing_behind);
    tcase_add_test(tests, reset_keeps_tables);
    tcase_add_test(tests, counters_are_added_one_by_one);
    tcase_add_test(tests, overflow_cells_are_in_the_array);
    tcase_add_test(tests, swap_returns_the_old_tally);
    tcase_add_test(tests, packet_path_allocates_nothing_and_takes_no_lock);
    return tests_run(tests);
}
