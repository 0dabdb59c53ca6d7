/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the configuration. */

#include "check-common.h"

#include "base/measure-number.h"
#include "tally/measure-config.h"

struct value {
    enum measure_setting setting;
    const char *value;
    bool valid;
};

#define ENABLE MEASURE_SETTING_ENABLE
#define KEY MEASURE_SETTING_KEY
#define EPOCH MEASURE_SETTING_EPOCH_MS
#define MEMORY MEASURE_SETTING_MEMORY_MB
#define HEAVY MEASURE_SETTING_HEAVY_HITTER
#define SPREADER MEASURE_SETTING_SUPERSPREADER
#define EXCLUDE MEASURE_SETTING_SUPERSPREADER_EXCLUDE
#define CHANGE_KEY MEASURE_SETTING_CHANGE_KEY
#define ALPHA MEASURE_SETTING_CHANGE_ALPHA
#define FACTOR MEASURE_SETTING_CHANGE_FACTOR
#define DEVIATIONS MEASURE_SETTING_CHANGE_DEVIATIONS
#define FLOOR MEASURE_SETTING_CHANGE_FLOOR
#define WARMUP MEASURE_SETTING_CHANGE_WARMUP
#define HOLD_DOWN MEASURE_SETTING_CHANGE_HOLD_DOWN
#define HISTORY MEASURE_SETTING_HISTORY
#define ALERT_LOG MEASURE_SETTING_ALERT_LOG
#define STREAM MEASURE_SETTING_STREAM
#define WHERE MEASURE_SETTING_STREAM_WHERE
#define HEADERS MEASURE_SETTING_STREAM_HEADERS
#define SLOTS MEASURE_SETTING_STREAM_SLOTS
#define STREAM_MEMORY MEASURE_SETTING_STREAM_MEMORY_MB

