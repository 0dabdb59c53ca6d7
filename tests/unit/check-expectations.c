/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of expectations and changes. */

#include "check-common.h"
#include "check-secret.h"

#include <math.h>

#include "report/measure-expectations.h"

/* What a tester would set first. */
static const struct measure_expectations_config plain = {
    .layout = MEASURE_NARROW,
    .max_keys = 1000,
    .alpha = .25,
};

struct table {
    struct measure_expectations c;
    void *memory;
};

static struct table
table_open(const struct measure_expectations_config *config)
{
    size_t size = measure_expectations_size(config);
    struct table t;

    t.memory = measure_memory_alloc(&budget, size, MEASURE_ANY_NODE);
    ck_assert_ptr_nonnull(t.memory);
    memset(t.memory, 0xa5, size);
    measure_expectations_init(&t.c, config, &secret, t.memory);
    return t;
}

/* Makes 't' what it was before its first epoch. */
static void
table_restart(struct table *t)
{
    struct measure_expectations_config config = t->c.config;

    measure_expectations_init(&t->c, &config, &secret, t->memory);
}

static void
table_close(struct table *t)
{
    measure_memory_free(&budget, t->memory,
                        measure_expectations_size(&t->c.config));
}

static void
add(struct table *t, uint32_t number, uint64_t packets, uint64_t bytes)
{
    struct measure_fields fields = make_fields(t->c.config.layout, number);
    struct measure_change_item item;

    memset(&item, 0, sizeof item);
    measure_key_from_fields(item.key, &fields);
    item.packets = packets;
    item.bytes = bytes;
    measure_expectations_add(&t->c, &item, 1);
}

static struct measure_change_row rows[20000];

/* Closes an epoch in which key 7 had 'value', and expects a row of 'kind', or
 * none if it is MEASURE_N_CHANGE_KINDS. */
#define EPOCH(VALUE, KIND)                                              \
    do {                                                                \
        size_t n__;                                                     \
                                                                        \
        if (VALUE) {                                                    \
            add(&t, 7, VALUE, 0);                                       \
        }                                                               \
        n__ = measure_expectations_close(&t.c, rows, ARRAY_SIZE(rows)); \
        ck_assert_uint_eq(n__, (KIND) != MEASURE_N_CHANGE_KINDS);       \
        if (n__) {                                                      \
            ck_assert_str_eq(measure_change_kind_name(rows[0].kind),    \
                             measure_change_kind_name(KIND));           \
            ck_assert_uint_eq(rows[0].value, VALUE);                    \
        }                                                               \
    } while (0)
#define NONE MEASURE_N_CHANGE_KINDS

START_TEST(each_kind_of_change)
{
    struct table t = table_open(&plain);

    EPOCH(0, NONE);
    EPOCH(100, MEASURE_APPEARED);
    ck_assert_double_eq(rows[0].expectation, 0);
    ck_assert_double_eq(rows[0].deviation, 0);
    EPOCH(200, MEASURE_GREW);
    ck_assert_double_eq(rows[0].expectation, 25);
    ck_assert_double_eq_tol(rows[0].deviation, 100 * sqrt(.25 * .75), 1e-12);
    EPOCH(10, MEASURE_SHRANK);
    ck_assert_double_eq(rows[0].expectation, 68.75);
    EPOCH(0, MEASURE_VANISHED);
    EPOCH(0, NONE);
    EPOCH(0, NONE);
    EPOCH(90, MEASURE_GREW);
    EPOCH(0, MEASURE_VANISHED);
    EPOCH(0, NONE);
    table_close(&t);
}
END_TEST

START_TEST(first_epoch_is_the_expectation)
{
    struct table t = table_open(&plain);

    EPOCH(100, NONE);
    EPOCH(100, NONE);
    EPOCH(101, MEASURE_GREW);
    ck_assert_double_eq(rows[0].expectation, 100);
    table_close(&t);
}
END_TEST

START_TEST(nothing_is_reported_while_warming_up)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.warm_up = 3;
    t = table_open(&config);
    EPOCH(100, NONE);
    EPOCH(900, NONE);
    EPOCH(5, NONE);
    EPOCH(500, MEASURE_GREW);
    table_restart(&t);
    EPOCH(100, NONE);
    EPOCH(900, NONE);
    EPOCH(5, NONE);
    /* Vanished meanwhile, and not yet reported. */
    EPOCH(0, MEASURE_VANISHED);
    table_close(&t);
}
END_TEST

