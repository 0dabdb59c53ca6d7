/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the counts of a flow cache. */

#include <config.h>

#include "check-answer.h"
#include "check-common.h"
#include "check-flow-cache.h"
#include "check-secret.h"
#include "tally/measure-tally.h"

/* A flow cache as a switch has it: some entries, each of which stands for a
 * flow, and is given to another one now and then. */

static struct measure_thread thread;

static struct measure_cache_keys *
get_keys(void)
{
    struct measure_cache_keys *keys
        = measure_thread_get_keys(&thread, &budget, MEASURE_ANY_NODE);

    ck_assert_ptr_nonnull(keys);
    return keys;
}

static struct measure_tally *
open_tally(uint32_t n_lines)
{
    const uint32_t lines[] = { n_lines, n_lines }, next[] = { 0, 0 };
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);

    ck_assert(measure_tally_reset(tally, lines, next));
    flow_cache_begin(tally, get_keys());
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
    return tally;
}

static void
close_tally(struct measure_tally *tally)
{
    measure_tally_destroy(tally);
    measure_thread_free_keys(&thread, &budget);
}

static void
check_report(struct measure_tally *tally, const struct oracle *oracle)
{
    struct question question = {
        .key_kind = MEASURE_KIND_FLOW, .n = 0,
        .threshold = { .unit = MEASURE_SHARE, .value = 100 },
    };
    struct measure_hitters_answer answer;
    struct measure_report *report;

    measure_tally_move_cache(tally);
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        REQUIRE(!measure_cache_packets(tally->cache->counts[i]));
    }
    report = measure_report_merge(&tally, 1, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    ck_assert_uint_eq(report->counters.packets, oracle->packets);
    ck_assert_uint_eq(report->counters.bytes, oracle->bytes);
    ck_assert(is_exact(report));
    ck_assert(ask(report, &question, &answer));
    ck_assert_uint_eq(answer.n_rows, oracle->n);
    for (size_t i = 0; i < answer.n_rows; i++) {
        const struct oracle_row *row = oracle_find(oracle,
                                                   &answer.rows[i].fields);

        REQUIRE(row && row->packets == answer.rows[i].packets
                && row->bytes == answer.rows[i].bytes);
    }
    measure_hitters_answer_destroy(&answer);
    measure_report_destroy(report);
}

/* Whatever finds an entry, and wherever it is counted, flows add up. */
START_TEST(both_tiers_add_up)
{
    enum { N_FLOWS = 2000, N_ENTRIES = 200, N_PACKETS = 200000 };
    static struct measure_fields cached[N_ENTRIES];
    static bool used[N_ENTRIES];
    struct random r = random_from(test_seed);
    struct oracle oracle = oracle_open();
    struct measure_tally *tally;

    draw_secret();
    memset(used, 0, sizeof used);
    tally = open_tally(8192);
    for (int i = 0; i < N_PACKETS; i++) {
        uint32_t flow = random_below(&r, 4) ? random_below(&r, 50)
                        : random_below(&r, N_FLOWS);
        struct measure_fields fields = make_fields(flow % 2, flow);
        uint32_t entry = flow % N_ENTRIES;
        uint32_t bytes = 60 + random_below(&r, 65476);

        if (used[entry] && fields_equal(&cached[entry], &fields)) {
            flow_cache_hit(tally, entry * 40, 0, &fields, bytes);
        } else {
            struct measure_record record = make_record(&fields, bytes);

            if (random_below(&r, 2)) {
                measure_tally_count(tally, &record, 1);
            } else {
                measure_tally_receive(tally, 1, bytes);
                flow_cache_miss(tally, &record);
            }
            if (!random_below(&r, 10)) {
                flow_cache_replace(tally, entry * 40);
                cached[entry] = fields;
                used[entry] = true;
            }
        }
        oracle_add(&oracle, &fields, 1, bytes);
        if (!random_below(&r, 20)) {
            measure_tally_count_fetched(tally);
        }
    }
    measure_tally_count_fetched(tally);
    check_report(tally, &oracle);
    close_tally(tally);
    oracle_close(&oracle);
}
END_TEST

