/* SPDX-License-Identifier: Apache-2.0 */
/* One alert: its fields, its JSON, and its line in the log. */

#include <config.h>

#include "questions/measure-alert.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

/* Makes 'alerts' empty, a ring of 'size' (more than 0) alerts. */
void
measure_alerts_init(struct measure_alerts *alerts, uint32_t size)
{
    assert(size);
    alerts->ring = measure_xzalloc(size * sizeof *alerts->ring);
    alerts->size = size;
    alerts->last = 0;
}

void
measure_alerts_destroy(struct measure_alerts *alerts)
{
    free(alerts->ring);
    memset(alerts, 0, sizeof *alerts);
}

static void
add_field(struct measure_alert *alert, const char *name, const char *text,
          bool is_number)
{
    struct measure_alert_field *field;

    assert(alert->n_fields < MEASURE_ALERT_FIELDS);
    field = &alert->fields[alert->n_fields++];
    field->name = name;
    field->is_number = is_number;
    snprintf(field->text, sizeof field->text, "%s", text);
}

/* Adds a field of the key, of at most MEASURE_ALERT_TEXT - 1 characters: what
 * is longer is cut. */
void
measure_alert_field(struct measure_alert *alert, const char *name,
                    const char *text)
{
    add_field(alert, name, text, false);
}

void
measure_alert_number(struct measure_alert *alert, const char *name,
                     uint64_t number)
{
    char text[MEASURE_ALERT_TEXT];

    snprintf(text, sizeof text, "%"PRIu64, number);
    add_field(alert, name, text, true);
}

/* Adds a copy of 'alert', over the oldest if the ring is full.  Returns its
 * sequence number. */
uint64_t
measure_alerts_add(struct measure_alerts *alerts,
                   const struct measure_alert *alert)
{
    struct measure_alert *slot = &alerts->ring[alerts->last % alerts->size];

    *slot = *alert;
    slot->sequence = ++alerts->last;
    return slot->sequence;
}

/* The sequence number of the alert before the oldest in the ring. */
static uint64_t
before_oldest(const struct measure_alerts *alerts)
{
    return alerts->last > alerts->size ? alerts->last - alerts->size : 0;
}

/* Returns the oldest alert that is there with a sequence number above 'since',
 * or NULL.  It stays until another is added. */
const struct measure_alert *
measure_alerts_next(const struct measure_alerts *alerts, uint64_t since)
{
    uint64_t oldest = before_oldest(alerts);

    if (since < oldest) {
        since = oldest;
    }
    return (since < alerts->last ? &alerts->ring[since % alerts->size]
            : NULL);
}

/* Returns how many alerts with a sequence number above 'since' the ring has
 * overwritten; with 0, how many in all. */
uint64_t
measure_alerts_dropped(const struct measure_alerts *alerts, uint64_t since)
{
    uint64_t oldest = before_oldest(alerts);

    return since < oldest ? oldest - since : 0;
}

static void
write_alert(struct measure_output *o, const struct measure_alert *alert)
{
    char title[64];

    snprintf(title, sizeof title, "alert %"PRIu64, alert->sequence);
    measure_output_open_block(o, title);
    if (!measure_output_is_text(o)) {
        measure_output_uint(o, "sequence", alert->sequence);
    }
    measure_output_string(o, "task", alert->task);
    measure_output_uint(o, "epoch", alert->epoch);
    measure_output_time_ms(o, "time-ms", alert->time_ms);
    measure_output_open_line(o, "key");
    for (unsigned int i = 0; i < alert->n_fields; i++) {
        const struct measure_alert_field *field = &alert->fields[i];

        if (field->is_number) {
            measure_output_uint(o, field->name,
                                strtoull(field->text, NULL, 10));
        } else {
            measure_output_string(o, field->name, field->text);
        }
    }
    measure_output_close(o);
    measure_output_string(o, "unit", alert->unit);
    measure_output_uint(o, "value", alert->value);
    measure_output_bool(o, "exact", !alert->estimate);
    if (alert->estimate) {
        measure_output_string(o, "estimate", alert->estimate);
        measure_output_uint(o, "value-error-max", alert->error_max);
    }
    if (alert->error_probability) {
        measure_output_percentage(o, "error-probability-percentage",
                                  alert->error_probability, 1);
    }
    measure_output_uint(o, "threshold", alert->threshold);
    measure_output_string(o, "rule", alert->rule);
    measure_output_close(o);
}

