/* SPDX-License-Identifier: Apache-2.0 */
/* Sources with many destinations, found in a stream of pairs. */

#include <config.h>

#include "structures/measure-superspreader.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-top.h"
#include "structures/measure-table.h"

/* The compiler must make one body for each layout and kind. */
#define SPECIALISED static inline __attribute__((always_inline))

#define LINE_BITS (8 * MEASURE_LINE_SIZE)
#define FILTER_LINES (MEASURE_SUPERSPREADER_BITS / LINE_BITS)
#define FILTER_WORDS (MEASURE_SUPERSPREADER_BITS / 64)
#define BIT_INDEX_BITS 9

static_assert(FILTER_LINES == 2, "one bit of a fingerprint chooses the line");
static_assert(1 << BIT_INDEX_BITS == LINE_BITS
              && 1 + BIT_INDEX_BITS * MEASURE_SUPERSPREADER_HASHES <= 32,
              "a fingerprint has the bits for all hash functions");

/* In 'filter': the source has more destinations than its row can list, but
 * there was no filter left. */
#define NO_FILTER UINT32_MAX

/* min and max fail with probabilities of at most this together. */
#define FAILURE 1e-4

/* Of that, what tags and fingerprints may take: 20000 destinations with a
 * probability of 2^-32 each. */
#define FAILURE_TAGS 1e-5

/* What is left for min, and for max. */
#define FAILURE_SIDE ((FAILURE - FAILURE_TAGS) / 2)

/* Of a Bloom filter that takes more than so many new destinations for old
 * ones nothing can be said but how many it has counted. */
#define BLOOM_FULL .9

/* What a row knows of its filter, where the list was. */
struct filter_state {
    uint16_t bits[FILTER_LINES];    /* Set in each line. */
    float estimate;
    float variance;
};

struct row {
    uint32_t count;             /* 0 for an empty row.  See the header. */
    uint32_t filter;            /* Index + 1, 0 for none yet, NO_FILTER. */
    union {
        struct filter_state state;
        uint32_t listed[MEASURE_SUPERSPREADER_LISTED_NARROW];
        uint32_t listed_ipv6[MEASURE_SUPERSPREADER_LISTED_WIDE];
    };
};

struct row_ipv4 {
    uint64_t key[2];
    uint32_t counts[2];
    uint32_t listed[MEASURE_SUPERSPREADER_LISTED_NARROW];
};

struct row_ipv6 {
    uint64_t key[MEASURE_KEY_WORDS];
    uint32_t counts[2];
    uint32_t listed[MEASURE_SUPERSPREADER_LISTED_WIDE];
};

static_assert(sizeof(struct row_ipv4) == MEASURE_LINE_SIZE
              && sizeof(struct row_ipv6) == 2 * MEASURE_LINE_SIZE,
              "a row is one or two lines");
static_assert(offsetof(struct row_ipv4, counts) == 2 * 8
              && offsetof(struct row_ipv6, counts) == 8 * MEASURE_KEY_WORDS
              && offsetof(struct row_ipv4, listed) == 3 * 8
              && offsetof(struct row, listed) == 8,
              "a struct row follows the key");

static inline size_t
row_words(enum measure_layout layout)
{
    return (layout == MEASURE_NARROW
            ? sizeof(struct row_ipv4) / 8 : sizeof(struct row_ipv6) / 8);
}

static inline unsigned int
n_listed(enum measure_layout layout)
{
    return (layout == MEASURE_NARROW
            ? MEASURE_SUPERSPREADER_LISTED_NARROW
            : MEASURE_SUPERSPREADER_LISTED_WIDE);
}

static inline struct row *
row_of(uint64_t *key, enum measure_layout layout)
{
    return (struct row *) &key[measure_key_words(layout)];
}

/* Returns how many pairs are known at a time, a power of two. */
static uint32_t
n_known(const struct measure_superspreader_config *config)
{
    uint32_t n = MEASURE_LINE_SIZE / sizeof(uint32_t);

    while (n < config->max_sources && n < MEASURE_SUPERSPREADER_KNOWN) {
        n *= 2;
    }
    return n;
}

static size_t
rows_size(const struct measure_superspreader_config *config)
{
    /* Half load.  At least MEASURE_SUPERSPREADER_MAX_PROBES rows behind the
     * last home row save the wrap. */
    return ((2 * (size_t) config->max_sources
             + MEASURE_SUPERSPREADER_MAX_PROBES)
            * row_words(config->layout) * 8);
}

