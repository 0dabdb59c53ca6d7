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

#ifndef MEASURE_MEMORY_H
#define MEASURE_MEMORY_H 1

#include <stddef.h>
#include <stdint.h>

/* Memory for tables
 * =================
 *
 * Zeroed, page-aligned memory on a chosen NUMA node, all of it present: the
 * packet path must not take page faults, so each page is touched here.  Large
 * blocks ask for huge pages.
 *
 * The node is chosen by the memory policy of the calling thread, set around
 * the mapping: under mlockall() pages are populated inside mmap(), when
 * binding the range afterwards would be too late.  Where the kernel knows
 * nothing of NUMA nodes the memory comes from anywhere.
 *
 * 'used' sums what is allocated against one budget; it may be read at any
 * time.  Nothing here enforces a limit: who allocates decides.
 *
 * Thread safety: one budget may be used by several threads at once.  Never
 * called from the packet path. */

#define MEASURE_ANY_NODE (-1)

struct measure_budget {
    uint64_t used;              /* Bytes.  Atomic. */
};

void *measure_memory_alloc(struct measure_budget *, size_t size, int node);
void measure_memory_free(struct measure_budget *, void *, size_t size);
uint64_t measure_budget_used(const struct measure_budget *);

void *measure_check_memory(void *);
void *measure_xzalloc(size_t size);
void *measure_xrealloc(void *, size_t size);

#endif /* measure-memory.h */
