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

#include "measure-query.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "measure-report-structures.h"

#define CHUNK_ROWS 64           /* Rows of a partition that are together. */
#define PARTITION_ROWS 4096     /* Their groups fit the cache. */
#define MAX_PARTITIONS 1024

/* The rows of one partition: a list of chunks. */
struct partition {
    uint64_t *next_row;         /* To be written. */
    uint32_t room;              /* Rows left in the last chunk. */
    uint32_t first;             /* Chunk, from 1; 0 is none. */
    uint32_t last;
};

/* All rows of one layout. */
struct partitions {
    enum measure_family layout;
    uint64_t *rows;             /* 'n_chunks' times CHUNK_ROWS. */
    uint32_t *next;             /* Of each chunk the next, likewise from 1. */
    uint32_t n_chunks;
    uint32_t n_used;            /* Chunks used. */
    uint32_t n;                 /* Partitions, a power of 2. */
    struct partition *partitions;
    uint64_t max_rows;
    const uint64_t *together;   /* Mask of what chooses the partition. */
};

static size_t
chunk_words(enum measure_family layout)
{
    return CHUNK_ROWS * measure_row_words(layout);
}

/* Makes room for 'max_rows' rows.  Returns false if there is no memory. */
static bool
partitions_init(struct partitions *p, enum measure_family layout,
                uint64_t max_rows, struct measure_budget *budget)
{
    memset(p, 0, sizeof *p);
    p->layout = layout;
    p->max_rows = max_rows;
    if (!max_rows) {
        return true;
    }
    p->n = 1;
    while (p->n < MAX_PARTITIONS && max_rows / p->n > PARTITION_ROWS) {
        p->n *= 2;
    }
    p->n_chunks = max_rows / CHUNK_ROWS + p->n;
    p->partitions = measure_xzalloc(p->n * sizeof *p->partitions);
    p->next = measure_xzalloc(p->n_chunks * sizeof *p->next);
    p->rows = measure_memory_alloc(budget, (p->n_chunks * chunk_words(layout)
                                            * sizeof *p->rows),
                                   MEASURE_ANY_NODE);
    return p->rows != NULL;
}

static void
partitions_destroy(struct partitions *p, struct measure_budget *budget)
{
    measure_memory_free(budget, p->rows, (p->n_chunks * chunk_words(p->layout)
                                          * sizeof *p->rows));
    free(p->next);
    free(p->partitions);
}

static void
begin_chunk(struct partitions *p, struct partition *partition)
{
    uint32_t chunk = ++p->n_used;

    assert(chunk <= p->n_chunks);
    if (partition->last) {
        p->next[partition->last - 1] = chunk;
    } else {
        partition->first = chunk;
    }
    partition->last = chunk;
    partition->next_row = &p->rows[(chunk - 1) * chunk_words(p->layout)];
    partition->room = CHUNK_ROWS;
}

static inline void
partitions_add(struct partitions *p, enum measure_family layout,
               const struct measure_hash_secret *secret, const uint64_t *key,
               uint64_t packets, uint64_t bytes)
{
    unsigned int n_words = measure_key_words(layout);
    uint64_t masked[MEASURE_KEY_WORDS];
    struct partition *partition;
    uint64_t *row;

    for (unsigned int i = 0; i < n_words; i++) {
        masked[i] = key[i] & p->together[i];
    }
    partition = &p->partitions[measure_key_hash(secret, layout, masked)
                               & (p->n - 1)];
    if (!partition->room) {
        begin_chunk(p, partition);
    }
    row = partition->next_row;
    for (unsigned int i = 0; i < n_words; i++) {
        row[i] = key[i];
    }
    row[n_words] = packets;
    row[n_words + 1] = bytes;
    partition->next_row = row + measure_row_words(layout);
    partition->room--;
}

/* One query. */
struct query {
    const struct measure_scope *scope;
    const struct measure_group *group;
    const struct measure_hash_secret *secret;
    struct partitions partitions[MEASURE_N_FAMILIES];
};

