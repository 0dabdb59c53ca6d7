/* SPDX-License-Identifier: Apache-2.0 */
/* Whether what was read of a ring is what its marks say. */

#include <config.h>

#include "stream/measure-stream-account.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/measure-base.h"

static void
add_mark(struct measure_stream_account *a, const struct measure_slot *slots)
{
    const struct measure_mark *last = &a->last;
    char *difference = NULL;
    struct measure_mark m;

    measure_slot_mark(slots, &m);
    if (m.offered != m.records + m.filtered + m.dropped) {
        difference = measure_format(
            "the mark of epoch %"PRIu64" says %"PRIu64" offered, but "
            "%"PRIu64" records + %"PRIu64" filtered + %"PRIu64" dropped",
            m.epoch, m.offered, m.records, m.filtered, m.dropped);
    } else if (m.records != a->records) {
        difference = measure_format(
            "the mark of epoch %"PRIu64" says %"PRIu64" records, but "
            "%"PRIu64" were read", m.epoch, m.records, a->records);
    } else if (a->n_marks
               && (m.epoch <= last->epoch || m.offered < last->offered
                   || m.filtered < last->filtered || m.dropped < last->dropped
                   || m.marks_lost < last->marks_lost)) {
        difference = measure_format(
            "the mark of epoch %"PRIu64" says less than that of epoch "
            "%"PRIu64, m.epoch, last->epoch);
    }
    if (difference) {
        a->n_differences++;
        if (a->difference) {
            free(difference);
        } else {
            a->difference = difference;
        }
    }
    if (!a->n_marks++) {
        a->first = m;
    }
    a->last = m;
}

/* Adds what is in the 'n' slots at 'slots'.  Returns how many of them are
 * whole records, marks and fillings: all of them, unless the last one is cut.
 * Whoever writes the slots may do anything to them meanwhile. */
size_t
measure_stream_account_add(struct measure_stream_account *a,
                           const struct measure_slot *slots, size_t n)
{
    size_t i = 0;

    while (i < n) {
        struct measure_slot first = slots[i];
        unsigned int size = measure_slot_size(&first);

        if (size > n - i) {
            break;
        }
        switch (measure_slot_kind(&first)) {
        case MEASURE_SLOT_NARROW:
        case MEASURE_SLOT_WIDE:
            a->records++;
            break;
        case MEASURE_SLOT_MARK:
            add_mark(a, &slots[i]);
            break;
        case MEASURE_SLOT_FILL:
            break;
        }
        i += size;
    }
    return i;
}

void
measure_stream_account_destroy(struct measure_stream_account *a)
{
    free(a->difference);
    a->difference = NULL;
}
