/* SPDX-License-Identifier: Apache-2.0 */
/* A program with a stage of its own: the first packet of each flow. */

/* It needs no more than the installed library:
 *
 *     cc -o stage-first-packet stage-first-packet.c \
 *         $(pkg-config --cflags --libs ovs-measure)
 *     ./stage-first-packet FILE.pcap
 *     ./stage-first-packet FILE.pcap 'first-packet flows=100 | print'
 *
 * Any stage of the library can stand in the chain as well. */

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-hash.h"
#include "base/measure-number.h"
#include "key/measure-parse.h"
#include "stages/measure-stages.h"
#include "stream/measure-pipeline.h"

/* The stage first-packet: lets the first packet of each flow through. */

struct first_packet {
    struct measure_stage stage;         /* Must be the first. */
    struct measure_hash_secret secret;
    uint64_t max_flows;
    uint64_t n_flows;
    uint64_t size;                      /* Of 'hashes', a power of 2. */
    uint64_t *hashes;                   /* Of flows that are known; or 0. */
};

static char *
first_packet_set(struct measure_stage *stage, const char *name,
                 const char *value)
{
    struct first_packet *first = MEASURE_STAGE_CAST(struct first_packet,
                                                    stage);

    /* There is one argument, so it is flows= or a word without "=". */
    if (!name || !measure_integer_parse(value, 1, 1 << 24,
                                        &first->max_flows)) {
        return measure_format("valid is flows=N, from 1 to %d", 1 << 24);
    }
    return NULL;
}

static char *
first_packet_begin(struct measure_stage *stage,
                   const struct measure_schema *input)
{
    struct first_packet *first = MEASURE_STAGE_CAST(struct first_packet,
                                                    stage);

    (void) input;                       /* NULL: it is given packets. */
    measure_group_by_of_kind(&stage->group_by, MEASURE_KIND_FLOW);
    measure_hash_secret_init(&first->secret, (uintptr_t) stage);
    first->max_flows = first->max_flows ? first->max_flows : 1 << 16;
    for (first->size = 64; first->size < 2 * first->max_flows; ) {
        first->size *= 2;
    }
    first->hashes = measure_stage_alloc(stage, first->size
                                               * sizeof *first->hashes);
    return first->hashes ? NULL : measure_format("no memory for flows=%"PRIu64,
                                                 first->max_flows);
}

/* Returns true if the flow of 'slot' was not seen before. */
static bool
is_first(struct first_packet *first, const struct measure_slot *slot)
{
    uint64_t key[MEASURE_KEY_WORDS], flow[MEASURE_KEY_WORDS], hash, i;
    enum measure_layout layout = measure_slot_key(slot, key);

    layout = measure_group_by_key(&first->stage.group_by, layout, key, flow);
    hash = (layout == MEASURE_NARROW ? measure_hash(&first->secret, flow, 2)
            : measure_hash(&first->secret, flow, MEASURE_KEY_WORDS)) | 1;
    for (i = hash >> 32 & (first->size - 1); first->hashes[i];
         i = (i + 1) & (first->size - 1)) {
        if (first->hashes[i] == hash) {
            return false;
        }
    }
    if (first->n_flows == first->max_flows) {
        measure_stage_lose(&first->stage, 1);
        return false;
    }
    first->hashes[i] = hash;
    first->n_flows++;
    return true;
}

static void
first_packet_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct first_packet *first = MEASURE_STAGE_CAST(struct first_packet,
                                                    stage);
    size_t n = 0;

    for (size_t i = 0; i < batch->n; i++) {
        if (is_first(first, batch->records[i])) {
            batch->records[n++] = batch->records[i];
        }
    }
    batch->n = n;
}

static void
first_packet_destroy(struct measure_stage *stage)
{
    struct first_packet *first = MEASURE_STAGE_CAST(struct first_packet,
                                                    stage);

    measure_stage_free(stage, first->hashes,
                       first->size * sizeof *first->hashes);
}

static const struct measure_stage_argument first_packet_arguments[] = {
    { "flows", "N", "how many flows it knows; 65536 by default" },
    { NULL, NULL, NULL },
};

static const struct measure_stage_class first_packet = {
    .name = "first-packet",
    .summary = "lets the first packet of each flow through",
    .arguments = first_packet_arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_KEY,
    .size = sizeof(struct first_packet),
    .set = first_packet_set,
    .begin = first_packet_begin,
    .packets = first_packet_packets,
    .destroy = first_packet_destroy,
};

