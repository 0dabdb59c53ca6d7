/* SPDX-License-Identifier: Apache-2.0 */
/* The oracle: adds up the list of all packets. */

#include <config.h>

#include "oracle.h"

#include <stdlib.h>

/* Which packets a question is about. */

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
    for (unsigned int i = 0; i < bits; i++) {
        if ((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8) {
            return false;
        }
    }
    return true;
}

static bool
matches(const struct condition *c, const struct key *key)
{
    switch (c->field) {
    case MEASURE_FIELD_SOURCE:
        return (key->family == c->family
                && same_bits(key->source, c->address, c->bits));
    case MEASURE_FIELD_DESTINATION:
        return (key->family == c->family
                && same_bits(key->destination, c->address, c->bits));
    case MEASURE_FIELD_PROTOCOL:
        return key->protocol == c->number;
    case MEASURE_FIELD_SOURCE_PORT:
        return key->source_port == c->number;
    case MEASURE_FIELD_DESTINATION_PORT:
        return key->destination_port == c->number;
    case MEASURE_FIELD_VLAN:
        return key->vlan == c->number;
    case MEASURE_FIELD_TUNNEL:
        return key->tunnelled && key->tunnel == c->number;
    case MEASURE_FIELD_PORT:
    default:
        return key->port == c->number;
    }
}

static bool
in_epochs(const struct packet *p, const struct scope *s)
{
    return (p->epoch >= s->first && p->epoch < s->first + s->n
            && (s->thread < 0 || p->thread == s->thread));
}

static bool
in_scope(const struct packet *p, const struct scope *s)
{
    bool in = in_epochs(p, s);

    for (int i = 0; in && i < s->n_conditions; i++) {
        in = matches(&s->conditions[i], &p->key);
    }
    return in;
}

/* Groups. */

struct key
group_key(const struct key *key, const struct group_by *g)
{
    struct key cut = *key;

    keep_bits(cut.source,
              g->fields & MEASURE_FIELD_SOURCE ? g->source_bits : 0);
    keep_bits(cut.destination,
              g->fields & MEASURE_FIELD_DESTINATION ? g->destination_bits : 0);
    if (!(g->fields & MEASURE_FIELDS_PAIR)) {
        cut.family = 0;
    }
    if (!(g->fields & MEASURE_FIELD_PROTOCOL)) {
        cut.protocol = 0;
    }
    if (!(g->fields & MEASURE_FIELD_SOURCE_PORT)) {
        cut.source_port = 0;
    }
    if (!(g->fields & MEASURE_FIELD_DESTINATION_PORT)) {
        cut.destination_port = 0;
    }
    if (!(g->fields & MEASURE_FIELD_VLAN)) {
        cut.vlan = 0;
    }
    if (!(g->fields & MEASURE_FIELD_PORT)) {
        cut.port = 0;
    }
    if (!(g->fields & MEASURE_FIELD_TUNNEL)) {
        cut.tunnelled = cut.tunnel = 0;
    }
    return cut;
}

int
compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct key));
}

void
add_up(struct rows *rows)
{
    size_t n = 0;

    if (rows->n) {
        qsort(rows->rows, rows->n, sizeof *rows->rows, compare_keys);
    }
    for (size_t i = 0; i < rows->n; i++) {
        const struct row *row = &rows->rows[i];

        rows->packets += row->packets;
        rows->bytes += row->bytes;
        if (n && !compare_keys(&rows->rows[n - 1], row)) {
            rows->rows[n - 1].packets += row->packets;
            rows->rows[n - 1].bytes += row->bytes;
            rows->rows[n - 1].spread += row->spread;
            rows->rows[n - 1].ports += row->ports;
        } else {
            rows->rows[n++] = *row;
        }
    }
    rows->n = n;
}

struct rows
group_packets(const struct scope *s, const struct group_by *g)
{
    struct rows rows = { .n = 0 };

    rows.rows = calloc(world.n_packets + 1, sizeof *rows.rows);
    for (size_t i = 0; i < world.n_packets; i++) {
        const struct packet *p = &world.packets[i];

        if (in_scope(p, s)) {
            rows.rows[rows.n++] = (struct row) {
                .key = group_key(&p->key, g), .packets = 1,
                .bytes = p->bytes,
            };
        }
    }
    add_up(&rows);
    return rows;
}

struct row *
find_row(const struct rows *rows, const struct key *key)
{
    return (rows->n ? bsearch(key, rows->rows, rows->n, sizeof *rows->rows,
                              compare_keys) : NULL);
}

struct row
all_packets(const struct scope *s)
{
    struct row sum = { .packets = 0 };

    for (size_t i = 0; i < world.n_packets; i++) {
        if (in_epochs(&world.packets[i], s)) {
            sum.packets++;
            sum.bytes += world.packets[i].bytes;
        }
    }
    return sum;
}

/* Equal rows are in the order of their addresses (without any: those out of no
 * tunnel first), protocol, ports, VLAN, tunnel and port. */
int
compare_order(const struct key *a, const struct key *b)
{
    bool a_ipv6 = a->family == 6, b_ipv6 = b->family == 6;
    int result = compare_addresses(a->source, a_ipv6, b->source, b_ipv6);

    result = result ? result : compare_addresses(a->destination, a_ipv6,
                                                 b->destination, b_ipv6);
    if (!result && !a->family) {
        result = a->tunnelled - b->tunnelled;
    }
    result = result ? result : a->protocol - b->protocol;
    result = result ? result : a->source_port - b->source_port;
    result = result ? result : a->destination_port - b->destination_port;
    result = result ? result : a->vlan - b->vlan;
    result = result ? result : a->tunnelled - b->tunnelled;
    result = result ? result : (a->tunnel > b->tunnel)
                               - (a->tunnel < b->tunnel);
    return result ? result : a->port - b->port;
}
