/* SPDX-License-Identifier: Apache-2.0 */
/* The rings that a pipeline reads, and the place of each of its threads. */

#include <config.h>

#include "stream/measure-source.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "stream/measure-place.h"

#define HYSTERESIS 256          /* Slots. */

static_assert(offsetof(struct measure_place, own) == 0
              && offsetof(struct measure_place, reader) == MEASURE_RING_LINE,
              "what a thread releases has a cache line of its own");

/* Bytes of a place, whole cache lines. */
static size_t
place_size(void)
{
    return ((sizeof(struct measure_place) + MEASURE_RING_LINE - 1)
            / MEASURE_RING_LINE * MEASURE_RING_LINE);
}

static struct measure_place *
get_place(const struct measure_source *source, size_t thread)
{
    return (struct measure_place *) (void *) ((uint8_t *) source->places
                                              + thread * place_size());
}

void
measure_sources_init(struct measure_sources *all)
{
    memset(all, 0, sizeof *all);
    pthread_mutex_init(&all->mutex, NULL);
}

/* Gives each thread a place in 'source', at its shared cursor. */
static void
make_places(struct measure_source *source)
{
    size_t n = source->all->n_threads;

    source->places = measure_xzalloc_lines(n * place_size());
    for (size_t i = 0; i < n; i++) {
        struct measure_place *place = get_place(source, i);

        place->source = source;
        place->account = i ? NULL : source->account;
        place->several = n > 1;
        place->hysteresis = measure_min(HYSTERESIS, source->n_slots / 4);
        place->own.tail = __atomic_load_n(&source->shared->tail,
                                          __ATOMIC_ACQUIRE);
        measure_ring_reader_init(&place->reader, source->header,
                                 n > 1 ? &place->own : source->shared, NULL);
    }
}

/* 'n_threads' threads for packets are going to run. */
void
measure_sources_start(struct measure_sources *all, size_t n_threads)
{
    pthread_mutex_lock(&all->mutex);
    all->n_threads = n_threads;
    for (size_t i = 0; i < all->n; i++) {
        if (all->list[i]->header) {
            make_places(all->list[i]);
        }
    }
    pthread_mutex_unlock(&all->mutex);
}

static void
change_version(struct measure_sources *all)
{
    __atomic_store_n(&all->version, all->version + 1, __ATOMIC_RELEASE);
}

/* Adds up what 'source', which was removed, leaves behind. */
static void
add_gone(struct measure_gone_sources *gone,
         const struct measure_source *source)
{
    gone->n++;
    gone->records += source->records;
    gone->waits += source->waits;
    gone->offered += source->last_header.offered;
    gone->filtered += source->last_header.filtered;
    gone->dropped += source->last_header.dropped;
    gone->marks_lost += source->last_header.marks_lost;
}

/* Returns a number that no source has, and forgets the one that had it. */
static size_t
take_number(struct measure_sources *all)
{
    for (size_t i = 0; i < all->n; i++) {
        if (!all->list[i]->header) {
            add_gone(&all->gone, all->list[i]);
            free(all->list[i]);
            return i;
        }
    }
    all->list = measure_xrealloc(all->list, (all->n + 1)
                                            * sizeof *all->list);
    return all->n++;
}

static struct measure_source *
make(struct measure_sources *all, const void *ring,
     struct measure_cursor *shared, struct measure_stream_account *account)
{
    struct measure_source *source = measure_xzalloc(sizeof *source);

    source->all = all;
    source->header = ring;
    source->core_id = source->header->core_id;
    source->n_slots = source->header->n_slots;
    source->shared = shared;
    source->account = account;
    source->stop_at = UINT64_MAX;
    return source;
}

/* Lets threads see 'source', of which nothing is missing any more. */
static struct measure_source *
add(struct measure_source *source)
{
    struct measure_sources *all = source->all;

    pthread_mutex_lock(&all->mutex);
    if (all->n_threads) {
        make_places(source);
    }
    source->number = take_number(all);
    all->list[source->number] = source;
    change_version(all);
    pthread_mutex_unlock(&all->mutex);
    return source;
}

