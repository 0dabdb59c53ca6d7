/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the hand-over of tallies between threads. */

/* The hand-over of tallies between packet threads and the control thread,
 * while all of them run.  It is most worth its time with the thread sanitizer.
 *
 * In the place of the switch's RCU stand two numbers for each packet thread:
 * the control thread says which grace period it waits for, the packet thread,
 * between two bursts, that it has seen that. */

#include "check-common.h"

#include <pthread.h>
#include <sched.h>

#include "check-answer.h"
#include "check-flow-cache.h"
#include "check-secret.h"
#include "tally/measure-tally.h"

#define N_THREADS 3
#define N_CHUNKS 60             /* At least as many epochs are closed. */
#define CHUNK 4000              /* Packets of one thread. */
#define N_KEYS 3000
#define N_SPARE_TALLIES 2       /* For each thread. */
#define N_ENTRIES 64            /* Of the flow cache of a thread. */

struct packet_thread {
    pthread_t id;
    int number;
    struct measure_thread thread;

    /* What its flow cache has, if it has one. */
    bool has_cache;
    bool used[N_ENTRIES];
    struct measure_fields cached[N_ENTRIES];

    uint64_t wanted;            /* Atomic.  Grace period asked for. */
    uint64_t seen;              /* Atomic.  UINT64_MAX when it has ended. */

    /* For the control thread, when the packet thread has ended. */
    struct oracle flows;
    uint64_t not_ip;
    uint64_t malformed;
};

static struct packet_thread threads[N_THREADS];
static uint64_t n_epochs;       /* Atomic. */

