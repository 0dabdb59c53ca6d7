/* SPDX-License-Identifier: Apache-2.0 */
/* What is measured of the contenders, as text and as JSON. */

#include <config.h>

#include "results.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

#include "base/measure-base.h"
#include "bench/library/build.h"
#include "peer-cmap.h"
#include "peer-dpdk.h"
#include "support.h"

/* Prepares 'result' for up to 'max_runs' runs of 'contender'. */
void
bench_result_init(struct bench_result *result,
                  const struct bench_contender *contender, uint32_t max_runs)
{
    result->contender = contender;
    result->ns = measure_xzalloc(max_runs * sizeof *result->ns);
    result->to_floor = measure_xzalloc(max_runs * sizeof *result->to_floor);
    result->to_table = measure_xzalloc(max_runs * sizeof *result->to_table);
    result->histogram = measure_xzalloc(BENCH_BUCKETS
                                        * sizeof *result->histogram);
}

void
bench_result_add_accuracy(struct bench_result *result,
                          const struct bench_accuracy *accuracy)
{
    result->precision += accuracy->precision;
    result->recall += accuracy->recall;
    result->count_error += accuracy->count_error;
    result->n_accuracy++;
    if (accuracy->max_count_error > result->max_count_error) {
        result->max_count_error = accuracy->max_count_error;
    }
}

/* Returns the nanoseconds for one packet that 'share' of the samples do not
 * exceed. */
static double
percentile(const struct bench_result *result, double share, double ns_per_tick)
{
    uint64_t rank = ceil(share * result->n_samples), sum = 0;
    uint32_t bucket = 0;

    while (bucket < BENCH_BUCKETS - 1
           && (sum += result->histogram[bucket]) < rank) {
        bucket++;
    }
    return ((bucket + 0.5) * BENCH_BUCKET_TICKS / BENCH_LATENCY_BATCH
            * ns_per_tick);
}

/* Prints 's' as JSON. */
void
bench_print_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            putchar('\\');
        }
        if ((unsigned char) *s >= ' ') {
            putchar(*s);
        }
    }
    putchar('"');
}

/* Prints a member of the object that a result is. */
void
bench_print_member(const char *name, const char *value)
{
    printf("  ");
    bench_print_string(name);
    printf(": ");
    bench_print_string(value);
    printf(",\n");
}

/* Prints where and by what this was measured. */
void
bench_print_origin(const char *command_line)
{
    struct utsname system;
    char text[256];

    bench_processor_name(text, sizeof text);
    bench_print_member("processor", text);
    uname(&system);
    snprintf(text, sizeof text, "%s %s %s", system.sysname, system.release,
             system.machine);
    bench_print_member("kernel", text);
    bench_print_member("compiler", "gcc "__VERSION__);
    bench_print_member("compiler-flags", BENCH_FLAGS);
    bench_print_member("commit", BENCH_COMMIT);
    bench_print_member("dpdk", bench_dpdk_version());
    bench_print_member("ovs", bench_ovs_version());
    bench_print_member("command-line", command_line);
}

/* Prints what the contenders were given. */
static void
print_load(const struct bench_options *options,
           const struct bench_traffic *traffic,
           const struct bench_settings *settings)
{
    if (options->capture) {
        bench_print_member("capture", options->capture);
    } else {
        printf("  \"zipf\": %g,\n  \"seed\": %"PRIu64",\n", options->skew,
               options->seed);
    }
    printf("  \"task\": \"%s\",\n", bench_tasks[options->task].name);
    printf("  \"flows\": %"PRIu32",\n", traffic->n_flows);
    printf("  \"packets\": %"PRIu64",\n",
           (uint64_t) traffic->n * traffic->n_epochs);
    printf("  \"epoch-packets\": %"PRIu32",\n", traffic->n);
    printf("  \"epoch-flows\": %"PRIu32",\n", traffic->max_present);
    printf("  \"threshold-packets\": %"PRIu64",\n", settings->threshold);
    printf("  \"rounds\": %"PRIu32",\n", traffic->n_epochs);
    printf("  \"burst\": %d,\n", BENCH_BURST);
}

static void
print_result(const struct bench_results *results,
             const struct bench_result *result)
{
    uint32_t n = result->n_accuracy;

    printf("{\"name\": \"%s\", \"ns-per-packet\": %.3f, "
           "\"ns-p50\": %.3f, \"ns-p99\": %.3f, \"memory-bytes\": %zu",
           result->contender->name, bench_median(result->ns, result->n_runs),
           percentile(result, 0.5, results->ns_per_tick),
           percentile(result, 0.99, results->ns_per_tick), result->memory);
    if (results->floor) {
        printf(", \"ratio-to-floor\": %.3f",
               bench_median(result->to_floor, result->n_runs));
    }
    if (results->table) {
        printf(", \"ratio-to-linear-table\": %.3f",
               bench_median(result->to_table, result->n_runs));
    }
    if (n) {
        printf(", \"precision\": %.6g, \"recall\": %.6g, "
               "\"count-error\": %.6g, \"max-count-error\": %.6g",
               result->precision / n, result->recall / n,
               result->count_error / n, result->max_count_error);
    }
    printf("}");
}

void
bench_results_print_json(const struct bench_results *results,
                         const struct bench_options *options,
                         const struct bench_traffic *traffic,
                         const struct bench_settings *settings,
                         const char *command_line)
{
    bool first = true;

    printf("{\n");
    bench_print_origin(command_line);
    print_load(options, traffic, settings);
    printf("  \"contenders\": [");
    for (size_t i = 0; i < results->n; i++) {
        if (results->all[i].structure) {
            printf("%s\n    ", first ? "" : ",");
            print_result(results, &results->all[i]);
            first = false;
        }
    }
    printf("\n  ],\n  \"absent\": [");
    first = true;
    for (size_t i = 0; i < results->n; i++) {
        const struct bench_result *result = &results->all[i];

        if (!result->structure) {
            printf("%s\n    {\"name\": \"%s\", \"why\": ", first ? "" : ",",
                   result->contender->name);
            bench_print_string(result->why_not);
            printf("}");
            first = false;
        }
    }
    printf("%s]\n}\n", first ? "" : "\n  ");
}

void
bench_results_print_text(const struct bench_results *results,
                         const struct bench_traffic *traffic,
                         const struct bench_settings *settings)
{
    printf("%"PRIu32" rounds of %"PRIu32" packets of up to %"PRIu32" flows, "
           "heavy hitters from %"PRIu64" packets on\n\n",
           traffic->n_epochs, traffic->n, traffic->max_present,
           settings->threshold);
    printf("%-24s %9s %9s %9s %9s %9s %9s %11s\n", "", "ns", "ns p99",
           "to floor", "MiB", "precision", "recall", "count error");
    for (size_t i = 0; i < results->n; i++) {
        const struct bench_result *result = &results->all[i];
        uint32_t n = result->n_accuracy;

        if (!result->structure) {
            printf("%-24s absent: %s\n", result->contender->name,
                   result->why_not);
            continue;
        }
        printf("%-24s %9.2f %9.2f ", result->contender->name,
               bench_median(result->ns, result->n_runs),
               percentile(result, 0.99, results->ns_per_tick));
        if (results->floor) {
            printf("%9.2f ", bench_median(result->to_floor, result->n_runs));
        } else {
            printf("%9s ", "-");
        }
        printf("%9.2f", (double) result->memory / MEASURE_MIB);
        if (n) {
            printf(" %9.4f %9.4f %11.6f", result->precision / n,
                   result->recall / n, result->count_error / n);
        }
        putchar('\n');
    }
}
