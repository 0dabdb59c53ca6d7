/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the packet threads the tallies and tables that they need. */

#include <config.h>

#include "measure-supply.h"

#include "base/measure-base.h"
#include "measure-sizing.h"
#include "ovs-rcu.h"
#include "report/measure-report.h"
#include "seq.h"
#include "tally/measure-growth.h"
#include "util.h"

/* Memory that the thread takes at most before it looks at what is urgent
 * again. */
#define PASS_BYTES (32 * MEASURE_MIB)

/* Looks for what is urgent are at least so far apart. */
#define URGENT_NS (UINT64_C(1000) * 1000)

/* Grace periods that "measure" has asked for, and the last of them that has
 * passed. */
static uint64_t grace_asked;        /* The thread only. */
static uint64_t grace_passed;       /* Atomic. */

/* The monitors that "measure" supplies at the moment.  They are not destroyed
 * while it has 'measure_grow_mutex'. */
static struct monitor **supplied;
static size_t n_supplied;

/* A tally that is made, or made anew, for a thread of a monitor. */
struct supply {
    struct monitor *monitor;
    struct monitor_thread *thread;
    struct measure_tally *tally;    /* Or NULL. */
    enum measure_structure_kind kind;
    uint64_t n_flows[MEASURE_N_LAYOUTS];
    uint64_t limit;
    bool quiet;
    bool hold_cache;
};

/* Returns a tally for 'thread' of 'monitor' that is there soon, within
 * 'limit'.  Nobody else must know the thread, or its number of flows
 * change. */
struct measure_tally *
measure_supply_create(struct monitor *monitor,
                      const struct monitor_thread *thread,
                      uint64_t limit)
{
    struct measure_tally *tally = measure_tally_create(&measure_secret,
                                                       &monitor->budget,
                                                       thread->numa_id);

    measure_tally_prepare(tally, monitor->config.structure, thread->n_flows,
                          MIN(limit, measure_start_limit(monitor)));
    return tally;
}

/* Has 'thread', new in 'monitor', count in its idle tally. */
void
measure_supply_first(struct monitor *monitor,
                     struct monitor_thread *thread)
{
    struct measure_tally *tally = thread->idle;

    thread->idle = NULL;
    measure_tally_begin_for(monitor, thread, tally);
    measure_thread_swap(&thread->thread, tally);
    measure_control_wake();
}

/* Takes the idle tally of 'thread', which need not have one, to make it fit
 * the next epoch. */
static void
take_idle(struct monitor *monitor, struct monitor_thread *thread,
          struct supply *supply)
    OVS_REQUIRES(measure_mutex)
{
    struct measure_load load;

    supply->monitor = monitor;
    supply->thread = thread;
    supply->tally = thread->idle;
    thread->idle = NULL;
    supply->kind = monitor->config.structure;
    supply->limit = measure_tally_limit(monitor, thread);
    supply->quiet = measure_thread_is_quiet(thread);
    supply->hold_cache = (measure_wants_cache(monitor, thread)
                          && measure_thread_keys(&thread->thread));
    measure_tally_load(measure_thread_tally(&thread->thread), &load);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        supply->n_flows[layout] = MAX(thread->n_flows[layout],
                                      load.n_used[layout]);
    }
}

static void
make_idle(struct supply *supply)
    OVS_EXCLUDED(measure_mutex)
{
    if (!supply->tally) {
        supply->tally = measure_tally_create(&measure_secret,
                                             &supply->monitor->budget,
                                             supply->thread->numa_id);
    }
    measure_tally_prepare(supply->tally, supply->kind, supply->n_flows,
                          supply->limit);
    measure_tally_hold_cache(supply->tally, supply->hold_cache);
}

/* Gives the thread the tally that is made.  The caller must destroy what is
 * left in 'supply', without the lock. */
static void
give_idle(struct supply *supply)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor_thread *thread = supply->thread;

    if (!thread->idle) {
        thread->idle = supply->tally;
        thread->idle_kind = supply->kind;
        thread->idle_limit = supply->limit;
        thread->idle_quiet = supply->quiet;
        supply->tally = NULL;
    }
}

/* Returns true if the next epoch of 'monitor' can begin. */
bool
measure_supply_has_idle(const struct monitor *monitor)
{
    const struct monitor_thread *thread;

    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (thread->dp_thread && !measure_tally_fits(monitor, thread,
                                                     thread->idle)) {
            return false;
        }
    }
    return true;
}

/* Gives each thread of 'monitor' that has no idle tally that fits a small one,
 * without the lock.  For the main thread: no thread is added meanwhile. */
