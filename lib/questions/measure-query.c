/* SPDX-License-Identifier: Apache-2.0 */
/* Groups all rows in the scope of a question. */

#include <config.h>

#include "questions/measure-query.h"

#include <stdlib.h>

#include "base/measure-base.h"
#include "report/measure-partition.h"

/* Rows on their way to the partitions: one of each hash, to which the next
 * ones of the same key are added. */
#define WAITING_ROWS 1024
#define WAITING_TRIAL 8192      /* Rows after which to see if that pays. */

struct waiting {
    bool on;
    uint32_t n_tried;
    uint32_t n_added;           /* Of these, to one that waited. */
    uint64_t rows[WAITING_ROWS][MEASURE_KEY_WORDS + 2];
};

/* One query. */
struct query {
    const struct measure_scope *scope;
    const struct measure_group_by *group_by;
    const struct measure_group_by *whole;
    const struct measure_hash_secret *secret;
    struct measure_budget *budget;
    const struct measure_cached_groups *base;    /* In place of the report. */
    const struct measure_group_by *together;    /* Of the groups, see below. */
    bool count_wholes;
    uint64_t min_packets;       /* Of a whole. */

    /* The rows of all parts, if those of the reports do not do. */
    bool split;
    uint32_t n_parts;
    uint64_t n_rows;            /* Of all parts. */
    struct measure_partitions partitions[MEASURE_N_LAYOUTS];
    struct waiting *waiting[MEASURE_N_LAYOUTS];

    /* Of one part.  One that is large, because a whole has many rows, is gone
     * through in several passes: each takes the rows whose hash, of the fields
     * of 'together', is its own, lest the groups take much memory. */
    uint32_t n_passes;          /* A power of 2. */
    uint32_t pass;
    struct measure_aggregate aggregate[MEASURE_N_LAYOUTS];
    struct measure_aggregate wholes[MEASURE_N_LAYOUTS];
};

#define MAX_PASSES 16
#define PASS_SHIFT 16           /* Of the hash: other bits than partitions. */

static const uint64_t *
whole_mask(const struct query *q, enum measure_layout layout)
{
    return (layout == MEASURE_NARROW ? q->whole->narrow : q->whole->wide6);
}

/* Splitting. */

MEASURE_SPECIALISED void
split_row(struct query *q, enum measure_layout layout, const uint64_t *row)
{
    const uint64_t *mask = whole_mask(q, layout);
    unsigned int n_words = measure_key_words(layout);
    uint64_t key[MEASURE_KEY_WORDS];

    for (unsigned int i = 0; i < n_words; i++) {
        key[i] = row[i] & mask[i];
    }
    measure_partitions_add(&q->partitions[layout], layout,
                           measure_key_hash(q->secret, layout, key), row,
                           row[n_words], row[n_words + 1]);
}

MEASURE_SPECIALISED void
stop_waiting(struct query *q, enum measure_layout layout)
{
    struct waiting *waiting = q->waiting[layout];

    for (int i = 0; i < WAITING_ROWS; i++) {
        if (waiting->rows[i][measure_key_words(layout)]) {
            split_row(q, layout, waiting->rows[i]);
        }
    }
    waiting->on = false;
}

MEASURE_SPECIALISED void
wait_for_others(struct query *q, enum measure_layout layout,
                const uint64_t *row)
{
    unsigned int n_words = measure_key_words(layout);
    struct waiting *waiting = q->waiting[layout];
    uint64_t hash = measure_key_hash(q->secret, layout, row);
    uint64_t *other = waiting->rows[(hash >> 32) % WAITING_ROWS];

    if (other[n_words] && measure_key_equal(other, row, layout)) {
        other[n_words] += row[n_words];
        other[n_words + 1] += row[n_words + 1];
        waiting->n_added++;
    } else {
        if (other[n_words]) {
            split_row(q, layout, other);
        }
        for (unsigned int i = 0; i < n_words + 2; i++) {
            other[i] = row[i];
        }
    }
    if (++waiting->n_tried == WAITING_TRIAL
        && waiting->n_added < WAITING_TRIAL / 2) {
        stop_waiting(q, layout);
    }
}