static const struct value values[] = {
    { ENABLE, "true", true },
    { ENABLE, "false", true },
    { ENABLE, "", false },
    { ENABLE, "True", false },
    { ENABLE, "yes", false },
    { ENABLE, "1", false },
    { ENABLE, "true ", false },
    { ENABLE, " true", false },
    { ENABLE, "truefalse", false },

    { KEY, "flow", true },
    { KEY, "pair", true },
    { KEY, "source", true },
    { KEY, "destination", true },
    { KEY, "", false },
    { KEY, "flows", false },
    { KEY, "Pair", false },
    { KEY, "port", false },

    { EPOCH, "99", false },
    { EPOCH, "100", true },
    { EPOCH, "101", true },
    { EPOCH, "0000100", true },
    { EPOCH, "86399999", true },
    { EPOCH, "86400000", true },
    { EPOCH, "86400001", false },
    { EPOCH, "4294967396", false },             /* 2**32 + 100. */
    { EPOCH, "18446744073709551716", false },   /* 2**64 + 100. */
    { EPOCH, "9999999999999999999", false },
    { EPOCH, "99999999999999999999999", false },
    { EPOCH, "", false },
    { EPOCH, "0", false },
    { EPOCH, "-1000", false },
    { EPOCH, "+1000", false },
    { EPOCH, " 1000", false },
    { EPOCH, "1000 ", false },
    { EPOCH, "1000ms", false },
    { EPOCH, "1e3", false },
    { EPOCH, "0x400", false },
    { EPOCH, "1000.0", false },

    { MEMORY, "0", false },
    { MEMORY, "1", true },
    { MEMORY, "2", true },
    { MEMORY, "1048575", true },
    { MEMORY, "1048576", true },
    { MEMORY, "1048577", false },
    { MEMORY, "4294967297", false },            /* 2**32 + 1. */
    { MEMORY, "18446744073709551617", false },  /* 2**64 + 1. */
    { MEMORY, "", false },
    { MEMORY, "-1", false },
    { MEMORY, "256MB", false },

    { HEAVY, "0%", false },
    { HEAVY, "0.0%", false },
    { HEAVY, "0.0000000001%", true },
    { HEAVY, "0.1%", true },
    { HEAVY, "1%", true },
    { HEAVY, "100%", true },
    { HEAVY, "100.0%", true },
    { HEAVY, "100.001%", false },
    { HEAVY, "101%", false },
    { HEAVY, "-1%", false },
    { HEAVY, "+1%", false },
    { HEAVY, "1 %", false },
    { HEAVY, " 1%", false },
    { HEAVY, "1% ", false },
    { HEAVY, "1%%", false },
    { HEAVY, "%", false },
    { HEAVY, ".%", false },
    { HEAVY, "1.2.3%", false },
    { HEAVY, "1", false },
    { HEAVY, "", false },
    { HEAVY, "nan%", false },
    { HEAVY, "inf%", false },
    { HEAVY, "infbps", false },
    { HEAVY, "1e3pps", false },
    { HEAVY, "0x1p3pps", false },
    { HEAVY, "0xbps", false },
    { HEAVY, "0bps", false },
    { HEAVY, "1bps", true },
    { HEAVY, "10kbps", true },
    { HEAVY, "10Mbps", true },
    { HEAVY, "1.5Gbps", true },
    { HEAVY, "10mbps", false },
    { HEAVY, "10Kbps", false },
    { HEAVY, "10Tbps", false },
    { HEAVY, "10bits", false },
    { HEAVY, "10bp", false },
    { HEAVY, "10bpss", false },
    { HEAVY, "0pps", false },
    { HEAVY, "1pps", true },
    { HEAVY, "5kpps", true },
    { HEAVY, "5Mpps", true },
    { HEAVY, "5Gpps", false },
    { HEAVY, "pps", false },
    /* As long as the configuration keeps, and one more. */
    { HEAVY, "0000000000000000000000000001pps", true },
    { HEAVY, "00000000000000000000000000001pps", false },

    { SPREADER, "0", false },
    { SPREADER, "1", true },
    { SPREADER, "4294967295", true },
    { SPREADER, "4294967296", false },
    { SPREADER, "", false },

    { EXCLUDE, "", true },
    { EXCLUDE, "10.0.0.1 10.0.0.2", false },
    { EXCLUDE, "10.0.0.1", true },
    { EXCLUDE, "10.0.0.0/8,2001:db8::/32,::1", true },
    { EXCLUDE, "0.0.0.0/0,::/0", true },
    { EXCLUDE, "10.0.0.0/32,::/128", true },
    { EXCLUDE, "10.0.0.0/33", false },
    { EXCLUDE, "::/129", false },
    { EXCLUDE, "10.0.0.0/", false },
    { EXCLUDE, "10.0.0.0/-1", false },
    { EXCLUDE, "10.0.0.0/8/8", false },
    { EXCLUDE, "10.0.0/8", false },
    { EXCLUDE, "10.0.0.1, 10.0.0.2", false },
    { EXCLUDE, "10.0.0.1;10.0.0.2", false },
    { EXCLUDE, "10.0.0.1,any", false },
    { EXCLUDE, "10.0.0.1,", false },
    { EXCLUDE, ",10.0.0.1", false },
    { EXCLUDE, "10.0.0.1,,10.0.0.2", false },
    { EXCLUDE, ",", false },
    { EXCLUDE, "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:"
      "0000:0000", false },

    { CHANGE_KEY, "pair", true },
    { CHANGE_KEY, "flow", true },
    { CHANGE_KEY, "pairs", false },

    { ALPHA, "0", false },
    { ALPHA, "0.5", true },
    { ALPHA, "1", true },
    { ALPHA, "1.01", false },
    { ALPHA, "", false },
    { ALPHA, "nan", false },
    { ALPHA, "1e-1", false },
    { ALPHA, "-1", false },
    { ALPHA, "0.5.5", false },
    { ALPHA, ".", false },

    { FACTOR, "0", true },
    { FACTOR, "0.5", false },
    { FACTOR, "1", true },
    { FACTOR, "1.5", true },
    { FACTOR, "1000000", true },
    { FACTOR, "1000001", false },
    { FACTOR, "inf", false },

    { DEVIATIONS, "0", true },
    { DEVIATIONS, "0.5", true },
    { DEVIATIONS, "1000000", true },
    { DEVIATIONS, "1000000.5", false },
    { DEVIATIONS, "-0.5", false },

    { FLOOR, "0", true },
    { FLOOR, "1000000000000", true },
    { FLOOR, "1000000000001", false },
    { FLOOR, "1.5", false },

    { WARMUP, "0", false },
    { WARMUP, "1", true },
    { WARMUP, "1000000", true },
    { WARMUP, "1000001", false },

    { HOLD_DOWN, "0", true },
    { HOLD_DOWN, "1000000", true },
    { HOLD_DOWN, "1000001", false },

    { HISTORY, "0", false },
    { HISTORY, "1", true },
    { HISTORY, "100000", true },
    { HISTORY, "100001", false },

    { ALERT_LOG, "warn", true },
    { ALERT_LOG, "info", true },
    { ALERT_LOG, "off", true },
    { ALERT_LOG, "", false },
    { ALERT_LOG, "error", false },
    { ALERT_LOG, "WARN", false },

    { STREAM, "true", true },
    { STREAM, "on", false },
    { WHERE, "", true },
    { WHERE, "protocol=tcp,source=10.0.0.0/8", true },
    { WHERE, "port=not-there-yet", true },
    { WHERE, "protocol=tcpx", false },
    { WHERE, "colour=red", false },
    { WHERE, "port=x,", false },
    { HEADERS, "true", true },
    { HEADERS, "96", false },
    { SLOTS, "4096", true },
    { SLOTS, "1048576", true },
    { SLOTS, "2048", false },
    { SLOTS, "2097152", false },
    { SLOTS, "5000", false },
    { SLOTS, "4097", false },
    { SLOTS, "", false },

    { STREAM_MEMORY, "1", true },
    { STREAM_MEMORY, "1048576", true },
    { STREAM_MEMORY, "0", false },
    { STREAM_MEMORY, "1048577", false },
    { STREAM_MEMORY, "", false },
};

