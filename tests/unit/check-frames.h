/* SPDX-License-Identifier: Apache-2.0 */
/* Frames written by hand, for the unit tests and the fuzzer. */

#ifndef CHECK_FRAMES_H
#define CHECK_FRAMES_H 1

/* Frames written by hand, one for each thing that a parser can get wrong, for
 * the unit tests and the fuzzer.
 *
 * 'hex' is the frame.  What follows it is what the parser must say; a frame
 * that counts is from 10.0.0.1 to 10.0.0.2, or from 2001:db8::1 to
 * 2001:db8::2. */

#include "key/measure-parse.h"

struct frame_case {
    const char *name;
    const char *hex;
    enum measure_verdict verdict;
    uint8_t protocol;
    uint16_t source_port;
    uint16_t destination_port;
    uint16_t ethertype;         /* If the frame does not begin as Ethernet. */
};

#define MACS "020000000002" "020000000001"
#define TAG "8100" "0005"
#define SERVICE_TAG "88a8" "0007"
/* IPv4 with 20 bytes of header. */
#define IP4(TOTAL, FRAGMENT, PROTOCOL) \
    "4500" TOTAL "0000" FRAGMENT "40" PROTOCOL "0000" "0a000001" "0a000002"
#define IP6(PAYLOAD, NEXT) \
    "60000000" PAYLOAD NEXT "40" \
    "20010db8000000000000000000000001" "20010db8000000000000000000000002"
/* From port 1000 to port 2000. */
#define PORTS "03e807d0"
#define UDP PORTS "00080000"
#define TCP PORTS "0000000000000000" "5010ffff00000000"

/* Destination options, and more of them behind. */
#define OPTION "3c00000000000000"

#define IP4_TCP "0800" IP4("0028", "0000", "06") TCP
#define IP6_UDP "86dd" IP6("0008", "11") UDP

#define V4 MEASURE_COUNT_NARROW
#define V6 MEASURE_COUNT_WIDE
#define BAD MEASURE_MALFORMED
#define NOT MEASURE_NOT_IP

