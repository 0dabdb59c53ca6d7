/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "report/measure-grouping.h"

#include <pthread.h>
#include <stdlib.h>

struct measure_groupings {
    struct measure_budget *budget;
    pthread_mutex_t mutex;      /* Protects all below. */
    unsigned int n_users;
    bool forgotten;             /* Nothing is kept when nobody uses it. */
    struct measure_grouping *kept[MEASURE_N_KINDS];
};

struct measure_groupings *
measure_groupings_create(struct measure_budget *budget)
{
    struct measure_groupings *g = measure_xzalloc(sizeof *g);

    g->budget = budget;
    pthread_mutex_init(&g->mutex, NULL);
    return g;
}

void
measure_grouping_destroy(struct measure_grouping *grouping,
                         struct measure_budget *budget)
{
    if (grouping) {
        for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
            measure_memory_give(budget, grouping->tables[i].rows,
                                grouping->sizes[i], true);
            free(grouping->parts[i]);
        }
        free(grouping);
    }
}

/* Takes what 'g' has for the caller to destroy, if nobody uses it and it was
 * forgotten.  The mutex must be held. */
static void
take_unused(struct measure_groupings *g,
            struct measure_grouping *taken[MEASURE_N_KINDS])
{
    for (int i = 0; i < MEASURE_N_KINDS; i++) {
        taken[i] = NULL;
        if (g->forgotten && !g->n_users) {
            taken[i] = g->kept[i];
            g->kept[i] = NULL;
        }
    }
}

static void
destroy_taken(struct measure_groupings *g,
              struct measure_grouping *taken[MEASURE_N_KINDS])
{
    for (int i = 0; i < MEASURE_N_KINDS; i++) {
        measure_grouping_destroy(taken[i], g->budget);
    }
}

void
measure_groupings_destroy(struct measure_groupings *g)
{
    if (g) {
        measure_groupings_forget(g);
        assert(!g->n_users);
        pthread_mutex_destroy(&g->mutex);
        free(g);
    }
}

/* Must come before anything is got from 'g', or kept by it. */
void
measure_groupings_begin(struct measure_groupings *g)
{
    pthread_mutex_lock(&g->mutex);
    g->n_users++;
    pthread_mutex_unlock(&g->mutex);
}

/* From now on the caller uses nothing that 'g' has. */
void
measure_groupings_end(struct measure_groupings *g)
{
    struct measure_grouping *taken[MEASURE_N_KINDS];

    pthread_mutex_lock(&g->mutex);
    g->n_users--;
    take_unused(g, taken);
    pthread_mutex_unlock(&g->mutex);
    destroy_taken(g, taken);
}

/* Returns false if it would be in vain to make a grouping for 'g'. */
bool
measure_groupings_may_keep(struct measure_groupings *g)
{
    bool forgotten;

    pthread_mutex_lock(&g->mutex);
    forgotten = g->forgotten;
    pthread_mutex_unlock(&g->mutex);
    return !forgotten;
}

/* Returns the grouping by 'key_kind', or NULL if there is none yet. */
const struct measure_grouping *
measure_groupings_get(struct measure_groupings *g,
                      enum measure_key_kind key_kind)
{
    const struct measure_grouping *grouping;

    pthread_mutex_lock(&g->mutex);
    grouping = g->kept[key_kind];
    pthread_mutex_unlock(&g->mutex);
    return grouping;
}

/* Keeps 'grouping', unless another thread was faster.  Returns what is kept:
 * 'grouping' is not the caller's any more. */
const struct measure_grouping *
measure_groupings_keep(struct measure_groupings *g,
                       enum measure_key_kind key_kind,
                       struct measure_grouping *grouping)
{
    struct measure_grouping *unwanted = NULL;

    pthread_mutex_lock(&g->mutex);
    if (g->kept[key_kind]) {
        unwanted = grouping;
        grouping = g->kept[key_kind];
    } else {
        g->kept[key_kind] = grouping;
    }
    pthread_mutex_unlock(&g->mutex);
    measure_grouping_destroy(unwanted, g->budget);
    return grouping;
}

/* Frees all groupings as soon as nobody uses them. */
void
measure_groupings_forget(struct measure_groupings *g)
{
    struct measure_grouping *taken[MEASURE_N_KINDS];

    pthread_mutex_lock(&g->mutex);
    g->forgotten = true;
    take_unused(g, taken);
    pthread_mutex_unlock(&g->mutex);
    destroy_taken(g, taken);
}
