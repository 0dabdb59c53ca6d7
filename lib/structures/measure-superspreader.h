/* SPDX-License-Identifier: Apache-2.0 */
/* Sources with many destinations, found in a stream of pairs. */

#ifndef MEASURE_SUPERSPREADER_H
#define MEASURE_SUPERSPREADER_H 1

#include "base/measure-hash.h"
#include "key/measure-record.h"

/* Superspreaders from a stream
 * ============================
 *
 * Counts for each source to how many distinct destinations it sends, in a
 * fixed memory for each source, as packets pass.  What a source and what a
 * destination is, two masks say: fields of the flow key.  With the two masks
 * exchanged the answer is which destinations have many sources.
 *
 * Source: Alipourfard, Moshref, Zhou, Yang, Yu, "A Comparison of Performance
 * and Accuracy of Measurement Algorithms in Software", SOSR 2018, section 4.2:
 * a linear hash table of sources, and for each of them a Bloom filter of 1024
 * bits with 3 hash functions that says whether a destination is new, and a
 * counter of the new ones.  The other kind has one hash function, a bitmap
 * that counts by its share of zeros: Whang, Vander-Zanden, Taylor, "A
 * Linear-Time Probabilistic Counting Algorithm for Database Applications",
 * TODS 1990.
 *
 * Differences from the paper.  The row of a source is one cache line, and most
 * sources never need more: the row itself lists its first destinations, by
 * 32-bit fingerprints (MEASURE_SUPERSPREADER_LISTED_NARROW or _WIDE of them).
 * A source with more gets a filter from a pool.  A filter is two lines; a
 * destination has all of its bits in one, so that a packet touches two lines
 * at most, both prefetched.  And most packets touch neither: a second packet
 * of a source to a destination changes nothing, and a table of tags, of the
 * pairs that have been counted last, says so.  It fits a second-level cache.
 * What is left waits until there is a group of it, so that the processor has
 * long loops to run, and the lines the time to come.
 *
 * One hash, of the pair, gives its tag and the fingerprint of its destination:
 * within a row, different pairs are different destinations.
 *
 * Memory: of s sources, 128 bytes each for IPv4 (a line at half load) and 256
 * for IPv6, 128 bytes for each of the filters in the pool, and 4 bytes for
 * each source, but no more than 512 KiB, for the tags (rounded up to a power
 * of two).
 *
 * Error.  A packet of a new pair is taken for one of a pair that has been
 * counted with probability 2^-32, by its tag.  While destinations are listed
 * the count is exact, but for two of equal fingerprint, of probability
 * n * n / 2^33.  With a filter:
 *
 *     Bloom  A destination that is new is taken for an old one with a
 *            probability q that is known from the bits set, (bits / 512)^3 in
 *            its line.  The counter is thus never too high.  Counting
 *            1 / (1 - q) for each new destination makes the estimate without
 *            bias, with a variance of the sum of q / (1 - q)^2: Ting,
 *            "Streamed Approximate Counting of Distinct Elements", KDD 2014.
 *            'max' is by Freedman's inequality for martingales ("On Tail
 *            Probabilities for Martingales", 1975).
 *
 *     bitmap Of m = 1024 bits, z are 0: the estimate is m * ln(m / z), its
 *            standard error sqrt(m * (e^t - t - 1)), t = n / m.  'min' and
 *            'max' are by the exact probabilities of how many bits n
 *            destinations set: the error is far from normal where there are
 *            few collisions, or few zeros.  They are Clopper's and Pearson's
 *            ("The Use of Confidence or Fiducial Limits Illustrated in the
 *            Case of the Binomial", Biometrika 26, 1934) for that
 *            distribution.
 *
 * Each row of the report has 'min' and 'max', one of which is wrong with a
 * probability of at most 10^-4: for any source and any number of its
 * destinations, over the secret of the hash, tags and fingerprints that are
 * the same by chance included.  A source is reported if its 'max' is above
 * the threshold: recall is 1 except with that probability, at the cost of
 * precision just below the threshold.
 *
 * Nothing is lost silently: packets of sources that found no row, and
 * destinations that found no filter, are counted.
 *
 * The first report of a bitmap computes the bounds of all of them, 8 KiB, in
 * some milliseconds.
 *
 * Thread safety: one thread writes.  measure_superspreader_add() and
 * _finish(), which must come before a report, belong to the packet path: they
 * do not allocate, lock, wait, log or clear, and the number of their steps is
 * bounded.  All else belongs to one thread, when that has let go. */

