/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that a chain may have: --list. */

#ifndef STREAM_LIST_H
#define STREAM_LIST_H 1

#include <stdio.h>

#include "stream/measure-stage.h"

/* The list of stages
 * ==================
 *
 * For people, and for completion in shells, which takes the first word of each
 * line: that of a stage begins the line, those of its arguments are indented.
 *
 *     count                       packets and bytes of each key
 *         by=GROUP                what is counted together
 *
 * Thread safety: the main thread only. */

void stream_list(FILE *, const struct measure_stage_class *const *);
void stream_list_common(FILE *);

#endif /* stream-list.h */
