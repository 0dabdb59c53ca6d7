/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of an epoch takes with many flows. */

/* merge-scale: the end of an epoch with many flows
 * ================================================
 *
 * Epochs.  Packet threads count as many flows as they are told to, each in its
 * own set.  Then one control thread merges the closed tallies, answers all
 * questions, and clears the tallies.  The processor time of each step is
 * measured, once with different flows in each thread, as behind a network card
 * that spreads flows, and once with the same flows in all of them.  The first
 * epoch takes its memory from the kernel, the others reuse it: both are shown.
 *
 * "All" is: merging, each command once by each of its defaults (heavy hitters
 * by each key that can be configured, superspreaders by all three, changes,
 * the distribution), freeing the report, and clearing the tallies.  What the
 * thread of the tasks asks by itself after each epoch (heavy hitters, both
 * kinds of superspreaders, changes) are four of these.
 *
 * Questions.  All kinds of questions to one report, with flows as above and
 * with flows between random addresses: the time by the clock of each, the
 * writing of the answer as JSON included.  The first time a question may make
 * groups that the report then keeps.  It is the report of the second
 * epoch, for the first takes its memory from the kernel, which clears it.
 *
 * Hand-over.  One packet thread, bound to a processor of its own, counts in
 * turn for all threads while the control thread, on another one, closes
 * epochs, merges them, and hands the tallies back.  Each burst is timed.
 * Printed is the histogram of the bursts that were the first in a new tally,
 * beside that of all others.  The machine may take the processor from the
 * thread: bursts during which the kernel counted that are shown apart.  At the
 * end the packets that were counted must be those that were sent.
 *
 * A tally that is new to the packet thread lies in memory that another
 * processor has just cleared.  What that alone costs is shown, too: after each
 * first burst the thread writes to as many lines, at random, of plain memory
 * that is as large and was cleared at the same time ("plain-memory").  And
 * before each of these it adds up numbers for about as long, without any
 * memory: what that shows is the machine alone ("no-memory"). */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1           /* For pthread_setaffinity_np(). */
#endif

#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench/library/build.h"
#include "questions/measure-changes.h"
#include "questions/measure-distribution.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"
#include "report/measure-expectations.h"
#include "report/measure-merge.h"
#include "report/measure-report.h"
#include "tally/measure-tally.h"

#define FLOWS_PER_PAIR 2        /* That differ by their ports. */
#define PAIRS_PER_SOURCE 4
#define MAX_THREADS 64
#define MAX_ROUNDS 20
#define ROWS 100                /* Of each answer. */
#define CHANGE_KEYS 786432      /* As many as the switch ever expects. */

#define SPARE_BYTES (128 << 20) /* Kept by the switch: of 1 GiB an eighth. */

#define MAX_EPOCH_MS 1000.0     /* What is promised. */
#define MAX_QUESTION_MS 100.0
#define MAX_STALL_NS 10000

static uint32_t n_threads = 8;
static uint32_t n_flows = 1000000;
static uint32_t n_rounds = 5;
static uint32_t n_epochs = 40;
static uint64_t seed = 1;

/* What the flows of the tallies are. */
static bool same_flows;
static bool random_addresses;

static struct measure_hash_secret secret;
static struct measure_budget budget;
static struct measure_tally *tallies[MAX_THREADS];
static struct measure_expectations change;
static struct measure_output *out;

static double
seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The 'i'th flow of all, in an order that has nothing to do with where it
 * lies in a table.  Most flows have one packet, as when somebody scans: each
 * thousandth has a train of them, here as one record. */
static void
make_record(struct measure_record *record, uint32_t i)
{
    uint32_t pair = i / FLOWS_PER_PAIR;
    uint32_t source = 0x0a000000u + pair / PAIRS_PER_SOURCE;
    uint32_t destination = (pair * UINT32_C(2654435761)) >> 12;

    memset(record, 0, sizeof *record);
    if (random_addresses) {
        uint64_t r = measure_hash_fold(i + seed,
                                       UINT64_C(0x9e3779b97f4a7c15));

        record->key[0] = measure_hash_fold(r, UINT64_C(0xbf58476d1ce4e5b9));
    } else {
        record->key[0] = source | (uint64_t) destination << 32;
    }
    record->key[1] = measure_ports_word(1024 + i % FLOWS_PER_PAIR, 443, 6);
    record->bytes = 60 + i % 1400;
    record->verdict = MEASURE_COUNT_NARROW;
}

