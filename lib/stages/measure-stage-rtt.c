/* SPDX-License-Identifier: Apache-2.0 */
/* The stage "rtt": round-trip times of the handshakes of TCP. */

#include <config.h>

#include "stream/measure-flow-state.h"
#include "stream/measure-tcp.h"

/* Round-trip times of handshakes
 * ==============================
 *
 * Three packets open a connection of TCP, all of them seen at the switch:
 *
 *     client        switch        server
 *       | SYN   s ---->|------------>|
 *       |              |<------------| SYN, ACK
 *       |<-------------|             |
 *       | ACK   s+1 -->|------------>|
 *
 * From SYN to SYN-ACK is the round-trip time to the server, from SYN-ACK to
 * ACK that to the client.
 *
 * The third packet is the first of the client with the sequence number behind
 * that of its SYN and with ACK, and without SYN and RST; it may have payload.
 *
 * A SYN or a SYN-ACK that came twice makes it impossible to say which of them
 * was answered (Karn and Partridge, "Improving Round-Trip Time Estimates in
 * Reliable Transport Protocols", SIGCOMM 1987).  The row of such a handshake
 * says how often that was, and has no times.
 *
 * The two directions may come by two rings, so that the order of records is
 * not that of their times: only times count.
 *
 * Memory: 128 bytes for each handshake under way, and the index of
 * measure-flow-state.h. */

#define DEFAULT_TIMEOUT_NS (10 * MEASURE_NS_PER_S)

enum {
    HAS_SYN = 1,
    HAS_SYN_ACK = 2,
    HAS_ACK = 4,
    HAS_ALL = 7
};

struct handshake {              /* measure_flow_state's 'flags': HAS_*. */
    uint64_t syn_ns;            /* The first of each. */
    uint64_t syn_ack_ns;
    uint64_t ack_ns;
    uint32_t sequence;          /* Of SYN. */
    uint32_t n_syns;
    uint32_t n_syn_acks;
    bool reversed;              /* Packets of the client are. */
};

struct rtt {
    struct measure_stage stage;
    struct measure_flow_states states;
    uint64_t n_flows;
    uint64_t timeout_ns;
};

static const struct measure_stage_argument arguments[] = {
    { "timeout", "TIME", "handshakes that last longer are forgotten (10s)" },
    { "flows", "N", "handshakes under way at a time" },
    { NULL, NULL, NULL },
};

static char *
set(struct measure_stage *stage, const char *name, const char *value)
{
    struct rtt *rtt = MEASURE_STAGE_CAST(struct rtt, stage);

    if (!name) {
        return measure_format("valid is timeout=TIME or flows=N");
    }
    if (!strcmp(name, "flows")) {
        return measure_stage_set_number(value, 1, MEASURE_FLOW_MAX,
                                       &rtt->n_flows);
    }
    return measure_stage_set_duration(value, 1, &rtt->timeout_ns);
}

static void
ended(struct measure_flow_states *states, struct measure_flow_state *flow,
      enum measure_flow_end why)
{
    if (why == MEASURE_FLOW_EVICTED && flow->flags & HAS_SYN) {
        measure_stage_lose(states->stage, 1);
    }
}

static char *
begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct rtt *rtt = MEASURE_STAGE_CAST(struct rtt, stage);
    char *error;

    (void) input;
    error = measure_flow_states_init(&rtt->states, stage,
                                     sizeof(struct handshake), rtt->n_flows);
    rtt->states.idle_ns = (rtt->timeout_ns
                           ? rtt->timeout_ns : DEFAULT_TIMEOUT_NS);
    rtt->states.ended = ended;

    stage->schema.of = "rtt";
    stage->schema.order = MEASURE_ORDER_TIME;
    stage->schema.has_key = true;
    measure_group_by_of_kind(&stage->schema.group_by, MEASURE_KIND_FLOW);
    stage->group_by = stage->schema.group_by;
    measure_schema_add(&stage->schema, "retransmissions",
                       MEASURE_COLUMN_COUNT);
    measure_schema_add(&stage->schema, "server-rtt-ns", MEASURE_COLUMN_NS);
    measure_schema_add(&stage->schema, "client-rtt-ns", MEASURE_COLUMN_NS);
    measure_schema_add(&stage->schema, "rtt-ns", MEASURE_COLUMN_NS);
    return error;
}

