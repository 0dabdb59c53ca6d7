/* SPDX-License-Identifier: Apache-2.0 */
/* Expectations of keys of both layouts, for test programs. */

#ifndef CHECK_EXPECTATIONS_H
#define CHECK_EXPECTATIONS_H 1

#include "check-packets.h"

#include <stdlib.h>

#include "report/measure-expectations.h"
#include "structures/measure-table.h"

struct expectations {
    struct measure_expectations change[MEASURE_N_LAYOUTS];
    struct measure_expectations *pointers[MEASURE_N_LAYOUTS];
    void *memory[MEASURE_N_LAYOUTS];
};

/* Sets up 'e' by 'config', but for the layout. */
static UNUSED void
expectations_init(struct expectations *e,
                  const struct measure_expectations_config *config,
                  const struct measure_hash_secret *hash_secret)
{
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        struct measure_expectations_config c = *config;

        c.layout = i;
        if (posix_memalign(&e->memory[i], MEASURE_LINE_SIZE,
                           measure_expectations_size(&c))) {
            abort();
        }
        measure_expectations_init(&e->change[i], &c, hash_secret,
                                  e->memory[i]);
        e->pointers[i] = &e->change[i];
    }
}

static UNUSED void
expectations_destroy(struct expectations *e)
{
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        free(e->memory[i]);
    }
}

#endif /* check-expectations.h */
