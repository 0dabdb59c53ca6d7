/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the stages that look at rows: top, window, ewma, histogram. */

#include "check-stage.h"

#include <math.h>

extern const struct measure_stage_class measure_stage_ewma;
extern const struct measure_stage_class measure_stage_histogram;
extern const struct measure_stage_class measure_stage_top;
extern const struct measure_stage_class measure_stage_window;

#define START UINT64_C(1700000000000000000)
#define SECOND UINT64_C(1000000000)
#define MAX_KEYS 20000

/* Rows of keys that have a number: both layouts, by turns. */

static struct measure_schema input;

static void
begin(void)
{
    memset(&input, 0, sizeof input);
    input.of = "count";
    input.has_key = true;
    measure_group_by_of_kind(&input.group_by, MEASURE_KIND_FLOW);
    measure_schema_add(&input, "packets", MEASURE_COLUMN_COUNT);
    measure_schema_add(&input, "bytes", MEASURE_COLUMN_COUNT);
    measure_schema_add(&input, "packets-error-max", MEASURE_COLUMN_ERROR);
}

static struct measure_fields
key_fields(uint32_t i)
{
    return make_fields(i % 2 ? MEASURE_WIDE : MEASURE_NARROW, i / 2);
}

/* The number of a key that make_fields() has made. */
static uint32_t
key_number(const struct measure_row *row)
{
    struct measure_fields fields = row_fields(row), expected;
    const uint8_t *s = fields.source;
    bool wide = fields.family == MEASURE_IPV6;
    uint32_t i;

    s += wide ? 12 : 0;
    i = (uint32_t) s[1] << 16 | s[2] << 8 | s[3];
    for (i = i * 8; ; i++) {
        expected = make_fields(wide ? MEASURE_WIDE : MEASURE_NARROW, i);
        if (fields_equal(&fields, &expected)) {
            return i * 2 + wide;
        }
        REQUIRE(i < MAX_KEYS);
    }
}

static void
give_values(struct measure_stage *stage, uint32_t key, uint8_t flags,
            const uint64_t *values, size_t n)
{
    union measure_row_buffer buffer;
    struct measure_fields fields = key_fields(key);

    memset(&buffer, 0, sizeof buffer);
    buffer.row.layout = measure_key_from_fields(buffer.row.key, &fields);
    buffer.row.flags = flags;
    buffer.row.n_present = n;
    for (size_t i = 0; i < n; i++) {
        buffer.row.values[i] = values[i];
    }
    check_stage_row(stage, &buffer.row);
}

static void
give_counts(struct measure_stage *stage, uint32_t key, uint8_t flags,
            uint64_t packets, uint64_t bytes)
{
    uint64_t values[] = { packets, bytes, packets % 3 };

    give_values(stage, key, flags, values, 3);
}

/* top */

struct sorted {
    uint32_t key;
    uint64_t value;
};

static int
compare_sorted(const void *a_, const void *b_)
{
    const struct sorted *a = a_, *b = b_;
    struct measure_fields fields[] = { key_fields(a->key),
                                       key_fields(b->key) };

    return (a->value != b->value ? (a->value > b->value ? -1 : 1)
            : measure_fields_compare(&fields[0], &fields[1]));
}

