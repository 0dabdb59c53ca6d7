/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a record file: --read. */

#include <config.h>

#include "stream-read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "stream/measure-record-reader.h"
#include "stream-message.h"

/* Groups
 * ======
 *
 * A writer writes blocks of all rings together (measure-record-file.h): such a
 * group has all that it was given until then.  It is read as a whole, and then
 * given to the pipeline in the order of time, some slots of a ring at a time,
 * so that no interval ends before the packets of each ring are there.  If a
 * ring is ahead of others at the end of the group, threads keep its packets
 * until those of the others have come.  (A ring that begins later with older
 * packets is late: see measure-packet-runner.h.)
 *
 * Numbers of rings rise within a group.  One of more than MAX_GROUP_SLOTS is
 * read as several.
 *
 * Memory: up to 128 MiB for a group, and 64 MiB for the rings. */

/* Slots of all rings together.  If a file has more of them at a time than
 * there is room for, the others are small. */
#define MAX_SLOTS (UINT64_C(1) << 21)
#define SMALL_SLOTS 256
#define MAX_ENDED 256           /* Rings that threads are not through with. */

#define MAX_GROUP_SLOTS (UINT64_C(1) << 21)
/* Slots that are given at a time: fewer than fill half of a ring, at which its
 * thread gives up waiting for others. */
#define RUN_SLOTS (SMALL_SLOTS / 4)
#define STEP_RUNS 64            /* Runs that are a step. */

struct ring {
    struct measure_source *source;      /* NULL if it has not begun, or has
                                         * ended. */
    uint64_t dropped;           /* By the switch, so far. */
};

/* A block in a group. */
struct part {
    struct measure_record_block block;  /* Without its slots. */
    size_t next;                /* In the slots of the group: what comes... */
    size_t end;                 /* ...and where the block ends. */
    bool ended;                 /* There was the last mark of the ring. */
};

struct record_input {
    struct stream_input input;
    struct measure_record_reader *reader;
    uint64_t n_slots;           /* Of each ring that is made. */
    uint64_t all_slots;         /* Of those there are. */
    struct ring *rings;         /* By number in the file. */
    size_t n_rings;
    struct measure_source *ended[MAX_ENDED];
    size_t n_ended;
    uint64_t dropped;           /* Of rings whose numbers others have now. */

    /* What has been read and is not in the group. */
    struct measure_record_block block;
    enum measure_record_result result;
    bool has_block;

    /* The group. */
    struct measure_slot *slots;
    size_t n_group;             /* Slots in use... */
    size_t group_size;          /* ...of those there is room for. */
    struct part *parts;         /* By number of the ring. */
    size_t n_parts;
    size_t parts_size;
    bool giving;                /* It is complete. */
};

static struct record_input *
record_input(struct stream_input *input)
{
    return (struct record_input *) (void *) input;
}

static void
remove_source(struct record_input *r, struct measure_source *source)
{
    r->all_slots -= measure_source_writer(source)->mask + 1;
    measure_source_remove(source);
}

/* Nothing follows in 'ring', whose source is removed when threads are through
 * with it: they may have to keep packets for an interval. */
static void
end_ring(struct record_input *r, struct ring *ring)
{
    if (ring->source) {
        if (r->n_ended == MAX_ENDED) {
            remove_source(r, r->ended[0]);
            r->ended[0] = r->ended[--r->n_ended];
        }
        measure_source_end(ring->source);
        r->ended[r->n_ended++] = ring->source;
        ring->source = NULL;
    }
}

static void
remove_drained(struct record_input *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_ended; i++) {
        if (measure_source_is_drained(r->ended[i])) {
            remove_source(r, r->ended[i]);
        } else {
            r->ended[n++] = r->ended[i];
        }
    }
    r->n_ended = n;
}

static struct measure_source *
make_source(struct record_input *r, uint32_t core_id)
{
    uint64_t n_slots = r->n_slots;

    remove_drained(r);
    if (r->all_slots + n_slots > MAX_SLOTS && r->all_slots) {
        n_slots = measure_min(n_slots, SMALL_SLOTS);
    }
    r->all_slots += n_slots;
    return measure_pipeline_create_source(r->input.pipeline, n_slots, core_id);
}

