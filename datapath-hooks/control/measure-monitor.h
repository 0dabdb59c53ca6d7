/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors: the measurement of bridges. */

#ifndef MEASURE_MONITOR_H
#define MEASURE_MONITOR_H 1

#include "base/measure-pace.h"
#include "key/measure-switch-port.h"
#include "measure-history.h"
#include "measure-findings.h"
#include "measure-readers.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "openvswitch/shash.h"
#include "openvswitch/thread.h"
#include "ovs-atomic.h"
#include "sset.h"
#include "tally/measure-config.h"
#include "tally/measure-tally.h"

struct ovsrec_open_vswitch;

/* Monitors: the measurement of bridges
 * ====================================
 *
 * A monitor is the measurement of one bridge.  It has a place to count in
 * (struct monitor_thread) for each thread of the datapath that may receive the
 * bridge's packets.  At the end of
 * an epoch each thread is given a new tally, and the old ones become a closing
 * epoch, which the merge thread merges into a report as soon as every packet
 * thread has been seen between two bursts (ovsrcu_synchronize()).  The monitor
 * keeps the last reports (measure-history.h).
 *
 * Which bridge a packet belongs to is decided by the port that it came in by,
 * so the bridge of each port must be known before the first packet arrives:
 * ovs-vswitchd calls measure_configure() with the whole configuration before
 * it adds ports to the datapath, and once more after that, when the datapath
 * names of new tunnel ports are known.
 *
 * A tunnel port of the datapath can serve several bridges.  Its packets belong
 * to the one that measures and whose name sorts first.
 *
 * Locks, in the order in which they are taken:
 *
 *     measure_grow_mutex    "measure", while it prepares memory for packet
 *                           threads; "measure-merge", before it destroys
 *                           threads or monitors
 *     measure_mutex         whoever looks at monitors, for a short time
 *     live_mutex            in measure-history.c: whoever keeps or drops a
 *                           report, for a few instructions
 *
 * The 'mutex' of measure-requests.c, of requests and answers, is taken alone.
 *
 * Thread safety: everything is protected by 'measure_mutex', which no packet
 * thread takes and which is not held while waiting for packet threads, while
 * merging, nor while memory is mapped or unmapped.  A function that lets go of
 * it meanwhile says so.  The configuration of a monitor is written by the main
 * thread alone, which may read it without the lock.  Another thread that uses
 * a monitor without the lock has a reference. */

#define MEASURE_TICK_MS 5

/* A thread of a datapath, which has a place to count in for each monitor.
 *
 * The map of its ports (struct measure_ports) is read by the thread itself,
 * without a lock.  A port that nobody counts gets a place in the map as it
 * is.  Any other change needs another map: 'next', a copy that collects all
 * changes of a configuration and is then put into effect. */
struct datapath_thread {
    struct ovs_list node;           /* In measure-threads.c. */
    const void *dp;
    struct pmd_perf_stats *perf;
    unsigned int core_id;
    int numa_id;
    struct hmap threads;            /* "struct monitor_thread"s. */
    size_t n_ports;                 /* That have a place. */
    struct measure_ports *next;     /* Its 'threads' are not set yet. */
};

/* What the threads of a core counted for a monitor, those included that have
 * ended: counters that others read must not fall. */
struct monitor_core {
    struct ovs_list node;           /* In a monitor, the main thread first. */
    unsigned int core_id;
    int numa_id;
    struct measure_counters closed; /* Sum of merged epochs. */

    /* Of the threads that are gone: see struct measure_thread. */
    uint64_t sampled_packets;
    uint64_t sampled_cycles;
    uint64_t timing_cycles;
};

/* A packet thread of a monitor, and its tallies. */
struct monitor_thread {
    struct measure_thread thread;
    struct ovs_list node;           /* In a monitor, or a closing epoch. */
    struct hmap_node dp_thread_node;    /* In 'dp_thread'. */
    struct datapath_thread *dp_thread;  /* NULL when it has ended. */
    struct monitor *monitor;
    size_t n_ports;                 /* That it counts packets of. */
    bool left_out;                  /* It had ports and has none now. */
    struct monitor_core *core;
    unsigned int core_id;
    int numa_id;
    struct measure_tally *idle;     /* Ready for the next epoch, or NULL. */
    enum measure_structure_kind idle_kind;  /* What it was made for... */
    uint64_t idle_limit;            /* ...in how many bytes... */
    bool idle_quiet;                /* ...and whether these were few. */
    unsigned int n_quiet;           /* Epochs without a packet until now. */
    uint64_t cache_ticket;          /* See join_caches(), or 0. */
    uint64_t n_flows[MEASURE_N_LAYOUTS];    /* To expect in an epoch. */
    struct measure_probes probes;   /* Of rows of its last merged epoch. */
};

