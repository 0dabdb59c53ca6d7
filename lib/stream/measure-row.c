/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: what stages find out about packets. */

#include <config.h>

#include "stream/measure-row.h"

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

void
measure_schema_add(struct measure_schema *schema, const char *name,
                   enum measure_column_kind kind)
{
    schema->columns[schema->n++] = (struct measure_column) {
        .name = name, .kind = kind,
    };
}
