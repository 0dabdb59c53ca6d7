/* SPDX-License-Identifier: Apache-2.0 */
/* The stage "half-open": connections of TCP that were asked for only. */

#include <config.h>

#include "stream/measure-flow-state.h"
#include "stream/measure-tcp.h"

/* Half-open connections
 * =====================
 *
 * A connection is half open from its SYN on until the client sends the packet
 * that completes the handshake (ACK, and the sequence number behind that of
 * the SYN), either side resets or ends it, or the last SYN is older than the
 * timeout.  It is unanswered if no SYN-ACK was seen either.  Under a flood of
 * SYNs with wrong source addresses the connections of a server that answers
 * are half open, those of one that is down are also unanswered.
 *
 * The two directions may come by two rings, so that a SYN-ACK or an RST can be
 * read before its SYN.  Such a one is remembered, if less than half of the
 * table is in use, and is of a SYN that is earlier than it.
 *
 * How many there are is found at the end of an interval by going over all
 * connections; SYNs and SYN-ACKs are counted as they come.  Both are added up
 * by the direction of the client: a SYN-ACK belongs to the destination that
 * sent it.
 *
 * Memory: 128 bytes for each half-open connection, answer without a SYN, and
 * row, and the indexes of measure-flow-state.h. */

#define DEFAULT_TIMEOUT_NS (10 * MEASURE_NS_PER_S)

enum {                          /* measure_flow_state's 'flags'. */
    ASKED = 1,                  /* There was a SYN. */
    ANSWERED = 2,
    RESET = 4,                  /* By the server, before the SYN was read. */
};

struct connection {
    uint32_t sequence;          /* Of SYN. */
    bool reversed;              /* Packets of the client are. */
};

enum column {
    HALF_OPEN,
    UNANSWERED,
    SYNS,
    SYN_ACKS,
    N_COLUMNS
};

struct group {
    uint64_t counts[N_COLUMNS];
};

struct half_open {
    struct measure_stage stage;
    struct measure_flow_states connections;
    struct measure_flow_states groups;
    struct measure_group_by flow;
    uint64_t n_flows;
    uint64_t timeout_ns;
    uint64_t end_ns;            /* Of the interval. */
};

static const struct measure_stage_argument arguments[] = {
    { "by", "GROUP", "what to add up by (destination)" },
    { "timeout", "TIME", "how long a SYN may wait (10s)" },
    { "flows", "N", "half-open connections at a time, and rows" },
    { NULL, NULL, NULL },
};

static char *
set(struct measure_stage *stage, const char *name, const char *value)
{
    struct half_open *half = MEASURE_STAGE_CAST(struct half_open, stage);

    if (!name || !strcmp(name, "by")) {
        if (!measure_group_by_parse(value, &stage->group_by)) {
            return measure_format("valid is " MEASURE_GROUP_BY_VALID);
        }
        /* A connection comes in by two ports. */
        return (stage->group_by.fields & MEASURE_FIELD_PORT
                ? measure_format("a connection has no port of the switch: "
                                 "valid is a group without it")
                : NULL);
    }
    if (!strcmp(name, "flows")) {
        return measure_stage_set_number(value, 1, MEASURE_FLOW_MAX,
                                       &half->n_flows);
    }
    return measure_stage_set_duration(value, 1, &half->timeout_ns);
}

/* Gives the row of a group. */
static void
give(struct measure_stage *stage, const struct measure_flow_state *flow,
     uint64_t time_ns)
{
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    memset(row, 0, sizeof *row);
    measure_flow_row_key(row, flow, false);
    row->time_ns = time_ns;
    row->n_present = N_COLUMNS;
    memcpy(row->values, MEASURE_FLOW_STATE(const struct group, flow)->counts,
           N_COLUMNS * sizeof row->values[0]);
    measure_stage_give(stage, row);
}

/* Rows add up: one that finds no place any more is given before its time. */
static void
group_ended(struct measure_flow_states *states,
            struct measure_flow_state *flow, enum measure_flow_end why)
{
    struct half_open *half
        = MEASURE_STAGE_CAST(struct half_open, states->stage);

    (void) why;
    give(states->stage, flow, measure_max(half->end_ns, flow->time_ns));
}

