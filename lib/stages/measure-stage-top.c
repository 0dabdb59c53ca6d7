/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'top': rows with the largest numbers, and all others as one. */

#include <config.h>

#include <stdlib.h>

#include "base/measure-number.h"
#include "base/measure-top.h"
#include "stream/measure-row-map.h"

#define DEFAULT_N 10
#define MAX_N 100000
#define NAME_SIZE 64

/* A row that is kept. */
struct item {
    uint64_t value;             /* Of the column, in an order of integers. */
    struct measure_row *row;
};

struct top {
    struct measure_stage stage;
    uint64_t max;
    char by[NAME_SIZE];
    const struct measure_schema *input;
    size_t column;
    size_t row_size;
    struct item *items;         /* 'max' of them... */
    uint64_t *rows;             /* ...and as many rows. */
    size_t n;
    size_t memory;              /* Bytes of 'items' and 'rows'. */
    struct measure_row_map map; /* Sums of keys with several rows... */
    bool full;                  /* ...which takes no more of them. */
    union measure_row_buffer other;
};

static struct top *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct top, stage);
}

static char *
top_set(struct measure_stage *stage, const char *name, const char *value)
{
    struct top *top = cast(stage);

    if (!strcmp(name, "n")) {
        return (measure_integer_parse(value, 1, MAX_N, &top->max) ? NULL
                : measure_format("valid is a number from 1 to %d", MAX_N));
    }
    if (!*value || strlen(value) >= sizeof top->by) {
        return measure_format("valid is the name of a column");
    }
    strcpy(top->by, value);
    return NULL;
}

static char *
top_begin(struct measure_stage *stage, const struct measure_schema *input)
{
    struct top *top = cast(stage);
    struct measure_schema *schema = &stage->schema;
    int column = measure_schema_find(input, *top->by ? top->by : "packets");
    size_t items_size;

    if (column < 0 && *top->by) {
        return measure_schema_unknown(input, "by", top->by);
    }
    if (input->n == MEASURE_ROW_COLUMNS) {
        return measure_format("no room for a column of ranks");
    }
    top->column = column < 0 ? 0 : column;
    top->max = top->max ? top->max : DEFAULT_N;
    top->input = input;
    top->row_size = measure_row_size(input);

    *schema = *input;
    schema->of = "top";
    schema->order = MEASURE_ORDER_KEPT;
    schema->repeats_keys = false;
    schema->n = 0;
    measure_schema_add(schema, "rank", MEASURE_COLUMN_GAUGE);
    for (size_t i = 0; i < input->n; i++) {
        schema->columns[schema->n] = input->columns[i];
        schema->columns[schema->n++].error_of++;
    }

    items_size = (top->max * sizeof *top->items + 63) / 64 * 64;
    top->memory = items_size + top->max * top->row_size;
    top->items = measure_stage_alloc(stage, top->memory);
    if (!top->items) {
        return measure_format("n=%llu: no memory for as many rows",
                              (unsigned long long) top->max);
    }
    top->rows = (uint64_t *) (void *) ((char *) top->items + items_size);
    return (!input->repeats_keys
            || measure_row_map_init(&top->map, stage, input->n) ? NULL
            : measure_format("no memory for a first table"));
}

/* The larger value comes first, and then the order of keys. */
static int
compare(const void *a_, const void *b_)
{
    const struct item *a = a_, *b = b_;
    struct measure_fields fields[2];

    if (a->value != b->value) {
        return a->value > b->value ? -1 : 1;
    }
    measure_fields_from_key(&fields[0], a->row->layout, a->row->key);
    measure_fields_from_key(&fields[1], b->row->layout, b->row->key);
    return measure_fields_compare(&fields[0], &fields[1]);
}

/* Returns a number in the order of integers for the column of 'row'. */
static uint64_t
value_of(const struct top *top, const struct measure_row *row)
{
    uint64_t value;

    if (top->column >= row->n_present) {
        return 0;
    }
    value = row->values[top->column];
    if (top->input->columns[top->column].kind == MEASURE_COLUMN_DECIMAL) {
        /* Negative numbers are in the opposite order, below the others. */
        value ^= value >> 63 ? UINT64_MAX : UINT64_C(1) << 63;
    }
    return value;
}

