/* SPDX-License-Identifier: Apache-2.0 */
/* What a stage of a pipeline must offer. */

#ifndef MEASURE_STAGE_H
#define MEASURE_STAGE_H 1

#include "base/measure-memory.h"
#include "key/measure-switch-port.h"
#include "stream/measure-ring.h"
#include "stream/measure-row.h"

/* Stages
 * ======
 *
 * A pipeline (measure-pipeline.h) is a chain of stages, "where protocol=tcp |
 * count by=source | top n=10 | write text".  A stage is given batches of
 * records of packets, or rows, and gives packets, rows or nothing to the next.
 * It has its own state and shares none.
 *
 * Packets are not copied: a batch is a list of pointers to slots of the ring
 * that they came in (the pointer passing of "Packet-Level Analytics in
 * Software", HotCloud'18).  A stage that lets only some packets through takes
 * the others off the list.  Rows are small and made by the stage that gives
 * them.
 *
 * What a stage counts is given away at the end of each interval (every=TIME of
 * any stage of the chain), in the time of the packets and not that of the
 * clock, or once, at the end of the stream.
 *
 * Replicas.  A chain may be run by several threads, up to and with its first
 * stage that makes rows of packets, each with a state of its own: it sees the
 * packets whose hash is its own.  Its class says what must come to the same
 * replica ('partition').
 *
 * A class is all that there is to say of a stage.  It stands in one file of
 * lib/stages/ and has one line in stages/measure-stage-list.h, or belongs to a
 * program that uses the library.
 *
 * Memory: what the stage takes with measure_stage_alloc(), from the budget of
 * the pipeline.  One that finds no memory goes on without, and counts what it
 * leaves out in 'lost'.
 *
 * Thread safety: a stage (a replica of it) belongs to one thread at a time.
 * Its counters may be read by others. */

#define MEASURE_BATCH 256       /* Records, at most. */

struct measure_stage;

/* Some packets of one ring, in their order. */
struct measure_batch {
    size_t n;
    uint32_t ring;              /* Number of the ring... */
    uint32_t core_id;           /* ...and the thread that wrote it. */
    const struct measure_slot *records[MEASURE_BATCH];
};

/* An argument NAME=VALUE of a stage.  One whose name is "" stands for words
 * without "=".  Then also NAME=VALUE of other names is taken, and set() is
 * given the whole word, with NULL as its name. */
struct measure_stage_argument {
    const char *name;           /* NULL ends a list. */
    const char *value;          /* What it takes, as "GROUP" or "1 to 100". */
    const char *summary;        /* A line for people. */
};

enum measure_stage_takes {
    MEASURE_TAKES_PACKETS = 1,
    MEASURE_TAKES_ROWS = 2,
};

enum measure_stage_gives {
    MEASURE_GIVES_NOTHING,      /* The last of its chain. */
    MEASURE_GIVES_PACKETS,      /* Those that it was given, or some. */
    MEASURE_GIVES_ROWS,
};

/* Which packets must come to the same replica of a stage. */
enum measure_partition {
    MEASURE_PARTITION_NONE,     /* All: there can be one only. */
    MEASURE_PARTITION_ANY,      /* It does not matter. */
    MEASURE_PARTITION_KEY,      /* Those with the same key of 'group_by'. */
    MEASURE_PARTITION_PAIR,     /* Those between two addresses, in either
                                 * direction. */
};

struct measure_stage_class {
    const char *name;
    const char *summary;        /* A line for people. */
    const struct measure_stage_argument *arguments;
    bool hidden;                /* Not shown to people: options of a program
                                 * stand for it. */
    unsigned int takes;         /* OR of enum measure_stage_takes. */
    enum measure_stage_gives gives;
    enum measure_partition partition;
    size_t size;                /* Of its state: a struct that begins with
                                 * struct measure_stage. */

    /* Sets an argument.  'name' is NULL for a word without "=".  Returns NULL,
     * or what is wrong with 'value' and what is valid, which the caller
     * frees.  NULL if there are no arguments. */
    char *(*set)(struct measure_stage *, const char *name, const char *value);