START_TEST(hold_down_counts_what_it_holds)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.hold_down = 2;
    t = table_open(&config);
    EPOCH(100, NONE);
    EPOCH(200, MEASURE_GREW);
    EPOCH(300, NONE);
    EPOCH(0, NONE);
    ck_assert_uint_eq(t.c.held_down, 2);
    EPOCH(0, MEASURE_VANISHED);
    EPOCH(400, NONE);
    EPOCH(0, NONE);
    EPOCH(0, MEASURE_VANISHED);
    ck_assert_uint_eq(t.c.held_down, 4);
    table_close(&t);
}
END_TEST

START_TEST(floor_factor_and_deviations_are_thresholds)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.floor = 1000;
    t = table_open(&config);
    EPOCH(0, NONE);
    EPOCH(999, NONE);
    table_restart(&t);
    EPOCH(0, NONE);
    EPOCH(1000, MEASURE_APPEARED);
    table_restart(&t);
    EPOCH(1000, NONE);
    EPOCH(0, MEASURE_VANISHED);
    table_restart(&t);
    EPOCH(999, NONE);
    EPOCH(0, NONE);
    table_close(&t);

    config = plain;
    config.factor = 3;
    t = table_open(&config);
    EPOCH(300, NONE);
    EPOCH(899, NONE);
    table_restart(&t);
    EPOCH(300, NONE);
    EPOCH(900, MEASURE_GREW);
    table_restart(&t);
    EPOCH(300, NONE);
    EPOCH(101, NONE);
    table_restart(&t);
    EPOCH(300, NONE);
    EPOCH(100, MEASURE_SHRANK);
    table_close(&t);

    /* m = 125, v = .75 * .25 * 100^2 = 43.3^2. */
    config = plain;
    config.deviations = 2;
    t = table_open(&config);
    EPOCH(100, NONE);
    EPOCH(200, MEASURE_GREW);
    EPOCH(125 + 86, NONE);
    table_restart(&t);
    EPOCH(100, NONE);
    EPOCH(200, MEASURE_GREW);
    EPOCH(125 + 87, MEASURE_GREW);
    ck_assert_double_eq(rows[0].expectation, 125);
    ck_assert_double_eq_tol(rows[0].deviation, 43.301270189, 1e-6);
    table_close(&t);
}
END_TEST

START_TEST(bytes_are_compared_if_asked)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.bytes = true;
    t = table_open(&config);
    add(&t, 1, 10, 1000);
    add(&t, 2, 10, 1000);
    measure_expectations_close(&t.c, NULL, 0);
    add(&t, 1, 99, 1000);
    add(&t, 2, 10, 900);
    add(&t, 2, 10, 101);
    ck_assert_uint_eq(measure_expectations_close(&t.c, rows, 10), 1);
    ck_assert_uint_eq(rows[0].value, 1001);
    ck_assert_double_eq(rows[0].expectation, 1000);
    table_close(&t);
}
END_TEST

/* The oracle: the text of the header, for keys with numbers, in arrays.  It
 * keeps what every key ever had, and forgets by a flag. */

struct slow_key {
    double m, v;
    uint64_t x;
    uint32_t hold;
    uint32_t unseen;
    bool vanished;
    bool known;
};

struct slow {
    struct measure_expectations_config config;
    struct slow_key *keys;
    uint32_t n;
    uint64_t epoch;
    uint64_t held_down, forgotten;
    struct measure_change_row *rows;
    size_t n_rows;
};

static bool
slow_changed(const struct slow *s, const struct slow_key *key)
{
    double larger = fmax(key->x, key->m);
    double smaller = fmin(key->x, key->m);
    bool above = larger >= s->config.floor;
    bool by_factor = (s->config.factor == 0
                      || larger >= s->config.factor * smaller);
    bool by_deviations = (s->config.deviations == 0
                          || (larger - smaller
                              >= s->config.deviations * sqrt(key->v)));

    return key->x != key->m && above && by_factor && by_deviations;
}

static int
compare_slow(const void *a_, const void *b_)
{
    const struct measure_change_row *a = a_, *b = b_;
    double x = fabs(a->value - a->expectation);
    double y = fabs(b->value - b->expectation);

    return x > y ? -1 : x < y ? 1 : memcmp(a->key, b->key, sizeof a->key);
}

