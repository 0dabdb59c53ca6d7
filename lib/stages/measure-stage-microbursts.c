/* SPDX-License-Identifier: Apache-2.0 */
/* The stage "microbursts": windows of a port with too many bytes. */

#include <config.h>

#include <stdlib.h>

#include "base/measure-base.h"
#include "base/measure-units.h"
#include "stream/measure-flow-state.h"

/* Microbursts
 * ===========
 *
 * Time is cut into windows of window=, at multiples of it since 1970.  One of
 * a port of the switch (the port that packets came in by) is hot if its frames
 * have at least rate= times window= bits; a burst is a run of hot windows.
 * Its rows are the keys with the most bytes in it, n= at most.
 *
 * The packets of a port can come by several rings, so that the last OPEN
 * windows of a port are open for packets.  One that comes later than that is
 * left out, and counted in 'lost'.  When MAX_LATE packets of a port in a row
 * are that late, by a second at least, the clock was set, or had a wrong value
 * before: the port begins anew.
 *
 * Keys of a window.  N_BUCKETS buckets of N_WAYS keys, each the SpaceSaving of
 * Metwally, Agrawal, El Abbadi (ICDT 2005) with bytes as weights: a key that
 * finds its bucket full takes the place, and the count, of the smallest.  Up
 * to N_WAYS keys in a bucket are exact.  Summaries of the windows of a burst
 * are merged (Agarwal and others, "Mergeable Summaries", PODS 2012).  A row
 * has what is certain, and by how much that may be too low:
 *
 *     bytes <= bytes of the key in the burst <= bytes + bytes-error-max
 *
 * and likewise for packets: those of the burst that are certain of no key may
 * be of any key whose bytes are not exact.  The bytes and packets of the burst
 * are always exact.
 *
 * A burst ends with its interval, and when it is PART_NS long: one that does
 * not end by itself is given in parts.
 *
 * Memory: 1.6 KiB for each port that has had packets, and 10 KiB for each open
 * window, as many as the share of the budget has room for.  Without memory for
 * a window its packets are in no key: 'bytes-error-max' has them, and 'lost'
 * counts them. */

#define DEFAULT_WINDOW_NS 100000
#define DEFAULT_RATE UINT64_C(5000000000)
#define DEFAULT_N 4
#define OPEN 64
#define MAX_LATE 64
#define LATE_NS MEASURE_NS_PER_S
#define N_BUCKETS 16
#define N_WAYS 8
#define N_KEYS (N_BUCKETS * N_WAYS)
#define PORTS_PER_BATCH 4
#define PART_NS (10 * MEASURE_NS_PER_S)

struct key_count {
    uint64_t key[MEASURE_KEY_WORDS];
    uint32_t hash;
    uint8_t layout;
    uint64_t bytes;             /* At most. */
    uint64_t error;             /* Of those, not certain. */
    uint64_t packets;           /* At least. */
};

struct keys {
    uint32_t next_free;         /* Number of another one + 1. */
    uint8_t n[N_BUCKETS];
    struct key_count counts[N_BUCKETS][N_WAYS];
};

/* No window is longer than a second. */
struct window {
    uint64_t bytes;
    uint64_t unkeyed_bytes;     /* Of those, in no key. */
    uint32_t packets;
    uint32_t keys;              /* Number + 1, or 0 for none. */
};

struct burst {
    uint64_t bytes;
    uint64_t unkeyed_bytes;
    uint64_t packets;           /* 0: no burst. */
    uint64_t first, last;       /* Windows. */
    uint32_t keys;
};

struct port {
    bool started;
    uint16_t number;
    uint32_t n_late;            /* Packets in a row. */
    uint64_t first;             /* Window that is open. */
    uint64_t newest;            /* With a packet. */
    struct window open[OPEN];   /* Window i is at i % OPEN. */
    struct burst burst;
};

struct microbursts {
    struct measure_stage stage;
    char *port_name;            /* NULL for all. */
    uint16_t only;              /* Its number; 0 if there is none. */
    uint64_t window_ns;
    uint64_t rate;              /* Bits per second. */
    uint64_t hot_bytes;
    uint64_t n;

