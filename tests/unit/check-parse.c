/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the parser of frames. */

#include "check-common.h"
#include "check-frames.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pcap/pcap.h>

static_assert(MEASURE_MAX_TAGS == 8 && MEASURE_MAX_EXTENSIONS == 8,
              "check-frames.h has frames with 8 and 9");

/* The oracle: the rules in measure-parse.h, word by word, over a bit reader
 * that knows where the frame ends. */

struct bytes {
    const uint8_t *p;
    size_t size;
};

static bool
has(const struct bytes *b, size_t at, size_t n)
{
    return at <= b->size && b->size - at >= n;
}

static unsigned int
get16(const struct bytes *b, size_t at)
{
    REQUIRE(has(b, at, 2));
    return b->p[at] * 256 + b->p[at + 1];
}

static void
oracle_ports(const struct bytes *b, size_t at, struct measure_fields *fields)
{
    if ((fields->protocol == 6 || fields->protocol == 17
         || fields->protocol == 132) && has(b, at, 4)) {
        fields->source_port = get16(b, at);
        fields->destination_port = get16(b, at + 2);
    }
}

static enum measure_verdict
oracle_ipv4(const struct bytes *b, size_t at, struct measure_fields *fields)
{
    unsigned int header, total;

    if (!has(b, at, 20)) {
        return MEASURE_MALFORMED;
    }
    header = b->p[at] % 16 * 4;
    total = get16(b, at + 2);
    if (b->p[at] / 16 != 4 || header < 20 || total < header
        || total > b->size - at) {
        return MEASURE_MALFORMED;
    }
    fields->family = MEASURE_IPV4;
    fields->protocol = b->p[at + 9];
    memcpy(fields->source, b->p + at + 12, 4);
    memcpy(fields->destination, b->p + at + 16, 4);
    if (get16(b, at + 6) % 0x2000 == 0) {
        oracle_ports(b, at + header, fields);
    }
    return MEASURE_COUNT_NARROW;
}

static bool
is_extension(uint8_t protocol)
{
    static const uint8_t extensions[] = { 0, 43, 44, 51, 60, 135 };

    return memchr(extensions, protocol, sizeof extensions) != NULL;
}

static enum measure_verdict
oracle_ipv6(const struct bytes *b, size_t at, struct measure_fields *fields)
{
    bool whole = true;
    int n = 0;

    if (!has(b, at, 40) || b->p[at] / 16 != 6
        || 40 + get16(b, at + 4) > b->size - at) {
        return MEASURE_MALFORMED;
    }
    fields->family = MEASURE_IPV6;
    fields->protocol = b->p[at + 6];
    memcpy(fields->source, b->p + at + 8, 16);
    memcpy(fields->destination, b->p + at + 24, 16);
    at += 40;
    while (whole && is_extension(fields->protocol) && has(b, at, 8)
           && n++ < MEASURE_MAX_EXTENSIONS) {
        unsigned int length
            = (fields->protocol == 44 ? 8
               : fields->protocol == 51 ? 8 + 4 * b->p[at + 1]
               : 8 + 8 * b->p[at + 1]);

        if (fields->protocol == 44 && get16(b, at + 2) / 8) {
            whole = false;
        }
        fields->protocol = b->p[at];
        if (!has(b, at, length)) {
            whole = false;
        }
        at += length;
    }
    if (whole && !is_extension(fields->protocol)) {
        oracle_ports(b, at, fields);
    }
    return MEASURE_COUNT_WIDE;
}

static enum measure_verdict
oracle_parse(const uint8_t *frame, size_t size, unsigned int type,
             struct measure_fields *fields)
{
    struct bytes b = { frame, size };
    size_t at = 0;

    unsigned int vlan = 0;
    enum measure_verdict verdict;

    memset(fields, 0, sizeof *fields);
    if (!type) {
        if (size < 14) {
            return MEASURE_NOT_IP;
        }
        at = 12;
        type = get16(&b, at);
        for (int i = 0; i < MEASURE_MAX_TAGS; i++) {
            if ((type != 0x8100 && type != 0x88a8) || !has(&b, at, 6)) {
                break;
            }
            vlan = i ? vlan : get16(&b, at + 2) % 4096;
            at += 4;
            type = get16(&b, at);
        }
        at += 2;
        if (type < 1536 && has(&b, at, 8) && b.p[at] == 0xaa
            && b.p[at + 1] == 0xaa && b.p[at + 2] == 3
            && !b.p[at + 3] && !b.p[at + 4] && !b.p[at + 5]) {
            type = get16(&b, at + 6);
            at += 8;
        }
    }
    verdict = (type == 0x0800 ? oracle_ipv4(&b, at, fields)
               : type == 0x86dd ? oracle_ipv6(&b, at, fields)
               : MEASURE_NOT_IP);
    fields->vlan = vlan;
    return verdict;
}

