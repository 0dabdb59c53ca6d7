/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of alerts. */

#include "check-common.h"

#include "questions/measure-alert.h"

static struct measure_alert
make_alert(uint64_t number)
{
    struct measure_alert alert;

    memset(&alert, 0, sizeof alert);
    alert.task = "superspreader";
    alert.epoch = number;
    alert.time_ms = 1700000000000 + number;
    alert.unit = "destinations";
    alert.value = number * 100;
    alert.threshold = 128;
    snprintf(alert.rule, sizeof alert.rule, "more than %d destinations", 128);
    measure_alert_field(&alert, "source", "10.0.0.1");
    measure_alert_number(&alert, "source-port", UINT64_MAX - number);
    return alert;
}

static void
add(struct measure_alerts *alerts, uint64_t number)
{
    struct measure_alert alert = make_alert(number);

    ck_assert_uint_eq(measure_alerts_add(alerts, &alert), number);
    /* The ring has a copy. */
    memset(&alert, 0xff, sizeof alert);
}

/* A poller that comes at any time sees each alert that is still there once,
 * in order, and the number of those that it has missed. */
START_TEST(pollers_miss_nothing_unnoticed)
{
    uint32_t size = _i;
    struct random r = random_from(test_seed + size);
    struct measure_alerts alerts;
    uint64_t since = 0, n_seen = 0, n_missed = 0, last = 0;

    measure_alerts_init(&alerts, size);
    for (int i = 0; i < 500; i++) {
        uint64_t expected;
        uint64_t n = random_below(&r, 2 * size + 2);

        while (n--) {
            add(&alerts, ++last);
        }
        n_missed += measure_alerts_dropped(&alerts, since);
        expected = since + measure_alerts_dropped(&alerts, since);
        MEASURE_ALERT_FOR_EACH (alert, &alerts, since) {
            REQUIRE(alert->sequence == ++expected);
            REQUIRE(alert->epoch == expected);
            REQUIRE(alert->value == expected * 100);
            REQUIRE(!strcmp(alert->fields[0].text, "10.0.0.1"));
            n_seen++;
        }
        REQUIRE(expected == last);
        since = last;
        REQUIRE(n_seen + n_missed == last);
        REQUIRE(measure_alerts_dropped(&alerts, 0)
                == (last > size ? last - size : 0));
        REQUIRE(!measure_alerts_next(&alerts, last));
        REQUIRE(!measure_alerts_next(&alerts, UINT64_MAX));
        REQUIRE(!measure_alerts_dropped(&alerts, UINT64_MAX));
    }
    measure_alerts_destroy(&alerts);
}
END_TEST

static char *
write_alerts(const struct measure_alerts *alerts, enum measure_format format,
             uint64_t since, uint64_t n)
{
    struct measure_output *o = measure_output_create(format);

    measure_alerts_write(o, alerts, since, n);
    return measure_output_finish(o);
}

#define CHECK_OUTPUT(FORMAT, SINCE, N, EXPECTED)                        \
    do {                                                                \
        char *output = write_alerts(&alerts, FORMAT, SINCE, N);         \
                                                                        \
        ck_assert_str_eq(output, EXPECTED);                             \
        free(output);                                                   \
    } while (0)

START_TEST(output_is_as_documented)
{
    struct measure_alerts alerts;

    measure_alerts_init(&alerts, 2);
    CHECK_OUTPUT(MEASURE_JSON, 7, 0,
                 "{\"alerts\":[],\"sequence\":{\"next-since\":0,\"last\":0,"
                 "\"dropped\":0}}");
    for (uint64_t i = 1; i <= 4; i++) {
        add(&alerts, i);
    }
    CHECK_OUTPUT(MEASURE_JSON, 1, 1,
                 "{\"alerts\":[{\"sequence\":3,\"task\":\"superspreader\","
                 "\"epoch\":3,\"time-ms\":1700000000003,\"key\":{"
                 "\"source\":\"10.0.0.1\",\"source-port\":"
                 "18446744073709551612},\"unit\":\"destinations\","
                 "\"value\":300,\"exact\":true,\"threshold\":128,"
                 "\"rule\":\"more than 128 destinations\"}],\"sequence\":"
                 "{\"next-since\":3,\"last\":4,\"dropped\":1}}");
    CHECK_OUTPUT(MEASURE_TEXT, 3, 0,
                 "alerts:\n"
                 "  alert 4:\n"
                 "    task: superspreader\n"
                 "    epoch: 4\n"
                 "    time: 2023-11-14T22:13:20.004Z\n"
                 "    key: source 10.0.0.1, source port "
                 "18446744073709551611\n"
                 "    unit: destinations\n"
                 "    value: 400\n"
                 "    exact: yes\n"
                 "    threshold: 128\n"
                 "    rule: more than 128 destinations\n"
                 "sequence: next since 4, last 4, dropped 0\n");
    CHECK_OUTPUT(MEASURE_TEXT, 4, 0,
                 "alerts:\n"
                 "  (none)\n"
                 "sequence: next since 4, last 4, dropped 0\n");
    measure_alerts_destroy(&alerts);
}
END_TEST

