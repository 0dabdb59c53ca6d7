/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of CRC32C. */

#include "check-common.h"

#include "base/measure-crc32c.h"

/* From RFC 3720, appendix B.4, and the check value of the polynomial. */
START_TEST(known_values)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
        0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    uint8_t zeros[32], ones[32], rising[32], falling[32];
    const struct {
        const void *data;
        size_t size;
        uint32_t crc;
    } cases[] = {
        { "", 0, 0 },
        { "123456789", 9, 0xe3069283 },
        { zeros, 32, 0x8a9136aa },
        { ones, 32, 0x62a8ab43 },
        { rising, 32, 0x46dd794e },
        { falling, 32, 0x113fdb5c },
        { read_command, 48, 0xd9963a56 },
    };

    memset(zeros, 0, sizeof zeros);
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        rising[i] = i;
        falling[i] = 31 - i;
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ck_assert_uint_eq(measure_crc32c(0, cases[i].data, cases[i].size),
                          cases[i].crc);
        ck_assert_uint_eq(measure_crc32c_by_table(0, cases[i].data,
                                                  cases[i].size),
                          cases[i].crc);
    }
}
END_TEST

/* With or without the instruction, at once or in two pieces, wherever the
 * bytes begin. */
START_TEST(all_ways_agree)
{
    struct random r = random_from(test_seed);
    uint8_t data[300];

    random_fill(&r, data, sizeof data);
    for (int i = 0; i < 20000; i++) {
        size_t from = random_below(&r, 100), n = random_below(&r, 200);
        size_t first = random_below(&r, n + 1);
        uint32_t crc = measure_crc32c_by_table(0, data + from, n);

        REQUIRE(measure_crc32c(0, data + from, n) == crc);
        REQUIRE(measure_crc32c(measure_crc32c(0, data + from, first),
                               data + from + first, n - first) == crc);
        REQUIRE(measure_crc32c_by_table(
                    measure_crc32c_by_table(0, data + from, first),
                    data + from + first, n - first) == crc);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-crc32c");

    tcase_add_test(tests, known_values);
    tcase_add_test(tests, all_ways_agree);
    return tests_run(tests);
}