START_TEST(top_has_the_largest)
{
    static const size_t ns[] = { 1, 3, 10, 100, 1000, 5000 };
    struct random r = random_from(test_seed + _i);
    struct measure_stage *stage;
    char *text = measure_format("top n=%zu%s", ns[_i],
                                _i % 2 ? " by=bytes" : "");
    struct sorted sorted[1000];
    size_t n_expected = measure_min(ns[_i], 1000);

    begin();
    stage = check_stage(text, &input, &measure_stage_top);
    ck_assert_int_eq(stage->schema.order, MEASURE_ORDER_KEPT);
    ck_assert_uint_eq(stage->schema.columns[3].error_of, 1);
    for (int interval = 0; interval < 3; interval++) {
        uint64_t packets = 0, bytes = 0, errors = 0;

        for (uint32_t i = 0; i < 1000; i++) {
            uint64_t n = 1 + random_below(&r, 50);
            uint64_t b = n * 64 + random_below(&r, 100);

            give_counts(stage, i, 0, n, b);
            sorted[i] = (struct sorted) { i, _i % 2 ? b : n };
            packets += n;
            bytes += b;
            errors += n % 3;
        }
        for (int i = 0; i < interval; i++) {
            give_counts(stage, 0, MEASURE_ROW_OTHER, 7, 700);
            packets += 7;
            bytes += 700;
            errors += 1;
        }
        qsort(sorted, 1000, sizeof *sorted, compare_sorted);
        check_stage_interval(stage, START, START + SECOND, interval == 2);
        ck_assert_uint_eq(out.n_rows,
                          n_expected + (n_expected < 1000 || interval));
        for (size_t i = 0; i < out.n_rows; i++) {
            const struct measure_row *row = out.rows[i];

            packets -= row_value(row, "packets");
            bytes -= row_value(row, "bytes");
            errors -= row_value(row, "packets-error-max");
            if (i < n_expected) {
                ck_assert_uint_eq(row_value(row, "rank"), i + 1);
                ck_assert_uint_eq(key_number(row), sorted[i].key);
                ck_assert_uint_eq(row_value(row, _i % 2 ? "bytes" : "packets"),
                                  sorted[i].value);
            } else {
                ck_assert_uint_eq(row->flags, MEASURE_ROW_OTHER);
                ck_assert_uint_eq(row->time_ns, START + SECOND);
            }
        }
        ck_assert_uint_eq(packets, 0);
        ck_assert_uint_eq(bytes, 0);
        ck_assert_uint_eq(errors, 0);
        check_out_forget();
    }
    check_stage_close(stage);
    free(text);
}
END_TEST

/* Numbers with a fraction, of either sign, and rows without one. */
START_TEST(top_orders_decimals)
{
    static const double values[] = { -2.5, 0, 7.25, -1e9, 3, 1e12 };
    static const uint32_t order[] = { 5, 2, 4, 1, 0, 3 };
    struct measure_stage *stage;

    begin();
    input.n = 0;
    measure_schema_add(&input, "ratio", MEASURE_COLUMN_DECIMAL);
    stage = check_stage("top n=6", &input, &measure_stage_top);
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t bits;

        memcpy(&bits, &values[i], sizeof bits);
        give_values(stage, i, 0, &bits, 1);
    }
    give_values(stage, 9, 0, NULL, 0);
    check_stage_interval(stage, START, START + SECOND, true);
    ck_assert_uint_eq(out.n_rows, 7);
    for (uint32_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(key_number(out.rows[i]), order[i]);
    }
    ck_assert_uint_eq(out.rows[6]->flags, MEASURE_ROW_OTHER);
    check_stage_close(stage);
}
END_TEST

/* What a key has in several rows counts together; in little memory, some keys
 * do, and the others are one row. */
START_TEST(top_adds_up_rows_of_a_key)
{
    static uint64_t of_key[MAX_KEYS];
    struct random r = random_from(test_seed + _i);
    uint32_t n_keys = _i ? MAX_KEYS : 1000;
    struct measure_stage *stage;

    begin();
    input.repeats_keys = true;
    budget.limit = _i ? MEASURE_MIB : 0;
    stage = check_stage("top n=20", &input, &measure_stage_top);
    ck_assert(!stage->schema.repeats_keys);
    for (int interval = 0; interval < 3; interval++) {
        uint64_t packets = 0, least, lost = stage->lost;
        uint32_t n_larger = 0;

        memset(of_key, 0, sizeof of_key);
        for (uint32_t i = 0; i < 4 * n_keys; i++) {
            uint32_t key = random_below(&r, n_keys);
            uint64_t n = 1 + random_below(&r, 50);

            give_counts(stage, key, 0, n, 64 * n);
            of_key[key] += n;
            packets += n;
        }
        check_stage_interval(stage, START, START + SECOND, interval == 2);
        ck_assert_uint_eq(out.n_rows, 21);
        for (size_t i = 0; i < 20; i++) {
            const struct measure_row *row = out.rows[i];

            least = row_value(row, "packets");
            ck_assert_uint_eq(least, of_key[key_number(row)]);
            ck_assert_uint_eq(row->time_ns, START + SECOND);
            of_key[key_number(row)] = 0;
            packets -= least;
        }
        for (uint32_t key = 0; key < n_keys; key++) {
            n_larger += of_key[key] > least;
        }
        REQUIRE(_i || !n_larger);
        ck_assert_uint_eq(row_value(out.rows[20], "packets"), packets);
        ck_assert_uint_eq(stage->lost > lost, _i);
        check_out_forget();
    }
    check_stage_close(stage);
}
END_TEST

