/* SPDX-License-Identifier: Apache-2.0 */
/* Ending on request: SIGINT, SIGTERM, or when the time is over. */

#ifndef STREAM_SIGNAL_H
#define STREAM_SIGNAL_H 1

#include <stdbool.h>
#include <stdint.h>

struct measure_pipeline;

/* Ending on request
 * =================
 *
 * The first SIGINT or SIGTERM asks the program to end: it takes no more
 * packets, and writes what it knows of those that it has.  The second one ends
 * it at once.  When the time is over (--duration) is the same as the first.
 *
 * Only the main thread takes these signals, so that each of its system calls
 * is interrupted by them.  A call that is about to wait when the signal comes
 * would not notice, so the signal is repeated each second by an alarm.
 *
 * Thread safety: the main thread only, except stream_signal_came(). */

void stream_signal_init(struct measure_pipeline *);
void stream_signal_forget(void);
void stream_signal_after(uint64_t ns);
bool stream_signal_came(void);

/* Around all that starts threads. */
void stream_signal_block(void);
void stream_signal_unblock(void);

#endif /* stream-signal.h */
