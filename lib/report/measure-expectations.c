/* SPDX-License-Identifier: Apache-2.0 */
/* What each key is expected to have, and how it differs. */

#include <config.h>

#include "report/measure-expectations.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-pace.h"
#include "base/measure-top.h"
#include "structures/measure-table.h"

#define BATCH 32

/* After 'forget_epochs' this is left of an expectation. */
#define FORGET_SHARE 1e-3

/* Behind the key of a row. */
struct state {
    uint64_t hash;              /* Not 0 in a row that is used. */
    uint64_t value;             /* Of the running epoch. */
    double mean;
    double variance;
    uint32_t hold;              /* Epochs in which nothing is reported. */
    uint32_t unseen;            /* Epochs since the key was last seen. */
    float error;                /* By which 'mean' may be too low. */
    bool vanished;              /* Reported, and not seen since. */
    bool fresh;                 /* Made in the running epoch. */
};

struct row_ipv4 {
    uint64_t key[2];
    struct state state;
};

struct row_ipv6 {
    uint64_t key[MEASURE_KEY_WORDS];
    struct state state;
    uint64_t unused[4];
};

static_assert(sizeof(struct row_ipv4) == MEASURE_LINE_SIZE
              && sizeof(struct row_ipv6) == 2 * MEASURE_LINE_SIZE,
              "a row is one or two lines");
static_assert(offsetof(struct row_ipv4, state) == 2 * 8
              && offsetof(struct row_ipv6, state) == 8 * MEASURE_KEY_WORDS,
              "the state follows the key");

MEASURE_SPECIALISED size_t
row_words(enum measure_layout layout)
{
    return (layout == MEASURE_NARROW
            ? sizeof(struct row_ipv4) / 8 : sizeof(struct row_ipv6) / 8);
}

MEASURE_SPECIALISED struct state *
state_of(uint64_t *key, enum measure_layout layout)
{
    return (struct state *) &key[measure_key_words(layout)];
}

MEASURE_SPECIALISED uint64_t *
home_row(const struct measure_expectations *c, enum measure_layout layout,
         uint64_t hash)
{
    return &c->rows[(((hash >> 32) * c->n_rows) >> 32) * row_words(layout)];
}

/* Rows behind the last home row save the wrap. */
static size_t
n_all_rows(const struct measure_expectations_config *config)
{
    return 2 * (size_t) config->max_keys + MEASURE_EXPECTATIONS_MAX_PROBES;
}

const char *
measure_change_kind_name(enum measure_change_kind kind)
{
    static const char *const names[MEASURE_N_CHANGE_KINDS] = {
        [MEASURE_APPEARED] = "appeared",
        [MEASURE_GREW] = "grew",
        [MEASURE_SHRANK] = "shrank",
        [MEASURE_VANISHED] = "vanished",
    };

    return names[kind];
}

#define WORD_BITS 64

/* Words of the bitmap of used rows, which follows the rows. */
static size_t
n_used_words(const struct measure_expectations_config *config)
{
    return (n_all_rows(config) + WORD_BITS - 1) / WORD_BITS;
}

/* Returns the bytes that measure_expectations_init() needs. */
size_t
measure_expectations_size(const struct measure_expectations_config *config)
{
    return (n_all_rows(config) * row_words(config->layout)
            + n_used_words(config)) * 8;
}

/* Notes that 'row' is used, or that it is not any more: those are changes. */
MEASURE_SPECIALISED void
flip_used(struct measure_expectations *c, enum measure_layout layout,
          const uint64_t *row)
{
    size_t i = (row - c->rows) / row_words(layout);

    c->used[i / WORD_BITS] ^= UINT64_C(1) << i % WORD_BITS;
}

/* Makes 'c' know no key, before its first epoch, in 'memory' of
 * measure_expectations_size() bytes at a multiple of MEASURE_LINE_SIZE, which
 * stays the caller's. */
