/* SPDX-License-Identifier: Apache-2.0 */
/* The question for superspreaders. */

#include <config.h>

#include "questions/measure-superspreaders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "base/measure-top.h"
#include "questions/measure-question.h"

/* One question, while it is answered.
 *
 * The counters of the tables below are not packets and bytes: counting what
 * falls together is adding up ones. */
struct asking {
    const struct measure_superspreaders_question *question;
    struct measure_superspreaders_answer *answer;
    struct measure_group_by group_by;   /* What a row is about. */
    struct measure_group_by pair;       /* That and what is counted. */
    measure_compare *compare;
    size_t max_rows;
    size_t allocated;
    uint64_t n_wanted;                  /* Rows that were to be listed. */

    /* Of one part. */
    struct measure_aggregate pairs[MEASURE_N_LAYOUTS];

    /* For each source, its destinations, and in place of bytes its
     * destinations and ports: so far, if 'more' is true. */
    struct measure_aggregate sources[MEASURE_N_LAYOUTS];
    bool more[MEASURE_N_LAYOUTS];
};

static const char *const names[MEASURE_N_SPREADERS_BY] = {
    [MEASURE_SUPERSPREADERS_BY_SOURCE] = "source",
    [MEASURE_SUPERSPREADERS_BY_DESTINATION] = "destination",
    [MEASURE_SUPERSPREADERS_BY_SOURCE_PORT] = "source-port",
};

/* Sets '*by' to what 'name' names.  Returns false, and leaves '*by' alone,
 * if it names nothing. */
bool
measure_superspreaders_by_from_name(const char *name,
                                    enum measure_superspreaders_by *by)
{
    for (int i = 0; i < MEASURE_N_SPREADERS_BY; i++) {
        if (!strcmp(name, names[i])) {
            *by = i;
            return true;
        }
    }
    return false;
}

static unsigned int
row_fields(enum measure_superspreaders_by by)
{
    return (by == MEASURE_SUPERSPREADERS_BY_SOURCE ? MEASURE_FIELD_SOURCE
            : by == MEASURE_SUPERSPREADERS_BY_DESTINATION
            ? MEASURE_FIELD_DESTINATION
            : MEASURE_FIELD_SOURCE | MEASURE_FIELD_SOURCE_PORT);
}

/* Makes the group that a report must allow (measure_scope_check()) for a
 * question by 'by'.  A report by pair allows by=source too, but knows no
 * ports. */
void
measure_superspreaders_group(enum measure_superspreaders_by by,
                             struct measure_group_by *group_by)
{
    measure_group_by_init(group_by, row_fields(by) | MEASURE_FIELDS_PAIR, 128,
                          128);
}

/* Returns true if all reports know the ports of destinations, and these are
 * asked for. */
static bool
count_ports(const struct measure_scope *scope,
            enum measure_superspreaders_by by)
{
    struct measure_group_by group_by;

    measure_group_by_init(&group_by, MEASURE_FIELD_DESTINATION_PORT, 128, 128);
    for (size_t i = 0; i < scope->n_reports; i++) {
        if (!measure_group_by_derives(scope->reports[i]->key_kind,
                                      &group_by)) {
            return false;
        }
    }
    return by != MEASURE_SUPERSPREADERS_BY_DESTINATION;
}

static int
compare(uint64_t a, uint64_t b, const struct measure_superspreaders_row *a_row,
        const struct measure_superspreaders_row *b_row)
{
    return (a > b ? -1
            : a < b ? 1
            : measure_fields_compare(&a_row->fields, &b_row->fields));
}

static int
compare_spread(const void *a_, const void *b_)
{
    const struct measure_superspreaders_row *a = a_;
    const struct measure_superspreaders_row *b = b_;

    return compare(a->spread, b->spread, a, b);
}

static int
compare_ports(const void *a_, const void *b_)
{
    const struct measure_superspreaders_row *a = a_;
    const struct measure_superspreaders_row *b = b_;

    return compare(a->ports, b->ports, a, b);
}

