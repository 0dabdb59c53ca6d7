/* SPDX-License-Identifier: Apache-2.0 */
/* Prefetches the entries of the exact-match cache. */

#ifndef MEASURE_PREFETCH_H
#define MEASURE_PREFETCH_H 1

/* Prefetches the entries of the exact-match cache
 * ===============================================
 *
 * The classification asks for an entry of the exact-match cache as soon as it
 * has the hash of a packet, and then waits for it: the cache is 5 MB large, so
 * that most of it is in no near cache of the processor.  A quarter of its
 * cycles go there.  Code that sees the whole batch first can fetch all its
 * entries at once.
 *
 * For this the hash of each packet must be known.  Where the network card has
 * not told it, it is that of the addresses and ports, which the classification
 * would compute; it finds it in the packet then.  Only packets whose ports are
 * at a fixed place in the frame are looked at: TCP and UDP behind an IP header
 * of fixed length, without VLAN tag.  All others are classified as ever, and
 * in Open vSwitch 2.17 all whose hash the network card has not told.
 *
 * The classification finds the same entries for the same packets with it as
 * without it.
 *
 * Thread safety: belongs to the packet path of the thread that the cache
 * belongs to.  It does not allocate, lock, wait, log or clear. */

struct dp_packet_batch;
struct emc_cache;

void measure_prefetch_entries(const struct emc_cache *,
                              const struct dp_packet_batch *);

#endif /* measure-prefetch.h */
