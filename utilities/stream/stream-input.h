/* SPDX-License-Identifier: Apache-2.0 */
/* Where ovs-measure-stream has its packets from. */

#ifndef STREAM_INPUT_H
#define STREAM_INPUT_H 1

#include "stream/measure-pipeline.h"

/* Inputs
 * ======
 *
 * A bridge (stream-bridge.h), a record file (stream-read.h) or a capture
 * (stream-capture-input.h).  An input is opened before the pipeline starts, so
 * that nothing is written if there is nothing to read.  Then the main thread
 * asks it again and again to do a little (step), until it has ended or the
 * program is to end, and at last what has not come through (end).
 *
 * Thread safety: the main thread only. */

enum stream_step {
    STREAM_MORE,                /* There may be more to do. */
    STREAM_END,                 /* There will be nothing. */
    STREAM_FAILED,              /* Likewise, because of an error, which it has
                                 * said. */
};

/* How far an input is. */
struct stream_position {
    uint64_t done;              /* Bytes... */
    uint64_t total;             /* ...of how many; 0 if that is not known. */
    uint64_t packets;
};

struct stream_input {
    const struct stream_input_class *class;
    struct measure_pipeline *pipeline;
};

struct stream_input_class {
    /* Does a little, or waits for that for 10 ms or until a signal comes. */
    enum stream_step (*step)(struct stream_input *);

    /* How far it is, or NULL if it has no end. */
    void (*position)(const struct stream_input *, struct stream_position *);

    /* Writes what it has read, as a line; may be NULL. */
    void (*write)(const struct stream_input *, struct measure_output *);

    /* Nothing more is wanted: lets the pipeline have what is there, and says
     * in '*lost' (see measure_append()) what is missing, as "12 packets for
     * which there was no room".  Leaves it as it is if nothing is. */
    void (*end)(struct stream_input *, char **lost);

    void (*destroy)(struct stream_input *);
};

/* Adds a part of a sentence to '*lost'. */
void stream_lost(char **lost, uint64_t n, const char *one, const char *many);

/* Returns the option that reads 'file', by its first bytes; or NULL. */
const char *stream_option_of(const char *file);

#endif /* stream-input.h */