MEASURE_SPECIALISED void
split_table__(struct query *q, enum measure_layout layout,
              const struct measure_table *table)
{
    const struct measure_filter *filter = q->scope->filter;

    MEASURE_TABLE_FOR_EACH (key, table) {
        uint64_t row[MEASURE_KEY_WORDS + 2];
        enum measure_layout to;

        if (filter && !measure_filter_matches(filter, layout, key)) {
            continue;
        }
        to = measure_group_by_key(q->group_by, layout, key, row);
        row[measure_key_words(to)] = *measure_row_packets(key, layout);
        row[measure_key_words(to) + 1] = *measure_row_bytes(key, layout);
        if (to == MEASURE_NARROW) {
            if (q->waiting[MEASURE_NARROW]->on) {
                wait_for_others(q, MEASURE_NARROW, row);
            } else {
                split_row(q, MEASURE_NARROW, row);
            }
        } else {
            if (q->waiting[MEASURE_WIDE]->on) {
                wait_for_others(q, MEASURE_WIDE, row);
            } else {
                split_row(q, MEASURE_WIDE, row);
            }
        }
    }
}

/* Returns the tables of 'thread', or what 'q' has in place of them. */
static const struct measure_table *
thread_tables(const struct query *q,
              const struct measure_scope_thread *thread)
{
    return q->base ? q->base->tables : thread->tables;
}

/* Writes all rows in the scope to partitions.  Returns false if there is no
 * memory. */
static bool
split_scope(struct query *q)
{
    uint64_t n_rows[MEASURE_N_LAYOUTS] = { 0, 0 };

    MEASURE_SCOPE_FOR_EACH_THREAD (thread, q->scope) {
        const struct measure_table *tables = thread_tables(q, &thread);

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            n_rows[layout] += measure_table_n_used(&tables[layout]);
        }
    }
    /* Some wide rows may have narrow groups. */
    n_rows[MEASURE_NARROW] += n_rows[MEASURE_WIDE];
    q->n_parts = measure_partitions_for(n_rows[MEASURE_NARROW]);
    if (!measure_budget_allows(q->budget,
                               measure_partitions_bytes(MEASURE_NARROW,
                                                        n_rows[MEASURE_NARROW],
                                                        q->n_parts)
                               + measure_partitions_bytes(
                                   MEASURE_WIDE, n_rows[MEASURE_WIDE],
                                   q->n_parts))) {
        q->n_parts = 0;
        return false;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        q->waiting[layout] = measure_xzalloc(sizeof *q->waiting[layout]);
        q->waiting[layout]->on = true;
        if (!measure_partitions_init(&q->partitions[layout], layout,
                                     n_rows[layout], q->n_parts, q->budget)) {
            return false;
        }
    }
    MEASURE_SCOPE_FOR_EACH_THREAD (thread, q->scope) {
        const struct measure_table *tables = thread_tables(q, &thread);

        split_table__(q, MEASURE_NARROW, &tables[MEASURE_NARROW]);
        split_table__(q, MEASURE_WIDE, &tables[MEASURE_WIDE]);
    }
    if (q->waiting[MEASURE_NARROW]->on) {
        stop_waiting(q, MEASURE_NARROW);
    }
    if (q->waiting[MEASURE_WIDE]->on) {
        stop_waiting(q, MEASURE_WIDE);
    }
    return true;
}

/* The rows of one part. */

/* What is made of the rows of a part. */
struct loading {
    const struct measure_group_by *group_by;
    struct measure_aggregate *aggregate;    /* Of each layout. */
    bool heavy_only;            /* Only rows of wholes that are heavy... */
    bool one_pass;              /* ...and only those of the pass. */
};