/* Counts the flows of the 'number'th thread. */
static void
count_flows(struct measure_tally *tally, uint32_t number)
{
    uint32_t first = same_flows ? 0 : number * n_flows;

    for (uint32_t i = 0; i < n_flows; ) {
        struct measure_record records[MEASURE_BURST];
        size_t n = 0;

        while (n < MEASURE_BURST && i < n_flows) {
            make_record(&records[n++], first + i++);
        }
        measure_tally_count(tally, records, n);
    }
}

static void *
fill_main(void *set_)
{
    struct measure_tally **tally = set_;

    count_flows(*tally, tally - tallies);
    return NULL;
}

static void
reset(struct measure_tally *tally)
{
    uint32_t n_lines[MEASURE_N_LAYOUTS] = {
        measure_table_lines_for(MEASURE_NARROW, n_flows), 64
    };
    uint32_t next_lines[MEASURE_N_LAYOUTS] = { 64, 64 };

    measure_tally_reset(tally, n_lines, next_lines);
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
}

/* Steps that take time. */

struct step {
    const char *name;
    double ms[MAX_ROUNDS];
    uint64_t answer_bytes;
};

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_;
    const double *b = b_;

    return *a < *b ? -1 : *a > *b;
}

static double
median(const double *values, uint32_t n)
{
    double sorted[MAX_ROUNDS];

    memcpy(sorted, values, n * sizeof *values);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    return sorted[n / 2];
}

/* Writes the time of 'step': that of the first round, which takes memory from
 * the kernel, the median of the others, and the longest of all. */
static void
write_step(const char *name, const double *ms)
{
    double max = 0;

    for (uint32_t i = 0; i < n_rounds; i++) {
        max = ms[i] > max ? ms[i] : max;
    }
    measure_output_open_row(out);
    measure_output_string(out, "step", name);
    measure_output_decimal(out, "first-ms", ms[0]);
    measure_output_decimal(out, "median-ms", median(ms + 1, n_rounds - 1));
    measure_output_decimal(out, "longest-ms", max);
}

/* Questions. */

struct question {
    const char *name;
    const char *hitters;            /* What "by=" says... */
    enum measure_superspreaders_by spreaders;   /* ...or, if that is NULL,
                                                 * this... */
    uint64_t min;
    bool sizes;                     /* ...or this. */
};

#define SPREADERS_MIN MEASURE_SUPERSPREADERS_MIN

/* The first are asked in each epoch, all in a report by itself. */
static const struct question questions[] = {
    { .name = "heavy hitters by flow", .hitters = "flow" },
    { .name = "heavy hitters by pair", .hitters = "pair" },
    { .name = "heavy hitters by source", .hitters = "source" },
    { .name = "heavy hitters by destination", .hitters = "destination" },
    { .name = "superspreaders by source", .min = SPREADERS_MIN,
      .spreaders = MEASURE_SUPERSPREADERS_BY_SOURCE },
    { .name = "superspreaders by source-port", .min = SPREADERS_MIN,
      .spreaders = MEASURE_SUPERSPREADERS_BY_SOURCE_PORT },
    { .name = "superspreaders by destination", .min = SPREADERS_MIN,
      .spreaders = MEASURE_SUPERSPREADERS_BY_DESTINATION },
    { .name = "distribution", .sizes = true },
#define N_DEFAULT_QUESTIONS 8
    { .name = "superspreaders by source, min=1", .min = 1,
      .spreaders = MEASURE_SUPERSPREADERS_BY_SOURCE },
    { .name = "superspreaders by source-port, min=1", .min = 1,
      .spreaders = MEASURE_SUPERSPREADERS_BY_SOURCE_PORT },
    { .name = "superspreaders by destination, min=1", .min = 1,
      .spreaders = MEASURE_SUPERSPREADERS_BY_DESTINATION },
    { .name = "heavy hitters by source/24", .hitters = "source/24" },
    { .name = "heavy hitters by source-port", .hitters = "source-port" },
    { .name = "heavy hitters by destination-port",
      .hitters = "destination-port" },
    { .name = "heavy hitters by protocol", .hitters = "protocol" },
    { .name = "heavy hitters by port", .hitters = "port" },
    { .name = "heavy hitters by vlan", .hitters = "vlan" },
    { .name = "heavy hitters by source/*", .hitters = "source/*" },
    { .name = "heavy hitters by destination/*", .hitters = "destination/*" },
};

