/* SPDX-License-Identifier: Apache-2.0 */
/* What was tried to make the linear table faster. */

/* What was tried to make the linear table faster: see
 * doc/notes/linear-table.md.  These variants take keys of the home line only,
 * which is nearly all, in their own way, and leave the others to
 * measure_table_add(). */

#include <config.h>

#include "variants.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "structures/measure-table.h"

struct variant {
    struct measure_table table;
    struct measure_hash_secret secret;

    /* The burst that is fetched but not counted yet. */
    bool waiting;
    struct bench_key keys[BENCH_BURST];
    uint64_t hashes[BENCH_BURST];
    uint16_t bytes[BENCH_BURST];
    uint64_t *rows[BENCH_BURST];
};

static void *
variant_create(struct bench_settings *settings, const char **why_not)
{
    struct variant *v = measure_xzalloc(sizeof *v);

    (void) why_not;
    v->secret = settings->secret;
    measure_table_init(&v->table, MEASURE_NARROW,
                       measure_table_lines_for(MEASURE_NARROW,
                                               settings->n_flows
                                               * settings->contender->parameter
                                               + BENCH_BURST),
                       &settings->budget, MEASURE_ANY_NODE);
    return v;
}

static void
variant_clear(void *v_)
{
    struct variant *v = v_;

    measure_table_clear(&v->table);
    v->waiting = false;
}

static size_t
variant_memory(const void *v_)
{
    const struct variant *v = v_;

    return measure_table_size(v->table.n_lines);
}

static void
count_waiting(struct variant *v)
{
    for (int i = 0; v->waiting && i < BENCH_BURST; i++) {
        measure_table_add(&v->table, MEASURE_NARROW, MEASURE_TABLE_MAX_PROBES,
                          v->keys[i].words, v->hashes[i], 1, v->bytes[i]);
    }
    v->waiting = false;
}

static void
variant_report(void *v_, uint64_t threshold, bench_report_function *report,
               void *aux)
{
    struct variant *v = v_;

    count_waiting(v);
    MEASURE_TABLE_FOR_EACH (row, &v->table) {
        if (row[2] >= threshold) {
            struct bench_key key = { { row[0], row[1] } };

            report(aux, &key, row[2]);
        }
    }
}

static inline void
fetch_homes(struct variant *v, const struct bench_key *keys, uint64_t *hashes)
{
    for (int i = 0; i < BENCH_BURST; i++) {
        hashes[i] = measure_hash(&v->secret, keys[i].words, 2);
        measure_table_prefetch(&v->table, hashes[i]);
    }
}

static inline void
find_homes(struct variant *v, const struct bench_key *keys, uint64_t **rows)
{
    for (int i = 0; i < BENCH_BURST; i++) {
        rows[i] = measure_table_home(&v->table,
                                     measure_hash(&v->secret, keys[i].words,
                                                  2));
        __builtin_prefetch(rows[i], 1);
    }
}

static inline void
add(struct variant *v, const struct bench_key *key, uint64_t bytes)
{
    measure_table_add(&v->table, MEASURE_NARROW, MEASURE_TABLE_MAX_PROBES,
                      key->words, measure_hash(&v->secret, key->words, 2), 1,
                      bytes);
}

static inline bool
is_row(const uint64_t *row, const struct bench_key *key)
{
    return !((row[0] ^ key->words[0]) | (row[1] ^ key->words[1])) & !!row[2];
}

/* Returns 'a' if 'condition', else 'b', without a branch. */
static inline uint64_t *
choose(bool condition, uint64_t *a, uint64_t *b)
{
    uintptr_t mask = -(uintptr_t) condition;

    return (uint64_t *) (((uintptr_t) a & mask) | ((uintptr_t) b & ~mask));
}

/* Each packet to its end: the table as it was. */
static void
plain_update(void *v_, const struct bench_key *keys, const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t hashes[BENCH_BURST];

    fetch_homes(v, keys, hashes);
    for (int i = 0; i < BENCH_BURST; i++) {
        measure_table_add(&v->table, MEASURE_NARROW, MEASURE_TABLE_MAX_PROBES,
                          keys[i].words, hashes[i], 1, bytes[i]);
    }
}

/* What is not in the first line of its key is counted after the rest of the
 * burst, while its second line is fetched. */
static void
second_line_update(void *v_, const struct bench_key *keys,
                   const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t hashes[BENCH_BURST];
    uint8_t late[BENCH_BURST];
    int n_late = 0;

    fetch_homes(v, keys, hashes);
    for (int i = 0; i < BENCH_BURST; i++) {
        if (!measure_table_add(&v->table, MEASURE_NARROW, 2, keys[i].words,
                               hashes[i], 1, bytes[i])) {
            __builtin_prefetch(measure_table_home(&v->table, hashes[i]) + 8,
                               1);
            late[n_late++] = i;
        }
    }
    for (int i = 0; i < n_late; i++) {
        add(v, &keys[late[i]], bytes[late[i]]);
    }
}

