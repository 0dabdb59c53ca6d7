/* SPDX-License-Identifier: Apache-2.0 */
/* Counts a burst in a structure as the switch does. */

#ifndef BURST_H
#define BURST_H 1

#include "structures/measure-structure.h"

/* Counts a burst in a structure
 * =============================
 *
 * A tally counts packets of both layouts, and needs an epoch, a report and
 * more.  Tests and benchmarks of one structure do with its functions of the
 * packet path what measure_tally_count() does.
 *
 * Thread safety: that of the structure. */

#define ADD_BURST(NAME)                                                     \
    static inline void __attribute__((always_inline))                       \
    NAME##_add_burst__(struct measure_##NAME *s, enum measure_layout layout, \
                       struct measure_record *records, size_t n)            \
    {                                                                       \
        uint64_t bytes = 0;                                                 \
                                                                            \
        for (size_t i = 0; i < n; i++) {                                    \
            records[i].hash = measure_hash(s->secret, records[i].key,       \
                                           measure_key_words(layout));      \
            measure_##NAME##_prefetch(s, layout, records[i].hash);          \
        }                                                                   \
        for (size_t i = 0; i < n; i++) {                                    \
            measure_##NAME##_add(s, records[i].key, records[i].hash, 1,     \
                                 records[i].bytes);                         \
            bytes += records[i].bytes;                                      \
        }                                                                   \
        measure_##NAME##_end_burst(s, n, bytes);                            \
    }                                                                       \
                                                                            \
    /* Counts the packets of 'records' (at most MEASURE_BURST), all of the  \
     * layout of 's', by the keys as they are.  Sets their hashes. */       \
    static inline void __attribute__((unused))                              \
    NAME##_add_burst(struct measure_##NAME *s,                              \
                     struct measure_record *records, size_t n)              \
    {                                                                       \
        if (s->layout == MEASURE_NARROW) {                                  \
            NAME##_add_burst__(s, MEASURE_NARROW, records, n);              \
        } else {                                                            \
            NAME##_add_burst__(s, MEASURE_WIDE, records, n);                \
        }                                                                   \
    }
ADD_BURST(count_array)
ADD_BURST(count_min)
ADD_BURST(cuckoo)
ADD_BURST(space_saving)
#undef ADD_BURST

#endif /* burst.h */
