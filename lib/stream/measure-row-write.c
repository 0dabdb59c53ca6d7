/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text, JSON and CSV of rows and of packets. */

#include <config.h>

#include "stream/measure-row-write.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/measure-number.h"

#define NS_PER_MS 1000000
#define NS_PER_SECOND UINT64_C(1000000000)
#define INDENT 4                /* Of numbers in a line of their own. */
#define TCP 6

/* Text that grows. */

void
measure_text_put_n(struct measure_text *t, const char *s, size_t n)
{
    if (t->allocated - t->length < n) {
        t->allocated = (t->allocated + n) * 2 + 1024;
        t->data = measure_xrealloc(t->data, t->allocated);
    }
    memcpy(t->data + t->length, s, n);
    t->length += n;
}

void
measure_text_put(struct measure_text *t, const char *s)
{
    measure_text_put_n(t, s, strlen(s));
}

void
measure_text_put_uint(struct measure_text *t, uint64_t value)
{
    char digits[20];
    size_t i = sizeof digits;

    do {
        digits[--i] = '0' + value % 10;
        value /= 10;
    } while (value);
    measure_text_put_n(t, digits + i, sizeof digits - i);
}

void
measure_text_destroy(struct measure_text *t)
{
    free(t->data);
    memset(t, 0, sizeof *t);
}

static void
put_spaces(struct measure_text *t, size_t n)
{
    while (n--) {
        measure_text_put_n(t, " ", 1);
    }
}

/* Appends 's' as a string of JSON, in quotes. */
void
measure_text_put_json(struct measure_text *t, const char *s)
{
    measure_text_put_n(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = *s;

        if (c == '"' || c == '\\') {
            measure_text_put_n(t, "\\", 1);
            measure_text_put_n(t, s, 1);
        } else if (c < 0x20 || c == 0x7f) {
            char escape[8];

            snprintf(escape, sizeof escape, "\\u%04x", c);
            measure_text_put(t, escape);
        } else {
            measure_text_put_n(t, s, 1);
        }
    }
    measure_text_put_n(t, "\"", 1);
}

static void
put_csv(struct measure_text *t, const char *s)
{
    if (!s[strcspn(s, ",\"\r\n")]) {
        measure_text_put(t, s);
        return;
    }
    measure_text_put_n(t, "\"", 1);
    for (; *s; s++) {
        measure_text_put_n(t, "\"\"", *s == '"' ? 2 : 0);
        if (*s != '"') {
            measure_text_put_n(t, s, 1);
        }
    }
    measure_text_put_n(t, "\"", 1);
}

static void
put_utc(struct measure_text *t, const char *format, uint64_t ns)
{
    time_t seconds = ns / NS_PER_SECOND;
    struct tm tm;
    char s[32];

    gmtime_r(&seconds, &tm);
    measure_text_put_n(t, s, strftime(s, sizeof s, format, &tm));
}

static void
put_fraction(struct measure_text *t, uint64_t ns, int digits)
{
    char s[16];

    snprintf(s, sizeof s, ".%09d", (int) (ns % NS_PER_SECOND));
    measure_text_put_n(t, s, 1 + digits);
}

/* Appends a day and time of UTC, with milliseconds. */
void
measure_text_put_date(struct measure_text *t, uint64_t ns)
{
    put_utc(t, "%Y-%m-%dT%H:%M:%S", ns);
    put_fraction(t, ns, 3);
    measure_text_put(t, "Z");
}

/* Appends the time of the day, with microseconds. */
void
measure_text_put_time(struct measure_text *t, uint64_t ns)
{
    put_utc(t, "%H:%M:%S", ns);
    put_fraction(t, ns, 6);
}

/* Cells: what a key or a row has to say. */

struct cell {
    const char *name;
    const char *text;           /* 'buffer' or another; NULL if absent. */
    bool is_number;
    char buffer[INET6_ADDRSTRLEN + 16];
};

#define KEY_CELLS 8

static void
set_number(struct cell *cell, uint64_t number)
{
    cell->is_number = true;
    cell->text = cell->buffer;
    snprintf(cell->buffer, sizeof cell->buffer, "%"PRIu64, number);
}

