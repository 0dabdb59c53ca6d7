/* SPDX-License-Identifier: Apache-2.0 */
/* The stage "flowlets": bursts of a flow with idle gaps between them. */

#include <config.h>

#include "stream/measure-flow-state.h"

/* Flowlets
 * ========
 *
 * A flowlet is a run of packets of one flow (by= says what a flow is) in which
 * each comes less than gap= after the one before: what could take another path
 * without overtaking what went before (Sinha, Kandula, Katabi, "Harnessing
 * TCP's Burstiness with Flowlet Switching", HotNets 2004).
 *
 * A packet whose time is before that of the last one of its flow belongs to
 * the same flowlet.
 *
 * Memory: 128 bytes for each flowlet under way, and the index of
 * measure-flow-state.h.  A flowlet that loses its place is given as far as it
 * has come, and counted in 'lost': rows have all packets at any rate. */

#define DEFAULT_GAP_NS 50000

struct flowlet {
    uint64_t start_ns;
    uint64_t packets;
    uint64_t bytes;
};

struct flowlets {
    struct measure_stage stage;
    struct measure_flow_states states;
    uint64_t n_flows;
    uint64_t gap_ns;
};

static const struct measure_stage_argument arguments[] = {
    { "gap", "TIME", "idle time between two flowlets (50us)" },
    { "by", "GROUP", "what a flow is (flow)" },
    { "flows", "N", "flowlets under way at a time" },
    { NULL, NULL, NULL },
};

static char *
set(struct measure_stage *stage, const char *name, const char *value)
{
    struct flowlets *flowlets = MEASURE_STAGE_CAST(struct flowlets, stage);

    if (!name || !strcmp(name, "by")) {
        return (measure_group_by_parse(value, &stage->group_by) ? NULL
                : measure_format("valid is " MEASURE_GROUP_BY_VALID));
    }
    if (!strcmp(name, "flows")) {
        return measure_stage_set_number(value, 1, MEASURE_FLOW_MAX,
                                       &flowlets->n_flows);
    }
    return measure_stage_set_duration(value, 1, &flowlets->gap_ns);
}

static void
ended(struct measure_flow_states *states, struct measure_flow_state *flow,
      enum measure_flow_end why)
{
    const struct flowlet *flowlet
        = MEASURE_FLOW_STATE(const struct flowlet, flow);
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    memset(row, 0, sizeof *row);
    measure_flow_row_key(row, flow, false);
    row->time_ns = flow->time_ns;
    row->values[0] = flowlet->start_ns;
    row->values[1] = flow->time_ns - flowlet->start_ns;
    row->values[2] = flowlet->packets;
    row->values[3] = flowlet->bytes;
    row->n_present = 4;
    measure_stage_lose(states->stage, why == MEASURE_FLOW_EVICTED);
    measure_stage_give(states->stage, row);
}

static char *
begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct flowlets *flowlets = MEASURE_STAGE_CAST(struct flowlets, stage);
    char *error;

    (void) input;
    if (!stage->group_by.fields) {
        measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_FLOW);
    }
    error = measure_flow_states_init(&flowlets->states, stage,
                                     sizeof(struct flowlet),
                                     flowlets->n_flows);
    flowlets->states.idle_ns = (flowlets->gap_ns
                                ? flowlets->gap_ns : DEFAULT_GAP_NS);
    flowlets->states.ended = ended;

    stage->schema.of = "flowlets";
    stage->schema.order = MEASURE_ORDER_TIME;
    stage->schema.has_key = true;
    stage->schema.group_by = stage->group_by;
    measure_schema_add(&stage->schema, "start-time", MEASURE_COLUMN_TIME);
    measure_schema_add(&stage->schema, "duration-ns", MEASURE_COLUMN_NS);
    measure_schema_add(&stage->schema, "packets", MEASURE_COLUMN_COUNT);
    measure_schema_add(&stage->schema, "bytes", MEASURE_COLUMN_COUNT);
    return error;
}

static void
each(struct measure_stage *stage, const struct measure_flow_packet *packet)
{
    struct flowlets *flowlets = MEASURE_STAGE_CAST(struct flowlets, stage);
    struct measure_flow_state *flow
        = measure_flow_states_find(&flowlets->states, packet);
    struct flowlet *flowlet;

    if (!flow) {
        flow = measure_flow_states_add(&flowlets->states, packet);
        if (!flow) {
            measure_stage_lose(stage, 1);
            return;
        }
        MEASURE_FLOW_STATE(struct flowlet, flow)->start_ns = packet->time_ns;
    }
    flowlet = MEASURE_FLOW_STATE(struct flowlet, flow);
    flowlet->start_ns = measure_min(flowlet->start_ns, packet->time_ns);
    flowlet->packets++;
    flowlet->bytes += measure_slot_length(packet->slot);
    measure_flow_state_touch(flow, packet);
}

static void
packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct flowlets *flowlets = MEASURE_STAGE_CAST(struct flowlets, stage);

    measure_flow_states_run(&flowlets->states, batch, -1, &stage->group_by,
                            false, each);
}

static void
interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
         bool last)
{
    struct flowlets *flowlets = MEASURE_STAGE_CAST(struct flowlets, stage);

    (void) start_ns;
    measure_flow_states_end_all(&flowlets->states, end_ns, last);
}

static void
destroy(struct measure_stage *stage)
{
    measure_flow_states_destroy(
        &MEASURE_STAGE_CAST(struct flowlets, stage)->states);
}

const struct measure_stage_class measure_stage_flowlets = {
    .name = "flowlets",
    .summary = "bursts of a flow with idle gaps between them",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_KEY,
    .size = sizeof(struct flowlets),
    .set = set,
    .begin = begin,
    .packets = packets,
    .interval = interval,
    .destroy = destroy,
};