void
measure_supply_idle_now(struct monitor *monitor)
{
    while (!measure_supply_has_idle(monitor)) {
        size_t n = 0;
        struct supply *supplies = xcalloc(ovs_list_size(&monitor->threads),
                                          sizeof *supplies);
        struct monitor_thread *thread;

        LIST_FOR_EACH (thread, node, &monitor->threads) {
            if (thread->dp_thread
                && !measure_tally_fits(monitor, thread, thread->idle)) {
                take_idle(monitor, thread, &supplies[n]);
                supplies[n].limit = MIN(supplies[n].limit,
                                        measure_start_limit(monitor));
                n++;
            }
        }
        ovs_mutex_unlock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            make_idle(&supplies[i]);
        }
        ovs_mutex_lock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            give_idle(&supplies[i]);
        }
        ovs_mutex_unlock(&measure_mutex);
        for (size_t i = 0; i < n; i++) {
            measure_tally_destroy(supplies[i].tally);
        }
        free(supplies);
        ovs_mutex_lock(&measure_mutex);
    }
}

/* Makes 'tally', which is merged, the idle one of 'thread'. */
void
measure_supply_hand_back(struct monitor *monitor,
                         struct monitor_thread *thread,
                         struct measure_tally *tally)
{
    struct supply supply;

    ovs_mutex_lock(&measure_mutex);
    struct measure_tally *idle = thread->idle;
    take_idle(monitor, thread, &supply);
    thread->idle = idle;
    supply.tally = tally;
    supply.limit = MIN(supply.limit, (measure_tally_bytes(tally)
                                      + measure_memory_room(monitor) / 2));
    ovs_mutex_unlock(&measure_mutex);

    make_idle(&supply);

    ovs_mutex_lock(&measure_mutex);
    give_idle(&supply);
    ovs_mutex_unlock(&measure_mutex);
    measure_tally_destroy(supply.tally);
}

static void
take_off(uint64_t *left, uint64_t bytes)
{
    *left -= MIN(*left, bytes);
}

/* Prepares tables for the threads of 'monitor' that need one, out of
 * '*pass_left' bytes: if 'quick', only small ones for those that need one at
 * once. */
static void
grow_monitor(struct monitor *monitor, bool quick, uint64_t *pass_left)
    OVS_REQUIRES(measure_grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    struct { struct measure_tally *tally; uint64_t limit; } *grow;
    const struct monitor_thread *thread;
    size_t n = 0;
    uint64_t want;

    ovs_mutex_lock(&measure_mutex);
    grow = xmalloc(MAX(ovs_list_size(&monitor->threads), 1) * sizeof *grow);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        struct measure_tally *tally = measure_thread_tally(&thread->thread);
        uint64_t limit = measure_thread_limit(monitor, thread);

        if (thread->dp_thread && measure_tally_needs_table(tally, limit,
                                                           quick)) {
            grow[n].tally = tally;
            grow[n++].limit = limit;
        }
    }
    want = measure_memory_limit(monitor) / 4;
    ovs_mutex_unlock(&measure_mutex);

    if (n) {
        uint64_t *left = &monitor->growth_left;
        bool interlude = monitor->growing;
        uint64_t room;

        measure_sizing_make_room(monitor, want);
        ovs_mutex_lock(&measure_mutex);
        room = measure_memory_room(monitor);
        ovs_mutex_unlock(&measure_mutex);
        *left = interlude ? MIN(*left, room) : room;
        monitor->growing = true;
        ovsrcu_quiesce_start();
        for (size_t i = 0; i < n && *pass_left; i++) {
            take_off(pass_left,
                     measure_tally_grow(grow[i].tally, grow[i].limit, left));
        }
        ovsrcu_quiesce_end();
        monitor->growing = interlude;
    }
    free(grow);
}

/* Two tiers for threads that have begun to count.
 *
 * Packet threads may not use them before each of them has been seen between
 * two bursts: one that still knew an older number of a port could give it to
 * an entry for good.  Hence the ticket, the number of the grace period that
 * must pass. */

static void
note_grace_period(uint64_t *ticket)
{
    __atomic_store_n(&grace_passed, *ticket, __ATOMIC_RELEASE);
    free(ticket);
}

static uint64_t
ask_grace_period(void)
{
    uint64_t *ticket = xmalloc(sizeof *ticket);

    *ticket = ++grace_asked;
    ovsrcu_postpone(note_grace_period, ticket);
    return grace_asked;
}

