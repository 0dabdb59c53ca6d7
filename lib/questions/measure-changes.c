/* SPDX-License-Identifier: Apache-2.0 */
/* The question for changes: each epoch against what is expected of it. */

#include <config.h>

#include "questions/measure-changes.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "questions/measure-alert.h"
#include "questions/measure-query.h"
#include "report/measure-partition.h"
#include "report/measure-report-estimates.h"

/* Where measure_changes_add() adds to. */
struct adding {
    enum measure_key_kind key_kind;
    struct measure_expectations *const *changes;
    struct measure_budget *budget;
};

/* Puts the rows of 'table' into partitions, in the order in which 'change' has
 * their keys. */
MEASURE_SPECIALISED void
split_changes(const struct measure_expectations *change,
              enum measure_layout layout,
              const struct measure_table *table, const uint64_t *mask,
              struct measure_partitions *p)
{
    const uint64_t *row = table->rows;
    uint32_t n_rows = measure_table_n_used(table);
    unsigned int n_words = measure_key_words(layout);

    for (uint32_t i = 0; i < n_rows; i++) {
        uint64_t key[MEASURE_KEY_WORDS];

        for (unsigned int j = 0; j < n_words; j++) {
            key[j] = row[j] & mask[j];
        }
        measure_partitions_add(p, layout,
                               measure_change_order(change, layout, key, p->n),
                               key, row[n_words], row[n_words + 1]);
        row += measure_row_words(layout);
    }
}

/* Adds the rows of 'table' to the running epoch.  Many are first put into the
 * order of the keys that are expected: else each would wait for another line
 * of memory. */
static bool
add_changes(const struct measure_table *table, void *adding_)
{
    const struct adding *adding = adding_;
    enum measure_layout layout = table->layout;
    struct measure_expectations *change = adding->changes[layout];
    const uint64_t *mask = measure_masks[adding->key_kind].words[layout];
    uint64_t n_rows = measure_table_n_used(table);
    uint32_t n_parts = measure_partitions_for(n_rows);
    struct measure_partitions p = { .n = 0 };

    if (n_parts == 1) {
        measure_expectations_add_rows(change, table->rows, n_rows, mask);
        return true;
    }
    if (measure_budget_allows(adding->budget,
                              measure_partitions_bytes(layout, n_rows,
                                                       n_parts))
        && measure_partitions_init(&p, layout, n_rows, n_parts,
                                   adding->budget)) {
        uint32_t n_keys = change->n_keys;

        if (layout == MEASURE_NARROW) {
            split_changes(change, MEASURE_NARROW, table, mask, &p);
        } else {
            split_changes(change, MEASURE_WIDE, table, mask, &p);
        }
        for (uint32_t i = 0; i < n_parts; i++) {
            struct measure_chunk chunk = { .number = 0 };

            measure_expectations_begin_share(change, i, n_parts, n_keys,
                                             n_rows);
            while (measure_partition_next_chunk(&p, i, &chunk)) {
                measure_expectations_add_rows(change, chunk.rows, chunk.n,
                                              mask);
            }
        }
    } else {
        measure_expectations_add_rows(change, table->rows, n_rows, mask);
    }
    measure_partitions_destroy(&p, adding->budget);
    return true;
}

static uint64_t
missed_packets(enum measure_layout layout, const uint64_t *key,
               const void *report)
{
    uint64_t n_packets = 0, n_bytes = 0;

    measure_report_add_missed(report, layout, key, &n_packets, &n_bytes);
    return n_packets;
}

static uint64_t
missed_bytes(enum measure_layout layout, const uint64_t *key,
             const void *report)
{
    uint64_t n_packets = 0, n_bytes = 0;

    measure_report_add_missed(report, layout, key, &n_packets, &n_bytes);
    return n_bytes;
}

/* Adds all groups by 'key_kind' in 'scope' to the running epoch of 'changes',
 * which has one table for each layout, and says what they can have missed.
 * The epoch must be closed before the reports go.  measure_scope_check() must
 * allow it.  Returns false if there was no memory: the epoch will be
 * skipped. */
bool
measure_changes_add(const struct measure_scope *scope,
                      enum measure_key_kind key_kind,
                      struct measure_expectations *const changes[])
{
    struct adding adding = { .key_kind = key_kind, .changes = changes };
    struct measure_totals totals;
    struct measure_group_by group_by;
    bool known_by_key, ok;