    struct measure_hash_secret secret;
    uint16_t port_at[MEASURE_MAX_PORT + 1];     /* Index + 1. */
    struct port *ports;
    uint32_t max_ports;
    uint32_t n_ports;
    uint32_t hand;
    uint64_t low_ns;            /* Of the batch before. */
    struct keys *keys;
    uint32_t max_keys;
    uint32_t n_keys;            /* That have ever been in use. */
    uint32_t first_free;
};

static const struct measure_stage_argument arguments[] = {
    { "port", "NAME", "of the switch (all)" },
    { "window", "TIME", "1us to 1s (100us)" },
    { "rate", "RATE", "that makes a window hot (5Gb/s)" },
    { "by", "GROUP", "the keys of a burst, besides the port (flow)" },
    { "n", "1 to 16", "keys of a burst, at most (4)" },
    { NULL, NULL, NULL },
};

static char *
set(struct measure_stage *stage, const char *name, const char *value)
{
    struct microbursts *bursts = MEASURE_STAGE_CAST(struct microbursts, stage);

    if (!name || !strcmp(name, "by")) {
        return (measure_group_by_parse(value, &stage->group_by) ? NULL
                : measure_format("valid is " MEASURE_GROUP_BY_VALID));
    }
    if (!strcmp(name, "port")) {
        free(bursts->port_name);
        bursts->port_name = measure_format("%s", value);
        return NULL;
    }
    if (!strcmp(name, "n")) {
        return measure_stage_set_number(value, 1, 16, &bursts->n);
    }
    if (!strcmp(name, "rate")) {
        uint64_t rate;

        if (!measure_rate_parse(value, &rate) || !rate
            || rate > UINT64_C(1000000000000000)) {
            return measure_format("valid is " MEASURE_RATE_VALID
                                  ", up to 1000Tb/s");
        }
        bursts->rate = rate;
        return NULL;
    }
    if (!measure_duration_parse(value, &bursts->window_ns)
        || bursts->window_ns < 1000
        || bursts->window_ns > MEASURE_NS_PER_S) {
        return measure_format("valid is a length of time from 1us to 1s");
    }
    return NULL;
}

static const char warning[]
    = "the port of microbursts does not exist (yet): no packet is counted";

/* The numbers of ports are other ones. */
static void
ports(struct measure_stage *stage)
{
    struct microbursts *bursts = MEASURE_STAGE_CAST(struct microbursts, stage);

    if (bursts->port_name) {
        bursts->only = (stage->ports
                        ? measure_port_find(stage->ports, bursts->port_name)
                        : 0);
        __atomic_store_n(&stage->warning, bursts->only ? NULL : warning,
                         __ATOMIC_RELAXED);
    }
}

/* Takes memory for '*n' times 'size' bytes, or for less. */
static void *
take(struct measure_stage *stage, size_t size, uint32_t *n)
{
    void *p = NULL;

    while (*n && !(p = measure_stage_alloc(stage, *n * size))) {
        *n /= 2;
    }
    return p;
}

enum column {
    START_TIME,
    DURATION,
    WINDOWS,
    BURST_BYTES,
    BURST_PACKETS,
    RANK,
    BYTES,
    BYTES_ERROR,
    PACKETS,
    PACKETS_ERROR,
    N_COLUMNS
};

