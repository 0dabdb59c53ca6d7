/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a capture: --pcap-file. */

#include <config.h>

#include "stream-capture-input.h"

#include <inttypes.h>
#include <stdlib.h>

#include "stream-capture.h"
#include "stream-message.h"
#include "stream-signal.h"

/* Packets read in a step. */
#define STEP_PACKETS 256

struct capture_input {
    struct stream_input input;
    struct stream_capture *capture;
    struct measure_source *source;
    uint64_t done;              /* Bytes read, of... */
    uint64_t total;             /* ...how many; 0 if that is not known. */
};

static struct capture_input *
capture_input(struct stream_input *input)
{
    return (struct capture_input *) (void *) input;
}

static void
note_progress(void *c_, uint64_t done, uint64_t total)
{
    struct capture_input *c = c_;

    c->done = done;
    c->total = total;
}

static enum stream_step
capture_step(struct stream_input *input)
{
    struct capture_input *c = capture_input(input);
    struct measure_ring_writer *writer = measure_source_writer(c->source);
    enum stream_step step = STREAM_MORE;

    for (int i = 0; i < STEP_PACKETS; i++) {
        struct measure_slot *slots;
        unsigned int n;
        char *error;

        slots = measure_source_reserve(c->source, MEASURE_SLOT_MAX);
        if (!slots) {
            step = STREAM_END;  /* The program is to end. */
            break;
        }
        n = stream_capture_next(c->capture, slots, &error);
        if (!n) {
            if (error && !stream_signal_came()) {
                stream_say("%s", error);
                step = STREAM_FAILED;
            } else {
                step = STREAM_END;
            }
            free(error);
            break;
        }
        measure_ring_advance(writer, n);
    }
    measure_ring_publish(writer);
    return step;
}

static void
capture_position(const struct stream_input *input,
                 struct stream_position *position)
{
    const struct capture_input *c = (const void *) input;

    position->done = c->done;
    position->total = c->total;
    position->packets = stream_capture_counters(c->capture)->packets;
}

static void
capture_write(const struct stream_input *input, struct measure_output *o)
{
    const struct capture_input *c = (const void *) input;
    const struct stream_capture_counters *counters
        = stream_capture_counters(c->capture);

    measure_output_open_line(o, "capture");
    measure_output_uint(o, "packets", counters->packets);
    measure_output_uint(o, "records", counters->narrow + counters->wide);
    measure_output_uint(o, "not-ip", counters->not_ip);
    measure_output_uint(o, "malformed", counters->malformed);
    measure_output_uint(o, "too-long", counters->too_long);
    measure_output_close(o);
}

static void
capture_end(struct stream_input *input, char **lost)
{
    struct capture_input *c = capture_input(input);
    const struct stream_capture_counters *counters
        = stream_capture_counters(c->capture);

    if (counters->not_ip || counters->malformed) {
        stream_say("%"PRIu64" of %"PRIu64" packets have no record: %"PRIu64
                   " not IP, %"PRIu64" malformed",
                   counters->not_ip + counters->malformed, counters->packets,
                   counters->not_ip, counters->malformed);
    }
    stream_lost(lost, stream_capture_counters(c->capture)->too_long,
                "packet longer than a record can tell of",
                "packets longer than a record can tell of");
}

static void
capture_destroy(struct stream_input *input)
{
    struct capture_input *c = capture_input(input);

    stream_capture_close(c->capture);
    free(c);
}

static const struct stream_input_class capture_class = {
    .step = capture_step,
    .position = capture_position,
    .write = capture_write,
    .end = capture_end,
    .destroy = capture_destroy,
};

/* Opens the capture 'path', "-" for standard input; its records have the first
 * bytes of frames if 'headers'.  Sets '*input' and returns NULL, or returns an
 * error, which the caller frees. */
char *
stream_capture_input_open(struct stream_input **input, const char *path,
                          bool headers, struct measure_pipeline *pipeline,
                          uint64_t n_slots)
{
    struct capture_input *c = measure_xzalloc(sizeof *c);
    const struct stream_capture_options options = {
        .headers = headers, .progress = note_progress, .aux = c,
    };
    char *error;

    c->capture = stream_capture_open(path, &options, &error);
    if (error) {
        free(c);
        return error;
    }
    c->input.class = &capture_class;
    c->input.pipeline = pipeline;
    c->source = measure_pipeline_create_source(pipeline, n_slots, 0);
    *input = &c->input;
    return NULL;
}