/* Makes 'aggregate' ready for up to 'n_rows' rows of another part, or of a
 * pass of a large one, which may have few groups.  Returns false if there is
 * no memory. */
static bool
begin_part(const struct query *q, struct measure_aggregate *aggregate,
           uint64_t n_rows)
{
    if (!aggregate->lasting) {
        aggregate->n = 0;
    }
    return measure_aggregate_begin(aggregate, q->n_passes > 1 ? 0 : n_rows);
}

/* Returns true if a row of the group 'key' is for the pass that is made. */
static inline bool
is_of_pass(const struct query *q, enum measure_layout layout,
           const uint64_t *key)
{
    const uint64_t *mask = (layout == MEASURE_NARROW ? q->together->narrow
                            : q->together->wide6);
    unsigned int n_words = measure_key_words(layout);
    uint64_t masked[MEASURE_KEY_WORDS];

    for (unsigned int i = 0; i < n_words; i++) {
        masked[i] = key[i] & mask[i];
    }
    return (((measure_key_hash(q->secret, layout, masked) >> PASS_SHIFT)
             & (q->n_passes - 1)) == q->pass);
}

static inline bool
is_heavy(const struct query *q, enum measure_layout layout,
         const uint64_t *key)
{
    const uint64_t *mask = whole_mask(q, layout);
    unsigned int n_words = measure_key_words(layout);
    uint64_t whole[MEASURE_KEY_WORDS];

    for (unsigned int i = 0; i < n_words; i++) {
        whole[i] = key[i] & mask[i];
    }
    return (measure_aggregate_find(&q->wholes[layout], whole)[n_words]
            >= q->min_packets);
}

/* Adds up the 'n' (up to MEASURE_GROUPS_BATCH) 'rows' of a report. */
MEASURE_SPECIALISED bool
load_rows__(struct query *q, const struct loading *l,
            enum measure_layout layout, const uint64_t *rows, size_t n)
{
    const struct measure_filter *filter = q->scope->filter;
    size_t n_new[MEASURE_N_LAYOUTS] = { 0, 0 };

    if (!measure_aggregate_reserve(&l->aggregate[layout], n)
        || (layout == MEASURE_WIDE
            && !measure_aggregate_reserve(&l->aggregate[MEASURE_NARROW], n))) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const uint64_t *key = &rows[i * measure_row_words(layout)];
        uint64_t group[MEASURE_KEY_WORDS];
        enum measure_layout to;
        uint64_t *row;

        if (filter && !measure_filter_matches(filter, layout, key)) {
            continue;
        }
        to = measure_group_by_key(l->group_by, layout, key, group);
        if (l->heavy_only && !is_heavy(q, to, group)) {
            continue;
        }
        if (l->one_pass && !is_of_pass(q, to, group)) {
            continue;
        }
        row = (measure_aggregate_tail(&l->aggregate[to])
               + n_new[to]++ * measure_row_words(to));
        for (unsigned int j = 0; j < measure_key_words(to); j++) {
            row[j] = group[j];
        }
        row[measure_key_words(to)] = key[measure_key_words(layout)];
        row[measure_key_words(to) + 1] = key[measure_key_words(layout) + 1];
    }
    return (measure_aggregate_take(&l->aggregate[MEASURE_NARROW],
                                   n_new[MEASURE_NARROW])
            && (layout == MEASURE_NARROW
                || measure_aggregate_take(&l->aggregate[MEASURE_WIDE],
                                          n_new[MEASURE_WIDE])));
}

