/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "check-answer.h"
#include "check-common.h"
#include "check-flow-cache.h"
#include "tally/measure-epoch.h"

/* A flow cache as a switch has it: some entries, each of which stands for a
 * flow, and is given to another one now and then. */

static struct measure_hash_secret secret;
static struct measure_writer writer;

static struct measure_cache_keys *
get_keys(void)
{
    struct measure_cache_keys *keys
        = measure_writer_get_keys(&writer, &budget, MEASURE_ANY_NODE);

    ck_assert_ptr_nonnull(keys);
    return keys;
}

static struct measure_set *
open_set(uint32_t n_lines)
{
    const uint32_t lines[] = { n_lines, n_lines }, next[] = { 0, 0 };
    struct measure_set *set = measure_set_create(&secret, &budget,
                                                 MEASURE_ANY_NODE);

    ck_assert(measure_set_reset(set, lines, next));
    flow_cache_begin(set, get_keys());
    measure_set_begin(set, MEASURE_BY_FLOW);
    return set;
}

static void
close_set(struct measure_set *set)
{
    measure_set_destroy(set);
    measure_writer_free_keys(&writer, &budget);
}

static void
check_report(struct measure_set *set, const struct oracle *oracle)
{
    struct question question = {
        .by = MEASURE_BY_FLOW, .n = 0,
        .threshold = { .unit = MEASURE_SHARE, .value = 100 },
    };
    struct measure_hitters_answer answer;
    struct measure_report *report;

    measure_set_move_cache(set);
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        REQUIRE(!measure_cache_packets(set->cache->counts[i]));
    }
    report = measure_report_merge(&set, 1, MEASURE_BY_FLOW, &secret, &budget);
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
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    memset(used, 0, sizeof used);
    set = open_set(8192);
    for (int i = 0; i < N_PACKETS; i++) {
        uint32_t flow = random_below(&r, 4) ? random_below(&r, 50)
                        : random_below(&r, N_FLOWS);
        struct measure_fields fields = make_fields(flow % 2, flow);
        uint32_t entry = flow % N_ENTRIES;
        uint32_t bytes = 60 + random_below(&r, 65476);

        if (used[entry] && fields_equal(&cached[entry], &fields)) {
            flow_cache_hit(set, entry * 40, 0, &fields, bytes);
        } else {
            struct measure_record record = make_record(&fields, bytes);

            if (random_below(&r, 2)) {
                measure_set_count(set, &record, 1);
            } else {
                measure_set_receive(set, 1, bytes);
                flow_cache_miss(set, &record);
            }
            if (!random_below(&r, 10)) {
                flow_cache_replace(set, entry * 40);
                cached[entry] = fields;
                used[entry] = true;
            }
        }
        oracle_add(&oracle, &fields, 1, bytes);
        if (!random_below(&r, 20)) {
            measure_set_count_fetched(set);
        }
    }
    measure_set_count_fetched(set);
    check_report(set, &oracle);
    close_set(set);
    oracle_close(&oracle);
}
END_TEST

/* An entry that has counted as much as its word can hold goes on. */
START_TEST(full_entries_lose_nothing)
{
    enum { N_PACKETS = (1 << 22) + 1000 };
    struct oracle oracle = oracle_open();
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        struct measure_fields fields = make_fields(family, 7);

        for (int i = 0; i < N_PACKETS; i++) {
            flow_cache_hit(set, 8191, 0, &fields, MEASURE_CACHE_MAX_FRAME);
        }
        flow_cache_replace(set, 8191);
        oracle_add(&oracle, &fields, N_PACKETS,
                   (uint64_t) N_PACKETS * MEASURE_CACHE_MAX_FRAME);
    }
    measure_set_count_fetched(set);
    check_report(set, &oracle);
    close_set(set);
    oracle_close(&oracle);
}
END_TEST

/* The layout of the key and of the hit must agree, and an entry in use takes
 * no other key. */