static char *
begin(struct measure_stage *stage, const struct measure_schema *input)
{
    static const struct measure_column columns[N_COLUMNS] = {
        [START_TIME] = { "start-time", MEASURE_COLUMN_TIME, 0 },
        [DURATION] = { "duration-ns", MEASURE_COLUMN_NS, 0 },
        [WINDOWS] = { "windows", MEASURE_COLUMN_GAUGE, 0 },
        [BURST_BYTES] = { "burst-bytes", MEASURE_COLUMN_GAUGE, 0 },
        [BURST_PACKETS] = { "burst-packets", MEASURE_COLUMN_GAUGE, 0 },
        [RANK] = { "rank", MEASURE_COLUMN_GAUGE, 0 },
        [BYTES] = { "bytes", MEASURE_COLUMN_COUNT, 0 },
        [BYTES_ERROR] = { "bytes-error-max", MEASURE_COLUMN_ERROR, BYTES },
        [PACKETS] = { "packets", MEASURE_COLUMN_COUNT, 0 },
        [PACKETS_ERROR] = { "packets-error-max", MEASURE_COLUMN_ERROR,
                            PACKETS },
    };
    struct microbursts *bursts = MEASURE_STAGE_CAST(struct microbursts, stage);
    uint64_t share = measure_stage_memory_share(stage);
    double bits;

    (void) input;
    if (!stage->group_by.fields) {
        measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_FLOW);
    }
    measure_group_by_init(&stage->group_by,
                          stage->group_by.fields | MEASURE_FIELD_PORT,
                          stage->group_by.source_prefix,
                          stage->group_by.destination_prefix);
    bursts->window_ns = (bursts->window_ns
                         ? bursts->window_ns : DEFAULT_WINDOW_NS);
    bursts->rate = bursts->rate ? bursts->rate : DEFAULT_RATE;
    bursts->n = bursts->n ? bursts->n : DEFAULT_N;
    bits = (double) bursts->rate * bursts->window_ns / 1e9;
    bursts->hot_bytes = measure_max(1, (uint64_t) (bits / 8));
    if (bursts->hot_bytes * 8 < bits) {
        bursts->hot_bytes++;
    }
    ports(stage);

    measure_hash_secret_draw(&bursts->secret);
    bursts->max_ports
        = measure_max(1, measure_min(MEASURE_MAX_PORT + 1,
                                     share / 4 / sizeof *bursts->ports));
    bursts->ports = take(stage, sizeof *bursts->ports, &bursts->max_ports);
    bursts->max_keys = measure_max(2 * OPEN, share / 2 / sizeof *bursts->keys);
    bursts->keys = take(stage, sizeof *bursts->keys, &bursts->max_keys);
    bursts->low_ns = UINT64_MAX;

    stage->schema.of = "microbursts";
    stage->schema.order = MEASURE_ORDER_TIME;
    stage->schema.of_other_time = true;
    stage->schema.has_key = true;
    stage->schema.group_by = stage->group_by;
    stage->schema.n = N_COLUMNS;
    memcpy(stage->schema.columns, columns, sizeof columns);
    return NULL;
}

/* Keys. */

/* 'number' is that of keys + 1, or 0 for none. */
static struct keys *
keys_at(const struct microbursts *bursts, uint32_t number)
{
    return number ? &bursts->keys[number - 1] : NULL;
}

/* Lets 'window' have keys, if there is memory for them. */
static void
take_keys(struct microbursts *bursts, struct window *window)
{
    if (bursts->first_free) {
        window->keys = bursts->first_free;
        bursts->first_free = bursts->keys[window->keys - 1].next_free;
    } else if (bursts->n_keys < bursts->max_keys) {
        window->keys = ++bursts->n_keys;
    } else {
        return;
    }
    memset(bursts->keys[window->keys - 1].n, 0, N_BUCKETS);
}

static void
free_keys(struct microbursts *bursts, uint32_t number)
{
    if (number) {
        bursts->keys[number - 1].next_free = bursts->first_free;
        bursts->first_free = number;
    }
}

static bool
is_same(const struct key_count *a, const struct key_count *b)
{
    return (a->hash == b->hash && a->layout == b->layout
            && !memcmp(a->key, b->key,
                       measure_key_words(a->layout) * sizeof *a->key));
}

