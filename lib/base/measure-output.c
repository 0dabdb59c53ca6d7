/* SPDX-License-Identifier: Apache-2.0 */
/* Writes text and JSON from one traversal. */

#include <config.h>

#include "base/measure-output.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/measure-base.h"
#include "base/measure-number.h"

#define MAX_DEPTH 8
#define INDENT 2

enum level_kind {
    LEVEL_OBJECT,
    LEVEL_LINE,
    LEVEL_LIST,
    LEVEL_ROW,
    LEVEL_BLOCK
};

struct level {
    enum level_kind kind;
    size_t n_members;
};

struct buffer {
    char *data;
    size_t length;
    size_t allocated;
};

/* The cells of a table, kept until the widths of its columns are known. */
struct table {
    struct buffer cells;        /* Null-terminated strings, row by row. */
    struct buffer heads;        /* Likewise, of the first row. */
    size_t n_columns;
    size_t n_rows;
    size_t width[32];
    bool right[32];             /* A column of numbers. */
};

struct measure_output {
    enum measure_format format;
    struct buffer buffer;
    struct level levels[MAX_DEPTH];
    int depth;
    struct table table;
};

static void
put_bytes(struct buffer *b, const char *s, size_t n)
{
    if (!b->data || b->allocated - b->length < n) {
        b->allocated = (b->allocated + n) * 2 + 256;
        b->data = measure_xrealloc(b->data, b->allocated);
    }
    memcpy(b->data + b->length, s, n);
    b->length += n;
}

static void
put(struct buffer *b, const char *s)
{
    put_bytes(b, s, strlen(s));
}

static void
put_spaces(struct buffer *b, size_t n)
{
    while (n--) {
        put_bytes(b, " ", 1);
    }
}

static void
put_json_string(struct buffer *b, const char *s)
{
    put(b, "\"");
    for (; *s; s++) {
        unsigned char c = *s;

        if (c == '"' || c == '\\') {
            put_bytes(b, "\\", 1);
            put_bytes(b, s, 1);
        } else if (c < 0x20 || c == 0x7f) {
            char escape[8];

            snprintf(escape, sizeof escape, "\\u%04x", c);
            put(b, escape);
        } else {
            put_bytes(b, s, 1);
        }
    }
    put(b, "\"");
}

/* "not-ip" becomes "not ip". */
static void
put_words(struct buffer *b, const char *name)
{
    for (; *name; name++) {
        put_bytes(b, *name == '-' ? " " : name, 1);
    }
}

static struct level *
top(struct measure_output *o)
{
    return &o->levels[o->depth - 1];
}

struct measure_output *
measure_output_create(enum measure_format format)
{
    struct measure_output *o = measure_xzalloc(sizeof *o);

    o->format = format;
    o->levels[o->depth++].kind = LEVEL_OBJECT;
    if (format == MEASURE_JSON) {
        put(&o->buffer, "{");
    }
    return o;
}

/* Frees 'o'.  Returns what was written, which the caller must free(). */
char *
measure_output_finish(struct measure_output *o)
{
    assert(o->depth == 1);
    if (o->format == MEASURE_JSON) {
        put(&o->buffer, "}");
    }
    put_bytes(&o->buffer, "", 1);

    char *data = o->buffer.data;
    free(o->table.cells.data);
    free(o->table.heads.data);
    free(o);
    return data;
}

/* Begins member 'name' (NULL in a list) of the innermost level. */
static void
begin_member(struct measure_output *o, const char *name)
{
    struct level *level = top(o);

    if (o->format == MEASURE_JSON) {
        if (level->n_members) {
            put(&o->buffer, ",");
        }
        if (name) {
            put_json_string(&o->buffer, name);
            put(&o->buffer, ":");
        }
    } else if (level->kind == LEVEL_LINE) {
        put(&o->buffer, level->n_members ? ", " : " ");
        put_words(&o->buffer, name);
        put(&o->buffer, " ");
    } else if (level->kind == LEVEL_OBJECT || level->kind == LEVEL_BLOCK) {
        put_spaces(&o->buffer, (o->depth - 1) * INDENT);
        put_words(&o->buffer, name);
        put(&o->buffer, ":");
    }
    level->n_members++;
}