static void
connection_ended(struct measure_flow_states *states,
                 struct measure_flow_state *flow, enum measure_flow_end why)
{
    measure_stage_lose(states->stage, (why == MEASURE_FLOW_EVICTED
                                      && flow->flags & ASKED));
}

static char *
begin(struct measure_stage *stage, const struct measure_schema *input)
{
    static const char *const names[N_COLUMNS] = {
        "half-open", "unanswered", "syns", "syn-acks",
    };
    struct half_open *half = MEASURE_STAGE_CAST(struct half_open, stage);
    char *error;

    (void) input;
    if (!stage->group_by.fields) {
        measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_DESTINATION);
    }
    measure_group_by_of_kind(&half->flow, MEASURE_KIND_FLOW);
    error = measure_flow_states_init(&half->connections, stage,
                                     sizeof(struct connection),
                                     half->n_flows);
    if (!error) {
        error = measure_flow_states_init(&half->groups, stage,
                                         sizeof(struct group),
                                         half->n_flows);
    }
    half->connections.idle_ns = (half->timeout_ns ? half->timeout_ns
                                 : DEFAULT_TIMEOUT_NS);
    half->connections.ended = connection_ended;
    half->groups.ended = group_ended;

    stage->schema.of = "half-open";
    stage->schema.repeats_keys = true;
    stage->schema.has_key = true;
    stage->schema.group_by = stage->group_by;
    for (int i = 0; i < N_COLUMNS; i++) {
        measure_schema_add(&stage->schema, names[i],
                           i == HALF_OPEN || i == UNANSWERED
                           ? MEASURE_COLUMN_LEVEL : MEASURE_COLUMN_COUNT);
    }
    return error;
}

/* Adds 1 to 'column' of the group of 'key', the direction of the client. */
static void
count(struct half_open *half, enum measure_layout layout, const uint64_t *key,
      uint64_t time_ns, enum column column)
{
    struct measure_flow_packet packet;
    struct measure_flow_state *group;

    memset(&packet, 0, sizeof packet);
    packet.layout = measure_group_by_key(&half->stage.group_by, layout, key,
                                         packet.key);
    packet.time_ns = time_ns;
    measure_flow_states_prefetch(&half->groups, &packet, 1);
    group = measure_flow_states_find(&half->groups, &packet);
    if (!group) {
        group = measure_flow_states_add(&half->groups, &packet);
        if (!group) {
            measure_stage_lose(&half->stage, 1);
            return;
        }
    }
    measure_flow_state_touch(group, &packet);
    MEASURE_FLOW_STATE(struct group, group)->counts[column]++;
}

/* Likewise of the group of 'packet'.  If it is an answer, the client has sent
 * the other direction. */
