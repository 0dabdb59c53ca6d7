/* SPDX-License-Identifier: Apache-2.0 */
/* What a question is about: reports, a thread, a filter. */

#include <config.h>

#include "questions/measure-scope.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "report/measure-report-estimates.h"

/* Moves 'c' to the next thread in 'scope'.  Returns false if there is
 * none. */
bool
measure_scope_next_thread(const struct measure_scope *scope,
                          struct measure_scope_thread *c)
{
    for (; c->report < scope->n_reports; c->report++, c->thread = 0) {
        const struct measure_report *report = scope->reports[c->report];

        c->of = report;
        if (!scope->one_core) {
            if (!c->thread++) {
                c->counters = &report->counters;
                c->tables = report->tables;
                return true;
            }
            continue;
        }
        while (c->thread < report->n_threads) {
            const struct measure_report_thread *thread
                = &report->threads[c->thread++];

            if (thread->core == scope->core) {
                c->of = thread->report ? thread->report : report;
                c->counters = &thread->counters;
                c->tables = (thread->report || report->n_threads == 1
                             ? c->of->tables : thread->tables);
                return true;
            }
        }
    }
    return false;
}

/* Sums up 'scope', whatever its filter. */
void
measure_scope_sum(const struct measure_scope *scope,
                  struct measure_totals *totals)
{
    memset(totals, 0, sizeof *totals);
    totals->complete = true;
    for (size_t i = 0; i < scope->n_reports; i++) {
        const struct measure_report *report = scope->reports[i];

        totals->duration_ms += report->duration_ms;
        totals->structure = report->structure;
        totals->complete &= report->complete;
    }
    if (scope->n_reports) {
        totals->first_number = scope->reports[0]->number;
        totals->start_ms = scope->reports[0]->start_ms;
        totals->number = scope->reports[scope->n_reports - 1]->number;
    }
    MEASURE_SCOPE_FOR_EACH_THREAD (thread, scope) {
        measure_counters_add(&totals->counters, thread.counters);
        totals->n_threads++;
        totals->n_lost += thread.of->n_lost;
        if (thread.of->estimates) {
            /* Then it is alone: measure_scope_check(). */
            totals->estimates = true;
            totals->error_probability = thread.of->error_probability;
            totals->missed = thread.of->missed;
        }
    }
}

/* Returns true if every count in what 'totals' are of is exact. */
bool
measure_totals_exact(const struct measure_totals *totals)
{
    return !totals->counters.overflow_packets && !totals->estimates;
}

/* Returns what counts are if not exact, or NULL if they are. */
const char *
measure_totals_estimate(const struct measure_totals *totals)
{
    bool overflow = totals->counters.overflow_packets;

    return (!totals->estimates ? overflow ? "lower-bound" : NULL
            : overflow ? "either" : "upper-bound");
}

/* Returns the number of rows in 'scope', whatever its filter, or 'max' if
 * there are more. */
uint64_t
measure_scope_rows(const struct measure_scope *scope, uint64_t max)
{
    uint64_t n = 0;

    MEASURE_SCOPE_FOR_EACH_THREAD (thread, scope) {
        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            n += measure_table_n_used(&thread.tables[layout]);
        }
    }
    return measure_min(n, max);
}

/* Returns why an answer that takes every key cannot be made of 'report'. */
static char *
incomplete(const struct measure_report *report, const char *question,
           const char *valid)
{
    return measure_format("%s needs every key, and epoch %"PRIu64" ran with "
                          "measure-structure=%s, which has only the largest: "
                          "valid is %s", question, report->number,
                          measure_structure_name(report->structure), valid);
}

/* Returns NULL if all reports in 'scope' have every key, else an error
 * message that 'question' cannot be answered, which the caller must free(). */
char *
measure_scope_check_complete(const struct measure_scope *scope,
                             const char *question)
{
    for (size_t i = 0; i < scope->n_reports; i++) {
        if (!scope->reports[i]->complete) {
            return incomplete(scope->reports[i], question,
                              "an epoch that ran with measure-structure="
                              "linear-table or cuckoo-table");
        }
    }
    return NULL;
}