static inline void
split__(struct query *q, enum measure_family layout,
        const struct measure_table *table)
{
    const struct measure_filter *filter = q->scope->filter;

    MEASURE_TABLE_FOR_EACH (row, table) {
        uint64_t key[MEASURE_KEY_WORDS];
        uint64_t packets = *measure_row_packets(row, layout);
        uint64_t bytes = *measure_row_bytes(row, layout);

        if (filter && !measure_filter_matches(filter, layout, row)) {
            continue;
        }
        if (measure_group_key(q->group, layout, row, key) == MEASURE_IPV4) {
            partitions_add(&q->partitions[MEASURE_IPV4], MEASURE_IPV4,
                           q->secret, key, packets, bytes);
        } else {
            partitions_add(&q->partitions[MEASURE_IPV6], MEASURE_IPV6,
                           q->secret, key, packets, bytes);
        }
    }
}

/* Goes through the sections in 'scope': all that the threads counted in an
 * epoch, or what the one on a core did.  Begin with 'SECTION' all zeros. */
struct cursor {
    size_t report;
    size_t section;
    const struct measure_report *of;
    const struct measure_counters *counters;
    const struct measure_table *tables;
};

static bool
next_section(const struct measure_scope *scope, struct cursor *c)
{
    for (; c->report < scope->n_reports; c->report++, c->section = 0) {
        const struct measure_report *report = scope->reports[c->report];

        c->of = report;
        if (!scope->one_core) {
            if (!c->section++) {
                c->counters = &report->counters;
                c->tables = report->tables;
                return true;
            }
            continue;
        }
        while (c->section < report->n_sections) {
            const struct measure_section *section
                = &report->sections[c->section++];

            if (section->core == scope->core) {
                c->of = section->report ? section->report : report;
                c->counters = &section->counters;
                c->tables = (section->report || report->n_sections == 1
                             ? c->of->tables : section->tables);
                return true;
            }
        }
    }
    return false;
}

#define FOR_EACH_SECTION(CURSOR, SCOPE)                                     \
    for (struct cursor CURSOR = { 0 }; next_section(SCOPE, &CURSOR); )

/* Adds the rows of one partition to 'table'. */
static inline bool
add_partition__(const struct partitions *p, const struct partition *partition,
                enum measure_family layout, struct measure_table *table,
                const struct measure_hash_secret *secret,
                struct measure_budget *budget)
{
    size_t row_words = measure_row_words(layout);

    for (uint32_t chunk = partition->first; chunk;
         chunk = p->next[chunk - 1]) {
        uint64_t *row = &p->rows[(chunk - 1) * chunk_words(layout)];
        size_t n = (chunk == partition->last
                    ? CHUNK_ROWS - partition->room : CHUNK_ROWS);

        if (!measure_table_reserve(table, n, secret, budget)) {
            return false;
        }
        for (size_t i = 0; i < n; i++, row += row_words) {
            uint64_t hash = measure_key_hash(secret, layout, row);

            measure_table_add(table, layout, MEASURE_TABLE_ANY_PROBES, row,
                              hash, *measure_row_packets(row, layout),
                              *measure_row_bytes(row, layout));
        }
    }
    return true;
}

/* Gives the groups of all partitions to 'f'. */
static bool
group_partitions(const struct partitions *p,
                 const struct measure_hash_secret *secret,
                 struct measure_budget *budget,
                 measure_groups_function *f, void *aux)
{
    uint64_t expected = p->n ? p->max_rows / p->n * 5 / 4 + CHUNK_ROWS : 0;
    struct measure_table table;
    bool ok;

    if (!p->n_used) {
        return true;
    }
    ok = measure_table_init(&table, p->layout,
                            measure_table_lines_for(p->layout, expected),
                            budget, MEASURE_ANY_NODE);
    for (uint32_t i = 0; ok && i < p->n; i++) {
        const struct partition *partition = &p->partitions[i];

        if (!partition->first) {
            continue;
        }
        measure_table_clear(&table);
        ok = ((p->layout == MEASURE_IPV4
               ? add_partition__(p, partition, MEASURE_IPV4, &table, secret,
                                 budget)
               : add_partition__(p, partition, MEASURE_IPV6, &table, secret,
                                 budget))
              && f(&table, aux));
    }
    measure_table_destroy(&table, budget);
    return ok;
}

/* Gives all groups in 'scope' to 'f', part by part: those that are one group
 * by 'together' are in the same part.  measure_scope_check() must allow it.
 * Returns false if there was no memory, or 'f' said so. */