/* Returns the bytes that measure_superspreader_init() needs. */
size_t
measure_superspreader_size(const struct measure_superspreader_config *config)
{
    return (rows_size(config)
            + (size_t) config->max_filters * FILTER_WORDS * 8
            + n_known(config) * sizeof(uint32_t));
}

/* Makes 's' count nothing yet, in 'memory' of measure_superspreader_size()
 * bytes at a multiple of MEASURE_LINE_SIZE, which stays the caller's. */
void
measure_superspreader_init(struct measure_superspreader *s,
                           const struct measure_superspreader_config *config,
                           const struct measure_hash_secret *secret,
                           void *memory)
{
    assert((uintptr_t) memory % MEASURE_LINE_SIZE == 0);
    assert(config->max_sources > 0
           && config->max_sources <= UINT32_C(1) << 30);

    memset(s, 0, sizeof *s);
    s->config = *config;
    s->secret = secret;
    s->rows = memory;
    s->filters = s->rows + rows_size(config) / 8;
    s->known = (uint32_t *) (s->filters + ((size_t) config->max_filters
                                           * FILTER_WORDS));
    s->n_known = n_known(config);
    s->n_rows = 2 * config->max_sources;
    for (int i = 0; i < MEASURE_KEY_WORDS; i++) {
        s->pair_mask[i] = (config->source_mask[i]
                           | config->destination_mask[i]);
    }
    memset(memory, 0, measure_superspreader_size(config));
}

/* Forgets everything, at the cost of what was used of the memory. */
void
measure_superspreader_clear(struct measure_superspreader *s)
{
    if (s->n_sources) {
        memset(s->rows, 0, rows_size(&s->config));
        memset(s->filters, 0, (size_t) s->n_filters * FILTER_WORDS * 8);
        memset(s->known, 0, s->n_known * sizeof *s->known);
    }
    s->n_waiting = s->n_filtered = 0;
    s->n_sources = 0;
    s->n_filters = 0;
    s->packets = 0;
    s->refused_packets = 0;
    s->refused_destinations = 0;
}

/* The packet path. */

static inline uint64_t *
filter_line(const struct measure_superspreader *s, const struct row *row,
            uint32_t fingerprint)
{
    return &s->filters[(row->filter - 1) * (size_t) FILTER_WORDS
                       + (fingerprint & 1) * (LINE_BITS / 64)];
}

/* The share of the bits of a line that are set, to the power of the number of
 * hash functions: the probability that a new destination finds all of its
 * bits set. */
static inline float
all_bits_set(uint16_t n_bits)
{
    float share = n_bits * (1.0f / LINE_BITS);

    return share * share * share;
}

static inline float
bloom_misses(const struct filter_state *state)
{
    return (all_bits_set(state->bits[0]) + all_bits_set(state->bits[1])) / 2;
}

/* Sets the bits of 'fingerprint' in the filter of 'row'.  Returns the number
 * of them that were not set. */
SPECIALISED unsigned int
set_bits(const struct measure_superspreader *s, struct row *row,
         enum measure_superspreader_kind kind, uint32_t fingerprint)
{
    uint64_t *line = filter_line(s, row, fingerprint);
    uint32_t bits = fingerprint >> 1;
    unsigned int n_new = 0;

    for (int i = 0; i < (kind == MEASURE_SUPERSPREADER_BLOOM
                         ? MEASURE_SUPERSPREADER_HASHES : 1); i++) {
        uint64_t *word = &line[bits % LINE_BITS / 64];
        uint64_t bit = UINT64_C(1) << bits % 64;

        n_new += !(*word & bit);
        *word |= bit;
        bits >>= BIT_INDEX_BITS;
    }
    return n_new;
}

static inline bool
all_set(const struct measure_superspreader *s, const struct row *row,
        uint32_t fingerprint)
{
    const uint64_t *line = filter_line(s, row, fingerprint);
    uint32_t bits = fingerprint >> 1;
    uint64_t all = UINT64_MAX;

    for (int i = 0; i < MEASURE_SUPERSPREADER_HASHES; i++) {
        all &= line[bits % LINE_BITS / 64] >> bits % 64;
        bits >>= BIT_INDEX_BITS;
    }
    return all & 1;
}

