/* SPDX-License-Identifier: Apache-2.0 */
/* The stage "out-of-order": segments of TCP that came late, or twice. */

#include <config.h>

#include "stream/measure-flow-state.h"
#include "stream/measure-tcp.h"

/* Out of order, and retransmitted
 * ===============================
 *
 * A segment is a packet of TCP that takes sequence numbers: one for SYN, one
 * for each byte of payload, and one for FIN.  Those of one direction are
 * followed up to the highest number that was seen, with the holes below it
 * that have not been seen yet:
 *
 *        known        hole          hole    next
 *     |-------------|      |-------|    |---|
 *     seen          not    seen         seen
 *
 *     retransmitted    below 'next', all of it seen before or, if it reaches
 *                      beyond 'next', a part of it
 *     out of order     fills a part of a hole
 *     ambiguous        reaches below 'known', where nobody knows what was
 *                      seen, and fills no hole
 *     in order         all others, also those that leave a hole behind
 *
 * A segment that was lost before it came to the switch, and comes again, is
 * out of order here: what was not seen cannot be seen twice.  One that was
 * lost behind the switch is retransmitted.  So is a keepalive with a byte.
 *
 * 'known' is the beginning of the first segment, or higher: there are
 * MAX_HOLES holes at most, and of one more the lowest is forgotten, with
 * everything below its end.  So is what is WINDOW behind 'next'.
 *
 * A segment further than WINDOW from 'next', on either side, or a SYN with
 * another number than the one before, is taken as the first one of another
 * connection with the same ports.
 *
 * Numbers are compared modulo 2^32 (RFC 9293, 3.4).
 *
 * Memory: 192 bytes for each flow, and the index of measure-flow-state.h. */

#define DEFAULT_IDLE_NS UINT64_C(60000000000)
#define MAX_HOLES 4
#define WINDOW (INT32_C(1) << 30)       /* RFC 7323, 2.3: the largest. */

enum column {
    SEGMENTS,
    OUT_OF_ORDER,
    RETRANSMITTED,
    RETRANSMITTED_BYTES,
    AMBIGUOUS,
    UNKNOWN,
    N_COLUMNS
};

enum {                          /* measure_flow_state's 'flags'. */
    HAS_SEGMENT = 1,
    HAS_SYN = 2,
    COUNTED = 4                 /* Something that is not given yet. */
};

struct hole {
    uint32_t start;
    uint32_t end;
};

struct sequence {
    uint32_t known;
    uint32_t next;
    uint32_t syn;
    uint32_t n_holes;
    struct hole holes[MAX_HOLES + 1];   /* Ascending.  One more for a time. */
    uint64_t counts[N_COLUMNS];
};

struct out_of_order {
    struct measure_stage stage;
    struct measure_flow_states states;
    uint64_t n_flows;
    uint64_t idle_ns;
};

static const struct measure_stage_argument arguments[] = {
    { "idle", "TIME", "after which a flow is forgotten (60s)" },
    { "flows", "N", "flows at a time" },
    { NULL, NULL, NULL },
};

static char *
set(struct measure_stage *stage, const char *name, const char *value)
{
    struct out_of_order *order
        = MEASURE_STAGE_CAST(struct out_of_order, stage);

    if (!name) {
        return measure_format("valid is idle=TIME or flows=N");
    }
    if (!strcmp(name, "flows")) {
        return measure_stage_set_number(value, 1, MEASURE_FLOW_MAX,
                                       &order->n_flows);
    }
    return measure_stage_set_duration(value, 1, &order->idle_ns);
}

static void
give(struct measure_stage *stage, struct measure_flow_state *flow,
     uint64_t time_ns)
{
    struct sequence *sequence = MEASURE_FLOW_STATE(struct sequence, flow);
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;

    if (!(flow->flags & COUNTED)) {
        return;
    }
    flow->flags &= ~COUNTED;
    memset(row, 0, sizeof *row);
    measure_flow_row_key(row, flow, false);
    row->time_ns = time_ns;
    row->n_present = N_COLUMNS;
    memcpy(row->values, sequence->counts, sizeof sequence->counts);
    memset(sequence->counts, 0, sizeof sequence->counts);
    measure_stage_give(stage, row);
}

