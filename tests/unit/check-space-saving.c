/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of SpaceSaving. */

#include "check-structures.h"

#include "burst.h"

struct fixture {
    struct measure_space_saving summary;
    void *memory;
    size_t size;
};

static void
open_summary(struct fixture *f, enum measure_layout layout,
             uint32_t n_entries)
{
    struct measure_space_saving_params params = {
        .layout = layout,
        .n_entries = n_entries,
        .secret = &secret,
    };

    f->size = measure_space_saving_size(&params);
    f->memory = get_memory(f->size);
    measure_space_saving_init(&f->summary, &params, f->memory);
}

static void
close_summary(struct fixture *f)
{
    put_memory(f->memory, f->size);
}

static void
add_burst(void *summary, struct measure_record *records, size_t n)
{
    space_saving_add_burst(summary, records, n);
}

/* Checks the heap, the index, and that no estimate is wrong by more than its
 * error.  Returns the largest error of packets. */
static uint64_t
check_summary(const struct measure_space_saving *s, struct traffic *t)
{
    uint32_t n = measure_space_saving_n_used(s), n_slots = 0;
    uint64_t max = 0;

    REQUIRE(n <= s->n_entries);
    for (uint32_t i = 1; i < n; i++) {
        REQUIRE(s->heap[(i - 1) / 2].packets <= s->heap[i].packets);
    }
    for (uint32_t i = 0; i < s->n_slots; i++) {
        n_slots += s->index[i].entry != 0;
    }
    REQUIRE(n_slots == n);

    traffic_forget(t);
    for (uint32_t i = 0; i < n; i++) {
        const struct measure_space_saving_entry *entry
            = measure_space_saving_entry(s, i);
        const struct measure_estimate *e = &entry->estimate;
        uint32_t number = traffic_number(t, entry->key);

        REQUIRE(s->heap[entry->heap].entry == i);
        REQUIRE(s->heap[entry->heap].packets == e->packets);
        REQUIRE(e->packets >= t->key_packets[number]);
        REQUIRE(e->packets - e->packets_error <= t->key_packets[number]);
        REQUIRE(e->bytes >= t->key_bytes[number]);
        REQUIRE(e->bytes - e->bytes_error <= t->key_bytes[number]);
        max = e->packets_error > max ? e->packets_error : max;
    }
    for (uint32_t i = 0; i < t->n_keys; i++) {
        struct measure_estimate e;
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash = traffic_hash(t, i, key);

        REQUIRE(measure_space_saving_estimate(s, key, hash, &e)
                == t->seen[i]);
        REQUIRE(e.packets >= t->key_packets[i]);
        REQUIRE(e.bytes >= t->key_bytes[i]);
        max = e.packets_error > max ? e.packets_error : max;
    }
    return max;
}

/* With an entry for each key, all is exact. */
START_TEST(enough_entries_are_exact)
{
    enum { N_KEYS = 3000 };
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), N_KEYS);
    struct fixture f;

    open_summary(&f, t.layout, N_KEYS);
    traffic_send(&t, LOOP_STREAM(_i), 20000, test_seed, add_burst,
                 &f.summary);
    ck_assert_uint_eq(check_summary(&f.summary, &t), 0);
    ck_assert_uint_eq(measure_space_saving_n_used(&f.summary),
                      traffic_n_present(&t));
    ck_assert_uint_eq(measure_space_saving_n_refused(&f.summary), 0);
    traffic_close(&t);
    close_summary(&f);
}
END_TEST

/* The bound of Metwally, Agrawal and El Abbadi: N packets in m entries make no
 * error larger than N / m, and the entries add up to N.  Keys with more
 * packets than that have an entry. */
