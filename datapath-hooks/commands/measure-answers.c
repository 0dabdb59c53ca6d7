/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands measure/... answer about one bridge. */

#include <config.h>

#include "measure-answers.h"

#include "dpdk.h"
#include "openvswitch/dynamic-string.h"
#include "questions/measure-distribution.h"
#include "util.h"

/* Returns 'error', which it frees, with the name of the bridge. */
char *
measure_subject_error(const struct measure_subject *subject, char *error)
{
    char *message = xasprintf("%s: %s", subject->name, error);

    free(error);
    return message;
}

/* Returns a message that no report is what 'args' ask for. */
static char *
no_such_epoch(const struct measure_subject *subject,
              const struct measure_arguments *args)
{
    const struct measure_history *history = &subject->monitor->history;
    const struct kept_report *oldest
        = CONTAINER_OF(ovs_list_front(&history->reports), struct kept_report,
                       node);

    return xasprintf("%s: epoch=%s%"PRIu64": no report of that epoch is kept; "
                     "valid is %"PRIu64" to %"PRIu64", or -1 to -%"PRIuSIZE,
                     subject->name, args->epoch_from_end ? "-" : "",
                     args->epoch, oldest->report->number,
                     measure_history_newest(history)->report->number,
                     history->n);
}

/* Returns the first of the kept reports that 'args' ask for, with the last in
 * '*last'; NULL if there is none. */
static struct kept_report *
find_reports(const struct measure_history *history,
             const struct measure_arguments *args, struct kept_report **last)
{
    struct kept_report *first = measure_history_newest(history);
    struct kept_report *kept;

    *last = first;
    if (args->epoch_given) {
        uint64_t newest = first->report->number;
        uint64_t number = (!args->epoch_from_end ? args->epoch
                           : args->epoch <= newest ? newest - args->epoch + 1
                           : 0);

        first = *last = measure_history_find(history, number);
    } else if (args->last_given) {
        int64_t end = first->report->start_ms + first->report->duration_ms;

        LIST_FOR_EACH_REVERSE (kept, node, &history->reports) {
            if (kept->report->key_kind != first->report->key_kind
                || kept->report->start_ms + (int64_t) args->last_ms < end) {
                break;
            }
            first = kept;
        }
    }
    return first;
}

static bool
has_thread(const struct measure_subject *subject, unsigned int core)
{
    for (size_t i = 0; i < subject->n_reports; i++) {
        const struct measure_report *report = subject->plain_reports[i];

        for (size_t j = 0; j < report->n_threads; j++) {
            if (report->threads[j].core == core) {
                return true;
            }
        }
    }
    return false;
}

static char *
no_such_core(const struct measure_subject *subject, unsigned int core)
{
    const struct measure_report *report
        = subject->plain_reports[subject->n_reports - 1];
    struct ds valid = DS_EMPTY_INITIALIZER;
    char *error;

    for (size_t i = 0; i < report->n_threads; i++) {
        if (report->threads[i].core != NON_PMD_CORE_ID) {
            ds_put_format(&valid, "%s%u", valid.length ? ", " : "",
                          report->threads[i].core);
        }
    }
    error = xasprintf("%s: pmd=%u: no PMD thread on this core has counted; "
                      "valid is %s", subject->name, core,
                      valid.length ? ds_cstr(&valid) : "none");
    ds_destroy(&valid);
    return error;
}

/* Chooses the reports, threads and rows that 'args' ask for, and takes
 * references to the reports.  Returns NULL or an error message. */
char *
measure_subject_choose_reports(struct measure_subject *subject,
                               const struct measure_arguments *args)
{
    const struct measure_history *history = &subject->monitor->history;
    struct measure_scope *scope = &subject->scope;
    struct kept_report *kept, *last;

    if (args->where) {
        char *error = measure_filter_parse(args->where,
                                           &subject->monitor->ports,
                                           &subject->filter);
        if (error) {
            return measure_subject_error(subject, error);
        }
        scope->filter = &subject->filter;
    }
    if (!history->n) {
        return NULL;
    }

    kept = find_reports(history, args, &last);
    if (!kept) {
        return no_such_epoch(subject, args);
    }
    subject->reports = xmalloc(history->n * sizeof *subject->reports);
    subject->plain_reports = xmalloc(history->n
                                     * sizeof *subject->plain_reports);
    for (;;) {
        subject->plain_reports[subject->n_reports] = kept->report;
        subject->reports[subject->n_reports++]
            = measure_kept_report_ref(kept);
        if (kept == last) {
            break;
        }
        kept = CONTAINER_OF(kept->node.next, struct kept_report, node);
    }

    scope->reports = subject->plain_reports;
    scope->n_reports = subject->n_reports;
    scope->one_core = args->pmd_given;
    scope->core = args->pmd;
    scope->ports = &subject->monitor->ports;
    if (args->pmd_given && !has_thread(subject, args->pmd)) {
        return no_such_core(subject, args->pmd);
    }
    return NULL;
}

