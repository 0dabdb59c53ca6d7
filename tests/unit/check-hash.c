/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the keyed hash. */

#include "check-common.h"

#include <math.h>

#include "base/measure-hash.h"
#include "structures/measure-table.h"

#include "tally/measure-tally.h"

/* How many standard deviations a statistic may be off.  For a normal variable
 * 7 come once in 10^11 runs; the sums of many squares below are nearly
 * normal. */
#define DEVIATIONS 7

#define N_SECRETS 10

/* Streams of keys as an attacker, a scanner, or a tidy administrator makes
 * them. */

enum pattern {
    ONE_SOURCE_SCANS_A_NETWORK,
    NETWORK_TO_ONE_DESTINATION,
    ONE_PAIR_ALL_SOURCE_PORTS,
    ONE_PAIR_SCANS_PORTS,
    EVERY_256TH_ADDRESS,
    BOTH_ADDRESSES_COUNT,
    SOURCES_ONLY,
    FLOODS_FROM_RANDOM_SOURCES,
    PORTS_REPEAT_THE_SOURCE,
    N_PATTERNS
};

static void
set_number(const struct measure_fields *fields, uint8_t *address,
           uint32_t number)
{
    put_be32(address + (fields->family == MEASURE_IPV4 ? 0 : 12),
             0x0a000000 + number);
}

static struct measure_fields
pattern_fields(enum pattern pattern, enum measure_layout layout, uint32_t i,
               struct random *r)
{
    struct measure_fields fields = {
        .family = family_of(layout), .protocol = 6, .source_port = 40000,
        .destination_port = 443,
    };

    if (layout == MEASURE_WIDE) {
        put_be32(fields.source, 0x20010db8);
        put_be32(fields.destination, 0x20010db8);
    }
    set_number(&fields, fields.source, 1);
    set_number(&fields, fields.destination, 2);

    switch (pattern) {
    case ONE_SOURCE_SCANS_A_NETWORK:
        set_number(&fields, fields.destination, i);
        break;
    case NETWORK_TO_ONE_DESTINATION:
        set_number(&fields, fields.source, i);
        break;
    case ONE_PAIR_ALL_SOURCE_PORTS:
        fields.source_port = i;
        break;
    case ONE_PAIR_SCANS_PORTS:
        fields.destination_port = i;
        break;
    case EVERY_256TH_ADDRESS:
        set_number(&fields, fields.destination, i * 256);
        break;
    case BOTH_ADDRESSES_COUNT:
        set_number(&fields, fields.source, i);
        set_number(&fields, fields.destination, i);
        break;
    case SOURCES_ONLY:
        set_number(&fields, fields.source, i);
        memset(fields.destination, 0, sizeof fields.destination);
        fields.protocol = 0;
        fields.source_port = fields.destination_port = 0;
        break;
    case FLOODS_FROM_RANDOM_SOURCES:
        random_fill(r, fields.source, layout == MEASURE_NARROW ? 4 : 16);
        break;
    case PORTS_REPEAT_THE_SOURCE:
        /* The sum of the two words of the key is always the same. */
        fields.source[0] = i;
        fields.source[1] = i >> 8;
        fields.source_port = i;
        break;
    case N_PATTERNS:
        break;
    }
    return fields;
}

/* Checks that 'counts', of 'n' things that fell into 'n_cells' cells, are not
 * more uneven than chance makes them: Pearson's chi-square has mean 'n_cells'
 * - 1 and variance 2 ('n_cells' - 1). */
static void
check_even(const uint32_t *counts, size_t n_cells, size_t n, const char *what)
{
    double expected = (double) n / n_cells;
    double mean = n_cells - 1;
    double chi_square = 0;

    for (size_t i = 0; i < n_cells; i++) {
        chi_square += (counts[i] - expected) * (counts[i] - expected)
                      / expected;
    }
    ck_assert_msg(chi_square < mean + DEVIATIONS * sqrt(2 * mean),
                  "%s: chi-square %f, mean %f, standard deviation %f", what,
                  chi_square, mean, sqrt(2 * mean));
}