    /* All arguments are set.  'input' describes the rows that it will be
     * given, or is NULL for packets.  Fills in 'schema' if it gives rows.
     * Returns NULL or an error.  Takes memory here, but opens no files. */
    char *(*begin)(struct measure_stage *, const struct measure_schema *input);

    /* The whole pipeline is right and will run: opens files and the like, once
     * for each replica.  May be NULL. */
    char *(*open)(struct measure_stage *);

    void (*packets)(struct measure_stage *, struct measure_batch *);
    void (*row)(struct measure_stage *, const struct measure_row *);

    /* An interval of packets from 'start_ns' to 'end_ns' is over: gives rows
     * and begins anew.  'last' at the end of the stream.  May be NULL. */
    void (*interval)(struct measure_stage *, uint64_t start_ns,
                     uint64_t end_ns, bool last);

    /* A mark in the ring of 'batch', which has no packets.  May be NULL. */
    void (*mark)(struct measure_stage *, const struct measure_batch *,
                 const struct measure_mark *);

    /* A ring begins that has the number 'ring' in batches from now on.  If
     * there was one with this number, it has ended.  Only for stages that are
     * given packets.  May be NULL. */
    void (*ring)(struct measure_stage *, uint32_t ring);

    /* 'ports' of the stage has changed: numbers have other names.  The table
     * before it must not be used any more.  May be NULL. */
    void (*ports)(struct measure_stage *);

    /* The stream has ended, after the last interval.  Returns NULL, or what
     * went wrong with its output at any time, which the caller frees.  May be
     * NULL. */
    char *(*close)(struct measure_stage *);

    void (*destroy)(struct measure_stage *);    /* May be NULL. */
};

struct measure_stage {
    /* Set by the pipeline before set(). */
    const struct measure_stage_class *class;
    struct measure_budget *budget;
    struct measure_stage *next;         /* Set before begin(); or NULL. */
    struct measure_ring_writer *output; /* For rows to another thread; or
                                         * NULL. */
    const struct measure_port_names *ports;     /* NULL without names. */
    uint32_t replica;

    /* Set by begin(). */
    struct measure_schema schema;       /* Of the rows that it gives. */
    struct measure_group_by group_by;   /* For MEASURE_PARTITION_KEY. */
    bool wants_headers;         /* It looks at the first bytes of frames. */

    /* Counters.  Written by its thread only; atomic. */
    uint64_t records;           /* Packets or rows that it was given. */
    uint64_t batches;           /* Of packets. */
    uint64_t given;             /* Packets or rows that it gave. */
    uint64_t lost;              /* What it left out for want of memory. */
    uint64_t waits;             /* Times that 'output' was full. */

    /* What people should know of its arguments, or NULL: a constant string.
     * Written by its thread only; atomic. */
    const char *warning;

    /* It cannot go on, as with a full disk, and close() will say why.  Set by
     * measure_stage_fail(); atomic. */
    bool failed;
};

void *measure_stage_alloc(struct measure_stage *, size_t size);
void measure_stage_free(struct measure_stage *, void *, size_t size);
uint64_t measure_stage_memory_share(const struct measure_stage *);
char *measure_stage_set_number(const char *value, uint64_t min, uint64_t max,
                               uint64_t *);
char *measure_stage_set_duration(const char *value, uint64_t min_ns,
                                 uint64_t *);
void measure_stage_give(struct measure_stage *, struct measure_row *);
void measure_stage_fail(struct measure_stage *);

/* Counts what 'stage' had to leave out. */
static inline void
measure_stage_lose(struct measure_stage *stage, uint64_t n)
{
    measure_counter_add(&stage->lost, n);
}

/* For the pipeline. */
unsigned int measure_stage_row_slots(const struct measure_stage *);
void measure_stage_send(struct measure_stage *, const struct measure_row *);

/* The stage that 'stage' of a class is the beginning of, in TYPE. */
#define MEASURE_STAGE_CAST(TYPE, STAGE) ((TYPE *) (void *) (STAGE))

#endif /* measure-stage.h */
