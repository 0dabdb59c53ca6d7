/* SPDX-License-Identifier: Apache-2.0 */
/* The stage "features": the first packets of each flow, in one row. */

#include <config.h>

#include <stdio.h>

#include "stream/measure-flow-state.h"
#include "stream/measure-tcp.h"

/* The first packets of each flow
 * ==============================
 *
 * What machine learning asks of a flow before it is over: the length, the time
 * since the packet before, the flags of TCP and the direction of each of its
 * first n= packets.  Both directions are one flow; its key is that of its
 * first packet.
 *
 * A flow is over when
 *
 *     RST comes, or FIN has come in both directions
 *     a SYN comes that is not the one that it began with
 *     none of its packets has come for idle=
 *     the stream ends
 *
 * and its row is given then or with the n'th packet, whatever is first.  What
 * follows of the same flow, as the last ACK, makes no row: the state stays,
 * and only a SYN or the idle time makes another flow of it.
 *
 * Memory: 88 bytes and 16 for each packet, in lines of 64 bytes, and the index
 * of measure-flow-state.h.  A flow without a row that loses its place gives
 * none, and is counted in 'lost': a row that says it is over must not lie. */

#define DEFAULT_N 10
#define DEFAULT_IDLE_NS UINT64_C(60000000000)
#define FIRST_COLUMNS 2
#define PACKET_COLUMNS 4
#define MAX_N ((MEASURE_ROW_COLUMNS - FIRST_COLUMNS) / PACKET_COLUMNS)
#define NAME_SIZE 24            /* "interval-ns-" and any number. */

enum {                          /* measure_flow_state's 'flags'. */
    GIVEN = 1,
    BEGAN_WITH_SYN = 2,
    FIN_FORWARD = 4,
    FIN_BACKWARD = 8
};

struct features_packet {
    uint64_t interval_ns;
    uint32_t length;
    uint8_t tcp_flags;
    bool backward;
};

struct features_flow {
    uint64_t start_ns;
    uint64_t last_ns;           /* Of the packets in the row. */
    uint32_t sequence;          /* Of the SYN. */
    uint32_t n;
    struct features_packet packets[];
};

struct features {
    struct measure_stage stage;
    struct measure_flow_states states;
    uint64_t n_flows;
    uint64_t idle_ns;
    uint64_t n;
    char names[MAX_N][PACKET_COLUMNS][NAME_SIZE];
};

static const struct measure_stage_argument arguments[] = {
    { "n", "1 to 29", "packets of each flow (10)" },
    { "idle", "TIME", "after which a flow is over (60s)" },
    { "flows", "N", "flows at a time" },
    { NULL, NULL, NULL },
};

static_assert(MAX_N == 29, "as the arguments say");

static char *
set(struct measure_stage *stage, const char *name, const char *value)
{
    struct features *features = MEASURE_STAGE_CAST(struct features, stage);

    if (!name) {
        return measure_format("valid is n=N, idle=TIME or flows=N");
    }
    if (!strcmp(name, "n")) {
        return measure_stage_set_number(value, 1, MAX_N, &features->n);
    }
    if (!strcmp(name, "flows")) {
        return measure_stage_set_number(value, 1, MEASURE_FLOW_MAX,
                                       &features->n_flows);
    }
    return measure_stage_set_duration(value, 1, &features->idle_ns);
}

/* Gives the row of 'flow', once. */
static void
give(struct measure_stage *stage, struct measure_flow_state *flow)
{
    const struct features_flow *f
        = MEASURE_FLOW_STATE(const struct features_flow, flow);
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;
    uint64_t *value = row->values;

    if (flow->flags & GIVEN) {
        return;
    }
    flow->flags |= GIVEN;
    memset(row, 0, sizeof *row);
    measure_flow_row_key(row, flow, flow->reversed);
    row->time_ns = f->last_ns;
    *value++ = f->n;
    *value++ = f->start_ns;
    for (uint32_t i = 0; i < f->n; i++) {
        *value++ = f->packets[i].length;
        *value++ = f->packets[i].interval_ns;
        *value++ = f->packets[i].tcp_flags;
        *value++ = f->packets[i].backward;
    }
    row->n_present = value - row->values;
    measure_stage_give(stage, row);
}

static void
ended(struct measure_flow_states *states, struct measure_flow_state *flow,
      enum measure_flow_end why)
{
    if (why == MEASURE_FLOW_IDLE) {
        give(states->stage, flow);
    } else if (!(flow->flags & GIVEN)) {
        measure_stage_lose(states->stage, 1);
    }
}