static void
ended(struct measure_flow_states *states, struct measure_flow_state *flow,
      enum measure_flow_end why)
{
    measure_stage_lose(states->stage, why == MEASURE_FLOW_EVICTED);
    give(states->stage, flow, flow->time_ns);
}

static char *
begin(struct measure_stage *stage, const struct measure_schema *input)
{
    static const char *const names[N_COLUMNS] = {
        "segments", "out-of-order", "retransmitted", "retransmitted-bytes",
        "ambiguous", "unknown",
    };
    struct out_of_order *order
        = MEASURE_STAGE_CAST(struct out_of_order, stage);
    char *error;

    (void) input;
    error = measure_flow_states_init(&order->states, stage,
                                     sizeof(struct sequence),
                                     order->n_flows);
    order->states.idle_ns = (order->idle_ns
                             ? order->idle_ns : DEFAULT_IDLE_NS);
    order->states.ended = ended;

    measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_FLOW);
    stage->schema.of = "out-of-order";
    stage->schema.repeats_keys = true;
    stage->schema.has_key = true;
    stage->schema.group_by = stage->group_by;
    for (int i = 0; i < N_COLUMNS; i++) {
        measure_schema_add(&stage->schema, names[i], MEASURE_COLUMN_COUNT);
    }
    return error;
}

/* Is 'a' before 'b', and by how much?  Negative if it is behind. */
static int32_t
before(uint32_t a, uint32_t b)
{
    return (int32_t) (b - a);
}

static uint32_t
later(uint32_t a, uint32_t b)
{
    return before(a, b) > 0 ? b : a;
}

static uint32_t
earlier(uint32_t a, uint32_t b)
{
    return before(a, b) > 0 ? a : b;
}

/* How many numbers from 'start' to 'end' - 1 are in holes. */
static uint32_t
count_holes(const struct sequence *sequence, uint32_t start, uint32_t end)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < sequence->n_holes; i++) {
        const struct hole *hole = &sequence->holes[i];
        int32_t both = before(later(start, hole->start),
                              earlier(end, hole->end));

        n += both > 0 ? both : 0;
    }
    return n;
}

/* How many of them were seen before, for sure. */
static uint32_t
count_seen(const struct sequence *sequence, uint32_t start, uint32_t end)
{
    int32_t n;

    start = later(start, sequence->known);
    end = earlier(end, sequence->next);
    n = before(start, end);
    return n > 0 ? n - count_holes(sequence, start, end) : 0;
}

/* Nothing below 'known' is known any more. */
static void
forget(struct sequence *sequence, uint32_t known)
{
    uint32_t n = 0;

    sequence->known = known;
    for (uint32_t i = 0; i < sequence->n_holes; i++) {
        struct hole hole = sequence->holes[i];

        hole.start = later(hole.start, known);
        if (before(hole.start, hole.end) > 0) {
            sequence->holes[n++] = hole;
        }
    }
    sequence->n_holes = n;
}

/* Forgets the lowest hole if there is one too many. */
static void
limit_holes(struct sequence *sequence)
{
    if (sequence->n_holes > MAX_HOLES) {
        forget(sequence, sequence->holes[0].end);
    }
}

/* The numbers from 'start' to 'end' - 1 are in no hole any more. */
static void
fill_holes(struct sequence *sequence, uint32_t start, uint32_t end)
{
    struct hole left[MAX_HOLES + 1];
    uint32_t n = 0;

    /* At most one hole is cut in two. */
    for (uint32_t i = 0; i < sequence->n_holes; i++) {
        const struct hole *hole = &sequence->holes[i];
        uint32_t until = earlier(hole->end, start);
        uint32_t from = later(hole->start, end);

        if (before(hole->start, until) > 0) {
            left[n++] = (struct hole) { hole->start, until };
        }
        if (before(from, hole->end) > 0) {
            left[n++] = (struct hole) { from, hole->end };
        }
    }
    memcpy(sequence->holes, left, n * sizeof *left);
    sequence->n_holes = n;
    limit_holes(sequence);
}

