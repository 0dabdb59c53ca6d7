/* SPDX-License-Identifier: Apache-2.0 */
/* The question for hierarchical heavy hitters. */

#include <config.h>

#include "questions/measure-hierarchy.h"

#include "base/measure-pace.h"
#include "questions/measure-threshold.h"

#define MAX_LEVELS 8
#define ENOUGH_ADDRESSES (UINT64_C(1) << 20)    /* To make room for at once. */
#define FEW_ROWS 32             /* Sorted by insertion. */

struct sum {
    uint64_t packets;
    uint64_t bytes;
};

/* What is known of the prefix of one length that the addresses just looked at
 * have. */
struct level {
    uint64_t mask[MEASURE_KEY_WORDS];
    unsigned int bits;
    struct sum all;             /* Counted in it... */
    struct sum least;           /* ...but not in listed ones within it... */
    struct sum most;            /* ...or in those that are surely heavy. */
};

/* The addresses of one layout, and their prefixes. */
struct tree {
    const struct measure_hierarchy_question *question;
    struct sum overflow;
    enum measure_layout layout;
    size_t offset;              /* Of the address in a row, and its size. */
    size_t size;
    struct measure_aggregate addresses;
    size_t n_levels;
    struct level levels[MAX_LEVELS];    /* From the shortest prefix. */
};

struct trees {
    struct tree trees[MEASURE_N_LAYOUTS];
    uint64_t keys;
    struct sum all;
};

static void
sum_add(struct sum *to, const struct sum *sum)
{
    to->packets += sum->packets;
    to->bytes += sum->bytes;
}

static struct sum
row_sum(const struct tree *tree, const uint64_t *row)
{
    unsigned int n_words = measure_key_words(tree->layout);

    return (struct sum) { row[n_words], row[n_words + 1] };
}

static const uint8_t *
row_address(const struct tree *tree, const uint64_t *row)
{
    return (const uint8_t *) row + tree->offset;
}

static void
tree_init(struct tree *tree, const struct measure_hierarchy_question *question,
          const struct measure_scope *scope, enum measure_layout layout)
{
    const struct measure_counters *counters = &question->totals->counters;
    bool source = question->group_by->fields & MEASURE_FIELD_SOURCE;
    unsigned int step = layout == MEASURE_NARROW ? 8 : 16;

    memset(tree, 0, sizeof *tree);
    tree->question = question;
    tree->overflow.packets = counters->overflow_packets;
    tree->overflow.bytes = counters->overflow_bytes;
    tree->layout = layout;
    tree->size = layout == MEASURE_NARROW ? 4 : 16;
    tree->offset = source ? 0 : tree->size;
    measure_aggregate_init(&tree->addresses, layout, scope->reports[0]->secret,
                           scope->reports[scope->n_reports - 1]->budget);
    tree->n_levels = tree->size * 8 / step;
    for (size_t i = 0; i < tree->n_levels; i++) {
        struct level *level = &tree->levels[i];
        struct measure_group_by group_by;

        level->bits = (i + 1) * step;
        measure_group_by_init(&group_by, question->group_by->fields,
                              level->bits, level->bits);
        memcpy(level->mask,
               layout == MEASURE_NARROW ? group_by.narrow : group_by.wide6,
               sizeof level->mask);
    }
}

/* Keeps the addresses that 'table' has. */
static bool
keep_addresses(const struct measure_table *table, void *trees_)
{
    struct trees *trees = trees_;
    struct tree *tree = &trees->trees[table->layout];
    size_t row_words = measure_row_words(tree->layout);
    size_t n = measure_table_n_used(table);

    trees->keys += n;
    if (!measure_aggregate_reserve(&tree->addresses, n)) {
        return false;
    }
    MEASURE_ROWS_FOR_EACH (row, table) {
        struct sum sum = row_sum(tree, row);

        memcpy(measure_aggregate_tail(&tree->addresses), row,
               row_words * sizeof *row);
        tree->addresses.n++;
        sum_add(&trees->all, &sum);
    }
    return true;
}