#define N_QUESTIONS (sizeof questions / sizeof *questions)

/* Asks 'question'.  Returns the length of the answer. */
static uint64_t
ask(const struct measure_report *report, const struct question *question)
{
    struct measure_output *o = measure_output_create(MEASURE_JSON);
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    uint64_t length;
    char *answer;
    bool ok;

    if (question->sizes) {
        ok = measure_distribution_write(o, &scope);
    } else if (question->hitters) {
        struct measure_hitters_question hitters = {
            .n = ROWS, .threshold = { .value = .1, .unit = MEASURE_SHARE },
            .threshold_text = "0.1%",
        };

        ok = (measure_hitters_parse_by(question->hitters, &hitters)
              && measure_hitters_write(o, &scope, &hitters));
    } else {
        struct measure_superspreaders_question spreaders = {
            .by = question->spreaders, .min = question->min, .n = ROWS,
        };

        ok = measure_superspreaders_write(o, &scope, &spreaders);
    }
    if (!ok) {
        fprintf(stderr, "merge-scale: no answer to %s\n", question->name);
        exit(EXIT_FAILURE);
    }
    answer = measure_output_finish(o);
    length = strlen(answer);
    free(answer);
    return length;
}

/* As the thread of the tasks does, with pairs. */
static void
find_changes(const struct measure_report *report)
{
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_expectations *changes[MEASURE_N_LAYOUTS] = { &change };
    struct measure_change_row *rows = measure_xzalloc(1000 * sizeof *rows);

    if (!measure_changes_add(&scope, MEASURE_KIND_PAIR, changes)) {
        fprintf(stderr, "merge-scale: no memory for changes\n");
        exit(EXIT_FAILURE);
    }
    measure_expectations_close(&change, rows, 1000);
    free(rows);
}

/* Epochs. */

static void
fill_tallies(void)
{
    pthread_t threads[MAX_THREADS];

    for (uint32_t i = 0; i < n_threads; i++) {
        pthread_create(&threads[i], NULL, fill_main, &tallies[i]);
    }
    for (uint32_t i = 0; i < n_threads; i++) {
        pthread_join(threads[i], NULL);
    }
}

static double
since(double *start)
{
    double now = seconds(CLOCK_THREAD_CPUTIME_ID);
    double taken = (now - *start) * 1e3;

    *start = seconds(CLOCK_THREAD_CPUTIME_ID);
    return taken;
}

