/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: what stages find out about packets. */

#ifndef MEASURE_ROW_H
#define MEASURE_ROW_H 1

#include "key/measure-group-by.h"
#include "stream/measure-slot.h"

/* Rows
 * ====
 *
 * A stage that has looked at packets gives rows: a key (or none), and up to
 * MEASURE_ROW_COLUMNS numbers.  What they are is in the schema of the stage,
 * one for all of its rows.  A column says what may be done with it: whether
 * numbers of two rows with the same key may be added up, and of which other
 * column it is the error bound.
 *
 * A row has as many bytes as its schema says, a power of 2, so that rows can
 * be in the slots of a ring (measure-ring.h) like records of packets.
 *
 * Memory: 64 bytes and 8 for each column, rounded up to a power of 2.
 *
 * Thread safety: plain data, no shared state. */

#define MEASURE_ROW_COLUMNS 120

enum measure_column_kind {
    MEASURE_COLUMN_COUNT,       /* Adds up: packets, bytes. */
    MEASURE_COLUMN_LEVEL,       /* Adds up over keys, but not over intervals:
                                 * how many there are at the end of one. */
    MEASURE_COLUMN_GAUGE,       /* Does not: a rank, a number of sources. */
    MEASURE_COLUMN_ERROR,       /* By how much 'error_of' may be too low.  Adds
                                 * up as that does. */
    MEASURE_COLUMN_NS,          /* A length of time.  Does not add up. */
    MEASURE_COLUMN_TIME,        /* Nanoseconds since 1970. */
    MEASURE_COLUMN_DECIMAL,     /* The bits of a double. */
};

struct measure_column {
    const char *name;           /* As in JSON: "packets", "rtt-ns". */
    enum measure_column_kind kind;
    uint8_t error_of;           /* Index of a column, for an error. */
    bool is_end;                /* The last number of a range, of which people
                                 * are told the one behind it. */
};

/* The order in which rows come. */
enum measure_row_order {
    MEASURE_ORDER_ANY,          /* It says nothing, and differs with replicas:
                                 * all come at the end of an interval. */
    MEASURE_ORDER_KEPT,         /* Likewise, but it is to be kept. */
    MEASURE_ORDER_TIME,         /* Each comes when it happens, and does not
                                 * wait for the end of an interval. */
};

struct measure_schema {
    const char *of;             /* The stage that gives the rows. */
    enum measure_row_order order;
    bool of_other_time;         /* Counts are not those of the interval, but of
                                 * several, or of less: they make no rate. */
    bool repeats_keys;          /* A key can have several rows in an interval,
                                 * whose columns all add up. */
    bool has_key;
    struct measure_group_by group_by;   /* If so. */
    size_t n;
    struct measure_column columns[MEASURE_ROW_COLUMNS];
};

struct measure_row {
    uint64_t key[MEASURE_KEY_WORDS];
    uint8_t layout;             /* enum measure_layout, of 'key'. */
    uint8_t flags;              /* OR of MEASURE_ROW_*. */
    uint16_t n_present;         /* Columns from this one on are absent. */
    uint32_t replica;           /* That gave it: set by
                                 * measure_stage_give(). */
    uint64_t time_ns;           /* End of the interval, or when it happened. */
    uint64_t values[];          /* As many as the schema has columns. */
};

static_assert(offsetof(struct measure_row, values) == 64, "a cache line");

/* No row: ends those of an interval of one replica; 'time_ns' is its end and
 * values[0] its beginning. */
#define MEASURE_ROW_INTERVAL 1
/* With MEASURE_ROW_INTERVAL: there is no other interval. */
#define MEASURE_ROW_LAST 2
/* Not of a key: all rows that are not listed, added up.  Columns that do not
 * add up say nothing then.  There can be several, of replicas. */
#define MEASURE_ROW_OTHER 4

/* Bytes of a row, a power of 2 of at least 64. */
size_t measure_row_size(const struct measure_schema *);

/* The index of the column 'name', or -1. */
int measure_schema_find(const struct measure_schema *, const char *name);

/* The index of the error bound of the column with index 'i', or -1. */
int measure_schema_find_error(const struct measure_schema *, size_t i);

/* Appends a column.  'schema' must have room for it. */
void measure_schema_add(struct measure_schema *, const char *name,
                        enum measure_column_kind);

/* Returns an error, which the caller frees: the argument 'argument' of a stage
 * is 'name', and there is no such column. */
char *measure_schema_unknown(const struct measure_schema *,
                             const char *argument, const char *name);

/* Adding up.  The first of these says whether numbers of the column with index
 * 'i' may be added up over rows of different keys, the second whether all
 * columns may be over intervals: NULL, or an error that the caller frees. */
bool measure_column_adds_up(const struct measure_schema *, size_t i);
char *measure_schema_check_sums(const struct measure_schema *);

/* Adds the numbers of a row that add up to 'sums', one for each column. */
void measure_row_add_up(const struct measure_schema *, uint64_t *sums,
                        const struct measure_row *);

/* Makes 'row' of 'n' values: of a key, or of all others if that is NULL.  The
 * key has MEASURE_KEY_WORDS words. */
void measure_row_make(struct measure_row *, enum measure_layout,
                      const uint64_t *key, uint64_t time_ns,
                      const uint64_t *values, size_t n);

/* Room for one row of any schema. */
union measure_row_buffer {
    struct measure_row row;
    uint64_t words[8 + MEASURE_ROW_COLUMNS];
};

#endif /* measure-row.h */
