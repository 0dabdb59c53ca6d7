/* SPDX-License-Identifier: Apache-2.0 */
/* The task 'pipeline': records through three stages, with replicas. */

/* Figure 4 of "Packet-Level Analytics in Software" (HotCloud 2018): packets
 * and bytes of each source, and passing through, by our pipeline and by that
 * of the paper, made again.
 *
 * In each round all contenders have a run with each number of replicas, in an
 * order that changes; what is reported are medians over the rounds, and of
 * ratios within a round.  Each run has to count exactly, or the program ends.
 *
 * The figure for a core is
 *
 *     records / (wall time * threads busy)
 *
 * where 'threads busy' is the processor time of all threads of the pipeline
 * (source, replicas, sink) over its wall time.  A thread that spins is busy,
 * one that sleeps is not.  Thus it is the records for a second of processor
 * time, and holds on a machine that others use, or that has less processors
 * than there are threads.  It is the same for all contenders.
 *
 * 'records-per-second-per-replica' is how the paper counts: without source and
 * sink.
 *
 * Our contenders also run with numbers of replicas that the machine may have
 * no processors for.  Of these, only the processor times of the threads are
 * used, for the model. */

#include <config.h>

#include "pipeline-rounds.h"

#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "pipeline-model.h"
#include "pipeline-records.h"
#include "pipeline.h"
#include "results.h"
#include "support.h"

#define MAX_TRAFFICS 32
#define MODEL_REPLICAS 16       /* It tells of one to so many. */

/* Those up to MEASURED are measured on any machine, those up to MODELLED in
 * processor time at least. */
static const unsigned int replicas[] = { 1, 2, 4, 8, 16 };
#define N_REPLICAS (sizeof replicas / sizeof replicas[0])
#define MEASURED 2
#define MODELLED 8

enum what { PER_CORE, PER_SECOND, PER_REPLICA, BUSY, SOURCE_NS, REPLICA_NS,
            TO_PAPER, REPLICA_TO_PAPER, N_WHAT };

/* Of one contender, one number of replicas and one traffic. */
struct pipeline_result {
    double *values[N_WHAT];
    uint32_t n;                 /* Rounds. */
};

struct pipeline_traffic {
    struct bench_records records;
    uint64_t sweeps;
    struct pipeline_result results[BENCH_MAX_CONTENDERS][N_REPLICAS];
};

static struct pipeline_traffic traffics[MAX_TRAFFICS];
static size_t n_traffics;

/* Traffic. */

static struct pipeline_traffic *
next_traffic(void)
{
    if (n_traffics == MAX_TRAFFICS) {
        bench_fail("more than %d captures", MAX_TRAFFICS - 1);
    }
    return &traffics[n_traffics++];
}

/* Makes the records; 'n' is how many a run should have. */
static void
make_traffic(const struct bench_options *options, uint64_t n)
{
    uint64_t max = measure_min(options->epoch, n);
    const char *directory = getenv("MEASURE_TRACES");

    if (options->capture) {
        bench_records_capture(&next_traffic()->records, options->capture, max);
    } else {
        bench_records_zipf(&next_traffic()->records, options->skew,
                           options->flows, max, options->seed);
    }
    if (!options->capture && directory) {
        char *pattern = measure_format("%s/*.pcap", directory);
        glob_t found;

        if (!glob(pattern, 0, NULL, &found)) {
            for (size_t i = 0; i < found.gl_pathc; i++) {
                bench_records_capture(&next_traffic()->records,
                                      found.gl_pathv[i], max);
            }
            globfree(&found);
        }
        free(pattern);
    }
    for (size_t i = 0; i < n_traffics; i++) {
        traffics[i].sweeps = measure_max(n / traffics[i].records.n, 1);
    }
}

/* Rounds. */

static bool
is_paper(const struct bench_contender *contender)
{
    return !strncmp(contender->name, "paper-", 6);
}

/* Whether the machine, or any, is good for so many replicas. */
static bool
is_measured(unsigned int r)
{
    return r <= MEASURED || r + 2 <= bench_processors();
}

static bool
is_run(const struct bench_contender *contender, unsigned int r)
{
    return is_measured(r) || (!is_paper(contender) && r <= MODELLED);
}

static void
run_contender(const struct bench_contender *contender,
              struct pipeline_traffic *traffic, unsigned int r,
              struct pipeline_result *result)
{
    const struct bench_pipeline_load load = {
        .records = &traffic->records, .sweeps = traffic->sweeps,
        .replicas = r, .counts = contender->pipeline->counts,
        .name = contender->name,
    };
    double n = (double) traffic->sweeps * traffic->records.n;
    struct bench_pipeline_times times;
    uint32_t i = result->n++;

    contender->pipeline->run(&load, &times);
    result->values[PER_CORE][i] = n / times.processor_ns * 1e9;
    result->values[PER_SECOND][i] = n / times.wall_ns * 1e9;
    result->values[PER_REPLICA][i] = n / times.wall_ns * 1e9 / r;
    result->values[BUSY][i] = times.processor_ns / times.wall_ns;
    result->values[SOURCE_NS][i] = times.source_ns / n;
    result->values[REPLICA_NS][i] = times.replicas_ns / r / n;
}