static void
set_address(struct cell *cell, enum measure_family family,
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
set_end(struct cell *cell, const struct measure_group_by *group_by,
        const struct measure_fields *fields, bool source)
{
    uint16_t port = source ? fields->source_port : fields->destination_port;
    struct cell address;

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
set_protocol(struct cell *cell, uint8_t protocol)
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

static struct cell *
next_cell(struct cell *cells, size_t *n, const char *name)
{
    cells[*n].name = name;
    cells[*n].text = NULL;
    cells[*n].is_number = false;
    return &cells[(*n)++];
}

/* Makes a cell for each field of 'group_by', whose text is NULL if 'fields'
 * does not have it.  'for_people' names protocols, and puts ports behind their
 * addresses.  Returns how many. */
static size_t
key_cells(const struct measure_group_by *group_by,
          const struct measure_fields *fields,
          const struct measure_port_names *ports, bool for_people,
          struct cell cells[KEY_CELLS])
{
    unsigned int shown = group_by->fields;
    size_t n = 0;

    if (shown & MEASURE_FIELD_SOURCE) {
        struct cell *cell = next_cell(cells, &n, "source");

        if (for_people) {
            set_end(cell, group_by, fields, true);
            shown &= ~MEASURE_FIELD_SOURCE_PORT;
        } else {
            set_address(cell, fields->family, fields->source,
                        group_by->source_prefix);
        }
    }
    if (shown & MEASURE_FIELD_DESTINATION) {
        struct cell *cell = next_cell(cells, &n, "destination");

        if (for_people) {
            set_end(cell, group_by, fields, false);
            shown &= ~MEASURE_FIELD_DESTINATION_PORT;
        } else {
            set_address(cell, fields->family, fields->destination,
                        group_by->destination_prefix);
        }
    }
    if (shown & MEASURE_FIELD_PROTOCOL) {
        struct cell *cell = next_cell(cells, &n, "protocol");

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
        struct cell *cell = next_cell(cells, &n, "vlan");

        if (fields->vlan) {
            set_number(cell, fields->vlan);
        }
    }
    if (shown & MEASURE_FIELD_TUNNEL) {
        struct cell *cell = next_cell(cells, &n, "tunnel");

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

static double
decimal(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Returns true if 'row' has a number in the column with index 'i'. */
static bool
has_value(const struct measure_schema *schema, const struct measure_row *row,
          size_t i)
{
    enum measure_column_kind kind = schema->columns[i].kind;

    return (i < row->n_present
            && (!(row->flags & MEASURE_ROW_OTHER)
                || measure_column_adds_up(schema, i))
            && (kind != MEASURE_COLUMN_DECIMAL
                || isfinite(decimal(row->values[i]))));
}

/* Appends a number as it is. */
static void
put_value(struct measure_text *t, enum measure_column_kind kind,
          uint64_t value)
{
    if (kind == MEASURE_COLUMN_DECIMAL) {
        char s[352];

        measure_decimal_format(s, sizeof s, 3, decimal(value));
        measure_text_put(t, s);
    } else {
        measure_text_put_uint(t, value);
    }
}

/* JSON. */

static void
put_json_name(struct measure_text *t, const char *name)
{
    if (t->length && t->data[t->length - 1] != '{') {
        measure_text_put_n(t, ",", 1);
    }
    measure_text_put_n(t, "\"", 1);
    measure_text_put(t, name);
    measure_text_put_n(t, "\":", 2);
}

static void
put_json_uint(struct measure_text *t, const char *name, uint64_t value)
{
    put_json_name(t, name);
    measure_text_put_uint(t, value);
}

static void
put_json_cells(struct measure_text *t, const struct cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cells[i].text) {
            put_json_name(t, cells[i].name);
            if (cells[i].is_number) {
                measure_text_put(t, cells[i].text);
            } else {
                measure_text_put_json(t, cells[i].text);
            }
        }
    }
}

/* Appends the members of an object that say the key of 'row', if any. */
void
measure_row_write_json_key(struct measure_text *t,
                           const struct measure_row_style *style,
                           const struct measure_row *row)
{
    struct measure_fields fields;
    struct cell cells[KEY_CELLS];

    if (row->flags & MEASURE_ROW_OTHER) {
        put_json_name(t, "other");
        measure_text_put(t, "true");
    } else if (style->schema->has_key) {
        measure_fields_from_key(&fields, row->layout, row->key);
        put_json_cells(t, cells,
                       key_cells(&style->schema->group_by, &fields,
                                 style->ports, false, cells));
    }
}

static void
put_percentage(struct measure_text *t, double part, double whole)
{
    char s[32];

    measure_decimal_format(s, sizeof s, 3, whole > 0 ? part * 100 / whole : 0);
    measure_text_put(t, s);
}

static bool
has_share(const struct measure_column *column)
{
    return (column->kind == MEASURE_COLUMN_COUNT
            && (!strcmp(column->name, "packets")
                || !strcmp(column->name, "bytes")));
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
        put_json_uint(t, "time-ns", row->time_ns);
    } else {
        if (interval->start_ns) {
            put_json_uint(t, "start-ms", interval->start_ns / NS_PER_MS);
        }
        if (interval->end_ns) {
            put_json_uint(t, "end-ms", interval->end_ns / NS_PER_MS);
        }
    }
    measure_row_write_json_key(t, style, row);
    for (size_t i = 0; i < schema->n; i++) {
        if (has_value(schema, row, i)) {
            put_json_name(t, schema->columns[i].name);
            put_value(t, schema->columns[i].kind, row->values[i]);
        }
    }
    for (size_t i = 0; interval && interval->totals && i < schema->n; i++) {
        if (has_share(&schema->columns[i]) && has_value(schema, row, i)) {
            char name[64];

            snprintf(name, sizeof name, "%s-percentage-of-total",
                     schema->columns[i].name);
            put_json_name(t, name);
            put_percentage(t, row->values[i], interval->totals[i]);
        }
    }
}

/* CSV. */

static void
put_comma(struct measure_text *t, bool *first)
{
    if (!*first) {
        measure_text_put_n(t, ",", 1);
    }
    *first = false;
}

static void
put_csv_head(struct measure_text *t, const char *name, bool *first)
{
    put_comma(t, first);
    put_csv(t, name);
}

static void
put_csv_uint(struct measure_text *t, uint64_t value, bool *first)
{
    put_comma(t, first);
    measure_text_put_uint(t, value);
}

static void
put_csv_key_head(struct measure_text *t,
                 const struct measure_group_by *group_by, bool *first)
{
    struct measure_fields none = { .family = MEASURE_IPV4 };
    struct cell cells[KEY_CELLS];
    size_t n = key_cells(group_by, &none, NULL, false, cells);

    for (size_t i = 0; i < n; i++) {
        put_csv_head(t, cells[i].name, first);
    }
}

static void
put_csv_key(struct measure_text *t, const struct measure_group_by *group_by,
            const struct measure_fields *fields,
            const struct measure_port_names *ports, bool *first)
{
    struct cell cells[KEY_CELLS];
    size_t n = key_cells(group_by, fields, ports, false, cells);

    for (size_t i = 0; i < n; i++) {
        put_comma(t, first);
        if (cells[i].text) {
            put_csv(t, cells[i].text);
        }
    }
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
        put_csv_key_head(t, &schema->group_by, &first);
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
        put_csv_uint(t, row->time_ns, &first);
    } else {
        put_comma(t, &first);
        if (interval && interval->start_ns) {
            measure_text_put_uint(t, interval->start_ns / NS_PER_MS);
        }
        put_comma(t, &first);
        if (interval && interval->end_ns) {
            measure_text_put_uint(t, interval->end_ns / NS_PER_MS);
        }
    }
    if (schema->has_key && !other) {
        struct measure_fields fields;

        measure_fields_from_key(&fields, row->layout, row->key);
        put_csv_key(t, &schema->group_by, &fields, style->ports, &first);
    } else if (schema->has_key) {
        for (unsigned int left = schema->group_by.fields; left;
             left &= left - 1) {
            put_comma(t, &first);
        }
    }
    for (size_t i = 0; i < schema->n; i++) {
        put_comma(t, &first);
        if (has_value(schema, row, i)) {
            put_value(t, schema->columns[i].kind, row->values[i]);
        }
    }
    if (schema->order != MEASURE_ORDER_TIME) {
        put_comma(t, &first);
        measure_text_put(t, other ? "true" : "false");
    }
    measure_text_put(t, "\r\n");
}

/* Text: numbers with units. */

static void
put_scaled(char *s, size_t size, double value, double step,
           const char *const *units, const char *unit)
{
    size_t i = 0;

    while (value >= step * 0.9995 && units[i + 1]) {
        value /= step;
        i++;
    }
    if (!i) {
        snprintf(s, size, "%.0f%s%s", value, *unit ? " " : "", unit);
    } else {
        char number[32];

        measure_decimal_format(number, sizeof number,
                               value < 9.995 ? 2 : value < 99.95 ? 1 : 0,
                               value);
        snprintf(s, size, "%s %s%s", number, units[i], unit);
    }
}

static const char *const si[] = { "", "K", "M", "G", "T", "P", "E", NULL };
static const char *const iec[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
                                   NULL };
static const char *const ns[] = { "ns", "us", "ms", "s", NULL };

static bool
ends_with(const char *s, const char *end)
{
    size_t n = strlen(s);

    return n >= strlen(end) && !strcmp(s + n - strlen(end), end);
}

/* Is it bytes, as "bytes", "payload-bytes" or "bytes-error-max"? */
static bool
is_bytes(const char *name)
{
    return (ends_with(name, "bytes") || !strncmp(name, "bytes-", 6));
}

#define TEXT_SIZE 40

static void
value_text(const struct measure_column *column, uint64_t value,
           char s[TEXT_SIZE])
{
    struct measure_text t = { NULL, 0, 0 };

    switch (column->kind) {
    case MEASURE_COLUMN_COUNT:
    case MEASURE_COLUMN_LEVEL:
    case MEASURE_COLUMN_GAUGE:
    case MEASURE_COLUMN_ERROR:
        if (is_bytes(column->name)) {
            put_scaled(s, TEXT_SIZE, value, 1024, iec, "B");
        } else if (column->kind == MEASURE_COLUMN_GAUGE || value < 100000) {
            snprintf(s, TEXT_SIZE, "%"PRIu64, value);
        } else {
            put_scaled(s, TEXT_SIZE, value, 1000, si, "");
        }
        break;
    case MEASURE_COLUMN_NS:
        if (value < 1000) {
            snprintf(s, TEXT_SIZE, "%"PRIu64" ns", value);
        } else {
            put_scaled(s, TEXT_SIZE, value, 1000, ns, "");
        }
        break;
    case MEASURE_COLUMN_TIME:
        measure_text_put_time(&t, value);
        snprintf(s, TEXT_SIZE, "%.*s", (int) t.length, t.data);
        measure_text_destroy(&t);
        break;
    case MEASURE_COLUMN_DECIMAL:
    default:
        if (fabs(decimal(value)) < 1e15) {
            measure_decimal_format(s, TEXT_SIZE, 3, decimal(value));
        } else {
            snprintf(s, TEXT_SIZE, "%.3g", decimal(value));
        }
        break;
    }
}

/* "source-port" is "source port", and "rtt-ns" is "rtt". */
static size_t
put_head(struct measure_text *t, const char *name, bool without_unit)
{
    size_t n = strlen(name) - (without_unit && ends_with(name, "-ns") ? 3 : 0);

    for (size_t i = 0; t && i < n; i++) {
        measure_text_put_n(t, name[i] == '-' ? " " : &name[i], 1);
    }
    return n;
}

static bool
has_no_unit(const struct measure_column *column)
{
    return (column->kind == MEASURE_COLUMN_NS
            || column->kind == MEASURE_COLUMN_TIME);
}

/* Text: a table. */

enum table_kind {
    TABLE_LABEL,                /* "other", where there is no key. */
    TABLE_KEY,
    TABLE_VALUE,
    TABLE_SHARE,
};

struct table_column {
    enum table_kind kind;
    size_t index;               /* Of a cell of the key, or of a column. */
    size_t width;
    bool right;
};

#define TABLE_COLUMNS (1 + KEY_CELLS + MEASURE_ROW_COLUMNS + 2)

struct table {
    const struct measure_row_style *style;
    const struct measure_row_interval *interval;
    size_t n, n_keys;           /* Columns, and those of the key. */
    struct table_column columns[TABLE_COLUMNS];
};

/* The cells of the key of one row, for people. */
static size_t
row_cells(const struct measure_row_style *style,
          const struct measure_row *row, struct cell cells[KEY_CELLS])
{
    struct measure_fields fields;

    if (!style->schema->has_key || row->flags & MEASURE_ROW_OTHER) {
        return 0;
    }
    measure_fields_from_key(&fields, row->layout, row->key);
    return key_cells(&style->schema->group_by, &fields, style->ports, true,
                     cells);
}

/* Makes the text of one cell of the table in 's'. */
static const char *
cell_text(const struct table *table, const struct table_column *column,
          const struct measure_row *row, const struct cell *cells,
          size_t n_cells, bool first, char s[TEXT_SIZE])
{
    const struct measure_schema *schema = table->style->schema;
    bool other = row->flags & MEASURE_ROW_OTHER;
    struct measure_text t = { NULL, 0, 0 };

    switch (column->kind) {
    case TABLE_LABEL:
        return other ? "other" : "";
    case TABLE_KEY:
        return (other ? first ? "other" : ""
                : column->index < n_cells && cells[column->index].text
                ? cells[column->index].text : "-");
    case TABLE_VALUE:
        if (!has_value(schema, row, column->index)) {
            return "-";
        }
        value_text(&schema->columns[column->index],
                   row->values[column->index], s);
        return s;
    case TABLE_SHARE:
    default:
        if (!has_value(schema, row, column->index)) {
            return "-";
        }
        put_percentage(&t, row->values[column->index],
                       table->interval->totals[column->index]);
        snprintf(s, TEXT_SIZE, "%.*s", (int) t.length, t.data);
        measure_text_destroy(&t);
        return s;
    }
}

static size_t
column_head(struct measure_text *t, const struct table *table,
            const struct table_column *column)
{
    const struct measure_schema *schema = table->style->schema;
    struct measure_fields none = { .family = MEASURE_IPV4 };
    struct cell cells[KEY_CELLS];

    switch (column->kind) {
    case TABLE_LABEL:
        return 0;
    case TABLE_KEY:
        key_cells(&schema->group_by, &none, NULL, true, cells);
        return put_head(t, cells[column->index].name, false);
    case TABLE_VALUE:
        return put_head(t, schema->columns[column->index].name,
                        has_no_unit(&schema->columns[column->index]));
    case TABLE_SHARE:
    default:
        if (t) {
            measure_text_put(t, "%");
        }
        return 1;
    }
}

static void
add_column(struct table *table, enum table_kind kind, size_t i, bool right)
{
    struct table_column *column = &table->columns[table->n++];

    *column = (struct table_column) {
        .kind = kind, .index = i, .right = right,
    };
    column->width = column_head(NULL, table, column);
}

/* Returns true if a row has something in the field or column. */
static bool
is_used(const struct table *table, const struct table_column *column,
        const struct measure_row *const *rows, size_t n)
{
    const struct measure_schema *schema = table->style->schema;
    bool error = (column->kind == TABLE_VALUE
                  && (schema->columns[column->index].kind
                      == MEASURE_COLUMN_ERROR));

    for (size_t i = 0; i < n; i++) {
        if (column->kind == TABLE_KEY) {
            struct cell cells[KEY_CELLS];
            size_t n_cells = row_cells(table->style, rows[i], cells);

            if (column->index < n_cells && cells[column->index].text) {
                return true;
            }
        } else if (has_value(schema, rows[i], column->index)
                   && (!error || rows[i]->values[column->index])) {
            return true;
        }
    }
    return false;
}

static bool
is_optional(const struct measure_schema *schema, const char *name)
{
    return (schema->group_by.fields & MEASURE_FIELDS_PAIR
            && (!strcmp(name, "vlan") || !strcmp(name, "tunnel")));
}

static void
make_columns(struct table *table, const struct measure_row *const *rows,
             size_t n)
{
    const struct measure_schema *schema = table->style->schema;
    struct measure_fields none = { .family = MEASURE_IPV4 };
    struct cell cells[KEY_CELLS];
    size_t n_cells = 0;

    if (schema->has_key) {
        n_cells = key_cells(&schema->group_by, &none, NULL, true, cells);
    } else if (n && rows[n - 1]->flags & MEASURE_ROW_OTHER) {
        add_column(table, TABLE_LABEL, 0, false);
    }
    for (size_t i = 0; i < n_cells; i++) {
        add_column(table, TABLE_KEY, i,
                   strstr(cells[i].name, "-port") || cells[i].name[0] == 'v'
                   || cells[i].name[0] == 't');
        if (is_optional(schema, cells[i].name)
            && !is_used(table, &table->columns[table->n - 1], rows, n)) {
            table->n--;
        }
    }
    table->n_keys = table->n;
    for (size_t i = 0; i < schema->n; i++) {
        add_column(table, TABLE_VALUE, i, true);
        if (schema->columns[i].kind == MEASURE_COLUMN_ERROR
            && !is_used(table, &table->columns[table->n - 1], rows, n)) {
            table->n--;
        }
        if (table->interval && table->interval->totals
            && has_share(&schema->columns[i])) {
            add_column(table, TABLE_SHARE, i, true);
        }
    }
}

/* Appends the cells from 'from' up to 'to' of 'row', or the heads if that is
 * NULL. */
static void
put_cells(struct measure_text *t, const struct table *table, size_t from,
          size_t to, const struct measure_row *row)
{
    struct cell cells[KEY_CELLS];
    size_t n_cells = row ? row_cells(table->style, row, cells) : 0;

    for (size_t i = from; i < to; i++) {
        const struct table_column *column = &table->columns[i];
        char s[TEXT_SIZE];
        const char *text = (row ? cell_text(table, column, row, cells, n_cells,
                                            !i, s) : NULL);
        size_t length = (text ? strlen(text)
                         : column_head(NULL, table, column));
        size_t space = column->width > length ? column->width - length : 0;

        put_spaces(t, i > from ? 2 : 0);
        put_spaces(t, column->right ? space : 0);
        if (text) {
            measure_text_put(t, text);
        } else {
            column_head(t, table, column);
        }
        if (!column->right && i + 1 < to) {
            put_spaces(t, space);
        }
    }
    while (t->length && t->data[t->length - 1] == ' ') {
        t->length--;
    }
    measure_text_put(t, "\n");
}

static size_t
table_width(const struct table *table, size_t from, size_t to)
{
    size_t width = 0;

    for (size_t i = from; i < to; i++) {
        width += table->columns[i].width + (i > from ? 2 : 0);
    }
    return width;
}

static void
put_line(struct measure_text *t, const struct table *table, size_t to,
         bool split, const struct measure_row *row)
{
    if (!split) {
        put_cells(t, table, 0, to, row);
    } else {
        put_cells(t, table, 0, table->n_keys, row);
        put_spaces(t, INDENT);
        put_cells(t, table, table->n_keys, to, row);
    }
}

/* Appends what the interval is, and its totals. */
static void
put_title(struct measure_text *t, const struct measure_row_style *style,
          size_t n, const struct measure_row_interval *interval)
{
    const struct measure_schema *schema = style->schema;

    if (interval->start_ns) {
        measure_text_put_date(t, interval->start_ns);
        measure_text_put(t, " to ");
    }
    if (interval->end_ns) {
        measure_text_put_date(t, interval->end_ns);
        measure_text_put(t, ": ");
    }
    measure_text_put_uint(t, n);
    measure_text_put(t, n == 1 ? " row" : " rows");
    for (size_t i = 0; interval->totals && i < schema->n; i++) {
        if (has_share(&schema->columns[i])) {
            char s[TEXT_SIZE];

            value_text(&schema->columns[i], interval->totals[i], s);
            measure_text_put(t, ", ");
            measure_text_put(t, s);
            if (!is_bytes(schema->columns[i].name)) {
                measure_text_put(t, " ");
                measure_text_put(t, schema->columns[i].name);
            }
        }
    }
    measure_text_put(t, "\n");
}

/* Returns true if 'row', of all that is not listed, says nothing. */
static bool
is_blank(const struct measure_schema *schema, const struct measure_row *row)
{
    for (size_t i = 0; i < schema->n; i++) {
        if (has_value(schema, row, i) && row->values[i]) {
            return false;
        }
    }
    return row->flags & MEASURE_ROW_OTHER;
}

/* Appends a table of the 'n' 'rows' of 'interval', and an empty line. */
void
measure_row_write_table(struct measure_text *t,
                        const struct measure_row_style *style,
                        const struct measure_row *const *rows, size_t n,
                        const struct measure_row_interval *interval)
{
    struct table table = { .style = style, .interval = interval };
    size_t n_others = 0;
    bool split = false;
    size_t to;

    for (size_t i = 0; i < n; i++) {
        n_others += (rows[i]->flags & MEASURE_ROW_OTHER) != 0;
    }
    if (n_others == 1 && is_blank(style->schema, rows[n - 1])) {
        n--;
        n_others = 0;
    }
    put_title(t, style, n - n_others, interval);
    make_columns(&table, rows, n);
    for (size_t i = 0; i < n; i++) {
        struct cell cells[KEY_CELLS];
        size_t n_cells = row_cells(style, rows[i], cells);

        for (size_t j = 0; j < table.n; j++) {
            char s[TEXT_SIZE];
            size_t length = strlen(cell_text(&table, &table.columns[j],
                                             rows[i], cells, n_cells, !j, s));

            table.columns[j].width = measure_max(table.columns[j].width,
                                                 length);
        }
    }

    to = table.n;
    if (table_width(&table, 0, to) > MEASURE_TEXT_WIDTH) {
        split = table.n_keys > 0;
        while (to > table.n_keys + 1
               && (table_width(&table, table.n_keys, to)
                   > MEASURE_TEXT_WIDTH - INDENT)) {
            to--;
        }
        split = (split
                 && table_width(&table, 0, to) > MEASURE_TEXT_WIDTH);
    }
    if (n) {
        put_line(t, &table, to, split, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        put_line(t, &table, to, split, rows[i]);
    }
    if (to < table.n) {
        measure_text_put_uint(t, table.n - to);
        measure_text_put(t, " more columns, which json and csv have\n");
    }
    measure_text_put(t, "\n");
}

/* Text: a line. */

/* Appends a key in words, as "10.0.0.1:1024 > 10.0.0.2:80 tcp"; if 'last',
 * what is often not there, as " vlan 5", or else all the rest. */
static void
put_key_line(struct measure_text *t, const struct measure_group_by *group_by,
             const struct measure_fields *fields,
             const struct measure_port_names *ports, bool last)
{
    unsigned int ends = group_by->fields & MEASURE_FIELDS_PAIR;
    struct cell cells[KEY_CELLS];
    size_t n = key_cells(group_by, fields, ports, true, cells);

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
                put_head(t, name, false);
                measure_text_put(t, " ");
            }
        }
        measure_text_put(t, cells[i].text);
    }
}

