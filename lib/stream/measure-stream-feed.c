/* SPDX-License-Identifier: Apache-2.0 */
/* Lets a pipeline read the rings of a bridge. */

#include <config.h>

#include "stream/measure-stream-feed.h"

/* Takes the next event to '*event', if there is one, like
 * measure_stream_client_next(), and does in 'pipeline' what belongs to it:
 * rings come and go, their accounts are fed, ports get other names.  'aux' of
 * a ring is in use. */
bool
measure_stream_client_feed(struct measure_stream_client *client,
                           struct measure_pipeline *pipeline,
                           struct measure_stream_event *event)
{
    struct measure_client_ring *ring;
    bool drained = true;

    if (!measure_stream_client_next(client, event)) {
        return false;
    }
    ring = event->ring;
    switch (event->kind) {
    case MEASURE_STREAM_RING_ADDED:
        ring->aux = measure_pipeline_add_source(
            pipeline, ring->header, ring->cursor, &ring->account);
        break;
    case MEASURE_STREAM_RING_REMOVED:
        measure_source_remove(ring->aux);
        break;
    case MEASURE_STREAM_PORTS_CHANGED:
        /* The switch may have been restarted: these have names of before. */
        for (size_t at = 0;
             (ring = measure_stream_client_next_old_ring(client, &at)); ) {
            drained &= !ring->aux || measure_source_drain(ring->aux);
        }
        if (drained) {
            measure_pipeline_set_ports(
                pipeline, measure_stream_client_take_ports(client));
        }
        break;
    case MEASURE_STREAM_CONNECTED:
    case MEASURE_STREAM_LOST:
    case MEASURE_STREAM_MISSED:
    case MEASURE_STREAM_DIFFERENCE:
    case MEASURE_STREAM_FAILED:
        break;
    }
    return true;
}