static void
count_key(struct keys *keys, const struct key_count *packet)
{
    unsigned int bucket = packet->hash % N_BUCKETS;
    struct key_count *counts = keys->counts[bucket];
    struct key_count *smallest = counts;
    unsigned int n = keys->n[bucket];

    for (unsigned int i = 0; i < n; i++) {
        if (is_same(&counts[i], packet)) {
            counts[i].bytes += packet->bytes;
            counts[i].packets += packet->packets;
            return;
        }
        if (counts[i].bytes < smallest->bytes) {
            smallest = &counts[i];
        }
    }
    if (n < N_WAYS) {
        counts[n] = *packet;
        keys->n[bucket]++;
    } else {
        uint64_t error = smallest->bytes;

        *smallest = *packet;
        smallest->bytes += error;
        smallest->error = error;
    }
}

/* The most that a key can have that is not in the 'n' of a bucket. */
static uint64_t
bytes_of_others(const struct key_count *counts, unsigned int n)
{
    uint64_t bytes = UINT64_MAX;

    for (unsigned int i = 0; i < n; i++) {
        bytes = measure_min(bytes, counts[i].bytes);
    }
    return n < N_WAYS ? 0 : bytes;
}

static int
compare_counts(const void *a_, const void *b_)
{
    const struct key_count *a = a_, *b = b_;

    return (a->bytes < b->bytes) - (a->bytes > b->bytes);
}

/* Adds the keys of 'from' to those of 'to'. */
static void
merge_keys(struct keys *to, const struct keys *from)
{
    for (unsigned int bucket = 0; bucket < N_BUCKETS; bucket++) {
        struct key_count all[2 * N_WAYS];
        const struct key_count *added = from->counts[bucket];
        unsigned int n_to = to->n[bucket], n_added = from->n[bucket];
        uint64_t others = bytes_of_others(to->counts[bucket], n_to);
        uint64_t others_added = bytes_of_others(added, n_added);
        unsigned int n = n_to;

        memcpy(all, to->counts[bucket], n_to * sizeof *all);
        for (unsigned int i = 0; i < n_to; i++) {
            all[i].bytes += others_added;
            all[i].error += others_added;
        }
        for (unsigned int j = 0; j < n_added; j++) {
            unsigned int i = 0;

            while (i < n_to && !is_same(&all[i], &added[j])) {
                i++;
            }
            if (i < n_to) {
                all[i].bytes += added[j].bytes - others_added;
                all[i].error += added[j].error - others_added;
                all[i].packets += added[j].packets;
            } else {
                all[n] = added[j];
                all[n].bytes += others;
                all[n++].error += others;
            }
        }
        if (n > N_WAYS) {
            qsort(all, n, sizeof *all, compare_counts);
            n = N_WAYS;
        }
        memcpy(to->counts[bucket], all, n * sizeof *all);
        to->n[bucket] = n;
    }
}

/* Bursts. */

static void
give(struct microbursts *bursts, const struct port *port,
     const struct key_count *count, uint64_t rank, uint64_t other_packets)
{
    const struct burst *burst = &port->burst;
    uint64_t window_ns = bursts->window_ns;
    union measure_row_buffer buffer;
    struct measure_row *row = &buffer.row;
    uint64_t windows = burst->last - burst->first + 1;

    memset(row, 0, sizeof *row);
    memcpy(row->key, count->key, (measure_key_words(count->layout)
                                  * sizeof *row->key));
    row->layout = count->layout;
    row->time_ns = (burst->last + 1) * window_ns;
    row->values[START_TIME] = burst->first * window_ns;
    row->values[DURATION] = windows * window_ns;
    row->values[WINDOWS] = windows;
    row->values[BURST_BYTES] = burst->bytes;
    row->values[BURST_PACKETS] = burst->packets;
    row->values[RANK] = rank;
    row->values[BYTES] = count->bytes - count->error;
    row->values[BYTES_ERROR] = count->error + burst->unkeyed_bytes;
    row->values[PACKETS] = count->packets;
    row->values[PACKETS_ERROR] = (row->values[BYTES_ERROR]
                                  ? other_packets : 0);
    row->n_present = N_COLUMNS;
    measure_stage_give(&bursts->stage, row);
}