/* Makes a source with a ring of its own, of 'n_slots' slots (a power of 2 from
 * MEASURE_RING_MIN_SLOTS), for the owner to write. */
struct measure_source *
measure_source_create(struct measure_sources *all, uint64_t n_slots,
                      uint32_t core_id)
{
    void *memory = measure_xzalloc_lines(measure_ring_size(n_slots));
    struct measure_cursor *shared = measure_xzalloc_lines(sizeof *shared);
    struct measure_source *source;

    measure_ring_header_init(memory, n_slots, core_id, -1);
    source = make(all, memory, shared, NULL);
    source->memory = memory;
    measure_ring_writer_init(&source->writer, memory);
    measure_ring_add_cursor(&source->writer, shared);
    return add(source);
}

/* Adds the ring of another writer, which must have passed
 * measure_ring_check().  It is read from where 'cursor' is, and what is taken
 * is fed to 'account', unless that is NULL.  All of them must stay until
 * measure_source_remove() or the end of the pipeline. */
struct measure_source *
measure_source_attach(struct measure_sources *all, const void *ring,
                      struct measure_cursor *cursor,
                      struct measure_stream_account *account)
{
    return add(make(all, ring, cursor, account));
}

struct measure_ring_writer *
measure_source_writer(struct measure_source *source)
{
    return &source->writer;
}

/* Returns room for 'n' neighbouring slots of an own ring, at most a quarter of
 * it.  Publishes what was written before, and waits, if there is none.
 * Returns NULL if the pipeline was stopped or has failed. */
struct measure_slot *
measure_source_reserve(struct measure_source *source, unsigned int n)
{
    struct measure_sources *all = source->all;
    struct measure_slot *slots;

    if (__atomic_load_n(&all->stopping, __ATOMIC_RELAXED)
        || __atomic_load_n(&all->failed, __ATOMIC_RELAXED)) {
        return NULL;
    }
    slots = measure_ring_reserve(&source->writer, n, 0);
    if (slots) {
        return slots;
    }
    measure_ring_publish(&source->writer);
    source->waits++;
    __atomic_store_n(&source->waiting, true, __ATOMIC_RELEASE);
    while (!(slots = measure_ring_reserve(&source->writer, n, 0))
           && !__atomic_load_n(&all->stopping, __ATOMIC_RELAXED)
           && !__atomic_load_n(&all->failed, __ATOMIC_RELAXED)) {
        measure_nap();
    }
    __atomic_store_n(&source->waiting, false, __ATOMIC_RELEASE);
    return slots;
}

/* Slots that are published; those released if a foreign writer says what
 * cannot be. */
static uint64_t
get_head(const struct measure_source *source)
{
    uint64_t head = __atomic_load_n(&source->header->head, __ATOMIC_ACQUIRE);
    uint64_t tail = __atomic_load_n(&source->shared->tail, __ATOMIC_ACQUIRE);

    return head - tail > source->n_slots ? tail : head;
}

/* Returns true if all threads have released all that is published. */
bool
measure_source_is_drained(const struct measure_source *source)
{
    return (!source->header
            || (get_head(source)
                == __atomic_load_n(&source->shared->tail, __ATOMIC_ACQUIRE)));
}

/* Waits until all threads have released all that is published now, which they
 * do although packets may have to wait for those of other sources.  Returns
 * false if the pipeline was stopped or has failed.  Nothing is waited for
 * before it was started. */
bool
measure_source_drain(struct measure_source *source)
{
    struct measure_sources *all = source->all;
    uint64_t head;
    bool drained;

    if (!all->n_threads || !source->header) {
        return true;
    }
    head = get_head(source);
    __atomic_store_n(&source->draining, true, __ATOMIC_RELEASE);
    while (!(drained = (int64_t) (__atomic_load_n(&source->shared->tail,
                                                  __ATOMIC_ACQUIRE)
                                  - head) >= 0)
           && !__atomic_load_n(&all->stopping, __ATOMIC_RELAXED)
           && !__atomic_load_n(&all->failed, __ATOMIC_RELAXED)) {
        measure_nap();
    }
    __atomic_store_n(&source->draining, false, __ATOMIC_RELEASE);
    return drained;
}