SPECIALISED void
add_to_filter(const struct measure_superspreader *s, struct row *row,
              enum measure_superspreader_kind kind, uint32_t fingerprint)
{
    struct filter_state *state = &row->state;
    unsigned int n_new;

    if (kind == MEASURE_SUPERSPREADER_BLOOM) {
        float misses;

        if (all_set(s, row, fingerprint)) {
            return;
        }
        misses = bloom_misses(state);
        state->estimate += 1 / (1 - misses);
        state->variance += misses / ((1 - misses) * (1 - misses));
        row->count++;
    }
    n_new = set_bits(s, row, kind, fingerprint);
    state->bits[fingerprint & 1] += n_new;
    if (kind == MEASURE_SUPERSPREADER_BITMAP) {
        row->count += n_new;
    }
}

/* Gives 'row', whose list is full, a filter.  Returns false if there is
 * none. */
static bool
list_to_filter(struct measure_superspreader *s, enum measure_layout layout,
               enum measure_superspreader_kind kind, struct row *row)
{
    uint32_t listed[MEASURE_SUPERSPREADER_LISTED_WIDE];
    unsigned int n = n_listed(layout);

    if (s->n_filters >= s->config.max_filters) {
        row->filter = NO_FILTER;
        return false;
    }
    memcpy(listed, row->listed_ipv6, n * sizeof *listed);
    memset(&row->state, 0, sizeof row->state);
    row->filter = ++s->n_filters;
    for (unsigned int i = 0; i < n; i++) {
        row->state.bits[listed[i] & 1] += set_bits(s, row, kind, listed[i]);
    }
    if (kind == MEASURE_SUPERSPREADER_BITMAP) {
        row->count = row->state.bits[0] + row->state.bits[1];
    } else {
        row->state.estimate = n;
    }
    return true;
}

/* Four numbers of a list, as processors compare them at once. */
typedef uint32_t four __attribute__((vector_size(16), aligned(4), may_alias));
typedef uint64_t two __attribute__((vector_size(16)));

SPECIALISED bool
is_listed(const struct row *row, enum measure_layout layout,
          uint32_t fingerprint)
{
    four wanted = { fingerprint, fingerprint, fingerprint, fingerprint };
    four found = { 0, 0, 0, 0 };
    unsigned int last = n_listed(layout) - 4;

    /* All of the list, used or not: no branch to mispredict. */
    for (unsigned int i = 0; i < last; i += 4) {
        found |= (four) (*(const four *) &row->listed_ipv6[i] == wanted);
    }
    found |= (four) (*(const four *) &row->listed_ipv6[last] == wanted);
    return ((two) found)[0] | ((two) found)[1];
}

/* Adds a destination to a row without a filter whose list is full.  Returns
 * false if it finds no place. */
static bool __attribute__((noinline))
add_to_full_list(struct measure_superspreader *s, enum measure_layout layout,
                 enum measure_superspreader_kind kind, struct row *row,
                 uint32_t fingerprint)
{
    if (is_listed(row, layout, fingerprint)) {
        return true;
    }
    if (row->filter != NO_FILTER && list_to_filter(s, layout, kind, row)) {
        add_to_filter(s, row, kind, fingerprint);
        return true;
    }
    s->refused_destinations++;
    return false;
}

/* Returns the row of 'key', a new one if it has none yet, or NULL if it finds
 * no place. */
static uint64_t * __attribute__((noinline))
find_row(struct measure_superspreader *s, enum measure_layout layout,
         uint64_t *home, const uint64_t *key)
{
    for (unsigned int i = 0; i < MEASURE_SUPERSPREADER_MAX_PROBES; i++) {
        uint64_t *candidate = home + i * row_words(layout);

        if (measure_key_equal(candidate, key, layout)
            && row_of(candidate, layout)->count) {
            return candidate;
        }
        if (!row_of(candidate, layout)->count) {
            if (s->n_sources >= s->config.max_sources) {
                return NULL;
            }
            s->n_sources++;
            memcpy(candidate, key, measure_key_words(layout) * 8);
            return candidate;
        }
    }
    return NULL;
}

/* Returns 'hash' as 32 bits that are not 0, which is what an unused place
 * holds. */
static inline uint32_t
fingerprint_of(uint64_t hash)
{
    uint32_t fingerprint = hash;

    return fingerprint + !fingerprint;
}

