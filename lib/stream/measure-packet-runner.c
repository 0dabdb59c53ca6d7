/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of a pipeline that reads packets. */

#include <config.h>

#include "stream/measure-packet-runner.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "stream/measure-row-runner.h"

/* From the end of an interval by the clock until nothing is waited for. */
#define GRACE (MEASURE_NS_PER_S / 10)
#define ROUND_ROBIN_SHIFT 5     /* Slots that go to the same replica. */

void
measure_packet_runner_init(struct measure_packet_runner *r,
                           struct measure_sources *sources,
                           const struct measure_chain *chain,
                           unsigned int replica, size_t number,
                           const struct measure_hash_secret *secret)
{
    memset(r, 0, sizeof *r);
    r->sources = sources;
    r->chain = chain;
    r->replica = replica;
    r->number = number;
    r->secret = secret;
    r->n_stages = chain->n_replicated;
    r->stages = &chain->stages[replica * chain->n_replicated];
    r->last = chain->rings ? r->stages[r->n_stages - 1] : NULL;
    r->every_ns = chain->every_ns;
    r->late_ns = measure_max(chain->every_ns, MEASURE_NS_PER_S);
    r->version = UINT64_MAX;
    r->ports = r->stages[0]->ports;
}

void
measure_packet_runner_destroy(struct measure_packet_runner *r)
{
    free(r->places);
}

/* Intervals. */

static void
publish_rows(struct measure_packet_runner *r)
{
    if (r->last) {
        measure_ring_publish(r->last->output);
    }
}

/* Ends the interval: stages give what they have counted. */
static void
give_interval(struct measure_packet_runner *r, bool last)
{
    for (size_t i = 0; i < r->n_stages; i++) {
        struct measure_stage *stage = r->stages[i];

        if (stage->class->interval) {
            stage->class->interval(stage, r->start_ns, r->end_ns, last);
        }
    }
    if (r->last) {
        union measure_row_buffer buffer;

        memset(&buffer.row, 0, sizeof buffer.row);
        buffer.row.flags = (MEASURE_ROW_INTERVAL
                            | (last ? MEASURE_ROW_LAST : 0));
        buffer.row.replica = r->replica;
        buffer.row.time_ns = r->end_ns;
        memset(buffer.row.values, 0,
               sizeof buffer - sizeof(struct measure_row));
        buffer.row.values[0] = r->start_ns;
        measure_stage_send(r->last, &buffer.row);
        publish_rows(r);
    }
    r->n_counted = 0;
}

/* Ends the interval if there was anything in it, and goes on with that of
 * 'next_ns'. */
static void
change_interval(struct measure_packet_runner *r, uint64_t next_ns)
{
    if (r->n_counted) {
        give_interval(r, false);
    }
    r->start_ns = next_ns - next_ns % r->every_ns;
    r->end_ns = r->start_ns + r->every_ns;
    for (size_t i = 0; i < r->n_places; i++) {
        r->places[i]->held = false;
    }
    __atomic_store_n(&r->reached, r->start_ns, __ATOMIC_RELEASE);
}

/* Returns true if nothing can come in 'place' that belongs to the interval, as
 * far as one may wait for it. */
static bool
is_over(const struct measure_packet_runner *r,
        const struct measure_place *place, uint64_t now_ns)
{
    const struct measure_source *source = place->source;

    /* In this order: what is there was there when the source had ended. */
    bool over = ((r->sources->live && now_ns >= r->end_ns + GRACE)
                 || __atomic_load_n(&source->header->ended,
                                    __ATOMIC_ACQUIRE));

    return (measure_place_is_done(place)
            || (over && !measure_place_waiting(place)));
}

/* Returns true if 'place', which is held, must not be for longer: nothing can
 * wait for others where packets come when they are there. */
static bool
is_pressed(const struct measure_packet_runner *r,
           const struct measure_place *place)
{
    const struct measure_source *source = place->source;

    return (r->sources->live
            && (__atomic_load_n(&source->removing, __ATOMIC_ACQUIRE)
                || measure_place_waiting(place) >= source->n_slots / 4 * 3));
}

