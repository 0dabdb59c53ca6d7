/* SPDX-License-Identifier: Apache-2.0 */
/* Changes over all epochs of a world, against the oracle. */

#include <config.h>

#include "oracle-questions.h"

#include <math.h>
#include <stdlib.h>

#include "check-expectations.h"
#include "questions/measure-changes.h"

/* The oracle keeps the expectation of each key in a list. */

struct expected {
    struct key key;
    double m, v;
    uint32_t unseen, hold;
    bool vanished;
};

struct history {
    struct measure_expectations_config config;
    struct expected keys[MAX_EPOCHS * MAX_PACKETS];
    size_t n;
    int epoch;
    bool exact;                 /* All epochs so far. */
};

static bool
has_changed(const struct history *h, const struct expected *e, double x,
            double slack)
{
    double m = e->m + slack;
    double larger = x > m ? x : m, smaller = x > m ? m : x;

    return (x != m && larger >= h->config.floor
            && larger >= h->config.factor * smaller
            && larger - smaller >= h->config.deviations * sqrt(e->v));
}

static double
value_of(const struct history *h, const struct row *row)
{
    return !row ? 0 : h->config.bytes ? row->bytes : row->packets;
}

static struct expected *
find_expected(struct history *h, const struct key *key)
{
    for (size_t i = 0; i < h->n; i++) {
        if (!compare_keys(&h->keys[i].key, key)) {
            return &h->keys[i];
        }
    }
    return NULL;
}

/* Takes the keys of 'truth' into 'h' that are not there. */
static void
add_keys(struct history *h, const struct rows *truth)
{
    for (size_t i = 0; i < truth->n; i++) {
        if (!find_expected(h, &truth->rows[i].key)) {
            struct expected *e = &h->keys[h->n++];

            memset(e, 0, sizeof *e);
            e->key = truth->rows[i].key;
        }
    }
}

/* Checks a row that the library found. */
static void
check_change(struct history *h, const struct rows *truth,
             const struct measure_change_row *got, enum measure_layout layout,
             bool exact)
{
    struct expected unknown, *expected;
    struct measure_fields fields;
    struct key key;
    double x;

    measure_fields_from_key(&fields, layout, got->key);
    key = key_of(&fields, true);
    expected = find_expected(h, &key);
    if (!expected) {
        /* It was forgotten, but may have been expected. */
        memset(&unknown, 0, sizeof unknown);
        expected = &unknown;
        CHECK(!exact);
    }
    x = value_of(h, find_row(truth, &key));
    CHECK(got->value <= x && got->value + got->value_error >= x);
    CHECK(got->expectation <= expected->m + .01);
    CHECK(got->expectation + got->expectation_error >= expected->m - .01);
    CHECK(got->deviation >= sqrt(expected->v) - .01);
    CHECK(has_changed(h, expected, x, 0) || has_changed(h, expected, x, .01)
          || has_changed(h, expected, x, -.01));
    CHECK(got->kind != MEASURE_APPEARED || expected->m < .01);
    CHECK(got->kind != MEASURE_VANISHED || x == 0);
    CHECK(got->kind != MEASURE_GREW || x > expected->m);
    CHECK(got->kind != MEASURE_SHRANK || x < expected->m);
    CHECK(!exact || (!got->value_error && !got->expectation_error));
    *(exact ? &seen.change_rows : &seen.inexact_change_rows) += 1;
}

/* Takes an epoch of value 'x' into what is expected of a key. */
static void
update(const struct history *h, struct expected *e, double x)
{
    double alpha = h->config.alpha, d = x - e->m;

    e->hold -= e->hold > 0;
    if (h->epoch == 1) {
        e->m = x;
    } else {
        e->m += alpha * d;
        e->v = (1 - alpha) * (e->v + alpha * d * d);
    }
    e->unseen = x > 0 ? 0 : e->unseen + 1;
    e->vanished &= x == 0;
}

/* Takes 'truth' into the history.  Returns how many keys have changed. */
static size_t
close_epoch(struct history *h, const struct rows *truth, bool warm)
{
    double max_unseen = ceil(log(1000) / -log(1 - h->config.alpha));
    double least = h->config.floor / 16;
    size_t n_changes = 0, n = 0;

    for (size_t i = 0; i < h->n; i++) {
        struct expected *e = &h->keys[i];
        double x = value_of(h, find_row(truth, &e->key));

        if (warm && has_changed(h, e, x, 0) && !(e->vanished && x == 0)
            && !e->hold) {
            n_changes++;
            e->vanished = x == 0;
            e->hold = h->config.hold_down + 1;
        }
        update(h, e, x);
        if ((x >= least || e->m >= least) && e->unseen < max_unseen) {
            h->keys[n++] = *e;
        }
    }
    h->n = n;
    return n_changes;
}

