/* SPDX-License-Identifier: Apache-2.0 */
/* The classes of questions: what each of them tells those who ask. */

#include <config.h>

#include "questions/measure-question.h"

#include <inttypes.h>

#include "base/measure-base.h"

#define QUESTION(NAME) &measure_question_##NAME,
const struct measure_question_class *const measure_questions[] = {
#include "questions/measure-question-list.h"
    NULL
};
#undef QUESTION

/* Writes the answer of 'class' to 'asked'.  Returns NULL, or an error message
 * that the caller must free(). */
char *
measure_question_write(const struct measure_question_class *class,
                       struct measure_output *o,
                       const struct measure_asked *asked)
{
    struct measure_group_by group_by;
    const char *needs_complete;
    char *error = NULL;

    if (!asked->scope->n_reports) {
        measure_output_note(o, "No epoch has been closed yet.");
        return NULL;
    }
    needs_complete = class->needs_complete(asked);
    if (needs_complete) {
        error = measure_scope_check_complete(asked->scope, needs_complete);
    }
    if (!error) {
        class->group(asked, &group_by);
        error = measure_scope_check(asked->scope, &group_by);
    }
    if (!error && !class->write(o, asked)) {
        error = measure_format("no memory for the answer within "
                               "measure-memory-mb=%"PRIu32": raise it, or ask "
                               "for fewer epochs", asked->config->memory_mb);
    }
    return error;
}