static uint64_t n_plain;        /* Frames that measure_parse_plain() knew. */

/* Parses a copy of 'frame' that ends where its memory ends, so that the
 * address sanitizer sees each byte read behind it. */
static struct measure_record
parse_exactly(const uint8_t *frame, size_t size, uint16_t ethertype)
{
    struct measure_record record;
    uint8_t *copy = malloc(size ? size : 1);

    memset(&record, 0x5a, sizeof record);
    memcpy(copy, frame, size);
    /* An empty frame is a pointer behind its memory. */
    measure_parse(size ? copy : copy + 1, size, ethertype, &record);
    if (ethertype == MEASURE_ETHERTYPE_ETHERNET) {
        uint64_t key[MEASURE_KEY_WORDS];

        if (measure_parse_plain(size ? copy : copy + 1, size, key)) {
            n_plain++;
            REQUIRE(record.verdict == MEASURE_COUNT_NARROW);
            REQUIRE(key[0] == record.key[0] && key[1] == record.key[1]);
        }
    }
    REQUIRE(!memcmp(copy, frame, size));
    free(copy);
    return record;
}

static void
describe(const uint8_t *frame, size_t size, uint16_t ethertype, char *s)
{
    s += sprintf(s, "ethertype %04x frame ", ethertype);
    for (size_t i = 0; i < size && i < 256; i++) {
        s += sprintf(s, "%02x", frame[i]);
    }
}

static bool
counts(enum measure_verdict verdict)
{
    return verdict == MEASURE_COUNT_NARROW || verdict == MEASURE_COUNT_WIDE;
}

/* Checks what the parser says of 'frame' against the oracle.  Returns its
 * verdict. */
static enum measure_verdict
check_frame(const uint8_t *frame, size_t size, uint16_t ethertype)
{
    struct measure_record record = parse_exactly(frame, size, ethertype);
    struct measure_fields expected;
    enum measure_verdict verdict = oracle_parse(frame, size, ethertype,
                                                &expected);
    char text[600];

    if (record.verdict != verdict || record.bytes != size) {
        describe(frame, size, ethertype, text);
        ck_abort_msg("verdict %d not %d, %u bytes not %zu: %s",
                     record.verdict, verdict, record.bytes, size, text);
    }
    if (counts(verdict)) {
        struct measure_fields fields;
        uint64_t key[MEASURE_KEY_WORDS];
        enum measure_layout layout = measure_key_from_fields(key, &expected);

        measure_fields_from_key(&fields, layout, record.key);
        if (!fields_equal(&fields, &expected)
            || memcmp(key, record.key,
                      measure_key_words(layout) * sizeof *key)) {
            describe(frame, size, ethertype, text);
            ck_abort_msg("protocol %u ports %u %u, not %u %u %u, or other "
                         "addresses: %s", fields.protocol,
                         fields.source_port, fields.destination_port,
                         expected.protocol, expected.source_port,
                         expected.destination_port, text);
        }
    }
    return verdict;
}

/* Where the TCP header is, and what is behind the IP packet, as
 * measure_parse_transport() must say of a frame with 'record'.  The key says
 * what protocol it is, hence this walks the headers less carefully. */
