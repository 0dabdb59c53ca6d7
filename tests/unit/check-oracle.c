/* SPDX-License-Identifier: Apache-2.0 */
/* Random questions about random packets, each answered twice. */

/* Random questions about random packets, each answered twice
 * ==========================================================
 *
 * By the library, and by an oracle that goes through the list of all packets
 * for each question.  It shares no code with the library and is as plain as
 * it can be.  Answers that say that they are exact must be equal to it.  Of
 * others, bounds that are certain must hold always, and those that hold with
 * a probability, over the whole run, no more seldom than they say.
 *
 *     check-oracle [--questions N | --minutes M]
 *
 * A world is some epochs of packets over few addresses and ports, counted by
 * up to 16 threads in any of the structures, with enough memory or too little.
 * MEASURE_SEED in the environment repeats a run; a failure says the seed of a
 * run whose first world is the one that failed. */

#include <config.h>

#include "check-common.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>

#include "questions/measure-changes.h"
#include "questions/measure-distribution.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"
#include "report/measure-merge.h"

#define MAX_EPOCHS 6
#define MAX_THREADS 16
#define MAX_PACKETS 2500        /* Of an epoch. */
#define QUESTIONS 25            /* About one world. */
#define DEFAULT_QUESTIONS 12000
#define DEFAULT_SECONDS 30      /* After so many it ends in any case. */
#define MAX_CONDITIONS 3

/* Without padding: compared by memcmp(). */
struct key {
    uint8_t family;             /* 4 or 6; 0 if there is no address. */
    uint8_t protocol;
    uint8_t tunnelled;
    uint8_t unused;
    uint16_t source_port, destination_port, vlan, port;
    uint32_t tunnel;
    uint8_t source[16], destination[16];
};

struct packet {
    struct key key;
    uint32_t bytes;
    int epoch;
    int thread;
};

struct row {
    struct key key;
    uint64_t packets, bytes;
    uint64_t spread, ports;     /* For superspreaders. */
    bool seen;
};

struct rows {
    struct row *rows;           /* In the order of memcmp(). */
    size_t n;
    uint64_t packets, bytes;
};

static struct {
    struct random r;
    enum measure_key_kind key_kind;
    enum measure_structure_kind structure;
    int n_epochs, n_threads;
    unsigned int cores[MAX_THREADS];
    struct packet packets[MAX_EPOCHS * MAX_PACKETS];
    size_t n_packets;
    struct key pool[60];        /* What questions are about. */
    struct measure_report *reports[MAX_EPOCHS];
    struct measure_hash_secret secret;
    struct measure_port_names ports;
} world;

static struct {
    uint64_t worlds, questions, refused, exact, bounded, estimated, no_memory;
    uint64_t hitters, prefixes, spreaders, distributions, changes;
    uint64_t change_rows, inexact_change_rows;
    uint64_t counts[MEASURE_N_STRUCTURES], outside[MEASURE_N_STRUCTURES];
} seen;

static uint64_t world_seed;
static char asked[512];         /* The question, for a failure. */

#define CHECK(CONDITION)                                                    \
    do {                                                                    \
        if (!(CONDITION)) {                                                 \
            printf("%s:%d: '%s' does not hold\nMEASURE_SEED=%"PRIu64        \
                   ": %s, %s, %d threads, %d epochs: %s\n"                  \
                   "0 passed, 1 failed\n", __FILE__, __LINE__, #CONDITION,  \
                   world_seed, measure_kind_name(world.key_kind),           \
                   measure_structure_name(world.structure),                 \
                   world.n_threads, world.n_epochs, asked);                 \
            exit(1);                                                        \
        }                                                                   \
    } while (0)

static uint32_t
below(uint32_t n)
{
    return random_below(&world.r, n);
}

static bool
one_in(uint32_t n)
{
    return !below(n);
}

/* What a key of each kind has. */
static const unsigned int fields_by[MEASURE_N_KINDS] = {
    [MEASURE_KIND_FLOW] = MEASURE_FIELDS_FLOW,
    [MEASURE_KIND_PAIR] = MEASURE_FIELDS_PAIR,
    [MEASURE_KIND_SOURCE] = MEASURE_FIELD_SOURCE,
    [MEASURE_KIND_DESTINATION] = MEASURE_FIELD_DESTINATION,
};

static bool
has_fields(unsigned int fields)
{
    return (world.key_kind == MEASURE_KIND_FLOW
            || !(fields & ~fields_by[world.key_kind]));
}

static bool
complete(void)
{
    return (world.structure == MEASURE_LINEAR_TABLE
            || world.structure == MEASURE_CUCKOO_TABLE);
}

/* Packets. */

static struct measure_fields
fields_of(const struct key *key)
{
    struct measure_fields f;

    memset(&f, 0, sizeof f);
    f.family = key->family == 6 ? MEASURE_IPV6 : MEASURE_IPV4;
    memcpy(f.source, key->source, 16);
    memcpy(f.destination, key->destination, 16);
    f.protocol = key->protocol;
    f.source_port = key->source_port;
    f.destination_port = key->destination_port;
    f.vlan = key->vlan;
    f.port = key->port;
    f.tunnelled = key->tunnelled;
    f.tunnel = key->tunnel;
    return f;
}

/* 'addresses' says whether the key has any. */
static struct key
key_of(const struct measure_fields *f, bool addresses)
{
    struct key key;

    memset(&key, 0, sizeof key);
    key.family = !addresses ? 0 : f->family == MEASURE_IPV6 ? 6 : 4;
    memcpy(key.source, f->source, 16);
    memcpy(key.destination, f->destination, 16);
    key.protocol = f->protocol;
    key.source_port = f->source_port;
    key.destination_port = f->destination_port;
    key.vlan = f->vlan;
    key.port = f->port;
    key.tunnelled = f->tunnelled;
    key.tunnel = f->tunnel;
    return key;
}

/* An address of few, which share prefixes of different lengths. */
static void
draw_address(uint8_t *address, int family, uint32_t n)
{
    uint32_t i = below(n);

    if (family == 4) {
        put_be32(address, 0x0a000000 + (i % 3 << 20) + (i % 4 << 13)
                 + i / 4 * (n > 30 ? 3 : 64));
    } else {
        put_be32(address, 0x20010db8 + i % 2);
        put_be32(address + 4, i % 3 << 15);
        put_be32(address + 12, i / 3);
    }
}

