/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of rings of slots, and of the records in them. */

#include "check-common.h"

#include <pthread.h>
#include <sched.h>

#include "stream/measure-ring.h"

/* A ring with its cursors, in memory of the budget. */
struct fixture {
    void *memory;
    size_t size;
    struct measure_ring_header *header;
    struct measure_ring_writer writer;
    struct measure_cursor *cursors;
};

static void
open_ring(struct fixture *f, uint64_t n_slots)
{
    f->size = measure_ring_size(n_slots);
    f->memory = measure_memory_alloc(&budget, f->size, MEASURE_ANY_NODE);
    f->header = f->memory;
    f->cursors = measure_memory_alloc(&budget,
                                      (MEASURE_RING_MAX_CURSORS + 1)
                                      * sizeof *f->cursors, MEASURE_ANY_NODE);
    measure_ring_header_init(f->header, n_slots, 3, -1);
    measure_ring_writer_init(&f->writer, f->memory);
}

/* Adds cursor 'i' and begins to read by it, behind cursor 'behind' unless that
 * is negative. */
static void
open_reader(struct fixture *f, struct measure_ring_reader *r, int i,
            int behind)
{
    ck_assert(measure_ring_add_cursor(&f->writer, &f->cursors[i]));
    measure_ring_reader_init(r, f->memory, &f->cursors[i],
                             behind < 0 ? NULL : &f->cursors[behind]);
}

static void
close_ring(struct fixture *f)
{
    measure_memory_free(&budget, f->memory, f->size);
    measure_memory_free(&budget, f->cursors, ((MEASURE_RING_MAX_CURSORS + 1)
                                              * sizeof *f->cursors));
}

/* What was written, to compare with what is read. */
struct item {
    enum measure_slot_kind kind;
    uint64_t key[MEASURE_KEY_WORDS];
    uint64_t time_ns;
    uint32_t length;
    uint32_t sequence;
    uint8_t flags;
    bool tcp;
    uint32_t not_payload;       /* If 'tcp'. */
    bool headers;
    uint8_t frame[200];
    struct measure_mark mark;
};

/* Numbers near the ends of their ranges are drawn more often. */
static uint64_t
random_edge(struct random *r, uint64_t max)
{
    uint64_t value = random_next(r);

    switch (random_below(r, 4)) {
    case 0:
        value = random_below(r, 3);
        break;
    case 1:
        value = max - random_below(r, 3);
        break;
    }
    return max == UINT64_MAX ? value : value % (max + 1);
}

static struct item
random_item(struct random *r)
{
    struct item item = { .kind = random_below(r, 8) };

    if (item.kind > MEASURE_SLOT_MARK) {
        item.kind %= 2;
    }
    if (item.kind == MEASURE_SLOT_MARK) {
        item.mark = (struct measure_mark) {
            .epoch = random_edge(r, UINT64_MAX),
            .time_ns = random_edge(r, MEASURE_SLOT_TIME_MASK),
            .offered = random_edge(r, UINT64_MAX),
            .filtered = random_edge(r, UINT64_MAX),
            .dropped = random_edge(r, UINT64_MAX),
            .records = random_edge(r, UINT64_MAX),
            .marks_lost = random_edge(r, UINT64_MAX),
            .end = random_below(r, 2),
        };
        return item;
    }
    for (unsigned int i = 0;
         i < measure_key_words((enum measure_layout) item.kind); i++) {
        item.key[i] = random_edge(r, UINT64_MAX);
    }
    item.time_ns = random_edge(r, MEASURE_SLOT_TIME_MASK);
    item.length = random_edge(r, MEASURE_SLOT_LENGTH_MASK);
    item.tcp = random_below(r, 2);
    if (item.tcp) {
        item.sequence = random_edge(r, UINT32_MAX);
        item.flags = random_edge(r, UINT8_MAX);
        item.not_payload = random_below(r, 160);
    }
    item.headers = random_below(r, 2);
    random_fill(r, item.frame, sizeof item.frame);
    return item;
}

static unsigned int
item_size(const struct item *item)
{
    return (item->kind == MEASURE_SLOT_MARK ? MEASURE_MARK_SLOTS
            : measure_slot_count((enum measure_layout) item->kind,
                                 item->headers));
}