static void
slow_close(struct slow *s)
{
    double alpha = s->config.alpha;
    double forget_epochs = ceil(log(1000) / -log(1 - alpha));

    s->epoch++;
    s->n_rows = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        struct slow_key *key = &s->keys[i];
        double d = key->x - key->m;

        if (!key->known) {
            continue;
        }
        if (s->epoch > 1 && s->epoch > s->config.warm_up
            && slow_changed(s, key) && !(key->vanished && key->x == 0)) {
            if (key->hold) {
                s->held_down++;
            } else {
                struct measure_change_row *row = &s->rows[s->n_rows++];
                struct measure_fields fields
                    = make_fields(s->config.layout, i);

                memset(row, 0, sizeof *row);
                measure_key_from_fields(row->key, &fields);
                row->kind = (key->m == 0 ? MEASURE_APPEARED
                             : key->x == 0 ? MEASURE_VANISHED
                             : d > 0 ? MEASURE_GREW : MEASURE_SHRANK);
                row->value = key->x;
                row->expectation = key->m;
                row->deviation = sqrt(key->v);
                key->hold = s->config.hold_down + 1;
                key->vanished = key->x == 0;
            }
        }
        if (key->hold) {
            key->hold--;
        }
        if (s->epoch == 1) {
            key->m = key->x;
        } else {
            key->m += alpha * d;
            key->v = (1 - alpha) * (key->v + alpha * d * d);
        }
        key->unseen = key->x ? 0 : key->unseen + 1;
        key->vanished &= key->x == 0;
        if ((key->x < s->config.floor / 16 && key->m < s->config.floor / 16)
            || key->unseen >= forget_epochs) {
            memset(key, 0, sizeof *key);
            s->forgotten++;
        }
        key->x = 0;
    }
    qsort(s->rows, s->n_rows, sizeof *s->rows, compare_slow);
}

/* Random traffic: keys that come and go, steady ones, growing ones, one-packet
 * ones, through every combination of settings. */
START_TEST(same_as_the_oracle)
{
    enum { N_KEYS = 3000, N_EPOCHS = 60 };
    struct random r = random_from(test_seed + _i);
    uint32_t n_kinds[MEASURE_N_CHANGE_KINDS] = { 0 };
    uint32_t n_changes = 0;
    struct slow s = {
        .config = {
            .layout = _i % 2,
            .max_keys = N_KEYS,
            .bytes = _i / 2 % 2,
            .alpha = .05 + random_below(&r, 90) / 100.0,
            .factor = _i % 3 ? 1 + random_below(&r, 4) : 0,
            .deviations = _i % 5 ? 0 : random_below(&r, 5) / 2.0,
            .floor = random_below(&r, 3) * random_below(&r, 1000),
            .warm_up = random_below(&r, 5),
            .hold_down = random_below(&r, 4),
        },
        .n = N_KEYS,
    };
    struct table t = table_open(&s.config);

    s.keys = calloc(N_KEYS, sizeof *s.keys);
    s.rows = calloc(N_KEYS, sizeof *s.rows);
    for (uint32_t epoch = 0; epoch < N_EPOCHS; epoch++) {
        size_t n;
        uint32_t n_known = 0;

        for (uint32_t i = 0; i < N_KEYS; i++) {
            /* Each key has its own habits, which sometimes end. */
            uint32_t habit = (i + epoch / 20 * (i % 7 == 0)) % 8;
            uint64_t value = (habit == 0 ? 500
                              : habit == 1 ? random_below(&r, 1000)
                              : habit == 2 ? 1 + 20 * epoch
                              : habit == 3 ? epoch % 13 < 6
                              : habit == 4 ? (epoch % 17 == i % 17) * 3000
                              : habit == 5 ? random_below(&r, 50) == 0
                              : habit == 6 ? (epoch == 30) * (1 + i)
                              : 0);

            while (value) {
                uint64_t part = value / 2 + 1 > value ? value : value / 2 + 1;

                s.keys[i].x += part;
                s.keys[i].known = true;
                add(&t, i, s.config.bytes ? random_below(&r, 9) : part,
                    s.config.bytes ? part : random_below(&r, 9));
                value -= part;
            }
        }
        slow_close(&s);
        n = measure_expectations_close(&t.c, rows, ARRAY_SIZE(rows));
        ck_assert_uint_eq(n, s.n_rows);
        for (size_t i = 0; i < n; i++) {
            REQUIRE(!memcmp(rows[i].key, s.rows[i].key, sizeof rows[i].key));
            REQUIRE(rows[i].kind == s.rows[i].kind);
            REQUIRE(rows[i].value == s.rows[i].value);
            ck_assert_double_eq_tol(rows[i].expectation,
                                    s.rows[i].expectation, 1e-9);
            ck_assert_double_eq_tol(rows[i].deviation, s.rows[i].deviation,
                                    1e-6);
            n_kinds[rows[i].kind]++;
        }
        for (uint32_t i = 0; i < N_KEYS; i++) {
            n_known += s.keys[i].known;
        }
        ck_assert_uint_eq(t.c.n_keys, n_known);
    }
    ck_assert_uint_eq(t.c.held_down, s.held_down);
    ck_assert_uint_eq(t.c.forgotten_keys, s.forgotten);
    ck_assert_uint_eq(t.c.refused_adds + t.c.refused_value, 0);
    ck_assert_uint_eq(t.c.not_listed, 0);
    printf("alpha %.2f factor %.0f deviations %.1f floor %.0f warm-up %u "
           "hold-down %u:", s.config.alpha, s.config.factor,
           s.config.deviations, s.config.floor, s.config.warm_up,
           s.config.hold_down);
    for (int i = 0; i < MEASURE_N_CHANGE_KINDS; i++) {
        printf(" %u %s", n_kinds[i], measure_change_kind_name(i));
        n_changes += n_kinds[i];
    }
    ck_assert_uint_gt(n_changes, 100);
    printf(", %"PRIu64" held, %"PRIu64" forgotten\n", s.held_down,
           s.forgotten);
    fflush(stdout);
    free(s.keys);
    free(s.rows);
    table_close(&t);
}
END_TEST

