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

#include "measure-heavy-hitters.h"

#define MAX_LEVELS 8
#define ENOUGH_ADDRESSES (UINT64_C(1) << 20)    /* To make room for at once. */

/* The prefixes of one layout. */
struct tree {
    const struct measure_prefixes_question *question;
    const struct measure_hash_secret *secret;
    struct measure_budget budget;
    enum measure_family layout;
    unsigned int n_levels;
    unsigned int step;          /* Bits from one level to the next. */

    /* The addresses, and for one level at a time all prefixes. */
    struct measure_groups addresses;
    struct measure_groups all;

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
          const struct measure_report *report, enum measure_family layout)
{
    memset(tree, 0, sizeof *tree);
    tree->question = question;
    tree->secret = report->secret;
    tree->layout = layout;
    measure_groups_init(&tree->addresses, layout, report->secret,
                        report->budget);
    measure_groups_init(&tree->all, layout, report->secret, report->budget);
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
    measure_groups_destroy(&tree->addresses);
    measure_groups_destroy(&tree->all);
}

/* Keeps the addresses that 'table' has. */
static bool
keep_addresses(const struct measure_table *table, void *trees_)
{
    struct trees *trees = trees_;
    struct tree *tree = &trees->trees[table->family];
    size_t row_words = measure_row_words(tree->layout);
    size_t n = measure_table_n_used(table);

    trees->keys += n;
    if (!measure_groups_reserve(&tree->addresses, n)) {
        return false;
    }
    MEASURE_ROWS_FOR_EACH (row, table) {
        memcpy(measure_groups_tail(&tree->addresses), row,
               row_words * sizeof *row);
        tree->addresses.n++;
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

/* Adds up all prefixes of 'level'.  Returns false if there is no memory. */
static bool
add_up(struct tree *tree, unsigned int level)
{
    const struct measure_groups *addresses = &tree->addresses;
    uint64_t n_all;

    /* There are no more prefixes than of so many bits. */
    n_all = (level + 1) * tree->step;
    n_all = n_all < 32 ? UINT64_C(1) << n_all : UINT32_MAX;
    tree->all.n = 0;
    return (measure_groups_begin(&tree->all, (addresses->n < n_all
                                              ? addresses->n : n_all))
            && measure_groups_add_masked(&tree->all, addresses->rows,
                                         addresses->n, tree->masks[level],
                                         MEASURE_GROUPS_SUM));
}

/* Fills heavy[level], and forgets the addresses that are not in it. */
static bool
descend(struct tree *tree, unsigned int level)
{
    size_t row_words = measure_row_words(tree->layout);
    struct measure_groups *addresses = &tree->addresses;
    uint64_t *to = addresses->rows;
    struct measure_table *heavy = &tree->heavy[level];
    struct measure_table all;
    uint32_t n = 0;

    if (!add_up(tree, level)) {
        return false;
    }
    measure_groups_view(&tree->all, &all);
    MEASURE_ROWS_FOR_EACH (row, &all) {
        uint64_t packets = *measure_row_packets(row, tree->layout);
        uint64_t bytes = *measure_row_bytes(row, tree->layout);

        if (is_heavy(tree, packets, bytes)
            && !add_prefix(tree, heavy, row, packets, bytes)) {
            return false;
        }
    }

    if (heavy->n_used == tree->all.n) {
        return true;
    }
    for (uint32_t i = 0; heavy->n_used && i < addresses->n; i++) {
        uint64_t *row = &addresses->rows[i * row_words];
        uint64_t prefix[MEASURE_KEY_WORDS];

        make_prefix(tree, level, row, prefix);
        if (measure_table_find(heavy, tree->secret, prefix)) {
            memmove(to, row, row_words * sizeof *row);
            to += row_words;
            n++;
        }
    }
    addresses->n = n;
    return true;
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
    for (unsigned int i = 0; i < tree->n_levels && tree->addresses.n; i++) {
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
        tree_init(&trees.trees[i], question, scope->reports[0], i);
    }
    /* As many addresses as rows at most, which is often little enough. */
    ok = measure_groups_reserve(&trees.trees[MEASURE_IPV4].addresses,
                                measure_scope_rows(scope, ENOUGH_ADDRESSES));
    ok = ok && measure_query(scope, question->group, keep_addresses, &trees);
    for (int i = 0; i < MEASURE_N_FAMILIES; i++) {
        ok = ok && ask_tree(&trees.trees[i], f, aux);
        tree_destroy(&trees.trees[i]);
    }
    *keys += trees.keys;
    *packets += trees.packets;
    *bytes += trees.bytes;
    return ok;
}
