/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of superspreaders from a stream. */

#include "check-structures.h"

#include <math.h>

#include "structures/measure-superspreader.h"

static const uint32_t listed[] = {
    MEASURE_SUPERSPREADER_LISTED_NARROW, MEASURE_SUPERSPREADER_LISTED_WIDE
};

/* A table with its memory. */
struct spreader {
    struct measure_superspreader s;
    void *memory;
    size_t size;
};

static struct measure_superspreader_config
make_config(enum measure_layout layout, enum measure_superspreader_kind kind,
            uint32_t max_sources, uint32_t max_filters)
{
    struct measure_superspreader_config config = {
        .kind = kind,
        .layout = layout,
        .max_sources = max_sources,
        .max_filters = max_filters,
    };
    size_t size = sizeof config.source_mask;

    memcpy(config.source_mask,
           measure_masks[MEASURE_KIND_SOURCE].words[layout], size);
    memcpy(config.destination_mask,
           measure_masks[MEASURE_KIND_DESTINATION].words[layout], size);
    return config;
}

static struct spreader
spreader_open(const struct measure_superspreader_config *config)
{
    struct spreader t = { .size = measure_superspreader_size(config) };

    t.memory = measure_memory_alloc(&budget, t.size, MEASURE_ANY_NODE);
    ck_assert_ptr_nonnull(t.memory);
    memset(t.memory, 0xa5, t.size);
    measure_superspreader_init(&t.s, config, &secret, t.memory);
    return t;
}

static void
spreader_close(struct spreader *t)
{
    measure_memory_free(&budget, t->memory, t->size);
}

/* Packets wait here until there are some. */
static uint64_t waiting[100][MEASURE_KEY_WORDS];
static size_t n_waiting;

static void
flush(struct spreader *t)
{
    measure_superspreader_add(&t->s, waiting[0], MEASURE_KEY_WORDS,
                              n_waiting);
    measure_superspreader_finish(&t->s);
    n_waiting = 0;
}

static struct measure_fields
make_pair(enum measure_layout layout, uint32_t source, uint32_t destination)
{
    struct measure_fields fields;
    int low = layout == MEASURE_WIDE ? 12 : 0;

    memset(&fields, 0, sizeof fields);
    fields.family = family_of(layout);
    put_be32(fields.source + low, source);
    put_be32(fields.destination + low, destination);
    fields.source_port = destination;
    fields.protocol = 6;
    return fields;
}

static void
add(struct spreader *t, uint32_t source, uint32_t destination)
{
    struct measure_fields fields = make_pair(t->s.config.layout, source,
                                             destination);

    measure_key_from_fields(waiting[n_waiting++], &fields);
    if (n_waiting == ARRAY_SIZE(waiting)) {
        flush(t);
    }
}

/* The number of the source of 'row'. */
static uint32_t
source_of(const struct spreader *t,
          const struct measure_superspreader_row *row)
{
    struct measure_fields fields;
    const uint8_t *p;

    measure_fields_from_key(&fields, t->s.config.layout, row->source);
    p = fields.source + (t->s.config.layout == MEASURE_WIDE ? 12 : 0);
    return (uint32_t) p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static struct measure_superspreader_row rows[20000];

#define N_BOTH (MEASURE_N_SPREADER_KINDS * MEASURE_N_LAYOUTS)

START_TEST(few_destinations_are_counted_exactly)
{
    enum measure_layout layout = _i % 2;
    struct measure_superspreader_config config
        = make_config(layout, _i / 2, 5000, 0);
    struct spreader t = spreader_open(&config);
    struct random r = random_from(test_seed);
    uint32_t most = listed[layout];
    size_t n;

    /* Source i has i % most + 1 destinations, all of them seen often. */
    for (int i = 0; i < 300000; i++) {
        uint32_t source = i % 5000;
        uint32_t destination = random_below(&r, source % most + 1);

        if (i / 5000 < (int) most) {
            destination = i / 5000 % (source % most + 1);
        }
        add(&t, source, 77 * destination);
    }
    flush(&t);
    ck_assert_uint_eq(t.s.n_sources, 5000);
    ck_assert_uint_eq(t.s.n_filters, 0);
    ck_assert_uint_eq(t.s.packets, 300000);
    ck_assert_uint_eq(t.s.refused_packets + t.s.refused_destinations, 0);

    n = measure_superspreader_report(&t.s, 0, rows, ARRAY_SIZE(rows));
    ck_assert_uint_eq(n, 5000);
    for (size_t i = 0; i < n; i++) {
        uint32_t expected = source_of(&t, &rows[i]) % most + 1;

        REQUIRE(rows[i].min == expected && rows[i].max == expected
                && rows[i].destinations == expected);
        REQUIRE(!i || rows[i - 1].min > rows[i].min
                || (rows[i - 1].min == rows[i].min
                    && memcmp(rows[i - 1].source, rows[i].source,
                              sizeof rows[i].source) < 0));
    }

    /* Less rows than there are: the first ones. */
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, &rows[n], 100),
                      n);
    ck_assert(!memcmp(rows, &rows[n], 100 * sizeof *rows));
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, NULL, 0), n);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, most, rows, 1), 0);
    spreader_close(&t);
}
END_TEST

