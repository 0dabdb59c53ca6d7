/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of text and JSON. */

#include "check-common.h"
#include "check-json.h"

#include <locale.h>

#include "base/measure-output.h"
#include "tally/measure-config.h"

START_TEST(validator_knows_json)
{
    static const char *const good[] = {
        "{}", "[]", "0", "-0", "10", "1.5", "1e3", "1.5E-3", "true", "false",
        "null", "\"\"", "\"a\\\"\\\\\\u00e4\"", "{\"a\":{\"b\":[1,2,{}]}}",
        "\"\xc3\xa4\"",
    };
    static const char *const bad[] = {
        "", "{", "}", "{}}", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{a:1}",
        "{\"a\":1,}", "01", "+1", "1.", ".5", "1e", "nan", "inf", "-nan",
        "True", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\n\"", "{} ", "[1 2]",
        "[1][2]", "{\"a\":1 \"b\":2}", "{\"a\":1\"b\":2}", "'a'",
    };

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        ck_assert_msg(json_valid(good[i]), "%s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_msg(!json_valid(bad[i]), "%s", bad[i]);
    }
}
END_TEST

static void
check_output(struct measure_output *o, const char *expected)
{
    char *s = measure_output_finish(o);

    ck_assert_str_eq(s, expected);
    free(s);
}

START_TEST(empty_answer)
{
    check_output(measure_output_create(MEASURE_JSON), "{}");
    check_output(measure_output_create(MEASURE_TEXT), "");
}
END_TEST

/* The same calls for both formats. */
static void
write_everything(struct measure_output *o)
{
    measure_output_uint(o, "schema-version", 1);
    measure_output_open_object(o, "br0");
    measure_output_bool(o, "exact", true);
    measure_output_open_line(o, "not-counted");
    measure_output_uint(o, "not-ip", 3);
    measure_output_uint(o, "malformed", 0);
    measure_output_close(o);
    measure_output_note(o, "A remark.");
    measure_output_open_list(o, "heavy-hitters");
    measure_output_open_row(o);
    measure_output_string(o, "source", "10.0.0.1");
    measure_output_uint(o, "packets", 7);
    measure_output_percentage(o, "packets-percentage-of-total", 7, 8);
    measure_output_bool(o, "heavy", true);
    measure_output_close(o);
    measure_output_open_row(o);
    measure_output_string(o, "source", "2001:db8::1");
    measure_output_uint(o, "packets", 1);
    measure_output_percentage(o, "packets-percentage-of-total", 1, 8);
    measure_output_bool(o, "heavy", false);
    measure_output_close(o);
    measure_output_close(o);
    measure_output_open_list(o, "nothing");
    measure_output_close(o);
    measure_output_open_list(o, "threads");
    measure_output_open_block(o, "pmd thread numa_id 0 core_id 1");
    measure_output_uint(o, "packets", 8);
    measure_output_time_ms(o, "start-ms", INT64_C(1700000000123));
    measure_output_close(o);
    measure_output_close(o);
    measure_output_string(o, "state", "on");
    measure_output_close(o);
}

START_TEST(everything_as_json)
{
    struct measure_output *o = measure_output_create(MEASURE_JSON);

    ck_assert(!measure_output_is_text(o));
    write_everything(o);
    check_output(o,
                 "{\"schema-version\":1,\"br0\":{\"exact\":true,"
                 "\"not-counted\":{\"not-ip\":3,\"malformed\":0},"
                 "\"heavy-hitters\":[{\"source\":\"10.0.0.1\",\"packets\":7,"
                 "\"packets-percentage-of-total\":87.500,\"heavy\":true},"
                 "{\"source\":\"2001:db8::1\",\"packets\":1,"
                 "\"packets-percentage-of-total\":12.500,\"heavy\":false}],"
                 "\"nothing\":[],\"threads\":[{\"packets\":8,"
                 "\"start-ms\":1700000000123}],\"state\":\"on\"}}");
}
END_TEST

START_TEST(everything_as_text)
{
    struct measure_output *o = measure_output_create(MEASURE_TEXT);

    ck_assert(measure_output_is_text(o));
    write_everything(o);
    check_output(o,
        "schema version: 1\n"
        "br0:\n"
        "  exact: yes\n"
        "  not counted: not ip 3, malformed 0\n"
        "  A remark.\n"
        "  heavy hitters:\n"
        "    source       packets  packets percentage of total  heavy\n"
        "    10.0.0.1           7                       87.500  yes\n"
        "    2001:db8::1        1                       12.500  no\n"
        "  nothing:\n"
        "    (none)\n"
        "  threads:\n"
        "    pmd thread numa_id 0 core_id 1:\n"
        "      packets: 8\n"
        "      start: 2023-11-14T22:13:20.123Z\n"
        "  state: on\n");
}
END_TEST