START_TEST(bound_holds)
{
    enum { N_KEYS = 5000, N_ENTRIES = 300, N_PACKETS = 60000 };
    struct traffic t = traffic_open(LOOP_LAYOUT(_i), LOOP_KEYS(_i), N_KEYS);
    uint64_t sum = 0;
    struct fixture f;

    open_summary(&f, t.layout, N_ENTRIES);
    for (int i = 0; i < 6; i++) {
        traffic_send(&t, LOOP_STREAM(_i), N_PACKETS / 6, test_seed + i,
                     add_burst, &f.summary);
    }
    require_between("largest error", 0, check_summary(&f.summary, &t),
                    N_PACKETS / N_ENTRIES);
    for (uint32_t i = 0; i < f.summary.n_used; i++) {
        sum += measure_space_saving_entry(&f.summary, i)->estimate.packets;
    }
    ck_assert_uint_eq(sum, t.packets);
    for (uint32_t i = 0; i < N_KEYS; i++) {
        REQUIRE(t.seen[i] || t.key_packets[i] <= N_PACKETS / N_ENTRIES);
    }
    /* A frame has at most 1518 bytes. */
    ck_assert_uint_le(f.summary.evicted_bytes,
                      f.summary.evicted_packets * 1518);
    traffic_close(&t);
    close_summary(&f);
}
END_TEST

START_TEST(one_entry_is_enough_to_work)
{
    struct traffic t = traffic_open(_i, KEYS_PLAIN, 100);
    struct fixture f;

    open_summary(&f, t.layout, 1);
    traffic_send(&t, STREAM_UNIFORM, 5000, test_seed, add_burst, &f.summary);
    check_summary(&f.summary, &t);
    ck_assert_uint_eq(f.summary.heap[0].packets, 5000);
    traffic_close(&t);
    close_summary(&f);
}
END_TEST

/* Keys of one home slot, which in this test is any that we say: as many as
 * there are probes have an entry, the next is refused and counted. */
START_TEST(probes_are_bounded)
{
    enum measure_layout layout = _i % 2;
    uint64_t hash = _i / 2 ? UINT64_MAX : 0;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    struct measure_estimate e;
    struct fixture f;

    open_summary(&f, layout, 200);
    for (uint32_t i = 0; i < MEASURE_SPACE_SAVING_MAX_PROBES; i++) {
        key[1] = i;
        ck_assert(measure_space_saving_add(&f.summary, key, hash, i + 1, i));
    }
    key[1] = 1000;
    ck_assert(!measure_space_saving_add(&f.summary, key, hash, 3, 1));
    ck_assert_uint_eq(measure_space_saving_n_refused(&f.summary), 3);
    ck_assert_uint_eq(f.summary.n_used, MEASURE_SPACE_SAVING_MAX_PROBES);
    for (uint32_t i = 0; i < MEASURE_SPACE_SAVING_MAX_PROBES; i++) {
        key[1] = i;
        ck_assert(measure_space_saving_estimate(&f.summary, key, hash, &e));
        ck_assert_uint_eq(e.packets, i + 1);
    }
    close_summary(&f);
}
END_TEST

/* A run of used slots that is longer than any by chance, in which each key
 * could move up when the first one goes: no more than the bounded number does,
 * and all keys are found as before, however often that happens. */
START_TEST(mending_of_the_index_is_bounded)
{
    enum { N = 1000, HOME = 100, N_ROUNDS = 300 };
    enum measure_layout layout = _i;
    struct measure_space_saving_slot *before;
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };
    uint64_t hashes[N + N_ROUNDS];
    struct measure_estimate e;
    struct fixture f;
    size_t n_slots;

    open_summary(&f, layout, N);
    n_slots = f.summary.n_slots;
    for (uint32_t i = 0; i < N + N_ROUNDS; i++) {
        /* The first two have the same home; what comes later has room. */
        uint64_t home = (i >= N ? HOME + N + 100 + 2 * (i - N)
                         : i ? HOME + i - 1 : HOME);

        hashes[i] = ((home << 32) / n_slots + 1) << 32;
        if (i < N) {
            key[1] = i;
            ck_assert(measure_space_saving_add(&f.summary, key, hashes[i],
                                               i + 1, 1));
        }
    }
    ck_assert_uint_eq(f.summary.n_used, N);
    before = malloc(n_slots * sizeof *before);
    memcpy(before, f.summary.index, n_slots * sizeof *before);

    for (uint32_t i = N; i < N + N_ROUNDS; i++) {
        /* It takes the entry of the smallest one, key i - N. */
        key[1] = i;
        ck_assert(measure_space_saving_add(&f.summary, key, hashes[i], N, 1));
        if (i == N) {
            uint32_t behind = HOME + MEASURE_SPACE_SAVING_MAX_PROBES + 1;

            ck_assert(!memcmp(&f.summary.index[behind], &before[behind],
                              (HOME + N - behind) * sizeof *before));
        }
        for (uint32_t j = 0; j <= i; j++) {
            key[1] = j;
            REQUIRE(measure_space_saving_estimate(&f.summary, key, hashes[j],
                                                  &e) == (j > i - N));
            REQUIRE(j <= i - N
                    || e.packets == (j < N ? j + 1 : j - N + 1 + N));
        }
    }
    ck_assert_uint_eq(measure_space_saving_n_refused(&f.summary), 0);
    free(before);
    close_summary(&f);
}
END_TEST

