/* SPDX-License-Identifier: Apache-2.0 */
/* Explores all executions of rings of slots with few slots and records. */

/* A model checker for lib/stream/measure-ring.[ch]
 * ================================================
 *
 * The functions of the ring are the real ones: both files are compiled here,
 * with __atomic_load_n() and __atomic_store_n() calling the checker.  A writer
 * and one to three readers run as coroutines.  Each of their atomic accesses
 * is a point where the checker decides
 *
 *   - which of them goes on, and
 *   - which store a load reads from.
 *
 * An execution is run from its beginning for each sequence of decisions, in
 * the order of a depth-first search, until there is none left.
 *
 * The memory model is that of C11 for what the ring uses: relaxed, acquire and
 * release accesses to atomics that only one thread stores to.  A load may read
 * any store to its location but those before one that it must know: that it
 * has already read, or that happens before it.  So a store that is not yet
 * visible needs no buffer: others read an older one.  An acquire load that
 * reads from a release store has all before that store happen before it
 * (vector clocks).  Plain accesses to slots must be ordered by what happens
 * before: two that are not, of which one writes, are a data race and a
 * failure, in whichever order they ran.
 *
 * A thread that finds nothing to do waits until there is a store that it has
 * not read, and then reads that or a newer one: to look again at what it has
 * seen would change nothing.  If all wait and a record has not been read, the
 * ring has lost it.
 *
 * Executions that differ only in the order of accesses that do not matter to
 * each other are run once, and given up where they begin to be repeated (sleep
 * sets, Godefroid 1996).  A load after a store
 * to its location may read whatever it could have read before it, so that
 * only the order with the store first has to be run if both are possible.
 *
 * That it finds what it should is tested with seeded faults. */

#include "check-common.h"

#include <stdarg.h>
#include <ucontext.h>

#include "stream/measure-slot.h"

static uint64_t model_load(const uint64_t *address, int order);
static void model_store(uint64_t *address, uint64_t value, int order);
static void model_fill(struct measure_slot *);
struct measure_ring_writer;
bool checked_look(struct measure_ring_writer *, uint64_t needed);
bool real_look(struct measure_ring_writer *, uint64_t needed);

#define __atomic_load_n model_load
#define __atomic_store_n model_store
#define measure_slot_write_fill model_fill
#define measure_ring_look checked_look
#include "stream/measure-ring.h"
#undef measure_ring_look
#define measure_ring_look real_look
#include "stream/measure-ring.c"
#undef measure_ring_look
#undef measure_slot_write_fill
#undef __atomic_load_n
#undef __atomic_store_n

/* What is run. */

#define MAX_READERS 3
#define MAX_THREADS (1 + MAX_READERS)
#define MAX_SLOTS 8
#define MAX_SIZES 8

enum reader_kind {
    READER,                     /* Of all that is published. */
    READER_BEHIND,              /* Of what the reader before it released. */
    READER_HOSTILE              /* Stores anything in its cursor. */
};

struct scenario {
    const char *name;
    unsigned int n_slots;       /* A power of 2. */
    const char *sizes;          /* Of the records, in slots. */
    unsigned int publish;       /* After so many records. */
    bool drops;                 /* If the ring is full.  Else it waits. */
    unsigned int release;       /* After so many records, or 0: at the end of
                                 * what was peeked. */
    int n_readers;
    enum reader_kind readers[MAX_READERS];
    unsigned int n_hostile;     /* Stores of a hostile reader. */
};