/* Copies what is left of 'source' when its ring is gone. */
static void
sum_up(const struct measure_source *source, uint64_t *records,
       uint64_t *max_occupancy)
{
    *records = source->records;
    *max_occupancy = source->max_occupancy;
    for (size_t i = 0; source->places && i < source->all->n_threads; i++) {
        const struct measure_place *place = get_place(source, i);

        /* Each thread sees all of them. */
        *records = measure_max(*records, __atomic_load_n(&place->records,
                                                         __ATOMIC_RELAXED));
        *max_occupancy
            = measure_max(*max_occupancy,
                          __atomic_load_n(&place->max_occupancy,
                                          __ATOMIC_RELAXED));
    }
}

static void
forget_ring(struct measure_source *source)
{
    if (!source->header) {
        return;
    }
    sum_up(source, &source->records, &source->max_occupancy);
    for (size_t i = 0; i < sizeof source->last_header / sizeof(uint64_t);
         i++) {
        ((uint64_t *) &source->last_header)[i]
            = __atomic_load_n((const uint64_t *) source->header + i,
                              __ATOMIC_RELAXED);
    }
    free(source->places);
    source->places = NULL;
    if (source->memory) {
        free(source->memory);
        free(source->shared);
        source->memory = NULL;
    }
    source->header = NULL;
    source->shared = NULL;
}

/* Publishes what was written to an own ring, which nothing follows: intervals
 * do not wait for it. */
void
measure_source_end(struct measure_source *source)
{
    measure_ring_publish(&source->writer);
    __atomic_store_n(&source->writer.header->ended, 1, __ATOMIC_RELEASE);
}

/* Has all threads take what is published in 'source', and then leave it.  It
 * must not be used when another source was added. */
void
measure_source_remove(struct measure_source *source)
{
    struct measure_sources *all = source->all;
    size_t n_threads = source->places && !all->ended ? all->n_threads : 0;

    if (!source->header) {
        return;
    }
    __atomic_store_n(&source->removing, true, __ATOMIC_RELEASE);
    __atomic_store_n(&source->stop_at, get_head(source), __ATOMIC_RELEASE);
    for (size_t i = 0; i < n_threads; i++) {
        while (!__atomic_load_n(&get_place(source, i)->left,
                                __ATOMIC_ACQUIRE)) {
            measure_nap();
        }
    }
    pthread_mutex_lock(&all->mutex);
    forget_ring(source);
    pthread_mutex_unlock(&all->mutex);
}

/* Says that nothing follows in any source.  Threads end when they have taken
 * all. */
void
measure_sources_finish(struct measure_sources *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct measure_source *source = all->list[i];

        if (source->memory) {
            measure_source_end(source);
        }
        if (source->header) {
            __atomic_store_n(&source->stop_at, get_head(source),
                             __ATOMIC_RELEASE);
        }
    }
    __atomic_store_n(&all->finishing, true, __ATOMIC_RELEASE);
}

/* The threads must have ended. */
void
measure_sources_destroy(struct measure_sources *all)
{
    for (size_t i = 0; i < all->n; i++) {
        forget_ring(all->list[i]);
        free(all->list[i]);
    }
    free(all->list);
    pthread_mutex_destroy(&all->mutex);
}

/* The threads. */

/* Lists the places of 'thread' that it has not left, in '*places', which it
 * frees, and returns their number. */
