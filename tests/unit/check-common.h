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

#include "base/measure-memory.h"
#include "key/measure-record.h"

#define ARRAY_SIZE(ARRAY) (sizeof ARRAY / sizeof ARRAY[0])
#define UNUSED __attribute__((unused))

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

/* Random numbers, by xorshift64*.  Not the generator that the library expands
 * its secret with: the tests must not be in step with it. */

struct random {
    uint64_t state;
};

static UNUSED struct random
random_from(uint64_t seed)
{
    struct random r = { seed ^ UINT64_C(0x5851f42d4c957f2d) };

    r.state = r.state ? r.state : 1;
    for (int i = 0; i < 20; i++) {
        r.state ^= r.state >> 12;
        r.state ^= r.state << 25;
        r.state ^= r.state >> 27;
    }
    return r;
}

static UNUSED uint64_t
random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* A number from 0 to 'n' - 1, for an 'n' below 2**32. */
static UNUSED uint32_t
random_below(struct random *r, uint32_t n)
{
    return ((random_next(r) >> 32) * n) >> 32;
}

static UNUSED void
random_fill(struct random *r, void *p, size_t size)
{
    uint8_t *bytes = p;

    for (size_t i = 0; i < size; i++) {
        bytes[i] = random_next(r) >> 56;
    }
}

/* Keys. */

static UNUSED void
put_be32(uint8_t *p, uint32_t value)
{
    p[0] = value >> 24;
    p[1] = value >> 16;
    p[2] = value >> 8;
    p[3] = value;
}

/* The family of packets, not out of a tunnel, whose key is in 'layout'. */
static UNUSED enum measure_family
family_of(enum measure_layout layout)
{
    return layout == MEASURE_WIDE ? MEASURE_IPV6 : MEASURE_IPV4;
}

/* The 'i'th flow whose key is in 'layout', not out of a tunnel: neighbours in
 * 'i' share addresses, as they do in traffic, so that groups of all kinds have
 * several members. */
static UNUSED struct measure_fields
make_fields(enum measure_layout layout, uint32_t i)
{
    struct measure_fields fields;

    memset(&fields, 0, sizeof fields);
    fields.family = family_of(layout);
    if (layout == MEASURE_WIDE) {
        put_be32(fields.source, 0x20010db8);
        put_be32(fields.destination, 0x20010db8);
        put_be32(fields.source + 12, i / 8);
        put_be32(fields.destination + 4, 0x10000 + i / 4 % 64);
        put_be32(fields.destination + 12, i / 4 % 64);
    } else {
        put_be32(fields.source, 0x0a000000 + i / 8);
        put_be32(fields.destination, 0xc0a80000 + i / 4 % 64);
    }
    fields.protocol = i % 2 ? 6 : 17;
    fields.source_port = 1024 + i % 4;
    fields.destination_port = i % 2 ? 443 : 53;
    return fields;
}

static UNUSED struct measure_fields
random_fields(struct random *r)
{
    struct measure_fields fields;
    size_t size;

    memset(&fields, 0, sizeof fields);
    fields.family = random_below(r, MEASURE_N_FAMILIES);
    size = fields.family == MEASURE_IPV4 ? 4 : 16;
    random_fill(r, fields.source, size);
    random_fill(r, fields.destination, size);
    fields.source_port = random_next(r) >> 48;
    fields.destination_port = random_next(r) >> 48;
    fields.protocol = random_next(r) >> 56;
    fields.vlan = random_next(r) >> 52;
    fields.port = random_next(r) >> 52;
    fields.tunnelled = fields.family == MEASURE_IPV6 && !random_below(r, 4);
    fields.tunnel = fields.tunnelled ? random_next(r) >> 32 : 0;
    return fields;
}

static UNUSED struct measure_record
make_record(const struct measure_fields *fields, uint32_t bytes)
{
    struct measure_record record;

    memset(&record, 0, sizeof record);
    record.verdict = measure_key_from_fields(record.key, fields);
    record.bytes = bytes;
    return record;
}

/* Leaves in 'fields' what keys of kind 'key_kind' consist of. */
static UNUSED void
keep_fields(struct measure_fields *fields, enum measure_key_kind key_kind)
{
    if (key_kind == MEASURE_KIND_SOURCE) {
        memset(fields->destination, 0, sizeof fields->destination);
    } else if (key_kind == MEASURE_KIND_DESTINATION) {
        memset(fields->source, 0, sizeof fields->source);
    }
    if (key_kind != MEASURE_KIND_FLOW) {
        fields->source_port = fields->destination_port = 0;
        fields->protocol = 0;
        fields->vlan = 0;
        fields->tunnelled = false;
        fields->tunnel = 0;
    }
    fields->port = 0;
}

static UNUSED bool
fields_equal(const struct measure_fields *a, const struct measure_fields *b)
{
    return (a->family == b->family
            && !memcmp(a->source, b->source, sizeof a->source)
            && !memcmp(a->destination, b->destination,
                       sizeof a->destination)
            && a->source_port == b->source_port
            && a->destination_port == b->destination_port
            && a->protocol == b->protocol
            && a->vlan == b->vlan
            && a->port == b->port
            && a->tunnelled == b->tunnelled
            && a->tunnel == b->tunnel);
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
