/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'write': packets or rows go to a file or to standard output. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "stages/measure-write-format.h"

#define CHUNK_BYTES (16 * MEASURE_KIB)
#define BUFFER_SIZE (64 * MEASURE_KIB)

/* Some rows of an interval, neighbours. */
struct chunk {
    struct chunk *next;
    size_t n;
    uint64_t rows[];
};

struct write {
    struct measure_stage stage;
    struct measure_write *w;    /* State of the format; NULL before set(). */
    char *path;                 /* NULL for standard output. */
    char *name;                 /* For people. */
    bool opened;
    bool dirty;                 /* There is something to flush. */

    /* Rows of the interval. */
    struct chunk *chunks;       /* The last one first. */
    size_t n_rows;
    size_t row_size;
    size_t rows_per_chunk;
    bool cut;                   /* Some have been written. */
    union measure_row_buffer other;
    bool has_other;
    uint64_t totals[MEASURE_ROW_COLUMNS];
    uint64_t n_intervals;       /* That are over. */
};

static struct write *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct write, stage);
}

/* Arguments. */

static char *
set_format(struct write *write, const char *name)
{
    char *error;

    if (write->w) {
        return measure_format("there is a format already, %s",
                              write->w->format->name);
    }
    for (size_t i = 0; measure_write_formats[i]; i++) {
        const struct measure_write_format *format = measure_write_formats[i];

        if (!strcmp(format->name, name)) {
            write->w = measure_xzalloc(format->size);
            write->w->format = format;
            write->w->stage = &write->stage;
            return NULL;
        }
    }
    error = measure_format("unknown format: valid is ");
    for (size_t i = 0; measure_write_formats[i]; i++) {
        measure_append(&error, "%s%s", i ? ", " : "",
                       measure_write_formats[i]->name);
    }
    return error;
}

static char *
write_set(struct measure_stage *stage, const char *name, const char *value)
{
    struct write *write = cast(stage);
    const char *const *argument;

    if (!name) {
        return set_format(write, value);
    }
    if (!strcmp(name, "file")) {
        if (!*value) {
            return measure_format("valid is the path of a file");
        }
        free(write->path);
        write->path = (strcmp(value, "-")
                       ? measure_check_memory(strdup(value)) : NULL);
        return NULL;
    }
    if (!write->w) {
        return measure_format("the format must come before it, as in \"write "
                              "json %s=%s\"", name, value);
    }
    argument = write->w->format->arguments;
    while (argument && *argument && strcmp(*argument, name)) {
        argument++;
    }
    if (!argument || !*argument) {
        return measure_format("the format %s takes no %s=",
                              write->w->format->name, name);
    }
    return write->w->format->set(write->w, name, value);
}

static char *
write_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct write *write = cast(stage);
    const struct measure_write_format *format;
    char *error;

    if (!write->w && (error = set_format(write, "text")) != NULL) {
        return error;
    }
    format = write->w->format;
    if (!(format->takes
          & (input ? MEASURE_TAKES_ROWS : MEASURE_TAKES_PACKETS))) {
        return (input
                ? measure_format("%s: takes packets, and %s gives rows",
                                 format->name, input->of)
                : measure_format("%s: takes rows, as of \"count\", and is "
                                 "given packets", format->name));
    }
    write->w->input = input;
    write->name = (write->path ? measure_format("%s", write->path)
                   : measure_format("standard output"));
    write->w->path = write->name;
    if (input) {
        write->row_size = measure_row_size(input);
        write->rows_per_chunk = ((CHUNK_BYTES - sizeof(struct chunk))
                                 / write->row_size);
    }
    write->stage.wants_headers = format->wants_headers;
    return format->begin ? format->begin(write->w) : NULL;
}

static char *
write_open(struct measure_stage *stage)
{
    struct write *write = cast(stage);
    struct measure_write *w = write->w;

    if (write->path) {
        w->file = fopen(write->path, "we");
        if (!w->file) {
            return measure_format("%s: %s", write->path, strerror(errno));
        }
        setvbuf(w->file, NULL, _IOFBF, BUFFER_SIZE);
    } else {
        w->file = stdout;
    }
    write->opened = true;
    return w->format->open ? w->format->open(w) : NULL;
}

/* Lets the pipeline know of an error, which close() will tell. */
static void
check(struct write *write)
{
    if (write->w->error) {
        measure_stage_fail(&write->stage);
    }
}

/* Rows. */

static uint64_t *
chunk_row(const struct write *write, struct chunk *chunk, size_t i)
{
    return &chunk->rows[i * (write->row_size / sizeof(uint64_t))];
}

