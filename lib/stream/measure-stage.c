/* SPDX-License-Identifier: Apache-2.0 */
/* What a stage of a pipeline must offer. */

#include <config.h>

#include "stream/measure-stage.h"

#include "base/measure-base.h"
#include "base/measure-number.h"
#include "base/measure-units.h"

#define DEFAULT_SHARE (64 * MEASURE_MIB)

/* Returns 'size' bytes (more than 0) of zeros, or NULL if the budget of the
 * pipeline does not have them. */
void *
measure_stage_alloc(struct measure_stage *stage, size_t size)
{
    struct measure_budget *budget = stage->budget;
    uint64_t limit = measure_budget_limit(budget);
    uint64_t reserved = __atomic_load_n(&budget->reserved, __ATOMIC_RELAXED);
    void *p;

    /* What stages have stays reserved, in one number: thus threads together do
     * not take more than there is, nor does one see what another one asks for
     * without success. */
    do {
        if (limit && (reserved > limit || size > limit - reserved)) {
            return NULL;
        }
    } while (!__atomic_compare_exchange_n(&budget->reserved, &reserved,
                                          reserved + size, true,
                                          __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    p = measure_memory_alloc(budget, size, MEASURE_ANY_NODE);
    if (!p) {
        measure_budget_unreserve(budget, size);
    }
    return p;
}

/* Frees what measure_stage_alloc() returned for the same 'size', or NULL. */
void
measure_stage_free(struct measure_stage *stage, void *p, size_t size)
{
    measure_memory_free(stage->budget, p, size);
    if (p) {
        measure_budget_unreserve(stage->budget, size);
    }
}

/* Bytes that a stage takes if nobody has said how many. */
uint64_t
measure_stage_memory_share(const struct measure_stage *stage)
{
    uint64_t limit = measure_budget_limit(stage->budget);

    return limit ? limit / 8 : DEFAULT_SHARE;
}

/* Slots of a row in the ring to the thread of the next stage: a power of 2.
 * The end of an interval has a value even if the schema has none. */
unsigned int
measure_stage_row_slots(const struct measure_stage *stage)
{
    return (measure_max(measure_row_size(&stage->schema), 128)
            / sizeof(struct measure_slot));
}

/* Writes 'row' to the 'output' of 'stage', and waits while that is full. */
void
measure_stage_send(struct measure_stage *stage, const struct measure_row *row)
{
    unsigned int n = measure_stage_row_slots(stage);
    size_t n_values = measure_max(stage->schema.n, 1);
    struct measure_slot *slots = measure_ring_reserve(stage->output, n, 0);

    if (!slots) {
        measure_counter_add(&stage->waits, 1);
        measure_ring_publish(stage->output);
        do {
            measure_nap();
            slots = measure_ring_reserve(stage->output, n, 0);
        } while (!slots);
    }
    memcpy(slots, row, sizeof *row + n_values * sizeof row->values[0]);
    measure_ring_advance(stage->output, n);
}

/* Gives 'row' to the next stage. */
void
measure_stage_give(struct measure_stage *stage, struct measure_row *row)
{
    struct measure_stage *next = stage->next;

    measure_counter_add(&stage->given, 1);
    row->replica = stage->replica;
    if (stage->output) {
        measure_stage_send(stage, row);
    } else if (next) {
        measure_counter_add(&next->records, 1);
        next->class->row(next, row);
    }
}

/* Says that 'stage' cannot go on, for a reason that its close() will tell. */
void
measure_stage_fail(struct measure_stage *stage)
{
    __atomic_store_n(&stage->failed, true, __ATOMIC_RELEASE);
}

/* Arguments. */

/* Sets '*number' to 'value', from 'min' to 'max'.  Returns NULL or an
 * error. */
char *
measure_stage_set_number(const char *value, uint64_t min, uint64_t max,
                         uint64_t *number)
{
    return (measure_integer_parse(value, min, max, number) ? NULL
            : measure_format("valid is a number from %llu to %llu",
                             (unsigned long long) min,
                             (unsigned long long) max));
}

/* Likewise a length of time of at least 'min_ns'. */
char *
measure_stage_set_duration(const char *value, uint64_t min_ns, uint64_t *ns)
{
    uint64_t found;

    if (!measure_duration_parse(value, &found) || found < min_ns) {
        return measure_format("valid is " MEASURE_DURATION_VALID ", at least "
                              "%lluns", (unsigned long long) min_ns);
    }
    *ns = found;
    return NULL;
}
