/* SPDX-License-Identifier: Apache-2.0 */
/* Begins and closes epochs. */

#ifndef MEASURE_EPOCHS_H
#define MEASURE_EPOCHS_H 1

#include "measure-monitor.h"

/* Epochs
 * ======
 *
 * At the end of an epoch each packet thread is given a new tally; the old ones
 * are a closing epoch until measure-merge.h has merged them.
 *
 * Thread safety: 'measure_mutex'. */

void measure_epochs_begin(struct monitor *)
    OVS_REQUIRES(measure_mutex);
uint64_t measure_epochs_close(struct monitor *)
    OVS_REQUIRES(measure_mutex);
long long int measure_epochs_close_due(void)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-epochs.h */
