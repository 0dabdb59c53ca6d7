/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of memory and its budget. */

#include "check-common.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/measure-base.h"

#define HUGE_PAGE (2 << 20)

static long int page_size;

START_TEST(memory_is_zeroed_aligned_and_accounted)
{
    static const size_t sizes[] = {
        1, 63, 64, 4095, 4096, 4097, 100000, (2 << 20) - 1, HUGE_PAGE,
        5 << 20, (7 << 20) + 12345
    };
    /* A node that no machine has, and numbers that are no node. */
    static const int nodes[] = { MEASURE_ANY_NODE, 0, 63, 64, 1000000 };
    uint64_t used = 0;
    void *blocks[ARRAY_SIZE(sizes)][ARRAY_SIZE(nodes)];

    page_size = sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(nodes); j++) {
            uint8_t *p = measure_memory_alloc(&budget, sizes[i], nodes[j]);

            ck_assert_ptr_ne(p, NULL);
            ck_assert_uint_eq((uintptr_t) p % (sizes[i] < 65536 ? 64
                                               : sizes[i] < HUGE_PAGE
                                               ? page_size : HUGE_PAGE), 0);
            for (size_t k = 0; k < sizes[i]; k++) {
                REQUIRE(!p[k]);
            }
            memset(p, 0xff, sizes[i]);
            used += sizes[i];
            ck_assert_uint_eq(measure_budget_used(&budget), used);
            blocks[i][j] = p;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(nodes); j++) {
            measure_memory_free(&budget, blocks[i][j], sizes[i]);
            used -= sizes[i];
            ck_assert_uint_eq(measure_budget_used(&budget), used);
        }
    }
    measure_memory_free(&budget, NULL, 100);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
}
END_TEST

#define PIECE (512 << 10)

static uint64_t resident_before;
static unsigned int n_interludes;
static bool in_time = true;

/* Takes no memory itself. */
static uint64_t
resident(void)
{
    char line[100] = "";
    int fd = open("/proc/self/statm", O_RDONLY);

    REQUIRE(fd >= 0 && read(fd, line, sizeof line - 1) > 0);
    close(fd);
    return strtoull(strchr(line, ' '), NULL, 10) * page_size;
}

/* All is counted from the beginning, and no more is present than the pieces
 * that came before, a huge page, and what the test itself takes; under the
 * address sanitizer, an eighth more. */
static void
check_interlude(void)
{
    uint64_t new = resident() - resident_before;

    n_interludes++;
    in_time &= (measure_budget_used(&budget) == 8 * HUGE_PAGE
                && new <= n_interludes * PIECE * 9 / 8 + HUGE_PAGE + PIECE);
}

/* Memory is prepared in pieces, also under mlockall(), where all pages are
 * present as soon as they are accessible. */
START_TEST(interludes_come_in_time)
{
    void *p;

    ck_assert(!_i || !mlockall(MCL_CURRENT | MCL_FUTURE));
    page_size = sysconf(_SC_PAGESIZE);
    resident();
    resident_before = resident();
    measure_memory_interlude = check_interlude;
    p = measure_memory_alloc(&budget, 8 * HUGE_PAGE, MEASURE_ANY_NODE);
    measure_memory_interlude = NULL;
    ck_assert_ptr_nonnull(p);
    ck_assert_uint_eq(n_interludes, 8 * HUGE_PAGE / PIECE);
    ck_assert(in_time);
    measure_memory_free(&budget, p, 8 * HUGE_PAGE);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
}
END_TEST

START_TEST(too_much_memory_is_refused_and_not_accounted)
{
    ck_assert_ptr_eq(measure_memory_alloc(&budget, SIZE_MAX / 2,
                                          MEASURE_ANY_NODE), NULL);
    ck_assert_ptr_eq(measure_memory_alloc(&budget, SIZE_MAX / 2, 0), NULL);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
}
END_TEST

START_TEST(small_things_are_zeroed_and_never_null)
{
    uint8_t *p = measure_xzalloc(1000);
    void *nothing = measure_xzalloc(0);

    for (int i = 0; i < 1000; i++) {
        REQUIRE(!p[i]);
    }
    memset(p, 7, 1000);
    p = measure_xrealloc(p, 100000);
    for (int i = 0; i < 1000; i++) {
        REQUIRE(p[i] == 7);
    }
    ck_assert_ptr_ne(nothing, NULL);
    free(nothing);
    nothing = measure_xrealloc(p, 0);
    ck_assert_ptr_ne(nothing, NULL);
    free(nothing);
}
END_TEST

START_TEST(text_grows_by_what_is_appended)
{
    char *text = NULL;

    measure_append(&text, "%s", "");
    ck_assert_str_eq(text, "");
    measure_append(&text, "%d %s", 12, "flows");
    for (int i = 0; i < 1000; i++) {
        measure_append(&text, ", %d", i);
    }
    ck_assert_uint_eq(strlen(text), 8 + 2 * 1000 + 10 + 180 + 2700);
    ck_assert_mem_eq(text, "12 flows, 0, 1, ", 16);
    ck_assert_str_eq(text + strlen(text) - 5, ", 999");
    free(text);
}
END_TEST

