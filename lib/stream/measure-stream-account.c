/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what was read of a ring is what its marks say. */

#include <config.h>

#include "stream/measure-stream-account.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/measure-base.h"

void
measure_stream_account_init(struct measure_stream_account *a)
{
    memset(a, 0, sizeof *a);
    pthread_mutex_init(&a->mutex, NULL);
}

void
measure_stream_account_destroy(struct measure_stream_account *a)
{
    pthread_mutex_destroy(&a->mutex);
    free(a->difference);
}

/* Sets '*sums' to what 'a' has come to, with a text that stays until it is
 * destroyed. */
void
measure_stream_account_get(struct measure_stream_account *a,
                           struct measure_stream_sums *sums)
{
    pthread_mutex_lock(&a->mutex);
    *sums = a->sums;
    pthread_mutex_unlock(&a->mutex);
    sums->records = __atomic_load_n(&a->records, __ATOMIC_RELAXED);
}

/* Returns what does not hold for mark 'm', or NULL. */
static char *
find_difference(const struct measure_stream_account *a,
                const struct measure_mark *m)
{
    const struct measure_mark *last = &a->sums.last;

    if (m->offered != m->records + m->filtered + m->dropped) {
        return measure_format(
            "the mark of epoch %"PRIu64" says %"PRIu64" offered, but "
            "%"PRIu64" records + %"PRIu64" filtered + %"PRIu64" dropped",
            m->epoch, m->offered, m->records, m->filtered, m->dropped);
    } else if (m->records != a->records) {
        return measure_format(
            "the mark of epoch %"PRIu64" says %"PRIu64" records, but "
            "%"PRIu64" were read", m->epoch, m->records, a->records);
    } else if (a->sums.n_marks
               && (m->epoch <= last->epoch || m->offered < last->offered
                   || m->filtered < last->filtered
                   || m->dropped < last->dropped
                   || m->marks_lost < last->marks_lost)) {
        return measure_format(
            "the mark of epoch %"PRIu64" says less than that of epoch "
            "%"PRIu64, m->epoch, last->epoch);
    }
    return NULL;
}

/* Mark 'm' was taken. */
void
measure_stream_account_mark(struct measure_stream_account *a,
                            const struct measure_mark *m)
{
    char *difference = find_difference(a, m);

    pthread_mutex_lock(&a->mutex);
    if (difference) {
        a->sums.n_differences++;
        if (a->difference) {
            free(difference);
        } else {
            a->sums.difference = a->difference = difference;
        }
    }
    if (!a->sums.n_marks++) {
        a->sums.first = *m;
    }
    a->sums.last = *m;
    pthread_mutex_unlock(&a->mutex);
}

/* A record reaches over the end of the ring, or of what is published: what is
 * behind its beginning cannot be read. */
void
measure_stream_account_break(struct measure_stream_account *a)
{
    pthread_mutex_lock(&a->mutex);
    a->sums.broken = true;
    pthread_mutex_unlock(&a->mutex);
}