/* Gives the threads of 'monitor' two tiers that shall have them. */
static void
join_caches(struct monitor *monitor, uint64_t *pass_left)
    OVS_REQUIRES(measure_grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    uint64_t passed = __atomic_load_n(&grace_passed, __ATOMIC_ACQUIRE);
    struct {
        struct monitor_thread *thread;
        struct measure_tally *tally;
    } *join;
    struct monitor_thread *thread;
    uint64_t ticket = 0;
    size_t n = 0;

    ovs_mutex_lock(&measure_mutex);
    join = xmalloc(MAX(ovs_list_size(&monitor->threads), 1) * sizeof *join);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        struct measure_tally *tally = measure_thread_tally(&thread->thread);

        if (thread->cache_ticket && thread->cache_ticket <= passed) {
            thread->cache_ticket = 0;
            measure_tally_begin_cache(tally);
        } else if (thread->dp_thread && monitor->tiers == 2
                   && !tally->cache_keys && !tally->structure
                   && measure_wants_cache(monitor, thread)) {
            join[n].thread = thread;
            join[n++].tally = tally;
        }
    }
    ovs_mutex_unlock(&measure_mutex);

    for (size_t i = 0; i < n && *pass_left; i++) {
        struct measure_cache_keys *keys;

        thread = join[i].thread;
        keys = measure_thread_get_keys(&thread->thread, &monitor->budget,
                                       thread->numa_id);
        if (!keys || !measure_tally_hold_cache(join[i].tally, true)) {
            continue;
        }
        take_off(pass_left, sizeof *keys + sizeof *join[i].tally->held_cache);
        ovs_mutex_lock(&measure_mutex);
        if (measure_thread_tally(&thread->thread) == join[i].tally) {
            ticket = ticket ? ticket : ask_grace_period();
            measure_tally_join_cache(join[i].tally, keys);
            thread->cache_ticket = ticket;
        }
        ovs_mutex_unlock(&measure_mutex);
    }
    free(join);
}

/* Gives the threads of 'monitor' idle tallies that fit the next epoch, unless
 * the merge thread is about to. */
static void
supply_idle_tallies(struct monitor *monitor, uint64_t *pass_left)
    OVS_REQUIRES(measure_grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    struct monitor_thread *thread;
    struct supply *supplies;
    size_t n = 0;

    ovs_mutex_lock(&measure_mutex);
    supplies = xcalloc(MAX(ovs_list_size(&monitor->threads), 1),
                       sizeof *supplies);
    LIST_FOR_EACH (thread, node, &monitor->threads) {
        if (thread->dp_thread && *pass_left && !monitor->handing_back
            && ovs_list_is_empty(&monitor->closing)
            && !measure_tally_fits(monitor, thread, thread->idle)) {
            take_idle(monitor, thread, &supplies[n]);
            take_off(pass_left, supplies[n++].limit);
        }
    }
    ovs_mutex_unlock(&measure_mutex);

    ovsrcu_quiesce_start();
    for (size_t i = 0; i < n; i++) {
        make_idle(&supplies[i]);
        ovs_mutex_lock(&measure_mutex);
        give_idle(&supplies[i]);
        ovs_mutex_unlock(&measure_mutex);
        measure_tally_destroy(supplies[i].tally);
    }
    ovsrcu_quiesce_end();
    free(supplies);
}

/* Gives all monitors what their threads need at once, if the last look at them
 * was a while ago. */
static void
supply_urgent(void)
    OVS_REQUIRES(measure_grow_mutex) OVS_EXCLUDED(measure_mutex)
{
    bool quiescent = ovsrcu_is_quiescent();
    uint64_t now = measure_pace_clock.now_ns();
    static uint64_t last;
    uint64_t left = UINT64_MAX;

    measure_memory_interlude = supply_urgent;
    if (now - last < URGENT_NS) {
        return;
    }
    last = now;
    measure_memory_interlude = NULL;
    for (size_t i = 0; i < n_supplied; i++) {
        grow_monitor(supplied[i], true, &left);
    }
    measure_memory_interlude = supply_urgent;
    if (quiescent) {
        ovsrcu_quiesce_start();
    }
}

/* Gives all monitors what their threads need, the most urgent first, also
 * while memory for the rest is being prepared.  Returns false if there is more
 * to do. */
bool
measure_supply_monitors(void)
{
    const struct shash_node *node;
    uint64_t left = PASS_BYTES;

    ovs_mutex_lock(&measure_mutex);
    n_supplied = 0;
    supplied = xmalloc(MAX(shash_count(&measure_monitors), 1)
                       * sizeof *supplied);
    SHASH_FOR_EACH (node, &measure_monitors) {
        supplied[n_supplied++] = node->data;
    }
    ovs_mutex_unlock(&measure_mutex);

    supply_urgent();
    for (size_t i = 0; i < n_supplied && left; i++) {
        grow_monitor(supplied[i], false, &left);
        join_caches(supplied[i], &left);
        supply_idle_tallies(supplied[i], &left);
    }
    measure_memory_interlude = NULL;
    free(supplied);
    return left;
}
