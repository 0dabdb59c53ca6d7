/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of datapaths, and which ports each of them counts. */

#ifndef MEASURE_THREADS_H
#define MEASURE_THREADS_H 1

#include "measure-monitor.h"

/* The threads of datapaths
 * ========================
 *
 * Each has a place to count in for each monitor whose packets it may receive,
 * and a map that says which of these counts the packets of a port.
 *
 * Thread safety: 'measure_mutex'.  Only the main thread adds and removes
 * threads. */

struct pmd_perf_stats;

void measure_threads_need(struct monitor *, struct datapath_thread *,
                          struct ovs_list *new)
    OVS_REQUIRES(measure_mutex);
void measure_threads_need_all(struct monitor *, const void *dp,
                              struct ovs_list *new)
    OVS_REQUIRES(measure_mutex);
void measure_threads_add(struct ovs_list *new)
    OVS_REQUIRES(measure_mutex);
void measure_threads_count_port(const void *dp, uint32_t i,
                                const struct monitor *, uint16_t number)
    OVS_REQUIRES(measure_mutex);
void measure_threads_update(void)
    OVS_REQUIRES(measure_mutex);

struct datapath_thread *
measure_datapath_thread_create(const void *dp, struct pmd_perf_stats *,
                               unsigned int core_id, int numa_id);
void measure_datapath_thread_insert(struct datapath_thread *)
    OVS_REQUIRES(measure_mutex);
void measure_datapath_thread_count_port(struct datapath_thread *, uint32_t i,
                                        const struct monitor *,
                                        uint16_t number)
    OVS_REQUIRES(measure_mutex);
void measure_datapath_thread_update(struct datapath_thread *)
    OVS_REQUIRES(measure_mutex);
const void *measure_datapath_thread_remove(const struct pmd_perf_stats *)
    OVS_REQUIRES(measure_mutex);

const char *measure_thread_one_tier_cause(const struct monitor_thread *,
                                          bool has_polled)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-threads.h */
