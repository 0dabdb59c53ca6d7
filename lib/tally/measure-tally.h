/* SPDX-License-Identifier: Apache-2.0 */
/* What one packet thread counts for one monitor in one epoch. */

#ifndef MEASURE_TALLY_H
#define MEASURE_TALLY_H 1

#include "base/measure-base.h"
#include "base/measure-hash.h"
#include "base/measure-memory.h"
#include "key/measure-record.h"
#include "structures/measure-structure.h"
#include "structures/measure-table.h"
#include "tally/measure-flow-cache.h"

/* Tallies, packet threads and the end of an epoch
 * ===============================================
 *
 * A tally is all that one packet thread counts for one monitor in one epoch:
 * verdict counters, linear tables (measure-table.h), and the overflow count
 * array.  struct measure_thread is the place where a packet thread finds its
 * tally.
 *
 * The end of an epoch is a swap of that pointer:
 *
 *     packet thread                       another thread
 *     -------------                       --------------
 *     tally = measure_thread_tally(t)     old = measure_thread_swap(t, new)
 *     measure_tally_count(tally, ...)     wait until every packet thread has
 *     ... (next burst) ...                been seen between two bursts
 *                                         read, measure_tally_reset(old, ...)
 *
 * The packet thread gets the pointer once for a burst and does not keep it.
 * It never waits.  Others do: after measure_thread_swap() a grace period must
 * pass (in the switch, ovsrcu_synchronize()) before anybody touches anything
 * of the old tally but its counters.
 *
 * Tables in a tally.  For each layout, a tally has a row of tables of growing
 * size, of which the packet thread fills one.  When that one takes no new key
 * the thread moves on to the next, which has been put there before
 * (measure_tally_add_table()), and forgets the old one until the end of
 * the epoch.  A flow may thus have a row in several tables of a tally; the
 * report adds them up (measure-report.h).  Without a next table, a key that
 * has no row is counted in the overflow count array: a fixed number of cells,
 * one for each value of some hash bits.  The count of a key in the report is
 * then too low by at most what its cell holds.
 *
 * A burst.  Its packets are described in records of the tally and counted in
 * the tables:
 *
 *     measure_tally_receive(tally, packets, bytes)  all packets of the burst
 *     measure_tally_record(tally, i)                where to describe them
 *     measure_tally_fetch(tally, n)                 fetches their rows
 *     measure_tally_count_fetched(tally)            counts them there
 *
 * measure_tally_receive() adds up the whole burst, which is faster than each
 * packet by itself; what turns out not to count is taken out again, before
 * measure_tally_count_fetched() takes the sum into the totals.  The longer the
 * caller has to do in the meantime, the more surely the rows have come when
 * measure_tally_count_fetched() needs them.  A caller that does not call it
 * after each burst has the burst before counted while the rows of the next one
 * are fetched.  measure_tally_count() is all of it in one, for records of the
 * caller.
 *
 * Two tiers.  A tally may have counts for the entries of a flow cache
 * (measure-flow-cache.h).  Of a burst that has been received, a packet that
 * finds an entry is counted there, by measure_cache_add(), and only the others
 * are fetched.  Before the packets of a burst, measure_tally_carry_entries()
 * must be called while 'n_carried' is less than MEASURE_CACHE_ENTRIES.
 * measure_tally_move_entry() moves the counts of an entry to the tables;
 * measure_tally_move_cache() those of all entries, which must be done before a
 * report is made, and for the tallies of a thread in their order.  It uses a
 * table of its own, so that the tables of packets need not be larger than
 * these want.
 *
 * A tally that counts with one tier may be given two while its packet thread
 * counts: measure_tally_hold_cache() takes the memory,
 * measure_tally_join_cache() the next number of the thread's keys, and
 * measure_tally_begin_cache(), a grace period later, says so to the packet
 * thread.  What makes the keys mean nothing in between
 * (measure_cache_forget()) is thus seen by it.  So must a tally begin whose
 * keys have been forgotten in the epoch before.
 *
 * Structures.  Instead of the tables a tally may have another structure
 * (measure-structure.h), in which everything is counted whose key finds a
 * place there.  The rest is counted in the tables, and in the overflow count
 * array if they are full.
 *
 * Memory of a tally: MEASURE_OVERFLOW_CELLS * 16 bytes, MEASURE_WAITING
 * records, the tables, that of its structure, a few hundred bytes, and with
 * two tiers sizeof(struct measure_cache) and a table of MEASURE_CACHE_ENTRIES
 * keys for each layout that finds entries.
 *
 * Thread safety: measure_thread_tally(), measure_tally_count(), the functions
 * of the two tiers and measure_tally_move_entry() belong to the one packet
 * thread; they do not allocate, lock, wait, log or clear.
 * measure_tally_add_table(), the three functions that give a tally two tiers
 * and measure_thread_swap() belong to one other thread while the packet
 * thread counts, and measure_tally_load() to any thread that knows that the
 * tally is not being destroyed; all else to one thread at a time, when the
 * tally is not in use. */