/* An entry that has counted as much as its word can hold goes on. */
START_TEST(full_entries_lose_nothing)
{
    enum { N_PACKETS = (1 << 22) + 1000 };
    struct oracle oracle = oracle_open();
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(64);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_fields fields = make_fields(layout, 7);

        for (int i = 0; i < N_PACKETS; i++) {
            flow_cache_hit(tally, 8191, 0, &fields, MEASURE_CACHE_MAX_FRAME);
        }
        flow_cache_replace(tally, 8191);
        oracle_add(&oracle, &fields, N_PACKETS,
                   (uint64_t) N_PACKETS * MEASURE_CACHE_MAX_FRAME);
    }
    measure_tally_count_fetched(tally);
    check_report(tally, &oracle);
    close_tally(tally);
    oracle_close(&oracle);
}
END_TEST

/* The layout of the key and of the hit must agree, and an entry in use takes
 * no other key. */
START_TEST(entries_refuse_what_is_not_theirs)
{
    struct measure_fields v4 = make_fields(MEASURE_NARROW, 1);
    struct measure_fields v6 = make_fields(MEASURE_WIDE, 1);
    struct measure_record record = make_record(&v4, 100);
    struct measure_record other = make_record(&v6, 100);
    struct measure_record not_ip = { .verdict = MEASURE_NOT_IP };
    struct measure_record giant = make_record(&v4,
                                              1 + MEASURE_CACHE_MAX_FRAME);
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(64);
    ck_assert(!flow_cache_add(tally->cache, 5, MEASURE_NARROW, 100));
    ck_assert(!measure_tally_begin_entry(tally, 5, 0, &not_ip));
    ck_assert(!measure_tally_begin_entry(tally, 5, 0, &giant));
    ck_assert(measure_tally_begin_entry(tally, 5, 0, &record));
    ck_assert(!measure_tally_begin_entry(tally, 5, 0, &other));
    ck_assert(!flow_cache_add(tally->cache, 5, MEASURE_WIDE, 100));
    ck_assert(flow_cache_add(tally->cache, 5, MEASURE_NARROW, 100));
    ck_assert(!flow_cache_add(tally->cache, 6, MEASURE_NARROW, 100));

    /* An epoch later nothing is left. */
    measure_tally_move_cache(tally);
    ck_assert_uint_eq(measure_table_n_used(&tally->tables[MEASURE_NARROW][0]),
                      0);
    ck_assert_uint_eq(measure_table_n_used(&tally->tables[MEASURE_NARROW][1]),
                      1);
    ck_assert(!flow_cache_add(tally->cache, 5, MEASURE_NARROW, 100));
    close_tally(tally);
}
END_TEST

/* The totals are those of the packets that count, whatever was received, and
 * never more: who reads them meanwhile must not see them fall. */
START_TEST(what_does_not_count_is_taken_out)
{
    struct measure_record not_ip = { .verdict = MEASURE_NOT_IP, .bytes = 64 };
    struct measure_record bad = { .verdict = MEASURE_MALFORMED, .bytes = 99 };
    struct measure_fields fields = make_fields(MEASURE_WIDE, 1);
    struct measure_record good = make_record(&fields, 100);
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(64);
    for (int i = 0; i < 3 * MEASURE_BURST; i++) {
        measure_tally_receive(tally, 4, 64 + 99 + 200);
        *measure_tally_record(tally, 0) = not_ip;
        *measure_tally_record(tally, 1) = good;
        *measure_tally_record(tally, 2) = bad;
        *measure_tally_record(tally, 3) = good;
        ck_assert_uint_le(tally->counters.packets, 2 * i);
        ck_assert_uint_le(tally->counters.bytes, 200 * i);
        measure_tally_fetch(tally, 4);
        ck_assert_uint_le(tally->counters.packets, 2 * (i + 1));
        ck_assert_uint_le(tally->counters.bytes, 200 * (i + 1));
    }
    measure_tally_count_fetched(tally);
    ck_assert_uint_eq(tally->counters.packets, 6 * MEASURE_BURST);
    ck_assert_uint_eq(tally->counters.bytes, 600 * MEASURE_BURST);
    ck_assert_uint_eq(tally->counters.not_ip, 3 * MEASURE_BURST);
    ck_assert_uint_eq(tally->counters.malformed, 3 * MEASURE_BURST);
    ck_assert_uint_eq(tally->counters.overflow_packets, 0);
    close_tally(tally);
}
END_TEST

