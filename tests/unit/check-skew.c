/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of keys that have most of the rows of a report. */

#include "check-common.h"
#include "check-secret.h"

#include "base/measure-pace.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"
#include "report/measure-merge.h"

enum skew { SPREAD, ONE_SOURCE, ONE_DESTINATION, ONE_PAIR, N_SKEWS };

#define N_SKEWED 80000

static uint64_t max_lent;

static uint64_t
look_at_budget(void)
{
    uint64_t taken = (measure_budget_used(&budget)
                      + measure_budget_spare(&budget));

    max_lent = taken > max_lent ? taken : max_lent;
    return 0;
}

static void
do_not_sleep(uint64_t ns UNUSED)
{
}

/* The 'i'th flow: of one key, but for each eighth. */
static struct measure_fields
skewed_flow(enum skew skew, uint32_t i)
{
    struct measure_fields fields;
    bool one_source = skew == ONE_SOURCE || skew == ONE_PAIR;
    bool one_destination = skew == ONE_DESTINATION || skew == ONE_PAIR;

    memset(&fields, 0, sizeof fields);
    put_be32(fields.source, 0x0a000000 + (one_source && i % 8 ? 0 : i));
    put_be32(fields.destination,
             0x0b000000 + (one_destination && i % 8 ? 0 : i));
    fields.source_port = i;
    fields.destination_port = i >> 16;
    fields.protocol = 17;
    return fields;
}

/* Returns the report of all flows, some of which two threads have, and adds
 * them to 'flows'. */
static struct measure_report *
make_skewed_report(enum skew skew, struct oracle *flows)
{
    uint32_t lines[MEASURE_N_LAYOUTS] = { N_SKEWED, 16 };
    struct measure_report *report;
    struct measure_tally *tallies[2];

    for (int i = 0; i < 2; i++) {
        tallies[i] = measure_tally_create(&secret, &budget, MEASURE_ANY_NODE);
        ck_assert(measure_tally_reset(tallies[i], lines, lines));
        measure_tally_begin(tallies[i], MEASURE_KIND_FLOW);
    }
    for (uint32_t i = 0; i < N_SKEWED; i++) {
        struct measure_fields fields = skewed_flow(skew, i);

        for (int j = 0; j < 2; j++) {
            struct measure_record record = make_record(&fields, 60 + i % 9);

            if (!j || i % 64 == 0) {
                measure_tally_count(tallies[j], &record, 1);
                oracle_add(flows, &fields, 1, 60 + i % 9);
            }
        }
    }
    report = measure_report_merge(tallies, 2, MEASURE_KIND_FLOW, &secret,
                                  &budget);
    report->duration_ms = 1000;
    for (int i = 0; i < 2; i++) {
        measure_tally_destroy(tallies[i]);
    }
    measure_memory_trim(&budget, 0);
    return report;
}

/* Returns false if there was no memory. */
static bool
check_skewed_hitters(const struct measure_scope *scope,
                     const struct oracle *flows,
                     enum measure_key_kind key_kind)
{
    struct measure_hitters_question q = { .threshold = { MEASURE_SHARE, 1 } };
    struct oracle expected = oracle_group(flows, key_kind);
    struct measure_hitters_answer answer;
    bool ok;

    measure_group_by_of_kind(&q.group_by, key_kind);
    ok = measure_hitters_ask(scope, &q, &answer);
    if (ok) {
        ck_assert_uint_eq(answer.keys, expected.n);
        ck_assert_uint_eq(answer.n_rows, expected.n);
        for (size_t i = 0; i < answer.n_rows; i++) {
            struct measure_hitters_row *row = &answer.rows[i];
            struct oracle_row *truth = oracle_find(&expected, &row->fields);

            REQUIRE(truth && !truth->seen);
            truth->seen = true;
            REQUIRE(row->packets == truth->packets);
            REQUIRE(row->bytes == truth->bytes);
        }
    }
    measure_hitters_answer_destroy(&answer);
    oracle_close(&expected);
    return ok;
}

