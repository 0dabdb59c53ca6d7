/* SPDX-License-Identifier: Apache-2.0 */
/* Cells: what the key of a row or packet has to say, field by field. */

#include <config.h>

#include "stream/measure-row-cell.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/measure-number.h"

static void
set_number(struct measure_cell *cell, uint64_t number)
{
    cell->is_number = true;
    cell->text = cell->buffer;
    snprintf(cell->buffer, sizeof cell->buffer, "%"PRIu64, number);
}

static void
set_address(struct measure_cell *cell, enum measure_family family,
            const uint8_t *address, unsigned int bits)
{
    unsigned int size = family == MEASURE_IPV4 ? 32 : 128;

    cell->text = cell->buffer;
    inet_ntop(family == MEASURE_IPV4 ? AF_INET : AF_INET6, address,
              cell->buffer, INET6_ADDRSTRLEN);
    if (bits < size) {
        snprintf(cell->buffer + strlen(cell->buffer), 8, "/%u", bits);
    }
}

/* An address, with the port if the key has it: "[2001:db8::1]:53". */
static void
set_end(struct measure_cell *cell, const struct measure_group_by *group_by,
        const struct measure_fields *fields, bool source)
{
    uint16_t port = source ? fields->source_port : fields->destination_port;
    struct measure_cell address;

    set_address(&address, fields->family,
                source ? fields->source : fields->destination,
                source ? group_by->source_prefix
                : group_by->destination_prefix);
    cell->text = cell->buffer;
    if (!(group_by->fields & (source ? MEASURE_FIELD_SOURCE_PORT
                              : MEASURE_FIELD_DESTINATION_PORT))
        || (!fields->source_port && !fields->destination_port)) {
        memcpy(cell->buffer, address.buffer, sizeof cell->buffer);
    } else if (fields->family == MEASURE_IPV6) {
        snprintf(cell->buffer, sizeof cell->buffer, "[%.49s]:%u",
                 address.buffer, port);
    } else {
        snprintf(cell->buffer, sizeof cell->buffer, "%.49s:%u",
                 address.buffer, port);
    }
}

static void
set_protocol(struct measure_cell *cell, uint8_t protocol)
{
    static const struct {
        uint8_t protocol;
        const char *name;
    } names[] = {
        { 1, "icmp" }, { 6, "tcp" }, { 17, "udp" }, { 58, "icmp6" },
        { 132, "sctp" },
    };

    set_number(cell, protocol);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].protocol == protocol) {
            cell->text = names[i].name;
            cell->is_number = false;
        }
    }
}

static struct measure_cell *
next_cell(struct measure_cell *cells, size_t *n, const char *name)
{
    cells[*n].name = name;
    cells[*n].text = NULL;
    cells[*n].is_number = false;
    return &cells[(*n)++];
}

/* Makes a cell for each field of 'group_by', whose text is NULL if 'fields'
 * does not have it.  'for_people' names protocols, and puts ports behind their
 * addresses.  Returns how many. */
size_t
measure_key_cells(const struct measure_group_by *group_by,
                  const struct measure_fields *fields,
                  const struct measure_port_names *ports, bool for_people,
                  struct measure_cell cells[MEASURE_KEY_CELLS])
{
    unsigned int shown = group_by->fields;
    size_t n = 0;

    if (shown & MEASURE_FIELD_SOURCE) {
        struct measure_cell *cell = next_cell(cells, &n, "source");

        if (for_people) {
            set_end(cell, group_by, fields, true);
            shown &= ~MEASURE_FIELD_SOURCE_PORT;
        } else {
            set_address(cell, fields->family, fields->source,
                        group_by->source_prefix);
        }
    }
    if (shown & MEASURE_FIELD_DESTINATION) {
        struct measure_cell *cell = next_cell(cells, &n, "destination");

        if (for_people) {
            set_end(cell, group_by, fields, false);
            shown &= ~MEASURE_FIELD_DESTINATION_PORT;
        } else {
            set_address(cell, fields->family, fields->destination,
                        group_by->destination_prefix);
        }
    }
    if (shown & MEASURE_FIELD_PROTOCOL) {
        struct measure_cell *cell = next_cell(cells, &n, "protocol");

        if (for_people) {
            set_protocol(cell, fields->protocol);
        } else {
            set_number(cell, fields->protocol);
        }
    }
    if (shown & MEASURE_FIELD_SOURCE_PORT) {
        set_number(next_cell(cells, &n, "source-port"), fields->source_port);
    }
    if (shown & MEASURE_FIELD_DESTINATION_PORT) {
        set_number(next_cell(cells, &n, "destination-port"),
                   fields->destination_port);
    }
    if (shown & MEASURE_FIELD_VLAN) {
        struct measure_cell *cell = next_cell(cells, &n, "vlan");

        if (fields->vlan) {
            set_number(cell, fields->vlan);
        }
    }
    if (shown & MEASURE_FIELD_TUNNEL) {
        struct measure_cell *cell = next_cell(cells, &n, "tunnel");

        if (fields->tunnelled) {
            set_number(cell, fields->tunnel);
        }
    }
    if (shown & MEASURE_FIELD_PORT) {
        next_cell(cells, &n, "port")->text
            = (fields->port && ports
               ? measure_port_name(ports, fields->port) : NULL);
    }
    return n;
}

