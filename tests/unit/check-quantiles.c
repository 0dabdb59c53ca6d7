/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of distribution, quantiles and entropy. */

#include "check-common.h"

#include <math.h>

#include "questions/measure-quantiles.h"

static uint64_t
power_of_two(int i)
{
    uint64_t value = 1;

    while (i--) {
        value *= 2;
    }
    return value;
}

START_TEST(buckets_are_powers_of_two)
{
    ck_assert_uint_eq(measure_bucket(0), 0);
    ck_assert_uint_eq(measure_bucket_min(0), 0);
    ck_assert_uint_eq(measure_bucket_max(0), 0);
    for (int i = 0; i < 64; i++) {
        uint64_t min = power_of_two(i);
        uint64_t max = i == 63 ? UINT64_MAX : 2 * min - 1;

        ck_assert_uint_eq(measure_bucket_min(i + 1), min);
        ck_assert_uint_eq(measure_bucket_max(i + 1), max);
        ck_assert_uint_eq(measure_bucket(min), i + 1);
        ck_assert_uint_eq(measure_bucket(max), i + 1);
    }
    ck_assert_int_eq(MEASURE_BUCKETS, 65);
}
END_TEST

/* Sizes of all magnitudes. */
static uint64_t
draw_size(struct random *r)
{
    return random_next(r) >> random_below(r, 64);
}

START_TEST(distribution_adds_up)
{
    enum { N = 20000 };
    struct measure_quantiles d;
    struct random r = random_from(test_seed);
    struct {
        uint64_t packets;
        uint64_t bytes;
    } *flows = calloc(N, sizeof *flows);

    measure_quantiles_init(&d);
    for (int i = 0; i < N; i++) {
        flows[i].packets = draw_size(&r) >> 20;
        flows[i].bytes = draw_size(&r) >> 20;
        measure_quantiles_add(&d, flows[i].packets, flows[i].bytes);
    }
    ck_assert_uint_eq(d.flows, N);
    for (int i = 0; i < MEASURE_BUCKETS; i++) {
        uint64_t min = i ? power_of_two(i - 1) : 0;
        uint64_t max = i ? min + (min - 1) : 0;
        struct measure_bucket by_packets = { 0, 0, 0 };
        struct measure_bucket by_bytes = { 0, 0, 0 };

        for (int j = 0; j < N; j++) {
            if (flows[j].packets >= min && flows[j].packets <= max) {
                by_packets.flows++;
                by_packets.packets += flows[j].packets;
                by_packets.bytes += flows[j].bytes;
            }
            if (flows[j].bytes >= min && flows[j].bytes <= max) {
                by_bytes.flows++;
                by_bytes.packets += flows[j].packets;
                by_bytes.bytes += flows[j].bytes;
            }
        }
        ck_assert(!memcmp(&by_packets, &d.by_packets[i], sizeof by_packets));
        ck_assert(!memcmp(&by_bytes, &d.by_bytes[i], sizeof by_bytes));
        d.packets -= by_packets.packets;
        d.bytes -= by_packets.bytes;
    }
    ck_assert_uint_eq(d.packets, 0);
    ck_assert_uint_eq(d.bytes, 0);
    free(flows);
}
END_TEST

static int
compare_values(const void *a_, const void *b_)
{
    uint64_t a = *(const uint64_t *) a_, b = *(const uint64_t *) b_;

    return a < b ? -1 : a > b;
}

enum values_kind {
    VALUES_ALL_SIZES,
    VALUES_SMALL,
    VALUES_EQUAL,
    VALUES_ASCENDING,
    VALUES_DESCENDING,
    VALUES_ORGAN_PIPE,          /* Up and down: bad for many pivots. */
    VALUES_LARGEST,
    N_VALUES_KINDS
};

static uint64_t
make_value(enum values_kind kind, struct random *r, size_t i, size_t n)
{
    switch (kind) {
    case VALUES_SMALL: return random_below(r, 5);
    case VALUES_EQUAL: return 77;
    case VALUES_ASCENDING: return i;
    case VALUES_DESCENDING: return n - i;
    case VALUES_ORGAN_PIPE: return i < n / 2 ? i : n - i;
    case VALUES_LARGEST: return UINT64_MAX - random_below(r, 3);
    case VALUES_ALL_SIZES:
    case N_VALUES_KINDS:
    default: return draw_size(r);
    }
}

