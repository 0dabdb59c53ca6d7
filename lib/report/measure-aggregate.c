/* SPDX-License-Identifier: Apache-2.0 */
/* Adds up rows by their group. */

#include <config.h>

#include "report/measure-aggregate.h"

#include "base/measure-base.h"
#include "base/measure-pace.h"

#define MIN_SLOTS 64
#define MIN_ROWS 1024

/* Makes 'aggregate' empty.  measure_aggregate_begin() must follow. */
void
measure_aggregate_init(struct measure_aggregate *aggregate,
                       enum measure_layout layout,
                       const struct measure_hash_secret *secret,
                       struct measure_budget *budget)
{
    memset(aggregate, 0, sizeof *aggregate);
    aggregate->layout = layout;
    aggregate->secret = secret;
    aggregate->budget = budget;
}

void
measure_aggregate_destroy(struct measure_aggregate *aggregate)
{
    measure_memory_give(aggregate->budget, aggregate->rows, aggregate->size,
                        aggregate->lasting);
    measure_memory_give(aggregate->budget, aggregate->slots,
                        aggregate->slots_size, false);
    aggregate->rows = NULL;
    aggregate->slots = NULL;
}

/* Makes the index empty, for up to 'n_rows' rows.  Returns false if there is
 * no memory. */
static bool
make_slots(struct measure_aggregate *aggregate, uint64_t n_rows)
{
    uint64_t n_slots = MIN_SLOTS;
    size_t size;

    while (n_slots < n_rows * 2) {
        n_slots *= 2;
    }
    assert(n_slots <= UINT32_C(1) << 31);
    size = n_slots * sizeof *aggregate->slots;
    if (size > aggregate->slots_size) {
        measure_memory_give(aggregate->budget, aggregate->slots,
                            aggregate->slots_size, false);
        aggregate->slots = NULL;
        aggregate->slots_size = 0;
        if (!aggregate->lasting && !measure_budget_allows(aggregate->budget,
                                                          size)) {
            return false;
        }
        aggregate->slots = measure_memory_take(aggregate->budget, &size,
                                               SIZE_MAX, false);
        if (!aggregate->slots) {
            return false;
        }
        aggregate->slots_size = size;
    }
    aggregate->n_slots = n_slots;
    memset(aggregate->slots, 0, n_slots * sizeof *aggregate->slots);
    return true;
}

/* Forgets the keys of all rows so far, which stay, and makes ready for about
 * 'n_rows' rows.  Returns false if there is no memory, or for an answer not so
 * much. */
bool
measure_aggregate_begin(struct measure_aggregate *aggregate, uint64_t n_rows)
{
    aggregate->first = aggregate->n;
    aggregate->flow = NULL;
    return make_slots(aggregate, n_rows);
}

/* Makes the index larger if 'n_more' groups may be too many for it.  Returns
 * false if there is no memory. */
static bool
grow_slots(struct measure_aggregate *aggregate, size_t n_more)
{
    unsigned int n_words = measure_key_words(aggregate->layout);
    uint64_t n = aggregate->n - aggregate->first + n_more;
    const uint64_t *row;

    if (n * 2 <= aggregate->n_slots) {
        return true;
    }
    if (!make_slots(aggregate, n * 2)) {
        return false;
    }
    row = &aggregate->rows[aggregate->first
                           * measure_row_words(aggregate->layout)];
    for (uint32_t i = aggregate->first; i < aggregate->n; i++) {
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t hash;
        uint32_t slot;

        for (unsigned int j = 0; j < n_words; j++) {
            key[j] = aggregate->flow ? row[j] & aggregate->flow[j] : row[j];
        }
        hash = measure_key_hash(aggregate->secret, aggregate->layout, key);
        slot = (hash >> 32) & (aggregate->n_slots - 1);
        while (aggregate->slots[slot].number) {
            slot = (slot + 1) & (aggregate->n_slots - 1);
        }
        aggregate->slots[slot].tag = hash;
        aggregate->slots[slot].number = i + 1;
        row += measure_row_words(aggregate->layout);
        measure_pace(1);
    }
    return true;
}

/* Makes room for 'n_more' rows, and one more: see measure_table_from_rows().
 * Returns false if there is no memory, or for an answer not so much. */
bool
measure_aggregate_reserve(struct measure_aggregate *aggregate, uint64_t n_more)
{
    size_t row_size = measure_row_words(aggregate->layout) * sizeof(uint64_t);
    size_t used = aggregate->n * row_size;
    size_t size = used + (n_more + 1) * row_size;
    uint64_t *rows;

    if (size <= aggregate->size) {
        return true;
    }
    size += aggregate->size ? used + MIN_ROWS * row_size : 0;
    if (!aggregate->lasting && !measure_budget_allows(aggregate->budget,
                                                      size)) {
        return false;
    }
    rows = measure_memory_take(aggregate->budget, &size,
                               aggregate->lasting ? size + size / 4 : SIZE_MAX,
                               aggregate->lasting);
    if (!rows) {
        return false;
    }
    if (used) {
        memcpy(rows, aggregate->rows, used);
    }
    measure_memory_give(aggregate->budget, aggregate->rows, aggregate->size,
                        aggregate->lasting);
    aggregate->rows = rows;
    aggregate->size = size;
    return true;
}

