/* SPDX-License-Identifier: Apache-2.0 */
/* The task 'rings': what it costs to hand records to another thread. */

/* Figure 3 of "Packet-Level Analytics in Software" (HotCloud 2018), with more
 * queues, sizes of records and batches.
 *
 * A writer and a reader, each on a processor of its own, run
 *
 *   - as fast as they can, which gives the time of a record from end to end,
 *
 *   - and by turns: the writer writes half of the ring, then the reader reads
 *     it.  That tells the two sides apart.  The memory of the ring has to
 *     change processors all the same.
 *
 * Of each round all contenders have a run of each kind for each size and
 * batch, in an order that changes.  What is reported are medians over the
 * rounds.  The reader looks at the number of each record and adds up all
 * words: if one was lost, doubled or changed, the program fails. */

#include <config.h>

#include "ring-rounds.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "peer-ck.h"
#include "results.h"
#include "ring.h"
#include "support.h"

#define TURN (BENCH_RING_RECORDS / 2)   /* Records. */

static const uint32_t batches[] = { 1, 32, 256 };
static const uint32_t sizes[] = { 4, 32, 64 };

#define N_BATCHES (sizeof batches / sizeof batches[0])
#define N_SIZES (sizeof sizes / sizeof sizes[0])
#define N_CASES (N_BATCHES * N_SIZES)

enum what { END_TO_END, WRITER, READER, TO_PAPER, N_WHAT };

/* Of one contender, batch and size. */
struct ring_result {
    double *ns[N_WHAT];
    uint32_t n;                 /* Rounds. */
};

static struct ring_result results[BENCH_MAX_CONTENDERS][N_CASES];
static const char *why_not[BENCH_MAX_CONTENDERS];

/* Two threads. */

struct run {
    const struct bench_ring *class;
    void *ring;
    struct bench_ring_load load;    /* All of it. */
    uint64_t n_turns;           /* Or 0 for none. */
    pthread_barrier_t barrier;
    uint64_t turn;              /* Atomic: even for the writer. */

    struct bench_ring_sum sum;
    double reader_ns;           /* Of a record... */
    double writer_ns;           /* ...if there are turns. */
};

static void
wait_for_turn(struct run *r, uint64_t turn)
{
    unsigned int n_waits = 0;

    while (__atomic_load_n(&r->turn, __ATOMIC_ACQUIRE) != turn) {
        bench_ring_wait(&n_waits);
    }
}

/* Runs one side.  Returns the nanoseconds of a record: of a median turn, or of
 * all of them. */
static double
run_side(struct run *r, bool reads)
{
    uint64_t n_turns = r->n_turns ? r->n_turns : 1, start;
    struct bench_ring_load load = r->load;
    double *ns = measure_xzalloc(n_turns * sizeof *ns);
    double median;

    load.n = r->load.n / n_turns;
    bench_bind_to_processor(reads);
    pthread_barrier_wait(&r->barrier);
    for (uint64_t i = 0; i < n_turns; i++) {
        if (r->n_turns) {
            wait_for_turn(r, 2 * i + reads);
        }
        start = bench_nanoseconds(CLOCK_MONOTONIC);
        if (reads) {
            r->class->read(r->ring, &load, &r->sum);
        } else {
            r->class->write(r->ring, &load);
        }
        ns[i] = ((double) (bench_nanoseconds(CLOCK_MONOTONIC) - start)
                 / load.n);
        if (r->n_turns) {
            __atomic_store_n(&r->turn, 2 * i + reads + 1, __ATOMIC_RELEASE);
        }
        load.first += load.n;
    }
    median = bench_median(ns, n_turns);
    free(ns);
    return median;
}

static void *
writer_main(void *r_)
{
    struct run *r = r_;

    r->writer_ns = run_side(r, false);
    return NULL;
}

static void *
reader_main(void *r_)
{
    struct run *r = r_;

    r->reader_ns = run_side(r, true);
    return NULL;
}

