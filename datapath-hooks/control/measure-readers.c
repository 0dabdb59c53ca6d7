/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads the stream of a monitor, and the rings of each reader. */

#include <config.h>

#include "measure-readers.h"

#include "ovs-rcu.h"
#include "util.h"

void
measure_readers_init(struct monitor_stream *stream)
{
    ovs_list_init(&stream->readers);
}

/* There must be no readers. */
void
measure_readers_destroy(struct monitor_stream *stream)
{
    free(stream->missing);
}

/* Makes 'thread' stream to the rings that it has now, as configured now. */
void
measure_readers_update(const struct monitor_stream *stream,
                       struct measure_thread *thread)
{
    struct measure_stream *old = thread->stream;
    struct measure_stream *new = NULL;
    struct stream_reader *reader;
    struct stream_ring *ring;
    size_t n = 0;

    LIST_FOR_EACH (reader, node, &stream->readers) {
        LIST_FOR_EACH (ring, node, &reader->rings) {
            n += ring->attached && ring->thread == thread;
        }
    }
    if (n) {
        size_t size = sizeof *new + n * sizeof new->producers[0];

        new = xzalloc(size + sizeof stream->filter);
        if (stream->has_filter) {
            new->filter = memcpy((char *) new + size, &stream->filter,
                                 sizeof stream->filter);
        }
        new->headers = stream->headers;
        LIST_FOR_EACH (reader, node, &stream->readers) {
            LIST_FOR_EACH (ring, node, &reader->rings) {
                if (ring->attached && ring->thread == thread) {
                    new->producers[new->n++] = &ring->producer;
                }
            }
        }
    }
    __atomic_store_n(&thread->stream, new, __ATOMIC_RELEASE);
    if (old) {
        ovsrcu_postpone(free, old);
    }
}

/* Makes 'stream' what 'config' says, with the numbers that 'ports' have now.
 * Returns true if anything has changed: then measure_readers_update() must
 * follow for all threads. */
bool
measure_readers_configure(struct monitor_stream *stream,
                          const struct measure_config *config,
                          const struct measure_port_names *ports)
{
    const char *where = config->stream_where;
    struct measure_filter filter;
    char *missing = NULL;
    bool changed;

    if (!strcmp(where, stream->where)
        && config->stream_headers == stream->headers
        && ports->n_changes == stream->n_port_changes) {
        return false;
    }
    stream->n_port_changes = ports->n_changes;
    measure_filter_init(&filter);
    if (where[0]) {
        /* It is known to be valid. */
        free(measure_filter_parse_early(where, ports, &filter,
                                        &missing));
    }
    changed = (strcmp(where, stream->where)
               || memcmp(&filter, &stream->filter, sizeof filter)
               || !nullable_string_is_equal(missing, stream->missing)
               || config->stream_headers != stream->headers);
    free(stream->missing);
    stream->missing = missing;
    if (changed) {
        ovs_strlcpy(stream->where, where, sizeof stream->where);
        stream->has_filter = where[0];
        stream->filter = filter;
        stream->headers = config->stream_headers;
    }
    return changed;
}

/* Gives 'reader' the 'ring' for 'thread', which does not write to it yet. */
void
measure_readers_add(struct stream_reader *reader,
                    struct measure_thread *thread, struct stream_ring *ring)
{
    ring->thread = thread;
    ovs_list_push_back(&reader->rings, &ring->node);
}

/* Has the thread of 'ring' stream to it, unless that is gone. */
void
measure_readers_attach(const struct monitor_stream *stream,
                       struct stream_ring *ring)
{
    ring->attached = true;
    if (ring->thread) {
        measure_readers_update(stream, ring->thread);
    }
}

/* Has nobody write to 'ring' when a grace period has passed. */
void
measure_readers_detach(const struct monitor_stream *stream,
                       struct stream_ring *ring)
{
    struct measure_thread *thread = ring->thread;

