/* SPDX-License-Identifier: Apache-2.0 */
/* The keyed hash of flow keys. */

#include <config.h>

#include "base/measure-hash.h"

#include <sys/random.h>

#include "base/measure-base.h"

/* Draws a secret that nobody can foresee. */
void
measure_hash_secret_draw(struct measure_hash_secret *secret)
{
    /* The clock must do where the kernel has no random numbers yet. */
    if (getrandom(secret, sizeof *secret, GRND_NONBLOCK) != sizeof *secret) {
        measure_hash_secret_init(secret, (measure_monotonic_ns() << 32
                                          ^ measure_realtime_ns()
                                          ^ (uintptr_t) secret));
    }
}
