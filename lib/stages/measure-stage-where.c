/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'where': only packets that a filter lets through. */

#include <config.h>

#include <stdlib.h>

#include "key/measure-filter.h"
#include "stream/measure-stage.h"

struct where {
    struct measure_stage stage;
    char *text;
    bool is_known;              /* Each port that it names exists. */
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

/* Gives a number in 'ports' to each port that 's' names. */
static void
name_ports(const char *s, struct measure_port_names *ports)
{
    static const char prefix[] = "port=";
    char *name = measure_check_memory(malloc(strlen(s) + 1));

    while (*s) {
        bool is_port = !strncmp(s, prefix, strlen(prefix));
        size_t n = 0;

        s += is_port ? strlen(prefix) : 0;
        while (*s && *s != ',' && *s != ';') {
            s += *s == '\\' && s[1];
            name[n++] = *s++;
        }
        s += *s != '\0';
        name[n] = '\0';
        if (is_port && n) {
            measure_port_number(ports, name);
        }
    }
    free(name);
}

/* Returns what is wrong with 'text' if the ports that it names are not. */
static char *
check(const char *text)
{
    struct measure_port_names *ports = measure_xzalloc(sizeof *ports);
    struct measure_filter filter;
    char *error;

    name_ports(text, ports);
    error = measure_filter_parse(text, ports, &filter);
    measure_port_names_destroy(ports);
    free(ports);
    return error;
}

static void
resolve(struct where *where)
{
    char *error = measure_filter_parse(where->text, where->stage.ports,
                                       &where->filter);

    where->is_known = !error;
    __atomic_store_n(&where->stage.warning, error ? warning : NULL,
                     __ATOMIC_RELAXED);
    free(error);
}

static char *
where_begin(struct measure_stage *stage,
            const struct measure_schema *input)
{
    struct where *where = cast(stage);
    char *error;

    (void) input;
    if (!where->text) {
        return measure_format("no filter; valid is %s", MEASURE_FILTER_VALID);
    }
    error = check(where->text);
    if (!error) {
        resolve(where);
    }
    return error;
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
    batch->n = where->is_known ? n : 0;
}

static void
where_ports(struct measure_stage *stage)
{
    resolve(cast(stage));
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