START_TEST(quantiles_are_exact)
{
    static const size_t sizes[] = { 1, 2, 3, 10, 99, 100, 101, 5000 };
    enum values_kind kind = _i;
    struct random r = random_from(test_seed);

    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        size_t n = sizes[i];
        uint64_t *values = calloc(n, sizeof *values);
        uint64_t *sorted = calloc(n, sizeof *sorted);
        struct measure_values *one_by_one = measure_values_create();

        for (size_t j = 0; j < n; j++) {
            sorted[j] = values[j] = make_value(kind, &r, j, n);
        }
        qsort(sorted, n, sizeof *sorted, compare_values);
        for (size_t j = 0; j < n; j++) {
            measure_values_add(one_by_one, values[j]);
        }

        for (int j = 0; j <= 1000; j += n > 1000 ? 10 : 1) {
            uint64_t got = measure_quantile(values, n, j / 1000.0);
            size_t n_below = 0, n_not_above = 0;

            REQUIRE(measure_values_quantile(one_by_one, j / 1000.0) == got);

            /* The definition. */
            for (size_t k = 0; k < n; k++) {
                n_below += sorted[k] < got;
                n_not_above += sorted[k] <= got;
            }
            REQUIRE(n_not_above * 1000 >= j * n);
            REQUIRE(!n_below || n_below * 1000 < j * n);
            REQUIRE(n_not_above > n_below);
        }
        ck_assert_uint_eq(measure_quantile(values, n, 0), sorted[0]);
        ck_assert_uint_eq(measure_quantile(values, n, 1), sorted[n - 1]);
        ck_assert_uint_eq(measure_quantile(values, n, .5),
                          sorted[(n + 1) / 2 - 1]);
        free(values);
        measure_values_destroy(one_by_one);
        free(sorted);
    }
}
END_TEST

#define LOG2(X) (logl(X) / logl(2))

/* Entropy by its definition, with more digits. */
static long double
slow_entropy(const uint64_t *counts, size_t n)
{
    long double total = 0, bits = 0;

    for (size_t i = 0; i < n; i++) {
        total += counts[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (counts[i]) {
            long double share = counts[i] / total;

            bits -= share * LOG2(share);
        }
    }
    return bits;
}

START_TEST(entropy_is_that_of_the_definition)
{
    enum { N = 100000 };
    enum stream_kind kind = _i;
    struct stream stream = stream_open(kind, N, test_seed);
    uint64_t *counts = calloc(N, sizeof *counts);
    struct measure_entropy e;
    double expected;
    size_t n = 0;

    for (int i = 0; i < 5 * N; i++) {
        counts[stream_next(&stream)]++;
    }
    measure_entropy_init(&e);
    for (size_t i = 0; i < N; i++) {
        measure_entropy_add(&e, counts[i]);
        n += counts[i] > 0;
    }
    expected = slow_entropy(counts, N);
    printf("entropy: [%.12f <= %.12f <= %.12f]\n", expected - 1e-11,
           measure_entropy_bits(&e), expected + 1e-11);
    fflush(stdout);
    ck_assert_uint_eq(e.keys, n);
    ck_assert_uint_eq(e.total, 5 * N);
    ck_assert_double_eq_tol(measure_entropy_bits(&e), expected, 1e-11);
    if (n > 1) {
        ck_assert_double_eq_tol(measure_entropy_normalised(&e),
                                expected / log2(n), 1e-11);
    }
    free(counts);
    stream_close(&stream);
}
END_TEST

START_TEST(entropy_at_its_limits)
{
    struct measure_entropy e;
    uint64_t big[] = { UINT64_MAX / 2, 1, 1, UINT64_MAX / 4 };

    measure_entropy_init(&e);
    ck_assert_double_eq(measure_entropy_bits(&e), 0);
    ck_assert_double_eq(measure_entropy_normalised(&e), 0);
    measure_entropy_add(&e, 0);
    ck_assert_uint_eq(e.keys, 0);
    measure_entropy_add(&e, 12345);
    ck_assert_double_eq(measure_entropy_bits(&e), 0);
    ck_assert_double_eq(measure_entropy_normalised(&e), 0);

    /* 2^k equal keys have k bits. */
    for (int k = 1; k <= 16; k++) {
        for (int c = 1; c < 10000; c += 333) {
            measure_entropy_init(&e);
            for (int i = 0; i < 1 << k; i++) {
                measure_entropy_add(&e, c);
            }
            ck_assert_double_eq_tol(measure_entropy_bits(&e), k, 1e-11);
            ck_assert_double_eq_tol(measure_entropy_normalised(&e), 1, 1e-12);
            ck_assert_double_le(measure_entropy_normalised(&e), 1);
            c += k > 12 ? 4000 : 0;
        }
    }

    measure_entropy_init(&e);
    for (size_t i = 0; i < ARRAY_SIZE(big); i++) {
        measure_entropy_add(&e, big[i]);
    }
    ck_assert_double_eq_tol(measure_entropy_bits(&e),
                            (double) slow_entropy(big, ARRAY_SIZE(big)),
                            1e-11);

    /* One packet elsewhere of very many. */
    measure_entropy_init(&e);
    measure_entropy_add(&e, UINT64_C(1) << 60);
    measure_entropy_add(&e, 1);
    ck_assert_double_ge(measure_entropy_bits(&e), 0);
    ck_assert_double_le(measure_entropy_bits(&e), 1e-14);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-quantiles");

    tcase_add_test(tests, buckets_are_powers_of_two);
    tcase_add_test(tests, distribution_adds_up);
    tcase_add_loop_test(tests, quantiles_are_exact, 0, N_VALUES_KINDS);
    tcase_add_loop_test(tests, entropy_is_that_of_the_definition,
                        0, N_STREAM_KINDS);
    tcase_add_test(tests, entropy_at_its_limits);
    return tests_run(tests);
}
