/* SPDX-License-Identifier: Apache-2.0 */
/* Random packets, which the library counts and the oracle keeps. */

#ifndef ORACLE_WORLD_H
#define ORACLE_WORLD_H 1

#include "check-packets.h"

#include "base/measure-hash.h"
#include "base/measure-memory.h"
#include "key/measure-switch-port.h"
#include "report/measure-merge.h"
#include "structures/measure-structure.h"

/* Worlds
 * ======
 *
 * A world is some epochs of packets over few addresses and ports, counted by
 * up to 16 threads in any of the structures, with enough memory or too little.
 * There is one at a time.  All that is random in it, and in the questions
 * about it, comes from its seed. */

#define MAX_EPOCHS 6
#define MAX_THREADS 16
#define MAX_PACKETS 2500        /* Of an epoch. */

/* Without padding: compared by memcmp(). */
struct key {
    uint8_t family;             /* 4 or 6; 0 if there is no address. */
    uint8_t protocol;
    uint8_t tunnelled;
    uint8_t unused;
    uint16_t source_port, destination_port, vlan, port;
    uint32_t tunnel;
    uint8_t source[16], destination[16];
};

struct packet {
    struct key key;
    uint32_t bytes;
    int epoch;
    int thread;
};

struct world {
    uint64_t seed;
    struct random r;
    enum measure_key_kind key_kind;
    enum measure_structure_kind structure;
    int n_epochs, n_threads;
    unsigned int cores[MAX_THREADS];
    struct packet packets[MAX_EPOCHS * MAX_PACKETS];
    size_t n_packets;
    struct key pool[60];        /* What questions are about. */
    struct measure_report *reports[MAX_EPOCHS];
    struct measure_hash_secret secret;
    struct measure_port_names ports;
    struct measure_budget budget;
};

extern struct world world;

void open_world(uint64_t seed);
void close_world(void);

/* Leaves no memory for answers until it is given back. */
void take_memory(void);
void give_memory(void);

/* The fields that a key of each kind has. */
extern const unsigned int fields_by[MEASURE_N_KINDS];

/* Returns true if the keys of the world have 'fields'. */
bool has_fields(unsigned int fields);

/* Returns true if each key of the world has a row, as long as there is
 * memory. */
bool complete(void);

/* What the library calls 'f'.  'addresses' says whether the key has any. */
struct key key_of(const struct measure_fields *f, bool addresses);

/* Random numbers of the world. */

static inline uint32_t
below(uint32_t n)
{
    return random_below(&world.r, n);
}

static inline bool
one_in(uint32_t n)
{
    return !below(n);
}

/* Failures.  They end the program, and say the seed of the world, and the
 * question as it was described. */

#define CHECK(CONDITION)                                    \
    do {                                                    \
        if (!(CONDITION)) {                                 \
            check_failed(__FILE__, __LINE__, #CONDITION);   \
        }                                                   \
    } while (0)

void check_failed(const char *file, int line, const char *condition)
    __attribute__((noreturn));

void forget_question(void);
void describe_question(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

#endif /* oracle-world.h */
