/* SPDX-License-Identifier: Apache-2.0 */
/* The other tasks of the paper, and what they are judged by. */

/* The other tasks of the paper, and what they are judged by.
 *
 * Superspreaders: sources with more than 128 destinations in an epoch.
 * Changes: flows whose packets left what an EWMA expected.  In both, "derived"
 * is our way: nothing on the packet path but the linear table, and the answer
 * computed from it when the epoch has closed.
 *
 * Two threads: structures that two threads share against one for each. */

#include <config.h>

#include "linear.h"

#include <stdlib.h>
#include <string.h>

#include "contenders/measure-shared.h"
#include "report/measure-expectations.h"
#include "structures/measure-count-array.h"
#include "structures/measure-superspreader.h"
#include "structures/measure-table.h"

#define MAX_ROWS (1u << 20)
#define LOW UINT64_C(0xffffffff)

/* Superspreaders by the library's structure for streams. */

struct spread {
    struct measure_superspreader spreader;
    struct measure_superspreader_config config;
    struct measure_superspreader_row *rows;
    struct measure_hash_secret secret;
    void *memory;
    size_t size;
};

static void *
spread_create(struct bench_settings *settings, const char **why_not)
{
    struct spread *spread = measure_xzalloc(sizeof *spread);

    (void) why_not;
    spread->secret = settings->secret;
    spread->config = (struct measure_superspreader_config) {
        .kind = bench_creating->parameter,
        .layout = MEASURE_NARROW,
        .max_sources = settings->n_flows,
        .max_filters = settings->n_flows / 16 + 1,
        .source_mask = { LOW },
        .destination_mask = { ~LOW },
    };
    spread->size = measure_superspreader_size(&spread->config);
    spread->memory = bench_memory(spread->size);
    spread->rows = bench_memory(MAX_ROWS * sizeof *spread->rows);
    measure_superspreader_init(&spread->spreader, &spread->config,
                               &spread->secret, spread->memory);
    return spread;
}

static void
spread_clear(void *spread_)
{
    struct spread *spread = spread_;

    measure_superspreader_clear(&spread->spreader);
}

static void
spread_update(void *spread_, const struct bench_key *keys,
              const uint16_t *bytes)
{
    struct spread *spread = spread_;

    (void) bytes;
    measure_superspreader_add(&spread->spreader, keys->words, 2, BENCH_BURST);
}

static void
spread_report(void *spread_, uint64_t threshold,
              bench_report_function *report, void *aux)
{
    struct spread *spread = spread_;
    size_t n;

    measure_superspreader_finish(&spread->spreader);
    n = measure_superspreader_report(&spread->spreader, threshold - 1,
                                     spread->rows, MAX_ROWS);
    for (size_t i = 0; i < n && i < MAX_ROWS; i++) {
        struct bench_key key = { { spread->rows[i].source[0], 0 } };

        report(aux, &key, spread->rows[i].destinations + 0.5);
    }
}

static size_t
spread_memory(const void *spread_)
{
    const struct spread *spread = spread_;

    return spread->size;
}

#define SPREAD(VARIABLE, LABEL, KIND)           \
    const struct bench_contender VARIABLE = {   \
        .name = LABEL,                          \
        .create = spread_create,                \
        .clear = spread_clear,                  \
        .update = spread_update,                \
        .report = spread_report,                \
        .memory = spread_memory,                \
        .parameter = KIND,                      \
    }

SPREAD(bench_spread_bloom, "spread-bloom", MEASURE_SUPERSPREADER_BLOOM);
SPREAD(bench_spread_bitmap, "spread-bitmap", MEASURE_SUPERSPREADER_BITMAP);

/* Derived: a linear table of pairs. */

struct derived {
    struct bench_linear linear;
    struct measure_expectations change;
    struct measure_change_row *rows;
};

static void *
derived_create(struct bench_settings *settings, const char **why_not)
{
    struct derived *derived = measure_xzalloc(sizeof *derived);

    (void) why_not;
    derived->linear.secret = settings->secret;
    measure_table_init(&derived->linear.table, MEASURE_NARROW,
                       measure_table_lines_for(MEASURE_NARROW,
                                               settings->n_flows),
                       &settings->budget, MEASURE_ANY_NODE);
    return derived;
}

static void
derived_clear(void *derived_)
{
    struct derived *derived = derived_;

    bench_linear_clear(&derived->linear);
}

static void
derived_update(void *derived_, const struct bench_key *keys,
               const uint16_t *bytes)
{
    struct derived *derived = derived_;

    bench_linear_update(&derived->linear, keys, bytes);
}

