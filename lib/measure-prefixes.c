/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "measure-prefixes.h"

#include <stdlib.h>

#include "measure-heavy-hitters.h"

#define MAX_LEVELS 8

/* The prefixes of one layout. */
struct tree {
    const struct measure_prefixes_question *question;
    const struct measure_hash_secret *secret;
    struct measure_budget budget;
    enum measure_family layout;
    unsigned int n_levels;
    unsigned int step;          /* Bits from one level to the next. */

    /* The addresses, as rows of a table without gaps. */
    uint64_t *rows;
    size_t n_rows;
    size_t allocated;

    /* From the shortest prefix: those that are heavy with all in them, and
     * what was taken out of them. */
    struct measure_table heavy[MAX_LEVELS];
    struct measure_table taken[MAX_LEVELS];
    uint64_t masks[MAX_LEVELS][MEASURE_KEY_WORDS];
};

struct trees {
    struct tree trees[MEASURE_N_FAMILIES];
    uint64_t keys;
    uint64_t packets;
    uint64_t bytes;
};

static void
tree_init(struct tree *tree, const struct measure_prefixes_question *question,
          const struct measure_hash_secret *secret, enum measure_family layout)
{
    memset(tree, 0, sizeof *tree);
    tree->question = question;
    tree->secret = secret;
    tree->layout = layout;
    tree->n_levels = layout == MEASURE_IPV4 ? 4 : MAX_LEVELS;
    tree->step = layout == MEASURE_IPV4 ? 8 : 16;
    for (unsigned int i = 0; i < MAX_LEVELS; i++) {
        tree->heavy[i].family = tree->taken[i].family = layout;
    }
    for (unsigned int i = 0; i < tree->n_levels; i++) {
        struct measure_group group;
        unsigned int bits = (i + 1) * tree->step;

        measure_group_init(&group, question->group->fields, bits, bits);
        memcpy(tree->masks[i],
               layout == MEASURE_IPV4 ? group.narrow : group.wide6,
               sizeof tree->masks[i]);
    }
}

static void
tree_destroy(struct tree *tree)
{
    for (unsigned int i = 0; i < MAX_LEVELS; i++) {
        measure_table_destroy(&tree->heavy[i], &tree->budget);
        measure_table_destroy(&tree->taken[i], &tree->budget);
    }
    free(tree->rows);
}

/* Keeps the addresses that 'table' has. */
static bool
keep_addresses(struct measure_table *table, void *trees_)
{
    struct trees *trees = trees_;
    struct tree *tree = &trees->trees[table->family];
    size_t row_words = measure_row_words(tree->layout);
    size_t n = measure_table_n_used(table);

    trees->keys += n;
    if (tree->n_rows + n > tree->allocated) {
        size_t allocated = tree->allocated * 2 + n;
        void *rows = realloc(tree->rows,
                             allocated * row_words * sizeof *tree->rows);

        if (!rows) {
            return false;
        }
        tree->rows = rows;
        tree->allocated = allocated;
    }
    MEASURE_TABLE_FOR_EACH (row, table) {
        memcpy(&tree->rows[tree->n_rows++ * row_words], row,
               row_words * sizeof *row);
        trees->packets += *measure_row_packets(row, tree->layout);
        trees->bytes += *measure_row_bytes(row, tree->layout);
    }
    return true;
}

static bool
is_heavy(const struct tree *tree, uint64_t packets, uint64_t bytes)
{
    const struct measure_prefixes_question *question = tree->question;

    return measure_is_heavy(question->totals, question->threshold,
                            question->sort, packets, bytes);
}

static void
make_prefix(const struct tree *tree, unsigned int level, const uint64_t *key,
            uint64_t *prefix)
{
    memset(prefix, 0, MEASURE_KEY_WORDS * sizeof *prefix);
    for (unsigned int i = 0; i < measure_key_words(tree->layout); i++) {
        prefix[i] = key[i] & tree->masks[level][i];
    }
}

/* Adds to the row of 'prefix' in 'table'. */
static bool
add_prefix(struct tree *tree, struct measure_table *table,
           const uint64_t *prefix, uint64_t packets, uint64_t bytes)
{
    uint64_t n_more = table->n_used ? 1 : 1024;

    if (!measure_table_reserve(table, n_more, tree->secret, &tree->budget)) {
        return false;
    }
    measure_table_insert(table, tree->secret, prefix, packets, bytes);
    return true;
}