SPECIALISED uint64_t
hash_masked(const struct measure_superspreader *s, unsigned int words,
            const uint64_t *key, const uint64_t *mask, uint64_t *masked)
{
    for (unsigned int i = 0; i < words; i++) {
        masked[i] = key[i] & mask[i];
    }
    return measure_hash(s->secret, masked, words);
}

/* Where the pair with 'hash' has its tag if it is known: (uint32_t) hash.  An
 * unused place has the tag 0, which is no more likely than any other. */
static inline uint32_t *
known(const struct measure_superspreader *s, uint64_t hash)
{
    return &s->known[(hash >> 32) & (s->n_known - 1)];
}

static_assert(MEASURE_SUPERSPREADER_BATCH <= 32, "a bit for each packet");

/* Returns a bit for each of the 'n' packets whose pair is not known to have
 * been counted.  Stores the hashes of all pairs. */
SPECIALISED uint32_t
find_unknown(const struct measure_superspreader *s, unsigned int words,
             const uint64_t *keys, size_t stride, size_t n, uint64_t *hashes)
{
    uint32_t unknown = 0;

#pragma GCC unroll 4
    for (size_t i = 0; i < n; i++) {
        uint64_t pair[MEASURE_KEY_WORDS];

        hashes[i] = hash_masked(s, words, &keys[i * stride], s->pair_mask,
                                pair);
        __builtin_prefetch(known(s, hashes[i]));
    }
    /* No branch: nobody could predict it. */
#pragma GCC unroll 32
    for (size_t i = 0; i < n; i++) {
        bool differs = *known(s, hashes[i]) != (uint32_t) hashes[i];

        unknown |= (uint32_t) differs << i;
    }
    return unknown;
}

/* The three steps of a packet whose pair is not known: its row is fetched;
 * when enough of them wait the row is found, and the line of its filter
 * fetched; and with the group after this one it is added to the filter. */

SPECIALISED void
fetch_rows(struct measure_superspreader *s, enum measure_layout layout,
           const uint64_t *keys, size_t stride, const uint64_t *hashes,
           uint32_t unknown)
{
    struct measure_superspreader_packet *packet = &s->waiting[s->n_waiting];
    unsigned int words = measure_key_words(layout);

    for (; unknown; unknown &= unknown - 1) {
        unsigned int i = __builtin_ctz(unknown);
        uint64_t hash = hash_masked(s, words, &keys[i * stride],
                                    s->config.source_mask, packet->source);

        packet->row = &s->rows[(((hash >> 32) * s->n_rows) >> 32)
                               * row_words(layout)];
        __builtin_prefetch(packet->row, 1);
        if (layout == MEASURE_WIDE) {
            __builtin_prefetch(packet->row + MEASURE_LINE_SIZE / 8, 1);
        }
        packet->hash = hashes[i];
        packet++;
    }
    s->n_waiting = packet - s->waiting;
}

SPECIALISED void
find_rows(struct measure_superspreader *s, enum measure_layout layout,
          enum measure_superspreader_kind kind)
{
    for (size_t i = 0; i < s->n_waiting; i++) {
        struct measure_superspreader_packet *packet = &s->waiting[i];
        uint32_t fingerprint = fingerprint_of(packet->hash);
        uint64_t *found = packet->row;
        struct row *row = row_of(found, layout);

        if (!measure_key_equal(found, packet->source, layout) | !row->count) {
            found = find_row(s, layout, found, packet->source);
            if (!found) {
                s->refused_packets++;
                continue;
            }
            row = row_of(found, layout);
        }
        if (row->filter && row->filter != NO_FILTER) {
            __builtin_prefetch(filter_line(s, row, fingerprint), 1);
            s->filtered[s->n_filtered].row = row;
            s->filtered[s->n_filtered++].fingerprint = fingerprint;
        } else if (row->count < n_listed(layout)) {
            /* No branch.  What was listed before is there twice, but the
             * second place does not count. */
            bool is_new = !is_listed(row, layout, fingerprint);

            row->listed_ipv6[row->count] = fingerprint;
            row->count += is_new;
        } else if (!add_to_full_list(s, layout, kind, row, fingerprint)) {
            continue;
        }
        *known(s, packet->hash) = packet->hash;
    }
    s->n_waiting = 0;
}

SPECIALISED void
fill_filters(struct measure_superspreader *s,
             enum measure_superspreader_kind kind)
{
    for (size_t i = 0; i < s->n_filtered; i++) {
        add_to_filter(s, s->filtered[i].row, kind,
                      s->filtered[i].fingerprint);
    }
    s->n_filtered = 0;
}

