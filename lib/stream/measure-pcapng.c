/* SPDX-License-Identifier: Apache-2.0 */
/* Writes captures in pcapng format. */

#include <config.h>

#include "stream/measure-pcapng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SECTION 0x0a0d0d0a
#define BLOCK_INTERFACE 1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET 6

#define BYTE_ORDER_MAGIC 0x1a2b3c4d
#define LINKTYPE_ETHERNET 1
#define NANOSECONDS 9           /* 10 to the minus... */

#define OPTION_END 0
#define OPTION_COMMENT 1
#define SECTION_PROGRAM 4
#define INTERFACE_NAME 2
#define INTERFACE_DESCRIPTION 3
#define INTERFACE_RESOLUTION 9
#define PACKET_DROPPED 4
#define STATISTICS_RECEIVED 4
#define STATISTICS_DROPPED 5
#define STATISTICS_ACCEPTED 6
#define STATISTICS_DELIVERED 8

#define COMMENT "Packets whose headers were not recorded have made ones: " \
                "MAC addresses, TTL, acknowledgement numbers, types of " \
                "ICMP and checksums are not those of the packet."

#define MAX_TEXT 255            /* Bytes of an option. */
#define MAX_BLOCK 1024

/* A block that is being made. */
struct block {
    uint8_t bytes[MAX_BLOCK];
    size_t n;
};

struct ring {
    uint64_t told;              /* Dropped packets in epb_dropcount so far. */
    struct measure_mark mark;   /* The last one. */
};

struct interface {
    char *name;                 /* NULL if it is not described yet. */
    uint32_t id;
};

struct measure_pcapng {
    measure_pcapng_put *put;
    void *aux;
    struct interface interfaces[MEASURE_MAX_PORT + 1];  /* By port. */
    uint32_t n_interfaces;
    struct ring *rings;         /* By number. */
    size_t n_rings;
    struct measure_mark gone;   /* Sums of rings whose numbers others have
                                 * now. */
    bool has_marks;
    uint64_t packets;           /* Written. */
    uint64_t time_ns;           /* The latest known. */
};

static void
put_bytes(struct block *b, const void *bytes, size_t n)
{
    memcpy(b->bytes + b->n, bytes, n);
    b->n += n;
    while (b->n % 4) {
        b->bytes[b->n++] = 0;
    }
}

static void
put_le16(struct block *b, uint16_t value)
{
    b->bytes[b->n++] = value;
    b->bytes[b->n++] = value >> 8;
}

static void
put_le32(struct block *b, uint32_t value)
{
    put_le16(b, value);
    put_le16(b, value >> 16);
}

static void
put_le64(struct block *b, uint64_t value)
{
    put_le32(b, value);
    put_le32(b, value >> 32);
}

/* Times have their higher half first. */
static void
put_time(struct block *b, uint64_t time_ns)
{
    put_le32(b, time_ns >> 32);
    put_le32(b, time_ns);
}

static void
begin(struct block *b, uint32_t type)
{
    b->n = 0;
    put_le32(b, type);
    put_le32(b, 0);             /* Length, set by end(). */
}

static void
put_text(struct block *b, uint16_t code, const char *text)
{
    size_t n = measure_min(strlen(text), MAX_TEXT);

    put_le16(b, code);
    put_le16(b, n);
    put_bytes(b, text, n);
}

static void
put_count(struct block *b, uint16_t code, uint64_t count)
{
    put_le16(b, code);
    put_le16(b, sizeof count);
    put_le64(b, count);
}

static void
end(struct measure_pcapng *pcapng, struct block *b)
{
    size_t n = b->n + 4;

    b->n = 4;
    put_le32(b, n);
    b->n = n - 4;
    put_le32(b, n);
    pcapng->put(pcapng->aux, b->bytes, n);
}

static void
end_with_options(struct measure_pcapng *pcapng, struct block *b)
{
    put_le32(b, OPTION_END);
    end(pcapng, b);
}

static void
write_section(struct measure_pcapng *pcapng, const char *program)
{
    struct block b;

    begin(&b, BLOCK_SECTION);
    put_le32(&b, BYTE_ORDER_MAGIC);
    put_le16(&b, 1);            /* Version 1.0. */
    put_le16(&b, 0);
    put_le64(&b, UINT64_MAX);   /* The length of the section is not known. */
    put_text(&b, OPTION_COMMENT, COMMENT);
    put_text(&b, SECTION_PROGRAM, program);
    end_with_options(pcapng, &b);
}

/* Returns the number of the interface. */
static uint32_t
write_interface(struct measure_pcapng *pcapng, const char *name,
                const char *description)
{
    struct block b;

    begin(&b, BLOCK_INTERFACE);
    put_le16(&b, LINKTYPE_ETHERNET);
    put_le16(&b, 0);
    put_le32(&b, MEASURE_PACKET_MAX);
    put_text(&b, INTERFACE_NAME, name);
    if (description) {
        put_text(&b, INTERFACE_DESCRIPTION, description);
    }
    put_le16(&b, INTERFACE_RESOLUTION);
    put_le16(&b, 1);
    put_bytes(&b, &(uint8_t) { NANOSECONDS }, 1);
    end_with_options(pcapng, &b);
    return pcapng->n_interfaces++;
}

/* Begins a capture made by 'program', of which 'put' is given each block, with
 * 'aux'.  Returns a writer, which the caller destroys. */
struct measure_pcapng *
measure_pcapng_create(measure_pcapng_put *put, void *aux, const char *program)
{
    struct measure_pcapng *pcapng = measure_xzalloc(sizeof *pcapng);

    pcapng->put = put;
    pcapng->aux = aux;
    write_section(pcapng, program);
    write_interface(pcapng, MEASURE_PCAPNG_STREAM,
                    "All packets, in the statistics");
    return pcapng;
}