/* Returns how many slots it has written. */
static unsigned int
write_item(struct measure_slot *slots, const struct item *item)
{
    unsigned int n;

    if (item->kind == MEASURE_SLOT_MARK) {
        measure_slot_write_mark(slots, &item->mark);
        return MEASURE_MARK_SLOTS;
    }
    n = measure_slot_write(slots, (enum measure_layout) item->kind, item->key,
                           item->time_ns, item->length,
                           (item->tcp
                            ? measure_slot_tcp(item->sequence, item->flags,
                                               item->not_payload) : 0));
    if (item->headers) {
        size_t length = measure_min(item->length, sizeof item->frame);

        n = measure_slot_write_headers(slots, n, item->frame, length);
    }
    return n;
}

static void
check_mark(const struct measure_slot *slots, const struct measure_mark *a)
{
    struct measure_mark b;

    measure_slot_mark(slots, &b);
    REQUIRE(a->epoch == b.epoch && a->time_ns == b.time_ns
            && a->offered == b.offered && a->filtered == b.filtered
            && a->dropped == b.dropped && a->records == b.records
            && a->marks_lost == b.marks_lost && a->end == b.end);
}

/* What measure_slot_payload() must return: what does not fit into the slot is
 * not known. */
static int
expected_payload(const struct item *item)
{
    return (!item->tcp || item->not_payload <= 13 || item->not_payload > 140
            || item->not_payload > item->length
            ? -1 : (int) (item->length - item->not_payload));
}

static void
check_headers(const struct measure_slot *slots, const struct item *item)
{
    static const uint8_t zero[MEASURE_SLOT_HEADERS];
    size_t n, expected = measure_min(item->length, 96);
    const uint8_t *headers = measure_slot_headers(slots, &n);

    if (!item->headers) {
        REQUIRE(!headers && !n);
        return;
    }
    REQUIRE(headers == (const uint8_t *) &slots[item->kind + 1]);
    REQUIRE(n == expected && !memcmp(headers, item->frame, n));
    REQUIRE(!memcmp(headers + n, zero, MEASURE_SLOT_HEADERS - n));
}

static void
check_item(const struct measure_slot *slots, const struct item *item)
{
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout;
    uint64_t ports;

    REQUIRE(measure_slot_kind(slots) == item->kind);
    REQUIRE(measure_slot_size(slots) == item_size(item));
    if (item->kind == MEASURE_SLOT_MARK) {
        check_mark(slots, &item->mark);
        return;
    }
    layout = measure_slot_layout(slots);
    REQUIRE(layout == (enum measure_layout) item->kind);
    REQUIRE(measure_slot_key(slots, key) == layout);
    REQUIRE(!memcmp(key, item->key,
                    measure_key_words(layout) * sizeof key[0]));
    ports = item->key[measure_key_ports(layout)];
    REQUIRE(measure_slot_ports(slots) == ports);
    REQUIRE(measure_slot_protocol(slots) == (ports >> 32 & 0xff));
    REQUIRE(measure_slot_time_ns(slots) == item->time_ns);
    REQUIRE(measure_slot_length(slots) == item->length);
    REQUIRE(measure_slot_sequence(slots) == item->sequence);
    REQUIRE(measure_slot_tcp_flags(slots) == item->flags);
    REQUIRE(measure_slot_payload(slots) == expected_payload(item));
    check_headers(slots, item);
}

/* Records and marks, one by one. */

/* Nothing is written but what measure_slot_size() says. */
START_TEST(fields_come_back)
{
    struct random random = random_from(test_seed);
    struct measure_slot slots[MEASURE_SLOT_MAX + 1], untouched;

    memset(&untouched, 0xa5, sizeof untouched);
    for (int i = 0; i < 200000; i++) {
        struct item item = random_item(&random);

        memset(slots, 0xa5, sizeof slots);
        REQUIRE(write_item(slots, &item) == item_size(&item));
        check_item(slots, &item);
        for (size_t j = item_size(&item); j < ARRAY_SIZE(slots); j++) {
            REQUIRE(!memcmp(&slots[j], &untouched, sizeof untouched));
        }
    }
}
END_TEST

