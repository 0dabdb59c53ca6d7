/* SPDX-License-Identifier: Apache-2.0 */
/* What watching found for a monitor: alerts, changes, expectations. */

#ifndef MEASURE_FINDINGS_H
#define MEASURE_FINDINGS_H 1

#include "base/measure-pace.h"
#include "measure-history.h"
#include "openvswitch/thread.h"
#include "ovs-atomic.h"
#include "questions/measure-alert.h"
#include "report/measure-expectations.h"
#include "tally/measure-config.h"

/* What watching found for a monitor
 * =================================
 *
 * The alerts, the changes of the last epoch, and what is expected of keys:
 * measure-watch.h says how they come about.
 *
 * Memory: the ring of alerts is small; what expectations may take says
 * measure-watch.h.
 *
 * Thread safety: what a comment says. */

#define MEASURE_WATCH_ALERTS 256
#define MEASURE_WATCH_KEYS 10000    /* That have an alert at a time. */
#define MEASURE_ALERTS_KEPT 4096
#define MEASURE_CHANGES_KEPT 100000

/* The changes that one epoch had.  Does not change any more. */
struct measure_changes {
    struct ovs_refcount refs;
    uint64_t epoch;
    int64_t start_ms;
    uint64_t duration_ms;
    enum measure_key_kind key_kind;
    bool by_missing;            /* The report does not have the key. */
    char *incomplete;           /* Why it has not every key, or NULL. */
    bool no_memory;             /* The epoch was skipped. */
    bool exact;                 /* Values and expectations; all keys. */
    uint64_t overflow_packets;  /* What the epoch has in no row. */
    uint64_t overflow_bytes;
    uint64_t warmup_left;       /* Epochs until changes are reported. */
    uint64_t keys;              /* That have an expectation. */
    uint64_t not_listed;        /* Changes above MEASURE_CHANGES_KEPT. */
    uint64_t refused_keys;      /* Of this epoch: without an expectation. */
    size_t n;
    struct measure_listed_change {
        struct measure_fields fields;
        enum measure_change_kind kind;
        uint64_t packets;
        uint64_t packets_error;     /* Too low by at most that. */
        double expectation;
        double expectation_error;   /* The same. */
        double deviation;
    } *rows;                    /* The largest difference first. */
};

/* Keys that have an alert, in the order of measure_fields_compare(). */
struct measure_known {
    struct measure_fields *keys;
    size_t n;
};

enum measure_task {
    MEASURE_WATCH_HEAVY_HITTER,
    MEASURE_WATCH_SUPERSPREADER_SOURCE,
    MEASURE_WATCH_SUPERSPREADER_DESTINATION,
    MEASURE_WATCH_CHANGE,
    MEASURE_N_TASKS
};

/* Of one monitor. */
struct measure_findings {
    /* Protected by the lock of the monitors. */
    struct kept_report *pending;    /* A reference, or NULL. */
    struct measure_alerts alerts;
    struct measure_changes *changes;    /* The last; a reference, or NULL. */
    uint64_t evaluated;         /* Number of the last epoch that is done. */
    uint64_t n_evaluated;       /* Epochs. */
    uint64_t n_skipped;         /* Epochs. */
    uint64_t n_no_memory;       /* Epochs in which a task had none. */
    uint64_t not_listed;        /* Alerts that were too many in an epoch. */
    uint64_t time_us;           /* Work for the last epoch, without rests... */
    uint64_t max_time_us;       /* ...and the longest. */

    /* The thread only. */
    struct measure_pace pace;
    struct measure_known known[MEASURE_N_TASKS];
    struct measure_expectations change[MEASURE_N_LAYOUTS];
    void *change_memory[MEASURE_N_LAYOUTS];
    uint64_t change_bytes;      /* Of both.  Atomic. */
    enum measure_key_kind change_by;
    double change_alpha;
    uint64_t change_limit;
    uint32_t change_epoch_ms;
    uint64_t change_epochs;     /* Since history is kept. */
};

extern struct seq *measure_findings_seq;    /* Wakes "measure-watch". */

void measure_findings_init(struct measure_findings *);
void measure_findings_destroy(struct measure_findings *,
                              struct measure_budget *);
void measure_findings_forget(struct measure_findings *,
                             struct measure_budget *);
struct kept_report *measure_findings_submit(struct measure_findings *,
                                            struct kept_report *);

struct measure_changes *measure_changes_ref(struct measure_changes *);
void measure_changes_unref(struct measure_changes *);

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

#endif /* measure-findings.h */