/* Returns true if the owner waits for what 'place', which is held, has: for
 * room, which half a ring may not be (measure_source_reserve()), or until all
 * is taken. */
static bool
keeps_owner(const struct measure_place *place)
{
    const struct measure_source *source = place->source;

    return (__atomic_load_n(&source->draining, __ATOMIC_ACQUIRE)
            || __atomic_load_n(&source->removing, __ATOMIC_ACQUIRE)
            || (__atomic_load_n(&source->waiting, __ATOMIC_ACQUIRE)
                && measure_place_waiting(place) >= source->n_slots / 2));
}

/* Returns true if no source was added since the list was read: then what is
 * missing in it is missing in what was taken, too. */
static bool
knows_all_sources(const struct measure_packet_runner *r)
{
    return __atomic_load_n(&r->sources->version, __ATOMIC_ACQUIRE)
           == r->version;
}

/* Goes on with the next interval if a source is held that need not wait for
 * others.  Returns true if so. */
static bool
try_change(struct measure_packet_runner *r)
{
    uint64_t now_ns = r->sources->live ? r->sources->now_ns() : 0;
    uint64_t next_ns = UINT64_MAX;
    bool pressed = false, kept = false, over = true;

    for (size_t i = 0; i < r->n_places; i++) {
        const struct measure_place *place = r->places[i];

        if (place->held) {
            next_ns = measure_min(next_ns, place->next_ns);
            pressed |= is_pressed(r, place);
            kept |= keeps_owner(place);
        }
    }
    /* In this order: a producer that waits has published what others have. */
    for (size_t i = 0; i < r->n_places; i++) {
        const struct measure_place *place = r->places[i];

        if (!place->held) {
            over &= is_over(r, place, now_ns);
            kept &= !measure_place_waiting(place);
        }
    }
    if (next_ns == UINT64_MAX || !knows_all_sources(r)
        || !(over || pressed || kept
             || (r->sources->live && next_ns > now_ns + MEASURE_NS_PER_S))) {
        return false;
    }
    change_interval(r, next_ns);
    return true;
}

/* No source has anything that need not wait: ends the interval when the clock
 * is past it. */
static void
end_by_clock(struct measure_packet_runner *r)
{
    uint64_t now_ns;

    if (!r->every_ns || !r->sources->live || !knows_all_sources(r)
        || (!r->n_counted && !r->last)) {
        return;
    }
    now_ns = r->sources->now_ns();
    if (now_ns >= r->end_ns + GRACE) {
        uint64_t next_ns = now_ns - GRACE;

        for (size_t i = 0; i < r->n_places; i++) {
            if (r->places[i]->held) {
                next_ns = measure_min(next_ns, r->places[i]->next_ns);
            }
        }
        change_interval(r, next_ns);
    }
}

/* Packets. */

/* Returns which replica a packet belongs to by 'group_by'. */
static inline uint32_t
choose_by_key(const struct measure_packet_runner *r,
              const struct measure_group_by *group_by,
              const struct measure_slot *slot)
{
    uint64_t key[MEASURE_KEY_WORDS], group[MEASURE_KEY_WORDS], hash;
    enum measure_layout layout = measure_slot_key(slot, key);

    layout = measure_group_by_key(group_by, layout, key, group);
    hash = (layout == MEASURE_NARROW ? measure_hash(r->secret, group, 2)
            : measure_hash(r->secret, group, MEASURE_KEY_WORDS));
    return (hash >> 32) * r->chain->replicas >> 32;
}

/* The same for both directions between two addresses. */
static inline uint32_t
choose_by_pair(const struct measure_packet_runner *r,
               const struct measure_group_by *pair,
               const struct measure_slot *slot)
{
    uint64_t key[MEASURE_KEY_WORDS], group[MEASURE_KEY_WORDS];
    uint64_t a[2] = { 0 }, b[2] = { 0 }, hash;
    enum measure_layout layout = measure_slot_key(slot, key);

    layout = measure_group_by_key(pair, layout, key, group);
    if (layout == MEASURE_NARROW) {
        a[0] = (uint32_t) group[0];
        b[0] = group[0] >> 32;
    } else {
        memcpy(a, group, sizeof a);
        memcpy(b, group + 2, sizeof b);
    }
    hash = measure_hash(r->secret, a, 2) + measure_hash(r->secret, b, 2);
    return (hash >> 32) * r->chain->replicas >> 32;
}