/* Each field is alone in its bits: all ones in one, and zero in the others. */
START_TEST(fields_do_not_touch_each_other)
{
    struct item items[] = {
        { .time_ns = MEASURE_SLOT_TIME_MASK },
        { .length = MEASURE_SLOT_LENGTH_MASK },
        { .tcp = true, .sequence = UINT32_MAX },
        { .tcp = true, .flags = UINT8_MAX },
        { .tcp = true, .not_payload = 140, .length = 140 },
        { .tcp = true, .not_payload = 141, .length = 141 },
        { .tcp = true, .not_payload = 13, .length = 60 },
        { .tcp = true, .not_payload = 14, .length = 60 },
        { .headers = true },
        { .headers = true, .length = 95 },
        { .headers = true, .length = 96 },
        { .headers = true, .length = 97 },
        { .kind = MEASURE_SLOT_WIDE, .time_ns = MEASURE_SLOT_TIME_MASK },
        { .kind = MEASURE_SLOT_WIDE, .headers = true, .length = 1 },
        { .kind = MEASURE_SLOT_MARK,
          .mark = { .time_ns = MEASURE_SLOT_TIME_MASK } },
        { .kind = MEASURE_SLOT_MARK, .mark = { .end = true } },
    };

    for (size_t i = 0; i < ARRAY_SIZE(items); i++) {
        struct measure_slot slots[MEASURE_SLOT_MAX];

        write_item(slots, &items[i]);
        check_item(slots, &items[i]);
    }
}
END_TEST

/* A time beyond 2043 must not make another kind of slot of a record. */
START_TEST(times_that_do_not_fit_are_cut)
{
    struct measure_slot slots[MEASURE_SLOT_MAX];
    uint64_t key[MEASURE_KEY_WORDS] = { 0 };

    measure_slot_write(slots, MEASURE_WIDE, key, UINT64_MAX, UINT32_MAX, 0);
    ck_assert_int_eq(measure_slot_kind(slots), MEASURE_SLOT_WIDE);
    ck_assert_uint_eq(measure_slot_size(slots), 2);
    ck_assert_uint_eq(measure_slot_time_ns(slots), MEASURE_SLOT_TIME_MASK);
    ck_assert_uint_eq(measure_slot_length(slots), MEASURE_SLOT_LENGTH_MASK);
    ck_assert_uint_eq(measure_slot_sequence(slots), 0);
}
END_TEST

START_TEST(filling_takes_one_slot)
{
    struct measure_slot slot;

    memset(&slot, 0xff, sizeof slot);
    measure_slot_write_fill(&slot);
    ck_assert_int_eq(measure_slot_kind(&slot), MEASURE_SLOT_FILL);
    ck_assert_uint_eq(measure_slot_size(&slot), 1);
}
END_TEST

/* Rings, in one thread. */

/* Takes the next record, which must be 'item', and returns how many slots it
 * has, or 0 if there is none. */
static unsigned int
read_item(struct measure_ring_reader *r, const struct item *item)
{
    const struct measure_slot *slot;
    uint64_t n;

    while ((n = measure_ring_peek(r, &slot))) {
        unsigned int size = measure_slot_size(slot);

        REQUIRE(size <= n);
        if (measure_slot_kind(slot) != MEASURE_SLOT_FILL) {
            check_item(slot, item);
            measure_ring_take(r, size);
            return size;
        }
        measure_ring_take(r, size);
    }
    return 0;
}

/* Writes items of all kinds as long as there is room, publishes by chance, and
 * reads by several cursors, each by chance.  Each reads all that was
 * written, in its order. */
