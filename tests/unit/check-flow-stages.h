/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of stages that remember flows share. */

#ifndef CHECK_FLOW_STAGES_H
#define CHECK_FLOW_STAGES_H 1

/* What the tests of stages that remember flows share
 * ==================================================
 *
 * Connections in each layout of a key, packets of them, and the comparison of
 * the rows of 'out' with those that an oracle expects, in any order: both are
 * written as lines of text. */

#include "check-stage.h"

#include <stdarg.h>

#include "stream/measure-flow-state.h"

extern const struct measure_stage_class measure_stage_features;
extern const struct measure_stage_class measure_stage_flowlets;
extern const struct measure_stage_class measure_stage_half_open;
extern const struct measure_stage_class measure_stage_microbursts;
extern const struct measure_stage_class measure_stage_out_of_order;
extern const struct measure_stage_class measure_stage_rtt;

#define T0 UINT64_C(1700000000000000000)
#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum { F = 1, S = 2, R = 4, A = 16 };   /* Flags of TCP. */

/* Kinds of packets: IPv4, IPv6, both out of a tunnel, with a VLAN. */
#define N_VARIANTS 5

/* The direction of the client of the 'i'th connection. */
static UNUSED struct measure_fields
client(int variant, uint32_t i)
{
    struct measure_fields fields;

    memset(&fields, 0, sizeof fields);
    fields.protocol = 6;
    if (variant == 1 || variant == 3) {
        fields.family = MEASURE_IPV6;
        put_be32(fields.source, 0x20010db8);
        put_be32(fields.source + 12, i);
        put_be32(fields.destination, 0x20010db8);
        put_be32(fields.destination + 12, 0x80000000);
    } else {
        fields.family = MEASURE_IPV4;
        /* On both sides of the server in the order of addresses. */
        put_be32(fields.source, i % 2 ? 0x0a000000 + i : 0xe0000000 - i);
        put_be32(fields.destination, 0xac100001);
    }
    fields.source_port = 1024 + i % 50000;
    fields.destination_port = 443;
    if (variant == 2 || variant == 3) {
        fields.tunnelled = true;
        fields.tunnel = 0;
    }
    if (variant == 4) {
        fields.vlan = 7;
    }
    fields.port = 1;
    return fields;
}

/* The other direction, which comes in by another port of the switch. */
static UNUSED struct measure_fields
server(const struct measure_fields *of)
{
    struct measure_fields fields = *of;

    memcpy(fields.source, of->destination, sizeof fields.source);
    memcpy(fields.destination, of->source, sizeof fields.destination);
    fields.source_port = of->destination_port;
    fields.destination_port = of->source_port;
    fields.port = 2;
    return fields;
}

static UNUSED void
add(struct check_packets *packets, struct measure_fields fields,
    uint64_t time_ns, uint8_t flags, uint32_t sequence, uint32_t payload)
{
    struct check_packet packet;

    memset(&packet, 0, sizeof packet);
    packet.fields = fields;
    packet.time_ns = time_ns;
    packet.length = (fields.family == MEASURE_IPV4 ? 54 : 74) + payload;
    packet.payload = payload;
    packet.tcp_flags = flags;
    packet.sequence = sequence;
    check_packets_add(packets, &packet);
}

static int
compare_times(const void *a_, const void *b_)
{
    const struct check_packet *a = a_, *b = b_;

    /* In their order, if they have the same time. */
    return (a->time_ns != b->time_ns
            ? (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns)
            : (a->payload > b->payload) - (a->payload < b->payload));
}

static UNUSED void
sort_by_time(struct check_packets *packets)
{
    qsort(packets->packets, packets->n, sizeof *packets->packets,
          compare_times);
}

/* Rows as lines. */

struct lines {
    char **lines;
    size_t n;
    size_t allocated;
};

static UNUSED void
add_line(struct lines *lines, const struct measure_fields *fields,
         const uint64_t *values, size_t n)
{
    char text[4096];
    size_t at = 0;

    for (int i = 0; i < 16; i++) {
        at += sprintf(text + at, "%02x", fields->source[i]);
    }
    at += sprintf(text + at, ">");
    for (int i = 0; i < 16; i++) {
        at += sprintf(text + at, "%02x", fields->destination[i]);
    }
    at += sprintf(text + at, " f%d %d>%d p%d v%d port%d t%d.%u:",
                  fields->family, fields->source_port,
                  fields->destination_port, fields->protocol, fields->vlan,
                  fields->port, fields->tunnelled, fields->tunnel);
    for (size_t i = 0; i < n; i++) {
        at += sprintf(text + at, " %"PRIu64, values[i]);
    }
    if (lines->n == lines->allocated) {
        lines->allocated = lines->allocated * 2 + 64;
        lines->lines = realloc(lines->lines,
                               lines->allocated * sizeof *lines->lines);
    }
    lines->lines[lines->n++] = strdup(text);
}

static int
compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static UNUSED void
free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        free(lines->lines[i]);
    }
    free(lines->lines);
    memset(lines, 0, sizeof *lines);
}

/* Expects that the rows of 'out' from 'first' on are 'expected', which is
 * freed. */
static UNUSED void
check_rows(size_t first, struct lines *expected)
{
    struct lines found = { NULL, 0, 0 };

    for (size_t i = first; i < out.n_rows; i++) {
        struct measure_fields fields = row_fields(out.rows[i]);

        add_line(&found, &fields, out.rows[i]->values,
                 out.rows[i]->n_present);
    }
    if (found.n) {
        qsort(found.lines, found.n, sizeof *found.lines, compare_lines);
    }
    if (expected->n) {
        qsort(expected->lines, expected->n, sizeof *expected->lines,
              compare_lines);
    }
    for (size_t i = 0; i < found.n || i < expected->n; i++) {
        ck_assert_msg(i < found.n, "no row %s", expected->lines[i]);
        ck_assert_msg(i < expected->n, "row %s", found.lines[i]);
        ck_assert_msg(!strcmp(found.lines[i], expected->lines[i]),
                      "row %s, not %s", found.lines[i], expected->lines[i]);
    }
    free_lines(&found);
    free_lines(expected);
}

/* 'fields' without the port of the switch, which is no part of a flow. */
static UNUSED struct measure_fields
flow_of(const struct measure_fields *fields)
{
    struct measure_fields flow = *fields;

    flow.port = 0;
    return flow;
}

/* The connection of 'fields': the same for both directions. */
static UNUSED struct measure_fields
connection_of(const struct measure_fields *fields)
{
    struct measure_fields forth = flow_of(fields), back = server(&forth);
    int order = memcmp(forth.source, forth.destination, sizeof forth.source);

    back.port = 0;
    return (order > 0
            || (!order && forth.source_port > forth.destination_port)
            ? back : forth);
}

/* The end of the stream. */
static UNUSED void
end_stream(struct measure_stage *stage)
{
    check_stage_interval(stage, T0, T0 + 1000 * SECOND, true);
}

#endif /* check-flow-stages.h */
