/* SPDX-License-Identifier: Apache-2.0 */
/* Packet records and flow keys. */

#include <config.h>

#include "key/measure-record.h"

#include <string.h>

#define ALL UINT64_MAX
#define LOW UINT64_C(0x00000000ffffffff)    /* First address of word 0. */
#define HIGH UINT64_C(0xffffffff00000000)   /* Second address of word 0. */

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SOURCE4 LOW
#define DESTINATION4 HIGH
#else
#define SOURCE4 HIGH
#define DESTINATION4 LOW
#endif

#define ANY_PORT ((UINT64_C(1) << MEASURE_PORT_SHIFT) - 1)
#define IPV4 MEASURE_KEY_IPV4

#define PAIR {{ { ALL, 0 }, { ALL, ALL, ALL, ALL, 0, IPV4 } }}
#define SOURCE {{ { SOURCE4, 0 }, { ALL, ALL, 0, 0, 0, IPV4 } }}
#define DESTINATION {{ { DESTINATION4, 0 }, { 0, 0, ALL, ALL, 0, IPV4 } }}

const struct measure_mask measure_masks[MEASURE_N_KINDS] = {
    [MEASURE_KIND_FLOW] = {{ { ALL, ANY_PORT },
                           { ALL, ALL, ALL, ALL, ANY_PORT, ALL } }},
    [MEASURE_KIND_PAIR] = PAIR,
    [MEASURE_KIND_SOURCE] = SOURCE,
    [MEASURE_KIND_DESTINATION] = DESTINATION,
};

const struct measure_mask measure_count_masks[MEASURE_N_KINDS] = {
    [MEASURE_KIND_FLOW] = {{ { ALL, ALL },
                           { ALL, ALL, ALL, ALL, ALL, ALL } }},
    [MEASURE_KIND_PAIR] = PAIR,
    [MEASURE_KIND_SOURCE] = SOURCE,
    [MEASURE_KIND_DESTINATION] = DESTINATION,
};

static const char *const names[MEASURE_N_KINDS] = {
    [MEASURE_KIND_FLOW] = "flow",
    [MEASURE_KIND_PAIR] = "pair",
    [MEASURE_KIND_SOURCE] = "source",
    [MEASURE_KIND_DESTINATION] = "destination",
};

const char *
measure_kind_name(enum measure_key_kind key_kind)
{
    return names[key_kind];
}

/* Sets '*key_kind' to what 'name' names.  Returns false, and leaves
 * '*key_kind' alone, if it names nothing. */
bool
measure_kind_from_name(const char *name, enum measure_key_kind *key_kind)
{
    for (int i = 0; i < MEASURE_N_KINDS; i++) {
        if (!strcmp(name, names[i])) {
            *key_kind = i;
            return true;
        }
    }
    return false;
}

/* Returns true if keys of kind 'key_kind' can be made from keys of kind 'from'
 * by leaving out fields. */
bool
measure_kind_derives(enum measure_key_kind from,
                     enum measure_key_kind key_kind)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        for (int i = 0; i < MEASURE_KEY_WORDS; i++) {
            if (measure_masks[key_kind].words[layout][i]
                & ~measure_count_masks[from].words[layout][i]) {
                return false;
            }
        }
    }
    return true;
}

/* Makes in 'wide', which may be 'narrow' with room for it, the wide key that
 * stands for the narrow one. */
void
measure_key_widen(const uint64_t *narrow, uint64_t *wide)
{
    uint64_t addresses = narrow[0], ports = narrow[1];

    memset(wide, 0, MEASURE_KEY_WORDS * sizeof *wide);
    memcpy((uint8_t *) wide + 12, &addresses, 4);
    memcpy((uint8_t *) wide + 28, (const uint8_t *) &addresses + 4, 4);
    wide[4] = ports;
    wide[5] = MEASURE_KEY_IPV4;
}

/* Says that the packet of 'record' came out of the tunnel with id 'tunnel'. */
void
measure_record_set_tunnel(struct measure_record *record, uint32_t tunnel)
{
    uint64_t *key = record->key;

    if (record->verdict == MEASURE_COUNT_NARROW) {
        measure_key_widen(key, key);
        record->verdict = MEASURE_COUNT_WIDE;
    }
    if (record->verdict == MEASURE_COUNT_WIDE) {
        key[5] |= MEASURE_KEY_TUNNELLED | tunnel;
    }
}

