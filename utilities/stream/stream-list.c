/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that a chain may have: --list. */

#include <config.h>

#include "stream-list.h"

#include <stdlib.h>

#define WIDTH 24

/* Writes a line of two columns, or two lines if the first is too wide. */
static void
put(FILE *stream, const char *left, const char *right)
{
    if (strlen(left) < WIDTH) {
        fprintf(stream, "%-*s%s\n", WIDTH, left, right);
    } else {
        fprintf(stream, "%s\n%*s%s\n", left, WIDTH, "", right);
    }
}

/* Writes the stages of 'classes', which ends with NULL, to 'stream'. */
void
stream_list(FILE *stream, const struct measure_stage_class *const *classes)
{
    for (; *classes; classes++) {
        const struct measure_stage_argument *argument = (*classes)->arguments;

        put(stream, (*classes)->name, (*classes)->summary);
        for (; argument && argument->name; argument++) {
            char *left = (*argument->name
                          ? measure_format("    %s=%s", argument->name,
                                           argument->value)
                          : measure_format("    %s", argument->value));

            put(stream, left, argument->summary);
            free(left);
        }
    }
}
