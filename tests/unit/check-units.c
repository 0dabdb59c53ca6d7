/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of reading numbers that have a unit. */

#include "check-common.h"

#include "base/measure-units.h"

START_TEST(lengths_of_time)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } valid[] = {
        { "0s", 0 }, { "1ns", 1 }, { "100us", 100000 }, { "7ms", 7000000 },
        { "10s", UINT64_C(10000000000) }, { "2m", UINT64_C(120000000000) },
        { "1h", UINT64_C(3600000000000) },
        { "9223372036854775807ns", INT64_MAX },
    };
    static const char *const invalid[] = {
        "", "s", "10", "-1s", "+1s", " 1s", "1 s", "1sec", "1.5s", "1S",
        "9223372036854775808ns", "9223372037s", "00000000000000000000001s",
    };

    for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
        uint64_t ns = 42;

        ck_assert_msg(measure_duration_parse(valid[i].text, &ns), "%s",
                      valid[i].text);
        ck_assert_uint_eq(ns, valid[i].ns);
    }
    for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
        uint64_t ns = 42;

        ck_assert_msg(!measure_duration_parse(invalid[i], &ns), "'%s'",
                      invalid[i]);
        ck_assert_uint_eq(ns, 42);
    }
}
END_TEST

START_TEST(rates)
{
    static const struct {
        const char *text;
        uint64_t rate;
    } valid[] = {
        { "1", 1 }, { "8b/s", 8 }, { "64k", 64000 },
        { "10Mb/s", 10000000 }, { "5Gb/s", UINT64_C(5000000000) },
        { "5G", UINT64_C(5000000000) }, { "1T", UINT64_C(1000000000000) },
        { "5Gbps", UINT64_C(5000000000) }, { "8bps", 8 },
    };
    static const char *const invalid[] = {
        "", "G", "5g", "5GB/s", "5 Gb/s", "5GBps", "1.5G", "-5G", "9999999T",
    };

    for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
        uint64_t rate = 42;

        ck_assert_msg(measure_rate_parse(valid[i].text, &rate), "%s",
                      valid[i].text);
        ck_assert_uint_eq(rate, valid[i].rate);
    }
    for (size_t i = 0; i < ARRAY_SIZE(invalid); i++) {
        uint64_t rate = 42;

        ck_assert_msg(!measure_rate_parse(invalid[i], &rate), "'%s'",
                      invalid[i]);
        ck_assert_uint_eq(rate, 42);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-units");

    tcase_add_test(tests, lengths_of_time);
    tcase_add_test(tests, rates);
    return tests_run(tests);
}