START_TEST(entries_refuse_what_is_not_theirs)
{
    struct measure_fields v4 = make_fields(MEASURE_IPV4, 1);
    struct measure_fields v6 = make_fields(MEASURE_IPV6, 1);
    struct measure_record record = make_record(&v4, 100);
    struct measure_record other = make_record(&v6, 100);
    struct measure_record not_ip = { .verdict = MEASURE_NOT_IP };
    struct measure_record giant = make_record(&v4,
                                              1 + MEASURE_CACHE_MAX_FRAME);
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    ck_assert(!flow_cache_add(set->cache, 5, MEASURE_IPV4, 100));
    ck_assert(!measure_set_begin_entry(set, 5, 0, &not_ip));
    ck_assert(!measure_set_begin_entry(set, 5, 0, &giant));
    ck_assert(measure_set_begin_entry(set, 5, 0, &record));
    ck_assert(!measure_set_begin_entry(set, 5, 0, &other));
    ck_assert(!flow_cache_add(set->cache, 5, MEASURE_IPV6, 100));
    ck_assert(flow_cache_add(set->cache, 5, MEASURE_IPV4, 100));
    ck_assert(!flow_cache_add(set->cache, 6, MEASURE_IPV4, 100));

    /* An epoch later nothing is left. */
    measure_set_move_cache(set);
    ck_assert_uint_eq(measure_table_n_used(&set->tables[MEASURE_IPV4][0]), 0);
    ck_assert_uint_eq(measure_table_n_used(&set->tables[MEASURE_IPV4][1]), 1);
    ck_assert(!flow_cache_add(set->cache, 5, MEASURE_IPV4, 100));
    close_set(set);
}
END_TEST

/* The totals are those of the packets that count, whatever was received, and
 * never more: who reads them meanwhile must not see them fall. */
START_TEST(what_does_not_count_is_taken_out)
{
    struct measure_record not_ip = { .verdict = MEASURE_NOT_IP, .bytes = 64 };
    struct measure_record bad = { .verdict = MEASURE_MALFORMED, .bytes = 99 };
    struct measure_fields fields = make_fields(MEASURE_IPV6, 1);
    struct measure_record good = make_record(&fields, 100);
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    for (int i = 0; i < 3 * MEASURE_BURST; i++) {
        measure_set_receive(set, 4, 64 + 99 + 200);
        *measure_set_record(set, 0) = not_ip;
        *measure_set_record(set, 1) = good;
        *measure_set_record(set, 2) = bad;
        *measure_set_record(set, 3) = good;
        ck_assert_uint_le(set->counters.packets, 2 * i);
        ck_assert_uint_le(set->counters.bytes, 200 * i);
        measure_set_fetch(set, 4);
        ck_assert_uint_le(set->counters.packets, 2 * (i + 1));
        ck_assert_uint_le(set->counters.bytes, 200 * (i + 1));
    }
    measure_set_count_fetched(set);
    ck_assert_uint_eq(set->counters.packets, 6 * MEASURE_BURST);
    ck_assert_uint_eq(set->counters.bytes, 600 * MEASURE_BURST);
    ck_assert_uint_eq(set->counters.not_ip, 3 * MEASURE_BURST);
    ck_assert_uint_eq(set->counters.malformed, 3 * MEASURE_BURST);
    ck_assert_uint_eq(set->counters.overflow_packets, 0);
    close_set(set);
}
END_TEST

/* Closing an epoch needs rows for the entries that never had one. */
START_TEST(full_tables_grow_for_the_entries)
{
    struct oracle oracle = oracle_open();
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(16);
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        struct measure_fields fields = make_fields(i % 2, i);

        flow_cache_hit(set, i, 0, &fields, 60 + i % 1000);
        flow_cache_hit(set, i, 0, &fields, 60);
        oracle_add(&oracle, &fields, 2, 120 + i % 1000);
    }
    measure_set_count_fetched(set);
    check_report(set, &oracle);
    close_set(set);
    oracle_close(&oracle);
}
END_TEST

/* A set that counts again starts from nothing, with one tier or with two. */
START_TEST(reset_and_one_tier)
{
    const uint32_t lines[] = { 64, 64 }, next[] = { 0, 0 };
    struct measure_fields fields = make_fields(MEASURE_IPV4, 1);
    struct measure_record record = make_record(&fields, 100);
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    ck_assert(measure_set_begin_entry(set, 5, 0, &record));
    measure_set_move_cache(set);
    ck_assert_uint_eq(set->n_tables[MEASURE_IPV4], 2);
    ck_assert(measure_set_begin_entry(set, 5, 0, &record));
    ck_assert(measure_set_reset(set, lines, next));
    ck_assert(!set->cache->counts[5]);
    ck_assert_uint_eq(set->n_tables[MEASURE_IPV4], 1);
    /* The table for the entries is kept for the next time. */
    ck_assert_ptr_nonnull(set->spare[MEASURE_IPV4].rows);
    ck_assert_uint_eq(measure_table_n_used(&set->spare[MEASURE_IPV4]), 0);
    ck_assert_uint_eq(set->counters.packets, 0);
    ck_assert(measure_set_use_cache(set, NULL));
    ck_assert_ptr_null(set->cache);
    measure_set_move_cache(set);
    ck_assert(measure_set_use_cache(set, get_keys()));
    ck_assert(measure_set_use_cache(set, get_keys()));
    ck_assert_ptr_nonnull(set->cache);
    close_set(set);
}
END_TEST

