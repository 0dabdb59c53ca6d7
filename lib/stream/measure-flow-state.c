/* SPDX-License-Identifier: Apache-2.0 */
/* What stages remember of flows: a table that forgets. */

#include <config.h>

#include "stream/measure-flow-state.h"

#include "base/measure-number.h"
#include "base/measure-units.h"

#define LINE 64
#define LEAST_FLOWS 16
#define MOST_FLOWS (UINT64_C(1) << 20)  /* Unless it is asked for more. */
#define BACK_NS MEASURE_NS_PER_S
#define HAND_SPEED 4            /* Rounds of the hand in 'idle_ns'. */

static struct measure_flow_state *
state_at(const struct measure_flow_states *states, uint32_t i)
{
    return (struct measure_flow_state *) (void *)
           (states->states + i * states->state_size);
}

static uint32_t
number_of(const struct measure_flow_states *states,
          const struct measure_flow_state *flow)
{
    return ((const uint8_t *) flow - states->states) / states->state_size;
}

/* Memory. */

static size_t
index_size(uint64_t n_flows)
{
    size_t n = 1;

    while (n < 2 * n_flows) {
        n *= 2;
    }
    return n;
}

static bool
take_memory(struct measure_flow_states *states, uint64_t n_flows)
{
    size_t n_index = index_size(n_flows);
    size_t index_bytes = n_index * sizeof *states->index;

    states->index = measure_stage_alloc(states->stage, index_bytes);
    if (!states->index) {
        return false;
    }
    states->states = measure_stage_alloc(states->stage,
                                         n_flows * states->state_size);
    if (!states->states) {
        measure_stage_free(states->stage, states->index, index_bytes);
        states->index = NULL;
        return false;
    }
    states->mask = n_index - 1;
    states->n_max = n_flows;
    return true;
}

/* Makes a table for 'n_flows' states of 'state_size' bytes, zeroed when they
 * are added, or for as many as the share of 'stage' of its budget has room for
 * if 'n_flows' is 0.  Set 'ended' and 'idle_ns' behind it.  Returns NULL, or,
 * if there is no memory for the flows that were asked for, an error that the
 * caller frees.  If they were not, a table without memory is no error: it
 * takes no flows. */
char *
measure_flow_states_init(struct measure_flow_states *states,
                         struct measure_stage *stage, size_t state_size,
                         uint64_t n_flows)
{
    memset(states, 0, sizeof *states);
    states->stage = stage;
    states->state_size = ((sizeof(struct measure_flow_state) + state_size
                           + LINE - 1) / LINE * LINE);
    states->high_ns = UINT64_MAX;
    measure_hash_secret_draw(&states->secret);
    if (n_flows) {
        return (take_memory(states, n_flows) ? NULL
                : measure_format("flows=%llu needs %llu KiB of memory, which "
                                 "are not left; ask for less flows, or for "
                                 "more memory",
                                 (unsigned long long) n_flows,
                                 (unsigned long long)
                                 ((n_flows * states->state_size
                                   + index_size(n_flows)
                                     * sizeof *states->index) / 1024)));
    }
    n_flows = measure_min(measure_stage_memory_share(stage)
                          / (states->state_size
                             + 4 * sizeof *states->index), MOST_FLOWS);
    while (n_flows >= LEAST_FLOWS && !take_memory(states, n_flows)) {
        n_flows /= 2;
    }
    return NULL;
}

void
measure_flow_states_destroy(struct measure_flow_states *states)
{
    if (states->n_max) {
        measure_stage_free(states->stage, states->states,
                           states->n_max * states->state_size);
        measure_stage_free(states->stage, states->index,
                           ((size_t) states->mask + 1)
                           * sizeof *states->index);
    }
    memset(states, 0, sizeof *states);
}

/* Keys. */

static uint64_t
reverse_ports(uint64_t ports)
{
    return ((ports & ~UINT64_C(0xffffffff))
            | (ports & 0xffff) << 16 | (ports >> 16 & 0xffff));
}

/* Makes in 'reversed' the key of packets in the other direction. */
void
measure_flow_key_reverse(enum measure_layout layout, const uint64_t *key,
                         uint64_t *reversed)
{
    if (layout == MEASURE_NARROW) {
        reversed[0] = key[0] << 32 | key[0] >> 32;
        reversed[1] = reverse_ports(key[1]);
    } else {
        reversed[0] = key[2];
        reversed[1] = key[3];
        reversed[2] = key[0];
        reversed[3] = key[1];
        reversed[4] = reverse_ports(key[4]);
        reversed[5] = key[5];
    }
}

/* Gives 'row' the key of 'flow', or that of the other direction. */
void
measure_flow_row_key(struct measure_row *row,
                     const struct measure_flow_state *flow, bool reversed)
{
    memset(row->key, 0, sizeof row->key);
    row->layout = flow->layout;
    if (reversed) {
        measure_flow_key_reverse(flow->layout, flow->key, row->key);
    } else {
        memcpy(row->key, flow->key,
               measure_key_words(flow->layout) * sizeof *row->key);
    }
}