/* Returns true if 'key' has changed, or would have if it were expected to have
 * a little more or less. */
static bool
slow_nearly_changed(const struct slow *s, const struct slow_key *key)
{
    struct slow_key more = *key, less = *key;

    more.m += .01;
    less.m -= .01;
    return (slow_changed(s, key) || slow_changed(s, &more)
            || slow_changed(s, &less));
}

/* What key 'number' can have missed, for measure_expectations_missed(). */
static uint64_t
missed_by_number(enum measure_layout layout, const uint64_t *key,
                 const void *missed_)
{
    const uint64_t *missed = missed_;

    for (uint32_t i = 0;; i++) {
        struct measure_fields fields = make_fields(layout, i);
        uint64_t other[MEASURE_KEY_WORDS];

        measure_key_from_fields(other, &fields);
        if (!memcmp(key, other, measure_key_words(layout) * 8)) {
            return missed[i];
        }
    }
}

static void
add_row(struct table *t, uint32_t number, uint64_t packets)
{
    static const uint64_t mask[MEASURE_KEY_WORDS] = {
        UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX,
    };
    struct measure_fields fields = make_fields(t->c.config.layout, number);
    uint64_t row[MEASURE_KEY_WORDS + 2];

    measure_key_from_fields(row, &fields);
    row[measure_key_words(t->c.config.layout)] = packets;
    row[measure_key_words(t->c.config.layout) + 1] = 0;
    measure_expectations_add_rows(&t->c, row, 1, mask);
}

/* Epochs that miss packets, and some that are skipped, in a table that is too
 * small in half of the runs.  All that is said of a key holds for what was
 * truly there, and each change is one. */
