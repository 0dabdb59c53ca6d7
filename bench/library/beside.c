/* SPDX-License-Identifier: Apache-2.0 */
/* The task 'beside': counting beside a program that uses the cache. */

/* Figure 9a of "A Comparison of Performance and Accuracy of Measurement
 * Algorithms in Software" (SOSR 2018), and the other side of it: what the
 * neighbour loses.
 *
 * The neighbour is a thread on another processor that adds one to words of a
 * working set, in an order drawn by a hash, as in section 5.2 of the paper.
 * Here counting is not slowed down in its favour: both go as fast as they can.
 *
 * In each round, for each size of the working set, a contender counts an epoch
 * alone, and beside the neighbour; then the neighbour does as much as it did
 * beside it, alone.  All times are processor times; what is reported are
 * medians over the rounds, and of ratios within a round. */

#include <config.h>

#include "beside.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/measure-base.h"
#include "results.h"
#include "support.h"

#define CHUNK 1024              /* Accesses before it looks whether to stop. */

static const size_t sizes[] = {
    1 * MEASURE_MIB, 2 * MEASURE_MIB, 4 * MEASURE_MIB, 8 * MEASURE_MIB,
    16 * MEASURE_MIB, 32 * MEASURE_MIB, 64 * MEASURE_MIB,
};
#define N_SIZES (sizeof sizes / sizeof sizes[0])
#define MAX_SIZE (64 * MEASURE_MIB)

enum what { ALONE, BESIDE, RATIO, NEIGHBOUR_ALONE, NEIGHBOUR_BESIDE,
            NEIGHBOUR_RATIO, N_WHAT };

struct beside_result {
    void *structure;
    double *values[N_SIZES][N_WHAT];
};

static struct beside_result results[BENCH_MAX_CONTENDERS];

/* The neighbour. */

struct neighbour {
    uint64_t *memory;
    size_t n_words;             /* A power of 2. */
    uint64_t max_chunks;
    pthread_t thread;
    bool started;               /* Atomic. */
    bool stop;                  /* Atomic. */
    uint64_t n_chunks;          /* What it did... */
    double ns;                  /* ...of an access. */
};

static void
access_chunk(struct neighbour *neighbour, uint64_t *state)
{
    for (int i = 0; i < CHUNK; i++) {
        neighbour->memory[bench_random(state) & (neighbour->n_words - 1)]++;
    }
}

static void *
neighbour_main(void *neighbour_)
{
    struct neighbour *neighbour = neighbour_;
    uint64_t state = 1, n = 0;
    double start;

    bench_bind_to_others();
    /* Once through all of it, and it is where it will be. */
    for (size_t i = 0; i < neighbour->n_words; i += 8) {
        neighbour->memory[i]++;
    }
    __atomic_store_n(&neighbour->started, true, __ATOMIC_RELEASE);
    start = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    do {
        access_chunk(neighbour, &state);
        n++;
    } while (n < neighbour->max_chunks
             && !__atomic_load_n(&neighbour->stop, __ATOMIC_ACQUIRE));
    neighbour->ns = ((bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start)
                     / ((double) n * CHUNK));
    neighbour->n_chunks = n;
    return NULL;
}

/* Starts it, for 'max_chunks' or until it is stopped. */
static void
neighbour_start(struct neighbour *neighbour, uint64_t *memory, size_t size,
                uint64_t max_chunks)
{
    *neighbour = (struct neighbour) {
        .memory = memory, .n_words = size / sizeof *memory,
        .max_chunks = max_chunks,
    };
    if (pthread_create(&neighbour->thread, NULL, neighbour_main, neighbour)) {
        bench_fail("cannot start a thread");
    }
}

/* Rounds. */

static double
count(const struct bench_contender *contender, void *structure,
      const struct bench_traffic *traffic)
{
    double start;

    contender->clear(structure);
    start = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < traffic->n; i += BENCH_BURST) {
        contender->update(structure, &traffic->keys[i], &traffic->bytes[i]);
    }
    return ((bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start)
            / traffic->n);
}

static double
count_beside(const struct bench_contender *contender, void *structure,
             const struct bench_traffic *traffic, struct neighbour *neighbour)
{
    double ns;

    while (!__atomic_load_n(&neighbour->started, __ATOMIC_ACQUIRE)) {
        continue;
    }
    ns = count(contender, structure, traffic);
    __atomic_store_n(&neighbour->stop, true, __ATOMIC_RELEASE);
    pthread_join(neighbour->thread, NULL);
    return ns;
}

static void
run_case(const struct bench_contender *contender,
         struct beside_result *result, size_t k, uint32_t round,
         const struct bench_traffic *traffic, uint64_t *memory)
{
    struct neighbour neighbour;
    double values[N_WHAT];
    uint64_t n_chunks;

    values[ALONE] = count(contender, result->structure, traffic);
    neighbour_start(&neighbour, memory, sizes[k], UINT64_MAX);
    values[BESIDE] = count_beside(contender, result->structure, traffic,
                                  &neighbour);
    values[NEIGHBOUR_BESIDE] = neighbour.ns;
    n_chunks = neighbour.n_chunks;
    neighbour_start(&neighbour, memory, sizes[k], n_chunks);
    pthread_join(neighbour.thread, NULL);
    values[NEIGHBOUR_ALONE] = neighbour.ns;
    values[RATIO] = values[BESIDE] / values[ALONE];
    values[NEIGHBOUR_RATIO] = (values[NEIGHBOUR_BESIDE]
                               / values[NEIGHBOUR_ALONE]);
    for (int what = 0; what < N_WHAT; what++) {
        result->values[k][what][round] = values[what];
    }
}