static void
open_level(struct measure_output *o, enum level_kind kind)
{
    assert(o->depth < MAX_DEPTH);
    o->levels[o->depth++] = (struct level) { .kind = kind };
    if (o->format == MEASURE_JSON) {
        put(&o->buffer, kind == LEVEL_LIST ? "[" : "{");
    }
}

/* An object is called as something in the world is: its 'name' stays as it
 * is in text, too. */
void
measure_output_open_object(struct measure_output *o, const char *name)
{
    if (o->format == MEASURE_JSON) {
        begin_member(o, name);
    } else {
        put_spaces(&o->buffer, (o->depth - 1) * INDENT);
        put(&o->buffer, name);
        put(&o->buffer, ":\n");
    }
    open_level(o, LEVEL_OBJECT);
}

void
measure_output_open_line(struct measure_output *o, const char *name)
{
    begin_member(o, name);
    open_level(o, LEVEL_LINE);
}

void
measure_output_open_list(struct measure_output *o, const char *name)
{
    begin_member(o, name);
    if (o->format == MEASURE_TEXT) {
        put(&o->buffer, "\n");
    }
    open_level(o, LEVEL_LIST);
}

void
measure_output_open_row(struct measure_output *o)
{
    begin_member(o, NULL);
    open_level(o, LEVEL_ROW);
}

void
measure_output_open_block(struct measure_output *o, const char *title)
{
    begin_member(o, NULL);
    if (o->format == MEASURE_TEXT) {
        put_spaces(&o->buffer, (o->depth - 1) * INDENT);
        put(&o->buffer, title);
        put(&o->buffer, ":\n");
    }
    open_level(o, LEVEL_BLOCK);
}

static void
add_cell(struct measure_output *o, const char *name, const char *value,
         bool right)
{
    struct table *table = &o->table;
    size_t column = top(o)->n_members++;
    size_t width = strlen(value);

    assert(column < sizeof table->width / sizeof *table->width);
    if (!table->n_rows) {
        size_t start = table->heads.length;

        put_words(&table->heads, name);
        put_bytes(&table->heads, "", 1);
        table->n_columns = column + 1;
        table->width[column] = table->heads.length - start - 1;
        table->right[column] = right;
    }
    if (width > table->width[column]) {
        table->width[column] = width;
    }
    put_bytes(&table->cells, value, width + 1);
}

static const char *
print_table_line(struct measure_output *o, const char *cell)
{
    const struct table *table = &o->table;

    put_spaces(&o->buffer, (o->depth - 1) * INDENT);
    for (size_t i = 0; i < table->n_columns; i++) {
        size_t length = strlen(cell);
        size_t space = table->width[i] - length;

        if (i) {
            put(&o->buffer, "  ");
        }
        if (table->right[i]) {
            put_spaces(&o->buffer, space);
        }
        put(&o->buffer, cell);
        if (!table->right[i] && i + 1 < table->n_columns) {
            put_spaces(&o->buffer, space);
        }
        cell += length + 1;
    }
    put(&o->buffer, "\n");
    return cell;
}

static void
print_table(struct measure_output *o)
{
    struct table *table = &o->table;

    if (table->n_rows) {
        const char *cell = table->cells.data;

        print_table_line(o, table->heads.data);
        for (size_t i = 0; i < table->n_rows; i++) {
            cell = print_table_line(o, cell);
        }
    }
    table->cells.length = table->heads.length = 0;
    table->n_columns = table->n_rows = 0;
}

void
measure_output_close(struct measure_output *o)
{
    struct level *level = top(o);

    assert(o->depth > 1);
    if (o->format == MEASURE_JSON) {
        put(&o->buffer, level->kind == LEVEL_LIST ? "]" : "}");
    } else if (level->kind == LEVEL_LINE) {
        put(&o->buffer, "\n");
    } else if (level->kind == LEVEL_ROW) {
        o->table.n_rows++;
    } else if (level->kind == LEVEL_LIST) {
        if (!level->n_members) {
            put_spaces(&o->buffer, (o->depth - 1) * INDENT);
            put(&o->buffer, "(none)\n");
        }
        print_table(o);
    }
    o->depth--;
}