/* Makes the ring of 'block', unless it is there. */
static void
begin_ring(struct record_input *r, const struct measure_record_block *block)
{
    uint32_t i = block->ring;
    struct ring *ring;

    if (i >= r->n_rings) {
        r->rings = measure_xrealloc(r->rings, (i + 1) * sizeof *r->rings);
        memset(r->rings + r->n_rings, 0,
               (i + 1 - r->n_rings) * sizeof *r->rings);
        r->n_rings = i + 1;
    }
    ring = &r->rings[i];
    if (block->begins) {
        end_ring(r, ring);
        r->dropped += ring->dropped;
    }
    if (!ring->source) {
        ring->source = make_source(r, block->core_id);
    }
    /* Marks tell all since the ring began. */
    ring->dropped = block->dropped;
}

static bool
is_of_group(const struct record_input *r)
{
    return (r->result == MEASURE_RECORD_BLOCK
            && r->block.kind == MEASURE_RECORD_SLOTS
            && (!r->n_parts
                || (r->block.ring > r->parts[r->n_parts - 1].block.ring
                    && r->n_group + r->block.n_slots <= MAX_GROUP_SLOTS)));
}

/* Puts the block that was read into the group. */
static void
add_part(struct record_input *r)
{
    size_t n = r->block.n_slots;
    struct part *part;

    if (r->n_group + n > r->group_size) {
        r->group_size = 2 * r->group_size + n;
        r->slots = measure_xrealloc(r->slots,
                                    r->group_size * sizeof *r->slots);
    }
    memcpy(r->slots + r->n_group, r->block.slots, n * sizeof *r->slots);
    if (r->n_parts == r->parts_size) {
        r->parts_size = 2 * r->parts_size + 1;
        r->parts = measure_xrealloc(r->parts,
                                    r->parts_size * sizeof *r->parts);
    }
    part = &r->parts[r->n_parts++];
    *part = (struct part) {
        .block = r->block,
        .next = r->n_group,
        .end = r->n_group + n,
    };
    r->n_group = part->end;
}

/* Returns the part whose next record is the earliest, or NULL if all are
 * given. */
static struct part *
find_earliest(struct record_input *r)
{
    struct part *earliest = NULL;
    uint64_t earliest_ns = UINT64_MAX;

    for (size_t i = 0; i < r->n_parts; i++) {
        struct part *part = &r->parts[i];
        uint64_t time_ns;

        if (part->next == part->end) {
            continue;
        }
        /* A mark has no time: it belongs to what was in front of it. */
        time_ns = (measure_slot_kind(&r->slots[part->next])
                   == MEASURE_SLOT_MARK ? 0
                   : measure_slot_time_ns(&r->slots[part->next]));
        if (!earliest || time_ns < earliest_ns) {
            earliest = part;
            earliest_ns = time_ns;
        }
    }
    return earliest;
}

/* Gives the pipeline the next slots of 'part'.  Returns false if the program
 * is to end. */
static bool
give_run(struct record_input *r, struct part *part)
{
    struct ring *ring = &r->rings[part->block.ring];
    size_t end = measure_min(part->end, part->next + RUN_SLOTS);

    while (part->next < end) {
        const struct measure_slot *record = &r->slots[part->next];
        unsigned int n = measure_slot_size(record);
        struct measure_slot *slots = measure_source_reserve(ring->source, n);

        if (!slots) {
            return false;
        }
        memcpy(slots, record, n * sizeof *slots);
        measure_ring_advance(measure_source_writer(ring->source), n);
        if (measure_slot_kind(record) == MEASURE_SLOT_MARK) {
            struct measure_mark mark;

            measure_slot_mark(record, &mark);
            part->ended |= mark.end;
        }
        part->next += n;
    }
    measure_ring_publish(measure_source_writer(ring->source));
    if (part->ended && part->next == part->end) {
        end_ring(r, ring);
    }
    return true;
}

/* Gives the pipeline a part of the group. */
static enum stream_step
give(struct record_input *r)
{
    if (!r->giving) {
        r->giving = true;
        /* All of them, before any has packets for others to wait for. */
        for (size_t i = 0; i < r->n_parts; i++) {
            begin_ring(r, &r->parts[i].block);
        }
    }
    for (int i = 0; i < STEP_RUNS; i++) {
        struct part *part = find_earliest(r);

        if (!part) {
            r->giving = false;
            r->n_parts = r->n_group = 0;
            break;
        }
        if (!give_run(r, part)) {
            return STREAM_END;
        }
    }
    return STREAM_MORE;
}

