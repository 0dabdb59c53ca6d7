/* SPDX-License-Identifier: Apache-2.0 */
/* Makes JSON and CSV of rows. */

#include <config.h>

#include "stream/measure-row-write.h"

#include <stdio.h>

#include "base/measure-number.h"
#include "stream/measure-row-cell.h"

/* Appends a number as it is. */
static void
put_value(struct measure_text *t, enum measure_column_kind kind,
          uint64_t value)
{
    if (kind == MEASURE_COLUMN_DECIMAL) {
        char s[352];

        measure_decimal_format(s, sizeof s, 3, measure_row_decimal(value));
        measure_text_put(t, s);
    } else {
        measure_text_put_uint(t, value);
    }
}

/* JSON. */

/* Appends the members of an object that say the key of 'row', if any. */
void
measure_row_write_json_key(struct measure_text *t,
                           const struct measure_row_style *style,
                           const struct measure_row *row)
{
    struct measure_fields fields;
    struct measure_cell cells[MEASURE_KEY_CELLS];

    if (row->flags & MEASURE_ROW_OTHER) {
        measure_text_put_json_name(t, "other");
        measure_text_put(t, "true");
    } else if (style->schema->has_key) {
        measure_fields_from_key(&fields, row->layout, row->key);
        measure_cells_put_json(t, cells,
                               measure_key_cells(&style->schema->group_by,
                                                 &fields, style->ports, false,
                                                 cells));
    }
}

/* Appends the members of an object of 'row', without braces. */
void
measure_row_write_json(struct measure_text *t,
                       const struct measure_row_style *style,
                       const struct measure_row *row,
                       const struct measure_row_interval *interval)
{
    const struct measure_schema *schema = style->schema;

    if (!interval) {
        measure_text_put_json_uint(t, "time-ns", row->time_ns);
    } else {
        if (measure_row_interval_has_start(interval)) {
            measure_text_put_json_uint(t, "start-ms",
                                       interval->start_ns / MEASURE_NS_PER_MS);
        }
        if (interval->end_ns) {
            measure_text_put_json_uint(t, "end-ms",
                                       interval->end_ns / MEASURE_NS_PER_MS);
        }
    }
    measure_row_write_json_key(t, style, row);
    for (size_t i = 0; i < schema->n; i++) {
        if (measure_row_has_value(schema, row, i)) {
            measure_text_put_json_name(t, schema->columns[i].name);
            put_value(t, schema->columns[i].kind, row->values[i]);
        }
    }
    for (size_t i = 0; interval && interval->totals && i < schema->n; i++) {
        if (measure_column_has_share(&schema->columns[i])
            && measure_row_has_value(schema, row, i)) {
            char name[64];

            snprintf(name, sizeof name, "%s-percentage-of-total",
                     schema->columns[i].name);
            measure_text_put_json_name(t, name);
            measure_cell_put_percentage(t, row->values[i],
                                        interval->totals[i]);
        }
    }
}

/* CSV. */

static void
put_csv_head(struct measure_text *t, const char *name, bool *first)
{
    measure_text_put_comma(t, first);
    measure_text_put_csv(t, name);
}

void
measure_row_write_csv_head(struct measure_text *t,
                           const struct measure_row_style *style)
{
    const struct measure_schema *schema = style->schema;
    bool first = true;

    if (schema->order == MEASURE_ORDER_TIME) {
        put_csv_head(t, "time-ns", &first);
    } else {
        put_csv_head(t, "start-ms", &first);
        put_csv_head(t, "end-ms", &first);
    }
    if (schema->has_key) {
        measure_key_put_csv_head(t, &schema->group_by, &first);
    }
    for (size_t i = 0; i < schema->n; i++) {
        put_csv_head(t, schema->columns[i].name, &first);
    }
    if (schema->order != MEASURE_ORDER_TIME) {
        put_csv_head(t, "other", &first);
    }
    measure_text_put(t, "\r\n");
}

void
measure_row_write_csv(struct measure_text *t,
                      const struct measure_row_style *style,
                      const struct measure_row *row,
                      const struct measure_row_interval *interval)
{
    const struct measure_schema *schema = style->schema;
    bool other = row->flags & MEASURE_ROW_OTHER;
    bool first = true;

    if (schema->order == MEASURE_ORDER_TIME) {
        measure_text_put_csv_uint(t, row->time_ns, &first);
    } else {
        measure_text_put_comma(t, &first);
        if (interval && measure_row_interval_has_start(interval)) {
            measure_text_put_uint(t, interval->start_ns / MEASURE_NS_PER_MS);
        }
        measure_text_put_comma(t, &first);
        if (interval && interval->end_ns) {
            measure_text_put_uint(t, interval->end_ns / MEASURE_NS_PER_MS);
        }
    }
    if (schema->has_key && !other) {
        struct measure_fields fields;

        measure_fields_from_key(&fields, row->layout, row->key);
        measure_key_put_csv(t, &schema->group_by, &fields, style->ports,
                            &first);
    } else if (schema->has_key) {
        for (unsigned int left = schema->group_by.fields; left;
             left &= left - 1) {
            measure_text_put_comma(t, &first);
        }
    }
    for (size_t i = 0; i < schema->n; i++) {
        measure_text_put_comma(t, &first);
        if (measure_row_has_value(schema, row, i)) {
            put_value(t, schema->columns[i].kind, row->values[i]);
        }
    }
    if (schema->order != MEASURE_ORDER_TIME) {
        measure_text_put_comma(t, &first);
        measure_text_put(t, other ? "true" : "false");
    }
    measure_text_put(t, "\r\n");
}
