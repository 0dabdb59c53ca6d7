/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text for people of rows: tables, and lines of events. */

#include <config.h>

#include "stream/measure-row-table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/measure-number.h"
#include "stream/measure-row-cell.h"

#define INDENT 4                /* Of numbers in a line of their own. */

/* Numbers with units. */

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
    size_t n = 0;

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
        if (column->is_end) {
            value += value < UINT64_MAX;
            strcpy(s, "< ");
            n = strlen(s);
        }
        if (value < 1000) {
            snprintf(s + n, TEXT_SIZE - n, "%"PRIu64" ns", value);
        } else {
            put_scaled(s + n, TEXT_SIZE - n, value, 1000, ns, "");
        }
        break;
    case MEASURE_COLUMN_TIME:
        measure_text_put_time(&t, value);
        snprintf(s, TEXT_SIZE, "%.*s", (int) t.length, t.data);
        measure_text_destroy(&t);
        break;
    case MEASURE_COLUMN_DECIMAL:
    default:
        if (fabs(measure_row_decimal(value)) < 1e15) {
            measure_decimal_format(s, TEXT_SIZE, 3,
                                   measure_row_decimal(value));
        } else {
            snprintf(s, TEXT_SIZE, "%.3g", measure_row_decimal(value));
        }
        break;
    }
}

/* The head of a column: "rtt-ns" is "rtt" if it has no unit.  Returns how
 * long it is, and appends nothing to NULL. */
static size_t
put_head(struct measure_text *t, const char *name, bool without_unit)
{
    size_t n = strlen(name) - (without_unit && ends_with(name, "-ns") ? 3 : 0);

    if (t) {
        measure_cell_put_name(t, name, n);
    }
    return n;
}

static bool
has_no_unit(const struct measure_column *column)
{
    return (column->kind == MEASURE_COLUMN_NS
            || column->kind == MEASURE_COLUMN_TIME);
}

/* A table. */

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

#define TABLE_COLUMNS (1 + MEASURE_KEY_CELLS + MEASURE_ROW_COLUMNS + 2)

struct table {
    const struct measure_row_style *style;
    const struct measure_row_interval *interval;
    size_t n, n_keys;           /* Columns, and those of the key. */
    struct table_column columns[TABLE_COLUMNS];
};

/* The cells of the key of one row, for people. */
static size_t
row_cells(const struct measure_row_style *style,
          const struct measure_row *row,
          struct measure_cell cells[MEASURE_KEY_CELLS])
{
    struct measure_fields fields;

    if (!style->schema->has_key || row->flags & MEASURE_ROW_OTHER) {
        return 0;
    }
    measure_fields_from_key(&fields, row->layout, row->key);
    return measure_key_cells(&style->schema->group_by, &fields, style->ports,
                             true, cells);
}

/* Makes the text of one cell of the table in 's'. */
static const char *
cell_text(const struct table *table, const struct table_column *column,
          const struct measure_row *row, const struct measure_cell *cells,
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
        if (!measure_row_has_value(schema, row, column->index)) {
            return "-";
        }
        value_text(&schema->columns[column->index],
                   row->values[column->index], s);
        return s;
    case TABLE_SHARE:
    default:
        if (!measure_row_has_value(schema, row, column->index)) {
            return "-";
        }
        measure_cell_put_percentage(&t, row->values[column->index],
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
    struct measure_cell cells[MEASURE_KEY_CELLS];

    switch (column->kind) {
    case TABLE_LABEL:
        return 0;
    case TABLE_KEY:
        measure_key_cells(&schema->group_by, &none, NULL, true, cells);
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
            struct measure_cell cells[MEASURE_KEY_CELLS];
            size_t n_cells = row_cells(table->style, rows[i], cells);

            if (column->index < n_cells && cells[column->index].text) {
                return true;
            }
        } else if (measure_row_has_value(schema, rows[i], column->index)
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
    struct measure_cell cells[MEASURE_KEY_CELLS];
    size_t n_cells = 0;

    if (schema->has_key) {
        n_cells = measure_key_cells(&schema->group_by, &none, NULL, true,
                                    cells);
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
            && measure_column_has_share(&schema->columns[i])) {
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
    struct measure_cell cells[MEASURE_KEY_CELLS];
    size_t n_cells = row ? row_cells(table->style, row, cells) : 0;

    for (size_t i = from; i < to; i++) {
        const struct table_column *column = &table->columns[i];
        char s[TEXT_SIZE];
        const char *text = (row ? cell_text(table, column, row, cells, n_cells,
                                            !i, s) : NULL);
        size_t length = (text ? strlen(text)
                         : column_head(NULL, table, column));
        size_t space = column->width > length ? column->width - length : 0;

        measure_text_put_spaces(t, i > from ? 2 : 0);
        measure_text_put_spaces(t, column->right ? space : 0);
        if (text) {
            measure_text_put(t, text);
        } else {
            column_head(t, table, column);
        }
        if (!column->right && i + 1 < to) {
            measure_text_put_spaces(t, space);
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
        measure_text_put_spaces(t, INDENT);
        put_cells(t, table, table->n_keys, to, row);
    }
}

/* Appends what the interval is, and its totals. */
static void
put_title(struct measure_text *t, const struct measure_row_style *style,
          size_t n, const struct measure_row_interval *interval)
{
    const struct measure_schema *schema = style->schema;

    if (measure_row_interval_has_start(interval)) {
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
        if (measure_column_has_share(&schema->columns[i])) {
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
        if (measure_row_has_value(schema, row, i) && row->values[i]) {
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
        struct measure_cell cells[MEASURE_KEY_CELLS];
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

/* A line. */

/* Appends a line for a row that is an event, or several if it is too wide. */
void
measure_row_write_event(struct measure_text *t,
                        const struct measure_row_style *style,
                        const struct measure_row *row)
{
    const struct measure_schema *schema = style->schema;
    size_t line = t->length;    /* Where it begins. */
    const char *separator = " ";

    measure_text_put_time(t, row->time_ns);
    if (row->flags & MEASURE_ROW_OTHER) {
        measure_text_put(t, " other");
    } else if (schema->has_key) {
        struct measure_fields fields;

        measure_fields_from_key(&fields, row->layout, row->key);
        measure_key_put_line(t, &schema->group_by, &fields, style->ports,
                             false);
        measure_key_put_line(t, &schema->group_by, &fields, style->ports,
                             true);
        separator = ": ";
    }
    for (size_t i = 0; i < schema->n; i++) {
        if (measure_row_has_value(schema, row, i)) {
            const char *name = schema->columns[i].name;
            bool no_unit = has_no_unit(&schema->columns[i]);
            char s[TEXT_SIZE];
            size_t width;

            value_text(&schema->columns[i], row->values[i], s);
            /* With the comma behind it. */
            width = (strlen(separator) + put_head(NULL, name, no_unit) + 1
                     + strlen(s) + 1);
            if (t->length - line + width > MEASURE_TEXT_WIDTH) {
                measure_text_put_n(t, separator, strlen(separator) - 1);
                measure_text_put(t, "\n");
                line = t->length;
                measure_text_put_spaces(t, INDENT);
            } else {
                measure_text_put(t, separator);
            }
            put_head(t, name, no_unit);
            measure_text_put(t, " ");
            measure_text_put(t, s);
            separator = ", ";
        }
    }
    measure_text_put(t, "\n");
}
