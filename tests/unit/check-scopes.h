/* SPDX-License-Identifier: Apache-2.0 */
/* Reports and scopes for tests of questions. */

#ifndef CHECK_SCOPES_H
#define CHECK_SCOPES_H 1

#include "check-common.h"
#include "check-tally.h"

#include "questions/measure-heavy-hitters.h"
#include "report/measure-merge.h"

/* Questions to reports
 * ====================
 *
 * make_reports() makes the reports of some epochs of some threads, and keeps
 * every packet of them for the oracles.  'scopes' and 'group_names' are what
 * can be asked of them, and group_packets() says what the packets add up
 * to. */

#define N_EPOCHS 3
#define N_THREADS 2
#define N_PACKETS 4000          /* Of an epoch... */
#define N_MANY_PACKETS 12000    /* ...or so many, if there are many flows. */

struct packet {
    struct measure_fields fields;
    uint32_t bytes;
    int epoch;
    int thread;
};

static const unsigned int cores[N_THREADS] = { 3, 5 };

static struct measure_port_names ports;
static struct packet packets[N_EPOCHS * N_MANY_PACKETS];
static bool many_flows;
static size_t n_packets;
static struct measure_report *reports[N_EPOCHS];

/* Fields with few values, so that groups of all kinds have several members,
 * and IPv4 addresses that are also in tunnels. */
static struct measure_fields
draw_fields(struct random *r)
{
    struct measure_fields fields;

    memset(&fields, 0, sizeof fields);
    fields.family = random_below(r, 2);
    if (fields.family == MEASURE_IPV4) {
        put_be32(fields.source, 0x0a000000 + (random_below(r, 3) << 22)
                 + (random_below(r, 3) << 7) + random_below(r, 9));
        put_be32(fields.destination, 0x0a000000 + random_below(r, 40));
    } else {
        put_be32(fields.source, 0x20010db8);
        put_be32(fields.source + 4, random_below(r, 3) << 15);
        put_be32(fields.source + 12, random_below(r, 9));
        put_be32(fields.destination, 0x20010db8);
        put_be32(fields.destination + 12, random_below(r, 40));
    }
    fields.protocol = random_below(r, 2) ? 6 : 17;
    fields.source_port = random_below(r, 3);
    fields.destination_port = random_below(r, 3);
    fields.vlan = random_below(r, 3);
    fields.port = random_below(r, 3);
    if (!random_below(r, 3)) {
        fields.tunnelled = true;
        fields.tunnel = random_below(r, 2);
    }
    return fields;
}

/* Flows of IPv4 without tunnels, most of them of one packet, each of which
 * comes in by one port of the switch only. */
static struct measure_fields
draw_one_of_many(struct random *r)
{
    struct measure_fields fields;
    uint32_t source = random_below(r, 5000);

    memset(&fields, 0, sizeof fields);
    fields.family = MEASURE_IPV4;
    put_be32(fields.source, 0x0a000000 + source * source);
    put_be32(fields.destination, 0x0a000000 + random_below(r, 3000));
    fields.protocol = 6;
    fields.source_port = random_below(r, 3);
    fields.port = source % 3;
    return fields;
}

/* Each table of each thread has 'n_lines'. */
static UNUSED void
make_reports(enum measure_key_kind key_kind, uint32_t n_lines)
{
    struct random r = random_from(test_seed);

    draw_secret();
    ck_assert_uint_eq(measure_port_number(&ports, "one"), 1);
    ck_assert_uint_eq(measure_port_number(&ports, "two"), 2);
    n_packets = 0;
    for (int epoch = 0; epoch < N_EPOCHS; epoch++) {
        struct measure_tally *tallies[N_THREADS];

        for (int i = 0; i < N_THREADS; i++) {
            tallies[i] = make_tally(key_kind, n_lines, n_lines);
        }
        for (int i = 0; i < (many_flows ? N_MANY_PACKETS : N_PACKETS); i++) {
            struct packet *p = &packets[n_packets++];
            struct measure_record record;

            p->fields = many_flows ? draw_one_of_many(&r) : draw_fields(&r);
            p->bytes = 60 + random_below(&r, 3);
            p->epoch = epoch;
            p->thread = random_below(&r, N_THREADS);
            record = make_record(&p->fields, p->bytes);
            measure_tally_count(tallies[p->thread], &record, 1);
        }
        reports[epoch] = measure_report_merge(tallies, N_THREADS, key_kind,
                                              &secret, &budget);
        measure_report_keep_threads(reports[epoch], tallies, cores, N_THREADS);
        reports[epoch]->number = epoch + 1;
        reports[epoch]->start_ms = 1000 * epoch;
        reports[epoch]->duration_ms = 1000;
        for (int i = 0; i < N_THREADS; i++) {
            measure_tally_destroy(tallies[i]);
        }
    }
}

static UNUSED void
destroy_reports(void)
{
    for (int i = 0; i < N_EPOCHS; i++) {
        measure_report_destroy(reports[i]);
    }
    measure_port_names_destroy(&ports);
    memset(&ports, 0, sizeof ports);
}

/* Scopes. */