static void
count_packet(struct half_open *half, const struct measure_flow_packet *packet,
             bool answer, enum column column)
{
    uint64_t key[MEASURE_KEY_WORDS], reversed[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(packet->slot, key);

    measure_flow_key_reverse(layout, key, reversed);
    count(half, layout, answer ? reversed : key, packet->time_ns, column);
}

/* A SYN, 'flow' is that of its addresses and ports, or NULL. */
static void
ask(struct half_open *half, const struct measure_flow_packet *packet,
    struct measure_flow_state *flow)
{
    struct measure_flow_states *states = &half->connections;
    uint32_t sequence = measure_slot_sequence(packet->slot);
    struct connection *connection;

    count_packet(half, packet, false, SYNS);
    if (!flow) {
        flow = measure_flow_states_add(states, packet);
        if (!flow) {
            measure_stage_lose(&half->stage, 1);
            return;
        }
    }
    connection = MEASURE_FLOW_STATE(struct connection, flow);
    if (flow->flags & ASKED
        ? (packet->reversed != connection->reversed
           || connection->sequence != sequence)
        : (packet->reversed != connection->reversed
           || packet->time_ns >= flow->time_ns)) {
        /* Another connection with the same ports. */
        flow->flags = 0;
    }
    if (flow->flags & RESET) {
        measure_flow_states_remove(states, flow);
        return;
    }
    flow->flags |= ASKED;
    connection->sequence = sequence;
    connection->reversed = packet->reversed;
    measure_flow_state_touch(flow, packet);
}

/* An answer to a SYN: 'flag' is what it means. */
static void
answer(struct half_open *half, const struct measure_flow_packet *packet,
       struct measure_flow_state *flow, uint8_t flag)
{
    struct measure_flow_states *states = &half->connections;

    if (!flow) {
        /* Most have no SYN that is still to come: they must not take the
         * places of those that wait. */
        if (states->n_used >= (states->n_max + 1) / 2) {
            return;
        }
        flow = measure_flow_states_add(states, packet);
        MEASURE_FLOW_STATE(struct connection, flow)->reversed
            = !packet->reversed;
    }
    if (packet->reversed
        != MEASURE_FLOW_STATE(struct connection, flow)->reversed) {
        flow->flags |= flag;
    }
    if (!(flow->flags & ASKED)) {
        measure_flow_state_touch(flow, packet);
    }
}

static void
each(struct measure_stage *stage, const struct measure_flow_packet *packet)
{
    struct half_open *half = MEASURE_STAGE_CAST(struct half_open, stage);
    struct measure_flow_states *states = &half->connections;
    uint8_t flags = measure_slot_tcp_flags(packet->slot);
    struct measure_flow_state *flow
        = measure_flow_states_find(states, packet);
    const struct connection *connection
        = flow ? MEASURE_FLOW_STATE(struct connection, flow) : NULL;
    bool asked = flow && flow->flags & ASKED;

    if (asked && flags & (MEASURE_TCP_RST | MEASURE_TCP_FIN)) {
        measure_flow_states_remove(states, flow);
    } else if (flags & MEASURE_TCP_RST) {
        answer(half, packet, flow, RESET);
    } else if (measure_tcp_is_syn(flags)) {
        ask(half, packet, flow);
    } else if (measure_tcp_is_syn_ack(flags)) {
        count_packet(half, packet, true, SYN_ACKS);
        answer(half, packet, flow, ANSWERED);
    } else if (asked && packet->reversed == connection->reversed
               && flags & MEASURE_TCP_ACK
               && (measure_slot_sequence(packet->slot)
                   == connection->sequence + 1)) {
        measure_flow_states_remove(states, flow);
    }
}

static void
packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct half_open *half = MEASURE_STAGE_CAST(struct half_open, stage);

    measure_flow_states_run(&half->connections, batch, IPPROTO_TCP,
                            &half->flow, true, each);
}

static void
interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
         bool last)
{
    struct half_open *half = MEASURE_STAGE_CAST(struct half_open, stage);
    struct measure_flow_state *flow;
    uint32_t at = 0;

    (void) start_ns;
    (void) last;
    half->end_ns = end_ns;
    measure_flow_states_end_all(&half->connections, end_ns, false);
    while ((flow = measure_flow_states_next(&half->connections, &at))) {
        const struct connection *connection
            = MEASURE_FLOW_STATE(const struct connection, flow);
        uint64_t reversed[MEASURE_KEY_WORDS];
        const uint64_t *key = flow->key;

        if (!(flow->flags & ASKED)) {
            continue;
        }
        if (connection->reversed) {
            measure_flow_key_reverse(flow->layout, flow->key, reversed);
            key = reversed;
        }
        count(half, flow->layout, key, flow->time_ns, HALF_OPEN);
        if (!(flow->flags & ANSWERED)) {
            count(half, flow->layout, key, flow->time_ns, UNANSWERED);
        }
    }
    at = 0;
    while ((flow = measure_flow_states_next(&half->groups, &at))) {
        give(stage, flow, end_ns);
        measure_flow_states_remove(&half->groups, flow);
    }
    half->end_ns = 0;
}

static void
destroy(struct measure_stage *stage)
{
    struct half_open *half = MEASURE_STAGE_CAST(struct half_open, stage);

    measure_flow_states_destroy(&half->connections);
    measure_flow_states_destroy(&half->groups);
}

const struct measure_stage_class measure_stage_half_open = {
    .name = "half-open",
    .summary = "connections of TCP that were asked for only",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_PAIR,
    .size = sizeof(struct half_open),
    .set = set,
    .begin = begin,
    .packets = packets,
    .interval = interval,
    .destroy = destroy,
};