/* The row of others has sums of counts and levels, and no others. */
START_TEST(top_adds_up_what_adds_up)
{
    static const uint64_t expected[] = { 0, 30, 36, 0, 0, 0 };
    struct measure_stage *stage;

    begin();
    input.n = 0;
    measure_schema_add(&input, "syns", MEASURE_COLUMN_COUNT);
    measure_schema_add(&input, "half-open", MEASURE_COLUMN_LEVEL);
    measure_schema_add(&input, "sources", MEASURE_COLUMN_GAUGE);
    measure_schema_add(&input, "sources-error-max", MEASURE_COLUMN_ERROR);
    input.columns[3].error_of = 2;
    measure_schema_add(&input, "rtt-ns", MEASURE_COLUMN_NS);
    stage = check_stage("top n=1 by=syns", &input, &measure_stage_top);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t values[] = { 10, 12, 14, 16, 18 };

        values[0] += i == 2;
        give_values(stage, i, 0, values, 5);
    }
    check_stage_interval(stage, START, START + SECOND, true);
    ck_assert_uint_eq(out.n_rows, 2);
    ck_assert_uint_eq(key_number(out.rows[0]), 2);
    for (size_t i = 0; i < 6; i++) {
        ck_assert_uint_eq(out.rows[1]->values[i], expected[i]);
    }
    check_stage_close(stage);
}
END_TEST

START_TEST(top_refuses_what_is_wrong)
{
    begin();
    check_stage_error("top n=0", &input, &measure_stage_top,
                      "valid is a number from 1 to 100000");
    check_stage_error("top n=x", &input, &measure_stage_top,
                      "valid is a number from 1 to 100000");
    check_stage_error("top by=", &input, &measure_stage_top,
                      "valid is the name of a column");
    check_stage_error("top by=pakets", &input, &measure_stage_top,
                      "by=pakets: count has no such column; valid is packets, "
                      "bytes, packets-error-max");
    budget.limit = MEASURE_MIB;
    check_stage_error("top n=100000", &input, &measure_stage_top,
                      "n=100000: no memory for as many rows");
}
END_TEST

/* window */

#define N_KEYS 300
#define N_INTERVALS 40

START_TEST(windows_are_sums)
{
    static const size_t ns[] = { 1, 2, 7, 100 };
    static uint64_t packets[N_INTERVALS][N_KEYS];
    static uint64_t others[N_INTERVALS];
    struct random r = random_from(test_seed + _i);
    char *text = measure_format("window n=%zu", ns[_i]);
    struct measure_stage *stage;

    begin();
    stage = check_stage(text, &input, &measure_stage_window);
    memset(packets, 0, sizeof packets);
    memset(others, 0, sizeof others);
    for (size_t t = 0; t < N_INTERVALS; t++) {
        size_t first = t >= ns[_i] ? t - ns[_i] + 1 : 0;
        size_t n_expected = 0, n_rows = 0;
        uint64_t other = 0;

        /* Few at a time, so that keys come and go. */
        for (int i = 0; i < 40; i++) {
            uint32_t key = random_below(&r, N_KEYS);
            uint64_t n = 1 + random_below(&r, 9);

            give_counts(stage, key, 0, n, 64 * n);
            packets[t][key] += n;
        }
        if (!random_below(&r, 4)) {
            give_counts(stage, 0, MEASURE_ROW_OTHER, 5, 320);
            others[t] = 5;
        }
        check_stage_interval(stage, START, START + SECOND,
                             t == N_INTERVALS - 1);
        for (size_t u = first; u <= t; u++) {
            other += others[u];
        }
        for (size_t i = 0; i < out.n_rows; i++) {
            const struct measure_row *row = out.rows[i];
            uint64_t sum = 0;

            ck_assert_uint_eq(row_value(row, "intervals"), t - first + 1);
            if (row->flags & MEASURE_ROW_OTHER) {
                ck_assert_uint_eq(row_value(row, "packets"), other);
                other = 0;
                continue;
            }
            for (size_t u = first; u <= t; u++) {
                sum += packets[u][key_number(row)];
            }
            ck_assert_uint_gt(sum, 0);
            ck_assert_uint_eq(row_value(row, "packets"), sum);
            ck_assert_uint_eq(row_value(row, "bytes"), sum * 64);
            n_rows++;
        }
        for (uint32_t key = 0; key < N_KEYS; key++) {
            uint64_t sum = 0;

            for (size_t u = first; u <= t; u++) {
                sum += packets[u][key];
            }
            n_expected += sum != 0;
        }
        ck_assert_uint_eq(n_rows, n_expected);
        ck_assert_uint_eq(other, 0);
        check_out_forget();
    }
    ck_assert_uint_eq(stage->lost, 0);
    check_stage_close(stage);
    free(text);
}
END_TEST

