/* SPDX-License-Identifier: Apache-2.0 */
/* Cells: what the key of a row or packet has to say, field by field. */

#ifndef MEASURE_ROW_CELL_H
#define MEASURE_ROW_CELL_H 1

#include <arpa/inet.h>

#include "base/measure-text.h"
#include "key/measure-switch-port.h"
#include "stream/measure-row.h"

/* Cells
 * =====
 *
 * A key is a cell for each field of its group-by: a name, as in JSON, and a
 * text, or none where the field is absent.  All that writes rows and packets
 * gets keys from here, so that they look alike everywhere.
 *
 * Memory: on the stack.
 *
 * Thread safety: pure functions. */

struct measure_cell {
    const char *name;
    const char *text;           /* 'buffer' or another; NULL if absent. */
    bool is_number;
    char buffer[INET6_ADDRSTRLEN + 16];
};

#define MEASURE_KEY_CELLS 8

size_t measure_key_cells(const struct measure_group_by *,
                         const struct measure_fields *,
                         const struct measure_port_names *, bool for_people,
                         struct measure_cell cells[MEASURE_KEY_CELLS]);

void measure_cells_put_json(struct measure_text *,
                            const struct measure_cell *, size_t n);
void measure_key_put_csv_head(struct measure_text *,
                              const struct measure_group_by *, bool *first);
void measure_key_put_csv(struct measure_text *,
                         const struct measure_group_by *,
                         const struct measure_fields *,
                         const struct measure_port_names *, bool *first);
void measure_key_put_line(struct measure_text *,
                          const struct measure_group_by *,
                          const struct measure_fields *,
                          const struct measure_port_names *, bool last);
void measure_cell_put_name(struct measure_text *, const char *name, size_t n);

/* Values of rows. */
double measure_row_decimal(uint64_t bits);
bool measure_row_has_value(const struct measure_schema *,
                           const struct measure_row *, size_t column);
bool measure_column_has_share(const struct measure_column *);
void measure_cell_put_percentage(struct measure_text *, double part,
                                 double whole);

#endif /* measure-row-cell.h */