/* Waits until threads are through with all that was given.  Returns false if
 * the program is to end. */
static bool
drain(struct record_input *r)
{
    for (size_t i = 0; i < r->n_rings; i++) {
        if (r->rings[i].source
            && !measure_source_drain(r->rings[i].source)) {
            return false;
        }
    }
    for (size_t i = 0; i < r->n_ended; i++) {
        if (!measure_source_drain(r->ended[i])) {
            return false;
        }
    }
    return true;
}

/* Takes over the names of ports that the file has here: what is in front of
 * them has those before, what is behind them these. */
static enum stream_step
take_ports(struct record_input *r)
{
    struct measure_port_names *ports;

    if (!drain(r)) {
        return STREAM_END;
    }
    ports = measure_record_reader_take_ports(r->reader);
    if (ports) {
        measure_pipeline_set_ports(r->input.pipeline, ports);
        if (!measure_pipeline_await_ports(r->input.pipeline)) {
            return STREAM_END;
        }
    }
    return STREAM_MORE;
}

static void
read_block(struct record_input *r)
{
    r->result = measure_record_reader_next(r->reader, &r->block);
    r->has_block = true;
}

static enum stream_step
record_step(struct stream_input *input)
{
    struct record_input *r = record_input(input);

    if (r->giving) {
        return give(r);
    }
    if (!r->has_block) {
        read_block(r);
    }
    if (is_of_group(r)) {
        add_part(r);
        r->has_block = false;
        return STREAM_MORE;
    }
    if (r->n_parts) {
        return give(r);
    }
    r->has_block = false;
    switch (r->result) {
    case MEASURE_RECORD_BLOCK:
        return take_ports(r);
    case MEASURE_RECORD_DAMAGED:
        stream_say("%s", measure_record_reader_error(r->reader));
        return STREAM_FAILED;
    case MEASURE_RECORD_FINISHED:
    default:
        return STREAM_END;
    }
}

static void
record_position(const struct stream_input *input,
                struct stream_position *position)
{
    const struct record_input *r = (const void *) input;

    position->done = measure_record_reader_offset(r->reader);
    position->total = measure_record_reader_size(r->reader);
    position->packets = measure_record_reader_records(r->reader);
}

static void
record_end(struct stream_input *input, char **lost)
{
    struct record_input *r = record_input(input);
    uint64_t dropped = r->dropped;

    for (size_t i = 0; i < r->n_rings; i++) {
        if (r->rings[i].source) {
            remove_source(r, r->rings[i].source);
            r->rings[i].source = NULL;
        }
        dropped += r->rings[i].dropped;
    }
    while (r->n_ended) {
        remove_source(r, r->ended[--r->n_ended]);
    }
    stream_lost(lost, dropped,
                "packet that the switch dropped before it was written here",
                "packets that the switch dropped before they were written "
                "here");
}

static void
record_destroy(struct stream_input *input)
{
    struct record_input *r = record_input(input);

    measure_record_reader_close(r->reader);
    free(r->rings);
    free(r->slots);
    free(r->parts);
    free(r);
}

static const struct stream_input_class record_class = {
    .step = record_step,
    .position = record_position,
    .end = record_end,
    .destroy = record_destroy,
};

/* Opens the file 'name', "-" for standard input.  Sets '*input' and returns
 * NULL, or returns an error, which the caller frees. */
char *
stream_read_open(struct stream_input **input, const char *name,
                 struct measure_pipeline *pipeline, uint64_t n_slots)
{
    struct record_input *r = measure_xzalloc(sizeof *r);
    char *error = (strcmp(name, "-")
                   ? measure_record_reader_open(&r->reader, name)
                   : measure_record_reader_open_stream(&r->reader, stdin,
                                                       "standard input"));

    if (error) {
        free(r);
        return error;
    }
    r->input.class = &record_class;
    r->input.pipeline = pipeline;
    r->n_slots = measure_max(n_slots, SMALL_SLOTS);
    *input = &r->input;

    /* Chains may name ports. */
    for (read_block(r); (r->result == MEASURE_RECORD_BLOCK
                         && r->block.kind == MEASURE_RECORD_PORTS);
         read_block(r)) {
        take_ports(r);
    }
    return NULL;
}
