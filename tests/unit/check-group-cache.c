/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the groups that a report keeps. */

/* Groups: those of any kind that answers are made from, those that a report
 * keeps, and the limit of the memory of both. */

#include "check-common.h"
#include "check-scopes.h"

#include <pthread.h>
#include <sched.h>

#include "base/measure-base.h"

/* Checks 'answer', by 'group_by', against all packets of 't'. */
static void
check_answer(const struct measure_hitters_answer *answer,
             const struct test_scope *t,
             const struct measure_group_by *group_by, bool by_bytes)
{
    struct oracle truth = group_packets(t, group_by);

    ck_assert_uint_eq(answer->n_rows, truth.n);
    ck_assert_uint_eq(answer->keys, truth.n);
    ck_assert_uint_eq(answer->packets, truth.packets);
    ck_assert_uint_eq(answer->bytes, truth.bytes);
    ck_assert_uint_eq(answer->other_packets, 0);
    for (size_t i = 0; i < answer->n_rows; i++) {
        struct measure_hitters_row *row = &answer->rows[i];
        struct oracle_row *expected;

        if (!(group_by->fields & MEASURE_FIELDS_PAIR)) {
            row->fields.family = 0;
        }
        expected = oracle_find(&truth, &row->fields);
        REQUIRE(expected && !expected->seen);
        expected->seen = true;
        REQUIRE(row->packets == expected->packets);
        REQUIRE(row->bytes == expected->bytes);
        REQUIRE(!row->packets_error_max && !row->bytes_error_max);
        if (i) {
            uint64_t a = by_bytes ? row[-1].bytes : row[-1].packets;
            uint64_t b = by_bytes ? row->bytes : row->packets;

            REQUIRE(a > b || (a == b
                              && measure_fields_compare(&row[-1].fields,
                                                        &row->fields) < 0));
        }
    }
    oracle_close(&truth);
}

static void
check_groups(const struct test_scope *t, const char *by, bool by_bytes)
{
    struct measure_hitters_question q = {
        .sort = by_bytes ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS,
        .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
    };
    struct measure_hitters_answer answer;
    struct measure_filter filter;
    struct measure_scope scope;
    char name[MEASURE_GROUP_BY_NAME_SIZE];

    open_scope(t, &scope, &filter);
    ck_assert_msg(measure_hitters_parse_by(by, &q), "%s", by);
    measure_group_by_name(&q.group_by, name);
    ck_assert_str_eq(name, strcmp(by, "source/128") ? by : "source");
    ck_assert_ptr_null(measure_scope_check(&scope, &q.group_by));

    ck_assert(measure_hitters_ask(&scope, &q, &answer));
    check_answer(&answer, t, &q.group_by, by_bytes);
    measure_hitters_answer_destroy(&answer);
}

START_TEST(groups_are_those_of_the_oracle)
{
    make_reports(MEASURE_KIND_FLOW, 20000);
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(group_names); j++) {
            check_groups(&scopes[i], group_names[j], (i + j) % 2);
        }
    }
    destroy_reports();
}
END_TEST

/* With several parts, and rows that are groups by themselves. */
START_TEST(groups_of_many_flows_are_those_of_the_oracle)
{
    many_flows = true;
    make_reports(MEASURE_KIND_FLOW, 20000);
    for (int i = 0; i < N_EPOCHS; i++) {
        ck_assert_uint_gt(reports[i]->n_parts, 4);
        ck_assert(!reports[i]->several_ports);
    }
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = i; j < ARRAY_SIZE(group_names); j += 2 - !i) {
            check_groups(&scopes[i], group_names[j], (i + j) % 2);
        }
    }
    destroy_reports();

    /* The same flows by another port. */
    many_flows = false;
    make_reports(MEASURE_KIND_FLOW, 20000);
    for (int i = 0; i < N_EPOCHS; i++) {
        ck_assert(reports[i]->several_ports);
    }
    destroy_reports();
}
END_TEST