struct test_scope {
    int first, n;               /* Epochs. */
    int thread;                 /* -1 for all. */
    const char *where;          /* NULL for all. */
    bool (*matches)(const struct measure_fields *);
};

static bool
from_net(const struct measure_fields *f)
{
    return (f->family == MEASURE_IPV4 && f->source[0] == 10
            && !(f->source[1] >> 6));
}

static bool
to_ipv6_tcp(const struct measure_fields *f)
{
    return f->family == MEASURE_IPV6 && f->protocol == 6
           && f->destination[15] < 16;
}

static bool
ports_and_vlan(const struct measure_fields *f)
{
    return f->source_port == 1 && f->destination_port == 2 && !f->vlan;
}

static bool
in_tunnel_1(const struct measure_fields *f)
{
    return f->tunnelled && f->tunnel == 1 && f->port == 2;
}

static bool
nothing(const struct measure_fields *f UNUSED)
{
    return false;
}

static UNUSED const struct test_scope scopes[] = {
    { 0, 1, -1, NULL, NULL },
    { 1, 2, -1, NULL, NULL },
    { 2, 1, 1, NULL, NULL },
    { 0, 3, 0, NULL, NULL },
    { 0, 3, -1, "source=10.0.0.0/10", from_net },
    { 0, 3, -1, "destination=2001:db8::/124,protocol=tcp", to_ipv6_tcp },
    { 0, 3, 1, "source-port=1,destination-port=2,vlan=0", ports_and_vlan },
    { 0, 3, -1, "tunnel=1,port=two", in_tunnel_1 },
    { 0, 3, -1, "source=10.0.0.0/8,source=11.0.0.0/8", nothing },
    { 0, 3, -1, "source=10.0.0.0/8,destination=::/0", nothing },
    { 0, 3, -1, "protocol=6,protocol=udp", nothing },
    { 0, 3, -1, "tunnel=1,tunnel=0", nothing },
    /* Of one report, whose cached groups may or may not have what is looked
     * at. */
    { 0, 1, -1, "source=10.0.0.0/10", from_net },
    { 0, 1, -1, "source-port=1,destination-port=2,vlan=0", ports_and_vlan },
};

static UNUSED void
open_scope(const struct test_scope *t, struct measure_scope *scope,
           struct measure_filter *filter)
{
    memset(scope, 0, sizeof *scope);
    scope->reports = (const struct measure_report *const *) &reports[t->first];
    scope->n_reports = t->n;
    scope->one_core = t->thread >= 0;
    scope->core = t->thread >= 0 ? cores[t->thread] : 0;
    scope->ports = &ports;
    if (t->where) {
        char *error = measure_filter_parse(t->where, &ports, filter);

        ck_assert_msg(!error, "%s", error);
        scope->filter = filter;
    }
}

static UNUSED bool
in_scope(const struct packet *p, const struct test_scope *t)
{
    return (p->epoch >= t->first && p->epoch < t->first + t->n
            && (t->thread < 0 || p->thread == t->thread)
            && (!t->matches || t->matches(&p->fields)));
}

/* Leaves in 'f' what is in 'group_by'. */
static UNUSED void
cut_fields(struct measure_fields *f, const struct measure_group_by *group_by)
{
    unsigned int in = group_by->fields;

    keep_bits(f->source,
              in & MEASURE_FIELD_SOURCE ? group_by->source_prefix : 0);
    keep_bits(f->destination,
              in & MEASURE_FIELD_DESTINATION ? group_by->destination_prefix
              : 0);
    if (!(in & MEASURE_FIELDS_PAIR)) {
        f->family = 0;
    }
    f->protocol = in & MEASURE_FIELD_PROTOCOL ? f->protocol : 0;
    f->source_port = in & MEASURE_FIELD_SOURCE_PORT ? f->source_port : 0;
    f->destination_port
        = in & MEASURE_FIELD_DESTINATION_PORT ? f->destination_port : 0;
    f->vlan = in & MEASURE_FIELD_VLAN ? f->vlan : 0;
    f->port = in & MEASURE_FIELD_PORT ? f->port : 0;
    if (!(in & MEASURE_FIELD_TUNNEL)) {
        f->tunnelled = false;
        f->tunnel = 0;
    }
}

static UNUSED struct oracle
group_packets(const struct test_scope *t,
              const struct measure_group_by *group_by)
{
    struct oracle groups = oracle_open();

    for (size_t i = 0; i < n_packets; i++) {
        if (in_scope(&packets[i], t)) {
            struct measure_fields fields = packets[i].fields;

            cut_fields(&fields, group_by);
            oracle_add(&groups, &fields, 1, packets[i].bytes);
        }
    }
    return groups;
}

/* Names of groups of all kinds. */
static UNUSED const char *const group_names[] = {
    "flow", "pair", "source", "destination", "source-port",
    "destination-port", "protocol", "port", "vlan", "tunnel", "source/8",
    "source/12", "source/24", "source/32", "source/48", "source/128",
    "destination/1", "destination/29", "destination/125",
    "source/11+destination/30", "flow+port", "vlan+tunnel",
    "source+tunnel", "protocol+destination-port",
};

#endif /* check-scopes.h */