START_TEST(only_what_is_certain_is_a_change)
{
    enum { N_KEYS = 120, N_EPOCHS = 200 };
    struct random r = random_from(test_seed + _i);
    bool too_small = _i % 4 / 2;
    uint32_t n_exact = 0, n_inexact = 0, n_kinds[MEASURE_N_CHANGE_KINDS] = {0};
    uint64_t missed[N_KEYS];
    struct slow s = {
        .config = {
            .layout = _i % 2,
            .max_keys = too_small ? N_KEYS / 2 : N_KEYS,
            .alpha = .1 + random_below(&r, 80) / 100.0,
            .factor = _i % 3 ? 1 + random_below(&r, 4) : 0,
            .deviations = _i % 5 ? 0 : random_below(&r, 5) / 2.0,
            .floor = 1 + random_below(&r, 3) * random_below(&r, 100),
            .hold_down = random_below(&r, 2),
        },
        .n = N_KEYS,
    };
    struct table t = table_open(&s.config);

    s.keys = calloc(N_KEYS, sizeof *s.keys);
    s.rows = calloc(N_KEYS, sizeof *s.rows);
    for (uint32_t epoch = 0; epoch < N_EPOCHS; epoch++) {
        bool skip = !random_below(&r, 10);
        bool exact = epoch / 50 % 2 || random_below(&r, 3);
        uint64_t max_missed = exact ? 0 : 1 + random_below(&r, 200);
        bool by_key = random_below(&r, 2);
        size_t n;

        for (uint32_t i = 0; i < N_KEYS; i++) {
            uint32_t habit = (i + epoch / 30) % 6;
            uint64_t value = (habit == 0 ? 500
                              : habit == 1 ? random_below(&r, 1000)
                              : habit == 2 ? 10 + 20 * epoch
                              : habit == 3 ? (epoch % 13 < 6) * 100
                              : habit == 4 ? random_below(&r, 20) == 0
                              : 0);
            uint64_t lost;

            missed[i] = random_below(&r, max_missed + 1);
            lost = random_below(&r, (by_key ? missed[i] : max_missed) + 1);
            lost = lost < value ? lost : value;
            if (!skip) {
                s.keys[i].x = value;
                s.keys[i].known |= value > 0;
            } else if (random_below(&r, 3)) {
                continue;
            }
            if (value == lost) {
                continue;
            }
            if (_i % 8 < 4) {
                add_row(&t, i, value - lost);
            } else {
                add(&t, i, value - lost - 1, 0);
                add(&t, i, 1, 0);
            }
        }
        if (skip) {
            measure_expectations_skip(&t.c);
        }
        measure_expectations_missed(&t.c, max_missed,
                                    by_key ? missed_by_number : NULL, missed);
        exact = measure_expectations_is_exact(&t.c);
        n = measure_expectations_close(&t.c, rows, ARRAY_SIZE(rows));
        if (skip) {
            REQUIRE(!n);
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            const struct measure_change_row *row = &rows[i];
            struct slow_key *key = NULL;

            for (uint32_t j = 0; j < N_KEYS && !key; j++) {
                struct measure_fields fields
                    = make_fields(s.config.layout, j);
                uint64_t words[MEASURE_KEY_WORDS] = { 0 };

                measure_key_from_fields(words, &fields);
                key = memcmp(words, row->key, sizeof words) ? NULL
                      : &s.keys[j];
            }
            REQUIRE(key);
            REQUIRE(row->value <= key->x
                    && row->value + row->value_error >= key->x);
            REQUIRE(row->expectation <= key->m + .01);
            REQUIRE(row->expectation + row->expectation_error
                    >= key->m - .01);
            REQUIRE(row->deviation >= sqrt(key->v) - .01);
            REQUIRE(slow_nearly_changed(&s, key));
            REQUIRE(row->kind == (row->expectation
                                  + row->expectation_error == 0
                                  ? MEASURE_APPEARED
                                  : row->value + row->value_error == 0
                                  ? MEASURE_VANISHED
                                  : key->x > key->m
                                  ? MEASURE_GREW : MEASURE_SHRANK));
            REQUIRE(!exact || (!row->value_error && !row->expectation_error));
            n_exact += exact;
            n_inexact += !exact;
            n_kinds[row->kind]++;
        }
        slow_close(&s);
    }
    printf("%u changes of exact epochs and %u of others:", n_exact, n_inexact);
    for (int i = 0; i < MEASURE_N_CHANGE_KINDS; i++) {
        printf(" %u %s", n_kinds[i], measure_change_kind_name(i));
    }
    putchar('\n');
    fflush(stdout);
    ck_assert_uint_gt(n_inexact, 10);
    free(s.keys);
    free(s.rows);
    table_close(&t);
}
END_TEST

/* Of a key that is as steady as ever nothing is said when the error of what is
 * expected has worn off, and all is as before. */
START_TEST(errors_wear_off)
{
    struct table t = table_open(&plain);
    bool was_inexact = false;

    for (int i = 0; i < 300; i++) {
        bool full = i > 10 && i < 20;
        uint64_t value = full ? 0 : 700;

        measure_expectations_missed(&t.c, full ? 1000 : 0, NULL, NULL);
        was_inexact |= !measure_expectations_is_exact(&t.c);
        EPOCH(value, NONE);
    }
    ck_assert(was_inexact && measure_expectations_is_exact(&t.c));
    EPOCH(701, MEASURE_GREW);
    ck_assert_double_eq(rows[0].expectation, 700);
    ck_assert_double_eq(rows[0].expectation_error, 0);
    table_close(&t);
}
END_TEST