START_TEST(valid_values_are_said)
{
    char *structures = measure_setting_valid(MEASURE_SETTING_STRUCTURE);
    char *tiers = measure_setting_valid(MEASURE_SETTING_TIERS);

    ck_assert_str_eq(structures, "linear-table, count-array, count-min, "
                                 "cuckoo-table or space-saving");
    ck_assert_str_eq(tiers, "1 or 2");
    free(structures);
    free(tiers);
}
END_TEST

START_TEST(values_are_valid_or_change_nothing)
{
    const struct value *v = &values[_i];
    struct measure_config config, before;

    memset(&config, 0, sizeof config);
    measure_config_init(&config);
    before = config;
    ck_assert_msg(measure_config_set(&config, v->setting, v->value)
                  == v->valid, "%s=%s", measure_settings[v->setting].name,
                  v->value);
    if (!v->valid) {
        ck_assert_mem_eq(&config, &before, sizeof config);
    }
}
END_TEST

START_TEST(settings_have_names_defaults_and_help)
{
    struct measure_config config;

    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        const struct measure_setting_info *info = &measure_settings[i];
        char *valid = measure_setting_valid(i);

        ck_assert_msg(!strncmp(info->name, "measure", 7), "%s", info->name);
        ck_assert_ptr_ne(info->default_value, NULL);
        ck_assert(valid[0]);
        free(valid);
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(info->name, measure_settings[j].name);
        }
    }

    memset(&config, 0xff, sizeof config);
    measure_config_init(&config);
    ck_assert(!config.enable);
    ck_assert_int_eq(config.key, MEASURE_KIND_FLOW);
    ck_assert_uint_eq(config.epoch_ms, 1000);
    ck_assert_uint_eq(config.memory_mb, 256);
    ck_assert_uint_eq(config.idle_memory_mb, 4);
    ck_assert_int_eq(config.heavy_hitter.unit, MEASURE_SHARE);
    ck_assert_double_eq_tol(config.heavy_hitter.value, 0.1, 1e-12);
    ck_assert_str_eq(config.heavy_hitter_text, "0.1%");

    ck_assert(!measure_config_set(&config, MEASURE_N_SETTINGS, "true"));
}
END_TEST

START_TEST(values_arrive)
{
    struct measure_config config;

    measure_config_init(&config);
    ck_assert(measure_config_set(&config, ENABLE, "true"));
    ck_assert(config.enable);
    ck_assert(measure_config_set(&config, ENABLE, "false"));
    ck_assert(!config.enable);
    for (int key_kind = 0; key_kind < MEASURE_N_KINDS; key_kind++) {
        ck_assert(measure_config_set(&config, KEY,
                                     measure_kind_name(key_kind)));
        ck_assert_int_eq(config.key, key_kind);
    }
    ck_assert(measure_config_set(&config, EPOCH, "86400000"));
    ck_assert_uint_eq(config.epoch_ms, 86400000);
    ck_assert(measure_config_set(&config, MEMORY, "1048576"));
    ck_assert_uint_eq(config.memory_mb, 1048576);
    ck_assert(measure_config_set(&config, MEASURE_SETTING_IDLE_MEMORY_MB,
                                 "64"));
    ck_assert_uint_eq(config.idle_memory_mb, 64);
}
END_TEST

START_TEST(prefixes_arrive)
{
    struct measure_config config;
    const struct measure_prefix *prefixes
        = config.superspreader_exclude.prefixes;
    static const uint8_t one[16] = { [15] = 1 };

    measure_config_init(&config);
    ck_assert_uint_eq(config.superspreader_exclude.n, 0);
    ck_assert(measure_config_set(&config, EXCLUDE, "10.1.2.3/8,::1"));
    ck_assert_uint_eq(config.superspreader_exclude.n, 2);
    ck_assert_int_eq(prefixes[0].family, MEASURE_IPV4);
    ck_assert_uint_eq(prefixes[0].bits, 8);
    ck_assert_mem_eq(prefixes[0].address, ((uint8_t[]) { 10, 0, 0, 0 }), 4);
    ck_assert_int_eq(prefixes[1].family, MEASURE_IPV6);
    ck_assert_uint_eq(prefixes[1].bits, 128);
    ck_assert_mem_eq(prefixes[1].address, one, 16);
}
END_TEST