/* Gives the row of a handshake that is complete. */
static void
give(struct rtt *rtt, struct measure_flow_state *flow,
     const struct handshake *shake)
{
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    memset(row, 0, sizeof *row);
    measure_flow_row_key(row, flow, shake->reversed);
    row->time_ns = shake->ack_ns;
    row->values[0] = shake->n_syns - 1 + shake->n_syn_acks - 1;
    row->values[1] = shake->syn_ack_ns - shake->syn_ns;
    row->values[2] = shake->ack_ns - shake->syn_ack_ns;
    row->values[3] = shake->ack_ns - shake->syn_ns;
    row->n_present = row->values[0] ? 1 : 4;
    measure_stage_give(&rtt->stage, row);
}

static void
each(struct measure_stage *stage, const struct measure_flow_packet *packet)
{
    struct rtt *rtt = MEASURE_STAGE_CAST(struct rtt, stage);
    uint8_t flags = measure_slot_tcp_flags(packet->slot);
    uint32_t sequence = measure_slot_sequence(packet->slot);
    bool is_syn = measure_tcp_is_syn(flags);
    bool is_syn_ack = measure_tcp_is_syn_ack(flags);
    struct measure_flow_state *flow
        = measure_flow_states_find(&rtt->states, packet);
    struct handshake *shake;

    if (flow && flags & MEASURE_TCP_RST) {
        measure_flow_states_remove(&rtt->states, flow);
        return;
    }
    if (flow && is_syn && flow->flags & HAS_SYN
        && (MEASURE_FLOW_STATE(struct handshake, flow)->sequence != sequence
            || (MEASURE_FLOW_STATE(struct handshake, flow)->reversed
                != packet->reversed))) {
        /* Another connection with the same ports. */
        measure_flow_states_remove(&rtt->states, flow);
        flow = NULL;
    }
    if (!flow) {
        if (!is_syn && !is_syn_ack) {
            return;
        }
        flow = measure_flow_states_add(&rtt->states, packet);
        if (!flow) {
            measure_stage_lose(stage, is_syn);
            return;
        }
        MEASURE_FLOW_STATE(struct handshake, flow)->reversed
            = packet->reversed != is_syn_ack;
    }

    shake = MEASURE_FLOW_STATE(struct handshake, flow);
    if (is_syn && packet->reversed == shake->reversed) {
        if (!shake->n_syns++) {
            shake->sequence = sequence;
            shake->syn_ns = packet->time_ns;
            flow->flags |= HAS_SYN;
        }
        shake->syn_ns = measure_min(shake->syn_ns, packet->time_ns);
    } else if (is_syn_ack && packet->reversed != shake->reversed) {
        if (!shake->n_syn_acks++) {
            shake->syn_ack_ns = packet->time_ns;
            flow->flags |= HAS_SYN_ACK;
        }
        shake->syn_ack_ns = measure_min(shake->syn_ack_ns, packet->time_ns);
    } else if (!(flags & MEASURE_TCP_SYN) && flags & MEASURE_TCP_ACK
               && packet->reversed == shake->reversed
               && flow->flags & HAS_SYN && sequence == shake->sequence + 1) {
        if (!(flow->flags & HAS_ACK) || packet->time_ns < shake->ack_ns) {
            shake->ack_ns = packet->time_ns;
            flow->flags |= HAS_ACK;
        }
    } else {
        return;
    }
    measure_flow_state_touch(flow, packet);

    if ((flow->flags & HAS_ALL) == HAS_ALL) {
        if (shake->syn_ns > shake->syn_ack_ns) {
            /* That SYN-ACK cannot be the answer... */
            flow->flags &= ~HAS_SYN_ACK;
            shake->n_syn_acks = 0;
        } else if (shake->syn_ack_ns > shake->ack_ns) {
            /* ...nor this. */
            flow->flags &= ~HAS_ACK;
        } else {
            give(rtt, flow, shake);
            measure_flow_states_remove(&rtt->states, flow);
        }
    }
}

static void
packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct rtt *rtt = MEASURE_STAGE_CAST(struct rtt, stage);

    measure_flow_states_run(&rtt->states, batch, IPPROTO_TCP,
                            &stage->group_by, true, each);
}

static void
destroy(struct measure_stage *stage)
{
    measure_flow_states_destroy(
        &MEASURE_STAGE_CAST(struct rtt, stage)->states);
}

const struct measure_stage_class measure_stage_rtt = {
    .name = "rtt",
    .summary = "round-trip times of the handshakes of TCP",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_PAIR,
    .size = sizeof(struct rtt),
    .set = set,
    .begin = begin,
    .packets = packets,
    .destroy = destroy,
};
