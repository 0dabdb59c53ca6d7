/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the linear table, used as a tally does, and the floor. */

#ifndef BENCH_LINEAR_H
#define BENCH_LINEAR_H 1

#include "contender.h"
#include "structures/measure-table.h"

/* The linear table, used as measure_tally_fetch() does: a packet is counted
 * when the one that comes a burst later is fetched.  Other contenders count in
 * it, too, and compute their answers from it. */

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

bool bench_linear_init(struct bench_linear *, struct bench_settings *,
                       uint32_t n_lines, const char **why_not);
void bench_linear_finish(struct bench_linear *);

/* Of a 'struct bench_linear', for a 'struct bench_contender'. */
void bench_linear_clear(void *);
void bench_linear_update(void *, const struct bench_key *,
                         const uint16_t *bytes);
size_t bench_linear_memory(const void *);

extern const struct bench_contender bench_floor;
extern const struct bench_contender bench_linear_table;

#endif /* bench/library/linear.h */