static const struct scenario scenarios[] = {
    { "one reader", 2, "11111", 1, false, 1, 1, { READER }, 0 },
    { "records of several slots, and filling", 4, "12122", 1, false, 1, 1,
      { READER }, 0 },
    { "published and released in bursts", 4, "11111111", 3, false, 0, 1,
      { READER }, 0 },
    { "bursts of several slots", 4, "2121121", 2, false, 0, 1, { READER },
      0 },
    { "a writer that drops", 2, "11111", 1, true, 1, 1, { READER }, 0 },
    { "a writer that drops, and filling", 4, "212121", 1, true, 0, 1,
      { READER }, 0 },
    { "two readers", 2, "111", 1, false, 1, 2, { READER, READER }, 0 },
    { "two readers of several slots", 4, "212", 2, false, 0, 2,
      { READER, READER }, 0 },
    { "a reader behind another", 2, "111", 1, false, 1, 2,
      { READER, READER_BEHIND }, 0 },
    { "a reader behind another, in bursts", 4, "1221", 2, false, 0, 2,
      { READER, READER_BEHIND }, 0 },
    { "three readers, one behind another", 1, "11", 1, false, 1, 3,
      { READER, READER_BEHIND, READER }, 0 },
    { "a reader beside a hostile one", 2, "111", 1, true, 1, 2,
      { READER, READER_HOSTILE }, 2 },
    { "a reader beside a hostile one, waiting for room", 2, "111", 1, false,
      1, 2, { READER, READER_HOSTILE }, 1 },
};

/* Faults, which the checker must find. */
enum fault {
    NO_FAULT,
    PUBLISH_RELAXED,
    PEEK_RELAXED,
    RELEASE_RELAXED,
    LOOK_RELAXED,
    PUBLISH_BEFORE_WRITING,
    RELEASE_BEFORE_READING,
    LOOK_TAKES_ANY_TAIL,
    LOOK_MINDS_FIRST_CURSOR_ONLY,
    LOOK_FINDS_ONE_TOO_MANY,
    SECOND_STAGE_READS_ALL,
    FORGET_TO_PUBLISH,
    N_FAULTS
};

static const char *const fault_names[N_FAULTS] = {
    [NO_FAULT] = "none",
    [PUBLISH_RELAXED] = "publishing with a relaxed store",
    [PEEK_RELAXED] = "peeking with a relaxed load",
    [RELEASE_RELAXED] = "releasing with a relaxed store",
    [LOOK_RELAXED] = "looking with a relaxed load",
    [PUBLISH_BEFORE_WRITING] = "publishing before writing",
    [RELEASE_BEFORE_READING] = "releasing before reading",
    [LOOK_TAKES_ANY_TAIL] = "a look that takes any tail",
    [LOOK_MINDS_FIRST_CURSOR_ONLY] = "a look that minds the first cursor only",
    [LOOK_FINDS_ONE_TOO_MANY] = "a look that finds room for one too many",
    [SECOND_STAGE_READS_ALL] = "a second stage that does not stay behind",
    [FORGET_TO_PUBLISH] = "a last burst that is not published",
};

static const struct scenario *scenario;
static enum fault fault;

/* Decisions, in the order of an execution. */

#define MAX_DECISIONS 400

static struct {
    uint8_t n;                  /* Possible ones. */
    uint8_t chosen;
} decisions[MAX_DECISIONS];
static int n_decisions;         /* Of those that the next execution repeats. */
static int next_decision;

/* Chooses one of 'n', which must not be 0. */
static int
decide(int n)
{
    if (next_decision == n_decisions) {
        REQUIRE(n_decisions < MAX_DECISIONS);
        decisions[n_decisions].n = n;
        decisions[n_decisions++].chosen = 0;
    }
    REQUIRE(decisions[next_decision].n == n);
    return decisions[next_decision++].chosen;
}

/* Returns false if there is no other execution. */
static bool
decide_otherwise(void)
{
    while (n_decisions
           && (decisions[n_decisions - 1].chosen + 1
               == decisions[n_decisions - 1].n)) {
        n_decisions--;
    }
    if (!n_decisions) {
        return false;
    }
    decisions[n_decisions - 1].chosen++;
    return true;
}

/* Threads, of which number 0 is the writer. */

#define STACK_SIZE 65536

struct clock {
    uint32_t of[MAX_THREADS];
};

struct thread {
    ucontext_t context;
    uint8_t *stack;
    struct clock clock;         /* What happens before its next access. */
    bool ended;

    /* The atomic access that it is about to make. */
    bool is_store;
    int location;

    /* Of a reader. */
    struct measure_ring_reader reader;
    uint64_t n_read;            /* Records. */
};

