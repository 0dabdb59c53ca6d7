/* SPDX-License-Identifier: Apache-2.0 */
/* The groups that a report keeps for later questions. */

#ifndef MEASURE_GROUP_CACHE_H
#define MEASURE_GROUP_CACHE_H 1

#include "structures/measure-table.h"

/* What a report keeps of answers
 * ==============================
 *
 * The groups of a report by pair, by source, and by destination are what most
 * questions begin with.  Those of a kind are made when they are first needed
 * (measure-query.h), and kept with the report: superspreaders and entropy then
 * need no further look at the flows, and the next kind is made from the pairs,
 * which are fewer.
 *
 * Memory: 32 bytes for each group with a narrow key and 64 for a wide one,
 * counted as used by the budget.  They are only made if the budget then has a
 * quarter of its limit left, by what their first part says of the others; what
 * several threads make at once is added up, though one of two that make the
 * same will be thrown away.  measure_group_cache_forget() frees all of a
 * report, as soon as nobody uses them: when a newer report comes, or when
 * memory is short.  From then on that report keeps none.
 *
 * Thread safety: all functions may be called by several threads at once.  What
 * measure_group_cache_get() and measure_group_cache_keep() return does not
 * change, and stays until the caller's measure_group_cache_end(). */

struct measure_group_cache;

struct measure_cached_groups {
    /* Only to be gone through: they have no gaps. */
    struct measure_table tables[MEASURE_N_LAYOUTS];
    size_t sizes[MEASURE_N_LAYOUTS];    /* Bytes. */

    /* In the parts of the report (measure-report.h), or NULL if the groups are
     * in another order. */
    uint32_t *parts[MEASURE_N_LAYOUTS];

    uint64_t max_packets;       /* Of a group. */
};

struct measure_group_cache *
measure_group_cache_create(struct measure_budget *);
void measure_group_cache_destroy(struct measure_group_cache *);

void measure_group_cache_begin(struct measure_group_cache *);
void measure_group_cache_end(struct measure_group_cache *);
bool measure_group_cache_may_keep(struct measure_group_cache *);
const struct measure_cached_groups *measure_group_cache_get(
    struct measure_group_cache *, enum measure_key_kind);
const struct measure_cached_groups *measure_group_cache_keep(
    struct measure_group_cache *, enum measure_key_kind,
    struct measure_cached_groups *);
void measure_group_cache_forget(struct measure_group_cache *);

void measure_cached_groups_destroy(struct measure_cached_groups *,
                                   struct measure_budget *);

#endif /* measure-group-cache.h */
