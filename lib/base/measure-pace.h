/* SPDX-License-Identifier: Apache-2.0 */
/* Work in the background that rests now and then. */

#ifndef MEASURE_PACE_H
#define MEASURE_PACE_H 1

#include <stdint.h>

/* Work in the background that takes its time
 * ==========================================
 *
 * To merge an epoch, and to look for changes in it, takes some milliseconds in
 * which one thread reads and writes memory as fast as it can.  Packet threads
 * on other cores have less of the memory's bandwidth then, and of the cache
 * that all cores share.  But nobody waits for a report that urgently.  Hence
 * such work is done in short pieces with a rest after each, for most of the
 * time.
 *
 * A "struct measure_pace" belongs to work that comes back again and again, as
 * with each epoch of a monitor.  A thread calls measure_pace_begin() when the
 * work begins, measure_pace() at least once for each 64 rows (of at most a few
 * cache lines each) that it goes through, and measure_pace_end().  After each
 * piece of MEASURE_PACE_PIECE_NS it rests for MEASURE_PACE_MAX_REST times as
 * long as the piece has taken, at most as for MEASURE_PACE_MAX_PIECE_NS.  All
 * rests together take no more than an eighth of the time after which the work
 * comes back, nor more than MEASURE_PACE_MAX_REST_MS.  If they would, by what
 * the work took the last time, each is shorter.  Rests of less than a quarter
 * of the work would spread nothing, only make it late: then there are none.
 *
 * Memory: none but the structure.
 *
 * Thread safety: a structure belongs to the thread that has begun, until the
 * end.  In other threads, and where no work has begun, measure_pace() does
 * nothing.  A thread that has begun must hold no lock that another may wait
 * for, where it calls measure_pace() or what may do so, and must not hold up
 * grace periods.  Never called from the packet path. */

#define MEASURE_PACE_PIECE_NS (UINT64_C(200) * 1000)
#define MEASURE_PACE_MAX_PIECE_NS (4 * MEASURE_PACE_PIECE_NS)
#define MEASURE_PACE_MAX_REST 9     /* The work has a tenth of the time. */
#define MEASURE_PACE_MIN_REST 0.25
#define MEASURE_PACE_PERIOD_SHARE 8
#define MEASURE_PACE_MAX_REST_MS 250
#define MEASURE_PACE_ROWS 512       /* Between looks at the clock. */

struct measure_pace {
    uint64_t last_ns;           /* Work of the last time. */

    /* This time. */
    uint64_t work_ns;
    uint64_t rest_ns;
    uint64_t max_rest_ns;
    double rest;                /* For each unit of work. */
    uint64_t piece_start;       /* By the clock. */
    uint64_t n_rows;            /* Since the last look at the clock. */
};

/* The time.  Tests have another one. */
struct measure_pace_clock {
    uint64_t (*now_ns)(void);
    void (*sleep_ns)(uint64_t);
};

extern struct measure_pace_clock measure_pace_clock;

void measure_pace_begin(struct measure_pace *, uint64_t period_ms);
uint64_t measure_pace_end(void);
void measure_pace(uint64_t n_rows);

#endif /* measure-pace.h */
