/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of alerts that are raised of reports, and of changes. */

#include "check-common.h"
#include "check-secret.h"

#include "questions/measure-raise.h"
#include "report/measure-merge.h"

static struct measure_config config;
static struct measure_report *report;
static struct measure_scope scope;
static struct measure_raised raised;
static uint64_t n_epochs;

static void
begin(void)
{
    struct random r = random_from(test_seed);

    random_fill(&r, &secret, sizeof secret);
    measure_config_init(&config);
    memset(&scope, 0, sizeof scope);
    memset(&raised, 0, sizeof raised);
    n_epochs = 0;
}

/* What one flow has in an epoch. */
struct sent {
    uint32_t flow;              /* See make_fields(). */
    uint32_t packets;
};

static struct measure_tally *
begin_epoch(void)
{
    static const uint32_t n_lines[MEASURE_N_LAYOUTS] = { 4096, 16 };
    static const uint32_t none[MEASURE_N_LAYOUTS] = { 0, 0 };
    struct measure_tally *tally = measure_tally_create(&secret, &budget,
                                                       MEASURE_ANY_NODE);

    ck_assert(measure_tally_reset(tally, n_lines, none));
    measure_tally_begin(tally, config.key);
    return tally;
}

static void
count(struct measure_tally *tally, const struct measure_fields *fields,
      uint32_t packets)
{
    for (uint32_t i = 0; i < packets; i++) {
        struct measure_record record = make_record(fields, 100);

        measure_tally_count(tally, &record, 1);
    }
}

/* Makes the report of 'tally' the one in 'scope'. */
static void
end_epoch(struct measure_tally *tally)
{
    report = measure_report_merge(&tally, 1, config.key, &secret, &budget);
    report->number = ++n_epochs;
    report->start_ms = 1000 * n_epochs;
    report->duration_ms = 1000;
    scope.reports = (const struct measure_report *const *) &report;
    scope.n_reports = 1;
    measure_tally_destroy(tally);
    raised.n = 0;
}

static void
forget_report(void)
{
    measure_report_destroy(report);
    measure_memory_trim(&budget, 0);
}

/* Counts the 'n' flows in 'sent', and raises alerts of heavy hitters.  Returns
 * how many there are. */
static size_t
heavy_epoch(struct measure_known *known, const struct sent *sent, size_t n)
{
    struct measure_tally *tally = begin_epoch();

    for (size_t i = 0; i < n; i++) {
        struct measure_fields fields = make_fields(MEASURE_NARROW,
                                                   sent[i].flow);

        count(tally, &fields, sent[i].packets);
    }
    end_epoch(tally);
    ck_assert(measure_raise_heavy_hitters(&raised, known, &scope, &config));
    forget_report();
    return raised.n;
}

/* An alert when a flow becomes heavy, none while it stays so, and another when
 * it becomes so again. */
START_TEST(heavy_hitters_are_raised_once)
{
    static const struct sent one[] = { { 1, 90 }, { 2, 10 } };
    static const struct sent two[] = { { 1, 60 }, { 2, 40 } };
    static const struct sent other[] = { { 2, 90 }, { 3, 10 } };
    struct measure_known known = { NULL, 0 };

    begin();
    ck_assert(measure_config_set(&config, MEASURE_SETTING_HEAVY_HITTER,
                                 "40%"));
    ck_assert_uint_eq(heavy_epoch(&known, one, 2), 1);
    ck_assert_str_eq(raised.alerts[0].task, "heavy-hitter");
    ck_assert_str_eq(raised.alerts[0].unit, "packets");
    ck_assert_uint_eq(raised.alerts[0].epoch, 1);
    ck_assert_int_eq(raised.alerts[0].time_ms, 2000);
    ck_assert_uint_eq(raised.alerts[0].value, 90);
    ck_assert_uint_eq(raised.alerts[0].threshold, 40);
    ck_assert_str_eq(raised.alerts[0].rule,
                     "at or above measure-heavy-hitter=40%");
    ck_assert_ptr_null(raised.alerts[0].estimate);
    ck_assert_uint_eq(heavy_epoch(&known, one, 2), 0);
    ck_assert_uint_eq(heavy_epoch(&known, two, 2), 1);
    ck_assert_uint_eq(raised.alerts[0].value, 40);
    ck_assert_uint_eq(heavy_epoch(&known, other, 2), 0);
    ck_assert_uint_eq(heavy_epoch(&known, one, 2), 1);
    ck_assert_uint_eq(raised.alerts[0].value, 90);
    free(known.keys);
    free(raised.alerts);
}
END_TEST

/* Of more than MEASURE_RAISED_ALERTS the largest are raised, and the others
 * counted. */