/* Returns true if 'sum', and with it 'overflow', is heavy. */
static bool
is_heavy(const struct tree *tree, struct sum sum, struct sum overflow)
{
    const struct measure_hierarchy_question *question = tree->question;

    sum_add(&sum, &overflow);
    return measure_is_heavy(question->totals, question->threshold,
                            question->sort, sum.packets, sum.bytes);
}

/* Sorting. */

static void
swap_rows(uint64_t *a, uint64_t *b, size_t row_words)
{
    for (size_t i = 0; i < row_words; i++) {
        uint64_t word = a[i];

        a[i] = b[i];
        b[i] = word;
    }
}

static void
sort_few(const struct tree *tree, uint64_t *rows, size_t n)
{
    size_t row_words = measure_row_words(tree->layout);

    for (size_t i = 1; i < n; i++) {
        for (size_t j = i; j; j--) {
            uint64_t *row = &rows[j * row_words];

            if (memcmp(row_address(tree, row - row_words),
                       row_address(tree, row), tree->size) <= 0) {
                break;
            }
            swap_rows(row - row_words, row, row_words);
            measure_pace(1);
        }
    }
}

/* Moves the 'n' 'rows' such that they are in the order of the byte 'at' of
 * their addresses: those with byte 'b' end before 'end[b]'. */
static void
sort_by_byte(const struct tree *tree, uint64_t *rows, size_t n, size_t at,
             uint32_t end[256])
{
    size_t row_words = measure_row_words(tree->layout);
    uint32_t next[256];
    uint32_t sum = 0;

    memset(end, 0, 256 * sizeof *end);
    for (size_t i = 0; i < n; i++) {
        end[row_address(tree, &rows[i * row_words])[at]]++;
    }
    measure_pace(n);
    for (int b = 0; b < 256; b++) {
        next[b] = sum;
        end[b] = sum += end[b];
    }

    /* Each swap brings a row to its place. */
    for (int b = 0; b < 256; b++) {
        while (next[b] < end[b]) {
            uint64_t *row = &rows[next[b] * row_words];
            uint8_t byte = row_address(tree, row)[at];

            if (byte != b) {
                swap_rows(row, &rows[next[byte] * row_words], row_words);
            }
            next[byte]++;
        }
    }
    measure_pace(n);
}

/* Returns true if no prefix that has only some of the 'n' 'rows' can be
 * listed. */
static bool
all_light(const struct tree *tree, const uint64_t *rows, size_t n)
{
    size_t row_words = measure_row_words(tree->layout);
    struct sum all = { 0, 0 };

    for (size_t i = 0; i < n; i++) {
        struct sum sum = row_sum(tree, &rows[i * row_words]);

        sum_add(&all, &sum);
    }
    measure_pace(n);
    return !is_heavy(tree, all, tree->overflow);
}

/* Sorts the 'n' 'rows' by their addresses, whose bytes before 'at' are equal,
 * but leaves those as they are that have no prefix to be listed. */
static void
sort(const struct tree *tree, uint64_t *rows, size_t n, size_t at)
{
    size_t row_words = measure_row_words(tree->layout);
    uint32_t end[256];
    uint32_t begin = 0;

    if (n <= FEW_ROWS) {
        sort_few(tree, rows, n);
        return;
    }
    if (at == tree->size || all_light(tree, rows, n)) {
        return;
    }
    sort_by_byte(tree, rows, n, at, end);
    for (int b = 0; b < 256; b++) {
        if (begin < end[b]) {
            sort(tree, &rows[begin * row_words], end[b] - begin, at + 1);
            begin = end[b];
        }
    }
}

/* Prefixes. */