/* Of each row the truth lies between 'min' and 'max', and the estimates have
 * no bias.  Either bound may fail with a probability of 10^-4: six of 4000
 * with one of 10^-5. */
START_TEST(many_destinations_lie_in_the_bounds)
{
    enum measure_layout layout = _i % 2;
    enum measure_superspreader_kind kind = _i / 2;
    enum { N = 1000, STEP = 2 };
    struct measure_superspreader_config config
        = make_config(layout, kind, N, N);
    struct spreader t = spreader_open(&config);
    double errors = 0, squares = 0;
    unsigned int n_wrong = 0, n_middle = 0;
    size_t n;

    for (uint32_t source = 1; source <= N; source++) {
        for (uint32_t j = 0; j < STEP * source; j++) {
            add(&t, source, (source << 12) + j);
            if (j % 5 == 4) {
                add(&t, source, (source << 12) + j - j % 7);
            }
        }
    }
    flush(&t);
    n = measure_superspreader_report(&t.s, 0, rows, ARRAY_SIZE(rows));
    ck_assert_uint_eq(n, N);
    for (size_t i = 0; i < n; i++) {
        uint32_t source = source_of(&t, &rows[i]);
        uint64_t truth = STEP * source;

        n_wrong += truth < rows[i].min || truth > rows[i].max;
        REQUIRE(rows[i].min <= rows[i].max);
        if (truth > listed[layout] && truth <= 1000) {
            double error = (rows[i].destinations - truth) / truth;

            n_middle++;
            errors += error;
            squares += error * error;
        }
        if (truth % 250 == 0 || truth == 128) {
            printf("%s of %4"PRIu64": [%"PRIu64" <= %.1f <= %"PRIu64"]\n",
                   kind == MEASURE_SUPERSPREADER_BLOOM ? "Bloom" : "bitmap",
                   truth, rows[i].min, rows[i].destinations, rows[i].max);
        }
    }
    printf("wrong bounds: [0 <= %u <= 5], relative error of estimates: "
           "mean %.5f, deviation %.5f\n", n_wrong, errors / n_middle,
           sqrt(squares / n_middle));
    fflush(stdout);
    ck_assert_uint_le(n_wrong, 5);
    ck_assert_double_le(fabs(errors / n_middle),
                        5 * sqrt(squares) / n_middle);
    spreader_close(&t);
}
END_TEST

/* Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors", in its
 * usual form: the next of n destinations is taken for an old one with
 * probability (1 - e^(-3n/1024))^3.  Bits that all lie in one of two lines add
 * less than a fifth to what that adds up to for 129 destinations, and the
 * standard deviation of a sum over 2000 sources is 2 %. */
