/* SPDX-License-Identifier: Apache-2.0 */
/* How large the tallies of a monitor are. */

#include <config.h>

#include "measure-sizing.h"

#include "dpdk.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_sizing);

/* A PMD receives many more packets than the main thread. */
#define PMD_WEIGHT MEASURE_QUIET_WEIGHT
#define MAIN_WEIGHT 1

#define MIN_LINES MEASURE_TALLY_MIN_LINES

/* Returns the smallest limit, in MiB, that 'n_threads' can do with: they may
 * take five eighths of it.  The rest is for expectations and reports. */
uint32_t
measure_least_mb(size_t n_threads)
{
    return MAX(DIV_ROUND_UP(n_threads * MEASURE_THREAD_LEAST * 8 / 5,
                            1024 * 1024), 1);
}

uint64_t
measure_memory_limit(const struct monitor *monitor)
{
    uint32_t least = measure_least_mb(ovs_list_size(&monitor->threads)
                                      + monitor->n_new);

    return (uint64_t) MAX(monitor->config.memory_mb, least) * 1024 * 1024;
}

static uint64_t
idle_bytes(const struct monitor *monitor)
{
    return (uint64_t) monitor->config.idle_memory_mb * 1024 * 1024;
}

/* What a tally that must be there at once may take: the main thread makes it,
 * which must not be held up for long. */
uint64_t
measure_start_limit(const struct monitor *monitor)
{
    size_t n = MAX(ovs_list_size(&monitor->threads) + monitor->n_new, 1);

    return MAX(MEASURE_START_BYTES,
               MIN(idle_bytes(monitor) / 2, MEASURE_MAX_START_BYTES / n));
}

uint64_t
measure_tally_bytes(const struct measure_tally *tally)
{
    struct measure_load load;

    measure_tally_load(tally, &load);
    return load.table_bytes;
}

unsigned int
measure_thread_weight(const struct monitor_thread *thread)
{
    return thread->core_id == NON_PMD_CORE_ID ? MAIN_WEIGHT : PMD_WEIGHT;
}

static unsigned int
all_weights(const struct monitor *monitor)
{
    const struct monitor_thread *thread;
    unsigned int sum = 0;

    LIST_FOR_EACH (thread, node, &monitor->threads) {
        sum += measure_thread_weight(thread);
    }
    return MAX(sum + monitor->new_weight, 1);
}

/* What 'thread' may take for the beginning of an epoch. */
uint64_t
measure_thread_limit(const struct monitor *monitor,
                     const struct monitor_thread *thread)
{
    uint64_t limit = measure_memory_limit(monitor);
    uint64_t aside = (measure_watch_limit(limit)
                      + 2 * (ovs_list_size(&monitor->threads)
                             + monitor->n_new) * MEASURE_TALLY_OWN_BYTES);

    return (limit > aside
            ? ((limit - aside) / 4 * measure_thread_weight(thread)
               / all_weights(monitor))
            : 0);
}

/* Returns true if 'thread' has counted nothing for a while. */
bool
measure_thread_is_quiet(const struct monitor_thread *thread)
{
    const struct measure_tally *tally = measure_thread_tally(&thread->thread);
    struct measure_load load;

    if (!tally || thread->n_quiet < MEASURE_QUIET_EPOCHS) {
        return !tally;
    }
    measure_tally_load(tally, &load);
    return !load.counters.packets;
}

/* What the next tally of 'thread' may take. */
uint64_t
measure_tally_limit(const struct monitor *monitor,
                    const struct monitor_thread *thread)
{
    uint64_t limit = measure_thread_limit(monitor, thread);

    if (measure_thread_is_quiet(thread)) {
        limit = MIN(limit,
                    measure_tally_quiet_limit(idle_bytes(monitor),
                                              measure_thread_weight(thread),
                                              all_weights(monitor)));
    }
    return limit;
}

