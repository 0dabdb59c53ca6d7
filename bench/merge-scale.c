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

/* merge-scale: the end of an epoch with many flows
 * ================================================
 *
 * Part one: packet threads count as many flows as they are told to, each in
 * its own set.  Then one control thread merges the closed sets, answers all
 * questions, and clears the sets.  Printed is the processor time of each step.
 *
 * Part two: one packet thread counts the same flows all the time, while the
 * control thread closes epochs, merges them, and hands the sets back.  The
 * packet thread times each burst of packets.  Printed is the histogram of the
 * bursts that were the first in a new set, beside that of all others; the
 * difference is what the hand-over costs.  At the end the packets that were
 * counted must be those that were sent.
 *
 *     merge-scale [--threads N] [--flows N] [--shared] [--seconds N]
 *
 * With --shared all threads count the same flows, else each has its own. */

#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure-change.h"
#include "measure-distribution.h"
#include "measure-epoch.h"
#include "measure-report.h"

#define FLOWS_PER_PAIR 2        /* That differ by their ports. */
#define PAIRS_PER_SOURCE 4
#define MAX_THREADS 64

static uint32_t n_threads = 8;
static uint32_t n_flows = 1000000;
static uint32_t n_seconds = 5;
static bool shared_flows;

static struct measure_hash_secret secret;
static struct measure_budget budget;
static struct measure_set *sets[MAX_THREADS];

static double
seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The 'i'th flow of all, in an order that has nothing to do with where it
 * lies in a table. */
static void
make_record(struct measure_record *record, uint32_t i)
{
    uint32_t pair = i / FLOWS_PER_PAIR;
    uint32_t source = pair / PAIRS_PER_SOURCE;
    uint32_t destination = (pair * UINT32_C(2654435761)) >> 12;

    memset(record, 0, sizeof *record);
    record->key[0] = (0x0a000000u + source) | (uint64_t) destination << 32;
    record->key[1] = measure_ports_word(1024 + i % FLOWS_PER_PAIR, 443, 6);
    record->bytes = 60 + i % 1400;
    record->verdict = MEASURE_COUNT_IPV4;
}

/* Counts flows 'first' to 'first' + 'n_flows' - 1. */
static void
count_flows(struct measure_set *set, uint32_t first)
{
    for (uint32_t i = 0; i < n_flows; ) {
        struct measure_record records[MEASURE_BURST];
        size_t n = 0;

        while (n < MEASURE_BURST && i < n_flows) {
            make_record(&records[n++], first + i++);
        }
        measure_set_count(set, records, n);
    }
}

static void *
fill_main(void *set_)
{
    struct measure_set **set = set_;
    uint32_t number = set - sets;

    count_flows(*set, shared_flows ? 0 : number * n_flows);
    return NULL;
}

static uint32_t
lines_for_flows(void)
{
    return measure_table_lines_for(MEASURE_IPV4, n_flows);
}

static void
reset(struct measure_set *set)
{
    uint32_t n_lines[MEASURE_N_FAMILIES] = { lines_for_flows(), 64 };
    uint32_t next_lines[MEASURE_N_FAMILIES] = { 64, 64 };

    measure_set_reset(set, n_lines, next_lines);
    measure_set_begin(set, MEASURE_BY_FLOW);
}

/* Steps of the control thread. */

static double step_start;
static double total;

static void
step_begin(void)
{
    step_start = seconds(CLOCK_THREAD_CPUTIME_ID);
}

static void
step_end(const char *name, uint64_t n)
{
    double taken = seconds(CLOCK_THREAD_CPUTIME_ID) - step_start;

    total += taken;
    printf("%-36s %7.1f ms  (%"PRIu64")\n", name, taken * 1e3, n);
    fflush(stdout);
}

static void
ask(const struct measure_report *report, enum measure_by by, const char *name)
{
    struct measure_question question = {
        .by = by,
        .sort = MEASURE_SORT_PACKETS,
        .n = 10,
        .threshold = { .value = .1, .unit = MEASURE_SHARE },
    };
    struct measure_answer answer;
    uint64_t n;

    step_begin();
    measure_report_ask(report, &question, &answer);
    n = answer.n_rows + answer.other_keys;
    measure_answer_destroy(&answer);
    step_end(name, n);
}

static void
distribution(const struct measure_report *report)
{
    const struct measure_table *table = &report->tables[MEASURE_IPV4];
    uint64_t *sizes = malloc(measure_table_n_used(table) * sizeof *sizes);
    struct measure_distribution d;
    uint64_t sum = 0;
    size_t n = 0;

    step_begin();
    measure_distribution_init(&d);
    MEASURE_TABLE_FOR_EACH (row, table) {
        sizes[n++] = *measure_row_packets(row, MEASURE_IPV4);
        measure_distribution_add(&d, *measure_row_packets(row, MEASURE_IPV4),
                                 *measure_row_bytes(row, MEASURE_IPV4));
    }
    step_end("flow-size distribution", d.flows);

    step_begin();
    for (int i = 1; i < 4; i++) {
        sum += measure_quantile(sizes, n, i * .25);
    }
    step_end("three quantiles", sum);
    free(sizes);
}