    if (thread) {
        ring->thread = NULL;
        measure_readers_update(stream, thread);
    }
}

/* Says that 'thread', which is going to be freed, writes no more, and that a
 * grace period has passed since it could. */
void
measure_readers_thread_gone(const struct monitor_stream *stream,
                            struct measure_thread *thread)
{
    struct stream_reader *reader;
    struct stream_ring *ring;

    LIST_FOR_EACH (reader, node, &stream->readers) {
        LIST_FOR_EACH (ring, node, &reader->rings) {
            if (ring->thread == thread) {
                ring->thread = NULL;
            }
        }
    }
    free(thread->stream);
    thread->stream = NULL;
}

/* Tells all readers that 'epoch' has been closed, and that a grace period has
 * passed since. */
void
measure_readers_close_epoch(struct monitor_stream *stream, uint64_t epoch)
{
    struct stream_reader *reader;
    struct stream_ring *ring;

    LIST_FOR_EACH (reader, node, &stream->readers) {
        LIST_FOR_EACH (ring, node, &reader->rings) {
            if (ring->attached && !ring->ended) {
                measure_producer_close_epoch(&ring->producer, epoch);
            }
        }
    }
}

/* Returns the ring of 'reader' for 'thread', or NULL. */
const struct stream_ring *
measure_readers_find_ring(const struct stream_reader *reader,
                          const struct measure_thread *thread)
{
    const struct stream_ring *ring;

    LIST_FOR_EACH (ring, node, &reader->rings) {
        if (ring->thread == thread) {
            return ring;
        }
    }
    return NULL;
}

/* Returns how much memory the rings of all readers take. */
uint64_t
measure_readers_bytes(const struct monitor_stream *stream)
{
    const struct stream_reader *reader;
    uint64_t bytes = 0;

    LIST_FOR_EACH (reader, node, &stream->readers) {
        bytes += (ovs_list_size(&reader->rings)
                  * measure_shared_ring_size(reader->n_slots));
    }
    return bytes;
}

/* Counts. */

void
measure_stream_counts_add(struct stream_counts *sum,
                          const struct stream_counts *counts)
{
    sum->offered += counts->offered;
    sum->filtered += counts->filtered;
    sum->dropped += counts->dropped;
    sum->records += counts->records;
    sum->marks_lost += counts->marks_lost;
    sum->bad_cursors += counts->bad_cursors;
}

/* What has become of the packets of 'ring'. */
void
measure_ring_counts(const struct stream_ring *ring,
                    struct stream_counts *counts)
{
    const struct measure_ring_header *header = ring->shared.memory;
    struct measure_producer_counts of_producer;

    measure_producer_get(&ring->producer, &of_producer);
    counts->offered = of_producer.offered;
    counts->filtered = of_producer.filtered;
    counts->dropped = of_producer.dropped;
    counts->records = of_producer.records;
    counts->marks_lost = of_producer.marks_lost;
    counts->bad_cursors = __atomic_load_n(&header->bad_cursors,
                                          __ATOMIC_RELAXED);
}

/* The same of all rings of 'reader', those included that are gone. */
void
measure_reader_counts(const struct stream_reader *reader,
                      struct stream_counts *sum)
{
    const struct stream_ring *ring;
    struct stream_counts counts;

    *sum = reader->ended;
    LIST_FOR_EACH (ring, node, &reader->rings) {
        measure_ring_counts(ring, &counts);
        measure_stream_counts_add(sum, &counts);
    }
}

/* The same of all readers, those included that are gone. */
void
measure_stream_counts(const struct monitor_stream *stream,
                      struct stream_counts *sum)
{
    const struct stream_reader *reader;
    struct stream_counts counts;

    *sum = stream->ended;
    LIST_FOR_EACH (reader, node, &stream->readers) {
        measure_reader_counts(reader, &counts);
        measure_stream_counts_add(sum, &counts);
    }
}
