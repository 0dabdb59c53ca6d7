/* SPDX-License-Identifier: Apache-2.0 */
/* Gives numbers to the ports of the switch, for keys. */

#ifndef MEASURE_SWITCH_PORT_H
#define MEASURE_SWITCH_PORT_H 1

#include <stdbool.h>
#include <stdint.h>

#include "key/measure-record.h"

/* Numbers for the ports of the switch
 * ===================================
 *
 * A flow key has 12 bits for the port that its packets came in by.  A monitor
 * gives each of its ports a number, and reports of old epochs name ports by
 * it.  A number that its port has released is given to another port only when
 * no counts are left that can have it:
 *
 *     measure_port_number()    a port is measured from now on
 *     measure_port_release()   it is not measured any more; a packet thread
 *                              may be about to count a last burst
 *     measure_port_settle()    packet threads are done with the ports that
 *                              were released until some epoch was closed
 *     measure_port_recycle()   of older epochs than some one, no counts are
 *                              left
 *
 * A port that comes back before that under its old name gets its old number.
 * While MEASURE_MAX_PORT numbers are in use, further ports get 0, which is no
 * port.
 *
 * Where the numbers were given by somebody else, as in a file or in another
 * process, measure_port_adopt() takes the place of all these.
 *
 * Each function does constant work, amortized, but for ports whose names have
 * the same hash.
 *
 * Memory: 8 bytes for each possible number, 12 KiB, and for each number in use
 * some 40 bytes and the name.
 *
 * Thread safety: one thread at a time.  measure_port_name() may be called by
 * any thread at any time for the numbers in counts of which
 * measure_port_recycle() has not said that they are gone. */

#define MEASURE_PORT_BUCKETS 2048

/* Numbers that are released, in that order; 0 is none. */
struct measure_port_queue {
    uint16_t first;
    uint16_t last;
};

struct measure_port_names {
    struct measure_named_port *ports[MEASURE_MAX_PORT + 1];     /* Atomic. */
    uint16_t buckets[MEASURE_PORT_BUCKETS];     /* By hash of the name. */
    uint16_t next_free[MEASURE_MAX_PORT + 1];
    uint16_t first_free;        /* Of numbers that were in use before... */
    uint16_t n_given;           /* ...and how many have ever been. */
    struct measure_port_queue leaving;  /* Not settled yet. */
    struct measure_port_queue resting;  /* Not recycled yet. */
    uint64_t n_changes;         /* Of what some number stands for. */
};

uint16_t measure_port_number(struct measure_port_names *, const char *name);
void measure_port_release(struct measure_port_names *, uint16_t number,
                          uint64_t epoch);
void measure_port_settle(struct measure_port_names *, uint64_t closed,
                         uint64_t running);
void measure_port_recycle(struct measure_port_names *, uint64_t oldest);

uint16_t measure_port_find(const struct measure_port_names *,
                           const char *name);
const char *measure_port_name(const struct measure_port_names *,
                              uint16_t number);
bool measure_port_adopt(struct measure_port_names *, uint16_t number,
                        const char *name);
void measure_port_names_destroy(struct measure_port_names *);

#endif /* measure-switch-port.h */