/* The stage print: a line for each packet. */

static void
print_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    (void) stage;
    for (size_t i = 0; i < batch->n; i++) {
        const struct measure_slot *slot = batch->records[i];
        char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
        uint64_t key[MEASURE_KEY_WORDS];
        struct measure_fields fields;
        int family;

        measure_fields_from_key(&fields, measure_slot_key(slot, key), key);
        family = fields.family == MEASURE_IPV4 ? AF_INET : AF_INET6;
        inet_ntop(family, fields.source, source, sizeof source);
        inet_ntop(family, fields.destination, destination,
                  sizeof destination);
        printf("%s %d -> %s %d protocol %d: %"PRIu32" bytes\n",
               source, fields.source_port, destination,
               fields.destination_port, fields.protocol,
               measure_slot_length(slot));
    }
}

static const struct measure_stage_class print = {
    .name = "print",
    .summary = "writes a line for each packet",
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_NOTHING,
    .size = sizeof(struct measure_stage),
    .packets = print_packets,
};

static const struct measure_stage_class *const own_stages[] = {
    &first_packet, &print, NULL,
};

/* The capture: classic pcap of this host's byte order, of Ethernet. */

static void
fail(const char *what, char *error)
{
    fprintf(stderr, "stage-first-packet: %s%s\n", what, error ? error : "");
    free(error);
    exit(1);
}

/* Writes records of all packets of 'file' to 'source'. */
static void
read_capture(FILE *file, struct measure_source *source)
{
    struct measure_ring_writer *writer = measure_source_writer(source);
    static uint8_t frame[1 << 16];
    uint32_t head[6], packet[4];
    uint64_t tick_ns;

    if (fread(head, sizeof head, 1, file) != 1 || head[5] != 1
        || (head[0] != 0xa1b2c3d4 && head[0] != 0xa1b23c4d)) {
        fail("not a capture of Ethernet in the byte order of this host", NULL);
    }
    tick_ns = head[0] == 0xa1b23c4d ? 1 : 1000;
    while (fread(packet, sizeof packet, 1, file) == 1
           && packet[2] <= packet[3] && packet[3] <= sizeof frame
           && fread(frame, 1, packet[2], file) == packet[2]) {
        struct measure_record record;
        struct measure_slot *slots;

        /* Captures are often cut; headers say how long a packet was. */
        memset(frame + packet[2], 0, packet[3] - packet[2]);
        measure_parse(frame, packet[3], MEASURE_ETHERTYPE_ETHERNET, &record);
        if (record.verdict >= MEASURE_N_LAYOUTS) {
            continue;                   /* Not IP. */
        }
        slots = measure_source_reserve(source, 2);      /* Waits for room. */
        if (!slots) {
            break;                      /* A stage cannot go on. */
        }
        measure_ring_advance(
            writer, measure_slot_write(slots,
                                       (enum measure_layout) record.verdict,
                                       record.key,
                                       packet[0] * UINT64_C(1000000000)
                                       + packet[1] * tick_ns, packet[3], 0));
        measure_ring_publish(writer);
    }
}

int
main(int argc, char *argv[])
{
    const struct measure_pipeline_options options = {
        .classes = measure_stages,
        .more_classes = own_stages,
    };
    struct measure_pipeline *pipeline = measure_pipeline_create(&options);
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    char *error;

    if (!file) {
        fail("usage: stage-first-packet FILE.pcap [CHAIN]", NULL);
    }
    error = measure_pipeline_add_chain(pipeline, argc > 2 ? argv[2]
                                       : "first-packet | print");
    if (!error) {
        error = measure_pipeline_start(pipeline);
    }
    if (error) {
        fail("", error);
    }
    read_capture(file, measure_pipeline_create_source(pipeline, 4096, 0));
    fclose(file);
    error = measure_pipeline_finish(pipeline);
    if (error) {
        fail("", error);
    }
    if (measure_pipeline_lost(pipeline)) {
        fprintf(stderr, "%"PRIu64" packets of flows beyond flows=\n",
                measure_pipeline_lost(pipeline));
    }
    measure_pipeline_destroy(pipeline);
    return 0;
}
