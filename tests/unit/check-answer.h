/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about one whole report, for the unit tests. */

#ifndef CHECK_ANSWER_H
#define CHECK_ANSWER_H 1

#include "check-common.h"
#include "questions/measure-heavy-hitters.h"
#include "report/measure-merge.h"

/* Questions about one whole report, by what a report can be configured for. */

struct question {
    enum measure_key_kind key_kind;
    enum measure_sort sort;
    bool heavy_only;
    uint64_t n;
    struct measure_threshold threshold;
};

static inline bool
is_exact(const struct measure_report *report)
{
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_totals totals;

    measure_scope_sum(&scope, &totals);
    return measure_totals_exact(&totals);
}

static inline bool
can_ask(const struct measure_report *report, enum measure_key_kind key_kind)
{
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_group_by group_by;
    char *error;

    measure_group_by_of_kind(&group_by, key_kind);
    error = measure_scope_check(&scope, &group_by);
    free(error);
    return !error;
}

static inline struct measure_hitters_question
hitters_question(const struct question *question)
{
    struct measure_hitters_question q = {
        .sort = question->sort, .heavy_only = question->heavy_only,
        .n = question->n, .threshold = question->threshold,
        .threshold_text = "0.1%",
    };

    measure_group_by_of_kind(&q.group_by, question->key_kind);
    return q;
}

static inline bool
ask(const struct measure_report *report, const struct question *question,
    struct measure_hitters_answer *answer)
{
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_hitters_question q = hitters_question(question);

    ck_assert(can_ask(report, question->key_kind));
    return measure_hitters_ask(&scope, &q, answer);
}

/* Writes the whole answer. */
static inline bool
write_answer(struct measure_output *o, const struct measure_report *report,
             const struct question *question)
{
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_hitters_question q = hitters_question(question);

    return measure_hitters_write(o, &scope, &q);
}

#endif /* check-answer.h */
