/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that closes epochs in time and supplies the packet threads. */

#ifndef MEASURE_CONTROL_H
#define MEASURE_CONTROL_H 1

#include "measure-monitor.h"

void measure_control_start(void)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-control.h */
