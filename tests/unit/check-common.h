/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests share. */

#ifndef CHECK_COMMON_H
#define CHECK_COMMON_H 1

/* What the unit tests share
 * =========================
 *
 * A program of tests is
 *
 *     START_TEST(something_holds)
 *     {
 *         ck_assert(...);
 *     }
 *     END_TEST
 *
 *     int
 *     main(void)
 *     {
 *         TCase *tests = tests_begin("measure-something");
 *
 *         tcase_add_test(tests, something_holds);
 *         return tests_run(tests);
 *     }
 *
 * Random numbers come from 'test_seed', which is drawn anew for each run and
 * printed; the environment variable MEASURE_SEED repeats a run.  Memory comes
 * from 'budget', and each test ends with a look whether all of it was given
 * back.
 *
 * The oracle at the end knows what a stream of packets adds up to.  It is
 * slow, plain, and shares no code with the library.  */

#include <check.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check-packets.h"

#include "base/measure-memory.h"
#include "key/measure-record.h"

/* Running tests. */

static UNUSED uint64_t test_seed;
static UNUSED struct measure_budget budget;

/* Tests that could not run. */
static UNUSED unsigned int n_skipped;

static Suite *test_suite;

static void
forget_budget(void)
{
    memset(&budget, 0, sizeof budget);
}

static void
check_budget(void)
{
    ck_assert_msg(!measure_budget_used(&budget),
                  "%"PRIu64" bytes of the budget were not given back",
                  measure_budget_used(&budget));
}

/* ck_assert() writes to a file each time.  This is the one for inner loops. */
#define REQUIRE(CONDITION)                                              \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            ck_abort_msg("'%s' does not hold", #CONDITION);             \
        }                                                               \
    } while (0)

/* Sanitizers make some tests thirty times slower. */
#define TIMEOUT_SECONDS 600

static UNUSED TCase *
tests_begin(const char *name)
{
    TCase *tests = tcase_create(name);
    const char *seed = getenv("MEASURE_SEED");

    if (seed) {
        test_seed = strtoull(seed, NULL, 0);
    } else {
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        test_seed = now.tv_sec * UINT64_C(1000000007) + now.tv_nsec;
    }
    printf("MEASURE_SEED=%"PRIu64"\n", test_seed);
    fflush(stdout);

    test_suite = suite_create(name);
    suite_add_tcase(test_suite, tests);
    tcase_set_timeout(tests, TIMEOUT_SECONDS);
    tcase_add_checked_fixture(tests, forget_budget, check_budget);
    return tests;
}

static UNUSED void
test_skipped(const char *name, const char *why)
{
    printf("skipped: %s: %s\n", name, why);
    n_skipped++;
}

static UNUSED int
tests_run(TCase *tests UNUSED)
{
    SRunner *runner = srunner_create(test_suite);
    int n_failed;

    srunner_run_all(runner, CK_VERBOSE);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (n_skipped) {
        printf("0 passed, 0 failed, %u skipped\n", n_skipped);
    }
    return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Streams of numbers from 0 to 'n' - 1. */

enum stream_kind {
    STREAM_UNIFORM,
    STREAM_ZIPF,                /* The i'th most frequent: 1/i as often. */
    STREAM_SEQUENTIAL,
    STREAM_ONE,
    STREAM_ALL_NEW,
    N_STREAM_KINDS
};

struct stream {
    enum stream_kind kind;
    struct random random;
    uint32_t n;
    uint32_t next;
    double *cumulated;          /* For STREAM_ZIPF. */
};

static UNUSED struct stream
stream_open(enum stream_kind kind, uint32_t n, uint64_t seed)
{
    struct stream s = { .kind = kind, .random = random_from(seed), .n = n };

    if (kind == STREAM_ZIPF) {
        double sum = 0;

        s.cumulated = malloc(n * sizeof *s.cumulated);
        for (uint32_t i = 0; i < n; i++) {
            s.cumulated[i] = sum += 1.0 / (i + 1);
        }
    }
    return s;
}

static UNUSED uint32_t
stream_next(struct stream *s)
{
    if (s->kind == STREAM_ZIPF) {
        double x = ((random_next(&s->random) >> 11) / 9007199254740992.0
                    * s->cumulated[s->n - 1]);
        uint32_t low = 0, high = s->n - 1;

        while (low < high) {
            uint32_t middle = low + (high - low) / 2;

            if (s->cumulated[middle] > x) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }
    return (s->kind == STREAM_UNIFORM ? random_below(&s->random, s->n)
            : s->kind == STREAM_ONE ? 0
            : s->next++ % s->n);
}

static UNUSED void
stream_close(struct stream *s)
{
    free(s->cumulated);
}

/* The oracle: a chained map from keys to what they add up to. */

struct oracle_row {
    struct measure_fields fields;
    uint64_t packets;
    uint64_t bytes;
    size_t next;                /* Of the chain, as index + 1. */
    bool seen;                  /* For the user. */
};

#define ORACLE_CHAINS 16384

struct oracle {
    struct oracle_row *rows;
    size_t n;
    size_t allocated;
    size_t *chains;
    uint64_t packets;
    uint64_t bytes;
};

static UNUSED struct oracle
oracle_open(void)
{
    struct oracle o = { .chains = calloc(ORACLE_CHAINS, sizeof(size_t)) };

    return o;
}

static UNUSED void
oracle_close(struct oracle *o)
{
    free(o->rows);
    free(o->chains);
}

static size_t *
oracle_chain(const struct oracle *o, const struct measure_fields *fields)
{
    uint32_t sum = fields->protocol + fields->family;

    for (int i = 0; i < 16; i++) {
        sum = sum * 31 + fields->source[i];
        sum = sum * 31 + fields->destination[i];
    }
    sum = sum * 31 + fields->source_port;
    sum = sum * 31 + fields->destination_port;
    return &o->chains[sum % ORACLE_CHAINS];
}

static UNUSED struct oracle_row *
oracle_find(const struct oracle *o, const struct measure_fields *fields)
{
    size_t i = *oracle_chain(o, fields);

    while (i) {
        struct oracle_row *row = &o->rows[i - 1];

        if (fields_equal(&row->fields, fields)) {
            return row;
        }
        i = row->next;
    }
    return NULL;
}

static UNUSED void
oracle_add(struct oracle *o, const struct measure_fields *fields,
           uint64_t packets, uint64_t bytes)
{
    struct oracle_row *row = oracle_find(o, fields);

    if (!row) {
        size_t *chain = oracle_chain(o, fields);

        if (o->n == o->allocated) {
            o->allocated = o->allocated * 2 + 64;
            o->rows = realloc(o->rows, o->allocated * sizeof *o->rows);
        }
        row = &o->rows[o->n++];
        memset(row, 0, sizeof *row);
        row->fields = *fields;
        row->next = *chain;
        *chain = o->n;
    }
    row->packets += packets;
    row->bytes += bytes;
    o->packets += packets;
    o->bytes += bytes;
}

/* Returns what 'o' holds, grouped by 'key_kind'. */
static UNUSED struct oracle
oracle_group(const struct oracle *o, enum measure_key_kind key_kind)
{
    struct oracle groups = oracle_open();

    for (size_t i = 0; i < o->n; i++) {
        struct measure_fields fields = o->rows[i].fields;

        keep_fields(&fields, key_kind);
        oracle_add(&groups, &fields, o->rows[i].packets, o->rows[i].bytes);
    }
    return groups;
}

#endif /* check-common.h */