static int
compare_words(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static void
derived_spreaders(void *derived_, uint64_t threshold,
                  bench_report_function *report, void *aux)
{
    struct derived *derived = derived_;
    uint32_t n, i = 0;
    uint64_t *sources;

    bench_linear_finish(&derived->linear);
    n = measure_table_n_used(&derived->linear.table);
    sources = measure_xzalloc((n + 1) * sizeof *sources);
    MEASURE_TABLE_FOR_EACH (row, &derived->linear.table) {
        sources[i++] = row[0] & LOW;
    }
    qsort(sources, n, sizeof *sources, compare_words);
    for (uint32_t begin = 0, end; begin < n; begin = end) {
        for (end = begin; end < n && sources[end] == sources[begin]; end++) {
            continue;
        }
        if (end - begin >= threshold) {
            struct bench_key key = { { sources[begin], 0 } };

            report(aux, &key, end - begin);
        }
    }
    free(sources);
}

static size_t
derived_memory(const void *derived_)
{
    const struct derived *derived = derived_;

    return measure_table_size(derived->linear.table.n_lines);
}

const struct bench_contender bench_spread_derived = {
    .name = "spread-derived",
    .exact = true,
    .create = derived_create,
    .clear = derived_clear,
    .update = derived_update,
    .report = derived_spreaders,
    .memory = derived_memory,
};

/* Changes, derived: each closed epoch goes into the table of expectations. */

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

static void *
change_derived_create(struct bench_settings *settings, const char **why_not)
{
    struct derived *derived = derived_create(settings, why_not);

    change_init(&derived->change, settings, &derived->linear.secret);
    derived->rows = bench_memory(MAX_ROWS * sizeof *derived->rows);
    return derived;
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

static void
change_derived_report(void *derived_, uint64_t threshold,
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
    .exact = true,
    .create = change_derived_create,
    .clear = derived_clear,
    .update = derived_update,
    .report = change_derived_report,
    .memory = derived_memory,
};

/* Changes, counted by the packet in the table of expectations, as in the
 * paper.  Epochs that are run for their time only have a table of their own,
 * for they would be remembered. */

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

/* Two threads. */

struct pair {
    struct pair_side {
        struct pair *pair;
        struct measure_count_array array;
        uint8_t gap[256];       /* No line of one side near the other. */
    } sides[2];
    struct measure_shared_array shared;
    struct measure_count_array_params array_params;
    struct measure_shared_array_params shared_params;
    struct measure_hash_secret secret;
    void *memory[2];
    size_t size;
};

static void
pair_clear(void *pair_)
{
    struct pair *pair = pair_;

    for (int i = 0; i < 2; i++) {
        if (!pair->memory[i]) {
            continue;
        }
        memset(pair->memory[i], 0, pair->size);
        if (pair->shared_params.n_cells) {
            measure_shared_array_init(&pair->shared, &pair->shared_params,
                                      pair->memory[i]);
        } else {
            measure_count_array_init(&pair->sides[i].array,
                                     &pair->array_params, pair->memory[i]);
        }
    }
}

static void *
pair_create(struct bench_settings *settings, const char **why_not)
{
    struct pair *pair = measure_xzalloc(sizeof *pair);
    size_t memory = settings->memory ? settings->memory : 1u << 20;
    bool shared = bench_creating->parameter;

    (void) why_not;
    pair->secret = settings->secret;
    pair->sides[0].pair = pair->sides[1].pair = pair;
    if (shared) {
        pair->shared_params = (struct measure_shared_array_params) {
            .layout = MEASURE_NARROW,
            .n_cells = memory / sizeof(struct measure_cell),
            .max_keys = 2000,
            .threshold = settings->threshold,
            .secret = &pair->secret,
        };
        pair->size = measure_shared_array_size(&pair->shared_params);
    } else {
        pair->array_params = (struct measure_count_array_params) {
            .layout = MEASURE_NARROW,
            .n_cells = memory / sizeof(struct measure_cell),
            .heavy = {
                .max_keys = 2000,
                .min_packets = settings->threshold,
                .min_bytes = MEASURE_NEVER,
            },
            .secret = &pair->secret,
        };
        pair->size = measure_count_array_size(&pair->array_params);
        pair->memory[1] = bench_memory(pair->size);
    }
    pair->memory[0] = bench_memory(pair->size);
    pair_clear(pair);
    return pair;
}

static void *
pair_side(void *pair_, int i)
{
    struct pair *pair = pair_;

    return &pair->sides[i];
}

static void
pair_update(void *side_, const struct bench_key *keys, const uint16_t *bytes)
{
    struct pair_side *side = side_;
    struct measure_record records[BENCH_BURST];

    for (int i = 0; i < BENCH_BURST; i++) {
        records[i].key[0] = keys[i].words[0];
        records[i].key[1] = keys[i].words[1];
        records[i].bytes = bytes[i];
    }
    if (side->pair->shared_params.n_cells) {
        measure_shared_array_add_burst(&side->pair->shared, records,
                                       BENCH_BURST);
    } else {
        measure_count_array_add_burst(&side->array, records, BENCH_BURST);
    }
}

static size_t
pair_memory(const void *pair_)
{
    const struct pair *pair = pair_;

    return pair->size * (pair->memory[1] ? 2 : 1);
}

#define PAIR(VARIABLE, LABEL, SHARED)           \
    const struct bench_contender VARIABLE = {   \
        .name = LABEL,                          \
        .create = pair_create,                  \
        .clear = pair_clear,                    \
        .side = pair_side,                      \
        .update = pair_update,                  \
        .memory = pair_memory,                  \
        .parameter = SHARED,                    \
    }

PAIR(bench_separate, "separate-count-array", 0);
PAIR(bench_shared, "shared-count-array", 1);