/* A skipped epoch is as if it had not been. */
START_TEST(skipped_epochs_teach_nothing)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.layout = _i;
    config.hold_down = 1;
    t = table_open(&config);
    EPOCH(100, NONE);
    add(&t, 8, 1000, 0);
    measure_expectations_skip(&t.c);
    EPOCH(0, NONE);
    ck_assert_uint_eq(t.c.n_keys, 1);
    EPOCH(100, NONE);
    EPOCH(300, MEASURE_GREW);
    ck_assert_double_eq(rows[0].expectation, 100);
    measure_expectations_skip(&t.c);
    EPOCH(7, NONE);
    EPOCH(0, NONE);
    ck_assert_uint_eq(t.c.held_down, 1);
    EPOCH(0, MEASURE_VANISHED);
    ck_assert_double_eq(rows[0].expectation, 112.5);
    ck_assert_uint_eq(t.c.epoch, 5);
    table_close(&t);
}
END_TEST

START_TEST(largest_changes_are_listed_and_the_rest_counted)
{
    struct table t = table_open(&plain);
    size_t n;

    measure_expectations_close(&t.c, NULL, 0);
    for (uint32_t i = 0; i < 500; i++) {
        add(&t, i, 10 + i * 7919 % 100, 0);
    }
    n = measure_expectations_close(&t.c, rows, 20);
    ck_assert_uint_eq(n, 500);
    ck_assert_uint_eq(t.c.not_listed, 480);
    for (size_t i = 0; i < 20; i++) {
        /* Each value comes five times. */
        ck_assert_uint_eq(rows[i].value, 109 - i / 5);
        ck_assert(i % 5 == 0
                  || memcmp(rows[i - 1].key, rows[i].key,
                            sizeof rows[i].key) < 0);
    }
    table_close(&t);
}
END_TEST

START_TEST(full_table_refuses_and_counts)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.layout = _i;
    config.max_keys = 300;
    config.floor = 160;
    t = table_open(&config);
    for (uint32_t i = 0; i < 500; i++) {
        add(&t, i, i < 100 ? 1000 : 5, 0);
        add(&t, i, 1, 0);
    }
    ck_assert_uint_eq(t.c.n_keys, 300);
    ck_assert_uint_eq(t.c.refused_adds, 400);
    ck_assert_uint_eq(t.c.refused_value, 200 * 6);
    measure_expectations_close(&t.c, NULL, 0);

    /* The small ones have made room. */
    ck_assert_uint_eq(t.c.n_keys, 100);
    ck_assert_uint_eq(t.c.forgotten_keys, 200);
    ck_assert(!measure_expectations_is_exact(&t.c));
    for (uint32_t i = 500; i < 700; i++) {
        add(&t, i, i % 2 ? 1200 : 1201, 0);
    }
    ck_assert_uint_eq(t.c.n_keys, 300);
    ck_assert_uint_eq(measure_expectations_close(&t.c, rows, ARRAY_SIZE(rows)),
                      200);
    for (int i = 0; i < 200; i++) {
        /* They may be those that were refused, if not with 1201 packets. */
        ck_assert_int_eq(rows[i].kind,
                         i < 100 ? MEASURE_GREW : MEASURE_VANISHED);
        ck_assert_uint_eq(rows[i].value, i < 100 ? 1201 : 0);
        ck_assert_double_eq_tol(rows[i].expectation_error,
                                i < 100 ? 1200 : 0, .01);
    }
    ck_assert_uint_eq(t.c.refused_adds, 400);
    table_close(&t);
}
END_TEST

/* All keys in one home row: bounded probes, exact counts for those that found
 * a place, and a table that is whole after any of them were forgotten. */
