/* SPDX-License-Identifier: Apache-2.0 */
/* Writes text and JSON from one traversal. */

#ifndef MEASURE_OUTPUT_H
#define MEASURE_OUTPUT_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One writer for text and JSON
 * ============================
 *
 * An answer is written once, as a tree of named values, and comes out as JSON
 * or as text for people, so that the two cannot drift apart:
 *
 *                JSON              text
 *     object     {"name":{...}}    "name:" and its members, indented
 *     line       {"name":{...}}    its members in one line, "name: a 1, b 2"
 *     list       "name":[...]      its items are rows of a table or blocks
 *     row        {...}             a line of the table, below a head line
 *     block      {...}             a title, and the members indented
 *
 * Names are in JSON form (dashes, full words, the unit at the end), and have
 * spaces for dashes in text.  Only objects are called as a bridge is, and keep
 * its name.
 *
 * It writes while it is called, with one buffer and no tree: an answer can
 * have a million rows.  That is why it is not one of the JSON libraries,
 * which would build the tree first.
 *
 * Thread safety: none, and no shared state. */

enum measure_format {
    MEASURE_TEXT,
    MEASURE_JSON
};

struct measure_output;

struct measure_output *measure_output_create(enum measure_format);
char *measure_output_finish(struct measure_output *);

void measure_output_open_object(struct measure_output *, const char *name);
void measure_output_open_line(struct measure_output *, const char *name);
void measure_output_open_list(struct measure_output *, const char *name);
void measure_output_open_row(struct measure_output *);
void measure_output_open_block(struct measure_output *, const char *title);
void measure_output_close(struct measure_output *);

void measure_output_uint(struct measure_output *, const char *name, uint64_t);
void measure_output_decimal(struct measure_output *, const char *name, double);
void measure_output_absent(struct measure_output *, const char *name);
void measure_output_bool(struct measure_output *, const char *name, bool);
void measure_output_string(struct measure_output *, const char *name,
                           const char *);
void measure_output_percentage(struct measure_output *, const char *name,
                               double part, double whole);
void measure_output_time_ms(struct measure_output *, const char *name,
                            int64_t);
void measure_output_note(struct measure_output *, const char *);
bool measure_output_is_text(const struct measure_output *);

#endif /* measure-output.h */
