/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders with entries of different sizes. */

/* Entries of different sizes: a count array, and a linear table with its
 * values in the rows or behind a pointer.  The value of a flow is a counter of
 * packets, and the rest of it is overwritten by each packet, as in the paper.
 *
 * The library's linear table has rows of one size, so that the first two are
 * plain ones of our own; the one with pointers is that of
 * measure-table-pointer.h.  A heap is not among them: the library's keeps
 * entries where they are and moves their numbers, whatever their size. */

#include <config.h>

#include "entries.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "contenders/measure-table-pointer.h"
#include "support.h"

#define CELLS (1u << 20)        /* Of the array. */

struct entries {
    uint64_t *rows;             /* Key, value. */
    uint32_t n_rows;
    uint32_t words;             /* Of a value. */
    size_t size;
    struct measure_hash_secret secret;
    struct measure_table_pointer pointer;
    struct measure_table_pointer_params params;
};

static inline size_t
row_words(const struct entries *entries)
{
    return 2 + entries->words;
}

static inline uint64_t *
home(const struct entries *entries, uint64_t hash)
{
    return &entries->rows[(((hash >> 32) * entries->n_rows) >> 32)
                          * row_words(entries)];
}

/* Prefetches all lines of a row. */
static inline void
prefetch_row(const struct entries *entries, const uint64_t *row)
{
    for (size_t i = 0; i < row_words(entries); i += 8) {
        __builtin_prefetch(row + i, 1);
    }
}

static inline void
count(const struct entries *entries, uint64_t *value,
      const struct bench_key *key, uint64_t bytes)
{
    value[0]++;
    for (uint32_t i = 1; i < entries->words; i++) {
        value[i] = key->words[0] ^ bytes;
    }
}

static struct entries *
entries_new(struct bench_settings *settings, uint32_t n_rows)
{
    struct entries *entries = measure_xzalloc(sizeof *entries);

    entries->secret = settings->secret;
    entries->words = settings->entry / 8;
    entries->n_rows = n_rows;
    entries->size = (size_t) n_rows * row_words(entries) * 8;
    if (n_rows) {
        entries->rows = bench_memory(entries->size);
    }
    return entries;
}

static void
entries_clear(void *entries_)
{
    struct entries *entries = entries_;

    memset(entries->rows, 0, entries->size);
}

static size_t
entries_memory(const void *entries_)
{
    const struct entries *entries = entries_;

    return entries->size;
}

static void *
array_create(struct bench_settings *settings, const char **why_not)
{
    (void) why_not;
    return entries_new(settings, CELLS);
}

static void
array_update(void *entries_, const struct bench_key *keys,
             const uint16_t *bytes)
{
    struct entries *entries = entries_;
    uint64_t *rows[BENCH_BURST];

    for (int i = 0; i < BENCH_BURST; i++) {
        rows[i] = home(entries, measure_hash(&entries->secret, keys[i].words,
                                             2));
        prefetch_row(entries, rows[i]);
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        rows[i][0] = keys[i].words[0];
        rows[i][1] = keys[i].words[1];
        count(entries, rows[i] + 2, &keys[i], bytes[i]);
    }
}

static void *
table_create(struct bench_settings *settings, const char **why_not)
{
    (void) why_not;
    return entries_new(settings, 2 * settings->n_flows);
}

static void
table_update(void *entries_, const struct bench_key *keys,
             const uint16_t *bytes)
{
    struct entries *entries = entries_;
    uint64_t *end = entries->rows + entries->size / 8;
    uint64_t *rows[BENCH_BURST];

    for (int i = 0; i < BENCH_BURST; i++) {
        rows[i] = home(entries, measure_hash(&entries->secret, keys[i].words,
                                             2));
        prefetch_row(entries, rows[i]);
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t *row = rows[i];

        while (row[2] && (row[0] != keys[i].words[0]
                          || row[1] != keys[i].words[1])) {
            row += row_words(entries);
            if (row == end) {
                row = entries->rows;
            }
        }
        row[0] = keys[i].words[0];
        row[1] = keys[i].words[1];
        count(entries, row + 2, &keys[i], bytes[i]);
    }
}

static void
table_report(void *entries_, uint64_t threshold,
             bench_report_function *report, void *aux)
{
    struct entries *entries = entries_;

    for (uint32_t i = 0; i < entries->n_rows; i++) {
        uint64_t *row = &entries->rows[i * row_words(entries)];

        if (row[2] >= threshold) {
            struct bench_key key = { { row[0], row[1] } };

            report(aux, &key, row[2]);
        }
    }
}

static void *
pointer_create(struct bench_settings *settings, const char **why_not)
{
    struct entries *entries = entries_new(settings, 0);

    (void) why_not;
    entries->params = (struct measure_table_pointer_params) {
        .layout = MEASURE_NARROW,
        .max_keys = settings->n_flows,
        .value_words = entries->words,
        .secret = &entries->secret,
    };
    entries->size = measure_table_pointer_size(&entries->params);
    entries->rows = bench_memory(entries->size);
    measure_table_pointer_init(&entries->pointer, &entries->params,
                               entries->rows);
    return entries;
}

static void
pointer_clear(void *entries_)
{
    struct entries *entries = entries_;

    entries_clear(entries);
    measure_table_pointer_init(&entries->pointer, &entries->params,
                               entries->rows);
}

static void
pointer_update(void *entries_, const struct bench_key *keys,
               const uint16_t *bytes)
{
    struct entries *entries = entries_;
    uint64_t hashes[BENCH_BURST];

    for (int i = 0; i < BENCH_BURST; i++) {
        hashes[i] = measure_hash(&entries->secret, keys[i].words, 2);
        measure_table_pointer_prefetch(&entries->pointer, MEASURE_NARROW,
                                       hashes[i]);
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t *value = measure_table_pointer_value(&entries->pointer,
                                                      keys[i].words,
                                                      hashes[i]);

        if (value) {
            count(entries, value, &keys[i], bytes[i]);
        }
    }
}

static void
pointer_report(void *entries_, uint64_t threshold,
               bench_report_function *report, void *aux)
{
    struct entries *entries = entries_;

    MEASURE_TABLE_POINTER_FOR_EACH (row, &entries->pointer) {
        const uint64_t *value
            = measure_table_pointer_row_value(&entries->pointer, row);

        if (value[0] >= threshold) {
            struct bench_key key = { { row[0], row[1] } };

            report(aux, &key, value[0]);
        }
    }
}

#define ENTRIES(VARIABLE, LABEL, NAME, CLEAR, REPORT)   \
    const struct bench_contender VARIABLE = {           \
        .name = LABEL,                                  \
        .create = NAME##_create,                        \
        .clear = CLEAR,                                 \
        .update = NAME##_update,                        \
        .report = REPORT,                               \
        .memory = entries_memory,                       \
    }

ENTRIES(bench_entry_array, "entry-array", array, entries_clear, NULL);
ENTRIES(bench_entry_table, "entry-table", table, entries_clear, table_report);
ENTRIES(bench_entry_pointer, "entry-pointer", pointer, pointer_clear,
        pointer_report);
