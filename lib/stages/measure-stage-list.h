/* SPDX-License-Identifier: Apache-2.0 */
/* The list of stages: each line says that measure_stage_NAME is one. */
STAGE(count)
STAGE(distinct)
STAGE(ewma)
STAGE(histogram)
STAGE(top)
STAGE(where)
STAGE(window)
STAGE(write)
