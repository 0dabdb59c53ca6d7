/* SPDX-License-Identifier: Apache-2.0 */
/* The linear hash table of flows. */

#ifndef MEASURE_TABLE_H
#define MEASURE_TABLE_H 1

#include <string.h>

#include "base/measure-hash.h"
#include "base/measure-memory.h"
#include "key/measure-record.h"

/* Linear hash table of flows
 * ==========================
 *
 * Open addressing with linear probing over cache lines, key and counters side
 * by side, so that a packet touches one line: the "linear hash table" of
 * Alipourfard, Moshref, Zhou, Yang, Yu, "A Comparison of Performance and
 * Accuracy of Measurement Algorithms in Software", SOSR 2018.
 *
 *     IPv4   32-byte rows, two in a line
 *     IPv6   64-byte rows, one in a line
 *
 * A row that counts no packet is empty, thus zeroed memory is an empty table.
 * Rows are never deleted; measure_table_clear() empties the table.
 *
 * Memory: 64 bytes a line.  A table takes new keys until half of its rows are
 * used, that is 64 bytes for an IPv4 flow and 128 for an IPv6 flow.  At that
 * load 88 IPv4 keys of 100 lie in their home line, and a key that finds no
 * place within MEASURE_TABLE_MAX_PROBES rows has a probability of about 2^-35:
 * k rows from the home row on must have drawn more than k keys where k/2 are
 * expected, exp(-k (ln 2 - 1/2)) for a Poisson variable.
 *
 * Error: none.  A key has a row with its exact counts, or measure_table_add()
 * refuses it.
 *
 * Thread safety: one thread writes.  'n_used' may be read by any thread at any
 * time; rows by others only when that has let go of the table
 * (measure-tally.h).  measure_table_home(), measure_table_prefetch() and
 * measure_table_add() belong to the packet path: they do not allocate, lock,
 * wait, log or clear, and the number of their steps is bounded. */

#define MEASURE_LINE_SIZE 64
#define MEASURE_TABLE_MAX_PROBES 128    /* Rows looked at for one packet. */
#define MEASURE_TABLE_ANY_PROBES UINT32_MAX
#define MEASURE_TABLE_MAX_LINES (UINT32_C(1) << 31)

struct measure_row_ipv4 {
    uint64_t key[2];
    uint64_t packets;
    uint64_t bytes;
};

struct measure_row_ipv6 {
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t packets;
    uint64_t bytes;
};

static_assert(MEASURE_LINE_SIZE % sizeof(struct measure_row_ipv4) == 0
              && MEASURE_LINE_SIZE % sizeof(struct measure_row_ipv6) == 0,
              "no row straddles two cache lines");
static_assert(MEASURE_LINE_SIZE == 2 * sizeof(struct measure_row_ipv4)
              && MEASURE_LINE_SIZE == sizeof(struct measure_row_ipv6),
              "measure_table_add_at() looks at all rows of a line");
static_assert(offsetof(struct measure_row_ipv4, packets) == 2 * 8
              && offsetof(struct measure_row_ipv4, bytes) == 3 * 8
              && offsetof(struct measure_row_ipv6, packets) == 6 * 8
              && offsetof(struct measure_row_ipv6, bytes) == 7 * 8,
              "the counters of a row follow its key");

struct measure_table {
    uint64_t *rows;             /* 'n_lines' lines. */
    uint32_t n_lines;
    uint32_t max_used;          /* Rows that may be used. */
    uint32_t n_used;            /* Rows that are used.  Atomic. */
    enum measure_layout layout;
};

/* How many rows packets look at to find theirs. */
struct measure_probes {
    uint64_t n_rows;            /* That were asked... */
    uint64_t n_probes;          /* ...and the probes for them together. */
    uint64_t max_probes;        /* For one of them. */
};

/* Returns how many items of 'item_size' bytes fit 'size' bytes, at least
 * 'min'. */
static inline uint32_t
measure_items_for(size_t size, size_t item_size, uint32_t min)
{
    size_t n = size / item_size;

    return n < min ? min : n > 1u << 30 ? 1u << 30 : n;
}

/* Layout.  All of these fold to constants where 'layout' is one. */

static inline size_t
measure_row_words(enum measure_layout layout)
{
    return (layout == MEASURE_NARROW
            ? sizeof(struct measure_row_ipv4) / sizeof(uint64_t)
            : sizeof(struct measure_row_ipv6) / sizeof(uint64_t));
}