/* Ends the program if the reader has not read what was written. */
static void
check_sum(const struct run *r, const char *name)
{
    uint64_t n = r->load.n, words = r->load.bytes == 4 ? 1 : r->load.bytes / 8;
    uint64_t sum = (words * (n * r->load.first + n * (n - 1) / 2)
                    + n * (words * (words - 1) / 2));

    if (r->sum.wrong || r->sum.sum != sum) {
        bench_fail("%s: records of %"PRIu32" bytes in batches of %"PRIu32
                   " were lost or changed", name, r->load.bytes,
                   r->load.batch);
    }
}

/* Hands 'n' records over, in turns or not. */
static void
run_ring(const struct bench_contender *contender, void *ring,
         const struct bench_ring_load *load, bool turns, struct run *r)
{
    pthread_t writer, reader;

    *r = (struct run) {
        .class = contender->ring, .ring = ring, .load = *load,
        .n_turns = turns ? load->n / TURN : 0,
    };
    pthread_barrier_init(&r->barrier, NULL, 2);
    if (pthread_create(&writer, NULL, writer_main, r)
        || pthread_create(&reader, NULL, reader_main, r)) {
        bench_fail("cannot start a thread");
    }
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    pthread_barrier_destroy(&r->barrier);
    check_sum(r, contender->name);
}

/* One round of one contender. */
static void
run_contender(const struct bench_contender *contender,
              struct ring_result *result, const char **reason,
              uint32_t batch, uint32_t bytes, uint64_t n)
{
    struct bench_ring_load load = {
        .n = n, .batch = batch, .bytes = bytes,
    };
    struct run r;
    void *ring;

    ring = contender->ring->create(bytes, reason);
    if (!ring) {
        return;
    }
    /* Once around, so that all memory has been used by both. */
    load.n = BENCH_RING_RECORDS;
    run_ring(contender, ring, &load, false, &r);
    load.first += load.n;
    load.n = n;
    run_ring(contender, ring, &load, false, &r);
    result->ns[END_TO_END][result->n] = r.reader_ns;
    load.first += load.n;
    run_ring(contender, ring, &load, true, &r);
    result->ns[WRITER][result->n] = r.writer_ns;
    result->ns[READER][result->n] = r.reader_ns;
    result->n++;
    contender->ring->destroy(ring, bytes);
}

/* The 'i'th of 'n' in the order of 'turn'. */
static size_t
in_turn(uint32_t turn, size_t i, size_t n)
{
    size_t j = (turn / 2 + i) % n;

    return turn % 2 ? n - 1 - j : j;
}

/* Sets the ratios of this round to the ring of the paper. */
static void
compare(const struct bench_options *options, size_t k)
{
    const struct ring_result *paper = NULL;

    for (size_t i = 0; i < options->n_contenders; i++) {
        if (!strcmp(options->contenders[i]->name, "paper")) {
            paper = &results[i][k];
        }
    }
    for (size_t i = 0; paper && i < options->n_contenders; i++) {
        struct ring_result *r = &results[i][k];

        if (r->n) {
            r->ns[TO_PAPER][r->n - 1] = (r->ns[END_TO_END][r->n - 1]
                                         / paper->ns[END_TO_END][r->n - 1]);
        }
    }
}

static void
run_round(const struct bench_options *options, uint32_t round, uint64_t n)
{
    for (size_t i = 0; i < N_CASES; i++) {
        size_t k = in_turn(round, i, N_CASES);

        for (size_t j = 0; j < options->n_contenders; j++) {
            size_t c = in_turn(round + i, j, options->n_contenders);

            run_contender(options->contenders[c], &results[c][k], &why_not[c],
                          batches[k / N_SIZES], sizes[k % N_SIZES], n);
        }
        compare(options, k);
    }
}

/* Output. */

static bool
has_paper(const struct bench_options *options)
{
    for (size_t i = 0; i < options->n_contenders; i++) {
        if (!strcmp(options->contenders[i]->name, "paper")) {
            return true;
        }
    }
    return false;
}