START_TEST(everything_is_read_by_all_cursors)
{
    enum { N_CURSORS = 4, N_ITEMS = 60000, KEPT = 1024 };
    static struct item items[KEPT];
    struct random random = random_from(test_seed + _i);
    struct measure_ring_reader readers[N_CURSORS];
    uint64_t n_read[N_CURSORS] = { 0 }, n_written = 0, n_published = 0;
    uint64_t n_full = 0, n_turns = 0;
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS << _i);
    for (int i = 0; i < N_CURSORS; i++) {
        /* The last one is behind the first. */
        open_reader(&f, &readers[i], i, i == N_CURSORS - 1 ? 0 : -1);
    }
    while (n_read[0] < N_ITEMS || n_read[1] < N_ITEMS || n_read[2] < N_ITEMS
           || n_read[3] < N_ITEMS) {
        unsigned int spare = random_below(&random, 4);

        REQUIRE(n_turns++ < 100 * N_ITEMS);
        for (uint32_t k = random_below(&random, 40);
             k && n_written < N_ITEMS; k--) {
            struct item *item = &items[n_written % KEPT];
            struct item next = random_item(&random);
            struct measure_slot *slots
                = measure_ring_reserve(&f.writer, item_size(&next), spare);

            if (!slots) {
                n_full++;
                break;
            }
            *item = next;
            measure_ring_advance(&f.writer, write_item(slots, item));
            n_written++;
        }
        if (random_below(&random, 2) || n_written == N_ITEMS) {
            measure_ring_publish(&f.writer);
            n_published = n_written;
        }
        for (int i = 0; i < N_CURSORS; i++) {
            uint32_t max = random_below(&random, 60);
            bool release = random_below(&random, 3);

            while (max-- && read_item(&readers[i],
                                      &items[n_read[i] % KEPT])) {
                n_read[i]++;
                REQUIRE(n_read[i] <= n_published);
            }
            if (release) {
                measure_ring_release(&readers[i]);
            }
        }
        REQUIRE(n_read[3] <= n_read[0]);
    }
    ck_assert_uint_eq(f.header->bad_cursors, 0);
    ck_assert_uint_gt(n_full, 0);
    close_ring(&f);
}
END_TEST

static bool
write_narrow(struct measure_ring_writer *w, uint64_t number,
             unsigned int spare)
{
    uint64_t key[2] = { number, ~number };
    struct measure_slot *slot = measure_ring_reserve(w, 1, spare);

    if (!slot) {
        return false;
    }
    measure_ring_advance(w, measure_slot_write(slot, MEASURE_NARROW, key,
                                               number, 60, 0));
    return true;
}

START_TEST(full_ring_takes_nothing)
{
    enum { N = MEASURE_RING_MIN_SLOTS };
    struct measure_ring_reader r;
    const struct measure_slot *slot;
    struct fixture f;

    open_ring(&f, N);
    open_reader(&f, &r, 0, -1);
    for (int i = 0; i < N - 2; i++) {
        ck_assert(write_narrow(&f.writer, i, 0));
    }
    /* Two are left, of which one is spare. */
    ck_assert(!write_narrow(&f.writer, N, 2));
    ck_assert(write_narrow(&f.writer, N - 2, 1));
    ck_assert(!write_narrow(&f.writer, N, 1));
    ck_assert(write_narrow(&f.writer, N - 1, 0));
    ck_assert(!write_narrow(&f.writer, N, 0));
    ck_assert_uint_eq(f.writer.head, N);

    /* Nothing is published yet, and what is taken is not yet released. */
    ck_assert_uint_eq(measure_ring_peek(&r, &slot), 0);
    measure_ring_publish(&f.writer);
    ck_assert_uint_eq(measure_ring_peek(&r, &slot), N);
    ck_assert_uint_eq(slot[N - 1].words[0], N - 1);
    measure_ring_take(&r, 3);
    ck_assert(!write_narrow(&f.writer, N, 0));
    measure_ring_release(&r);
    for (int i = 0; i < 3; i++) {
        ck_assert(write_narrow(&f.writer, N + i, 0));
    }
    ck_assert(!write_narrow(&f.writer, N + 3, 0));
    close_ring(&f);
}
END_TEST