/* Appends a line for a row that is an event. */
void
measure_row_write_event(struct measure_text *t,
                        const struct measure_row_style *style,
                        const struct measure_row *row)
{
    const struct measure_schema *schema = style->schema;
    const char *separator = " ";

    measure_text_put_time(t, row->time_ns);
    if (row->flags & MEASURE_ROW_OTHER) {
        measure_text_put(t, " other");
    } else if (schema->has_key) {
        struct measure_fields fields;

        measure_fields_from_key(&fields, row->layout, row->key);
        put_key_line(t, &schema->group_by, &fields, style->ports, false);
        put_key_line(t, &schema->group_by, &fields, style->ports, true);
        separator = ": ";
    }
    for (size_t i = 0; i < schema->n; i++) {
        if (has_value(schema, row, i)) {
            char s[TEXT_SIZE];

            measure_text_put(t, separator);
            put_head(t, schema->columns[i].name,
                     has_no_unit(&schema->columns[i]));
            value_text(&schema->columns[i], row->values[i], s);
            measure_text_put(t, " ");
            measure_text_put(t, s);
            separator = ", ";
        }
    }
    measure_text_put(t, "\n");
}

/* Packets. */

static void
packet_group_by(struct measure_group_by *group_by)
{
    measure_group_by_init(group_by, MEASURE_FIELDS_FLOW | MEASURE_FIELD_PORT,
                          128, 128);
}

