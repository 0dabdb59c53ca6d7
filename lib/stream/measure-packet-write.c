/* SPDX-License-Identifier: Apache-2.0 */
/* Makes text, JSON and CSV of packets. */

#include <config.h>

#include "stream/measure-packet-write.h"

#include "stream/measure-row-cell.h"

#define TCP 6

static void
packet_group_by(struct measure_group_by *group_by)
{
    measure_group_by_init(group_by, MEASURE_FIELDS_FLOW | MEASURE_FIELD_PORT,
                          128, 128);
}

static void
packet_fields(const struct measure_slot *slot, struct measure_fields *fields)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(slot, key);

    measure_fields_from_key(fields, layout, key);
}

/* A first byte of a header of TCP: some flag is always set. */
static bool
has_tcp(const struct measure_slot *slot)
{
    return (measure_slot_protocol(slot) == TCP
            && (measure_slot_tcp_flags(slot) || measure_slot_sequence(slot)
                || measure_slot_payload(slot) >= 0));
}

/* Appends the members of an object of a packet, without braces. */
void
measure_packet_write_json(struct measure_text *t,
                          const struct measure_port_names *ports,
                          const struct measure_slot *slot)
{
    struct measure_group_by group_by;
    struct measure_fields fields;
    struct measure_cell cells[MEASURE_KEY_CELLS];

    packet_group_by(&group_by);
    packet_fields(slot, &fields);
    measure_text_put_json_uint(t, "time-ns", measure_slot_time_ns(slot));
    measure_cells_put_json(t, cells,
                           measure_key_cells(&group_by, &fields, ports, false,
                                             cells));
    measure_text_put_json_uint(t, "length", measure_slot_length(slot));
    if (has_tcp(slot)) {
        measure_text_put_json_uint(t, "tcp-flags",
                                   measure_slot_tcp_flags(slot));
        measure_text_put_json_uint(t, "sequence", measure_slot_sequence(slot));
    }
}

void
measure_packet_write_csv_head(struct measure_text *t)
{
    struct measure_group_by group_by;
    bool first = false;

    packet_group_by(&group_by);
    measure_text_put(t, "time-ns");
    measure_key_put_csv_head(t, &group_by, &first);
    measure_text_put(t, ",length,tcp-flags,sequence\r\n");
}

void
measure_packet_write_csv(struct measure_text *t,
                         const struct measure_port_names *ports,
                         const struct measure_slot *slot)
{
    struct measure_group_by group_by;
    struct measure_fields fields;
    bool first = false;

    packet_group_by(&group_by);
    packet_fields(slot, &fields);
    measure_text_put_uint(t, measure_slot_time_ns(slot));
    measure_key_put_csv(t, &group_by, &fields, ports, &first);
    measure_text_put_csv_uint(t, measure_slot_length(slot), &first);
    if (has_tcp(slot)) {
        measure_text_put_csv_uint(t, measure_slot_tcp_flags(slot), &first);
        measure_text_put_csv_uint(t, measure_slot_sequence(slot), &first);
    } else {
        measure_text_put(t, ",,");
    }
    measure_text_put(t, "\r\n");
}

/* Appends a line: time, source > destination, protocol, flags, length. */
void
measure_packet_write_text(struct measure_text *t,
                          const struct measure_port_names *ports,
                          const struct measure_slot *slot)
{
    static const struct {
        uint8_t flag;
        char letter;
    } flags[] = {
        { 0x02, 'S' }, { 0x01, 'F' }, { 0x04, 'R' }, { 0x08, 'P' },
        { 0x10, 'A' }, { 0x20, 'U' }, { 0x40, 'E' }, { 0x80, 'C' },
    };
    struct measure_group_by group_by;
    struct measure_fields fields;

    packet_group_by(&group_by);
    packet_fields(slot, &fields);
    measure_text_put_time(t, measure_slot_time_ns(slot));
    measure_key_put_line(t, &group_by, &fields, ports, false);
    if (measure_slot_tcp_flags(slot)) {
        measure_text_put(t, " ");
        for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
            measure_text_put_n(t, &flags[i].letter,
                               (measure_slot_tcp_flags(slot)
                                & flags[i].flag) != 0);
        }
    }
    measure_text_put(t, " length ");
    measure_text_put_uint(t, measure_slot_length(slot));
    measure_key_put_line(t, &group_by, &fields, ports, true);
    measure_text_put(t, "\n");
}