static bool
is_smaller(const uint64_t *a, const uint64_t *b, unsigned int n)
{
    for (unsigned int i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i];
        }
    }
    return false;
}

/* Makes 'packet' of the record in 'slot': its key in 'group_by' or, if
 * 'paired', the one that both directions have. */
void
measure_flow_packet_init(struct measure_flow_packet *packet,
                         const struct measure_slot *slot,
                         const struct measure_group_by *group_by, bool paired)
{
    uint64_t key[MEASURE_KEY_WORDS], reversed[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(slot, key);

    packet->slot = slot;
    packet->time_ns = measure_slot_time_ns(slot);
    packet->reversed = false;
    layout = measure_group_by_key(group_by, layout, key, packet->key);
    packet->layout = layout;
    if (paired) {
        unsigned int n = measure_key_words(layout);

        measure_flow_key_reverse(layout, packet->key, reversed);
        if (is_smaller(reversed, packet->key, n)) {
            memcpy(packet->key, reversed, n * sizeof *reversed);
            packet->reversed = true;
        }
    }
}

/* Looking up. */

static uint32_t
hash_of(const struct measure_flow_states *states,
        const struct measure_flow_packet *packet)
{
    return (packet->layout == MEASURE_NARROW
            ? measure_hash(&states->secret, packet->key, 2)
            : measure_hash(&states->secret, packet->key, MEASURE_KEY_WORDS))
           >> 32;
}

/* Sets the hashes of 'n' packets, and asks for the memory of their states. */
void
measure_flow_states_prefetch(const struct measure_flow_states *states,
                             struct measure_flow_packet *packets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        packets[i].hash = hash_of(states, &packets[i]);
        if (states->n_max) {
            __builtin_prefetch(&states->index[packets[i].hash
                                              & states->mask]);
        }
    }
    for (size_t i = 0; i < n && states->n_max; i++) {
        const struct measure_flow_entry *entry
            = &states->index[packets[i].hash & states->mask];

        if (entry->state) {
            const char *state
                = (const char *) state_at(states, entry->state - 1);

            __builtin_prefetch(state);
            __builtin_prefetch(state + LINE);
        }
    }
}

/* Is 'flow' over, if times are from 'low_ns' to 'high_ns' now? */
static bool
is_over(const struct measure_flow_states *states,
        const struct measure_flow_state *flow, uint64_t low_ns,
        uint64_t high_ns)
{
    uint64_t idle_ns = states->idle_ns;

    return (idle_ns
            && ((flow->time_ns < low_ns && low_ns - flow->time_ns >= idle_ns)
                || (flow->time_ns > high_ns
                    && (flow->time_ns - high_ns
                        >= measure_max(idle_ns, BACK_NS)))));
}

static void
end(struct measure_flow_states *states, struct measure_flow_state *flow,
    enum measure_flow_end why)
{
    if (states->ended) {
        states->ended(states, flow, why);
    }
    measure_flow_states_remove(states, flow);
}

/* Returns the state of the flow of 'packet', or NULL.  One that has been idle
 * for too long before it is ended first, and is none.  measure_flow_packet's
 * hash must be set: by measure_flow_states_prefetch(). */
struct measure_flow_state *
measure_flow_states_find(struct measure_flow_states *states,
                         const struct measure_flow_packet *packet)
{
    if (!states->n_max) {
        return NULL;
    }
    for (uint32_t i = packet->hash & states->mask; states->index[i].state;
         i = (i + 1) & states->mask) {
        const struct measure_flow_entry *entry = &states->index[i];
        struct measure_flow_state *flow;

        if (entry->hash != packet->hash) {
            continue;
        }
        flow = state_at(states, entry->state - 1);
        if (flow->layout == packet->layout
            && !memcmp(flow->key, packet->key,
                       measure_key_words(packet->layout)
                       * sizeof *flow->key)) {
            if (is_over(states, flow, packet->time_ns, packet->time_ns)) {
                end(states, flow, MEASURE_FLOW_IDLE);
                return NULL;
            }
            return flow;
        }
    }
    return NULL;
}

/* Returns the state at the clock hand, and moves that on.  The hand never
 * stands behind the last state that was touched, so that each caller finds it
 * at one. */
static struct measure_flow_state *
next_at_hand(struct measure_flow_states *states)
{
    struct measure_flow_state *flow = state_at(states, states->hand);

    states->hand = (states->hand + 1) % states->n_touched;
    return flow;
}

/* Removes the flow that has been idle for the longest time, of some.  All are
 * in use. */
static void
evict(struct measure_flow_states *states)
{
    struct measure_flow_state *oldest = NULL;

    for (unsigned int i = 0; i < MEASURE_FLOW_CANDIDATES; i++) {
        struct measure_flow_state *flow = next_at_hand(states);

        if (!oldest || flow->time_ns < oldest->time_ns) {
            oldest = flow;
        }
    }
    states->n_evicted++;
    end(states, oldest, MEASURE_FLOW_EVICTED);
}

