/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of one monitor: keys, values and defaults. */

#include <config.h>

#include "tally/measure-config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-number.h"

const struct measure_setting_info measure_settings[MEASURE_N_SETTINGS] = {
#define SETTING(ENUM, NAME, DEFAULT, VALID) \
    [MEASURE_SETTING_##ENUM] = { NAME, DEFAULT, VALID },
    MEASURE_SETTINGS
#undef SETTING
};

/* Returns what is valid for 'setting', as an error message says it.  The
 * caller must free it. */
char *
measure_setting_valid(enum measure_setting setting)
{
    const char *valid = measure_settings[setting].valid;
    char *s = NULL;

    if (valid) {
        return measure_format("%s", valid);
    }
    for (int i = 0; i < MEASURE_N_STRUCTURES; i++) {
        measure_append(&s, "%s%s", (!i ? "" : i < MEASURE_N_STRUCTURES - 1
                                    ? ", " : " or "),
                       measure_structure_name(i));
    }
    return s;
}

/* Sets every setting to its default. */
void
measure_config_init(struct measure_config *config)
{
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        bool valid = measure_config_set(config, i,
                                        measure_settings[i].default_value);
        assert(valid);
        (void) valid;
    }
}

static bool
parse_uint32(const char *s, uint32_t min, uint32_t max, uint32_t *number)
{
    uint64_t value;

    if (!measure_integer_parse(s, min, max, &value)) {
        return false;
    }
    *number = value;
    return true;
}

static bool
parse_bool(const char *s, bool *value)
{
    if (!strcmp(s, "true") || !strcmp(s, "false")) {
        *value = s[0] == 't';
        return true;
    }
    return false;
}

static bool
parse_threshold(const char *s, struct measure_threshold *threshold)
{
    static const struct {
        const char *suffix;
        enum measure_threshold_unit unit;
        double factor;
        double max;
    } units[] = {
        { "%", MEASURE_SHARE, 1, 100 },
        { "bps", MEASURE_BITS_PER_SECOND, 1, 1e15 },
        { "kbps", MEASURE_BITS_PER_SECOND, 1e3, 1e15 },
        { "Mbps", MEASURE_BITS_PER_SECOND, 1e6, 1e15 },
        { "Gbps", MEASURE_BITS_PER_SECOND, 1e9, 1e15 },
        { "pps", MEASURE_PACKETS_PER_SECOND, 1, 1e15 },
        { "kpps", MEASURE_PACKETS_PER_SECOND, 1e3, 1e15 },
        { "Mpps", MEASURE_PACKETS_PER_SECOND, 1e6, 1e15 },
    };
    size_t digits = strspn(s, "0123456789.");
    char *end;

    /* measure_decimal_parse() takes more than digits: "inf", "0x1p3",
     * "1e3". */
    double value = measure_decimal_parse(s, &end);
    if (!digits || end != s + digits) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!strcmp(end, units[i].suffix)) {
            value *= units[i].factor;
            if (!(value > 0) || value > units[i].max) {
                return false;
            }
            threshold->unit = units[i].unit;
            threshold->value = value;
            return true;
        }
    }
    return false;
}

/* Parses decimal number 's', with or without a fraction, from 'min' to
 * 'max'. */
static bool
parse_double(const char *s, double min, double max, double *number)
{
    size_t digits = strspn(s, "0123456789.");
    char *end;

    double value = measure_decimal_parse(s, &end);
    if (!digits || s[digits] || end != s + digits
        || !(value >= min && value <= max)) {
        return false;
    }
    *number = value;
    return true;
}

static bool
parse_alert_log(const char *s, enum measure_alert_log *log)
{
    static const char *const names[] = {
        [MEASURE_LOG_OFF] = "off",
        [MEASURE_LOG_INFO] = "info",
        [MEASURE_LOG_WARN] = "warn",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strcmp(s, names[i])) {
            *log = i;
            return true;
        }
    }
    return false;
}

static bool
parse_whole_double(const char *s, uint64_t max, double *number)
{
    uint64_t value;

    if (!measure_integer_parse(s, 0, max, &value)) {
        return false;
    }
    *number = value;
    return true;
}

