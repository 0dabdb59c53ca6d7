/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: a count array that two threads share, and one for each. */

#include <config.h>

#include "shared.h"

#include <string.h>

#include "base/measure-base.h"
#include "burst.h"
#include "contenders/measure-shared.h"
#include "support.h"

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
    size_t memory = settings->memory ? settings->memory : MEASURE_MIB;
    bool shared = settings->contender->parameter;

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
        count_array_add_burst(&side->array, records, BENCH_BURST);
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
