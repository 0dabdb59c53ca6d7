/* SPDX-License-Identifier: Apache-2.0 */
/* The linear hash table of flows. */

#include <config.h>

#include "structures/measure-table.h"

#include <math.h>

#include "base/measure-base.h"
#include "base/measure-pace.h"

/* Of the rows, half: see the header. */
#define MAX_LOAD_DIVISOR 2

/* A table that is too small is replaced by one so many times larger. */
#define GROWTH 4

/* Rows that measure_table_estimate() looks at. */
#define SAMPLE_ROWS 65536

/* The rows of a table for which there was no memory.  They are never written:
 * such a table takes no keys. */
static uint64_t no_rows[MEASURE_LINE_SIZE / sizeof(uint64_t)];

static inline bool
add_behind(struct measure_table *table, enum measure_layout layout,
           uint64_t *row, uint32_t max_probes, const uint64_t *key,
           uint64_t packets, uint64_t bytes)
{
    uint64_t *end = table->rows + ((size_t) table->n_lines
                                   * (MEASURE_LINE_SIZE / sizeof *end));
    uint32_t per_line = measure_rows_per_line(layout);

    row += (per_line - 1) * measure_row_words(layout);
    for (uint32_t i = per_line; i < max_probes; i++) {
        enum measure_table_found found;

        row += measure_row_words(layout);
        if (row == end) {
            row = table->rows;
        }
        found = measure_table_add_to(table, layout, row, key, packets, bytes);
        if (found != MEASURE_TABLE_OTHER) {
            return found == MEASURE_TABLE_ADDED;
        }
    }
    return false;
}

/* Looks behind the line 'home', for measure_table_add_at(). */
bool
measure_table_add_behind(struct measure_table *table, uint64_t *home,
                         uint32_t max_probes, const uint64_t *key,
                         uint64_t packets, uint64_t bytes)
{
    return (table->layout == MEASURE_NARROW
            ? add_behind(table, MEASURE_NARROW, home, max_probes, key, packets,
                         bytes)
            : add_behind(table, MEASURE_WIDE, home, max_probes, key, packets,
                         bytes));
}

/* Returns the number of lines of a table that takes 'n_keys' keys. */
uint32_t
measure_table_lines_for(enum measure_layout layout, uint64_t n_keys)
{
    uint64_t rows = (n_keys ? n_keys : 1) * MAX_LOAD_DIVISOR;
    uint64_t per_line = measure_rows_per_line(layout);
    uint64_t lines = (rows + per_line - 1) / per_line;

    return measure_min(lines, MEASURE_TABLE_MAX_LINES);
}

/* Returns the bytes that a table of 'n_lines' lines takes. */
size_t
measure_table_size(uint32_t n_lines)
{
    return (size_t) n_lines * MEASURE_LINE_SIZE;
}

/* Returns the bytes that 'table' takes of its budget. */
size_t
measure_table_bytes(const struct measure_table *table)
{
    return (table->rows && table->rows != no_rows
            ? measure_table_size(table->n_lines) : 0);
}

/* Makes an empty table of 'n_lines' (2 to MEASURE_TABLE_MAX_LINES) lines.
 * Returns false if there is no memory; the table then takes no keys and may
 * be destroyed. */
bool
measure_table_init(struct measure_table *table, enum measure_layout layout,
                   uint32_t n_lines, struct measure_budget *budget, int node)
{
    table->layout = layout;
    table->n_used = 0;
    table->rows = measure_memory_alloc(budget, measure_table_size(n_lines),
                                       node);
    if (!table->rows) {
        table->rows = no_rows;
        table->n_lines = 1;
        table->max_used = 0;
        return false;
    }
    table->n_lines = n_lines;
    table->max_used = ((uint64_t) n_lines * measure_rows_per_line(layout)
                       / MAX_LOAD_DIVISOR);
    return true;
}

void
measure_table_destroy(struct measure_table *table,
                      struct measure_budget *budget)
{
    if (table->rows != no_rows) {
        measure_memory_free(budget, table->rows,
                            measure_table_size(table->n_lines));
    }
    memset(table, 0, sizeof *table);
}

/* Empties the table, at the cost of its whole size if it holds anything. */
void
measure_table_clear(struct measure_table *table)
{
    if (table->n_used) {
        measure_memory_clear(table->rows, measure_table_size(table->n_lines));
        table->n_used = 0;
    }
}

