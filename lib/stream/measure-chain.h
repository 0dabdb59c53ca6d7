/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of a pipeline: its stages, for each replica. */

#ifndef MEASURE_CHAIN_H
#define MEASURE_CHAIN_H 1

#include "stream/measure-language.h"

/* Chains
 * ======
 *
 * The stages that a text (measure-language.h) asks for.  With replicas, the
 * first 'n_replicated' of them exist once for each, and the last of those
 * writes its rows to a ring, one for each replica.
 *
 *     replica 0    where, count --ring--.
 *     replica 1    where, count --ring--+--> top, write
 *
 * Memory: the state of the stages, and 256 KiB for each ring.
 *
 * Thread safety: one thread at a time, but for the rings. */

#define MEASURE_CHAIN_RING_SLOTS 8192

struct measure_chain_ring {
    void *memory;
    struct measure_cursor *cursor;
    struct measure_ring_writer writer;
    struct measure_ring_reader reader;
};

struct measure_chain {
    char *text;
    uint64_t every_ns;
    unsigned int replicas;
    size_t n_stages;            /* Of the text. */
    size_t n_replicated;
    struct measure_stage **stages;      /* Of replica 0, of replica 1, ... and
                                         * those behind them. */
    size_t n;                   /* Of 'stages'. */
    struct measure_chain_ring *rings;   /* One for each replica, or NULL. */
};

char *measure_chain_create(const char *text,
                           const struct measure_language_classes *,
                           struct measure_budget *,
                           const struct measure_port_names *,
                           struct measure_chain **);
char *measure_chain_open(struct measure_chain *);
char *measure_chain_close(struct measure_chain *);
void measure_chain_destroy(struct measure_chain *);

struct measure_stage *measure_chain_stage(const struct measure_chain *,
                                          unsigned int replica, size_t i);

#endif /* measure-chain.h */
