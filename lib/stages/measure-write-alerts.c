/* SPDX-License-Identifier: Apache-2.0 */
/* The format 'alerts' of the stage 'write': an alert for each large row. */

#include <config.h>

#include <math.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "base/measure-number.h"
#include "tally/measure-config.h"
#include "stages/measure-write-format.h"

#define NAME_SIZE 64

#define VALID "a number from 1 on, or a rate, as 100Mbps or 1000pps"

struct write_alerts {
    struct measure_write w;
    struct measure_text text;
    char of[NAME_SIZE];
    char *text_threshold;       /* As it was given; NULL before. */
    uint64_t threshold;         /* Of a rate, in the interval that is over. */
    bool is_rate;
    struct measure_threshold rate;
    size_t column;
    int error_column;           /* By how much it may be too low, or -1. */
    uint64_t sequence;          /* Of the last one. */
};

static struct write_alerts *
cast(struct measure_write *w)
{
    return MEASURE_STAGE_CAST(struct write_alerts, w);
}

static char *
set_threshold(struct write_alerts *alerts, const char *value)
{
    struct measure_config config;

    if (!measure_integer_parse(value, 1, INT64_MAX, &alerts->threshold)) {
        measure_config_init(&config);
        if (!measure_config_set(&config, MEASURE_SETTING_HEAVY_HITTER, value)
            || config.heavy_hitter.unit == MEASURE_SHARE) {
            return measure_format("valid is %s", VALID);
        }
        alerts->is_rate = true;
        alerts->rate = config.heavy_hitter;
    }
    alerts->text_threshold = measure_format("%s", value);
    return NULL;
}

static char *
alerts_set(struct measure_write *w, const char *name, const char *value)
{
    struct write_alerts *alerts = cast(w);

    if (!strcmp(name, "threshold")) {
        return set_threshold(alerts, value);
    }
    if (!*value || strlen(value) >= sizeof alerts->of) {
        return measure_format("valid is the name of a column");
    }
    strcpy(alerts->of, value);
    return NULL;
}

/* Returns true if the threshold is a rate in bits. */
static bool
is_of_bits(const struct write_alerts *alerts)
{
    return alerts->is_rate && alerts->rate.unit == MEASURE_BITS_PER_SECOND;
}

static bool
is_of_bytes(const char *column)
{
    size_t n = strlen(column), n_bytes = strlen("bytes");

    return n >= n_bytes && !strcmp(column + n - n_bytes, "bytes");
}

static const char *
default_column(const struct write_alerts *alerts)
{
    return is_of_bits(alerts) ? "bytes" : "packets";
}

/* Returns what is wrong with a rate of 'column', -1 for one that is not there;
 * or NULL. */
static char *
check_rate(const struct write_alerts *alerts, int column)
{
    const struct measure_schema *input = alerts->w.input;

    if (input->order == MEASURE_ORDER_TIME) {
        return measure_format("threshold=%s: a rate is one in an interval, "
                              "and the rows of %s come when they happen: "
                              "valid is a number from 1 on",
                              alerts->text_threshold, input->of);
    }
    if (input->of_other_time) {
        return measure_format("threshold=%s: a rate is one in an interval, "
                              "and the rows of %s are of another time: valid "
                              "is a number from 1 on",
                              alerts->text_threshold, input->of);
    }
    if (column < 0) {
        return measure_format("threshold=%s: %s has no column %s",
                              alerts->text_threshold, input->of,
                              default_column(alerts));
    }
    if (input->columns[column].kind != MEASURE_COLUMN_COUNT) {
        return measure_format("of=%s: a rate is of a column that adds up over "
                              "packets", alerts->of);
    }
    if (is_of_bytes(input->columns[column].name) != is_of_bits(alerts)) {
        return measure_format("threshold=%s: %s are not counted in %s",
                              alerts->text_threshold,
                              input->columns[column].name,
                              is_of_bits(alerts) ? "bits" : "packets");
    }
    return NULL;
}

static char *
alerts_begin(struct measure_write *w)
{
    struct write_alerts *alerts = cast(w);
    int column = measure_schema_find(w->input, (*alerts->of ? alerts->of
                                                : default_column(alerts)));

    if (!alerts->text_threshold) {
        return measure_format("alerts: needs threshold=, %s", VALID);
    }
    if (column < 0 && *alerts->of) {
        return measure_schema_unknown(w->input, "of", alerts->of);
    }
    if (alerts->is_rate) {
        char *error = check_rate(alerts, column);

        if (error) {
            return error;
        }
    }
    alerts->column = column < 0 ? 0 : column;
    alerts->error_column = measure_schema_find_error(w->input,
                                                     alerts->column);
    return NULL;
}

/* Counts can be too low, never too high: what is at the threshold is so
 * whatever the error. */