START_TEST(no_more_prefixes_than_fit)
{
    struct measure_config config;
    char list[(MEASURE_MAX_PREFIXES + 1) * 8 + 1] = "1.2.3.4";

    measure_config_init(&config);
    for (int i = 1; i < MEASURE_MAX_PREFIXES; i++) {
        strcat(list, ",1.2.3.4");
    }
    ck_assert(measure_config_set(&config, EXCLUDE, list));
    ck_assert_uint_eq(config.superspreader_exclude.n, MEASURE_MAX_PREFIXES);
    strcat(list, ",1.2.3.4");
    ck_assert(!measure_config_set(&config, EXCLUDE, list));
    ck_assert(measure_config_set(&config, EXCLUDE, ""));
    ck_assert_uint_eq(config.superspreader_exclude.n, 0);
}
END_TEST

START_TEST(thresholds_arrive_in_base_units)
{
    static const struct {
        const char *text;
        enum measure_threshold_unit unit;
        double value;
    } thresholds[] = {
        { "100%", MEASURE_SHARE, 100 },
        { "0.25%", MEASURE_SHARE, 0.25 },
        { "7bps", MEASURE_BITS_PER_SECOND, 7 },
        { "7kbps", MEASURE_BITS_PER_SECOND, 7e3 },
        { "7.5Mbps", MEASURE_BITS_PER_SECOND, 7.5e6 },
        { "7Gbps", MEASURE_BITS_PER_SECOND, 7e9 },
        { "7pps", MEASURE_PACKETS_PER_SECOND, 7 },
        { "0.5kpps", MEASURE_PACKETS_PER_SECOND, 500 },
        { "7Mpps", MEASURE_PACKETS_PER_SECOND, 7e6 },
    };
    struct measure_config config;

    measure_config_init(&config);
    for (size_t i = 0; i < ARRAY_SIZE(thresholds); i++) {
        ck_assert(measure_config_set(&config, HEAVY, thresholds[i].text));
        ck_assert_int_eq(config.heavy_hitter.unit, thresholds[i].unit);
        ck_assert_double_eq_tol(config.heavy_hitter.value,
                                thresholds[i].value,
                                thresholds[i].value * 1e-12);
        ck_assert_str_eq(config.heavy_hitter_text, thresholds[i].text);
    }
}
END_TEST

START_TEST(numbers_are_decimal_and_bounded)
{
    static const struct {
        const char *text;
        uint64_t min, max;
        bool valid;
        uint64_t number;
    } numbers[] = {
        { "0", 0, UINT64_MAX, true, 0 },
        { "00", 0, 0, true, 0 },
        { "1", 0, 0, false, 0 },
        { "9", 10, 20, false, 0 },
        { "10", 10, 20, true, 10 },
        { "20", 10, 20, true, 20 },
        { "21", 10, 20, false, 0 },
        { "9999999999999999999", 0, UINT64_MAX, true,
          UINT64_C(9999999999999999999) },
        { "", 0, UINT64_MAX, false, 0 },
        { "-0", 0, UINT64_MAX, false, 0 },
        { "1a", 0, UINT64_MAX, false, 0 },
        { "1 ", 0, UINT64_MAX, false, 0 },
        { "18446744073709551616", 0, UINT64_MAX, false, 0 },
        { "\xff", 0, UINT64_MAX, false, 0 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        uint64_t number = 0;

        ck_assert_msg(measure_integer_parse(numbers[i].text, numbers[i].min,
                                            numbers[i].max, &number)
                      == numbers[i].valid, "%s", numbers[i].text);
        if (numbers[i].valid) {
            ck_assert_uint_eq(number, numbers[i].number);
        }
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-config");

    tcase_add_test(tests, settings_have_names_defaults_and_help);
    tcase_add_test(tests, values_arrive);
    tcase_add_test(tests, prefixes_arrive);
    tcase_add_test(tests, no_more_prefixes_than_fit);
    tcase_add_test(tests, thresholds_arrive_in_base_units);
    tcase_add_test(tests, numbers_are_decimal_and_bounded);
    tcase_add_test(tests, valid_values_are_said);
    tcase_add_loop_test(tests, values_are_valid_or_change_nothing,
                        0, ARRAY_SIZE(values));
    return tests_run(tests);
}