/* Adds up the rows 'i' to 'end' - 1 of 'table'. */
MEASURE_SPECIALISED bool
load_table__(struct query *q, const struct loading *l,
             enum measure_layout layout, const struct measure_table *table,
             uint32_t i, uint32_t end)
{
    const uint64_t *rows = &table->rows[i * measure_row_words(layout)];

    if (layout == MEASURE_NARROW && !q->scope->filter && !l->heavy_only
        && !l->one_pass) {
        return measure_aggregate_add_masked(&l->aggregate[layout], rows,
                                            end - i, l->group_by->narrow,
                                            MEASURE_AGGREGATE_SUM);
    }
    while (i < end) {
        uint32_t n = (end - i < MEASURE_AGGREGATE_BATCH
                      ? end - i : MEASURE_AGGREGATE_BATCH);

        if (!load_rows__(q, l, layout, rows, n)) {
            return false;
        }
        rows += n * measure_row_words(layout);
        i += n;
    }
    return true;
}

/* Counts in 'n_rows', for each layout, the rows of the parts from 'i' up to
 * 'end', without that one, and returns their sum. */
static uint64_t
count_rows(const struct query *q, uint32_t i, uint32_t end,
           uint64_t n_rows[MEASURE_N_LAYOUTS])
{
    const struct measure_scope *scope = q->scope;

    n_rows[MEASURE_NARROW] = n_rows[MEASURE_WIDE] = 0;
    if (q->split) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            for (uint32_t j = i; j < end; j++) {
                n_rows[layout]
                    += measure_partition_n_rows(&q->partitions[layout], j);
            }
        }
        return n_rows[MEASURE_NARROW] + n_rows[MEASURE_WIDE];
    }
    for (size_t j = 0; j < scope->n_reports; j++) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            const uint32_t *parts = (q->base ? q->base->parts[layout]
                                     : scope->reports[j]->parts[layout]);

            n_rows[layout] += parts[end] - parts[i];
        }
    }
    return n_rows[MEASURE_NARROW] + n_rows[MEASURE_WIDE];
}

/* Makes the groups of part 'i' of the reports as they are.  Returns false if
 * there is no memory. */
static bool
load_reports_part(struct query *q, const struct loading *l, uint32_t i)
{
    const struct measure_scope *scope = q->scope;
    uint64_t n_rows[MEASURE_N_LAYOUTS];

    /* Some wide rows may have narrow groups. */
    n_rows[MEASURE_NARROW] = count_rows(q, i, i + 1, n_rows);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (!begin_part(q, &l->aggregate[layout], n_rows[layout])) {
            return false;
        }
    }
    for (size_t j = 0; j < scope->n_reports; j++) {
        const struct measure_report *report = scope->reports[j];
        const struct measure_table *tables = (q->base ? q->base->tables
                                              : report->tables);
        uint32_t *const *parts = (q->base ? q->base->parts : report->parts);

        if (!load_table__(q, l, MEASURE_NARROW, &tables[MEASURE_NARROW],
                          parts[MEASURE_NARROW][i],
                          parts[MEASURE_NARROW][i + 1])
            || !load_table__(q, l, MEASURE_WIDE, &tables[MEASURE_WIDE],
                             parts[MEASURE_WIDE][i],
                             parts[MEASURE_WIDE][i + 1])) {
            return false;
        }
    }
    return true;
}

/* Adds up the 'n' (up to MEASURE_GROUPS_BATCH) 'rows' of a partition, which
 * has groups.  Returns false if there is no memory. */
MEASURE_SPECIALISED bool
load_chunk__(struct query *q, const struct loading *l,
             enum measure_layout layout, const uint64_t *rows, size_t n)
{
    struct measure_aggregate *aggregate = &l->aggregate[layout];
    size_t row_words = measure_row_words(layout);
    size_t n_new = 0;
    uint64_t *to;