#define MEASURE_SAMPLE_BATCHES 1024 /* One of so many is timed. */
#define MEASURE_TALLY_TABLES 12     /* Tables of a layout in a tally. */
#define MEASURE_OVERFLOW_CELLS 1024
#define MEASURE_WAITING (2 * MEASURE_BURST)

/* How large tables of a tally are
 * ===============================
 *
 * The first table of an epoch should stay in a cache of the core, and take the
 * flows that are expected.  The table in reserve must last until the control
 * thread has prepared another, even if each packet is a new flow:
 * MEASURE_NEXT_LINES, 2^18 IPv4 flows, last 50 ms at 5 Mpps.
 *
 * All tallies of threads that have not had a packet for a while share what an
 * idle bridge may take by their weights, but each thread of
 * MEASURE_QUIET_WEIGHT has MEASURE_QUIET_LEAST_BYTES at least, for two
 * tallies.  With 4 MiB one such thread beside one of weight 1 finds room for
 * 18,400 IPv4 flows, each of four for 4,900, of eight for 2,500.
 * MEASURE_QUICK_LINES, 2^15 flows, are soon there when packets come: they last
 * 6 ms at 5 Mpps. */
#define MEASURE_TALLY_MIN_LINES 16
#define MEASURE_NEXT_LINES (UINT32_C(1) << 18)
#define MEASURE_QUICK_LINES (UINT32_C(1) << 15)
#define MEASURE_QUIET_LEAST_BYTES (768 * MEASURE_KIB)
#define MEASURE_QUIET_WEIGHT 8

struct measure_counters {
    uint64_t packets;           /* Counted, 'overflow_packets' included. */
    uint64_t bytes;
    uint64_t not_ip;            /* Packets. */
    uint64_t malformed;         /* Packets. */
    uint64_t overflow_packets;  /* Counted, but in no row of a table. */
    uint64_t overflow_bytes;
};

struct measure_overflow_cell {
    uint64_t packets;
    uint64_t bytes;
};

struct measure_tally {
    /* Written by the packet thread. */
    struct measure_table *current[MEASURE_N_LAYOUTS];
    struct measure_counters counters;
    struct measure_overflow_cell *overflow;
    struct measure_cache *cache;    /* NULL with one tier. */
    uint32_t n_carried;         /* Entries whose words are ready. */
    uint32_t carry_forgotten;   /* Keys up to this tally are not carried. */
    uint32_t n_fetched;         /* Packets since it had none waiting... */
    uint32_t n_counted;         /* ...and those that wait no more. */
    uint64_t received_packets;  /* Not in 'counters' yet: some may turn... */
    uint64_t received_bytes;    /* ...out to be none that are counted. */
    struct measure_record waiting[MEASURE_WAITING];     /* A ring. */
    struct measure_structure *structure;    /* NULL for linear tables. */

    /* Constant while the packet thread counts. */
    const struct measure_mask *mask;
    const struct measure_hash_secret *secret;
    enum measure_key_kind key_kind;
    bool prefetch;              /* The entries of the flow cache. */
    uint64_t epoch;             /* For which it counts, from 1 on. */
    int node;
    struct measure_budget *budget;
    struct measure_cache_keys *cache_keys;  /* Of the thread; or NULL. */
    uint32_t number;            /* Of the tallies that count with these. */

    /* Written by another thread.  The packet thread reads 'n_tables' and
     * those tables that it covers. */
    uint32_t n_tables[MEASURE_N_LAYOUTS];
    struct measure_table tables[MEASURE_N_LAYOUTS][MEASURE_TALLY_TABLES];

    struct measure_cache *held_cache;   /* What 'cache' is with two tiers. */

    /* Empty tables for measure_tally_move_cache(). */
    struct measure_table spare[MEASURE_N_LAYOUTS];
};

struct measure_stream;

struct measure_thread {
    struct measure_tally *tally;    /* Atomic. */
    struct measure_stream *stream;  /* Where records of its packets go, or
                                     * NULL.  Atomic. */
    struct measure_cache_keys *cache_keys;  /* Atomic.  NULL with one tier. */

    /* Written by the packet thread: what counting costs it, of a sample. */
    uint64_t n_batches;         /* All. */
    uint64_t sampled_packets;   /* Atomic. */
    uint64_t sampled_cycles;    /* Atomic.  For counting them... */
    uint64_t timing_cycles;     /* Atomic.  ...and for timing that. */
};

/* The packet path. */

/* Returns the tally to count the next burst in.  The acquire order makes what
 * another thread wrote into the tally visible. */
static inline struct measure_tally *
measure_thread_tally(const struct measure_thread *thread)
{
    return __atomic_load_n(&thread->tally, __ATOMIC_ACQUIRE);
}

/* Returns where records of the packets of the next burst go, or NULL. */
static inline const struct measure_stream *
measure_thread_stream(const struct measure_thread *thread)
{
    return __atomic_load_n(&thread->stream, __ATOMIC_ACQUIRE);
}