static void
print_row(const struct bench_options *options, size_t c, size_t k)
{
    const struct ring_result *r = &results[c][k];
    double low, high;

    bench_median_interval(r->ns[END_TO_END], r->n, &low, &high);
    printf("{\"name\": \"%s\", \"batch\": %"PRIu32", \"record-bytes\": %"PRIu32
           ", \"ns-per-record\": %.3f, \"ci95\": [%.3f, %.3f], "
           "\"writer-ns-per-record\": %.3f, \"reader-ns-per-record\": %.3f",
           options->contenders[c]->name, batches[k / N_SIZES],
           sizes[k % N_SIZES], bench_median(r->ns[END_TO_END], r->n), low,
           high, bench_median(r->ns[WRITER], r->n),
           bench_median(r->ns[READER], r->n));
    if (has_paper(options)) {
        printf(", \"ratio-to-paper\": %.3f",
               bench_median(r->ns[TO_PAPER], r->n));
    }
    printf("}");
}

static void
print_json(const struct bench_options *options, uint64_t n,
           const char *command_line)
{
    bool first = true;

    printf("{\n");
    bench_print_origin(command_line);
    bench_print_member("ck", bench_ck_version());
    bench_print_member("task", bench_tasks[options->task].name);
    printf("  \"rounds\": %"PRIu32",\n  \"records\": %"PRIu64",\n"
           "  \"ring-records\": %d,\n  \"contenders\": [", options->repeat, n,
           BENCH_RING_RECORDS);
    for (size_t c = 0; c < options->n_contenders; c++) {
        for (size_t k = 0; k < N_CASES; k++) {
            if (results[c][k].n) {
                printf("%s\n    ", first ? "" : ",");
                print_row(options, c, k);
                first = false;
            }
        }
    }
    printf("\n  ],\n  \"absent\": [");
    first = true;
    for (size_t c = 0; c < options->n_contenders; c++) {
        if (!results[c][0].n) {
            printf("%s\n    {\"name\": \"%s\", \"why\": ", first ? "" : ",",
                   options->contenders[c]->name);
            bench_print_string(why_not[c]);
            printf("}");
            first = false;
        }
    }
    printf("%s]\n}\n", first ? "" : "\n  ");
}

static void
print_text(const struct bench_options *options, uint64_t n)
{
    printf("%"PRIu32" rounds of %"PRIu64" records, nanoseconds a record: "
           "end to end (writer alone, reader alone)\n",
           options->repeat, n);
    for (size_t k = 0; k < N_CASES; k++) {
        printf("\nrecords of %"PRIu32" bytes in batches of %"PRIu32"\n",
               sizes[k % N_SIZES], batches[k / N_SIZES]);
        for (size_t c = 0; c < options->n_contenders; c++) {
            const struct ring_result *r = &results[c][k];

            if (!r->n) {
                printf("    %-10s absent: %s\n", options->contenders[c]->name,
                       why_not[c]);
                continue;
            }
            printf("    %-10s %8.2f (%.2f, %.2f)\n",
                   options->contenders[c]->name,
                   bench_median(r->ns[END_TO_END], r->n),
                   bench_median(r->ns[WRITER], r->n),
                   bench_median(r->ns[READER], r->n));
        }
    }
}

/* Compares the rings in 'options', and prints the result. */
void
bench_rings_run(const struct bench_options *options, const char *command_line)
{
    /* Of a round: whole turns, and of these whole batches. */
    uint64_t n = measure_max(options->packets / options->repeat / TURN, 1);

    n *= TURN;
    for (size_t c = 0; c < options->n_contenders; c++) {
        for (size_t k = 0; k < N_CASES; k++) {
            for (int what = 0; what < N_WHAT; what++) {
                results[c][k].ns[what]
                    = measure_xzalloc(options->repeat * sizeof(double));
            }
        }
    }
    for (uint32_t round = 0; round < options->repeat; round++) {
        run_round(options, round, n);
    }
    if (options->json) {
        print_json(options, n, command_line);
    } else {
        print_text(options, n);
    }
}
