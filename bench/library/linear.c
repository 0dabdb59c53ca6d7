/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the linear table, used as a tally does, and the floor. */

#include <config.h>

#include "linear.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

static const char *const no_memory = "no memory";

/* The least that counting a packet in memory can cost: hash its key, and add
 * to one line of a table that has as many lines as the linear table. */

struct floor {
    uint64_t *lines;
    uint32_t n_lines;
    struct measure_hash_secret secret;
};

static uint32_t
table_lines(const struct bench_settings *settings)
{
    uint64_t lines = (settings->memory
                      ? settings->memory / MEASURE_LINE_SIZE
                      : measure_table_lines_for(MEASURE_NARROW,
                                                settings->n_flows));

    return lines < 2 ? 2 : lines;
}

static void *
floor_create(struct bench_settings *settings, const char **why_not)
{
    struct floor *floor = measure_xzalloc(sizeof *floor);

    floor->n_lines = table_lines(settings);
    floor->secret = settings->secret;
    floor->lines = measure_memory_alloc(&settings->budget,
                                        measure_table_size(floor->n_lines),
                                        MEASURE_ANY_NODE);
    if (!floor->lines) {
        *why_not = no_memory;
        free(floor);
        return NULL;
    }
    return floor;
}

static void
floor_clear(void *floor_)
{
    struct floor *floor = floor_;

    memset(floor->lines, 0, measure_table_size(floor->n_lines));
}

static void
floor_update(void *floor_, const struct bench_key *keys,
             const uint16_t *bytes)
{
    struct floor *floor = floor_;
    uint64_t *lines[BENCH_BURST];

    for (int i = 0; i < BENCH_BURST; i++) {
        uint64_t hash = measure_hash(&floor->secret, keys[i].words,
                                     measure_key_words(MEASURE_NARROW));
        uint64_t line = ((hash >> 32) * floor->n_lines) >> 32;

        lines[i] = &floor->lines[line * (MEASURE_LINE_SIZE
                                         / sizeof *lines[i])];
        __builtin_prefetch(lines[i], 1);
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        lines[i][0] += 1;
        lines[i][1] += bytes[i];
    }
}

static size_t
floor_memory(const void *floor_)
{
    const struct floor *floor = floor_;

    return measure_table_size(floor->n_lines);
}

const struct bench_contender bench_floor = {
    .name = "floor",
    .create = floor_create,
    .clear = floor_clear,
    .update = floor_update,
    .memory = floor_memory,
};

/* The linear table. */

/* Makes 'linear', which is zeroed, empty and of 'n_lines' lines.  Returns
 * false after setting '*why_not' if there is no memory. */
bool
bench_linear_init(struct bench_linear *linear, struct bench_settings *settings,
                  uint32_t n_lines, const char **why_not)
{
    linear->secret = settings->secret;
    if (!measure_table_init(&linear->table, MEASURE_NARROW, n_lines,
                            &settings->budget, MEASURE_ANY_NODE)) {
        *why_not = no_memory;
        return false;
    }
    return true;
}

static inline void
count(struct bench_linear *linear, const struct bench_waiting *packet)
{
    if (!measure_table_add_at(&linear->table, MEASURE_NARROW,
                              MEASURE_TABLE_MAX_PROBES, packet->key.words,
                              packet->home, 1, packet->bytes)) {
        linear->refused++;
    }
}

static inline void
fetch(struct bench_linear *linear, int i, const struct bench_key *key,
      uint16_t bytes, bool count_waiting)
{
    uint64_t hash = measure_hash(&linear->secret, key->words,
                                 measure_key_words(MEASURE_NARROW));
    uint64_t *home = measure_table_home(&linear->table, hash);

    __builtin_prefetch(home, 1);
    if (count_waiting) {
        count(linear, &linear->waiting[i]);
    }
    linear->waiting[i] = (struct bench_waiting) { *key, home, bytes };
}

void
bench_linear_update(void *linear_, const struct bench_key *keys,
                    const uint16_t *bytes)
{
    struct bench_linear *linear = linear_;

    if (!linear->n_waiting) {
        for (int i = 0; i < BENCH_BURST; i++) {
            fetch(linear, i, &keys[i], bytes[i], false);
        }
        linear->n_waiting = BENCH_BURST;
        return;
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        fetch(linear, i, &keys[i], bytes[i], true);
    }
}

/* Counts the packets that wait. */
void
bench_linear_finish(struct bench_linear *linear)
{
    for (int i = 0; i < linear->n_waiting; i++) {
        count(linear, &linear->waiting[i]);
    }
    linear->n_waiting = 0;
}

void
bench_linear_clear(void *linear_)
{
    struct bench_linear *linear = linear_;

    measure_table_clear(&linear->table);
    linear->refused = 0;
    linear->n_waiting = 0;
}

size_t
bench_linear_memory(const void *linear_)
{
    const struct bench_linear *linear = linear_;

    return measure_table_size(linear->table.n_lines);
}

static void *
linear_create(struct bench_settings *settings, const char **why_not)
{
    struct bench_linear *linear = measure_xzalloc(sizeof *linear);

    if (!bench_linear_init(linear, settings, table_lines(settings),
                           why_not)) {
        free(linear);
        return NULL;
    }
    return linear;
}

static void
linear_report(void *linear_, uint64_t threshold,
              bench_report_function *report, void *aux)
{
    struct bench_linear *linear = linear_;

    bench_linear_finish(linear);
    MEASURE_TABLE_FOR_EACH (row, &linear->table) {
        uint64_t packets = *measure_row_packets(row, MEASURE_NARROW);

        if (packets >= threshold) {
            struct bench_key key = { { row[0], row[1] } };

            report(aux, &key, packets);
        }
    }
}

const struct bench_contender bench_linear_table = {
    .name = "linear-table",
    .create = linear_create,
    .clear = bench_linear_clear,
    .update = bench_linear_update,
    .report = linear_report,
    .memory = bench_linear_memory,
};