static struct key
draw_key(uint32_t n_sources, uint32_t n_destinations, uint32_t ipv6_in,
         uint32_t tunnelled_in)
{
    static const uint8_t protocols[] = { 6, 17, 132, 1, 58, 0 };
    struct key key;

    memset(&key, 0, sizeof key);
    key.family = one_in(ipv6_in) ? 6 : 4;
    draw_address(key.source, key.family, n_sources);
    draw_address(key.destination, key.family, n_destinations);
    key.protocol = protocols[below(below(2) ? 2 : ARRAY_SIZE(protocols))];
    if (key.protocol > 1 && key.protocol != 58) {
        key.source_port = below(4) ? 1024 + below(9) : below(2);
        key.destination_port = below(4) ? 53 + below(5) : 65535;
    }
    key.vlan = below(3) ? 0 : below(3) * 2047 + 1;
    key.port = below(4);
    key.tunnelled = one_in(tunnelled_in);
    key.tunnel = key.tunnelled ? below(3) * 0x7fffffff : 0;
    return key;
}

static void
count(struct measure_tally *const tallies[], size_t first)
{
    struct measure_record records[MAX_THREADS][MEASURE_BURST];
    size_t n[MAX_THREADS] = { 0 };

    for (size_t i = first; i < world.n_packets; i++) {
        const struct packet *p = &world.packets[i];
        struct measure_fields fields = fields_of(&p->key);
        int t = p->thread;

        records[t][n[t]++] = make_record(&fields, p->bytes);
        if (n[t] == MEASURE_BURST || one_in(40)) {
            measure_tally_count(tallies[t], records[t], n[t]);
            n[t] = 0;
        }
    }
    for (int t = 0; t < world.n_threads; t++) {
        measure_tally_count(tallies[t], records[t], n[t]);
    }
}

/* What an epoch of 'world' counts in. */
static struct measure_tally *
open_tally(bool full, uint32_t max_lines)
{
    uint32_t lines[MEASURE_N_LAYOUTS], none[MEASURE_N_LAYOUTS] = { 0 };
    struct measure_structure_threshold threshold = {
        .min_packets = 1 + below(3), .min_bytes = 1 + below(300),
    };
    struct measure_tally *tally = measure_tally_create(&world.secret, &budget,
                                                       MEASURE_ANY_NODE);

    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        lines[i] = full ? 1 + below(max_lines) : 4 * MAX_PACKETS;
    }
    CHECK(measure_tally_reset(tally, lines, none));
    if (full) {
        for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
            for (int j = below(3); j > 0; j--) {
                CHECK(measure_tally_add_table(tally, i, 1 + below(max_lines)));
            }
        }
    }
    if (world.structure != MEASURE_LINEAR_TABLE) {
        CHECK(measure_tally_use_structure(tally, world.structure,
                                          1024 << below(full ? 6 : 10)));
    }
    measure_tally_begin(tally, world.key_kind);
    if (tally->structure) {
        measure_structure_begin(tally->structure, &threshold);
    }
    return tally;
}

static void
open_world(uint64_t seed)
{
    uint32_t n_sources, n_destinations, ipv6_in, tunnelled_in, shuffle;
    bool may_be_full;

    world_seed = seed;
    world.r = random_from(seed);
    measure_hash_secret_init(&world.secret, seed);
    for (int i = 1; i <= 3; i++) {
        char name[] = { 'p', '0' + i, '\0' };

        CHECK(measure_port_number(&world.ports, name) == i);
    }
    world.key_kind = one_in(3) ? below(MEASURE_N_KINDS) : MEASURE_KIND_FLOW;
    world.structure = one_in(3) ? below(MEASURE_N_STRUCTURES)
                      : MEASURE_LINEAR_TABLE;
    world.n_epochs = 1 + below(MAX_EPOCHS);
    world.n_threads = 1 + below(below(2) ? 3 : MAX_THREADS);
    world.n_packets = 0;
    n_sources = 1 + below(below(2) ? 5 : 400);
    n_destinations = 1 + below(below(2) ? 5 : 400);
    ipv6_in = 1 + below(9);
    tunnelled_in = 1 + below(9);
    shuffle = below(3);         /* How flows come to threads. */
    may_be_full = one_in(3);
    for (int i = 0; i < world.n_threads; i++) {
        world.cores[i] = 2 * i + 1;
    }
    for (size_t i = 0; i < ARRAY_SIZE(world.pool); i++) {
        world.pool[i] = draw_key(n_sources, n_destinations, ipv6_in,
                                 tunnelled_in);
    }

    for (int epoch = 0; epoch < world.n_epochs; epoch++) {
        struct measure_tally *tallies[MAX_THREADS];
        size_t first = world.n_packets;
        uint32_t n = below(below(2) ? 60 : MAX_PACKETS + 1);
        bool full = may_be_full && below(2);
        uint32_t favourites = 1 + below(ARRAY_SIZE(world.pool));
        uint32_t max_lines = 1 + below(40);

        for (uint32_t i = 0; i < n; i++) {
            struct packet *p = &world.packets[world.n_packets++];

            p->key = (below(3) ? world.pool[below(favourites)]
                      : draw_key(n_sources, n_destinations, ipv6_in,
                                 tunnelled_in));
            p->bytes = below(5) ? 64 + below(4) : 64 + below(9000);
            p->epoch = epoch;
            p->thread = ((shuffle == 0 ? below(world.n_threads)
                          : shuffle == 1 ? p->key.source_port
                          : p->key.source[3] + p->key.destination[15])
                         % world.n_threads);
        }
        for (int i = 0; i < world.n_threads; i++) {
            tallies[i] = open_tally(full, max_lines);
        }
        count(tallies, first);
        world.reports[epoch]
            = measure_report_merge(tallies, world.n_threads, world.key_kind,
                                   &world.secret, &budget);
        measure_report_keep_threads(world.reports[epoch], tallies, world.cores,
                                    world.n_threads);
        world.reports[epoch]->number = epoch + 1;
        world.reports[epoch]->start_ms = 1000 * epoch;
        world.reports[epoch]->duration_ms = 1 + below(3000);
        for (int i = 0; i < world.n_threads; i++) {
            measure_tally_destroy(tallies[i]);
        }
    }
    seen.worlds++;
}