START_TEST(spare_blocks_are_taken_again)
{
    size_t size = 5 << 20, small = 1000, larger, other = 3 << 20;
    void *p = measure_memory_take(&budget, &size, SIZE_MAX, true);
    void *q;

    ck_assert_ptr_ne(p, NULL);
    ck_assert_uint_ge(size, 5 << 20);
    memset(p, 0xff, size);
    ck_assert_uint_eq(measure_budget_used(&budget), size);
    ck_assert_uint_eq(measure_budget_spare(&budget), 0);
    measure_memory_give(&budget, p, size, true);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
    ck_assert_uint_eq(measure_budget_spare(&budget), size);

    /* Neither one that is too small nor one that is too large. */
    larger = size + 1;
    q = measure_memory_take(&budget, &larger, SIZE_MAX, false);
    ck_assert_ptr_ne(q, p);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);
    ck_assert_uint_eq(measure_budget_spare(&budget), size + larger);
    measure_memory_give(&budget, q, larger, false);
    ck_assert_uint_eq(measure_budget_spare(&budget), size + larger);
    measure_memory_trim(&budget, size);
    q = measure_memory_take(&budget, &other, size - 1, true);
    ck_assert_ptr_ne(q, p);
    ck_assert_uint_lt(other, size);
    measure_memory_give(&budget, q, other, true);
    measure_memory_trim(&budget, 0);
    ck_assert_uint_eq(measure_budget_spare(&budget), 0);

    /* Small ones are not kept. */
    q = measure_memory_take(&budget, &small, SIZE_MAX, true);
    ck_assert_uint_eq(measure_budget_used(&budget), small);
    measure_memory_give(&budget, q, small, true);
    ck_assert_uint_eq(measure_budget_spare(&budget), 0);
    measure_memory_give(&budget, NULL, 100 << 20, true);
    ck_assert_uint_eq(measure_budget_used(&budget), 0);

    /* No more than there are places for. */
    for (int i = 0; i < MEASURE_SPARE_BLOCKS + 2; i++) {
        void *blocks[MEASURE_SPARE_BLOCKS + 2];
        size_t sizes[MEASURE_SPARE_BLOCKS + 2];

        for (int j = 0; j <= i; j++) {
            sizes[j] = 2 << 20;
            blocks[j] = measure_memory_take(&budget, &sizes[j], SIZE_MAX,
                                            true);
            ck_assert_uint_eq(sizes[j], 2 << 20);
            memset(blocks[j], j, sizes[j]);
        }
        for (int j = 0; j <= i; j++) {
            ck_assert_uint_eq(*(uint8_t *) blocks[j], j);
            measure_memory_give(&budget, blocks[j], sizes[j], true);
        }
        ck_assert_uint_eq(measure_budget_used(&budget), 0);
        ck_assert_uint_eq(measure_budget_spare(&budget),
                          (i < MEASURE_SPARE_BLOCKS ? i + 1
                           : MEASURE_SPARE_BLOCKS) * (UINT64_C(2) << 20));
    }
    measure_memory_trim(&budget, 5 << 20);
    ck_assert_uint_eq(measure_budget_spare(&budget), 4 << 20);
    measure_memory_trim(&budget, 0);
}
END_TEST

static bool
is_mapped(void *p)
{
    return !msync(p, sysconf(_SC_PAGESIZE), MS_ASYNC);
}

START_TEST(larger_blocks_are_kept_and_the_others_freed)
{
    void *blocks[MEASURE_SPARE_BLOCKS + 1];
    size_t sizes[MEASURE_SPARE_BLOCKS + 1];

    /* The smallest in the middle. */
    for (int i = 0; i <= MEASURE_SPARE_BLOCKS; i++) {
        sizes[i] = (i == MEASURE_SPARE_BLOCKS / 2 ? 1 : 3) << 20;
        blocks[i] = measure_memory_take(&budget, &sizes[i], SIZE_MAX, true);
    }
    for (int i = 0; i <= MEASURE_SPARE_BLOCKS; i++) {
        measure_memory_give(&budget, blocks[i], sizes[i], true);
    }
    for (int i = 0; i <= MEASURE_SPARE_BLOCKS; i++) {
        ck_assert(is_mapped(blocks[i]) == (i != MEASURE_SPARE_BLOCKS / 2));
    }
    ck_assert_uint_eq(measure_budget_spare(&budget),
                      MEASURE_SPARE_BLOCKS * (UINT64_C(3) << 20));

    measure_memory_trim(&budget, 0);
    for (int i = 0; i <= MEASURE_SPARE_BLOCKS; i++) {
        ck_assert(!is_mapped(blocks[i]));
    }
}
END_TEST

