/* SPDX-License-Identifier: Apache-2.0 */
/* Compares structures that count packets: time, memory, accuracy. */

/* measure-bench compares structures that count packets: their time, memory
 * and accuracy, in one process and on the same packets.  See README.md.
 *
 * A round is one epoch of traffic.  In each round every contender runs more
 * than once, each time from empty: first with a clock reading every 64
 * packets, for the histogram, and then without any, for the mean, in several
 * sweeps over all contenders.  The order changes from sweep to sweep, so that
 * what else the machine does meets all of them.  Nothing but the updates is
 * timed.
 *
 * The speed of a shared machine changes within a second.  Hence the floor runs
 * anew beside each contender, before it in one sweep and after it in the next,
 * and what is reported is the median of the ratios of these pairs. */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accuracy.h"
#include "beside.h"
#include "linear.h"
#include "options.h"
#include "pipeline-rounds.h"
#include "results.h"
#include "ring-rounds.h"
#include "support.h"
#include "traffic.h"

/* Returns the nanoseconds of a tick of bench_clock(). */
static double
calibrate(void)
{
    uint64_t start_ns = bench_nanoseconds(CLOCK_MONOTONIC);
    uint64_t start = bench_clock();
    double ns;

    do {
        ns = bench_nanoseconds(CLOCK_MONOTONIC) - start_ns;
    } while (ns < 5e7);
    return ns / (bench_clock() - start);
}

/* One run of a contender over packets of the current epoch. */

struct run {
    const struct bench_contender *contender;
    void *structure;
    const struct bench_traffic *traffic;
    uint32_t begin;
    uint32_t end;
    uint64_t *histogram;        /* Or NULL. */
    int processor;              /* To run on, of one of two threads. */
    double ns;
};

static void
run_timed(struct run *r)
{
    /* Without the time in which something else ran on this processor. */
    double start = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);

    for (uint32_t i = r->begin; i < r->end; i += BENCH_BURST) {
        r->contender->update(r->structure, &r->traffic->keys[i],
                             &r->traffic->bytes[i]);
    }
    r->ns = ((bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID) - start)
             / (r->end - r->begin));
}

static void
run_histogram(struct run *r)
{
    uint64_t start = bench_clock();

    for (uint32_t i = r->begin; i < r->end; i += BENCH_LATENCY_BATCH) {
        for (uint32_t j = i; j < i + BENCH_LATENCY_BATCH; j += BENCH_BURST) {
            r->contender->update(r->structure, &r->traffic->keys[j],
                                 &r->traffic->bytes[j]);
        }

        uint64_t end = bench_clock();

        bench_histogram_add(r->histogram, end - start);
        start = bench_clock();
    }
}

static pthread_barrier_t barrier;

static void *
run_thread(void *r_)
{
    struct run *r = r_;

    bench_bind_to_processor(r->processor);
    pthread_barrier_wait(&barrier);
    if (r->histogram) {
        run_histogram(r);
    } else {
        run_timed(r);
    }
    return NULL;
}

/* Returns the mean time of a packet, unless there is a histogram to fill. */
static double
run(struct bench_result *result, const struct bench_traffic *traffic,
    uint64_t *histogram)
{
    const struct bench_contender *contender = result->contender;
    struct run r = { .contender = contender, .structure = result->structure,
                     .traffic = traffic, .end = traffic->n,
                     .histogram = histogram };

    if (histogram) {
        result->n_samples += traffic->n / BENCH_LATENCY_BATCH;
    }
    if (contender->side) {
        struct run sides[2];
        pthread_t threads[2];
        uint32_t half = (traffic->n / 2 / BENCH_LATENCY_BATCH
                         * BENCH_LATENCY_BATCH);

        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++) {
            sides[i] = r;
            sides[i].structure = contender->side(result->structure, i);
            sides[i].begin = i ? half : 0;
            sides[i].end = i ? traffic->n : half;
            sides[i].processor = i;
            if (pthread_create(&threads[i], NULL, run_thread, &sides[i])) {
                bench_fail("cannot start a thread");
            }
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
        }
        pthread_barrier_destroy(&barrier);
        return (sides[0].ns + sides[1].ns) / 2;
    }
    if (histogram) {
        run_histogram(&r);
    } else {
        run_timed(&r);
    }
    return r.ns;
}

static void
create_contenders(struct bench_results *results,
                  const struct bench_options *options,
                  struct bench_settings *settings, uint32_t max_runs)
{
    results->n = options->n_contenders;
    for (size_t i = 0; i < results->n; i++) {
        const struct bench_contender *contender = options->contenders[i];
        struct bench_result *result = &results->all[i];

        bench_result_init(result, contender, max_runs);
        settings->contender = contender;
        result->structure = contender->create(settings, &result->why_not);
        if (result->structure && contender == &bench_floor) {
            results->floor = result;
        } else if (result->structure && contender == &bench_linear_table) {
            results->table = result;
        }
    }
}

/* The 'i'th of the contenders in the order of 'turn'. */
static struct bench_result *
in_turn(struct bench_results *results, uint32_t turn, size_t i)
{
    size_t j = (turn / 2 + i) % results->n;

    return &results->all[turn % 2 ? results->n - 1 - j : j];
}

