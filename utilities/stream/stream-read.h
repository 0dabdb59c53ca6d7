/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a record file: --read. */

#ifndef STREAM_READ_H
#define STREAM_READ_H 1

#include "stream-input.h"

/* Record files as an input
 * ========================
 *
 * Each ring that the file has is made again, with its marks, and goes through
 * the pipeline as it did in the switch, until its last mark.  What stands in
 * front of a damaged block is used.
 *
 * Memory: 64 MiB for rings, or one of what --slots says; 12 KiB for each that
 * finds no room in that, of up to 4096 at a time; and a block of the file.
 * Small rings that are full do not wait for others when an interval ends.
 *
 * Thread safety: the main thread only. */

char *stream_read_open(struct stream_input **, const char *name,
                       struct measure_pipeline *, uint64_t n_slots);

#endif /* stream-read.h */
