/* SPDX-License-Identifier: Apache-2.0 */
/* Distribution, quantiles and entropy of numbers. */

#ifndef MEASURE_QUANTILES_H
#define MEASURE_QUANTILES_H 1

#include <stddef.h>
#include <stdint.h>

/* Distribution, quantiles and entropy
 * ===================================
 *
 * Of the sizes of the flows of an epoch, or of any other grouped counts, read
 * from a table that has them exactly:
 *
 *     distribution   how many flows have 1, 2 to 3, 4 to 7, 8 to 15, ...
 *                    packets (or bytes), and what these add up to.  Exact.
 *     quantiles      the value of a given rank, exact, by selection: the
 *                    values are counted by their top bits, and those that
 *                    share the top bits of the wanted one by the next, never
 *                    more than 6 passes whatever the values are.
 *     entropy        Shannon's, in bits: of counts c that add up to N,
 *                    log2(N) - sum(c * log2(c)) / N.  The normalised entropy
 *                    is that divided by log2 of the number of keys, from 0
 *                    (one key has all) to 1 (all have the same).
 *
 * The sum of the entropy is compensated (Neumaier, 1974): of a million counts
 * the result is right to about 10^-13 bits, in whatever order they come.
 *
 * Thread safety: none; plain data. */

#define MEASURE_BUCKETS 65      /* 0, and one for each power of two. */

struct measure_bucket {
    uint64_t flows;
    uint64_t packets;           /* Of these flows. */
    uint64_t bytes;             /* Of these flows. */
};

struct measure_quantiles {
    uint64_t flows;
    uint64_t packets;
    uint64_t bytes;
    struct measure_bucket by_packets[MEASURE_BUCKETS];
    struct measure_bucket by_bytes[MEASURE_BUCKETS];
};

/* Bucket 'i' has the values from measure_bucket_min(i) to
 * measure_bucket_max(i). */
static inline unsigned int
measure_bucket(uint64_t value)
{
    return value ? 64 - __builtin_clzll(value) : 0;
}

static inline uint64_t
measure_bucket_min(unsigned int i)
{
    return i ? UINT64_C(1) << (i - 1) : 0;
}

static inline uint64_t
measure_bucket_max(unsigned int i)
{
    return i ? measure_bucket_min(i) * 2 - 1 : 0;
}

void measure_quantiles_init(struct measure_quantiles *);

/* Adds a flow of 'packets' and 'bytes'. */
static inline void
measure_quantiles_add(struct measure_quantiles *d, uint64_t packets,
                      uint64_t bytes)
{
    struct measure_bucket *by_packets
        = &d->by_packets[measure_bucket(packets)];
    struct measure_bucket *by_bytes = &d->by_bytes[measure_bucket(bytes)];

    d->flows++;
    d->packets += packets;
    d->bytes += bytes;
    by_packets->flows++;
    by_packets->packets += packets;
    by_packets->bytes += bytes;
    by_bytes->flows++;
    by_bytes->packets += packets;
    by_bytes->bytes += bytes;
}

/* Quantiles. */

uint64_t measure_quantile(const uint64_t *values, size_t n, double quantile);

/* Values that come one by one.  Most are small, as those of flows are: each of
 * these is counted, and only the others are kept. */

#define MEASURE_SMALL_VALUES 65536

struct measure_values {
    uint64_t n_small;           /* Below MEASURE_SMALL_VALUES. */
    size_t n_large;
    size_t allocated;
    uint64_t *large;
    uint64_t counts[MEASURE_SMALL_VALUES];
};

struct measure_values *measure_values_create(void);
void measure_values_destroy(struct measure_values *);
void measure_values_keep(struct measure_values *, uint64_t value);
uint64_t measure_values_quantile(const struct measure_values *,
                                 double quantile);

static inline void
measure_values_add(struct measure_values *values, uint64_t value)
{
    if (value < MEASURE_SMALL_VALUES) {
        values->counts[value]++;
        values->n_small++;
    } else {
        measure_values_keep(values, value);
    }
}

/* Entropy. */

#define MEASURE_ENTROPY_TERMS 256

struct measure_entropy {
    uint64_t keys;              /* Counts that are not 0. */
    uint64_t total;             /* Their sum. */
    double sum;                 /* Of c * log2(c)... */
    double compensation;        /* ...and what rounding took from it. */

    /* c * log2(c) of the smallest counts, which most are; 0 until needed. */
    double terms[MEASURE_ENTROPY_TERMS];
};

void measure_entropy_init(struct measure_entropy *);
void measure_entropy_add(struct measure_entropy *, uint64_t count);
double measure_entropy_bits(const struct measure_entropy *);
double measure_entropy_normalised(const struct measure_entropy *);

#endif /* measure-quantiles.h */