START_TEST(counters_have_64_bits)
{
    uint64_t key[MEASURE_KEY_WORDS] = { 1 };
    struct measure_estimate e;
    struct fixture f;

    open_summary(&f, MEASURE_NARROW, 2);
    measure_space_saving_add(&f.summary, key, 7, UINT32_MAX, UINT32_MAX);
    measure_space_saving_add(&f.summary, key, 7, 1, UINT64_C(1) << 62);
    ck_assert(measure_space_saving_estimate(&f.summary, key, 7, &e));
    ck_assert_uint_eq(e.packets, UINT64_C(1) << 32);
    ck_assert_uint_eq(e.bytes, (UINT64_C(1) << 62) + UINT32_MAX);
    close_summary(&f);
}
END_TEST

/* Keys near the limit of the counters keep their entries, what evicts one has
 * it as its error, and the order of the heap does not wrap. */
START_TEST(counters_near_their_end_disturb_no_neighbour)
{
    enum { N_ENTRIES = 8 };
    struct traffic t = traffic_open(_i, KEYS_PLAIN, N_ENTRIES + 2);
    uint64_t key[MEASURE_KEY_WORDS];
    struct measure_estimate e;
    struct fixture f;

    open_summary(&f, t.layout, N_ENTRIES);
    for (uint32_t i = 0; i < N_ENTRIES; i++) {
        uint64_t hash = traffic_hash(&t, i, key);

        t.key_packets[i] = UINT64_MAX - 10 * (N_ENTRIES - i);
        t.key_bytes[i] = UINT64_MAX - 1000 + i;
        ck_assert(measure_space_saving_add(&f.summary, key, hash,
                                           t.key_packets[i], t.key_bytes[i]));
    }
    ck_assert_uint_eq(check_summary(&f.summary, &t), 0);

    /* The smallest goes, twice. */
    for (uint32_t i = N_ENTRIES; i < N_ENTRIES + 2; i++) {
        uint64_t hash = traffic_hash(&t, i, key);

        t.key_packets[i] = i == N_ENTRIES ? 15 : 1;
        t.key_bytes[i] = 1;
        ck_assert(measure_space_saving_add(&f.summary, key, hash,
                                           t.key_packets[i], 1));
    }
    for (uint32_t i = 0; i < N_ENTRIES + 2; i++) {
        uint64_t hash = traffic_hash(&t, i, key);
        bool is_new = i >= N_ENTRIES;

        ck_assert_int_eq(measure_space_saving_estimate(&f.summary, key, hash,
                                                       &e), i >= 2);
        if (i >= 2) {
            ck_assert_uint_eq(e.packets - e.packets_error, t.key_packets[i]);
            ck_assert_uint_eq(e.packets_error,
                              is_new ? t.key_packets[i - N_ENTRIES] : 0);
        }
    }
    traffic_close(&t);
    close_summary(&f);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-space-saving");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, enough_entries_are_exact, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, bound_holds, 0, N_TRAFFIC);
    tcase_add_loop_test(tests, one_entry_is_enough_to_work,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, probes_are_bounded, 0, 4);
    tcase_add_loop_test(tests, mending_of_the_index_is_bounded,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_test(tests, counters_have_64_bits);
    tcase_add_loop_test(tests, counters_near_their_end_disturb_no_neighbour,
                        0, MEASURE_N_LAYOUTS);
    return tests_run(tests);
}
