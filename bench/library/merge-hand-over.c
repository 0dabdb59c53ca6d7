/* SPDX-License-Identifier: Apache-2.0 */
/* merge-scale: what the first bursts in a new tally take. */

#include <config.h>

#include "merge-hand-over.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>

#include "base/measure-base.h"
#include "support.h"

#define MAX_STALL_NS 10000      /* What is promised. */

#define N_BINS 20

struct histogram {
    uint64_t bins[N_BINS];      /* By powers of two of nanoseconds / 256. */
    uint64_t n;
    uint64_t max_ns;
};

static struct merge_load *load;
static struct measure_thread threads[MERGE_MAX_THREADS];
static uint64_t seen;           /* Rounds of bursts that ended.  Atomic. */
static bool stop;               /* Atomic. */
static uint64_t sent, counted;
static struct histogram first, other, interrupted, plain, none;

/* As large as the table of a tally, two for each: while the packet thread uses
 * the one, the other is cleared. */
static uint8_t *plain_memory[MERGE_MAX_THREADS][2];
static unsigned int n_swaps;        /* Atomic. */

static void
histogram_add(struct histogram *h, uint64_t ns)
{
    int bin = ns < 256 ? 0 : 56 - __builtin_clzll(ns);

    h->bins[bin < N_BINS ? bin : N_BINS - 1]++;
    h->n++;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

/* Advances a generator of numbers, of which the upper bits are random. */
static inline void
advance(uint64_t *state)
{
    *state = (*state * UINT64_C(6364136223846793005)
              + UINT64_C(1442695040888963407));
}

static inline uint32_t
random_flow(uint64_t *state)
{
    advance(state);
    return ((*state >> 33) * load->n_flows) >> 31;
}

/* Returns how often another thread took the processor from this one. */
static long
preemptions(void)
{
    struct rusage usage;

    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

static size_t
plain_size(void)
{
    return load->n_flows * (size_t) MEASURE_LINE_SIZE;
}

/* Returns the nanoseconds that it takes to write to a line for each packet of
 * a burst, in plain memory of thread 'w'. */
static uint64_t
touch_plain_memory(uint32_t w, uint64_t *state)
{
    unsigned int i = __atomic_load_n(&n_swaps, __ATOMIC_RELAXED) % 2;
    volatile uint8_t *lines[MEASURE_BURST];
    uint64_t start;

    for (int j = 0; j < MEASURE_BURST; j++) {
        lines[j] = &plain_memory[w][i][random_flow(state)
                                       * (size_t) MEASURE_LINE_SIZE];
    }
    start = bench_nanoseconds(CLOCK_MONOTONIC);
    for (int j = 0; j < MEASURE_BURST; j++) {
        __builtin_prefetch((const void *) lines[j], 1);
    }
    for (int j = 0; j < MEASURE_BURST; j++) {
        ++*lines[j];
    }
    return bench_nanoseconds(CLOCK_MONOTONIC) - start;
}

/* Returns the nanoseconds that it takes to make numbers for as many lines. */
static uint64_t
touch_no_memory(uint64_t *state)
{
    uint64_t start = bench_nanoseconds(CLOCK_MONOTONIC);

    for (int j = 0; j < 16 * MEASURE_BURST; j++) {
        advance(state);
    }
    return bench_nanoseconds(CLOCK_MONOTONIC) - start;
}

static void *
packet_main(void *unused)
{
    struct measure_tally *last[MERGE_MAX_THREADS] = { NULL };
    uint64_t state = load->seed;
    long n_preemptions;

    bench_bind_to_processor(1);
    n_preemptions = preemptions();
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (uint32_t w = 0; w < load->n_threads; w++) {
            struct measure_record records[MEASURE_BURST];
            struct measure_tally *tally;
            uint64_t start, taken;

            for (int i = 0; i < MEASURE_BURST; i++) {
                merge_make_record(load, &records[i],
                                  w * load->n_flows + random_flow(&state));
            }
            start = bench_nanoseconds(CLOCK_MONOTONIC);
            tally = measure_thread_tally(&threads[w]);
            measure_tally_count(tally, records, MEASURE_BURST);
            taken = bench_nanoseconds(CLOCK_MONOTONIC) - start;
            if (taken >= MAX_STALL_NS && preemptions() != n_preemptions) {
                n_preemptions = preemptions();
                histogram_add(&interrupted, taken);
            } else {
                histogram_add(tally == last[w] ? &other : &first, taken);
            }
            if (tally != last[w]) {
                histogram_add(&none, touch_no_memory(&state));
                histogram_add(&plain, touch_plain_memory(w, &state));
            }
            last[w] = tally;
            sent += MEASURE_BURST;
        }
        __atomic_store_n(&seen, seen + 1, __ATOMIC_RELEASE);
    }
    return unused;
}

static void
wait_for_bursts(void)
{
    uint64_t then = __atomic_load_n(&seen, __ATOMIC_ACQUIRE);

    /* A round that had begun before, and one from its beginning. */
    while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) < then + 2) {
        sched_yield();
    }
}