static inline size_t
measure_rows_per_line(enum measure_layout layout)
{
    return MEASURE_LINE_SIZE / sizeof(uint64_t) / measure_row_words(layout);
}

static inline uint64_t *
measure_row_packets(uint64_t *row, enum measure_layout layout)
{
    return &row[measure_key_words(layout)];
}

static inline uint64_t *
measure_row_bytes(uint64_t *row, enum measure_layout layout)
{
    return &row[measure_key_words(layout) + 1];
}

/* The packet path. */

static inline uint64_t *
measure_table_home(const struct measure_table *table, uint64_t hash)
{
    uint64_t line = ((hash >> 32) * table->n_lines) >> 32;

    return &table->rows[line * (MEASURE_LINE_SIZE / sizeof(uint64_t))];
}

static inline void
measure_table_prefetch(const struct measure_table *table, uint64_t hash)
{
    __builtin_prefetch(measure_table_home(table, hash), 1);
}

static inline bool
measure_key_equal(const uint64_t *a, const uint64_t *b,
                  enum measure_layout layout)
{
    uint64_t difference = (a[0] ^ b[0]) | (a[1] ^ b[1]);

    if (layout == MEASURE_WIDE) {
        difference |= ((a[2] ^ b[2]) | (a[3] ^ b[3]) | (a[4] ^ b[4])
                       | (a[5] ^ b[5]));
    }
    return !difference;
}

static inline uint64_t
measure_key_hash(const struct measure_hash_secret *secret,
                 enum measure_layout layout, const uint64_t *key)
{
    return (layout == MEASURE_NARROW
            ? measure_hash(secret, key, 2)
            : measure_hash(secret, key, MEASURE_KEY_WORDS));
}

/* What became of a key in one row. */
enum measure_table_found {
    MEASURE_TABLE_OTHER,        /* The row is that of another key. */
    MEASURE_TABLE_ADDED,
    MEASURE_TABLE_REFUSED       /* It is empty, and the table is full. */
};

/* Most packets are of a key that has its row: that is asked first, with one
 * branch. */
static inline enum measure_table_found
measure_table_add_to(struct measure_table *table, enum measure_layout layout,
                     uint64_t *row, const uint64_t *key, uint64_t packets,
                     uint64_t bytes)
{
    uint64_t old = *measure_row_packets(row, layout);

    if (measure_key_equal(row, key, layout) & (old != 0)) {
        *measure_row_packets(row, layout) = old + packets;
        *measure_row_bytes(row, layout) += bytes;
        return MEASURE_TABLE_ADDED;
    }
    if (old) {
        return MEASURE_TABLE_OTHER;
    }
    if (table->n_used >= table->max_used) {
        return MEASURE_TABLE_REFUSED;
    }
    __atomic_store_n(&table->n_used, table->n_used + 1, __ATOMIC_RELAXED);
    for (unsigned int j = 0; j < measure_key_words(layout); j++) {
        row[j] = key[j];
    }
    *measure_row_packets(row, layout) = packets;
    *measure_row_bytes(row, layout) = bytes;
    return MEASURE_TABLE_ADDED;
}

bool measure_table_add_behind(struct measure_table *, uint64_t *home,
                              uint32_t max_probes, const uint64_t *key,
                              uint64_t packets, uint64_t bytes);

/* Adds 'packets' (more than 0) and 'bytes' to the row of 'key', whose home
 * line is 'home'.  Returns false, with nothing changed, if the key has no row
 * and the table takes no new ones, or none within 'max_probes' rows (at least
 * those of a line): on the packet path MEASURE_TABLE_MAX_PROBES, elsewhere
 * MEASURE_TABLE_ANY_PROBES.
 *
 * 'layout' is that of the table; callers pass a constant. */
static inline bool
measure_table_add_at(struct measure_table *table, enum measure_layout layout,
                     uint32_t max_probes, const uint64_t *key, uint64_t *home,
                     uint64_t packets, uint64_t bytes)
{
    enum measure_table_found found;

    found = measure_table_add_to(table, layout, home, key, packets, bytes);
    if (layout == MEASURE_NARROW && found == MEASURE_TABLE_OTHER) {
        found = measure_table_add_to(table, layout,
                                     home + measure_row_words(layout), key,
                                     packets, bytes);
    }
    return (found == MEASURE_TABLE_OTHER
            ? measure_table_add_behind(table, home, max_probes, key, packets,
                                       bytes)
            : found == MEASURE_TABLE_ADDED);
}

