/* SPDX-License-Identifier: Apache-2.0 */
/* What the main loop of ovs-vswitchd calls. */

#ifndef MEASURE_COMMAND_H
#define MEASURE_COMMAND_H 1

#include "measure-settings.h"

/* The commands measure/...
 * ========================
 *
 * ovs-vswitchd calls measure_configure() (measure-settings.h) with the whole
 * configuration, and the two functions here in each round of its main loop.
 *
 * Thread safety: main thread only. */

void measure_run(void);
void measure_wait(void);

#endif /* measure-command.h */