/* Returns the number of the contender of the paper that does what number 'c'
 * does, or -1. */
static int
find_paper(const struct bench_options *options, size_t c)
{
    for (size_t i = 0; i < options->n_contenders; i++) {
        const struct bench_contender *other = options->contenders[i];

        if (is_paper(other)
            && (other->pipeline->counts
                == options->contenders[c]->pipeline->counts)) {
            return i;
        }
    }
    return -1;
}

/* Sets the ratios of the round that has ended. */
static void
compare(const struct bench_options *options, struct pipeline_traffic *traffic,
        size_t k)
{
    for (size_t c = 0; c < options->n_contenders; c++) {
        struct pipeline_result *result = &traffic->results[c][k];
        int paper = find_paper(options, c);

        if (paper >= 0 && is_measured(replicas[k])) {
            double *const *values = traffic->results[paper][k].values;
            uint32_t i = result->n - 1;

            result->values[TO_PAPER][i] = (result->values[PER_CORE][i]
                                           / values[PER_CORE][i]);
            result->values[REPLICA_TO_PAPER][i]
                = result->values[PER_REPLICA][i] / values[PER_REPLICA][i];
        }
    }
}

static void
run_round(const struct bench_options *options, uint32_t round,
          struct pipeline_traffic *traffic)
{
    size_t n = options->n_contenders;

    for (size_t k = 0; k < N_REPLICAS; k++) {
        for (size_t j = 0; j < n; j++) {
            size_t i = (round / 2 + k + j) % n;
            size_t c = round % 2 ? n - 1 - i : i;

            if (is_run(options->contenders[c], replicas[k])) {
                run_contender(options->contenders[c], traffic, replicas[k],
                              &traffic->results[c][k]);
            }
        }
        compare(options, traffic, k);
    }
}

/* Output. */

static double
median(const struct pipeline_result *result, enum what what)
{
    return bench_median(result->values[what], result->n);
}

static void
print_row(const struct bench_options *options,
          const struct pipeline_traffic *traffic, size_t c, size_t k)
{
    const struct pipeline_result *result = &traffic->results[c][k];
    const struct bench_contender *contender = options->contenders[c];
    double low, high;

    bench_median_interval(result->values[PER_CORE], result->n, &low, &high);
    printf("{\"name\": \"%s\", \"traffic\": ", contender->name);
    bench_print_string(traffic->records.name);
    printf(", \"replicas\": %u, \"threads\": %u, "
           "\"processor-for-each-thread\": %s, "
           "\"records-per-second-per-core\": %.0f, \"ci95\": [%.0f, %.0f], "
           "\"threads-busy\": %.3f, \"records-per-second\": %.0f, "
           "\"records-per-second-per-replica\": %.0f, "
           "\"source-ns-per-record\": %.3f, \"replica-ns-per-record\": %.3f",
           replicas[k], contender->pipeline->threads(replicas[k]),
           (contender->pipeline->threads(replicas[k]) <= bench_processors()
            ? "true" : "false"),
           median(result, PER_CORE), low, high, median(result, BUSY),
           median(result, PER_SECOND), median(result, PER_REPLICA),
           median(result, SOURCE_NS), median(result, REPLICA_NS));
    if (find_paper(options, c) >= 0) {
        printf(", \"ratio-to-paper\": %.3f, "
               "\"ratio-to-paper-per-replica\": %.3f",
               median(result, TO_PAPER), median(result, REPLICA_TO_PAPER));
    }
    printf("}");
}

static void
print_model(const struct bench_contender *contender,
            const struct pipeline_traffic *traffic,
            const struct pipeline_result *results)
{
    struct bench_model_point points[N_REPLICAS];
    struct bench_model model;
    size_t n = 0;

    for (size_t k = 0; k < N_REPLICAS; k++) {
        if (is_run(contender, replicas[k])) {
            points[n++] = (struct bench_model_point) {
                .replicas = replicas[k],
                .source_ns = median(&results[k], SOURCE_NS),
                .replica_ns = median(&results[k], REPLICA_NS),
            };
        }
    }
    bench_model_fit(&model, points, n);
    printf("{\"name\": \"%s\", \"traffic\": ", contender->name);
    bench_print_string(traffic->records.name);
    printf(", \"source-ns-per-record\": %.3f, \"skip-ns-per-record\": %.3f, "
           "\"work-ns-per-record\": %.3f, \"largest-residual\": %.4f,\n"
           "      \"fitted-to\": [", model.source_ns, model.skip_ns,
           model.work_ns, model.residual);
    for (size_t i = 0; i < n; i++) {
        printf("%s{\"replicas\": %u, \"source-ns-per-record\": %.3f, "
               "\"replica-ns-per-record\": %.3f}", i ? ", " : "",
               points[i].replicas, points[i].source_ns, points[i].replica_ns);
    }
    printf("],\n      \"predictions\": [");
    for (unsigned int r = 1; r <= MODEL_REPLICAS; r++) {
        printf("%s\n        {\"replicas\": %u, \"processors\": %u, "
               "\"records-per-second\": %.0f, "
               "\"records-per-second-per-core\": %.0f}", r > 1 ? "," : "", r,
               r + 1, bench_model_rate(&model, r),
               bench_model_rate_per_core(&model, r));
    }
    printf("]}");
}