/* Returns a message if the scope of 'subject' cannot be grouped by
 * 'group_by'. */
static char *
check_scope(const struct measure_subject *subject,
            const struct measure_group_by *group_by)
{
    char *error = measure_scope_check(&subject->scope, group_by);

    return error ? measure_subject_error(subject, error) : NULL;
}

/* Returns a message if the scope of 'subject' does not have every key, which
 * 'question' needs. */
static char *
check_complete(const struct measure_subject *subject, const char *question)
{
    char *error = measure_scope_check_complete(&subject->scope, question);

    return error ? measure_subject_error(subject, error) : NULL;
}

static char *
no_memory(const struct measure_subject *subject)
{
    return xasprintf("%s: no memory for the answer within measure-memory-mb="
                     "%"PRIu32": raise it, or ask for fewer epochs",
                     subject->name, subject->config.memory_mb);
}

/* Returns true if 'subject' has a report, else says that there is none. */
static bool
has_report(struct measure_output *o, const struct measure_subject *subject)
{
    if (!subject->n_reports) {
        measure_output_note(o, "No epoch has been closed yet.");
    }
    return subject->n_reports > 0;
}

char *
measure_write_heavy_hitters(struct measure_output *o,
                            const struct measure_subject *subject,
                            const struct measure_arguments *args)
{
    struct measure_hitters_question question = args->hitters;
    char *error;

    if (!has_report(o, subject)) {
        return NULL;
    }
    if (!args->by_given) {
        measure_group_by_of_kind(&question.group_by,
                                 subject->plain_reports[0]->key_kind);
    }
    question.heavy_only = !args->n_given;
    question.n = args->n;
    question.threshold = subject->config.heavy_hitter;
    question.threshold_text = subject->config.heavy_hitter_text;

    error = check_scope(subject, &question.group_by);
    if (!error && question.prefixes) {
        bool by_source = question.group_by.fields == MEASURE_FIELD_SOURCE;

        error = check_complete(subject, (by_source ? "by=source/*"
                                         : "by=destination/*"));
    }
    if (!error && !measure_hitters_write(o, &subject->scope, &question)) {
        error = no_memory(subject);
    }
    return error;
}

char *
measure_write_superspreaders(struct measure_output *o,
                             const struct measure_subject *subject,
                             const struct measure_arguments *args)
{
    struct measure_superspreaders_question question = {
        .by = args->spreaders_by,
        .min = args->min_given ? args->min : subject->config.superspreader,
        .n = args->n,
        .exclude = &subject->config.superspreader_exclude,
    };
    struct measure_group_by group_by;
    char *error;

    if (!has_report(o, subject)) {
        return NULL;
    }
    measure_superspreaders_group(question.by, &group_by);
    error = check_complete(subject, "measure/superspreaders");
    if (!error) {
        error = check_scope(subject, &group_by);
    }
    if (!error && !measure_superspreaders_write(o, &subject->scope,
                                                &question)) {
        error = no_memory(subject);
    }
    return error;
}

char *
measure_write_distribution(struct measure_output *o,
                           const struct measure_subject *subject,
                           const struct measure_arguments *args OVS_UNUSED)
{
    struct measure_group_by group_by;
    char *error;

    if (!has_report(o, subject)) {
        return NULL;
    }
    measure_distribution_group(&subject->scope, &group_by);
    error = check_complete(subject, "measure/distribution");
    if (!error) {
        error = check_scope(subject, &group_by);
    }
    if (!error && !measure_distribution_write(o, &subject->scope)) {
        error = no_memory(subject);
    }
    return error;
}

static void
write_epoch(struct measure_output *o, uint64_t number, int64_t start_ms,
            uint64_t duration_ms)
{
    measure_output_open_line(o, "epoch");
    measure_output_uint(o, "number", number);
    measure_output_time_ms(o, "start-ms", start_ms);
    measure_output_uint(o, "duration-ms", duration_ms);
    measure_output_close(o);
}