static bool
check_skewed_spreaders(const struct measure_scope *scope, enum skew skew,
                       enum measure_superspreaders_by by)
{
    struct measure_superspreaders_question q = { .by = by, .min = 2 };
    bool source = by == MEASURE_SUPERSPREADERS_BY_SOURCE;
    uint32_t n_of_one = N_SKEWED - N_SKEWED / 8;
    struct measure_superspreaders_answer answer;
    bool ok = measure_superspreaders_ask(scope, &q, &answer);

    if (ok) {
        bool one = skew == (source ? ONE_SOURCE : ONE_DESTINATION);

        /* The first of the others has the address of the one, too. */
        if (one) {
            ck_assert_uint_eq(answer.n_rows, 1);
            ck_assert_uint_eq(answer.rows[0].spread, n_of_one + 1);
            if (source) {
                ck_assert_uint_eq(answer.rows[0].ports, n_of_one + 1);
            }
        } else {
            ck_assert_uint_eq(answer.n_rows, 0);
        }
        ck_assert_uint_eq(answer.keys,
                          (one || skew == ONE_PAIR ? N_SKEWED / 8
                           : N_SKEWED));
    }
    measure_superspreaders_answer_destroy(&answer);
    return ok;
}

/* One source, destination or pair of most flows is merged and asked for with
 * the memory that others need, and what is answered of others is of it. */
START_TEST(one_key_may_have_most_rows)
{
    enum { N_QUESTIONS = MEASURE_N_KINDS + 2 };
    bool answered[N_QUESTIONS];
    uint64_t max_spread = 0;

    draw_secret();
    measure_pace_clock.now_ns = look_at_budget;
    measure_pace_clock.sleep_ns = do_not_sleep;
    for (enum skew skew = 0; skew < N_SKEWS; skew++) {
        struct oracle flows = oracle_open();
        struct measure_pace pace = { 0 };
        struct measure_filter filter;
        struct measure_report *report;
        struct measure_scope scope = { .filter = &filter, .n_reports = 1 };

        max_lent = 0;
        measure_pace_begin(&pace, 1000);
        report = make_skewed_report(skew, &flows);
        ck_assert_uint_eq(report->counters.overflow_packets, 0);
        if (skew == SPREAD) {
            max_spread = max_lent;
        }
        ck_assert_uint_le(max_lent, max_spread + max_spread / 16);

        scope.reports = (const struct measure_report *const *) &report;
        ck_assert_ptr_null(measure_filter_parse("protocol=udp", NULL,
                                                &filter));
        /* First with no more than is there in any case. */
        for (int any_memory = 0; any_memory < 2; any_memory++) {
            for (int i = 0; i < N_QUESTIONS; i++) {
                bool ok;

                measure_report_forget_groups(report);
                measure_memory_trim(&budget, 0);
                budget.limit = any_memory ? 0 : measure_budget_used(&budget);
                max_lent = 0;
                ok = (i < MEASURE_N_KINDS
                      ? check_skewed_hitters(&scope, &flows, i)
                      : check_skewed_spreaders(&scope, skew,
                                               i - MEASURE_N_KINDS));
                if (any_memory) {
                    ck_assert(ok);
                    continue;
                }
                if (skew == SPREAD) {
                    answered[i] = ok;
                }
                ck_assert_msg(ok || !answered[i], "question %d", i);
                ck_assert_uint_le(max_lent, budget.limit + (1 << 20));
            }
        }
        measure_pace_end();
        ck_assert(answered[MEASURE_KIND_FLOW] && answered[MEASURE_KIND_PAIR]
                  && answered[MEASURE_KIND_SOURCE]);
        measure_report_destroy(report);
        oracle_close(&flows);
        budget.limit = 0;
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("skew");

    tcase_add_test(tests, one_key_may_have_most_rows);
    return tests_run(tests);
}