START_TEST(bloom_filter_misses_what_is_published)
{
    enum { N = 2000, DESTINATIONS = 129 };
    struct measure_superspreader_config config
        = make_config(MEASURE_NARROW, MEASURE_SUPERSPREADER_BLOOM, N, N);
    struct spreader t = spreader_open(&config);
    uint64_t missed = 0;
    double published = 0;

    for (uint32_t j = 0; j < DESTINATIONS; j++) {
        published += N * pow(1 - exp(-3.0 * j / 1024), 3);
        for (uint32_t source = 0; source < N; source++) {
            add(&t, source, source * 1000 + j);
        }
    }
    flush(&t);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, rows, N), N);
    for (uint32_t i = 0; i < N; i++) {
        REQUIRE(rows[i].min <= DESTINATIONS);
        missed += DESTINATIONS - rows[i].min;
    }
    printf("destinations missed: [%.0f <= %"PRIu64" <= %.0f]\n",
           published * .9, missed, published * 1.3);
    fflush(stdout);
    ck_assert_double_ge(missed, published * .9);
    ck_assert_double_le(missed, published * 1.3);
    spreader_close(&t);
}
END_TEST

/* Whang et al.: the standard error of linear counting is
 * sqrt(m (e^t - t - 1)), here that of 129 destinations. */
START_TEST(bitmap_errs_as_published)
{
    enum { N = 2000, DESTINATIONS = 129 };
    struct measure_superspreader_config config
        = make_config(MEASURE_NARROW, MEASURE_SUPERSPREADER_BITMAP, N, N);
    struct spreader t = spreader_open(&config);
    double load = DESTINATIONS / 1024.0;
    double published = sqrt(1024 * (exp(load) - load - 1));
    double squares = 0, deviation;

    for (uint32_t j = 0; j < DESTINATIONS; j++) {
        for (uint32_t source = 0; source < N; source++) {
            add(&t, source, source * 1000 + j);
        }
    }
    flush(&t);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, rows, N), N);
    for (uint32_t i = 0; i < N; i++) {
        double error = rows[i].destinations - DESTINATIONS;

        squares += error * error;
    }
    deviation = sqrt(squares / N);

    /* Its own standard deviation is 1/sqrt(2N), 1.6 %. */
    printf("standard error: [%.3f <= %.3f <= %.3f]\n", published * .9,
           deviation, published * 1.1);
    fflush(stdout);
    ck_assert_double_ge(deviation, published * .9);
    ck_assert_double_le(deviation, published * 1.1);
    spreader_close(&t);
}
END_TEST

/* The task of the paper: more than 128 destinations. */
START_TEST(all_superspreaders_are_found)
{
    enum measure_layout layout = _i % 2;
    enum { SOURCES = 4000, DESTINATIONS = 3000, PACKETS = 500000 };
    struct measure_superspreader_config config
        = make_config(layout, _i / 2, SOURCES, SOURCES);
    struct spreader t = spreader_open(&config);
    struct stream sources = stream_open(STREAM_ZIPF, SOURCES, test_seed);
    struct random r = random_from(test_seed + 1);
    uint8_t *seen = calloc(SOURCES, DESTINATIONS);
    uint32_t *truth = calloc(SOURCES, sizeof *truth);
    unsigned int n_true = 0, n_right = 0;
    size_t n;

    for (int i = 0; i < PACKETS; i++) {
        uint32_t source = stream_next(&sources);
        uint32_t destination = random_below(&r, DESTINATIONS);

        truth[source] += !seen[source * DESTINATIONS + destination];
        seen[source * DESTINATIONS + destination] = true;
        add(&t, source, destination);
    }
    flush(&t);
    for (uint32_t i = 0; i < SOURCES; i++) {
        n_true += truth[i] > MEASURE_SUPERSPREADER_THRESHOLD;
    }
    n = measure_superspreader_report(&t.s, MEASURE_SUPERSPREADER_THRESHOLD,
                                     rows, ARRAY_SIZE(rows));
    for (size_t i = 0; i < n; i++) {
        uint32_t source = source_of(&t, &rows[i]);

        n_right += truth[source] > MEASURE_SUPERSPREADER_THRESHOLD;

        /* What is reported wrongly is near the threshold. */
        REQUIRE(truth[source] > MEASURE_SUPERSPREADER_THRESHOLD * 3 / 4);
    }
    printf("recall [1 <= %.4f <= 1], precision [0.75 <= %.4f <= 1]\n",
           (double) n_right / n_true, (double) n_right / n);
    fflush(stdout);
    ck_assert_uint_gt(n_true, 100);
    ck_assert_uint_eq(n_right, n_true);
    ck_assert_uint_ge(n_right * 4, n * 3);
    free(seen);
    free(truth);
    stream_close(&sources);
    spreader_close(&t);
}
END_TEST