void
measure_fields_from_key(struct measure_fields *fields,
                        enum measure_layout layout, const uint64_t *key)
{
    uint64_t ports = key[measure_key_ports(layout)];
    uint64_t tunnel = layout == MEASURE_NARROW ? 0 : key[5];
    const uint8_t *bytes = (const uint8_t *) key;

    memset(fields, 0, sizeof *fields);
    if (layout == MEASURE_NARROW) {
        memcpy(fields->source, bytes, 4);
        memcpy(fields->destination, bytes + 4, 4);
    } else if (tunnel & MEASURE_KEY_IPV4) {
        memcpy(fields->source, bytes + 12, 4);
        memcpy(fields->destination, bytes + 28, 4);
    } else {
        memcpy(fields->source, bytes, 16);
        memcpy(fields->destination, bytes + 16, 16);
        fields->family = MEASURE_IPV6;
    }
    fields->source_port = ports;
    fields->destination_port = ports >> 16;
    fields->protocol = ports >> 32;
    fields->vlan = ports >> MEASURE_VLAN_SHIFT & 0xfff;
    fields->port = ports >> MEASURE_PORT_SHIFT;
    fields->tunnelled = (tunnel & MEASURE_KEY_TUNNELLED) != 0;
    fields->tunnel = tunnel;
}

/* Fills 'key', which must have room for MEASURE_KEY_WORDS words, and returns
 * its layout. */
enum measure_layout
measure_key_from_fields(uint64_t *key, const struct measure_fields *fields)
{
    bool ipv4 = fields->family == MEASURE_IPV4;
    enum measure_layout layout = ipv4 ? MEASURE_NARROW : MEASURE_WIDE;
    struct measure_record record = { .verdict = layout };
    size_t size = ipv4 ? 4 : 16;

    memcpy(record.key, fields->source, size);
    memcpy((uint8_t *) record.key + size, fields->destination, size);
    record.key[measure_key_ports(layout)]
        = (measure_ports_word(fields->source_port, fields->destination_port,
                              fields->protocol)
           | (uint64_t) fields->vlan << MEASURE_VLAN_SHIFT
           | (uint64_t) fields->port << MEASURE_PORT_SHIFT);
    if (fields->tunnelled) {
        measure_record_set_tunnel(&record, fields->tunnel);
    }
    memcpy(key, record.key, sizeof record.key);
    return record.verdict;
}

/* Bytes first, and where these are equal the shorter address. */
static int
address_compare(const uint8_t *a, enum measure_family a_family,
                const uint8_t *b, enum measure_family b_family)
{
    bool short_prefix = a_family == MEASURE_IPV4 || b_family == MEASURE_IPV4;
    int result = memcmp(a, b, short_prefix ? 4 : 16);

    return result ? result : (int) a_family - (int) b_family;
}

/* A total order of keys, for rows that tie: by source, destination, protocol,
 * ports, VLAN, tunnel, and port of the switch.  (A key without addresses that
 * has a tunnel is wide, and comes behind those that have none.) */
int
measure_fields_compare(const struct measure_fields *a,
                       const struct measure_fields *b)
{
    int result = address_compare(a->source, a->family, b->source, b->family);

    if (!result) {
        result = address_compare(a->destination, a->family,
                                 b->destination, b->family);
    }
    if (!result) {
        result = (int) a->protocol - (int) b->protocol;
    }
    if (!result) {
        result = (int) a->source_port - (int) b->source_port;
    }
    if (!result) {
        result = (int) a->destination_port - (int) b->destination_port;
    }
    if (!result) {
        result = (int) a->vlan - (int) b->vlan;
    }
    if (!result) {
        result = (int) a->tunnelled - (int) b->tunnelled;
    }
    if (!result) {
        result = (a->tunnel > b->tunnel) - (a->tunnel < b->tunnel);
    }
    if (!result) {
        result = (int) a->port - (int) b->port;
    }
    return result;
}
