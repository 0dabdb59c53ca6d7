/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands measure/... answer about one bridge. */

#include <config.h>

#include "measure-answers.h"

#include "dpdk.h"
#include "openvswitch/dynamic-string.h"
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
            char *text = xasprintf("where=%s", error);

            free(error);
            return measure_subject_error(subject, text);
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

/* Writes the answer to the question of 'request'. */
char *
measure_write_question(struct measure_output *o,
                       const struct measure_subject *subject,
                       const struct measure_request *request)
{
    const struct measure_asked asked = {
        .scope = &subject->scope,
        .args = &request->args,
        .config = &subject->config,
    };
    char *error = measure_question_write(request->question, o, &asked);

    return error ? measure_subject_error(subject, error) : NULL;
}

char *
measure_write_changes(struct measure_output *o,
                      const struct measure_subject *subject,
                      const struct measure_request *request)
{
    const struct measure_arguments *args = &request->args;
    const struct measure_changes *changes = subject->changes;

    if (!changes) {
        measure_output_note(o, "No epoch has been closed yet.");
        return NULL;
    }
    if (changes->incomplete) {
        return measure_subject_error(subject, xstrdup(changes->incomplete));
    }
    measure_changes_write(o, changes, (args->n_given ? args->n
                                       : MEASURE_DEFAULT_ROWS));
    return NULL;
}

char *
measure_write_alerts(struct measure_output *o,
                     const struct measure_subject *subject,
                     const struct measure_request *request)
{
    const struct measure_arguments *args = &request->args;
    uint64_t n = args->n_given ? args->n : MEASURE_DEFAULT_ROWS;

    ovs_mutex_lock(&measure_mutex);
    measure_alerts_write(o, &subject->monitor->findings.alerts, args->since,
                         n);
    ovs_mutex_unlock(&measure_mutex);
    return NULL;
}