/* Takes the packets of other replicas off the list. */
static void
keep_own(struct measure_packet_runner *r, const struct measure_place *place,
         struct measure_batch *batch)
{
    const struct measure_stage *maker = r->last;
    enum measure_partition partition = maker->class->partition;
    struct measure_group_by pair;
    size_t n = 0;

    if (partition == MEASURE_PARTITION_PAIR) {
        measure_group_by_of_kind(&pair, MEASURE_KIND_PAIR);
    }
    for (size_t i = 0; i < batch->n; i++) {
        const struct measure_slot *slot = batch->records[i];
        uint32_t replica;

        if (partition == MEASURE_PARTITION_KEY) {
            replica = choose_by_key(r, &maker->group_by, slot);
        } else if (partition == MEASURE_PARTITION_PAIR) {
            replica = choose_by_pair(r, &pair, slot);
        } else {
            replica = ((size_t) (slot - place->reader.slots)
                       >> ROUND_ROBIN_SHIFT) % r->chain->replicas;
        }
        batch->records[n] = slot;
        n += replica == r->replica;
    }
    batch->n = n;
}

/* Has the stages look at 'batch'. */
static void
run_stages(struct measure_packet_runner *r, struct measure_batch *batch)
{
    for (size_t i = 0; i < r->n_stages && batch->n; i++) {
        struct measure_stage *stage = r->stages[i];

        measure_counter_add(&stage->records, batch->n);
        measure_counter_add(&stage->batches, 1);
        stage->class->packets(stage, batch);
        if (stage->class->gives != MEASURE_GIVES_PACKETS) {
            break;
        }
        measure_counter_add(&stage->given, batch->n);
    }
}

/* Tells the stages of the mark in 'slots', and the account of 'place'. */
static void
run_mark(struct measure_packet_runner *r, const struct measure_place *place,
         const struct measure_slot *slots)
{
    struct measure_batch *batch = &r->batch;
    struct measure_mark mark;

    batch->n = 0;
    measure_slot_mark(slots, &mark);
    if (place->account) {
        measure_stream_account_mark(place->account, &mark);
    }
    for (size_t i = 0; i < r->n_stages; i++) {
        if (r->stages[i]->class->mark) {
            r->stages[i]->class->mark(r->stages[i], batch, &mark);
        }
    }
    if (r->last && !r->replica) {
        measure_row_ring_send_mark(r->last, batch, &mark);
        publish_rows(r);
    }
}

/* Takes the mark that the 'n' slots at 'slots' begin with, or what is there
 * instead: a record that is cut, which leaves nothing behind it to read. */
static void
take_mark(struct measure_packet_runner *r, struct measure_place *place,
          const struct measure_slot *slots, uint64_t n)
{
    if (measure_slot_kind(slots) == MEASURE_SLOT_MARK
        && n >= MEASURE_MARK_SLOTS) {
        run_mark(r, place, slots);
        n = MEASURE_MARK_SLOTS;
    } else if (place->account) {
        measure_stream_account_break(place->account);
    }
    measure_ring_take(&place->reader, n);
}

/* Lists records in the 'n' slots at 'first', up to a mark or a record that is
 * cut, or until the list is full.  Returns how many slots that are, and their
 * earliest and latest time in 'times'. */
static uint64_t
list_records(struct measure_batch *batch, const struct measure_slot *first,
             uint64_t n, uint64_t times[2])
{
    uint64_t earliest = UINT64_MAX, latest = 0, i = 0;
    size_t n_records = 0;

    while (i < n && n_records < MEASURE_BATCH) {
        const struct measure_slot *slot = &first[i];
        uint64_t word = slot->words[2];
        uint64_t time_ns = word & MEASURE_SLOT_TIME_MASK;
        unsigned int size = 1;

        if (__builtin_expect(word > MEASURE_SLOT_TIME_MASK, 0)) {
            enum measure_slot_kind kind = measure_slot_kind(slot);

            if (kind == MEASURE_SLOT_MARK) {
                break;
            } else if (kind == MEASURE_SLOT_FILL) {
                i++;
                continue;
            }
            size = measure_slot_size(slot);
            if (size > n - i) {
                break;
            }
        }
        batch->records[n_records++] = slot;
        earliest = measure_min(earliest, time_ns);
        latest = measure_max(latest, time_ns);
        i += size;
    }
    batch->n = n_records;
    times[0] = earliest;
    times[1] = latest;
    return i;
}

