/* SPDX-License-Identifier: Apache-2.0 */
/* Generates captures, and says what is in one. */

/* ovs-measure-pcap prepares captures for a replay through the switch.
 *
 * "extend" undoes the cutting of a capture that holds only headers.  Open
 * vSwitch takes a frame that is shorter than its IP total length for a broken
 * one, so each record is filled with zeros up to its length on the wire.  The
 * record is not filled up to the 60 bytes of the smallest Ethernet frame,
 * because then the bytes that the switch counts would no longer be those of
 * the capture.
 *
 * "generate" writes the project's own demonstration capture: five flows that
 * are known in advance to be the largest, hidden among a few thousand small
 * ones.  It uses its own random number generator, so a seed gives the same
 * file on every machine. */

#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define PROGRAM "ovs-measure-pcap"

#define ETH_HEADER_LEN 14
/* An Ethernet header and one VLAN tag. */
#define FRAME_OVERHEAD 18
#define DEFAULT_MTU 1500
#define MIN_MTU 68
#define MAX_MTU 65517
#define ARRAY_SIZE(ARRAY) (sizeof ARRAY / sizeof ARRAY[0])

/* The output, removed when the program fails, unless it is a device. */
static const char *out_name;
static FILE *out;
static bool out_is_file;

static void fail(const char *, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

static void
fail(const char *format, ...)
{
    va_list args;

    fputs(PROGRAM": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);

    if (out && out_is_file) {
        unlink(out_name);
    }
    exit(1);
}

static void *
xcalloc(size_t n, size_t size)
{
    void *p = calloc(n, size);

    if (!p) {
        fail("out of memory");
    }
    return p;
}

static uint64_t
parse_number(const char *option, const char *s, uint64_t min, uint64_t max)
{
    unsigned long long int value;
    char *end;

    errno = 0;
    value = strtoull(s, &end, 10);
    if (errno || end == s || *end || s[0] < '0' || s[0] > '9' || value < min
        || value > max) {
        fail("%s: \"%s\" is not a number from %"PRIu64" to %"PRIu64,
             option, s, min, max);
    }
    return value;
}

/* Writing a capture.
 *
 * Written by hand and not with libpcap, which writes in the byte order of the
 * machine it runs on. */

static void
put_le16(uint8_t *p, uint16_t value)
{
    p[0] = value;
    p[1] = value >> 8;
}

static void
put_le32(uint8_t *p, uint32_t value)
{
    put_le16(p, value);
    put_le16(p + 2, value >> 16);
}

static void
put_be16(uint8_t *p, uint16_t value)
{
    p[0] = value >> 8;
    p[1] = value;
}

static void
put_be32(uint8_t *p, uint32_t value)
{
    put_be16(p, value >> 16);
    put_be16(p + 2, value);
}

static void
out_write(const void *data, size_t size)
{
    if (fwrite(data, 1, size, out) != size) {
        fail("%s: %s", out_name, strerror(errno));
    }
}

static void
out_open(const char *name)
{
    uint8_t header[24] = { 0 };
    struct stat s;

    out_name = name;
    out = fopen(name, "wb");
    if (!out) {
        fail("%s: %s", name, strerror(errno));
    }
    out_is_file = !fstat(fileno(out), &s) && S_ISREG(s.st_mode);

    put_le32(header, 0xa1b2c3d4);   /* Time stamps in microseconds. */
    put_le16(header + 4, 2);
    put_le16(header + 6, 4);
    put_le32(header + 16, 65535);
    put_le32(header + 20, DLT_EN10MB);
    out_write(header, sizeof header);
}

static void
out_frame(uint32_t seconds, uint32_t microseconds,
          const uint8_t *frame, uint32_t size)
{
    uint8_t header[16];

    put_le32(header, seconds);
    put_le32(header + 4, microseconds);
    put_le32(header + 8, size);
    put_le32(header + 12, size);
    out_write(header, sizeof header);
    out_write(frame, size);
}

static void
out_close(void)
{
    if (fflush(out) || fclose(out)) {
        fail("%s: %s", out_name, strerror(errno));
    }
    out = NULL;
}

/* The answer is on standard output: when it cannot be written, somebody
 * waits for it in vain. */
static void
close_stdout(void)
{
    if (fflush(stdout) || ferror(stdout)) {
        fail("standard output: %s", strerror(errno));
    }
}

/* extend */

struct extend {
    uint64_t packets;
    uint64_t bytes;
    uint64_t left_out;
    uint32_t max_size;
    uint8_t *frame;             /* 'max_size' bytes. */
};

static pcap_t *
open_capture(const char *name)
{
    char error[PCAP_ERRBUF_SIZE];
    struct stat s;
    FILE *stream;
    pcap_t *pcap;
    int type;

    stream = fopen(name, "rb");
    if (!stream) {
        fail("%s: %s", name, strerror(errno));
    }
    if (!fstat(fileno(stream), &s) && S_ISDIR(s.st_mode)) {
        fail("%s: %s", name, strerror(EISDIR));
    }
    pcap = pcap_fopen_offline(stream, error);
    if (!pcap) {
        fail("%s: not a capture in pcap or pcapng format (%s)", name, error);
    }
    type = pcap_datalink(pcap);
    if (type != DLT_EN10MB) {
        const char *type_name = pcap_datalink_val_to_name(type);

        pcap_close(pcap);
        fail("%s: link type is %s (%d), but only Ethernet (EN10MB) can be "
             "replayed", name, type_name ? type_name : "unknown", type);
    }
    return pcap;
}

static void
extend_one(struct extend *x, const char *name, pcap_t *pcap)
{
    struct pcap_pkthdr *record;
    const u_char *data;
    int error;

    while ((error = pcap_next_ex(pcap, &record, &data)) == 1) {
        uint32_t captured;

        if (record->len > x->max_size) {
            x->left_out++;
            continue;
        }

        /* Some damaged captures claim to hold more than was on the wire. */
        captured = record->caplen;
        if (captured > record->len) {
            captured = record->len;
        }
        memcpy(x->frame, data, captured);
        memset(x->frame + captured, 0, record->len - captured);
        out_frame(record->ts.tv_sec, record->ts.tv_usec,
                  x->frame, record->len);
        x->packets++;
        x->bytes += record->len;
    }
    if (error != PCAP_ERROR_BREAK) {
        fail("%s: damaged after %"PRIu64" packets (%s)", name,
             x->packets + x->left_out, pcap_geterr(pcap));
    }
}

/* Writing over the capture that is being read would destroy it. */
static void
refuse_same_file(const char *in, const char *out_)
{
    struct stat a, b;

    if (!stat(in, &a) && !stat(out_, &b)
        && a.st_dev == b.st_dev && a.st_ino == b.st_ino) {
        fail("%s: is both input and output", in);
    }
}

static void
extend_usage(FILE *stream)
{
    fprintf(stream,
            "usage: "PROGRAM" extend [--mtu=N] IN... OUT\n"
            "Write the frames of the captures IN, one capture after the "
            "other, to OUT,\nfilled with zeros up to their length on the "
            "wire.\n\n"
            "  --mtu=N     leave out frames longer than N + 18 bytes "
            "(default: %d)\n"
            "  -h, --help  show this help\n", DEFAULT_MTU);
}

static void
extend(int argc, char *argv[])
{
    static const struct option options[] = {
        {"mtu", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct extend x = { .max_size = DEFAULT_MTU + FRAME_OVERHEAD };
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 'm':
            x.max_size = parse_number("--mtu", optarg, MIN_MTU, MAX_MTU)
                         + FRAME_OVERHEAD;
            break;
        case 'h':
            extend_usage(stdout);
            exit(0);
        default:
            exit(1);
        }
    }
    argc -= optind;
    argv += optind;
    if (argc < 2) {
        fail("extend needs an input and an output file (see --help)");
    }
    for (int i = 0; i < argc - 1; i++) {
        refuse_same_file(argv[i], argv[argc - 1]);
    }

    x.frame = xcalloc(1, x.max_size);
    for (int i = 0; i < argc - 1; i++) {
        pcap_t *pcap = open_capture(argv[i]);

        /* Not earlier: a wrong input leaves an older output alone. */
        if (!i) {
            out_open(argv[argc - 1]);
        }
        extend_one(&x, argv[i], pcap);
        pcap_close(pcap);
    }
    free(x.frame);
    out_close();

    printf("{\"packets\":%"PRIu64",\"bytes\":%"PRIu64
           ",\"left-out\":%"PRIu64"}\n", x.packets, x.bytes, x.left_out);
}

/* generate */

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014): one multiplication more
 * than we need, one state variable less to explain. */
struct random {
    uint64_t state;
};

static uint64_t
random_next(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* A number from 0 to 'n' - 1, for an 'n' below 2**32. */
static uint32_t
random_below(struct random *r, uint32_t n)
{
    return (random_next(r) >> 32) * n >> 32;
}

struct flow {
    int family;                 /* AF_INET or AF_INET6. */
    uint8_t source[16];
    uint8_t destination[16];
    uint8_t protocol;
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t size;              /* Of each frame. */
    uint64_t packets;
};

/* The flows known in advance.  Their order by packets is not their order by
 * bytes, and the smallest is far above any flow of the background. */
static const struct {
    const char *source;
    const char *destination;
    uint8_t protocol;
    uint16_t source_port;
    uint16_t destination_port;
    uint32_t size;
    uint32_t per_mille;         /* Share of all packets. */
} known[] = {
    {"198.51.100.7", "192.0.2.53", IPPROTO_UDP, 53, 53, 90, 130},
    {"10.0.0.7", "10.0.9.1", IPPROTO_TCP, 41022, 443, 1514, 100},
    {"2001:db8::7", "2001:db8:9::1", IPPROTO_TCP, 50122, 443, 1294, 75},
    {"10.0.0.8", "10.0.9.2", IPPROTO_UDP, 5004, 5004, 214, 50},
    {"10.0.0.9", "203.0.113.80", IPPROTO_TCP, 33890, 80, 600, 35},
};

#define MAX_BACKGROUND_FLOWS 3000
/* Of 1000 packets, this many are not IP and this many are malformed. */
#define NOT_IP_PER_MILLE 4
#define MALFORMED_PER_MILLE 2
/* Few enough packets would let chance make a background flow large. */
#define MIN_PACKETS 1000
#define MAX_PACKETS 10000000
#define DEFAULT_PACKETS 50000
#define MAX_GENERATED_SIZE 1514

/* What is to be written at one place of the capture: the number of a flow or
 * one of these. */
enum {
    NOT_IP = UINT32_MAX,
    MALFORMED = UINT32_MAX - 1,
};

static uint32_t
sum_words(const uint8_t *p, size_t size, uint32_t sum)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        sum += p[i] << 8 | p[i + 1];
    }
    if (size % 2) {
        sum += p[size - 1] << 8;
    }
    return sum;
}

