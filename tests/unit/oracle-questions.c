/* SPDX-License-Identifier: Apache-2.0 */
/* What questions are about: random scopes and groups, and their totals. */

#include <config.h>

#include "oracle-questions.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

struct seen seen;

/* Scopes. */

/* Draws a condition, and appends its text to 'where'. */
static void
draw_condition(struct condition *c, char *where, size_t size)
{
    static const struct {
        uint32_t number;
        const char *name;
    } protocols[] = {
        { 1, "icmp" }, { 6, "tcp" }, { 17, "udp" }, { 58, "icmp6" },
        { 132, "sctp" },
    };
    const struct key *key = &world.pool[below(ARRAY_SIZE(world.pool))];
    bool destination = below(2);
    char text[INET6_ADDRSTRLEN];
    size_t n = strlen(where);

    memset(c, 0, sizeof *c);
    n += snprintf(where + n, size - n, "%s", n ? "," : "");
    switch (below(9)) {
    case 0: case 1: case 2:
        c->field = (destination ? MEASURE_FIELD_DESTINATION
                    : MEASURE_FIELD_SOURCE);
        c->family = key->family;
        memcpy(c->address, destination ? key->destination : key->source, 16);
        c->bits = below(3) ? below(c->family == 4 ? 33 : 129)
                  : c->family == 4 ? 32 : 128;
        inet_ntop(c->family == 4 ? AF_INET : AF_INET6, c->address, text,
                  sizeof text);
        n += snprintf(where + n, size - n, "%s=%s",
                      destination ? "destination" : "source", text);
        if (c->bits != (c->family == 4 ? 32 : 128) || below(2)) {
            snprintf(where + n, size - n, "/%u", c->bits);
        }
        break;
    case 3:
        c->field = MEASURE_FIELD_PROTOCOL;
        c->number = key->protocol;
        for (size_t i = 0; i < ARRAY_SIZE(protocols) && below(4); i++) {
            if (protocols[i].number == c->number) {
                snprintf(where + n, size - n, "protocol=%s",
                         protocols[i].name);
                return;
            }
        }
        snprintf(where + n, size - n, "protocol=%u", c->number);
        break;
    case 4:
        c->field = MEASURE_FIELD_SOURCE_PORT;
        c->number = key->source_port;
        snprintf(where + n, size - n, "source-port=%u", c->number);
        break;
    case 5:
        c->field = MEASURE_FIELD_DESTINATION_PORT;
        c->number = key->destination_port;
        snprintf(where + n, size - n, "destination-port=%u", c->number);
        break;
    case 6:
        c->field = MEASURE_FIELD_VLAN;
        c->number = key->vlan;
        snprintf(where + n, size - n, "vlan=%u", c->number);
        break;
    case 7:
        c->field = MEASURE_FIELD_TUNNEL;
        c->number = key->tunnel;
        snprintf(where + n, size - n, "tunnel=%u", c->number);
        break;
    default:
        c->field = MEASURE_FIELD_PORT;
        c->number = 1 + below(3);
        snprintf(where + n, size - n, "port=p%u", c->number);
        break;
    }
}

void
draw_scope(struct scope *s)
{
    char *error;

    memset(s, 0, sizeof *s);
    s->first = below(world.n_epochs);
    s->n = below(2) ? 1 : 1 + below(world.n_epochs - s->first);
    s->thread = below(4) ? -1 : (int) below(world.n_threads);
    s->n_conditions = (below(2)
                       || (below(8) && world.key_kind != MEASURE_KIND_FLOW)
                       ? 0 : 1 + below(MAX_CONDITIONS));
    for (int i = 0; i < s->n_conditions; i++) {
        draw_condition(&s->conditions[i], s->where, sizeof s->where);
    }
    if (!complete() && below(8)) {
        s->n = 1;
    }
    s->scope.reports = ((const struct measure_report *const *)
                        &world.reports[s->first]);
    s->scope.n_reports = s->n;
    s->scope.one_core = s->thread >= 0;
    s->scope.core = s->thread >= 0 ? world.cores[s->thread] : 0;
    s->scope.ports = &world.ports;
    forget_question();
    describe_question("epochs %d to %d, thread %d, where=%s,", s->first + 1,
                      s->first + s->n, s->thread, s->where);
    if (s->n_conditions) {
        error = measure_filter_parse(s->where, &world.ports, &s->filter);
        CHECK(!error);
        s->scope.filter = &s->filter;
    }
}

