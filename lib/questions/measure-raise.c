/* SPDX-License-Identifier: Apache-2.0 */
/* Raises alerts of what a report has above the thresholds. */

#include <config.h>

#include "questions/measure-raise.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-threshold.h"

static struct measure_alert *
new_alert(struct measure_raised *raised,
          const struct measure_report *report, const char *task,
          const char *unit, uint64_t value, uint64_t threshold)
{
    struct measure_alert *alert;

    if (raised->n == raised->allocated) {
        raised->allocated = raised->allocated * 2 + 16;
        raised->alerts = measure_xrealloc(
            raised->alerts, raised->allocated * sizeof *raised->alerts);
    }
    alert = &raised->alerts[raised->n++];
    memset(alert, 0, sizeof *alert);
    alert->task = task;
    alert->epoch = report->number;
    alert->time_ms = report->start_ms + report->duration_ms;
    alert->unit = unit;
    alert->value = value;
    alert->threshold = threshold;
    return alert;
}

static void
set_key(struct measure_alert *alert, enum measure_key_kind key_kind,
        const struct measure_fields *fields)
{
    struct measure_key_field key[MEASURE_KEY_FIELDS];
    size_t n = measure_key_fields(key_kind, fields, key);

    for (size_t i = 0; i < n; i++) {
        if (key[i].is_number) {
            measure_alert_number(alert, key[i].name, key[i].number);
        } else {
            measure_alert_field(alert, key[i].name, key[i].text);
        }
    }
}

static int
compare_fields(const void *a, const void *b)
{
    return measure_fields_compare(a, b);
}

static bool
is_known(const struct measure_known *known, const struct measure_fields *key)
{
    return known->n && bsearch(key, known->keys, known->n, sizeof *key,
                               compare_fields);
}

/* Makes the 'n' 'keys' (which it takes) those that are known. */
static void
set_known(struct measure_known *known, struct measure_fields *keys, size_t n)
{
    if (n) {
        qsort(keys, n, sizeof *keys, compare_fields);
    }
    free(known->keys);
    known->keys = keys;
    known->n = n;
}

static struct measure_fields *
new_keys(size_t n)
{
    return measure_xzalloc(n * sizeof(struct measure_fields));
}

/* Returns true if 'key' deserves an alert: it has none yet, and less than
 * MEASURE_RAISED_ALERTS of this task, of which there are '*n', had one in this
 * epoch. */
static bool
may_alert(struct measure_raised *raised, const struct measure_known *known,
          const struct measure_fields *key, size_t *n)
{
    if (is_known(known, key)) {
        return false;
    }
    if (*n >= MEASURE_RAISED_ALERTS) {
        raised->not_listed++;
        return false;
    }
    ++*n;
    return true;
}

/* The keys that are known, and those that will be in the next epoch. */
struct remembering {
    struct measure_known *known;
    struct measure_known listed;    /* Looked at in this epoch. */
    struct measure_fields *keys;
    size_t n;
};

static struct remembering
remembering_begin(struct measure_known *known, size_t n_listed)
{
    return (struct remembering) {
        .known = known,
        .listed = { .keys = new_keys(n_listed) },
        .keys = new_keys(n_listed + known->n),
    };
}

/* Notes whether 'key' certainly is what it makes an alert for, or may be. */
static void
remember(struct remembering *r, const struct measure_fields *key, bool certain,
         bool possible)
{
    r->listed.keys[r->listed.n++] = *key;
    if (certain || (possible && is_known(r->known, key))) {
        r->keys[r->n++] = *key;
    }
}

/* 'may_be' says which of the keys that were known before, but were not seen in
 * this epoch, may still be what they were. */
static void
remembering_end(struct remembering *r,
                bool (*may_be)(const struct measure_fields *, void *aux),
                void *aux)
{
    if (r->listed.n) {
        qsort(r->listed.keys, r->listed.n, sizeof *r->listed.keys,
              compare_fields);
    }
    for (size_t i = 0; i < r->known->n && r->n < MEASURE_RAISED_KEYS; i++) {
        const struct measure_fields *key = &r->known->keys[i];

        if (!is_known(&r->listed, key) && may_be(key, aux)) {
            r->keys[r->n++] = *key;
        }
    }
    free(r->listed.keys);
    set_known(r->known, r->keys, r->n);
}