/* Writes the members of one bridge: the alerts with sequence numbers above
 * 'since', oldest first, at most 'n' of them or all if 'n' is 0, and what a
 * poller needs to go on. */
void
measure_alerts_write(struct measure_output *o,
                     const struct measure_alerts *alerts, uint64_t since,
                     uint64_t n)
{
    uint64_t next_since = measure_min(since, alerts->last);
    uint64_t n_written = 0;

    measure_output_open_list(o, "alerts");
    MEASURE_ALERT_FOR_EACH (alert, alerts, since) {
        if (n && n_written == n) {
            break;
        }
        write_alert(o, alert);
        next_since = alert->sequence;
        n_written++;
    }
    measure_output_close(o);

    measure_output_open_line(o, "sequence");
    measure_output_uint(o, "next-since", next_since);
    measure_output_uint(o, "last", alerts->last);
    measure_output_uint(o, "dropped", measure_alerts_dropped(alerts, since));
    measure_output_close(o);
}

/* Appends to the string in 'buffer', as far as 'size' goes. */
static void __attribute__((format(printf, 3, 4)))
append(char *buffer, size_t size, const char *format, ...)
{
    size_t length = strlen(buffer);
    va_list args;

    va_start(args, format);
    vsnprintf(buffer + length, size - length, format, args);
    va_end(args);
}

/* Writes 'alert' as one line for a log, cut to 'size' (more than 0) bytes. */
void
measure_alert_format(const struct measure_alert *alert, char *buffer,
                     size_t size)
{
    assert(size);
    buffer[0] = '\0';
    append(buffer, size, "alert %"PRIu64": %s,", alert->sequence,
           alert->task);
    for (unsigned int i = 0; i < alert->n_fields; i++) {
        append(buffer, size, " %s %s%s", alert->fields[i].name,
               alert->fields[i].text,
               i + 1 < alert->n_fields ? "" : ",");
    }
    append(buffer, size, " %"PRIu64" %s in epoch %"PRIu64", threshold %"PRIu64
           ": %s", alert->value, alert->unit, alert->epoch, alert->threshold,
           alert->rule);
    if (alert->estimate) {
        append(buffer, size, "; %s, wrong by at most %"PRIu64,
               alert->estimate, alert->error_max);
        if (alert->error_probability > 0) {
            append(buffer, size, " with a probability of %d%%",
                   (int) (100 * (1 - alert->error_probability)));
        }
    }
}

/* Keys as text. */

static void
add_text(struct measure_key_field fields[], size_t *n, const char *name,
         enum measure_family family, const uint8_t *address)
{
    fields[*n].name = name;
    fields[*n].is_number = false;
    inet_ntop(family == MEASURE_IPV4 ? AF_INET : AF_INET6, address,
              fields[*n].text, sizeof fields[*n].text);
    (*n)++;
}

static void
add_number(struct measure_key_field fields[], size_t *n, const char *name,
           uint64_t number)
{
    fields[*n].name = name;
    fields[*n].is_number = true;
    fields[*n].number = number;
    (*n)++;
}

/* Puts into 'out' the fields of 'fields' that a key of kind 'key_kind' has.
 * Returns how many. */
size_t
measure_key_fields(enum measure_key_kind key_kind,
                   const struct measure_fields *fields,
                   struct measure_key_field out[MEASURE_KEY_FIELDS])
{
    size_t n = 0;

    if (measure_kind_has_source(key_kind)) {
        add_text(out, &n, "source", fields->family, fields->source);
    }
    if (measure_kind_has_destination(key_kind)) {
        add_text(out, &n, "destination", fields->family, fields->destination);
    }
    if (key_kind == MEASURE_KIND_FLOW) {
        add_number(out, &n, "protocol", fields->protocol);
        add_number(out, &n, "source-port", fields->source_port);
        add_number(out, &n, "destination-port", fields->destination_port);
        if (fields->vlan) {
            add_number(out, &n, "vlan", fields->vlan);
        }
        if (fields->tunnelled) {
            add_number(out, &n, "tunnel", fields->tunnel);
        }
    }
    return n;
}