static void
close_world(void)
{
    for (int i = 0; i < world.n_epochs; i++) {
        measure_report_destroy(world.reports[i]);
    }
    measure_port_names_destroy(&world.ports);
    memset(&world.ports, 0, sizeof world.ports);
    measure_memory_trim(&budget, 0);
    CHECK(!measure_budget_used(&budget));
}

/* The oracle: filters. */

struct condition {
    enum measure_field field;
    int family;
    uint8_t address[16];
    unsigned int bits;
    uint32_t number;
};

struct scope {
    int first, n;               /* Epochs. */
    int thread;                 /* -1 for all. */
    int n_conditions;
    struct condition conditions[MAX_CONDITIONS];
    char where[300];

    /* The same for the library. */
    struct measure_filter filter;
    struct measure_scope scope;
};

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

/* Draws what a question is about, and begins its text. */
static void
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
    snprintf(asked, sizeof asked, "epochs %d to %d, thread %d, where=%s,",
             s->first + 1, s->first + s->n, s->thread, s->where);
    if (s->n_conditions) {
        error = measure_filter_parse(s->where, &world.ports, &s->filter);
        CHECK(!error);
        s->scope.filter = &s->filter;
    }
}

/* The oracle: groups. */

struct group_by {
    unsigned int fields;
    unsigned int source_bits, destination_bits;
};

static struct key
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

static int
compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct key));
}

/* Adds up rows of the same key, which 'rows' may have in any order. */
static void
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

static struct rows
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

static struct row *
find_row(const struct rows *rows, const struct key *key)
{
    return (rows->n ? bsearch(key, rows->rows, rows->n, sizeof *rows->rows,
                              compare_keys) : NULL);
}

/* Sums up all packets in 's', whatever the filter. */
static struct row
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
static int
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

static bool sort_by_bytes;
static bool sort_by_ports;

static int
compare_sizes(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;
    uint64_t a_size = sort_by_bytes ? a->bytes : a->packets;
    uint64_t b_size = sort_by_bytes ? b->bytes : b->packets;

    return (a_size > b_size ? -1 : a_size < b_size ? 1
            : compare_order(&a->key, &b->key));
}

static int
compare_spreads(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;
    uint64_t a_size = sort_by_ports ? a->ports : a->spread;
    uint64_t b_size = sort_by_ports ? b->ports : b->spread;

    return (a_size > b_size ? -1 : a_size < b_size ? 1
            : compare_order(&a->key, &b->key));
}

/* Draws a group and appends its text to 'by'. */
static struct group_by
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

/* Checks what 's' and 'g' may be asked for.  Returns false if not. */
static bool
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

/* The same for a question that needs every key. */
static bool
check_complete(const struct scope *s)
{
    char *error = measure_scope_check_complete(&s->scope, "?");

    CHECK(complete() == !error);
    seen.refused += !complete();
    free(error);
    return complete();
}

/* Checks the totals of 's', and counts what kind of answer it will have. */
static void
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

/* Heavy hitters. */

static bool
draw_threshold(struct measure_threshold *threshold)
{
    static const double shares[] = { .1, 1, 5, 20, 50, 100 };

    threshold->unit = below(3);
    threshold->value = (threshold->unit == MEASURE_SHARE
                        ? shares[below(ARRAY_SIZE(shares))]
                        : threshold->unit == MEASURE_PACKETS_PER_SECOND
                        ? 1 + below(100) : 1000 * (1 + below(1000)));
    return true;
}

static bool
is_heavy(const struct scope *s, const struct measure_hitters_question *q,
         const struct row *sum, uint64_t packets, uint64_t bytes)
{
    bool by_bytes = q->sort == MEASURE_SORT_BYTES;
    double ms = 0, size, least;

    for (int i = 0; i < s->n; i++) {
        ms += world.reports[s->first + i]->duration_ms;
    }
    if (q->threshold.unit == MEASURE_SHARE) {
        size = by_bytes ? bytes : packets;
        least = q->threshold.value * (by_bytes ? sum->bytes : sum->packets)
                / 100;
    } else if (q->threshold.unit == MEASURE_PACKETS_PER_SECOND) {
        size = packets;
        least = q->threshold.value * ms / 1000;
    } else {
        size = bytes * 8.;
        least = q->threshold.value * ms / 1000;
    }
    return size >= least * (1 - 1e-9);
}

static void
check_exact_hitters(const struct scope *s,
                    const struct measure_hitters_question *q,
                    const struct measure_hitters_answer *answer,
                    struct rows *truth, bool addresses)
{
    struct row sum = all_packets(s);
    uint64_t packets = s->n_conditions ? truth->packets : sum.packets;
    uint64_t bytes = s->n_conditions ? truth->bytes : sum.bytes;
    size_t n = 0;

    CHECK(answer->keys == truth->n);
    CHECK(answer->packets == truth->packets);
    CHECK(answer->bytes == truth->bytes);
    sort_by_bytes = q->sort == MEASURE_SORT_BYTES;
    qsort(truth->rows, truth->n, sizeof *truth->rows, compare_sizes);
    for (size_t i = 0; i < truth->n && (!q->n || n < q->n); i++) {
        const struct row *row = &truth->rows[i];
        const struct measure_hitters_row *got = &answer->rows[n];
        bool heavy = is_heavy(s, q, &sum, row->packets, row->bytes);
        struct key key;

        if (q->heavy_only && !heavy) {
            continue;
        }
        CHECK(n < answer->n_rows);
        key = key_of(&got->fields, addresses);
        CHECK(!compare_keys(&key, &row->key));
        CHECK(got->packets == row->packets && got->bytes == row->bytes);
        CHECK(!got->packets_error_max && !got->bytes_error_max);
        CHECK(got->heavy == heavy && got->may_be_heavy == heavy);
        packets -= row->packets;
        bytes -= row->bytes;
        n++;
    }
    CHECK(answer->n_rows == n && !answer->omitted_rows);
    CHECK(answer->other_known && answer->other_packets == packets);
    CHECK(answer->other_bytes == bytes && answer->other_keys == truth->n - n);
}