    if (!scope->n_reports) {
        return true;
    }
    adding.budget = scope->reports[scope->n_reports - 1]->budget;
    measure_group_by_of_kind(&group_by, key_kind);
    ok = measure_query(scope, &group_by, add_changes, &adding);

    measure_scope_sum(scope, &totals);
    known_by_key = (scope->n_reports == 1 && !scope->one_core
                    && scope->reports[0]->key_kind == key_kind);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_expectations *change = changes[layout];
        bool bytes = change->config.bytes;

        if (!ok) {
            measure_expectations_skip(change);
        }
        measure_expectations_missed(change,
                                    (bytes ? totals.counters.overflow_bytes
                                     : totals.counters.overflow_packets),
                                    (!known_by_key ? NULL
                                     : bytes ? missed_bytes : missed_packets),
                                    scope->reports[0]);
    }
    return ok;
}

struct measure_changes *
measure_changes_ref(struct measure_changes *changes)
{
    if (changes) {
        __atomic_add_fetch(&changes->refs, 1, __ATOMIC_RELAXED);
    }
    return changes;
}

void
measure_changes_unref(struct measure_changes *changes)
{
    if (changes
        && !__atomic_sub_fetch(&changes->refs, 1, __ATOMIC_ACQ_REL)) {
        free(changes->incomplete);
        free(changes->rows);
        free(changes);
    }
}

/* Forgets what is expected of keys. */
void
measure_expected_forget(struct measure_expected *expected,
                        struct measure_budget *budget)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (expected->memory[layout]) {
            measure_memory_free(budget, expected->memory[layout],
                                measure_expectations_size(
                                    &expected->tables[layout].config));
            expected->memory[layout] = NULL;
        }
    }
    __atomic_store_n(&expected->bytes, 0, __ATOMIC_RELAXED);
}

/* Forgets what is expected if it would not mean the same any more, or takes
 * another amount of memory than it may: whether this epoch is compared with it
 * or not. */
static void
forget_old(struct measure_expected *expected,
           const struct measure_config *config, uint64_t limit,
           struct measure_budget *budget)
{
    if (expected->key_kind != config->change_key
        || expected->alpha != config->change_alpha
        || expected->limit != limit
        || expected->epoch_ms != config->epoch_ms) {
        measure_expected_forget(expected, budget);
        expected->key_kind = config->change_key;
        expected->alpha = config->change_alpha;
        expected->limit = limit;
        expected->epoch_ms = config->epoch_ms;
        expected->epochs = 0;
    }
}

/* Returns true if nothing has come and nothing is expected, of any key.  Then
 * the number of epochs is all that there is to know. */
static bool
is_nothing_expected(const struct measure_expected *expected,
                    const struct measure_report *report)
{
    if (report->counters.packets) {
        return false;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_expectations *table = &expected->tables[layout];

        if (expected->memory[layout]
            && (table->n_keys || table->unknown_error > 0
                || table->unknown_variance > 0)) {
            return false;
        }
    }
    return true;
}

/* Makes the tables that are missing, with the thresholds of 'config'.  Returns
 * false if there is no memory. */
static bool
prepare_tables(struct measure_expected *expected,
               const struct measure_config *config,
               const struct measure_hash_secret *secret,
               struct measure_budget *budget)
{
    /* The shares of the layouts, and what a key takes.  The tables are there
     * at once, whatever the traffic: hence the limit. */
    static const double shares[MEASURE_N_LAYOUTS] = {
        [MEASURE_NARROW] = 2. / 3 / 128,
        [MEASURE_WIDE] = 1. / 3 / 256,
    };

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_expectations *table = &expected->tables[layout];
        struct measure_expectations_config new = {
            .layout = layout,
            .max_keys = expected->limit * shares[layout],
            .alpha = config->change_alpha,
        };

