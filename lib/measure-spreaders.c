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

#include "measure-spreaders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure-top.h"

/* One question, while it is answered.
 *
 * The counters of the tables below are not packets and bytes: counting what
 * falls together is adding up ones. */
struct asking {
    const struct measure_scope *scope;
    const struct measure_spreaders_question *question;
    struct measure_spreaders_answer *answer;
    const struct measure_hash_secret *secret;
    struct measure_budget budget;
    struct measure_group group;         /* What a row is about. */
    struct measure_group pair;          /* That and what is counted. */

    struct measure_table pairs[MEASURE_N_FAMILIES];     /* Of one part. */

    /* For each source, its destinations, and in place of bytes its
     * destinations and ports. */
    struct measure_table sources[MEASURE_N_FAMILIES];

    /* Packets and bytes of the sources that have as many packets as they must
     * have destinations. */
    struct measure_table sizes[MEASURE_N_FAMILIES];
};

static const char *const names[MEASURE_N_SPREADERS_BY] = {
    [MEASURE_SPREADERS_BY_SOURCE] = "source",
    [MEASURE_SPREADERS_BY_DESTINATION] = "destination",
    [MEASURE_SPREADERS_BY_SOURCE_PORT] = "source-port",
};

const char *
measure_spreaders_by_name(enum measure_spreaders_by by)
{
    return names[by];
}

/* Sets '*by' to what 'name' names.  Returns false, and leaves '*by' alone,
 * if it names nothing. */
bool
measure_spreaders_by_from_name(const char *name,
                               enum measure_spreaders_by *by)
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
row_fields(enum measure_spreaders_by by)
{
    return (by == MEASURE_SPREADERS_BY_SOURCE ? MEASURE_FIELD_SOURCE
            : by == MEASURE_SPREADERS_BY_DESTINATION
            ? MEASURE_FIELD_DESTINATION
            : MEASURE_FIELD_SOURCE | MEASURE_FIELD_SOURCE_PORT);
}

/* Makes the group that a report must allow (measure_scope_check()) for a
 * question by 'by'.  A report by pair allows by=source too, but knows no
 * ports. */
void
measure_spreaders_group(enum measure_spreaders_by by,
                        struct measure_group *group)
{
    measure_group_init(group, row_fields(by) | MEASURE_FIELDS_PAIR, 128, 128);
}

/* Returns true if all reports know the ports of destinations, and these are
 * asked for. */
static bool
count_ports(const struct measure_scope *scope, enum measure_spreaders_by by)
{
    struct measure_group group;

    measure_group_init(&group, MEASURE_FIELD_DESTINATION_PORT, 128, 128);
    for (size_t i = 0; i < scope->n_reports; i++) {
        if (!measure_group_derives(scope->reports[i]->by, &group)) {
            return false;
        }
    }
    return by != MEASURE_SPREADERS_BY_DESTINATION;
}

static int
compare(uint64_t a, uint64_t b, const struct measure_spreaders_row *a_row,
        const struct measure_spreaders_row *b_row)
{
    return (a > b ? -1
            : a < b ? 1
            : measure_fields_compare(&a_row->fields, &b_row->fields));
}

static int
compare_spread(const void *a_, const void *b_)
{
    const struct measure_spreaders_row *a = a_;
    const struct measure_spreaders_row *b = b_;

    return compare(a->spread, b->spread, a, b);
}

static int
compare_ports(const void *a_, const void *b_)
{
    const struct measure_spreaders_row *a = a_;
    const struct measure_spreaders_row *b = b_;

    return compare(a->ports, b->ports, a, b);
}

/* Keeps of the sources in 'table' those that may be in the answer. */
static bool
find_candidates(struct measure_table *table, void *asking_)
{
    struct asking *asking = asking_;
    enum measure_family layout = table->family;
    struct measure_table *sizes = &asking->sizes[layout];

    asking->answer->keys += measure_table_n_used(table);
    MEASURE_TABLE_FOR_EACH (key, table) {
        uint64_t packets = *measure_row_packets(key, layout);

        if (packets < asking->question->min) {
            continue;
        }
        if (!measure_table_reserve(sizes, 1, asking->secret,
                                   &asking->budget)) {
            return false;
        }
        measure_table_insert(sizes, asking->secret, key, packets,
                             *measure_row_bytes(key, layout));
    }
    return true;
}

