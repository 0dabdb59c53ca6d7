/* SPDX-License-Identifier: Apache-2.0 */
/* Makes records of the packets of a capture. */

#include <config.h>

#include "stream-capture.h"

#include <errno.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "key/measure-parse.h"
#include "stream/measure-packet-make.h"

#define ETHERNET_SIZE 14
#define PROGRESS_PACKETS 8192

#define VALID_LINKS "Ethernet (EN10MB), raw IP (RAW, IPV4, IPV6), Linux " \
                    "cooked (LINUX_SLL, LINUX_SLL2) and BSD loopback " \
                    "(NULL, LOOP)"

struct stream_capture {
    char *name;
    pcap_t *pcap;
    FILE *file;                 /* Closed by 'pcap'. */
    int link;
    size_t link_size;           /* Bytes that Ethernet takes the place of. */
    uint64_t file_size;         /* 0 if it is not known. */
    struct stream_capture_options options;
    struct stream_capture_counters counters;
    size_t dirty;               /* Bytes of 'frame' that may not be zero. */
    uint8_t frame[ETHERNET_SIZE + STREAM_CAPTURE_MAX];
};

/* Link types. */

static uint16_t
load16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

/* The size of the header of packets of type 'link', or -1 for a type that is
 * not read. */
static int
size_of_link(int link)
{
    switch (link) {
    case DLT_EN10MB:
    case DLT_RAW:
    case DLT_IPV4:
    case DLT_IPV6:
        return 0;
    case DLT_NULL:
    case DLT_LOOP:
        return 4;
    case DLT_LINUX_SLL:
        return 16;
    case DLT_LINUX_SLL2:
        return 20;
    default:
        return -1;
    }
}

/* Of the family in the header of BSD loopback, in the byte order of the
 * machine that it was captured on.  That of IPv6 differs between systems. */
static uint16_t
ethertype_of_family(const uint8_t *p)
{
    uint32_t family = (uint32_t) load16(p) << 16 | load16(p + 2);

    switch (family > UINT16_MAX ? family >> 24 : family) {
    case 2:
        return MEASURE_ETHERTYPE_IPV4;
    case 10:
    case 24:
    case 28:
    case 30:
        return MEASURE_ETHERTYPE_IPV6;
    default:
        return UINT16_MAX;
    }
}

/* What the Ethernet header of a packet says that has none.  'p' points at the
 * packet, of which 'n' bytes are there, at least the header of the link. */
static uint16_t
find_ethertype(const struct stream_capture *capture, const uint8_t *p,
               size_t n)
{
    switch (capture->link) {
    case DLT_IPV4:
        return MEASURE_ETHERTYPE_IPV4;
    case DLT_IPV6:
        return MEASURE_ETHERTYPE_IPV6;
    case DLT_LINUX_SLL:
        return load16(p + 14);
    case DLT_LINUX_SLL2:
        return load16(p);
    case DLT_NULL:
    case DLT_LOOP:
        return ethertype_of_family(p);
    case DLT_RAW:
    default:
        return (n && p[0] >> 4 == 6
                ? MEASURE_ETHERTYPE_IPV6 : MEASURE_ETHERTYPE_IPV4);
    }
}

/* Opening. */

/* Like stream_capture_open(), from 'file', which is closed with the capture,
 * or at once if there is an error.  'name' is for people. */
struct stream_capture *
stream_capture_open_file(FILE *file, const char *name,
                         const struct stream_capture_options *options,
                         char **error)
{
    struct stream_capture *capture;
    char why[PCAP_ERRBUF_SIZE];
    struct stat s;
    pcap_t *pcap;
    int link;

    *error = NULL;
    if (fileno(file) >= 0 && !fstat(fileno(file), &s)) {
        if (S_ISDIR(s.st_mode)) {
            *error = measure_format("%s: %s", name, strerror(EISDIR));
            fclose(file);
            return NULL;
        }
    } else {
        memset(&s, 0, sizeof s);
    }

    pcap = pcap_fopen_offline_with_tstamp_precision(
        file, PCAP_TSTAMP_PRECISION_NANO, why);
    if (!pcap) {
        *error = measure_format("%s: not a capture in pcap or pcapng format "
                                "(%s)", name, why);
        fclose(file);
        return NULL;
    }
    link = pcap_datalink(pcap);
    if (size_of_link(link) < 0) {
        const char *link_name = pcap_datalink_val_to_name(link);

        *error = measure_format("%s: link type is %s (%d); valid are "
                                VALID_LINKS, name,
                                link_name ? link_name : "unknown", link);
        pcap_close(pcap);
        return NULL;
    }

    capture = measure_xzalloc(sizeof *capture);
    capture->name = measure_format("%s", name);
    capture->pcap = pcap;
    capture->file = file;
    capture->link = link;
    capture->link_size = size_of_link(link);
    capture->file_size = S_ISREG(s.st_mode) ? s.st_size : 0;
    capture->options = *options;
    return capture;
}

/* Opens the capture 'path', "-" for standard input.  Returns NULL and sets
 * '*error', which the caller frees, if that cannot be read. */
