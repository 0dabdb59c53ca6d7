/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a pipeline read the rings of a bridge. */

#ifndef MEASURE_STREAM_FEED_H
#define MEASURE_STREAM_FEED_H 1

#include "stream/measure-pipeline.h"
#include "stream/measure-stream-client.h"

/* The rings of a bridge as sources
 * ================================
 *
 * Each ring of the client becomes a source of the pipeline, whose threads read
 * it where it is, and feed its account as they go.  A ring that has ended
 * stays until all of it was read.
 *
 * Memory: that of the sources.
 *
 * Thread safety: the thread that owns both the client and the pipeline. */

bool measure_stream_client_feed(struct measure_stream_client *,
                                struct measure_pipeline *,
                                struct measure_stream_event *);

#endif /* measure-stream-feed.h */