/* Gives back what the rows take much more than they need, if there is memory
 * to copy them to. */
void
measure_aggregate_fit(struct measure_aggregate *aggregate)
{
    size_t row_size = measure_row_words(aggregate->layout) * sizeof(uint64_t);
    size_t size = (aggregate->n + (size_t) 1) * row_size;
    uint64_t *rows;

    if (aggregate->size <= size + size / 4) {
        return;
    }
    rows = measure_memory_take(aggregate->budget, &size, size + size / 4,
                               aggregate->lasting);
    if (rows) {
        memcpy(rows, aggregate->rows, aggregate->n * row_size);
        measure_memory_give(aggregate->budget, aggregate->rows,
                            aggregate->size, aggregate->lasting);
        aggregate->rows = rows;
        aggregate->size = size;
    }
}

/* Adds up the 'n' 'rows', which are behind the tail or anywhere else, by their
 * keys masked with 'mask' unless that is NULL.  If 'flow', another mask, is
 * not NULL, the hash is that of the key masked with it; returns true if then
 * two different keys were found with the same masked key. */
MEASURE_SPECIALISED bool
take__(struct measure_aggregate *aggregate, enum measure_layout layout,
       const uint64_t *rows, size_t n, const uint64_t *mask,
       enum measure_aggregate_value value, const uint64_t *flow)
{
    unsigned int n_words = measure_key_words(layout);
    size_t row_words = measure_row_words(layout);
    uint64_t *to = measure_aggregate_tail(aggregate);
    uint32_t last_slot = aggregate->n_slots - 1;
    uint64_t keys[MEASURE_AGGREGATE_BATCH][MEASURE_KEY_WORDS];
    uint64_t hashes[MEASURE_AGGREGATE_BATCH];
    uint64_t differ = 0;

    assert(n <= MEASURE_AGGREGATE_BATCH);
    measure_pace(n);
    for (size_t i = 0; i < n; i++) {
        const uint64_t *row = &rows[i * row_words];
        uint64_t hashed[MEASURE_KEY_WORDS];

        for (unsigned int j = 0; j < n_words; j++) {
            keys[i][j] = mask ? row[j] & mask[j] : row[j];
            hashed[j] = flow ? keys[i][j] & flow[j] : keys[i][j];
        }
        hashes[i] = measure_hash(aggregate->secret, hashed, n_words);
        __builtin_prefetch(&aggregate->slots[(hashes[i] >> 32) & last_slot],
                           1);
    }
    for (size_t i = 0; i < n; i++, rows += row_words) {
        bool sum = value == MEASURE_AGGREGATE_SUM;
        uint64_t packets = sum ? rows[n_words] : 1;
        uint64_t bytes = sum ? rows[n_words + 1] : rows[n_words];
        uint32_t slot = (hashes[i] >> 32) & last_slot;
        uint32_t tag = hashes[i];

        for (;;) {
            struct measure_aggregate_slot *s = &aggregate->slots[slot];
            uint64_t *other;

            if (!s->number) {
                s->tag = tag;
                s->number = ++aggregate->n;
                for (unsigned int j = 0; j < n_words; j++) {
                    to[j] = keys[i][j];
                }
                to[n_words] = packets;
                to[n_words + 1] = bytes;
                to += row_words;
                break;
            }
            other = &aggregate->rows[(s->number - 1) * row_words];
            if (s->tag == tag) {
                if (measure_key_equal(other, keys[i], layout)) {
                    other[n_words] += packets;
                    other[n_words + 1] += bytes;
                    break;
                }
                if (flow && !differ) {
                    uint64_t difference = 0;

                    for (unsigned int j = 0; j < n_words; j++) {
                        difference |= (other[j] ^ keys[i][j]) & flow[j];
                    }
                    differ = !difference;
                }
            }
            slot = (slot + 1) & last_slot;
        }
    }
    return differ;
}

/* Adds up the 'n' (up to MEASURE_GROUPS_BATCH) rows at the tail.  Returns
 * false if there is no memory. */
