/* SPDX-License-Identifier: Apache-2.0 */
/* What a format of the stage 'write' must offer. */

#ifndef MEASURE_WRITE_FORMAT_H
#define MEASURE_WRITE_FORMAT_H 1

#include <stdio.h>

#include "stream/measure-row-write.h"
#include "stream/measure-stage.h"

/* Formats of the stage 'write'
 * ============================
 *
 * The stage "write FORMAT file=PATH" opens the file, orders rows, and keeps
 * what went wrong; a format makes text or bytes of packets and rows, and hands
 * them to measure_write_put().  It stands in one file and has one line in
 * measure-write-format-list.h.  Arguments of its own are also in the list of
 * arguments in measure-stage-write.c, which is what a pipeline knows.
 *
 * Order of rows.  Where it says nothing (MEASURE_ORDER_ANY) the stage keeps
 * the rows of an interval and sorts them, so that replicas do not change the
 * output: by the first column, the largest first, then by the fields of the
 * key.  Rows of what is not listed are added up to one, which is the last.  If
 * the memory is not enough for the rows of an interval, rows() is called
 * several times for it, without totals.
 *
 * Output.  Standard output is flushed, and so is a file, at the end of each
 * interval, and whenever no more packets are waiting.  After the first error
 * nothing is written any more.  close() of the stage says what it was.
 *
 * Thread safety: as that of a stage.  Several stages may write to standard
 * output: what is given to one measure_write_put() stays together. */

struct measure_write;

struct measure_write_format {
    const char *name;           /* What follows "write". */
    const char *summary;        /* A line for people. */
    unsigned int takes;         /* OR of enum measure_stage_takes. */
    bool wants_headers;         /* See struct measure_stage. */
    size_t size;                /* Of its state: a struct that begins with
                                 * struct measure_write. */

    /* Like that of a stage, for arguments other than file=.  Called only with
     * those in 'arguments', names that end with NULL.  Both may be NULL. */
    const char *const *arguments;
    char *(*set)(struct measure_write *, const char *name, const char *value);

    /* All arguments are set, 'input' is what will come.  May be NULL. */
    char *(*begin)(struct measure_write *);
    /* The file is open: here goes what begins it.  May be NULL. */
    char *(*open)(struct measure_write *);

    void (*packets)(struct measure_write *, struct measure_batch *);

    /* Some rows, in order, or none if that is all that an interval has.
     * 'interval' is NULL for rows that come when they happen. */
    void (*rows)(struct measure_write *, const struct measure_row *const *,
                 size_t n, const struct measure_row_interval *interval);

    /* The following may be NULL.  interval() is called after rows(). */
    void (*interval)(struct measure_write *,
                     const struct measure_row_interval *, bool last);
    void (*mark)(struct measure_write *, const struct measure_batch *,
                 const struct measure_mark *);
    /* As those of a stage. */
    void (*ring)(struct measure_write *, uint32_t ring);
    void (*ports)(struct measure_write *);
    /* Writes what ends the file. */
    void (*close)(struct measure_write *);
    void (*destroy)(struct measure_write *);
};

struct measure_write {
    const struct measure_write_format *format;
    struct measure_stage *stage;
    const struct measure_schema *input; /* NULL for packets. */
    FILE *file;                 /* Open from open() to close(). */
    const char *path;           /* For people. */
    int error;                  /* errno of the first write that failed. */
    char *text;                 /* What a format knows of that, or NULL.  Freed
                                 * by the stage. */
};

void measure_write_put(struct measure_write *, const void *, size_t size);

extern const struct measure_write_format *const measure_write_formats[];

#endif /* measure-write-format.h */
