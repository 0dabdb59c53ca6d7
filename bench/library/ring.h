/* SPDX-License-Identifier: Apache-2.0 */
/* What a ring under test must offer. */

#ifndef BENCH_RING_H
#define BENCH_RING_H 1

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rings under test
 * ================
 *
 * A ring hands records of 4, 32 or 64 bytes from one thread to another, in
 * their order.  Record number i begins with i, and continues with i + 1 and so
 * on in words of 64 bits (of 32 if it has 4 bytes).  The reader adds up
 * all words and looks at the number of each.
 *
 * A contender is two functions, which write and read up to so many records and
 * return how many, and a line with BENCH_RING_LOOPS().  Both are compiled into
 * loops of their own for each size of a record, so that no contender pays for
 * indirect calls or for sizes that are not known.
 *
 * Thread safety: one thread writes and one reads. */

/* Records that each ring has room for. */
#define BENCH_RING_RECORDS 4096

/* What is written and read: record number 'first' and those that follow. */
struct bench_ring_load {
    uint64_t first;
    uint64_t n;                 /* A multiple of 'batch'. */
    uint32_t batch;             /* 1, or a multiple of 8. */
    uint32_t bytes;             /* Of a record: 4, 32 or 64. */
};

/* What a reader has found. */
struct bench_ring_sum {
    uint64_t sum;               /* Of all words. */
    uint64_t wrong;             /* Not 0 if a number was wrong. */
};

struct bench_ring {
    /* Returns a ring for records of 'bytes', or NULL after setting
     * '*why_not'. */
    void *(*create)(uint32_t bytes, const char **why_not);
    void (*destroy)(void *, uint32_t bytes);
    void (*write)(void *, const struct bench_ring_load *);
    void (*read)(void *, const struct bench_ring_load *,
                 struct bench_ring_sum *);
};

/* Waits for the other side. */
static inline void
bench_ring_wait(unsigned int *n_waits)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (++*n_waits % 1024 == 0) {
        sched_yield();          /* Something else runs on its processor. */
    }
}

/* Makes record number 'i' of 'bytes', which is a constant. */
static inline __attribute__((always_inline)) void
bench_ring_make(void *record, uint64_t i, size_t bytes)
{
    if (bytes == 4) {
        *(uint32_t *) record = i;
    } else {
        for (size_t j = 0; j < bytes / 8; j++) {
            ((uint64_t *) record)[j] = i + j;
        }
    }
}

/* Reads record number 'i'. */
static inline __attribute__((always_inline)) void
bench_ring_add(const void *record, uint64_t i, size_t bytes,
               struct bench_ring_sum *sum)
{
    if (bytes == 4) {
        sum->sum += *(const uint32_t *) record;
        sum->wrong |= *(const uint32_t *) record ^ (uint32_t) i;
    } else {
        const uint64_t *words = record;

        sum->wrong |= words[0] ^ i;
        for (size_t j = 0; j < bytes / 8; j++) {
            sum->sum += words[j];
        }
    }
}

/* Writes up to 'n' records from number 'first' on and returns how many. */
typedef size_t bench_ring_write_some(void *, uint64_t first, size_t n,
                                     size_t bytes);
typedef size_t bench_ring_read_some(void *, uint64_t first, size_t n,
                                    size_t bytes, struct bench_ring_sum *);

static inline __attribute__((always_inline)) void
bench_ring_write_all(void *ring, const struct bench_ring_load *load,
                     size_t bytes, bench_ring_write_some *some)
{
    uint64_t end = load->first + load->n;
    unsigned int n_waits = 0;

    for (uint64_t i = load->first; i < end; ) {
        size_t n = some(ring, i, end - i < load->batch ? end - i : load->batch,
                        bytes);

        if (!n) {
            bench_ring_wait(&n_waits);
        }
        i += n;
    }
}

static inline __attribute__((always_inline)) void
bench_ring_read_all(void *ring, const struct bench_ring_load *load,
                    size_t bytes, struct bench_ring_sum *sum,
                    bench_ring_read_some *some)
{
    uint64_t end = load->first + load->n;
    unsigned int n_waits = 0;

    for (uint64_t i = load->first; i < end; ) {
        size_t n = some(ring, i, end - i < load->batch ? end - i : load->batch,
                        bytes, sum);

        if (!n) {
            bench_ring_wait(&n_waits);
        }
        i += n;
    }
}

/* Defines NAME_write() and NAME_read() of a struct bench_ring by
 * NAME_write_some() and NAME_read_some(), which are always inlined. */
#define BENCH_RING_LOOPS(NAME)                                              \
    static void                                                             \
    NAME##_write(void *ring, const struct bench_ring_load *load)            \
    {                                                                       \
        switch (load->bytes) {                                              \
        case 4:                                                             \
            bench_ring_write_all(ring, load, 4, NAME##_write_some);         \
            break;                                                          \
        case 32:                                                            \
            bench_ring_write_all(ring, load, 32, NAME##_write_some);        \
            break;                                                          \
        case 64:                                                            \
            bench_ring_write_all(ring, load, 64, NAME##_write_some);        \
            break;                                                          \
        }                                                                   \
    }                                                                       \
                                                                            \
    static void                                                             \
    NAME##_read(void *ring, const struct bench_ring_load *load,             \
                struct bench_ring_sum *sum)                                 \
    {                                                                       \
        struct bench_ring_sum local = *sum;                                 \
                                                                            \
        switch (load->bytes) {                                              \
        case 4:                                                             \
            bench_ring_read_all(ring, load, 4, &local, NAME##_read_some);   \
            break;                                                          \
        case 32:                                                            \
            bench_ring_read_all(ring, load, 32, &local, NAME##_read_some);  \
            break;                                                          \
        case 64:                                                            \
            bench_ring_read_all(ring, load, 64, &local, NAME##_read_some);  \
            break;                                                          \
        }                                                                   \
        *sum = local;                                                       \
    }

#define BENCH_RING_SOME static inline __attribute__((always_inline)) size_t

#endif /* bench/library/ring.h */
