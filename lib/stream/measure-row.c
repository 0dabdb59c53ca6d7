/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: what stages find out about packets. */

#include <config.h>

#include "stream/measure-row.h"

#include "base/measure-base.h"

size_t
measure_row_size(const struct measure_schema *schema)
{
    size_t needed = sizeof(struct measure_row) + schema->n * sizeof(uint64_t);
    size_t size = 64;

    while (size < needed) {
        size *= 2;
    }
    return size;
}

int
measure_schema_find(const struct measure_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->n; i++) {
        if (!strcmp(schema->columns[i].name, name)) {
            return i;
        }
    }
    return -1;
}

int
measure_schema_find_error(const struct measure_schema *schema, size_t i)
{
    for (size_t j = 0; j < schema->n; j++) {
        if (schema->columns[j].kind == MEASURE_COLUMN_ERROR
            && schema->columns[j].error_of == i) {
            return j;
        }
    }
    return -1;
}

void
measure_schema_add(struct measure_schema *schema, const char *name,
                   enum measure_column_kind kind)
{
    schema->columns[schema->n++] = (struct measure_column) {
        .name = name, .kind = kind,
    };
}

char *
measure_schema_unknown(const struct measure_schema *schema,
                       const char *argument, const char *name)
{
    char *error = measure_format("%s=%s: %s has no such column; valid is ",
                                 argument, name, schema->of);

    for (size_t i = 0; i < schema->n; i++) {
        measure_append(&error, "%s%s", i ? ", " : "", schema->columns[i].name);
    }
    return error;
}

/* The kind of a column or, of an error bound, that of what it is for. */
static enum measure_column_kind
kind_of(const struct measure_schema *schema, size_t i)
{
    const struct measure_column *column = &schema->columns[i];

    return (column->kind == MEASURE_COLUMN_ERROR
            ? schema->columns[column->error_of].kind : column->kind);
}

bool
measure_column_adds_up(const struct measure_schema *schema, size_t i)
{
    enum measure_column_kind kind = kind_of(schema, i);

    return kind == MEASURE_COLUMN_COUNT || kind == MEASURE_COLUMN_LEVEL;
}

char *
measure_schema_check_sums(const struct measure_schema *schema)
{
    for (size_t i = 0; i < schema->n; i++) {
        if (kind_of(schema, i) != MEASURE_COLUMN_COUNT) {
            return measure_format("the column %s of %s does not add up over "
                                  "intervals", schema->columns[i].name,
                                  schema->of);
        }
    }
    return NULL;
}

void
measure_row_add_up(const struct measure_schema *schema, uint64_t *sums,
                   const struct measure_row *row)
{
    for (size_t i = 0; i < row->n_present; i++) {
        if (measure_column_adds_up(schema, i)) {
            sums[i] += row->values[i];
        }
    }
}

void
measure_row_make(struct measure_row *row, enum measure_layout layout,
                 const uint64_t *key, uint64_t time_ns, const uint64_t *values,
                 size_t n)
{
    memset(row, 0, sizeof *row);
    if (key) {
        memcpy(row->key, key, sizeof row->key);
        row->layout = layout;
    } else {
        row->flags = MEASURE_ROW_OTHER;
    }
    row->time_ns = time_ns;
    row->n_present = n;
    memcpy(row->values, values, n * sizeof *values);
}
