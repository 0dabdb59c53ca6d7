/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a record file: --read. */

#ifndef STREAM_READ_H
#define STREAM_READ_H 1

#include "stream-input.h"

/* Record files as an input
 * ========================
 *
 * Each ring that the file has is made again, with its marks, and goes through
 * the pipeline as it did in the switch.  What stands in front of a damaged
 * block is used.
 *
 * Memory: that of the rings, and a block of the file.
 *
 * Thread safety: the main thread only. */

char *stream_read_open(struct stream_input **, const char *name,
                       struct measure_pipeline *, uint64_t n_slots);

#endif /* stream-read.h */