START_TEST(masks_exchanged_find_victims)
{
    struct measure_superspreader_config config
        = make_config(MEASURE_NARROW, MEASURE_SUPERSPREADER_BLOOM, 100, 100);
    struct measure_fields fields;
    struct spreader t;
    uint64_t mask[MEASURE_KEY_WORDS];

    memcpy(mask, config.source_mask, sizeof mask);
    memcpy(config.source_mask, config.destination_mask, sizeof mask);
    memcpy(config.destination_mask, mask, sizeof mask);
    t = spreader_open(&config);
    for (uint32_t i = 0; i < 500; i++) {
        add(&t, i, 7);
        add(&t, 1, i);
    }
    flush(&t);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 128, rows, 10), 1);
    measure_fields_from_key(&fields, MEASURE_NARROW, rows[0].source);
    ck_assert_uint_eq(fields.destination[3], 7);
    ck_assert_uint_eq(fields.source[3] + fields.source_port, 0);
    ck_assert_uint_le(rows[0].min, 500);
    ck_assert_uint_ge(rows[0].max, 500);
    spreader_close(&t);
}
END_TEST

START_TEST(full_table_refuses_and_counts)
{
    enum measure_layout layout = _i;
    enum { SOURCES = 200 };
    struct measure_superspreader_config config
        = make_config(layout, MEASURE_SUPERSPREADER_BLOOM, SOURCES, 1);
    struct spreader t = spreader_open(&config);
    uint32_t n = listed[layout];

    for (uint32_t i = 0; i < 3 * SOURCES; i++) {
        add(&t, i, 1);
    }
    flush(&t);
    ck_assert_uint_eq(t.s.n_sources, SOURCES);
    ck_assert_uint_eq(t.s.refused_packets, 2 * SOURCES);

    /* Again, each packet of them; the others are known. */
    for (uint32_t i = 0; i < 3 * SOURCES; i++) {
        add(&t, i, 1);
    }
    flush(&t);
    ck_assert_uint_eq(t.s.refused_packets, 4 * SOURCES);

    /* One filter, for the first that needs it. */
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t j = 0; j < 50; j++) {
            add(&t, i, j);
        }
    }
    flush(&t);
    ck_assert_uint_eq(t.s.n_filters, 1);
    ck_assert_uint_eq(t.s.refused_destinations, 2 * (50 - n));

    /* What may be more than it was possible to count is reported. */
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 128, rows, 10), 2);
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_ne(source_of(&t, &rows[i]), 0);
        ck_assert_uint_eq(rows[i].min, n);
        ck_assert_uint_eq(rows[i].max, UINT64_MAX);
    }

    measure_superspreader_clear(&t.s);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, rows, 10), 0);
    ck_assert_uint_eq(t.s.refused_packets + t.s.refused_destinations
                      + t.s.packets, 0);
    /* Pairs that had been counted before are forgotten, too. */
    for (uint32_t j = 0; j < 50; j++) {
        add(&t, 0, j);
    }
    flush(&t);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, rows, 10), 1);
    ck_assert_uint_eq(source_of(&t, &rows[0]), 0);
    ck_assert_uint_le(rows[0].min, 50);
    ck_assert_uint_ge(rows[0].min, 45);
    spreader_close(&t);
}
END_TEST