void
measure_expectations_init(struct measure_expectations *c,
                          const struct measure_expectations_config *config,
                          const struct measure_hash_secret *secret,
                          void *memory)
{
    double epochs = (config->alpha < 1
                     ? ceil(log(FORGET_SHARE) / log1p(-config->alpha)) : 1);

    assert((uintptr_t) memory % MEASURE_LINE_SIZE == 0);
    assert(config->max_keys > 0 && config->max_keys <= UINT32_C(1) << 30);
    assert(config->alpha > 0 && config->alpha <= 1);

    memset(c, 0, sizeof *c);
    c->config = *config;
    c->secret = secret;
    c->rows = memory;
    c->used = c->rows + n_all_rows(config) * row_words(config->layout);
    c->n_rows = 2 * config->max_keys;
    c->allowed_keys = config->max_keys;
    c->forget_epochs = epochs < UINT32_MAX ? epochs : UINT32_MAX;
    memset(memory, 0, measure_expectations_size(config));
}

/* What 'n' keys add, in three arrays. */
struct batch {
    const uint64_t *keys[BATCH];
    uint64_t values[BATCH];
    uint64_t hashes[BATCH];
};

MEASURE_SPECIALISED void
prepare(struct measure_expectations *c, enum measure_layout layout,
        struct batch *batch, size_t i, const uint64_t *key, uint64_t value)
{
    /* The home row comes from the high bits. */
    uint64_t hash = measure_hash(c->secret, key,
                                 measure_key_words(layout)) | 1;
    uint64_t *home = home_row(c, layout, hash);

    batch->keys[i] = key;
    batch->values[i] = value;
    batch->hashes[i] = hash;
    /* Half of the keys are not in their home row, but most in the next. */
    for (size_t j = 0; j < 2 * row_words(layout); j += MEASURE_LINE_SIZE / 8) {
        __builtin_prefetch(home + j, 1);
    }
}

/* 'once' says that each key is added once in an epoch at most. */
MEASURE_SPECIALISED void
add_one(struct measure_expectations *c, enum measure_layout layout, bool once,
        const uint64_t *key, uint64_t hash, uint64_t value)
{
    uint64_t *row = home_row(c, layout, hash);

    for (int i = 0; i < MEASURE_EXPECTATIONS_MAX_PROBES; i++) {
        struct state *state = state_of(row, layout);

        if (!state->hash) {
            if (c->n_keys >= c->allowed_keys) {
                break;
            }
            c->n_keys++;
            flip_used(c, layout, row);
            memcpy(row, key, measure_key_words(layout) * 8);
            state->hash = hash;
            state->value = value;
            state->variance = c->unknown_variance;
            state->error = c->unknown_error;
            state->fresh = true;
            return;
        }
        if (state->hash == hash && measure_key_equal(row, key, layout)) {
            state->value += value;
            return;
        }
        row += row_words(layout);
    }
    c->refused_adds++;
    c->refused_value += value;
    c->refused_most = (!once ? c->refused_most + value
                       : measure_max(value, c->refused_most));
}

MEASURE_SPECIALISED void
add_batch(struct measure_expectations *c, enum measure_layout layout,
          bool once, const struct batch *batch, size_t n)
{
    measure_pace(n);
    for (size_t i = 0; i < n; i++) {
        add_one(c, layout, once, batch->keys[i], batch->hashes[i],
                batch->values[i]);
    }
}

MEASURE_SPECIALISED void
add__(struct measure_expectations *c, enum measure_layout layout,
      const struct measure_change_item *items, size_t n)
{
    bool bytes = c->config.bytes;

    while (n) {
        size_t n_batch = measure_min(n, BATCH);
        struct batch batch;

        for (size_t i = 0; i < n_batch; i++) {
            prepare(c, layout, &batch, i, items[i].key,
                    bytes ? items[i].bytes : items[i].packets);
        }
        add_batch(c, layout, false, &batch, n_batch);
        items += n_batch;
        n -= n_batch;
    }
}

/* Adds the 'n' items to the running epoch.  A key may come any number of
 * times: its values add up. */
void
measure_expectations_add(struct measure_expectations *c,
                         const struct measure_change_item *items, size_t n)
{
    if (c->config.layout == MEASURE_NARROW) {
        add__(c, MEASURE_NARROW, items, n);
    } else {
        add__(c, MEASURE_WIDE, items, n);
    }
}

MEASURE_SPECIALISED void
add_rows__(struct measure_expectations *c, enum measure_layout layout,
           const uint64_t *rows, size_t n, const uint64_t *mask)
{
    unsigned int n_words = measure_key_words(layout);
    size_t value = n_words + c->config.bytes;

    while (n) {
        size_t n_batch = measure_min(n, BATCH);
        uint64_t keys[BATCH][MEASURE_KEY_WORDS];
        struct batch batch;

        for (size_t i = 0; i < n_batch; i++) {
            for (unsigned int j = 0; j < n_words; j++) {
                keys[i][j] = rows[j] & mask[j];
            }
            prepare(c, layout, &batch, i, keys[i], rows[value]);
            rows += measure_row_words(layout);
        }
        add_batch(c, layout, true, &batch, n_batch);
        n -= n_batch;
    }
}