/* Fills heavy[level], and forgets the addresses that are not in it. */
static bool
descend(struct tree *tree, unsigned int level)
{
    size_t row_words = measure_row_words(tree->layout);
    uint64_t *end = tree->rows + tree->n_rows * row_words;
    uint64_t *to = tree->rows;
    struct measure_table all = { .family = tree->layout };
    struct measure_table *heavy = &tree->heavy[level];
    uint64_t prefix[MEASURE_KEY_WORDS];
    bool ok = true;

    for (uint64_t *row = tree->rows; ok && row < end; row += row_words) {
        make_prefix(tree, level, row, prefix);
        ok = add_prefix(tree, &all, prefix,
                        *measure_row_packets(row, tree->layout),
                        *measure_row_bytes(row, tree->layout));
    }
    MEASURE_TABLE_FOR_EACH (row, &all) {
        uint64_t packets = *measure_row_packets(row, tree->layout);
        uint64_t bytes = *measure_row_bytes(row, tree->layout);

        if (ok && is_heavy(tree, packets, bytes)) {
            ok = add_prefix(tree, heavy, row, packets, bytes);
        }
    }
    measure_table_destroy(&all, &tree->budget);

    for (uint64_t *row = tree->rows; ok && row < end; row += row_words) {
        make_prefix(tree, level, row, prefix);
        if (measure_table_find(heavy, tree->secret, prefix)) {
            memmove(to, row, row_words * sizeof *row);
            to += row_words;
        }
    }
    tree->n_rows = (to - tree->rows) / row_words;
    return ok;
}

/* Gives the prefixes in heavy[level] that still are heavy to 'f'. */
static bool
ascend(struct tree *tree, unsigned int level, measure_prefixes_function *f,
       void *aux)
{
    bool ok = true;

    MEASURE_TABLE_FOR_EACH (row, &tree->heavy[level]) {
        struct measure_heavy_prefix p = {
            .layout = tree->layout,
            .bits = (level + 1) * tree->step,
            .all_packets = *measure_row_packets(row, tree->layout),
            .all_bytes = *measure_row_bytes(row, tree->layout),
        };
        uint64_t *taken;

        make_prefix(tree, level, row, p.key);
        taken = measure_table_find(&tree->taken[level], tree->secret, p.key);
        p.packets = p.all_packets;
        p.bytes = p.all_bytes;
        if (taken) {
            p.packets -= *measure_row_packets(taken, tree->layout);
            p.bytes -= *measure_row_bytes(taken, tree->layout);
        }
        if (!ok || !p.packets || !is_heavy(tree, p.packets, p.bytes)) {
            continue;
        }
        ok = f(&p, aux);
        for (unsigned int i = 0; ok && i < level; i++) {
            uint64_t prefix[MEASURE_KEY_WORDS];

            make_prefix(tree, i, p.key, prefix);
            ok = add_prefix(tree, &tree->taken[i], prefix, p.packets,
                            p.bytes);
        }
    }
    return ok;
}

static bool
ask_tree(struct tree *tree, measure_prefixes_function *f, void *aux)
{
    for (unsigned int i = 0; i < tree->n_levels && tree->n_rows; i++) {
        if (!descend(tree, i)) {
            return false;
        }
    }
    for (unsigned int i = tree->n_levels; i-- > 0; ) {
        if (!ascend(tree, i, f, aux)) {
            return false;
        }
    }
    return true;
}

/* Gives each heavy prefix in 'scope' to 'f', and adds to 'keys', 'packets' and
 * 'bytes' those of all addresses.  Returns false if there was no memory, or
 * 'f' said so. */
bool
measure_prefixes_ask(const struct measure_scope *scope,
                     const struct measure_prefixes_question *question,
                     measure_prefixes_function *f, void *aux,
                     uint64_t *keys, uint64_t *packets, uint64_t *bytes)
{
    struct trees trees = { .keys = 0 };
    bool ok;

    if (!scope->n_reports) {
        return true;
    }
    for (int i = 0; i < MEASURE_N_FAMILIES; i++) {
        tree_init(&trees.trees[i], question, scope->reports[0]->secret, i);
    }
    ok = measure_query(scope, question->group, keep_addresses, &trees);
    for (int i = 0; i < MEASURE_N_FAMILIES; i++) {
        ok = ok && ask_tree(&trees.trees[i], f, aux);
        tree_destroy(&trees.trees[i]);
    }
    *keys += trees.keys;
    *packets += trees.packets;
    *bytes += trees.bytes;
    return ok;
}