/* Counts the sources of the pairs, with ports if the question is about them,
 * that are in 'table'. */
static bool
count_sources(struct measure_table *table, void *asking_)
{
    struct asking *asking = asking_;
    enum measure_family layout = table->family;
    struct measure_table *pairs = &asking->pairs[layout];
    struct measure_table *sources = &asking->sources[layout];
    const uint64_t *pair_mask, *mask;

    if (layout == MEASURE_IPV4) {
        pair_mask = asking->pair.narrow;
        mask = asking->group.narrow;
    } else {
        pair_mask = asking->pair.wide6;
        mask = asking->group.wide6;
    }

    /* Of each pair the ports... */
    measure_table_clear(pairs);
    if (!asking->sizes[layout].n_used) {
        return true;
    }
    if (!measure_table_reserve(pairs, measure_table_n_used(table),
                               asking->secret, &asking->budget)) {
        return false;
    }
    MEASURE_TABLE_FOR_EACH (row, table) {
        uint64_t key[MEASURE_KEY_WORDS];

        for (unsigned int i = 0; i < measure_key_words(layout); i++) {
            key[i] = row[i] & mask[i];
        }
        if (measure_table_find(&asking->sizes[layout], asking->secret, key)) {
            for (unsigned int i = 0; i < measure_key_words(layout); i++) {
                key[i] = row[i] & pair_mask[i];
            }
            measure_table_insert(pairs, asking->secret, key, 1, 0);
        }
    }

    /* ...and of each source the pairs, and the ports of these. */
    MEASURE_TABLE_FOR_EACH (row, pairs) {
        *measure_row_bytes(row, layout) = *measure_row_packets(row, layout);
        *measure_row_packets(row, layout) = 1;
    }
    if (!measure_table_reserve(sources, measure_table_n_used(pairs),
                               asking->secret, &asking->budget)) {
        return false;
    }
    measure_table_merge(sources, pairs, mask, asking->secret);
    return true;
}

static bool
is_excluded(const struct measure_spreaders_question *question,
            const struct measure_fields *fields)
{
    return (question->exclude
            && measure_prefixes_match(
                question->exclude, fields->family,
                (question->by == MEASURE_SPREADERS_BY_DESTINATION
                 ? fields->destination : fields->source)));
}

/* Chooses the rows of the answer.  Returns false if there is no memory. */
static bool
choose_rows(struct asking *asking, uint64_t *n_wanted)
{
    const struct measure_spreaders_question *question = asking->question;
    struct measure_spreaders_answer *answer = asking->answer;
    size_t max_rows = (question->n && question->n < MEASURE_ANSWER_MAX_ROWS
                       ? question->n : MEASURE_ANSWER_MAX_ROWS);
    size_t allocated = 0;

    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        const struct measure_table *table = &asking->sources[layout];

        MEASURE_TABLE_FOR_EACH (key, table) {
            struct measure_spreaders_row row;
            uint64_t spread = *measure_row_packets(key, layout);
            uint64_t ports = *measure_row_bytes(key, layout);

            if ((question->sort_by_ports ? ports : spread) < question->min) {
                continue;
            }
            memset(&row, 0, sizeof row);
            measure_fields_from_key(&row.fields, layout, key);
            if (is_excluded(question, &row.fields)) {
                answer->excluded_rows++;
                continue;
            }
            row.spread = spread;
            row.ports = ports;
            ++*n_wanted;
            if (answer->n_rows == allocated && allocated < max_rows) {
                size_t n = allocated * 2 + 64;
                void *rows = realloc(answer->rows, n * sizeof row);

                if (!rows) {
                    return false;
                }
                answer->rows = rows;
                allocated = n;
            }
            measure_top_add(answer->rows, &answer->n_rows, max_rows,
                            sizeof row, &row,
                            (question->sort_by_ports
                             ? compare_ports : compare_spread));
        }
    }
    if (answer->n_rows) {
        qsort(answer->rows, answer->n_rows, sizeof *answer->rows,
              question->sort_by_ports ? compare_ports : compare_spread);
    }
    return true;
}

