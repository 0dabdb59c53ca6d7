/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the texts of questions and answers. */

#include "check-common.h"
#include "check-json.h"
#include "check-scopes.h"

#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"

START_TEST(wrong_words_are_explained)
{
    static const struct {
        const char *where;
        const char *says;
    } cases[] = {
        { "", "unknown condition" },
        { "x=1", "unknown condition" },
        { "source", "unknown condition" },
        { "source=", "valid is an address" },
        { "source=10.0.0.0/33", "valid is an address" },
        { "source=10.0.0.0/", "valid is an address" },
        { "source=10.0.0/8", "valid is an address" },
        { "source=::1/129", "valid is an address" },
        { "protocol=tcpp", "tcp, udp" },
        { "protocol=256", "0 to 255" },
        { "source-port=65536", "0 to 65535" },
        { "destination-port=-1", "0 to 65535" },
        { "vlan=4096", "4095" },
        { "tunnel=4294967296", "4294967295" },
        { "port=three", "measured: one, two" },
        { "vlan=1,", "unknown condition" },
        { "vlan=1,,vlan=1", "unknown condition" },
    };
    static const char *const wrong_by[] = {
        "", "sources", "source/", "source/0", "source/129", "source/x",
        "pair/8", "source+", "source+source", "flow+source", "+source",
        "vlan/4", "source/24/", "source/1000000000000",
    };
    struct measure_hitters_question q;
    struct measure_filter filter;

    measure_port_number(&ports, "one");
    measure_port_number(&ports, "two");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *error = measure_filter_parse(cases[i].where, &ports, &filter);

        ck_assert_msg(error && strstr(error, cases[i].says), "%s: %s",
                      cases[i].where, error);
        free(error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong_by); i++) {
        ck_assert_msg(!measure_hitters_parse_by(wrong_by[i], &q), "%s",
                      wrong_by[i]);
    }
    measure_port_names_destroy(&ports);
    memset(&ports, 0, sizeof ports);
}
END_TEST

/* A comma or backslash in the name of a port is part of it behind a
 * backslash. */
START_TEST(names_of_ports_are_escaped)
{
    static const struct {
        const char *name;
        const char *where;
    } cases[] = {
        { "one", "port=one" },
        { "a,b", "port=a\\,b" },
        { ",", "port=\\," },
        { "b\\", "port=b\\\\" },
        { "a\\", "port=a\\" },
        { "a\\,c", "port=a\\\\\\,c" },
        { "a\\x", "port=a\\x" },
        { "a=b", "port=a=b" },
    };
    uint16_t numbers[ARRAY_SIZE(cases)];
    struct measure_filter filter;
    char *error;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        numbers[i] = measure_port_number(&ports, cases[i].name);
    }
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char where[40];

        snprintf(where, sizeof where, "%s%s", cases[i].where,
                 i % 2 ? ",vlan=1" : "");
        error = measure_filter_parse(where, &ports, &filter);
        ck_assert_msg(!error, "%s: %s", where, error);
        ck_assert_uint_eq(filter.fields, (MEASURE_FIELD_PORT
                                          | (i % 2 ? MEASURE_FIELD_VLAN : 0)));
        ck_assert_uint_eq(filter.narrow_value[1] >> MEASURE_PORT_SHIFT & 0xfff,
                          numbers[i]);
    }
    error = measure_filter_parse("port=a,b", &ports, &filter);
    ck_assert_msg(strstr(error, "measured: one, a\\,b, \\,, b\\\\, a"), "%s",
                  error);
    free(error);
    measure_port_names_destroy(&ports);
    memset(&ports, 0, sizeof ports);
}
END_TEST

START_TEST(ports_may_be_named_before_they_are_there)
{
    static const uint64_t key[2] = { 0, UINT64_C(1) << MEASURE_PORT_SHIFT };
    struct measure_filter filter;
    char *missing;

    ck_assert_ptr_null(measure_filter_parse_early("port=a\\,b", &ports,
                                                  &filter, &missing));
    ck_assert_str_eq(missing, "a,b");
    ck_assert(!measure_filter_matches(&filter, MEASURE_NARROW, key));
    free(missing);
    measure_port_number(&ports, "a,b");
    ck_assert_ptr_null(measure_filter_parse_early("port=a\\,b", &ports,
                                                  &filter, &missing));
    ck_assert_ptr_null(missing);
    ck_assert(measure_filter_matches(&filter, MEASURE_NARROW, key));
    char *error = measure_filter_parse_early("port=x,port=y,vlan=x", NULL,
                                             &filter, &missing);
    ck_assert_str_eq(missing, "y");
    ck_assert_msg(strstr(error, "vlan=x"), "%s", error);
    free(error);
    free(missing);
    measure_port_names_destroy(&ports);
    memset(&ports, 0, sizeof ports);
}
END_TEST

START_TEST(answers_are_json)
{
    struct measure_filter filter;
    struct measure_scope scope;

    make_reports(MEASURE_KIND_FLOW, 20000);
    for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
        for (int format = 0; format < 2; format++) {
            struct measure_superspreaders_question s = { .min = 1 };
            struct measure_hitters_question q = {
                .threshold = { MEASURE_SHARE, 1 }, .threshold_text = "1%",
            };
            struct measure_output *o = measure_output_create(format);
            char *text;

            open_scope(&scopes[i], &scope, &filter);
            ck_assert(measure_hitters_parse_by(group_names[i], &q));
            measure_output_open_object(o, "a");
            ck_assert(measure_hitters_write(o, &scope, &q));
            measure_output_close(o);
            measure_output_open_object(o, "b");
            ck_assert(measure_superspreaders_write(o, &scope, &s));
            measure_output_close(o);
            ck_assert(measure_hitters_parse_by("source/*", &q));
            measure_output_open_object(o, "c");
            ck_assert(measure_hitters_write(o, &scope, &q));
            measure_output_close(o);
            text = measure_output_finish(o);
            ck_assert(format == MEASURE_TEXT || json_valid(text));
            free(text);
        }
    }
    destroy_reports();
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("texts");

    tcase_add_test(tests, wrong_words_are_explained);
    tcase_add_test(tests, names_of_ports_are_escaped);
    tcase_add_test(tests, ports_may_be_named_before_they_are_there);
    tcase_add_test(tests, answers_are_json);
    return tests_run(tests);
}