static struct thread threads[MAX_THREADS];
static int n_threads;
static int current;             /* Or -1, of the test itself. */
static ucontext_t scheduler;
static char failure[256];

/* Ends the execution. */
static void __attribute__((format(printf, 1, 2)))
wrong(const char *format, ...)
{
    va_list args;

    if (!*failure) {
        va_start(args, format);
        vsnprintf(failure, sizeof failure, format, args);
        va_end(args);
    }
    if (current >= 0) {
        swapcontext(&threads[current].context, &scheduler);
    }
}

static void
join(struct clock *a, const struct clock *b)
{
    for (int i = 0; i < MAX_THREADS; i++) {
        a->of[i] = measure_max(a->of[i], b->of[i]);
    }
}

/* Atomics: the head, and the tail of each cursor. */

#define MAX_STORES 64
#define HEAD 0
#define TAIL(I) (1 + (I))
#define N_LOCATIONS TAIL(MAX_READERS)

struct store {
    uint64_t value;
    int thread;
    bool release;
    struct clock clock;         /* Of 'thread', when it stored. */
};

static struct location {
    const uint64_t *address;
    struct store stores[MAX_STORES];
    int n;
    int first[MAX_THREADS];     /* That the thread may read. */
    uint64_t last[MAX_THREADS]; /* Value that the thread has read. */
} locations[N_LOCATIONS];

static int
location_of(const uint64_t *address)
{
    for (int i = 0; i < N_LOCATIONS; i++) {
        if (locations[i].address == address) {
            return i;
        }
    }
    return -1;
}

/* Waits until the checker lets this thread make an access. */
static void
arrive(int location, bool is_store)
{
    threads[current].location = location;
    threads[current].is_store = is_store;
    swapcontext(&threads[current].context, &scheduler);
}

static bool
is_relaxed_by_fault(int location, bool is_store)
{
    return (is_store
            ? fault == (location == HEAD ? PUBLISH_RELAXED : RELEASE_RELAXED)
            : fault == (current ? PEEK_RELAXED : LOOK_RELAXED));
}

static uint64_t
model_load(const uint64_t *address, int order)
{
    int i = location_of(address);
    const struct store *s;
    struct location *l;
    struct thread *t;
    int first;

    if (i < 0 || current < 0) {
        return *address;
    }
    arrive(i, false);
    l = &locations[i];
    t = &threads[current];
    for (first = l->n - 1; first > l->first[current]; first--) {
        s = &l->stores[first];
        if (s->clock.of[s->thread] <= t->clock.of[s->thread]) {
            break;
        }
    }
    l->first[current] = l->n - 1 - decide(l->n - first);
    s = &l->stores[l->first[current]];
    if (order == __ATOMIC_ACQUIRE && s->release
        && !is_relaxed_by_fault(i, false)) {
        join(&t->clock, &s->clock);
    }
    l->last[current] = s->value;
    return s->value;
}

static void
model_store(uint64_t *address, uint64_t value, int order)
{
    int i = location_of(address);
    struct location *l;
    struct thread *t;

    *address = value;
    if (i < 0 || current < 0) {
        return;
    }
    arrive(i, true);
    l = &locations[i];
    t = &threads[current];
    REQUIRE(l->n < MAX_STORES);
    l->stores[l->n] = (struct store) {
        .value = value,
        .thread = current,
        .release = (order == __ATOMIC_RELEASE
                    && !is_relaxed_by_fault(i, true)),
        .clock = t->clock,
    };
    l->first[current] = l->n++;
    t->clock.of[current]++;
}

/* The next load of 'location' reads a store that this thread has not read, and
 * it waits until there is one. */
static void
wait_for_store(int location)
{
    locations[location].first[current]++;
}

/* Plain memory: the slots, and a note of the first reader on each record for
 * the one behind it. */

#define MAX_PLAIN (MAX_SLOTS + 64)
#define NOTE(RECORD) (MAX_SLOTS + (RECORD))

static struct plain {
    int writer;
    uint32_t written;           /* Clock of the writer, or 0. */
    uint32_t read[MAX_THREADS]; /* Clock of a reader, or 0. */
} plain[MAX_PLAIN];

