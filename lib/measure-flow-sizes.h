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

#ifndef MEASURE_FLOW_SIZES_H
#define MEASURE_FLOW_SIZES_H 1

#include "measure-distribution.h"
#include "measure-query.h"

/* The distribution of flow sizes of reports
 * =========================================
 *
 * What measure-distribution.h knows of counts, for the flows in a scope: how
 * many flows have how many packets, quantiles, and the entropy of packets
 * over flows, sources, destinations, source ports and destination ports (those
 * that the configured key knows).
 *
 * Error.  None without overflow; with it, what overflowed is missing.
 *
 * Memory, while it runs: that of measure_query(), and 16 bytes a flow.
 *
 * Thread safety: as measure-query.h. */

#define MEASURE_QUANTILES 5     /* 0.5, 0.9, 0.95, 0.99, 1. */
extern const double measure_quantiles[MEASURE_QUANTILES];

enum measure_entropy_of {
    MEASURE_ENTROPY_KEY,        /* Flows, or what else was counted. */
    MEASURE_ENTROPY_SOURCE,
    MEASURE_ENTROPY_DESTINATION,
    MEASURE_ENTROPY_SOURCE_PORT,
    MEASURE_ENTROPY_DESTINATION_PORT,
    MEASURE_N_ENTROPIES
};

struct measure_flow_sizes {
    struct measure_distribution distribution;
    uint64_t packets[MEASURE_QUANTILES];    /* Quantiles; 0 without flows. */
    uint64_t bytes[MEASURE_QUANTILES];
    bool known[MEASURE_N_ENTROPIES];
    struct measure_entropy entropy[MEASURE_N_ENTROPIES];
};

bool measure_flow_sizes_ask(const struct measure_scope *,
                            struct measure_flow_sizes *);
bool measure_flow_sizes_write(struct measure_output *,
                              const struct measure_scope *);

#endif /* measure-flow-sizes.h */
