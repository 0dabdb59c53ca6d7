/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that there are. */

#include <config.h>

#include "stages/measure-stages.h"

#define STAGE(NAME) extern const struct measure_stage_class \
                        measure_stage_##NAME;
#include "stages/measure-stage-list.h"
#undef STAGE

const struct measure_stage_class *const measure_stages[] = {
#define STAGE(NAME) &measure_stage_##NAME,
#include "stages/measure-stage-list.h"
#undef STAGE
    NULL
};