    if (!l->heavy_only && !l->one_pass) {
        return (l->group_by == q->group_by
                ? measure_aggregate_add(aggregate, rows, n)
                : measure_aggregate_add_masked(aggregate, rows, n,
                                               whole_mask(q, layout),
                                               MEASURE_AGGREGATE_SUM));
    }
    if (!measure_aggregate_reserve(aggregate, n)) {
        return false;
    }
    to = measure_aggregate_tail(aggregate);
    for (size_t i = 0; i < n; i++, rows += row_words) {
        if ((!l->heavy_only || is_heavy(q, layout, rows))
            && (!l->one_pass || is_of_pass(q, layout, rows))) {
            memcpy(to, rows, row_words * sizeof *to);
            to += row_words;
            n_new++;
        }
    }
    return measure_aggregate_take(aggregate, n_new);
}

/* Makes the groups of partition 'i'.  Returns false if there is no memory. */
static bool
load_partition(struct query *q, const struct loading *l, uint32_t i)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_partitions *p = &q->partitions[layout];
        struct measure_chunk chunk = { .number = 0 };

        if (!begin_part(q, &l->aggregate[layout],
                        measure_partition_n_rows(p, i))) {
            return false;
        }
        while (measure_partition_next_chunk(p, i, &chunk)) {
            if (!(layout == MEASURE_NARROW
                  ? load_chunk__(q, l, MEASURE_NARROW, chunk.rows, chunk.n)
                  : load_chunk__(q, l, MEASURE_WIDE, chunk.rows, chunk.n))) {
                return false;
            }
        }
    }
    return true;
}

static bool
load(struct query *q, const struct loading *l, uint32_t i)
{
    return (q->split ? load_partition(q, l, i) : load_reports_part(q, l, i));
}

/* Returns true if a whole of the part that is loaded is heavy. */
static bool
has_heavy(const struct query *q)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_aggregate *wholes = &q->wholes[layout];
        const uint64_t *row = wholes->rows;

        for (uint32_t i = 0; i < wholes->n; i++) {
            if (row[measure_key_words(layout)] >= q->min_packets) {
                return true;
            }
            row += measure_row_words(layout);
        }
    }
    return false;
}

/* Makes ready for the passes of part 'i': notes how many there are, and makes
 * the wholes if these are wanted.  Rows of wholes that are not heavy then need
 * not be grouped.  Returns false if there is no memory. */
static bool
begin_passes(struct query *q, uint32_t i)
{
    const struct loading wholes
        = { .group_by = q->whole, .aggregate = q->wholes };
    uint64_t n_rows[MEASURE_N_LAYOUTS];

    q->pass = 0;
    q->n_passes = measure_partition_pieces(count_rows(q, i, i + 1, n_rows),
                                           q->n_rows, q->n_parts, MAX_PASSES);
    return !q->count_wholes || load(q, &wholes, i);
}

/* Makes the groups of part 'i' that are of the pass.  Returns false if there
 * is no memory. */
static bool
load_pass(struct query *q, uint32_t i)
{
    const struct loading loading = {
        .group_by = q->group_by, .aggregate = q->aggregate,
        .heavy_only = q->count_wholes && q->min_packets > 1,
        .one_pass = q->n_passes > 1,
    };

    if (loading.heavy_only && !has_heavy(q)) {
        q->aggregate[MEASURE_NARROW].n = q->aggregate[MEASURE_WIDE].n = 0;
        q->n_passes = 1;
        return true;
    }
    return load(q, &loading, i);
}

/* Returns true if all rows of a whole are in one part of all reports. */
static bool
parts_do(const struct query *q)
{
    const struct measure_scope *scope = q->scope;
    const struct measure_group_by *whole = q->whole;
    unsigned int fields = scope->reports[0]->part_group.fields;

    for (size_t i = 0; i < scope->n_reports; i++) {
        if (scope->reports[i]->n_parts != scope->reports[0]->n_parts
            || scope->reports[i]->part_group.fields != fields) {
            return false;
        }
    }
    return (scope->reports[0]->n_parts && !scope->one_core
            && (!q->base || q->base->parts[MEASURE_NARROW])
            && whole->fields & fields
            && (fields == MEASURE_FIELD_SOURCE ? whole->source_prefix
                : whole->destination_prefix) == 128);
}