/* What a report keeps of answers is freed when it is to be, but not while it
 * is used, and from then on answers are the same without. */
START_TEST(cached_groups_are_forgotten)
{
    struct measure_group_cache *group_cache;
    uint64_t used;

    make_reports(MEASURE_KIND_FLOW, 20000);
    group_cache = reports[0]->group_cache;
    used = measure_budget_used(&budget);
    for (int round = 0; round < 3; round++) {
        /* What is used would be seen, were it made once more. */
        if (round == 2) {
            measure_group_cache_begin(group_cache);
        }
        for (int kind = MEASURE_KIND_PAIR; kind < MEASURE_N_KINDS; kind++) {
            check_groups(&scopes[0], measure_kind_name(kind), false);
            ck_assert(!measure_group_cache_get(group_cache,
                                               kind) == (round == 2));
        }
        if (!round) {
            ck_assert_uint_gt(measure_budget_used(&budget), used);
            measure_group_cache_begin(group_cache);
            measure_report_forget_groups(reports[0]);
            ck_assert_uint_gt(measure_budget_used(&budget), used);
        } else {
            measure_group_cache_end(group_cache);
            ck_assert_uint_eq(measure_budget_used(&budget), used);
        }
    }
    destroy_reports();
}
END_TEST

/* An answer that takes more than the budget allows is refused, and nothing is
 * kept for which there is no room. */
START_TEST(answers_stay_within_the_limit)
{
    struct measure_hitters_question q = {
        .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
    };
    struct measure_hitters_answer answer;
    struct measure_filter filter;
    struct measure_scope scope;
    uint64_t used;

    many_flows = true;
    make_reports(MEASURE_KIND_FLOW, 20000);
    used = measure_budget_used(&budget);
    open_scope(&scopes[0], &scope, &filter);
    ck_assert(measure_hitters_parse_by("destination", &q));

    measure_memory_trim(&budget, 0);
    budget.limit = 50000;
    ck_assert(!measure_hitters_ask(&scope, &q, &answer));
    measure_hitters_answer_destroy(&answer);
    ck_assert_uint_eq(measure_budget_used(&budget), used);
    ck_assert_uint_le(measure_budget_spare(&budget), budget.limit);

    /* Nor where the parts of the report are grouped as they are. */
    budget.limit = 20000;
    ck_assert(measure_hitters_parse_by("pair", &q));
    ck_assert(!measure_hitters_ask(&scope, &q, &answer));
    measure_hitters_answer_destroy(&answer);

    /* Tables may have used up their memory. */
    budget.limit = used;
    check_groups(&scopes[0], "destination", false);
    ck_assert_ptr_null(measure_group_cache_get(reports[0]->group_cache,
                                               MEASURE_KIND_DESTINATION));
    ck_assert_uint_le(measure_budget_spare(&budget), used / 4);

    /* Enough for the answer, but not for it to be kept. */
    budget.limit = used * 5 / 4;
    check_groups(&scopes[0], "destination", false);
    ck_assert_ptr_null(measure_group_cache_get(reports[0]->group_cache,
                                               MEASURE_KIND_DESTINATION));
    ck_assert_uint_le(measure_budget_used(&budget)
                      + measure_budget_spare(&budget), budget.limit);

    budget.limit = 2 * used + (16 << 20);
    check_groups(&scopes[0], "destination", false);
    ck_assert_ptr_nonnull(measure_group_cache_get(reports[0]->group_cache,
                                                  MEASURE_KIND_DESTINATION));
    budget.limit = 0;
    destroy_reports();
    many_flows = false;
}
END_TEST

static struct measure_cached_groups *
make_cached(uint64_t max_packets)
{
    struct measure_cached_groups *cached = measure_xzalloc(sizeof *cached);

    cached->max_packets = max_packets;
    for (int i = 0; i < MEASURE_N_LAYOUTS; i++) {
        cached->sizes[i] = 100000;
        cached->tables[i].rows
            = measure_memory_take(&budget, &cached->sizes[i], SIZE_MAX,
                                  true);
        ck_assert_ptr_nonnull(cached->tables[i].rows);
    }
    return cached;
}

