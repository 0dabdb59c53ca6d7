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

#ifndef MEASURE_THRESHOLD_H
#define MEASURE_THRESHOLD_H 1

#include "questions/measure-query.h"

/* What makes a key heavy
 * ======================
 *
 * The configured threshold (measure-config.h): a share of what a scope adds up
 * to, or a rate.
 *
 * Thread safety: a plain function. */

bool measure_is_heavy(const struct measure_totals *,
                      const struct measure_threshold *, enum measure_sort,
                      uint64_t packets, uint64_t bytes);

#endif /* measure-threshold.h */
