/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that a chain may have: --list. */

#include <config.h>

#include "stream-list.h"

#include <stdlib.h>

#include "key/measure-group-by.h"

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

/* Writes what several stages take. */
void
stream_list_common(FILE *stream)
{
    putc('\n', stream);
    put(stream, "  GROUP", MEASURE_GROUP_BY_VALID);
    put(stream, "  every=TIME", "of any stage that takes or gives rows: the "
        "length of the intervals of its chain, 1ms to 8760h");
    put(stream, "  replicas=N", "of the first stage that gives rows, unless "
        "it must see all packets: threads that share the keys");
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