/* Returns true if the epochs meet their target. */
static bool
epochs(const char *name)
{
    enum { MERGE, CHANGES = 1 + N_DEFAULT_QUESTIONS, FREE, CLEAR, ALL, N };
    static double ms[N][MAX_ROUNDS];
    uint64_t n_rows = 0, bytes = 0, used = 0;
    double answers, all;

    for (uint32_t round = 0; round < n_rounds; round++) {
        struct measure_report *report;
        double start;

        fill_tallies();
        start = seconds(CLOCK_THREAD_CPUTIME_ID);
        report = measure_report_merge(tallies, n_threads, MEASURE_KIND_FLOW,
                                      &secret, &budget);
        ms[MERGE][round] = since(&start);
        n_rows = measure_table_n_used(&report->tables[MEASURE_NARROW]);
        bytes = report->table_sizes[MEASURE_NARROW];
        for (int i = 0; i < N_DEFAULT_QUESTIONS; i++) {
            ask(report, &questions[i]);
            ms[1 + i][round] = since(&start);
        }
        find_changes(report);
        ms[CHANGES][round] = since(&start);
        used = measure_budget_used(&budget) + measure_budget_spare(&budget);
        measure_report_destroy(report);
        ms[FREE][round] = since(&start);
        for (uint32_t i = 0; i < n_threads; i++) {
            reset(tallies[i]);
        }
        ms[CLEAR][round] = since(&start);
        ms[ALL][round] = 0;
        for (int i = 0; i < ALL; i++) {
            ms[ALL][round] += ms[i][round];
        }
    }

    all = median(ms[ALL] + 1, n_rounds - 1);
    answers = 0;
    for (int i = 1; i <= CHANGES; i++) {
        answers += median(ms[i] + 1, n_rounds - 1);
    }
    measure_output_open_object(out, name);
    measure_output_open_line(out, "report");
    measure_output_uint(out, "threads", n_threads);
    measure_output_uint(out, "flows-per-thread", n_flows);
    measure_output_uint(out, "flows", n_rows);
    measure_output_uint(out, "report-bytes", bytes);
    measure_output_uint(out, "all-memory-bytes", used);
    measure_output_close(out);
    measure_output_open_list(out, "steps");
    for (int i = 0; i < N; i++) {
        write_step((i == MERGE ? "merge"
                    : i == CHANGES ? "changes"
                    : i == FREE ? "free the report"
                    : i == CLEAR ? "clear the tallies"
                    : i == ALL ? "all"
                    : questions[i - 1].name), ms[i]);
        measure_output_close(out);
    }
    measure_output_close(out);
    measure_output_open_line(out, "target");
    measure_output_decimal(out, "answers-ms", answers);
    measure_output_decimal(out, "all-ms", all);
    measure_output_decimal(out, "at-most-ms", MAX_EPOCH_MS);
    measure_output_bool(out, "met", all < MAX_EPOCH_MS);
    measure_output_close(out);
    measure_output_close(out);
    return all < MAX_EPOCH_MS;
}

/* Returns true if all questions to the second report of the flows of one
 * thread meet their target. */