/* Which ports there will be is not known here. */
static bool
parse_where(const char *s, char *where, size_t size)
{
    struct measure_filter filter;
    char *missing, *error;
    bool valid;

    if (strlen(s) >= size) {
        return false;
    }
    if (s[0]) {
        error = measure_filter_parse_early(s, NULL, &filter, &missing);
        valid = !error;
        free(error);
        free(missing);
        if (!valid) {
            return false;
        }
    }
    strcpy(where, s);
    return true;
}

static bool
parse_slots(const char *s, uint32_t *slots)
{
    uint32_t value;

    if (!parse_uint32(s, 4096, 1048576, &value) || value & (value - 1)) {
        return false;
    }
    *slots = value;
    return true;
}

/* Sets 'setting' to 'value'.  Returns false, and changes nothing, if 'value'
 * is not what measure_setting_valid() says. */
bool
measure_config_set(struct measure_config *config,
                   enum measure_setting setting, const char *value)
{
    switch (setting) {
    case MEASURE_SETTING_ENABLE:
        return parse_bool(value, &config->enable);

    case MEASURE_SETTING_KEY:
        return measure_kind_from_name(value, &config->key);

    case MEASURE_SETTING_STRUCTURE:
        return measure_structure_from_name(value, &config->structure);

    case MEASURE_SETTING_EPOCH_MS:
        return parse_uint32(value, 100, 86400000, &config->epoch_ms);

    case MEASURE_SETTING_MEMORY_MB:
        return parse_uint32(value, 1, 1048576, &config->memory_mb);

    case MEASURE_SETTING_IDLE_MEMORY_MB:
        return parse_uint32(value, 1, 1048576, &config->idle_memory_mb);

    case MEASURE_SETTING_TIERS:
        return parse_uint32(value, 1, 2, &config->tiers);

    case MEASURE_SETTING_PREFETCH:
        return parse_bool(value, &config->prefetch);

    case MEASURE_SETTING_HEAVY_HITTER:
        if (strlen(value) >= sizeof config->heavy_hitter_text
            || !parse_threshold(value, &config->heavy_hitter)) {
            return false;
        }
        strcpy(config->heavy_hitter_text, value);
        return true;

    case MEASURE_SETTING_SUPERSPREADER:
        return parse_uint32(value, 1, UINT32_MAX, &config->superspreader);

    case MEASURE_SETTING_SUPERSPREADER_EXCLUDE:
        return measure_prefixes_parse(value, &config->superspreader_exclude);

    case MEASURE_SETTING_CHANGE_KEY:
        return measure_kind_from_name(value, &config->change_key);

    case MEASURE_SETTING_CHANGE_ALPHA:
        return parse_double(value, 1e-9, 1, &config->change_alpha);

    case MEASURE_SETTING_CHANGE_FACTOR:
        return (parse_double(value, 1, 1e6, &config->change_factor)
                || parse_double(value, 0, 0, &config->change_factor));

    case MEASURE_SETTING_CHANGE_DEVIATIONS:
        return parse_double(value, 0, 1e6, &config->change_deviations);

    case MEASURE_SETTING_CHANGE_FLOOR:
        return parse_whole_double(value, UINT64_C(1000000000000),
                                  &config->change_floor);

    case MEASURE_SETTING_CHANGE_WARMUP:
        return parse_uint32(value, 1, 1000000, &config->change_warmup);

    case MEASURE_SETTING_CHANGE_HOLD_DOWN:
        return parse_uint32(value, 0, 1000000, &config->change_hold_down);

    case MEASURE_SETTING_HISTORY:
        return parse_uint32(value, 1, 100000, &config->history);

    case MEASURE_SETTING_ALERT_LOG:
        return parse_alert_log(value, &config->alert_log);

    case MEASURE_SETTING_STREAM:
        return parse_bool(value, &config->stream);

    case MEASURE_SETTING_STREAM_WHERE:
        return parse_where(value, config->stream_where,
                           sizeof config->stream_where);

    case MEASURE_SETTING_STREAM_HEADERS:
        return parse_bool(value, &config->stream_headers);

    case MEASURE_SETTING_STREAM_SLOTS:
        return parse_slots(value, &config->stream_slots);

    case MEASURE_SETTING_STREAM_MEMORY_MB:
        return parse_uint32(value, 1, 1048576, &config->stream_memory_mb);

    case MEASURE_N_SETTINGS:
        break;
    }
    return false;
}