/* Like measure_expectations_add() for 'n' rows of a table, without gaps, by
 * their keys masked with 'mask'.  A key may come once in an epoch at most. */
void
measure_expectations_add_rows(struct measure_expectations *c,
                              const uint64_t *rows,
                              size_t n, const uint64_t *mask)
{
    if (c->config.layout == MEASURE_NARROW) {
        add_rows__(c, MEASURE_NARROW, rows, n, mask);
    } else {
        add_rows__(c, MEASURE_WIDE, rows, n, mask);
    }
}

/* Prepares for the 'i'th of 'n' equal shares of 'n_rows' rows that come in the
 * order of measure_change_order().  'n_keys' is how many keys the table had
 * before the first.  If all may be too many, each share gets as many places:
 * else the first would fill their part of the table to the brim. */
void
measure_expectations_begin_share(struct measure_expectations *c, uint32_t i,
                                 uint32_t n, uint32_t n_keys, uint64_t n_rows)
{
    uint64_t room = c->config.max_keys - n_keys;

    c->allowed_keys = (n_rows > room ? n_keys + room * (i + 1) / n
                       : c->config.max_keys);
}

MEASURE_SPECIALISED void
count__(struct measure_expectations *c, enum measure_layout layout,
        const uint64_t *keys, size_t stride, size_t n)
{
    while (n) {
        size_t n_batch = measure_min(n, BATCH);
        struct batch batch;

        for (size_t i = 0; i < n_batch; i++) {
            prepare(c, layout, &batch, i, &keys[i * stride], 1);
        }
        add_batch(c, layout, false, &batch, n_batch);
        keys += n_batch * stride;
        n -= n_batch;
    }
}

/* Adds to the running epoch the 'n' packets whose keys begin at 'keys' and
 * 'stride' words apart.  Not for a table that compares bytes. */
void
measure_expectations_count(struct measure_expectations *c,
                           const uint64_t *keys, size_t stride, size_t n)
{
    assert(!c->config.bytes);
    if (c->config.layout == MEASURE_NARROW) {
        count__(c, MEASURE_NARROW, keys, stride, n);
    } else {
        count__(c, MEASURE_WIDE, keys, stride, n);
    }
}

/* Says that any value of the running epoch may be too low: by what 'f', which
 * may be NULL, says of its key, and by no more than 'missed'.  'aux' must stay
 * until measure_expectations_close(). */
void
measure_expectations_missed(struct measure_expectations *c, uint64_t missed,
                            measure_expectations_missed_function *f,
                            const void *aux)
{
    c->missed = missed;
    c->missed_by = f;
    c->missed_aux = aux;
}

/* Says that the running epoch does not have all keys. */
void
measure_expectations_skip(struct measure_expectations *c)
{
    c->skip = true;
}

/* Returns true if all that the running epoch will be compared with, and all
 * values that it has, are exact.  (No row has a larger error than a key
 * without one may have.) */
bool
measure_expectations_is_exact(const struct measure_expectations *c)
{
    return !c->unknown_error && !c->missed;
}

/* The end of an epoch. */

/* What the value and the expectation of a key can be. */
struct bounds {
    double x, x_max;
    double m, m_max;
};

static inline struct bounds
bounds_of(const struct state *state, uint64_t missed)
{
    return (struct bounds) {
        .x = state->value, .x_max = (double) state->value + missed,
        .m = state->mean, .m_max = state->mean + state->error,
    };
}

/* Returns true if 'larger' and 'smaller', one of which was expected with
 * 'variance', are a change. */
static inline bool
differ(const struct measure_expectations_config *config, double larger,
       double smaller, double variance)
{
    return (larger > smaller
            && larger >= config->floor
            && larger >= config->factor * smaller
            && larger - smaller >= (config->deviations
                                    ? config->deviations * sqrt(variance)
                                    : 0));
}