/* The same for 'group_by', of which the report must have rows. */
static char *
check_rows(const struct measure_scope *scope,
           const struct measure_report *report,
           const struct measure_group_by *group_by)
{
    char name[MEASURE_GROUP_BY_NAME_SIZE + 4];
    char valid[MEASURE_GROUP_BY_NAME_SIZE];

    if (report->complete) {
        return NULL;
    }
    if (scope->n_reports > 1) {
        return incomplete(report, "last", "epoch=NUMBER");
    }
    if (!measure_group_by_is_kind(group_by, report->key_kind)) {
        strcpy(name, "by=");
        measure_group_by_name(group_by, name + 3);
        snprintf(valid, sizeof valid, "by=%s",
                 measure_kind_name(report->key_kind));
        return incomplete(report, name, valid);
    }
    if (scope->filter && scope->filter->fields & MEASURE_FIELD_PORT) {
        return incomplete(report, "where=port",
                          "a condition on the address, protocol, VLAN or "
                          "tunnel of the key");
    }
    return NULL;
}

/* Adds to '*packets_error' and '*bytes_error' by how much the count of 'key'
 * is too high at most, in 'scope', which has rows of such keys. */
void
measure_scope_add_error(const struct measure_scope *scope,
                        enum measure_layout layout, const uint64_t *key,
                        uint64_t *packets_error, uint64_t *bytes_error)
{
    MEASURE_SCOPE_FOR_EACH_THREAD (thread, scope) {
        measure_report_add_error(thread.of, layout, key, packets_error,
                                 bytes_error);
    }
}

/* Returns NULL if 'scope' can be asked for 'group_by', else an error message,
 * which the caller must free(). */
char *
measure_scope_check(const struct measure_scope *scope,
                    const struct measure_group_by *group_by)
{
    char name[MEASURE_GROUP_BY_NAME_SIZE];

    for (size_t i = 0; i < scope->n_reports; i++) {
        const struct measure_report *report = scope->reports[i];
        bool group_derives = measure_group_by_derives(report->key_kind,
                                                      group_by);

        if (group_derives
            && (!scope->filter
                || measure_filter_derives(report->key_kind, scope->filter))) {
            char *error = check_rows(scope, report, group_by);

            if (error) {
                return error;
            }
            continue;
        }
        measure_group_by_name(group_by, name);
        return measure_format("%s%s needs more than epoch %"PRIu64" counted: "
                              "it ran with measure-key=%s",
                              group_derives ? "where" : "by=",
                              group_derives ? "" : name, report->number,
                              measure_kind_name(report->key_kind));
    }
    if (scope->one_core) {
        bool known = false;

        MEASURE_SCOPE_FOR_EACH_THREAD (thread, scope) {
            known = true;
        }
        if (!known && scope->n_reports) {
            return measure_format("pmd=%u: no packet thread on that core was "
                                  "measured", scope->core);
        }
    }
    return NULL;
}

/* Writing. */

/* Writes what the errors of rows mean. */
static void
write_estimate(struct measure_output *o, const struct measure_totals *totals)
{
    measure_output_string(o, "estimate", measure_totals_estimate(totals));
    if (totals->error_probability) {
        measure_output_percentage(o, "error-probability-percentage",
                                  totals->error_probability, 1);
    }
}

/* Writes what 'totals', those of 'scope', say of it. */
void
measure_scope_write(struct measure_output *o,
                    const struct measure_scope *scope,
                    const struct measure_totals *totals)
{
    bool exact = measure_totals_exact(totals);
    bool overflow = totals->counters.overflow_packets;

    measure_output_open_line(o, "epoch");
    if (scope->n_reports > 1) {
        measure_output_uint(o, "first-number", totals->first_number);
    }
    measure_output_uint(o, "number", totals->number);
    measure_output_time_ms(o, "start-ms", totals->start_ms);
    measure_output_uint(o, "duration-ms", totals->duration_ms);
    measure_output_close(o);

    measure_output_bool(o, "exact", exact);
    if (!exact) {
        write_estimate(o, totals);
    }
    if (!totals->complete) {
        measure_output_string(o, "structure",
                              measure_structure_name(totals->structure));
        measure_output_uint(o, "keys-lost", totals->n_lost);
    }
    measure_counters_write(o, &totals->counters, !exact);
    if (overflow) {
        measure_output_note(o, "Not all keys found a place in the tables: "
                            "counts may be too low by up to their error.  A "
                            "larger measure-memory-mb helps.");
    }
    if (totals->estimates) {
        measure_output_note(o, "Counts are estimates: they may be too high by "
                            "up to their error.");
    }
}

