/* SPDX-License-Identifier: Apache-2.0 */
/* What each key is expected to have, and how it differs. */

#ifndef MEASURE_EXPECTATIONS_H
#define MEASURE_EXPECTATIONS_H 1

#include "base/measure-hash.h"
#include "key/measure-record.h"

/* Changes: each key against its own history
 * =========================================
 *
 * In each epoch a key has a value x, its packets or bytes, 0 if it was not
 * seen.  Of the epochs before, the table keeps its expectation m, an
 * exponentially weighted moving average, and the variance v around it:
 *
 *     first epoch of all   m = x, v = 0
 *     then                 d = x - m
 *                          m = m + alpha * d
 *                          v = (1 - alpha) * (v + alpha * d * d)
 *
 * When an epoch closes each key is compared with what was expected before the
 * epoch.  It has changed if
 *
 *     x != m,
 *     the larger of x and m is at least 'floor',
 *     the larger of x and m is at least 'factor' times the smaller, and
 *     |x - m| >= 'deviations' * sqrt(v),
 *
 * where 0 switches off a condition.  The change is called
 *
 *     appeared   nothing was expected (m = 0)
 *     vanished   x = 0; only once until the key is seen again
 *     grew       x > m
 *     shrank     x < m
 *
 * Bounds.  An epoch may have missed packets: then x is too low, by at most an
 * error that measure_expectations_missed() says.  So may m be, by an error
 * that is averaged in the same way, and a key that has no row may be expected,
 * too: what it can have had, because nothing was known of it or the table
 * refused it, is averaged as if all that was of one key.  v is the largest
 * that it can be.  A key has changed only if the conditions hold for all
 * values that x and m can have, and has appeared or vanished only if all are 0
 * on the one side.  A change that is reported is thus certain, and it is one
 * that exact counts would have shown, if perhaps in another epoch because of
 * 'hold_down'.  An error of m below MEASURE_CHANGE_NO_ERROR is taken for none,
 * and so is then what m is below x by less than that.
 *
 * An epoch of which not all keys could be added is skipped, after
 * measure_expectations_skip(): nothing is reported, and nothing expected of
 * it.
 *
 * In the first 'warm_up' epochs (at least 1) nothing is reported, and of a key
 * that has been reported nothing more for 'hold_down' epochs.
 *
 * Sources: Alipourfard et al., SOSR 2018, section 4.2, for the task; Finch,
 * "Incremental calculation of weighted mean and variance", 2009, for the
 * recurrence.  All arithmetic is in doubles, in the order written above.
 *
 * Forgetting.  To be bounded, the table forgets a key, which then counts as
 * never seen (m = 0), when an epoch closes in which
 *
 *     both x and the new m are below 'floor' / MEASURE_CHANGE_FORGET, or
 *     it was not seen for 'forget_epochs' epochs, after which its m is below a
 *     thousandth of what it was: ln(1000) / -ln(1 - alpha), rounded up.
 *
 * What is lost of an expectation is thus less than 'floor' / 16, or a
 * thousandth of the former traffic, each time that the key is forgotten, and
 * from then on it weighs less in each epoch, like all that is past.  If it has
 * an error then all of it may be expected of keys that have no row.
 *
 * Memory: 128 bytes a key for IPv4 and 256 for IPv6, that is a row of 64 or
 * 128 bytes at half load, and a bit for each row.  The table must take the
 * keys of this epoch and those of earlier ones that are not yet forgotten.  A
 * key that finds no place is refused, and what it would have added is counted:
 * none of its changes is seen.
 *
 * Thread safety: one thread.  measure_expectations_add() does not allocate,
 * lock, wait, log or clear, but for the rests of a thread that has begun to
 * pace itself (measure-pace.h).  measure_expectations_close() goes through all
 * keys. */

#define MEASURE_EXPECTATIONS_FORGET 16
#define MEASURE_EXPECTATIONS_MAX_PROBES 128 /* Rows looked at for one key. */
#define MEASURE_EXPECTATIONS_NO_ERROR 1e-3

