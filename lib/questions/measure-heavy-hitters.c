/* SPDX-License-Identifier: Apache-2.0 */
/* The question for heavy hitters. */

#include <config.h>

#include "questions/measure-heavy-hitters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "base/measure-top.h"
#include "questions/measure-hierarchy.h"
#include "questions/measure-question.h"
#include "questions/measure-threshold.h"

/* One question, while it is answered. */
struct asking {
    const struct measure_scope *scope;
    const struct measure_hitters_question *question;
    struct measure_hitters_answer *answer;
    struct measure_totals totals;
    measure_compare *compare;
    size_t max_rows;
    size_t allocated;
    uint64_t n_wanted;          /* Rows that were to be listed. */
    bool exact;                 /* Each count. */

    /* Of all overflow arrays in the scope, if keys of the group have cells. */
    struct measure_overflow_cell *overflow;
};

/* Parses what follows "by=": a group, or prefixes of all lengths.  Returns
 * false, and leaves 'question' alone, if it is neither. */
bool
measure_hitters_parse_by(const char *s,
                         struct measure_hitters_question *question)
{
    struct measure_group_by group_by;
    bool source = !strcmp(s, "source/*");

    if (source || !strcmp(s, "destination/*")) {
        measure_group_by_init(&question->group_by,
                              (source ? MEASURE_FIELD_SOURCE
                               : MEASURE_FIELD_DESTINATION), 128, 128);
        question->prefixes = true;
        return true;
    }
    if (!measure_group_by_parse(s, &group_by)) {
        return false;
    }
    question->group_by = group_by;
    question->prefixes = false;
    return true;
}