/* Groups. */

struct group_by
draw_group(char *by, size_t size)
{
    static const struct {
        const char *name;
        unsigned int fields;
    } names[] = {
        { "source", MEASURE_FIELD_SOURCE },
        { "destination", MEASURE_FIELD_DESTINATION },
        { "protocol", MEASURE_FIELD_PROTOCOL },
        { "source-port", MEASURE_FIELD_SOURCE_PORT },
        { "destination-port", MEASURE_FIELD_DESTINATION_PORT },
        { "vlan", MEASURE_FIELD_VLAN },
        { "tunnel", MEASURE_FIELD_TUNNEL },
        { "port", MEASURE_FIELD_PORT },
    };
    struct group_by g = { 0, 128, 128 };
    bool likely = below(8);     /* That there will be an answer. */
    size_t n = 0;

    if (one_in(3) || (likely && !complete())) {
        enum measure_key_kind kind
            = likely ? world.key_kind : below(MEASURE_N_KINDS);

        g.fields = fields_by[kind];
        snprintf(by, size, "%s", measure_kind_name(kind));
        return g;
    }
    by[0] = '\0';
    for (int i = 1 + below(4); i > 0; i--) {
        size_t j = below(below(2) ? 2 : ARRAY_SIZE(names));
        unsigned int bits = below(2) ? 128 : 1 + below(below(2) ? 32 : 128);

        if (g.fields & names[j].fields
            || (likely && !has_fields(names[j].fields))) {
            continue;
        }
        g.fields |= names[j].fields;
        n += snprintf(by + n, size - n, "%s%s", n ? "+" : "",
                      names[j].name);
        if (j < 2) {
            *(j ? &g.destination_bits : &g.source_bits) = bits;
            if (bits < 128 || one_in(9)) {
                n += snprintf(by + n, size - n, "/%u", bits);
            }
        }
    }
    if (!g.fields) {
        g.fields = fields_by[world.key_kind];
        snprintf(by, size, "%s", measure_kind_name(world.key_kind));
    }
    return g;
}

/* What may be asked, and the totals. */

bool
check_scope(const struct scope *s, const struct group_by *g,
            const struct measure_group_by *group_by)
{
    char *error = measure_scope_check(&s->scope, group_by);
    unsigned int fields = 0;
    bool valid;

    for (int i = 0; i < s->n_conditions; i++) {
        fields |= s->conditions[i].field;
    }
    valid = (has_fields(g->fields) && has_fields(fields)
             && (complete()
                 || (s->n == 1 && g->fields == fields_by[world.key_kind]
                     && g->source_bits == 128 && g->destination_bits == 128
                     && !(fields & MEASURE_FIELD_PORT))));
    CHECK(valid == !error);
    seen.refused += !valid;
    free(error);
    return valid;
}

bool
check_complete(const struct scope *s)
{
    char *error = measure_scope_check_complete(&s->scope, "?");

    CHECK(complete() == !error);
    seen.refused += !complete();
    free(error);
    return complete();
}

void
check_totals(const struct scope *s, struct measure_totals *totals)
{
    struct row sum = all_packets(s);

    measure_scope_sum(&s->scope, totals);
    CHECK(totals->counters.packets == sum.packets);
    CHECK(totals->counters.bytes == sum.bytes);
    CHECK(totals->complete == complete());
    *(totals->estimates ? &seen.estimated
      : measure_totals_exact(totals) ? &seen.exact : &seen.bounded) += 1;
}