static void
reset_set(struct measure_tally *tally, const uint32_t *n_lines,
          const uint32_t *next_lines)
{
    if (!measure_tally_reset(tally, n_lines, next_lines)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_WARN_RL(&rl, "no memory for measurement tables of %"PRIu32
                     " and %"PRIu32" lines: counts will not be exact",
                     n_lines[MEASURE_NARROW], n_lines[MEASURE_WIDE]);
    }
}

/* Makes 'tally' ready for an epoch in a structure of 'kind', within 'limit'
 * bytes. */
static void
prepare_structure(struct measure_tally *tally,
                  enum measure_structure_kind kind, uint64_t limit)
{
    static const uint32_t n_lines[MEASURE_N_LAYOUTS] = {
        MIN_LINES, MIN_LINES
    };
    static const uint32_t none[MEASURE_N_LAYOUTS] = { 0, 0 };

    limit /= measure_structure_class(kind)->memory_divisor;
    reset_set(tally, n_lines, none);
    if (!measure_tally_use_structure(tally, kind, limit)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

        VLOG_WARN_RL(&rl, "no memory for a measurement structure "
                     "(measure-structure=%s) of %"PRIu64" bytes: counts will "
                     "not be exact", measure_structure_name(kind), limit);
    }
}

/* Makes 'tally' ready for an epoch of about 'n_flows' flows in a structure of
 * 'kind', within 'limit' bytes. */
void
measure_tally_prepare(struct measure_tally *tally,
                      enum measure_structure_kind kind,
                      const uint64_t n_flows[MEASURE_N_LAYOUTS],
                      uint64_t limit)
{
    uint32_t n_lines[MEASURE_N_LAYOUTS];
    uint32_t next_lines[MEASURE_N_LAYOUTS];

    if (kind != MEASURE_LINEAR_TABLE) {
        prepare_structure(tally, kind, limit);
        return;
    }
    measure_tally_choose_lines(n_flows, limit, n_lines, next_lines);
    measure_tally_use_structure(tally, MEASURE_LINEAR_TABLE, 0);
    reset_set(tally, n_lines, next_lines);
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
                       / MAX(ovs_list_size(&monitor->threads), 1));

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

/* Returns true if 'thread' shall count with two tiers: only in linear tables.
 * What cache entries count, and for whom, may take a sixteenth of the memory;
 * without room for it everything is counted in the tables. */
bool
measure_wants_cache(const struct monitor *monitor,
                    const struct monitor_thread *thread)
{
    uint64_t cache_bytes = (ovs_list_size(&monitor->threads)
                            * (sizeof(struct measure_cache)
                               + sizeof(struct measure_cache_keys)));

    return (monitor->config.tiers == 2
            && monitor->config.structure == MEASURE_LINEAR_TABLE
            && cache_bytes <= measure_memory_limit(monitor) / 16
            && !measure_thread_is_quiet(thread));
}

/* Gives 'tally', which is empty and fits, the tiers of the epoch of 'thread'
 * that 'monitor' is in. */
void
measure_tally_begin_for(struct monitor *monitor, struct monitor_thread *thread,
                        struct measure_tally *tally)
{
    measure_tally_use_cache(tally, (tally->held_cache
                                    && measure_wants_cache(monitor, thread)
                                    ? measure_thread_keys(&thread->thread)
                                    : NULL));
    tally->prefetch = monitor->config.prefetch;
    measure_tally_begin(tally, monitor->key_kind);
    if (tally->structure) {
        struct measure_structure_threshold threshold;

        get_threshold(monitor, &threshold);
        measure_structure_begin(tally->structure, &threshold);
    }
}

/* Returns true if 'tally', the idle one of 'thread' or NULL, can be used in
 * the next epoch: it was made for its structure, and for no more memory than
 * there is, nor for a thread that is quiet if this one is not. */
bool
measure_tally_fits(const struct monitor *monitor,
                   const struct monitor_thread *thread,
                   const struct measure_tally *tally)
{
    return (tally && thread->idle_kind == monitor->config.structure
            && thread->idle_limit <= measure_thread_limit(monitor, thread)
            && (!thread->idle_quiet || measure_thread_is_quiet(thread)));
}
