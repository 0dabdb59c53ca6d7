/* SPDX-License-Identifier: Apache-2.0 */
/* merge-scale: what the end of an epoch takes. */

#include <config.h>

#include "merge-epochs.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "merge-questions.h"
#include "questions/measure-changes.h"
#include "questions/measure-scope.h"
#include "support.h"

#define MAX_EPOCH_MS 1000.0     /* What is promised. */

/* The steps of the end of an epoch, questions first to last, and their sum. */
enum {
    MERGE,
    CHANGES = 1 + MERGE_DEFAULT_QUESTIONS,
    FREE,
    CLEAR,
    ALL,
    N_STEPS
};

struct epochs {
    double ms[N_STEPS][MERGE_MAX_ROUNDS];

    /* Of the last one. */
    uint64_t n_rows;            /* Of the report. */
    uint64_t bytes;
    uint64_t used;              /* Of all memory. */
};

/* As the thread that raises alerts does, with pairs. */
static void
find_changes(struct merge_load *load, const struct measure_report *report)
{
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_expectations *changes[MEASURE_N_LAYOUTS] = {
        [MEASURE_NARROW] = &load->changes[MEASURE_NARROW],
        [MEASURE_WIDE] = &load->changes[MEASURE_WIDE],
    };
    struct measure_change_row *rows = measure_xzalloc(1000 * sizeof *rows);

    if (!measure_changes_add(&scope, MEASURE_KIND_PAIR, changes)) {
        bench_fail("no memory for changes");
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        measure_expectations_close(changes[layout], rows, 1000);
    }
    free(rows);
}

struct filler {
    const struct merge_load *load;
    uint32_t number;
    pthread_t thread;
};

static void *
fill_main(void *filler_)
{
    struct filler *filler = filler_;

    merge_count_flows(filler->load, filler->number);
    return NULL;
}

/* Lets all threads count their flows at once. */
static void
fill_tallies(const struct merge_load *load)
{
    struct filler fillers[MERGE_MAX_THREADS];

    for (uint32_t i = 0; i < load->n_threads; i++) {
        fillers[i].load = load;
        fillers[i].number = i;
        pthread_create(&fillers[i].thread, NULL, fill_main, &fillers[i]);
    }
    for (uint32_t i = 0; i < load->n_threads; i++) {
        pthread_join(fillers[i].thread, NULL);
    }
}

/* Returns the milliseconds since '*start', and begins anew. */
static double
since(uint64_t *start)
{
    uint64_t now = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    double taken = (now - *start) * 1e-6;

    *start = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    return taken;
}

static void
end_epoch(struct merge_load *load, uint32_t round, struct epochs *epochs)
{
    double (*ms)[MERGE_MAX_ROUNDS] = epochs->ms;
    struct measure_report *report;
    uint64_t start;

    start = bench_nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    report = merge_tallies(load, load->tallies, load->n_threads);
    ms[MERGE][round] = since(&start);
    epochs->n_rows = measure_table_n_used(&report->tables[MEASURE_NARROW]);
    epochs->bytes = report->table_sizes[MEASURE_NARROW];
    for (int i = 0; i < MERGE_DEFAULT_QUESTIONS; i++) {
        merge_ask(report, i);
        ms[1 + i][round] = since(&start);
    }
    find_changes(load, report);
    ms[CHANGES][round] = since(&start);
    epochs->used = (measure_budget_used(&load->budget)
                    + measure_budget_spare(&load->budget));
    measure_report_destroy(report);
    ms[FREE][round] = since(&start);
    for (uint32_t i = 0; i < load->n_threads; i++) {
        merge_reset_tally(load, load->tallies[i]);
    }
    ms[CLEAR][round] = since(&start);
    ms[ALL][round] = 0;
    for (int i = 0; i < ALL; i++) {
        ms[ALL][round] += ms[i][round];
    }
}

static const char *
step_name(int step)
{
    return (step == MERGE ? "merge"
            : step == CHANGES ? "changes"
            : step == FREE ? "free the report"
            : step == CLEAR ? "clear the tallies"
            : step == ALL ? "all"
            : merge_question_name(step - 1));
}

/* Returns true if the epochs meet their target. */
static bool
write_epochs(const struct merge_load *load, const struct epochs *epochs,
             struct measure_output *out, const char *name)
{
    uint32_t n = load->n_rounds - 1;
    double all = bench_median(epochs->ms[ALL] + 1, n);
    double answers = 0;

    for (int i = 1; i <= CHANGES; i++) {
        answers += bench_median(epochs->ms[i] + 1, n);
    }
    measure_output_open_object(out, name);
    measure_output_open_line(out, "report");
    measure_output_uint(out, "threads", load->n_threads);
    measure_output_uint(out, "flows-per-thread", load->n_flows);
    measure_output_uint(out, "flows", epochs->n_rows);
    measure_output_uint(out, "report-bytes", epochs->bytes);
    measure_output_uint(out, "all-memory-bytes", epochs->used);
    measure_output_close(out);
    measure_output_open_list(out, "steps");
    for (int i = 0; i < N_STEPS; i++) {
        merge_write_step(load, out, step_name(i), epochs->ms[i]);
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

/* Returns true if the epochs meet their target. */
bool
merge_epochs(struct merge_load *load, struct measure_output *out,
             const char *name)
{
    struct epochs epochs = { .n_rows = 0 };

    for (uint32_t round = 0; round < load->n_rounds; round++) {
        fill_tallies(load);
        end_epoch(load, round, &epochs);
    }
    return write_epochs(load, &epochs, out, name);
}
