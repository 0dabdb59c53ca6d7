/* SPDX-License-Identifier: Apache-2.0 */
/* Random records of packets, in slots. */

#ifndef CHECK_SLOTS_H
#define CHECK_SLOTS_H 1

#include "check-packets.h"

#include "stream/measure-slot.h"

/* Writes a random record of a packet, narrow or wide, with or without headers,
 * to 'slots' that have room for MEASURE_SLOT_MAX.  Returns how many it has. */
static UNUSED unsigned int
random_packet(struct random *r, struct measure_slot *slots)
{
    enum measure_layout layout = random_below(r, 2);
    uint64_t key[MEASURE_KEY_WORDS];
    uint8_t frame[MEASURE_SLOT_HEADERS];
    uint32_t length = 1 + random_below(r, 1514);
    unsigned int n;

    random_fill(r, key, sizeof key);
    n = measure_slot_write(slots, layout, key, random_next(r) >> 3, length,
                           random_next(r) >> 57 << 57);
    if (!random_below(r, 3)) {
        random_fill(r, frame, sizeof frame);
        n = measure_slot_write_headers(slots, n, frame, length);
    }
    return n;
}

#endif /* check-slots.h */
