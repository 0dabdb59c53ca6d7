/* SPDX-License-Identifier: Apache-2.0 */
/* Prefetches the entries of the exact-match cache. */

#include <config.h>

#include "measure-prefetch.h"

#include <netinet/in.h>
#include <netinet/ip6.h>

#include "dp-packet.h"
#if __has_include("dpif-netdev-private-dfc.h")
#include "dpif-netdev-private-dfc.h"
/* Open vSwitch 2.17 computes the hash of a packet in its classification only,
 * and has no header that came with 3.0. */
#if !__has_include("odp-execute-private.h")
#define ONLY_CLASSIFICATION_HASHES
#endif
#else
#include "dpif-netdev-dfc.h"
#endif
#include "packets.h"

/* What is compared of an entry in nearly all cases: more than the key of an
 * IPv4 flow. */
#define ENTRY_BYTES (2 * CACHE_LINE_SIZE)

/* Of a frame without VLAN tag. */
#define L3_OFS ETH_HEADER_LEN
#define IPV4_PORTS_OFS (L3_OFS + IP_HEADER_LEN)
#define IPV6_PORTS_OFS (L3_OFS + IPV6_HEADER_LEN)

/* Returns true if the 'size' bytes at 'l4', of which an IP header says that
 * they are of 'protocol', begin with ports as the switch sees it. */
static inline bool
has_ports(const void *l4, size_t size, uint8_t protocol)
{
    if (protocol == IPPROTO_UDP) {
        return size >= UDP_HEADER_LEN;
    }
    if (protocol == IPPROTO_TCP) {
        const struct tcp_header *tcp = l4;
        size_t header;

        if (size < TCP_HEADER_LEN) {
            return false;
        }
        header = TCP_OFFSET(tcp->tcp_ctl) * 4;
        return header >= TCP_HEADER_LEN && header <= size;
    }
    return false;
}

static inline bool
is_plain_ipv4(const struct ip_header *ip, size_t size)
{
    size_t length;

    if (size < IP_HEADER_LEN || ip->ip_ihl_ver != IP_IHL_VER(5, 4)
        || IP_IS_FRAGMENT(ip->ip_frag_off)) {
        return false;
    }
    length = ntohs(ip->ip_tot_len);
    return (length >= IP_HEADER_LEN && length <= size
            && has_ports(ip + 1, length - IP_HEADER_LEN, ip->ip_proto));
}

static inline bool
is_plain_ipv6(const struct ovs_16aligned_ip6_hdr *ip, size_t size)
{
    size_t length;

    if (size < IPV6_HEADER_LEN || ip->ip6_vfc >> 4 != 6) {
        return false;
    }
    length = ntohs(ip->ip6_plen);
    return (length + IPV6_HEADER_LEN <= size
            && has_ports(ip + 1, length, ip->ip6_nxt));
}

/* Makes sure that 'packet' has the hash that its classification will use.
 * Returns false if only the classification can tell. */
static inline bool
tell_hash(struct dp_packet *packet)
{
#ifdef ONLY_CLASSIFICATION_HASHES
    return dp_packet_rss_valid(packet);
#else
    const struct eth_header *eth = dp_packet_data(packet);
    size_t size = dp_packet_size(packet);

    if (dp_packet_rss_valid(packet)) {
        return true;
    }
    if (packet->packet_type != htonl(PT_ETH) || size < ETH_HEADER_LEN) {
        return false;
    }
    size -= ETH_HEADER_LEN;
    /* The classification sets these, too. */
    packet->l3_ofs = L3_OFS;
    if (eth->eth_type == htons(ETH_TYPE_IP)
        && is_plain_ipv4((const void *) (eth + 1), size)) {
        packet->l4_ofs = IPV4_PORTS_OFS;
        dp_packet_update_rss_hash_ipv4_tcp_udp(packet);
        return true;
    }
    if (eth->eth_type == htons(ETH_TYPE_IPV6)
        && is_plain_ipv6((const void *) (eth + 1), size)) {
        packet->l4_ofs = IPV6_PORTS_OFS;
        dp_packet_update_rss_hash_ipv6_tcp_udp(packet);
        return true;
    }
    return false;
#endif
}

/* Prefetches the entries of 'cache' that may be those of the packets of
 * 'batch', whose classification must follow. */
void
measure_prefetch_entries(const struct emc_cache *cache,
                         const struct dp_packet_batch *batch)
{
    size_t n = dp_packet_batch_size(batch);
    uint32_t previous = 0;

    for (size_t i = 0; i < n; i++) {
        struct dp_packet *packet = batch->packets[i];
        const struct emc_entry *entry;
        uint32_t hash;

        if (!tell_hash(packet)) {
            continue;
        }
        hash = dp_packet_get_rss_hash(packet);
        if (hash == previous) {
            continue;
        }
        previous = hash;
        EMC_FOR_EACH_POS_WITH_HASH (cache, entry, hash) {
            for (size_t ofs = 0; ofs < ENTRY_BYTES; ofs += CACHE_LINE_SIZE) {
                OVS_PREFETCH((const char *) entry + ofs);
            }
        }
    }
}
