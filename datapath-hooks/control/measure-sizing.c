/* SPDX-License-Identifier: Apache-2.0 */
/* How large the tallies of a monitor are. */

#include <config.h>

#include "measure-sizing.h"

#include "base/measure-base.h"
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
                            MEASURE_MIB), 1);
}

uint64_t
measure_memory_limit(const struct monitor *monitor)
{
    uint32_t least = measure_least_mb(ovs_list_size(&monitor->threads)
                                      + monitor->n_new);

    return MAX(monitor->config.memory_mb, least) * MEASURE_MIB;
}

static uint64_t
idle_bytes(const struct monitor *monitor)
{
    return monitor->config.idle_memory_mb * MEASURE_MIB;
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
    uint64_t aside = (measure_expectations_limit(limit)
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
reset_tally(struct measure_tally *tally, const uint32_t *n_lines,
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
    reset_tally(tally, n_lines, none);
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
    reset_tally(tally, n_lines, next_lines);
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
    tally->epoch = monitor->epoch;
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

/* Room. */

static uint64_t
report_bytes(const struct measure_tally *tally)
{
    struct measure_load load;

    measure_tally_load(tally, &load);
    return load.report_bytes;
}

/* What all tables of a monitor may take. */
#define EXPECTATIONS_MAX_BYTES (128 * MEASURE_MIB)

/* Returns what the tables of expectations may take: an eighth of all. */
uint64_t
measure_expectations_limit(uint64_t memory_limit)
{
    return MIN(memory_limit / 8, EXPECTATIONS_MAX_BYTES);
}

/* Returns the bytes that the tables of expectations of 'monitor' will take
 * when the next epoch has been closed, and do not yet. */
static uint64_t
missing_bytes(const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    uint64_t limit = measure_expectations_limit(measure_memory_limit(monitor));
    uint64_t bytes = __atomic_load_n(&monitor->findings.expected.bytes,
                                     __ATOMIC_RELAXED);

    if (!measure_structure_is_complete(monitor->config.structure)) {
        return 0;
    }
    return limit > bytes ? limit - bytes : 0;
}

/* Returns the bytes that 'monitor' may still allocate. */
uint64_t
measure_memory_room(const struct monitor *monitor)
{
    uint64_t used = (measure_budget_used(&monitor->budget)
                     + measure_budget_spare(&monitor->budget)
                     + missing_bytes(monitor));
    uint64_t limit = measure_memory_limit(monitor);
    const struct closing_epoch *closing;
    const struct monitor_thread *thread;

    LIST_FOR_EACH (closing, node, &monitor->closing) {
        for (size_t i = 0; i < closing->n; i++) {
            used += report_bytes(closing->tallies[i]);
        }
    }
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        struct measure_tally *tally = measure_thread_tally(&thread->thread);

        if (tally) {
            used += report_bytes(tally);
        }
    }
    return limit > used ? limit - used : 0;
}

/* Puts the limit of the memory of 'monitor' into effect, which depends on its
 * threads.  Warns if those that have not ended need more than its setting. */
void
measure_sizing_apply_limit(struct monitor *monitor)
{
    const struct monitor_thread *thread;
    uint32_t least_mb;
    size_t n = 0;

    __atomic_store_n(&monitor->budget.limit, measure_memory_limit(monitor),
                     __ATOMIC_RELAXED);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        n += thread->dp_thread != NULL;
    }
    least_mb = measure_least_mb(n);
    if (monitor->config.memory_mb >= least_mb) {
        monitor->raised_mb = 0;
    } else if (monitor->raised_mb < least_mb) {
        monitor->raised_mb = least_mb;
        VLOG_WARN("%s: other_config:measure-memory-mb=%"PRIu32" is too little "
                  "for %"PRIuSIZE" packet threads: %"PRIu32" MiB, the least "
                  "that they need, are the limit", monitor->name,
                  monitor->config.memory_mb, n, least_mb);
    }
}

static bool
is_quiet(const struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    const struct monitor_thread *thread;

    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (!measure_thread_is_quiet(thread)) {
            return false;
        }
    }
    return true;
}

/* Frees spare memory of 'monitor': what is more than an eighth of its memory,
 * and all of it if less than 'want' bytes are left, all threads are quiet or
 * measurement is off.  If these bytes are not left, the newest report forgets
 * its cached groups, too. */
void
measure_sizing_trim(struct monitor *monitor, uint64_t want)
{
    const struct measure_history *history = &monitor->history;
    struct kept_report *newest = NULL;
    uint64_t max_spare = 0;

    ovs_mutex_lock(&measure_mutex);
    if (measure_memory_room(monitor) < want) {
        if (history->n) {
            newest = measure_kept_report_ref(measure_history_newest(history));
        }
    } else if (monitor->running && !is_quiet(monitor)) {
        max_spare = measure_memory_limit(monitor) / 8;
    }
    ovs_mutex_unlock(&measure_mutex);

    measure_memory_trim(&monitor->budget, max_spare);
    if (newest) {
        measure_report_forget_groups(newest->report);
        measure_kept_report_unref(newest);
        measure_memory_trim(&monitor->budget, 0);
    }
}

/* Takes old reports off the history of 'monitor' into 'dropped', which the
 * caller must free without the lock: those that are too many, and further
 * ones until they take no more than a quarter of the memory, or a 32nd of it
 * while the tables have less than 'want' bytes left to grow.  To drop small
 * reports, too, would not help the tables.  The newest stays in any case; it
 * alone when measurement is off.
 *
 * Spare blocks go before reports do. */
static void
trim_history(struct monitor *monitor, uint64_t want, struct ovs_list *dropped)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_history *history = &monitor->history;
    uint64_t free_bytes = measure_memory_room(monitor);
    size_t max = monitor->running ? monitor->config.history : 1;

    while (history->n > 1) {
        bool too_many = history->n > max;
        uint64_t share = free_bytes >= want ? 4 : 32;
        struct kept_report *oldest;

        if (!too_many
            && history->bytes <= measure_memory_limit(monitor) / share) {
            break;
        }
        oldest = measure_history_take_oldest(history);
        free_bytes += oldest->bytes;
        history->dropped_number += too_many;
        history->dropped_memory += !too_many;
        ovs_list_push_back(dropped, &oldest->node);
    }
}

static void
free_dropped(struct ovs_list *dropped)
{
    struct kept_report *kept;

    LIST_FOR_EACH_POP (kept, node, dropped) {
        measure_kept_report_unref(kept);
    }
}

/* Frees spare memory and old reports of 'monitor' so that 'want' bytes are
 * left for its tables, as far as that can be. */
void
measure_sizing_make_room(struct monitor *monitor, uint64_t want)
{
    struct ovs_list dropped = OVS_LIST_INITIALIZER(&dropped);

    measure_sizing_trim(monitor, want);
    ovs_mutex_lock(&measure_mutex);
    trim_history(monitor, want, &dropped);
    ovs_mutex_unlock(&measure_mutex);
    free_dropped(&dropped);
}
