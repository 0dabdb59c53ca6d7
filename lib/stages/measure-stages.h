/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that there are. */

#ifndef MEASURE_STAGES_H
#define MEASURE_STAGES_H 1

#include "stream/measure-stage.h"

/* The stages that there are
 * =========================
 *
 * Thread safety: constant. */

extern const struct measure_stage_class *const measure_stages[];

#endif /* measure-stages.h */