/* Makes 'aggregate' of the groups of 'from', masked with 'mask', or adds these
 * if 'more': each counts one, and its packets as bytes.  Returns false if
 * there is no memory. */
static bool
count_groups(struct measure_aggregate *aggregate,
             const struct measure_aggregate *from,
             const uint64_t *mask, bool more)
{
    if (!more) {
        aggregate->n = 0;
    }
    return ((more || measure_aggregate_begin(aggregate, from->n))
            && measure_aggregate_add_masked(aggregate, from->rows, from->n,
                                            mask, MEASURE_AGGREGATE_COUNT));
}

/* Counts the destinations, and with ports if the question is about them, of
 * the sources of 'aggregate'.  Returns false if there is no memory. */
static bool
count_destinations(struct asking *asking,
                   const struct measure_aggregate *aggregate)
{
    enum measure_layout layout = aggregate->layout;
    struct measure_aggregate *pairs = &asking->pairs[layout];
    bool narrow = layout == MEASURE_NARROW;

    /* Of each pair the ports, and of each source the pairs, and the ports of
     * these. */
    return (count_groups(pairs, aggregate,
                         narrow ? asking->pair.narrow : asking->pair.wide6,
                         false)
            && count_groups(&asking->sources[layout], pairs,
                            (narrow ? asking->group_by.narrow
                             : asking->group_by.wide6), asking->more[layout]));
}

static bool
is_excluded(const struct measure_superspreaders_question *question,
            const struct measure_fields *fields)
{
    return (question->exclude
            && measure_prefixes_match(
                question->exclude, fields->family,
                (question->by == MEASURE_SUPERSPREADERS_BY_DESTINATION
                 ? fields->destination : fields->source)));
}

/* Adds 'row' to the rows of the answer.  Returns false if there is no
 * memory. */
static bool
add_row(struct asking *asking, const struct measure_superspreaders_row *row)
{
    struct measure_superspreaders_answer *answer = asking->answer;

    asking->n_wanted++;
    if (answer->n_rows == asking->allocated
        && asking->allocated < asking->max_rows) {
        size_t n = asking->allocated * 2 + 64;
        void *rows = realloc(answer->rows, n * sizeof *answer->rows);

        if (!rows) {
            return false;
        }
        answer->rows = rows;
        asking->allocated = n;
    }
    measure_top_add(answer->rows, &answer->n_rows, asking->max_rows,
                    sizeof *row, row, asking->compare);
    return true;
}

/* Returns true if the source of 'key' certainly comes behind all rows of the
 * answer, which are as many as it may have. */
static inline bool
follows(const struct asking *asking, enum measure_layout layout,
        const uint64_t *key, uint64_t spread, uint64_t ports)
{
    const struct measure_superspreaders_row *last = &asking->answer->rows[0];
    bool by_ports = asking->question->sort_by_ports;
    uint64_t size = by_ports ? ports : spread;
    uint64_t last_size;

    if (asking->answer->n_rows < asking->max_rows) {
        return false;
    }
    last_size = by_ports ? last->ports : last->spread;
    return (size < last_size
            || (size == last_size
                && measure_key_follows(layout, key, &last->fields)));
}

/* Adds to the answer the sources of one part: 'wholes' has their packets and
 * bytes, 'aggregate' their destinations, or some of them if there are
 * 'more'. */