START_TEST(names_of_things_stay_as_they_are)
{
    static const enum measure_format formats[] = {
        MEASURE_TEXT, MEASURE_JSON
    };
    static const char *const expected[] = {
        "br-int:\n"
        "  not counted: not ip 3\n"
        "  port names:\n"
        "    port name\n"
        "    dpdk-p0\n",
        "{\"br-int\":{\"not-counted\":{\"not-ip\":3},"
        "\"port-names\":[{\"port-name\":\"dpdk-p0\"}]}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
        struct measure_output *o = measure_output_create(formats[i]);

        measure_output_open_object(o, "br-int");
        measure_output_open_line(o, "not-counted");
        measure_output_uint(o, "not-ip", 3);
        measure_output_close(o);
        measure_output_open_list(o, "port-names");
        measure_output_open_row(o);
        measure_output_string(o, "port-name", "dpdk-p0");
        measure_output_close(o);
        measure_output_close(o);
        measure_output_close(o);
        check_output(o, expected[i]);
    }
}
END_TEST

START_TEST(strings_are_escaped_in_json)
{
    struct measure_output *o = measure_output_create(MEASURE_JSON);

    measure_output_string(o, "quote\"d", "a\"b\\c/d");
    measure_output_string(o, "control", "\t\n\r\x01\x1f\x7f");
    measure_output_string(o, "umlaut", "\xc3\xa4");
    measure_output_string(o, "empty", "");
    check_output(o, "{\"quote\\\"d\":\"a\\\"b\\\\c/d\","
                 "\"control\":\"\\u0009\\u000a\\u000d\\u0001\\u001f\\u007f\","
                 "\"umlaut\":\"\xc3\xa4\",\"empty\":\"\"}");

    for (int c = 1; c < 128; c++) {
        char s[2] = { c, '\0' };
        char *json;

        o = measure_output_create(MEASURE_JSON);
        measure_output_string(o, s, s);
        json = measure_output_finish(o);
        ck_assert_msg(json_valid(json), "%s", json);
        free(json);
    }
}
END_TEST

START_TEST(numbers_at_their_limits)
{
    static const char *const expected[] = {
        [MEASURE_JSON]
            = "{\"max\":18446744073709551615,\"none\":0.000,\"all\":100.000,"
              "\"third\":33.333,\"epoch-ms\":0}",
        [MEASURE_TEXT]
            = "max: 18446744073709551615\nnone: 0.000\nall: 100.000\n"
              "third: 33.333\nepoch: 1970-01-01T00:00:00.000Z\n",
    };

    for (int format = 0; format < 2; format++) {
        struct measure_output *o = measure_output_create(format);

        measure_output_uint(o, "max", UINT64_MAX);
        measure_output_percentage(o, "none", 5, 0);
        measure_output_percentage(o, "all", UINT64_MAX, UINT64_MAX);
        measure_output_percentage(o, "third", 1, 3);
        measure_output_time_ms(o, "epoch-ms", 0);
        check_output(o, expected[format]);
    }
}
END_TEST

/* Writes random members of the level that is open. */
static void
write_random(struct measure_output *o, struct random *r, int depth)
{
    int n = random_below(r, 5);

    for (int i = 0; i < n; i++) {
        char name[16];

        snprintf(name, sizeof name, "name-%d", i);
        switch (random_below(r, depth < 4 ? 8 : 5)) {
        case 0:
            measure_output_uint(o, name, random_next(r));
            break;
        case 1:
            measure_output_bool(o, name, random_below(r, 2));
            break;
        case 2:
            measure_output_string(o, name, "v\"\\\x01");
            break;
        case 3:
            measure_output_percentage(o, name, random_below(r, 100), 100);
            break;
        case 4:
            strcat(name, "-ms");
            measure_output_time_ms(o, name, random_next(r) >> 20);
            break;
        case 5:
            measure_output_open_object(o, name);
            write_random(o, r, depth + 1);
            measure_output_close(o);
            measure_output_note(o, "A \"remark\".");
            break;
        case 6:
            measure_output_open_line(o, name);
            measure_output_uint(o, "a", 1);
            measure_output_bool(o, "b", true);
            measure_output_close(o);
            break;
        case 7:
            measure_output_open_list(o, name);
            for (int j = random_below(r, 3); j > 0; j--) {
                if (i % 2) {
                    measure_output_open_row(o);
                    measure_output_uint(o, "a", random_next(r));
                    measure_output_string(o, "b", "c");
                } else {
                    measure_output_open_block(o, "title");
                    write_random(o, r, depth + 2);
                }
                measure_output_close(o);
            }
            measure_output_close(o);
            break;
        }
    }
}