SPECIALISED void
add_batch(struct measure_superspreader *s, enum measure_layout layout,
          enum measure_superspreader_kind kind, const uint64_t *keys,
          size_t stride, size_t n)
{
    uint64_t hashes[MEASURE_SUPERSPREADER_BATCH];
    uint32_t unknown = find_unknown(s, measure_key_words(layout), keys,
                                    stride, n, hashes);

    if (s->n_waiting >= MEASURE_SUPERSPREADER_GROUP) {
        fill_filters(s, kind);
        find_rows(s, layout, kind);
    }
    fetch_rows(s, layout, keys, stride, hashes, unknown);
}

SPECIALISED void
add__(struct measure_superspreader *s, enum measure_layout layout,
      enum measure_superspreader_kind kind, const uint64_t *keys,
      size_t stride, size_t n)
{
    s->packets += n;
    for (; n >= MEASURE_SUPERSPREADER_BATCH;
         n -= MEASURE_SUPERSPREADER_BATCH) {
        add_batch(s, layout, kind, keys, stride, MEASURE_SUPERSPREADER_BATCH);
        keys += MEASURE_SUPERSPREADER_BATCH * stride;
    }
    if (n) {
        add_batch(s, layout, kind, keys, stride, n);
    }
}

/* Adds the 'n' packets whose flow keys begin at 'keys' and 'stride' words
 * apart.  Some of them wait until more are added, while their rows are
 * fetched. */
void
measure_superspreader_add(struct measure_superspreader *s,
                          const uint64_t *keys, size_t stride, size_t n)
{
    enum measure_superspreader_kind kind = s->config.kind;

    if (s->config.layout == MEASURE_NARROW) {
        if (kind == MEASURE_SUPERSPREADER_BLOOM) {
            add__(s, MEASURE_NARROW, MEASURE_SUPERSPREADER_BLOOM, keys, stride,
                  n);
        } else {
            add__(s, MEASURE_NARROW, MEASURE_SUPERSPREADER_BITMAP, keys,
                  stride, n);
        }
    } else {
        add__(s, MEASURE_WIDE, kind, keys, stride, n);
    }
}

/* Counts the packets that wait. */
void
measure_superspreader_finish(struct measure_superspreader *s)
{
    fill_filters(s, s->config.kind);
    find_rows(s, s->config.layout, s->config.kind);
    fill_filters(s, s->config.kind);
}

/* Outside the packet path. */

/* Returns the smallest x for which a martingale with jumps of at most 'jump'
 * and a variance of 'variance', plus 'slope' for each unit of x, exceeds x
 * with a probability of at most FAILURE_SIDE. */
static double
martingale_bound(double variance, double slope, double jump)
{
    double target = -log(FAILURE_SIDE);
    double low = 0, high = 1;

    for (int doubled = false; ; ) {
        double x = doubled ? (low + high) / 2 : high;
        double v = (variance + slope * x) / (jump * jump);
        double u = x / jump;
        double exponent = v > 0 ? (u + v) * log1p(u / v) - u : INFINITY;

        if (exponent < target) {
            low = x;
            high = doubled ? high : 2 * high;
        } else {
            high = x;
            doubled = true;
        }
        if (high > UINT32_MAX || (doubled && high - low < .01)) {
            return high;
        }
    }
}

static void
bloom_estimate(const struct row *row, struct measure_superspreader_row *out)
{
    const struct filter_state *state = &row->state;
    double misses = bloom_misses(state);

    out->destinations = state->estimate;
    out->min = row->count;
    if (misses > BLOOM_FULL) {
        out->max = UINT64_MAX;
        return;
    }
    out->max = out->destinations
               + martingale_bound(state->variance, misses / (1 - misses), 1);
    if (misses > 0) {
        double min = (out->destinations
                      - martingale_bound(state->variance, 0,
                                         misses / (1 - misses)));

        if (min > out->min) {
            out->min = min;
        }
    }
}

/* For each number of bits that are set in a bitmap, how many destinations it
 * can have been: less than 'min' would set as many or more, and more than
 * 'max' as many or fewer, with too small a probability. */
static uint32_t bitmap_min[MEASURE_SUPERSPREADER_BITS + 1];
static uint32_t bitmap_max[MEASURE_SUPERSPREADER_BITS + 1];
static pthread_once_t bitmap_once = PTHREAD_ONCE_INIT;