bool
measure_query_together(const struct measure_scope *scope,
                       const struct measure_group *group,
                       const struct measure_group *together,
                       measure_groups_function *f, void *aux)
{
    struct measure_budget budget = { 0 };
    uint64_t n_rows[MEASURE_N_FAMILIES] = { 0, 0 };
    struct query q = { .scope = scope, .group = group };
    bool ok;

    if (!scope->n_reports) {
        return true;
    }
    q.secret = scope->reports[0]->secret;
    FOR_EACH_SECTION (section, scope) {
        for (int layout = 0; layout < MEASURE_N_FAMILIES; layout++) {
            n_rows[layout] += measure_table_n_used(&section.tables[layout]);
        }
    }
    /* Some rows in the layout of IPv6 may have groups in that of IPv4. */
    ok = (partitions_init(&q.partitions[MEASURE_IPV4], MEASURE_IPV4,
                          n_rows[MEASURE_IPV4] + n_rows[MEASURE_IPV6],
                          &budget)
          && partitions_init(&q.partitions[MEASURE_IPV6], MEASURE_IPV6,
                             n_rows[MEASURE_IPV6], &budget));
    q.partitions[MEASURE_IPV4].together = together->narrow;
    q.partitions[MEASURE_IPV6].together = together->wide6;
    if (ok) {
        FOR_EACH_SECTION (section, scope) {
            split__(&q, MEASURE_IPV4, &section.tables[MEASURE_IPV4]);
            split__(&q, MEASURE_IPV6, &section.tables[MEASURE_IPV6]);
        }
        ok = (group_partitions(&q.partitions[MEASURE_IPV4], q.secret, &budget,
                               f, aux)
              && group_partitions(&q.partitions[MEASURE_IPV6], q.secret,
                                  &budget, f, aux));
    }
    partitions_destroy(&q.partitions[MEASURE_IPV4], &budget);
    partitions_destroy(&q.partitions[MEASURE_IPV6], &budget);
    return ok;
}

/* Like measure_query_together(), when any group may be in any part. */
bool
measure_query(const struct measure_scope *scope,
              const struct measure_group *group,
              measure_groups_function *f, void *aux)
{
    return measure_query_together(scope, group, group, f, aux);
}

/* Scopes. */

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
    FOR_EACH_SECTION (section, scope) {
        measure_counters_add(&totals->counters, section.counters);
        totals->n_sections++;
        totals->n_lost += section.of->n_lost;
        if (section.of->estimates) {
            /* Then it is alone: measure_scope_check(). */
            totals->estimates = true;
            totals->error_probability = section.of->error_probability;
            totals->missed = section.of->missed;
        }
    }
}

/* Returns true if every count in what 'totals' are of is exact. */
bool
measure_totals_exact(const struct measure_totals *totals)
{
    return !totals->counters.overflow_packets && !totals->estimates;
}

/* Returns true if every answer about 'scope' is exact. */
bool
measure_scope_exact(const struct measure_scope *scope)
{
    struct measure_totals totals;

    measure_scope_sum(scope, &totals);
    return measure_totals_exact(&totals);
}