#define MEASURE_SUPERSPREADER_THRESHOLD 128 /* Of the paper. */
#define MEASURE_SUPERSPREADER_BITS 1024     /* Of a filter. */
#define MEASURE_SUPERSPREADER_HASHES 3      /* Of a Bloom filter. */
#define MEASURE_SUPERSPREADER_KNOWN (1u << 17)   /* Pairs known, at most. */
#define MEASURE_SUPERSPREADER_MAX_PROBES 64 /* Rows looked at for a packet. */

/* Destinations that a row lists. */
#define MEASURE_SUPERSPREADER_LISTED_NARROW 10
#define MEASURE_SUPERSPREADER_LISTED_WIDE 18

enum measure_superspreader_kind {
    MEASURE_SUPERSPREADER_BLOOM,
    MEASURE_SUPERSPREADER_BITMAP,
    MEASURE_N_SPREADER_KINDS
};

struct measure_superspreader_config {
    enum measure_superspreader_kind kind;
    enum measure_layout layout;
    uint32_t max_sources;
    uint32_t max_filters;       /* At most 'max_sources' are of use. */
    uint64_t source_mask[MEASURE_KEY_WORDS];
    uint64_t destination_mask[MEASURE_KEY_WORDS];
};

#define MEASURE_SUPERSPREADER_BATCH 32
#define MEASURE_SUPERSPREADER_GROUP 32      /* Wait until rows are read. */
#define MEASURE_SUPERSPREADER_WAITING (MEASURE_SUPERSPREADER_GROUP - 1    \
                                       + MEASURE_SUPERSPREADER_BATCH)

/* A packet that waits for what was fetched for it. */
struct measure_superspreader_packet {
    uint64_t source[MEASURE_KEY_WORDS];
    uint64_t *row;              /* The first that may be its own. */
    uint64_t hash;              /* Of its pair. */
};

struct measure_superspreader_filtered {
    void *row;
    uint32_t fingerprint;
};

struct measure_superspreader {
    struct measure_superspreader_config config;
    const struct measure_hash_secret *secret;
    uint64_t *rows;
    uint64_t *filters;
    uint32_t *known;            /* Tags of pairs that have been counted. */
    uint32_t n_known;
    uint64_t pair_mask[MEASURE_KEY_WORDS];
    uint32_t n_rows;            /* Of the table, used or not. */
    uint32_t n_sources;         /* Rows used. */
    uint32_t n_filters;         /* Filters used. */
    uint64_t packets;           /* All that were added. */
    uint64_t refused_packets;   /* Of sources without a row. */
    uint64_t refused_destinations; /* Packets to new ones, without filter. */
    uint32_t n_waiting;
    uint32_t n_filtered;
    struct measure_superspreader_packet waiting[MEASURE_SUPERSPREADER_WAITING];
    struct measure_superspreader_filtered
        filtered[MEASURE_SUPERSPREADER_WAITING];
};

struct measure_superspreader_row {
    uint64_t source[MEASURE_KEY_WORDS];
    double destinations;        /* The estimate. */
    uint64_t min;
    uint64_t max;               /* UINT64_MAX if the filter is full. */
};

/* The packet path. */

void measure_superspreader_add(struct measure_superspreader *,
                               const uint64_t *keys, size_t stride, size_t n);
void measure_superspreader_finish(struct measure_superspreader *);

/* Outside the packet path. */

size_t measure_superspreader_size(const struct measure_superspreader_config *);
void measure_superspreader_init(struct measure_superspreader *,
                                const struct measure_superspreader_config *,
                                const struct measure_hash_secret *,
                                void *memory);
void measure_superspreader_clear(struct measure_superspreader *);
size_t measure_superspreader_report(const struct measure_superspreader *,
                                    uint64_t threshold,
                                    struct measure_superspreader_row *rows,
                                    size_t max_rows);

#endif /* measure-superspreader.h */