/* Closing an epoch needs rows for the entries that never had one. */
START_TEST(full_tables_grow_for_the_entries)
{
    struct oracle oracle = oracle_open();
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(16);
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        struct measure_fields fields = make_fields(i % 2, i);

        flow_cache_hit(tally, i, 0, &fields, 60 + i % 1000);
        flow_cache_hit(tally, i, 0, &fields, 60);
        oracle_add(&oracle, &fields, 2, 120 + i % 1000);
    }
    measure_tally_count_fetched(tally);
    check_report(tally, &oracle);
    close_tally(tally);
    oracle_close(&oracle);
}
END_TEST

/* A tally that counts again starts from nothing, with one tier or with two. */
START_TEST(reset_and_one_tier)
{
    const uint32_t lines[] = { 64, 64 }, next[] = { 0, 0 };
    struct measure_fields fields = make_fields(MEASURE_NARROW, 1);
    struct measure_record record = make_record(&fields, 100);
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(64);
    ck_assert(measure_tally_begin_entry(tally, 5, 0, &record));
    measure_tally_move_cache(tally);
    ck_assert_uint_eq(tally->n_tables[MEASURE_NARROW], 2);
    ck_assert(measure_tally_begin_entry(tally, 5, 0, &record));
    ck_assert(measure_tally_reset(tally, lines, next));
    ck_assert(!tally->cache->counts[5]);
    ck_assert_uint_eq(tally->n_tables[MEASURE_NARROW], 1);
    /* The table for the entries is kept for the next time. */
    ck_assert_ptr_nonnull(tally->spare[MEASURE_NARROW].rows);
    ck_assert_uint_eq(measure_table_n_used(&tally->spare[MEASURE_NARROW]), 0);
    ck_assert_uint_eq(tally->counters.packets, 0);
    ck_assert(measure_tally_use_cache(tally, NULL));
    ck_assert_ptr_null(tally->cache);
    measure_tally_move_cache(tally);
    ck_assert(measure_tally_use_cache(tally, get_keys()));
    ck_assert(measure_tally_use_cache(tally, get_keys()));
    ck_assert_ptr_nonnull(tally->cache);
    close_tally(tally);
}
END_TEST

/* Closes 'tally' with what 'oracle' has, which is emptied. */
static void
close_epoch(struct measure_tally *tally, struct oracle *oracle)
{
    measure_tally_count_fetched(tally);
    check_report(tally, oracle);
    measure_tally_destroy(tally);
    oracle_close(oracle);
    *oracle = oracle_open();
}

/* Counts a packet of flow 'i' for 'entry', without bringing its key if it is
 * 'known'. */
static void
hit(struct measure_tally *tally, uint32_t entry, int i, bool known,
    struct oracle *oracle)
{
    struct measure_fields fields = make_fields(i % 2, i);

    ck_assert_int_eq(!!measure_cache_known(tally->cache_keys, entry, 3),
                     known);
    flow_cache_hit(tally, entry, 3, &fields, 100 + i);
    oracle_add(oracle, &fields, 1, 100 + i);
}

/* A burst that began before the port of an entry got another number comes to
 * the next tally, too: there it must not give the entry a key that outlasts
 * it. */
