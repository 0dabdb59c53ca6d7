/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of a pipeline that reads the rows of replicas. */

#include <config.h>

#include "stream/measure-row-runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

#define SPINS 64
#define ROWS 256                /* Of one replica, before the next one. */

/* In a ring of rows: no row, but a mark in the source 'replica', of the thread
 * whose core is in 'time_ns'.  With ROW_MARK_END its 'end' is true. */
#define ROW_MARK 0x40
#define ROW_MARK_END 0x80

/* Waits, for longer if that was done before. */
void
measure_runner_rest(unsigned int n_idle)
{
    if (n_idle > SPINS) {
        measure_nap();
    } else {
#ifdef __x86_64__
        __builtin_ia32_pause();
#endif
    }
}

void
measure_runner_set_ports(struct measure_stage **stages, size_t n,
                         const struct measure_port_names *ports)
{
    for (size_t i = 0; i < n; i++) {
        stages[i]->ports = ports;
        if (stages[i]->class->ports) {
            stages[i]->class->ports(stages[i]);
        }
    }
}

/* Returns true if one of the 'n' stages has failed. */
bool
measure_runner_failed(struct measure_stage **stages, size_t n)
{
    bool failed = false;

    for (size_t i = 0; i < n; i++) {
        failed |= __atomic_load_n(&stages[i]->failed, __ATOMIC_RELAXED);
    }
    return failed;
}

/* Marks in rings of rows. */

void
measure_row_ring_send_mark(struct measure_stage *stage,
                           const struct measure_batch *batch,
                           const struct measure_mark *mark)
{
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    memset(&buffer, 0, sizeof buffer);
    row->flags = ROW_MARK | (mark->end ? ROW_MARK_END : 0);
    row->replica = batch->ring;
    row->time_ns = batch->core_id;
    row->key[0] = mark->epoch;
    row->key[1] = mark->time_ns;
    row->key[2] = mark->offered;
    row->key[3] = mark->filtered;
    row->key[4] = mark->dropped;
    row->key[5] = mark->records;
    row->values[0] = mark->marks_lost;
    measure_stage_send(stage, row);
}

static void
run_mark(struct measure_row_runner *r, const struct measure_row *row)
{
    struct measure_batch batch = {
        .ring = row->replica, .core_id = row->time_ns,
    };
    struct measure_mark mark = {
        .epoch = row->key[0],
        .time_ns = row->key[1],
        .offered = row->key[2],
        .filtered = row->key[3],
        .dropped = row->key[4],
        .records = row->key[5],
        .marks_lost = row->values[0],
        .end = row->flags & ROW_MARK_END,
    };

    for (size_t i = 0; i < r->n_stages; i++) {
        if (r->stages[i]->class->mark) {
            r->stages[i]->class->mark(r->stages[i], &batch, &mark);
        }
    }
}

void
measure_row_runner_init(struct measure_row_runner *r,
                        struct measure_sources *sources,
                        const struct measure_chain *chain)
{
    size_t before = chain->replicas * chain->n_replicated;

    memset(r, 0, sizeof *r);
    r->sources = sources;
    r->chain = chain;
    r->stages = &chain->stages[before];
    r->n_stages = chain->n - before;
    r->row_slots = measure_stage_row_slots(chain->stages[before - 1]);
    r->ports = r->stages[0]->ports;
    r->replicas = measure_xzalloc(chain->replicas * sizeof *r->replicas);
}

/* Replica 'replica' says in 'reached' how far it is. */
void
measure_row_runner_set_replica(struct measure_row_runner *r,
                               unsigned int replica, const uint64_t *reached)
{
    r->replicas[replica].ring = &r->chain->rings[replica];
    r->replicas[replica].reached = reached;
}

void
measure_row_runner_destroy(struct measure_row_runner *r)
{
    free(r->replicas);
}

/* Takes rows of a replica, up to the end of an interval.  Returns true if
 * there were any. */
static bool
take_rows(struct measure_row_runner *r, struct measure_row_replica *replica)
{
    struct measure_ring_reader *reader = &replica->ring->reader;
    const struct measure_slot *slots;
    size_t n = 0;

    while (!replica->at_end && !replica->ended && n < ROWS
           && measure_ring_peek(reader, &slots)) {
        const struct measure_row *row
            = (const struct measure_row *) (const void *) slots;

        if (row->flags & MEASURE_ROW_INTERVAL) {
            replica->at_end = true;
            replica->start_ns = row->values[0];
            replica->end_ns = row->time_ns;
            replica->last = row->flags & MEASURE_ROW_LAST;
        } else if (row->flags & ROW_MARK) {
            run_mark(r, row);
        } else {
            measure_counter_add(&r->stages[0]->records, 1);
            r->stages[0]->class->row(r->stages[0], row);
        }
        measure_ring_take(reader, r->row_slots);
        n++;
    }
    if (n) {
        measure_ring_release(reader);
    }
    return n;
}

