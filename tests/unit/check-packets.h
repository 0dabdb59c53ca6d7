/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers and packets, for test programs with and without libcheck. */

#ifndef CHECK_PACKETS_H
#define CHECK_PACKETS_H 1

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "key/measure-record.h"

#define ARRAY_SIZE(ARRAY) (sizeof ARRAY / sizeof ARRAY[0])
#define UNUSED __attribute__((unused))

/* Random numbers, by xorshift64*.  Not the generator that the library expands
 * its secret with: the tests must not be in step with it. */

struct random {
    uint64_t state;
};

static UNUSED struct random
random_from(uint64_t seed)
{
    struct random r = { seed ^ UINT64_C(0x5851f42d4c957f2d) };

    r.state = r.state ? r.state : 1;
    for (int i = 0; i < 20; i++) {
        r.state ^= r.state >> 12;
        r.state ^= r.state << 25;
        r.state ^= r.state >> 27;
    }
    return r;
}

static UNUSED uint64_t
random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * UINT64_C(0x2545f4914f6cdd1d);
}

/* A number from 0 to 'n' - 1, for an 'n' below 2**32. */
static UNUSED uint32_t
random_below(struct random *r, uint32_t n)
{
    return ((random_next(r) >> 32) * n) >> 32;
}

static UNUSED void
random_fill(struct random *r, void *p, size_t size)
{
    uint8_t *bytes = p;

    for (size_t i = 0; i < size; i++) {
        bytes[i] = random_next(r) >> 56;
    }
}

/* Keys. */

static UNUSED void
put_be32(uint8_t *p, uint32_t value)
{
    p[0] = value >> 24;
    p[1] = value >> 16;
    p[2] = value >> 8;
    p[3] = value;
}

/* The family of packets, not out of a tunnel, whose key is in 'layout'. */
static UNUSED enum measure_family
family_of(enum measure_layout layout)
{
    return layout == MEASURE_WIDE ? MEASURE_IPV6 : MEASURE_IPV4;
}

/* The 'i'th flow whose key is in 'layout', not out of a tunnel: neighbours in
 * 'i' share addresses, as they do in traffic, so that groups of all kinds have
 * several members. */
static UNUSED struct measure_fields
make_fields(enum measure_layout layout, uint32_t i)
{
    struct measure_fields fields;

    memset(&fields, 0, sizeof fields);
    fields.family = family_of(layout);
    if (layout == MEASURE_WIDE) {
        put_be32(fields.source, 0x20010db8);
        put_be32(fields.destination, 0x20010db8);
        put_be32(fields.source + 12, i / 8);
        put_be32(fields.destination + 4, 0x10000 + i / 4 % 64);
        put_be32(fields.destination + 12, i / 4 % 64);
    } else {
        put_be32(fields.source, 0x0a000000 + i / 8);
        put_be32(fields.destination, 0xc0a80000 + i / 4 % 64);
    }
    fields.protocol = i % 2 ? 6 : 17;
    fields.source_port = 1024 + i % 4;
    fields.destination_port = i % 2 ? 443 : 53;
    return fields;
}

static UNUSED struct measure_fields
random_fields(struct random *r)
{
    struct measure_fields fields;
    size_t size;

    memset(&fields, 0, sizeof fields);
    fields.family = random_below(r, MEASURE_N_FAMILIES);
    size = fields.family == MEASURE_IPV4 ? 4 : 16;
    random_fill(r, fields.source, size);
    random_fill(r, fields.destination, size);
    fields.source_port = random_next(r) >> 48;
    fields.destination_port = random_next(r) >> 48;
    fields.protocol = random_next(r) >> 56;
    fields.vlan = random_next(r) >> 52;
    fields.port = random_next(r) >> 52;
    fields.tunnelled = fields.family == MEASURE_IPV6 && !random_below(r, 4);
    fields.tunnel = fields.tunnelled ? random_next(r) >> 32 : 0;
    return fields;
}

static UNUSED struct measure_record
make_record(const struct measure_fields *fields, uint32_t bytes)
{
    struct measure_record record;

    memset(&record, 0, sizeof record);
    record.verdict = measure_key_from_fields(record.key, fields);
    record.bytes = bytes;
    return record;
}

/* Leaves the first 'bits' of 'address', and zeros. */
static UNUSED void
keep_bits(uint8_t address[16], unsigned int bits)
{
    for (unsigned int i = bits; i < 128; i++) {
        address[i / 8] &= ~(0x80 >> i % 8);
    }
}

/* The order of addresses: of two that begin with the same four bytes, the one
 * of IPv4 comes first. */
static UNUSED int
compare_addresses(const uint8_t *a, bool a_ipv6, const uint8_t *b, bool b_ipv6)
{
    int result = memcmp(a, b, a_ipv6 && b_ipv6 ? 16 : 4);

    return result ? result : a_ipv6 - b_ipv6;
}

/* Leaves in 'fields' what keys of kind 'key_kind' consist of. */
static UNUSED void
keep_fields(struct measure_fields *fields, enum measure_key_kind key_kind)
{
    if (key_kind == MEASURE_KIND_SOURCE) {
        memset(fields->destination, 0, sizeof fields->destination);
    } else if (key_kind == MEASURE_KIND_DESTINATION) {
        memset(fields->source, 0, sizeof fields->source);
    }
    if (key_kind != MEASURE_KIND_FLOW) {
        fields->source_port = fields->destination_port = 0;
        fields->protocol = 0;
        fields->vlan = 0;
        fields->tunnelled = false;
        fields->tunnel = 0;
    }
    fields->port = 0;
}

static UNUSED bool
fields_equal(const struct measure_fields *a, const struct measure_fields *b)
{
    return (a->family == b->family
            && !memcmp(a->source, b->source, sizeof a->source)
            && !memcmp(a->destination, b->destination,
                       sizeof a->destination)
            && a->source_port == b->source_port
            && a->destination_port == b->destination_port
            && a->protocol == b->protocol
            && a->vlan == b->vlan
            && a->port == b->port
            && a->tunnelled == b->tunnelled
            && a->tunnel == b->tunnel);
}

#endif /* check-packets.h */