static struct measure_change change;

static void
changes(const struct measure_table *table)
{
    static struct measure_change_row rows[1000];
    struct measure_change_item items[64];
    size_t n = 0;

    step_begin();
    MEASURE_TABLE_FOR_EACH (row, table) {
        memcpy(items[n].key, row, 2 * sizeof *row);
        items[n].packets = *measure_row_bytes(row, MEASURE_IPV4);
        if (++n == 64) {
            measure_change_add(&change, items, n);
            n = 0;
        }
    }
    measure_change_add(&change, items, n);
    step_end("changes: add", change.n_keys);
    step_begin();
    n = measure_change_close(&change, rows, 1000);
    step_end("changes: close the epoch", n);
}

static void
group(struct measure_table *groups, const struct measure_table *rows,
      enum measure_by by, uint64_t n_expected)
{
    measure_table_init(groups, MEASURE_IPV4,
                       measure_table_lines_for(MEASURE_IPV4, n_expected),
                       &budget, MEASURE_ANY_NODE);
    measure_table_merge_growing(groups, rows,
                                measure_masks[by].words[MEASURE_IPV4],
                                &secret, measure_table_n_used(rows), &budget);
}

static void
merge_all(void)
{
    struct measure_report *report;
    struct measure_table pairs, spread;
    uint64_t n = 0;

    total = 0;
    step_begin();
    report = measure_report_merge(sets, n_threads, MEASURE_BY_FLOW, &secret,
                                  &budget);
    step_end("merge", measure_table_n_used(&report->tables[MEASURE_IPV4]));
    ask(report, MEASURE_BY_FLOW, "heavy hitters by flow");
    ask(report, MEASURE_BY_PAIR, "heavy hitters by pair");
    ask(report, MEASURE_BY_SOURCE, "heavy hitters by source");
    ask(report, MEASURE_BY_DESTINATION, "heavy hitters by destination");

    step_begin();
    n = measure_table_n_used(&report->tables[MEASURE_IPV4]);
    group(&pairs, &report->tables[MEASURE_IPV4], MEASURE_BY_PAIR, n / 2);
    n = measure_table_n_used(&pairs);
    MEASURE_TABLE_FOR_EACH (row, &pairs) {
        /* What a source adds up to is then its number of pairs. */
        *measure_row_bytes(row, MEASURE_IPV4)
            = *measure_row_packets(row, MEASURE_IPV4);
        *measure_row_packets(row, MEASURE_IPV4) = 1;
    }
    group(&spread, &pairs, MEASURE_BY_SOURCE, n / 4);
    step_end("superspreaders", measure_table_n_used(&spread));

    changes(&pairs);
    distribution(report);

    step_begin();
    measure_table_destroy(&pairs, &budget);
    measure_table_destroy(&spread, &budget);
    measure_report_destroy(report);
    step_end("give the memory back", n);

    step_begin();
    for (uint32_t i = 0; i < n_threads; i++) {
        reset(sets[i]);
    }
    step_end("clear the sets", n_threads);
    printf("%-36s %7.1f ms\n", "all", total * 1e3);
}

/* Part two. */

#define EPOCH_MS 50
#define N_BINS 20

struct histogram {
    uint64_t bins[N_BINS];      /* By powers of two of nanoseconds / 256. */
    uint64_t n;
    uint64_t max_ns;
};

static struct measure_writer writer;
static uint64_t seen;           /* Bursts that have ended.  Atomic. */
static bool stop;               /* Atomic. */
static uint64_t sent, counted;
static struct histogram first_wall, first_cpu, other_wall;

static void
histogram_add(struct histogram *h, double taken)
{
    uint64_t ns = taken * 1e9;
    int bin = ns < 256 ? 0 : 56 - __builtin_clzll(ns);

    h->bins[bin < N_BINS ? bin : N_BINS - 1]++;
    h->n++;
    h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

static void *
packet_main(void *unused)
{
    struct measure_set *last = NULL;
    uint64_t state = 1;

    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        struct measure_record records[MEASURE_BURST];
        struct measure_set *set;
        double start, cpu = 0;

        for (int i = 0; i < MEASURE_BURST; i++) {
            state = (state * UINT64_C(6364136223846793005)
                     + UINT64_C(1442695040888963407));
            make_record(&records[i], ((state >> 33) * n_flows) >> 31);
        }
        start = seconds(CLOCK_MONOTONIC);
        set = measure_writer_set(&writer);
        if (set != last) {
            cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
            start = seconds(CLOCK_MONOTONIC);
        }
        measure_set_count(set, records, MEASURE_BURST);
        if (set == last) {
            histogram_add(&other_wall, seconds(CLOCK_MONOTONIC) - start);
        } else {
            histogram_add(&first_wall, seconds(CLOCK_MONOTONIC) - start);
            histogram_add(&first_cpu,
                          seconds(CLOCK_THREAD_CPUTIME_ID) - cpu);
            last = set;
        }
        sent += MEASURE_BURST;
        __atomic_store_n(&seen, seen + 1, __ATOMIC_RELEASE);
    }
    return unused;
}