/* Millions of destinations: the filter is full, and says so. */
START_TEST(full_filter_has_no_upper_bound)
{
    enum measure_superspreader_kind kind = _i;
    struct measure_superspreader_config config
        = make_config(MEASURE_NARROW, kind, 10, 10);
    struct spreader t = spreader_open(&config);

    for (uint32_t j = 0; j < 1000000; j++) {
        add(&t, 1, j);
    }
    flush(&t);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 128, rows, 10), 1);
    ck_assert_uint_eq(rows[0].max, UINT64_MAX);
    ck_assert_uint_ge(rows[0].min, 300);
    ck_assert_uint_le(rows[0].min, 1000000);
    ck_assert_double_ge(rows[0].destinations, 1024);
    ck_assert(isfinite(rows[0].destinations));
    spreader_close(&t);
}
END_TEST

/* All sources in one home row: no more than the bounded number of rows is
 * looked at, what finds none is counted, and no neighbour is disturbed. */
START_TEST(probes_are_bounded)
{
    enum measure_layout layout = _i;
    struct measure_superspreader_config config
        = make_config(layout, MEASURE_SUPERSPREADER_BLOOM, 1000, 1000);
    struct spreader t = spreader_open(&config);
    uint32_t n = MEASURE_SUPERSPREADER_MAX_PROBES + 20;

    /* As if the table had one home row. */
    t.s.n_rows = 1;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < 3; j++) {
            add(&t, i, j);
        }
    }
    flush(&t);
    ck_assert_uint_eq(t.s.n_sources, MEASURE_SUPERSPREADER_MAX_PROBES);
    ck_assert_uint_eq(t.s.refused_packets, 20 * 3);
    ck_assert_uint_eq(t.s.packets, n * 3);
    n = measure_superspreader_report(&t.s, 0, rows, ARRAY_SIZE(rows));
    ck_assert_uint_eq(n, MEASURE_SUPERSPREADER_MAX_PROBES);
    for (uint32_t i = 0; i < n; i++) {
        ck_assert_uint_eq(rows[i].min, 3);
    }
    spreader_close(&t);
}
END_TEST

/* In bursts of any length and at any distance the result is the same. */
START_TEST(bursts_and_strides_do_not_matter)
{
    struct measure_superspreader_config config
        = make_config(MEASURE_NARROW, MEASURE_SUPERSPREADER_BLOOM, 100, 100);
    struct spreader a = spreader_open(&config);
    struct spreader b = spreader_open(&config);
    struct random r = random_from(test_seed);
    struct measure_record records[130];
    size_t n;

    for (int i = 0; i < 300; i++) {
        size_t burst = random_below(&r, ARRAY_SIZE(records) + 1);

        for (size_t j = 0; j < burst; j++) {
            uint32_t source = random_below(&r, 30);
            struct measure_fields fields
                = make_pair(MEASURE_NARROW, source,
                            random_below(&r, 1 + source * source));

            records[j] = make_record(&fields, 60);
            measure_superspreader_add(&a.s, records[j].key, 2, 1);
        }
        measure_superspreader_add(&b.s, records[0].key,
                                  sizeof records[0] / 8, burst);
    }
    measure_superspreader_finish(&a.s);
    measure_superspreader_finish(&b.s);
    n = measure_superspreader_report(&a.s, 0, rows, 100);
    ck_assert_uint_eq(n, 30);
    ck_assert_uint_eq(measure_superspreader_report(&b.s, 0, &rows[n], 100),
                      n);
    for (size_t i = 0; i < n; i++) {
        ck_assert(!memcmp(rows[i].source, rows[n + i].source,
                          sizeof rows[i].source));
        ck_assert_double_eq(rows[i].destinations, rows[n + i].destinations);
        ck_assert_uint_eq(rows[i].min, rows[n + i].min);
        ck_assert_uint_eq(rows[i].max, rows[n + i].max);
    }
    ck_assert_uint_eq(a.s.packets, b.s.packets);
    spreader_close(&a);
    spreader_close(&b);
}
END_TEST

/* What aims at a table that hashes with CRC32C: all sources have the same CRC
 * in its lower half, and so have all pairs.  Each has a row, within the
 * bounded number of probes at half load, with its exact count. */
