/* SPDX-License-Identifier: Apache-2.0 */
/* Work in the background that rests now and then. */

#include <config.h>

#include "base/measure-pace.h"

#include <stdlib.h>
#include <time.h>

#include "base/measure-base.h"

static void
sleep_ns(uint64_t ns)
{
    struct timespec ts = {
        .tv_sec = ns / MEASURE_NS_PER_S,
        .tv_nsec = ns % MEASURE_NS_PER_S,
    };

    /* A signal makes one rest shorter, no more. */
    nanosleep(&ts, NULL);
}

struct measure_pace_clock measure_pace_clock = { measure_monotonic_ns,
                                                 sleep_ns };

/* What this thread has begun, or NULL. */
static __thread struct measure_pace *current;

/* Says that this thread begins with the work of 'pace', which it has once in
 * 'period_ms' milliseconds.  'pace' is all zeros the first time. */
void
measure_pace_begin(struct measure_pace *pace, uint64_t period_ms)
{
    uint64_t max_rest_ms = period_ms / MEASURE_PACE_PERIOD_SHARE;

    if (max_rest_ms > MEASURE_PACE_MAX_REST_MS) {
        max_rest_ms = MEASURE_PACE_MAX_REST_MS;
    }
    pace->work_ns = 0;
    pace->rest_ns = 0;
    pace->max_rest_ns = max_rest_ms * MEASURE_NS_PER_MS;
    pace->n_rows = 0;
    pace->rest = MEASURE_PACE_MAX_REST;
    if (pace->last_ns * pace->rest > pace->max_rest_ns) {
        pace->rest = (double) pace->max_rest_ns / pace->last_ns;
    }
    if (pace->rest < MEASURE_PACE_MIN_REST) {
        pace->rest = 0;
    }
    pace->piece_start = measure_pace_clock.now_ns();
    current = pace;
}

/* Rests if the piece was long enough. */
static void
look_at_clock(struct measure_pace *pace)
{
    uint64_t now = measure_pace_clock.now_ns();
    uint64_t piece = now - pace->piece_start;
    uint64_t left = (pace->max_rest_ns > pace->rest_ns
                     ? pace->max_rest_ns - pace->rest_ns : 0);
    uint64_t rest;

    pace->n_rows = 0;
    if (piece < MEASURE_PACE_PIECE_NS) {
        return;
    }
    pace->work_ns += piece;
    pace->piece_start = now;

    /* What cannot be interrupted shall not use up the rests of the others. */
    rest = measure_min(piece, MEASURE_PACE_MAX_PIECE_NS) * pace->rest;
    rest = measure_min(rest, left);
    if (rest) {
        measure_pace_clock.sleep_ns(rest);
        pace->piece_start = measure_pace_clock.now_ns();
        pace->rest_ns += pace->piece_start - now;
    }
}

/* Says that this thread is done.  Returns the nanoseconds that it worked,
 * without the rests, or 0 if it has begun nothing. */
uint64_t
measure_pace_end(void)
{
    struct measure_pace *pace = current;

    if (!pace) {
        return 0;
    }
    current = NULL;
    pace->work_ns += measure_pace_clock.now_ns() - pace->piece_start;
    pace->last_ns = pace->work_ns;
    return pace->work_ns;
}

/* Says that this thread has gone through 'n_rows' rows: it may be time for a
 * rest. */
void
measure_pace(uint64_t n_rows)
{
    struct measure_pace *pace = current;

    if (pace && (pace->n_rows += n_rows) >= MEASURE_PACE_ROWS) {
        look_at_clock(pace);
    }
}
