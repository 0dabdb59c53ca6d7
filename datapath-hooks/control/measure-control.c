/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that closes epochs in time and supplies the packet threads. */

#include <config.h>

#include "measure-control.h"

#include "measure-epochs.h"
#include "measure-merge-thread.h"
#include "measure-stream.h"
#include "measure-supply.h"
#include "measure-watch.h"
#include "openvswitch/poll-loop.h"
#include "ovs-thread.h"
#include "seq.h"
#include "timeval.h"
#include "util.h"

static void *
control_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(measure_control_seq);
        long long int next;

        ovs_mutex_lock(&measure_grow_mutex);
        ovs_mutex_lock(&measure_mutex);
        next = measure_epochs_close_due();
        ovs_mutex_unlock(&measure_mutex);
        if (!measure_supply_monitors()) {
            poll_immediate_wake();
        }
        ovs_mutex_unlock(&measure_grow_mutex);

        seq_wait(measure_control_seq, seq);
        if (next != LLONG_MAX) {
            poll_timer_wait_until(MIN(next, time_msec() + MEASURE_TICK_MS));
        }
        poll_block();
    }
    OVS_NOT_REACHED();
}

/* Starts the threads when the first monitor is switched on. */
void
measure_control_start(void)
{
    static bool started OVS_GUARDED_BY(measure_mutex);

    if (!started) {
        started = true;
        ovs_thread_create("measure", control_main, NULL);
        measure_merge_start();
        measure_watch_start();
        measure_stream_start();
    }
}
