/* SPDX-License-Identifier: Apache-2.0 */
/* SpaceSaving: the largest keys of a stream. */

#ifdef STRUCTURE
STRUCTURE(SPACE_SAVING, space_saving)
#elif !defined MEASURE_SPACE_SAVING_H
#define MEASURE_SPACE_SAVING_H 1

#include "structures/measure-structure-class.h"

/* SpaceSaving
 * ===========
 *
 * 'n_entries' entries, each with a key and its estimate.  A key without an
 * entry takes over the entry with the fewest packets, whose count it inherits
 * as its error.  Metwally, Agrawal, El Abbadi, "Efficient Computation of
 * Frequent and Top-k Elements in Data Streams", ICDT 2005.
 *
 * The smallest entry is the root of a binary min-heap; an index, a linear
 * table of 32 bits of the hash and the number of the entry, finds an entry by
 * its key, and is mended behind a removed one, so that no traces of removed
 * keys pile up.
 *
 * Memory: 64 bytes for an IPv4 entry, 96 for an IPv6 entry, and for each entry
 * 16 bytes of heap and 16 of index.
 *
 * Error: an estimate of packets is never too low, and too high by at most its
 * 'packets_error', which is never more than N / n_entries for N packets.  A
 * key with more packets than that has an entry.  A key without one has at most
 * 'evicted_packets'.
 *
 * Bytes are counted along, for the order is that of packets.  The estimate of
 * the bytes is never too low either: what a key without an entry may have is
 * at most 'evicted_bytes', and that is what a new key begins with.
 *
 * Of several summaries the estimates of a key are added up, with
 * 'evicted_packets' of one where it has no entry.  The bound of the sum is the
 * sum of their N / n_entries.
 *
 * Thread safety: one thread writes; 'n_used' and 'n_refused' may be read by
 * any thread at any time, the rest when that has let go.
 * measure_space_saving_prefetch(), _add() and _end_burst() belong to the
 * packet path: they do not allocate, lock, wait, log or clear.  Steps: those
 * of the heap, log2(n_entries), of the index, at most
 * MEASURE_SPACE_SAVING_MAX_PROBES, and as many slots behind a removed one.
 * Where the used slots behind it are more, which has a probability of about
 * 2^-35 in an index that is half used, one slot is left in use by no key. */

#define MEASURE_SPACE_SAVING_MAX_PROBES 128
#define MEASURE_SPACE_SAVING_MAX_ENTRIES (UINT32_C(1) << 30)

struct measure_space_saving_params {
    enum measure_layout layout;
    uint32_t n_entries;         /* At least 1. */
    const struct measure_hash_secret *secret;
};

struct measure_space_saving_entry {
    struct measure_estimate estimate;
    uint64_t hash;
    uint32_t heap;              /* Its place in the heap. */
    uint32_t reserved;
    uint64_t key[];             /* measure_key_words() words. */
};

struct measure_space_saving {
    struct measure_space_saving_entry *entries;
    struct measure_space_saving_heap {
        uint64_t packets;
        uint32_t entry;
        uint32_t reserved;
    } *heap;
    struct measure_space_saving_slot {
        uint32_t hash;
        uint32_t entry;         /* Its number + 1, or 0 for none. */
    } *index;
    uint32_t n_entries;
    uint32_t n_used;            /* Atomic. */
    uint32_t n_slots;
    enum measure_layout layout;
    const struct measure_hash_secret *secret;
    uint64_t evicted_packets;   /* A key without entry has no more... */
    uint64_t evicted_bytes;     /* ...than these. */
    uint64_t n_refused;         /* Packets refused.  Atomic. */
};

/* The packet path. */

static inline uint32_t
measure_space_saving_home(const struct measure_space_saving *summary,
                          uint32_t hash)
{
    return ((uint64_t) hash * summary->n_slots) >> 32;
}

static inline void
measure_space_saving_prefetch(const struct measure_space_saving *summary,
                              enum measure_layout layout, uint64_t hash)
{
    (void) layout;
    __builtin_prefetch(&summary->index[measure_space_saving_home(summary,
                                                                 hash >> 32)],
                       1);
}

/* Adds 'packets' (at least 1) and 'bytes' to 'key', whose hash is 'hash'.
 * Returns false, with nothing but 'n_refused' changed, if the index has no
 * place for the key within MEASURE_SPACE_SAVING_MAX_PROBES slots. */
bool measure_space_saving_add(struct measure_space_saving *,
                              const uint64_t *key, uint64_t hash,
                              uint64_t packets, uint64_t bytes);

/* Nothing depends on bursts. */
static inline void
measure_space_saving_end_burst(struct measure_space_saving *summary,
                               uint64_t packets, uint64_t bytes)
{
    (void) summary;
    (void) packets;
    (void) bytes;
}

/* Outside the packet path. */

size_t measure_space_saving_size(const struct measure_space_saving_params *);
void measure_space_saving_init(struct measure_space_saving *,
                               const struct measure_space_saving_params *,
                               void *memory);
uint32_t measure_space_saving_n_used(const struct measure_space_saving *);
uint64_t
measure_space_saving_n_refused(const struct measure_space_saving *);
const struct measure_space_saving_entry *
measure_space_saving_entry(const struct measure_space_saving *, uint32_t i);
bool measure_space_saving_estimate(const struct measure_space_saving *,
                                   const uint64_t *key, uint64_t hash,
                                   struct measure_estimate *);

extern const struct measure_structure_class measure_space_saving_class;

#endif /* measure-space-saving.h */