static void
oracle_transport(const uint8_t *frame, size_t size,
                 const struct measure_record *record,
                 size_t *padding, size_t *transport)
{
    const struct bytes b = { frame, size };
    struct measure_fields fields;
    size_t at, end;

    measure_fields_from_key(&fields, record->verdict, record->key);
    /* The first place where the addresses of the key are. */
    for (at = 0; ; at++) {
        size_t n = record->verdict == MEASURE_COUNT_NARROW ? 4 : 16;
        size_t source = n == 4 ? 12 : 8;

        if (has(&b, at, source + 2 * n)
            && frame[at] / 16 == (n == 4 ? 4 : 6)
            && !memcmp(frame + at + source, fields.source, n)
            && !memcmp(frame + at + source + n, fields.destination, n)
            && (at == 0 || get16(&b, at - 2) == (n == 4 ? 0x0800 : 0x86dd))) {
            break;
        }
    }
    *transport = 0;
    if (record->verdict == MEASURE_COUNT_NARROW) {
        end = at + get16(&b, at + 2);
        if (get16(&b, at + 6) % 0x2000 == 0) {
            *transport = at + frame[at] % 16 * 4;
        }
    } else {
        size_t next = at + 6;
        int i;

        end = at + 40 + get16(&b, at + 4);
        at += 40;
        for (i = 0; i <= MEASURE_MAX_EXTENSIONS; i++) {
            if (!is_extension(frame[next])) {
                *transport = at;
                break;
            }
            if (i == MEASURE_MAX_EXTENSIONS || !has(&b, at, 8)
                || (frame[next] == 44 && get16(&b, at + 2) / 8)) {
                break;
            }
            size_t length = (frame[next] == 44 ? 8
                             : frame[next] == 51 ? frame[at + 1] * 4 + 8
                             : frame[at + 1] * 8 + 8);
            next = at;
            if (!has(&b, at, length)) {
                break;
            }
            at += length;
        }
    }
    *padding = size - end < MEASURE_MAX_PADDING ? size - end
               : MEASURE_MAX_PADDING;
    if (fields.protocol != 6 || *transport + 20 > end) {
        *transport = 0;
    }
}

/* Checks what measure_parse_transport() says of a frame. */
static bool
check_transport(const uint8_t *frame, size_t size, uint16_t ethertype)
{
    struct measure_record record = parse_exactly(frame, size, ethertype);
    uint8_t *copy = malloc(size ? size : 1);
    struct measure_record with;
    size_t padding, transport;

    memcpy(copy, frame, size);
    memset(&with, 0x5a, sizeof with);
    measure_parse_transport(copy, size, ethertype, &with);
    free(copy);
    ck_assert_int_eq(with.verdict, record.verdict);
    ck_assert_uint_eq(with.bytes, record.bytes);
    if (!counts(record.verdict)) {
        return false;
    }
    ck_assert_mem_eq(with.key, record.key,
                     measure_key_words(record.verdict) * sizeof with.key[0]);
    oracle_transport(frame, size, &record, &padding, &transport);
    if (with.padding != padding || with.transport != transport) {
        char text[600];

        describe(frame, size, ethertype, text);
        ck_abort_msg("transport %u not %zu, padding %u not %zu: %s",
                     with.transport, transport, with.padding, padding, text);
    }
    return transport;
}

START_TEST(hand_made_frames)
{
    const struct frame_case *c = &frame_cases[_i];
    uint8_t frame[MAX_FRAME_CASE];
    size_t size = frame_case_bytes(c, frame);
    struct measure_record record = parse_exactly(frame, size, c->ethertype);
    struct measure_fields fields;

    ck_assert_msg(record.verdict == c->verdict, "%s: verdict %d not %d",
                  c->name, record.verdict, c->verdict);
    ck_assert_uint_eq(record.bytes, size);
    if (counts(c->verdict)) {
        static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8 };
        static const uint8_t v4[4] = { 10, 0, 0, 0 };
        size_t n = c->verdict == MEASURE_COUNT_NARROW ? 4 : 16;
        const uint8_t *network = n == 4 ? v4 : v6;

        measure_fields_from_key(&fields,
                                n == 4 ? MEASURE_NARROW : MEASURE_WIDE,
                                record.key);
        ck_assert_mem_eq(fields.source, network, n - 1);
        ck_assert_mem_eq(fields.destination, network, n - 1);
        ck_assert_uint_eq(fields.source[n - 1], 1);
        ck_assert_uint_eq(fields.destination[n - 1], 2);
        ck_assert_msg(fields.protocol == c->protocol
                      && fields.source_port == c->source_port
                      && fields.destination_port == c->destination_port,
                      "%s: protocol %u ports %u %u", c->name, fields.protocol,
                      fields.source_port, fields.destination_port);
    }
    check_frame(frame, size, c->ethertype);
    check_transport(frame, size, c->ethertype);
}
END_TEST