/* The tallies that an epoch closed, until they are merged. */
struct closing_epoch {
    struct ovs_list node;           /* In a monitor's 'closing'. */
    uint64_t number;
    enum measure_key_kind key_kind;
    long long int start_ms;
    long long int duration_ms;
    long long int closed_us;
    uint64_t handover_us;

    /* The tally that each thread counted in.  The threads that have ended, or
     * whose monitor is off, are in 'retired', too. */
    struct ovs_list retired;
    size_t n;
    struct measure_tally **tallies;
    struct monitor_thread **threads;
    unsigned int *cores;            /* Of the threads. */
};

struct monitor {
    struct ovs_refcount refs;
    char *name;                     /* Of the bridge. */
    struct measure_config config;
    uint32_t raised_mb;             /* The limit if 'config.memory_mb' is too
                                     * little for the threads, else 0. */
    char *rejected[MEASURE_N_SETTINGS];     /* Values that were refused. */
    struct sset unknown;            /* Keys measure* that mean nothing. */
    bool named;                     /* In the configuration being told. */
    bool running;
    bool stopping;                  /* The configuration has switched it off,
                                     * and its epoch is not closed yet. */

    /* The running epoch, or the last one. */
    uint64_t epoch;                 /* Its number. */
    enum measure_key_kind key_kind;
    uint32_t tiers;
    uint32_t memory_mb;
    enum measure_structure_kind structure;
    long long int start;            /* time_msec(). */
    long long int start_ms;         /* time_wall_msec(). */

    struct measure_port_names ports;
    size_t n_unnumbered;            /* Ports that got no number there. */
    struct ovs_list threads;        /* Contains "struct monitor_thread"s. */
    struct ovs_list cores;          /* "struct monitor_core"s, until the end
                                     * of the monitor. */
    size_t n_new;                   /* Threads that will be in 'threads'... */
    unsigned int new_weight;        /* ...and their weight. */
    struct ovs_list closing;        /* "struct closing_epoch"s, oldest first.*/
    bool close_requested;           /* The running epoch shall be closed when
                                     * 'closing' is empty. */
    bool handing_back;              /* Tallies of one that is merged. */
    struct measure_pace merging;    /* The merge thread only. */
    uint64_t growth_left;           /* Bytes for tables while 'growing'... */
    bool growing;                   /* ...the control thread only. */
    struct measure_budget budget;
    struct measure_history history;
    struct measure_findings findings;
    struct monitor_stream stream;
    struct measure_counters closed; /* Sum of all merged epochs. */
    uint64_t closed_lost;           /* Keys, or packets, that found no place
                                     * in a structure, likewise. */
    bool lost_warned;               /* There has been a warning of keys. */

    /* From the end of an epoch until the packet threads have let go of it. */
    uint64_t n_handovers;
    uint64_t handover_us;           /* Sum. */
    uint64_t max_handover_us;

    struct ovs_list dying_node;     /* When the bridge is gone. */
};

/* Taken before 'measure_mutex'. */
extern struct ovs_mutex measure_grow_mutex;
extern struct ovs_mutex measure_mutex;
extern struct shash measure_monitors OVS_GUARDED_BY(measure_mutex);

extern struct measure_hash_secret measure_secret;
extern struct seq *measure_control_seq;     /* Wakes "measure". */
extern struct seq *measure_merge_seq;       /* Wakes "measure-merge". */
extern struct seq *measure_stream_seq;      /* Wakes "measure-stream". */

void measure_init(void);
void measure_control_wake(void);
struct seq *measure_report_seq(void);

struct monitor *measure_monitor_create(const char *name);
struct monitor *measure_monitor_ref(struct monitor *);
void measure_monitor_unref(struct monitor *);

void measure_thread_leave(struct monitor_thread *)
    OVS_REQUIRES(measure_mutex);
struct closing_epoch *measure_monitor_oldest_closing(const struct monitor *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_monitor_oldest_epoch(const struct monitor *)
    OVS_REQUIRES(measure_mutex);
void measure_monitor_sum_closed(const struct monitor *,
                                struct measure_counters *, uint64_t *lost)
    OVS_REQUIRES(measure_mutex);
void measure_core_sum_unmerged(const struct monitor *,
                               const struct monitor_core *,
                               struct measure_counters *)
    OVS_REQUIRES(measure_mutex);
void measure_core_add_samples(struct monitor_core *,
                              const struct monitor_thread *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_period_ms(long long int duration_ms)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-monitor.h */
