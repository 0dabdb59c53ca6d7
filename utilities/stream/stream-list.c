/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that a chain may have: --list. */

#include <config.h>

#include "stream-list.h"

#include <stdlib.h>

#define WIDTH 100
#define RIGHT 24                /* Where the second column begins. */

/* Returns how many bytes of 'text' go into a line of the second column: whole
 * words. */
static size_t
line_length(const char *text)
{
    size_t n = strlen(text);

    if (n > WIDTH - RIGHT) {
        n = WIDTH - RIGHT;
        while (n && text[n] != ' ') {
            n--;
        }
        n = n ? n : strcspn(text, " ");
    }
    return n;
}

/* Writes two columns, the second one in as many lines as it needs, below the
 * first one if that is too wide. */
static void
put(FILE *stream, const char *left, const char *right)
{
    if (strlen(left) >= RIGHT) {
        fprintf(stream, "%s\n", left);
        left = "";
    }
    do {
        size_t n = line_length(right);

        fprintf(stream, "%-*s%.*s\n", RIGHT, left, (int) n, right);
        left = "";
        right += n + strspn(right + n, " ");
    } while (*right);
}

/* Writes the stages of 'classes', which ends with NULL, to 'stream'. */
void
stream_list(FILE *stream, const struct measure_stage_class *const *classes)
{
    for (; *classes; classes++) {
        const struct measure_stage_argument *argument = (*classes)->arguments;

        if ((*classes)->hidden) {
            continue;
        }
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