/* What does not fit into what is left at the end begins at the beginning. */
START_TEST(end_of_ring_is_filled)
{
    enum { N = MEASURE_RING_MIN_SLOTS };
    struct random random = random_from(test_seed);

    for (unsigned int left = 1; left <= MEASURE_SLOT_MAX; left++) {
        struct item item = { .kind = MEASURE_SLOT_WIDE, .headers = true };
        bool fits = left == MEASURE_SLOT_MAX;
        struct measure_ring_reader r;
        const struct measure_slot *slot;
        struct measure_slot *slots;
        struct fixture f;

        random_fill(&random, item.key, sizeof item.key);
        open_ring(&f, N);
        open_reader(&f, &r, 0, -1);
        for (unsigned int i = 0; i < N - left; i++) {
            ck_assert(write_narrow(&f.writer, i, 0));
        }
        measure_ring_publish(&f.writer);
        ck_assert_uint_eq(measure_ring_peek(&r, &slot), N - left);
        ck_assert_uint_eq(slot->words[0], 0);

        /* Not before all that it takes is free, filling included, and then
         * nothing is filled. */
        measure_ring_take(&r, MEASURE_SLOT_MAX - 1);
        measure_ring_release(&r);
        slots = measure_ring_reserve(&f.writer, MEASURE_SLOT_MAX, 0);
        ck_assert(fits ? slots == &f.writer.slots[N - left] : !slots);
        ck_assert_uint_eq(f.writer.head, N - left);

        measure_ring_take(&r, N - left - (MEASURE_SLOT_MAX - 1));
        measure_ring_release(&r);
        slots = measure_ring_reserve(&f.writer, MEASURE_SLOT_MAX, 0);
        ck_assert_ptr_eq(slots, &f.writer.slots[fits ? N - left : 0]);
        measure_ring_advance(&f.writer, write_item(slots, &item));
        measure_ring_publish(&f.writer);

        ck_assert_uint_eq(measure_ring_peek(&r, &slot), left);
        if (!fits) {
            for (unsigned int i = 0; i < left; i++) {
                ck_assert_int_eq(measure_slot_kind(&slot[i]),
                                 MEASURE_SLOT_FILL);
            }
            measure_ring_take(&r, left);
            ck_assert_uint_eq(measure_ring_peek(&r, &slot), MEASURE_SLOT_MAX);
        }
        check_item(slot, &item);
        measure_ring_take(&r, MEASURE_SLOT_MAX);
        ck_assert_uint_eq(measure_ring_peek(&r, &slot), 0);
        close_ring(&f);
    }
}
END_TEST

START_TEST(slowest_cursor_counts)
{
    enum { N = MEASURE_RING_MIN_SLOTS };
    struct measure_ring_reader fast, slow;
    const struct measure_slot *slot;
    struct fixture f;

    open_ring(&f, N);
    open_reader(&f, &fast, 0, -1);
    open_reader(&f, &slow, 1, -1);
    for (int i = 0; i < N; i++) {
        ck_assert(write_narrow(&f.writer, i, 0));
    }
    measure_ring_publish(&f.writer);
    measure_ring_take(&fast, measure_ring_peek(&fast, &slot));
    measure_ring_release(&fast);
    ck_assert(!write_narrow(&f.writer, N, 0));
    measure_ring_peek(&slow, &slot);
    measure_ring_take(&slow, 1);
    measure_ring_release(&slow);
    ck_assert(write_narrow(&f.writer, N, 0));
    ck_assert(!write_narrow(&f.writer, N + 1, 0));
    close_ring(&f);
}
END_TEST

START_TEST(cursor_behind_another_reads_what_that_released)
{
    struct measure_ring_reader first, second;
    const struct measure_slot *slot;
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS);
    open_reader(&f, &first, 0, -1);
    open_reader(&f, &second, 1, 0);
    for (int i = 0; i < 10; i++) {
        write_narrow(&f.writer, i, 0);
    }
    measure_ring_publish(&f.writer);
    ck_assert_uint_eq(measure_ring_peek(&second, &slot), 0);
    ck_assert_uint_eq(measure_ring_peek(&first, &slot), 10);
    measure_ring_take(&first, 7);
    ck_assert_uint_eq(measure_ring_peek(&second, &slot), 0);
    measure_ring_release(&first);
    ck_assert_uint_eq(measure_ring_peek(&second, &slot), 7);
    ck_assert_uint_eq(slot[6].words[0], 6);
    close_ring(&f);
}
END_TEST

/* A cursor that is added late begins with what is written next, published or
 * not. */
