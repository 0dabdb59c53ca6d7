/* SPDX-License-Identifier: Apache-2.0 */
/* A ring that a pipeline reads, for the owner of the pipeline. */

#ifndef MEASURE_SOURCE_H
#define MEASURE_SOURCE_H 1

#include "stream/measure-ring.h"

/* Sources
 * =======
 *
 * measure_pipeline_create_source() makes one that the owner writes,
 * measure_pipeline_add_source() adds the ring of another writer.  Of one that
 * the owner writes
 *
 *     slots = measure_source_reserve(source, n);      waits for room
 *     ... write a record of n slots ...
 *     measure_ring_advance(measure_source_writer(source), n);
 *     measure_ring_publish(measure_source_writer(source));
 *
 * Memory: that of the ring, and see measure-place.h.
 *
 * Thread safety: the thread that uses the pipeline. */

struct measure_source;

struct measure_ring_writer *measure_source_writer(struct measure_source *);
struct measure_slot *measure_source_reserve(struct measure_source *,
                                            unsigned int n);
void measure_source_end(struct measure_source *);
bool measure_source_drain(struct measure_source *);
bool measure_source_is_drained(const struct measure_source *);
void measure_source_remove(struct measure_source *);

#endif /* measure-source.h */
