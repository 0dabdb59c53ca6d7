/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'where': only packets that a filter lets through. */

#include <config.h>

#include <stdlib.h>

#include "key/measure-filter.h"
#include "stream/measure-stage.h"

struct where {
    struct measure_stage stage;
    char *text;
    struct measure_filter filter;
};

static const char warning[] = "a port that where names does not exist (yet): "
    "no packet matches";

static struct where *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct where, stage);
}

/* Several words are all to be met. */
static char *
where_set(struct measure_stage *stage, const char *name, const char *value)
{
    struct where *where = cast(stage);

    (void) name;
    if (where->text) {
        measure_append(&where->text, ",");
    } else {
        where->text = measure_format("%s", "");
    }
    measure_append(&where->text, "%s", value);
    return NULL;
}

/* Makes the filter of the ports that there are.  Returns NULL, or what is
 * wrong with it. */
static char *
resolve(struct where *where)
{
    char *missing;
    char *error = measure_filter_parse_early(where->text, where->stage.ports,
                                             &where->filter, &missing);

    /* One with such a port matches nothing. */
    __atomic_store_n(&where->stage.warning, missing ? warning : NULL,
                     __ATOMIC_RELAXED);
    free(missing);
    return error;
}

static char *
where_begin(struct measure_stage *stage,
            const struct measure_schema *input)
{
    (void) input;
    if (!cast(stage)->text) {
        return measure_format("no filter; valid is %s", MEASURE_FILTER_VALID);
    }
    return resolve(cast(stage));
}

/* No branch that depends on the packets of IPv4: whether one matches is for
 * most filters a toss of a coin. */
static void
where_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    const struct where *where = cast(stage);
    size_t n = 0;

    for (size_t i = 0; i < batch->n; i++) {
        const struct measure_slot *slot = batch->records[i];
        bool matches;

        if (measure_slot_layout(slot) == MEASURE_NARROW) {
            matches = measure_filter_matches(&where->filter, MEASURE_NARROW,
                                             slot->words);
        } else {
            uint64_t key[MEASURE_KEY_WORDS];

            measure_slot_key(slot, key);
            matches = measure_filter_matches(&where->filter, MEASURE_WIDE,
                                             key);
        }
        batch->records[n] = slot;
        n += matches;
    }
    batch->n = n;
}

static void
where_ports(struct measure_stage *stage)
{
    free(resolve(cast(stage)));
}

static void
where_destroy(struct measure_stage *stage)
{
    free(cast(stage)->text);
}

static const struct measure_stage_argument arguments[] = {
    { "", "FILTER", MEASURE_FILTER_VALID },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_where = {
    .name = "where",
    .summary = "lets packets through that meet all conditions",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct where),
    .set = where_set,
    .begin = where_begin,
    .packets = where_packets,
    .ports = where_ports,
    .destroy = where_destroy,
};