/* Adds the flow of 'packet', which must not be there.  Returns its state,
 * which is zeroed, or NULL if the table has no memory at all. */
struct measure_flow_state *
measure_flow_states_add(struct measure_flow_states *states,
                        const struct measure_flow_packet *packet)
{
    struct measure_flow_state *flow;
    uint32_t i = packet->hash & states->mask;

    if (!states->n_max) {
        return NULL;
    }
    if (states->n_used == states->n_max) {
        evict(states);
    }
    if (states->first_free) {
        flow = state_at(states, states->first_free - 1);
        states->first_free = flow->hash;
    } else {
        flow = state_at(states, states->n_touched++);
    }
    memset(flow, 0, states->state_size);
    memcpy(flow->key, packet->key,
           measure_key_words(packet->layout) * sizeof *flow->key);
    flow->layout = packet->layout;
    flow->time_ns = packet->time_ns;
    flow->hash = packet->hash;
    flow->reversed = packet->reversed;
    flow->in_use = true;
    states->n_used++;

    while (states->index[i].state) {
        i = (i + 1) & states->mask;
    }
    states->index[i].hash = packet->hash;
    states->index[i].state = number_of(states, flow) + 1;
    return flow;
}

/* Removes 'flow', without a call of 'ended'. */
void
measure_flow_states_remove(struct measure_flow_states *states,
                           struct measure_flow_state *flow)
{
    struct measure_flow_entry *index = states->index;
    uint32_t number = number_of(states, flow) + 1;
    uint32_t mask = states->mask;
    uint32_t gap = flow->hash & mask;

    while (index[gap].state != number) {
        gap = (gap + 1) & mask;
    }
    /* What stands behind the gap moves into it, unless it would come before
     * its home. */
    for (uint32_t i = (gap + 1) & mask; index[i].state; i = (i + 1) & mask) {
        uint32_t home = index[i].hash & mask;

        if (((i - home) & mask) >= ((i - gap) & mask)) {
            index[gap] = index[i];
            gap = i;
        }
    }
    index[gap].state = 0;

    flow->in_use = false;
    flow->hash = states->first_free;
    states->first_free = number;
    states->n_used--;
}

/* Going over all. */

/* Returns a state that is in use, each once, beginning with '*at' 0; then
 * NULL.  The one that was returned last may be removed. */
struct measure_flow_state *
measure_flow_states_next(const struct measure_flow_states *states,
                         uint32_t *at)
{
    while (*at < states->n_touched) {
        struct measure_flow_state *flow = state_at(states, (*at)++);

        if (flow->in_use) {
            return flow;
        }
    }
    return NULL;
}

/* Ends all flows that are idle for long enough at 'now_ns' or, at the 'last'
 * end of an interval, all. */
void
measure_flow_states_end_all(struct measure_flow_states *states,
                            uint64_t now_ns, bool last)
{
    struct measure_flow_state *flow;
    uint32_t at = 0;

    while ((flow = measure_flow_states_next(states, &at))) {
        if (last || is_over(states, flow, now_ns, UINT64_MAX)) {
            end(states, flow, MEASURE_FLOW_IDLE);
        }
    }
}

/* Before the packets of 'batch': moves the clock hand on. */
void
measure_flow_states_begin(struct measure_flow_states *states,
                          const struct measure_batch *batch)
{
    uint64_t low_ns = UINT64_MAX, high_ns = 0;
    uint64_t both_low_ns, both_high_ns;
    double n_wanted = 1;
    uint64_t n;

    if (!states->idle_ns || !batch->n) {
        return;
    }
    for (size_t i = 0; i < batch->n; i++) {
        uint64_t time_ns = measure_slot_time_ns(batch->records[i]);

        low_ns = measure_min(low_ns, time_ns);
        high_ns = measure_max(high_ns, time_ns);
    }
    both_low_ns = measure_min(low_ns, states->low_ns);
    both_high_ns = measure_max(high_ns, states->high_ns);

    /* A round in a part of 'idle_ns'; two for each packet, for there cannot
     * come more new flows than that. */
    if (low_ns > states->low_ns) {
        n_wanted += ((double) (low_ns - states->low_ns) * HAND_SPEED
                     / states->idle_ns * states->n_touched);
    }
    /* It can be more than an integer takes. */
    n = n_wanted < 2.0 * batch->n ? (uint64_t) n_wanted : 2 * batch->n;
    n = measure_min(n, states->n_touched);
    while (n--) {
        struct measure_flow_state *flow = next_at_hand(states);

        if (flow->in_use
            && is_over(states, flow, both_low_ns, both_high_ns)) {
            end(states, flow, MEASURE_FLOW_IDLE);
        }
    }
    states->low_ns = low_ns;
    states->high_ns = high_ns;
}