START_TEST(late_cursor_begins_at_the_head)
{
    struct measure_ring_reader early, late;
    const struct measure_slot *slot;
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS);
    open_reader(&f, &early, 0, -1);
    write_narrow(&f.writer, 0, 0);
    measure_ring_publish(&f.writer);
    write_narrow(&f.writer, 1, 0);
    open_reader(&f, &late, 1, -1);

    /* Its place is in front of what is published. */
    ck_assert_uint_eq(measure_ring_peek(&late, &slot), 0);
    write_narrow(&f.writer, 2, 0);
    measure_ring_publish(&f.writer);
    ck_assert_uint_eq(measure_ring_peek(&late, &slot), 1);
    ck_assert_uint_eq(slot->words[0], 2);
    ck_assert_uint_eq(measure_ring_peek(&early, &slot), 3);
    close_ring(&f);
}
END_TEST

START_TEST(cursors_are_limited)
{
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS);
    for (int i = 0; i < MEASURE_RING_MAX_CURSORS; i++) {
        ck_assert(measure_ring_add_cursor(&f.writer, &f.cursors[i]));
    }
    f.cursors[MEASURE_RING_MAX_CURSORS].tail = 77;
    ck_assert(!measure_ring_add_cursor(
                  &f.writer, &f.cursors[MEASURE_RING_MAX_CURSORS]));
    ck_assert_uint_eq(f.cursors[MEASURE_RING_MAX_CURSORS].tail, 77);
    ck_assert_uint_eq(f.writer.n_cursors, MEASURE_RING_MAX_CURSORS);
    close_ring(&f);
}
END_TEST

/* Without cursors nobody has to be minded. */
START_TEST(ring_without_cursors_is_never_full)
{
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS);
    for (int i = 0; i < 1000; i++) {
        ck_assert(write_narrow(&f.writer, i, 0));
    }
    close_ring(&f);
}
END_TEST

/* Whatever stands in a cursor, the reader of another one gets all of its
 * records, the writer stays within the ring, and the look that met an
 * impossible place has counted it. */
START_TEST(impossible_cursors_do_no_harm)
{
    struct random random = random_from(test_seed);
    uint64_t n_written = 0, n_read = 0, n_bad = 0;
    uint64_t place = 0;         /* Of the bad one, when it was last right. */
    struct measure_ring_reader good, bad;
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS);
    open_reader(&f, &good, 0, -1);
    open_reader(&f, &bad, 1, -1);
    for (int i = 0; i < 200000; i++) {
        uint64_t tail, limit = f.writer.limit;
        const struct measure_slot *slot;
        uint64_t n;

        /* Somewhere near a border, or anywhere. */
        switch (random_below(&random, 6)) {
        case 0:
            tail = random_next(&random);
            break;
        case 1:
            tail = f.writer.head + 1 + random_below(&random, 3);
            break;
        case 2:
            tail = place - 1 - random_below(&random, 3);
            break;
        case 3:
            tail = place - MEASURE_RING_MIN_SLOTS;
            break;
        default:
            tail = (place
                    + random_below(&random, f.writer.head - place + 1));
        }
        __atomic_store_n(&f.cursors[1].tail, tail, __ATOMIC_RELEASE);
        if (tail < place || tail > f.writer.head) {
            n_bad++;
        } else {
            place = tail;
        }
        measure_ring_look(&f.writer, 1);
        REQUIRE(f.header->bad_cursors == n_bad);
        REQUIRE(f.writer.limit >= limit);
        REQUIRE(f.writer.limit == (measure_min(place, f.cursors[0].tail)
                                   + MEASURE_RING_MIN_SLOTS));

        /* Its own reader may read nothing, or too much, but not for ever. */
        measure_ring_reader_init(&bad, f.memory, &f.cursors[1], NULL);
        n = measure_ring_peek(&bad, &slot);
        REQUIRE(n <= MEASURE_RING_MIN_SLOTS);
        REQUIRE(slot + n <= f.writer.slots + MEASURE_RING_MIN_SLOTS);

        while (f.writer.head < f.writer.limit && random_below(&random, 8)) {
            REQUIRE(write_narrow(&f.writer, n_written, 0));
            n_written++;
        }
        measure_ring_publish(&f.writer);
        n = measure_ring_peek(&good, &slot);
        for (uint64_t j = 0; j < n; j++) {
            REQUIRE(slot[j].words[0] == n_read && slot[j].words[1] == ~n_read);
            n_read++;
        }
        measure_ring_take(&good, n);
        measure_ring_release(&good);
    }
    ck_assert_uint_gt(n_bad, 1000);
    ck_assert_uint_gt(n_read, 1000);
    close_ring(&f);
}
END_TEST