static uint16_t
finish_checksum(uint32_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return ~sum;
}

static void
put_ethernet(uint8_t *frame, uint16_t type)
{
    static const uint8_t addresses[12] = {
        0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1,
    };

    memcpy(frame, addresses, sizeof addresses);
    put_be16(frame + 12, type);
}

static void
put_ipv4_checksum(uint8_t *ip, size_t header_size)
{
    put_be16(ip + 10, 0);
    put_be16(ip + 10, finish_checksum(sum_words(ip, header_size, 0)));
}

/* Builds a frame of 'flow' in 'frame', which has room for
 * MAX_GENERATED_SIZE bytes. */
static void
build_frame(const struct flow *flow, uint8_t *frame)
{
    size_t address_size = flow->family == AF_INET ? 4 : 16;
    uint8_t *ip = frame + ETH_HEADER_LEN;
    uint32_t ip_size = flow->size - ETH_HEADER_LEN;
    uint8_t *transport;
    uint32_t transport_size;
    uint8_t *checksum;
    uint32_t sum;

    memset(frame, 0, flow->size);
    if (flow->family == AF_INET) {
        put_ethernet(frame, 0x0800);
        ip[0] = 0x45;
        put_be16(ip + 2, ip_size);
        ip[8] = 64;
        ip[9] = flow->protocol;
        memcpy(ip + 12, flow->source, 4);
        memcpy(ip + 16, flow->destination, 4);
        put_ipv4_checksum(ip, 20);
        transport = ip + 20;
    } else {
        put_ethernet(frame, 0x86dd);
        ip[0] = 0x60;
        put_be16(ip + 4, ip_size - 40);
        ip[6] = flow->protocol;
        ip[7] = 64;
        memcpy(ip + 8, flow->source, 16);
        memcpy(ip + 24, flow->destination, 16);
        transport = ip + 40;
    }

    transport_size = frame + flow->size - transport;
    put_be16(transport, flow->source_port);
    put_be16(transport + 2, flow->destination_port);
    if (flow->protocol == IPPROTO_TCP) {
        transport[12] = 0x50;   /* A header of 20 bytes. */
        transport[13] = 0x10;   /* ACK. */
        put_be16(transport + 14, 65535);
        checksum = transport + 16;
    } else {
        put_be16(transport + 4, transport_size);
        checksum = transport + 6;
    }

    sum = flow->protocol + transport_size;
    sum = sum_words(flow->source, address_size, sum);
    sum = sum_words(flow->destination, address_size, sum);
    put_be16(checksum,
             finish_checksum(sum_words(transport, transport_size, sum)));
}