START_TEST(crc_collisions_do_not_collide)
{
    enum measure_layout layout = _i % 2;
    enum { SOURCES = 20000, DESTINATIONS = 3 };
    struct measure_superspreader_config config
        = make_config(layout, _i / 2, SOURCES, 0);
    struct spreader t = spreader_open(&config);
    size_t size = layout == MEASURE_NARROW ? 4 : 16;
    bool *seen = calloc(SOURCES, sizeof *seen);
    uint32_t crc;
    size_t n;

    for (uint32_t i = 0; i < SOURCES * DESTINATIONS; i++) {
        struct measure_fields fields = make_pair(layout, 0, 0);
        uint64_t key[MEASURE_KEY_WORDS], pair[MEASURE_KEY_WORDS];
        uint32_t wanted = i % SOURCES << 16 | 0x5678;

        crc = 0;
        for (size_t j = 0; j < size - 4; j++) {
            crc = crc32c_step(crc, fields.source[j]);
        }
        wanted = crc32c_aim(crc, wanted);
        memcpy(&fields.source[size - 4], &wanted, 4);
        crc = i % SOURCES << 16 | 0x5678;
        for (size_t j = 0; j < size - 4; j++) {
            crc = crc32c_step(crc, fields.destination[j]);
        }
        wanted = crc32c_aim(crc, i / SOURCES << 16 | 0x1234);
        memcpy(&fields.destination[size - 4], &wanted, 4);

        measure_key_from_fields(key, &fields);
        for (int j = 0; j < MEASURE_KEY_WORDS; j++) {
            pair[j] = key[j] & (config.source_mask[j]
                                | config.destination_mask[j]);
        }
        REQUIRE(crc32c(0, pair, size / 4) == (i / SOURCES << 16 | 0x1234));
        measure_superspreader_add(&t.s, key, MEASURE_KEY_WORDS, 1);
    }
    measure_superspreader_finish(&t.s);
    ck_assert_uint_eq(t.s.refused_packets + t.s.refused_destinations, 0);
    ck_assert_uint_eq(t.s.n_sources, SOURCES);
    n = measure_superspreader_report(&t.s, 0, rows, ARRAY_SIZE(rows));
    ck_assert_uint_eq(n, SOURCES);
    for (size_t i = 0; i < n; i++) {
        REQUIRE(rows[i].min == DESTINATIONS && rows[i].max == DESTINATIONS);
        crc = 0;
        for (size_t j = 0; j < size; j++) {
            crc = crc32c_step(crc, ((uint8_t *) rows[i].source)[j]);
        }
        REQUIRE((crc & 0xffff) == 0x5678 && crc >> 16 < SOURCES);
        REQUIRE(!seen[crc >> 16]);
        seen[crc >> 16] = true;
    }
    free(seen);
    spreader_close(&t);
}
END_TEST

/* Each packet has a source and a destination that have not been seen. */
START_TEST(new_pairs_in_every_packet)
{
    enum measure_layout layout = _i % 2;
    enum { SOURCES = 10000, PACKETS = 40000 };
    struct measure_superspreader_config config
        = make_config(layout, _i / 2, SOURCES, 10);
    struct spreader t = spreader_open(&config);
    bool *seen = calloc(PACKETS, sizeof *seen);
    size_t n;

    for (uint32_t i = 0; i < PACKETS; i++) {
        add(&t, i, PACKETS + i);
    }
    flush(&t);
    ck_assert_uint_eq(t.s.packets, PACKETS);
    ck_assert_uint_eq(t.s.n_sources, SOURCES);
    ck_assert_uint_eq(t.s.n_filters, 0);
    ck_assert_uint_eq(t.s.refused_packets, PACKETS - SOURCES);
    n = measure_superspreader_report(&t.s, 0, rows, ARRAY_SIZE(rows));
    ck_assert_uint_eq(n, SOURCES);
    for (size_t i = 0; i < n; i++) {
        uint32_t source = source_of(&t, &rows[i]);

        REQUIRE(source < PACKETS && !seen[source]);
        REQUIRE(rows[i].min == 1 && rows[i].max == 1);
        seen[source] = true;
    }
    free(seen);
    spreader_close(&t);
}
END_TEST