START_TEST(whatever_is_written_is_json)
{
    struct random r = random_from(test_seed);

    for (int i = 0; i < 3000; i++) {
        struct random again = r;
        struct measure_output *o = measure_output_create(MEASURE_JSON);
        char *s;

        write_random(o, &r, 0);
        s = measure_output_finish(o);
        if (!json_valid(s)) {
            ck_abort_msg("no JSON: %s", s);
        }
        free(s);

        /* And text with whole lines, none of which ends with a space. */
        o = measure_output_create(MEASURE_TEXT);
        write_random(o, &again, 0);
        s = measure_output_finish(o);
        REQUIRE(!*s || s[strlen(s) - 1] == '\n');
        REQUIRE(!strstr(s, " \n"));
        free(s);
    }
}
END_TEST

/* A table of many rows: columns are as wide as their widest cell. */
START_TEST(columns_are_aligned)
{
    enum { N_ROWS = 5000 };
    struct measure_output *o = measure_output_create(MEASURE_TEXT);
    char *s, *line;
    size_t width = 0, n_lines = 0;

    measure_output_open_list(o, "rows");
    for (uint64_t i = 0; i < N_ROWS; i++) {
        char name[24];

        snprintf(name, sizeof name, "%.*s", (int) (i % 20) + 1,
                 "abcdefghijklmnopqrstuvwxyz");
        measure_output_open_row(o);
        measure_output_string(o, "name", name);
        measure_output_uint(o, "number", i * i * i);
        measure_output_close(o);
    }
    measure_output_close(o);
    s = measure_output_finish(o);
    for (line = strtok(s, "\n"); line; line = strtok(NULL, "\n")) {
        if (n_lines++) {
            width = width ? width : strlen(line);
            REQUIRE(strlen(line) == width);
        }
    }
    ck_assert_uint_eq(n_lines, N_ROWS + 2);
    /* 2 to indent, names of 20, 2 between, numbers of 12. */
    ck_assert_uint_eq(width, 2 + 20 + 2 + 12);
    free(s);
}
END_TEST

/* Sets a locale with a decimal comma, made in 'directory', which the caller
 * must remove.  Returns false if there is none to be had. */
static bool
set_comma_locale(char *directory)
{
    char command[256];

    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 "
             "%s/de_DE.UTF-8 >%s/log 2>&1", directory, directory);
    setenv("LOCPATH", directory, 1);
    return (!system(command) && setlocale(LC_ALL, "de_DE.UTF-8")
            && !strcmp(localeconv()->decimal_point, ","));
}

START_TEST(numbers_have_a_point_in_any_locale)
{
    struct measure_output *o = measure_output_create(MEASURE_JSON);
    char directory[] = "check-output.XXXXXX";
    struct measure_config config;
    char command[64];

    if (set_comma_locale(directory)) {
        measure_output_decimal(o, "a", 1.5);
        measure_output_percentage(o, "b", 1, 8);
        check_output(o, "{\"a\":1.500,\"b\":12.500}");

        measure_config_init(&config);
        ck_assert(measure_config_set(&config, MEASURE_SETTING_HEAVY_HITTER,
                                     "0.5%"));
        ck_assert(config.heavy_hitter.value == 0.5);
        ck_assert(!measure_config_set(&config, MEASURE_SETTING_HEAVY_HITTER,
                                      "0,5%"));
        ck_assert(measure_config_set(&config, MEASURE_SETTING_CHANGE_FACTOR,
                                     "1.25"));

        /* And the locale is as it was. */
        snprintf(command, sizeof command, "%.1f", 1.5);
        ck_assert_str_eq(command, "1,5");
    } else {
        free(measure_output_finish(o));
        test_skipped("numbers_have_a_point_in_any_locale", "no localedef");
    }
    snprintf(command, sizeof command, "rm -r %s", directory);
    ck_assert(!system(command));
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-output");

    tcase_add_test(tests, validator_knows_json);
    tcase_add_test(tests, empty_answer);
    tcase_add_test(tests, numbers_have_a_point_in_any_locale);
    tcase_add_test(tests, everything_as_json);
    tcase_add_test(tests, everything_as_text);
    tcase_add_test(tests, names_of_things_stay_as_they_are);
    tcase_add_test(tests, strings_are_escaped_in_json);
    tcase_add_test(tests, numbers_at_their_limits);
    tcase_add_test(tests, whatever_is_written_is_json);
    tcase_add_test(tests, columns_are_aligned);
    return tests_run(tests);
}