static uint32_t
build_arp(struct random *r, uint8_t *frame)
{
    static const uint8_t request[8] = { 0, 1, 8, 0, 6, 4, 0, 1 };
    uint8_t *arp = frame + ETH_HEADER_LEN;

    memset(frame, 0, 60);
    put_ethernet(frame, 0x0806);
    memset(frame, 0xff, 6);
    memcpy(arp, request, sizeof request);
    memcpy(arp + 8, frame + 6, 6);
    put_be32(arp + 14, 0x0a000001);
    put_be32(arp + 24, 0x0a000000 | random_below(r, 65536));
    return 60;
}

/* Builds the 'i'th malformed packet: one of the ways in which an IP header
 * can contradict itself or its frame. */
static uint32_t
build_malformed(uint32_t i, uint8_t *frame)
{
    struct flow flow = {
        .family = AF_INET,
        .source = { 10, 66, 0, 1 },
        .destination = { 10, 66, 0, 2 },
        .protocol = IPPROTO_UDP,
        .source_port = 1000,
        .destination_port = 2000,
        .size = 100,
    };
    uint8_t *ip = frame + ETH_HEADER_LEN;

    switch (i % 5) {
    case 0:                     /* Total length beyond the frame. */
        build_frame(&flow, frame);
        put_be16(ip + 2, 1400);
        break;
    case 1:                     /* Header shorter than the smallest one. */
        build_frame(&flow, frame);
        ip[0] = 0x44;
        break;
    case 2:                     /* Version contradicts the Ethernet type. */
        build_frame(&flow, frame);
        ip[0] = 0x65;
        break;
    case 3:                     /* The frame ends within the header. */
        build_frame(&flow, frame);
        return ETH_HEADER_LEN + 12;
    case 4:                     /* IPv6 payload length beyond the frame. */
        flow.family = AF_INET6;
        flow.source[0] = flow.destination[0] = 0xfd;
        build_frame(&flow, frame);
        put_be16(ip + 4, 1400);
        return flow.size;
    }
    put_ipv4_checksum(ip, 20);
    return flow.size;
}

