/* SPDX-License-Identifier: Apache-2.0 */
/* One interface to all structures that a tally can count in. */

#ifndef MEASURE_STRUCTURE_H
#define MEASURE_STRUCTURE_H 1

#include "base/measure-memory.h"
#include "structures/measure-structure-list.h"

/* The structures that a tally can count in
 * ========================================
 *
 * A tally (measure-tally.h) counts in linear tables, which grow with the
 * flows, or in one of the structures here, whose memory is fixed for the
 * epoch.
 *
 * A structure has an instance for each layout; three quarters of the memory
 * are for narrow keys.  Of the memory of a count array or Count-Min sketch, an
 * eighth is for the keys that it records.  measure-structure-class.h says what
 * a structure must offer, and measure-structure-list.h which there are.
 *
 * At the end of an epoch rows are made of the structures of all threads
 * (measure-report-estimates.h): for each key that one of them recorded, the
 * sum of what all of them know of it.  Estimates are sums of estimates, and
 * their errors sums of errors, over all structures in which packets of the
 * key's layout (or layouts) were counted, whether any were the key's or not:
 *
 *     count array   at most k * sum(N / m), with probability 1 - 1/k
 *     Count-Min     at most e * sum(N / width), with probability 1 - e^-depth
 *     SpaceSaving   the sum of what each summary says, certainly
 *     cuckoo table  0
 *
 * and no more than the sum of the estimates.  measure-count-array.h and
 * measure-count-min.h say why, and measure-heavy-keys.h what the probability
 * is of.  It is for structures of one kind; structures of several kinds in one
 * report have the sum of their probabilities.
 *
 * Thread safety: measure_structure_prefetch(), _add() and _end_burst() belong
 * to the one thread that counts and to the packet path, and
 * measure_structure_load() to any thread; all else to one thread at a time,
 * when the structure is not in use. */

enum measure_structure_kind {
    MEASURE_LINEAR_TABLE,       /* None of those here. */
#define STRUCTURE(KIND, NAME) MEASURE_##KIND,
#include "structures/measure-structure-list.h"
#undef STRUCTURE
    MEASURE_N_STRUCTURES
};

struct measure_structure {
    enum measure_structure_kind kind;
    const struct measure_structure_class *class;
    union {
#define STRUCTURE(KIND, NAME) struct measure_##NAME NAME;
#include "structures/measure-structure-list.h"
#undef STRUCTURE
    } u[MEASURE_N_LAYOUTS];

    /* Counted in all. */
    uint64_t packets[MEASURE_N_LAYOUTS];
    uint64_t bytes[MEASURE_N_LAYOUTS];

    const struct measure_hash_secret *secret;
    struct measure_budget *budget;
    char *memory;
    size_t size;                /* Of 'memory'. */
    size_t limit;               /* What the size was chosen for. */
};

/* The packet path.  'kind' is that of the structure; callers pass a constant,
 * for which one of the cases remains.  With any other the call of
 * measure_no_such_structure() remains, which does not compile. */

#ifdef __OPTIMIZE__
void measure_no_such_structure(void)
    __attribute__((error("'kind' is not the constant of a structure")));
#else
/* Nothing is removed here. */
static inline void
measure_no_such_structure(void)
{
    assert(false);
}
#endif

static inline void __attribute__((always_inline))
measure_structure_prefetch(const struct measure_structure *structure,
                           enum measure_structure_kind kind,
                           enum measure_layout layout, uint64_t hash)
{
    switch ((int) kind) {
#define STRUCTURE(KIND, NAME)                                               \
    case MEASURE_##KIND:                                                    \
        measure_##NAME##_prefetch(&structure->u[layout].NAME, layout,       \
                                  hash);                                    \
        break;
#include "structures/measure-structure-list.h"
#undef STRUCTURE
    default:
        measure_no_such_structure();
    }
}

/* Adds to 'key'.  Returns false, with nothing counted, if there is no place
 * for it. */
static inline bool __attribute__((always_inline))
measure_structure_add(struct measure_structure *structure,
                      enum measure_structure_kind kind,
                      enum measure_layout layout, const uint64_t *key,
                      uint64_t hash, uint64_t packets, uint64_t bytes)
{
    switch ((int) kind) {
#define STRUCTURE(KIND, NAME)                                               \
    case MEASURE_##KIND:                                                    \
        return measure_##NAME##_add(&structure->u[layout].NAME, key, hash,  \
                                    packets, bytes);
#include "structures/measure-structure-list.h"
#undef STRUCTURE
    default:
        measure_no_such_structure();
        return false;
    }
}

/* Says that a burst of 'packets' and 'bytes' of 'layout' has been added. */
static inline void __attribute__((always_inline))
measure_structure_end_burst(struct measure_structure *structure,
                            enum measure_structure_kind kind,
                            enum measure_layout layout, uint64_t packets,
                            uint64_t bytes)
{
    structure->packets[layout] += packets;
    structure->bytes[layout] += bytes;
    switch ((int) kind) {
#define STRUCTURE(KIND, NAME)                                               \
    case MEASURE_##KIND:                                                    \
        measure_##NAME##_end_burst(&structure->u[layout].NAME, packets,     \
                                   bytes);                                  \
        break;
#include "structures/measure-structure-list.h"
#undef STRUCTURE
    default:
        measure_no_such_structure();
    }
}

/* What a structure holds, read while the packet thread counts. */
struct measure_structure_load {
    uint64_t bytes;             /* Memory... */
    uint64_t report_bytes;      /* ...and that of its report, at most. */
    uint64_t n_keys[MEASURE_N_LAYOUTS];
    uint64_t n_lost;            /* Keys, or packets, without a place. */
};

void measure_structure_load(const struct measure_structure *,
                            struct measure_structure_load *);

/* Outside the packet path. */

const char *measure_structure_name(enum measure_structure_kind);
bool measure_structure_from_name(const char *name,
                                 enum measure_structure_kind *);
bool measure_structure_is_complete(enum measure_structure_kind);
const struct measure_structure_class *
measure_structure_class(enum measure_structure_kind);

struct measure_structure *
measure_structure_create(enum measure_structure_kind, size_t limit,
                         const struct measure_hash_secret *,
                         struct measure_budget *, int node);
void measure_structure_destroy(struct measure_structure *);
void measure_structure_clear(struct measure_structure *);
void measure_structure_begin(struct measure_structure *,
                             const struct measure_structure_threshold *);

bool measure_structure_is_exact(const struct measure_structure *);
uint64_t measure_structure_n_keys(const struct measure_structure *,
                                  enum measure_layout);
void measure_structure_missed(const struct measure_structure *,
                              struct measure_cell *);
uint64_t *measure_structure_next(const struct measure_structure *,
                                 enum measure_layout, uint64_t *key);
void measure_structure_estimate(const struct measure_structure *,
                                enum measure_layout, const uint64_t *key,
                                uint64_t hash,
                                struct measure_estimate_sum *);

/* Goes through the keys of 'STRUCTURE_' in 'LAYOUT': if it is complete, its
 * rows. */
#define MEASURE_STRUCTURE_FOR_EACH(KEY, STRUCTURE_, LAYOUT)                  \
    for (uint64_t *KEY = measure_structure_next(STRUCTURE_, LAYOUT, NULL);   \
         KEY; KEY = measure_structure_next(STRUCTURE_, LAYOUT, KEY))

#endif /* measure-structure.h */