static void
touch(int i, bool write)
{
    const struct clock *clock = &threads[current].clock;
    struct plain *p = &plain[i];

    REQUIRE(i < MAX_PLAIN);
    if (p->written > clock->of[p->writer]) {
        wrong("thread %d %s place %d, which thread %d has written: a race",
             current, write ? "writes" : "reads", i, p->writer);
    }
    if (!write) {
        p->read[current] = clock->of[current];
        return;
    }
    for (int j = 0; j < n_threads; j++) {
        if (p->read[j] > clock->of[j]) {
            wrong("thread %d writes place %d, which thread %d has read: "
                 "a race", current, i, j);
        }
    }
    p->writer = current;
    p->written = clock->of[current];
}

/* The ring. */

static union {
    struct measure_ring_header header;
    uint8_t bytes[MEASURE_RING_HEADER_SIZE
                  + MAX_SLOTS * sizeof(struct measure_slot)];
} memory;
static struct measure_cursor cursors[MAX_READERS];
static struct measure_ring_writer writer;
static uint64_t n_written;      /* Records... */
static uint64_t n_dropped;
static uint64_t written[64];    /* ...and their numbers. */

static void
touch_slot(const struct measure_slot *slot, bool write)
{
    int i = slot - writer.slots;

    if (i < 0 || i >= scenario->n_slots) {
        wrong("slot %d is not in the ring", i);
    }
    touch(i, write);
}

static void
model_fill(struct measure_slot *slot)
{
    touch_slot(slot, true);
    measure_slot_write_fill(slot);
}

/* Seeded. */
static bool
faulty_look(struct measure_ring_writer *w, uint64_t needed)
{
    uint64_t oldest = w->head;

    for (size_t i = 0; i < w->n_cursors; i++) {
        uint64_t tail = model_load(&w->cursors[i].cursor->tail,
                                   __ATOMIC_ACQUIRE);

        if (fault == LOOK_TAKES_ANY_TAIL
            || tail - w->cursors[i].tail <= w->head - w->cursors[i].tail) {
            w->cursors[i].tail = tail;
        }
        if (fault != LOOK_MINDS_FIRST_CURSOR_ONLY || !i) {
            oldest = measure_min(oldest, w->cursors[i].tail);
        }
    }
    w->limit = (oldest + w->mask + 1
                + (fault == LOOK_FINDS_ONE_TOO_MANY));
    return w->head + needed <= w->limit;
}

/* Looks for the writer, and compares what it has found with what it must
 * find. */
bool
checked_look(struct measure_ring_writer *w, uint64_t needed)
{
    uint64_t n_bad = w->header->bad_cursors, limit = UINT64_MAX;
    uint64_t tails[MAX_READERS];
    bool found;

    for (int i = 0; i < w->n_cursors; i++) {
        tails[i] = w->cursors[i].tail;
    }
    found = (fault == LOOK_TAKES_ANY_TAIL
             || fault == LOOK_MINDS_FIRST_CURSOR_ONLY
             || fault == LOOK_FINDS_ONE_TOO_MANY
             ? faulty_look(w, needed) : real_look(w, needed));
    if (fault == LOOK_MINDS_FIRST_CURSOR_ONLY
        || fault == LOOK_FINDS_ONE_TOO_MANY) {
        return found;           /* It must be found by what it does. */
    }
    for (int i = 0; i < w->n_cursors; i++) {
        uint64_t tail = locations[TAIL(i)].last[0];

        if (tail >= tails[i] && tail <= w->head) {
            tails[i] = tail;
        } else {
            n_bad++;
        }
        if (w->cursors[i].tail != tails[i]) {
            wrong("cursor %d at %"PRIu64" is taken to be at %"PRIu64", not at "
                 "%"PRIu64, i, tail, w->cursors[i].tail, tails[i]);
        }
        limit = measure_min(limit, tails[i] + scenario->n_slots);
    }
    if (w->header->bad_cursors != n_bad) {
        wrong("%"PRIu64" bad cursors counted, not %"PRIu64,
             w->header->bad_cursors, n_bad);
    }
    if (w->limit != limit || found != (w->head + needed <= limit)) {
        wrong("room up to %"PRIu64", not to %"PRIu64, w->limit, limit);
    }
    return found;
}