/* Returns how many packets of 'batch', from the first, are of the interval.
 * If that is none, '*next_ns' is the time of the first one. */
static size_t
count_inside(const struct measure_packet_runner *r,
             const struct measure_batch *batch, uint64_t low_ns,
             uint64_t *next_ns)
{
    size_t i = 0;

    while (i < batch->n) {
        uint64_t time_ns = measure_slot_time_ns(batch->records[i]);

        if (time_ns < low_ns || time_ns >= r->end_ns) {
            *next_ns = time_ns;
            break;
        }
        i++;
    }
    return i;
}

/* Leaves in 'batch' what is of the interval, if times from 'times[0]' to
 * 'times[1]' are in it.  Returns how many of the 'n' slots at 'first' that
 * are, or 0: then 'place' is held, or there is another source to look at. */
static uint64_t
cut_batch(struct measure_packet_runner *r, struct measure_place *place,
          const struct measure_slot *first, uint64_t n,
          const uint64_t times[2])
{
    struct measure_batch *batch = &r->batch;

    for (;;) {
        uint64_t low_ns = r->start_ns - measure_min(r->start_ns, r->late_ns);
        uint64_t next_ns = 0;
        size_t inside;

        if (times[0] >= low_ns && times[1] < r->end_ns) {
            return n;
        }
        inside = count_inside(r, batch, low_ns, &next_ns);
        if (inside) {
            n = (inside < batch->n
                 ? (uint64_t) (batch->records[inside] - first) : n);
            batch->n = inside;
            return n;
        }
        if (next_ns >= r->end_ns && (r->n_places > 1 || r->sources->live)) {
            place->held = true;
            place->next_ns = next_ns;
            return 0;
        }
        if (!knows_all_sources(r)) {
            return 0;
        }
        change_interval(r, next_ns);
    }
}

/* Takes a batch from 'place'.  Returns false if there is none. */
static bool
take_batch(struct measure_packet_runner *r, struct measure_place *place)
{
    struct measure_batch *batch = &r->batch;
    const struct measure_slot *first;
    uint64_t times[2], n, taken;
    bool whole;                 /* Up to a mark, or a record that is cut. */

    if (place->held) {
        return false;
    }
    n = measure_ring_peek(&place->reader, &first);
    if (!n || measure_place_is_done(place)) {
        return false;
    }
    if (place->reader.seen - place->reader.tail > place->max_occupancy) {
        __atomic_store_n(&place->max_occupancy,
                         place->reader.seen - place->reader.tail,
                         __ATOMIC_RELAXED);
    }
    batch->ring = place->source->number;
    batch->core_id = place->source->core_id;
    taken = list_records(batch, first, n, times);
    whole = taken < n && batch->n < MEASURE_BATCH;
    if (batch->n && r->every_ns) {
        uint64_t cut = cut_batch(r, place, first, taken, times);

        if (!cut) {
            return false;
        }
        whole &= cut == taken;
        taken = cut;
    } else if (batch->n) {
        r->start_ns = (r->n_counted ? measure_min(r->start_ns, times[0])
                       : times[0]);
        r->end_ns = measure_max(r->end_ns, times[1] + 1);
    }
    if (batch->n) {
        r->n_counted += batch->n;
        measure_counter_add(&place->records, batch->n);
        if (place->account) {
            measure_stream_account_packets(place->account, batch->n);
        }
        if (r->last) {
            keep_own(r, place, batch);
        }
        run_stages(r, batch);
    }
    measure_ring_take(&place->reader, taken);
    if (whole) {
        take_mark(r, place, &first[taken], n - taken);
    }
    publish_rows(r);
    if (place->reader.tail - place->reader.cursor->tail
        >= place->hysteresis) {
        measure_place_release(place);
    }
    return true;
}