static void
add_other(struct top *top, const struct measure_row *row)
{
    top->other.row.flags = MEASURE_ROW_OTHER;
    measure_row_add_up(top->input, &top->other.row.values[1], row);
}

/* Lets 'row' be one of the largest, if it is. */
static void
keep(struct top *top, const struct measure_row *row)
{
    struct item item = { .row = (struct measure_row *) (uintptr_t) row };

    item.value = value_of(top, row);
    if (top->n == top->max) {
        struct item *least = &top->items[0];

        if (compare(&item, least) >= 0) {
            add_other(top, row);
            return;
        }
        add_other(top, least->row);
        item.row = least->row;
    } else {
        item.row = (void *) &top->rows[top->n * (top->row_size / 8)];
    }
    memcpy(item.row, row, sizeof *row + row->n_present * sizeof *row->values);
    if (top->n == top->max) {
        top->items[0] = item;
        measure_top_sift_down(top->items, top->n, 0, sizeof item, compare);
    } else {
        measure_top_add(top->items, &top->n, top->max, sizeof item, &item,
                        compare);
    }
}

/* Adds 'row' to what its key has in the interval.  If one is refused all new
 * ones are: a key that is there has all of its rows. */
static void
merge(struct top *top, const struct measure_row *row)
{
    uint32_t number = measure_row_map_find(&top->map, row, !top->full);

    if (number == MEASURE_ROW_MAP_NONE) {
        top->full = true;
        add_other(top, row);
        measure_counter_add(&top->stage.lost, 1);
    } else {
        measure_row_add_up(top->input,
                           measure_row_map_entry(&top->map, number)->values,
                           row);
    }
}

static void
keep_merged(struct top *top, uint64_t end_ns)
{
    union measure_row_buffer buffer;

    for (uint32_t i = 0; i < top->map.n_entries; i++) {
        struct measure_row_entry *entry = measure_row_map_entry(&top->map, i);

        if (entry->is_used) {
            measure_row_make(&buffer.row, entry->layout, entry->key, end_ns,
                             entry->values, top->input->n);
            keep(top, &buffer.row);
            measure_row_map_remove(&top->map, i);
        }
    }
    top->full = false;
}

static void
top_row(struct measure_stage *stage, const struct measure_row *row)
{
    struct top *top = cast(stage);

    if (row->flags & MEASURE_ROW_OTHER) {
        add_other(top, row);
    } else if (top->input->repeats_keys) {
        merge(top, row);
    } else {
        keep(top, row);
    }
}

static void
top_interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
             bool last)
{
    struct top *top = cast(stage);
    union measure_row_buffer buffer;

    (void) start_ns;
    (void) last;
    if (top->input->repeats_keys) {
        keep_merged(top, end_ns);
    }
    if (top->n) {
        qsort(top->items, top->n, sizeof *top->items, compare);
    }
    for (size_t i = 0; i < top->n; i++) {
        const struct measure_row *row = top->items[i].row;

        memcpy(&buffer, row, sizeof *row);
        memcpy(&buffer.row.values[1], row->values,
               row->n_present * sizeof *row->values);
        buffer.row.values[0] = i + 1;
        buffer.row.n_present = row->n_present + 1;
        measure_stage_give(stage, &buffer.row);
    }
    if (top->other.row.flags) {
        top->other.row.n_present = stage->schema.n;
        top->other.row.time_ns = end_ns;
        measure_stage_give(stage, &top->other.row);
    }
    memset(&top->other, 0, sizeof top->other);
    top->n = 0;
}

static void
top_destroy(struct measure_stage *stage)
{
    struct top *top = cast(stage);

    measure_row_map_destroy(&top->map);
    measure_stage_free(stage, top->items, top->memory);
}

static const struct measure_stage_argument arguments[] = {
    { "n", "1 to 100000", "how many rows; 10 by default" },
    { "by", "COLUMN", "whose numbers; packets by default, or the first" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class measure_stage_top = {
    .name = "top",
    .summary = "the rows with the largest numbers, and all others as one",
    .arguments = arguments,
    .takes = MEASURE_TAKES_ROWS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct top),
    .set = top_set,
    .begin = top_begin,
    .row = top_row,
    .interval = top_interval,
    .destroy = top_destroy,
};