/* Closes 'set' with what 'oracle' has, which is emptied. */
static void
close_epoch(struct measure_set *set, struct oracle *oracle)
{
    measure_set_count_fetched(set);
    check_report(set, oracle);
    measure_set_destroy(set);
    oracle_close(oracle);
    *oracle = oracle_open();
}

/* Counts a packet of flow 'i' for 'entry', without bringing its key if it is
 * 'known'. */
static void
hit(struct measure_set *set, uint32_t entry, int i, bool known,
    struct oracle *oracle)
{
    struct measure_fields fields = make_fields(i % 2, i);

    ck_assert_int_eq(!!measure_cache_known(set->cache_keys, entry, 3), known);
    flow_cache_hit(set, entry, 3, &fields, 100 + i);
    oracle_add(oracle, &fields, 1, 100 + i);
}

/* A burst that began before the port of an entry got another number comes to
 * the next set, too: there it must not give the entry a key that outlasts
 * it. */
START_TEST(late_bursts_give_no_keys)
{
    struct measure_set *set, *next;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    measure_cache_forget(get_keys());
    next = measure_set_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_set_use_cache(next, get_keys()));
    ck_assert_ptr_null(next->cache);
    flow_cache_begin(next, get_keys());
    ck_assert_ptr_nonnull(next->cache);
    ck_assert(!measure_cache_is_forgotten(next->cache_keys, next->number));
    measure_set_destroy(next);

    /* If nothing has been forgotten, two tiers do not wait. */
    next = measure_set_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_set_use_cache(next, get_keys()));
    ck_assert_ptr_nonnull(next->cache);
    measure_set_destroy(next);
    close_set(set);

    /* Nor is it known who came before the first set of new keys. */
    next = measure_set_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_set_use_cache(next, get_keys()));
    ck_assert_ptr_null(next->cache);
    close_set(next);
}
END_TEST

/* An entry brings its key once, for as long as it stands for it. */
START_TEST(keys_outlast_epochs)
{
    struct oracle oracle = oracle_open();
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    hit(set, 5, 1, false, &oracle);
    hit(set, 5, 1, true, &oracle);
    hit(set, 6, 2, false, &oracle);
    close_epoch(set, &oracle);

    set = open_set(64);
    hit(set, 5, 1, true, &oracle);
    ck_assert_uint_eq(measure_cache_version(set->cache->counts[5]), 6);
    hit(set, 6, 2, true, &oracle);
    ck_assert_uint_eq(measure_cache_version(set->cache->counts[6]), 4);
    close_epoch(set, &oracle);

    /* Another port, or anything else that the packet thread is not told. */
    set = open_set(64);
    ck_assert(!measure_cache_known(set->cache_keys, 5, 4));
    ck_assert(!measure_cache_known(set->cache_keys, 7, 3));
    flow_cache_replace(set, 5);
    hit(set, 5, 4, false, &oracle);
    hit(set, 5, 4, true, &oracle);
    measure_cache_forget(get_keys());
    flow_cache_replace(set, 6);
    hit(set, 6, 5, false, &oracle);
    ck_assert(!measure_cache_known(set->cache_keys, 5, 3));
    ck_assert(!measure_cache_known(set->cache_keys, 6, 3));
    close_epoch(set, &oracle);

    set = open_set(64);
    hit(set, 5, 4, false, &oracle);
    hit(set, 6, 5, false, &oracle);
    close_epoch(set, &oracle);
    set = open_set(64);
    hit(set, 5, 4, true, &oracle);
    hit(set, 6, 5, true, &oracle);
    measure_set_count_fetched(set);
    check_report(set, &oracle);
    close_set(set);
    oracle_close(&oracle);
}
END_TEST

