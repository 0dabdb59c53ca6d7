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

#ifndef MEASURE_SETS_H
#define MEASURE_SETS_H 1

#include "measure-monitor.h"

/* How large the sets of a monitor are
 * ===================================
 *
 * What must fit measure-memory-mb is all that is allocated, and what the
 * reports of sets that are not merged yet can take: for tables as much as
 * these, for other structures what measure_structure_load() says.  Hence
 * 'room': what is left of the limit after both.  An epoch begins with at most
 * a quarter of the limit, and tables grow by half of the room at a time.
 *
 * Thread safety: 'measure_mutex' protects monitors and their writers.  A set
 * that is being prepared belongs to the caller alone. */

/* The table in reserve must last until the control thread has prepared
 * another, even if each packet is a new flow: 2^18 IPv4 flows last 50 ms at
 * 5 Mpps. */
#define MEASURE_NEXT_LINES (UINT32_C(1) << 18)

uint64_t measure_memory_limit(const struct monitor *);
uint64_t measure_writer_limit(const struct monitor *,
                              const struct monitor_writer *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_set_bytes(const struct measure_set *);

void measure_prepare_set(struct measure_set *, enum measure_structure_kind,
                         const uint64_t n_flows[MEASURE_N_FAMILIES],
                         uint64_t limit);
void measure_start_set(struct monitor *, const struct monitor_writer *,
                       struct measure_set *, uint64_t bytes)
    OVS_REQUIRES(measure_mutex);
void measure_begin_set(struct monitor *, struct monitor_writer *,
                       struct measure_set *)
    OVS_REQUIRES(measure_mutex);

bool measure_set_needs_table(const struct measure_set *, uint64_t limit);
void measure_grow_set(struct measure_set *, uint64_t limit, uint64_t *left);

#endif /* measure-sets.h */
