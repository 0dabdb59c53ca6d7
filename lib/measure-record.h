/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#ifndef MEASURE_RECORD_H
#define MEASURE_RECORD_H 1

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Packet records and flow keys
 * ============================
 *
 * A packet record is what the packet path knows of one packet: the verdict of
 * the parser, the flow key, and the length of the frame.  It is filled by
 * measure-parse.h, and counted by measure-epoch.h.
 *
 * A flow key is an array of 64-bit words, 2 for IPv4 and 5 for IPv6:
 *
 *     IPv4   word 0  source address (low half), destination address
 *            word 1  source port, destination port, protocol
 *
 *     IPv6   words 0 and 1  source address
 *            words 2 and 3  destination address
 *            word 4         source port, destination port, protocol
 *
 * Addresses are kept in network byte order as they are in the packet; ports
 * and the protocol are in host byte order, at the bits that
 * measure_ports_word() gives them.  The 24 bits above the protocol are zero.
 *
 * A key that is less than a flow (a pair of addresses, a source, a
 * destination) has the same layout with the other fields zero, which is what
 * masking it with struct measure_mask makes of it.
 *
 * Thread safety: plain data, no shared state. */

#define MEASURE_KEY_WORDS 5     /* Words of the longest key. */

enum measure_family {
    MEASURE_IPV4,
    MEASURE_IPV6,
    MEASURE_N_FAMILIES
};

static inline unsigned int
measure_key_words(enum measure_family family)
{
    return family == MEASURE_IPV4 ? 2 : 5;
}

/* What became of a packet.  Each packet has exactly one verdict.  The first
 * MEASURE_N_FAMILIES are the families of the packets that count. */
enum measure_verdict {
    MEASURE_COUNT_IPV4 = MEASURE_IPV4,
    MEASURE_COUNT_IPV6 = MEASURE_IPV6,
    MEASURE_NOT_IP,             /* Neither IPv4 nor IPv6. */
    MEASURE_MALFORMED,          /* An IP header that cannot be right. */
    MEASURE_N_VERDICTS
};

struct measure_record {
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t hash;              /* Set by measure_set_count(). */
    uint32_t bytes;             /* Length of the frame without its FCS. */
    uint8_t verdict;            /* enum measure_verdict. */
};

static_assert(sizeof(struct measure_record) <= 64,
              "a packet record fits a cache line");

/* The fields by which packets are grouped, from the finest. */
enum measure_by {
    MEASURE_BY_FLOW,
    MEASURE_BY_PAIR,
    MEASURE_BY_SOURCE,
    MEASURE_BY_DESTINATION,
    MEASURE_N_BY
};

struct measure_mask {
    uint64_t words[MEASURE_N_FAMILIES][MEASURE_KEY_WORDS];
};

/* A key taken apart, for people. */
struct measure_fields {
    enum measure_family family;
    uint8_t source[16];         /* First 4 bytes only for IPv4. */
    uint8_t destination[16];    /* Likewise. */
    uint16_t source_port;
    uint16_t destination_port;
    uint8_t protocol;
};

static inline uint64_t
measure_ports_word(uint16_t source_port, uint16_t destination_port,
                   uint8_t protocol)
{
    return (source_port
            | (uint64_t) destination_port << 16
            | (uint64_t) protocol << 32);
}

extern const struct measure_mask measure_masks[MEASURE_N_BY];

const char *measure_by_name(enum measure_by);
bool measure_by_from_name(const char *name, enum measure_by *);
bool measure_by_derives(enum measure_by from, enum measure_by by);

static inline bool
measure_by_has_source(enum measure_by by)
{
    return by != MEASURE_BY_DESTINATION;
}

static inline bool
measure_by_has_destination(enum measure_by by)
{
    return by != MEASURE_BY_SOURCE;
}

void measure_fields_from_key(struct measure_fields *, enum measure_family,
                             const uint64_t *key);
void measure_key_from_fields(uint64_t *key, const struct measure_fields *);
int measure_fields_compare(const struct measure_fields *,
                           const struct measure_fields *);

#endif /* measure-record.h */
