/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of hierarchical heavy hitters. */

#include "check-common.h"
#include "check-tally.h"

#include "base/measure-pace.h"
#include "questions/measure-heavy-hitters.h"
#include "report/measure-merge.h"

/* Hierarchical heavy hitters
 * ==========================
 *
 * By what they are: an oracle that knows all packets, and no bounds.  What it
 * says must be within the bounds of the answer, overflow or not. */

/* The truth: addresses, and what they sent. */

struct address {
    struct measure_fields fields;
    uint64_t packets;
    uint64_t bytes;
    bool counted;               /* Some of it has a row. */
    bool heavy;                 /* In a heavy prefix... */
    bool listed;                /* ...in a listed prefix, so far. */
};

#define MAX_ADDRESSES 300

static struct address addresses[MAX_ADDRESSES];
static size_t n_addresses;

static const uint8_t *
address_of(const struct measure_fields *f, bool destination)
{
    return destination ? f->destination : f->source;
}

static bool
same_prefix(const struct measure_fields *a, const struct measure_fields *b,
            bool destination, unsigned int bits)
{
    return (a->family == b->family
            && !memcmp(address_of(a, destination),
                       address_of(b, destination), bits / 8));
}

static struct address *
find_address(const struct measure_fields *f, bool destination)
{
    for (size_t i = 0; i < n_addresses; i++) {
        if (same_prefix(&addresses[i].fields, f, destination,
                        f->family == MEASURE_IPV4 ? 32 : 128)) {
            return &addresses[i];
        }
    }
    return NULL;
}

static void
add_address(const struct measure_fields *f, bool destination, uint32_t bytes)
{
    struct address *a = find_address(f, destination);

    if (!a) {
        REQUIRE(n_addresses < MAX_ADDRESSES);
        a = &addresses[n_addresses++];
        memset(a, 0, sizeof *a);
        a->fields = *f;
    }
    a->packets++;
    a->bytes += bytes;
}

/* Many are neighbours, and many end in zeros. */
static struct measure_fields
draw_fields(struct random *r, uint32_t n)
{
    static const uint8_t bytes[] = { 0, 0, 1, 255 };
    struct random address = random_from(random_below(r, random_below(r, n)
                                                        + 1));
    struct measure_fields f;
    size_t size;

    memset(&f, 0, sizeof f);
    f.family = random_below(&address, 3) ? MEASURE_IPV4 : MEASURE_IPV6;
    size = f.family == MEASURE_IPV4 ? 4 : 16;
    for (size_t i = 0; i < size; i++) {
        f.source[i] = bytes[random_below(&address, ARRAY_SIZE(bytes))];
        f.destination[i] = bytes[random_below(&address, ARRAY_SIZE(bytes))];
    }
    f.source_port = random_below(r, 2);
    f.protocol = 17;
    return f;
}

/* Makes the report of 'n' packets, for which there are 'n_lines' lines. */
static struct measure_report *
make_report(struct random *r, enum measure_key_kind key_kind, uint32_t n,
            uint32_t n_lines, bool destination)
{
    uint32_t n_values = 1 + random_below(r, MAX_ADDRESSES);
    struct measure_report *report;
    struct measure_tally *tally;

    n_addresses = 0;
    tally = make_tally(key_kind, n_lines, 0);
    for (uint32_t i = 0; i < n; i++) {
        struct measure_fields f = draw_fields(r, n_values);
        struct measure_record record = make_record(&f,
                                                   60 + random_below(r, 99));

        add_address(&f, destination, record.bytes);
        measure_tally_count(tally, &record, 1);
    }
    report = measure_report_merge(&tally, 1, key_kind, &secret, &budget);
    measure_tally_destroy(tally);
    report->number = 1;
    report->duration_ms = 1000;
    return report;
}

