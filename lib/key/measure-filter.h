/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that a question is about: where=. */

#ifndef MEASURE_FILTER_H
#define MEASURE_FILTER_H 1

#include "key/measure-record.h"
#include "key/measure-switch-port.h"

/* Which rows a question is about
 * ==============================
 *
 * The text of a filter, as in "where=source=10.0.0.0/8,protocol=tcp", is one
 * or more conditions joined by commas, all of which must hold:
 *
 *     source=PREFIX         an address, or ADDRESS/BITS
 *     destination=PREFIX
 *     protocol=P            tcp, udp, icmp, icmp6, sctp or a number
 *     source-port=N
 *     destination-port=N
 *     port=NAME             the port of the switch; a backslash stands before
 *                           each comma and backslash of the name
 *     vlan=N                0 for packets without a tag
 *     tunnel=ID             of packets that came out of a tunnel
 *
 * All of them together are one mask and one value for each layout of a key:
 * to match costs the same whatever the number of conditions.  Conditions that
 * contradict each other match nothing.
 *
 * The list of prefixes of measure-superspreader-exclude has the same words:
 * prefixes joined by commas.
 *
 * Thread safety: plain data, no shared state. */

struct measure_filter {
    unsigned int fields;        /* OR of MEASURE_FIELD_*: what it looks at. */
    bool never[MEASURE_N_FAMILIES]; /* No packet of this family matches. */
    bool need_tunnel;

    /* For narrow keys, and for wide ones by the family of the packet. */
    uint64_t narrow_mask[2], narrow_value[2];
    uint64_t mask[MEASURE_N_FAMILIES][MEASURE_KEY_WORDS];
    uint64_t value[MEASURE_N_FAMILIES][MEASURE_KEY_WORDS];
};

#define MEASURE_FILTER_VALID                                                \
    "source=PREFIX, destination=PREFIX, protocol=tcp, udp, icmp, icmp6, "   \
    "sctp or 0 to 255, source-port=0 to 65535, destination-port=0 to "      \
    "65535, port=NAME, vlan=0 to 4095, tunnel=0 to 4294967295, joined by "  \
    "commas"

void measure_filter_init(struct measure_filter *);
char *measure_filter_parse(const char *, const struct measure_port_names *,
                           struct measure_filter *);
char *measure_filter_parse_early(const char *,
                                 const struct measure_port_names *,
                                 struct measure_filter *, char **missing);
bool measure_filter_derives(enum measure_key_kind from,
                            const struct measure_filter *);

static inline bool
measure_filter_matches(const struct measure_filter *filter,
                       enum measure_layout layout, const uint64_t *key)
{
    enum measure_family family;
    uint64_t difference;

    if (layout == MEASURE_NARROW) {
        difference = (((key[0] & filter->narrow_mask[0])
                       ^ filter->narrow_value[0])
                      | ((key[1] & filter->narrow_mask[1])
                         ^ filter->narrow_value[1]));
        return (!difference && !filter->never[MEASURE_IPV4]
                && !filter->need_tunnel);
    }
    family = key[5] & MEASURE_KEY_IPV4 ? MEASURE_IPV4 : MEASURE_IPV6;
    difference = 0;
    for (unsigned int i = 0; i < MEASURE_KEY_WORDS; i++) {
        difference |= ((key[i] & filter->mask[family][i])
                       ^ filter->value[family][i]);
    }
    return !difference && !filter->never[family];
}

/* Prefixes. */

struct measure_prefix {
    enum measure_family family;
    unsigned int bits;
    uint8_t address[16];        /* First 4 bytes only for IPv4. */
    uint8_t mask[16];           /* Likewise. */
};

#define MEASURE_MAX_PREFIXES 64

struct measure_prefixes {
    size_t n;
    struct measure_prefix prefixes[MEASURE_MAX_PREFIXES];
};

bool measure_prefix_parse(const char *, struct measure_prefix *);
bool measure_prefixes_parse(const char *, struct measure_prefixes *);
bool measure_prefixes_match(const struct measure_prefixes *,
                            enum measure_family, const uint8_t *address);

#endif /* measure-filter.h */