/* Makes 'q' ready for begin_passes().  Returns false if there is no memory.
 * In any case end() must follow. */
static bool
begin(struct query *q)
{
    const struct measure_scope *scope = q->scope;
    uint64_t n_rows[MEASURE_N_LAYOUTS];

    q->secret = scope->reports[0]->secret;
    q->budget = scope->reports[scope->n_reports - 1]->budget;
    q->split = !parts_do(q);
    q->n_parts = scope->reports[0]->n_parts;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        measure_aggregate_init(&q->aggregate[layout], layout, q->secret,
                               q->budget);
        measure_aggregate_init(&q->wholes[layout], layout, q->secret,
                               q->budget);
    }
    if (q->split && !split_scope(q)) {
        return false;
    }
    q->n_rows = count_rows(q, 0, q->n_parts, n_rows);
    return true;
}

static void
end(struct query *q)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        measure_partitions_destroy(&q->partitions[layout], q->budget);
        free(q->waiting[layout]);
        measure_aggregate_destroy(&q->aggregate[layout]);
        measure_aggregate_destroy(&q->wholes[layout]);
    }
}

/* Groups that are kept. */

/* Returns the cache of groups of the scope, or NULL if it has none. */
static struct measure_group_cache *
group_cache_of(const struct measure_scope *scope)
{
    return (scope->n_reports == 1 && !scope->one_core
            ? scope->reports[0]->group_cache : NULL);
}

/* Loads part 'i' behind those that 'q' has, and notes it in 'cached'.
 * Returns false if there is no memory. */
static bool
add_part(struct query *q, uint32_t i, struct measure_cached_groups *cached)
{
    uint32_t begin[MEASURE_N_LAYOUTS];
    uint64_t n_rows[MEASURE_N_LAYOUTS];

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        begin[layout] = q->aggregate[layout].n;
    }
    if (!begin_passes(q, i)) {
        return false;
    }
    for (; q->pass < q->n_passes; q->pass++) {
        if (!load_pass(q, i)) {
            return false;
        }
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_aggregate *aggregate = &q->aggregate[layout];
        uint64_t n_first = count_rows(q, 0, 1, n_rows);
        uint64_t most = cached->max_packets;

        for (uint32_t j = begin[layout]; j < aggregate->n; j++) {
            uint64_t packets = aggregate->rows[j * measure_row_words(layout)
                                               + measure_key_words(layout)];

            most = measure_max(most, packets);
        }
        cached->max_packets = most;
        if (cached->parts[layout]) {
            cached->parts[layout][i + 1] = aggregate->n;
        }
        /* The others have about as many groups for their rows. */
        if (!i && aggregate->n) {
            uint64_t n = (aggregate->n * 17. / 16 * (q->n_rows - n_first)
                          / n_first);
            uint64_t size = n * measure_row_words(layout) * sizeof(uint64_t);
            bool ok = measure_budget_reserve(q->budget, size);

            if (ok) {
                ok = measure_aggregate_reserve(aggregate, n);
                measure_budget_unreserve(q->budget, size);
            }
            if (!ok) {
                return false;
            }
        }
    }
    return true;
}

/* Makes the groups, to be cached, of the report in 'scope' by 'key_kind',
 * whatever the filter, from that by pair if there is one.  Returns NULL if
 * there is no memory. */
