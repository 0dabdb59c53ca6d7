/* SPDX-License-Identifier: Apache-2.0 */
/* Packets of a capture: --pcap-file. */

#ifndef STREAM_CAPTURE_INPUT_H
#define STREAM_CAPTURE_INPUT_H 1

#include "stream-input.h"

/* Captures as an input
 * ====================
 *
 * The records that stream-capture.h makes go through one ring.  What stands in
 * front of a damaged packet is used.
 *
 * Memory: that of the ring and of the capture.
 *
 * Thread safety: the main thread only. */

char *stream_capture_input_open(struct stream_input **, const char *path,
                                bool headers, struct measure_pipeline *,
                                uint64_t n_slots);

#endif /* stream-capture-input.h */