uint32_t
measure_table_n_used(const struct measure_table *table)
{
    return __atomic_load_n(&table->n_used, __ATOMIC_RELAXED);
}

/* Returns the used row behind 'row', or the first one if 'row' is NULL, or
 * NULL if there is none. */
uint64_t *
measure_table_next(const struct measure_table *table, uint64_t *row)
{
    size_t row_words = measure_row_words(table->layout);
    uint64_t *end = table->rows + (size_t) table->n_lines
                                  * (MEASURE_LINE_SIZE / sizeof(uint64_t));

    for (row = row ? row + row_words : table->rows; row < end;
         row += row_words) {
        if (*measure_row_packets(row, table->layout)) {
            return row;
        }
    }
    return NULL;
}

static inline size_t
gather(enum measure_layout layout, uint64_t *row, size_t n_rows,
       uint64_t *rows[])
{
    size_t n = 0;

    for (size_t i = 0; i < n_rows; i++) {
        rows[n] = row;
        n += *measure_row_packets(row, layout) != 0;
        row += measure_row_words(layout);
    }
    return n;
}

/* Fills 'cursor' with the next used rows.  Returns false if there are none. */
bool
measure_table_next_block(struct measure_table_cursor *cursor)
{
    enum measure_layout layout = cursor->table->layout;
    size_t row_words = measure_row_words(layout);
    uint64_t *end = cursor->table->rows + (size_t) cursor->table->n_lines
                                          * (MEASURE_LINE_SIZE / 8);

    cursor->i = cursor->n = 0;
    while (!cursor->n && cursor->next < end
           && cursor->n_before < cursor->table->n_used) {
        size_t n_rows = (end - cursor->next) / row_words;

        if (n_rows > MEASURE_TABLE_BLOCK) {
            n_rows = MEASURE_TABLE_BLOCK;
        }
        cursor->n = (layout == MEASURE_NARROW
                     ? gather(MEASURE_NARROW, cursor->next, n_rows,
                              cursor->rows)
                     : gather(MEASURE_WIDE, cursor->next, n_rows,
                              cursor->rows));
        cursor->next += n_rows * row_words;
        cursor->n_before += cursor->n;
        measure_pace(n_rows);
    }
    return cursor->n > 0;
}

/* For measure_table_merge_growing(). */
struct growth {
    uint64_t max_keys;
    struct measure_budget *budget;
};

/* Replaces 'table' by a larger one with the same rows.  Returns false, with
 * nothing changed, if there is no memory. */
static bool
grow(struct measure_table *table, const struct growth *growth,
     const struct measure_hash_secret *secret)
{
    static const uint64_t all[MEASURE_KEY_WORDS] = {
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX
    };
    uint64_t n_keys = (uint64_t) table->max_used * GROWTH;
    struct measure_table larger;

    if (n_keys > growth->max_keys) {
        n_keys = growth->max_keys;
    }
    if (!measure_table_init(&larger, table->layout,
                            measure_table_lines_for(table->layout, n_keys),
                            growth->budget, MEASURE_ANY_NODE)) {
        measure_table_destroy(&larger, growth->budget);
        return false;
    }
    measure_table_merge(&larger, table, all, secret);
    measure_table_destroy(table, growth->budget);
    *table = larger;
    return true;
}

/* Keys that come in the order of their hashes fill a table from its beginning
 * and, if it is too small for them, find each other on longer and longer ways.
 * A long way is thus a reason to grow as good as a full table. */
static inline uint32_t
max_probes(const struct measure_table *table, const struct growth *growth)
{
    return (growth && table->max_used < growth->max_keys
            ? MEASURE_TABLE_MAX_PROBES : MEASURE_TABLE_ANY_PROBES);
}

/* Rows of one table, with the same hash, lie in the order in which they will
 * lie in another: merging flows writes one line after the other.  Masked keys
 * go anywhere, which is what the prefetch is for. */
