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

/* A PMD receives many more packets than the main thread. */
#define PMD_WEIGHT MEASURE_QUIET_WEIGHT
#define MAIN_WEIGHT 1

#define MIN_LINES MEASURE_SET_MIN_LINES

/* Returns the smallest limit, in MiB, that 'n_writers' can do with: they may
 * take five eighths of it.  The rest is for expectations and reports. */
uint32_t
measure_least_mb(size_t n_writers)
{
    return MAX(DIV_ROUND_UP(n_writers * MEASURE_WRITER_LEAST * 8 / 5,
                            1024 * 1024), 1);
}

uint64_t
measure_memory_limit(const struct monitor *monitor)
{
    uint32_t least = measure_least_mb(ovs_list_size(&monitor->writers)
                                      + monitor->n_new);

    return (uint64_t) MAX(monitor->config.memory_mb, least) * 1024 * 1024;
}

static uint64_t
idle_bytes(const struct monitor *monitor)
{
    return (uint64_t) monitor->config.idle_memory_mb * 1024 * 1024;
}

/* What a set that must be there at once may take: the main thread makes it,
 * which must not be held up for long. */
uint64_t
measure_start_limit(const struct monitor *monitor)
{
    size_t n = MAX(ovs_list_size(&monitor->writers) + monitor->n_new, 1);

    return MAX(MEASURE_START_BYTES,
               MIN(idle_bytes(monitor) / 2, MEASURE_MAX_START_BYTES / n));
}

uint64_t
measure_set_bytes(const struct measure_set *set)
{
    struct measure_load load;

    measure_set_load(set, &load);
    return load.table_bytes;
}

unsigned int
measure_writer_weight(const struct monitor_writer *writer)
{
    return writer->core_id == NON_PMD_CORE_ID ? MAIN_WEIGHT : PMD_WEIGHT;
}

static unsigned int
all_weights(const struct monitor *monitor)
{
    const struct monitor_writer *writer;
    unsigned int sum = 0;

    LIST_FOR_EACH (writer, node, &monitor->writers) {
        sum += measure_writer_weight(writer);
    }
    return MAX(sum + monitor->new_weight, 1);
}

/* What 'writer' may take for the beginning of an epoch. */
uint64_t
measure_writer_limit(const struct monitor *monitor,
                     const struct monitor_writer *writer)
{
    uint64_t limit = measure_memory_limit(monitor);
    uint64_t aside = (measure_tasks_limit(limit)
                      + 2 * (ovs_list_size(&monitor->writers)
                             + monitor->n_new) * MEASURE_SET_OWN_BYTES);

    return (limit > aside
            ? ((limit - aside) / 4 * measure_writer_weight(writer)
               / all_weights(monitor))
            : 0);
}

/* Returns true if 'writer' has counted nothing for a while. */
bool
measure_writer_is_quiet(const struct monitor_writer *writer)
{
    const struct measure_set *set = measure_writer_set(&writer->writer);
    struct measure_load load;

    if (!set || writer->n_quiet < MEASURE_QUIET_EPOCHS) {
        return !set;
    }
    measure_set_load(set, &load);
    return !load.counters.packets;
}

/* What the next set of 'writer' may take. */
uint64_t
measure_set_limit(const struct monitor *monitor,
                  const struct monitor_writer *writer)
{
    uint64_t limit = measure_writer_limit(monitor, writer);

    if (measure_writer_is_quiet(writer)) {
        limit = MIN(limit,
                    measure_set_quiet_limit(idle_bytes(monitor),
                                            measure_writer_weight(writer),
                                            all_weights(monitor)));
    }
    return limit;
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
    uint32_t n_lines[MEASURE_N_FAMILIES];
    uint32_t next_lines[MEASURE_N_FAMILIES];

    if (kind != MEASURE_LINEAR_TABLE) {
        prepare_structure(set, kind, limit);
        return;
    }
    measure_set_choose_lines(n_flows, limit, n_lines, next_lines);
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

/* Returns true if 'writer' shall count with two tiers: only in linear tables.
 * What cache entries count, and for whom, may take a sixteenth of the memory;
 * without room for it everything is counted in the tables. */
bool
measure_wants_cache(const struct monitor *monitor,
                    const struct monitor_writer *writer)
{
    uint64_t cache_bytes = (ovs_list_size(&monitor->writers)
                            * (sizeof(struct measure_cache)
                               + sizeof(struct measure_cache_keys)));

    return (monitor->config.tiers == 2
            && monitor->config.structure == MEASURE_LINEAR_TABLE
            && cache_bytes <= measure_memory_limit(monitor) / 16
            && !measure_writer_is_quiet(writer));
}

/* Gives 'set', which is empty and fits, the tiers of the epoch of 'writer'
 * that 'monitor' is in. */
void
measure_begin_set(struct monitor *monitor, struct monitor_writer *writer,
                  struct measure_set *set)
{
    measure_set_use_cache(set, (set->held_cache
                                && measure_wants_cache(monitor, writer)
                                ? measure_writer_keys(&writer->writer)
                                : NULL));
    set->prefetch = monitor->config.prefetch;
    measure_set_begin(set, monitor->by);
    if (set->structure) {
        struct measure_structure_threshold threshold;

        get_threshold(monitor, &threshold);
        measure_structure_begin(set->structure, &threshold);
    }
}

/* Returns true if 'set', the idle one of 'writer' or NULL, can be used in the
 * next epoch: it was made for its structure, and for no more memory than there
 * is, nor for a writer that is quiet if this one is not. */
bool
measure_set_fits(const struct monitor *monitor,
                 const struct monitor_writer *writer,
                 const struct measure_set *set)
{
    return (set && writer->idle_kind == monitor->config.structure
            && writer->idle_limit <= measure_writer_limit(monitor, writer)
            && (!writer->idle_quiet || measure_writer_is_quiet(writer)));
}
