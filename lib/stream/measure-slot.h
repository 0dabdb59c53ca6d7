/* SPDX-License-Identifier: Apache-2.0 */
/* Records of packets, as they stand in the slots of a ring. */

#ifndef MEASURE_SLOT_H
#define MEASURE_SLOT_H 1

#include <assert.h>

#include "base/measure-base.h"
#include "key/measure-record.h"

/* Records in slots
 * ================
 *
 * A ring (measure-ring.h) has slots of 32 bytes.  A record of a packet takes
 * one, or two if its key is wide, and three more if the first bytes of the
 * frame follow it.  Its slots are neighbours: none is left at the end of the
 * ring while another one is at its beginning.
 *
 *                  narrow, first of wide       second of wide
 *     word 0       key word 0                  key word 2
 *     word 1       key word 1                  key word 3
 *     word 2       time, and what it is        key word 4
 *     word 3       TCP, length                 key word 5
 *
 * Of word 2, the two highest bits say what the slot is, the third says that
 * MEASURE_SLOT_HEADERS bytes of the frame follow (less if the frame is
 * shorter), and the rest is the time, in nanoseconds since 1970 in UTC, which
 * fits until 2043.
 *
 * Word 3 has, from its low end, the sequence number of TCP (32 bits), the
 * flags of TCP (8), the length of the frame without its FCS (17), and how many
 * bytes of the frame are not payload of TCP, less 13 (7; 0 if that is more
 * than 140, or not known).  Except for the length it is 0 if there is no TCP
 * header, as in later fragments, or if the end of it is not in the frame.
 *
 * A mark takes two slots.  It tells what had become of the packets of a thread
 * when an epoch began (struct measure_mark).  What fills the end of a ring,
 * because a record does not fit, is a slot of its own kind.
 *
 * All words are in the byte order of the host.
 *
 * Memory: 32 bytes a slot.  Times of records of one ring do not fall, except
 * in captures and when the clock is set back.
 *
 * Thread safety: pure functions.  Those that write belong to the packet path:
 * they do not allocate, lock, wait or log. */

#define MEASURE_SLOT_WORDS 4
#define MEASURE_SLOT_HEADERS 96         /* Bytes of a frame, at most. */
#define MEASURE_SLOT_MAX 5              /* Slots of the longest record. */

struct measure_slot {
    uint64_t words[MEASURE_SLOT_WORDS];
};

static_assert(sizeof(struct measure_slot) == 32, "two slots are a cache line");
static_assert(MEASURE_SLOT_HEADERS % sizeof(struct measure_slot) == 0,
              "headers fill slots");

enum measure_slot_kind {
    MEASURE_SLOT_NARROW,        /* A packet, with one slot for its key... */
    MEASURE_SLOT_WIDE,          /* ...or with two. */
    MEASURE_SLOT_MARK,
    MEASURE_SLOT_FILL           /* Nothing: the next record is in the next
                                 * slot. */
};

static_assert((int) MEASURE_SLOT_NARROW == (int) MEASURE_NARROW
              && (int) MEASURE_SLOT_WIDE == (int) MEASURE_WIDE,
              "the kind of a packet is the layout of its key");

#define MEASURE_SLOT_KIND_SHIFT 62
#define MEASURE_SLOT_HAS_HEADERS (UINT64_C(1) << 61)
#define MEASURE_SLOT_TIME_MASK (MEASURE_SLOT_HAS_HEADERS - 1)

#define MEASURE_SLOT_FLAGS_SHIFT 32
#define MEASURE_SLOT_LENGTH_SHIFT 40
#define MEASURE_SLOT_LENGTH_MASK UINT64_C(0x1ffff)
#define MEASURE_SLOT_OTHER_SHIFT 57
#define MEASURE_SLOT_OTHER_MAX 127
#define MEASURE_SLOT_OTHER_BASE 13

/* What a record says of TCP: word 3 without the length.  0 for none. */
static inline uint64_t
measure_slot_tcp(uint32_t sequence, uint8_t flags, uint32_t not_payload)
{
    uint64_t other = not_payload - MEASURE_SLOT_OTHER_BASE;

    if (other > MEASURE_SLOT_OTHER_MAX) {
        other = 0;
    }
    return (sequence | (uint64_t) flags << MEASURE_SLOT_FLAGS_SHIFT
            | other << MEASURE_SLOT_OTHER_SHIFT);
}