/* Rows that may be too low by what overflowed, or too high. */
static void
check_bounded_hitters(const struct scope *s,
                      const struct measure_hitters_question *q,
                      const struct measure_hitters_answer *answer,
                      struct rows *truth, const struct measure_totals *totals,
                      bool addresses)
{
    const struct measure_counters *c = &totals->counters;
    bool certain = !totals->error_probability;
    struct row sum = all_packets(s);
    uint64_t packets = 0;

    for (size_t i = 0; i < answer->n_rows; i++) {
        const struct measure_hitters_row *got = &answer->rows[i];
        struct key key = key_of(&got->fields, addresses);
        struct row *row = find_row(truth, &key);
        bool outside[2], heavy;

        CHECK(row && !row->seen);
        row->seen = true;
        packets += got->packets;
        CHECK(i == 0 || (q->sort == MEASURE_SORT_BYTES
                         ? got[-1].bytes >= got->bytes
                         : got[-1].packets >= got->packets));
        heavy = is_heavy(s, q, &sum, row->packets, row->bytes);
        CHECK(heavy ? got->may_be_heavy : !certain || !got->heavy);
        CHECK(!q->heavy_only || got->may_be_heavy);
        if (!totals->estimates) {
            CHECK(got->packets <= row->packets && got->bytes <= row->bytes);
            CHECK(got->packets + got->packets_error_max >= row->packets);
            CHECK(got->bytes + got->bytes_error_max >= row->bytes);
            continue;
        }
        CHECK(got->packets + c->overflow_packets >= row->packets);
        CHECK(got->bytes + c->overflow_bytes >= row->bytes);
        CHECK(got->packets + got->packets_error_max >= row->packets);
        CHECK(got->bytes + got->bytes_error_max >= row->bytes);
        outside[0] = got->packets > row->packets + got->packets_error_max;
        outside[1] = got->bytes > row->bytes + got->bytes_error_max;
        CHECK(!certain || (!outside[0] && !outside[1]));
        seen.counts[world.structure] += 2;
        seen.outside[world.structure] += outside[0] + outside[1];
    }
    CHECK(answer->other_known == !totals->estimates);
    if (!totals->estimates && !s->n_conditions) {
        CHECK(packets + answer->other_packets == c->packets);
    }
    for (size_t i = 0; i < truth->n && !q->n; i++) {
        const struct row *row = &truth->rows[i];

        /* All rows were asked for, or all heavy ones. */
        if (!row->seen
            && (!q->heavy_only
                || is_heavy(s, q, &sum, row->packets, row->bytes))) {
            CHECK(row->packets <= answer->missed.packets);
            CHECK(row->bytes <= answer->missed.bytes);
        }
    }
}

static void
draw_hitters(struct measure_hitters_question *q, const char *by)
{
    memset(q, 0, sizeof *q);
    CHECK(measure_hitters_parse_by(by, q));
    q->sort = below(2) ? MEASURE_SORT_PACKETS : MEASURE_SORT_BYTES;
    q->heavy_only = below(2);
    q->n = below(2) ? 0 : 1 + below(10);
    q->threshold_text = "?";
    draw_threshold(&q->threshold);
    snprintf(asked + strlen(asked), sizeof asked - strlen(asked),
             " heavy-hitters by=%s sort=%d heavy %d n=%d threshold %d:%g",
             by, q->sort, q->heavy_only, (int) q->n, q->threshold.unit,
             q->threshold.value);
}

static void
ask_hitters(void)
{
    struct measure_hitters_question q;
    struct measure_hitters_answer answer;
    struct measure_totals totals;
    struct rows truth;
    struct group_by g;
    struct scope s;
    char by[200];
    bool addresses;

    draw_scope(&s);
    g = draw_group(by, sizeof by);
    draw_hitters(&q, by);
    if (!check_scope(&s, &g, &q.group_by)) {
        return;
    }
    check_totals(&s, &totals);
    truth = group_packets(&s, &g);
    addresses = g.fields & MEASURE_FIELDS_PAIR;
    CHECK(measure_hitters_ask(&s.scope, &q, &answer));
    if (measure_totals_exact(&totals)) {
        check_exact_hitters(&s, &q, &answer, &truth, addresses);
    } else {
        check_bounded_hitters(&s, &q, &answer, &truth, &totals, addresses);
    }
    measure_hitters_answer_destroy(&answer);
    free(truth.rows);
    seen.hitters++;
}

/* Hierarchical heavy hitters: from the longest prefixes up, those whose
 * addresses that are in no heavy prefix yet add up to the threshold. */