/* Checks the rows that the library found in an epoch in which 'truth' is what
 * was there, and takes that into the history. */
static void
check_changes(struct history *h, const struct rows *truth,
              const struct measure_change_row *rows, size_t n_rows,
              enum measure_layout layout, bool exact)
{
    bool warm = h->epoch > 1 && h->epoch > (int) h->config.warm_up;
    size_t n_changes;

    CHECK(!n_rows || warm);
    add_keys(h, truth);
    for (size_t i = 0; i < n_rows; i++) {
        check_change(h, truth, &rows[i], layout, exact);
    }
    n_changes = close_epoch(h, truth, warm);
    CHECK(!exact || n_rows == n_changes);
}

/* Returns the rows of 'truth' whose keys are in 'layout'.  Packets of IPv4 out
 * of a tunnel are in the other one if that is part of the key. */
static struct rows
rows_in_layout(const struct rows *truth, enum measure_layout layout)
{
    struct rows part = { .n = 0 };

    part.rows = calloc(truth->n + 1, sizeof *part.rows);
    for (size_t i = 0; i < truth->n; i++) {
        const struct key *key = &truth->rows[i].key;

        if ((key->family == 6 || key->tunnelled) == (layout == MEASURE_WIDE)) {
            part.rows[part.n++] = truth->rows[i];
        }
    }
    return part;
}

/* Closes an epoch of 'e' and checks its changes.  It is none if not 'ok'. */
static void
check_epoch(struct history histories[], struct expectations *e,
            const struct rows *truth, bool ok)
{
    static struct measure_change_row rows[2 * MAX_EPOCHS * MAX_PACKETS];

    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        struct history *h = &histories[i];
        bool exact = measure_expectations_is_exact(&e->change[i]);
        size_t n = measure_expectations_close(&e->change[i], rows,
                                              ARRAY_SIZE(rows));
        struct rows part;

        CHECK(ok || !n);
        if (!ok) {
            continue;
        }
        part = rows_in_layout(truth, i);
        h->epoch++;
        h->exact = exact && h->exact && !e->change[i].refused_adds;
        check_changes(h, &part, rows, n, i, h->exact);
        free(part.rows);
    }
}

void
ask_changes(void)
{
    static struct history histories[MEASURE_N_LAYOUTS];
    enum measure_key_kind key_kind = below(MEASURE_N_KINDS);
    struct group_by g = { fields_by[key_kind], 128, 128 };
    bool too_small = one_in(4);
    struct measure_expectations_config config = {
        .max_keys = too_small ? 1 + below(100) : 8000,
        .bytes = one_in(4),
        .alpha = .1 + below(80) / 100.,
        .factor = below(2) ? 0 : 1 + below(4),
        .deviations = below(2) ? 0 : below(3),
        .floor = 1 + below(100),
        .warm_up = below(3),
        .hold_down = below(3),
    };
    struct scope s = { .thread = -1, .n = 1 };
    struct expectations e;

    if (!complete() || !has_fields(fields_by[key_kind])) {
        return;
    }
    expectations_init(&e, &config, &world.secret);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        histories[i] = (struct history) { .config = config, .exact = true };
    }
    for (s.first = 0; s.first < world.n_epochs; s.first++) {
        struct measure_scope scope = {
            .reports = ((const struct measure_report *const *)
                        &world.reports[s.first]),
            .n_reports = 1,
        };
        bool starved = one_in(6), ok;
        struct rows truth = group_packets(&s, &g);

        forget_question();
        describe_question("changes by %s, epoch %d, bytes %d, max-keys %d",
                          measure_kind_name(key_kind), s.first + 1,
                          config.bytes, (int) config.max_keys);
        if (starved) {
            measure_report_forget_groups(world.reports[s.first]);
            take_memory();
        }
        ok = measure_changes_add(&scope, key_kind, e.pointers);
        give_memory();
        CHECK(ok || starved);
        seen.no_memory += !ok;
        check_epoch(histories, &e, &truth, ok);
        free(truth.rows);
    }
    expectations_destroy(&e);
    seen.changes++;
}
