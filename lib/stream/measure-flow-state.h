/* SPDX-License-Identifier: Apache-2.0 */
/* What stages remember of flows: a table that forgets. */

#ifndef MEASURE_FLOW_STATE_H
#define MEASURE_FLOW_STATE_H 1

#include "base/measure-hash.h"
#include "stream/measure-stage.h"

/* States of flows
 * ===============
 *
 * A stage that follows flows (handshakes, sequence numbers, bursts) keeps a
 * state of a fixed size for each.  Flows come and go, and not all of them say
 * so: a state goes when its flow has been idle for a time, or when the table
 * is full and another flow needs the place.
 *
 * The table is an index with open addressing and linear probing, 8 bytes an
 * entry and at most half full, into an array of states.  States do not move:
 * a pointer to one holds until it is removed.  Deletion closes the gap in the
 * index (Knuth, The Art of Computer Programming, vol. 3, 6.4, algorithm R), so
 * that there is nothing to rebuild.  The hash is keyed, with a secret of each
 * table.
 *
 *     memory = n_flows * (64 + size of the state, in lines of 64 bytes)
 *              + 16 to 32 bytes for each flow, for the index
 *
 * Time is that of the packets.  A flow has ended when its next packet comes
 * 'idle_ns' or more after its last one: this is exact, whenever it is noticed.
 * To give the memory back earlier, a clock hand goes over the states, a few
 * with each batch, and ends those that have been idle at the time that all
 * packets of this batch and of the one before have reached.  Hence a packet
 * with a wrong time stamp cannot end the flows of others.  If a time goes back
 * by less than idle_ns, or a second if that is more, packets came out of order
 * (from two rings).  If it is by more the clock was set: then the flow ends
 * too, so that none stays for ever that a wrong time stamp has carried into
 * the future.
 *
 * A full table takes the place of the flow that has been idle for the longest
 * time of MEASURE_FLOW_CANDIDATES that follow the clock hand.
 *
 * In pairs, both directions of a connection have one state: the key in the
 * table is the smaller one of the two, and each packet says whether it is
 * 'reversed', that is, has the other one.
 *
 * Error: none, as long as nothing is evicted.  The stage is told of each
 * eviction and counts it.
 *
 * Thread safety: belongs to the thread of its stage. */

#define MEASURE_FLOW_BURST 32           /* Packets looked up together. */
#define MEASURE_FLOW_CANDIDATES 16
#define MEASURE_FLOW_MAX (UINT64_C(1) << 28)    /* States of a table. */

/* The beginning of each state, a cache line; what the stage keeps follows. */
struct measure_flow_state {
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t time_ns;           /* Since when it is idle: last packet. */
    uint32_t hash;
    uint8_t layout;             /* enum measure_layout, of 'key'. */
    bool in_use;
    bool reversed;              /* The first packet was. */
    uint8_t flags;              /* For the stage.  0 at first. */
};

static_assert(sizeof(struct measure_flow_state) == 64, "a cache line");

/* The part that belongs to the stage, a pointer to TYPE. */
#define MEASURE_FLOW_STATE(TYPE, FLOW) ((TYPE *) (void *) ((FLOW) + 1))

/* A packet whose flow is about to be looked for. */
struct measure_flow_packet {
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t time_ns;
    const struct measure_slot *slot;
    uint32_t hash;
    uint8_t layout;
    bool reversed;
};

struct measure_flow_entry {
    uint32_t hash;
    uint32_t state;             /* Number of a state + 1; 0 is empty. */
};

enum measure_flow_end {
    MEASURE_FLOW_IDLE,
    MEASURE_FLOW_EVICTED
};

struct measure_flow_states {
    struct measure_stage *stage;
    /* Called before a state is removed, other than by
     * measure_flow_states_remove().  Must not use this table.  May be NULL. */
    void (*ended)(struct measure_flow_states *, struct measure_flow_state *,
                  enum measure_flow_end);
    uint64_t idle_ns;           /* 0 for never. */

    struct measure_hash_secret secret;
    struct measure_flow_entry *index;
    uint8_t *states;
    size_t state_size;          /* With its beginning. */
    uint32_t mask;              /* Of the index. */
    uint32_t n_max;             /* States.  0 if there is no memory. */
    uint32_t n_touched;         /* That have ever been in use... */
    uint32_t n_used;            /* ...and that are now. */
    uint32_t first_free;        /* Number of a state + 1. */
    uint32_t hand;
    uint64_t low_ns;            /* Times of the batch before. */
    uint64_t high_ns;
    uint64_t n_evicted;
};

char *measure_flow_states_init(struct measure_flow_states *,
                               struct measure_stage *, size_t state_size,
                               uint64_t n_flows);
void measure_flow_states_destroy(struct measure_flow_states *);

void measure_flow_states_begin(struct measure_flow_states *,
                               const struct measure_batch *);
void measure_flow_packet_init(struct measure_flow_packet *,
                              const struct measure_slot *,
                              const struct measure_group_by *, bool paired);
void measure_flow_states_prefetch(const struct measure_flow_states *,
                                  struct measure_flow_packet *, size_t n);
struct measure_flow_state *
measure_flow_states_find(struct measure_flow_states *,
                         const struct measure_flow_packet *);
struct measure_flow_state *
measure_flow_states_add(struct measure_flow_states *,
                        const struct measure_flow_packet *);
void measure_flow_states_remove(struct measure_flow_states *,
                                struct measure_flow_state *);
struct measure_flow_state *
measure_flow_states_next(const struct measure_flow_states *, uint32_t *at);
void measure_flow_states_end_all(struct measure_flow_states *,
                                 uint64_t now_ns, bool last);

void measure_flow_key_reverse(enum measure_layout, const uint64_t *key,
                              uint64_t *reversed);
void measure_flow_row_key(struct measure_row *,
                          const struct measure_flow_state *, bool reversed);

/* 'flow' has had 'packet': it is idle from then on. */
static inline void
measure_flow_state_touch(struct measure_flow_state *flow,
                         const struct measure_flow_packet *packet)
{
    flow->time_ns = measure_max(flow->time_ns, packet->time_ns);
}

/* Calls 'each' for each packet of 'batch' with protocol 'protocol', or all of
 * them if that is negative, in their order. */
MEASURE_SPECIALISED void
measure_flow_states_run(struct measure_flow_states *states,
                        const struct measure_batch *batch, int protocol,
                        const struct measure_group_by *group_by, bool paired,
                        void (*each)(struct measure_stage *,
                                     const struct measure_flow_packet *))
{
    struct measure_flow_packet packets[MEASURE_FLOW_BURST];
    size_t i = 0;

    measure_flow_states_begin(states, batch);
    while (i < batch->n) {
        size_t n = 0;

        for (; i < batch->n && n < MEASURE_FLOW_BURST; i++) {
            const struct measure_slot *slot = batch->records[i];

            if (protocol < 0 || measure_slot_protocol(slot) == protocol) {
                measure_flow_packet_init(&packets[n++], slot, group_by,
                                         paired);
            }
        }
        measure_flow_states_prefetch(states, packets, n);
        for (size_t j = 0; j < n; j++) {
            each(states->stage, &packets[j]);
        }
    }
}

#endif /* measure-flow-state.h */