/* Runts: every frame, cut after each of its bytes. */
START_TEST(frames_cut_anywhere)
{
    const struct frame_case *c = &frame_cases[_i];
    uint8_t frame[MAX_FRAME_CASE];
    size_t size = frame_case_bytes(c, frame);

    for (size_t n = 0; n <= size; n++) {
        enum measure_verdict verdict = check_frame(frame, n, c->ethertype);

        if (!c->ethertype && n < 14) {
            ck_assert_int_eq(verdict, MEASURE_NOT_IP);
        }
    }
}
END_TEST

/* Each value of the length fields of IPv4 that can matter. */
START_TEST(ipv4_lengths_at_their_boundaries)
{
    uint8_t frame[14 + 80] = { [12] = 0x08 };
    uint8_t *ip = frame + 14;
    unsigned int n_sane = 0;

    for (int version = 0; version < 16; version++) {
        for (int words = 0; words < 16; words++) {
            for (int total = 0; total < 84; total++) {
                for (int size = 0; size <= 80; size++) {
                    bool sane = (version == 4 && words >= 5
                                 && words * 4 <= total && total <= size);

                    ip[0] = version << 4 | words;
                    ip[3] = total;
                    ip[9] = 17;
                    REQUIRE(check_frame(frame, 14 + size, 0)
                            == (sane ? MEASURE_COUNT_NARROW
                                : MEASURE_MALFORMED));
                    n_sane += sane;
                }
            }
            /* The rest only for the versions that matter. */
            if (version != 4 && words > 5) {
                break;
            }
        }
    }
    ck_assert_uint_gt(n_sane, 0);
}
END_TEST

START_TEST(ipv6_lengths_at_their_boundaries)
{
    uint8_t frame[14 + 100] = { [12] = 0x86, [13] = 0xdd };
    uint8_t *ip = frame + 14;
    unsigned int n_sane = 0;

    for (int version = 0; version < 16; version++) {
        for (int payload = 0; payload < 64; payload++) {
            for (int size = 0; size <= 100; size++) {
                bool sane = version == 6 && 40 + payload <= size;

                ip[0] = version << 4;
                ip[5] = payload;
                ip[6] = 17;
                REQUIRE(check_frame(frame, 14 + size, 0)
                        == (sane ? MEASURE_COUNT_WIDE : MEASURE_MALFORMED));
                n_sane += sane;
            }
        }
    }
    ck_assert_uint_gt(n_sane, 0);
}
END_TEST

/* The lengths of 16 bits in frames that are that long (segmentation
 * offload). */
START_TEST(frames_of_64_kib)
{
    size_t max = 14 + 65535 + 40;
    uint8_t *frame = calloc(1, max + 16);
    uint8_t *ip = frame + 14;

    frame[12] = 0x08;
    ip[0] = 0x45;
    ip[9] = 6;
    for (unsigned int total = 65530; total <= 65535; total++) {
        ip[2] = total >> 8;
        ip[3] = total;
        ck_assert_int_eq(check_frame(frame, 14 + total - 1, 0),
                         MEASURE_MALFORMED);
        ck_assert_int_eq(check_frame(frame, 14 + total, 0),
                         MEASURE_COUNT_NARROW);
        ck_assert_int_eq(check_frame(frame, 14 + total + 1, 0),
                         MEASURE_COUNT_NARROW);
    }

    frame[12] = 0x86;
    frame[13] = 0xdd;
    memset(ip, 0, 40);
    ip[0] = 0x60;
    ip[4] = ip[5] = 0xff;
    ip[6] = 6;
    ck_assert_int_eq(check_frame(frame, max - 1, 0), MEASURE_MALFORMED);
    ck_assert_int_eq(check_frame(frame, max, 0), MEASURE_COUNT_WIDE);
    ck_assert_int_eq(check_frame(frame, max + 1, 0), MEASURE_COUNT_WIDE);
    free(frame);
}
END_TEST

/* Chains of extension headers as long as a frame can hold, and each value of
 * their length field. */