/* Returns true if 'state' has certainly changed in this epoch. */
MEASURE_SPECIALISED bool
has_changed(const struct measure_expectations_config *config,
            const struct state *state, uint64_t missed)
{
    struct bounds b = bounds_of(state, missed);

    return ((b.x > b.m_max ? differ(config, b.x, b.m_max, state->variance)
             : differ(config, b.m, b.x_max, state->variance))
            && !(state->vanished && !state->value));
}

static int
compare_rows(const void *a_, const void *b_)
{
    const struct measure_change_row *a = a_;
    const struct measure_change_row *b = b_;
    double a_change = fabs(a->value - a->expectation);
    double b_change = fabs(b->value - b->expectation);

    return (a_change > b_change ? -1
            : a_change < b_change ? 1
            : memcmp(a->key, b->key, sizeof a->key));
}

struct listing {
    struct measure_change_row *rows;
    size_t max_rows;
    size_t n;                   /* Of 'rows'. */
    size_t n_found;
};

static void __attribute__((noinline))
list_change(struct measure_expectations *c, enum measure_layout layout,
            const uint64_t *key, struct state *state, uint64_t missed,
            struct listing *listing)
{
    struct bounds b = bounds_of(state, missed);
    struct measure_change_row row;

    if (state->hold) {
        c->held_down++;
        return;
    }
    memset(&row, 0, sizeof row);
    memcpy(row.key, key, measure_key_words(layout) * 8);
    row.kind = (b.m_max == 0 ? MEASURE_APPEARED
                : b.x_max == 0 ? MEASURE_VANISHED
                : b.x > b.m ? MEASURE_GREW
                : MEASURE_SHRANK);
    row.value = state->value;
    row.value_error = missed;
    row.expectation = state->mean;
    row.expectation_error = state->error;
    row.deviation = sqrt(state->variance);

    state->vanished = row.kind == MEASURE_VANISHED;
    state->hold = c->config.hold_down + 1;
    listing->n_found++;
    if (!measure_top_add(listing->rows, &listing->n, listing->max_rows,
                         sizeof row, &row, compare_rows)) {
        c->not_listed++;
    }
}

/* Returns what 'error' becomes when one of 'missed' is averaged into it. */
static float
update_error(const struct measure_expectations *c, double error, double missed)
{
    double alpha = c->epoch == 1 ? 1 : c->config.alpha;

    error = (1 - alpha) * error + alpha * missed;
    return error < MEASURE_EXPECTATIONS_NO_ERROR ? 0 : nextafterf(error,
                                                                  INFINITY);
}

/* Returns what 'variance' becomes, at most, with the value of the epoch. */
static double
update_variance(const struct measure_expectations *c, double variance,
                const struct bounds *b)
{
    double alpha = c->config.alpha;
    double low = b->x - b->m_max;
    double high = b->x_max - b->m;
    double d = fabs(low) > fabs(high) ? low : high;

    return c->epoch == 1 ? 0 : (1 - alpha) * (variance + alpha * d * d);
}

/* Takes the value of the epoch into the history.  Returns false if the key is
 * to be forgotten. */
MEASURE_SPECIALISED bool
update(const struct measure_expectations *c, struct state *state,
       uint64_t missed)
{
    double limit = c->config.floor / MEASURE_EXPECTATIONS_FORGET;
    struct bounds b = bounds_of(state, missed);

    state->variance = update_variance(c, state->variance, &b);
    state->mean = (c->epoch == 1 ? b.x
                   : b.m + c->config.alpha * (b.x - b.m));
    if (missed || state->error) {
        state->error = update_error(c, state->error, missed);
        if (!state->error
            && fabs(b.x - state->mean) < MEASURE_EXPECTATIONS_NO_ERROR) {
            /* Steady all the time, but for what was missed. */
            state->mean = b.x;
        }
    }

    state->hold -= state->hold > 0;
    if (state->value) {
        state->unseen = 0;
        state->vanished = false;
    } else {
        state->unseen++;
    }
    state->value = 0;
    state->fresh = false;
    return (!(b.x < limit && state->mean < limit)
            && state->unseen < c->forget_epochs);
}

/* Takes into what may be expected of keys without a row that any of them may
 * have missed, or had refused, so much.  Comes before those of keys that will
 * be forgotten. */
static void
update_unknown(struct measure_expectations *c)
{
    double missed = (double) c->missed + c->refused_most;
    struct bounds b = { .x_max = missed, .m_max = c->unknown_error };

    if (missed || c->unknown_error) {
        c->unknown_variance = update_variance(c, c->unknown_variance, &b);
        c->unknown_error = update_error(c, c->unknown_error, missed);
    }
    if (!c->unknown_error) {
        c->unknown_variance = 0;
    }
}

