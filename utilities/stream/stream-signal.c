/* SPDX-License-Identifier: Apache-2.0 */
/* Ending on request: SIGINT, SIGTERM, or when the time is over. */

#include <config.h>

#include "stream-signal.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "stream/measure-pipeline.h"

static volatile sig_atomic_t came;      /* Or the time is over. */
static volatile sig_atomic_t n_signals;
/* Whose producers do not wait any more then; or NULL. */
static struct measure_pipeline *stopped;

static sigset_t
signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGALRM);
    return set;
}

static void
handle(int number)
{
    if (number != SIGALRM && n_signals++) {
        /* Comes when the handler returns. */
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    came = 1;
    if (stopped) {
        measure_pipeline_stop(stopped);
    }
    alarm(1);
}

/* Call it before there are other threads.  The first signal stops 'pipeline',
 * which must stay until stream_signal_forget(). */
void
stream_signal_init(struct measure_pipeline *pipeline)
{
    static const int numbers[] = { SIGINT, SIGTERM, SIGALRM };
    /* Without SA_RESTART. */
    struct sigaction action = { .sa_handler = handle };
    struct sigaction old;

    stopped = pipeline;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        /* A shell starts what runs in its background without SIGINT. */
        if (!sigaction(numbers[i], NULL, &old)
            && old.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
    stream_signal_unblock();
}

/* Has it come when 'ns' have passed. */
void
stream_signal_after(uint64_t ns)
{
    /* A timer of 0 would be none. */
    struct itimerval timer = {
        .it_value.tv_sec = ns / MEASURE_NS_PER_S,
        .it_value.tv_usec = measure_max(ns % MEASURE_NS_PER_S / 1000,
                                        ns < 1000000000),
    };

    setitimer(ITIMER_REAL, &timer, NULL);
}

/* The pipeline is about to be destroyed. */
void
stream_signal_forget(void)
{
    stream_signal_block();
    stopped = NULL;
    stream_signal_unblock();
}

/* Returns true if the program is to end. */
bool
stream_signal_came(void)
{
    return came;
}

void
stream_signal_block(void)
{
    sigset_t set = signals();

    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void
stream_signal_unblock(void)
{
    sigset_t set = signals();

    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