static bool
add_sources(const struct measure_aggregate *aggregate,
            const struct measure_aggregate *wholes, bool more, void *asking_)
{
    struct asking *asking = asking_;
    const struct measure_superspreaders_question *question = asking->question;
    const struct measure_aggregate *sources
        = &asking->sources[aggregate->layout];
    enum measure_layout layout = aggregate->layout;

    if (aggregate->n) {
        if (!count_destinations(asking, aggregate)) {
            return false;
        }
        asking->more[layout] = true;
    }
    if (more) {
        return true;
    }
    asking->answer->keys += wholes->n;
    if (!asking->more[layout]) {
        return true;
    }
    asking->more[layout] = false;
    for (uint32_t i = 0; i < sources->n; i++) {
        uint64_t *key = &sources->rows[i * measure_row_words(layout)];
        struct measure_superspreaders_row row;
        uint64_t spread = *measure_row_packets(key, layout);
        uint64_t ports = *measure_row_bytes(key, layout);
        uint64_t *whole;

        if ((question->sort_by_ports ? ports : spread) < question->min) {
            continue;
        }
        if (!question->exclude && follows(asking, layout, key, spread,
                                          ports)) {
            asking->n_wanted++;
            continue;
        }
        memset(&row, 0, sizeof row);
        measure_fields_from_key(&row.fields, layout, key);
        if (is_excluded(question, &row.fields)) {
            asking->answer->excluded_rows++;
            continue;
        }
        whole = measure_aggregate_find(wholes, key);
        row.spread = spread;
        row.ports = ports;
        row.packets = *measure_row_packets(whole, layout);
        row.bytes = *measure_row_bytes(whole, layout);
        if (!add_row(asking, &row)) {
            return false;
        }
    }
    return true;
}

/* Answers 'question' about 'scope', which measure_scope_check() must allow for
 * measure_superspreaders_group().  Returns false, with no rows, if there is no
 * memory.  In any case the caller must destroy the answer. */
bool
measure_superspreaders_ask(
    const struct measure_scope *scope,
    const struct measure_superspreaders_question *question,
    struct measure_superspreaders_answer *answer)
{
    unsigned int fields = row_fields(question->by);
    struct asking asking = {
        .question = question, .answer = answer,
        .compare = question->sort_by_ports ? compare_ports : compare_spread,
        .max_rows = (question->n
                     ? measure_min(question->n, MEASURE_ANSWER_MAX_ROWS)
                     : MEASURE_ANSWER_MAX_ROWS),
    };
    struct measure_totals totals;
    const struct measure_hash_secret *secret;
    struct measure_budget *budget;
    struct measure_group_by finest;
    bool ok;

    memset(answer, 0, sizeof *answer);
    measure_scope_sum(scope, &totals);
    answer->error_max = totals.counters.overflow_packets;
    if (!scope->n_reports) {
        return true;
    }
    secret = scope->reports[0]->secret;
    budget = scope->reports[scope->n_reports - 1]->budget;
    measure_group_by_init(&asking.group_by, fields, 128, 128);
    measure_group_by_init(&asking.pair, fields | MEASURE_FIELDS_PAIR, 128,
                          128);
    measure_group_by_init(&finest,
                          (asking.pair.fields
                           | (count_ports(scope, question->by)
                              ? MEASURE_FIELD_DESTINATION_PORT : 0)),
                          128, 128);
    if (measure_query_all_light(scope, &asking.group_by, question->min,
                                &answer->keys)) {
        return true;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        measure_aggregate_init(&asking.pairs[layout], layout, secret, budget);
        measure_aggregate_init(&asking.sources[layout], layout, secret,
                               budget);
    }

    ok = measure_query_wholes(scope, &finest, &asking.pair, &asking.group_by,
                              question->min, add_sources, &asking);
    if (answer->n_rows) {
        qsort(answer->rows, answer->n_rows, sizeof *answer->rows,
              asking.compare);
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        measure_aggregate_destroy(&asking.pairs[layout]);
        measure_aggregate_destroy(&asking.sources[layout]);
    }
    if (!ok) {
        answer->n_rows = 0;
        return false;
    }
    answer->omitted_rows = asking.n_wanted - answer->n_rows;
    return true;
}

void
measure_superspreaders_answer_destroy(
    struct measure_superspreaders_answer *answer)
{
    free(answer->rows);
}

static void
write_row(struct measure_output *o, const struct measure_scope *scope,
          const struct measure_superspreaders_question *question,
          const struct measure_superspreaders_row *row)
{
    struct measure_group_by group_by;

    measure_group_by_init(&group_by, row_fields(question->by), 128, 128);
    measure_output_open_row(o);
    measure_key_write(o, scope, &group_by, &row->fields, group_by.fields);
    if (question->by == MEASURE_SUPERSPREADERS_BY_DESTINATION) {
        measure_output_uint(o, "sources", row->spread);
    } else {
        measure_output_uint(o, "destinations", row->spread);
        if (count_ports(scope, question->by)) {
            measure_output_uint(o, "destination-ports", row->ports);
        }
    }
    measure_output_uint(o, "packets", row->packets);
    measure_output_uint(o, "bytes", row->bytes);
    measure_output_close(o);
}