static uint64_t
get(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void
put(uint64_t *p, uint64_t value)
{
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* The packet thread holds no pointer to a tally. */
static void
quiesce(struct packet_thread *t)
{
    put(&t->seen, get(&t->wanted));
}

/* Counts a packet of 'fields' in 's', which has two tiers.  Now and then its
 * flow gets an entry. */
static void
count_with_cache(struct packet_thread *t, struct measure_tally *s,
                 struct random *r, const struct measure_fields *fields,
                 uint32_t bytes)
{
    uint32_t entry = (fields->source[3] + fields->destination[3]) % N_ENTRIES;

    if (t->used[entry] && fields_equal(&t->cached[entry], fields)) {
        flow_cache_hit(s, entry, 1, fields, bytes);
    } else {
        struct measure_record record = make_record(fields, bytes);

        measure_tally_receive(s, 1, bytes);
        flow_cache_miss(s, &record);
        if (!random_below(r, 4)) {
            flow_cache_replace(s, entry);
            t->cached[entry] = *fields;
            t->used[entry] = true;
        }
    }
}

/* Like measure_tally_count(), with two tiers. */
static void
count_burst(struct packet_thread *t, struct measure_tally *s, struct random *r,
            const struct measure_record *records,
            const struct measure_fields *fields, uint32_t n)
{
    if (s->n_carried < MEASURE_CACHE_ENTRIES) {
        measure_tally_carry_entries(s);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (records[i].verdict < MEASURE_N_LAYOUTS) {
            count_with_cache(t, s, r, &fields[i], records[i].bytes);
        } else {
            measure_tally_receive(s, 1, records[i].bytes);
            flow_cache_miss(s, &records[i]);
        }
    }
    measure_tally_count_fetched(s);
}

static void *
packet_main(void *t_)
{
    struct packet_thread *t = t_;
    struct random r = random_from(test_seed + t->number);
    struct stream stream = stream_open(STREAM_ZIPF, N_KEYS,
                                       test_seed + t->number);

    for (int chunk = 0; chunk < N_CHUNKS; chunk++) {
        uint32_t left = CHUNK;

        /* Not faster than the control thread closes epochs. */
        while (get(&n_epochs) < (uint64_t) chunk) {
            quiesce(t);
            sched_yield();
        }
        while (left) {
            struct measure_record records[MEASURE_BURST];
            struct measure_fields flows[MEASURE_BURST];
            uint32_t n = 1 + random_below(&r, MEASURE_BURST);

            n = n < left ? n : left;
            left -= n;
            for (uint32_t i = 0; i < n; i++) {
                uint32_t kind = random_below(&r, 20);
                uint32_t bytes = 60 + random_below(&r, 1459);

                if (kind < 2) {
                    memset(&records[i], 0, sizeof records[i]);
                    records[i].bytes = bytes;
                    records[i].verdict = (kind ? MEASURE_NOT_IP
                                          : MEASURE_MALFORMED);
                    t->not_ip += kind;
                    t->malformed += !kind;
                } else {
                    flows[i] = make_fields(kind % 2, stream_next(&stream));
                    records[i] = make_record(&flows[i], bytes);
                    oracle_add(&t->flows, &flows[i], 1, bytes);
                }
            }

            struct measure_tally *s = measure_thread_tally(&t->thread);

            if (t->has_cache) {
                count_burst(t, s, &r, records, flows, n);
            } else {
                measure_tally_count(s, records, n);
            }
            quiesce(t);
        }
    }
    stream_close(&stream);
    put(&t->seen, UINT64_MAX);
    return NULL;
}

static bool
all_ended(void)
{
    for (int i = 0; i < N_THREADS; i++) {
        if (get(&threads[i].seen) != UINT64_MAX) {
            return false;
        }
    }
    return true;
}

/* Adds tables to the tallies in use, as far as 'next_lines' says. */
static void
feed(struct measure_tally *const tallies[], uint32_t next_lines,
     uint64_t *n_added)
{
    for (int i = 0; i < N_THREADS && next_lines; i++) {
        struct measure_load load;

        measure_tally_load(tallies[i], &load);
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            REQUIRE(load.n_tables[layout] >= 1);
            if (!load.n_unused[layout]) {
                *n_added += measure_tally_add_table(tallies[i], layout,
                                                    next_lines);
            }
        }
    }
}

/* What all reports say together. */
struct sums {
    struct oracle flows;
    struct measure_counters counters;
    struct oracle bounds;       /* Error bounds of the keys of the oracle. */
};

static void
add_report(struct sums *sums, struct measure_tally *const tallies[])
{
    struct measure_report *report
        = measure_report_merge(tallies, N_THREADS, MEASURE_KIND_FLOW, &secret,
                               &budget);
    struct question question = {
        .key_kind = MEASURE_KIND_FLOW, .sort = MEASURE_SORT_PACKETS,
    };
    struct measure_hitters_answer answer;

    ck_assert(ask(report, &question, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        oracle_add(&sums->flows, &answer.rows[i].fields,
                   answer.rows[i].packets, answer.rows[i].bytes);
    }
    if (!is_exact(report)) {
        for (int i = 0; i < MEASURE_N_LAYOUTS * N_KEYS; i++) {
            enum measure_layout layout = i % MEASURE_N_LAYOUTS;
            struct measure_fields fields
                = make_fields(layout, i / MEASURE_N_LAYOUTS);
            uint64_t key[MEASURE_KEY_WORDS];
            uint32_t cell;

            measure_key_from_fields(key, &fields);
            cell = measure_overflow_cell(
                measure_hash(&secret, key, measure_key_words(layout)));
            oracle_add(&sums->bounds, &fields, report->overflow[cell].packets,
                       report->overflow[cell].bytes);
        }
    }
    measure_counters_add(&sums->counters, &report->counters);
    measure_hitters_answer_destroy(&answer);
    measure_report_destroy(report);
}

static void
check_sums(const struct sums *sums, bool exact)
{
    uint64_t packets = 0, bytes = 0, not_ip = 0, malformed = 0;
    struct oracle all = oracle_open();

    for (int i = 0; i < N_THREADS; i++) {
        const struct packet_thread *t = &threads[i];

        packets += t->flows.packets;
        bytes += t->flows.bytes;
        not_ip += t->not_ip;
        malformed += t->malformed;
        for (size_t j = 0; j < t->flows.n; j++) {
            const struct oracle_row *row = &t->flows.rows[j];

            oracle_add(&all, &row->fields, row->packets, row->bytes);
        }
    }
    ck_assert_uint_eq(packets + not_ip + malformed,
                      N_THREADS * N_CHUNKS * CHUNK);
    ck_assert_uint_eq(sums->counters.packets, packets);
    ck_assert_uint_eq(sums->counters.bytes, bytes);
    ck_assert_uint_eq(sums->counters.not_ip, not_ip);
    ck_assert_uint_eq(sums->counters.malformed, malformed);
    ck_assert_uint_eq(sums->flows.packets + sums->counters.overflow_packets,
                      packets);
    ck_assert_uint_eq(sums->flows.bytes + sums->counters.overflow_bytes,
                      bytes);
    ck_assert_uint_le(sums->flows.n, all.n);

    if (exact) {
        ck_assert_uint_eq(sums->counters.overflow_packets, 0);
        ck_assert_uint_eq(sums->flows.n, all.n);
    }
    for (size_t i = 0; i < all.n; i++) {
        const struct oracle_row *truth = &all.rows[i];
        const struct oracle_row *row = oracle_find(&sums->flows,
                                                   &truth->fields);
        const struct oracle_row *bound = oracle_find(&sums->bounds,
                                                     &truth->fields);
        uint64_t row_packets = row ? row->packets : 0;
        uint64_t row_bytes = row ? row->bytes : 0;

        REQUIRE(row_packets <= truth->packets && row_bytes <= truth->bytes);
        REQUIRE(row_packets + (bound ? bound->packets : 0)
                >= truth->packets);
        REQUIRE(row_bytes + (bound ? bound->bytes : 0) >= truth->bytes);
    }
    oracle_close(&all);
}

/* How the control thread behaves. */
struct behaviour {
    const char *name;
    uint32_t first_lines;
    uint32_t next_lines;        /* Of the second table, or 0. */
    uint32_t added_lines;       /* Of those added while they count, or 0. */
    bool two_tiers;
    bool exact;                 /* Whether nothing can overflow. */
};

static const struct behaviour behaviours[] = {
    { "one table", 2 * N_KEYS, 0, 0, false, true },
    { "two tables and more while they count", 16, 2 * N_KEYS, 32, false,
      true },
    { "tables only while they count", 16, 0, 64, false, false },
    { "small tables and nothing else", 32, 0, 0, false, false },
    { "two tiers", 16, 2 * N_KEYS, 0, true, true },
};

/* Makes 's' ready for the next epoch of 't'. */
static void
begin_tally(struct packet_thread *t, struct measure_tally *s,
            const struct behaviour *b)
{
    uint32_t first[] = { b->first_lines, b->first_lines };
    uint32_t next[] = { b->next_lines, b->next_lines };

    REQUIRE(measure_tally_reset(s, first, next));
    if (b->two_tiers) {
        flow_cache_begin(s, measure_thread_get_keys(&t->thread, &budget,
                                                    MEASURE_ANY_NODE));
    }
    measure_tally_begin(s, MEASURE_KIND_FLOW);
}

START_TEST(no_packet_is_lost_or_counted_twice)
{
    const struct behaviour *b = &behaviours[_i];
    struct measure_tally *spare[N_THREADS * N_SPARE_TALLIES];
    struct measure_tally *current[N_THREADS];
    uint64_t n_added = 0, grace_period = 0;
    size_t n_spare = 0;
    struct sums sums = {
        .flows = oracle_open(), .bounds = oracle_open(),
    };
    bool last;

    draw_secret();
    put(&n_epochs, 0);
    for (int i = 0; i < N_THREADS * N_SPARE_TALLIES; i++) {
        spare[n_spare++] = measure_tally_create(&secret, &budget,
                                                MEASURE_ANY_NODE);
    }
    for (int i = 0; i < N_THREADS; i++) {
        struct packet_thread *t = &threads[i];

        memset(t, 0, sizeof *t);
        t->number = i;
        t->flows = oracle_open();
        t->has_cache = b->two_tiers;
        current[i] = spare[--n_spare];
        begin_tally(t, current[i], b);
        t->thread.tally = current[i];
    }
    for (int i = 0; i < N_THREADS; i++) {
        ck_assert(!pthread_create(&threads[i].id, NULL, packet_main,
                                  &threads[i]));
    }

    do {
        struct measure_tally *old[N_THREADS];

        /* What ends now is in the tallies that are swapped out below. */
        last = all_ended();
        feed(current, b->added_lines, &n_added);
        for (int i = 0; i < N_THREADS; i++) {
            struct measure_tally *s = spare[--n_spare];

            begin_tally(&threads[i], s, b);
            old[i] = measure_thread_swap(&threads[i].thread, s);
            REQUIRE(old[i] == current[i]);
            current[i] = s;
        }
        grace_period++;
        for (int i = 0; i < N_THREADS; i++) {
            put(&threads[i].wanted, grace_period);
        }
        for (int i = 0; i < N_THREADS; i++) {
            while (get(&threads[i].seen) < grace_period) {
                feed(current, b->added_lines, &n_added);
                sched_yield();
            }
        }
        for (int i = 0; i < N_THREADS; i++) {
            measure_tally_move_cache(old[i]);
        }
        add_report(&sums, old);
        for (int i = 0; i < N_THREADS; i++) {
            spare[n_spare++] = old[i];
        }
        put(&n_epochs, get(&n_epochs) + 1);
    } while (!last);

    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        measure_tally_destroy(current[i]);
        measure_thread_free_keys(&threads[i].thread, &budget);
    }
    while (n_spare) {
        measure_tally_destroy(spare[--n_spare]);
    }
    check_sums(&sums, b->exact);
    ck_assert_uint_ge(get(&n_epochs), N_CHUNKS);
    if (b->added_lines) {
        ck_assert_uint_gt(n_added, 0);
    }
    printf("%s: %"PRIu64" epochs, %"PRIu64" tables added, %"PRIu64
           " of %"PRIu64" packets overflowed\n", b->name, get(&n_epochs),
           n_added, sums.counters.overflow_packets, sums.counters.packets);
    fflush(stdout);

    for (int i = 0; i < N_THREADS; i++) {
        oracle_close(&threads[i].flows);
    }
    oracle_close(&sums.flows);
    oracle_close(&sums.bounds);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("hand-over");

    tcase_add_loop_test(tests, no_packet_is_lost_or_counted_twice,
                        0, ARRAY_SIZE(behaviours));
    return tests_run(tests);
}