START_TEST(patterns_spread_over_lines_and_cells)
{
    enum measure_layout layout = _i % MEASURE_N_LAYOUTS;
    enum pattern pattern = _i / MEASURE_N_LAYOUTS;
    enum { N_KEYS = 65536, N_LINES = 1021 };
    static uint64_t rows[N_LINES * 8];
    struct measure_table table = {
        .rows = rows, .n_lines = N_LINES, .layout = layout
    };
    struct random r = random_from(test_seed);

    for (int i = 0; i < N_SECRETS; i++) {
        static uint32_t lines[N_LINES], cells[MEASURE_OVERFLOW_CELLS];
        struct measure_hash_secret secret;

        memset(lines, 0, sizeof lines);
        memset(cells, 0, sizeof cells);
        measure_hash_secret_init(&secret, random_next(&r));
        for (uint32_t j = 0; j < N_KEYS; j++) {
            struct measure_fields fields = pattern_fields(pattern, layout, j,
                                                          &r);
            uint64_t key[MEASURE_KEY_WORDS];
            uint64_t hash;

            measure_key_from_fields(key, &fields);
            hash = measure_hash(&secret, key, measure_key_words(layout));
            lines[(measure_table_home(&table, hash) - rows) / 8]++;
            cells[measure_overflow_cell(hash)]++;
        }
        check_even(lines, N_LINES, N_KEYS, "lines");
        check_even(cells, MEASURE_OVERFLOW_CELLS, N_KEYS, "overflow cells");
    }
}
END_TEST

/* The instruction of the processor and what stands for it elsewhere. */
START_TEST(both_ways_to_fold_agree)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 100000; i++) {
        uint64_t a = random_next(&r) >> i % 64;
        uint64_t b = ~(random_next(&r) >> i / 64 % 64);

        ck_assert_uint_eq(measure_hash_fold(a, b),
                          measure_hash_fold_generic(a, b));
    }
    ck_assert_uint_eq(measure_hash_fold(UINT64_MAX, UINT64_MAX),
                      UINT64_MAX);
    ck_assert_uint_eq(measure_hash_fold(UINT64_C(1) << 32,
                                        UINT64_C(7) << 32), 7);
}
END_TEST

/* Flips each bit of random keys and counts which bits of the hash follow.
 * Each should in half of the cases. */
START_TEST(each_bit_of_the_key_changes_half_of_the_hash)
{
    enum measure_layout layout = _i;
    unsigned int n_words = measure_key_words(layout);
    enum { N_KEYS = 4096 };
    struct random r = random_from(test_seed);

    for (unsigned int bit = 0; bit < n_words * 64; bit++) {
        uint32_t flips[64] = { 0 };

        for (int i = 0; i < N_KEYS; i++) {
            uint64_t key[MEASURE_KEY_WORDS];
            struct measure_hash_secret secret;
            uint64_t difference;

            measure_hash_secret_init(&secret, random_next(&r));
            random_fill(&r, key, sizeof key);
            difference = measure_hash(&secret, key, n_words);
            key[bit / 64] ^= UINT64_C(1) << bit % 64;
            difference ^= measure_hash(&secret, key, n_words);
            for (int j = 0; j < 64; j++) {
                flips[j] += difference >> j & 1;
            }
        }
        for (int j = 0; j < 64; j++) {
            ck_assert_msg(fabs(flips[j] - N_KEYS / 2.0)
                          < DEVIATIONS * sqrt(N_KEYS) / 2,
                          "bit %u of the key changes bit %d of the hash in "
                          "%u of %d cases", bit, j, flips[j], N_KEYS);
        }
    }
}
END_TEST

/* Who finds out which keys share a line cannot use it after the next start:
 * under two secrets, keys share a line with themselves by chance only. */
START_TEST(another_secret_chooses_other_lines)
{
    enum { N_KEYS = 65536, N_LINES = 1024 };
    struct random r = random_from(test_seed);

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_hash_secret a, b;
        double expected = (double) N_KEYS / N_LINES;
        unsigned int n_same = 0;

        /* Neighbours, as when the seed were the time. */
        measure_hash_secret_init(&a, test_seed);
        measure_hash_secret_init(&b, test_seed + 1);
        for (uint32_t i = 0; i < N_KEYS; i++) {
            struct measure_fields fields
                = pattern_fields(ONE_SOURCE_SCANS_A_NETWORK, layout, i, &r);
            uint64_t key[MEASURE_KEY_WORDS];

            measure_key_from_fields(key, &fields);
            n_same += (measure_hash(&a, key, measure_key_words(layout)) >> 54
                       == measure_hash(&b, key, measure_key_words(layout))
                          >> 54);
        }
        ck_assert_double_le(n_same,
                            expected + DEVIATIONS * sqrt(expected));
    }
}
END_TEST