static bool
ask_all(const char *name)
{
    struct measure_report *report;
    bool met = true;

    measure_memory_trim(&budget, 0);
    count_flows(tallies[0], 0);
    report = measure_report_merge(tallies, 1, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    for (size_t i = 0; i < N_DEFAULT_QUESTIONS; i++) {
        ask(report, &questions[i]);
        measure_memory_trim(&budget, SPARE_BYTES);
    }
    measure_report_destroy(report);
    measure_memory_trim(&budget, SPARE_BYTES);

    report = measure_report_merge(tallies, 1, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    measure_output_open_object(out, name);
    measure_output_open_list(out, "questions");
    for (size_t i = 0; i < N_QUESTIONS; i++) {
        double ms[MAX_ROUNDS];
        uint64_t length = 0;

        measure_memory_trim(&budget, SPARE_BYTES);
        for (uint32_t round = 0; round < n_rounds; round++) {
            double start = seconds(CLOCK_MONOTONIC);

            length = ask(report, &questions[i]);
            ms[round] = (seconds(CLOCK_MONOTONIC) - start) * 1e3;
        }
        write_step(questions[i].name, ms);
        measure_output_uint(out, "answer-bytes", length);
        measure_output_bool(out, "met", ms[0] < MAX_QUESTION_MS);
        measure_output_close(out);
        met = met && ms[0] < MAX_QUESTION_MS;
    }
    measure_output_close(out);
    measure_output_open_line(out, "target");
    measure_output_uint(out, "flows", measure_table_n_used(
                            &report->tables[MEASURE_NARROW]));
    measure_output_decimal(out, "at-most-ms", MAX_QUESTION_MS);
    measure_output_bool(out, "met", met);
    measure_output_close(out);
    measure_output_close(out);
    measure_report_destroy(report);
    reset(tallies[0]);
    return met;
}

/* The hand-over. */

#define N_BINS 20

struct histogram {
    uint64_t bins[N_BINS];      /* By powers of two of nanoseconds / 256. */
    uint64_t n;
    uint64_t max_ns;
};

static struct measure_thread threads[MAX_THREADS];
static uint64_t seen;           /* Rounds of bursts that ended.  Atomic. */
static bool stop;               /* Atomic. */
static uint64_t sent, counted;
static struct histogram first, other, interrupted, plain, none;

/* As large as the table of a tally, two for each: while the packet thread uses
 * the one, the other is cleared. */
static uint8_t *plain_memory[MAX_THREADS][2];
static unsigned int n_swaps;        /* Atomic. */

static void
histogram_add(struct histogram *h, uint64_t ns)
{
    int bin = ns < 256 ? 0 : 56 - __builtin_clzll(ns);

    h->bins[bin < N_BINS ? bin : N_BINS - 1]++;
    h->n++;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

static void
bind_to_processor(int i)
{
    cpu_set_t tally;

    CPU_ZERO(&tally);
    CPU_SET(i, &tally);
    pthread_setaffinity_np(pthread_self(), sizeof tally, &tally);
}

static uint64_t
nanoseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * UINT64_C(1000000000) + t.tv_nsec;
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
    return n_flows * (size_t) MEASURE_LINE_SIZE;
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
        *state = (*state * UINT64_C(6364136223846793005)
                  + UINT64_C(1442695040888963407));
        lines[j] = &plain_memory[w][i][(((*state >> 33) * n_flows) >> 31)
                                       * MEASURE_LINE_SIZE];
    }
    start = nanoseconds();
    for (int j = 0; j < MEASURE_BURST; j++) {
        __builtin_prefetch((const void *) lines[j], 1);
    }
    for (int j = 0; j < MEASURE_BURST; j++) {
        ++*lines[j];
    }
    return nanoseconds() - start;
}

/* Returns the nanoseconds that it takes to make numbers for as many lines. */
static uint64_t
touch_no_memory(uint64_t *state)
{
    uint64_t start = nanoseconds();

    for (int j = 0; j < 16 * MEASURE_BURST; j++) {
        *state = (*state * UINT64_C(6364136223846793005)
                  + UINT64_C(1442695040888963407));
    }
    return nanoseconds() - start;
}

static void *
packet_main(void *unused)
{
    struct measure_tally *last[MAX_THREADS] = { NULL };
    uint64_t state = seed;
    long n_preemptions;

    bind_to_processor(1);
    n_preemptions = preemptions();
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        for (uint32_t w = 0; w < n_threads; w++) {
            struct measure_record records[MEASURE_BURST];
            struct measure_tally *tally;
            uint64_t start, taken;

            for (int i = 0; i < MEASURE_BURST; i++) {
                state = (state * UINT64_C(6364136223846793005)
                         + UINT64_C(1442695040888963407));
                make_record(&records[i], (w * n_flows
                                          + (((state >> 33) * n_flows)
                                             >> 31)));
            }
            start = nanoseconds();
            tally = measure_thread_tally(&threads[w]);
            measure_tally_count(tally, records, MEASURE_BURST);
            taken = nanoseconds() - start;
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
    struct measure_report *report
        = measure_report_merge(old, n_threads, MEASURE_KIND_FLOW, &secret,
                               &budget);

    counted += report->counters.packets;
    measure_report_destroy(report);
    for (uint32_t i = 0; i < n_threads; i++) {
        reset(old[i]);
        memset(plain_memory[i][(n_swaps + 1) % 2], 0, plain_size());
    }
}

static void
write_bins(void)
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

/* Returns true if no packet is lost and no first burst takes too long. */
static bool
hand_over(void)
{
    struct measure_tally *next[MAX_THREADS], *old[MAX_THREADS];
    pthread_t thread;
    bool met;

    for (uint32_t i = 0; i < n_threads; i++) {
        next[i] = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
        reset(next[i]);
        threads[i].tally = tallies[i];
        for (int j = 0; j < 2; j++) {
            plain_memory[i][j] = measure_check_memory(
                measure_memory_alloc(&budget, plain_size(),
                                     MEASURE_ANY_NODE));
        }
    }
    bind_to_processor(0);
    pthread_create(&thread, NULL, packet_main, NULL);
    for (uint32_t epoch = 0; epoch < n_epochs; epoch++) {
        struct timespec pause = { 0, 50000000 };

        nanosleep(&pause, NULL);
        __atomic_fetch_add(&n_swaps, 1, __ATOMIC_RELAXED);
        for (uint32_t i = 0; i < n_threads; i++) {
            old[i] = measure_thread_swap(&threads[i], next[i]);
        }
        wait_for_bursts();
        take(old);
        memcpy(next, old, sizeof next);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    for (uint32_t i = 0; i < n_threads; i++) {
        old[i] = measure_thread_tally(&threads[i]);
    }
    take(old);

    met = sent == counted && first.max_ns < MAX_STALL_NS;
    measure_output_open_object(out, "hand-over");
    write_bins();
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
    return met;
}

/* Where, by what, and how this was measured. */
static void
write_origin(int argc, char *argv[])
{
    struct utsname system;
    char line[256] = "unknown", *colon;
    char command[512] = "";
    FILE *file = fopen("/proc/cpuinfo", "r");

    while (file && fgets(line, sizeof line, file)) {
        colon = strstr(line, ": ");
        if (!strncmp(line, "model name", 10) && colon) {
            line[strcspn(line, "\n")] = '\0';
            measure_output_string(out, "processor", colon + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
    uname(&system);
    snprintf(line, sizeof line, "%.80s %.80s", system.sysname, system.release);
    measure_output_string(out, "kernel", line);
    measure_output_string(out, "compiler", "gcc "__VERSION__);
    measure_output_string(out, "compiler-flags", BENCH_FLAGS);
    measure_output_string(out, "commit", BENCH_COMMIT);
    for (int i = 0; i < argc; i++) {
        size_t n = strlen(command);
        const char *slash = i ? NULL : strrchr(argv[i], '/');

        snprintf(command + n, sizeof command - n, "%s%s", i ? " " : "",
                 slash ? slash + 1 : argv[i]);
    }
    measure_output_string(out, "command-line", command);
    measure_output_uint(out, "seed", seed);
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "threads", required_argument, NULL, 't' },
        { "flows", required_argument, NULL, 'f' },
        { "rounds", required_argument, NULL, 'r' },
        { "epochs", required_argument, NULL, 'e' },
        { "seed", required_argument, NULL, 's' },
        { "format", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct measure_expectations_config config = {
        .layout = MEASURE_NARROW, .alpha = .25, .factor = 3, .floor = 100,
        .max_keys = CHANGE_KEYS,
    };
    enum measure_format format = MEASURE_TEXT;
    bool met = true;
    int option;
    char *text;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': n_threads = atoi(optarg); break;
        case 'f': n_flows = atoi(optarg); break;
        case 'r': n_rounds = atoi(optarg); break;
        case 'e': n_epochs = atoi(optarg); break;
        case 's': seed = strtoull(optarg, NULL, 0); break;
        case 'o':
            format = strcmp(optarg, "json") ? MEASURE_TEXT : MEASURE_JSON;
            break;
        default: return EXIT_FAILURE;
        }
    }
    if (!n_threads || n_threads > MAX_THREADS || !n_flows || n_rounds < 2
        || n_rounds > MAX_ROUNDS) {
        fprintf(stderr, "merge-scale: --threads must be 1 to %d, --flows at "
                "least 1, --rounds 2 to %d\n", MAX_THREADS, MAX_ROUNDS);
        return EXIT_FAILURE;
    }

    out = measure_output_create(format);
    write_origin(argc, argv);
    measure_hash_secret_init(&secret, seed);
    measure_expectations_init(&change, &config, &secret,
                              measure_memory_alloc(
                                  &budget, measure_expectations_size(&config),
                                  MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < n_threads; i++) {
        tallies[i] = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
        reset(tallies[i]);
    }

    met &= epochs("different-flows");
    measure_memory_trim(&budget, 0);
    same_flows = true;
    met &= epochs("same-flows");
    same_flows = false;
    met &= ask_all("questions");
    random_addresses = true;
    met &= ask_all("questions-random-addresses");
    random_addresses = false;
    met &= hand_over();
    measure_output_bool(out, "all-targets-met", met);

    text = measure_output_finish(out);
    puts(text);
    free(text);
    return sent == counted ? EXIT_SUCCESS : EXIT_FAILURE;
}