/* Fills in the packets and bytes of the rows of the answer. */
static void
fill_sizes(struct asking *asking)
{
    struct measure_spreaders_answer *answer = asking->answer;

    for (size_t i = 0; i < answer->n_rows; i++) {
        struct measure_spreaders_row *row = &answer->rows[i];
        uint64_t key[MEASURE_KEY_WORDS];
        enum measure_family layout = measure_key_from_fields(key,
                                                             &row->fields);
        uint64_t *found = measure_table_find(&asking->sizes[layout],
                                             asking->secret, key);

        row->packets = *measure_row_packets(found, layout);
        row->bytes = *measure_row_bytes(found, layout);
    }
}

/* Answers 'question' about 'scope', which measure_scope_check() must allow for
 * measure_spreaders_group().  Returns false, with no rows, if there is no
 * memory.  In any case the caller must destroy the answer. */
bool
measure_spreaders_ask(const struct measure_scope *scope,
                      const struct measure_spreaders_question *question,
                      struct measure_spreaders_answer *answer)
{
    unsigned int fields = row_fields(question->by);
    struct asking asking = {
        .scope = scope, .question = question, .answer = answer,
    };
    struct measure_totals totals;
    struct measure_group finest;
    uint64_t n_wanted = 0;
    bool ok;

    memset(answer, 0, sizeof *answer);
    measure_scope_sum(scope, &totals);
    answer->error_max = totals.counters.overflow_packets;
    if (!scope->n_reports) {
        return true;
    }
    asking.secret = scope->reports[0]->secret;
    measure_group_init(&asking.group, fields, 128, 128);
    measure_group_init(&asking.pair, fields | MEASURE_FIELDS_PAIR, 128, 128);
    measure_group_init(&finest,
                       (asking.pair.fields
                        | (count_ports(scope, question->by)
                           ? MEASURE_FIELD_DESTINATION_PORT : 0)), 128, 128);
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        asking.pairs[layout].family = layout;
        asking.sources[layout].family = layout;
        asking.sizes[layout].family = layout;
    }

    ok = (measure_query(scope, &asking.group, find_candidates, &asking)
          && measure_query_together(scope, &finest, &asking.pair,
                                 count_sources, &asking)
          && choose_rows(&asking, &n_wanted));
    if (ok) {
        fill_sizes(&asking);
    }
    for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
        measure_table_destroy(&asking.pairs[layout], &asking.budget);
        measure_table_destroy(&asking.sources[layout], &asking.budget);
        measure_table_destroy(&asking.sizes[layout], &asking.budget);
    }
    if (!ok) {
        answer->n_rows = 0;
        return false;
    }
    answer->omitted_rows = n_wanted - answer->n_rows;
    return true;
}

void
measure_spreaders_answer_destroy(struct measure_spreaders_answer *answer)
{
    free(answer->rows);
}

static void
write_row(struct measure_output *o, const struct measure_scope *scope,
          const struct measure_spreaders_question *question,
          const struct measure_spreaders_row *row)
{
    struct measure_group group;

    measure_group_init(&group, row_fields(question->by), 128, 128);
    measure_output_open_row(o);
    measure_key_write(o, scope, &group, &row->fields, group.fields);
    if (question->by == MEASURE_SPREADERS_BY_DESTINATION) {
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
measure_spreaders_write(struct measure_output *o,
                        const struct measure_scope *scope,
                        const struct measure_spreaders_question *question)
{
    bool destination = question->by == MEASURE_SPREADERS_BY_DESTINATION;
    struct measure_spreaders_answer answer;
    struct measure_totals totals;
    char note[128];

    if (!measure_spreaders_ask(scope, question, &answer)) {
        measure_spreaders_answer_destroy(&answer);
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
                        : question->by == MEASURE_SPREADERS_BY_SOURCE
                        ? "all-sources" : "all-source-ports", answer.keys);
    measure_spreaders_answer_destroy(&answer);
    return true;
}