/* Returns what the entries of the flow cache stand for, or NULL. */
static inline struct measure_cache_keys *
measure_thread_keys(const struct measure_thread *thread)
{
    return __atomic_load_n(&thread->cache_keys, __ATOMIC_ACQUIRE);
}

void measure_tally_count(struct measure_tally *,
                         struct measure_record *records, size_t n);

void measure_tally_carry_entries(struct measure_tally *);
bool measure_tally_begin_entry(struct measure_tally *, uint32_t entry,
                               uint16_t port, const struct measure_record *);
void measure_tally_move_entry(struct measure_tally *, uint32_t entry);
void measure_tally_fetch(struct measure_tally *, size_t n);
void measure_tally_count_fetched(struct measure_tally *);

/* Returns where measure_parse() may describe the packet 'i' (less than
 * MEASURE_BURST) of those that measure_tally_fetch() will be told of. */
static inline struct measure_record *
measure_tally_record(struct measure_tally *tally, size_t i)
{
    return &tally->waiting[(tally->n_fetched + i) % MEASURE_WAITING];
}

/* Adds up a burst of 'packets' packets of together 'bytes' bytes for the
 * totals of 'tally'.  Each of them must follow, as one that is fetched or one
 * that finds an entry of the flow cache, and then
 * measure_tally_count_fetched(). */
static inline void
measure_tally_receive(struct measure_tally *tally, uint64_t packets,
                      uint64_t bytes)
{
    tally->received_packets += packets;
    tally->received_bytes += bytes;
}

/* Outside the packet path. */

struct measure_tally *
measure_thread_swap(struct measure_thread *, struct measure_tally *);
struct measure_cache_keys *
measure_thread_get_keys(struct measure_thread *, struct measure_budget *,
                        int node);
struct measure_cache_keys *
measure_thread_take_keys(struct measure_thread *);
void measure_thread_free_keys(struct measure_thread *,
                              struct measure_budget *);

struct measure_tally *measure_tally_create(const struct measure_hash_secret *,
                                           struct measure_budget *, int node);
void measure_tally_destroy(struct measure_tally *);
uint64_t measure_tally_quiet_limit(uint64_t idle_bytes, unsigned int weight,
                                   unsigned int all_weights);
uint64_t measure_table_limit(enum measure_layout, uint64_t limit);
void measure_tally_choose_lines(const uint64_t n_flows[MEASURE_N_LAYOUTS],
                                uint64_t limit,
                                uint32_t n_lines[MEASURE_N_LAYOUTS],
                                uint32_t next_lines[MEASURE_N_LAYOUTS]);
bool measure_tally_reset(struct measure_tally *,
                         const uint32_t n_lines[MEASURE_N_LAYOUTS],
                         const uint32_t next_lines[MEASURE_N_LAYOUTS]);
void measure_tally_begin(struct measure_tally *, enum measure_key_kind);
bool measure_tally_use_cache(struct measure_tally *,
                             struct measure_cache_keys *);
bool measure_tally_hold_cache(struct measure_tally *, bool hold);
void measure_tally_join_cache(struct measure_tally *,
                              struct measure_cache_keys *);
void measure_tally_begin_cache(struct measure_tally *);
bool measure_tally_use_structure(struct measure_tally *,
                                 enum measure_structure_kind, size_t limit);
enum measure_structure_kind
measure_tally_structure(const struct measure_tally *);
void measure_tally_move_cache(struct measure_tally *);
bool measure_tally_add_table(struct measure_tally *, enum measure_layout,
                             uint32_t n_lines);

uint64_t measure_masked_hash(const struct measure_hash_secret *,
                             enum measure_layout, const uint64_t *key,
                             const struct measure_mask *);
uint32_t measure_overflow_cell(uint64_t hash);
void measure_counters_add(struct measure_counters *,
                          const struct measure_counters *);

/* What a tally holds, read while the packet thread counts: each number by
 * itself is right. */
struct measure_load {
    struct measure_counters counters;
    uint64_t table_bytes;               /* Memory of tables, structure... */
    uint64_t report_bytes;              /* ...and of their report, at most. */
    uint64_t structure_bytes;           /* That of the structure. */
    uint64_t n_lost;                    /* Keys without a place in it. */
    uint32_t n_unused[MEASURE_N_LAYOUTS];   /* Tables not yet begun. */
    uint32_t n_tables[MEASURE_N_LAYOUTS];   /* Tables begun. */
    uint64_t n_used[MEASURE_N_LAYOUTS];     /* Rows used, in all tables. */
    uint32_t n_lines[MEASURE_N_LAYOUTS];    /* Lines of the current table. */
    uint32_t max_used[MEASURE_N_LAYOUTS];   /* Rows that it takes... */
    uint32_t current_used[MEASURE_N_LAYOUTS]; /* ...and that it has. */
    uint32_t last_lines[MEASURE_N_LAYOUTS]; /* Lines of the last table. */
};

void measure_tally_load(const struct measure_tally *, struct measure_load *);

#endif /* measure-tally.h */