/* A key that was among the others of an interval has a bound for that, also in
 * columns that come without one. */
START_TEST(window_has_bounds_for_others)
{
    struct measure_stage *stage;

    begin();
    stage = check_stage("window n=2", &input, &measure_stage_window);
    ck_assert_uint_eq(stage->schema.n, 5);
    ck_assert(stage->schema.of_other_time);
    ck_assert_int_eq(stage->schema.columns[3].kind, MEASURE_COLUMN_ERROR);
    ck_assert_uint_eq(stage->schema.columns[3].error_of, 1);
    for (int t = 0; t < 4; t++) {
        /* In the first interval the key is one of the others. */
        give_values(stage, 0, t ? 0 : MEASURE_ROW_OTHER,
                    (uint64_t[]) { 50, 7000, 3 }, 3);
        check_stage_interval(stage, START, START + SECOND, t == 3);
        ck_assert_uint_eq(out.n_rows, t == 1 ? 2 : 1);
        for (size_t i = 0; i < out.n_rows; i++) {
            const struct measure_row *row = out.rows[i];
            bool other = row->flags & MEASURE_ROW_OTHER;

            ck_assert_uint_eq(row_value(row, "packets"), t < 2 ? 50 : 100);
            ck_assert_uint_eq(row_value(row, "packets-error-max"),
                              t == 0 || other ? 3 : t == 1 ? 3 + 50 + 3 : 6);
            ck_assert_uint_eq(row_value(row, "bytes-error-max"),
                              t == 1 && !other ? 7000 : 0);
        }
        check_out_forget();
    }
    check_stage_close(stage);
}
END_TEST

/* In little memory the sums over all rows are still right, and no key has more
 * than its row allows. */
START_TEST(window_adds_up_in_little_memory)
{
    static uint64_t of_key[20][MAX_KEYS];
    struct random r = random_from(test_seed);
    uint64_t packets[20] = { 0 };
    struct measure_stage *stage;
    bool has_other = false;
    uint64_t n_short = 0;

    begin();
    memset(of_key, 0, sizeof of_key);
    budget.limit = MEASURE_MIB;
    stage = check_stage("window n=5", &input, &measure_stage_window);
    for (size_t t = 0; t < 20; t++) {
        uint64_t expected = 0;

        for (uint32_t i = 0; i < 3000; i++) {
            uint32_t key = random_below(&r, MAX_KEYS);
            uint64_t values[] = { 1 + random_below(&r, 9), 0, 0 };

            give_values(stage, key, 0, values, 3);
            packets[t] += values[0];
            of_key[t][key] += values[0];
        }
        ck_assert_uint_le(measure_budget_used(&budget), budget.limit);
        check_stage_interval(stage, START, START + SECOND, t == 19);
        for (size_t u = t >= 5 ? t - 4 : 0; u <= t; u++) {
            expected += packets[u];
        }
        for (size_t i = 0; i < out.n_rows; i++) {
            const struct measure_row *row = out.rows[i];
            uint64_t n = row_value(row, "packets"), sum = 0;

            expected -= n;
            if (row->flags & MEASURE_ROW_OTHER) {
                has_other = true;
                continue;
            }
            for (size_t u = t >= 5 ? t - 4 : 0; u <= t; u++) {
                sum += of_key[u][key_number(row)];
            }
            REQUIRE(n <= sum && sum <= n + row_value(row,
                                                     "packets-error-max"));
            n_short += n < sum;
        }
        ck_assert_uint_eq(expected, 0);
        check_out_forget();
    }
    ck_assert(has_other);
    ck_assert_uint_gt(n_short, 0);
    ck_assert_uint_gt(stage->lost, 0);
    check_stage_close(stage);
}
END_TEST