bool
measure_aggregate_take(struct measure_aggregate *aggregate, size_t n)
{
    const uint64_t *rows = measure_aggregate_tail(aggregate);

    if (!grow_slots(aggregate, n)) {
        return false;
    }
    if (aggregate->layout == MEASURE_NARROW) {
        take__(aggregate, MEASURE_NARROW, rows, n, NULL, MEASURE_AGGREGATE_SUM,
               NULL);
    } else {
        take__(aggregate, MEASURE_WIDE, rows, n, NULL, MEASURE_AGGREGATE_SUM,
               NULL);
    }
    return true;
}

MEASURE_SPECIALISED bool
add__(struct measure_aggregate *aggregate, enum measure_layout layout,
      const uint64_t *rows, size_t n, const uint64_t *mask,
      enum measure_aggregate_value value, const uint64_t *flow, bool *differ)
{
    aggregate->flow = flow;
    while (n) {
        size_t n_batch = measure_min(n, MEASURE_AGGREGATE_BATCH);

        if (!measure_aggregate_reserve(aggregate, n_batch)
            || !grow_slots(aggregate, n_batch)) {
            return false;
        }
        if (take__(aggregate, layout, rows, n_batch, mask, value, flow)) {
            *differ = true;
        }
        rows += n_batch * measure_row_words(layout);
        n -= n_batch;
    }
    return true;
}

/* Adds up the 'n' 'rows', which are without gaps.  Returns false if there is
 * no memory, with some rows added. */
bool
measure_aggregate_add(struct measure_aggregate *aggregate,
                      const uint64_t *rows, size_t n)
{
    return (aggregate->layout == MEASURE_NARROW
            ? add__(aggregate, MEASURE_NARROW, rows, n, NULL,
                    MEASURE_AGGREGATE_SUM, NULL, NULL)
            : add__(aggregate, MEASURE_WIDE, rows, n, NULL,
                    MEASURE_AGGREGATE_SUM, NULL, NULL));
}

/* Like measure_aggregate_add().  Sets '*differ' to true if it has seen two
 * groups of one flow: all must be added by this function then. */
bool
measure_aggregate_add_flows(struct measure_aggregate *aggregate,
                            const uint64_t *rows, size_t n, bool *differ)
{
    enum measure_layout layout = aggregate->layout;
    const uint64_t *mask = measure_masks[MEASURE_KIND_FLOW].words[layout];

    return (layout == MEASURE_NARROW
            ? add__(aggregate, MEASURE_NARROW, rows, n, NULL,
                    MEASURE_AGGREGATE_SUM, mask, differ)
            : add__(aggregate, MEASURE_WIDE, rows, n, NULL,
                    MEASURE_AGGREGATE_SUM, mask, differ));
}

MEASURE_SPECIALISED bool
add_masked__(struct measure_aggregate *aggregate, const uint64_t *rows,
             size_t n,
             const uint64_t *mask, enum measure_aggregate_value value)
{
    return (aggregate->layout == MEASURE_NARROW
            ? add__(aggregate, MEASURE_NARROW, rows, n, mask, value, NULL,
                    NULL)
            : add__(aggregate, MEASURE_WIDE, rows, n, mask, value, NULL,
                    NULL));
}

/* Adds up the 'n' 'rows', which are without gaps, by their keys masked with
 * 'mask'.  Returns false if there is no memory, with some rows added. */
bool
measure_aggregate_add_masked(struct measure_aggregate *aggregate,
                             const uint64_t *rows,
                             size_t n, const uint64_t *mask,
                             enum measure_aggregate_value value)
{
    return (value == MEASURE_AGGREGATE_SUM
            ? add_masked__(aggregate, rows, n, mask, MEASURE_AGGREGATE_SUM)
            : add_masked__(aggregate, rows, n, mask, MEASURE_AGGREGATE_COUNT));
}

/* Returns the row of 'key', or NULL if there is none. */
uint64_t *
measure_aggregate_find(const struct measure_aggregate *aggregate,
                       const uint64_t *key)
{
    uint64_t hash = measure_key_hash(aggregate->secret, aggregate->layout,
                                     key);
    uint32_t slot = (hash >> 32) & (aggregate->n_slots - 1);
    size_t row_words = measure_row_words(aggregate->layout);

    for (;;) {
        const struct measure_aggregate_slot *s = &aggregate->slots[slot];
        uint64_t *row;

        if (!s->number) {
            return NULL;
        }
        row = &aggregate->rows[(s->number - 1) * row_words];
        if (s->tag == (uint32_t) hash
            && measure_key_equal(row, key, aggregate->layout)) {
            return row;
        }
        slot = (slot + 1) & (aggregate->n_slots - 1);
    }
}

/* Makes 'table', only to be gone through, of the groups, which may not change
 * meanwhile. */
void
measure_aggregate_view(struct measure_aggregate *aggregate,
                       struct measure_table *table)
{
    measure_table_from_rows(table, aggregate->layout, aggregate->rows,
                            aggregate->n);
}