/* Returns true if 'replica' gives nothing any more to an interval until
 * 'end_ns'. */
static bool
is_farther(const struct measure_row_replica *replica, uint64_t end_ns)
{
    const struct measure_slot *slots;

    /* In this order: it publishes rows, and then how far it is. */
    return (__atomic_load_n(replica->reached, __ATOMIC_ACQUIRE) >= end_ns
            && !measure_ring_peek(&replica->ring->reader, &slots));
}

/* Returns true if 'replica' has given everything, and waits at an interval in
 * which there was nothing. */
static bool
is_at_empty_last(const struct measure_row_replica *replica)
{
    return (replica->at_end && replica->last
            && replica->start_ns == replica->end_ns);
}

/* Finds the earliest interval that a replica waits at; if there are only empty
 * ones at the end, that of the last.  Returns true if no replica can still
 * give rows to it. */
static bool
find_interval(const struct measure_row_runner *r, uint64_t *start_ns,
              uint64_t *end_ns)
{
    uint64_t start = UINT64_MAX, end = UINT64_MAX, last = 0;
    bool all_at_end = true;

    for (unsigned int i = 0; i < r->chain->replicas; i++) {
        const struct measure_row_replica *replica = &r->replicas[i];

        if (is_at_empty_last(replica)) {
            last = measure_max(last, replica->end_ns);
        } else if (replica->at_end) {
            start = measure_min(start, replica->start_ns);
            end = measure_min(end, replica->end_ns);
        } else {
            all_at_end &= replica->ended;
        }
    }
    *start_ns = end == UINT64_MAX ? last : start;
    *end_ns = end == UINT64_MAX ? last : end;
    if (all_at_end || end == UINT64_MAX) {
        return all_at_end;
    }
    for (unsigned int i = 0; i < r->chain->replicas; i++) {
        const struct measure_row_replica *replica = &r->replicas[i];

        if (!replica->at_end && !replica->ended && !is_farther(replica, end)) {
            return false;
        }
    }
    return true;
}

/* Ends the earliest interval that a replica waits at, unless another one may
 * still give rows to it.  Returns true if so. */
static bool
end_interval(struct measure_row_runner *r)
{
    uint64_t start_ns, end_ns;
    bool last = true;

    if (!find_interval(r, &start_ns, &end_ns)) {
        return false;
    }
    for (unsigned int i = 0; i < r->chain->replicas; i++) {
        struct measure_row_replica *replica = &r->replicas[i];

        /* Without intervals, there is one. */
        if (replica->at_end && (replica->end_ns == end_ns
                                || !r->chain->every_ns)) {
            end_ns = measure_max(end_ns, replica->end_ns);
            replica->at_end = is_at_empty_last(replica);
            replica->ended = replica->last;
        }
        last &= replica->ended || is_at_empty_last(replica);
    }
    for (size_t i = 0; i < r->n_stages; i++) {
        if (r->stages[i]->class->interval) {
            r->stages[i]->class->interval(r->stages[i], start_ns, end_ns,
                                          last);
        }
    }
    r->done = last;
    return true;
}

/* Returns true if a replica waits at the end of an interval. */
static bool
any_at_end(const struct measure_row_runner *r)
{
    for (unsigned int i = 0; i < r->chain->replicas; i++) {
        if (r->replicas[i].at_end) {
            return true;
        }
    }
    return false;
}

void *
measure_row_runner_main(void *arg)
{
    struct measure_row_runner *r = arg;
    unsigned int n_idle = 0;

    while (!r->done) {
        const struct measure_port_names *ports
            = __atomic_load_n(&r->sources->ports, __ATOMIC_ACQUIRE);
        bool busy = false;

        if (ports != r->ports) {
            measure_runner_set_ports(r->stages, r->n_stages, ports);
            __atomic_store_n(&r->ports, ports, __ATOMIC_RELEASE);
        }
        for (unsigned int i = 0; i < r->chain->replicas; i++) {
            busy |= take_rows(r, &r->replicas[i]);
        }
        if (any_at_end(r)) {
            busy |= end_interval(r);
        }
        if (measure_runner_failed(r->stages, r->n_stages)) {
            __atomic_store_n(&r->sources->failed, true, __ATOMIC_RELEASE);
        }
        if (busy) {
            n_idle = 0;
        } else {
            measure_runner_rest(n_idle++);
        }
    }
    return NULL;
}