static void
packet_fields(const struct measure_slot *slot, struct measure_fields *fields)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(slot, key);

    measure_fields_from_key(fields, layout, key);
}

/* A first byte of a header of TCP: some flag is always set. */
static bool
has_tcp(const struct measure_slot *slot)
{
    return (measure_slot_protocol(slot) == TCP
            && (measure_slot_tcp_flags(slot) || measure_slot_sequence(slot)
                || measure_slot_payload(slot) >= 0));
}

/* Appends the members of an object of a packet, without braces. */
void
measure_packet_write_json(struct measure_text *t,
                          const struct measure_port_names *ports,
                          const struct measure_slot *slot)
{
    struct measure_group_by group_by;
    struct measure_fields fields;
    struct cell cells[KEY_CELLS];

    packet_group_by(&group_by);
    packet_fields(slot, &fields);
    put_json_uint(t, "time-ns", measure_slot_time_ns(slot));
    put_json_cells(t, cells, key_cells(&group_by, &fields, ports, false,
                                       cells));
    put_json_uint(t, "length", measure_slot_length(slot));
    if (has_tcp(slot)) {
        put_json_uint(t, "tcp-flags", measure_slot_tcp_flags(slot));
        put_json_uint(t, "sequence", measure_slot_sequence(slot));
    }
}

