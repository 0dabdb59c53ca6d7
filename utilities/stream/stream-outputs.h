/* SPDX-License-Identifier: Apache-2.0 */
/* What chains write to, and whether that is in the way of something. */

#ifndef STREAM_OUTPUTS_H
#define STREAM_OUTPUTS_H 1

#include "stream-chains.h"

/* Outputs
 * =======
 *
 * Files are the same if they are the same file, whatever their names.  Refused
 * are
 *
 *     a file that is read;
 *     one that two chains write to, unless it is a device such as /dev/null;
 *     pcapng and records on standard output, beside what another chain writes
 *     there.
 *
 * Chains that write lines to standard output take turns.
 *
 * Thread safety: the main thread only. */

char *stream_outputs_check(const struct stream_chains *);
char *stream_outputs_check_input(const struct stream_chains *,
                                 const char *input);
bool stream_outputs_have_stdout(const struct stream_chains *);

#endif /* stream-outputs.h */
