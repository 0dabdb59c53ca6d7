/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds: what traffic they have, and how it is counted. */

#include <config.h>

#include "oracle-world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct world world;

static char question[512];      /* For a failure. */

/* Failures. */

void
check_failed(const char *file, int line, const char *condition)
{
    printf("%s:%d: '%s' does not hold\nMEASURE_SEED=%"PRIu64
           ": %s, %s, %d threads, %d epochs: %s\n"
           "0 passed, 1 failed\n", file, line, condition, world.seed,
           measure_kind_name(world.key_kind),
           measure_structure_name(world.structure), world.n_threads,
           world.n_epochs, question);
    exit(1);
}

void
forget_question(void)
{
    question[0] = '\0';
}

void
describe_question(const char *format, ...)
{
    size_t n = strlen(question);
    va_list args;

    va_start(args, format);
    vsnprintf(question + n, sizeof question - n, format, args);
    va_end(args);
}

/* Keys. */

const unsigned int fields_by[MEASURE_N_KINDS] = {
    [MEASURE_KIND_FLOW] = MEASURE_FIELDS_FLOW,
    [MEASURE_KIND_PAIR] = MEASURE_FIELDS_PAIR,
    [MEASURE_KIND_SOURCE] = MEASURE_FIELD_SOURCE,
    [MEASURE_KIND_DESTINATION] = MEASURE_FIELD_DESTINATION,
};

bool
has_fields(unsigned int fields)
{
    return (world.key_kind == MEASURE_KIND_FLOW
            || !(fields & ~fields_by[world.key_kind]));
}

bool
complete(void)
{
    return (world.structure == MEASURE_LINEAR_TABLE
            || world.structure == MEASURE_CUCKOO_TABLE);
}

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

struct key
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

/* What packets there are. */

struct traffic {
    uint32_t n_sources, n_destinations;
    uint32_t ipv6_in, tunnelled_in;     /* One of so many, on average. */
    enum {
        ANY_THREAD,
        THREAD_BY_PORT,
        THREAD_BY_ADDRESSES,
        N_SHUFFLES
    } shuffle;                          /* How flows come to threads. */
};

static struct traffic
draw_traffic(void)
{
    struct traffic t;

    t.n_sources = 1 + below(below(2) ? 5 : 400);
    t.n_destinations = 1 + below(below(2) ? 5 : 400);
    t.ipv6_in = 1 + below(9);
    t.tunnelled_in = 1 + below(9);
    t.shuffle = below(N_SHUFFLES);
    return t;
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
draw_key(const struct traffic *t)
{
    static const uint8_t protocols[] = { 6, 17, 132, 1, 58, 0 };
    struct key key;

    memset(&key, 0, sizeof key);
    key.family = one_in(t->ipv6_in) ? 6 : 4;
    draw_address(key.source, key.family, t->n_sources);
    draw_address(key.destination, key.family, t->n_destinations);
    key.protocol = protocols[below(below(2) ? 2 : ARRAY_SIZE(protocols))];
    if (key.protocol > 1 && key.protocol != 58) {
        key.source_port = below(4) ? 1024 + below(9) : below(2);
        key.destination_port = below(4) ? 53 + below(5) : 65535;
    }
    key.vlan = below(3) ? 0 : below(3) * 2047 + 1;
    key.port = below(4);
    key.tunnelled = one_in(t->tunnelled_in);
    key.tunnel = key.tunnelled ? below(3) * 0x7fffffff : 0;
    return key;
}

/* Adds 'n' packets to 'epoch', most of them of the first 'n_favourites' of the
 * pool. */
static void
draw_packets(const struct traffic *t, int epoch, uint32_t n,
             uint32_t n_favourites)
{
    for (uint32_t i = 0; i < n; i++) {
        struct packet *p = &world.packets[world.n_packets++];

        p->key = (below(3) ? world.pool[below(n_favourites)] : draw_key(t));
        p->bytes = below(5) ? 64 + below(4) : 64 + below(9000);
        p->epoch = epoch;
        p->thread = ((t->shuffle == ANY_THREAD ? below(world.n_threads)
                      : t->shuffle == THREAD_BY_PORT ? p->key.source_port
                      : p->key.source[3] + p->key.destination[15])
                     % world.n_threads);
    }
}

/* How they are counted. */

/* With tables that will be too small if it may be 'full'. */
static struct measure_tally *
open_tally(bool full, uint32_t max_lines)
{
    uint32_t lines[MEASURE_N_LAYOUTS], none[MEASURE_N_LAYOUTS] = { 0, 0 };
    struct measure_structure_threshold threshold = {
        .min_packets = 1 + below(3), .min_bytes = 1 + below(300),
    };
    struct measure_tally *tally = measure_tally_create(&world.secret,
                                                       &world.budget,
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

/* Counts all packets from number 'first' on, in bursts of all sizes. */
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

static struct measure_report *
merge(struct measure_tally *const tallies[], int epoch)
{
    struct measure_report *report
        = measure_report_merge(tallies, world.n_threads, world.key_kind,
                               &world.secret, &world.budget);

    measure_report_keep_threads(report, tallies, world.cores, world.n_threads);
    report->number = epoch + 1;
    report->start_ms = 1000 * epoch;
    report->duration_ms = 1 + below(3000);
    return report;
}

static void
make_epoch(const struct traffic *t, int epoch, bool may_be_full)
{
    struct measure_tally *tallies[MAX_THREADS];
    size_t first = world.n_packets;
    uint32_t n = below(below(2) ? 60 : MAX_PACKETS + 1);
    bool full = may_be_full && below(2);
    uint32_t n_favourites = 1 + below(ARRAY_SIZE(world.pool));
    uint32_t max_lines = 1 + below(40);

    draw_packets(t, epoch, n, n_favourites);
    for (int i = 0; i < world.n_threads; i++) {
        tallies[i] = open_tally(full, max_lines);
    }
    count(tallies, first);
    world.reports[epoch] = merge(tallies, epoch);
    for (int i = 0; i < world.n_threads; i++) {
        measure_tally_destroy(tallies[i]);
    }
}

void
open_world(uint64_t seed)
{
    struct traffic traffic;
    bool may_be_full;

    forget_question();
    world.seed = seed;
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
    traffic = draw_traffic();
    may_be_full = one_in(3);
    for (int i = 0; i < world.n_threads; i++) {
        world.cores[i] = 2 * i + 1;
    }
    for (size_t i = 0; i < ARRAY_SIZE(world.pool); i++) {
        world.pool[i] = draw_key(&traffic);
    }
    for (int i = 0; i < world.n_epochs; i++) {
        make_epoch(&traffic, i, may_be_full);
    }
}

void
take_memory(void)
{
    measure_memory_trim(&world.budget, 0);
    world.budget.limit = 1;
}

void
give_memory(void)
{
    world.budget.limit = 0;
}

void
close_world(void)
{
    for (int i = 0; i < world.n_epochs; i++) {
        measure_report_destroy(world.reports[i]);
    }
    measure_port_names_destroy(&world.ports);
    memset(&world.ports, 0, sizeof world.ports);
    measure_memory_trim(&world.budget, 0);
    CHECK(!measure_budget_used(&world.budget));
}
