/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "measure-estimate.h"

static uint64_t
cut(long double error, uint64_t estimate)
{
    return error < estimate ? error : estimate;
}

/* Stores 'sum' in '*estimate', with errors that are no larger than what they
 * are of. */
void
measure_estimate_sum_get(const struct measure_estimate_sum *sum,
                         struct measure_estimate *estimate)
{
    estimate->packets = sum->packets;
    estimate->bytes = sum->bytes;
    estimate->packets_error = cut(sum->packets_error, sum->packets);
    estimate->bytes_error = cut(sum->bytes_error, sum->bytes);
}

/* Returns the probability that two keys share one of 'n_cells' cells, at most:
 * the 2^32 values of half a hash are not spread evenly unless 'n_cells' is a
 * power of 2.  Of a cell with f of the last value more than the others, the
 * square of the share is larger than 1 / n_cells^2 by f * (1 - f) / 2^64. */
long double
measure_cell_share(uint32_t n_cells)
{
    return 1.0L / n_cells + n_cells / 0x1p66L;
}

/* Records 'key', whose hash is 'hash', and counts 'packets' and 'bytes' with
 * it. */
bool __attribute__((noinline))
measure_heavy_keys_record(struct measure_heavy_keys *heavy,
                          const uint64_t *key, uint64_t hash,
                          uint64_t packets, uint64_t bytes)
{
    struct measure_table *table = &heavy->table;
    bool recorded;

    if (table->family == MEASURE_IPV4) {
        recorded = measure_table_add(table, MEASURE_IPV4,
                                     MEASURE_TABLE_MAX_PROBES, key, hash,
                                     packets, bytes);
    } else {
        recorded = measure_table_add(table, MEASURE_IPV6,
                                     MEASURE_TABLE_MAX_PROBES, key, hash,
                                     packets, bytes);
    }
    if (!recorded) {
        __atomic_store_n(&heavy->lost, heavy->lost + 1, __ATOMIC_RELAXED);
    }
    return recorded;
}

/* Returns the bytes of memory that the keys take. */
size_t
measure_heavy_keys_size(enum measure_family family,
                        const struct measure_heavy_params *params)
{
    return measure_table_size(measure_table_lines_for(family,
                                                      params->max_keys));
}

/* Makes an empty record of keys in 'memory', measure_heavy_keys_size() bytes
 * of zeros that begin with a cache line. */
void
measure_heavy_keys_init(struct measure_heavy_keys *heavy,
                        enum measure_family family,
                        const struct measure_heavy_params *params,
                        void *memory)
{
    memset(heavy, 0, sizeof *heavy);
    heavy->params = *params;
    heavy->table.rows = memory;
    heavy->table.n_lines = measure_table_lines_for(family, params->max_keys);
    heavy->table.max_used = params->max_keys;
    heavy->table.family = family;
    measure_heavy_keys_advance(heavy, 0, 0);
}

/* Returns how often a key found no room. */
uint64_t
measure_heavy_keys_lost(const struct measure_heavy_keys *heavy)
{
    return __atomic_load_n(&heavy->lost, __ATOMIC_RELAXED);
}

/* Adds the keys of 'from', and what was counted, to 'heavy', whose keys are
 * hashed with 'secret' as well. */
void
measure_heavy_keys_merge(struct measure_heavy_keys *heavy,
                         const struct measure_heavy_keys *from,
                         const struct measure_hash_secret *secret)
{
    enum measure_family family = from->table.family;

    MEASURE_TABLE_FOR_EACH (row, &from->table) {
        measure_heavy_keys_record(heavy, row,
                                  measure_hash(secret, row,
                                               measure_key_words(family)),
                                  *measure_row_packets(row, family),
                                  *measure_row_bytes(row, family));
    }
    heavy->lost += from->lost;
    measure_heavy_keys_advance(heavy, from->packets, from->bytes);
}