static void
print_models(const struct bench_options *options)
{
    bool first = true;

    printf("  \"model\": {\n    \"note\": \"a model, not a measurement: "
           "fitted to the processor times of source and replicas, for a "
           "processor for each thread\",\n"
           "    \"records-per-second\": \"1e9 / max(source, skip + work / "
           "replicas)\",\n"
           "    \"records-per-second-per-core\": \"1e9 / (source + replicas * "
           "skip + work)\",\n    \"fits\": [");
    for (size_t t = 0; t < n_traffics; t++) {
        for (size_t c = 0; c < options->n_contenders; c++) {
            if (!is_paper(options->contenders[c])) {
                printf("%s\n     ", first ? "" : ",");
                print_model(options->contenders[c], &traffics[t],
                            traffics[t].results[c]);
                first = false;
            }
        }
    }
    printf("\n    ]\n  }\n");
}

static void
print_traffics(void)
{
    printf("  \"traffic\": [");
    for (size_t t = 0; t < n_traffics; t++) {
        const struct pipeline_traffic *traffic = &traffics[t];

        printf("%s\n    {\"name\": ", t ? "," : "");
        bench_print_string(traffic->records.name);
        printf(", \"records\": %"PRIu64", \"sources\": %zu, "
               "\"slots\": %zu, \"records-of-a-run\": %"PRIu64"}",
               traffic->records.n, traffic->records.n_sources,
               traffic->records.n_slots,
               traffic->sweeps * traffic->records.n);
    }
    printf("\n  ],\n");
}

static void
print_json(const struct bench_options *options, const char *command_line)
{
    bool first = true;

    printf("{\n");
    bench_print_origin(command_line);
    bench_print_member("task", bench_tasks[options->task].name);
    printf("  \"processors\": %u,\n  \"seed\": %"PRIu64",\n"
           "  \"rounds\": %"PRIu32",\n", bench_processors(), options->seed,
           options->repeat);
    print_traffics();
    printf("  \"contenders\": [");
    for (size_t t = 0; t < n_traffics; t++) {
        for (size_t c = 0; c < options->n_contenders; c++) {
            for (size_t k = 0; k < N_REPLICAS; k++) {
                if (is_measured(replicas[k])) {
                    printf("%s\n    ", first ? "" : ",");
                    print_row(options, &traffics[t], c, k);
                    first = false;
                }
            }
        }
    }
    printf("\n  ],\n");
    print_models(options);
    printf("}\n");
}

static void
print_text(const struct bench_options *options)
{
    printf("%"PRIu32" rounds, millions of records a second on %u processors\n",
           options->repeat, bench_processors());
    for (size_t t = 0; t < n_traffics; t++) {
        const struct pipeline_traffic *traffic = &traffics[t];

        printf("\n%s, %"PRIu64" records of %zu sources\n"
               "    %-20s %8s %9s %9s %9s %9s\n", traffic->records.name,
               traffic->sweeps * traffic->records.n,
               traffic->records.n_sources, "", "replicas", "per core",
               "of all", "busy", "to paper");
        for (size_t c = 0; c < options->n_contenders; c++) {
            for (size_t k = 0; k < N_REPLICAS; k++) {
                const struct pipeline_result *result = &traffic->results[c][k];

                if (!is_measured(replicas[k])) {
                    continue;
                }
                printf("    %-20s %8u %9.2f %9.2f %9.2f",
                       options->contenders[c]->name, replicas[k],
                       median(result, PER_CORE) / 1e6,
                       median(result, PER_SECOND) / 1e6,
                       median(result, BUSY));
                if (find_paper(options, c) >= 0) {
                    printf(" %9.2f", median(result, TO_PAPER));
                }
                printf("\n");
            }
        }
    }
}

/* Compares the pipelines in 'options', and prints the result. */
void
bench_pipelines_run(const struct bench_options *options,
                    const char *command_line)
{
    bench_processors();
    make_traffic(options, measure_max(options->packets / options->repeat,
                                      BENCH_LATENCY_BATCH));
    for (size_t t = 0; t < n_traffics; t++) {
        for (size_t c = 0; c < options->n_contenders; c++) {
            for (size_t k = 0; k < N_REPLICAS; k++) {
                for (int what = 0; what < N_WHAT; what++) {
                    traffics[t].results[c][k].values[what]
                        = measure_xzalloc(options->repeat * sizeof(double));
                }
            }
        }
    }
    for (uint32_t round = 0; round < options->repeat; round++) {
        for (size_t t = 0; t < n_traffics; t++) {
            run_round(options, round, &traffics[t]);
        }
    }
    if (options->json) {
        print_json(options, command_line);
    } else {
        print_text(options);
    }
}
