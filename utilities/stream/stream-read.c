/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a record file: --read. */

#include <config.h>

#include "stream-read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "stream/measure-record-file.h"
#include "stream-message.h"

/* Slots of all rings together.  If a file has more of them at a time than
 * there is room for, the others are small. */
#define MAX_SLOTS (UINT64_C(1) << 21)
#define SMALL_SLOTS 256
#define MAX_ENDED 256           /* Rings that threads are not through with. */

struct ring {
    struct measure_source *source;      /* NULL if it has not begun, or has
                                         * ended. */
    uint64_t dropped;           /* By the switch, so far. */
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
    struct measure_record_block block;
    /* What measure_record_reader_next() has found before the start. */
    enum measure_record_result first;
    bool has_first;
    uint64_t dropped;           /* Of rings whose numbers others have now. */
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
make_source(struct record_input *r)
{
    uint64_t n_slots = r->n_slots;

    remove_drained(r);
    if (r->all_slots + n_slots > MAX_SLOTS && r->all_slots) {
        n_slots = measure_min(n_slots, SMALL_SLOTS);
    }
    r->all_slots += n_slots;
    return measure_pipeline_create_source(r->input.pipeline, n_slots,
                                          r->block.core_id);
}

/* Returns the ring of the block. */
static struct ring *
find_ring(struct record_input *r)
{
    uint32_t i = r->block.source;
    struct ring *ring;

    if (i >= r->n_rings) {
        r->rings = measure_xrealloc(r->rings, (i + 1) * sizeof *r->rings);
        memset(r->rings + r->n_rings, 0,
               (i + 1 - r->n_rings) * sizeof *r->rings);
        r->n_rings = i + 1;
    }
    ring = &r->rings[i];
    if (r->block.begins) {
        end_ring(r, ring);
        r->dropped += ring->dropped;
    }
    if (!ring->source) {
        ring->source = make_source(r);
    }
    /* Marks tell all since the ring began. */
    ring->dropped = r->block.dropped;
    return ring;
}

/* Gives the pipeline the slots of the block. */
static enum stream_step
give(struct record_input *r)
{
    struct ring *ring = find_ring(r);
    struct measure_ring_writer *writer = measure_source_writer(ring->source);
    bool ended = false;

    for (size_t i = 0; i < r->block.n_slots; ) {
        const struct measure_slot *record = &r->block.slots[i];
        unsigned int n = measure_slot_size(record);
        struct measure_slot *slots = measure_source_reserve(ring->source, n);

        if (!slots) {
            return STREAM_END;  /* The program is to end. */
        }
        memcpy(slots, record, n * sizeof *slots);
        measure_ring_advance(writer, n);
        if (measure_slot_kind(record) == MEASURE_SLOT_MARK) {
            struct measure_mark mark;

            measure_slot_mark(record, &mark);
            ended |= mark.end;
        }
        i += n;
    }
    measure_ring_publish(writer);
    if (ended) {
        end_ring(r, ring);
    }
    return STREAM_MORE;
}

/* Takes over the names of ports that the file has here. */
static void
take_ports(struct record_input *r)
{
    struct measure_port_names *ports
        = measure_record_reader_take_ports(r->reader);

    if (ports) {
        measure_pipeline_set_ports(r->input.pipeline, ports);
    }
}

static enum stream_step
take_block(struct record_input *r)
{
    if (r->block.kind == MEASURE_RECORD_PORTS) {
        take_ports(r);
    } else if (r->block.kind == MEASURE_RECORD_SLOTS) {
        return give(r);
    }
    return STREAM_MORE;
}

static enum stream_step
record_step(struct stream_input *input)
{
    struct record_input *r = record_input(input);
    enum measure_record_result result
        = (r->has_first ? r->first
           : measure_record_reader_next(r->reader, &r->block));

    r->has_first = false;
    switch (result) {
    case MEASURE_RECORD_BLOCK:
        return take_block(r);
    case MEASURE_RECORD_DAMAGED:
        stream_say("%s", measure_record_reader_error(r->reader));
        return STREAM_FAILED;
    case MEASURE_RECORD_FINISHED:
    default:
        return STREAM_END;
    }
}

static void
record_place(const struct stream_input *input, struct stream_place *place)
{
    const struct record_input *r = (const void *) input;

    place->done = measure_record_reader_offset(r->reader);
    place->total = measure_record_reader_size(r->reader);
    place->packets = measure_record_reader_records(r->reader);
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
    free(r);
}

static const struct stream_input_class record_class = {
    .step = record_step,
    .place = record_place,
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
    r->n_slots = n_slots;
    *input = &r->input;

    /* Chains may name ports. */
    do {
        r->first = measure_record_reader_next(r->reader, &r->block);
        if (r->first == MEASURE_RECORD_BLOCK
            && r->block.kind == MEASURE_RECORD_PORTS) {
            take_ports(r);
        }
    } while (r->first == MEASURE_RECORD_BLOCK
             && r->block.kind == MEASURE_RECORD_PORTS);
    r->has_first = true;
    return NULL;
}