/* The same, for who has the 'hash' of 'key'. */
static inline bool
measure_table_add(struct measure_table *table, enum measure_layout layout,
                  uint32_t max_probes, const uint64_t *key, uint64_t hash,
                  uint64_t packets, uint64_t bytes)
{
    return measure_table_add_at(table, layout, max_probes, key,
                                measure_table_home(table, hash), packets,
                                bytes);
}

/* Outside the packet path. */

uint32_t measure_table_lines_for(enum measure_layout, uint64_t n_keys);
size_t measure_table_size(uint32_t n_lines);
size_t measure_table_bytes(const struct measure_table *);

bool measure_table_init(struct measure_table *, enum measure_layout,
                        uint32_t n_lines, struct measure_budget *, int node);
void measure_table_destroy(struct measure_table *, struct measure_budget *);
void measure_table_clear(struct measure_table *);

uint32_t measure_table_n_used(const struct measure_table *);
uint64_t *measure_table_next(const struct measure_table *, uint64_t *row);
void measure_table_merge(struct measure_table *,
                         const struct measure_table *from,
                         const uint64_t *mask,
                         const struct measure_hash_secret *);
bool measure_table_reserve(struct measure_table *, uint64_t n_more,
                           const struct measure_hash_secret *,
                           struct measure_budget *);
void measure_table_insert(struct measure_table *,
                          const struct measure_hash_secret *,
                          const uint64_t *key, uint64_t packets,
                          uint64_t bytes);
uint64_t *measure_table_find(const struct measure_table *,
                             const struct measure_hash_secret *,
                             const uint64_t *key);
void measure_table_from_rows(struct measure_table *, enum measure_layout,
                             uint64_t *rows, size_t n);
bool measure_table_merge_growing(struct measure_table *,
                                 const struct measure_table *from,
                                 const uint64_t *mask,
                                 const struct measure_hash_secret *,
                                 uint64_t max_keys, struct measure_budget *);
void measure_table_add_probes(const struct measure_table *,
                              const struct measure_hash_secret *,
                              size_t max_rows, struct measure_probes *);
uint64_t measure_table_estimate(const struct measure_table *const tables[],
                                size_t n_tables, const uint64_t *mask,
                                const struct measure_hash_secret *);

/* Goes through the used rows.  At half load, whether a row is used is a toss
 * of a coin that no processor can predict, which costs more than to read the
 * row.  Hence used rows are gathered by the block, without a branch.  Behind
 * the last used row nothing is read: a table in reserve is large and empty. */

#define MEASURE_TABLE_BLOCK 64

struct measure_table_cursor {
    const struct measure_table *table;
    uint64_t *next;             /* Where the next block begins. */
    uint32_t n_before;          /* Used rows in the blocks before it. */
    size_t i;                   /* The next of 'rows'... */
    size_t n;                   /* ...of so many. */
    uint64_t *rows[MEASURE_TABLE_BLOCK];
};

bool measure_table_next_block(struct measure_table_cursor *);

static inline uint64_t *
measure_table_next_row(struct measure_table_cursor *cursor)
{
    if (cursor->i == cursor->n && !measure_table_next_block(cursor)) {
        return NULL;
    }
    return cursor->rows[cursor->i++];
}

/* The outer loop runs once: it declares the cursor. */
#define MEASURE_TABLE_FOR_EACH(ROW, TABLE)                              \
    for (struct measure_table_cursor ROW##_cursor                       \
             = { .table = (TABLE), .next = (TABLE)->rows },             \
             *ROW##_once = &ROW##_cursor;                               \
         ROW##_once; ROW##_once = NULL)                                 \
        for (uint64_t *ROW;                                             \
             (ROW = measure_table_next_row(&ROW##_cursor)); )

/* Goes through the rows of a table that has no gaps. */
#define MEASURE_ROWS_FOR_EACH(ROW, TABLE)                               \
    for (uint64_t *ROW = (TABLE)->rows,                                 \
             *ROW##_end = ROW + ((size_t) (TABLE)->n_used               \
                                 * measure_row_words((TABLE)->layout)); \
         ROW < ROW##_end; ROW += measure_row_words((TABLE)->layout))

#endif /* measure-table.h */
