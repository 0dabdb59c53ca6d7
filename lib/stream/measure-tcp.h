/* SPDX-License-Identifier: Apache-2.0 */
/* What the flags of TCP say of a packet. */

#ifndef MEASURE_TCP_H
#define MEASURE_TCP_H 1

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* Flags of TCP
 * ============
 *
 * For stages that follow connections: records have the flags of their packets
 * (measure_slot_tcp_flags()), as RFC 9293 numbers them.
 *
 * Thread safety: no state. */

enum {
    MEASURE_TCP_FIN = 0x01,
    MEASURE_TCP_SYN = 0x02,
    MEASURE_TCP_RST = 0x04,
    MEASURE_TCP_ACK = 0x10
};

/* Does a packet with these flags ask for a connection, or grant it? */
static inline bool
measure_tcp_is_syn(uint8_t flags)
{
    return ((flags & (MEASURE_TCP_SYN | MEASURE_TCP_ACK | MEASURE_TCP_RST
                      | MEASURE_TCP_FIN)) == MEASURE_TCP_SYN);
}

static inline bool
measure_tcp_is_syn_ack(uint8_t flags)
{
    return ((flags & (MEASURE_TCP_SYN | MEASURE_TCP_ACK | MEASURE_TCP_RST
                      | MEASURE_TCP_FIN))
            == (MEASURE_TCP_SYN | MEASURE_TCP_ACK));
}

#endif /* measure-tcp.h */
