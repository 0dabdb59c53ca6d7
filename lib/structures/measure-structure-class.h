/* SPDX-License-Identifier: Apache-2.0 */
/* What a structure must offer for tallies to count in it. */

#ifndef MEASURE_STRUCTURE_CLASS_H
#define MEASURE_STRUCTURE_CLASS_H 1

#include "structures/measure-heavy-keys.h"

/* The class of a structure
 * ========================
 *
 * A structure is one header, and a source if it is large.
 * measure-structure-list.h names the header, measure-structure.h makes of it
 * what tallies count in, and a report is made of what its class says:
 *
 *     struct measure_NAME                    an instance, for keys of a layout
 *     measure_NAME_class                     all but the packet path
 *
 *     measure_NAME_prefetch(instance, layout, hash)
 *     measure_NAME_add(instance, key, hash, packets, bytes)
 *     measure_NAME_end_burst(instance, packets, bytes)
 *
 * The three belong to the packet path: they are called for each packet, and at
 * the end of each burst with its sum, and may not allocate, lock, wait, log or
 * clear.  _add() returns false, with nothing counted, if there is no place for
 * the key; then the tables of the tally take it.
 *
 * Thread safety: 'n_keys' and 'n_lost' may be called by any thread while the
 * packet thread counts; all else belongs to one thread at a time, when the
 * structure is not in use. */

struct measure_structure_class {
    const char *name;           /* As in measure-structure=NAME. */
    bool complete;              /* Each key that it counts has a row. */
    bool loses_heavy_keys;      /* 'n_lost' may be heavy hitters: the log warns
                                 * of them. */

    /* An instance takes measure-memory-mb divided by this: 1, or 2 if each of
     * its entries becomes a row of the report.  'limit' below is what is left
     * for it. */
    unsigned int memory_divisor;
    double error_probability;   /* That a count is wrong by more than its
                                 * error. */

    /* Returns the bytes of an instance for keys in 'layout' that takes about
     * 'limit' bytes. */
    size_t (*size)(enum measure_layout layout, size_t limit);

    /* Makes an empty one of that size.  'memory' is all zeros, and begins with
     * a cache line; 'instance' may hold anything. */
    void (*init)(void *instance, enum measure_layout layout, size_t limit,
                 const struct measure_hash_secret *, void *memory);

    /* Says from where on an empty one records keys.  May be NULL. */
    void (*begin)(void *instance, const struct measure_structure_threshold *);

    /* Returns how many keys 'next' returns, at least. */
    uint64_t (*n_keys)(const void *instance);

    /* Returns what found no place: packets that _add() has refused, or keys
     * that it could not record. */
    uint64_t (*n_lost)(const void *instance);

    /* Returns true if all counts are exact.  NULL if they always are. */
    bool (*is_exact)(const void *instance);

    /* Stores in '*missed' how much a key can have that the instance does not
     * have, UINT64_MAX if nobody knows.  NULL if it is complete. */
    void (*missed)(const void *instance, struct measure_cell *missed);

    /* Returns the first of its keys if 'key' is NULL, else the one after
     * 'key', which is a pointer that it has returned, or NULL.  If complete
     * they are rows (measure-table.h), else only the key itself is read. */
    uint64_t *(*next)(const void *instance, uint64_t *key);

    /* Adds to 'sum' an estimate of 'key', with 'hash', and its error: the
     * truth is at most the estimate, and at least the estimate less the error.
     * Of a key that it does not have this is all that it may have, as an error
     * too, for the sum of all threads must not be too low. */
    void (*estimate)(const void *instance, const uint64_t *key, uint64_t hash,
                     struct measure_estimate_sum *sum);
};

#endif /* measure-structure-class.h */