/* Heavy hitters. */

struct hitters_task {
    const struct measure_report *report;
    const struct measure_config *config;
    struct measure_totals totals;

    /* What a key that is not in the answer can have, save what overflowed. */
    uint64_t hidden_packets;
    uint64_t hidden_bytes;
};

static bool
is_heavy(const struct hitters_task *task, uint64_t packets, uint64_t bytes)
{
    return measure_is_heavy(&task->totals, &task->config->heavy_hitter,
                            MEASURE_SORT_PACKETS, packets, bytes);
}

/* Adds 'b' to '*a', which may be all that there is. */
static void
add_up(uint64_t *a, uint64_t b)
{
    *a = *a > UINT64_MAX - b ? UINT64_MAX : *a + b;
}

/* Returns true if 'key', which is not in the answer, may be heavy. */
static bool
may_be_heavy(const struct measure_fields *key, void *task_)
{
    const struct hitters_task *task = task_;
    const struct measure_report *report = task->report;
    uint64_t packets = task->hidden_packets, bytes = task->hidden_bytes;
    uint64_t missed_packets = 0, missed_bytes = 0;
    uint64_t words[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_key_from_fields(words, key);

    measure_report_add_missed(report, layout, words, &missed_packets,
                              &missed_bytes);
    add_up(&packets, missed_packets);
    add_up(&bytes, missed_bytes);
    return packets && is_heavy(task, packets, bytes);
}

/* Raises alerts of the heavy hitters of the one report in 'scope'.  Returns
 * false if there is no memory. */
bool
measure_raise_heavy_hitters(struct measure_raised *raised,
                            struct measure_known *known,
                            const struct measure_scope *scope,
                            const struct measure_config *config)
{
    const struct measure_report *report = scope->reports[0];
    const struct measure_threshold *threshold = &config->heavy_hitter;
    struct measure_hitters_question question = {
        .sort = (threshold->unit == MEASURE_BITS_PER_SECOND
                 ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS),
        .heavy_only = true,
        .n = MEASURE_RAISED_KEYS,
        .threshold = *threshold,
        .threshold_text = config->heavy_hitter_text,
    };
    bool bytes = threshold->unit == MEASURE_BITS_PER_SECOND;
    double limit = (threshold->unit == MEASURE_SHARE
                    ? threshold->value * report->counters.packets / 100
                    : threshold->value * report->duration_ms / 1000
                      / (bytes ? 8 : 1));
    struct hitters_task task = { .report = report, .config = config };
    struct measure_hitters_answer answer;
    bool ok;

    measure_scope_sum(scope, &task.totals);
    measure_group_by_of_kind(&question.group_by, report->key_kind);
    ok = measure_hitters_ask(scope, &question, &answer);
    if (ok) {
        struct remembering r = remembering_begin(known, answer.n_rows);
        size_t n = 0;

        for (size_t i = 0; i < answer.n_rows; i++) {
            const struct measure_hitters_row *row = &answer.rows[i];

            if (row->heavy && may_alert(raised, known, &row->fields, &n)) {
                struct measure_alert *alert
                    = new_alert(raised, report, "heavy-hitter",
                                bytes ? "bytes" : "packets",
                                bytes ? row->bytes : row->packets,
                                ceil(limit));

                snprintf(alert->rule, sizeof alert->rule,
                         "at or above measure-heavy-hitter=%s",
                         config->heavy_hitter_text);
                alert->estimate = measure_totals_estimate(&task.totals);
                alert->error_max = (bytes ? row->bytes_error_max
                                    : row->packets_error_max);
                alert->error_probability = task.totals.error_probability;
                set_key(alert, report->key_kind, &row->fields);
            }
            remember(&r, &row->fields, row->heavy, row->may_be_heavy);
        }
        if (answer.n_rows == MEASURE_RAISED_KEYS) {
            const struct measure_hitters_row *last
                = &answer.rows[answer.n_rows - 1];

            task.hidden_packets = last->packets;
            task.hidden_bytes = last->bytes;
        }
        if (!report->complete) {
            add_up(&task.hidden_packets, report->missed.packets);
            add_up(&task.hidden_bytes, report->missed.bytes);
        }
        remembering_end(&r, may_be_heavy, &task);
    }
    measure_hitters_answer_destroy(&answer);
    return ok;
}

/* Superspreaders. */

static bool
may_be_spreader(const struct measure_fields *key, void *any)
{
    (void) key;
    return *(bool *) any;
}

/* Raises alerts of the superspreaders of the one report in 'scope': sources,
 * or destinations, as 'by' says.  Returns false if there is no memory. */
bool
measure_raise_superspreaders(struct measure_raised *raised,
                             struct measure_known *known,
                             const struct measure_scope *scope,
                             const struct measure_config *config,
                             enum measure_superspreaders_by by)
{
    bool sources = by == MEASURE_SUPERSPREADERS_BY_SOURCE;
    const struct measure_report *report = scope->reports[0];
    uint64_t missed = report->counters.overflow_packets;
    uint64_t min = config->superspreader;
    bool any = missed >= min;   /* Any key may be one. */
    struct measure_superspreaders_question question = {
        .by = by,
        .min = any ? min : min - missed,
        .n = MEASURE_RAISED_KEYS,
        .exclude = &config->superspreader_exclude,
    };
    struct measure_superspreaders_answer answer;
    bool ok;

    /* Coarser keys than pairs do not tell, nor do some of the keys. */
    if (!report->complete
        || !measure_kind_derives(report->key_kind, MEASURE_KIND_PAIR)) {
        set_known(known, NULL, 0);
        return true;
    }
    ok = measure_superspreaders_ask(scope, &question, &answer);
    if (ok) {
        struct remembering r = remembering_begin(known, answer.n_rows);
        size_t n = 0;

        for (size_t i = 0; i < answer.n_rows; i++) {
            const struct measure_superspreaders_row *row = &answer.rows[i];
            bool certain = row->spread >= min;

            if (certain && may_alert(raised, known, &row->fields, &n)) {
                struct measure_alert *alert
                    = new_alert(raised, report, "superspreader",
                                sources ? "destinations" : "sources",
                                row->spread, min);

                snprintf(alert->rule, sizeof alert->rule,
                         "at or above measure-superspreader=%"PRIu64, min);
                if (answer.error_max) {
                    alert->estimate = "lower-bound";
                    alert->error_max = answer.error_max;
                }
                set_key(alert, (sources ? MEASURE_KIND_SOURCE
                                : MEASURE_KIND_DESTINATION), &row->fields);
            }
            remember(&r, &row->fields, certain, true);
        }
        any |= missed && answer.omitted_rows;
        remembering_end(&r, may_be_spreader, &any);
    }
    measure_superspreaders_answer_destroy(&answer);
    return ok;
}

/* Changes. */

/* Raises alerts of 'changes', those of 'report'. */
void
measure_raise_changes(struct measure_raised *raised,
                      const struct measure_changes *changes,
                      const struct measure_report *report,
                      const struct measure_config *config)
{
    for (size_t i = 0; i < changes->n; i++) {
        const struct measure_listed_change *row = &changes->rows[i];
        struct measure_alert *alert;

        if (i >= MEASURE_RAISED_ALERTS) {
            raised->not_listed += changes->n - i;
            break;
        }
        bool grew = row->packets > row->expectation;
        double most = row->expectation + row->expectation_error;
        char expected[64];

        snprintf(expected, sizeof expected,
                 row->expectation_error ? "%.1f to %.1f" : "%.1f",
                 row->expectation, most);
        alert = new_alert(raised, report, "change", "packets", row->packets,
                          llround(grew ? most : row->expectation));
        snprintf(alert->rule, sizeof alert->rule,
                 "%s: expected %s with a deviation of %.1f; by "
                 "measure-change-factor=%g, -deviations=%g, -floor=%.0f",
                 measure_change_kind_name(row->kind), expected,
                 row->deviation, config->change_factor,
                 config->change_deviations, config->change_floor);
        if (row->packets_error || row->expectation_error) {
            alert->estimate = "lower-bound";
            alert->error_max = row->packets_error;
        }
        set_key(alert, changes->key_kind, &row->fields);
    }
    raised->not_listed += changes->not_listed;
}