/* The thread. */

/* Returns true if there is much to take, by what is known or, if that is not
 * much, by what there is now. */
static bool
is_behind(const struct measure_place *place)
{
    return (place->reader.seen - place->reader.tail >= place->hysteresis
            || measure_place_waiting(place) >= place->hysteresis);
}

/* Takes a batch from each source.  Returns true if there was any. */
static bool
take_turn(struct measure_packet_runner *r)
{
    bool busy = false, held = false;
    size_t n = 0;

    r->behind = false;
    for (size_t i = 0; i < r->n_places; i++) {
        struct measure_place *place = r->places[i];
        bool took = take_batch(r, place);

        busy |= took;
        r->behind |= is_behind(place);
        held |= place->held;
        if (!took) {
            measure_place_release(place);
        }
        if (__atomic_load_n(&place->source->removing, __ATOMIC_RELAXED)
            && measure_place_is_done(place)) {
            __atomic_store_n(&place->left, true, __ATOMIC_RELEASE);
        } else {
            r->places[n++] = place;
        }
    }
    r->n_places = n;
    return held && try_change(r) ? true : busy;
}

/* Returns true if everything was taken that will ever be there. */
static bool
is_done(const struct measure_packet_runner *r)
{
    for (size_t i = 0; i < r->n_places; i++) {
        if (!measure_place_is_done(r->places[i])) {
            return false;
        }
    }
    return true;
}

/* Tells the stages of rings that are new: they may have known another one with
 * that number. */
static void
begin_places(struct measure_packet_runner *r)
{
    r->may_rest = true;
    for (size_t i = 0; i < r->n_places; i++) {
        struct measure_place *place = r->places[i];

        r->may_rest &= (place->source->memory
                        || (place->source->n_slots
                            >= MEASURE_RUNNER_REST_SLOTS));
        for (size_t j = 0; !place->begun && j < r->n_stages; j++) {
            if (r->stages[j]->class->ring) {
                r->stages[j]->class->ring(r->stages[j],
                                          place->source->number);
            }
        }
        place->begun = true;
    }
}

/* Takes notice of what the owner has changed. */
static void
look_around(struct measure_packet_runner *r)
{
    struct measure_sources *all = r->sources;
    const struct measure_port_names *ports;

    if (__atomic_load_n(&all->version, __ATOMIC_ACQUIRE) != r->version) {
        r->n_places = measure_sources_enter(all, r->number, &r->version,
                                            &r->places);
        begin_places(r);
    }
    /* In this order: names that are set before a source is added are those of
     * its packets. */
    ports = __atomic_load_n(&all->ports, __ATOMIC_ACQUIRE);
    if (ports != r->ports) {
        measure_runner_set_ports(r->stages, r->n_stages, ports);
        __atomic_store_n(&r->ports, ports, __ATOMIC_RELEASE);
    }
    if (measure_runner_failed(r->stages, r->n_stages)) {
        __atomic_store_n(&all->failed, true, __ATOMIC_RELEASE);
    }
}

/* The last interval.  There always is one, so that the stages know. */
static void
give_last(struct measure_packet_runner *r)
{
    if (r->every_ns && !r->n_counted) {
        r->end_ns = r->start_ns;
    }
    give_interval(r, true);
    if (measure_runner_failed(r->stages, r->n_stages)) {
        __atomic_store_n(&r->sources->failed, true, __ATOMIC_RELEASE);
    }
}

void *
measure_packet_runner_main(void *arg)
{
    struct measure_packet_runner *r = arg;
    unsigned int n_idle = 0;

    for (;;) {
        /* In this order: the list has all sources that there will be. */
        bool finishing = __atomic_load_n(&r->sources->finishing,
                                         __ATOMIC_ACQUIRE);

        look_around(r);
        if (take_turn(r)) {
            n_idle = 0;
            if (r->may_rest && !r->behind && !finishing) {
                measure_nap();
            }
        } else if (finishing && is_done(r)) {
            break;
        } else {
            end_by_clock(r);
            measure_runner_rest(n_idle++);
        }
    }
    give_last(r);
    return NULL;
}
