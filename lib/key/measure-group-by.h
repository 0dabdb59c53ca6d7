/* SPDX-License-Identifier: Apache-2.0 */
/* The fields that rows are grouped by. */

#ifndef MEASURE_GROUP_BY_H
#define MEASURE_GROUP_BY_H 1

#include <string.h>

#include "key/measure-record.h"

/* By what rows are grouped
 * ========================
 *
 * A question groups the rows of a report by a set of fields, chosen when it
 * is asked.  The text of a group, as in "by=source/24", is one of
 *
 *     flow, pair, source, destination, source-port, destination-port,
 *     protocol, port, vlan, tunnel
 *
 * or several of these joined by "+", where "port" is the port of the switch
 * that the packet came in by.  A flow is all but that port.
 *
 * "source/N" and "destination/N" keep the first N bits of the address, from 1
 * to 128.  The length is taken literally for both families: by=source/24 makes
 * 10.1.2.0/24 of an IPv4 address and the 24 bits 2001:d00::/24 of one of IPv6.
 * From 32 on an IPv4 address is kept whole, so that N above 32 applies to IPv6
 * only.
 *
 * The key of a group.  Packets of IPv4 are counted in either layout of
 * measure-record.h, depending on whether they came out of a tunnel.
 * measure_group_by_key() makes one key of all that belongs together:
 *
 *     without addresses        narrow unless it has a tunnel: rows of
 *                              IPv4 and of IPv6 are added up
 *     an IPv4 address          narrow unless it has a tunnel
 *     all else                 wide
 *
 * Thread safety: plain data, no shared state. */

enum measure_field {
    MEASURE_FIELD_SOURCE = 1 << 0,
    MEASURE_FIELD_DESTINATION = 1 << 1,
    MEASURE_FIELD_PROTOCOL = 1 << 2,
    MEASURE_FIELD_SOURCE_PORT = 1 << 3,
    MEASURE_FIELD_DESTINATION_PORT = 1 << 4,
    MEASURE_FIELD_VLAN = 1 << 5,
    MEASURE_FIELD_TUNNEL = 1 << 6,
    MEASURE_FIELD_PORT = 1 << 7,
};

#define MEASURE_FIELDS_PAIR (MEASURE_FIELD_SOURCE | MEASURE_FIELD_DESTINATION)
#define MEASURE_FIELDS_FLOW (MEASURE_FIELDS_PAIR | MEASURE_FIELD_PROTOCOL \
                             | MEASURE_FIELD_SOURCE_PORT                  \
                             | MEASURE_FIELD_DESTINATION_PORT             \
                             | MEASURE_FIELD_VLAN | MEASURE_FIELD_TUNNEL)

/* Made by measure_group_by_init(), measure_group_by_of_kind() or
 * measure_group_by_parse(). */
struct measure_group_by {
    unsigned int fields;            /* OR of MEASURE_FIELD_*. */
    unsigned int source_prefix;     /* Bits, 128 for the whole address. */
    unsigned int destination_prefix;

    uint64_t narrow[MEASURE_KEY_WORDS]; /* Mask for narrow keys... */
    uint64_t wide4[MEASURE_KEY_WORDS];  /* ...for wide ones of IPv4... */
    uint64_t wide6[MEASURE_KEY_WORDS];  /* ...and for those of IPv6. */
};

/* What by= takes, for error messages. */
#define MEASURE_GROUP_BY_VALID                                              \
    "flow, pair, source, destination, source/N, destination/N (first N "    \
    "bits, 1 to 128), source-port, destination-port, protocol, port, "      \
    "vlan, tunnel, or several of these joined by +"

#define MEASURE_GROUP_BY_NAME_SIZE 128

void measure_group_by_init(struct measure_group_by *, unsigned int fields,
                           unsigned int source_prefix,
                           unsigned int destination_prefix);
void measure_group_by_of_kind(struct measure_group_by *,
                              enum measure_key_kind);
bool measure_group_by_parse(const char *, struct measure_group_by *);
void measure_group_by_name(const struct measure_group_by *,
                           char name[MEASURE_GROUP_BY_NAME_SIZE]);

bool measure_group_by_is_kind(const struct measure_group_by *,
                              enum measure_key_kind);
bool measure_group_by_derives(enum measure_key_kind from,
                              const struct measure_group_by *);

void measure_prefix_mask(unsigned int bits, size_t n_bytes, uint8_t *mask);

/* Makes in 'group_key', which must have room for MEASURE_KEY_WORDS words, the
 * key of the group of 'key'.  Returns its layout.  What is behind the words
 * of that layout is undefined. */
static inline enum measure_layout
measure_group_by_key(const struct measure_group_by *group_by,
                     enum measure_layout layout, const uint64_t *key,
                     uint64_t *group_key)
{
    const uint64_t *mask;

    if (layout == MEASURE_NARROW) {
        group_key[0] = key[0] & group_by->narrow[0];
        group_key[1] = key[1] & group_by->narrow[1];
        return MEASURE_NARROW;
    }
    mask = key[5] & MEASURE_KEY_IPV4 ? group_by->wide4 : group_by->wide6;
    for (unsigned int i = 0; i < MEASURE_KEY_WORDS; i++) {
        group_key[i] = key[i] & mask[i];
    }
    if (!(group_key[5] & MEASURE_KEY_TUNNELLED)
        && (group_key[5] & MEASURE_KEY_IPV4
            || !(group_by->fields & MEASURE_FIELDS_PAIR))) {
        uint64_t addresses;

        /* The last four bytes of either address. */
        memcpy(&addresses, (const uint8_t *) group_key + 12, 4);
        memcpy((uint8_t *) &addresses + 4,
               (const uint8_t *) group_key + 28, 4);
        group_key[0] = addresses;
        group_key[1] = group_key[4];
        return MEASURE_NARROW;
    }
    return MEASURE_WIDE;
}

#endif /* measure-group-by.h */