/* Takes 'state', which is forgotten, into the same. */
static void
forget(struct measure_expectations *c, const struct state *state)
{
    double most = state->mean + state->error;

    c->forgotten_keys++;
    if (state->error && most > c->unknown_error) {
        c->unknown_error = nextafterf(most, INFINITY);
    }
    if (state->error && state->variance > c->unknown_variance) {
        c->unknown_variance = state->variance;
    }
}

/* Compares and updates 'row', or only empties it in an epoch that is skipped.
 * Returns false if it is not to stay. */
MEASURE_SPECIALISED bool
close_state(struct measure_expectations *c, enum measure_layout layout,
            uint64_t *row, bool warm, struct listing *listing)
{
    struct state *state = state_of(row, layout);
    uint64_t missed;

    if (c->skip) {
        state->value = 0;
        return !state->fresh;
    }
    missed = c->missed;
    if (missed && c->missed_by) {
        uint64_t by_key = c->missed_by(layout, row, c->missed_aux);

        missed = measure_min(missed, by_key);
    }
    if (warm && has_changed(&c->config, state, missed)) {
        list_change(c, layout, row, state, missed, listing);
    }
    if (update(c, state, missed)) {
        return true;
    }
    forget(c, state);
    return false;
}

/* Ends the epoch for 'row'.  'holes' says whether a row has been forgotten in
 * the run of used rows before it; returns whether one has been now. */
MEASURE_SPECIALISED bool
close_row(struct measure_expectations *c, enum measure_layout layout,
          uint64_t *row, bool warm, bool holes, struct listing *listing)
{
    struct state *state = state_of(row, layout);

    if (!close_state(c, layout, row, warm, listing)) {
        memset(row, 0, row_words(layout) * 8);
        flip_used(c, layout, row);
        c->n_keys--;
        return true;
    }
    if (holes) {
        /* Between its home and itself a row must find no empty one. */
        uint64_t *to = home_row(c, layout, state->hash);

        while (to < row && state_of(to, layout)->hash) {
            to += row_words(layout);
        }
        if (to < row) {
            memcpy(to, row, row_words(layout) * 8);
            flip_used(c, layout, to);
            memset(row, 0, row_words(layout) * 8);
            flip_used(c, layout, row);
        }
    }
    return holes;
}

/* Most of the table is empty, and is not read. */
MEASURE_SPECIALISED void
close__(struct measure_expectations *c, enum measure_layout layout,
        struct listing *listing)
{
    bool warm = c->epoch > 1 && c->epoch > c->config.warm_up;
    size_t n_words = n_used_words(&c->config);
    bool holes = false;         /* In this run of used rows. */
    size_t next = 0;            /* Row behind the last one that was used. */

    for (size_t i = 0; i < n_words; i++) {
        /* Rows move to places that have been passed: not seen again. */
        for (uint64_t word = c->used[i]; word; word &= word - 1) {
            size_t n = i * WORD_BITS + __builtin_ctzll(word);

            holes = close_row(c, layout, c->rows + n * row_words(layout),
                              warm, holes && n == next, listing);
            next = n + 1;
        }
        measure_pace(WORD_BITS);
    }
}

/* Closes the running epoch: compares each key with its history, puts those
 * that changed most, by |x - m|, into 'rows', at most 'max_rows' of them, and
 * takes the epoch into the history.  Returns how many keys changed, none if
 * the epoch is skipped.  Equal ones are in the order of their keys' bytes. */
size_t
measure_expectations_close(struct measure_expectations *c,
                           struct measure_change_row *rows, size_t max_rows)
{
    struct listing listing = { .rows = rows, .max_rows = max_rows };

    if (!c->skip) {
        c->epoch++;
        update_unknown(c);
    }
    if (c->config.layout == MEASURE_NARROW) {
        close__(c, MEASURE_NARROW, &listing);
    } else {
        close__(c, MEASURE_WIDE, &listing);
    }
    c->skip = false;
    measure_expectations_missed(c, 0, NULL, NULL);
    c->refused_most = 0;
    if (listing.n) {
        qsort(rows, listing.n, sizeof *rows, compare_rows);
    }
    return listing.n_found;
}