/* The last interval is empty if all packets were in those before: there is
 * nothing to say of it. */
START_TEST(an_empty_end_is_no_interval)
{
    struct measure_stage *stage;

    begin();
    stage = (_i ? check_stage("ewma", &input, &measure_stage_ewma)
             : check_stage("window n=3", &input, &measure_stage_window));
    give_counts(stage, 1, 0, 10, 100);
    check_stage_interval(stage, START, START + SECOND, false);
    ck_assert_uint_eq(out.n_rows, 1);
    check_stage_interval(stage, START + SECOND, START + SECOND, true);
    ck_assert_uint_eq(out.n_rows, 1);
    check_stage_close(stage);
}
END_TEST

static const struct {
    const char *name;
    enum measure_column_kind kind;
} gauges[] = {
    { "rank", MEASURE_COLUMN_GAUGE }, { "half-open", MEASURE_COLUMN_LEVEL },
    { "rtt-ns", MEASURE_COLUMN_NS },
    { "first-ns", MEASURE_COLUMN_TIME },
    { "packets-expected", MEASURE_COLUMN_DECIMAL },
};

START_TEST(what_does_not_add_up_is_refused)
{
    char *expected = measure_format("the column %s of count does not add up "
                                    "over intervals", gauges[_i].name);

    begin();
    measure_schema_add(&input, gauges[_i].name, gauges[_i].kind);
    check_stage_error("window n=3", &input, &measure_stage_window, expected);
    check_stage_error("ewma", &input, &measure_stage_ewma, expected);
    free(expected);
}
END_TEST

START_TEST(window_refuses_what_is_wrong)
{
    begin();
    check_stage_error("window", &input, &measure_stage_window,
                      "needs n=, a number of intervals from 1 to 10000");
    check_stage_error("window n=10001", &input, &measure_stage_window,
                      "valid is a number of intervals from 1 to 10000");
    budget.limit = 100000;
    check_stage_error("window n=10000", &input, &measure_stage_window,
                      "n=10000: no memory for as many intervals");
}
END_TEST

/* ewma */

START_TEST(expectations_are_averages)
{
    static const double alphas[] = { 0.1, 0.3, 1 };
    struct random r = random_from(test_seed + _i);
    char *text = measure_format("ewma alpha=%s", _i == 0 ? "0.1"
                                : _i == 1 ? "0.3" : "1");
    double alpha = alphas[_i];
    double expected[N_KEYS] = { 0 };
    bool known[N_KEYS] = { false };
    struct measure_stage *stage;

    begin();
    stage = check_stage(text, &input, &measure_stage_ewma);
    for (int t = 0; t < N_INTERVALS; t++) {
        uint64_t packets[N_KEYS] = { 0 };
        bool seen[N_KEYS] = { false };

        for (int i = 0; i < 100; i++) {
            uint32_t key = random_below(&r, N_KEYS);
            uint64_t n = 1 + random_below(&r, 9);

            give_counts(stage, key, 0, n, 64 * n);
            packets[key] += n;
            known[key] = true;
        }
        check_stage_interval(stage, START, START + SECOND, false);
        for (size_t i = 0; i < out.n_rows; i++) {
            const struct measure_row *row = out.rows[i];
            uint32_t key = key_number(row);

            REQUIRE(known[key] && !seen[key]);
            seen[key] = true;
            ck_assert_uint_eq(row_value(row, "packets"), packets[key]);
            if (t) {
                ck_assert(fabs(row_decimal(row, "packets-expected")
                               - expected[key]) < 1e-9);
                ck_assert(fabs(row_decimal(row, "bytes-expected")
                               - 64 * expected[key]) < 1e-6);
            } else {
                ck_assert_uint_eq(row->n_present, 3);
            }
        }
        for (uint32_t key = 0; key < N_KEYS; key++) {
            REQUIRE(seen[key] == known[key]);
            expected[key] = (t ? alpha * packets[key]
                             + (1 - alpha) * expected[key] : packets[key]);
            /* Bytes are more. */
            if (!packets[key] && expected[key] * 64 < 0.5) {
                known[key] = false;
                expected[key] = 0;
            }
        }
        check_out_forget();
    }
    check_stage_close(stage);
    free(text);
}
END_TEST