/* Returns how many prefixes the addresses of 'a' and 'b' have in common. */
static size_t
common_levels(const struct tree *tree, const uint64_t *a, const uint64_t *b)
{
    const uint8_t *address_a = row_address(tree, a);
    const uint8_t *address_b = row_address(tree, b);
    size_t n = 0;

    while (n < tree->size && address_a[n] == address_b[n]) {
        n++;
    }
    return n * tree->n_levels / tree->size;
}

/* Gives the 'i'th prefix of 'row', whose last address that is, to 'f' if it is
 * to be listed, and adds what it leaves to the prefix around it. */
static bool
end_prefix(struct tree *tree, size_t i, const uint64_t *row,
           measure_hierarchy_function *f, void *aux)
{
    static const struct sum nothing;
    struct level *level = &tree->levels[i];
    bool ok = true;

    if (level->most.packets + tree->overflow.packets
        && is_heavy(tree, level->most, tree->overflow)) {
        struct measure_heavy_prefix p = {
            .layout = tree->layout,
            .bits = level->bits,
            .packets = level->least.packets,
            .bytes = level->least.bytes,
            .max_packets = level->most.packets + tree->overflow.packets,
            .max_bytes = level->most.bytes + tree->overflow.bytes,
            .all_packets = level->all.packets,
            .all_bytes = level->all.bytes,
            .heavy = is_heavy(tree, level->least, nothing),
        };

        for (unsigned int j = 0; j < measure_key_words(tree->layout); j++) {
            p.key[j] = row[j] & level->mask[j];
        }
        ok = f(&p, aux);
        level->least = nothing;
        if (p.heavy) {
            level->most = nothing;
        }
    }
    if (i) {
        sum_add(&level[-1].all, &level->all);
        sum_add(&level[-1].least, &level->least);
        sum_add(&level[-1].most, &level->most);
    }
    level->all = level->least = level->most = nothing;
    return ok;
}

static bool
ask_tree(struct tree *tree, measure_hierarchy_function *f, void *aux)
{
    size_t row_words = measure_row_words(tree->layout);
    struct level *longest = &tree->levels[tree->n_levels - 1];
    const uint64_t *row = tree->addresses.rows;

    sort(tree, tree->addresses.rows, tree->addresses.n, 0);
    for (uint32_t left = tree->addresses.n; left; left--, row += row_words) {
        struct sum sum = row_sum(tree, row);
        size_t common = (left > 1 ? common_levels(tree, row, row + row_words)
                         : 0);

        sum_add(&longest->all, &sum);
        sum_add(&longest->least, &sum);
        sum_add(&longest->most, &sum);
        for (size_t i = tree->n_levels; i-- > common; ) {
            if (!end_prefix(tree, i, row, f, aux)) {
                return false;
            }
        }
        measure_pace(1);
    }
    return true;
}

/* Gives each prefix in 'scope' that is heavy, or may be, to 'f', and adds to
 * 'keys', 'packets' and 'bytes' those of all addresses.  Returns false if
 * there was no memory, or 'f' said so. */
bool
measure_hierarchy_ask(const struct measure_scope *scope,
                      const struct measure_hierarchy_question *question,
                      measure_hierarchy_function *f, void *aux,
                      uint64_t *keys, uint64_t *packets, uint64_t *bytes)
{
    struct trees trees = { .keys = 0 };
    bool ok;

    if (!scope->n_reports) {
        return true;
    }
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        tree_init(&trees.trees[i], question, scope, i);
    }
    /* As many addresses as rows at most, which is often little enough. */
    ok = measure_aggregate_reserve(&trees.trees[MEASURE_NARROW].addresses,
                                   measure_scope_rows(scope,
                                                      ENOUGH_ADDRESSES));
    ok = ok && measure_query(scope, question->group_by, keep_addresses,
                             &trees);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        ok = ok && ask_tree(&trees.trees[i], f, aux);
        measure_aggregate_destroy(&trees.trees[i].addresses);
    }
    *keys += trees.keys;
    *packets += trees.all.packets;
    *bytes += trees.all.bytes;
    return ok;
}