/* While a closed set is not moved, no key that it names is overwritten. */
START_TEST(closed_sets_keep_their_keys)
{
    struct oracle oracles[4];
    struct measure_set *sets[4];

    measure_hash_secret_init(&secret, test_seed);
    for (int i = 0; i < 4; i++) {
        oracles[i] = oracle_open();
    }
    /* The first set names one place, the second the other. */
    sets[0] = open_set(64);
    hit(sets[0], 5, 1, false, &oracles[0]);
    sets[1] = open_set(64);
    flow_cache_replace(sets[1], 5);
    hit(sets[1], 5, 2, false, &oracles[1]);
    /* Within an epoch no other set names the place. */
    flow_cache_replace(sets[1], 5);
    hit(sets[1], 5, 3, false, &oracles[1]);
    hit(sets[1], 5, 3, true, &oracles[1]);
    /* No place is left. */
    sets[2] = open_set(64);
    hit(sets[2], 5, 3, true, &oracles[2]);
    flow_cache_replace(sets[2], 5);
    hit(sets[2], 5, 4, false, &oracles[2]);
    ck_assert_uint_eq(sets[2]->cache->counts[5], 0);
    close_epoch(sets[0], &oracles[0]);
    hit(sets[2], 5, 4, false, &oracles[2]);
    ck_assert_uint_ne(sets[2]->cache->counts[5], 0);
    close_epoch(sets[1], &oracles[1]);
    sets[3] = open_set(64);
    flow_cache_replace(sets[3], 5);
    hit(sets[3], 5, 6, false, &oracles[3]);
    ck_assert_uint_ne(sets[3]->cache->counts[5], 0);
    close_epoch(sets[2], &oracles[2]);
    measure_set_count_fetched(sets[3]);
    check_report(sets[3], &oracles[3]);
    close_set(sets[3]);
    for (int i = 0; i < 4; i++) {
        oracle_close(&oracles[i]);
    }
}
END_TEST

static void
carry_all(struct measure_set *set)
{
    int bursts = 0;

    while (set->n_carried < MEASURE_CACHE_ENTRIES) {
        measure_set_carry_entries(set);
        bursts++;
    }
    ck_assert_int_eq(bursts, MEASURE_CACHE_ENTRIES / MEASURE_CACHE_CARRIED);
}

static bool
takes(const struct measure_set *set, uint32_t entry)
{
    return measure_cache_takes(set->cache->counts[entry]);
}

/* Entries that have keys take packets before they have counted any, and what
 * has counted none leaves no row. */
START_TEST(entries_are_carried)
{
    const uint32_t last = MEASURE_CACHE_ENTRIES - 1;
    struct oracle oracle = oracle_open();
    struct measure_set *set;

    measure_hash_secret_init(&secret, test_seed);
    set = open_set(64);
    carry_all(set);
    for (uint32_t i = 0; i < MEASURE_CACHE_ENTRIES; i++) {
        REQUIRE(!set->cache->counts[i]);
    }
    hit(set, 0, 1, false, &oracle);
    hit(set, 5, 2, false, &oracle);
    hit(set, 6, 3, false, &oracle);
    hit(set, 7, 4, false, &oracle);
    hit(set, last, 5, false, &oracle);
    close_epoch(set, &oracle);

    set = open_set(64);
    flow_cache_replace(set, 5);
    hit(set, 6, 3, true, &oracle);
    uint64_t begun = set->cache->counts[6];
    carry_all(set);
    ck_assert(takes(set, 0) && takes(set, last) && takes(set, 7));
    ck_assert(!measure_cache_packets(set->cache->counts[0]));
    ck_assert_uint_eq(set->cache->counts[5], 0);
    ck_assert_uint_eq(set->cache->counts[6], begun);
    /* One counts, one goes to another flow before it does, one does
     * neither. */
    hit(set, 0, 1, true, &oracle);
    flow_cache_replace(set, last);
    ck_assert_uint_eq(measure_table_n_used(set->current[MEASURE_IPV4])
                      + measure_table_n_used(set->current[MEASURE_IPV6]), 0);
    hit(set, last, 6, false, &oracle);
    close_epoch(set, &oracle);

    set = open_set(64);
    carry_all(set);
    ck_assert(takes(set, 7) && takes(set, last) && !takes(set, 5));
    hit(set, 7, 4, true, &oracle);
    hit(set, last, 6, true, &oracle);
    hit(set, 9, 7, false, &oracle);
    measure_cache_forget(get_keys());
    close_epoch(set, &oracle);

    set = open_set(64);
    carry_all(set);
    ck_assert(!takes(set, 0) && !takes(set, 7) && !takes(set, last));
    ck_assert(!takes(set, 9));
    measure_set_count_fetched(set);
    check_report(set, &oracle);
    close_set(set);
    oracle_close(&oracle);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-cache");

    tcase_add_test(tests, both_tiers_add_up);
    tcase_add_test(tests, full_entries_lose_nothing);
    tcase_add_test(tests, keys_outlast_epochs);
    tcase_add_test(tests, late_bursts_give_no_keys);
    tcase_add_test(tests, closed_sets_keep_their_keys);
    tcase_add_test(tests, entries_are_carried);
    tcase_add_test(tests, entries_refuse_what_is_not_theirs);
    tcase_add_test(tests, what_does_not_count_is_taken_out);
    tcase_add_test(tests, full_tables_grow_for_the_entries);
    tcase_add_test(tests, reset_and_one_tier);
    return tests_run(tests);
}