/* Makes room for one more row.  Returns NULL if there is no memory. */
static struct measure_row *
add_row(struct write *write)
{
    struct chunk *chunk = write->chunks;

    if (!chunk || chunk->n == write->rows_per_chunk) {
        chunk = measure_stage_alloc(&write->stage, CHUNK_BYTES);
        if (!chunk) {
            return NULL;
        }
        chunk->next = write->chunks;
        write->chunks = chunk;
    }
    write->n_rows++;
    return (struct measure_row *) (void *) chunk_row(write, chunk,
                                                     chunk->n++);
}

static void
free_rows(struct write *write)
{
    while (write->chunks) {
        struct chunk *chunk = write->chunks;

        write->chunks = chunk->next;
        measure_stage_free(&write->stage, chunk, CHUNK_BYTES);
    }
    write->n_rows = 0;
}

static int
compare_keys(const void *a_, const void *b_)
{
    const struct measure_row *const *a = a_, *const *b = b_;
    struct measure_fields fields[2];

    measure_fields_from_key(&fields[0], (*a)->layout, (*a)->key);
    measure_fields_from_key(&fields[1], (*b)->layout, (*b)->key);
    return measure_fields_compare(&fields[0], &fields[1]);
}

static int
compare_rows(const void *a_, const void *b_)
{
    const struct measure_row *const *a = a_, *const *b = b_;

    if ((*a)->n_present && (*b)->n_present
        && (*a)->values[0] != (*b)->values[0]) {
        return (*a)->values[0] > (*b)->values[0] ? -1 : 1;
    }
    return compare_keys(a, b);
}

/* Adds up the 'n' 'rows' with the same key.  Returns how many are left. */
static size_t
merge_rows(const struct measure_schema *schema, struct measure_row **rows,
           size_t n)
{
    size_t n_left = 0;

    qsort(rows, n, sizeof *rows, compare_keys);
    for (size_t i = 0; i < n; i++) {
        if (n_left && !compare_keys(&rows[n_left - 1], &rows[i])) {
            measure_row_add_up(schema, rows[n_left - 1]->values, rows[i]);
        } else {
            rows[n_left++] = rows[i];
        }
    }
    return n_left;
}

/* Writes all rows that are kept. */
static void
write_rows(struct write *write, struct measure_row_interval *interval,
           bool last)
{
    struct measure_write *w = write->w;
    size_t n = write->n_rows + (last && write->has_other);
    struct measure_row **rows;
    size_t i = write->n_rows;

    if (!w->input || w->input->order == MEASURE_ORDER_TIME
        || (!n && write->cut)) {
        return;
    }
    rows = measure_xzalloc((n + 1) * sizeof *rows);
    for (struct chunk *chunk = write->chunks; chunk; chunk = chunk->next) {
        for (size_t j = chunk->n; j-- > 0; ) {
            rows[--i] = (void *) chunk_row(write, chunk, j);
        }
    }
    if (write->n_rows && w->input->repeats_keys) {
        write->n_rows = merge_rows(w->input, rows, write->n_rows);
        n = write->n_rows + (last && write->has_other);
    }
    if (write->n_rows && w->input->order == MEASURE_ORDER_ANY) {
        qsort(rows, write->n_rows, sizeof *rows, compare_rows);
    }
    if (last && write->has_other) {
        rows[write->n_rows] = &write->other.row;
    }
    interval->totals = last && !write->cut ? write->totals : NULL;
    w->format->rows(w, (const struct measure_row *const *) rows, n, interval);
    write->dirty = true;
    free(rows);
    free_rows(write);
}

static void
add_other(struct write *write, const struct measure_row *row)
{
    if (!write->has_other) {
        memcpy(&write->other, row,
               sizeof *row + row->n_present * sizeof row->values[0]);
        write->has_other = true;
        return;
    }
    write->other.row.n_present = measure_max(write->other.row.n_present,
                                             row->n_present);
    measure_row_add_up(write->w->input, write->other.row.values, row);
}