/* Likewise of a header that the writer has spoilt. */
START_TEST(impossible_head_is_not_followed)
{
    struct measure_ring_reader r;
    const struct measure_slot *slot;
    struct fixture f;

    open_ring(&f, MEASURE_RING_MIN_SLOTS);
    open_reader(&f, &r, 0, -1);
    f.header->head = MEASURE_RING_MIN_SLOTS + 1;
    ck_assert_uint_eq(measure_ring_peek(&r, &slot), 0);
    f.header->head = UINT64_MAX;
    ck_assert_uint_eq(measure_ring_peek(&r, &slot), 0);
    f.header->head = MEASURE_RING_MIN_SLOTS;
    ck_assert_uint_eq(measure_ring_peek(&r, &slot), MEASURE_RING_MIN_SLOTS);
    close_ring(&f);
}
END_TEST

static void
expect_error(struct fixture *f, size_t size, const char *expected)
{
    char *error = measure_ring_check(f->memory, size);

    if (!expected) {
        ck_assert_msg(!error, "%s", error);
    } else {
        ck_assert_str_eq(error, expected);
    }
    free(error);
}

START_TEST(rings_are_checked)
{
    struct fixture f;
    char text[128];

    open_ring(&f, 128);
    expect_error(&f, f.size, NULL);
    expect_error(&f, f.size + 1, NULL);
    expect_error(&f, 0, "not a ring of ovs-measure");
    expect_error(&f, MEASURE_RING_HEADER_SIZE - 1,
                 "not a ring of ovs-measure");
    snprintf(text, sizeof text, "ring of 128 slots in %zu bytes", f.size - 1);
    expect_error(&f, f.size - 1, text);
    expect_error(&f, MEASURE_RING_HEADER_SIZE,
                 "ring of 128 slots in 4096 bytes");

    f.header->magic ^= 1;
    expect_error(&f, f.size, "not a ring of ovs-measure");
    f.header->magic ^= 1;
    f.header->version = 2;
    expect_error(&f, f.size, "ring of version 2 with slots of 32 bytes: this "
                 "program reads version 1 with slots of 32 bytes");
    f.header->version = 1;
    f.header->slot_size = 64;
    expect_error(&f, f.size, "ring of version 1 with slots of 64 bytes: this "
                 "program reads version 1 with slots of 32 bytes");
    f.header->slot_size = 32;

    uint64_t impossible[] = { 0, 1, 32, 96, 127, MEASURE_RING_MAX_SLOTS * 2,
                              UINT64_C(1) << 63, UINT64_MAX };
    for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
        f.header->n_slots = impossible[i];
        snprintf(text, sizeof text, "ring of %"PRIu64" slots in %zu bytes",
                 impossible[i], f.size);
        expect_error(&f, f.size, text);
    }
    f.header->n_slots = 64;
    expect_error(&f, f.size, NULL);
    close_ring(&f);
}
END_TEST

/* Several threads. */

struct reading_thread {
    pthread_t id;
    struct measure_ring_reader reader;
    uint64_t n;                 /* Records to read. */
    uint64_t n_slots;
    bool in_order;
};

/* Item number 'i' of a stream that both sides know. */
static unsigned int
size_of_number(uint64_t i)
{
    return 1 + (i * UINT64_C(0x9e3779b97f4a7c15) >> 61 == 0);
}

/* Waits for the other side, but not for ever: it does not come if something is
 * lost. */
static bool
wait_a_little(time_t start)
{
    sched_yield();
    return time(NULL) - start < TIMEOUT_SECONDS / 10;
}

static void *
reading_main(void *t_)
{
    time_t start = time(NULL);
    struct reading_thread *t = t_;
    uint64_t next = 0;

    t->in_order = true;
    while (next < t->n) {
        const struct measure_slot *slot;
        uint64_t n = measure_ring_peek(&t->reader, &slot);

        if (!n && !wait_a_little(start)) {
            break;
        }
        for (uint64_t i = 0; i < n; i += measure_slot_size(&slot[i])) {
            uint64_t key[MEASURE_KEY_WORDS] = { 0 };

            if (measure_slot_kind(&slot[i]) == MEASURE_SLOT_FILL) {
                continue;
            }
            measure_slot_key(&slot[i], key);
            if (key[0] != next || key[1] != ~next
                || measure_slot_size(&slot[i]) != size_of_number(next)
                || (measure_slot_size(&slot[i]) == 2 && key[5] != next)) {
                t->in_order = false;
            }
            next++;
        }
        measure_ring_take(&t->reader, n);
        measure_ring_release(&t->reader);
        t->n_slots += n;
    }
    return NULL;
}