static void
wait_for_burst(void)
{
    uint64_t then = __atomic_load_n(&seen, __ATOMIC_ACQUIRE);

    /* One that had begun before, and one from its beginning. */
    while (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) < then + 2) {
        sched_yield();
    }
}

static void
take(struct measure_set *set)
{
    struct measure_report *report
        = measure_report_merge(&set, 1, MEASURE_BY_FLOW, &secret, &budget);

    counted += report->counters.packets;
    measure_report_destroy(report);
    reset(set);
}

static bool
hand_over(void)
{
    struct timespec epoch = { 0, EPOCH_MS * 1000000 };
    double end = seconds(CLOCK_MONOTONIC) + n_seconds;
    int current = 0;
    pthread_t thread;

    for (int i = 0; i < 2; i++) {
        if (!sets[i]) {
            sets[i] = measure_set_create(&secret, &budget, MEASURE_ANY_NODE);
            reset(sets[i]);
        }
    }
    writer.set = sets[0];
    pthread_create(&thread, NULL, packet_main, NULL);
    while (seconds(CLOCK_MONOTONIC) < end) {
        struct measure_set *old;

        nanosleep(&epoch, NULL);
        current = !current;
        old = measure_writer_swap(&writer, sets[current]);
        wait_for_burst();
        take(old);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    take(sets[current]);

    printf("\nbursts of %d packets, by their time\n%10s %22s %22s %12s\n",
           MEASURE_BURST, "below", "first in a set (CPU)",
           "first in a set (wall)", "other (wall)");
    for (int i = 0; i < N_BINS; i++) {
        if (first_wall.bins[i] || other_wall.bins[i] || first_cpu.bins[i]) {
            printf("%7.1f us %22"PRIu64" %22"PRIu64" %12"PRIu64"\n",
                   (256 << i) / 1e3, first_cpu.bins[i], first_wall.bins[i],
                   other_wall.bins[i]);
        }
    }
    printf("%10s %19.1f us %19.1f us %9.1f us\n", "largest",
           first_cpu.max_ns / 1e3, first_wall.max_ns / 1e3,
           other_wall.max_ns / 1e3);
    printf("packets sent %"PRIu64", counted %"PRIu64"\n", sent, counted);
    return sent == counted;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "threads", required_argument, NULL, 't' },
        { "flows", required_argument, NULL, 'f' },
        { "seconds", required_argument, NULL, 's' },
        { "shared", no_argument, NULL, 'S' },
        { NULL, 0, NULL, 0 },
    };
    struct measure_change_config config = {
        .family = MEASURE_IPV4, .alpha = .25, .factor = 3, .floor = 1,
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': n_threads = atoi(optarg); break;
        case 'f': n_flows = atoi(optarg); break;
        case 's': n_seconds = atoi(optarg); break;
        case 'S': shared_flows = true; break;
        default: return EXIT_FAILURE;
        }
    }
    if (!n_threads || n_threads > MAX_THREADS || !n_flows) {
        fprintf(stderr, "merge-scale: --threads must be 1 to %d, --flows at "
                "least 1\n", MAX_THREADS);
        return EXIT_FAILURE;
    }

    measure_hash_secret_init(&secret, 1);
    config.max_keys = n_flows * (shared_flows ? 1 : n_threads);
    measure_change_init(&change, &config, &secret,
                        measure_memory_alloc(&budget,
                                             measure_change_size(&config),
                                             MEASURE_ANY_NODE));
    for (uint32_t i = 0; i < n_threads; i++) {
        sets[i] = measure_set_create(&secret, &budget, MEASURE_ANY_NODE);
        reset(sets[i]);
    }
    for (int round = 0; round < 3; round++) {
        pthread_t threads[MAX_THREADS];

        for (uint32_t i = 0; i < n_threads; i++) {
            pthread_create(&threads[i], NULL, fill_main, &sets[i]);
        }
        for (uint32_t i = 0; i < n_threads; i++) {
            pthread_join(threads[i], NULL);
        }
        printf("round %d\n", round + 1);
        merge_all();
    }
    return hand_over() ? EXIT_SUCCESS : EXIT_FAILURE;
}