/* The cursor that there is no room for. */
static int
oldest_cursor(void)
{
    int oldest = 0;

    for (int i = 1; i < writer.n_cursors; i++) {
        if (writer.cursors[i].tail < writer.cursors[oldest].tail) {
            oldest = i;
        }
    }
    return oldest;
}

static void
write_record(struct measure_slot *slots, unsigned int size, uint64_t number)
{
    for (unsigned int i = 0; i < size; i++) {
        touch_slot(&slots[i], true);
        slots[i].words[0] = number * MAX_SLOTS + i;
        slots[i].words[1] = size;
        slots[i].words[2] = 0;  /* A kind that is no filling. */
    }
}

/* Publishes unless there is nothing new. */
static void
publish(uint64_t *published)
{
    if (writer.head != *published) {
        measure_ring_publish(&writer);
        *published = writer.head;
    }
}

static void
run_writer(void)
{
    unsigned int n = strlen(scenario->sizes);
    uint64_t published = 0;

    for (unsigned int i = 0; i < n; i++) {
        unsigned int size = scenario->sizes[i] - '0';
        struct measure_slot *slots;

        while (!(slots = measure_ring_reserve(&writer, size, 0))
               && !scenario->drops) {
            publish(&published);
            wait_for_store(TAIL(oldest_cursor()));
        }
        if (!slots) {
            n_dropped++;
        } else {
            if (fault == PUBLISH_BEFORE_WRITING) {
                measure_ring_advance(&writer, size);
                publish(&published);
                write_record(slots, size, i);
            } else {
                write_record(slots, size, i);
                measure_ring_advance(&writer, size);
            }
            written[n_written++] = i;
        }
        if ((i + 1) % scenario->publish == 0
            || (i + 1 == n && fault != FORGET_TO_PUBLISH)) {
            publish(&published);
        }
    }
}

static bool
is_behind(int reader)
{
    return scenario->readers[reader] == READER_BEHIND;
}

/* Returns how many slots it has read from 'slot' on. */
static unsigned int
read_record(struct thread *t, const struct measure_slot *slot, uint64_t n)
{
    int reader = current - 1;
    uint64_t number = t->n_read < n_written ? written[t->n_read] : 0;
    unsigned int size;

    touch_slot(slot, false);
    if (measure_slot_kind(slot) == MEASURE_SLOT_FILL) {
        return 1;
    }
    size = slot->words[1];
    if (size > n) {
        wrong("reader %d: a record of %u slots is cut", reader, size);
    }
    for (unsigned int i = 0; i < size; i++) {
        touch_slot(&slot[i], false);
        if (slot[i].words[0] != number * MAX_SLOTS + i
            || slot[i].words[1] != size) {
            wrong("reader %d: slot %u of record %"PRIu64" is not as it was "
                 "written", reader, i, t->n_read);
        }
    }
    if (is_behind(reader)) {
        touch(NOTE(t->n_read), false);
        if (threads[current - 1].n_read <= t->n_read) {
            wrong("reader %d is in front of the one that it follows",
                  reader);
        }
    } else if (reader + 1 < scenario->n_readers && is_behind(reader + 1)) {
        touch(NOTE(t->n_read), true);
    }
    t->n_read++;
    return size;
}

static void
run_reader(struct thread *t)
{
    int reader = current - 1;
    int published = (is_behind(reader) && fault != SECOND_STAGE_READS_ALL
                     ? TAIL(reader - 1) : HEAD);

    for (;;) {
        const struct measure_slot *slot;
        uint64_t n = measure_ring_peek(&t->reader, &slot);
        unsigned int n_records = 0;

        if (!n) {
            wait_for_store(published);
            continue;
        }
        if (fault == RELEASE_BEFORE_READING) {
            measure_ring_take(&t->reader, n);
            measure_ring_release(&t->reader);
        }
        for (uint64_t i = 0; i < n; ) {
            unsigned int size = read_record(t, &slot[i], n - i);

            i += size;
            if (fault != RELEASE_BEFORE_READING) {
                measure_ring_take(&t->reader, size);
                if (i == n || ++n_records == scenario->release) {
                    measure_ring_release(&t->reader);
                    n_records = 0;
                }
            }
        }
    }
}