/* A scalar, for which JSON needs no quotes. */
static void
put_scalar(struct measure_output *o, const char *name, const char *value,
           bool right)
{
    if (o->format == MEASURE_TEXT && top(o)->kind == LEVEL_ROW) {
        add_cell(o, name, value, right);
        return;
    }
    begin_member(o, name);
    if (o->format == MEASURE_TEXT && top(o)->kind != LEVEL_LINE) {
        put(&o->buffer, " ");
        put(&o->buffer, value);
        put(&o->buffer, "\n");
    } else {
        put(&o->buffer, value);
    }
}

void
measure_output_uint(struct measure_output *o, const char *name,
                    uint64_t value)
{
    char s[24];

    snprintf(s, sizeof s, "%"PRIu64, value);
    put_scalar(o, name, s, true);
}

/* 'value', which must be finite, with three digits behind the point. */
void
measure_output_decimal(struct measure_output *o, const char *name,
                       double value)
{
    char s[352];

    measure_decimal_format(s, sizeof s, 3, value);
    put_scalar(o, name, s, true);
}

/* A member that this row of a list does not have, and others have: nothing in
 * JSON, "-" in a table of text. */
void
measure_output_absent(struct measure_output *o, const char *name)
{
    if (o->format == MEASURE_TEXT && top(o)->kind == LEVEL_ROW) {
        add_cell(o, name, "-", true);
    }
}

void
measure_output_bool(struct measure_output *o, const char *name, bool value)
{
    if (o->format == MEASURE_JSON) {
        put_scalar(o, name, value ? "true" : "false", false);
    } else {
        put_scalar(o, name, value ? "yes" : "no", false);
    }
}

void
measure_output_string(struct measure_output *o, const char *name,
                      const char *value)
{
    if (o->format == MEASURE_JSON) {
        begin_member(o, name);
        put_json_string(&o->buffer, value);
    } else {
        put_scalar(o, name, value, false);
    }
}

/* What percentage 'part' is of 'whole', 0 if that is 0. */
void
measure_output_percentage(struct measure_output *o, const char *name,
                          double part, double whole)
{
    char s[32];

    measure_decimal_format(s, sizeof s, 3,
                          whole > 0 ? part * 100 / whole : 0);
    put_scalar(o, name, s, true);
}

/* A time in milliseconds since 1970-01-01 00:00:00 UTC.  'name' ends with
 * "-ms", which text leaves out: there it is a date and time of day. */
void
measure_output_time_ms(struct measure_output *o, const char *name, int64_t ms)
{
    char text_name[32];
    char s[64];

    assert(strlen(name) > strlen("-ms"));
    if (o->format == MEASURE_JSON) {
        snprintf(s, sizeof s, "%"PRId64, ms);
    } else {
        time_t seconds = ms / 1000;
        struct tm tm;
        size_t n;

        gmtime_r(&seconds, &tm);
        n = strftime(s, sizeof s, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(s + n, sizeof s - n, ".%03dZ", (int) (ms % 1000));
        snprintf(text_name, sizeof text_name, "%.*s",
                 (int) (strlen(name) - strlen("-ms")), name);
        name = text_name;
    }
    put_scalar(o, name, s, false);
}

/* A remark for people: a line of text, nothing in JSON. */
void
measure_output_note(struct measure_output *o, const char *note)
{
    if (o->format == MEASURE_TEXT) {
        put_spaces(&o->buffer, (o->depth - 1) * INDENT);
        put(&o->buffer, note);
        put(&o->buffer, "\n");
    }
}

/* For what would only be in the way of people, such as columns of zeros. */
bool
measure_output_is_text(const struct measure_output *o)
{
    return o->format == MEASURE_TEXT;
}