START_TEST(ipv6_chains_of_any_length)
{
    static const uint8_t kinds[] = { 0, 43, 44, 51, 60, 135 };
    uint8_t frame[54 + 2500 + 8];
    struct random r = random_from(test_seed);

    for (int i = 0; i < 3000; i++) {
        size_t at = 54;
        size_t n_headers = random_below(&r, 12);
        uint8_t *next = &frame[20];

        memset(frame, 0, sizeof frame);
        frame[12] = 0x86;
        frame[13] = 0xdd;
        frame[14] = 0x60;
        for (size_t j = 0; j < n_headers; j++) {
            uint8_t kind = kinds[random_below(&r, ARRAY_SIZE(kinds))];
            uint8_t length = random_below(&r, j ? 4 : 256);
            size_t bytes = (kind == 44 ? 8 : kind == 51 ? 8 + length * 4
                            : 8 + length * 8);

            if (at + bytes > sizeof frame - 8) {
                break;
            }
            *next = kind;
            next = &frame[at];
            frame[at + 1] = length;
            if (kind == 44 && !random_below(&r, 8)) {
                frame[at + 3] = 8;
            }
            at += bytes;
        }
        *next = random_below(&r, 4) ? 17 : random_next(&r) >> 56;
        random_fill(&r, &frame[at], 8);

        ck_assert_int_eq(check_frame(frame, at + 8, 0), MEASURE_COUNT_WIDE);
        check_frame(frame, at + 4, 0);
        check_frame(frame, at + 3, 0);
        check_frame(frame, at, 0);
        check_frame(frame, 54 + random_below(&r, at - 54 + 8), 0);
    }
}
END_TEST

/* The frames that measure_parse_plain() is for are those that it knows. */
START_TEST(plain_frames)
{
    /* What another value of a byte, or of two, makes of a plain frame. */
    static const struct {
        size_t at;
        uint8_t high, low;
        bool plain;
    } changes[] = {
        { 0, 0xff, 0xff, true },        /* Addresses of Ethernet. */
        { 12, 0x81, 0x00, false },      /* VLAN. */
        { 12, 0x86, 0xdd, false },      /* IPv6. */
        { 14, 0x46, 0, false },         /* Options. */
        { 14, 0x65, 0, false },         /* No such version. */
        { 15, 0xff, 0x00, true },       /* Type of service, length 46. */
        { 16, 0, 46, true },            /* All of the frame... */
        { 16, 0, 45, true },            /* ...or less... */
        { 16, 0, 47, false },           /* ...but not more. */
        { 16, 0, 20, true },
        { 16, 0, 19, false },
        { 20, 0x40, 0x00, true },       /* Shall not be fragmented. */
        { 20, 0x20, 0x00, true },       /* The first fragment. */
        { 20, 0x00, 0x01, false },
        { 20, 0x10, 0x00, false },
        { 22, 64, 6, true },            /* TCP. */
        { 22, 0, 17, true },
        { 22, 0, 1, false },
        { 22, 0, 132, false },
        { 26, 0xff, 0xff, true },       /* Addresses. */
        { 34, 0xff, 0xff, true },       /* Ports. */
    };
    uint8_t frame[60] = { [12] = 0x08, 0x00, 0x45, 0, 0, 46, [22] = 64, 6 };
    uint64_t key[MEASURE_KEY_WORDS];

    for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
        uint8_t changed[sizeof frame];

        memcpy(changed, frame, sizeof frame);
        changed[changes[i].at] = changes[i].high;
        if (changes[i].at != 14) {
            changed[changes[i].at + 1] = changes[i].low;
        }
        check_frame(changed, sizeof changed, MEASURE_ETHERTYPE_ETHERNET);
        ck_assert_int_eq(measure_parse_plain(changed, sizeof changed, key),
                         changes[i].plain);
    }

    /* No less than the ports. */
    frame[17] = 20;
    ck_assert(measure_parse_plain(frame, 38, key));
    ck_assert(!measure_parse_plain(frame, 37, key));
    ck_assert(!measure_parse_plain(frame, 0, key));
}
END_TEST

