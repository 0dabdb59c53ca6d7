/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a record file: --read. */

#include <config.h>

#include "stream-read.h"

#include <inttypes.h>
#include <stdlib.h>

#include "stream/measure-record-file.h"
#include "stream-message.h"

struct record_input {
    struct stream_input input;
    struct measure_record_reader *reader;
    uint64_t n_slots;           /* Of each ring that is made. */
    struct measure_source **sources;    /* By number in the file, or NULL. */
    size_t n_sources;
    struct measure_record_block block;
    /* What measure_record_reader_next() has found before the start. */
    enum measure_record_result first;
    bool has_first;
    uint64_t *dropped;          /* By the switch, of each ring so far. */
    size_t n_dropped;
};

static struct record_input *
record_input(struct stream_input *input)
{
    return (struct record_input *) (void *) input;
}

static struct measure_source *
find_source(struct record_input *r)
{
    uint32_t i = r->block.source;

    if (i >= r->n_sources) {
        r->sources = measure_xrealloc(r->sources,
                                      (i + 1) * sizeof *r->sources);
        memset(r->sources + r->n_sources, 0,
               (i + 1 - r->n_sources) * sizeof *r->sources);
        r->n_sources = i + 1;
    }
    if (!r->sources[i]) {
        r->sources[i] = measure_pipeline_create_source(
            r->input.pipeline, r->n_slots, r->block.core_id);
    }
    return r->sources[i];
}

/* Gives the pipeline the slots of the block. */
static enum stream_step
give(struct record_input *r)
{
    struct measure_source *source = find_source(r);
    struct measure_ring_writer *writer = measure_source_writer(source);
    enum stream_step step = STREAM_MORE;

    for (size_t i = 0; i < r->block.n_slots; ) {
        const struct measure_slot *record = &r->block.slots[i];
        unsigned int n = measure_slot_size(record);
        struct measure_slot *slots = measure_source_reserve(source, n);

        if (!slots) {
            step = STREAM_END;  /* The program is to end. */
            break;
        }
        memcpy(slots, record, n * sizeof *slots);
        measure_ring_advance(writer, n);
        i += n;
    }
    measure_ring_publish(writer);
    return step;
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

/* Keeps what the last mark of each ring says of losses: marks tell all since
 * the ring began. */
static void
note_dropped(struct record_input *r)
{
    uint32_t i = r->block.source;

    if (i >= r->n_dropped) {
        r->dropped = measure_xrealloc(r->dropped,
                                      (i + 1) * sizeof *r->dropped);
        memset(r->dropped + r->n_dropped, 0,
               (i + 1 - r->n_dropped) * sizeof *r->dropped);
        r->n_dropped = i + 1;
    }
    r->dropped[i] = r->block.dropped;
}

static enum stream_step
take_block(struct record_input *r)
{
    if (r->block.kind == MEASURE_RECORD_PORTS) {
        take_ports(r);
    } else if (r->block.kind == MEASURE_RECORD_SLOTS) {
        note_dropped(r);
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
    uint64_t dropped = 0;

    for (size_t i = 0; i < r->n_sources; i++) {
        if (r->sources[i]) {
            measure_source_remove(r->sources[i]);
            r->sources[i] = NULL;
        }
    }
    for (size_t i = 0; i < r->n_dropped; i++) {
        dropped += r->dropped[i];
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
    free(r->sources);
    free(r->dropped);
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