static void
run_hostile_reader(void)
{
    static const uint64_t values[] = { 0, 1, 2, 5, UINT64_MAX };

    for (unsigned int i = 0; i < scenario->n_hostile; i++) {
        model_store(&cursors[current - 1].tail,
                    values[decide(ARRAY_SIZE(values))], __ATOMIC_RELEASE);
    }
    if (!scenario->drops) {
        /* At last it is right, lest the writer waits for ever. */
        model_store(&cursors[current - 1].tail, 1, __ATOMIC_RELEASE);
        model_store(&cursors[current - 1].tail, 2, __ATOMIC_RELEASE);
    }
}

static void
run_thread(void)
{
    if (!current) {
        run_writer();
    } else if (scenario->readers[current - 1] == READER_HOSTILE) {
        run_hostile_reader();
    } else {
        run_reader(&threads[current]);
    }
    threads[current].ended = true;
}

/* Executions. */

static void
resume(int i)
{
    current = i;
    swapcontext(&scheduler, &threads[i].context);
    current = -1;
}

static void
begin_execution(void)
{
    *failure = '\0';
    next_decision = 0;
    n_written = n_dropped = 0;
    memset(&memory, 0, sizeof memory);
    memset(cursors, 0, sizeof cursors);
    memset(plain, 0, sizeof plain);
    n_threads = 1 + scenario->n_readers;

    measure_ring_header_init(&memory.header, scenario->n_slots, 0, -1);
    measure_ring_writer_init(&writer, &memory);
    for (int i = 0; i < scenario->n_readers; i++) {
        measure_ring_add_cursor(&writer, &cursors[i]);
        measure_ring_reader_init(&threads[1 + i].reader, &memory, &cursors[i],
                                 (is_behind(i)
                                  && fault != SECOND_STAGE_READS_ALL
                                  ? &cursors[i - 1] : NULL));
        threads[1 + i].n_read = 0;
    }
    for (int i = 0; i < N_LOCATIONS; i++) {
        struct location *l = &locations[i];

        l->address = (i == HEAD ? &memory.header.head
                      : &cursors[i - TAIL(0)].tail);
        l->n = 1;               /* 0, which all know. */
        memset(&l->stores[0], 0, sizeof l->stores[0]);
        memset(l->first, 0, sizeof l->first);
        memset(l->last, 0, sizeof l->last);
    }
    for (int i = 0; i < n_threads; i++) {
        struct thread *t = &threads[i];

        if (!t->stack) {
            t->stack = malloc(STACK_SIZE);
        }
        memset(&t->clock, 0, sizeof t->clock);
        t->clock.of[i] = 1;
        t->ended = false;
        getcontext(&t->context);
        t->context.uc_stack.ss_sp = t->stack;
        t->context.uc_stack.ss_size = STACK_SIZE;
        t->context.uc_link = &scheduler;
        makecontext(&t->context, run_thread, 0);
    }
    for (int i = 0; i < n_threads && !*failure; i++) {
        resume(i);              /* Up to its first access. */
    }
}

static bool
can_go_on(int i)
{
    const struct thread *t = &threads[i];

    return (!t->ended
            && (t->is_store
                || locations[t->location].first[i]
                   < locations[t->location].n));
}

/* Whether executions in which thread 'b' makes its access, and then 'a', are
 * also had with that of 'a' first. */
static bool
may_be_first(int a, int b)
{
    return (threads[a].location != threads[b].location || threads[a].is_store
            || !threads[b].is_store);
}