/* Returns why an answer that takes every key cannot be made of 'report'. */
static char *
incomplete(const struct measure_report *report, const char *question,
           const char *valid)
{
    char *error = NULL;
    size_t size;
    FILE *stream = measure_check_memory(open_memstream(&error, &size));

    fprintf(stream, "%s needs every key, and epoch %"PRIu64" ran with "
            "measure-structure=%s, which has only the largest: valid is %s",
            question, report->number,
            measure_structure_name(report->structure), valid);
    fclose(stream);
    return error;
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

/* The same for 'group', of which the report must have rows. */
static char *
check_rows(const struct measure_scope *scope,
           const struct measure_report *report,
           const struct measure_group *group)
{
    char name[MEASURE_GROUP_NAME_SIZE + 4];
    char valid[MEASURE_GROUP_NAME_SIZE];

    if (report->complete) {
        return NULL;
    }
    if (scope->n_reports > 1) {
        return incomplete(report, "last", "epoch=NUMBER");
    }
    if (!measure_group_is_by(group, report->by)) {
        strcpy(name, "by=");
        measure_group_name(group, name + 3);
        snprintf(valid, sizeof valid, "by=%s", measure_by_name(report->by));
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
                        enum measure_family layout, const uint64_t *key,
                        uint64_t *packets_error, uint64_t *bytes_error)
{
    FOR_EACH_SECTION (section, scope) {
        measure_report_add_error(section.of, layout, key, packets_error,
                                 bytes_error);
    }
}

/* Returns NULL if 'scope' can be asked for 'group', else an error message,
 * which the caller must free(). */
char *
measure_scope_check(const struct measure_scope *scope,
                    const struct measure_group *group)
{
    char name[MEASURE_GROUP_NAME_SIZE];
    char *error = NULL;
    size_t size;
    FILE *stream;

    for (size_t i = 0; i < scope->n_reports; i++) {
        const struct measure_report *report = scope->reports[i];
        bool group_derives = measure_group_derives(report->by, group);

        if (group_derives
            && (!scope->filter
                || measure_filter_derives(report->by, scope->filter))) {
            error = check_rows(scope, report, group);
            if (error) {
                return error;
            }
            continue;
        }
        measure_group_name(group, name);
        stream = measure_check_memory(open_memstream(&error, &size));
        fprintf(stream, "%s%s needs more than epoch %"PRIu64" counted: it "
                "ran with measure-key=%s", group_derives ? "where" : "by=",
                group_derives ? "" : name, report->number,
                measure_by_name(report->by));
        fclose(stream);
        return error;
    }
    if (scope->one_core) {
        bool known = false;

        FOR_EACH_SECTION (section, scope) {
            known = true;
        }
        if (!known && scope->n_reports) {
            stream = measure_check_memory(open_memstream(&error, &size));
            fprintf(stream, "pmd=%u: no packet thread on that core was "
                    "measured", scope->core);
            fclose(stream);
        }
    }
    return error;
}

/* Writing. */

/* Writes what the errors of rows mean. */
static void
write_estimate(struct measure_output *o, const struct measure_totals *totals)
{
    bool overflow = totals->counters.overflow_packets;

    measure_output_string(o, "estimate", (!totals->estimates ? "lower-bound"
                                          : overflow ? "either"
                                          : "upper-bound"));
    if (totals->error_probability) {
        measure_output_percentage(o, "error-probability-percentage",
                                  totals->error_probability, 1);
    }
    if (!totals->complete && (totals->missed.packets != UINT64_MAX
                              || totals->missed.bytes != UINT64_MAX)) {
        /* What overflowed can be of any key. */
        measure_output_open_line(o, "without-row");
        if (totals->missed.packets != UINT64_MAX) {
            measure_output_uint(o, "packets-max",
                                (totals->missed.packets
                                 + totals->counters.overflow_packets));
        }
        if (totals->missed.bytes != UINT64_MAX) {
            measure_output_uint(o, "bytes-max",
                                (totals->missed.bytes
                                 + totals->counters.overflow_bytes));
        }
        measure_output_close(o);
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
                            "counts may be too low by up to their error.");
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

/* Returns the columns for the keys of 'group' in a table of text: add up (OR)
 * what this returns for each row. */
unsigned int
measure_key_columns(const struct measure_group *group,
                    const struct measure_fields *fields)
{
    unsigned int optional = MEASURE_FIELD_VLAN | MEASURE_FIELD_TUNNEL;

    /* Who groups by these wants to see them. */
    if (!(group->fields & MEASURE_FIELDS_PAIR)) {
        optional = 0;
    }
    return ((group->fields & ~optional)
            | (group->fields & optional & optional_fields(fields)));
}

/* Writes the members of a row that say its key.  'columns' says what a table
 * of text needs (measure_key_columns()). */
void
measure_key_write(struct measure_output *o, const struct measure_scope *scope,
                  const struct measure_group *group,
                  const struct measure_fields *fields, unsigned int columns)
{
    bool text = measure_output_is_text(o);
    unsigned int shown = text ? columns : group->fields;

    if (shown & MEASURE_FIELD_SOURCE) {
        write_address(o, "source", fields->family, fields->source,
                      group->source_prefix);
    }
    if (shown & MEASURE_FIELD_DESTINATION) {
        write_address(o, "destination", fields->family, fields->destination,
                      group->destination_prefix);
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