START_TEST(one_pair_is_one_destination)
{
    struct measure_superspreader_config config
        = make_config(_i % 2, _i / 2, 10, 10);
    struct spreader t = spreader_open(&config);

    for (uint32_t i = 0; i < 200000; i++) {
        add(&t, 1, 2);
    }
    flush(&t);
    ck_assert_uint_eq(t.s.packets, 200000);
    ck_assert_uint_eq(t.s.n_sources, 1);
    ck_assert_uint_eq(t.s.n_filters, 0);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, rows, 10), 1);
    ck_assert_uint_eq(source_of(&t, &rows[0]), 1);
    ck_assert_uint_eq(rows[0].min, 1);
    ck_assert_uint_eq(rows[0].max, 1);
    spreader_close(&t);
}
END_TEST

/* A filter at its limit counts no further than it has bits (as a bitmap, it
 * estimates), and the filters and rows beside it are as they were. */
START_TEST(full_filter_disturbs_no_neighbour)
{
    enum measure_layout layout = _i % 2;
    enum { SOURCES = 3, FEW = 30 };
    struct measure_superspreader_config config
        = make_config(layout, _i / 2, SOURCES, SOURCES);
    struct measure_superspreader_row before[SOURCES];
    struct spreader t = spreader_open(&config);

    for (uint32_t j = 0; j < FEW; j++) {
        for (uint32_t i = 0; i < SOURCES; i++) {
            add(&t, i, i * 1000 + j);
        }
    }
    flush(&t);
    ck_assert_uint_eq(t.s.n_filters, SOURCES);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, before, SOURCES),
                      SOURCES);
    for (uint32_t j = 0; j < 1000000; j++) {
        add(&t, 1, 10000 + j);
    }
    flush(&t);
    ck_assert_uint_eq(t.s.n_filters, SOURCES);
    ck_assert_uint_eq(measure_superspreader_report(&t.s, 0, rows, SOURCES),
                      SOURCES);
    ck_assert_uint_eq(source_of(&t, &rows[0]), 1);
    if (config.kind == MEASURE_SUPERSPREADER_BLOOM) {
        ck_assert_uint_le(rows[0].min, (MEASURE_SUPERSPREADER_BITS
                                        + listed[layout]));
    }
    ck_assert_uint_eq(rows[0].max, UINT64_MAX);
    for (int i = 1; i < SOURCES; i++) {
        bool found = false;

        for (int j = 0; j < SOURCES; j++) {
            found |= (!memcmp(rows[i].source, before[j].source,
                              sizeof before[j].source)
                      && rows[i].destinations == before[j].destinations
                      && rows[i].min == before[j].min
                      && rows[i].max == before[j].max);
        }
        ck_assert(found);
    }
    spreader_close(&t);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-superspreader");

    tcase_add_unchecked_fixture(tests, draw_secret, NULL);
    tcase_add_loop_test(tests, few_destinations_are_counted_exactly,
                        0, N_BOTH);
    tcase_add_loop_test(tests, many_destinations_lie_in_the_bounds,
                        0, N_BOTH);
    tcase_add_test(tests, bloom_filter_misses_what_is_published);
    tcase_add_test(tests, bitmap_errs_as_published);
    tcase_add_loop_test(tests, all_superspreaders_are_found, 0, N_BOTH);
    tcase_add_test(tests, masks_exchanged_find_victims);
    tcase_add_loop_test(tests, full_table_refuses_and_counts,
                        0, MEASURE_N_LAYOUTS);
    tcase_add_loop_test(tests, full_filter_has_no_upper_bound,
                        0, MEASURE_N_SPREADER_KINDS);
    tcase_add_loop_test(tests, probes_are_bounded, 0, MEASURE_N_LAYOUTS);
    tcase_add_test(tests, bursts_and_strides_do_not_matter);
    tcase_add_loop_test(tests, crc_collisions_do_not_collide, 0, N_BOTH);
    tcase_add_loop_test(tests, new_pairs_in_every_packet, 0, N_BOTH);
    tcase_add_loop_test(tests, one_pair_is_one_destination, 0, N_BOTH);
    tcase_add_loop_test(tests, full_filter_disturbs_no_neighbour, 0, N_BOTH);
    return tests_run(tests);
}