static void
make_known_flow(struct flow *flow, size_t i, uint64_t n_packets)
{
    flow->family = strchr(known[i].source, ':') ? AF_INET6 : AF_INET;
    inet_pton(flow->family, known[i].source, flow->source);
    inet_pton(flow->family, known[i].destination, flow->destination);
    flow->protocol = known[i].protocol;
    flow->source_port = known[i].source_port;
    flow->destination_port = known[i].destination_port;
    flow->size = known[i].size;
    flow->packets = n_packets * known[i].per_mille / 1000;
}

/* The sources are all different, so no two flows are the same by chance and
 * none is one of the flows known in advance. */
static void
make_background_flow(struct flow *flow, uint32_t i, struct random *r)
{
    flow->family = i % 10 ? AF_INET : AF_INET6;
    if (flow->family == AF_INET) {
        put_be32(flow->source, 0xac100000 + i);
        put_be32(flow->destination, 0xc6120000 + random_below(r, 1024));
    } else {
        put_be32(flow->source, 0x20010db8);
        put_be32(flow->source + 12, 0xbac00000 + i);
        put_be32(flow->destination, 0x20010db8);
        put_be32(flow->destination + 12, 1 + random_below(r, 1024));
    }
    flow->protocol = random_below(r, 3) ? IPPROTO_TCP : IPPROTO_UDP;
    flow->source_port = 1024 + random_below(r, 64512);
    flow->destination_port = flow->protocol == IPPROTO_TCP ? 443 : 53;
    flow->size = 74 + random_below(r, 500);
}