static void
ask_prefixes(void)
{
    bool destination = below(2);
    struct group_by g = { (destination ? MEASURE_FIELD_DESTINATION
                           : MEASURE_FIELD_SOURCE), 128, 128 };
    struct measure_hitters_question q;
    struct measure_hitters_answer answer;
    struct measure_totals totals;
    struct rows addresses;
    struct scope s;
    struct row sum;
    size_t n_found = 0;
    bool exact;

    draw_scope(&s);
    draw_hitters(&q, destination ? "destination/*" : "source/*");
    q.heavy_only = true;
    q.n = 0;
    if (!check_complete(&s) || !check_scope(&s, &g, &q.group_by)) {
        return;
    }
    check_totals(&s, &totals);
    CHECK(measure_hitters_ask(&s.scope, &q, &answer));
    seen.prefixes++;
    sum = all_packets(&s);
    addresses = group_packets(&s, &g);
    exact = measure_totals_exact(&totals);
    CHECK(!exact || answer.packets == addresses.packets);
    for (int bits = 128; bits > 0; bits -= 8) {
        struct group_by prefix = { g.fields, bits, bits };
        struct rows left = { .n = 0 }, all = { .n = 0 };

        left.rows = calloc(addresses.n + 1, sizeof *left.rows);
        all.rows = calloc(addresses.n + 1, sizeof *all.rows);
        for (size_t i = 0; i < addresses.n; i++) {
            const struct row *address = &addresses.rows[i];
            struct row row = *address;

            if (address->key.family == 4 ? bits > 32 : bits % 16) {
                continue;
            }
            row.key = group_key(&address->key, &prefix);
            row.seen = false;
            all.rows[all.n++] = row;
            if (!address->seen) {
                left.rows[left.n++] = row;
            }
        }
        add_up(&left);
        add_up(&all);
        for (size_t i = 0; i < left.n; i++) {
            const struct row *row = &left.rows[i];
            const struct row *with = find_row(&all, &row->key);
            const struct measure_hitters_row *found = NULL;
            bool heavy;

            for (size_t j = 0; j < answer.n_rows; j++) {
                struct key key = key_of(&answer.rows[j].fields, true);

                if (answer.rows[j].bits == (unsigned int) bits
                    && !compare_keys(&key, &row->key)) {
                    found = &answer.rows[j];
                }
            }
            heavy = is_heavy(&s, &q, &sum, row->packets, row->bytes);
            CHECK(found || !heavy
                  || (with->packets <= totals.counters.overflow_packets
                      && with->bytes <= totals.counters.overflow_bytes));
            CHECK(!found || heavy || !found->heavy);
            if (found) {
                CHECK(!exact || found->heavy);
                CHECK(!exact || (!found->packets_error_max
                                 && !found->bytes_error_max));
                CHECK(found->packets <= row->packets);
                CHECK(found->bytes <= row->bytes);
                CHECK(found->packets + found->packets_error_max
                      >= row->packets);
                CHECK(found->bytes + found->bytes_error_max >= row->bytes);
                CHECK(found->prefix_packets <= with->packets);
                CHECK(found->prefix_bytes <= with->bytes);
                CHECK(found->prefix_packets
                      + totals.counters.overflow_packets >= with->packets);
                CHECK(found->prefix_bytes
                      + totals.counters.overflow_bytes >= with->bytes);
                n_found++;
            }
            if (!heavy) {
                continue;
            }
            for (size_t j = 0; j < addresses.n; j++) {
                struct key key = group_key(&addresses.rows[j].key, &prefix);

                addresses.rows[j].seen |= !compare_keys(&key, &row->key);
            }
        }
        free(left.rows);
        free(all.rows);
    }
    CHECK(!exact || n_found == answer.n_rows);
    measure_hitters_answer_destroy(&answer);
    free(addresses.rows);
}

/* Superspreaders. */

static void
ask_spreaders(void)
{
    static const unsigned int fields[] = {
        [MEASURE_SUPERSPREADERS_BY_SOURCE] = MEASURE_FIELD_SOURCE,
        [MEASURE_SUPERSPREADERS_BY_DESTINATION] = MEASURE_FIELD_DESTINATION,
        [MEASURE_SUPERSPREADERS_BY_SOURCE_PORT]
            = MEASURE_FIELD_SOURCE | MEASURE_FIELD_SOURCE_PORT,
    };
    enum measure_superspreaders_by by = below(3);
    bool ports = (by != MEASURE_SUPERSPREADERS_BY_DESTINATION
                  && world.key_kind == MEASURE_KIND_FLOW);
    struct group_by g = { fields[by], 128, 128 };
    struct group_by pair = { fields[by] | MEASURE_FIELDS_PAIR, 128, 128 };
    struct group_by triple = { pair.fields | MEASURE_FIELD_DESTINATION_PORT,
                            128, 128 };
    struct measure_superspreaders_question q = {
        .by = by, .sort_by_ports = ports && below(2),
        .min = 1 + below(below(2) ? 3 : 100), .n = below(2) ? 0 : below(10),
    };
    struct measure_superspreaders_answer answer;
    struct measure_totals totals;
    struct measure_group_by group_by;
    struct rows rows, pairs, triples;
    struct scope s;
    size_t n = 0, n_listed = 0;

    draw_scope(&s);
    snprintf(asked + strlen(asked), sizeof asked - strlen(asked),
             " superspreaders by=%d min=%d n=%d ports %d", by, (int) q.min,
             (int) q.n, q.sort_by_ports);
    measure_superspreaders_group(by, &group_by);
    if (!check_complete(&s) || !check_scope(&s, &pair, &group_by)) {
        return;
    }
    check_totals(&s, &totals);
    rows = group_packets(&s, &g);
    pairs = group_packets(&s, &pair);
    triples = group_packets(&s, &triple);
    for (size_t i = 0; i < pairs.n; i++) {
        struct key key = group_key(&pairs.rows[i].key, &g);

        find_row(&rows, &key)->spread++;
    }
    for (size_t i = 0; i < triples.n; i++) {
        struct key key = group_key(&triples.rows[i].key, &g);

        find_row(&rows, &key)->ports++;
    }
    CHECK(measure_superspreaders_ask(&s.scope, &q, &answer));
    seen.spreaders++;
    CHECK(answer.error_max == totals.counters.overflow_packets);
    for (size_t i = 0; i < answer.n_rows; i++) {
        const struct measure_superspreaders_row *got = &answer.rows[i];
        struct key key = key_of(&got->fields, true);
        struct row *row = find_row(&rows, &key);

        CHECK(row && !row->seen);
        row->seen = true;
        CHECK(got->spread <= row->spread);
        CHECK(got->spread + answer.error_max >= row->spread);
        CHECK(!ports || got->ports <= row->ports);
        CHECK(!ports || got->ports + answer.error_max >= row->ports);
        CHECK(got->packets <= row->packets && got->bytes <= row->bytes);
        CHECK(got->packets + answer.error_max >= row->packets);
        CHECK(answer.error_max || got->bytes == row->bytes);
        CHECK((q.sort_by_ports ? got->ports : got->spread) >= q.min);
    }
    if (measure_totals_exact(&totals)) {
        sort_by_ports = q.sort_by_ports;
        qsort(rows.rows, rows.n, sizeof *rows.rows, compare_spreads);
        for (size_t i = 0; i < rows.n; i++) {
            const struct row *row = &rows.rows[i];

            if ((sort_by_ports ? row->ports : row->spread) < q.min) {
                break;
            }
            n++;
            if (n_listed < answer.n_rows) {
                struct key key = key_of(&answer.rows[n_listed++].fields,
                                        true);

                CHECK(!compare_keys(&key, &row->key));
            }
        }
        CHECK(answer.keys == rows.n);
        CHECK(answer.n_rows == (q.n && q.n < n ? q.n : n));
        CHECK(answer.omitted_rows == n - answer.n_rows);
    }
    measure_superspreaders_answer_destroy(&answer);
    free(rows.rows);
    free(pairs.rows);
    free(triples.rows);
}

/* Distribution.  The oracle writes what the answer must be. */