/* Only what is far above its past, and the rest as one row. */
START_TEST(ewma_has_a_threshold)
{
    struct measure_stage *stage;

    begin();
    stage = check_stage("ewma alpha=0.5 threshold=2.5", &input,
                        &measure_stage_ewma);
    for (int t = 0; t < 2; t++) {
        /* 1 as before, 2 and 3 more, 4 much more, 5 is new, 6 is gone. */
        static const uint64_t packets[2][7] = {
            { 0, 10, 10, 10, 10, 0, 10 }, { 0, 10, 20, 25, 99, 1, 0 },
        };

        for (uint32_t key = 1; key < 7; key++) {
            if (packets[t][key]) {
                give_counts(stage, key, 0, packets[t][key], 0);
            }
        }
        check_stage_interval(stage, START, START + SECOND, t == 1);
        if (!t) {
            ck_assert_uint_eq(out.n_rows, 1);
            ck_assert_uint_eq(out.rows[0]->flags, MEASURE_ROW_OTHER);
            ck_assert_uint_eq(row_value(out.rows[0], "packets"), 50);
        } else {
            ck_assert_uint_eq(out.n_rows, 4);
            for (size_t i = 0; i < 3; i++) {
                uint32_t key = key_number(out.rows[i]);

                ck_assert_uint_ge(key, 3);
                ck_assert_uint_le(key, 5);
            }
            ck_assert_uint_eq(out.rows[3]->flags, MEASURE_ROW_OTHER);
            ck_assert_uint_eq(row_value(out.rows[3], "packets"), 30);
        }
        check_out_forget();
    }
    check_stage_close(stage);
}
END_TEST

START_TEST(ewma_adds_up_in_little_memory)
{
    struct random r = random_from(test_seed);
    struct measure_stage *stage;

    begin();
    budget.limit = MEASURE_MIB;
    stage = check_stage("ewma", &input, &measure_stage_ewma);
    for (size_t t = 0; t < 10; t++) {
        uint64_t packets = 0;

        for (uint32_t i = 0; i < 10000; i++) {
            uint64_t n = 1 + random_below(&r, 9);

            give_counts(stage, random_below(&r, MAX_KEYS), 0, n, n);
            packets += n;
        }
        ck_assert_uint_le(measure_budget_used(&budget), budget.limit);
        check_stage_interval(stage, START, START + SECOND, t == 9);
        for (size_t i = 0; i < out.n_rows; i++) {
            packets -= row_value(out.rows[i], "packets");
        }
        ck_assert_uint_eq(packets, 0);
        check_out_forget();
    }
    ck_assert_uint_gt(stage->lost, 0);
    check_stage_close(stage);
}
END_TEST

START_TEST(ewma_refuses_what_is_wrong)
{
    begin();
    check_stage_error("ewma alpha=0", &input, &measure_stage_ewma,
                      "valid is a number from 0.001 to 1");
    check_stage_error("ewma alpha=0.5x", &input, &measure_stage_ewma,
                      "valid is a number from 0.001 to 1");
    check_stage_error("ewma alpha=nan", &input, &measure_stage_ewma,
                      "valid is a number from 0.001 to 1");
    check_stage_error("ewma threshold=0.5", &input, &measure_stage_ewma,
                      "valid is a number from 1 to 1000000");
    budget.limit = 1000;
    check_stage_error("ewma", &input, &measure_stage_ewma,
                      "no memory for a first table");
}
END_TEST

/* histogram */

static size_t
bucket_of(uint64_t value)
{
    size_t i = 0;

    while (value) {
        value /= 2;
        i++;
    }
    return i;
}

/* Compares the rows with 'counts' of 65 buckets. */
static void
check_histogram(const uint64_t *counts, uint64_t n_without, const char *column,
                const char *from, const char *to)
{
    size_t row = 0;

    for (size_t i = 0; i < 65; i++) {
        if (counts[i]) {
            ck_assert_uint_lt(row, out.n_rows);
            ck_assert_uint_eq(row_value(out.rows[row], column), counts[i]);
            ck_assert_uint_eq(bucket_of(row_value(out.rows[row], from)), i);
            ck_assert_uint_eq(bucket_of(row_value(out.rows[row], to)), i);
            ck_assert_uint_eq(bucket_of(row_value(out.rows[row], to) + 1),
                              i == 64 ? 0 : i + 1);
            ck_assert(!i || bucket_of(row_value(out.rows[row], from) - 1)
                            == i - 1);
            row++;
        }
    }
    if (n_without) {
        ck_assert_uint_eq(out.rows[row]->flags, MEASURE_ROW_OTHER);
        ck_assert_uint_eq(row_value(out.rows[row++], column), n_without);
    }
    ck_assert_uint_eq(out.n_rows, row);
}