/* Writes into the open row the fields of a key of kind 'key_kind'. */
static void
write_key(struct measure_output *o, enum measure_key_kind key_kind,
          const struct measure_fields *fields)
{
    struct measure_key_field key[MEASURE_KEY_FIELDS];
    size_t n = measure_key_fields(key_kind, fields, key);

    for (size_t i = 0; i < n; i++) {
        if (key[i].is_number) {
            measure_output_uint(o, key[i].name, key[i].number);
        } else {
            measure_output_string(o, key[i].name, key[i].text);
        }
    }
}

char *
measure_write_changes(struct measure_output *o,
                      const struct measure_subject *subject,
                      const struct measure_arguments *args)
{
    const struct measure_changes *changes = subject->changes;
    uint64_t n = args->n_given ? args->n : MEASURE_DEFAULT_ROWS;
    char *note;

    if (!changes) {
        measure_output_note(o, "No epoch has been closed yet.");
        return NULL;
    }
    n = MIN(n ? n : UINT64_MAX, changes->n);
    if (changes->incomplete) {
        return measure_subject_error(subject, xstrdup(changes->incomplete));
    }

    write_epoch(o, changes->epoch, changes->start_ms, changes->duration_ms);
    measure_output_bool(o, "exact", changes->exact);
    if (changes->by_missing || changes->no_memory) {
        if (!measure_output_is_text(o)) {
            measure_output_string(o, "skipped",
                                  (changes->by_missing ? "key-missing"
                                   : "no-memory"));
        }
    } else if (!changes->exact) {
        measure_output_string(o, "estimate", "lower-bound");
        if (changes->overflow_packets) {
            measure_output_open_line(o, "overflow");
            measure_output_uint(o, "packets", changes->overflow_packets);
            measure_output_uint(o, "bytes", changes->overflow_bytes);
            measure_output_close(o);
        }
        measure_output_note(o, "Counts or what is expected may be too low by "
                            "up to their error: only changes that are "
                            "certain are listed.");
    }
    measure_output_string(o, "key", measure_kind_name(changes->key_kind));
    measure_output_uint(o, "warmup-epochs-left", changes->warmup_left);
    measure_output_uint(o, "expected-keys", changes->keys);
    if (changes->by_missing) {
        note = xasprintf("No changes: measure-change-key=%s needs more than "
                         "the epoch counted.",
                         measure_kind_name(changes->key_kind));
        measure_output_note(o, note);
        free(note);
    } else if (changes->no_memory) {
        measure_output_note(o, "No changes: no memory to look for them. The "
                            "epoch is skipped.");
    }
    if (changes->refused_keys) {
        note = xasprintf("For %"PRIu64" flows there was no memory to expect "
                         "anything: their changes are not seen.",
                         changes->refused_keys);
        measure_output_note(o, note);
        free(note);
    }
    if (!measure_output_is_text(o)) {
        measure_output_uint(o, "refused", changes->refused_keys);
    }

    measure_output_open_list(o, "changes");
    for (uint64_t i = 0; i < n; i++) {
        const struct measure_listed_change *row = &changes->rows[i];

        measure_output_open_row(o);
        write_key(o, changes->key_kind, &row->fields);
        measure_output_string(o, "change",
                              measure_change_kind_name(row->kind));
        measure_output_uint(o, "packets", row->packets);
        measure_output_decimal(o, "packets-expected", row->expectation);
        measure_output_decimal(o, "packets-deviation", row->deviation);
        if (!changes->exact || !measure_output_is_text(o)) {
            measure_output_uint(o, "packets-error-max", row->packets_error);
            measure_output_decimal(o, "packets-expected-error-max",
                                   row->expectation_error);
        }
        measure_output_close(o);
    }
    measure_output_close(o);
    measure_output_open_line(o, "other");
    measure_output_uint(o, "changes", changes->n - n + changes->not_listed);
    measure_output_close(o);
    return NULL;
}

char *
measure_write_alerts(struct measure_output *o,
                     const struct measure_subject *subject,
                     const struct measure_arguments *args)
{
    uint64_t n = args->n_given ? args->n : MEASURE_DEFAULT_ROWS;

    ovs_mutex_lock(&measure_mutex);
    measure_alerts_write(o, &subject->monitor->findings.alerts, args->since,
                         n);
    ovs_mutex_unlock(&measure_mutex);
    return NULL;
}