/* Output. */

static void
print_value(const char *name, const double *values, uint32_t n)
{
    double low, high;

    bench_median_interval(values, n, &low, &high);
    printf(", \"%s\": %.3f, \"%s-ci95\": [%.3f, %.3f]", name,
           bench_median(values, n), name, low, high);
}

static void
print_json(const struct bench_options *options,
           const struct bench_traffic *traffic, const char *command_line)
{
    static const char *const names[N_WHAT] = {
        [ALONE] = "alone-ns-per-packet",
        [BESIDE] = "ns-per-packet",
        [RATIO] = "ratio-to-alone",
        [NEIGHBOUR_ALONE] = "neighbour-alone-ns-per-access",
        [NEIGHBOUR_BESIDE] = "neighbour-ns-per-access",
        [NEIGHBOUR_RATIO] = "neighbour-ratio-to-alone",
    };

    printf("{\n");
    bench_print_origin(command_line);
    bench_print_member("task", bench_tasks[options->task].name);
    if (options->capture) {
        bench_print_member("capture", options->capture);
    } else {
        printf("  \"zipf\": %g,\n  \"seed\": %"PRIu64",\n", options->skew,
               options->seed);
    }
    printf("  \"processors\": %u,\n  \"epoch-packets\": %"PRIu32",\n"
           "  \"epoch-flows\": %"PRIu32",\n  \"rounds\": %"PRIu32",\n"
           "  \"contenders\": [", bench_processors(), traffic->n,
           traffic->max_present, options->repeat);
    for (size_t c = 0; c < options->n_contenders; c++) {
        const struct bench_contender *contender = options->contenders[c];

        for (size_t k = 0; k < N_SIZES; k++) {
            printf("%s\n    {\"name\": \"%s\", \"memory-bytes\": %zu, "
                   "\"neighbour-bytes\": %zu", c || k ? "," : "",
                   contender->name,
                   contender->memory(results[c].structure), sizes[k]);
            for (int what = 0; what < N_WHAT; what++) {
                print_value(names[what], results[c].values[k][what],
                            options->repeat);
            }
            printf("}");
        }
    }
    printf("\n  ]\n}\n");
}

static void
print_text(const struct bench_options *options)
{
    printf("%"PRIu32" rounds; nanoseconds a packet beside a neighbour, and of "
           "one of its accesses\n\n%-24s %9s %9s %9s %9s %9s\n",
           options->repeat, "", "MiB", "ns", "to alone", "neighbour",
           "to alone");
    for (size_t c = 0; c < options->n_contenders; c++) {
        for (size_t k = 0; k < N_SIZES; k++) {
            double *const *values = results[c].values[k];

            printf("%-24s %9zu %9.2f %9.2f %9.2f %9.2f\n",
                   options->contenders[c]->name, sizes[k] / MEASURE_MIB,
                   bench_median(values[BESIDE], options->repeat),
                   bench_median(values[RATIO], options->repeat),
                   bench_median(values[NEIGHBOUR_BESIDE], options->repeat),
                   bench_median(values[NEIGHBOUR_RATIO], options->repeat));
        }
    }
}

/* Counts the first epoch of 'traffic' beside a neighbour, and prints the
 * result. */
void
bench_beside_run(const struct bench_options *options,
                 struct bench_traffic *traffic,
                 struct bench_settings *settings, const char *command_line)
{
    uint64_t *memory = bench_memory(MAX_SIZE);

    bench_processors();
    bench_bind_to_first();
    bench_traffic_load(traffic, 0);
    for (size_t c = 0; c < options->n_contenders; c++) {
        const char *why_not = NULL;

        settings->contender = options->contenders[c];
        results[c].structure = options->contenders[c]->create(settings,
                                                              &why_not);
        if (!results[c].structure) {
            bench_fail("%s: %s", options->contenders[c]->name, why_not);
        }
        for (size_t k = 0; k < N_SIZES; k++) {
            for (int what = 0; what < N_WHAT; what++) {
                results[c].values[k][what]
                    = measure_xzalloc(options->repeat * sizeof(double));
            }
        }
    }
    for (uint32_t round = 0; round < options->repeat; round++) {
        for (size_t i = 0; i < N_SIZES; i++) {
            size_t k = round % 2 ? N_SIZES - 1 - i : i;

            for (size_t j = 0; j < options->n_contenders; j++) {
                size_t c = (round + i + j) % options->n_contenders;

                run_case(options->contenders[c], &results[c], k, round,
                         traffic, memory);
            }
        }
    }
    if (options->json) {
        print_json(options, traffic, command_line);
    } else {
        print_text(options);
    }
}
