/* SPDX-License-Identifier: Apache-2.0 */
/* The stage 'pcap-filter': libpcap's filter language over records. */

#include <config.h>

#include "stream-pcap-filter.h"

#include <pcap/pcap.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stream/measure-packet-make.h"

/* What the return value of a program may be, not what is captured. */
#define SNAPLEN 262144

struct pcap_filter {
    struct measure_stage stage;
    char *expression;           /* NULL without one. */
    bool compiled;
    struct bpf_program program;
};

static struct pcap_filter *
cast(struct measure_stage *stage)
{
    return MEASURE_STAGE_CAST(struct pcap_filter, stage);
}

/* Returns true if 'program' loads what is no part of a frame, which libpcap
 * takes for a filter of the Linux kernel, as with "inbound".  It would match
 * nothing. */
static bool
needs_kernel(const struct bpf_program *program)
{
    for (unsigned int i = 0; i < program->bf_len; i++) {
        const struct bpf_insn *insn = &program->bf_insns[i];

        if (BPF_CLASS(insn->code) == BPF_LD && BPF_MODE(insn->code) == BPF_ABS
            && insn->k > INT32_MAX) {
            return true;
        }
    }
    return false;
}

/* Returns NULL, or what is wrong. */
static char *
compile(const char *expression, struct bpf_program *program)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
    char *error = NULL;

    if (!pcap) {
        return measure_format("out of memory");
    }
    if (pcap_compile(pcap, program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
        error = measure_format("\"%s\": %s; valid is a filter as of tcpdump, "
                               "see pcap-filter(7)", expression,
                               pcap_geterr(pcap));
    } else if (needs_kernel(program)) {
        error = measure_format("\"%s\": looks at what is no part of a frame; "
                               "valid is a filter as of tcpdump, see "
                               "pcap-filter(7), without inbound, outbound and "
                               "ifindex", expression);
        pcap_freecode(program);
    }
    pcap_close(pcap);
    return error;
}

/* The words of the expression come one by one. */
static char *
pcap_filter_set(struct measure_stage *stage, const char *name,
                const char *value)
{
    char **expression = &cast(stage)->expression;

    if (!*expression) {
        measure_append(expression, "%s", "");
    } else {
        measure_append(expression, "%s", " ");
    }
    if (name) {
        measure_append(expression, "%s=", name);
    }
    measure_append(expression, "%s", value);
    return NULL;
}

static char *
pcap_filter_begin(struct measure_stage *stage,
                  const struct measure_schema *input __attribute__((unused)))
{
    struct pcap_filter *filter = cast(stage);
    char *error;

    if (!filter->expression) {
        return measure_format("an expression is missing; valid is one as of "
                              "tcpdump, such as \"host 10.0.0.7 and port "
                              "53\"");
    }
    stage->wants_headers = true;
    error = compile(filter->expression, &filter->program);
    filter->compiled = !error;
    return error;
}

static void
pcap_filter_packets(struct measure_stage *stage, struct measure_batch *batch)
{
    struct pcap_filter *filter = cast(stage);
    size_t n = 0;

    for (size_t i = 0; i < batch->n; i++) {
        const struct measure_slot *slot = batch->records[i];
        uint8_t headers[MEASURE_PACKET_MAX];
        struct measure_packet packet;
        struct pcap_pkthdr header;

        measure_packet_get(slot, headers, &packet);
        header.caplen = packet.captured;
        header.len = measure_slot_length(slot);
        if (pcap_offline_filter(&filter->program, &header, packet.data)) {
            batch->records[n++] = slot;
        }
    }
    batch->n = n;
}

static void
pcap_filter_destroy(struct measure_stage *stage)
{
    struct pcap_filter *filter = cast(stage);

    if (filter->compiled) {
        pcap_freecode(&filter->program);
    }
    free(filter->expression);
}

static const struct measure_stage_argument arguments[] = {
    { "", "EXPRESSION", "as of tcpdump, see pcap-filter(7)" },
    { NULL, NULL, NULL }
};

const struct measure_stage_class stream_pcap_filter = {
    .name = "pcap-filter",
    .summary = "lets packets through that a filter of tcpdump matches",
    .arguments = arguments,
    .takes = MEASURE_TAKES_PACKETS,
    .gives = MEASURE_GIVES_PACKETS,
    .partition = MEASURE_PARTITION_ANY,
    .size = sizeof(struct pcap_filter),
    .set = pcap_filter_set,
    .begin = pcap_filter_begin,
    .packets = pcap_filter_packets,
    .destroy = pcap_filter_destroy,
};