/* Writes the members of one bridge: the epoch, its totals, and the
 * superspreaders that 'question' asks for.  Returns false if there is no
 * memory. */
bool
measure_superspreaders_write(
    struct measure_output *o, const struct measure_scope *scope,
    const struct measure_superspreaders_question *question)
{
    bool destination = question->by == MEASURE_SUPERSPREADERS_BY_DESTINATION;
    struct measure_superspreaders_answer answer;
    struct measure_totals totals;
    char note[128];

    if (!measure_superspreaders_ask(scope, question, &answer)) {
        measure_superspreaders_answer_destroy(&answer);
        return false;
    }
    measure_scope_sum(scope, &totals);
    measure_scope_write(o, scope, &totals);
    if (answer.error_max) {
        measure_output_uint(o, "error-max", answer.error_max);
    }

    snprintf(note, sizeof note, "By %s, those with at least %"PRIu64" %s.",
             names[question->by], question->min,
             (destination ? "sources"
              : question->sort_by_ports ? "destination ports"
              : "destinations"));
    measure_output_note(o, note);
    measure_output_open_list(o, "superspreaders");
    for (size_t i = 0; i < answer.n_rows; i++) {
        write_row(o, scope, question, &answer.rows[i]);
    }
    measure_output_close(o);
    if (answer.omitted_rows) {
        measure_output_uint(o, "rows-omitted", answer.omitted_rows);
    }
    if (answer.excluded_rows) {
        measure_output_uint(o, "rows-excluded", answer.excluded_rows);
    }
    measure_output_uint(o, destination ? "all-destinations"
                        : question->by == MEASURE_SUPERSPREADERS_BY_SOURCE
                        ? "all-sources" : "all-source-ports", answer.keys);
    measure_superspreaders_answer_destroy(&answer);
    return true;
}

/* The class of the question. */

static bool
parse_by(const char *value, struct measure_arguments *args)
{
    enum measure_superspreaders_by by;

    measure_argument_keep(&args->by, value);
    return measure_superspreaders_by_from_name(value, &by);
}

static const struct measure_argument argument_by = {
    "by=", "by=source|by=destination|by=source-port",
    "by=" MEASURE_SUPERSPREADERS_BY_VALID, parse_by
};

static const struct measure_argument *const arguments[] = {
    &argument_by, &measure_argument_min, &measure_argument_where,
    &measure_argument_epoch, &measure_argument_last, &measure_argument_pmd,
    &measure_argument_n, &measure_argument_format, NULL
};

static enum measure_superspreaders_by
asked_by(const struct measure_asked *asked)
{
    enum measure_superspreaders_by by = MEASURE_SUPERSPREADERS_BY_SOURCE;

    if (asked->args->by) {
        measure_superspreaders_by_from_name(asked->args->by, &by);
    }
    return by;
}

static void
class_group(const struct measure_asked *asked,
            struct measure_group_by *group_by)
{
    measure_superspreaders_group(asked_by(asked), group_by);
}

static const char *
class_needs_complete(const struct measure_asked *asked)
{
    (void) asked;
    return "measure/superspreaders";
}

static bool
class_write(struct measure_output *o, const struct measure_asked *asked)
{
    const struct measure_arguments *args = asked->args;
    const struct measure_config *config = asked->config;
    struct measure_superspreaders_question question = {
        .by = asked_by(asked),
        .min = args->min_given ? args->min : config->superspreader,
        .n = args->n,
        .exclude = &config->superspreader_exclude,
    };

    return measure_superspreaders_write(o, asked->scope, &question);
}

const struct measure_question_class measure_question_superspreaders = {
    .name = "superspreaders",
    .arguments = arguments,
    .group = class_group,
    .needs_complete = class_needs_complete,
    .write = class_write,
};
