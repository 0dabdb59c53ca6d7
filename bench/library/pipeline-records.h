/* SPDX-License-Identifier: Apache-2.0 */
/* Records for pipelines, and what they count exactly. */

#ifndef BENCH_PIPELINE_RECORDS_H
#define BENCH_PIPELINE_RECORDS_H 1

#include <stdbool.h>

#include "stream/measure-slot.h"

/* Records for pipelines
 * =====================
 *
 * The records lie one after the other in memory.  A pipeline is given all of
 * them, a whole number of times, which are called sweeps.
 *
 * Beside them stands what each source really has, found by sorting: it depends
 * on no hash, no table, and on nothing of the library but where addresses are
 * in a record.
 *
 * Thread safety: records may be read by several threads; checking belongs to
 * one. */

/* The source of a packet.  An address of IPv4 is the same in or out of a
 * tunnel. */
struct bench_address {
    uint64_t words[2];          /* Of IPv4, the low half of the first. */
    bool is_ipv4;
};

struct bench_address_count {
    struct bench_address address;
    uint64_t packets;           /* Of one sweep. */
    uint64_t bytes;
    uint64_t found_packets;     /* By the run that is being checked. */
    uint64_t found_bytes;
};

struct bench_records {
    char *name;                 /* For people. */
    struct measure_slot *slots;
    size_t n_slots;
    uint64_t n;                 /* Records. */
    uint64_t bytes;             /* Lengths of all packets. */
    struct bench_address_count *sources;
    size_t n_sources;
};

static inline struct bench_address
bench_record_source(const struct measure_slot *slot)
{
    struct bench_address address = { { (uint32_t) slot->words[0], 0 }, true };

    if (measure_slot_layout(slot) == MEASURE_WIDE) {
        address.is_ipv4 = slot[1].words[3] & MEASURE_KEY_IPV4;
        address.words[0] = (address.is_ipv4
                            ? slot->words[1] >> 32 : slot->words[0]);
        address.words[1] = address.is_ipv4 ? 0 : slot->words[1];
    }
    return address;
}

static inline bool
bench_address_equals(const struct bench_address *a,
                     const struct bench_address *b)
{
    return (a->words[0] == b->words[0] && a->words[1] == b->words[1]
            && a->is_ipv4 == b->is_ipv4);
}

void bench_records_zipf(struct bench_records *, double skew, uint32_t flows,
                        uint64_t n, uint64_t seed);
void bench_records_capture(struct bench_records *, const char *file,
                           uint64_t max);

/* Checking what a run has found; 'who' did so. */
void bench_records_check(struct bench_records *,
                         const struct bench_address *, uint64_t packets,
                         uint64_t bytes, const char *who);
void bench_records_check_end(struct bench_records *, uint64_t sweeps,
                             const char *who);
void bench_records_check_total(const struct bench_records *, uint64_t sweeps,
                               uint64_t packets, uint64_t bytes,
                               const char *who);

#endif /* bench/library/pipeline-records.h */
