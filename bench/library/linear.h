/* SPDX-License-Identifier: Apache-2.0 */
/* The linear table, used as a tally does. */

#ifndef BENCH_LINEAR_H
#define BENCH_LINEAR_H 1

#include "bench.h"
#include "structures/measure-table.h"

/* The linear table, used as measure_tally_fetch() does: a packet is counted
 * when the one that comes a burst later is fetched. */

struct bench_waiting {
    struct bench_key key;
    uint64_t *home;
    uint64_t bytes;
};

struct bench_linear {
    struct measure_table table;
    struct measure_hash_secret secret;
    uint64_t refused;           /* Packets. */
    int n_waiting;              /* 0 or BENCH_BURST. */
    struct bench_waiting waiting[BENCH_BURST];
};

static inline void
bench_linear_count(struct bench_linear *linear,
                   const struct bench_waiting *packet)
{
    if (!measure_table_add_at(&linear->table, MEASURE_NARROW,
                              MEASURE_TABLE_MAX_PROBES, packet->key.words,
                              packet->home, 1, packet->bytes)) {
        linear->refused++;
    }
}

static inline void
bench_linear_fetch(struct bench_linear *linear, int i,
                   const struct bench_key *key, uint16_t bytes, bool count)
{
    uint64_t hash = measure_hash(&linear->secret, key->words,
                                 measure_key_words(MEASURE_NARROW));
    uint64_t *home = measure_table_home(&linear->table, hash);

    __builtin_prefetch(home, 1);
    if (count) {
        bench_linear_count(linear, &linear->waiting[i]);
    }
    linear->waiting[i] = (struct bench_waiting) { *key, home, bytes };
}

static inline void
bench_linear_update(struct bench_linear *linear, const struct bench_key *keys,
                    const uint16_t *bytes)
{
    if (!linear->n_waiting) {
        for (int i = 0; i < BENCH_BURST; i++) {
            bench_linear_fetch(linear, i, &keys[i], bytes[i], false);
        }
        linear->n_waiting = BENCH_BURST;
        return;
    }
    for (int i = 0; i < BENCH_BURST; i++) {
        bench_linear_fetch(linear, i, &keys[i], bytes[i], true);
    }
}

/* Counts the packets that wait. */
static inline void
bench_linear_finish(struct bench_linear *linear)
{
    for (int i = 0; i < linear->n_waiting; i++) {
        bench_linear_count(linear, &linear->waiting[i]);
    }
    linear->n_waiting = 0;
}

static inline void
bench_linear_clear(struct bench_linear *linear)
{
    measure_table_clear(&linear->table);
    linear->refused = 0;
    linear->n_waiting = 0;
}

#endif /* bench/library/linear.h */
