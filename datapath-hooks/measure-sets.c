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

#include "measure-sets.h"

#include "dpdk.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_sets);

/* Sizes of tables, in lines of 64 bytes.
 *
 * The first table of an epoch should stay in a cache of the core. */
#define MIN_LINES 16
#define FIRST_LINES_IPV4 2048
#define FIRST_LINES_IPV6 256
#define GROWTH 4

/* A structure that must be there at once is no larger, as clearing its memory
 * takes time. */
#define START_STRUCTURE_BYTES (UINT64_C(64) << 20)

/* A PMD receives many more packets than the main thread. */
#define PMD_WEIGHT 8
#define MAIN_WEIGHT 1

uint64_t
measure_memory_limit(const struct monitor *monitor)
{
    return (uint64_t) monitor->config.memory_mb * 1024 * 1024;
}

uint64_t
measure_set_bytes(const struct measure_set *set)
{
    struct measure_load load;

    measure_set_load(set, &load);
    return load.table_bytes;
}

static unsigned int
writer_weight(const struct monitor_writer *writer)
{
    return writer->core_id == NON_PMD_CORE_ID ? MAIN_WEIGHT : PMD_WEIGHT;
}

/* What 'writer' may take for the beginning of an epoch. */
uint64_t
measure_writer_limit(const struct monitor *monitor,
             const struct monitor_writer *writer)
{
    const struct monitor_writer *other;
    unsigned int sum = 0;

    LIST_FOR_EACH (other, node, &monitor->writers) {
        sum += writer_weight(other);
    }
    return (measure_memory_limit(monitor) / 4 * writer_weight(writer)
            / MAX(sum, 1));
}

/* Returns at least 'lines', if 'limit' bytes allow, as a power of 2: then a
 * table often fits the next epoch, too. */
static uint32_t
choose_lines(uint64_t lines, uint64_t limit)
{
    lines = MIN(lines * 2 - 1, limit / MEASURE_LINE_SIZE);
    lines = MIN(MAX(lines, MIN_LINES), MEASURE_TABLE_MAX_LINES);
    return 1u << log_2_floor(lines);
}

/* Returns what each table of 'family' in a set for which there are 'limit'
 * bytes may take: of two tables for each family, three quarters are for
 * IPv4. */
static uint64_t
table_limit(enum measure_family family, uint64_t limit)
{
    return family == MEASURE_IPV4 ? limit * 3 / 8 : limit / 8;
}

static void
reset_set(struct measure_set *set, const uint32_t *n_lines,
          const uint32_t *next_lines)
{
    if (!measure_set_reset(set, n_lines, next_lines)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_WARN_RL(&rl, "no memory for measurement tables of %"PRIu32
                     " and %"PRIu32" lines: counts will not be exact",
                     n_lines[MEASURE_IPV4], n_lines[MEASURE_IPV6]);
    }
}

/* Makes 'set' ready for an epoch in a structure of 'kind', within 'limit'
 * bytes.  A structure whose keys all get rows in the report may take half of
 * them, for a row there is larger than one here. */
static void
prepare_structure(struct measure_set *set, enum measure_structure_kind kind,
                  uint64_t limit)
{
    static const uint32_t n_lines[MEASURE_N_FAMILIES] = {
        MIN_LINES, MIN_LINES
    };
    static const uint32_t none[MEASURE_N_FAMILIES] = { 0, 0 };

    if (kind == MEASURE_CUCKOO_TABLE || kind == MEASURE_SPACE_SAVING) {
        limit /= 2;
    }
    reset_set(set, n_lines, none);
    if (!measure_set_use_structure(set, kind, limit)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_WARN_RL(&rl, "no memory for a measurement structure "
                     "(measure-structure=%s) of %"PRIu64" bytes: counts will "
                     "not be exact", measure_structure_name(kind), limit);
    }
}

/* Makes 'set' ready for an epoch of about 'n_flows' flows in a structure of
 * 'kind', within 'limit' bytes. */
void
measure_prepare_set(struct measure_set *set, enum measure_structure_kind kind,
                    const uint64_t n_flows[MEASURE_N_FAMILIES],
                    uint64_t limit)
{
    static const uint32_t least[MEASURE_N_FAMILIES] = {
        [MEASURE_IPV4] = FIRST_LINES_IPV4,
        [MEASURE_IPV6] = FIRST_LINES_IPV6,
    };
    uint32_t n_lines[MEASURE_N_FAMILIES];
    uint32_t next_lines[MEASURE_N_FAMILIES];

    if (kind != MEASURE_LINEAR_TABLE) {
        prepare_structure(set, kind, limit);
        return;
    }
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        uint32_t expected = measure_table_lines_for(
            family, n_flows[family] * 5 / 4);

        n_lines[family] = choose_lines(
            MAX(expected, choose_lines(least[family], limit / 16)),
            table_limit(family, limit));
        next_lines[family] = MAX(MIN(MAX((uint64_t) n_lines[family] * GROWTH,
                                         MEASURE_NEXT_LINES),
                                     (table_limit(family, limit)
                                      / MEASURE_LINE_SIZE)),
                                 MIN_LINES);
    }
    measure_set_use_structure(set, MEASURE_LINEAR_TABLE, 0);
    reset_set(set, n_lines, next_lines);
}