static void
take(struct measure_tally *const old[])
{
    struct measure_report *report = merge_tallies(load, old, load->n_threads);

    counted += report->counters.packets;
    measure_report_destroy(report);
    for (uint32_t i = 0; i < load->n_threads; i++) {
        merge_reset_tally(load, old[i]);
        memset(plain_memory[i][(n_swaps + 1) % 2], 0, plain_size());
    }
}

static void
write_bins(struct measure_output *out)
{
    measure_output_open_list(out, "bursts");
    for (int i = 0; i < N_BINS; i++) {
        if (first.bins[i] || plain.bins[i] || none.bins[i] || other.bins[i]
            || interrupted.bins[i]) {
            measure_output_open_row(out);
            measure_output_uint(out, "below-ns", UINT64_C(256) << i);
            measure_output_uint(out, "first-in-a-set", first.bins[i]);
            measure_output_uint(out, "plain-memory", plain.bins[i]);
            measure_output_uint(out, "no-memory", none.bins[i]);
            measure_output_uint(out, "other", other.bins[i]);
            measure_output_uint(out, "preempted", interrupted.bins[i]);
            measure_output_close(out);
        }
    }
    measure_output_close(out);
}

static void
write_result(struct measure_output *out, bool met)
{
    measure_output_open_object(out, "hand-over");
    write_bins(out);
    measure_output_open_line(out, "longest");
    measure_output_uint(out, "first-in-a-set-ns", first.max_ns);
    measure_output_uint(out, "plain-memory-ns", plain.max_ns);
    measure_output_uint(out, "no-memory-ns", none.max_ns);
    measure_output_uint(out, "other-ns", other.max_ns);
    measure_output_close(out);
    measure_output_open_line(out, "packets");
    measure_output_uint(out, "sent", sent);
    measure_output_uint(out, "counted", counted);
    measure_output_uint(out, "lost", sent - counted);
    measure_output_close(out);
    measure_output_open_line(out, "target");
    measure_output_uint(out, "hand-overs", first.n);
    measure_output_uint(out, "at-most-ns", MAX_STALL_NS);
    measure_output_bool(out, "met", met);
    measure_output_close(out);
    measure_output_close(out);
}

/* Does it 'n_epochs' times, and stores in '*lost' whether a packet was lost.
 * Returns true if none is and no first burst takes too long.  To be called
 * once. */
bool
merge_hand_over(struct merge_load *load_, struct measure_output *out,
                uint32_t n_epochs, bool *lost)
{
    struct measure_tally *next[MERGE_MAX_THREADS], *old[MERGE_MAX_THREADS];
    pthread_t thread;
    bool met;

    load = load_;
    for (uint32_t i = 0; i < load->n_threads; i++) {
        next[i] = merge_new_tally(load);
        threads[i].tally = load->tallies[i];
        for (int j = 0; j < 2; j++) {
            plain_memory[i][j] = measure_check_memory(
                measure_memory_alloc(&load->budget, plain_size(),
                                     MEASURE_ANY_NODE));
        }
    }
    bench_bind_to_processor(0);
    pthread_create(&thread, NULL, packet_main, NULL);
    for (uint32_t epoch = 0; epoch < n_epochs; epoch++) {
        struct timespec pause = { 0, 50000000 };

        nanosleep(&pause, NULL);
        __atomic_fetch_add(&n_swaps, 1, __ATOMIC_RELAXED);
        for (uint32_t i = 0; i < load->n_threads; i++) {
            old[i] = measure_thread_swap(&threads[i], next[i]);
        }
        wait_for_bursts();
        take(old);
        memcpy(next, old, sizeof next);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < load->n_threads; i++) {
        old[i] = measure_thread_tally(&threads[i]);
    }
    take(old);

    *lost = sent != counted;
    met = !*lost && first.max_ns < MAX_STALL_NS;
    write_result(out, met);
    return met;
}