/* Notes which addresses have a row in 'scope'. */
static void
note_counted(const struct measure_scope *scope, bool destination)
{
    struct measure_hitters_question q = { .threshold_text = "?" };
    struct measure_hitters_answer answer;

    ck_assert(measure_hitters_parse_by(destination ? "destination" : "source",
                                       &q));
    ck_assert(measure_hitters_ask(scope, &q, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        find_address(&answer.rows[i].fields, destination)->counted = true;
    }
    measure_hitters_answer_destroy(&answer);
}

struct limit {
    enum measure_threshold_unit unit;
    unsigned int value;
};

static bool
is_heavy(const struct limit *limit, const struct measure_report *report,
         uint64_t packets, uint64_t bytes)
{
    return (limit->unit == MEASURE_PACKETS_PER_SECOND
            ? packets >= limit->value
            : bytes * 100 >= limit->value * report->counters.bytes);
}

static const struct measure_hitters_row *
find_row(const struct measure_hitters_answer *answer,
         const struct measure_fields *f, bool destination, unsigned int bits)
{
    for (size_t i = 0; i < answer->n_rows; i++) {
        if (answer->rows[i].bits == bits
            && same_prefix(&answer->rows[i].fields, f, destination, bits)) {
            return &answer->rows[i];
        }
    }
    return NULL;
}

#define REQUIRE_BETWEEN(LEAST, X, MOST) \
    REQUIRE((LEAST) <= (X) && (X) <= (MOST))

/* Checks what 'answer' says of the prefix of 'bits' bits that 'first' is the
 * first address of.  Returns true if it has a row. */
static bool
check_prefix(const struct measure_hitters_answer *answer,
             const struct measure_report *report, const struct limit *limit,
             const struct address *first, bool destination, unsigned int bits)
{
    const struct measure_hitters_row *row
        = find_row(answer, &first->fields, destination, bits);
    struct address all = { .packets = 0 };
    struct address not_heavy = { .packets = 0 };
    struct address not_listed = { .packets = 0 };
    bool heavy;

    for (size_t i = 0; i < n_addresses; i++) {
        const struct address *a = &addresses[i];

        if (same_prefix(&a->fields, &first->fields, destination, bits)) {
            all.counted |= a->counted;
            all.packets += a->packets;
            all.bytes += a->bytes;
            not_heavy.packets += a->heavy ? 0 : a->packets;
            not_heavy.bytes += a->heavy ? 0 : a->bytes;
            not_listed.packets += a->listed ? 0 : a->packets;
            not_listed.bytes += a->listed ? 0 : a->bytes;
        }
    }
    heavy = (not_heavy.packets
             && is_heavy(limit, report, not_heavy.packets, not_heavy.bytes));
    if (!row) {
        REQUIRE(!heavy || !all.counted);
        if (!all.counted) {
            REQUIRE(all.packets <= answer->missed.packets);
            REQUIRE(all.bytes <= answer->missed.bytes);
        }
    } else {
        REQUIRE(row->may_be_heavy);
        REQUIRE(heavy || !row->heavy);
        REQUIRE_BETWEEN(row->packets, not_heavy.packets,
                        row->packets + row->packets_error_max);
        REQUIRE_BETWEEN(row->bytes, not_heavy.bytes,
                        row->bytes + row->bytes_error_max);
        REQUIRE_BETWEEN(row->packets, not_listed.packets,
                        row->packets + row->packets_error_max);
        REQUIRE_BETWEEN(row->bytes, not_listed.bytes,
                        row->bytes + row->bytes_error_max);
        REQUIRE_BETWEEN(row->prefix_packets, all.packets,
                        (row->prefix_packets
                         + report->counters.overflow_packets));
        REQUIRE_BETWEEN(row->prefix_bytes, all.bytes,
                        row->prefix_bytes + report->counters.overflow_bytes);
        if (!report->counters.overflow_packets) {
            REQUIRE(row->heavy && !row->packets_error_max
                    && !row->bytes_error_max);
        }
    }
    for (size_t i = 0; i < n_addresses; i++) {
        struct address *a = &addresses[i];

        if (same_prefix(&a->fields, &first->fields, destination, bits)) {
            a->heavy |= heavy;
            a->listed |= row != NULL;
        }
    }
    return row != NULL;
}

static void
check_answer(const struct measure_report *report, const struct limit *limit,
             bool destination)
{
    struct measure_hitters_question q = {
        .heavy_only = true, .threshold_text = "?",
        .threshold = { limit->unit, limit->value },
        .sort = (limit->unit == MEASURE_SHARE ? MEASURE_SORT_BYTES
                 : MEASURE_SORT_PACKETS),
    };
    struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_hitters_answer answer;
    uint64_t packets = 0, bytes = 0;
    size_t n = 0;

    ck_assert(measure_hitters_parse_by(destination ? "destination/*"
                                       : "source/*", &q));
    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    ck_assert_uint_eq(answer.omitted_rows, 0);
    for (size_t i = 0; i < answer.n_rows; i++) {
        packets += answer.rows[i].packets;
        bytes += answer.rows[i].bytes;
    }
    ck_assert_uint_eq(packets + answer.other_packets,
                      report->counters.packets);
    ck_assert_uint_eq(bytes + answer.other_bytes, report->counters.bytes);
    ck_assert_uint_le(packets, report->counters.packets);

    for (size_t i = 0; i < n_addresses; i++) {
        addresses[i].heavy = addresses[i].listed = false;
    }
    for (unsigned int bits = 128; bits; bits -= 8) {
        for (size_t i = 0; i < n_addresses; i++) {
            const struct measure_fields *f = &addresses[i].fields;
            size_t j = 0;

            if (f->family == MEASURE_IPV4 ? bits > 32 : bits % 16) {
                continue;
            }
            while (!same_prefix(&addresses[j].fields, f, destination, bits)) {
                j++;
            }
            if (i == j) {
                n += check_prefix(&answer, report, limit, &addresses[i],
                                  destination, bits);
            }
        }
    }
    ck_assert_uint_eq(n, answer.n_rows);
    measure_hitters_answer_destroy(&answer);
}

/* Without overflow if '_i' is 0. */
START_TEST(truth_is_within_the_bounds)
{
    static const struct limit limits[] = {
        { MEASURE_PACKETS_PER_SECOND, 1 }, { MEASURE_PACKETS_PER_SECOND, 7 },
        { MEASURE_PACKETS_PER_SECOND, 30 },
        { MEASURE_PACKETS_PER_SECOND, 100 },
        { MEASURE_PACKETS_PER_SECOND, 300 }, { MEASURE_SHARE, 2 },
        { MEASURE_SHARE, 10 }, { MEASURE_SHARE, 40 }, { MEASURE_SHARE, 90 },
    };
    unsigned int n_overflow = 0;

    for (int seed = 0; seed < 60; seed++) {
        struct random r = random_from(test_seed + seed);
        bool destination = random_below(&r, 2);
        enum measure_key_kind key_kind[]
            = { MEASURE_KIND_FLOW, MEASURE_KIND_PAIR,
                                 (destination ? MEASURE_KIND_DESTINATION
                                  : MEASURE_KIND_SOURCE) };
        struct measure_report *report;
        struct measure_scope scope = { .n_reports = 1 };

        measure_hash_secret_init(&secret, test_seed + seed);
        report = make_report(&r, key_kind[random_below(&r, 3)],
                             500 + random_below(&r, 1000),
                             _i ? 16 << random_below(&r, 4) : 10000,
                             destination);
        n_overflow += report->counters.overflow_packets > 0;
        scope.reports = (const struct measure_report *const *) &report;
        note_counted(&scope, destination);
        for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
            check_answer(report, &limits[i], destination);
        }
        measure_report_destroy(report);
    }
    if (_i) {
        ck_assert_uint_gt(n_overflow, 20);
    } else {
        ck_assert_uint_eq(n_overflow, 0);
    }
}
END_TEST