/* Fetches the lines of a burst, and counts the burst before it. */
static void
next_burst_update(void *v_, const struct bench_key *keys,
                  const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t hashes[BENCH_BURST];

    fetch_homes(v, keys, hashes);
    count_waiting(v);
    memcpy(v->keys, keys, sizeof v->keys);
    memcpy(v->hashes, hashes, sizeof v->hashes);
    memcpy(v->bytes, bytes, sizeof v->bytes);
    v->waiting = true;
}

/* The row of a key, or an empty one, chosen without a branch. */
static void
choose_update(void *v_, const struct bench_key *keys, const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t *rows[BENCH_BURST];
    uint32_t n_new = 0;

    find_homes(v, keys, rows);
    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t *row = rows[i];
        uint64_t packets;

        row = choose(is_row(row, &keys[i]) | !row[2], row, row + 4);
        packets = row[2];
        if (is_row(row, &keys[i]) | !packets) {
            n_new += !packets;
            row[0] = keys[i].words[0];
            row[1] = keys[i].words[1];
            row[2] = packets + 1;
            row[3] += bytes[i];
        } else {
            add(v, &keys[i], bytes[i]);
        }
    }
    v->table.n_used += n_new;
}

/* First the rows of all packets are found, and nothing is written; then they
 * are counted, and at last come those that have no row. */
static void
find_first_update(void *v_, const struct bench_key *keys,
                  const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t *rows[BENCH_BURST], nowhere[4];
    uint8_t late[BENCH_BURST + 1];
    int n_late = 0;

    find_homes(v, keys, rows);
    for (int i = 0; i < BENCH_BURST; i++) {
        bool first = is_row(rows[i], &keys[i]);
        bool second = is_row(rows[i] + 4, &keys[i]);

        rows[i] = choose(second, rows[i] + 4, rows[i]);
        rows[i] = choose(first | second, rows[i], nowhere);
        late[n_late] = i;
        n_late += !(first | second);
    }
    nowhere[2] = nowhere[3] = 0;
    for (int i = 0; i < BENCH_BURST; i++) {
        rows[i][2]++;
        rows[i][3] += bytes[i];
    }
    for (int i = 0; i < n_late; i++) {
        add(v, &keys[late[i]], bytes[late[i]]);
    }
}

/* The first row, or an empty one there; all else afterwards. */
static void
first_row_update(void *v_, const struct bench_key *keys,
                 const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t *rows[BENCH_BURST];
    uint8_t late[BENCH_BURST];
    uint32_t n_new = 0;
    int n_late = 0;

    find_homes(v, keys, rows);
    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t *row = rows[i], packets = row[2];

        if (is_row(row, &keys[i]) | !packets) {
            n_new += !packets;
            row[0] = keys[i].words[0];
            row[1] = keys[i].words[1];
            row[2] = packets + 1;
            row[3] += bytes[i];
        } else {
            late[n_late++] = i;
        }
    }
    v->table.n_used += n_new;
    for (int i = 0; i < n_late; i++) {
        add(v, &keys[late[i]], bytes[late[i]]);
    }
}

/* The floor, used as the linear table is: see linear.h. */
static void
floor_waiting_update(void *v_, const struct bench_key *keys,
                     const uint16_t *bytes)
{
    struct variant *v = v_;

    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t *row = measure_table_home(
            &v->table, measure_hash(&v->secret, keys[i].words, 2));

        __builtin_prefetch(row, 1);
        if (v->waiting) {
            v->rows[i][2]++;
            v->rows[i][3] += v->bytes[i];
        }
        v->rows[i] = row;
        v->bytes[i] = bytes[i];
    }
    v->waiting = true;
}

/* No comparison at all: wrong, and the price of the comparison. */
static void
blind_update(void *v_, const struct bench_key *keys, const uint16_t *bytes)
{
    struct variant *v = v_;
    uint64_t *rows[BENCH_BURST];

    find_homes(v, keys, rows);
    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t *row = rows[i];

        v->table.n_used += !row[2];
        row[0] = keys[i].words[0];
        row[1] = keys[i].words[1];
        row[2]++;
        row[3] += bytes[i];
    }
}

#define VARIANT(VARIABLE, LABEL, NAME, FLOWS)   \
    const struct bench_contender VARIABLE = {   \
        .name = LABEL,                          \
        .create = variant_create,               \
        .clear = variant_clear,                 \
        .update = NAME##_update,                \
        .report = variant_report,               \
        .memory = variant_memory,               \
        .parameter = FLOWS,                     \
    }

VARIANT(bench_variant_plain, "variant-plain", plain, 1);
VARIANT(bench_variant_sparse, "variant-quarter-full", plain, 2);
VARIANT(bench_variant_next_burst, "variant-next-burst", next_burst, 1);
VARIANT(bench_variant_second_line, "variant-second-line", second_line, 1);
const struct bench_contender bench_variant_floor = {
    .name = "variant-floor-waiting",
    .create = variant_create,
    .clear = variant_clear,
    .update = floor_waiting_update,
    .memory = variant_memory,
    .parameter = 1,
};
VARIANT(bench_variant_choose, "variant-choose-row", choose, 1);
VARIANT(bench_variant_find_first, "variant-find-first", find_first, 1);
VARIANT(bench_variant_first_row, "variant-first-row", first_row, 1);
VARIANT(bench_variant_blind, "variant-blind", blind, 1);
