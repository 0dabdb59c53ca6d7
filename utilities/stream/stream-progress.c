/* SPDX-License-Identifier: Apache-2.0 */
/* How far the reading of a file is. */

#include <config.h>

#include "stream-progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream-message.h"

#define FIRST_NS MEASURE_NS_PER_S
#define TERMINAL_NS (MEASURE_NS_PER_S / 2)
#define LINES_NS (10 * MEASURE_NS_PER_S)

/* Of the file 'name', whether standard error is a terminal or not if 'wanted',
 * and never if 'quiet'. */
void
stream_progress_init(struct stream_progress *p, const char *name, bool wanted,
                     bool quiet)
{
    p->terminal = isatty(STDERR_FILENO);
    p->on = wanted || (p->terminal && !quiet);
    p->name = strcmp(name, "-") ? name : "standard input";
    p->start_ns = measure_monotonic_ns();
    p->next_ns = p->start_ns + FIRST_NS;
}

static void
append_number(char **text, double number, const char *unit)
{
    static const char *const prefixes[] = { "", "k", "M", "G", "T" };
    size_t i = 0;

    while (number >= 1000 && i < 4) {
        number /= 1000;
        i++;
    }
    measure_append(text, "%.*f%s%s%s", i && number < 10 ? 1 : 0, number,
                   i || *unit ? " " : "", prefixes[i], unit);
}

/* Returns a line for people, which the caller frees. */
char *
stream_progress_line(const char *name, const struct stream_position *position,
                     uint64_t elapsed_ns)
{
    double seconds = (double) elapsed_ns / MEASURE_NS_PER_S;
    char *line = measure_format("%s: ", name);

    if (position->total) {
        measure_append(&line, "%d %% of ",
                       (int) (100.0 * position->done / position->total));
        append_number(&line, position->total, "B");
        measure_append(&line, ", ");
    } else if (position->done) {
        append_number(&line, position->done, "B");
        measure_append(&line, ", ");
    }
    append_number(&line, position->packets, "");
    measure_append(&line, " packets");
    if (seconds > 0) {
        measure_append(&line, ", ");
        append_number(&line, position->packets / seconds, "");
        measure_append(&line, " a second");
    }
    if (position->done && position->done < position->total) {
        measure_append(&line, ", %.0f s left",
                       seconds * (position->total - position->done)
                       / position->done);
    }
    return line;
}

/* Says how far 'input' is, if it is time to. */
void
stream_progress_show(struct stream_progress *p,
                     const struct stream_input *input, uint64_t now_ns)
{
    struct stream_position position;
    char *line;

    if (!p->on || !input->class->position || now_ns < p->next_ns) {
        return;
    }
    input->class->position(input, &position);
    line = stream_progress_line(p->name, &position, now_ns - p->start_ns);
    if (p->terminal) {
        stream_show(line);
    } else {
        stream_say("%s", line);
    }
    free(line);
    p->next_ns = now_ns + (p->terminal ? TERMINAL_NS : LINES_NS);
}

void
stream_progress_end(struct stream_progress *p)
{
    if (p->on && p->terminal) {
        stream_show(NULL);
    }
}