/* Work and memory. */

#define N_MANY 200000

static uint64_t n_looks;
static uint64_t max_taken;

static uint64_t
count_looks(void)
{
    uint64_t taken = (measure_budget_used(&budget)
                      + measure_budget_spare(&budget));

    max_taken = taken > max_taken ? taken : max_taken;
    n_looks++;
    return 0;
}

static void
do_not_sleep(uint64_t ns UNUSED)
{
}

/* Returns how much memory the process had at most since forget_max_memory(),
 * in bytes, or 0 if nobody knows. */
static uint64_t
max_memory(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    unsigned long long kib = 0;
    char line[256];

    while (f && fgets(line, sizeof line, f)
           && sscanf(line, "VmHWM: %llu", &kib) != 1) {
        continue;
    }
    if (f) {
        fclose(f);
    }
    return kib * 1024;
}

static bool
forget_max_memory(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    bool ok = f && fputs("5", f) >= 0;

    return f && !fclose(f) && ok;
}

/* Addresses of which the last bytes, more or less of them, are zeros. */
static struct measure_fields
make_address(int kind, uint32_t i)
{
    struct measure_fields f;

    memset(&f, 0, sizeof f);
    f.family = kind < 2 ? MEASURE_IPV4 : MEASURE_IPV6;
    if (kind < 2) {
        put_be32(f.source, kind ? i * UINT32_C(2654435761) : i << 8);
    } else {
        put_be32(f.source, 0x20010db8);
        put_be32(f.source + 4 * (kind - 1), i << 8);
    }
    return f;
}