size_t
measure_sources_enter(struct measure_sources *all, size_t thread,
                      uint64_t *version, struct measure_place ***places)
{
    size_t n = 0;

    pthread_mutex_lock(&all->mutex);
    *version = all->version;
    *places = measure_xrealloc(*places, all->n * sizeof **places);
    for (size_t i = 0; i < all->n; i++) {
        struct measure_source *source = all->list[i];

        if (source->places && !get_place(source, thread)->left) {
            (*places)[n++] = get_place(source, thread);
        }
    }
    pthread_mutex_unlock(&all->mutex);
    return n;
}

/* Moves the shared cursor to the smallest of those of all threads. */
static void
move_shared(struct measure_source *source)
{
    uint64_t shared = __atomic_load_n(&source->shared->tail,
                                      __ATOMIC_RELAXED);
    uint64_t smallest = UINT64_MAX;

    for (size_t i = 0; i < source->all->n_threads; i++) {
        smallest = measure_min(smallest,
                               __atomic_load_n(&get_place(source,
                                                          i)->own.tail,
                                               __ATOMIC_SEQ_CST));
    }
    while (shared < smallest
           && !__atomic_compare_exchange_n(&source->shared->tail, &shared,
                                           smallest, false, __ATOMIC_ACQ_REL,
                                           __ATOMIC_RELAXED)) {
        continue;
    }
}

/* Releases what the thread of 'place' has taken. */
void
measure_place_release(struct measure_place *place)
{
    uint64_t tail = place->reader.tail;

    if (!place->several) {
        if (place->source->shared->tail != tail) {
            measure_ring_release(&place->reader);
        }
        return;
    }
    if (place->own.tail != tail) {
        __atomic_store_n(&place->own.tail, tail, __ATOMIC_SEQ_CST);
    }
    if (__atomic_load_n(&place->source->shared->tail, __ATOMIC_RELAXED)
        != tail) {
        move_shared(place->source);
    }
}

/* Counters. */

void
measure_sources_write(const struct measure_sources *all,
                      struct measure_output *o)
{
    measure_output_open_list(o, "sources");
    for (size_t i = 0; i < all->n; i++) {
        const struct measure_source *source = all->list[i];
        const struct measure_ring_header *header
            = source->header ? source->header : &source->last_header;
        uint64_t records, max_occupancy;

        sum_up(source, &records, &max_occupancy);
        measure_output_open_row(o);
        measure_output_uint(o, "source", source->number);
        measure_output_uint(o, "core", source->core_id);
        measure_output_bool(o, "removed", !source->header);
        measure_output_uint(o, "slots", source->n_slots);
        measure_output_uint(o, "occupancy-slots",
                            source->header
                            ? get_head(source)
                              - __atomic_load_n(&source->shared->tail,
                                                __ATOMIC_ACQUIRE) : 0);
        measure_output_uint(o, "max-occupancy-slots", max_occupancy);
        measure_output_uint(o, "records", records);
        measure_output_uint(o, "waits", source->waits);
        measure_output_uint(o, "offered",
                            __atomic_load_n(&header->offered,
                                            __ATOMIC_RELAXED));
        measure_output_uint(o, "filtered",
                            __atomic_load_n(&header->filtered,
                                            __ATOMIC_RELAXED));
        measure_output_uint(o, "dropped",
                            __atomic_load_n(&header->dropped,
                                            __ATOMIC_RELAXED));
        measure_output_uint(o, "marks-lost",
                            __atomic_load_n(&header->marks_lost,
                                            __ATOMIC_RELAXED));
        measure_output_close(o);
    }
    measure_output_close(o);
    if (all->gone.n) {
        measure_output_open_line(o, "sources-gone");
        measure_output_uint(o, "sources", all->gone.n);
        measure_output_uint(o, "records", all->gone.records);
        measure_output_uint(o, "waits", all->gone.waits);
        measure_output_uint(o, "offered", all->gone.offered);
        measure_output_uint(o, "filtered", all->gone.filtered);
        measure_output_uint(o, "dropped", all->gone.dropped);
        measure_output_uint(o, "marks-lost", all->gone.marks_lost);
        measure_output_close(o);
    }
}
