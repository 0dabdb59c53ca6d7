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

#include "measure-answer.h"

#include "util.h"

/* Takes references to the reports that 'args' ask for.  Returns NULL or an
 * error message. */
char *
measure_subject_choose_reports(struct measure_subject *subject,
                               const struct measure_arguments *args OVS_UNUSED)
{
    const struct measure_history *history = &subject->monitor->history;

    if (history->n) {
        subject->reports = xmalloc(sizeof *subject->reports);
        subject->reports[subject->n_reports++]
            = measure_kept_report_ref(measure_history_newest(history));
    }
    return NULL;
}

char *
measure_write_heavy_hitters(struct measure_output *o,
                            const struct measure_subject *subject,
                            const struct measure_arguments *args)
{
    const struct measure_report *report;

    if (!subject->n_reports) {
        measure_output_note(o, "No epoch has been closed yet.");
        return NULL;
    }
    report = subject->reports[0]->report;

    struct measure_question question = {
        .by = args->by_given ? args->by : report->by,
        .sort = args->sort,
        .heavy_only = !args->n_given,
        .n = args->n,
        .threshold = subject->config.heavy_hitter,
    };

    if (!measure_by_derives(report->by, question.by)) {
        return xasprintf("%s: by=%s needs more than epoch %"PRIu64" counted: "
                         "it ran with measure-key=%s", subject->name,
                         measure_by_name(question.by), report->number,
                         measure_by_name(report->by));
    }
    if (!measure_report_write(o, report, &question,
                              subject->config.heavy_hitter_text)) {
        return xasprintf("%s: no memory for the answer", subject->name);
    }
    return NULL;
}

void
measure_write_epoch(struct measure_output *o, uint64_t number,
                    int64_t start_ms, uint64_t duration_ms)
{
    measure_output_open_line(o, "epoch");
    measure_output_uint(o, "number", number);
    measure_output_time_ms(o, "start-ms", start_ms);
    measure_output_uint(o, "duration-ms", duration_ms);
    measure_output_close(o);
}

/* Writes into the open row the fields of a key of kind 'by'. */
static void
write_key(struct measure_output *o, enum measure_by by,
          const struct measure_fields *fields)
{
    struct measure_key_field key[MEASURE_KEY_FIELDS];
    size_t n = measure_key_fields(by, fields, key);

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

    measure_write_epoch(o, changes->epoch, changes->start_ms,
                        changes->duration_ms);
    measure_output_string(o, "key", measure_by_name(changes->by));
    measure_output_uint(o, "warmup-epochs-left", changes->warmup_left);
    measure_output_uint(o, "expected-keys", changes->keys);
    if (changes->by_missing) {
        note = xasprintf("No changes: measure-change-key=%s needs more than "
                         "the epoch counted.", measure_by_name(changes->by));
        measure_output_note(o, note);
        free(note);
    } else if (changes->no_memory) {
        measure_output_note(o, "No changes: no memory for expectations.");
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
        write_key(o, changes->by, &row->fields);
        measure_output_string(o, "change",
                              measure_change_kind_name(row->kind));
        measure_output_uint(o, "packets", row->packets);
        measure_output_decimal(o, "packets-expected", row->expectation);
        measure_output_decimal(o, "packets-deviation", row->deviation);
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
    measure_alerts_write(o, &subject->monitor->tasks.alerts, args->since, n);
    ovs_mutex_unlock(&measure_mutex);
    return NULL;
}