/* Judges the segment from 'start' to 'end' - 1, which is not the first. */
static void
judge(struct sequence *sequence, uint32_t start, uint32_t end)
{
    uint64_t *counts = sequence->counts;
    int32_t hole = before(sequence->next, start);

    if (hole > 0) {
        sequence->holes[sequence->n_holes++]
            = (struct hole) { sequence->next, start };
        limit_holes(sequence);
    } else if (hole < 0) {
        uint32_t known = earlier(end, sequence->next);

        if (count_holes(sequence, start, known)) {
            counts[OUT_OF_ORDER]++;
            fill_holes(sequence, start, known);
        } else if (before(start, sequence->known) > 0) {
            counts[AMBIGUOUS]++;
        } else {
            counts[RETRANSMITTED]++;
        }
    }
    sequence->next = later(sequence->next, end);
    if (before(sequence->known, sequence->next) > WINDOW) {
        forget(sequence, sequence->next - WINDOW);
    }
}

static void
each(struct measure_stage *stage, const struct measure_flow_packet *packet)
{
    struct out_of_order *order
        = MEASURE_STAGE_CAST(struct out_of_order, stage);
    int payload = measure_slot_payload(packet->slot);
    uint8_t flags = measure_slot_tcp_flags(packet->slot);
    uint32_t start = measure_slot_sequence(packet->slot);
    uint32_t n_syn = (flags & MEASURE_TCP_SYN) != 0;
    uint32_t n_fin = (flags & MEASURE_TCP_FIN) != 0;
    struct measure_flow_state *flow;
    struct sequence *sequence;
    uint32_t end;

    if (flags & MEASURE_TCP_RST || (!payload && !n_syn && !n_fin)) {
        return;
    }
    flow = measure_flow_states_find(&order->states, packet);
    if (!flow) {
        flow = measure_flow_states_add(&order->states, packet);
        if (!flow) {
            measure_stage_lose(stage, 1);
            return;
        }
    }
    sequence = MEASURE_FLOW_STATE(struct sequence, flow);
    measure_flow_state_touch(flow, packet);
    flow->flags |= COUNTED;
    if (payload < 0) {
        sequence->counts[UNKNOWN]++;
        return;
    }

    sequence->counts[SEGMENTS]++;
    end = start + n_syn + payload + n_fin;
    if (!(flow->flags & HAS_SEGMENT)
        || before(sequence->next, start) > WINDOW
        || before(end, sequence->next) > WINDOW
        || (n_syn && !(flow->flags & HAS_SYN && sequence->syn == start))) {
        sequence->known = start;
        sequence->next = end;
        sequence->n_holes = 0;
        flow->flags |= HAS_SEGMENT;
        flow->flags &= ~HAS_SYN;
    } else {
        uint32_t first = start + n_syn;

        sequence->counts[RETRANSMITTED_BYTES]
            += count_seen(sequence, first, first + payload);
        judge(sequence, start, end);
    }
    if (n_syn) {
        sequence->syn = start;
        flow->flags |= HAS_SYN;
    }
}

static void
packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct out_of_order *order
        = MEASURE_STAGE_CAST(struct out_of_order, stage);

    measure_flow_states_run(&order->states, batch, IPPROTO_TCP,
                            &stage->group_by, false, each);
}

static void
interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
         bool last)
{
    struct out_of_order *order
        = MEASURE_STAGE_CAST(struct out_of_order, stage);
    struct measure_flow_state *flow;
    uint32_t at = 0;

    (void) start_ns;
    (void) last;
    while ((flow = measure_flow_states_next(&order->states, &at))) {
        give(stage, flow, end_ns);
    }
    measure_flow_states_end_all(&order->states, end_ns, false);
}

static void
destroy(struct measure_stage *stage)
{
    measure_flow_states_destroy(
        &MEASURE_STAGE_CAST(struct out_of_order, stage)->states);
}

const struct measure_stage_class measure_stage_out_of_order = {
    .name = "out-of-order",
    .summary = "segments of TCP that came late, or twice",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_KEY,
    .size = sizeof(struct out_of_order),
    .set = set,
    .begin = begin,
    .packets = packets,
    .interval = interval,
    .destroy = destroy,
};