/* Returns what is left of 'a' without 'b', at least 0. */
static uint64_t
minus(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* Returns the most that a key without row can have, by what is known of all:
 * what overflowed, too, can be of one key, but not more than was received. */
static struct measure_cell
missed_of_any(const struct measure_totals *totals)
{
    const struct measure_counters *counters = &totals->counters;
    uint64_t packets = minus(counters->packets, counters->overflow_packets);
    uint64_t bytes = minus(counters->bytes, counters->overflow_bytes);

    return (struct measure_cell) {
        .packets = (measure_min(totals->missed.packets, packets)
                    + counters->overflow_packets),
        .bytes = (measure_min(totals->missed.bytes, bytes)
                  + counters->overflow_bytes),
    };
}

static int
compare_keys(const struct measure_hitters_row *a,
             const struct measure_hitters_row *b)
{
    int result = measure_fields_compare(&a->fields, &b->fields);

    return result ? result : (int) a->bits - (int) b->bits;
}

static int
compare_packets(const void *a_, const void *b_)
{
    const struct measure_hitters_row *a = a_;
    const struct measure_hitters_row *b = b_;

    return (a->packets > b->packets ? -1
            : a->packets < b->packets ? 1
            : compare_keys(a, b));
}

static int
compare_bytes(const void *a_, const void *b_)
{
    const struct measure_hitters_row *a = a_;
    const struct measure_hitters_row *b = b_;

    return (a->bytes > b->bytes ? -1
            : a->bytes < b->bytes ? 1
            : compare_keys(a, b));
}

/* The overflow arrays tell keys apart only if all in the scope are of such
 * keys as the question is about. */
static void
sum_overflow(struct asking *asking)
{
    const struct measure_scope *scope = asking->scope;
    const struct measure_report *const *reports = scope->reports;

    if (!asking->totals.counters.overflow_packets
        || asking->question->prefixes || scope->one_core) {
        return;
    }
    for (size_t i = 0; i < scope->n_reports; i++) {
        if (!measure_group_by_is_kind(&asking->question->group_by,
                                      reports[i]->key_kind)) {
            return;
        }
    }
    asking->overflow = measure_xzalloc(MEASURE_OVERFLOW_CELLS
                                       * sizeof *asking->overflow);
    for (size_t i = 0; i < scope->n_reports; i++) {
        for (int j = 0; reports[i]->overflow && j < MEASURE_OVERFLOW_CELLS;
             j++) {
            asking->overflow[j].packets += reports[i]->overflow[j].packets;
            asking->overflow[j].bytes += reports[i]->overflow[j].bytes;
        }
    }
}

static void
add_cell(const struct asking *asking, enum measure_layout layout,
         const uint64_t *key, struct measure_cell *missed)
{
    uint64_t hash = measure_hash(asking->scope->reports[0]->secret, key,
                                 measure_key_words(layout));
    uint32_t cell = measure_overflow_cell(hash);

    missed->packets += asking->overflow[cell].packets;
    missed->bytes += asking->overflow[cell].bytes;
}

/* Returns how much of 'key' can have overflowed. */
static struct measure_cell
missed_of_key(const struct asking *asking, enum measure_layout layout,
              const uint64_t *key)
{
    struct measure_cell missed = { 0, 0 };

    if (!asking->overflow) {
        missed.packets = asking->totals.counters.overflow_packets;
        missed.bytes = asking->totals.counters.overflow_bytes;
        return missed;
    }
    add_cell(asking, layout, key, &missed);
    if (layout == MEASURE_NARROW
        && !(asking->question->group_by.fields & MEASURE_FIELD_TUNNEL)) {
        /* In the other layout the key may have another cell. */
        uint64_t wide[MEASURE_KEY_WORDS];

        measure_key_widen(key, wide);
        add_cell(asking, MEASURE_WIDE, wide, &missed);
    }
    return missed;
}

static bool
is_heavy(const struct asking *asking, uint64_t packets, uint64_t bytes)
{
    return measure_is_heavy(&asking->totals, &asking->question->threshold,
                            asking->question->sort, packets, bytes);
}

/* Sets in 'row' its error, and whether it is heavy.  Its 'key' was counted as
 * 'packets' and 'bytes' says. */
static void
judge_row(const struct asking *asking, enum measure_layout layout,
          const uint64_t *key, struct measure_hitters_row *row)
{
    struct measure_cell missed = missed_of_key(asking, layout, key);
    struct measure_cell above = { 0, 0 };   /* What is too much. */

    if (asking->totals.estimates) {
        measure_scope_add_error(asking->scope, layout, key, &above.packets,
                                &above.bytes);
    }
    row->packets_error_max = missed.packets + above.packets;
    row->bytes_error_max = missed.bytes + above.bytes;
    row->heavy = is_heavy(asking, minus(row->packets, above.packets),
                          minus(row->bytes, above.bytes));
    row->may_be_heavy = is_heavy(asking, row->packets + missed.packets,
                                 row->bytes + missed.bytes);
}

/* Returns true if the group of 'key', which was counted with 'packets' and
 * 'bytes', is to be listed, though others are not. */
static __attribute__((noinline)) bool
is_heavy_enough(const struct asking *asking, enum measure_layout layout,
                const uint64_t *key, uint64_t packets, uint64_t bytes)
{
    const struct measure_counters *counters = &asking->totals.counters;
    struct measure_hitters_row row = { .packets = packets, .bytes = bytes };
    uint64_t group_key[MEASURE_KEY_WORDS];

    if (!is_heavy(asking, packets + counters->overflow_packets,
                  bytes + counters->overflow_bytes)) {
        return false;
    }
    if (asking->exact) {
        return true;
    }
    measure_group_by_key(&asking->question->group_by, layout, key, group_key);
    judge_row(asking, layout, group_key, &row);
    return row.may_be_heavy;
}

static inline bool
is_wanted(const struct asking *asking, enum measure_layout layout,
          const uint64_t *key, uint64_t packets, uint64_t bytes)
{
    return (!asking->question->heavy_only
            || is_heavy_enough(asking, layout, key, packets, bytes));
}

/* Adds 'row' to the rows of the answer.  Returns false if there is no
 * memory. */
static bool
add_row(struct asking *asking, const struct measure_hitters_row *row)
{
    struct measure_hitters_answer *answer = asking->answer;

    asking->n_wanted++;
    if (answer->n_rows == asking->allocated
        && asking->allocated < asking->max_rows) {
        size_t n = asking->allocated * 2 + 64;
        void *rows;

        n = measure_min(n, asking->max_rows);
        rows = realloc(answer->rows, n * sizeof *answer->rows);
        if (!rows) {
            return false;
        }
        answer->rows = rows;
        asking->allocated = n;
    }
    measure_top_add(answer->rows, &answer->n_rows, asking->max_rows,
                    sizeof *answer->rows, row, asking->compare);
    return true;
}

/* Returns true if the row of 'key', of 'size', certainly comes behind 'last',
 * of 'last_size'. */
static inline bool
follows(const struct measure_hitters_row *last, enum measure_layout layout,
        const uint64_t *key, uint64_t size, uint64_t last_size)
{
    return (size < last_size
            || (size == last_size
                && measure_key_follows(layout, key, &last->fields)));
}

/* Adds the groups in 'table' to the answer. */
static bool
add_groups(const struct measure_table *table, void *asking_)
{
    struct asking *asking = asking_;
    const struct measure_hitters_question *question = asking->question;
    struct measure_hitters_answer *answer = asking->answer;
    enum measure_layout layout = table->layout;
    bool bytes = question->sort == MEASURE_SORT_BYTES;

    answer->keys += measure_table_n_used(table);
    MEASURE_ROWS_FOR_EACH (key, table) {
        struct measure_hitters_row row;
        uint64_t group_key[MEASURE_KEY_WORDS];
        uint64_t n_packets = *measure_row_packets(key, layout);
        uint64_t n_bytes = *measure_row_bytes(key, layout);

        answer->packets += n_packets;
        answer->bytes += n_bytes;
        if (answer->n_rows == asking->max_rows
            && follows(&answer->rows[0], layout, key,
                       bytes ? n_bytes : n_packets,
                       bytes ? answer->rows[0].bytes
                       : answer->rows[0].packets)) {
            /* Most rows, of a long table, need no more than this. */
            asking->n_wanted += is_wanted(asking, layout, key, n_packets,
                                          n_bytes);
            continue;
        }
        if (!is_wanted(asking, layout, key, n_packets, n_bytes)) {
            continue;
        }
        memset(&row, 0, sizeof row);
        row.packets = row.prefix_packets = n_packets;
        row.bytes = row.prefix_bytes = n_bytes;
        measure_group_by_key(&question->group_by, layout, key, group_key);
        measure_fields_from_key(&row.fields, layout, group_key);
        judge_row(asking, layout, group_key, &row);
        if (!add_row(asking, &row)) {
            return false;
        }
    }
    return true;
}

/* Adds one prefix to the answer. */
static bool
add_prefix(const struct measure_heavy_prefix *prefix, void *asking_)
{
    struct asking *asking = asking_;
    struct measure_hitters_row row;

    memset(&row, 0, sizeof row);
    measure_fields_from_key(&row.fields, prefix->layout, prefix->key);
    row.bits = prefix->bits;
    row.packets = prefix->packets;
    row.bytes = prefix->bytes;
    row.prefix_packets = prefix->all_packets;
    row.prefix_bytes = prefix->all_bytes;
    row.packets_error_max = prefix->max_packets - prefix->packets;
    row.bytes_error_max = prefix->max_bytes - prefix->bytes;
    row.heavy = prefix->heavy;
    row.may_be_heavy = true;
    return add_row(asking, &row);
}

static bool
ask(struct asking *asking)
{
    const struct measure_hitters_question *question = asking->question;
    struct measure_hitters_answer *answer = asking->answer;

    if (question->prefixes) {
        struct measure_hierarchy_question prefixes = {
            .group_by = &question->group_by, .totals = &asking->totals,
            .threshold = &question->threshold, .sort = question->sort,
        };

        return measure_hierarchy_ask(asking->scope, &prefixes, add_prefix,
                                     asking, &answer->keys, &answer->packets,
                                     &answer->bytes);
    }
    return measure_query(asking->scope, &question->group_by, add_groups,
                         asking);
}

/* Answers 'question' about 'scope', which measure_scope_check() must allow.
 * Returns false, with no rows, if there is no memory.  In any case the caller
 * must destroy the answer. */
bool
measure_hitters_ask(const struct measure_scope *scope,
                    const struct measure_hitters_question *question,
                    struct measure_hitters_answer *answer)
{
    struct asking asking = {
        .scope = scope, .question = question, .answer = answer,
        .compare = (question->sort == MEASURE_SORT_BYTES
                    ? compare_bytes : compare_packets),
        .max_rows = (question->n
                     ? measure_min(question->n, MEASURE_ANSWER_MAX_ROWS)
                     : MEASURE_ANSWER_MAX_ROWS),
    };
    bool ok;

    memset(answer, 0, sizeof *answer);
    measure_scope_sum(scope, &asking.totals);
    asking.exact = measure_totals_exact(&asking.totals);
    answer->missed = missed_of_any(&asking.totals);
    sum_overflow(&asking);
    ok = ask(&asking);
    free(asking.overflow);
    if (!ok) {
        answer->n_rows = 0;
        return false;
    }
    if (answer->n_rows) {
        qsort(answer->rows, answer->n_rows, sizeof *answer->rows,
              asking.compare);
    }
    if (question->n != asking.max_rows) {
        answer->omitted_rows = asking.n_wanted - answer->n_rows;
        if (question->n && question->n < asking.n_wanted) {
            answer->omitted_rows = question->n - answer->n_rows;
        }
    }

    /* Prefixes are no keys. */
    answer->other_keys = (question->prefixes ? answer->keys
                          : answer->keys - answer->n_rows);
    if (scope->filter) {
        answer->other_packets = answer->packets;
        answer->other_bytes = answer->bytes;
    } else {
        answer->other_packets = asking.totals.counters.packets;
        answer->other_bytes = asking.totals.counters.bytes;
    }
    for (size_t i = 0; i < answer->n_rows; i++) {
        answer->other_packets -= answer->rows[i].packets;
        answer->other_bytes -= answer->rows[i].bytes;
    }
    answer->other_known = !asking.totals.estimates;
    return true;
}

void
measure_hitters_answer_destroy(struct measure_hitters_answer *answer)
{
    free(answer->rows);
}

static void
write_row(struct measure_output *o, const struct measure_scope *scope,
          const struct measure_hitters_question *question,
          const struct measure_totals *totals,
          const struct measure_hitters_row *row, unsigned int columns)
{
    struct measure_group_by group_by = question->group_by;
    bool exact = measure_totals_exact(totals);

    if (question->prefixes) {
        group_by.source_prefix = group_by.destination_prefix = row->bits;
    }
    measure_output_open_row(o);
    measure_key_write(o, scope, &group_by, &row->fields, columns);
    measure_output_uint(o, "packets", row->packets);
    measure_output_uint(o, "bytes", row->bytes);
    if (question->prefixes) {
        measure_output_uint(o, "prefix-packets", row->prefix_packets);
        measure_output_uint(o, "prefix-bytes", row->prefix_bytes);
    }
    if (!exact || !measure_output_is_text(o)) {
        measure_output_uint(o, "packets-error-max", row->packets_error_max);
        measure_output_uint(o, "bytes-error-max", row->bytes_error_max);
    }
    measure_output_percentage(o, "packets-percentage-of-total", row->packets,
                              totals->counters.packets);
    if (!measure_output_is_text(o)) {
        measure_output_bool(o, "heavy", row->heavy);
        measure_output_bool(o, "may-be-heavy", row->may_be_heavy);
    } else {
        measure_output_string(o, "heavy", (row->heavy ? "yes"
                                           : row->may_be_heavy ? "maybe"
                                           : "no"));
    }
    measure_output_close(o);
}

static void
write_note(struct measure_output *o,
           const struct measure_hitters_question *question)
{
    const char *sort = (question->sort == MEASURE_SORT_BYTES
                        ? "bytes" : "packets");
    char name[MEASURE_GROUP_BY_NAME_SIZE];
    char note[MEASURE_GROUP_BY_NAME_SIZE + 160];

    measure_group_by_name(&question->group_by, name);
    snprintf(note, sizeof note, "Keys by %s%s, largest %s first, heavy from "
             "%s%s.", name, question->prefixes ? "/*" : "", sort,
             question->threshold_text,
             question->prefixes ? " without the heavy prefixes in them" : "");
    measure_output_note(o, note);
}

/* Writes the members of one bridge: the epoch, its totals, and the heavy
 * hitters that 'question' asks for.  Returns false if there is no memory. */
bool
measure_hitters_write(struct measure_output *o,
                      const struct measure_scope *scope,
                      const struct measure_hitters_question *question)
{
    struct measure_hitters_answer answer;
    struct measure_totals totals;
    unsigned int columns = 0;

    if (!measure_hitters_ask(scope, question, &answer)) {
        measure_hitters_answer_destroy(&answer);
        return false;
    }
    measure_scope_sum(scope, &totals);
    measure_scope_write(o, scope, &totals);
    if (scope->filter && answer.other_known) {
        measure_output_open_line(o, "matched");
        measure_output_uint(o, "keys", answer.keys);
        measure_output_uint(o, "packets", answer.packets);
        measure_output_uint(o, "bytes", answer.bytes);
        measure_output_close(o);
    }

    write_note(o, question);
    for (size_t i = 0; i < answer.n_rows; i++) {
        columns |= measure_key_columns(&question->group_by,
                                       &answer.rows[i].fields);
    }
    measure_output_open_list(o, "heavy-hitters");
    for (size_t i = 0; i < answer.n_rows; i++) {
        write_row(o, scope, question, &totals, &answer.rows[i], columns);
    }
    measure_output_close(o);
    if (answer.omitted_rows) {
        measure_output_uint(o, "rows-omitted", answer.omitted_rows);
    }

    if (!measure_totals_exact(&totals)) {
        measure_output_open_line(o, "without-row");
        measure_output_uint(o, "packets-max", answer.missed.packets);
        measure_output_uint(o, "bytes-max", answer.missed.bytes);
        measure_output_close(o);
    }

    if (answer.other_known) {
        measure_output_open_line(o, "other");
        if (!question->prefixes) {
            measure_output_uint(o, "keys", answer.other_keys);
        }
        measure_output_uint(o, "packets", answer.other_packets);
        measure_output_uint(o, "bytes", answer.other_bytes);
        measure_output_close(o);
    }

    measure_hitters_answer_destroy(&answer);
    return true;
}

/* The class of the question. */

static bool
parse_by(const char *value, struct measure_arguments *args)
{
    struct measure_hitters_question question;

    measure_argument_keep(&args->by, value);
    return measure_hitters_parse_by(value, &question);
}

static const struct measure_argument by = {
    "by=", "by=flow|by=pair|by=source|by=destination|by=source-port|"
    "by=destination-port|by=protocol|by=port|by=vlan|by=tunnel|by=source/N|"
    "by=destination/N|by=source/*|by=destination/*",
    "by=" MEASURE_GROUP_BY_VALID "; or source/* or destination/*", parse_by
};

static const struct measure_argument *const arguments[] = {
    &by, &measure_argument_where, &measure_argument_epoch,
    &measure_argument_last, &measure_argument_pmd, &measure_argument_sort,
    &measure_argument_n, &measure_argument_format, NULL
};

static void
get_question(const struct measure_asked *asked,
             struct measure_hitters_question *question)
{
    const struct measure_arguments *args = asked->args;

    *question = (struct measure_hitters_question) {
        .sort = (args->sort_by_bytes
                 ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS),
        .heavy_only = !args->n_given,
        .n = args->n,
        .threshold = asked->config->heavy_hitter,
        .threshold_text = asked->config->heavy_hitter_text,
    };
    if (args->by) {
        measure_hitters_parse_by(args->by, question);
    } else {
        measure_group_by_of_kind(&question->group_by,
                                 asked->scope->reports[0]->key_kind);
    }
}

static void
class_group(const struct measure_asked *asked,
            struct measure_group_by *group_by)
{
    struct measure_hitters_question question;

    get_question(asked, &question);
    *group_by = question.group_by;
}

static const char *
class_needs_complete(const struct measure_asked *asked)
{
    struct measure_hitters_question question;

    get_question(asked, &question);
    return (!question.prefixes ? NULL
            : question.group_by.fields == MEASURE_FIELD_SOURCE
            ? "by=source/*" : "by=destination/*");
}

static bool
class_write(struct measure_output *o, const struct measure_asked *asked)
{
    struct measure_hitters_question question;

    get_question(asked, &question);
    return measure_hitters_write(o, asked->scope, &question);
}

const struct measure_question_class measure_question_heavy_hitters = {
    .name = "heavy-hitters",
    .arguments = arguments,
    .group = class_group,
    .needs_complete = class_needs_complete,
    .write = class_write,
};