/* Of two that were made at once the first is kept, and the other freed. */
START_TEST(first_groups_are_kept)
{
    struct measure_group_cache *group_cache
        = measure_group_cache_create(&budget);
    struct measure_cached_groups *first = make_cached(1);
    uint64_t used = measure_budget_used(&budget);
    struct measure_cached_groups *second = make_cached(2);

    measure_group_cache_begin(group_cache);
    ck_assert_ptr_null(measure_group_cache_get(group_cache,
                                               MEASURE_KIND_PAIR));
    ck_assert_ptr_eq(measure_group_cache_keep(group_cache, MEASURE_KIND_PAIR,
                                              first), first);
    ck_assert_uint_gt(measure_budget_used(&budget), used);
    ck_assert_ptr_eq(measure_group_cache_keep(group_cache, MEASURE_KIND_PAIR,
                                              second), first);
    ck_assert_uint_eq(measure_budget_used(&budget), used);
    ck_assert_ptr_eq(measure_group_cache_get(group_cache, MEASURE_KIND_PAIR),
                     first);
    ck_assert_ptr_null(measure_group_cache_get(group_cache,
                                               MEASURE_KIND_SOURCE));
    ck_assert_uint_eq(first->max_packets, 1);
    measure_group_cache_end(group_cache);
    measure_group_cache_destroy(group_cache);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
}
END_TEST

/* Threads that ask at once.  libcheck is not for several threads: what they
 * find is checked when they have ended. */

#define N_ASKING 3

struct asking {
    pthread_t thread;
    pthread_barrier_t *barrier;
    const struct measure_scope *scope;
    struct measure_hitters_question q;
    enum measure_key_kind key_kind;
    bool ok;
    struct measure_hitters_answer answer;
    const struct measure_cached_groups *cached;
};

static void *
asking_main(void *a_)
{
    struct measure_group_cache *group_cache;
    struct asking *a = a_;

    group_cache = a->scope->reports[0]->group_cache;
    pthread_barrier_wait(a->barrier);
    measure_group_cache_begin(group_cache);
    a->ok = measure_hitters_ask(a->scope, &a->q, &a->answer);
    a->cached = measure_group_cache_get(group_cache, a->key_kind);
    return NULL;
}

/* Asks the first report by 'key_kind' in all threads.  Forgets its groups
 * meanwhile if 'forget'. */
static void
ask_at_once(enum measure_key_kind key_kind, bool forget)
{
    struct measure_group_cache *group_cache = reports[0]->group_cache;
    struct asking asking[N_ASKING];
    struct measure_filter filter;
    struct measure_scope scope;
    pthread_barrier_t barrier;

    open_scope(&scopes[0], &scope, &filter);
    pthread_barrier_init(&barrier, NULL, N_ASKING + 1);
    for (int i = 0; i < N_ASKING; i++) {
        struct asking *a = &asking[i];

        memset(a, 0, sizeof *a);
        a->barrier = &barrier;
        a->scope = &scope;
        a->q.threshold.value = 1;
        a->q.threshold_text = "1%";
        a->key_kind = key_kind;
        ck_assert(measure_hitters_parse_by(measure_kind_name(key_kind),
                                           &a->q));
        ck_assert(!pthread_create(&a->thread, NULL, asking_main, a));
    }
    pthread_barrier_wait(&barrier);
    if (forget) {
        sched_yield();
        measure_group_cache_forget(group_cache);
    }
    for (int i = 0; i < N_ASKING; i++) {
        pthread_join(asking[i].thread, NULL);
    }
    pthread_barrier_destroy(&barrier);

    for (int i = 0; i < N_ASKING; i++) {
        struct asking *a = &asking[i];

        ck_assert(a->ok);
        check_answer(&a->answer, &scopes[0], &a->q.group_by, false);
        measure_hitters_answer_destroy(&a->answer);
        if (!forget) {
            ck_assert_ptr_nonnull(a->cached);
        }
        if (a->cached) {
            ck_assert_ptr_eq(a->cached,
                             measure_group_cache_get(group_cache, key_kind));
        }
        measure_group_cache_end(group_cache);
    }
}