static const struct frame_case frame_cases[] = {
    { "TCP", MACS IP4_TCP, V4, 6, 1000, 2000, 0 },
    { "UDP", MACS "0800" IP4("001c", "0000", "11") UDP, V4, 17, 1000, 2000,
      0 },
    { "SCTP", MACS "0800" IP4("0020", "0000", "84") PORTS "0000000000000000",
      V4, 132, 1000, 2000, 0 },
    { "ICMP has no ports", MACS "0800" IP4("001c", "0000", "01") UDP,
      V4, 1, 0, 0, 0 },
    { "GRE has no ports", MACS "0800" IP4("001c", "0000", "2f") UDP,
      V4, 47, 0, 0, 0 },
    { "UDP-Lite and DCCP have no ports here",
      MACS "0800" IP4("001c", "0000", "88") UDP, V4, 136, 0, 0, 0 },
    { "padded to 60 bytes",
      MACS "0800" IP4("001c", "0000", "11") UDP
      "000000000000000000000000000000000000", V4, 17, 1000, 2000, 0 },
    { "TCP over IPv6", MACS "86dd" IP6("0014", "06") TCP, V6, 6, 1000, 2000,
      0 },
    { "UDP over IPv6", MACS IP6_UDP, V6, 17, 1000, 2000, 0 },
    { "ICMPv6", MACS "86dd" IP6("0008", "3a") UDP, V6, 58, 0, 0, 0 },
    { "IPv6 without next header", MACS "86dd" IP6("0000", "3b"),
      V6, 59, 0, 0, 0 },

    /* Tags. */
    { "802.1Q", MACS TAG IP4_TCP, V4, 6, 1000, 2000, 0 },
    { "802.1ad", MACS SERVICE_TAG IP4_TCP, V4, 6, 1000, 2000, 0 },
    { "QinQ", MACS SERVICE_TAG TAG IP4_TCP, V4, 6, 1000, 2000, 0 },
    { "802.1Q in 802.1Q", MACS TAG TAG IP6_UDP, V6, 17, 1000, 2000, 0 },
    { "three tags", MACS TAG SERVICE_TAG TAG IP4_TCP, V4, 6, 1000, 2000, 0 },
    { "as many tags as are looked through",
      MACS TAG TAG TAG TAG TAG TAG TAG TAG IP6_UDP, V6, 17, 1000, 2000, 0 },
    { "one tag more",
      MACS TAG TAG TAG TAG TAG TAG TAG TAG TAG IP6_UDP, NOT, 0, 0, 0, 0 },
    { "other tag", MACS "9100" "0005" IP4_TCP, NOT, 0, 0, 0, 0 },
    { "nothing behind the tag", MACS TAG, NOT, 0, 0, 0, 0 },
    { "half a tag", MACS "8100" "00", NOT, 0, 0, 0, 0 },
    { "tag and no IPv4 header", MACS TAG "0800", BAD, 0, 0, 0, 0 },

    /* 802.2. */
    { "SNAP", MACS "0030" "aaaa03000000" IP4_TCP, V4, 6, 1000, 2000, 0 },
    { "SNAP and IPv6", MACS "0038" "aaaa03000000" IP6_UDP,
      V6, 17, 1000, 2000, 0 },
    { "SNAP behind a tag", MACS TAG "0030" "aaaa03000000" IP4_TCP,
      V4, 6, 1000, 2000, 0 },
    { "largest 802.3 length", MACS "05ff" "aaaa03000000" IP4_TCP,
      V4, 6, 1000, 2000, 0 },
    { "smallest type", MACS "0600" "aaaa03000000" IP4_TCP, NOT, 0, 0, 0, 0 },
    { "SNAP of another organisation", MACS "0030" "aaaa03000001" IP4_TCP,
      NOT, 0, 0, 0, 0 },
    { "802.2 without SNAP", MACS "0030" "424203" "000000" IP4_TCP,
      NOT, 0, 0, 0, 0 },
    { "SNAP cut off", MACS "0030" "aaaa0300000008", NOT, 0, 0, 0, 0 },
    { "SNAP and no IPv4 header", MACS "0030" "aaaa030000000800",
      BAD, 0, 0, 0, 0 },

    /* Not IP. */
    { "ARP", MACS "0806" "0001080006040001", NOT, 0, 0, 0, 0 },
    { "MPLS", MACS "8847" "00010140" IP4("0028", "0000", "06") TCP,
      NOT, 0, 0, 0, 0 },
    { "PPPoE", MACS "8864" "1100" "0001" "002a" "0021"
      IP4("0028", "0000", "06") TCP, NOT, 0, 0, 0, 0 },
    { "no type", MACS "08", NOT, 0, 0, 0, 0 },
    { "empty", "", NOT, 0, 0, 0, 0 },

    /* Tunnels are not looked through. */
    { "IPv4 in IPv4",
      MACS "0800" IP4("0030", "0000", "04") IP4("001c", "0000", "11") UDP,
      V4, 4, 0, 0, 0 },
    { "IPv6 in IPv4",
      MACS "0800" IP4("0044", "0000", "29") IP6("0008", "11") UDP,
      V4, 41, 0, 0, 0 },

    /* IPv4 options and fragments. */
    { "options",
      MACS "0800" "47000024000000004011" "0000" "0a000001" "0a000002"
      "9404000001010101" UDP, V4, 17, 1000, 2000, 0 },
    { "longest header",
      MACS "0800" "4f000044000000004011" "0000" "0a000001" "0a000002"
      "01010101010101010101010101010101010101010101010101010101010101010101"
      "010101010101" UDP, V4, 17, 1000, 2000, 0 },
    { "do not fragment", MACS "0800" IP4("001c", "4000", "11") UDP,
      V4, 17, 1000, 2000, 0 },
    { "reserved bit", MACS "0800" IP4("001c", "8000", "11") UDP,
      V4, 17, 1000, 2000, 0 },
    { "first fragment", MACS "0800" IP4("001c", "2000", "11") UDP,
      V4, 17, 1000, 2000, 0 },
    { "second fragment", MACS "0800" IP4("001c", "2001", "11") UDP,
      V4, 17, 0, 0, 0 },
    { "last fragment", MACS "0800" IP4("001c", "0001", "11") UDP,
      V4, 17, 0, 0, 0 },
    { "fragment far behind", MACS "0800" IP4("001c", "1000", "11") UDP,
      V4, 17, 0, 0, 0 },
    { "half the ports", MACS "0800" IP4("0017", "0000", "06") "03e807",
      V4, 6, 0, 0, 0 },
    { "no transport header", MACS "0800" IP4("0014", "0000", "06"),
      V4, 6, 0, 0, 0 },

    /* IPv4 that is not sane. */
    { "version 5", MACS "0800" "5500001c000000004011" "0000" "0a000001"
      "0a000002" UDP, BAD, 0, 0, 0, 0 },
    { "version 6 as IPv4", MACS "0800" IP6("0008", "11") UDP,
      BAD, 0, 0, 0, 0 },
    { "header of 16 bytes", MACS "0800" "4400001c000000004011" "0000"
      "0a000001" "0a000002" UDP, BAD, 0, 0, 0, 0 },
    { "header of 0 bytes", MACS "0800" "4000001c000000004011" "0000"
      "0a000001" "0a000002" UDP, BAD, 0, 0, 0, 0 },
    { "header longer than the packet", MACS "0800" "4800001c000000004011"
      "0000" "0a000001" "0a000002" UDP "00000000", BAD, 0, 0, 0, 0 },
    { "total length 0", MACS "0800" IP4("0000", "0000", "11") UDP,
      BAD, 0, 0, 0, 0 },
    { "total length 19", MACS "0800" IP4("0013", "0000", "11") UDP,
      BAD, 0, 0, 0, 0 },
    { "one byte missing", MACS "0800" IP4("001d", "0000", "11") UDP,
      BAD, 0, 0, 0, 0 },
    { "total length 65535", MACS "0800" IP4("ffff", "0000", "11") UDP,
      BAD, 0, 0, 0, 0 },

    /* IPv6 extension headers. */
    { "hop-by-hop options",
      MACS "86dd" IP6("0010", "00") "1100000000000000" UDP,
      V6, 17, 1000, 2000, 0 },
    { "routing", MACS "86dd" IP6("0010", "2b") "1100000000000000" UDP,
      V6, 17, 1000, 2000, 0 },
    { "long routing", MACS "86dd" IP6("0018", "2b")
      "11010000000000000000000000000000" UDP, V6, 17, 1000, 2000, 0 },
    { "destination options",
      MACS "86dd" IP6("0010", "3c") "1100000000000000" UDP,
      V6, 17, 1000, 2000, 0 },
    { "mobility", MACS "86dd" IP6("0010", "87") "1100000000000000" UDP,
      V6, 17, 1000, 2000, 0 },
    { "authentication, counted in words of 4 bytes",
      MACS "86dd" IP6("0020", "33") "110400000000000000000000"
      "000000000000000000000000" UDP, V6, 17, 1000, 2000, 0 },
    { "chain of all",
      MACS "86dd" IP6("0040", "00") "2b00000000000000" "3c00000000000000"
      "8700000000000000" "3300000000000000" "2c020000000000000000000000000000"
      "1100000000000000" UDP, V6, 17, 1000, 2000, 0 },
    { "chain of several",
      MACS "86dd" IP6("0030", "00") "2b00000000000000" "3c00000000000000"
      "3300000000000000" "2c00000000000000" "0600000000000000" UDP,
      V6, 6, 1000, 2000, 0 },
    { "as many headers as are walked",
      MACS "86dd" IP6("0048", "3c") OPTION OPTION OPTION OPTION
      OPTION OPTION OPTION "1100000000000000" UDP, V6, 17, 1000, 2000, 0 },
    { "one header more",
      MACS "86dd" IP6("0050", "3c") OPTION OPTION OPTION OPTION
      OPTION OPTION OPTION OPTION "1100000000000000" UDP, V6, 60, 0, 0, 0 },
    { "first fragment over IPv6",
      MACS "86dd" IP6("0010", "2c") "1100000100000001" UDP,
      V6, 17, 1000, 2000, 0 },
    { "fragment over IPv6 that is whole",
      MACS "86dd" IP6("0010", "2c") "1100000000000001" UDP,
      V6, 17, 1000, 2000, 0 },
    { "reserved bits are no offset",
      MACS "86dd" IP6("0010", "2c") "1100000600000001" UDP,
      V6, 17, 1000, 2000, 0 },
    { "second fragment over IPv6",
      MACS "86dd" IP6("0010", "2c") "1100000900000001" UDP,
      V6, 17, 0, 0, 0 },
    { "fragment over IPv6 far behind",
      MACS "86dd" IP6("0010", "2c") "1100ff0000000001" UDP,
      V6, 17, 0, 0, 0 },
    { "length of a fragment header is fixed",
      MACS "86dd" IP6("0010", "2c") "11ff000000000001" UDP,
      V6, 17, 1000, 2000, 0 },
    { "chain that leaves the frame",
      MACS "86dd" IP6("0008", "00") "1101000000000000", V6, 17, 0, 0, 0 },
    { "chain that ends with the frame",
      MACS "86dd" IP6("0008", "00") "1100000000000000", V6, 17, 0, 0, 0 },
    { "half an extension header",
      MACS "86dd" IP6("0007", "00") "11000000000000", V6, 0, 0, 0, 0 },
    { "no extension header", MACS "86dd" IP6("0000", "3c"),
      V6, 60, 0, 0, 0 },
    { "ESP ends the chain", MACS "86dd" IP6("0010", "32")
      "1100000000000000" UDP, V6, 50, 0, 0, 0 },

    /* IPv6 that is not sane. */
    { "version 4 as IPv6", MACS "86dd" IP4("0028", "0000", "06") TCP,
      BAD, 0, 0, 0, 0 },
    { "version 7", MACS "86dd" "70000000" "0000" "3b40"
      "20010db8000000000000000000000001" "20010db8000000000000000000000002",
      BAD, 0, 0, 0, 0 },
    { "payload one byte longer than the frame",
      MACS "86dd" IP6("0009", "11") UDP, BAD, 0, 0, 0, 0 },
    { "payload of 65535 bytes", MACS "86dd" IP6("ffff", "11") UDP,
      BAD, 0, 0, 0, 0 },

    /* Frames that do not begin with Ethernet. */
    { "bare IPv4", IP4("001c", "0000", "11") UDP, V4, 17, 1000, 2000,
      MEASURE_ETHERTYPE_IPV4 },
    { "bare IPv6", IP6("0008", "11") UDP, V6, 17, 1000, 2000,
      MEASURE_ETHERTYPE_IPV6 },
    { "bare IPv4 as IPv6", IP4("001c", "0000", "11") UDP, BAD, 0, 0, 0,
      MEASURE_ETHERTYPE_IPV6 },
    { "bare IPv4, empty", "", BAD, 0, 0, 0, MEASURE_ETHERTYPE_IPV4 },
    { "bare IPv6, empty", "", BAD, 0, 0, 0, MEASURE_ETHERTYPE_IPV6 },
    { "bare MPLS", "00010140" IP4("001c", "0000", "11") UDP, NOT, 0, 0, 0,
      0x8847 },
    { "tags are part of Ethernet", "0005" IP4_TCP, NOT, 0, 0, 0, 0x8100 },
    { "SNAP is part of Ethernet", "aaaa03000000" IP4_TCP, NOT, 0, 0, 0,
      0x0030 },
};

#define N_FRAME_CASES (sizeof frame_cases / sizeof frame_cases[0])
#define MAX_FRAME_CASE 256      /* Bytes of the longest. */

#undef V4
#undef V6
#undef BAD
#undef NOT

static inline unsigned int
hex_digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Fills 'frame' with the bytes of 'c'.  Returns how many. */
static inline size_t
frame_case_bytes(const struct frame_case *c, uint8_t *frame)
{
    size_t n = 0;

    for (const char *s = c->hex; *s; s += 2) {
        frame[n++] = hex_digit(s[0]) << 4 | hex_digit(s[1]);
    }
    return n;
}

#endif /* check-frames.h */
