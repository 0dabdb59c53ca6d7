/* SPDX-License-Identifier: Apache-2.0 */
/* Gives numbers to the ports of the switch, for keys. */

#include <config.h>

#include "key/measure-switch-port.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

/* A port that has a number. */
struct measure_named_port {
    uint16_t number;
    uint16_t next;              /* With the same hash. */
    uint16_t before, after;     /* In a queue. */
    bool settled;               /* In 'resting', if in a queue. */
    uint32_t n_users;           /* Without any, it is in a queue. */
    uint64_t epoch;             /* In 'leaving', that was running when it was
                                 * released; in 'resting', the last one that
                                 * can have counted its packets. */
    char name[];
};

static uint16_t *
bucket_of(struct measure_port_names *ports, const char *name)
{
    uint32_t hash = 2166136261u;        /* FNV-1a. */

    for (; *name; name++) {
        hash = (hash ^ (unsigned char) *name) * 16777619u;
    }
    return &ports->buckets[(hash ^ hash >> 16) % MEASURE_PORT_BUCKETS];
}

static void
enqueue(struct measure_port_names *ports, struct measure_port_queue *queue,
        struct measure_named_port *port)
{
    port->before = queue->last;
    port->after = 0;
    if (queue->last) {
        ports->ports[queue->last]->after = port->number;
    } else {
        queue->first = port->number;
    }
    queue->last = port->number;
}

static void
dequeue(struct measure_port_names *ports, struct measure_port_queue *queue,
        struct measure_named_port *port)
{
    if (port->before) {
        ports->ports[port->before]->after = port->after;
    } else {
        queue->first = port->after;
    }
    if (port->after) {
        ports->ports[port->after]->before = port->before;
    } else {
        queue->last = port->before;
    }
}

/* Takes 'port', which has no users, off the queue that it is in. */
static void
leave_queue(struct measure_port_names *ports, struct measure_named_port *port)
{
    dequeue(ports, port->settled ? &ports->resting : &ports->leaving, port);
}

/* Returns a number that no port has, or 0 if there is none left. */
static uint16_t
get_number(struct measure_port_names *ports)
{
    uint16_t number = ports->first_free;

    if (number) {
        ports->first_free = ports->next_free[number];
    } else if (ports->n_given < MEASURE_MAX_PORT) {
        number = ++ports->n_given;
    }
    return number;
}

/* Returns the number of the port called 'name', or 0 if it has none. */
uint16_t
measure_port_find(const struct measure_port_names *ports_, const char *name)
{
    struct measure_port_names *ports = (struct measure_port_names *) ports_;
    uint16_t number = *bucket_of(ports, name);

    while (number && strcmp(ports->ports[number]->name, name)) {
        number = ports->ports[number]->next;
    }
    return number;
}

/* Gives 'number', which no port has, to port 'name'. */
static void
name_port(struct measure_port_names *ports, uint16_t number, const char *name)
{
    size_t size = strlen(name) + 1;
    struct measure_named_port *port
        = measure_check_memory(calloc(1, sizeof *port + size));
    uint16_t *bucket = bucket_of(ports, name);

    port->number = number;
    port->next = *bucket;
    port->n_users = 1;
    memcpy(port->name, name, size);
    *bucket = number;
    ports->n_changes++;
    __atomic_store_n(&ports->ports[number], port, __ATOMIC_RELEASE);
}

/* Returns the number of port 'name', which it gets now unless it has one, or 0
 * if there are no numbers left.  Each such call that returned a number needs a
 * measure_port_release(). */
uint16_t
measure_port_number(struct measure_port_names *ports, const char *name)
{
    uint16_t number = measure_port_find(ports, name);
    struct measure_named_port *port;

    if (number) {
        port = ports->ports[number];
        if (!port->n_users++) {
            leave_queue(ports, port);
        }
        return number;
    }
    number = get_number(ports);
    if (number) {
        name_port(ports, number, name);
    }
    return number;
}

/* Lets port 'name' have 'number', in names that are a copy of those of
 * somebody else.  Returns false if the number is not valid or in use.  A port
 * that has come back may have two numbers: measure_port_find() finds the one
 * that it was given last. */
bool
measure_port_adopt(struct measure_port_names *ports, uint16_t number,
                   const char *name)
{
    if (!number || number > MEASURE_MAX_PORT || ports->ports[number]) {
        return false;
    }
    name_port(ports, number, name);
    return true;
}

/* Says that a port with 'number', or without one if that is 0, is not measured
 * any more, in epoch 'epoch'. */
void
measure_port_release(struct measure_port_names *ports, uint16_t number,
                     uint64_t epoch)
{
    struct measure_named_port *port = ports->ports[number];

    if (number && !--port->n_users) {
        port->settled = false;
        port->epoch = epoch;
        enqueue(ports, &ports->leaving, port);
    }
}

/* Says that packet threads have been seen between two bursts since epoch
 * 'closed' ended, and now count in none later than 'running'. */
void
measure_port_settle(struct measure_port_names *ports, uint64_t closed,
                    uint64_t running)
{
    while (ports->leaving.first) {
        struct measure_named_port *port = ports->ports[ports->leaving.first];

        if (port->epoch > closed) {
            break;
        }
        dequeue(ports, &ports->leaving, port);
        port->settled = true;
        port->epoch = running;
        enqueue(ports, &ports->resting, port);
    }
}

/* Says that counts of no epoch before 'oldest' are left.  Numbers that only
 * these can have go to other ports. */
void
measure_port_recycle(struct measure_port_names *ports, uint64_t oldest)
{
    while (ports->resting.first) {
        uint16_t number = ports->resting.first;
        struct measure_named_port *port = ports->ports[number];
        uint16_t *link = bucket_of(ports, port->name);

        if (port->epoch >= oldest) {
            break;
        }
        dequeue(ports, &ports->resting, port);
        while (*link != number) {
            link = &ports->ports[*link]->next;
        }
        *link = port->next;
        ports->n_changes++;
        __atomic_store_n(&ports->ports[number], NULL, __ATOMIC_RELEASE);
        ports->next_free[number] = ports->first_free;
        ports->first_free = number;
        free(port);
    }
}

/* Returns the name of the port with 'number', or NULL if that is none.  The
 * name is valid as long as the number is its own. */
const char *
measure_port_name(const struct measure_port_names *ports, uint16_t number)
{
    const struct measure_named_port *port
        = (number > MEASURE_MAX_PORT ? NULL
           : __atomic_load_n(&ports->ports[number], __ATOMIC_ACQUIRE));

    return port ? port->name : NULL;
}

void
measure_port_names_destroy(struct measure_port_names *ports)
{
    for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
        free(ports->ports[i]);
    }
}