static inline bool
merge__(struct measure_table *table, enum measure_layout layout,
        const struct measure_table *from, const uint64_t *mask,
        const struct measure_hash_secret *secret, const struct growth *growth)
{
    struct measure_table_cursor cursor = {
        .table = from, .next = from->rows,
    };
    uint64_t keys[MEASURE_TABLE_BLOCK][MEASURE_KEY_WORDS];
    uint64_t hashes[MEASURE_TABLE_BLOCK];

    while (measure_table_next_block(&cursor)) {
        for (size_t i = 0; i < cursor.n; i++) {
            for (unsigned int j = 0; j < measure_key_words(layout); j++) {
                keys[i][j] = cursor.rows[i][j] & mask[j];
            }
            hashes[i] = measure_hash(secret, keys[i],
                                     measure_key_words(layout));
            measure_table_prefetch(table, hashes[i]);
        }
        for (size_t i = 0; i < cursor.n; i++) {
            uint64_t *row = cursor.rows[i];

            while (!measure_table_add(table, layout,
                                      max_probes(table, growth), keys[i],
                                      hashes[i],
                                      *measure_row_packets(row, layout),
                                      *measure_row_bytes(row, layout))) {
                assert(growth && table->max_used < growth->max_keys);
                if (!grow(table, growth, secret)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Adds the rows of 'from', their keys masked with 'mask', to 'table', which
 * has the same layout and must take that many keys. */
void
measure_table_merge(struct measure_table *table,
                    const struct measure_table *from, const uint64_t *mask,
                    const struct measure_hash_secret *secret)
{
    if (table->layout == MEASURE_NARROW) {
        merge__(table, MEASURE_NARROW, from, mask, secret, NULL);
    } else {
        merge__(table, MEASURE_WIDE, from, mask, secret, NULL);
    }
}

/* Like measure_table_merge(), but 'table' may be too small: it is replaced by
 * larger ones, of memory from 'budget', up to one for 'max_keys' keys, which
 * must be enough.  Few keys thus take little memory, and little time to clear
 * it.  Returns false if there is no memory, with some rows added. */
bool
measure_table_merge_growing(struct measure_table *table,
                            const struct measure_table *from,
                            const uint64_t *mask,
                            const struct measure_hash_secret *secret,
                            uint64_t max_keys, struct measure_budget *budget)
{
    struct growth growth = { .max_keys = max_keys, .budget = budget };

    return (table->layout == MEASURE_NARROW
            ? merge__(table, MEASURE_NARROW, from, mask, secret, &growth)
            : merge__(table, MEASURE_WIDE, from, mask, secret, &growth));
}

/* Returns about how many different keys, masked with 'mask', the 'n_tables'
 * tables hold together, all of one layout and filled with one secret.
 *
 * Keys lie in tables of any size in the order of their hashes.  The first
 * lines of all tables, as large a share of each, are thus a sample that has a
 * key either with all of its rows or not at all.  With d keys in the sample
 * the standard deviation is 1 / sqrt(d) of the result. */
uint64_t
measure_table_estimate(const struct measure_table *const tables[],
                       size_t n_tables, const uint64_t *mask,
                       const struct measure_hash_secret *secret)
{
    struct measure_hash_secret other;
    struct measure_budget scratch = { 0 };
    struct measure_table sample;
    uint64_t n_rows = 0;
    uint64_t n_keys = 0;
    uint32_t n_lines;
    double share;

    for (size_t i = 0; i < n_tables; i++) {
        n_rows += measure_table_n_used(tables[i]);
    }
    if (n_rows <= SAMPLE_ROWS) {
        return n_rows;
    }
    share = (double) SAMPLE_ROWS / n_rows;

    /* With the same hashes, all would lie at the beginning of 'sample'. */
    measure_hash_secret_init(&other, secret->words[0]);
    n_lines = measure_table_lines_for(tables[0]->layout, SAMPLE_ROWS);
    if (measure_table_init(&sample, tables[0]->layout, n_lines, &scratch,
                           MEASURE_ANY_NODE)) {
        for (size_t i = 0; i < n_tables; i++) {
            struct measure_table part = *tables[i];

            part.n_lines = ceil(part.n_lines * share);
            if (!measure_table_merge_growing(&sample, &part, mask, &other,
                                             n_rows, &scratch)) {
                measure_table_destroy(&sample, &scratch);
                return n_rows;
            }
        }
        n_keys = measure_table_n_used(&sample) / share;
    }
    measure_table_destroy(&sample, &scratch);
    return n_keys && n_keys < n_rows ? n_keys : n_rows;
}

/* Makes sure that 'table' takes 'n_more' keys, by a larger one in its place if
 * need be.  A table of all zeros but for its layout is empty.  Returns false
 * if there is no memory; the table keeps what it has then. */
bool
measure_table_reserve(struct measure_table *table, uint64_t n_more,
                      const struct measure_hash_secret *secret,
                      struct measure_budget *budget)
{
    static const uint64_t all[MEASURE_KEY_WORDS] = {
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX
    };
    uint64_t n_keys = table->n_used + n_more;
    struct measure_table larger;

    if (table->rows && n_keys <= table->max_used) {
        return true;
    }
    if (n_keys < table->max_used * UINT64_C(2)) {
        n_keys = table->max_used * UINT64_C(2);
    }
    if (!measure_table_init(&larger, table->layout,
                            measure_table_lines_for(table->layout, n_keys),
                            budget, MEASURE_ANY_NODE)) {
        measure_table_destroy(&larger, budget);
        return false;
    }
    if (table->n_used) {
        measure_table_merge(&larger, table, all, secret);
    }
    measure_table_destroy(table, budget);
    *table = larger;
    return true;
}

/* Adds 'packets' (more than 0) and 'bytes' to the row of 'key'.  The table
 * must take the key: see measure_table_reserve(). */
void
measure_table_insert(struct measure_table *table,
                     const struct measure_hash_secret *secret,
                     const uint64_t *key, uint64_t packets, uint64_t bytes)
{
    uint64_t hash = measure_key_hash(secret, table->layout, key);
    bool added = (table->layout == MEASURE_NARROW
                  ? measure_table_add(table, MEASURE_NARROW,
                                      MEASURE_TABLE_ANY_PROBES, key, hash,
                                      packets, bytes)
                  : measure_table_add(table, MEASURE_WIDE,
                                      MEASURE_TABLE_ANY_PROBES, key, hash,
                                      packets, bytes));

    assert(added);
    (void) added;
}

/* Returns the row of 'key', or NULL if it has none. */
uint64_t *
measure_table_find(const struct measure_table *table,
                   const struct measure_hash_secret *secret,
                   const uint64_t *key)
{
    enum measure_layout layout = table->layout;
    uint64_t *row, *end;

    if (!table->n_used) {
        return NULL;
    }
    row = measure_table_home(table, measure_key_hash(secret, layout, key));
    end = table->rows + measure_table_size(table->n_lines) / sizeof *end;
    while (*measure_row_packets(row, layout)) {
        if (measure_key_equal(row, key, layout)) {
            return row;
        }
        row += measure_row_words(layout);
        if (row == end) {
            row = table->rows;
        }
    }
    return NULL;
}

/* Adds the rows of 'table' to 'probes', the first 'max_rows' at most.  These
 * are a sample, for rows lie in the order of their hashes. */
void
measure_table_add_probes(const struct measure_table *table,
                         const struct measure_hash_secret *secret,
                         size_t max_rows, struct measure_probes *probes)
{
    size_t row_words = measure_row_words(table->layout);
    size_t all_words = measure_table_size(table->n_lines) / sizeof(uint64_t);
    size_t n = 0;

    MEASURE_TABLE_FOR_EACH (row, table) {
        uint64_t hash = measure_key_hash(secret, table->layout, row);
        const uint64_t *home = measure_table_home(table, hash);
        /* Probing goes on at the beginning of the table. */
        size_t words = row >= home ? row - home : all_words - (home - row);
        uint64_t n_probes = words / row_words + 1;

        if (n++ == max_rows) {
            break;
        }
        probes->n_rows++;
        probes->n_probes += n_probes;
        if (n_probes > probes->max_probes) {
            probes->max_probes = n_probes;
        }
    }
}

/* Makes 'table', only to be gone through, of the 'n' 'rows' without gaps,
 * which stay the caller's.  There must be room for one more, unless 'n' is
 * 0. */
void
measure_table_from_rows(struct measure_table *table,
                        enum measure_layout layout, uint64_t *rows, size_t n)
{
    size_t per_line = measure_rows_per_line(layout);

    memset(table, 0, sizeof *table);
    table->layout = layout;
    table->rows = rows;
    table->n_used = n;
    table->n_lines = (n + per_line - 1) / per_line;
    if (n % per_line) {
        memset(&rows[n * measure_row_words(layout)], 0,
               measure_row_words(layout) * sizeof *rows);
    }
}