        if (!expected->memory[layout]) {
            size_t size = measure_expectations_size(&new);
            void *p = measure_memory_alloc(budget, size, MEASURE_ANY_NODE);

            if (!p) {
                measure_expected_forget(expected, budget);
                return false;
            }
            expected->memory[layout] = p;
            __atomic_add_fetch(&expected->bytes, size, __ATOMIC_RELAXED);
            measure_expectations_init(table, &new, secret, p);
            table->epoch = expected->epochs;
        }
        table->config.factor = config->change_factor;
        table->config.deviations = config->change_deviations;
        table->config.floor = config->change_floor;
        table->config.warm_up = config->change_warmup;
        table->config.hold_down = config->change_hold_down;
    }
    return true;
}

static int
compare_changes(const void *a_, const void *b_)
{
    const struct measure_listed_change *a = a_;
    const struct measure_listed_change *b = b_;
    double a_size = fabs(a->packets - a->expectation);
    double b_size = fabs(b->packets - b->expectation);

    return (a_size > b_size ? -1
            : a_size < b_size ? 1
            : measure_fields_compare(&a->fields, &b->fields));
}

/* Ends the epoch of 'table' and adds what has changed to 'changes'. */
static void
close_table(struct measure_expectations *table,
            struct measure_changes *changes)
{
    enum measure_layout layout = table->config.layout;
    size_t max = measure_min(table->n_keys, MEASURE_CHANGES_KEPT - changes->n);
    struct measure_change_row *rows = measure_xzalloc(max * sizeof *rows);
    size_t found = measure_expectations_close(table, rows, max);
    size_t n = measure_min(found, max);

    changes->rows = measure_xrealloc(changes->rows, ((changes->n + n)
                                                     * sizeof *changes->rows));
    for (size_t i = 0; i < n; i++) {
        struct measure_listed_change *listed = &changes->rows[changes->n++];

        measure_fields_from_key(&listed->fields, layout, rows[i].key);
        listed->kind = rows[i].kind;
        listed->packets = rows[i].value;
        listed->packets_error = rows[i].value_error;
        listed->expectation = rows[i].expectation;
        listed->expectation_error = rows[i].expectation_error;
        listed->deviation = rows[i].deviation;
    }
    changes->not_listed += found - n;
    free(rows);
}

static uint64_t
warmup_left(const struct measure_expected *expected,
            const struct measure_config *config)
{
    return (expected->epochs < config->change_warmup
            ? config->change_warmup - expected->epochs : 0);
}

/* Returns the changes of the epoch of the one report in 'scope', a reference,
 * by 'config'.  What is expected may take 'limit' bytes of 'budget'. */
struct measure_changes *
measure_changes_find(struct measure_expected *expected,
                     const struct measure_scope *scope,
                     const struct measure_config *config, uint64_t limit,
                     struct measure_budget *budget)
{
    struct measure_changes *changes = measure_xzalloc(sizeof *changes);
    const struct measure_report *report = scope->reports[0];
    struct measure_expectations *tables[MEASURE_N_LAYOUTS];

    changes->refs = 1;
    changes->epoch = report->number;
    changes->start_ms = report->start_ms;
    changes->duration_ms = report->duration_ms;
    changes->key_kind = config->change_key;
    forget_old(expected, config, limit, budget);
    changes->incomplete = measure_scope_check_complete(scope,
                                                       "measure/changes");
    if (changes->incomplete) {
        return changes;
    }
    if (!measure_kind_derives(report->key_kind, changes->key_kind)) {
        changes->by_missing = true;
        return changes;
    }
    if (is_nothing_expected(expected, report)) {
        measure_expected_forget(expected, budget);
        expected->epochs++;
        changes->exact = true;
        changes->warmup_left = warmup_left(expected, config);
        return changes;
    }
    if (!prepare_tables(expected, config, report->secret, budget)) {
        changes->no_memory = true;
        return changes;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        tables[layout] = &expected->tables[layout];
        changes->refused_keys -= tables[layout]->refused_adds;
    }
    changes->no_memory = !measure_changes_add(scope, changes->key_kind,
                                                tables);
    changes->exact = !changes->no_memory;
    changes->overflow_packets = report->counters.overflow_packets;
    changes->overflow_bytes = report->counters.overflow_bytes;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_expectations *table = tables[layout];