static struct measure_cached_groups *
make_cached(const struct measure_scope *scope, enum measure_key_kind key_kind)
{
    struct measure_group_cache *kept = group_cache_of(scope);
    struct measure_scope all_rows = *scope;
    struct measure_group_by group_by;
    struct query q = {
        .scope = &all_rows, .group_by = &group_by, .whole = &group_by,
        .together = &group_by,
        .base = measure_group_cache_get(kept, MEASURE_KIND_PAIR),
    };
    struct measure_cached_groups *cached = measure_xzalloc(sizeof *cached);
    bool ok;

    all_rows.filter = NULL;
    measure_group_by_of_kind(&group_by, key_kind);
    ok = begin(&q);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        q.aggregate[layout].lasting = true;
        if (!q.split) {
            cached->parts[layout]
                = measure_xzalloc((q.n_parts + 1)
                                  * sizeof *cached->parts[layout]);
        }
    }
    for (uint32_t i = 0; ok && i < q.n_parts; i++) {
        ok = add_part(&q, i, cached);
    }
    for (int layout = 0; ok && layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_aggregate *aggregate = &q.aggregate[layout];

        measure_aggregate_fit(aggregate);
        measure_aggregate_view(aggregate, &cached->tables[layout]);
        cached->sizes[layout] = aggregate->size;
        aggregate->rows = NULL;     /* They stay. */
    }
    end(&q);
    if (!ok) {
        measure_cached_groups_destroy(cached, q.budget);
        cached = NULL;
    }
    return cached;
}

/* Returns the cached groups of the report in 'scope' by 'group_by', or NULL if
 * it is not one that is kept, or there is no memory to keep it. */
static const struct measure_cached_groups *
get_cached(const struct measure_scope *scope,
           const struct measure_group_by *group_by)
{
    struct measure_group_cache *kept = group_cache_of(scope);

    for (int kind = MEASURE_KIND_PAIR; kind < MEASURE_N_KINDS; kind++) {
        if (measure_group_by_is_kind(group_by, kind)) {
            const struct measure_cached_groups *cached
                = measure_group_cache_get(kept, kind);
            struct measure_cached_groups *new;

            if (!cached && measure_group_cache_may_keep(kept)) {
                new = make_cached(scope, kind);
                cached = new ? measure_group_cache_keep(kept, kind,
                                                        new) : NULL;
            }
            return cached;
        }
    }
    return NULL;
}

/* Chooses what 'q' takes in place of the rows of its report: those cached
 * groups of those that are there which has all fields, and fewest rows. */
static void
choose_base(struct query *q)
{
    const struct measure_scope *scope = q->scope;

    for (int kind = MEASURE_KIND_PAIR; kind < MEASURE_N_KINDS; kind++) {
        const struct measure_cached_groups *cached
            = measure_group_cache_get(group_cache_of(scope), kind);

        if (cached && measure_group_by_derives(kind, q->group_by)
            && (!scope->filter || measure_filter_derives(kind,
                                                         scope->filter))) {
            q->base = cached;
        }
    }
}

/* Answers. */

/* Returns true if no two rows of the report in 'scope' are of one group, and
 * each has the layout that its group has. */
static bool
rows_are_groups(const struct measure_scope *scope,
                const struct measure_group_by *group_by)
{
    const struct measure_report *report = scope->reports[0];

    return (measure_group_by_is_kind(group_by, report->key_kind)
            && !(report->key_kind == MEASURE_KIND_FLOW ? report->several_ports
                 : report->tables[MEASURE_WIDE].n_used > 0));
}

static bool
give_tables(const struct measure_table tables[MEASURE_N_LAYOUTS],
            measure_aggregate_function *f, void *aux)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (measure_table_n_used(&tables[layout])
            && !f(&tables[layout], aux)) {
            return false;
        }
    }
    return true;
}

/* Gives the groups of the pass that is loaded to one of the functions. */
static bool
give_groups(struct query *q, measure_aggregate_function *f,
            measure_wholes_function *wholes_f, void *aux)
{
    struct measure_table tables[MEASURE_N_LAYOUTS];

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (wholes_f && q->wholes[layout].n
            && !wholes_f(&q->aggregate[layout], &q->wholes[layout],
                         q->pass + 1 < q->n_passes, aux)) {
            return false;
        }
        measure_aggregate_view(&q->aggregate[layout], &tables[layout]);
    }
    return wholes_f || give_tables(tables, f, aux);
}

