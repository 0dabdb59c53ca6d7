/* SPDX-License-Identifier: Apache-2.0 */
/* The groups that a report keeps for later questions. */

#include <config.h>

#include "report/measure-group-cache.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/measure-base.h"

struct measure_group_cache {
    struct measure_budget *budget;
    pthread_mutex_t mutex;      /* Protects all below. */
    unsigned int n_users;
    bool forgotten;             /* Nothing is kept when nobody uses it. */
    struct measure_cached_groups *kept[MEASURE_N_KINDS];
};

struct measure_group_cache *
measure_group_cache_create(struct measure_budget *budget)
{
    struct measure_group_cache *g = measure_xzalloc(sizeof *g);

    g->budget = budget;
    pthread_mutex_init(&g->mutex, NULL);
    return g;
}

void
measure_cached_groups_destroy(struct measure_cached_groups *cached,
                              struct measure_budget *budget)
{
    if (cached) {
        for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
            measure_memory_give(budget, cached->tables[i].rows,
                                cached->sizes[i], true);
            free(cached->parts[i]);
        }
        free(cached);
    }
}

/* Takes what 'g' has for the caller to destroy, if nobody uses it and it was
 * forgotten.  The mutex must be held. */
static void
take_unused(struct measure_group_cache *g,
            struct measure_cached_groups *taken[MEASURE_N_KINDS])
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
destroy_taken(struct measure_group_cache *g,
              struct measure_cached_groups *taken[MEASURE_N_KINDS])
{
    for (int i = 0; i < MEASURE_N_KINDS; i++) {
        measure_cached_groups_destroy(taken[i], g->budget);
    }
}

void
measure_group_cache_destroy(struct measure_group_cache *g)
{
    if (g) {
        measure_group_cache_forget(g);
        assert(!g->n_users);
        pthread_mutex_destroy(&g->mutex);
        free(g);
    }
}

/* Must come before anything is got from 'g', or kept by it. */
void
measure_group_cache_begin(struct measure_group_cache *g)
{
    pthread_mutex_lock(&g->mutex);
    g->n_users++;
    pthread_mutex_unlock(&g->mutex);
}

/* From now on the caller uses nothing that 'g' has. */
void
measure_group_cache_end(struct measure_group_cache *g)
{
    struct measure_cached_groups *taken[MEASURE_N_KINDS];

    pthread_mutex_lock(&g->mutex);
    g->n_users--;
    take_unused(g, taken);
    pthread_mutex_unlock(&g->mutex);
    destroy_taken(g, taken);
}

/* Returns false if it would be in vain to make groups for 'g'. */
bool
measure_group_cache_may_keep(struct measure_group_cache *g)
{
    bool forgotten;

    pthread_mutex_lock(&g->mutex);
    forgotten = g->forgotten;
    pthread_mutex_unlock(&g->mutex);
    return !forgotten;
}

/* Returns the groups by 'key_kind', or NULL if there are none yet. */
const struct measure_cached_groups *
measure_group_cache_get(struct measure_group_cache *g,
                        enum measure_key_kind key_kind)
{
    const struct measure_cached_groups *cached;

    pthread_mutex_lock(&g->mutex);
    cached = g->kept[key_kind];
    pthread_mutex_unlock(&g->mutex);
    return cached;
}

/* Keeps 'cached', unless another thread was faster.  Returns what is kept:
 * 'cached' is not the caller's any more. */
const struct measure_cached_groups *
measure_group_cache_keep(struct measure_group_cache *g,
                         enum measure_key_kind key_kind,
                         struct measure_cached_groups *cached)
{
    struct measure_cached_groups *unwanted = NULL;

    pthread_mutex_lock(&g->mutex);
    if (g->kept[key_kind]) {
        unwanted = cached;
        cached = g->kept[key_kind];
    } else {
        g->kept[key_kind] = cached;
    }
    pthread_mutex_unlock(&g->mutex);
    measure_cached_groups_destroy(unwanted, g->budget);
    return cached;
}

/* Frees all cached groups as soon as nobody uses them. */
void
measure_group_cache_forget(struct measure_group_cache *g)
{
    struct measure_cached_groups *taken[MEASURE_N_KINDS];

    pthread_mutex_lock(&g->mutex);
    g->forgotten = true;
    take_unused(g, taken);
    pthread_mutex_unlock(&g->mutex);
    destroy_taken(g, taken);
}