#define MIB (UINT64_C(1) << 20)

/* What may be taken for an answer, at its boundary. */
START_TEST(answers_may_take_the_rest_or_a_quarter)
{
    static const struct {
        uint64_t limit, used, lent, allowed;
    } cases[] = {
        { 100 * MIB, 0, 0, 100 * MIB },
        { 100 * MIB, 60 * MIB, 0, 40 * MIB },
        { 100 * MIB, 60 * MIB, 10 * MIB, 30 * MIB },
        { 100 * MIB, 90 * MIB, 0, 25 * MIB },
        { 100 * MIB, 100 * MIB, 0, 25 * MIB },
        { 100 * MIB, 100 * MIB, 10 * MIB, 15 * MIB },
        { 100 * MIB, 150 * MIB, 0, 25 * MIB },
        /* A MiB in any case, but no more than the limit. */
        { 2 * MIB, 2 * MIB, 0, MIB },
        { 2 * MIB, 2 * MIB, MIB / 4, MIB * 3 / 4 },
        { 1000, 1000, 0, 1000 },
    };

    budget.used = 100 * MIB;
    ck_assert(measure_budget_allows(&budget, UINT64_C(1) << 60));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        budget.limit = cases[i].limit;
        budget.used = cases[i].used;
        budget.lent = cases[i].lent;
        ck_assert_msg(measure_budget_allows(&budget, cases[i].allowed),
                      "case %zu", i);
        ck_assert_msg(!measure_budget_allows(&budget, cases[i].allowed + 1),
                      "case %zu", i);
    }
    budget.used = budget.lent = 0;
}
END_TEST

/* Spare blocks are no reason to refuse an answer: they make room for it. */
START_TEST(spare_blocks_make_room_for_answers)
{
    void *blocks[2];
    size_t sizes[2];

    for (int i = 0; i < 2; i++) {
        sizes[i] = 4 * MIB;
        blocks[i] = measure_memory_take(&budget, &sizes[i], SIZE_MAX, true);
    }
    for (int i = 0; i < 2; i++) {
        measure_memory_give(&budget, blocks[i], sizes[i], true);
    }
    budget.limit = 10 * MIB;
    ck_assert(measure_budget_allows(&budget, 2 * MIB));
    ck_assert_uint_eq(measure_budget_spare(&budget), 8 * MIB);
    ck_assert(measure_budget_allows(&budget, 3 * MIB));
    ck_assert_uint_eq(measure_budget_spare(&budget), 4 * MIB);
    ck_assert(measure_budget_allows(&budget, 10 * MIB));
    ck_assert_uint_eq(measure_budget_spare(&budget), 0);
}
END_TEST

/* A quarter of the limit is left, whoever else is about to keep something. */
START_TEST(what_is_kept_is_reserved)
{
    ck_assert(measure_budget_reserve(&budget, UINT64_C(1) << 60));
    measure_budget_unreserve(&budget, UINT64_C(1) << 60);

    budget.limit = 1000;
    ck_assert(measure_budget_reserve(&budget, 750));
    ck_assert(!measure_budget_reserve(&budget, 1));
    measure_budget_unreserve(&budget, 750);
    ck_assert(!measure_budget_reserve(&budget, 751));
    budget.used = 300;
    budget.lent = 200;
    ck_assert(!measure_budget_reserve(&budget, 251));
    ck_assert(measure_budget_reserve(&budget, 200));
    ck_assert(!measure_budget_reserve(&budget, 51));
    ck_assert(measure_budget_reserve(&budget, 50));
    measure_budget_unreserve(&budget, 250);
    ck_assert_uint_eq(budget.reserved, 0);
    budget.used = budget.lent = 0;
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-memory");
    int n_locked = 1;

    tcase_add_test(tests, memory_is_zeroed_aligned_and_accounted);
    if (mlockall(MCL_FUTURE) || munlockall()) {
        test_skipped("interludes_come_in_time:1",
                     "mlockall() is not permitted; see 'ulimit -l'");
        n_locked = 0;
    }
    tcase_add_loop_test(tests, interludes_come_in_time, 0, 1 + n_locked);
    tcase_add_test(tests, too_much_memory_is_refused_and_not_accounted);
    tcase_add_test(tests, spare_blocks_are_taken_again);
    tcase_add_test(tests, larger_blocks_are_kept_and_the_others_freed);
    tcase_add_test(tests, small_things_are_zeroed_and_never_null);
    tcase_add_test(tests, text_grows_by_what_is_appended);
    tcase_add_test(tests, answers_may_take_the_rest_or_a_quarter);
    tcase_add_test(tests, spare_blocks_make_room_for_answers);
    tcase_add_test(tests, what_is_kept_is_reserved);
    return tests_run(tests);
}