/* The interface of the port 'number', whose name is what 'ports' says now. */
static uint32_t
find_interface(struct measure_pcapng *pcapng, uint16_t number,
               const struct measure_port_names *ports)
{
    struct interface *interface = &pcapng->interfaces[number];
    const char *name = ports ? measure_port_name(ports, number) : NULL;
    char unnamed[16];

    if (!number) {
        name = MEASURE_PCAPNG_NO_PORT;
    } else if (!name && interface->name) {
        return interface->id;   /* The name was known once. */
    } else if (!name) {
        snprintf(unnamed, sizeof unnamed, "port-%u", number);
        name = unnamed;
    }
    if (!interface->name || strcmp(interface->name, name)) {
        free(interface->name);
        interface->name = measure_check_memory(strdup(name));
        interface->id = write_interface(pcapng, name, NULL);
    }
    return interface->id;
}

static struct ring *
find_ring(struct measure_pcapng *pcapng, uint32_t number)
{
    if (number >= pcapng->n_rings) {
        size_t n = number + 16;

        pcapng->rings = measure_xrealloc(pcapng->rings,
                                         n * sizeof *pcapng->rings);
        memset(pcapng->rings + pcapng->n_rings, 0,
               (n - pcapng->n_rings) * sizeof *pcapng->rings);
        pcapng->n_rings = n;
    }
    return &pcapng->rings[number];
}

static void
add_mark(struct measure_mark *sum, const struct measure_mark *mark)
{
    sum->offered += mark->offered;
    sum->filtered += mark->filtered;
    sum->dropped += mark->dropped;
}

/* Another ring has the number 'ring' from now on.  None needs to begin by
 * this if no number is used again. */
void
measure_pcapng_begin_ring(struct measure_pcapng *pcapng, uint32_t ring)
{
    struct ring *from = find_ring(pcapng, ring);

    add_mark(&pcapng->gone, &from->mark);
    memset(from, 0, sizeof *from);
}

/* Writes the packet of the record in 'slot', of the ring with the number
 * 'ring'.  'ports' has the names of ports, or is NULL. */
void
measure_pcapng_packet(struct measure_pcapng *pcapng,
                      const struct measure_slot *slot, uint32_t ring,
                      const struct measure_port_names *ports)
{
    uint16_t port = measure_slot_ports(slot) >> MEASURE_PORT_SHIFT;
    uint32_t interface = find_interface(pcapng, port, ports);
    struct ring *from = find_ring(pcapng, ring);
    uint64_t time_ns = measure_slot_time_ns(slot);
    uint64_t tunnel = (measure_slot_layout(slot) == MEASURE_WIDE
                       ? slot[1].words[3] : 0);
    bool tunnelled = tunnel & MEASURE_KEY_TUNNELLED;
    uint8_t headers[MEASURE_PACKET_MAX];
    struct measure_packet packet;
    uint64_t dropped = from->mark.dropped - from->told;
    struct block b;

    from->told = from->mark.dropped;
    measure_packet_get(slot, headers, &packet);
    begin(&b, BLOCK_PACKET);
    put_le32(&b, interface);
    put_time(&b, time_ns);
    put_le32(&b, packet.captured);
    put_le32(&b, packet.length);
    put_bytes(&b, packet.data, packet.captured);
    if (tunnelled) {
        char text[32];

        snprintf(text, sizeof text, "tunnel %"PRIu32, (uint32_t) tunnel);
        put_text(&b, OPTION_COMMENT, text);
    }
    if (dropped) {
        put_count(&b, PACKET_DROPPED, dropped);
    }
    if (tunnelled || dropped) {
        end_with_options(pcapng, &b);
    } else {
        end(pcapng, &b);
    }
    pcapng->packets++;
    pcapng->time_ns = measure_max(pcapng->time_ns, time_ns);
}

static void
write_statistics(struct measure_pcapng *pcapng)
{
    struct measure_mark sum = pcapng->gone;
    struct block b;

    for (size_t i = 0; i < pcapng->n_rings; i++) {
        add_mark(&sum, &pcapng->rings[i].mark);
    }
    begin(&b, BLOCK_STATISTICS);
    put_le32(&b, 0);
    put_time(&b, pcapng->time_ns);
    if (pcapng->has_marks) {
        put_count(&b, STATISTICS_RECEIVED, sum.offered);
        put_count(&b, STATISTICS_DROPPED, sum.dropped);
        put_count(&b, STATISTICS_ACCEPTED, sum.offered - sum.filtered);
    }
    put_count(&b, STATISTICS_DELIVERED, pcapng->packets);
    end_with_options(pcapng, &b);
}

/* Writes what is known of losses now that 'mark' has come in the ring with the
 * number 'ring'. */
void
measure_pcapng_mark(struct measure_pcapng *pcapng,
                    const struct measure_mark *mark, uint32_t ring)
{
    find_ring(pcapng, ring)->mark = *mark;
    pcapng->has_marks = true;
    pcapng->time_ns = measure_max(pcapng->time_ns, mark->time_ns);
    write_statistics(pcapng);
}

/* Writes what comes last.  Packets and marks may still follow, as from one who
 * ends when nothing comes for a while. */
void
measure_pcapng_finish(struct measure_pcapng *pcapng)
{
    write_statistics(pcapng);
}

void
measure_pcapng_destroy(struct measure_pcapng *pcapng)
{
    if (pcapng) {
        for (size_t i = 0; i <= MEASURE_MAX_PORT; i++) {
            free(pcapng->interfaces[i].name);
        }
        free(pcapng->rings);
        free(pcapng);
    }
}