static int
compare_flows(const void *a_, const void *b_)
{
    const struct flow *a = a_;
    const struct flow *b = b_;

    return a->packets < b->packets ? 1 : a->packets > b->packets ? -1 : 0;
}

static void
print_flows(const struct flow *flows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN];
        const struct flow *flow = &flows[i];

        inet_ntop(flow->family, flow->source, source, sizeof source);
        inet_ntop(flow->family, flow->destination,
                  destination, sizeof destination);
        printf("%s{\"source\":\"%s\",\"destination\":\"%s\","
               "\"protocol\":%u,\"source-port\":%u,\"destination-port\":%u,"
               "\"packets\":%"PRIu64",\"bytes\":%"PRIu64"}",
               i ? "," : "", source, destination, flow->protocol,
               flow->source_port, flow->destination_port,
               flow->packets, flow->packets * flow->size);
    }
}

static void
generate_usage(FILE *stream)
{
    fprintf(stream,
            "usage: "PROGRAM" generate [--seed=N] [--packets=N] OUT\n"
            "Write a capture whose heavy hitters are known in advance, and "
            "print them.\n\n"
            "  --seed=N     start value of the random number generator "
            "(default: 1)\n"
            "  --packets=N  packets to write (default: %d)\n"
            "  -h, --help   show this help\n", DEFAULT_PACKETS);
}