/* The same of the TCP header at 'offset' of a frame of 'length' bytes, of
 * which the last 'padding' are behind the IP packet, MEASURE_MAX_PADDING or
 * more for not known.  Its first 20 bytes must be in the frame.  Returns 0 if
 * the end of the header is not in the IP packet, as far as is known. */
static inline uint64_t
measure_slot_tcp_header(const void *frame, uint32_t offset, uint32_t length,
                        uint32_t padding)
{
    const uint8_t *tcp = (const uint8_t *) frame + offset;
    uint32_t header_end = offset + (tcp[12] >> 4) * 4;
    uint32_t sequence;

    if (tcp[12] >> 4 < 5 || header_end + padding > length) {
        return 0;
    }
    memcpy(&sequence, tcp + 4, sizeof sequence);
    return measure_slot_tcp(ntohl(sequence), tcp[13],
                            (padding < MEASURE_MAX_PADDING
                             ? header_end + padding : 0));
}

/* Slots that a record takes with a key of 'layout'. */
static inline unsigned int
measure_slot_count(enum measure_layout layout, bool headers)
{
    return ((layout == MEASURE_NARROW ? 1 : 2)
            + (headers
               ? MEASURE_SLOT_HEADERS / sizeof(struct measure_slot) : 0));
}

/* Writes a record of a packet of 'length' bytes that came at 'time_ns' to
 * 'slots', without headers.  'tcp' is what measure_slot_tcp() returned.
 * Returns how many slots it has written. */
static inline unsigned int
measure_slot_write(struct measure_slot *slots, enum measure_layout layout,
                   const uint64_t *key, uint64_t time_ns, uint32_t length,
                   uint64_t tcp)
{
    slots->words[0] = key[0];
    slots->words[1] = key[1];
    slots->words[2] = ((time_ns & MEASURE_SLOT_TIME_MASK)
                       | (uint64_t) layout << MEASURE_SLOT_KIND_SHIFT);
    slots->words[3] = (tcp | (length & MEASURE_SLOT_LENGTH_MASK)
                             << MEASURE_SLOT_LENGTH_SHIFT);
    if (layout == MEASURE_NARROW) {
        return 1;
    }
    memcpy(slots[1].words, key + 2, sizeof slots[1].words);
    return 2;
}

/* Lets the first bytes of 'frame' follow a record of 'n' slots in 'slots'.
 * Returns how many slots it has with them.  What is behind the end of a frame
 * of less than MEASURE_SLOT_HEADERS bytes is zero. */
static inline unsigned int
measure_slot_write_headers(struct measure_slot *slots, unsigned int n,
                           const void *frame, size_t length)
{
    uint8_t *headers = (uint8_t *) &slots[n];

    slots->words[2] |= MEASURE_SLOT_HAS_HEADERS;
    if (length >= MEASURE_SLOT_HEADERS) {
        memcpy(headers, frame, MEASURE_SLOT_HEADERS);
    } else {
        memset(headers, 0, MEASURE_SLOT_HEADERS);
        memcpy(headers, frame, length);
    }
    return n + MEASURE_SLOT_HEADERS / sizeof *slots;
}

/* Reading. */

static inline enum measure_slot_kind
measure_slot_kind(const struct measure_slot *slot)
{
    return slot->words[2] >> MEASURE_SLOT_KIND_SHIFT;
}

/* Slots of the record, mark or filling that begins with 'slot'. */
static inline unsigned int
measure_slot_size(const struct measure_slot *slot)
{
    switch (measure_slot_kind(slot)) {
    case MEASURE_SLOT_NARROW:
    case MEASURE_SLOT_WIDE:
        return measure_slot_count((enum measure_layout)
                                  measure_slot_kind(slot),
                                  slot->words[2] & MEASURE_SLOT_HAS_HEADERS);
    case MEASURE_SLOT_MARK:
        return 2;
    case MEASURE_SLOT_FILL:
    default:
        return 1;
    }
}

static inline uint64_t
measure_slot_time_ns(const struct measure_slot *slot)
{
    return slot->words[2] & MEASURE_SLOT_TIME_MASK;
}

static inline enum measure_layout
measure_slot_layout(const struct measure_slot *slot)
{
    return (enum measure_layout) measure_slot_kind(slot);
}

/* Copies the key of a packet to 'key', which must have room for
 * MEASURE_KEY_WORDS words, and returns its layout. */
static inline enum measure_layout
measure_slot_key(const struct measure_slot *slot, uint64_t *key)
{
    key[0] = slot->words[0];
    key[1] = slot->words[1];
    if (measure_slot_layout(slot) == MEASURE_NARROW) {
        return MEASURE_NARROW;
    }
    memcpy(key + 2, slot[1].words, sizeof slot[1].words);
    return MEASURE_WIDE;
}