static bool
is_alert(const struct write_alerts *alerts, const struct measure_row *row)
{
    const struct measure_column *column;
    uint64_t value;
    double decimal;

    if (row->flags & MEASURE_ROW_OTHER || alerts->column >= row->n_present) {
        return false;
    }
    column = &alerts->w.input->columns[alerts->column];
    value = row->values[alerts->column];
    if (column->kind == MEASURE_COLUMN_DECIMAL) {
        memcpy(&decimal, &value, sizeof decimal);
        return decimal >= alerts->threshold;
    }
    return value >= alerts->threshold;
}

static void
put_member(struct measure_text *t, const char *name, uint64_t value)
{
    measure_text_put(t, ",\"");
    measure_text_put(t, name);
    measure_text_put(t, "\":");
    measure_text_put_uint(t, value);
}

static void
put_value(struct write_alerts *alerts, const struct measure_row *row)
{
    const struct measure_column *column
        = &alerts->w.input->columns[alerts->column];
    uint64_t value = row->values[alerts->column];

    if (column->kind == MEASURE_COLUMN_DECIMAL) {
        char s[352];
        double decimal;

        memcpy(&decimal, &value, sizeof decimal);
        measure_decimal_format(s, sizeof s, 3, decimal);
        measure_text_put(&alerts->text, ",\"value\":");
        measure_text_put(&alerts->text, s);
    } else {
        put_member(&alerts->text, "value", value);
    }
}

static void
put_alert(struct write_alerts *alerts, const struct measure_row *row,
          const struct measure_row_interval *interval)
{
    const struct measure_schema *schema = alerts->w.input;
    const char *unit = schema->columns[alerts->column].name;
    struct measure_row_style style = {
        .schema = schema, .ports = alerts->w.stage->ports,
    };
    struct measure_text *t = &alerts->text;
    uint64_t error = (alerts->error_column >= 0
                      && alerts->error_column < row->n_present
                      ? row->values[alerts->error_column] : 0);
    char *rule;

    measure_text_put(t, "{\"sequence\":");
    measure_text_put_uint(t, ++alerts->sequence);
    measure_text_put(t, ",\"task\":");
    measure_text_put_json(t, schema->of);
    if (interval) {
        put_member(t, "interval", interval->number);
    }
    put_member(t, "time-ms", row->time_ns / MEASURE_NS_PER_MS);
    if (schema->has_key) {
        measure_text_put(t, ",\"key\":{");
        measure_row_write_json_key(t, &style, row);
        measure_text_put(t, "}");
    }
    measure_text_put(t, ",\"unit\":");
    measure_text_put_json(t, unit);
    put_value(alerts, row);
    measure_text_put(t, error ? ",\"exact\":false,\"estimate\":\"lower-bound\""
                     : ",\"exact\":true");
    if (error) {
        put_member(t, "value-error-max", error);
    }
    put_member(t, "threshold", alerts->threshold);
    rule = measure_format("%s of %s at or above threshold=%s", unit,
                          schema->of, alerts->text_threshold);
    measure_text_put(t, ",\"rule\":");
    measure_text_put_json(t, rule);
    free(rule);
    measure_text_put(t, "}\n");
}

/* Sets 'threshold' to what the rate makes in 'interval'. */
static void
set_least(struct write_alerts *alerts,
          const struct measure_row_interval *interval)
{
    /* At least the resolution of the clock, as measure_is_heavy(). */
    double seconds = measure_max(interval->end_ns - interval->start_ns,
                                 MEASURE_NS_PER_MS) / 1e9;
    double least = alerts->rate.value * seconds;

    if (is_of_bits(alerts)) {
        least /= 8;
    }
    /* Not one more because of rounding. */
    least = ceil(least * (1 - 1e-12));
    alerts->threshold = least < 0x1p63 ? measure_max(least, 1) : INT64_MAX;
}

static void
alerts_rows(struct measure_write *w, const struct measure_row *const *rows,
            size_t n, const struct measure_row_interval *interval)
{
    struct write_alerts *alerts = cast(w);

    if (alerts->is_rate) {
        if (interval->cut) {
            /* There is no memory for them until the interval ends. */
            measure_stage_lose(w->stage, n);
            return;
        }
        set_least(alerts, interval);
    }
    for (size_t i = 0; i < n; i++) {
        if (is_alert(alerts, rows[i])) {
            put_alert(alerts, rows[i], interval);
        }
    }
    measure_write_put(w, alerts->text.data, alerts->text.length);
    alerts->text.length = 0;
}

static void
alerts_destroy(struct measure_write *w)
{
    measure_text_destroy(&cast(w)->text);
    free(cast(w)->text_threshold);
}

static const char *const arguments[] = { "threshold", "of", NULL };

const struct measure_write_format measure_write_alerts = {
    .name = "alerts",
    .summary = "an object of JSON in each line, for each row at a threshold",
    .takes = MEASURE_TAKES_ROWS,
    .size = sizeof(struct write_alerts),
    .arguments = arguments,
    .set = alerts_set,
    .begin = alerts_begin,
    .rows = alerts_rows,
    .destroy = alerts_destroy,
};
