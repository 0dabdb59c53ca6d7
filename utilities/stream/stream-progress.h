/* SPDX-License-Identifier: Apache-2.0 */
/* How far the reading of a file is. */

#ifndef STREAM_PROGRESS_H
#define STREAM_PROGRESS_H 1

#include <stdbool.h>

#include "stream-input.h"

/* Progress
 * ========
 *
 * On a terminal a line that changes twice a second, elsewhere a line every 10
 * seconds.  There is none in the first second: most files are short.
 *
 * Thread safety: the main thread only. */

struct stream_progress {
    bool on;
    bool terminal;
    const char *name;           /* Of the file. */
    uint64_t start_ns;          /* By the monotonic clock. */
    uint64_t next_ns;           /* When there is a line again. */
};

void stream_progress_init(struct stream_progress *, const char *name,
                          bool wanted, bool quiet);
void stream_progress_show(struct stream_progress *,
                          const struct stream_input *, uint64_t now_ns);
void stream_progress_end(struct stream_progress *);
char *stream_progress_line(const char *name, const struct stream_position *,
                           uint64_t elapsed_ns);

#endif /* stream-progress.h */