struct text {
    char s[20000];
    size_t n;
};

static void __attribute__((format(printf, 2, 3)))
append(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text->n += vsnprintf(text->s + text->n, sizeof text->s - text->n, format,
                         args);
    va_end(args);
    CHECK(text->n < sizeof text->s);
}

static void
append_buckets(struct text *text, const struct rows *flows, bool bytes)
{
    const char *what = bytes ? "bytes" : "packets";
    const char *comma = "";

    append(text, "\"flows-by-%s\":[", what);
    for (uint64_t min = 1; min; min *= 2) {
        uint64_t n = 0, n_packets = 0, n_bytes = 0;

        for (size_t i = 0; i < flows->n; i++) {
            const struct row *row = &flows->rows[i];
            uint64_t size = bytes ? row->bytes : row->packets;

            if (size >= min && size <= 2 * min - 1) {
                n++;
                n_packets += row->packets;
                n_bytes += row->bytes;
            }
        }
        if (n) {
            append(text, "%s{\"%s-min\":%"PRIu64",\"%s-max\":%"PRIu64","
                   "\"flows\":%"PRIu64",\"packets\":%"PRIu64",\"bytes\":%"
                   PRIu64"}", comma, what, min, what, 2 * min - 1, n,
                   n_packets, n_bytes);
            comma = ",";
        }
    }
    append(text, "],");
}