static bool
query(struct query *q, measure_aggregate_function *f,
      measure_wholes_function *wholes_f, void *aux)
{
    bool ok = begin(q);

    for (uint32_t i = 0; ok && i < q->n_parts; i++) {
        ok = begin_passes(q, i);
        for (; ok && q->pass < q->n_passes; q->pass++) {
            ok = load_pass(q, i) && give_groups(q, f, wholes_f, aux);
        }
    }
    end(q);
    return ok;
}

/* Gives all groups in 'scope' to 'f', each in one call.  measure_scope_check()
 * must allow it.  Returns false if there was no memory, or 'f' said so. */
bool
measure_query(const struct measure_scope *scope,
              const struct measure_group_by *group_by,
              measure_aggregate_function *f, void *aux)
{
    struct query q = {
        .scope = scope, .group_by = group_by, .whole = group_by,
        .together = group_by,
    };
    const struct measure_cached_groups *cached = NULL;
    struct measure_group_cache *kept;
    bool ok;

    if (!scope->n_reports) {
        return true;
    }
    kept = group_cache_of(scope);
    if (!kept) {
        return query(&q, f, NULL, aux);
    }
    if (!scope->filter && rows_are_groups(scope, group_by)) {
        return give_tables(scope->reports[0]->tables, f, aux);
    }
    measure_group_cache_begin(kept);
    if (!scope->filter) {
        cached = get_cached(scope, group_by);
    }
    if (cached) {
        ok = give_tables(cached->tables, f, aux);
    } else {
        choose_base(&q);
        ok = query(&q, f, NULL, aux);
    }
    measure_group_cache_end(kept);
    return ok;
}

/* Like measure_query(), with all groups that are one by 'together' in one
 * call, and all that are one by 'whole' in one call or in calls that follow
 * each other.  'together' must have the fields of 'whole', and 'group_by'
 * those of 'together'.  'f' also gets all wholes with their packets and bytes,
 * but of those with less than 'min_packets' packets no groups.  None may have
 * tunnels. */
bool
measure_query_wholes(const struct measure_scope *scope,
                     const struct measure_group_by *group_by,
                     const struct measure_group_by *together,
                     const struct measure_group_by *whole,
                     uint64_t min_packets, measure_wholes_function *f,
                     void *aux)
{
    struct query q = {
        .scope = scope, .group_by = group_by, .whole = whole,
        .together = together, .count_wholes = true, .min_packets = min_packets,
    };
    struct measure_group_cache *kept;
    bool ok;

    assert(!(group_by->fields & MEASURE_FIELD_TUNNEL));
    if (!scope->n_reports) {
        return true;
    }
    kept = group_cache_of(scope);
    if (!kept) {
        return query(&q, NULL, f, aux);
    }
    measure_group_cache_begin(kept);
    choose_base(&q);
    ok = query(&q, NULL, f, aux);
    measure_group_cache_end(kept);
    return ok;
}

/* Returns true if it is known without a look at all rows that no group in
 * 'scope' has 'min_packets' packets.  Then adds to '*keys' how many groups
 * there are. */
bool
measure_query_all_light(const struct measure_scope *scope,
                        const struct measure_group_by *group_by,
                        uint64_t min_packets, uint64_t *keys)
{
    struct measure_group_cache *kept = (scope->n_reports && !scope->filter
                                        ? group_cache_of(scope) : NULL);
    const struct measure_cached_groups *cached;
    bool light;

    if (!kept) {
        return false;
    }
    measure_group_cache_begin(kept);
    cached = get_cached(scope, group_by);
    light = cached && cached->max_packets < min_packets;
    for (int i = 0; light && i < MEASURE_N_LAYOUTS; i++) {
        *keys += measure_table_n_used(&cached->tables[i]);
    }
    measure_group_cache_end(kept);
    return light;
}
