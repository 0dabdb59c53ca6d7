/* SPDX-License-Identifier: Apache-2.0 */
/* The secret of a unit test, with which all of it hashes keys. */

#ifndef CHECK_SECRET_H
#define CHECK_SECRET_H 1

#include "check-common.h"

/* First, because functions in it have parameters of the same name. */
#include "structures/measure-table.h"

static struct measure_hash_secret secret;

/* Another one in each run, like other random numbers. */
static UNUSED void
draw_secret(void)
{
    measure_hash_secret_init(&secret, test_seed);
}

#endif /* check-secret.h */
