/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that gives readers their rings. */

#ifndef MEASURE_STREAM_H
#define MEASURE_STREAM_H 1

#include "measure-monitor.h"

/* The thread "measure-stream"
 * ===========================
 *
 * It listens for readers on a socket of each bridge with measure-stream=true,
 * speaks with them as measure-stream-protocol.h says, makes their rings and
 * takes them away again, and tells the packet threads what time it is.
 *
 * It waits for packet threads (ovsrcu_synchronize()), never the other way
 * round.  A reader that does not read, or is gone, costs nothing but its
 * own records: what it is told waits in its socket, or for that to have room,
 * but not for ever.  Of what a reader sends only a little is received at a
 * time, so that it cannot hold up grace periods.
 *
 * A ring ends when its thread does, or when the stream is switched off: first
 * a grace period passes, in which the last packets come; then the ring gets
 * its last mark.
 *
 * Thread safety: the main thread starts it; all else is its own. */

void measure_stream_start(void)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-stream.h */
