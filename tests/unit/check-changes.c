/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of what a report tells the expectations of its keys. */

#include "check-common.h"
#include "check-expectations.h"
#include "check-scopes.h"

#include "questions/measure-changes.h"

/* Expects of each key what the last epoch was. */
static void
expectations_begin(struct expectations *e, uint32_t max_keys)
{
    struct measure_expectations_config config = {
        .max_keys = max_keys, .alpha = 1,
    };

    expectations_init(e, &config, &secret);
}

/* Returns the values of the epoch: all that vanish in the next one. */
static struct measure_change_row *
expected_values(struct measure_expectations *change, size_t *n)
{
    size_t max = change->n_keys;
    struct measure_change_row *values = calloc(max + 1, sizeof *values);

    change->config.floor = 0;
    measure_expectations_close(change, values, 0);
    *n = measure_expectations_close(change, values, max);
    ck_assert_uint_eq(*n, max);
    return values;
}

/* What is expected is what all packets add up to; and of too many keys as many
 * are expected as there is place for. */
START_TEST(changes_are_those_of_all_packets)
{
    static const struct test_scope scope_of_one = { 0, 1, -1, NULL, NULL };
    struct expectations got, expected;
    struct measure_filter filter;
    struct measure_group_by group_by;
    struct measure_scope scope;

    many_flows = true;
    make_reports(MEASURE_KIND_FLOW, 20000);
    open_scope(&scope_of_one, &scope, &filter);
    measure_group_by_of_kind(&group_by, _i);
    expectations_begin(&got, 20000);
    expectations_begin(&expected, 20000);
    ck_assert(measure_changes_add(&scope, _i, got.pointers));
    for (size_t i = 0; i < n_packets; i++) {
        struct measure_record record = make_record(&packets[i].fields,
                                                   packets[i].bytes);
        struct measure_change_item item = { .packets = 1 };
        enum measure_layout layout
            = measure_group_by_key(&group_by, record.verdict, record.key,
                                   item.key);

        if (in_scope(&packets[i], &scope_of_one)) {
            measure_expectations_add(expected.pointers[layout], &item, 1);
        }
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_change_row *a, *b;
        size_t n_a, n_b;

        a = expected_values(got.pointers[layout], &n_a);
        b = expected_values(expected.pointers[layout], &n_b);
        ck_assert_uint_eq(n_a, n_b);
        ck_assert(n_a > 0 || layout == MEASURE_WIDE);
        for (size_t i = 0; i < n_a; i++) {
            REQUIRE(!memcmp(a[i].key, b[i].key, sizeof a[i].key));
            REQUIRE(a[i].expectation == b[i].expectation);
        }
        free(a);
        free(b);
    }
    expectations_destroy(&got);
    expectations_destroy(&expected);

    expectations_begin(&got, 100);
    ck_assert(measure_changes_add(&scope, _i, got.pointers));
    ck_assert_uint_eq(got.change[MEASURE_NARROW].n_keys, 100);
    ck_assert_uint_gt(got.change[MEASURE_NARROW].refused_adds, 0);
    expectations_destroy(&got);
    destroy_reports();
    many_flows = false;
}
END_TEST

/* A report by 'key_kind' of one thread that counted 'n_steady' flows with 50
 * packets each, after 'n_first' and before 'n_last' others with one. */
static struct measure_report *
report_of_steady_flows(enum measure_key_kind key_kind, uint32_t n_lines,
                       uint32_t n_steady, uint32_t n_first, uint32_t n_last)
{
    struct measure_tally *tally = make_tally(key_kind, n_lines, 0);
    struct measure_report *report;

    for (uint32_t i = 0; i < n_first + n_steady + n_last; i++) {
        bool steady = i >= n_first && i < n_first + n_steady;

        for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
            struct measure_fields fields
                = make_fields(layout, 8 * (steady ? i - n_first : 1000 + i));

            put_be32(fields.destination + (layout ? 12 : 0),
                     0x01000000 + 8 * (steady ? i - n_first : 1000 + i));
            for (int j = 0; j < (steady ? 50 : 1); j++) {
                struct measure_record record = make_record(&fields, 100);

                measure_tally_count(tally, &record, 1);
            }
        }
    }
    report = measure_report_merge(&tally, 1, key_kind, &secret, &budget);
    measure_tally_destroy(tally);
    return report;
}

