/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the structures share. */

#ifndef CHECK_STRUCTURES_H
#define CHECK_STRUCTURES_H 1

#include "check-common.h"
#include "check-secret.h"

#include "structures/measure-table.h"

/* What the tests of the structures share
 * ======================================
 *
 * Traffic is a number of keys, each with what it adds up to: the oracle is an
 * array, for the number of a key is in the key.  traffic_send() draws packets
 * and hands them to the structure in bursts of all sizes. */

#define MAX_BURST 32

/* How keys are made from their number. */
enum key_kind {
    KEYS_PLAIN,                 /* Neighbours differ in few bits. */
    KEYS_COLLIDING,             /* All with the same CRC32C. */
    N_KEY_KINDS
};

#define CRC32C_POLYNOMIAL 0x82f63b78

static uint32_t
crc32c_step(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (int i = 0; i < 8; i++) {
        crc = crc & 1 ? crc >> 1 ^ CRC32C_POLYNOMIAL : crc >> 1;
    }
    return crc;
}

static UNUSED uint32_t
crc32c(uint32_t crc, const uint64_t *words, size_t n_words)
{
    const uint8_t *p = (const uint8_t *) words;

    for (size_t i = 0; i < n_words * sizeof *words; i++) {
        crc = crc32c_step(crc, p[i]);
    }
    return crc;
}

/* Returns the four bytes after which a CRC that was 'crc' is 'target'. */
static uint32_t
crc32c_aim(uint32_t crc, uint32_t target)
{
    for (int i = 0; i < 32; i++) {
        target = (target & 0x80000000
                  ? (target ^ CRC32C_POLYNOMIAL) << 1 | 1
                  : target << 1);
    }
    return crc ^ target;
}

/* Key 'i', whose number is in the low half of word 1. */
static UNUSED void
make_key(enum measure_layout layout, enum key_kind kind, uint32_t i,
         uint64_t key[MEASURE_KEY_WORDS])
{
    memset(key, 0, MEASURE_KEY_WORDS * sizeof *key);
    key[0] = 0x0a000001 + ((uint64_t) i / 16 << 32);
    key[1] = i;
    if (layout == MEASURE_WIDE) {
        key[3] = i % 16;
        key[4] = 6;
    }
    if (kind == KEYS_COLLIDING) {
        unsigned int last = measure_key_words(layout) - 1;
        uint32_t crc = crc32c(0, key, last);

        crc = crc32c_step(crc, key[last]);
        crc = crc32c_step(crc, key[last] >> 8);
        crc = crc32c_step(crc, key[last] >> 16);
        crc = crc32c_step(crc, key[last] >> 24);
        key[last] = (uint32_t) key[last]
                    | (uint64_t) crc32c_aim(crc, 0x12345678) << 32;
    }
}

struct traffic {
    enum measure_layout layout;
    enum key_kind kind;
    uint32_t n_keys;
    uint64_t packets;           /* In all... */
    uint64_t bytes;
    uint64_t *key_packets;      /* ...and of each key. */
    uint64_t *key_bytes;
    bool *seen;                 /* For the user. */
};

static UNUSED struct traffic
traffic_open(enum measure_layout layout, enum key_kind kind, uint32_t n_keys)
{
    return (struct traffic) {
        .layout = layout,
        .kind = kind,
        .n_keys = n_keys,
        .key_packets = calloc(n_keys, sizeof(uint64_t)),
        .key_bytes = calloc(n_keys, sizeof(uint64_t)),
        .seen = calloc(n_keys, sizeof(bool)),
    };
}

static UNUSED void
traffic_close(struct traffic *t)
{
    free(t->key_packets);
    free(t->key_bytes);
    free(t->seen);
}

typedef void add_burst_func(void *structure, struct measure_record *records,
                            size_t n);

/* Sends 'n_packets' whose keys are drawn from 'stream_kind'. */
static UNUSED void
traffic_send(struct traffic *t, enum stream_kind stream_kind,
             uint32_t n_packets, uint64_t seed, add_burst_func *add_burst,
             void *structure)
{
    struct stream stream = stream_open(stream_kind, t->n_keys, seed);
    struct random r = random_from(seed + 1);

    while (n_packets) {
        struct measure_record records[MAX_BURST];
        uint32_t n = 1 + random_below(&r, MAX_BURST);

        n = n < n_packets ? n : n_packets;
        n_packets -= n;
        memset(records, 0, sizeof records);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t number = stream_next(&stream);

            make_key(t->layout, t->kind, number, records[i].key);
            records[i].verdict = t->layout;
            records[i].bytes = 60 + random_below(&r, 1459);
            t->key_packets[number]++;
            t->key_bytes[number] += records[i].bytes;
            t->packets++;
            t->bytes += records[i].bytes;
        }
        add_burst(structure, records, n);
    }
    stream_close(&stream);
}

/* Returns the number of 'key', which must be one of the traffic and not have
 * been asked for since traffic_forget(). */
static UNUSED uint32_t
traffic_number(struct traffic *t, const uint64_t *key)
{
    uint32_t number = key[1];
    uint64_t expected[MEASURE_KEY_WORDS];

    REQUIRE(number < t->n_keys);
    make_key(t->layout, t->kind, number, expected);
    REQUIRE(!memcmp(key, expected, measure_key_words(t->layout) * 8));
    REQUIRE(!t->seen[number]);
    t->seen[number] = true;
    return number;
}

static UNUSED void
traffic_forget(struct traffic *t)
{
    memset(t->seen, 0, t->n_keys * sizeof *t->seen);
}

static UNUSED uint32_t
traffic_n_present(const struct traffic *t)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < t->n_keys; i++) {
        n += t->key_packets[i] != 0;
    }
    return n;
}

static UNUSED uint64_t
traffic_hash(const struct traffic *t, uint32_t number,
             uint64_t key[MEASURE_KEY_WORDS])
{
    make_key(t->layout, t->kind, number, key);
    return measure_hash(&secret, key, measure_key_words(t->layout));
}

static UNUSED void *
get_memory(size_t size)
{
    void *memory = measure_memory_alloc(&budget, size, MEASURE_ANY_NODE);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

static UNUSED void
put_memory(void *memory, size_t size)
{
    measure_memory_free(&budget, memory, size);
}

/* Checks that 'got' is from 'min' to 'max', and prints it. */
static UNUSED void
require_between(const char *what, double min, double got, double max)
{
    printf("%s [%.6g <= %.6g <= %.6g]\n", what, min, got, max);
    fflush(stdout);
    ck_assert_msg(got >= min && got <= max,
                  "%s: %.6g is not from %.6g to %.6g", what, got, min, max);
}

/* Loops over layouts, kinds of streams and kinds of keys. */
#define N_TRAFFIC (MEASURE_N_LAYOUTS * N_STREAM_KINDS * N_KEY_KINDS)
#define LOOP_LAYOUT(I) ((enum measure_layout) ((I) % MEASURE_N_LAYOUTS))
#define LOOP_STREAM(I) ((enum stream_kind) ((I) / MEASURE_N_LAYOUTS     \
                                            % N_STREAM_KINDS))
#define LOOP_KEYS(I) ((enum key_kind) ((I) / MEASURE_N_LAYOUTS          \
                                       / N_STREAM_KINDS))

#endif /* check-structures.h */