static int
compare_numbers(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static void
append_quantiles(struct text *text, const struct rows *flows)
{
    static const struct {
        const char *name;
        double share;
    } all[] = {
        { "minimum", 0 }, { "25%", .25 }, { "50%", .5 }, { "75%", .75 },
        { "90%", .9 }, { "99%", .99 }, { "99.9%", .999 }, { "maximum", 1 },
    };
    uint64_t *packets = calloc(flows->n + 1, sizeof *packets);
    uint64_t *bytes = calloc(flows->n + 1, sizeof *bytes);

    for (size_t i = 0; i < flows->n; i++) {
        packets[i] = flows->rows[i].packets;
        bytes[i] = flows->rows[i].bytes;
    }
    qsort(packets, flows->n, sizeof *packets, compare_numbers);
    qsort(bytes, flows->n, sizeof *bytes, compare_numbers);
    append(text, "\"quantiles\":[");
    for (size_t i = 0; flows->n && i < ARRAY_SIZE(all); i++) {
        /* The smallest value that so many are not above. */
        size_t rank = ceil(all[i].share * flows->n - 1e-9);

        rank = rank ? rank - 1 : 0;
        append(text, "%s{\"quantile\":\"%s\",\"packets\":%"PRIu64","
               "\"bytes\":%"PRIu64"}", i ? "," : "", all[i].name,
               packets[rank], bytes[rank]);
    }
    append(text, "],");
    free(packets);
    free(bytes);
}

static void
append_entropy(struct text *text, const struct scope *s, const char *name,
               unsigned int field, bool first)
{
    bool port = field & ~MEASURE_FIELDS_PAIR;
    struct group_by g
        = { field | (port ? MEASURE_FIELD_PROTOCOL : 0), 128, 128 };
    struct rows rows = group_packets(s, &g);
    struct rows counted = { .n = 0 };
    double bits = 0;

    /* Ports are those of protocols that have some, added up over these. */
    counted.rows = calloc(rows.n + 1, sizeof *counted.rows);
    for (size_t i = 0; i < rows.n; i++) {
        struct row row = rows.rows[i];

        if (!port || row.key.protocol == 6 || row.key.protocol == 17
            || row.key.protocol == 132) {
            row.key.protocol = 0;
            counted.rows[counted.n++] = row;
        }
    }
    add_up(&counted);
    for (size_t i = 0; i < counted.n; i++) {
        double share = (double) counted.rows[i].packets / counted.packets;

        bits -= share * log2(share);
    }
    append(text, "%s{\"of\":\"%s\",\"keys\":%zu,\"packets\":%"PRIu64
           ",\"bits\":%.6f,\"normalised\":%.6f}", first ? "" : ",", name,
           counted.n, counted.packets, bits,
           counted.n > 1 ? bits / log2(counted.n) : 0);
    free(rows.rows);
    free(counted.rows);
}

/* Returns true if 'a' and 'b' are the same, with numbers that have decimals
 * nearly so. */
static bool
nearly_same(const char *a, const char *b)
{
    while (*a || *b) {
        if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
            char *a_end, *b_end;
            double a_value = strtod(a, &a_end), b_value = strtod(b, &b_end);
            bool decimals = (memchr(a, '.', a_end - a)
                             || memchr(b, '.', b_end - b));

            if (decimals ? fabs(a_value - b_value) > .00101
                : a_end - a != b_end - b || memcmp(a, b, a_end - a)) {
                return false;
            }
            a = a_end;
            b = b_end;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return true;
}

static void
ask_distribution(void)
{
    struct measure_output *o;
    struct measure_totals totals;
    struct measure_group_by group_by;
    static struct text text;
    struct group_by g = { fields_by[world.key_kind], 128, 128 };
    struct rows flows;
    struct scope s;
    char *got, *tail;

    draw_scope(&s);
    snprintf(asked + strlen(asked), sizeof asked - strlen(asked),
             " distribution");
    measure_distribution_group(&s.scope, &group_by);
    if (!check_complete(&s) || !check_scope(&s, &g, &group_by)) {
        return;
    }
    check_totals(&s, &totals);
    o = measure_output_create(MEASURE_JSON);
    CHECK(measure_distribution_write(o, &s.scope));
    got = measure_output_finish(o);
    seen.distributions++;
    if (measure_totals_exact(&totals)) {
        flows = group_packets(&s, &g);
        text.n = 0;
        append(&text, "\"flows\":%zu,", flows.n);
        append_buckets(&text, &flows, false);
        append_buckets(&text, &flows, true);
        append_quantiles(&text, &flows);
        append(&text, "\"entropy\":[");
        if (measure_kind_has_source(world.key_kind)) {
            append_entropy(&text, &s, "source", MEASURE_FIELD_SOURCE, true);
        }
        if (measure_kind_has_destination(world.key_kind)) {
            append_entropy(&text, &s, "destination",
                           MEASURE_FIELD_DESTINATION,
                           !measure_kind_has_source(world.key_kind));
        }
        if (world.key_kind == MEASURE_KIND_FLOW) {
            append_entropy(&text, &s, "source-port",
                           MEASURE_FIELD_SOURCE_PORT, false);
            append_entropy(&text, &s, "destination-port",
                           MEASURE_FIELD_DESTINATION_PORT, false);
        }
        append(&text, "]}");
        tail = strstr(got, "\"flows\":");
        CHECK(tail);
        if (!nearly_same(tail, text.s)) {
            printf("got      %s\nexpected %s\n", tail, text.s);
            CHECK(!"the same distribution");
        }
        free(flows.rows);
    }
    free(got);
}

/* Changes, over all epochs.  The oracle keeps the expectation of each key in
 * a list. */

struct expected {
    struct key key;
    double m, v;
    uint32_t unseen, hold;
    bool vanished;
};

struct history {
    struct measure_expectations_config config;
    struct expected keys[MAX_EPOCHS * MAX_PACKETS];
    size_t n;
    int epoch;
    bool exact;                 /* All epochs so far. */
};

static bool
has_changed(const struct history *h, const struct expected *e, double x,
            double slack)
{
    double m = e->m + slack;
    double larger = x > m ? x : m, smaller = x > m ? m : x;

    return (x != m && larger >= h->config.floor
            && larger >= h->config.factor * smaller
            && larger - smaller >= h->config.deviations * sqrt(e->v));
}

/* Checks the rows that the library found in an epoch in which 'truth' is what
 * was there, and takes that into the history. */
static void
check_changes(struct history *h, const struct rows *truth,
              const struct measure_change_row *rows, size_t n_rows,
              enum measure_layout layout, bool exact)
{
    struct expected *e = h->keys;
    bool warm = h->epoch > 1 && h->epoch > (int) h->config.warm_up;
    double alpha = h->config.alpha;
    size_t n_changes = 0, n = 0;

    CHECK(!n_rows || warm);
    for (size_t i = 0; i < truth->n; i++) {
        size_t j = 0;

        while (j < h->n && compare_keys(&e[j].key, &truth->rows[i].key)) {
            j++;
        }
        if (j == h->n) {
            memset(&e[h->n++], 0, sizeof *e);
            e[j].key = truth->rows[i].key;
        }
    }
    for (size_t i = 0; i < n_rows; i++) {
        const struct measure_change_row *got = &rows[i];
        struct measure_fields fields;
        struct expected *key = NULL;
        struct expected unknown;
        struct key k;
        const struct row *row;
        double x;

        measure_fields_from_key(&fields, layout, got->key);
        k = key_of(&fields, true);
        for (size_t j = 0; j < h->n && !key; j++) {
            key = compare_keys(&e[j].key, &k) ? NULL : &e[j];
        }
        if (!key) {
            /* It was forgotten, but may have been expected. */
            memset(&unknown, 0, sizeof unknown);
            key = &unknown;
            CHECK(!exact);
        }
        row = find_row(truth, &k);
        x = !row ? 0 : h->config.bytes ? row->bytes : row->packets;
        CHECK(got->value <= x && got->value + got->value_error >= x);
        CHECK(got->expectation <= key->m + .01);
        CHECK(got->expectation + got->expectation_error >= key->m - .01);
        CHECK(got->deviation >= sqrt(key->v) - .01);
        CHECK(has_changed(h, key, x, 0) || has_changed(h, key, x, .01)
              || has_changed(h, key, x, -.01));
        CHECK(got->kind != MEASURE_APPEARED || key->m < .01);
        CHECK(got->kind != MEASURE_VANISHED || x == 0);
        CHECK(got->kind != MEASURE_GREW || x > key->m);
        CHECK(got->kind != MEASURE_SHRANK || x < key->m);
        CHECK(!exact || (!got->value_error && !got->expectation_error));
        *(exact ? &seen.change_rows : &seen.inexact_change_rows) += 1;
    }
    for (size_t i = 0; i < h->n; i++) {
        const struct row *row = find_row(truth, &e[i].key);
        double x = !row ? 0 : h->config.bytes ? row->bytes : row->packets;
        double d = x - e[i].m;

        if (warm && has_changed(h, &e[i], x, 0)
            && !(e[i].vanished && x == 0)) {
            if (!e[i].hold) {
                n_changes++;
                e[i].vanished = x == 0;
                e[i].hold = h->config.hold_down + 1;
            }
        }
        e[i].hold -= e[i].hold > 0;
        if (h->epoch == 1) {
            e[i].m = x;
        } else {
            e[i].m += alpha * d;
            e[i].v = (1 - alpha) * (e[i].v + alpha * d * d);
        }
        e[i].unseen = x > 0 ? 0 : e[i].unseen + 1;
        e[i].vanished &= x == 0;
        if ((x >= h->config.floor / 16 || e[i].m >= h->config.floor / 16)
            && e[i].unseen < ceil(log(1000) / -log(1 - alpha))) {
            e[n++] = e[i];
        }
    }
    h->n = n;
    CHECK(!exact || n_rows == n_changes);
}

static void
ask_changes(void)
{
    static struct measure_change_row rows[2 * MAX_EPOCHS * MAX_PACKETS];
    static struct history histories[MEASURE_N_LAYOUTS];
    enum measure_key_kind key_kind = below(MEASURE_N_KINDS);
    struct group_by g = { fields_by[key_kind], 128, 128 };
    bool too_small = one_in(4);
    struct measure_expectations_config config = {
        .max_keys = too_small ? 1 + below(100) : 8000,
        .bytes = one_in(4),
        .alpha = .1 + below(80) / 100.,
        .factor = below(2) ? 0 : 1 + below(4),
        .deviations = below(2) ? 0 : below(3),
        .floor = 1 + below(100),
        .warm_up = below(3),
        .hold_down = below(3),
    };
    struct measure_expectations change[MEASURE_N_LAYOUTS];
    struct measure_expectations *pointers[MEASURE_N_LAYOUTS];
    struct scope s;

    if (!complete() || !has_fields(fields_by[key_kind])) {
        return;
    }
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        void *memory;

        config.layout = i;
        CHECK(!posix_memalign(&memory, 64,
                              measure_expectations_size(&config)));
        measure_expectations_init(&change[i], &config, &world.secret, memory);
        pointers[i] = &change[i];
        histories[i] = (struct history) { .config = config, .exact = true };
    }
    memset(&s, 0, sizeof s);
    s.thread = -1;
    s.n = 1;
    for (s.first = 0; s.first < world.n_epochs; s.first++) {
        struct measure_scope scope = {
            .reports = ((const struct measure_report *const *)
                        &world.reports[s.first]),
            .n_reports = 1,
        };
        bool starved = one_in(6), ok;
        struct rows truth = group_packets(&s, &g);

        snprintf(asked, sizeof asked, "changes by %s, epoch %d, bytes %d, "
                 "max-keys %d", measure_kind_name(key_kind), s.first + 1,
                 config.bytes, (int) config.max_keys);
        if (starved) {
            measure_report_forget_groups(world.reports[s.first]);
            measure_memory_trim(&budget, 0);
            budget.limit = 1;
        }
        ok = measure_changes_add(&scope, key_kind, pointers);
        budget.limit = 0;
        CHECK(ok || starved);
        seen.no_memory += !ok;
        for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
            /* Packets of IPv4 out of a tunnel have the other layout if that
             * is part of the key. */
            struct rows part = { .n = 0 };
            bool exact = measure_expectations_is_exact(&change[i]);
            size_t n = measure_expectations_close(&change[i], rows,
                                                  ARRAY_SIZE(rows));

            CHECK(ok || !n);
            if (!ok) {
                continue;
            }
            part.rows = calloc(truth.n + 1, sizeof *part.rows);
            for (size_t j = 0; j < truth.n; j++) {
                if ((truth.rows[j].key.family == 6
                     || truth.rows[j].key.tunnelled) == (i == MEASURE_WIDE)) {
                    part.rows[part.n++] = truth.rows[j];
                }
            }
            histories[i].epoch++;
            exact = (exact && histories[i].exact
                     && !change[i].refused_adds);
            histories[i].exact = exact;
            check_changes(&histories[i], &part, rows, n, i, exact);
            free(part.rows);
        }
        free(truth.rows);
    }
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        free(change[i].rows);
    }
    seen.changes++;
}

