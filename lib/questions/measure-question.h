/* SPDX-License-Identifier: Apache-2.0 */
/* The classes of questions: what each of them tells those who ask. */

#ifndef MEASURE_QUESTION_H
#define MEASURE_QUESTION_H 1

#include "questions/measure-arguments.h"
#include "questions/measure-scope.h"
#include "tally/measure-config.h"

/* Questions to reports
 * ====================
 *
 * A question is one file, which defines its class, and one line in
 * measure-question-list.h.  Those who ask go through measure_questions[]: the
 * switch has a command measure/NAME for each.
 *
 * Thread safety: classes do not change, and a question keeps nothing. */

/* A question that is asked. */
struct measure_asked {
    const struct measure_scope *scope;
    const struct measure_arguments *args;
    const struct measure_config *config;
};

/* 'asked' has a report, in each of these. */
struct measure_question_class {
    const char *name;           /* As in the name of the command. */

    /* What it takes, NULL behind the last.  Those that choose the scope are
     * among them. */
    const struct measure_argument *const *arguments;

    /* Stores in '*group_by' what rows are grouped by.  Whether that can be
     * asked of the reports is checked before 'write' is called. */
    void (*group)(const struct measure_asked *asked,
                  struct measure_group_by *group_by);

    /* Returns what of the question needs every key, as an error message says
     * it, or NULL if the largest keys will do: then counts may be estimates,
     * and 'write' must say their errors. */
    const char *(*needs_complete)(const struct measure_asked *asked);

    /* Writes the members of one bridge: the epoch, its totals, and the answer.
     * Returns false, with nothing written, if there is no memory. */
    bool (*write)(struct measure_output *, const struct measure_asked *asked);
};

#define QUESTION(NAME) \
    extern const struct measure_question_class measure_question_##NAME;
#include "questions/measure-question-list.h"
#undef QUESTION

/* All of them, and NULL. */
extern const struct measure_question_class *const measure_questions[];

char *measure_question_write(const struct measure_question_class *,
                             struct measure_output *,
                             const struct measure_asked *);

#endif /* measure-question.h */