/* Keys, as text. */

/* Appends the members of an object. */
void
measure_cells_put_json(struct measure_text *t,
                       const struct measure_cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cells[i].text) {
            measure_text_put_json_name(t, cells[i].name);
            if (cells[i].is_number) {
                measure_text_put(t, cells[i].text);
            } else {
                measure_text_put_json(t, cells[i].text);
            }
        }
    }
}

void
measure_key_put_csv_head(struct measure_text *t,
                         const struct measure_group_by *group_by, bool *first)
{
    struct measure_fields none = { .family = MEASURE_IPV4 };
    struct measure_cell cells[MEASURE_KEY_CELLS];
    size_t n = measure_key_cells(group_by, &none, NULL, false, cells);

    for (size_t i = 0; i < n; i++) {
        measure_text_put_comma(t, first);
        measure_text_put_csv(t, cells[i].name);
    }
}

void
measure_key_put_csv(struct measure_text *t,
                    const struct measure_group_by *group_by,
                    const struct measure_fields *fields,
                    const struct measure_port_names *ports, bool *first)
{
    struct measure_cell cells[MEASURE_KEY_CELLS];
    size_t n = measure_key_cells(group_by, fields, ports, false, cells);

    for (size_t i = 0; i < n; i++) {
        measure_text_put_comma(t, first);
        if (cells[i].text) {
            measure_text_put_csv(t, cells[i].text);
        }
    }
}

/* Appends the first 'n' bytes of the name of a field or column, for people:
 * "source-port" is "source port". */
void
measure_cell_put_name(struct measure_text *t, const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        measure_text_put_n(t, name[i] == '-' ? " " : &name[i], 1);
    }
}

/* Appends a key in words, as "10.0.0.1:1024 > 10.0.0.2:80 tcp"; if 'last',
 * what is often not there, as " vlan 5", or else all the rest. */
void
measure_key_put_line(struct measure_text *t,
                     const struct measure_group_by *group_by,
                     const struct measure_fields *fields,
                     const struct measure_port_names *ports, bool last)
{
    unsigned int ends = group_by->fields & MEASURE_FIELDS_PAIR;
    struct measure_cell cells[MEASURE_KEY_CELLS];
    size_t n = measure_key_cells(group_by, fields, ports, true, cells);

    for (size_t i = 0; i < n; i++) {
        const char *name = cells[i].name;
        bool is_last = (!strcmp(name, "vlan") || !strcmp(name, "tunnel")
                        || !strcmp(name, "port"));

        if (is_last != last || !cells[i].text) {
            continue;
        }
        if (ends == MEASURE_FIELDS_PAIR && i < 2) {
            measure_text_put(t, i ? " > " : " ");
        } else {
            measure_text_put(t, " ");
            if (strcmp(name, "protocol") || cells[i].is_number) {
                measure_cell_put_name(t, name, strlen(name));
                measure_text_put(t, " ");
            }
        }
        measure_text_put(t, cells[i].text);
    }
}

/* Values of rows. */

/* The value of a column of kind MEASURE_COLUMN_DECIMAL. */
double
measure_row_decimal(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Returns true if 'row' has a number in the column with index 'i'. */
bool
measure_row_has_value(const struct measure_schema *schema,
                      const struct measure_row *row, size_t i)
{
    enum measure_column_kind kind = schema->columns[i].kind;

    return (i < row->n_present
            && (!(row->flags & MEASURE_ROW_OTHER)
                || measure_column_adds_up(schema, i))
            && (kind != MEASURE_COLUMN_DECIMAL
                || isfinite(measure_row_decimal(row->values[i]))));
}

/* Returns true if it is shown which share of the total a value is. */
bool
measure_column_has_share(const struct measure_column *column)
{
    return (column->kind == MEASURE_COLUMN_COUNT
            && (!strcmp(column->name, "packets")
                || !strcmp(column->name, "bytes")));
}

void
measure_cell_put_percentage(struct measure_text *t, double part, double whole)
{
    char s[32];

    measure_decimal_format(s, sizeof s, 3, whole > 0 ? part * 100 / whole : 0);
    measure_text_put(t, s);
}