static void
write_address(struct measure_output *o, const char *name,
              enum measure_family family, const uint8_t *address,
              unsigned int bits)
{
    unsigned int size = family == MEASURE_IPV4 ? 32 : 128;
    char s[INET6_ADDRSTRLEN + 8];

    inet_ntop(family == MEASURE_IPV4 ? AF_INET : AF_INET6, address, s,
              INET6_ADDRSTRLEN);
    if (bits < size) {
        snprintf(s + strlen(s), 8, "/%u", bits);
    }
    measure_output_string(o, name, s);
}

/* Returns those fields of which some rows have none, and 'fields' has. */
static unsigned int
optional_fields(const struct measure_fields *fields)
{
    return ((fields->vlan ? MEASURE_FIELD_VLAN : 0)
            | (fields->tunnelled ? MEASURE_FIELD_TUNNEL : 0));
}

/* Returns the columns for the keys of 'group_by' in a table of text: add up
 * (OR) what this returns for each row. */
unsigned int
measure_key_columns(const struct measure_group_by *group_by,
                    const struct measure_fields *fields)
{
    unsigned int optional = MEASURE_FIELD_VLAN | MEASURE_FIELD_TUNNEL;

    /* Who groups by these wants to see them. */
    if (!(group_by->fields & MEASURE_FIELDS_PAIR)) {
        optional = 0;
    }
    return ((group_by->fields & ~optional)
            | (group_by->fields & optional & optional_fields(fields)));
}

/* Writes the members of a row that say its key.  'columns' says what a table
 * of text needs (measure_key_columns()). */
void
measure_key_write(struct measure_output *o, const struct measure_scope *scope,
                  const struct measure_group_by *group_by,
                  const struct measure_fields *fields, unsigned int columns)
{
    bool text = measure_output_is_text(o);
    unsigned int shown = text ? columns : group_by->fields;

    if (shown & MEASURE_FIELD_SOURCE) {
        write_address(o, "source", fields->family, fields->source,
                      group_by->source_prefix);
    }
    if (shown & MEASURE_FIELD_DESTINATION) {
        write_address(o, "destination", fields->family, fields->destination,
                      group_by->destination_prefix);
    }
    if (shown & MEASURE_FIELD_PROTOCOL) {
        measure_output_uint(o, "protocol", fields->protocol);
    }
    if (shown & MEASURE_FIELD_SOURCE_PORT) {
        measure_output_uint(o, "source-port", fields->source_port);
    }
    if (shown & MEASURE_FIELD_DESTINATION_PORT) {
        measure_output_uint(o, "destination-port", fields->destination_port);
    }
    if (shown & MEASURE_FIELD_VLAN) {
        if (fields->vlan) {
            measure_output_uint(o, "vlan", fields->vlan);
        } else {
            measure_output_absent(o, "vlan");
        }
    }
    if (shown & MEASURE_FIELD_TUNNEL) {
        if (fields->tunnelled) {
            measure_output_uint(o, "tunnel", fields->tunnel);
        } else {
            measure_output_absent(o, "tunnel");
        }
    }
    if (shown & MEASURE_FIELD_PORT) {
        const char *name = (fields->port && scope->ports
                            ? measure_port_name(scope->ports, fields->port)
                            : NULL);

        if (name) {
            measure_output_string(o, "port", name);
        } else {
            measure_output_absent(o, "port");
        }
    }
}