START_TEST(probes_are_bounded)
{
    enum { N = MEASURE_EXPECTATIONS_MAX_PROBES + 30 };
    struct measure_expectations_config config = plain;
    struct random r = random_from(test_seed);
    struct table t;

    config.layout = _i;
    t = table_open(&config);
    t.c.n_rows = 1;
    for (uint32_t i = 0; i < N; i++) {
        add(&t, i, i + 1, 0);
    }
    ck_assert_uint_eq(t.c.n_keys, MEASURE_EXPECTATIONS_MAX_PROBES);
    ck_assert_uint_eq(t.c.refused_adds, 30);
    measure_expectations_close(&t.c, NULL, 0);
    for (uint32_t i = 0; i < N - 30; i++) {
        add(&t, i, i + 1, 0);
    }
    ck_assert_uint_eq(measure_expectations_close(&t.c, rows, ARRAY_SIZE(rows)),
                      0);
    table_close(&t);

    /* Three home rows next to each other, and keys that are soon forgotten. */
    config.alpha = 1;
    t = table_open(&config);
    t.c.n_rows = 3;
    for (int epoch = 0; epoch < 300; epoch++) {
        uint64_t present[60] = { 0 };
        uint32_t n = 0;

        for (uint32_t i = 0; i < 60; i++) {
            present[i] = random_below(&r, 3) ? 1 + random_below(&r, 5) : 0;
            n += present[i] > 0;
            for (uint64_t j = 0; j < present[i]; j++) {
                add(&t, i, 1, 0);
            }
        }
        measure_expectations_close(&t.c, NULL, 0);

        /* With alpha 1, the last epoch is what is expected. */
        REQUIRE(t.c.n_keys == n);
        for (uint32_t i = 0; i < 60; i++) {
            if (present[i]) {
                add(&t, i, present[i], 0);
            }
        }
        REQUIRE(t.c.n_keys == n);
        REQUIRE(measure_expectations_close(&t.c, rows, ARRAY_SIZE(rows)) == 0);
    }
    table_close(&t);
}
END_TEST

START_TEST(packets_count_one_each)
{
    struct measure_expectations_config config = plain;
    struct measure_record records[100];
    struct table a, b;
    size_t n;

    config.layout = _i;
    a = table_open(&config);
    b = table_open(&config);
    for (int epoch = 0; epoch < 5; epoch++) {
        for (uint32_t i = 0; i < ARRAY_SIZE(records); i++) {
            struct measure_fields fields
                = make_fields(_i, i * (epoch + 3) % 13);

            records[i] = make_record(&fields, 1000);
            add(&b, i * (epoch + 3) % 13, 1, 60);
        }
        measure_expectations_count(&a.c, records[0].key, sizeof records[0] / 8,
                                   ARRAY_SIZE(records));
        n = measure_expectations_close(&a.c, rows, 100);
        ck_assert_uint_eq(measure_expectations_close(&b.c, &rows[100], 100),
                          n);
        ck_assert(!memcmp(rows, &rows[100], n * sizeof *rows));
        ck_assert(!epoch || n);
    }
    table_close(&a);
    table_close(&b);
}
END_TEST

START_TEST(largest_values_make_no_nonsense)
{
    struct measure_expectations_config config = plain;
    struct table t;

    config.factor = 2;
    config.deviations = 1;
    t = table_open(&config);
    EPOCH(UINT64_MAX, NONE);
    EPOCH(UINT64_MAX, NONE);
    EPOCH(1, MEASURE_SHRANK);
    ck_assert_double_eq(rows[0].expectation, 0x1p64);
    EPOCH(0, MEASURE_VANISHED);
    EPOCH(UINT64_MAX, NONE);
    ck_assert(isfinite(rows[0].deviation));
    table_close(&t);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-expectations");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_test(tests, each_kind_of_change);
    tcase_add_test(tests, first_epoch_is_the_expectation);
    tcase_add_test(tests, nothing_is_reported_while_warming_up);
    tcase_add_test(tests, hold_down_counts_what_it_holds);
    tcase_add_test(tests, floor_factor_and_deviations_are_thresholds);
    tcase_add_test(tests, bytes_are_compared_if_asked);
    tcase_add_loop_test(tests, same_as_the_oracle, 0, 20);
    tcase_add_loop_test(tests, only_what_is_certain_is_a_change, 0, 40);
    tcase_add_test(tests, errors_wear_off);
    tcase_add_loop_test(tests, skipped_epochs_teach_nothing,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_test(tests, largest_changes_are_listed_and_the_rest_counted);
    tcase_add_loop_test(tests, full_table_refuses_and_counts,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, probes_are_bounded, 0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, packets_count_one_each,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_test(tests, largest_values_make_no_nonsense);
    return tests_run(tests);
}