        changes->exact &= measure_expectations_is_exact(table);
        close_table(table, changes);
        changes->keys += table->n_keys;
        changes->refused_keys += table->refused_adds;
        expected->epochs = table->epoch;
    }
    changes->exact &= !changes->refused_keys;
    changes->warmup_left = warmup_left(expected, config);
    if (changes->n) {
        qsort(changes->rows, changes->n, sizeof *changes->rows,
              compare_changes);
    }
    return changes;
}

static void
write_epoch(struct measure_output *o, uint64_t number, int64_t start_ms,
            uint64_t duration_ms)
{
    measure_output_open_line(o, "epoch");
    measure_output_uint(o, "number", number);
    measure_output_time_ms(o, "start-ms", start_ms);
    measure_output_uint(o, "duration-ms", duration_ms);
    measure_output_close(o);
}

/* Writes into the open row the fields of a key of kind 'key_kind'. */
static void
write_key(struct measure_output *o, enum measure_key_kind key_kind,
          const struct measure_fields *fields)
{
    struct measure_key_field key[MEASURE_KEY_FIELDS];
    size_t n = measure_key_fields(key_kind, fields, key);

    for (size_t i = 0; i < n; i++) {
        if (key[i].is_number) {
            measure_output_uint(o, key[i].name, key[i].number);
        } else {
            measure_output_string(o, key[i].name, key[i].text);
        }
    }
}

/* Writes at most 'n' (0 means all) of 'changes', which are not incomplete,
 * largest first, with the epoch that they are of. */
void
measure_changes_write(struct measure_output *o,
                      const struct measure_changes *changes, uint64_t n)
{
    char *note;

    n = measure_min(n ? n : UINT64_MAX, changes->n);
    write_epoch(o, changes->epoch, changes->start_ms, changes->duration_ms);
    measure_output_bool(o, "exact", changes->exact);
    if (changes->by_missing || changes->no_memory) {
        if (!measure_output_is_text(o)) {
            measure_output_string(o, "skipped",
                                  (changes->by_missing ? "key-missing"
                                   : "no-memory"));
        }
    } else if (!changes->exact) {
        measure_output_string(o, "estimate", "lower-bound");
        if (changes->overflow_packets) {
            measure_output_open_line(o, "overflow");
            measure_output_uint(o, "packets", changes->overflow_packets);
            measure_output_uint(o, "bytes", changes->overflow_bytes);
            measure_output_close(o);
        }
        measure_output_note(o, "Counts or what is expected may be too low by "
                            "up to their error: only changes that are "
                            "certain are listed.");
    }
    measure_output_string(o, "key", measure_kind_name(changes->key_kind));
    measure_output_uint(o, "warmup-epochs-left", changes->warmup_left);
    measure_output_uint(o, "expected-keys", changes->keys);
    if (changes->by_missing) {
        note = measure_format("No changes: measure-change-key=%s needs more "
                              "than the epoch counted.",
                              measure_kind_name(changes->key_kind));
        measure_output_note(o, note);
        free(note);
    } else if (changes->no_memory) {
        measure_output_note(o, "No changes: no memory to look for them. The "
                            "epoch is skipped.");
    }
    if (changes->refused_keys) {
        note = measure_format("For %"PRIu64" flows there was no memory to "
                              "expect anything: their changes are not seen.",
                              changes->refused_keys);
        measure_output_note(o, note);
        free(note);
    }
    if (!measure_output_is_text(o)) {
        measure_output_uint(o, "refused", changes->refused_keys);
    }

    measure_output_open_list(o, "changes");
    for (uint64_t i = 0; i < n; i++) {
        const struct measure_listed_change *row = &changes->rows[i];

        measure_output_open_row(o);
        write_key(o, changes->key_kind, &row->fields);
        measure_output_string(o, "change",
                              measure_change_kind_name(row->kind));
        measure_output_uint(o, "packets", row->packets);
        measure_output_decimal(o, "packets-expected", row->expectation);
        measure_output_decimal(o, "packets-deviation", row->deviation);
        if (!changes->exact || !measure_output_is_text(o)) {
            measure_output_uint(o, "packets-error-max", row->packets_error);
            measure_output_decimal(o, "packets-expected-error-max",
                                   row->expectation_error);
        }
        measure_output_close(o);
    }
    measure_output_close(o);
    measure_output_open_line(o, "other");
    measure_output_uint(o, "changes", changes->n - n + changes->not_listed);
    measure_output_close(o);
}