START_TEST(hash_depends_on_key_and_secret_only)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 1000; i++) {
        uint64_t seed = random_next(&r);
        uint64_t key[MEASURE_KEY_WORDS], other[MEASURE_KEY_WORDS];
        struct measure_hash_secret a, b;

        random_fill(&r, key, sizeof key);
        random_fill(&r, other, sizeof other);
        memcpy(other, key, 2 * sizeof *key);
        memset(&a, 0, sizeof a);
        memset(&b, 0xff, sizeof b);
        measure_hash_secret_init(&a, seed);
        measure_hash_secret_init(&b, seed);
        ck_assert_mem_eq(&a, &b, sizeof a);
        /* Of a key of two words, the words behind it do not matter. */
        ck_assert_uint_eq(measure_hash(&a, key, 2),
                          measure_hash(&b, other, 2));
        ck_assert_uint_ne(measure_hash(&a, key, 6),
                          measure_hash(&b, other, 6));
    }
}
END_TEST

static uint32_t
crc32c(uint32_t crc, const void *p, size_t size)
{
    const uint8_t *bytes = p;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int j = 0; j < 8; j++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
        }
    }
    return crc;
}

/* Fills 'kernel' with 'n' linearly independent keys of 16 bytes, whose sums
 * leave every CRC as it is, by Gaussian elimination. */
static void
solve_crc(uint64_t kernel[][2], size_t n)
{
    struct { uint64_t key[2]; uint32_t crc; } pivots[32] = {{{ 0 }, 0}};
    size_t found = 0;

    for (int bit = 0; bit < 128 && found < n; bit++) {
        uint64_t key[2] = { 0 };
        uint32_t crc;

        key[bit / 64] = UINT64_C(1) << bit % 64;
        crc = crc32c(0, key, sizeof key);
        for (int i = 0; i < 32 && crc; i++) {
            if (!(crc >> i & 1)) {
                continue;
            }
            if (!pivots[i].crc) {
                memcpy(pivots[i].key, key, sizeof key);
                pivots[i].crc = crc;
                break;
            }
            key[0] ^= pivots[i].key[0];
            key[1] ^= pivots[i].key[1];
            crc ^= pivots[i].crc;
        }
        if (!crc) {
            memcpy(kernel[found++], key, sizeof key);
        }
    }
    ck_assert_uint_eq(found, n);
}

/* What an attacker does to a switch that hashes with CRC32C: 65536 keys with
 * the same CRC, whatever it starts from. */
START_TEST(keys_that_collide_under_crc32c_spread)
{
    enum { N_BITS = 16, N_KEYS = 1 << N_BITS, N_LINES = 1024 };
    struct random r = random_from(test_seed);
    uint64_t kernel[N_BITS][2];

    solve_crc(kernel, N_BITS);
    for (int i = 0; i < N_SECRETS; i++) {
        static uint32_t lines[N_LINES];
        struct measure_hash_secret secret;
        uint32_t start = random_next(&r);
        uint32_t crc = 0;

        memset(lines, 0, sizeof lines);
        measure_hash_secret_init(&secret, random_next(&r));
        for (uint32_t j = 0; j < N_KEYS; j++) {
            uint64_t key[2] = { 0x0123456789abcdef, 6 };

            for (int bit = 0; bit < N_BITS; bit++) {
                if (j >> bit & 1) {
                    key[0] ^= kernel[bit][0];
                    key[1] ^= kernel[bit][1];
                }
            }
            if (!j) {
                crc = crc32c(start, key, sizeof key);
            }
            REQUIRE(crc32c(start, key, sizeof key) == crc);
            lines[measure_hash(&secret, key, 2) >> 54]++;
        }
        check_even(lines, N_LINES, N_KEYS, "lines");
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-hash");

    tcase_add_loop_test(tests, patterns_spread_over_lines_and_cells,
                        0, N_PATTERNS * MEASURE_N_LAYOUTS);
    tcase_add_test(tests, both_ways_to_fold_agree);
    tcase_add_loop_test(tests, each_bit_of_the_key_changes_half_of_the_hash,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_test(tests, another_secret_chooses_other_lines);
    tcase_add_test(tests, hash_depends_on_key_and_secret_only);
    tcase_add_test(tests, keys_that_collide_under_crc32c_spread);
    return tests_run(tests);
}
