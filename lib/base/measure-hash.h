/* SPDX-License-Identifier: Apache-2.0 */
/* The keyed hash of flow keys. */

#ifndef MEASURE_HASH_H
#define MEASURE_HASH_H 1

#include <stdint.h>

/* Keyed hash of flow keys
 * =======================
 *
 * Each pair of key words is mixed with two secret words and folded by a
 * 64x64->128 bit multiplication, the "multiply and fold" step of wyhash and
 * of absl's hash.  A second fold spreads the result over all 64 bits, so that
 * any of them can be used as an index.
 *
 * The secret is drawn when the process starts.  Without it nobody can aim
 * packets at one row of a table, as they could with CRC32C, which is linear:
 * there, keys that collide under one seed collide under every seed.
 * This is no cryptographic hash; it resists senders that cannot watch the
 * cache of the machine.
 *
 * Thread safety: pure functions; any thread may draw a secret. */

#ifndef __SIZEOF_INT128__
#error "ovs-measure needs a 64-bit processor"
#endif

struct measure_hash_secret {
    uint64_t words[8];
};

/* Expands 'seed' into a secret, with the SplitMix64 generator. */
static inline void
measure_hash_secret_init(struct measure_hash_secret *secret, uint64_t seed)
{
    for (int i = 0; i < 8; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        secret->words[i] = z ^ (z >> 31);
    }
}

void measure_hash_secret_draw(struct measure_hash_secret *);

/* Multiplies 'a' and 'b' and folds the two halves of the product. */
static inline uint64_t
measure_hash_fold_generic(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = a;

    product *= b;
    return (uint64_t) product ^ (uint64_t) (product >> 64);
}

static inline uint64_t
measure_hash_fold(uint64_t a, uint64_t b)
{
#if defined(__x86_64__) && defined(__GNUC__)
    /* gcc takes a product of 128 bits through memory, which costs more than
     * the multiplication. */
    uint64_t low, high;

    __asm__ ("mulq %3" : "=a" (low), "=d" (high)
             : "%0" (a), "rm" (b) : "cc");
    return low ^ high;
#else
    return measure_hash_fold_generic(a, b);
#endif
}

/* Hashes the 'n_words' words of 'key', 2 or 6.  Callers pass a constant, so
 * that the compiler keeps one of the two bodies. */
static inline uint64_t
measure_hash(const struct measure_hash_secret *secret, const uint64_t *key,
             unsigned int n_words)
{
    const uint64_t *s = secret->words;
    uint64_t hash = measure_hash_fold(key[0] ^ s[0], key[1] ^ s[1]);

    if (n_words == 6) {
        hash ^= measure_hash_fold(key[2] ^ s[2], key[3] ^ s[3]);
        hash ^= measure_hash_fold(key[4] ^ s[4], key[5] ^ s[5]);
    }
    return measure_hash_fold(hash ^ s[6], s[7] | 1);
}

#endif /* measure-hash.h */