void
measure_packet_write_csv_head(struct measure_text *t)
{
    struct measure_group_by group_by;
    bool first = false;

    packet_group_by(&group_by);
    measure_text_put(t, "time-ns");
    put_csv_key_head(t, &group_by, &first);
    measure_text_put(t, ",length,tcp-flags,sequence\r\n");
}

void
measure_packet_write_csv(struct measure_text *t,
                         const struct measure_port_names *ports,
                         const struct measure_slot *slot)
{
    struct measure_group_by group_by;
    struct measure_fields fields;
    bool first = false;

    packet_group_by(&group_by);
    packet_fields(slot, &fields);
    measure_text_put_uint(t, measure_slot_time_ns(slot));
    put_csv_key(t, &group_by, &fields, ports, &first);
    put_csv_uint(t, measure_slot_length(slot), &first);
    if (has_tcp(slot)) {
        put_csv_uint(t, measure_slot_tcp_flags(slot), &first);
        put_csv_uint(t, measure_slot_sequence(slot), &first);
    } else {
        measure_text_put(t, ",,");
    }
    measure_text_put(t, "\r\n");
}

/* Appends a line: time, source > destination, protocol, flags, length. */
void
measure_packet_write_text(struct measure_text *t,
                          const struct measure_port_names *ports,
                          const struct measure_slot *slot)
{
    static const struct {
        uint8_t flag;
        char letter;
    } flags[] = {
        { 0x02, 'S' }, { 0x01, 'F' }, { 0x04, 'R' }, { 0x08, 'P' },
        { 0x10, 'A' }, { 0x20, 'U' }, { 0x40, 'E' }, { 0x80, 'C' },
    };
    struct measure_group_by group_by;
    struct measure_fields fields;

    packet_group_by(&group_by);
    packet_fields(slot, &fields);
    measure_text_put_time(t, measure_slot_time_ns(slot));
    put_key_line(t, &group_by, &fields, ports, false);
    if (has_tcp(slot)) {
        measure_text_put(t, " ");
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            measure_text_put_n(t, &flags[i].letter,
                               (measure_slot_tcp_flags(slot)
                                & flags[i].flag) != 0);
        }
    }
    measure_text_put(t, " length ");
    measure_text_put_uint(t, measure_slot_length(slot));
    put_key_line(t, &group_by, &fields, ports, true);
    measure_text_put(t, "\n");
}
