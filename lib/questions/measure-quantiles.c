/* SPDX-License-Identifier: Apache-2.0 */
/* Distribution, quantiles and entropy of numbers. */

#include <config.h>

#include "questions/measure-quantiles.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

void
measure_quantiles_init(struct measure_quantiles *d)
{
    memset(d, 0, sizeof *d);
}

/* Quantiles. */

#define DIGIT_BITS 11
#define N_DIGITS (1u << DIGIT_BITS)

/* Returns the value of rank 'rank', from 0, of the 'n' values. */
static uint64_t
select_rank(const uint64_t *values, size_t n, size_t rank)
{
    int bits;                   /* Not yet known of the value, from below. */
    uint64_t known = 0;         /* Those above. */
    uint64_t any = 0;

    assert(rank < n);
    for (size_t i = 0; i < n; i++) {
        any |= values[i];
    }
    bits = any ? 64 - __builtin_clzll(any) : 0;
    while (bits) {
        int digit_bits = bits < DIGIT_BITS ? bits : DIGIT_BITS;
        int shift = bits - digit_bits;
        uint64_t mask = bits == 64 ? 0 : UINT64_MAX << bits;
        size_t counts[N_DIGITS] = { 0 };
        unsigned int digit = 0;

        for (size_t i = 0; i < n; i++) {
            if ((values[i] & mask) == known) {
                counts[(values[i] >> shift) % (1u << digit_bits)]++;
            }
        }
        while (rank >= counts[digit]) {
            rank -= counts[digit++];
        }
        known |= (uint64_t) digit << shift;
        bits = shift;
    }
    return known;
}

/* Returns the rank, from 0, of 'quantile', from 0 to 1, in 'n' values. */
static size_t
quantile_rank(size_t n, double quantile)
{
    /* .007 times 1000 must be 7. */
    double rank = ceil(quantile * n * (1 - 1e-12));

    assert(quantile >= 0 && quantile <= 1);
    return rank < 1 ? 0 : (size_t) rank - 1;
}

/* Returns the quantile of the 'n' (more than 0) 'values', in any order: the
 * smallest of them such that at least the share 'quantile', from 0 to 1, of
 * them is not above it.  For 0 that is the minimum, for 1 the maximum. */
uint64_t
measure_quantile(const uint64_t *values, size_t n, double quantile)
{
    return select_rank(values, n, quantile_rank(n, quantile));
}

struct measure_values *
measure_values_create(void)
{
    return measure_xzalloc(sizeof(struct measure_values));
}

void
measure_values_destroy(struct measure_values *values)
{
    free(values->large);
    free(values);
}

/* For measure_values_add(). */
void
measure_values_keep(struct measure_values *values, uint64_t value)
{
    if (values->n_large == values->allocated) {
        values->allocated = values->allocated * 2 + 1024;
        values->large = measure_xrealloc(values->large,
                                         (values->allocated
                                          * sizeof *values->large));
    }
    values->large[values->n_large++] = value;
}

/* Like measure_quantile(), of all values that were added. */
uint64_t
measure_values_quantile(const struct measure_values *values, double quantile)
{
    size_t rank = quantile_rank(values->n_small + values->n_large, quantile);
    uint64_t value = 0;

    if (rank >= values->n_small) {
        return select_rank(values->large, values->n_large,
                           rank - values->n_small);
    }
    while (rank >= values->counts[value]) {
        rank -= values->counts[value++];
    }
    return value;
}

/* Entropy. */

void
measure_entropy_init(struct measure_entropy *e)
{
    memset(e, 0, sizeof *e);
}

/* Adds a key that has 'count' packets, or bytes. */
void
measure_entropy_add(struct measure_entropy *e, uint64_t count)
{
    double term, sum;

    if (!count) {
        return;
    }
    e->keys++;
    e->total += count;
    if (count == 1) {
        return;
    }

    if (count < MEASURE_ENTROPY_TERMS) {
        if (e->terms[count] == 0) {
            e->terms[count] = count * log2(count);
        }
        term = e->terms[count];
    } else {
        term = count * log2(count);
    }
    sum = e->sum + term;
    e->compensation += (e->sum >= term ? e->sum - sum + term
                        : term - sum + e->sum);
    e->sum = sum;
}

/* Returns the entropy in bits, 0 if nothing was added. */
double
measure_entropy_bits(const struct measure_entropy *e)
{
    double total = e->total;
    double bits;

    if (e->keys < 2) {
        return 0;
    }
    bits = log2(total) - (e->sum + e->compensation) / total;
    return bits > 0 ? bits : 0;
}

/* Returns the entropy as a share of what it would be at most with that many
 * keys, 0 with less than two. */
double
measure_entropy_normalised(const struct measure_entropy *e)
{
    double share;

    if (e->keys < 2) {
        return 0;
    }
    share = measure_entropy_bits(e) / log2(e->keys);
    return share < 1 ? share : 1;
}
