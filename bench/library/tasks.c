/* SPDX-License-Identifier: Apache-2.0 */
/* The tasks of the paper, and which contenders each compares. */

#include <config.h>

#include "tasks.h"

#include "changes.h"
#include "entries.h"
#include "linear.h"
#include "peer-ck.h"
#include "peer-cmap.h"
#include "peer-dpdk.h"
#include "peer-rte-ring.h"
#include "pipeline-ours.h"
#include "pipeline-paper.h"
#include "rings.h"
#include "shared.h"
#include "sketches.h"
#include "superspreaders.h"
#include "variants.h"

static const struct bench_contender *const all_contenders[] = {
    &bench_floor,
    &bench_count_array,
    &bench_linear_table,
    &bench_linear_table_pointer,
    &bench_count_min,
    &bench_cuckoo_1,
    &bench_cuckoo_4,
    &bench_space_saving,
    &bench_rte_hash_bulk,
    &bench_rte_member[0],
    &bench_rte_member[1],
    &bench_rte_member[2],
    &bench_rte_member[3],
    &bench_cmap,
};
static const struct bench_contender *const spread_contenders[] = {
    &bench_floor, &bench_spread_derived, &bench_spread_bloom,
    &bench_spread_bitmap,
};
static const struct bench_contender *const change_contenders[] = {
    &bench_floor, &bench_change_derived, &bench_change_table,
};
static const struct bench_contender *const entry_contenders[] = {
    &bench_entry_array, &bench_entry_table, &bench_entry_pointer,
};
static const struct bench_contender *const variant_contenders[] = {
    &bench_floor, &bench_variant_floor, &bench_linear_table,
    &bench_variant_plain, &bench_variant_second_line,
    &bench_variant_next_burst, &bench_variant_sparse, &bench_variant_choose,
    &bench_variant_find_first,
    &bench_variant_first_row, &bench_variant_blind,
};
static const struct bench_contender *const shared_contenders[] = {
    &bench_separate, &bench_shared,
};
static const struct bench_contender *const ring_contenders[] = {
    &bench_ring_mutex, &bench_ring_list, &bench_ring_rte, &bench_ring_ck,
    &bench_ring_paper, &bench_ring_ours,
};
static const struct bench_contender *const pipeline_contenders[] = {
    &bench_our_pass_through, &bench_our_count, &bench_paper_pass_through,
    &bench_paper_count,
};
static const struct bench_contender *const beside_contenders[] = {
    &bench_linear_table, &bench_count_array,
};

#define LIST(LIST) LIST, sizeof LIST / sizeof LIST[0]
const struct bench_task_class bench_tasks[BENCH_N_TASKS] = {
    [BENCH_HEAVY_HITTERS] = { "heavy-hitters", LIST(all_contenders) },
    [BENCH_SUPERSPREADERS] = { "superspreaders", LIST(spread_contenders) },
    [BENCH_CHANGES] = { "changes", LIST(change_contenders) },
    [BENCH_SHARED] = { "shared", LIST(shared_contenders) },
    [BENCH_ENTRIES] = { "entries", LIST(entry_contenders) },
    [BENCH_VARIANTS] = { "variants", LIST(variant_contenders) },
    [BENCH_RINGS] = { "rings", LIST(ring_contenders) },
    [BENCH_PIPELINE] = { "pipeline", LIST(pipeline_contenders) },
    [BENCH_BESIDE] = { "beside", LIST(beside_contenders) },
};