START_TEST(too_many_are_counted)
{
    enum { N = MEASURE_RAISED_ALERTS + 50 };
    struct measure_known known = { NULL, 0 };
    static struct sent sent[N];

    begin();
    ck_assert(measure_config_set(&config, MEASURE_SETTING_HEAVY_HITTER,
                                 "5pps"));
    for (int i = 0; i < N; i++) {
        sent[i] = (struct sent) { i, 5 + i };
    }
    ck_assert_uint_eq(heavy_epoch(&known, sent, N), MEASURE_RAISED_ALERTS);
    ck_assert_uint_eq(raised.not_listed, 50);
    for (size_t i = 0; i < raised.n; i++) {
        ck_assert_uint_eq(raised.alerts[i].value, 5 + N - 1 - i);
    }
    /* They are known all the same. */
    ck_assert_uint_eq(heavy_epoch(&known, sent, N), 0);
    ck_assert_uint_eq(raised.not_listed, 50);
    free(known.keys);
    free(raised.alerts);
}
END_TEST

START_TEST(superspreaders_are_raised_once)
{
    struct measure_known known = { NULL, 0 };

    begin();
    ck_assert(measure_config_set(&config, MEASURE_SETTING_SUPERSPREADER,
                                 "100"));
    for (int epoch = 0; epoch < 4; epoch++) {
        uint32_t n = epoch == 2 ? 99 : 100 + epoch;
        struct measure_tally *tally = begin_epoch();

        for (uint32_t i = 0; i < n; i++) {
            struct measure_fields fields = make_fields(MEASURE_NARROW, 0);

            put_be32(fields.destination, 0xc0a80000 + i);
            count(tally, &fields, 1);
        }
        end_epoch(tally);
        ck_assert(measure_raise_superspreaders(
            &raised, &known, &scope, &config,
            MEASURE_SUPERSPREADERS_BY_SOURCE));
        ck_assert_uint_eq(raised.n, epoch == 0 || epoch == 3);
        if (raised.n) {
            ck_assert_str_eq(raised.alerts[0].task, "superspreader");
            ck_assert_str_eq(raised.alerts[0].unit, "destinations");
            ck_assert_uint_eq(raised.alerts[0].value, n);
            ck_assert_uint_eq(raised.alerts[0].threshold, 100);
            ck_assert_uint_eq(raised.alerts[0].n_fields, 1);
            ck_assert_str_eq(raised.alerts[0].fields[0].name, "source");
            ck_assert_str_eq(raised.alerts[0].fields[0].text, "10.0.0.0");
        }
        forget_report();
    }
    free(known.keys);
    free(raised.alerts);
}
END_TEST

/* A flow that is the same in each epoch, and another that comes when history
 * is known. */
START_TEST(changes_are_found_and_raised)
{
    struct measure_expected expected;
    struct measure_changes *changes;

    begin();
    memset(&expected, 0, sizeof expected);
    ck_assert(measure_config_set(&config, MEASURE_SETTING_CHANGE_FLOOR,
                                 "50"));
    ck_assert(measure_config_set(&config, MEASURE_SETTING_CHANGE_WARMUP,
                                 "3"));
    for (int epoch = 0; epoch < 6; epoch++) {
        struct measure_tally *tally = begin_epoch();
        struct measure_fields same = make_fields(MEASURE_NARROW, 0);
        struct measure_fields new = make_fields(MEASURE_NARROW, 800);

        count(tally, &same, 100);
        count(tally, &new, epoch == 4 ? 1000 : 0);
        end_epoch(tally);
        changes = measure_changes_find(&expected, &scope, &config, 1 << 20,
                                       &budget);
        ck_assert(changes->exact);
        ck_assert(!changes->no_memory && !changes->incomplete);
        ck_assert_uint_eq(changes->epoch, epoch + 1);
        ck_assert_uint_eq(changes->warmup_left, epoch < 3 ? 2 - epoch : 0);
        /* That it vanishes is held down. */
        ck_assert_uint_eq(changes->n, epoch == 4);
        if (epoch == 4) {
            keep_fields(&new, MEASURE_KIND_PAIR);
            ck_assert_uint_eq(changes->rows[0].packets, 1000);
            ck_assert_int_eq(changes->rows[0].kind, MEASURE_APPEARED);
            ck_assert(fields_equal(&changes->rows[0].fields, &new));
        }
        measure_raise_changes(&raised, changes, report, &config);
        ck_assert_uint_eq(raised.n, changes->n);
        if (raised.n) {
            ck_assert_str_eq(raised.alerts[0].task, "change");
            ck_assert_uint_eq(raised.alerts[0].value,
                              changes->rows[0].packets);
        }
        ck_assert_ptr_eq(measure_changes_ref(changes), changes);
        measure_changes_unref(changes);
        measure_changes_unref(changes);
        forget_report();
    }
    ck_assert_uint_gt(measure_budget_used(&budget), 0);
    measure_expected_forget(&expected, &budget);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
    ck_assert_uint_eq(expected.bytes, 0);
    free(raised.alerts);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-raise");

    tcase_add_test(tests, heavy_hitters_are_raised_once);
    tcase_add_test(tests, too_many_are_counted);
    tcase_add_test(tests, superspreaders_are_raised_once);
    tcase_add_test(tests, changes_are_found_and_raised);
    return tests_run(tests);
}
