/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a bridge: --bridge. */

#include <config.h>

#include "stream-bridge.h"

#include <stdlib.h>

#include "stream/measure-stream-feed.h"
#include "stream-message.h"
#include "stream-signal.h"

#define STEP_MS 10

struct bridge_input {
    struct stream_input input;
    struct measure_stream_client *client;
    bool connected;             /* It was, at least once. */
    char *error;                /* Why it will never be again; or NULL. */

    /* Those that threads read. */
    struct measure_client_ring **rings;
    size_t n_rings;

    /* What is missing. */
    uint64_t dropped;           /* Packets, of rings that are gone. */
    uint64_t away_ns;           /* Without connection. */
};

static struct bridge_input *
bridge_input(struct stream_input *input)
{
    return (struct bridge_input *) (void *) input;
}

static void
note_added(struct bridge_input *b, struct measure_client_ring *ring)
{
    b->rings = measure_xrealloc(b->rings,
                                (b->n_rings + 1) * sizeof *b->rings);
    b->rings[b->n_rings++] = ring;
}

/* Its threads have left the 'i'th ring, which will be freed. */
static void
note_removed(struct bridge_input *b, size_t i)
{
    b->dropped += __atomic_load_n(&b->rings[i]->header->dropped,
                                  __ATOMIC_RELAXED);
    b->rings[i] = b->rings[--b->n_rings];
}

static void
find_and_note_removed(struct bridge_input *b,
                      const struct measure_client_ring *ring)
{
    for (size_t i = 0; i < b->n_rings; i++) {
        if (b->rings[i] == ring) {
            note_removed(b, i);
            return;
        }
    }
}

static void
handle(struct bridge_input *b, const struct measure_stream_event *event)
{
    switch (event->kind) {
    case MEASURE_STREAM_RING_ADDED:
        note_added(b, event->ring);
        break;
    case MEASURE_STREAM_RING_REMOVED:
        find_and_note_removed(b, event->ring);
        break;
    case MEASURE_STREAM_PORTS_CHANGED:
        break;
    case MEASURE_STREAM_CONNECTED:
        if (b->connected) {
            stream_say("%s", event->text);
        }
        b->connected = true;
        b->away_ns += event->away_ns;
        break;
    case MEASURE_STREAM_LOST:
        stream_say("%s; waiting for it", event->text);
        break;
    case MEASURE_STREAM_MISSED:
    case MEASURE_STREAM_DIFFERENCE:
        stream_say("%s", event->text);
        break;
    case MEASURE_STREAM_FAILED:
        b->error = measure_format("%s", event->text);
        break;
    }
}

static void
work(struct bridge_input *b)
{
    struct measure_stream_event event;

    measure_stream_client_work(b->client, STEP_MS);
    while (measure_stream_client_feed(b->client, b->input.pipeline, &event)) {
        handle(b, &event);
    }
}

static enum stream_step
bridge_step(struct stream_input *input)
{
    struct bridge_input *b = bridge_input(input);

    work(b);
    if (b->error) {
        stream_say("%s", b->error);
        return STREAM_FAILED;
    }
    return STREAM_MORE;
}

static void
bridge_write(const struct stream_input *input, struct measure_output *o)
{
    const struct bridge_input *b = (const void *) input;

    measure_stream_client_write_accounting(b->client, o);
}

static void
bridge_end(struct stream_input *input, char **lost)
{
    struct bridge_input *b = bridge_input(input);

    while (b->n_rings) {
        measure_source_remove(b->rings[0]->aux);
        note_removed(b, 0);
    }
    stream_lost(lost, b->dropped,
                "packet dropped by the switch because a ring was full",
                "packets dropped by the switch because a ring was full");
    if (b->away_ns) {
        measure_append(lost, "%sall packets of %.3f s without connection",
                       *lost ? ", " : "",
                       (double) b->away_ns / MEASURE_NS_PER_S);
    }
}

static void
bridge_destroy(struct stream_input *input)
{
    struct bridge_input *b = bridge_input(input);

    measure_stream_client_destroy(b->client);
    free(b->rings);
    free(b->error);
    free(b);
}

static const struct stream_input_class bridge_class = {
    .step = bridge_step,
    .write = bridge_write,
    .end = bridge_end,
    .destroy = bridge_destroy,
};

/* Connects to the switch, and asks for the first bytes of frames if
 * 'headers'.  Sets '*input' and returns NULL, or returns an error, which the
 * caller frees. */
char *
stream_bridge_open(struct stream_input **input,
                   const struct stream_options *o, bool headers,
                   struct measure_pipeline *pipeline)
{
    const struct measure_stream_client_options options = {
        .bridge = o->bridge,
        .name = STREAM_PROGRAM,
        .n_slots = o->slots,
        .headers = headers,
    };
    struct bridge_input *b = measure_xzalloc(sizeof *b);

    b->input.class = &bridge_class;
    b->input.pipeline = pipeline;
    b->client = measure_stream_client_create(&options);
    while (!b->connected && !b->error) {
        if (stream_signal_came()) {
            b->error = measure_format("interrupted before bridge %s has "
                                      "answered", o->bridge);
            break;
        }
        work(b);
    }
    if (b->error) {
        char *error = b->error;

        b->error = NULL;
        bridge_destroy(&b->input);
        return error;
    }
    *input = &b->input;
    return NULL;
}