static char *
begin(struct measure_stage *stage, const struct measure_schema *input)
{
    static const struct {
        const char *name;
        enum measure_column_kind kind;
    } columns[PACKET_COLUMNS] = {
        { "length", MEASURE_COLUMN_GAUGE },
        { "interval-ns", MEASURE_COLUMN_NS },
        { "flags", MEASURE_COLUMN_GAUGE },
        { "backward", MEASURE_COLUMN_GAUGE },
    };
    struct features *features = MEASURE_STAGE_CAST(struct features, stage);
    size_t size;
    char *error;

    (void) input;
    features->n = features->n ? features->n : DEFAULT_N;
    size = (sizeof(struct features_flow)
            + features->n * sizeof(struct features_packet));
    error = measure_flow_states_init(&features->states, stage, size,
                                     features->n_flows);
    features->states.idle_ns = (features->idle_ns
                                ? features->idle_ns : DEFAULT_IDLE_NS);
    features->states.ended = ended;

    stage->schema.of = "features";
    stage->schema.order = MEASURE_ORDER_TIME;
    stage->schema.has_key = true;
    measure_group_by_of_kind(&stage->schema.group_by, MEASURE_KIND_FLOW);
    stage->group_by = stage->schema.group_by;
    measure_schema_add(&stage->schema, "packets", MEASURE_COLUMN_GAUGE);
    measure_schema_add(&stage->schema, "start-time", MEASURE_COLUMN_TIME);
    for (unsigned int i = 0; i < features->n; i++) {
        for (int j = 0; j < PACKET_COLUMNS; j++) {
            char *name = features->names[i][j];

            snprintf(name, NAME_SIZE, "%s-%u", columns[j].name, i + 1);
            measure_schema_add(&stage->schema, name, columns[j].kind);
        }
    }
    return error;
}

static void
each(struct measure_stage *stage, const struct measure_flow_packet *packet)
{
    struct features *features = MEASURE_STAGE_CAST(struct features, stage);
    bool is_tcp = measure_slot_protocol(packet->slot) == IPPROTO_TCP;
    uint8_t tcp_flags = measure_slot_tcp_flags(packet->slot);
    uint32_t sequence = measure_slot_sequence(packet->slot);
    bool is_syn = is_tcp && measure_tcp_is_syn(tcp_flags);
    struct measure_flow_state *flow
        = measure_flow_states_find(&features->states, packet);
    struct features_flow *f
        = flow ? MEASURE_FLOW_STATE(struct features_flow, flow) : NULL;
    struct features_packet *p;

    if (flow && is_syn
        && (!(flow->flags & BEGAN_WITH_SYN) || sequence != f->sequence
            || packet->reversed != flow->reversed)) {
        give(stage, flow);
        measure_flow_states_remove(&features->states, flow);
        flow = NULL;
    }
    if (!flow) {
        flow = measure_flow_states_add(&features->states, packet);
        if (!flow) {
            measure_stage_lose(stage, 1);
            return;
        }
        f = MEASURE_FLOW_STATE(struct features_flow, flow);
        f->start_ns = f->last_ns = packet->time_ns;
        f->sequence = sequence;
        flow->flags = is_syn ? BEGAN_WITH_SYN : 0;
    }
    measure_flow_state_touch(flow, packet);
    if (flow->flags & GIVEN) {
        return;
    }

    p = &f->packets[f->n++];
    p->length = measure_slot_length(packet->slot);
    p->tcp_flags = tcp_flags;
    p->backward = packet->reversed != flow->reversed;
    p->interval_ns = (packet->time_ns > f->last_ns
                      ? packet->time_ns - f->last_ns : 0);
    f->last_ns = measure_max(f->last_ns, packet->time_ns);
    if (is_tcp && tcp_flags & MEASURE_TCP_FIN) {
        flow->flags |= p->backward ? FIN_BACKWARD : FIN_FORWARD;
    }
    if (f->n == features->n
        || (is_tcp && tcp_flags & MEASURE_TCP_RST)
        || (flow->flags & FIN_FORWARD && flow->flags & FIN_BACKWARD)) {
        give(stage, flow);
    }
}

static void
packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct features *features = MEASURE_STAGE_CAST(struct features, stage);

    measure_flow_states_run(&features->states, batch, -1, &stage->group_by,
                            true, each);
}

static void
interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
         bool last)
{
    struct features *features = MEASURE_STAGE_CAST(struct features, stage);

    (void) start_ns;
    measure_flow_states_end_all(&features->states, end_ns, last);
}

static void
destroy(struct measure_stage *stage)
{
    measure_flow_states_destroy(
        &MEASURE_STAGE_CAST(struct features, stage)->states);
}

const struct measure_stage_class measure_stage_features = {
    .name = "features",
    .summary = "the first packets of each flow, in one row",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_PAIR,
    .size = sizeof(struct features),
    .set = set,
    .begin = begin,
    .packets = packets,
    .interval = interval,
    .destroy = destroy,
};