/* Gives the rows of the burst of 'port', if there is one. */
static void
end_burst(struct microbursts *bursts, struct port *port)
{
    const struct keys *keys = keys_at(bursts, port->burst.keys);
    uint64_t other_packets = port->burst.packets;
    struct key_count *all[N_KEYS];
    size_t n = 0, rank;

    if (!port->burst.packets) {
        return;
    }
    for (unsigned int i = 0; keys && i < N_BUCKETS; i++) {
        for (unsigned int j = 0; j < keys->n[i]; j++) {
            all[n++] = (struct key_count *) &keys->counts[i][j];
            other_packets -= keys->counts[i][j].packets;
        }
    }
    for (rank = 0; rank < bursts->n && rank < n; rank++) {
        for (size_t i = rank + 1; i < n; i++) {
            if (all[i]->bytes > all[rank]->bytes) {
                struct key_count *larger = all[i];

                all[i] = all[rank];
                all[rank] = larger;
            }
        }
        give(bursts, port, all[rank], rank + 1, other_packets);
    }
    if (!n) {
        struct key_count none = { .layout = MEASURE_NARROW };

        none.key[1] = (uint64_t) port->number << MEASURE_PORT_SHIFT;
        give(bursts, port, &none, 1, other_packets);
    }
    free_keys(bursts, port->burst.keys);
    memset(&port->burst, 0, sizeof port->burst);
}

static void
close_window(struct microbursts *bursts, struct port *port, uint64_t i)
{
    struct window *window = &port->open[i % OPEN];
    struct burst *burst = &port->burst;

    if (window->bytes < bursts->hot_bytes) {
        end_burst(bursts, port);
        free_keys(bursts, window->keys);
    } else {
        if (!burst->packets) {
            burst->first = i;
        }
        burst->last = i;
        burst->bytes += window->bytes;
        burst->packets += window->packets;
        burst->unkeyed_bytes += window->unkeyed_bytes;
        if (window->keys && burst->keys) {
            merge_keys(keys_at(bursts, burst->keys),
                       keys_at(bursts, window->keys));
            free_keys(bursts, window->keys);
        } else if (window->keys) {
            burst->keys = window->keys;
        }
        if ((i - burst->first + 1) * bursts->window_ns >= PART_NS) {
            end_burst(bursts, port);
        }
    }
    memset(window, 0, sizeof *window);
}

/* Closes the windows of 'port' before 'until'. */
static void
close_windows(struct microbursts *bursts, struct port *port, uint64_t until)
{
    for (; port->first < until && port->first <= port->newest;
         port->first++) {
        close_window(bursts, port, port->first);
    }
    if (port->first < until) {
        end_burst(bursts, port);
        port->first = until;
    }
}

/* Packets. */

static void
restart(struct microbursts *bursts, struct port *port, uint64_t window)
{
    if (port->started) {
        close_windows(bursts, port, port->newest + 2);
    }
    port->started = true;
    port->n_late = 0;
    port->newest = window;
    port->first = window < OPEN ? 0 : window - OPEN + 1;
}

static struct port *
find_port(struct microbursts *bursts, uint16_t number)
{
    struct port *port;

    if (!bursts->port_at[number]) {
        if (bursts->n_ports == bursts->max_ports) {
            return NULL;
        }
        port = &bursts->ports[bursts->n_ports++];
        port->number = number;
        bursts->port_at[number] = bursts->n_ports;
    }
    return &bursts->ports[bursts->port_at[number] - 1];
}

/* Returns the window of 'port' at 'time_ns', or NULL if it is closed. */
static struct window *
find_window(struct microbursts *bursts, struct port *port, uint64_t time_ns)
{
    uint64_t i = time_ns / bursts->window_ns;

    if (!port->started) {
        restart(bursts, port, i);
    } else if (i < port->first) {
        if ((port->first - i) * bursts->window_ns < LATE_NS
            || ++port->n_late < MAX_LATE) {
            return NULL;
        }
        restart(bursts, port, i);
    }
    port->n_late = 0;
    if (i >= port->first + OPEN) {
        close_windows(bursts, port, i - OPEN + 1);
    }
    port->newest = measure_max(port->newest, i);
    return &port->open[i % OPEN];
}

