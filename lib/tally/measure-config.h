/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of one monitor: keys, values and defaults. */

#ifndef MEASURE_CONFIG_H
#define MEASURE_CONFIG_H 1

#include <stdbool.h>
#include <stdint.h>

#include "key/measure-filter.h"
#include "structures/measure-structure.h"

/* The configuration of one monitor
 * ================================
 *
 * MEASURE_SETTINGS lists every key: its C name, its name in the database, its
 * default, and the values that it takes, as an error message says it: NULL for
 * the names of structures, which measure_setting_valid() lists.
 *
 * Thread safety: no shared state. */

#define MEASURE_SETTINGS                                                    \
    SETTING(ENABLE, "measure", "false", "true or false")                    \
    SETTING(KEY, "measure-key", "flow",                                     \
            "flow, pair, source or destination")                            \
    SETTING(STRUCTURE, "measure-structure", "linear-table", NULL)           \
    SETTING(EPOCH_MS, "measure-epoch-ms", "1000",                           \
            "a whole number of milliseconds from 100 to 86400000")          \
    SETTING(MEMORY_MB, "measure-memory-mb", "256",                          \
            "a whole number of MiB from 1 to 1048576")                      \
    SETTING(IDLE_MEMORY_MB, "measure-idle-memory-mb", "4",                  \
            "a whole number of MiB from 1 to 1048576")                      \
    SETTING(TIERS, "measure-tiers", "2", "1 or 2")                          \
    SETTING(PREFETCH, "measure-prefetch", "true", "true or false")          \
    SETTING(HEAVY_HITTER, "measure-heavy-hitter", "0.1%",                   \
            "a share such as 0.1%, above 0% and up to 100%, or a rate such " \
            "as 10Mbps (bps, kbps, Mbps, Gbps) or 5kpps (pps, kpps, Mpps)") \
    SETTING(SUPERSPREADER, "measure-superspreader", "128",                  \
            "a whole number of addresses from 1 to 4294967295")             \
    SETTING(SUPERSPREADER_EXCLUDE, "measure-superspreader-exclude", "",     \
            "up to 64 addresses or prefixes such as 10.0.0.0/8 or "         \
            "2001:db8::/32, joined by commas")                              \
    SETTING(CHANGE_KEY, "measure-change-key", "pair",                       \
            "flow, pair, source or destination")                            \
    SETTING(CHANGE_ALPHA, "measure-change-alpha", "0.25",                   \
            "a number above 0 and up to 1")                                 \
    SETTING(CHANGE_FACTOR, "measure-change-factor", "4",                    \
            "0 (any change), or a number from 1 to 1000000")                \
    SETTING(CHANGE_DEVIATIONS, "measure-change-deviations", "4",            \
            "a number from 0 (any change) to 1000000")                      \
    SETTING(CHANGE_FLOOR, "measure-change-floor", "1000",                   \
            "a whole number of packets from 0 to 1000000000000")            \
    SETTING(CHANGE_WARMUP, "measure-change-warmup", "10",                   \
            "a whole number of epochs from 1 to 1000000")                   \
    SETTING(CHANGE_HOLD_DOWN, "measure-change-hold-down", "10",             \
            "a whole number of epochs from 0 to 1000000")                   \
    SETTING(HISTORY, "measure-history", "60",                               \
            "a whole number of reports from 1 to 100000")                   \
    SETTING(ALERT_LOG, "measure-alert-log", "info", "warn, info or off")    \
    SETTING(STREAM, "measure-stream", "false", "true or false")             \
    SETTING(STREAM_WHERE, "measure-stream-where", "",                       \
            "up to 511 characters: " MEASURE_FILTER_VALID)                  \
    SETTING(STREAM_HEADERS, "measure-stream-headers", "false",              \
            "true or false")                                                \
    SETTING(STREAM_SLOTS, "measure-stream-slots", "16384",                  \
            "a power of 2 from 4096 to 1048576")                            \
    SETTING(STREAM_MEMORY_MB, "measure-stream-memory-mb", "256",            \
            "a whole number of MiB from 1 to 1048576")

enum measure_setting {
#define SETTING(ENUM, NAME, DEFAULT, VALID) MEASURE_SETTING_##ENUM,
    MEASURE_SETTINGS
#undef SETTING
    MEASURE_N_SETTINGS
};

struct measure_setting_info {
    const char *name;
    const char *default_value;
    const char *valid;          /* See measure_setting_valid(). */
};

extern const struct measure_setting_info
    measure_settings[MEASURE_N_SETTINGS];

/* What makes a key a heavy hitter. */
enum measure_threshold_unit {
    MEASURE_SHARE,              /* Of the packets or bytes of the epoch. */
    MEASURE_BITS_PER_SECOND,
    MEASURE_PACKETS_PER_SECOND
};

struct measure_threshold {
    enum measure_threshold_unit unit;
    double value;               /* A share is a percentage. */
};

enum measure_alert_log {
    MEASURE_LOG_OFF,
    MEASURE_LOG_INFO,
    MEASURE_LOG_WARN
};

struct measure_config {
    bool enable;
    enum measure_key_kind key;
    enum measure_structure_kind structure;
    uint32_t epoch_ms;
    uint32_t memory_mb;
    uint32_t idle_memory_mb;
    uint32_t tiers;
    bool prefetch;
    struct measure_threshold heavy_hitter;
    char heavy_hitter_text[32]; /* As it was set. */

    uint32_t superspreader;     /* Destinations, or sources. */
    struct measure_prefixes superspreader_exclude;

    enum measure_key_kind change_key;
    double change_alpha;
    double change_factor;
    double change_deviations;
    double change_floor;
    uint32_t change_warmup;     /* Epochs. */
    uint32_t change_hold_down;  /* Epochs. */

    uint32_t history;           /* Reports. */
    enum measure_alert_log alert_log;

    bool stream;
    char stream_where[512];     /* As it was set; "" for all packets. */
    bool stream_headers;
    uint32_t stream_slots;
    uint32_t stream_memory_mb;
};

char *measure_setting_valid(enum measure_setting);
void measure_config_init(struct measure_config *);
bool measure_config_set(struct measure_config *, enum measure_setting,
                        const char *value);

#endif /* measure-config.h */