/* A writer and 'n_readers', of which the last is behind the first if
 * 'chained'. */
static void
run_threads(uint64_t n_slots, uint64_t n_records, int n_readers, bool chained)
{
    struct reading_thread threads[3] = { { 0 } };
    struct random random = random_from(test_seed);
    time_t start = time(NULL);
    struct fixture f;

    open_ring(&f, n_slots);
    for (int i = 0; i < n_readers; i++) {
        threads[i].n = n_records;
        open_reader(&f, &threads[i].reader, i,
                    chained && i == n_readers - 1 ? 0 : -1);
    }
    for (int i = 0; i < n_readers; i++) {
        ck_assert(!pthread_create(&threads[i].id, NULL, reading_main,
                                  &threads[i]));
    }
    for (uint64_t i = 0; i < n_records; ) {
        uint64_t burst = measure_min(1 + random_below(&random, 32),
                                     n_records - i);

        while (burst) {
            uint64_t key[MEASURE_KEY_WORDS] = { i, ~i, [5] = i };
            unsigned int n = size_of_number(i);
            struct measure_slot *slots = measure_ring_reserve(&f.writer, n, 0);

            if (!slots) {
                measure_ring_publish(&f.writer);
                ck_assert(wait_a_little(start));
                continue;
            }
            measure_ring_advance(&f.writer,
                                 measure_slot_write(slots, n - 1, key, i, 60,
                                                    0));
            i++;
            burst--;
        }
        measure_ring_publish(&f.writer);
    }
    for (int i = 0; i < n_readers; i++) {
        pthread_join(threads[i].id, NULL);
        ck_assert(threads[i].in_order);
        ck_assert_uint_eq(threads[i].n_slots, f.writer.head);
        ck_assert_uint_eq(f.cursors[i].tail, f.writer.head);
    }
    ck_assert_uint_eq(f.header->bad_cursors, 0);
    close_ring(&f);
}

START_TEST(threads_keep_the_order)
{
    run_threads(1024, 4000000, 1, false);
}
END_TEST

START_TEST(threads_keep_the_order_in_a_small_ring)
{
    run_threads(MEASURE_RING_MIN_SLOTS, 1000000, 1, false);
}
END_TEST

START_TEST(several_threads_read)
{
    run_threads(256, 500000, 3, false);
}
END_TEST

START_TEST(one_thread_behind_another)
{
    run_threads(256, 500000, 2, true);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-ring");

    tcase_add_test(tests, fields_come_back);
    tcase_add_test(tests, fields_do_not_touch_each_other);
    tcase_add_test(tests, times_that_do_not_fit_are_cut);
    tcase_add_test(tests, filling_takes_one_slot);
    tcase_add_loop_test(tests, everything_is_read_by_all_cursors, 0, 3);
    tcase_add_test(tests, full_ring_takes_nothing);
    tcase_add_test(tests, end_of_ring_is_filled);
    tcase_add_test(tests, slowest_cursor_counts);
    tcase_add_test(tests, cursor_behind_another_reads_what_that_released);
    tcase_add_test(tests, late_cursor_begins_at_the_head);
    tcase_add_test(tests, cursors_are_limited);
    tcase_add_test(tests, ring_without_cursors_is_never_full);
    tcase_add_test(tests, impossible_cursors_do_no_harm);
    tcase_add_test(tests, impossible_head_is_not_followed);
    tcase_add_test(tests, rings_are_checked);
    tcase_add_test(tests, threads_keep_the_order);
    tcase_add_test(tests, threads_keep_the_order_in_a_small_ring);
    tcase_add_test(tests, several_threads_read);
    tcase_add_test(tests, one_thread_behind_another);
    return tests_run(tests);
}
