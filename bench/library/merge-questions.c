/* SPDX-License-Identifier: Apache-2.0 */
/* merge-scale: what it takes to answer questions. */

#include <config.h>

#include "merge-questions.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "questions/measure-distribution.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"
#include "support.h"

#define ROWS 100                /* Of each answer. */
#define MAX_QUESTION_MS 100.0   /* What is promised. */

/* Kept by the switch: of 1 GiB an eighth. */
#define SPARE_BYTES (128 * MEASURE_MIB)

struct question {
    const char *name;
    const char *hitters;            /* What "by=" says... */
    enum measure_superspreaders_by spreaders;   /* ...or, if that is NULL,
                                                 * this... */
    uint64_t min;
    bool sizes;                     /* ...or this. */
};

#define SPREADERS_MIN MEASURE_SUPERSPREADERS_MIN

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
    /* From here on: not among MERGE_DEFAULT_QUESTIONS. */
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

#define N_QUESTIONS ((int) (sizeof questions / sizeof *questions))

const char *
merge_question_name(int i)
{
    return questions[i].name;
}

/* Asks the 'i'th question.  Returns the length of the answer. */
uint64_t
merge_ask(const struct measure_report *report, int i)
{
    const struct question *question = &questions[i];
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
        bench_fail("no answer to %s", question->name);
    }
    answer = measure_output_finish(o);
    length = strlen(answer);
    free(answer);
    return length;
}

/* Returns true if all questions to the second report of the flows of one
 * thread meet their target. */
bool
merge_ask_all(struct merge_load *load, struct measure_output *out,
              const char *name)
{
    struct measure_budget *budget = &load->budget;
    struct measure_report *report;
    bool met = true;

    measure_memory_trim(budget, 0);
    merge_count_flows(load, 0);
    report = merge_tallies(load, load->tallies, 1);
    for (int i = 0; i < MERGE_DEFAULT_QUESTIONS; i++) {
        merge_ask(report, i);
        measure_memory_trim(budget, SPARE_BYTES);
    }
    measure_report_destroy(report);
    measure_memory_trim(budget, SPARE_BYTES);

    report = merge_tallies(load, load->tallies, 1);
    measure_output_open_object(out, name);
    measure_output_open_list(out, "questions");
    for (int i = 0; i < N_QUESTIONS; i++) {
        double ms[MERGE_MAX_ROUNDS];
        uint64_t length = 0;

        measure_memory_trim(budget, SPARE_BYTES);
        for (uint32_t round = 0; round < load->n_rounds; round++) {
            uint64_t start = bench_nanoseconds(CLOCK_MONOTONIC);

            length = merge_ask(report, i);
            ms[round] = (bench_nanoseconds(CLOCK_MONOTONIC) - start) * 1e-6;
        }
        merge_write_step(load, out, questions[i].name, ms);
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
    merge_reset_tally(load, load->tallies[0]);
    return met;
}