START_TEST(errors_are_part_of_an_alert)
{
    struct measure_alert alert = make_alert(1);
    struct measure_alerts alerts;
    char buffer[300];

    alert.estimate = "lower-bound";
    alert.error_max = 17;
    measure_alerts_init(&alerts, 2);
    measure_alerts_add(&alerts, &alert);
    alert.estimate = "upper-bound";
    alert.error_probability = .05;
    measure_alerts_add(&alerts, &alert);
    CHECK_OUTPUT(MEASURE_TEXT, 0, 1,
                 "alerts:\n"
                 "  alert 1:\n"
                 "    task: superspreader\n"
                 "    epoch: 1\n"
                 "    time: 2023-11-14T22:13:20.001Z\n"
                 "    key: source 10.0.0.1, source port "
                 "18446744073709551614\n"
                 "    unit: destinations\n"
                 "    value: 100\n"
                 "    exact: no\n"
                 "    estimate: lower-bound\n"
                 "    value error max: 17\n"
                 "    threshold: 128\n"
                 "    rule: more than 128 destinations\n"
                 "sequence: next since 1, last 2, dropped 0\n");
    CHECK_OUTPUT(MEASURE_JSON, 1, 0,
                 "{\"alerts\":[{\"sequence\":2,\"task\":\"superspreader\","
                 "\"epoch\":1,\"time-ms\":1700000000001,\"key\":{"
                 "\"source\":\"10.0.0.1\",\"source-port\":"
                 "18446744073709551614},\"unit\":\"destinations\","
                 "\"value\":100,\"exact\":false,\"estimate\":"
                 "\"upper-bound\",\"value-error-max\":17,"
                 "\"error-probability-percentage\":5.000,\"threshold\":128,"
                 "\"rule\":\"more than 128 destinations\"}],\"sequence\":"
                 "{\"next-since\":2,\"last\":2,\"dropped\":0}}");
    measure_alert_format(&alert, buffer, sizeof buffer);
    ck_assert_ptr_nonnull(strstr(buffer, "more than 128 destinations; "
                                 "upper-bound, wrong by at most 17 with a "
                                 "probability of 95%"));
    measure_alerts_destroy(&alerts);
}
END_TEST

START_TEST(log_lines_are_whole_or_cut)
{
    const char *expected = "alert 0: superspreader, source 10.0.0.1 "
                           "source-port 18446744073709551614, "
                           "100 destinations in epoch 1, threshold 128: "
                           "more than 128 destinations";
    struct measure_alert alert = make_alert(1);
    char buffer[300];

    for (size_t size = 1; size <= sizeof buffer; size++) {
        memset(buffer, 'x', sizeof buffer);
        measure_alert_format(&alert, buffer, size);
        if (size > strlen(expected)) {
            ck_assert_str_eq(buffer, expected);
        } else {
            ck_assert_uint_eq(strlen(buffer), size - 1);
            ck_assert(!strncmp(buffer, expected, size - 1));
            ck_assert(size == sizeof buffer || buffer[size] == 'x');
        }
    }
}
END_TEST

START_TEST(long_texts_are_cut)
{
    struct measure_alert alert = make_alert(1);
    char text[200];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    while (alert.n_fields < MEASURE_ALERT_FIELDS) {
        measure_alert_field(&alert, "source", text);
    }
    for (unsigned int i = 2; i < MEASURE_ALERT_FIELDS; i++) {
        ck_assert_uint_eq(strlen(alert.fields[i].text),
                          MEASURE_ALERT_TEXT - 1);
    }
    /* The longest text of an IPv6 address with a prefix. */
    ck_assert_uint_gt(MEASURE_ALERT_TEXT,
                      strlen("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"));
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-alert");

    tcase_add_loop_test(tests, pollers_miss_nothing_unnoticed, 1, 8);
    tcase_add_test(tests, output_is_as_documented);
    tcase_add_test(tests, errors_are_part_of_an_alert);
    tcase_add_test(tests, log_lines_are_whole_or_cut);
    tcase_add_test(tests, long_texts_are_cut);
    return tests_run(tests);
}