START_TEST(random_and_mutated_frames)
{
    struct random r = random_from(test_seed);
    unsigned int verdicts[MEASURE_N_VERDICTS] = { 0 };
    unsigned int n_tcp = 0;

    for (int i = 0; i < 300000; i++) {
        const struct frame_case *c
            = &frame_cases[random_below(&r, N_FRAME_CASES)];
        uint8_t frame[MAX_FRAME_CASE + 64];
        size_t size = frame_case_bytes(c, frame);
        uint16_t ethertype = c->ethertype;

        if (!random_below(&r, 50)) {
            size = random_below(&r, 128);
            random_fill(&r, frame, size);
            ethertype = (random_below(&r, 2) ? 0
                         : random_below(&r, 2) ? 0x0800 : 0x86dd);
        }
        for (int n = random_below(&r, 6); n > 0 && size; n--) {
            size_t at = random_below(&r, size);

            switch (random_below(&r, 4)) {
            case 0:
                frame[at] ^= 1 << random_below(&r, 8);
                break;
            case 1:
                frame[at] = random_next(&r) >> 56;
                break;
            case 2:
                frame[at] += random_below(&r, 3) - 1;
                break;
            case 3:
                memcpy(frame + at, "\x81\0\x88\xa8\x08\0\x86\xdd\xaa"
                       + random_below(&r, 8), at + 1 < size ? 2 : 1);
                break;
            }
        }
        if (!random_below(&r, 4)) {
            size = random_below(&r, size + 1);
        } else if (!random_below(&r, 4)) {
            size_t more = random_below(&r, 64);

            random_fill(&r, frame + size, more);
            size += more;
        }
        verdicts[check_frame(frame, size, ethertype)]++;
        n_tcp += check_transport(frame, size, ethertype);
    }
    ck_assert_uint_gt(n_tcp, 10000);
    ck_assert_uint_gt(n_plain, 10000);
    for (int i = 0; i < MEASURE_N_VERDICTS; i++) {
        ck_assert_msg(verdicts[i] > 10000, "verdict %d came %u times", i,
                      verdicts[i]);
    }
}
END_TEST

/* Captures. */

static char traces[PATH_MAX - 300];

static void
find_traces(void)
{
    const char *directory = getenv("MEASURE_TRACES");
    const char *source = getenv("MEASURE_SOURCE");

    if (directory && directory[0]) {
        snprintf(traces, sizeof traces, "%s", directory);
    } else {
        snprintf(traces, sizeof traces, "%s%s../shared/traces",
                 source && source[0] ? source : "",
                 source && source[0] ? "/" : "");
    }
}

/* Parses all frames of capture 'name', extended with zeros to their length on
 * the wire.  Adds up verdicts and bytes.  Returns false if it is no capture
 * at all. */