struct stream_capture *
stream_capture_open(const char *path,
                    const struct stream_capture_options *options,
                    char **error)
{
    bool standard = !strcmp(path, "-");
    FILE *file = standard ? stdin : fopen(path, "rbe");

    if (!file) {
        *error = measure_format("%s: %s", path, strerror(errno));
        return NULL;
    }
    return stream_capture_open_file(file, standard ? "standard input" : path,
                                    options, error);
}

void
stream_capture_close(struct stream_capture *capture)
{
    if (capture) {
        pcap_close(capture->pcap);
        free(capture->name);
        free(capture);
    }
}

/* Reading. */

static void
tell_progress(const struct stream_capture *capture)
{
    if (capture->options.progress) {
        off_t at = ftello(capture->file);

        capture->options.progress(capture->options.aux, at > 0 ? at : 0,
                                  capture->file_size);
    }
}

/* Puts a packet that was captured to 'frame', with zeros up to its length on
 * the wire.  Returns that, or SIZE_MAX if no record can tell of it.  Sets
 * '*captured' to how many bytes are known. */
static size_t
put_frame(struct stream_capture *capture, const struct pcap_pkthdr *header,
          const uint8_t *data, size_t *captured)
{
    /* Some damaged captures claim to hold more than was on the wire. */
    size_t n = measure_min(header->caplen, header->len);
    size_t length = header->len;
    uint8_t *p = capture->frame;

    *captured = 0;
    if (length > STREAM_CAPTURE_MAX) {
        return SIZE_MAX;
    }
    if (capture->link != DLT_EN10MB) {
        if (n < capture->link_size) {
            return 0;           /* Nobody knows what it was. */
        }
        memset(p, 0, ETHERNET_SIZE - 2);
        p[ETHERNET_SIZE - 2] = find_ethertype(capture, data, n) >> 8;
        p[ETHERNET_SIZE - 1] = find_ethertype(capture, data, n);
        p += ETHERNET_SIZE;
        data += capture->link_size;
        n -= capture->link_size;
        length -= capture->link_size;
    }
    memcpy(p, data, n);
    *captured = p + n - capture->frame;
    if (capture->dirty > *captured) {
        memset(p + n, 0, capture->dirty - *captured);
    }
    capture->dirty = *captured;
    return p + length - capture->frame;
}

/* Makes the record of the frame.  Returns its slots, 0 if it has none. */
static unsigned int
make_record(struct stream_capture *capture, size_t length, size_t captured,
            uint64_t time_ns, struct measure_slot *slots)
{
    struct stream_capture_counters *counters = &capture->counters;
    struct measure_record record;
    uint64_t tcp = 0;
    unsigned int n;

    measure_parse_transport(capture->frame, length,
                            MEASURE_ETHERTYPE_ETHERNET, &record);
    switch (record.verdict) {
    case MEASURE_COUNT_NARROW:
        counters->narrow++;
        break;
    case MEASURE_COUNT_WIDE:
        counters->wide++;
        break;
    case MEASURE_NOT_IP:
        counters->not_ip++;
        return 0;
    case MEASURE_MALFORMED:
    default:
        counters->malformed++;
        return 0;
    }
    counters->bytes += length;

    /* One that was not captured is zeros: then its own length is, too. */
    if (record.transport) {
        tcp = measure_slot_tcp_header(capture->frame, record.transport,
                                      length, record.padding);
    }
    n = measure_slot_write(slots, (enum measure_layout) record.verdict,
                           record.key, time_ns, length, tcp);
    if (capture->options.headers) {
        n = measure_slot_write_headers(slots, n, capture->frame,
                                       captured);
    }
    return n;
}

/* Reads on to the next packet with a record, and writes that to 'slots'.
 * Returns how many it takes, or 0 at the end of the capture.  Then '*error' is
 * NULL, or what is wrong with the capture, which the caller frees. */
unsigned int
stream_capture_next(struct stream_capture *capture,
                    struct measure_slot slots[MEASURE_SLOT_MAX], char **error)
{
    struct stream_capture_counters *counters = &capture->counters;
    struct pcap_pkthdr *header;
    const u_char *data;
    int result;

    *error = NULL;
    while ((result = pcap_next_ex(capture->pcap, &header, &data)) == 1) {
        size_t captured, length = put_frame(capture, header, data, &captured);
        unsigned int n = 0;

        if (!(++counters->packets % PROGRESS_PACKETS)) {
            tell_progress(capture);
        }
        if (length == SIZE_MAX) {
            counters->too_long++;
        } else {
            n = make_record(capture, length, captured,
                            /* libpcap takes those from 2038 on as before
                             * 1970. */
                            ((uint32_t) header->ts.tv_sec * MEASURE_NS_PER_S
                             + header->ts.tv_usec), slots);
        }
        if (n) {
            return n;
        }
    }
    if (result != PCAP_ERROR_BREAK) {
        *error = measure_format("%s: damaged behind packet %"PRIu64" (%s)",
                                capture->name, counters->packets,
                                pcap_geterr(capture->pcap));
    }
    tell_progress(capture);
    return 0;
}

const struct stream_capture_counters *
stream_capture_counters(const struct stream_capture *capture)
{
    return &capture->counters;
}