static double
run_from_empty(struct bench_result *result,
               const struct bench_traffic *traffic)
{
    result->contender->clear(result->structure);
    return run(result, traffic, NULL);
}

/* Runs all contenders once, each of them beside the floor. */
static void
sweep(struct bench_results *results, uint32_t turn,
      const struct bench_traffic *traffic)
{
    for (size_t i = 0; i < results->n; i++) {
        struct bench_result *result = in_turn(results, turn, i);
        double floor_ns, ns;

        if (!result->structure) {
            continue;
        }
        if (!results->floor || result == results->floor) {
            floor_ns = ns = run_from_empty(result, traffic);
        } else if (turn % 2) {
            floor_ns = run_from_empty(results->floor, traffic);
            ns = run_from_empty(result, traffic);
        } else {
            ns = run_from_empty(result, traffic);
            floor_ns = run_from_empty(results->floor, traffic);
        }
        result->ns[result->n_runs] = ns;
        result->to_floor[result->n_runs] = ns / floor_ns;
        result->n_runs++;
    }
    for (size_t i = 0; results->table && i < results->n; i++) {
        struct bench_result *result = &results->all[i];
        uint32_t last = result->n_runs - 1;

        if (result->structure) {
            result->to_table[last] = (result->ns[last]
                                      / results->table->ns[last]);
        }
    }
}

static void
run_round(struct bench_results *results, uint32_t round, uint32_t repeat,
          struct bench_traffic *traffic, struct bench_truth *truth,
          uint64_t threshold)
{
    bench_traffic_load(traffic, round);
    bench_truth_load(truth, traffic, threshold);
    for (size_t i = 0; i < results->n; i++) {
        struct bench_result *result = in_turn(results, round, i);
        const struct bench_contender *contender = result->contender;

        if (!result->structure) {
            continue;
        }
        if (contender->begin) {
            contender->begin(result->structure);
        }
        contender->clear(result->structure);
        run(result, traffic, result->histogram);
        if (contender->report) {
            struct bench_accuracy accuracy;

            bench_judge(contender, result->structure, traffic, truth,
                        &accuracy);
            bench_result_add_accuracy(result, &accuracy);
        }
        if (contender->memory(result->structure) > result->memory) {
            result->memory = contender->memory(result->structure);
        }
    }
    for (uint32_t k = 0; k < repeat; k++) {
        sweep(results, round * repeat + k, traffic);
    }
}

/* Has the memory of malloc() in huge pages, too, as all other memory here:
 * that can be chosen when a program starts only. */
static void
use_huge_pages(char *argv[])
{
    if (!getenv("GLIBC_TUNABLES")) {
        setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1);
        execv("/proc/self/exe", argv);
    }
}

static struct bench_traffic *
make_traffic(const struct bench_options *options)
{
    return (options->capture
            ? bench_traffic_capture(options->capture, options->pairs,
                                    options->epoch)
            : bench_traffic_zipf(options->skew, options->flows,
                                 options->packets, options->epoch,
                                 options->seed,
                                 options->task == BENCH_CHANGES));
}

static void
end_of_output(void)
{
    if (fflush(stdout) || ferror(stdout)) {
        bench_fail("cannot write the results: %s", strerror(errno));
    }
}

int
main(int argc, char *argv[])
{
    static struct bench_results results;
    struct bench_settings settings = { .n_flows = 0 };
    struct bench_traffic *traffic;
    struct bench_options options;
    char command_line[1024];
    struct bench_truth truth;

    use_huge_pages(argv);
    bench_set_program("measure-bench");
    bench_command_line(argc, argv, command_line, sizeof command_line);
    bench_options_parse(argc, argv, &options);
    if (options.task == BENCH_RINGS || options.task == BENCH_PIPELINE) {
        (options.task == BENCH_RINGS
         ? bench_rings_run : bench_pipelines_run)(&options, command_line);
        end_of_output();
        return 0;
    }
    results.ns_per_tick = calibrate();
    traffic = make_traffic(&options);

    settings.n_flows = traffic->max_present;
    settings.memory = options.memory;
    settings.entry = options.entry;
    settings.threshold = traffic->n / 1000 + 1;
    measure_hash_secret_init(&settings.secret, options.seed ^ 0x5ec2e7);
    if (options.task == BENCH_BESIDE) {
        bench_beside_run(&options, traffic, &settings, command_line);
        end_of_output();
        return 0;
    }
    create_contenders(&results, &options, &settings,
                      traffic->n_epochs * options.repeat);
    bench_truth_init(&truth, traffic, options.task, settings.threshold);
    for (uint32_t round = 0; round < traffic->n_epochs; round++) {
        run_round(&results, round, options.repeat, traffic, &truth,
                  settings.threshold);
    }
    if (options.json) {
        bench_results_print_json(&results, &options, traffic, &settings,
                                 command_line);
    } else {
        bench_results_print_text(&results, traffic, &settings);
    }
    end_of_output();
    return 0;
}