static bool
parse_capture(const char *name, uint64_t verdicts[MEASURE_N_VERDICTS],
              uint64_t *bytes, uint64_t *n_frames)
{
    char error[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline(name, error);
    struct pcap_pkthdr *header;
    const u_char *data;

    if (!pcap) {
        return false;
    }
    while (pcap_next_ex(pcap, &header, &data) == 1) {
        size_t captured = (header->caplen < header->len
                           ? header->caplen : header->len);
        /* Damaged captures claim lengths that no frame has. */
        size_t size = (header->len < 100000 ? header->len : captured);
        uint8_t *frame = calloc(1, size + 1);
        enum measure_verdict verdict;

        memcpy(frame, data, captured);
        check_frame(frame, captured, 0);
        check_frame(frame, size, MEASURE_ETHERTYPE_IPV4);
        check_frame(frame, size, MEASURE_ETHERTYPE_IPV6);
        verdict = check_frame(frame, size, 0);
        verdicts[verdict]++;
        if (counts(verdict)) {
            *bytes += size;
        }
        ++*n_frames;
        free(frame);
    }
    pcap_close(pcap);
    return true;
}

static const char *const big_captures[] = {
    "real-mix-oss", "scan", "ipv6", "vlan", "tunnel"
};

static uint64_t
read_total(FILE *truth, const char *name)
{
    char line[512], what[64];
    uint64_t value;

    rewind(truth);
    while (fgets(line, sizeof line, truth)) {
        if (sscanf(line, "#total %63s %"SCNu64, what, &value) == 2
            && !strcmp(what, name)) {
            return value;
        }
    }
    ck_abort_msg("truth file has no total \"%s\"", name);
    return 0;
}

START_TEST(captures_add_up_to_their_truth)
{
    uint64_t verdicts[MEASURE_N_VERDICTS] = { 0 };
    uint64_t bytes = 0, n_frames = 0;
    char name[PATH_MAX];
    FILE *truth;

    snprintf(name, sizeof name, "%s/%s.pcap", traces, big_captures[_i]);
    ck_assert_msg(parse_capture(name, verdicts, &bytes, &n_frames), "%s",
                  name);
    snprintf(name, sizeof name, "%s/%s.truth.tsv", traces, big_captures[_i]);
    truth = fopen(name, "r");
    ck_assert_msg(truth != NULL, "%s: %s", name, strerror(errno));

    ck_assert_uint_eq(n_frames, read_total(truth, "packets"));
    ck_assert_uint_eq(verdicts[MEASURE_COUNT_NARROW],
                      read_total(truth, "ipv4"));
    ck_assert_uint_eq(verdicts[MEASURE_COUNT_WIDE],
                      read_total(truth, "ipv6"));
    ck_assert_uint_eq(verdicts[MEASURE_COUNT_NARROW]
                      + verdicts[MEASURE_COUNT_WIDE],
                      read_total(truth, "counted_packets"));
    ck_assert_uint_eq(bytes, read_total(truth, "counted_bytes"));
    ck_assert_uint_eq(verdicts[MEASURE_NOT_IP], read_total(truth, "not_ip"));
    ck_assert_uint_eq(verdicts[MEASURE_MALFORMED],
                      read_total(truth, "bad_length")
                      + read_total(truth, "bad_version")
                      + read_total(truth, "short_header"));
    fclose(truth);
}
END_TEST

/* What is no capture is cut into frames itself. */
static void
parse_bytes_of_file(const char *name, uint64_t verdicts[MEASURE_N_VERDICTS],
                    uint64_t *n_frames)
{
    FILE *file = fopen(name, "rb");
    uint8_t bytes[1514];
    size_t n;

    ck_assert_msg(file != NULL, "%s: %s", name, strerror(errno));
    while ((n = fread(bytes, 1, sizeof bytes, file)) > 0) {
        verdicts[check_frame(bytes, n, 0)]++;
        ++*n_frames;
    }
    fclose(file);
}

START_TEST(each_malformed_frame_has_one_verdict)
{
    uint64_t verdicts[MEASURE_N_VERDICTS] = { 0 };
    uint64_t bytes = 0, n_frames = 0, sum = 0;
    unsigned int n_captures = 0, n_others = 0;
    char name[PATH_MAX];
    struct dirent *entry;
    DIR *directory;

    snprintf(name, sizeof name, "%s/malformed", traces);
    directory = opendir(name);
    ck_assert_msg(directory != NULL, "%s: %s", name, strerror(errno));
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".tsv")) {
            continue;
        }
        snprintf(name, sizeof name, "%s/malformed/%s", traces,
                 entry->d_name);
        if (parse_capture(name, verdicts, &bytes, &n_frames)) {
            n_captures++;
        } else {
            parse_bytes_of_file(name, verdicts, &n_frames);
            n_others++;
        }
    }
    closedir(directory);

    for (int i = 0; i < MEASURE_N_VERDICTS; i++) {
        ck_assert_uint_gt(verdicts[i], 0);
        sum += verdicts[i];
    }
    ck_assert_uint_eq(sum, n_frames);
    ck_assert_uint_gt(n_captures, 100);
    printf("%u captures and %u other files with %"PRIu64" frames: %"PRIu64
           " IPv4, %"PRIu64" IPv6, %"PRIu64" not IP, %"PRIu64" malformed\n",
           n_captures, n_others, n_frames, verdicts[MEASURE_COUNT_NARROW],
           verdicts[MEASURE_COUNT_WIDE], verdicts[MEASURE_NOT_IP],
           verdicts[MEASURE_MALFORMED]);
    fflush(stdout);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-parse");

    tcase_add_loop_test(tests, hand_made_frames, 0, N_FRAME_CASES);
    tcase_add_loop_test(tests, frames_cut_anywhere, 0, N_FRAME_CASES);
    tcase_add_test(tests, ipv4_lengths_at_their_boundaries);
    tcase_add_test(tests, ipv6_lengths_at_their_boundaries);
    tcase_add_test(tests, frames_of_64_kib);
    tcase_add_test(tests, ipv6_chains_of_any_length);
    tcase_add_test(tests, plain_frames);
    tcase_add_test(tests, random_and_mutated_frames);

    find_traces();
    if (!access(traces, R_OK)) {
        tcase_add_loop_test(tests, captures_add_up_to_their_truth,
                            0, ARRAY_SIZE(big_captures));
        tcase_add_test(tests, each_malformed_frame_has_one_verdict);
    } else {
        test_skipped("captures_add_up_to_their_truth",
                     "no captures (set MEASURE_TRACES to their directory)");
        test_skipped("each_malformed_frame_has_one_verdict",
                     "no captures (set MEASURE_TRACES to their directory)");
    }
    return tests_run(tests);
}