/* The word of the key with ports, protocol, VLAN and port of the switch. */
static inline uint64_t
measure_slot_ports(const struct measure_slot *slot)
{
    return (measure_slot_layout(slot) == MEASURE_NARROW
            ? slot->words[1] : slot[1].words[2]);
}

static inline uint8_t
measure_slot_protocol(const struct measure_slot *slot)
{
    return measure_slot_ports(slot) >> 32;
}

static inline uint32_t
measure_slot_length(const struct measure_slot *slot)
{
    return (slot->words[3] >> MEASURE_SLOT_LENGTH_SHIFT
            & MEASURE_SLOT_LENGTH_MASK);
}

static inline uint32_t
measure_slot_sequence(const struct measure_slot *slot)
{
    return slot->words[3];
}

static inline uint8_t
measure_slot_tcp_flags(const struct measure_slot *slot)
{
    return slot->words[3] >> MEASURE_SLOT_FLAGS_SHIFT;
}

/* Bytes of payload of TCP, or -1 if that is not known. */
static inline int
measure_slot_payload(const struct measure_slot *slot)
{
    unsigned int other = slot->words[3] >> MEASURE_SLOT_OTHER_SHIFT;
    uint32_t length = measure_slot_length(slot);

    return (!other || other + MEASURE_SLOT_OTHER_BASE > length
            ? -1 : (int) (length - other - MEASURE_SLOT_OTHER_BASE));
}

/* The first bytes of the frame, or NULL.  Sets '*n' to how many. */
static inline const void *
measure_slot_headers(const struct measure_slot *slot, size_t *n)
{
    if (!(slot->words[2] & MEASURE_SLOT_HAS_HEADERS)) {
        *n = 0;
        return NULL;
    }
    *n = measure_min(measure_slot_length(slot), MEASURE_SLOT_HEADERS);
    return &slot[measure_slot_count(measure_slot_layout(slot), false)];
}

/* Marks. */

/* What became of the packets that a thread counted for a monitor, since the
 * ring began.  A mark stands behind the last record of 'epoch', and tells all
 * of it and of the epochs before:
 *
 *     offered = records + filtered + dropped
 *
 * so that the difference of two marks is exact for the epochs between them,
 * also if there were marks that found no room ('marks_lost'). */
struct measure_mark {
    uint64_t epoch;             /* That has ended. */
    uint64_t time_ns;           /* When the thread wrote the mark. */
    uint64_t offered;           /* Packets counted in tables. */
    uint64_t filtered;          /* Of those, not let in by the filter. */
    uint64_t dropped;           /* For which there was no room. */
    uint64_t records;
    uint64_t marks_lost;
    bool end;                   /* Nothing follows: the thread has ended, or
                                 * the ring. */
};

#define MEASURE_MARK_SLOTS 2
#define MEASURE_MARK_END 1

static inline void
measure_slot_write_mark(struct measure_slot *slots,
                        const struct measure_mark *mark)
{
    slots[0].words[0] = mark->epoch;
    slots[0].words[1] = mark->offered;
    slots[0].words[2] = ((mark->time_ns & MEASURE_SLOT_TIME_MASK)
                         | ((uint64_t) MEASURE_SLOT_MARK
                            << MEASURE_SLOT_KIND_SHIFT));
    slots[0].words[3] = mark->filtered;
    slots[1].words[0] = mark->dropped;
    slots[1].words[1] = mark->records;
    slots[1].words[2] = mark->marks_lost;
    slots[1].words[3] = mark->end ? MEASURE_MARK_END : 0;
}

static inline void
measure_slot_mark(const struct measure_slot *slots, struct measure_mark *mark)
{
    mark->epoch = slots[0].words[0];
    mark->offered = slots[0].words[1];
    mark->time_ns = measure_slot_time_ns(&slots[0]);
    mark->filtered = slots[0].words[3];
    mark->dropped = slots[1].words[0];
    mark->records = slots[1].words[1];
    mark->marks_lost = slots[1].words[2];
    mark->end = slots[1].words[3] & MEASURE_MARK_END;
}

static inline void
measure_slot_write_fill(struct measure_slot *slot)
{
    slot->words[2] = (uint64_t) MEASURE_SLOT_FILL << MEASURE_SLOT_KIND_SHIFT;
}

#endif /* measure-slot.h */