/* Goes through the numbers n of destinations and knows, for each, with what
 * probability it sets s bits: the next destination sets a new one with
 * probability (1 - s / m).  Both ends of what is likely only move up, so that
 * each s is passed once by either: 'max' of s is the last n for which s is not
 * below them, and 'min' the first for which it is not above. */
static void
compute_bitmap_bounds(void)
{
    const double nothing = 1e-30;
    const uint32_t m = MEASURE_SUPERSPREADER_BITS;
    double p[MEASURE_SUPERSPREADER_BITS + 2] = { 1 };
    uint32_t first = 0, last = 0;       /* What is not almost impossible. */
    uint32_t low = 0, high = 0;         /* What is not too unlikely. */

    for (uint32_t n = 1; low < m; n++) {
        double sum = 0;

        for (uint32_t s = last + 1; s > first; s--) {
            p[s] = p[s] * s / m + p[s - 1] * (m + 1 - s) / m;
        }
        p[first] = p[first] * first / m;
        while (p[first] < nothing) {
            p[first++] = 0;
        }
        last += last < m && p[last + 1] >= nothing;
        p[last + 1] = 0;

        for (uint32_t s = last; ; s--) {
            sum += p[s];
            if (sum > FAILURE_SIDE) {
                while (high < s) {
                    bitmap_min[++high] = n;
                }
                break;
            }
        }
        sum = 0;
        for (uint32_t s = first; ; s++) {
            sum += p[s];
            if (sum > FAILURE_SIDE) {
                while (low < s) {
                    bitmap_max[low++] = n - 1;
                }
                break;
            }
        }
    }
}

/* The row had to list more than it can before it got its bitmap. */
static void
bitmap_estimate(const struct row *row, enum measure_layout layout,
                struct measure_superspreader_row *out)
{
    double m = MEASURE_SUPERSPREADER_BITS;
    double zeros = MEASURE_SUPERSPREADER_BITS - row->count;
    uint64_t least = n_listed(layout) + 1;
    double n = m * log(m / (zeros > 1 ? zeros : 1));

    pthread_once(&bitmap_once, compute_bitmap_bounds);
    out->destinations = n > least ? n : least;
    out->min = measure_max(bitmap_min[row->count], least);
    out->max = zeros ? measure_max(bitmap_max[row->count], least) : UINT64_MAX;
}

static int
compare_rows(const void *a_, const void *b_)
{
    const struct measure_superspreader_row *a = a_;
    const struct measure_superspreader_row *b = b_;

    return (a->destinations > b->destinations ? -1
            : a->destinations < b->destinations ? 1
            : memcmp(a->source, b->source, sizeof a->source));
}

/* Puts those sources that may have more than 'threshold' destinations into
 * 'rows', those with the most first, at most 'max_rows' of them.  Returns how
 * many there are.  Equal ones are in the order of their keys' bytes. */
size_t
measure_superspreader_report(const struct measure_superspreader *s,
                             uint64_t threshold,
                             struct measure_superspreader_row *rows,
                             size_t max_rows)
{
    enum measure_layout layout = s->config.layout;
    size_t n_all = s->n_rows + MEASURE_SUPERSPREADER_MAX_PROBES;
    size_t n_found = 0, n = 0;

    for (size_t i = 0; i < n_all; i++) {
        uint64_t *key = &s->rows[i * row_words(layout)];
        const struct row *row = row_of(key, layout);
        struct measure_superspreader_row out;

        if (!row->count) {
            continue;
        }
        if (!row->filter || row->filter == NO_FILTER) {
            out.destinations = row->count;
            out.min = row->count;
            out.max = row->filter ? UINT64_MAX : row->count;
        } else if (s->config.kind == MEASURE_SUPERSPREADER_BLOOM) {
            bloom_estimate(row, &out);
        } else {
            bitmap_estimate(row, layout, &out);
        }
        if (out.max <= threshold) {
            continue;
        }
        memset(out.source, 0, sizeof out.source);
        memcpy(out.source, key, measure_key_words(layout) * 8);
        n_found++;
        measure_top_add(rows, &n, max_rows, sizeof *rows, &out, compare_rows);
    }
    if (n) {
        qsort(rows, n, sizeof *rows, compare_rows);
    }
    return n_found;
}