START_TEST(late_bursts_give_no_keys)
{
    struct measure_tally *tally, *next;

    draw_secret();
    tally = open_tally(64);
    measure_cache_forget(get_keys());
    next = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_use_cache(next, get_keys()));
    ck_assert_ptr_null(next->cache);
    flow_cache_begin(next, get_keys());
    ck_assert_ptr_nonnull(next->cache);
    ck_assert(!measure_cache_is_forgotten(next->cache_keys, next->number));
    measure_tally_destroy(next);

    /* If nothing has been forgotten, two tiers do not wait. */
    next = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_use_cache(next, get_keys()));
    ck_assert_ptr_nonnull(next->cache);
    measure_tally_destroy(next);
    close_tally(tally);

    /* Nor is it known who came before the first tally of new keys. */
    next = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_use_cache(next, get_keys()));
    ck_assert_ptr_null(next->cache);
    close_tally(next);
}
END_TEST

/* An entry brings its key once, for as long as it stands for it. */
START_TEST(keys_outlast_epochs)
{
    struct oracle oracle = oracle_open();
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(64);
    hit(tally, 5, 1, false, &oracle);
    hit(tally, 5, 1, true, &oracle);
    hit(tally, 6, 2, false, &oracle);
    close_epoch(tally, &oracle);

    tally = open_tally(64);
    hit(tally, 5, 1, true, &oracle);
    ck_assert_uint_eq(measure_cache_version(tally->cache->counts[5]), 6);
    hit(tally, 6, 2, true, &oracle);
    ck_assert_uint_eq(measure_cache_version(tally->cache->counts[6]), 4);
    close_epoch(tally, &oracle);

    /* Another port, or anything else that the packet thread is not told. */
    tally = open_tally(64);
    ck_assert(!measure_cache_known(tally->cache_keys, 5, 4));
    ck_assert(!measure_cache_known(tally->cache_keys, 7, 3));
    flow_cache_replace(tally, 5);
    hit(tally, 5, 4, false, &oracle);
    hit(tally, 5, 4, true, &oracle);
    measure_cache_forget(get_keys());
    flow_cache_replace(tally, 6);
    hit(tally, 6, 5, false, &oracle);
    ck_assert(!measure_cache_known(tally->cache_keys, 5, 3));
    ck_assert(!measure_cache_known(tally->cache_keys, 6, 3));
    close_epoch(tally, &oracle);

    tally = open_tally(64);
    hit(tally, 5, 4, false, &oracle);
    hit(tally, 6, 5, false, &oracle);
    close_epoch(tally, &oracle);
    tally = open_tally(64);
    hit(tally, 5, 4, true, &oracle);
    hit(tally, 6, 5, true, &oracle);
    measure_tally_count_fetched(tally);
    check_report(tally, &oracle);
    close_tally(tally);
    oracle_close(&oracle);
}
END_TEST

/* While a closed tally is not moved, no key that it names is overwritten. */
START_TEST(closed_tallies_keep_their_keys)
{
    struct oracle oracles[4];
    struct measure_tally *tallies[4];

    draw_secret();
    for (int i = 0; i < 4; i++) {
        oracles[i] = oracle_open();
    }
    /* The first tally names one place, the second the other. */
    tallies[0] = open_tally(64);
    hit(tallies[0], 5, 1, false, &oracles[0]);
    tallies[1] = open_tally(64);
    flow_cache_replace(tallies[1], 5);
    hit(tallies[1], 5, 2, false, &oracles[1]);
    /* Within an epoch no other tally names the place. */
    flow_cache_replace(tallies[1], 5);
    hit(tallies[1], 5, 3, false, &oracles[1]);
    hit(tallies[1], 5, 3, true, &oracles[1]);
    /* No place is left. */
    tallies[2] = open_tally(64);
    hit(tallies[2], 5, 3, true, &oracles[2]);
    flow_cache_replace(tallies[2], 5);
    hit(tallies[2], 5, 4, false, &oracles[2]);
    ck_assert_uint_eq(tallies[2]->cache->counts[5], 0);
    close_epoch(tallies[0], &oracles[0]);
    hit(tallies[2], 5, 4, false, &oracles[2]);
    ck_assert_uint_ne(tallies[2]->cache->counts[5], 0);
    close_epoch(tallies[1], &oracles[1]);
    tallies[3] = open_tally(64);
    flow_cache_replace(tallies[3], 5);
    hit(tallies[3], 5, 6, false, &oracles[3]);
    ck_assert_uint_ne(tallies[3]->cache->counts[5], 0);
    close_epoch(tallies[2], &oracles[2]);
    measure_tally_count_fetched(tallies[3]);
    check_report(tallies[3], &oracles[3]);
    close_tally(tallies[3]);
    for (int i = 0; i < 4; i++) {
        oracle_close(&oracles[i]);
    }
}
END_TEST

