/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders that find changes. */

/* Contenders that find changes: flows whose packets left what an EWMA
 * expected.  "Derived" is our way: nothing on the packet path but the linear
 * table, and the answer computed from it when the epoch has closed. */

#include <config.h>

#include "changes.h"

#include <stdlib.h>

#include "base/measure-base.h"
#include "linear.h"
#include "report/measure-expectations.h"
#include "support.h"

#define MAX_ROWS (1u << 20)

static void
change_config(const struct bench_settings *settings,
              struct measure_expectations_config *config)
{
    *config = (struct measure_expectations_config) {
        .layout = MEASURE_NARROW,
        .max_keys = settings->n_flows * 4,
        .alpha = BENCH_CHANGE_ALPHA,
        .factor = BENCH_CHANGE_FACTOR,
        .floor = settings->threshold,
        .warm_up = 1,
    };
}

static void
change_init(struct measure_expectations *change,
            const struct bench_settings *settings,
            const struct measure_hash_secret *secret)
{
    struct measure_expectations_config config;

    change_config(settings, &config);
    measure_expectations_init(
        change, &config, secret,
        bench_memory(measure_expectations_size(&config)));
}

static void
report_changes(struct measure_expectations *change,
               struct measure_change_row *rows,
               bench_report_function *report, void *aux)
{
    size_t n = measure_expectations_close(change, rows, MAX_ROWS);

    for (size_t i = 0; i < n && i < MAX_ROWS; i++) {
        struct bench_key key = { { rows[i].key[0], rows[i].key[1] } };

        report(aux, &key, 1);
    }
}

/* Derived: each closed epoch goes into the table of expectations. */

struct derived {
    struct bench_linear linear; /* The first, for the functions of it. */
    struct measure_expectations change;
    struct measure_change_row *rows;
};

static void *
derived_create(struct bench_settings *settings, const char **why_not)
{
    struct derived *derived = measure_xzalloc(sizeof *derived);

    if (!bench_linear_init(&derived->linear, settings,
                           measure_table_lines_for(MEASURE_NARROW,
                                                   settings->n_flows),
                           why_not)) {
        free(derived);
        return NULL;
    }
    change_init(&derived->change, settings, &derived->linear.secret);
    derived->rows = bench_memory(MAX_ROWS * sizeof *derived->rows);
    return derived;
}

static void
derived_report(void *derived_, uint64_t threshold,
               bench_report_function *report, void *aux)
{
    struct derived *derived = derived_;

    (void) threshold;
    bench_linear_finish(&derived->linear);
    MEASURE_TABLE_FOR_EACH (row, &derived->linear.table) {
        struct measure_change_item item = {
            .key = { row[0], row[1] },
            .packets = *measure_row_packets(row, MEASURE_NARROW),
            .bytes = *measure_row_bytes(row, MEASURE_NARROW),
        };

        measure_expectations_add(&derived->change, &item, 1);
    }
    report_changes(&derived->change, derived->rows, report, aux);
}

const struct bench_contender bench_change_derived = {
    .name = "change-derived",
    .create = derived_create,
    .clear = bench_linear_clear,
    .update = bench_linear_update,
    .report = derived_report,
    .memory = bench_linear_memory,
};

/* Counted by the packet in the table of expectations, as in the paper.  Epochs
 * that are run for their time only have a table of their own, for they would
 * be remembered. */

struct change {
    struct measure_expectations judged;
    struct measure_expectations timed;
    struct measure_expectations *current;
    struct measure_change_row *rows;
    struct measure_hash_secret secret;
    size_t size;
};

static void *
change_create(struct bench_settings *settings, const char **why_not)
{
    struct change *change = measure_xzalloc(sizeof *change);
    struct measure_expectations_config config;

    (void) why_not;
    change->secret = settings->secret;
    change_init(&change->judged, settings, &change->secret);
    change_init(&change->timed, settings, &change->secret);
    change->rows = bench_memory(MAX_ROWS * sizeof *change->rows);
    change_config(settings, &config);
    change->size = measure_expectations_size(&config);
    change->current = &change->judged;
    return change;
}

static void
change_begin(void *change_)
{
    struct change *change = change_;

    change->current = &change->judged;
}

static void
change_clear(void *change_)
{
    struct change *change = change_;

    if (change->current == &change->timed) {
        measure_expectations_close(&change->timed, NULL, 0);
    }
}

static void
change_update(void *change_, const struct bench_key *keys,
              const uint16_t *bytes)
{
    struct change *change = change_;

    (void) bytes;
    measure_expectations_count(change->current, keys->words, 2, BENCH_BURST);
}

static void
change_report(void *change_, uint64_t threshold,
              bench_report_function *report, void *aux)
{
    struct change *change = change_;

    (void) threshold;
    report_changes(&change->judged, change->rows, report, aux);
    change->current = &change->timed;
}

static size_t
change_memory(const void *change_)
{
    const struct change *change = change_;

    return change->size;
}

const struct bench_contender bench_change_table = {
    .name = "change-table",
    .create = change_create,
    .begin = change_begin,
    .clear = change_clear,
    .update = change_update,
    .report = change_report,
    .memory = change_memory,
};