static void
write_row(struct measure_stage *stage, const struct measure_row *row)
{
    struct write *write = cast(stage);
    const struct measure_schema *schema = write->w->input;
    struct measure_row *copy;

    if (schema->order == MEASURE_ORDER_TIME) {
        write->w->format->rows(write->w, &row, 1, NULL);
        write->dirty = true;
        check(write);
        return;
    }
    for (size_t i = 0; i < row->n_present; i++) {
        if (schema->columns[i].kind == MEASURE_COLUMN_COUNT) {
            write->totals[i] += row->values[i];
        }
    }
    if (row->flags & MEASURE_ROW_OTHER) {
        add_other(write, row);
        return;
    }
    copy = add_row(write);
    if (!copy) {
        /* What there is so far must go.  Its interval has not ended, but its
         * end is known by the row. */
        struct measure_row_interval interval = {
            .end_ns = row->time_ns, .number = write->n_intervals + 1,
            .cut = true,
        };

        write_rows(write, &interval, false);
        write->cut = true;
        copy = add_row(write);
        if (!copy) {
            write->w->format->rows(write->w, &row, 1, &interval);
            return;
        }
    }
    memcpy(copy, row, sizeof *row + row->n_present * sizeof row->values[0]);
}

static void
flush(struct write *write)
{
    struct measure_write *w = write->w;

    if (write->dirty && !w->error && fflush(w->file)) {
        w->error = errno ? errno : EIO;
    }
    write->dirty = false;
    check(write);
}

static void
write_interval(struct measure_stage *stage, uint64_t start_ns,
               uint64_t end_ns, bool last)
{
    struct write *write = cast(stage);
    struct measure_write *w = write->w;
    struct measure_row_interval interval = {
        .start_ns = start_ns, .end_ns = end_ns,
        .number = ++write->n_intervals,
    };

    write_rows(write, &interval, true);
    if (w->format->interval) {
        w->format->interval(w, &interval, last);
        write->dirty = true;
    }
    memset(write->totals, 0, sizeof write->totals);
    write->has_other = false;
    write->cut = false;
    flush(write);
}

static void
write_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct write *write = cast(stage);

    write->w->format->packets(write->w, batch);
    write->dirty = true;
    check(write);
    if (batch->n < MEASURE_BATCH / 2) {
        /* No more are waiting, or few pass a filter: people look at it. */
        flush(write);
    }
}

static void
write_mark(struct measure_stage *stage, const struct measure_batch *batch,
           const struct measure_mark *mark)
{
    struct write *write = cast(stage);

    if (write->w->format->mark) {
        write->w->format->mark(write->w, batch, mark);
        write->dirty = true;
    }
}

static void
write_ring(struct measure_stage *stage, uint32_t ring)
{
    struct write *write = cast(stage);

    if (write->w->format->ring) {
        write->w->format->ring(write->w, ring);
    }
}

static void
write_ports(struct measure_stage *stage)
{
    struct write *write = cast(stage);

    if (write->w->format->ports) {
        write->w->format->ports(write->w);
    }
}

static char *
write_close(struct measure_stage *stage)
{
    struct write *write = cast(stage);
    struct measure_write *w = write->w;

    if (!write->opened) {
        return NULL;
    }
    if (w->format->close) {
        w->format->close(w);
        write->dirty = true;
    }
    flush(write);
    if (write->path && fclose(w->file) && !w->error) {
        w->error = errno ? errno : EIO;
    }
    w->file = NULL;
    write->opened = false;
    if (w->text) {
        char *text = w->text;

        w->text = NULL;
        return text;
    }
    return w->error ? measure_format("%s: %s", w->path, strerror(w->error))
           : NULL;
}

static void
write_destroy(struct measure_stage *stage)
{
    struct write *write = cast(stage);

    free_rows(write);
    if (write->w) {
        if (write->w->format->destroy) {
            write->w->format->destroy(write->w);
        }
        if (write->opened && write->path) {
            fclose(write->w->file);
        }
        free(write->w);
    }
    free(write->path);
    free(write->name);
}

static const struct measure_stage_argument arguments[] = {
    { "", "FORMAT", "text, json, csv, alerts, pcapng or records" },
    { "file", "PATH", "a file to write to; - for standard output (default)" },
    { "compress", "zstd or none", "records: blocks are compressed" },
    { "heavy", "SHARE or RATE", "json: from when on a key is heavy" },
    { "threshold", "NUMBER or RATE",
      "alerts: from when on a row is an alert" },
    { "of", "COLUMN", "alerts: whose number; packets by default, bytes for "
      "bps, or the first" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_write = {
    .name = "write",
    .summary = "writes packets or rows: write FORMAT, text by default",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS | MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_NOTHING,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct write),
    .set = write_set,
    .begin = write_begin,
    .open = write_open,
    .packets = write_packets,
    .row = write_row,
    .interval = write_interval,
    .mark = write_mark,
    .ring = write_ring,
    .ports = write_ports,
    .close = write_close,
    .destroy = write_destroy,
};