static void
generate(int argc, char *argv[])
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"packets", required_argument, NULL, 'p'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    uint64_t bytes = 0, counted_packets = 0, counted_bytes = 0;
    uint32_t n_packets = DEFAULT_PACKETS;
    uint32_t n_not_ip, n_malformed, n_background, n_flows;
    uint32_t malformed = 0;
    struct random random = { 1 };
    uint8_t frame[MAX_GENERATED_SIZE];
    struct flow *flows;
    uint32_t *order;
    uint32_t n = 0;
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 's':
            random.state = parse_number("--seed", optarg, 0, UINT64_MAX);
            break;
        case 'p':
            n_packets = parse_number("--packets", optarg,
                                     MIN_PACKETS, MAX_PACKETS);
            break;
        case 'h':
            generate_usage(stdout);
            exit(0);
        default:
            exit(1);
        }
    }
    argc -= optind;
    argv += optind;
    if (argc != 1) {
        fail("generate needs one output file (see --help)");
    }

    n_background = n_packets / 10;
    if (n_background > MAX_BACKGROUND_FLOWS) {
        n_background = MAX_BACKGROUND_FLOWS;
    }
    n_flows = ARRAY_SIZE(known) + n_background;
    n_not_ip = n_packets * (uint64_t) NOT_IP_PER_MILLE / 1000;
    n_malformed = n_packets * (uint64_t) MALFORMED_PER_MILLE / 1000;

    flows = xcalloc(n_flows, sizeof *flows);
    order = xcalloc(n_packets, sizeof *order);
    for (uint32_t i = 0; i < n_flows; i++) {
        if (i < ARRAY_SIZE(known)) {
            make_known_flow(&flows[i], i, n_packets);
            for (uint64_t j = 0; j < flows[i].packets; j++) {
                order[n++] = i;
            }
        } else {
            make_background_flow(&flows[i], i, &random);
        }
    }
    for (uint32_t i = 0; i < n_not_ip; i++) {
        order[n++] = NOT_IP;
    }
    for (uint32_t i = 0; i < n_malformed; i++) {
        order[n++] = MALFORMED;
    }
    while (n < n_packets) {
        uint32_t i = ARRAY_SIZE(known) + random_below(&random, n_background);

        flows[i].packets++;
        order[n++] = i;
    }
    for (uint32_t i = n_packets - 1; i > 0; i--) {
        uint32_t j = random_below(&random, i + 1);
        uint32_t swap = order[i];

        order[i] = order[j];
        order[j] = swap;
    }

    out_open(argv[0]);
    for (uint32_t i = 0; i < n_packets; i++) {
        uint64_t microseconds = i * UINT64_C(100);
        uint32_t size;

        if (order[i] == NOT_IP) {
            size = build_arp(&random, frame);
        } else if (order[i] == MALFORMED) {
            size = build_malformed(malformed++, frame);
        } else {
            build_frame(&flows[order[i]], frame);
            size = flows[order[i]].size;
            counted_packets++;
            counted_bytes += size;
        }
        bytes += size;
        out_frame(1700000000 + microseconds / 1000000,
                  microseconds % 1000000, frame, size);
    }
    out_close();

    qsort(flows, n_flows, sizeof *flows, compare_flows);
    printf("{\"packets\":%"PRIu32",\"bytes\":%"PRIu64","
           "\"counted\":{\"packets\":%"PRIu64",\"bytes\":%"PRIu64"},"
           "\"not-ip\":%"PRIu32",\"malformed\":%"PRIu32","
           "\"heavy-hitters\":[",
           n_packets, bytes, counted_packets, counted_bytes,
           n_not_ip, n_malformed);
    print_flows(flows, ARRAY_SIZE(known));
    puts("]}");
    free(order);
    free(flows);
}

static void
usage(FILE *stream)
{
    fputs("usage: "PROGRAM" COMMAND [OPTION]... FILE...\n"
          "Prepare captures for ovs-measure-replay.\n\n"
          "  extend [--mtu=N] IN... OUT\n"
          "      fill the frames of captures up to their length on the wire\n"
          "  generate [--seed=N] [--packets=N] OUT\n"
          "      write a capture whose heavy hitters are known in advance\n\n"
          "  -h, --help     show this help\n"
          "  -V, --version  show the version\n", stream);
}

int
main(int argc, char *argv[])
{
    const char *command = argc > 1 ? argv[1] : NULL;

    if (!command) {
        fail("no command given; valid are extend and generate (see --help)");
    } else if (!strcmp(command, "-h") || !strcmp(command, "--help")) {
        usage(stdout);
    } else if (!strcmp(command, "-V") || !strcmp(command, "--version")) {
        puts(PROGRAM" "PACKAGE_VERSION);
    } else {
        /* getopt_long() begins its messages with argv[0]. */
        argv[1] = (char *) PROGRAM;
        if (!strcmp(command, "extend")) {
            extend(argc - 1, argv + 1);
        } else if (!strcmp(command, "generate")) {
            generate(argc - 1, argv + 1);
        } else {
            fail("\"%s\" is not a command; valid are extend and generate",
                 command);
        }
    }
    close_stdout();
    return 0;
}
