/* SPDX-License-Identifier: Apache-2.0 */
/* The question for changes: each epoch against what is expected of it. */

#ifndef MEASURE_CHANGES_H
#define MEASURE_CHANGES_H 1

#include "questions/measure-scope.h"
#include "report/measure-expectations.h"

/* Changes
 * =======
 *
 * Each closed epoch is compared with what the history of each key predicts
 * (measure-expectations.h), which it then becomes part of.  Only what is
 * certain is a change: where an epoch missed packets, or what is expected is
 * not known exactly, whatever the error is.
 *
 * Memory: what is expected takes a third of its limit for wide keys, 256 bytes
 * each, and the rest for narrow ones, 128 bytes each, as soon as there is
 * something to expect; a list of changes up to MEASURE_CHANGES_KEPT rows.
 *
 * Thread safety: 'bytes' of what is expected may be read by any thread; all
 * else belongs to the one that looks for changes.  A list does not change any
 * more, and is shared by references. */

#define MEASURE_CHANGES_KEPT 100000

/* The changes that one epoch had.  Does not change any more. */
struct measure_changes {
    unsigned int refs;          /* Atomic. */
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

/* What is expected of the keys of one monitor.  All zeros: nothing. */
struct measure_expected {
    struct measure_expectations tables[MEASURE_N_LAYOUTS];
    void *memory[MEASURE_N_LAYOUTS];    /* Of 'tables', NULL if not made. */
    uint64_t bytes;             /* Of both.  Atomic. */
    enum measure_key_kind key_kind;
    double alpha;
    uint64_t limit;             /* Bytes. */
    uint32_t epoch_ms;
    uint64_t epochs;            /* Since history is kept. */
};

bool measure_changes_add(const struct measure_scope *, enum measure_key_kind,
                         struct measure_expectations *const changes[]);
void measure_expected_forget(struct measure_expected *,
                             struct measure_budget *);
struct measure_changes *
measure_changes_find(struct measure_expected *, const struct measure_scope *,
                     const struct measure_config *, uint64_t limit,
                     struct measure_budget *);
struct measure_changes *measure_changes_ref(struct measure_changes *);
void measure_changes_unref(struct measure_changes *);
void measure_changes_write(struct measure_output *,
                           const struct measure_changes *, uint64_t n);

#endif /* measure-changes.h */