START_TEST(threads_that_ask_at_once_share_groups)
{
    many_flows = true;
    for (int round = 0; round < 5; round++) {
        uint64_t used, kept = 0;

        make_reports(MEASURE_KIND_FLOW, 20000);
        used = measure_budget_used(&budget);
        for (int i = 1; i < MEASURE_N_KINDS; i++) {
            /* Another one is first in each round. */
            int key_kind = 1 + (round + i) % (MEASURE_N_KINDS - 1);
            const struct measure_cached_groups *cached;

            ask_at_once(key_kind, false);
            cached = measure_group_cache_get(reports[0]->group_cache,
                                             key_kind);
            for (int j = 0; j < MEASURE_N_LAYOUTS; j++) {
                kept += cached->tables[j].rows ? cached->sizes[j] : 0;
            }
            ck_assert_uint_eq(measure_budget_used(&budget), used + kept);
        }
        ask_at_once(1 + round % (MEASURE_N_KINDS - 1), true);
        ck_assert_uint_eq(measure_budget_used(&budget), used);
        destroy_reports();

        /* Forgotten while they are made. */
        make_reports(MEASURE_KIND_FLOW, 20000);
        used = measure_budget_used(&budget);
        ask_at_once(1 + round % (MEASURE_N_KINDS - 1), true);
        ck_assert_uint_eq(measure_budget_used(&budget), used);
        destroy_reports();
    }
    many_flows = false;
}
END_TEST

/* Threads that each reserve more than half of what may be kept. */

#define N_RESERVATIONS 20000

static uint32_t n_reserved;     /* Atomic. */
static uint32_t n_overshoots;   /* Atomic. */

static void *
reserving_main(void *barrier_)
{
    pthread_barrier_t *barrier = barrier_;

    pthread_barrier_wait(barrier);
    for (int i = 0; i < N_RESERVATIONS; i++) {
        if (measure_budget_reserve(&budget, 500)) {
            if (__atomic_fetch_add(&n_reserved, 1, __ATOMIC_RELAXED)) {
                __atomic_fetch_add(&n_overshoots, 1, __ATOMIC_RELAXED);
            }
            if (i % 16 == 0) {
                sched_yield();
            }
            __atomic_fetch_sub(&n_reserved, 1, __ATOMIC_RELAXED);
            measure_budget_unreserve(&budget, 500);
        }
    }
    return NULL;
}

START_TEST(threads_together_stay_within_the_limit)
{
    pthread_t threads[N_ASKING];
    pthread_barrier_t barrier;

    budget.limit = 1000;
    pthread_barrier_init(&barrier, NULL, N_ASKING);
    for (int i = 0; i < N_ASKING; i++) {
        ck_assert(!pthread_create(&threads[i], NULL, reserving_main,
                                  &barrier));
    }
    for (int i = 0; i < N_ASKING; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    ck_assert_uint_eq(n_overshoots, 0);
    ck_assert_uint_eq(budget.reserved, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-group-cache");

    tcase_add_test(tests, groups_are_those_of_the_oracle);
    tcase_add_test(tests, groups_of_many_flows_are_those_of_the_oracle);
    tcase_add_test(tests, cached_groups_are_forgotten);
    tcase_add_test(tests, answers_stay_within_the_limit);
    tcase_add_test(tests, first_groups_are_kept);
    tcase_add_test(tests, threads_that_ask_at_once_share_groups);
    tcase_add_test(tests, threads_together_stay_within_the_limit);
    return tests_run(tests);
}
