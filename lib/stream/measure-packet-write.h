/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text, JSON and CSV of packets. */

#ifndef MEASURE_PACKET_WRITE_H
#define MEASURE_PACKET_WRITE_H 1

#include "base/measure-text.h"
#include "key/measure-switch-port.h"
#include "stream/measure-slot.h"

/* Text, JSON and CSV of packets
 * =============================
 *
 * A packet is a line, an object of JSON or a line of CSV: its time, flow,
 * length and, of TCP, flags and sequence number.  measure-row-write.h says how
 * keys look.
 *
 * Memory: that of the text.
 *
 * Thread safety: no shared state. */

void measure_packet_write_json(struct measure_text *,
                               const struct measure_port_names *,
                               const struct measure_slot *);
void measure_packet_write_csv_head(struct measure_text *);
void measure_packet_write_csv(struct measure_text *,
                              const struct measure_port_names *,
                              const struct measure_slot *);
void measure_packet_write_text(struct measure_text *,
                               const struct measure_port_names *,
                               const struct measure_slot *);

#endif /* measure-packet-write.h */