/* For one prefix in a large table the work once was that of all others before
 * it. */
START_TEST(work_and_memory_are_bounded)
{
    bool ipv4 = _i < 2;
    uint32_t lines[MEASURE_N_LAYOUTS] = { ipv4 ? N_MANY : 16,
                                           ipv4 ? 16 : 2 * N_MANY };
    uint32_t none[MEASURE_N_LAYOUTS] = { 0, 0 };
    const uint64_t row_size = ipv4 ? 32 : 64;
    struct measure_hitters_question q = {
        .heavy_only = true, .threshold = { MEASURE_SHARE, 30 },
        .threshold_text = "30%",
    };
    struct measure_scope scope = { .n_reports = 1 };
    struct measure_hitters_answer answer;
    struct measure_pace pace = { 0 };
    struct measure_report *report;
    struct measure_tally *tally;
    uint64_t used, memory;
    bool have_max;

    draw_secret();
    tally = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
    ck_assert(measure_tally_reset(tally, lines, none));
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
    for (uint32_t i = 0; i < N_MANY; i++) {
        struct measure_fields f = make_address(_i, i);
        struct measure_record record = make_record(&f, 60);

        measure_tally_count(tally, &record, 1);
    }
    report = measure_report_merge(&tally, 1, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    measure_tally_destroy(tally);
    scope.reports = (const struct measure_report *const *) &report;
    ck_assert_uint_eq(report->counters.overflow_packets, 0);

    /* Any prefix is heavy, so that none is left out, or few are. */
    ck_assert(measure_hitters_parse_by("source/*", &q));
    measure_memory_trim(&budget, 0);
    used = measure_budget_used(&budget);
    measure_pace_clock.now_ns = count_looks;
    measure_pace_clock.sleep_ns = do_not_sleep;
    for (int few = 0; few < 2; few++) {
        q.threshold.value = few ? 30 : 1e-9;
        n_looks = max_taken = 0;
        budget.limit = used + 6 * N_MANY * row_size;
        have_max = few && forget_max_memory();
        memory = max_memory();
        measure_pace_begin(&pace, 1000);
        ck_assert(measure_hitters_ask(&scope, &q, &answer));
        measure_pace_end();
        if (have_max) {
            /* And little that the budget does not know. */
            ck_assert_uint_le(max_memory(),
                              memory + max_taken - used + (1 << 20));
        }
        ck_assert_uint_eq(answer.keys, N_MANY);
        measure_hitters_answer_destroy(&answer);
        ck_assert_uint_le(max_taken, budget.limit);
        ck_assert_uint_le(n_looks * MEASURE_PACE_ROWS,
                          (UINT64_C(3) * (ipv4 ? 4 : 16) + 16) * N_MANY);
    }

    /* Without room for the addresses. */
    measure_report_forget_groups(report);
    measure_memory_trim(&budget, 0);
    budget.limit = measure_budget_used(&budget) + N_MANY * row_size / 2;
    max_taken = 0;
    measure_pace_begin(&pace, 1000);
    ck_assert(!measure_hitters_ask(&scope, &q, &answer));
    measure_pace_end();
    measure_hitters_answer_destroy(&answer);
    ck_assert_uint_le(max_taken, budget.limit);
    measure_report_destroy(report);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-hierarchy");

    tcase_add_loop_test(tests, truth_is_within_the_bounds, 0, 2);
    tcase_add_loop_test(tests, work_and_memory_are_bounded, 0, 5);
    return tests_run(tests);
}
