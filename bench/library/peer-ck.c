/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the ring of Concurrency Kit. */

/* ck_ring with a single producer and a single consumer.  It takes one record
 * at a time, by copying it, also of a batch. */

#include <config.h>

#include "peer-ck.h"

#include "ring.h"

#ifdef BENCH_HAVE_CK

#include <ck_ring.h>

#include "support.h"

struct bytes_4 {
    uint32_t words[1];
};
struct bytes_32 {
    uint64_t words[4];
};
struct bytes_64 {
    uint64_t words[8];
};
CK_RING_PROTOTYPE(bytes_4, bytes_4)
CK_RING_PROTOTYPE(bytes_32, bytes_32)
CK_RING_PROTOTYPE(bytes_64, bytes_64)

/* A power of 2, of which one is not used. */
#define SIZE BENCH_RING_RECORDS

struct ck {
    ck_ring_t ring;
    _Alignas(64) uint8_t records[];
};

const char *
bench_ck_version(void)
{
    return BENCH_CK_VERSION;
}

static void *
ck_create(uint32_t bytes, const char **why_not)
{
    struct ck *r = bench_memory(sizeof *r + SIZE * bytes);

    (void) why_not;
    ck_ring_init(&r->ring, SIZE);
    return r;
}

static void
ck_destroy(void *r, uint32_t bytes)
{
    bench_memory_free(r, sizeof(struct ck) + SIZE * bytes);
}

BENCH_RING_SOME
ck_write_some(void *ring, uint64_t first, size_t n, size_t bytes)
{
    struct ck *r = ring;
    void *records = r->records;
    size_t i;

    for (i = 0; i < n; i++) {
        struct bytes_64 record;
        bool done;

        bench_ring_make(&record, first + i, bytes);
        done = (bytes == 4
                ? CK_RING_ENQUEUE_SPSC(bytes_4, &r->ring, records,
                                       (void *) &record)
                : bytes == 32
                ? CK_RING_ENQUEUE_SPSC(bytes_32, &r->ring, records,
                                       (void *) &record)
                : CK_RING_ENQUEUE_SPSC(bytes_64, &r->ring, records,
                                       (void *) &record));
        if (!done) {
            break;
        }
    }
    return i;
}

BENCH_RING_SOME
ck_read_some(void *ring, uint64_t first, size_t n, size_t bytes,
             struct bench_ring_sum *sum)
{
    struct ck *r = ring;
    void *records = r->records;
    size_t i;

    for (i = 0; i < n; i++) {
        struct bytes_64 record;
        bool done;

        done = (bytes == 4
                ? CK_RING_DEQUEUE_SPSC(bytes_4, &r->ring, records,
                                       (void *) &record)
                : bytes == 32
                ? CK_RING_DEQUEUE_SPSC(bytes_32, &r->ring, records,
                                       (void *) &record)
                : CK_RING_DEQUEUE_SPSC(bytes_64, &r->ring, records,
                                       (void *) &record));
        if (!done) {
            break;
        }
        bench_ring_add(&record, first + i, bytes, sum);
    }
    return i;
}

BENCH_RING_LOOPS(ck)

#else /* !BENCH_HAVE_CK */

const char *
bench_ck_version(void)
{
    return "none";
}

static void *
ck_create(uint32_t bytes, const char **why_not)
{
    (void) bytes;
    *why_not = "built without Concurrency Kit";
    return NULL;
}

#define ck_destroy NULL
#define ck_write NULL
#define ck_read NULL
#endif

const struct bench_contender bench_ring_ck = {
    .name = "ck-ring",
    .ring = &(const struct bench_ring) {
        .create = ck_create,
        .destroy = ck_destroy,
        .write = ck_write,
        .read = ck_read,
    },
};