static void
carry_all(struct measure_tally *tally)
{
    int bursts = 0;

    while (tally->n_carried < MEASURE_CACHE_ENTRIES) {
        measure_tally_carry_entries(tally);
        bursts++;
    }
    ck_assert_int_eq(bursts, MEASURE_CACHE_ENTRIES / MEASURE_CACHE_CARRIED);
}

static bool
takes(const struct measure_tally *tally, uint32_t entry)
{
    return measure_cache_takes(tally->cache->counts[entry]);
}

/* Entries that have keys take packets before they have counted any, and what
 * has counted none leaves no row. */
START_TEST(entries_are_carried)
{
    const uint32_t last = MEASURE_CACHE_ENTRIES - 1;
    struct oracle oracle = oracle_open();
    struct measure_tally *tally;

    draw_secret();
    tally = open_tally(64);
    carry_all(tally);
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        REQUIRE(!tally->cache->counts[i]);
    }
    hit(tally, 0, 1, false, &oracle);
    hit(tally, 5, 2, false, &oracle);
    hit(tally, 6, 3, false, &oracle);
    hit(tally, 7, 4, false, &oracle);
    hit(tally, last, 5, false, &oracle);
    close_epoch(tally, &oracle);

    tally = open_tally(64);
    flow_cache_replace(tally, 5);
    hit(tally, 6, 3, true, &oracle);
    uint64_t begun = tally->cache->counts[6];
    carry_all(tally);
    ck_assert(takes(tally, 0) && takes(tally, last) && takes(tally, 7));
    ck_assert(!measure_cache_packets(tally->cache->counts[0]));
    ck_assert_uint_eq(tally->cache->counts[5], 0);
    ck_assert_uint_eq(tally->cache->counts[6], begun);
    /* One counts, one goes to another flow before it does, one does
     * neither. */
    hit(tally, 0, 1, true, &oracle);
    flow_cache_replace(tally, last);
    ck_assert_uint_eq(measure_table_n_used(tally->current[MEASURE_NARROW])
                      + measure_table_n_used(tally->current[MEASURE_WIDE]), 0);
    hit(tally, last, 6, false, &oracle);
    close_epoch(tally, &oracle);

    tally = open_tally(64);
    carry_all(tally);
    ck_assert(takes(tally, 7) && takes(tally, last) && !takes(tally, 5));
    hit(tally, 7, 4, true, &oracle);
    hit(tally, last, 6, true, &oracle);
    hit(tally, 9, 7, false, &oracle);
    measure_cache_forget(get_keys());
    close_epoch(tally, &oracle);

    tally = open_tally(64);
    carry_all(tally);
    ck_assert(!takes(tally, 0) && !takes(tally, 7) && !takes(tally, last));
    ck_assert(!takes(tally, 9));
    measure_tally_count_fetched(tally);
    check_report(tally, &oracle);
    close_tally(tally);
    oracle_close(&oracle);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-flow-cache");

    tcase_add_test(tests, both_tiers_add_up);
    tcase_add_test(tests, full_entries_lose_nothing);
    tcase_add_test(tests, keys_outlast_epochs);
    tcase_add_test(tests, late_bursts_give_no_keys);
    tcase_add_test(tests, closed_tallies_keep_their_keys);
    tcase_add_test(tests, entries_are_carried);
    tcase_add_test(tests, entries_refuse_what_is_not_theirs);
    tcase_add_test(tests, what_does_not_count_is_taken_out);
    tcase_add_test(tests, full_tables_grow_for_the_entries);
    tcase_add_test(tests, reset_and_one_tier);
    return tests_run(tests);
}