static void
count(struct microbursts *bursts, const struct measure_slot *slot)
{
    uint16_t number = measure_slot_ports(slot) >> MEASURE_PORT_SHIFT;
    uint32_t length = measure_slot_length(slot);
    struct port *port;
    struct window *window;
    struct key_count packet;
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout;

    if (bursts->port_name && (!bursts->only || number != bursts->only)) {
        return;
    }
    port = find_port(bursts, number);
    window = (port ? find_window(bursts, port, measure_slot_time_ns(slot))
              : NULL);
    if (!window) {
        measure_stage_lose(&bursts->stage, 1);
        return;
    }
    if (!window->packets) {
        take_keys(bursts, window);
    }
    window->packets++;
    window->bytes += length;
    if (!window->keys) {
        window->unkeyed_bytes += length;
        measure_stage_lose(&bursts->stage, 1);
        return;
    }

    layout = measure_slot_key(slot, key);
    packet.layout = measure_group_by_key(&bursts->stage.group_by, layout, key,
                                         packet.key);
    packet.hash = (packet.layout == MEASURE_NARROW
                   ? measure_hash(&bursts->secret, packet.key, 2)
                   : measure_hash(&bursts->secret, packet.key,
                                  MEASURE_KEY_WORDS)) >> 32;
    packet.bytes = length;
    packet.error = 0;
    packet.packets = 1;
    count_key(keys_at(bursts, window->keys), &packet);
}

static void
packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct microbursts *bursts = MEASURE_STAGE_CAST(struct microbursts, stage);
    uint64_t low_ns = UINT64_MAX;
    uint64_t low;

    for (size_t i = 0; i < batch->n; i++) {
        low_ns = measure_min(low_ns, measure_slot_time_ns(batch->records[i]));
        count(bursts, batch->records[i]);
    }
    if (!batch->n) {
        return;
    }

    /* Bursts of ports that have fallen silent. */
    low = measure_min(low_ns, bursts->low_ns) / bursts->window_ns;
    for (unsigned int i = 0;
         i < PORTS_PER_BATCH && i < bursts->n_ports && low >= OPEN; i++) {
        struct port *port = &bursts->ports[bursts->hand % bursts->n_ports];

        bursts->hand = (bursts->hand + 1) % bursts->n_ports;
        /* Other rings may be ahead of that of the port. */
        if (port->newest < low - OPEN
            && (low - port->newest) * bursts->window_ns >= LATE_NS
            && (port->burst.packets || port->first <= port->newest)) {
            /* No further than that, for packets of its ring that is late. */
            close_windows(bursts, port, port->newest + 2);
        }
    }
    bursts->low_ns = low_ns;
}

static void
interval(struct measure_stage *stage, uint64_t start_ns, uint64_t end_ns,
         bool last)
{
    struct microbursts *bursts = MEASURE_STAGE_CAST(struct microbursts, stage);

    (void) start_ns;
    for (uint32_t i = 0; i < bursts->n_ports; i++) {
        struct port *port = &bursts->ports[i];

        if (port->started) {
            close_windows(bursts, port, (last ? port->newest + 2
                                         : end_ns / bursts->window_ns));
            end_burst(bursts, port);
        }
    }
}

static void
destroy(struct measure_stage *stage)
{
    struct microbursts *bursts = MEASURE_STAGE_CAST(struct microbursts, stage);

    measure_stage_free(stage, bursts->ports,
                       bursts->max_ports * sizeof *bursts->ports);
    measure_stage_free(stage, bursts->keys,
                       bursts->max_keys * sizeof *bursts->keys);
    free(bursts->port_name);
}

const struct measure_stage_class measure_stage_microbursts = {
    .name = "microbursts",
    .summary = "windows of a port with too many bytes",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_ROWS,
    .partition = MEASURE_PARTITION_NONE,
    .size = sizeof(struct microbursts),
    .set = set,
    .begin = begin,
    .packets = packets,
    .interval = interval,
    .ports = ports,
    .destroy = destroy,
};