START_TEST(histogram_of_packets)
{
    struct random r = random_from(test_seed + _i);
    struct check_packets packets = check_packets_random(&r, 3000, 60);
    struct measure_stage *stage
        = check_stage(_i ? "histogram of=gap" : "histogram", NULL,
                      &measure_stage_histogram);
    uint64_t counts[65] = { 0 };
    uint64_t last = 0;

    check_stage_packets(stage, &packets, &r);
    check_stage_interval(stage, START, START + SECOND, true);
    for (size_t i = 0; i < packets.n; i++) {
        uint64_t time_ns = packets.packets[i].time_ns;

        if (!_i) {
            counts[bucket_of(packets.packets[i].length)]++;
        } else if (last) {
            counts[bucket_of(time_ns - last)]++;
        }
        last = time_ns;
    }
    check_histogram(counts, _i, "packets", _i ? "from-ns" : "from",
                    _i ? "to-ns" : "to");
    check_stage_close(stage);
    check_packets_free(&packets);
}
END_TEST

START_TEST(histogram_of_rows)
{
    struct random r = random_from(test_seed);
    struct measure_stage *stage;
    uint64_t counts[65] = { 0 };

    begin();
    stage = check_stage("histogram of=bytes buckets=powers-of-2", &input,
                        &measure_stage_histogram);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t bytes = random_next(&r) >> random_below(&r, 64);

        bytes = i ? bytes : UINT64_MAX;
        bytes = i != 1 ? bytes : 0;
        give_counts(stage, i, 0, 1, bytes);
        counts[bucket_of(bytes)]++;
    }
    give_values(stage, 0, 0, counts, 1);        /* No column "bytes". */
    give_counts(stage, 0, MEASURE_ROW_OTHER, 1, 1);
    check_stage_interval(stage, START, START + SECOND, true);
    check_histogram(counts, 2, "rows", "from", "to");
    check_stage_close(stage);
}
END_TEST

START_TEST(histogram_refuses_what_is_wrong)
{
    begin();
    check_stage_error("histogram of=width", NULL, &measure_stage_histogram,
                      "of=width: valid of packets is length or gap");
    check_stage_error("histogram of=width", &input, &measure_stage_histogram,
                      "of=width: count has no such column; valid is packets, "
                      "bytes, packets-error-max");
    check_stage_error("histogram of=", NULL, &measure_stage_histogram,
                      "valid is length or gap of packets, or the name of a "
                      "column of rows");
    check_stage_error("histogram buckets=10", NULL, &measure_stage_histogram,
                      "valid is powers-of-2");
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-stages-rows");

    tcase_add_loop_test(tests, top_has_the_largest, 0, 6);
    tcase_add_test(tests, top_orders_decimals);
    tcase_add_loop_test(tests, top_adds_up_rows_of_a_key, 0, 2);
    tcase_add_test(tests, top_adds_up_what_adds_up);
    tcase_add_test(tests, top_refuses_what_is_wrong);
    tcase_add_loop_test(tests, windows_are_sums, 0, 4);
    tcase_add_test(tests, window_has_bounds_for_others);
    tcase_add_test(tests, window_adds_up_in_little_memory);
    tcase_add_loop_test(tests, an_empty_end_is_no_interval, 0, 2);
    tcase_add_loop_test(tests, what_does_not_add_up_is_refused, 0,
                        ARRAY_SIZE(gauges));
    tcase_add_test(tests, window_refuses_what_is_wrong);
    tcase_add_loop_test(tests, expectations_are_averages, 0, 3);
    tcase_add_test(tests, ewma_has_a_threshold);
    tcase_add_test(tests, ewma_adds_up_in_little_memory);
    tcase_add_test(tests, ewma_refuses_what_is_wrong);
    tcase_add_loop_test(tests, histogram_of_packets, 0, 2);
    tcase_add_test(tests, histogram_of_rows);
    tcase_add_test(tests, histogram_refuses_what_is_wrong);
    return tests_run(tests);
}