/* Adds 'report' to the running epoch of 'e' and closes it.  Returns how many
 * changes there were. */
static size_t
close_epoch(struct expectations *e, const struct measure_report *report,
            enum measure_key_kind key_kind, bool ok)
{
    const struct measure_scope scope = { .reports = &report, .n_reports = 1 };
    struct measure_change_row rows[100];
    size_t n = 0;

    ck_assert_int_eq(measure_changes_add(&scope, key_kind, e->pointers), ok);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        n += measure_expectations_close(e->pointers[i], rows,
                                        ARRAY_SIZE(rows));
    }
    return n;
}

/* Keys that found no place in the tables have not vanished, nor did they
 * shrink, and they do not appear or grow when there is memory again. */
START_TEST(overflow_is_no_change)
{
    enum measure_key_kind key_kind
        = _i % MEASURE_N_KINDS, counted = _i / MEASURE_N_KINDS;
    struct expectations e;
    struct measure_report *full, *report;

    if (!measure_kind_derives(counted, key_kind)) {
        return;
    }
    draw_secret();
    expectations_begin(&e, 20000);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        e.change[i].config.alpha = .25;
        e.change[i].config.floor = 10;
    }
    report = report_of_steady_flows(counted, 1000, 20, 0, 0);
    ck_assert(!report->counters.overflow_packets);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(close_epoch(&e, report, key_kind, true), 0);
    }
    full = report_of_steady_flows(counted, 64, 20, 300, 0);
    ck_assert_uint_gt(full->counters.overflow_packets, 1000);
    ck_assert_uint_eq(close_epoch(&e, full, key_kind, true), 0);
    ck_assert_uint_eq(close_epoch(&e, report, key_kind, true), 0);
    measure_report_destroy(full);
    measure_report_destroy(report);

    /* It is certain, though, of keys that had more than can be missing. */
    full = report_of_steady_flows(counted, 64, 0, 300, 0);
    ck_assert_uint_gt(full->counters.overflow_packets, 100);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        uint64_t key[MEASURE_KEY_WORDS + 2] = { 0xffff };

        e.change[i].config.floor = 100;
        for (int j = 0; j < 10; j++) {
            key[measure_key_words(i)] = 1000;
            measure_expectations_add_rows(e.pointers[i], key, 1,
                                          measure_masks[key_kind].words[i]);
            measure_expectations_close(e.pointers[i], NULL, 0);
        }
    }
    ck_assert_uint_eq(close_epoch(&e, full, key_kind, true), 2);
    measure_report_destroy(full);
    expectations_destroy(&e);
}
END_TEST

/* An epoch without memory for the question is no change for any key. */
START_TEST(no_memory_is_no_change)
{
    struct expectations e;
    struct measure_report *report, *large;

    draw_secret();
    expectations_begin(&e, 20000);
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        e.change[i].config.floor = 10;
    }
    report = report_of_steady_flows(MEASURE_KIND_FLOW, 20000, 20, 0, 0);
    large = report_of_steady_flows(MEASURE_KIND_FLOW, 20000, 20, 0, 10000);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(close_epoch(&e, report, _i, true), 0);
    }
    measure_memory_trim(&budget, 0);
    budget.limit = 1;
    ck_assert_uint_eq(close_epoch(&e, large, _i, false), 0);
    budget.limit = 0;
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(close_epoch(&e, report, _i, true), 0);
    }
    ck_assert_uint_eq(e.change[MEASURE_NARROW].n_keys, 20);
    measure_report_destroy(report);
    measure_report_destroy(large);
    expectations_destroy(&e);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("changes");

    tcase_add_loop_test(tests, changes_are_those_of_all_packets,
                        MEASURE_KIND_FLOW, MEASURE_KIND_SOURCE + 1);
    tcase_add_loop_test(tests, overflow_is_no_change, 0,
                        MEASURE_N_KINDS * MEASURE_N_KINDS);
    tcase_add_loop_test(tests, no_memory_is_no_change,
                        MEASURE_KIND_PAIR, MEASURE_N_KINDS);
    return tests_run(tests);
}