/* No memory: an answer says so, and has no rows. */
static void
ask_without_memory(void)
{
    struct measure_hitters_question q;
    struct measure_hitters_answer answer;
    struct rows truth;
    struct group_by g;
    struct scope s;
    char by[200];

    draw_scope(&s);
    g = draw_group(by, sizeof by);
    draw_hitters(&q, by);
    if (!check_scope(&s, &g, &q.group_by)) {
        return;
    }
    measure_memory_trim(&budget, 0);
    budget.limit = 1;
    truth = group_packets(&s, &g);
    if (!measure_hitters_ask(&s.scope, &q, &answer)) {
        CHECK(!answer.n_rows);
        seen.no_memory++;
    } else {
        struct measure_totals totals;

        check_totals(&s, &totals);
        if (measure_totals_exact(&totals)) {
            check_exact_hitters(&s, &q, &answer, &truth,
                                g.fields & MEASURE_FIELDS_PAIR);
        }
    }
    budget.limit = 0;
    measure_hitters_answer_destroy(&answer);
    free(truth.rows);
}

static void
ask_questions(void)
{
    for (int i = 0; i < QUESTIONS; i++) {
        uint32_t kind = below(100);

        seen.questions++;
        if (kind < 45) {
            ask_hitters();
        } else if (kind < 60) {
            ask_prefixes();
        } else if (kind < 78) {
            ask_spreaders();
        } else if (kind < 88) {
            ask_distribution();
        } else if (kind < 94) {
            ask_changes();
        } else {
            ask_without_memory();
        }
    }
}

/* Returns true if the bounds of 'kind' held as often as they say. */
static bool
bounds_hold(enum measure_structure_kind kind, double stated)
{
    double share = (seen.counts[kind]
                    ? (double) seen.outside[kind] / seen.counts[kind] : 0);

    printf("%s: counts beyond their bounds [stated %.4f, seen %.4f], of %"
           PRIu64"\n", measure_structure_name(kind), stated, share,
           seen.counts[kind]);
    return share <= stated;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "questions", required_argument, NULL, 'q' },
        { "minutes", required_argument, NULL, 'm' },
        { NULL, 0, NULL, 0 },
    };
    const char *seed = getenv("MEASURE_SEED");
    uint64_t n_questions = DEFAULT_QUESTIONS;
    time_t end = time(NULL) + DEFAULT_SECONDS;
    int option;
    bool ok;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *rest = NULL;

        if (option == 'q') {
            n_questions = strtoull(optarg, &rest, 10);
            end = 0;
        } else if (option == 'm') {
            n_questions = UINT64_MAX;
            end = time(NULL) + strtod(optarg, &rest) * 60;
        }
        if (!rest || rest == optarg || *rest) {
            fputs("usage: check-oracle [--questions N | --minutes M]\n",
                  stderr);
            return 1;
        }
    }
    test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t) time(NULL);
    printf("MEASURE_SEED=%"PRIu64"\n", test_seed);
    fflush(stdout);
    while (seen.questions < n_questions && (!end || time(NULL) < end)) {
        open_world(test_seed + seen.worlds);
        ask_questions();
        close_world();
    }

    printf("summary: %"PRIu64" questions about %"PRIu64" worlds: %"PRIu64
           " of heavy hitters, %"PRIu64" of prefixes, %"PRIu64
           " of superspreaders, %"PRIu64" of distributions, %"PRIu64
           " of changes; %"PRIu64" exact, %"PRIu64" bounded, %"PRIu64
           " estimated, %"PRIu64" refused, %"PRIu64
           " without memory; %"PRIu64" changes of exact epochs, %"PRIu64
           " of others\n", seen.questions, seen.worlds, seen.hitters,
           seen.prefixes, seen.spreaders, seen.distributions, seen.changes,
           seen.exact, seen.bounded, seen.estimated, seen.refused,
           seen.no_memory, seen.change_rows, seen.inexact_change_rows);
    ok = bounds_hold(MEASURE_COUNT_ARRAY, .05);
    ok &= bounds_hold(MEASURE_COUNT_MIN, exp(-3));
    printf("%d passed, %d failed\n", ok, !ok);
    return !ok;
}