enum measure_change_kind {
    MEASURE_APPEARED,
    MEASURE_GREW,
    MEASURE_SHRANK,
    MEASURE_VANISHED,
    MEASURE_N_CHANGE_KINDS
};

struct measure_expectations_config {
    enum measure_layout layout;
    uint32_t max_keys;
    bool bytes;                 /* Compare bytes, not packets. */
    double alpha;               /* More than 0, at most 1. */
    double factor;              /* At least 1, or 0 for any. */
    double deviations;          /* 0 for any. */
    double floor;
    uint32_t warm_up;           /* Epochs. */
    uint32_t hold_down;         /* Epochs. */
};

/* Returns by how much the value of 'key' can be too low. */
typedef uint64_t measure_expectations_missed_function(enum measure_layout,
                                                      const uint64_t *key,
                                                      const void *aux);

struct measure_expectations {
    struct measure_expectations_config config;
    const struct measure_hash_secret *secret;
    uint64_t *rows;
    uint64_t *used;             /* A bit for each row. */
    uint32_t n_rows;            /* Of the table, used or not. */
    uint32_t n_keys;            /* Rows used. */
    uint32_t allowed_keys;      /* Rows that may be used now. */
    uint32_t forget_epochs;
    uint64_t epoch;             /* Closed so far, but for skipped ones. */

    /* Of the running epoch. */
    bool skip;                  /* Not all keys were added. */
    uint64_t missed;            /* By no key more... */
    measure_expectations_missed_function *missed_by;    /* ...or NULL... */
    const void *missed_aux;     /* ...if it is not known better. */
    uint64_t refused_most;      /* By one key that was refused. */

    /* Of a key that has no row: m is 0 and may be too low by... */
    float unknown_error;
    double unknown_variance;

    /* Since measure_expectations_init(). */
    uint64_t refused_adds;      /* Adds of keys that found no place... */
    uint64_t refused_value;     /* ...and what they would have added. */
    uint64_t forgotten_keys;
    uint64_t held_down;         /* Changes not reported, by 'hold_down'. */
    uint64_t not_listed;        /* Changes for which there was no row. */
};

struct measure_change_row {
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_change_kind kind;
    uint64_t value;
    uint64_t value_error;       /* By which 'value' may be too low... */
    double expectation;
    double expectation_error;   /* ...and 'expectation'. */
    double deviation;           /* sqrt(v), the largest that it can be. */
};

/* What one key adds to the running epoch. */
struct measure_change_item {
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t packets;
    uint64_t bytes;
};

const char *measure_change_kind_name(enum measure_change_kind);

size_t measure_expectations_size(const struct measure_expectations_config *);
void measure_expectations_init(struct measure_expectations *,
                               const struct measure_expectations_config *,
                               const struct measure_hash_secret *,
                               void *memory);

void measure_expectations_add(struct measure_expectations *,
                              const struct measure_change_item *items,
                              size_t n);
void measure_expectations_add_rows(struct measure_expectations *,
                                   const uint64_t *rows,
                                   size_t n, const uint64_t *mask);

/* Returns in which of 'n' (a power of 2, 2 or more) equal parts of the table
 * 'key' has its home. */
static inline uint32_t
measure_change_order(const struct measure_expectations *c,
                     enum measure_layout layout, const uint64_t *key,
                     uint32_t n)
{
    return (measure_hash(c->secret, key, measure_key_words(layout))
            >> (64 - __builtin_ctz(n)));
}

void measure_expectations_begin_share(struct measure_expectations *,
                                      uint32_t i, uint32_t n, uint32_t n_keys,
                                      uint64_t n_rows);
void measure_expectations_count(struct measure_expectations *,
                                const uint64_t *keys, size_t stride, size_t n);
void measure_expectations_missed(struct measure_expectations *,
                                 uint64_t missed,
                                 measure_expectations_missed_function *,
                                 const void *aux);
void measure_expectations_skip(struct measure_expectations *);
bool measure_expectations_is_exact(const struct measure_expectations *);
size_t measure_expectations_close(struct measure_expectations *,
                                  struct measure_change_row *rows,
                                  size_t max_rows);

#endif /* measure-expectations.h */