/* Returns false if all that can follow has been run already. */
static bool
run_execution(void)
{
    unsigned int asleep = 0;

    begin_execution();
    while (!*failure) {
        int awake[MAX_THREADS], n = 0, n_ready = 0, chosen;
        unsigned int next_asleep = 0;

        for (int store = 1; store >= 0; store--) {
            for (int i = 0; i < n_threads; i++) {
                if (threads[i].is_store == store && can_go_on(i)) {
                    n_ready++;
                    if (!(asleep & 1u << i)) {
                        awake[n++] = i;
                    }
                }
            }
        }
        if (!n) {
            return !n_ready;
        }
        chosen = decide(n);
        for (int i = 0; i < chosen; i++) {
            asleep |= 1u << awake[i];
        }
        for (int i = 0; i < n_threads; i++) {
            if (asleep & 1u << i && may_be_first(i, awake[chosen])) {
                next_asleep |= 1u << i;
            }
        }
        asleep = next_asleep;
        resume(awake[chosen]);
    }
    return true;
}

/* At the end of an execution. */
static void
check_end(void)
{
    if (!threads[0].ended) {
        wrong("the writer waits for ever");
    }
    if (n_written + n_dropped != strlen(scenario->sizes)) {
        wrong("%"PRIu64" records written and %"PRIu64" dropped of %zu",
             n_written, n_dropped, strlen(scenario->sizes));
    }
    for (int i = 0; i < scenario->n_readers; i++) {
        const struct thread *t = &threads[1 + i];

        if (scenario->readers[i] == READER_HOSTILE) {
            continue;
        }
        if (t->n_read != n_written || t->reader.tail != writer.head) {
            wrong("reader %d has read %"PRIu64" of %"PRIu64" records", i,
                 t->n_read, n_written);
        }
    }
    if (memory.header.bad_cursors && !scenario->n_hostile) {
        wrong("%"PRIu64" bad cursors", memory.header.bad_cursors);
    }
}

struct exploration {
    uint64_t n;                 /* Executions. */
    uint64_t n_repeated;        /* Given up, for they were had before. */
    uint64_t n_drops;           /* Executions with records dropped. */
    uint64_t n_bad;             /* Executions with bad cursors. */
};

/* Runs all executions, or those up to the first failure, which is then in
 * 'failure'. */
static struct exploration
explore(const struct scenario *scenario_, enum fault fault_)
{
    struct exploration e = { 0 };

    scenario = scenario_;
    fault = fault_;
    n_decisions = 0;
    do {
        if (!run_execution()) {
            e.n_repeated++;
            continue;
        }
        if (!*failure) {
            check_end();
        }
        e.n++;
        e.n_drops += n_dropped != 0;
        e.n_bad += memory.header.bad_cursors != 0;
    } while (!*failure && decide_otherwise());
    for (int i = 0; i < MAX_THREADS; i++) {
        free(threads[i].stack);
        threads[i].stack = NULL;
    }
    return e;
}

START_TEST(all_executions_are_right)
{
    struct exploration e = explore(&scenarios[_i], NO_FAULT);

    printf("%s: %"PRIu64" executions, %"PRIu64" given up as repeated\n",
           scenarios[_i].name, e.n, e.n_repeated);
    fflush(stdout);
    ck_assert_msg(!*failure, "execution %"PRIu64": %s", e.n, failure);

    /* They must differ in what happens. */
    ck_assert_uint_gt(e.n, 10);
    ck_assert(!scenarios[_i].drops || (e.n_drops && e.n_drops < e.n));
    ck_assert(!scenarios[_i].n_hostile || (e.n_bad && e.n_bad < e.n));
}
END_TEST

START_TEST(seeded_faults_are_found)
{
    for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++) {
        struct exploration e = explore(&scenarios[i], _i);

        if (*failure) {
            printf("%s: found by \"%s\" in execution %"PRIu64": %s\n",
                   fault_names[_i], scenarios[i].name, e.n, failure);
            fflush(stdout);
            return;
        }
    }
    ck_abort_msg("%s is not found", fault_names[_i]);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-ring, all executions");

    tcase_add_loop_test(tests, all_executions_are_right, 0,
                        ARRAY_SIZE(scenarios));
    tcase_add_loop_test(tests, seeded_faults_are_found, NO_FAULT + 1,
                        N_FAULTS);
    return tests_run(tests);
}
