/* SPDX-License-Identifier: Apache-2.0 */
/* One alert: its fields, its JSON, and its line in the log. */

#ifndef MEASURE_ALERT_H
#define MEASURE_ALERT_H 1

#include "base/measure-output.h"
#include "key/measure-record.h"

/* Alerts
 * ======
 *
 * A row of a report that crossed a threshold becomes an alert, which explains
 * itself: whose key, in which epoch, which value against which threshold, and
 * the rule in words.  Where counts have errors, only what crossed it whatever
 * the error is an alert, and the error is one of its members.
 *
 * Alerts are kept in a ring of fixed size with sequence numbers, from 1,
 * without gaps.  A poller asks for all behind the last number that it has
 * seen; what the ring has overwritten meanwhile is counted.
 *
 * An alert holds copies, no pointer into a report: the report can go.  The
 * names ('task', 'unit', 'estimate', 'name' of a field) must be string
 * literals.
 *
 * Memory: sizeof(struct measure_alert) for each alert that the ring can hold.
 *
 * Thread safety: none.  Whoever holds the lock that protects the ring uses
 * it. */

#define MEASURE_ALERT_FIELDS 8
#define MEASURE_ALERT_TEXT 48           /* Of the value of a field. */
#define MEASURE_ALERT_RULE 192

struct measure_alert_field {
    const char *name;                   /* As in JSON, "source-port". */
    bool is_number;                     /* 'text' is a number. */
    char text[MEASURE_ALERT_TEXT];
};

struct measure_alert {
    uint64_t sequence;                  /* Set by measure_alerts_add(). */
    const char *task;                   /* "superspreader", "change", ... */
    uint64_t epoch;                     /* Number of the epoch. */
    int64_t time_ms;                    /* End of it, since 1970. */
    const char *unit;                   /* Of what follows: "packets", ... */
    uint64_t value;
    const char *estimate;               /* "lower-bound", ...; or NULL... */
    uint64_t error_max;                 /* ...if it is wrong by no more... */
    double error_probability;           /* ...than that, but with this. */
    uint64_t threshold;                 /* What 'value' was compared with. */
    char rule[MEASURE_ALERT_RULE];      /* The rule, in words. */
    unsigned int n_fields;              /* The key. */
    struct measure_alert_field fields[MEASURE_ALERT_FIELDS];
};

struct measure_alerts {
    struct measure_alert *ring;
    uint64_t size;                      /* Alerts that fit. */
    uint64_t last;                      /* Sequence number; 0 is none. */
};

void measure_alerts_init(struct measure_alerts *, uint32_t size);
void measure_alerts_destroy(struct measure_alerts *);

/* Making an alert: set the plain members, then add the fields of the key. */
void measure_alert_field(struct measure_alert *, const char *name,
                         const char *text);
void measure_alert_number(struct measure_alert *, const char *name, uint64_t);
uint64_t measure_alerts_add(struct measure_alerts *,
                            const struct measure_alert *);

/* Reading. */
const struct measure_alert *
measure_alerts_next(const struct measure_alerts *, uint64_t since);
uint64_t measure_alerts_dropped(const struct measure_alerts *, uint64_t since);

#define MEASURE_ALERT_FOR_EACH(ALERT, ALERTS, SINCE)                    \
    for (const struct measure_alert *ALERT                              \
             = measure_alerts_next(ALERTS, SINCE);                      \
         ALERT; ALERT = measure_alerts_next(ALERTS, ALERT->sequence))

void measure_alerts_write(struct measure_output *,
                          const struct measure_alerts *, uint64_t since,
                          uint64_t n);
void measure_alert_format(const struct measure_alert *, char *buffer,
                          size_t size);

/* The fields of a key that 'key_kind' has. */
#define MEASURE_KEY_FIELDS 8
struct measure_key_field {
    const char *name;
    bool is_number;
    uint64_t number;
    char text[MEASURE_ALERT_TEXT];
};

size_t measure_key_fields(enum measure_key_kind, const struct measure_fields *,
                          struct measure_key_field[MEASURE_KEY_FIELDS]);

#endif /* measure-alert.h */
