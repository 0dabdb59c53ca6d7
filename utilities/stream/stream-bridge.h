/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a bridge: --bridge. */

#ifndef STREAM_BRIDGE_H
#define STREAM_BRIDGE_H 1

#include "stream-input.h"
#include "stream-options.h"

/* Bridges as an input
 * ===================
 *
 * The rings that the switch gives to a reader (measure-stream-client.h) are
 * sources of the pipeline, whose threads read them; the main thread looks
 * after the connection, and whether what came is what marks say.
 *
 * When the connection is lost it says so, and again when it is back, with what
 * is missing.
 *
 * Memory: that of the client.
 *
 * Thread safety: the main thread only. */

char *stream_bridge_open(struct stream_input **,
                         const struct stream_options *, bool headers,
                         struct measure_pipeline *);

#endif /* stream-bridge.h */
