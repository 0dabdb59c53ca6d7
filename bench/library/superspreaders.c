/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders that find superspreaders. */

/* Contenders that find superspreaders: sources with more than 128 destinations
 * in an epoch.  "Derived" is our way: nothing on the packet path but the
 * linear table, and the answer computed from it when the epoch has closed. */

#include <config.h>

#include "superspreaders.h"

#include <stdlib.h>

#include "base/measure-base.h"
#include "linear.h"
#include "structures/measure-superspreader.h"
#include "support.h"

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
        .kind = settings->contender->parameter,
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

static int
compare_words(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static void *
derived_create(struct bench_settings *settings, const char **why_not)
{
    struct bench_linear *linear = measure_xzalloc(sizeof *linear);

    if (!bench_linear_init(linear, settings,
                           measure_table_lines_for(MEASURE_NARROW,
                                                   settings->n_flows),
                           why_not)) {
        free(linear);
        return NULL;
    }
    return linear;
}

static void
derived_report(void *linear_, uint64_t threshold,
               bench_report_function *report, void *aux)
{
    struct bench_linear *linear = linear_;
    uint32_t n, i = 0;
    uint64_t *sources;

    bench_linear_finish(linear);
    n = measure_table_n_used(&linear->table);
    sources = measure_xzalloc((n + 1) * sizeof *sources);
    MEASURE_TABLE_FOR_EACH (row, &linear->table) {
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

const struct bench_contender bench_spread_derived = {
    .name = "spread-derived",
    .create = derived_create,
    .clear = bench_linear_clear,
    .update = bench_linear_update,
    .report = derived_report,
    .memory = bench_linear_memory,
};