/* Stores in '*threshold' from where on structures record the keys of an epoch
 * of 'monitor': at half of what makes a heavy hitter.
 *
 * A key with a share of all packets has that share of those of at least one
 * thread.  A rate is that of the whole epoch, in one of the threads. */
static void
get_threshold(const struct monitor *monitor,
              struct measure_structure_threshold *threshold)
{
    const struct measure_threshold *heavy = &monitor->config.heavy_hitter;
    double half = heavy->value / 2;
    double in_epoch = (half * monitor->config.epoch_ms / 1000
                       / MAX(ovs_list_size(&monitor->writers), 1));

    *threshold = (struct measure_structure_threshold) {
        .min_packets = 1,
        .min_bytes = 1,
    };
    if (heavy->unit == MEASURE_SHARE) {
        threshold->packets_share = half / 100 * MEASURE_WHOLE;
        threshold->bytes_share = threshold->packets_share;
    } else if (heavy->unit == MEASURE_PACKETS_PER_SECOND) {
        threshold->min_packets = MAX(in_epoch, 1);
        threshold->min_bytes = MEASURE_NEVER;
    } else {
        threshold->min_packets = MEASURE_NEVER;
        threshold->min_bytes = MAX(in_epoch / 8, 1);
    }
}

/* Gives 'set', which is empty, the tiers of the epoch of 'writer' that
 * 'monitor' is in: two only for linear tables.  What cache entries count, and
 * for whom, may take a sixteenth of the memory; without room for it everything
 * is counted in the tables. */
void
measure_begin_set(struct monitor *monitor, struct monitor_writer *writer,
                  struct measure_set *set)
{
    uint64_t cache_bytes = (ovs_list_size(&monitor->writers)
                            * (sizeof(struct measure_cache)
                               + sizeof(struct measure_cache_keys)));
    struct measure_cache_keys *keys = NULL;

    if (monitor->tiers == 2 && !set->structure
        && cache_bytes <= measure_memory_limit(monitor) / 16) {
        keys = measure_writer_get_keys(&writer->writer, &monitor->budget,
                                       writer->numa_id);
    }
    measure_set_use_cache(set, keys);
    set->prefetch = monitor->config.prefetch;
    measure_set_begin(set, monitor->by);
    if (set->structure) {
        struct measure_structure_threshold threshold;

        get_threshold(monitor, &threshold);
        measure_structure_begin(set->structure, &threshold);
    }
}

/* Makes the empty 'set', which has 'bytes' of memory, ready for 'writer' and
 * the epoch that 'monitor' is in.  Packets come before the control thread gets
 * to give it more tables, so it has the same reserve as any other; a
 * structure, which may be much larger, begins small. */
void
measure_start_set(struct monitor *monitor, const struct monitor_writer *writer,
          struct measure_set *set, uint64_t bytes)
{
    uint64_t limit = MIN(measure_writer_limit(monitor, writer),
                         bytes + measure_memory_room(monitor) / 2);

    if (monitor->structure != MEASURE_LINEAR_TABLE) {
        limit = MIN(limit, START_STRUCTURE_BYTES);
    }
    measure_prepare_set(set, monitor->structure, writer->n_flows, limit);
    measure_control_wake();
}

/* Returns true if the packet thread has begun the last table of 'family', or
 * has too small a one in reserve for 'limit'. */
static bool
needs_table(const struct measure_load *load, enum measure_family family,
            uint64_t limit)
{
    return (!load->n_unused[family]
            || (load->n_unused[family] == 1
                && (load->last_lines[family]
                    < MIN(MEASURE_NEXT_LINES, (table_limit(family, limit)
                                               / MEASURE_LINE_SIZE)))));
}

/* Returns true if 'set', whose writer has 'limit', needs another table. */
bool
measure_set_needs_table(const struct measure_set *set, uint64_t limit)
{
    struct measure_load load;

    measure_set_load(set, &load);
    return (!set->structure && (needs_table(&load, MEASURE_IPV4, limit)
                                || needs_table(&load, MEASURE_IPV6, limit)));
}

/* Gives 'set', whose writer has 'limit', another table if it needs one, out of
 * half of the '*left' bytes.  The table counts twice, for its report can be as
 * large. */
void
measure_grow_set(struct measure_set *set, uint64_t limit, uint64_t *left)
{
    struct measure_load load;

    measure_set_load(set, &load);
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        uint64_t want = MAX((uint64_t) load.n_lines[family] * GROWTH,
                            MEASURE_NEXT_LINES);
        uint32_t lines = MIN(MIN(want, *left / 4 / MEASURE_LINE_SIZE),
                             MEASURE_TABLE_MAX_LINES);

        if (needs_table(&load, family, limit) && lines >= MIN_LINES
            && measure_set_add_table(set, family, lines)) {
            *left -= 2 * measure_table_size(lines);
        }
    }
}
