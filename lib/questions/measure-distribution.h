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

#ifndef MEASURE_DISTRIBUTION_H
#define MEASURE_DISTRIBUTION_H 1

#include "questions/measure-query.h"

/* Sizes of flows, and how evenly packets spread
 * =============================================
 *
 * What measure/distribution says of an epoch: the distribution and quantiles
 * of the packets and bytes of its flows, and the entropy of addresses and
 * ports (measure-quantiles.h).
 *
 * Memory: a megabyte, 8 bytes for each flow of more than 65535 packets and
 * each of more than 65535 bytes, and that of measure-query.h.
 *
 * Thread safety: as measure-query.h. */

void measure_distribution_group(const struct measure_scope *,
                                struct measure_group_by *);
bool measure_distribution_write(struct measure_output *,
                                const struct measure_scope *);

#endif /* measure-distribution.h */
