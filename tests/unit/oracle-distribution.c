/* SPDX-License-Identifier: Apache-2.0 */
/* The distribution of flow sizes, against the oracle. */

#include <config.h>

#include "oracle-questions.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "questions/measure-distribution.h"

/* The oracle writes what the answer must be. */

struct text {
    char s[20000];
    size_t n;
};

static void __attribute__((format(printf, 2, 3)))
append(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text->n += vsnprintf(text->s + text->n, sizeof text->s - text->n, format,
                         args);
    va_end(args);
    CHECK(text->n < sizeof text->s);
}

static void
append_buckets(struct text *text, const struct rows *flows, bool bytes)
{
    const char *what = bytes ? "bytes" : "packets";
    const char *comma = "";

    append(text, "\"flows-by-%s\":[", what);
    for (uint64_t min = 1; min; min *= 2) {
        uint64_t n = 0, n_packets = 0, n_bytes = 0;

        for (size_t i = 0; i < flows->n; i++) {
            const struct row *row = &flows->rows[i];
            uint64_t size = bytes ? row->bytes : row->packets;

            if (size >= min && size <= 2 * min - 1) {
                n++;
                n_packets += row->packets;
                n_bytes += row->bytes;
            }
        }
        if (n) {
            append(text, "%s{\"%s-min\":%"PRIu64",\"%s-max\":%"PRIu64","
                   "\"flows\":%"PRIu64",\"packets\":%"PRIu64",\"bytes\":%"
                   PRIu64"}", comma, what, min, what, 2 * min - 1, n,
                   n_packets, n_bytes);
            comma = ",";
        }
    }
    append(text, "],");
}

static int
compare_numbers(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static void
append_quantiles(struct text *text, const struct rows *flows)
{
    static const struct {
        const char *name;
        double share;
    } all[] = {
        { "minimum", 0 }, { "25%", .25 }, { "50%", .5 }, { "75%", .75 },
        { "90%", .9 }, { "99%", .99 }, { "99.9%", .999 }, { "maximum", 1 },
    };
    uint64_t *packets = calloc(flows->n + 1, sizeof *packets);
    uint64_t *bytes = calloc(flows->n + 1, sizeof *bytes);

    for (size_t i = 0; i < flows->n; i++) {
        packets[i] = flows->rows[i].packets;
        bytes[i] = flows->rows[i].bytes;
    }
    qsort(packets, flows->n, sizeof *packets, compare_numbers);
    qsort(bytes, flows->n, sizeof *bytes, compare_numbers);
    append(text, "\"quantiles\":[");
    for (size_t i = 0; flows->n && i < ARRAY_SIZE(all); i++) {
        /* The smallest value that so many are not above. */
        size_t rank = ceil(all[i].share * flows->n - 1e-9);

        rank = rank ? rank - 1 : 0;
        append(text, "%s{\"quantile\":\"%s\",\"packets\":%"PRIu64","
               "\"bytes\":%"PRIu64"}", i ? "," : "", all[i].name,
               packets[rank], bytes[rank]);
    }
    append(text, "],");
    free(packets);
    free(bytes);
}

static void
append_entropy(struct text *text, const struct scope *s, const char *name,
               unsigned int field, bool first)
{
    bool port = field & ~MEASURE_FIELDS_PAIR;
    struct group_by g
        = { field | (port ? MEASURE_FIELD_PROTOCOL : 0), 128, 128 };
    struct rows rows = group_packets(s, &g);
    struct rows counted = { .n = 0 };
    double bits = 0;

    /* Ports are those of protocols that have some, added up over these. */
    counted.rows = calloc(rows.n + 1, sizeof *counted.rows);
    for (size_t i = 0; i < rows.n; i++) {
        struct row row = rows.rows[i];

        if (!port || row.key.protocol == 6 || row.key.protocol == 17
            || row.key.protocol == 132) {
            row.key.protocol = 0;
            counted.rows[counted.n++] = row;
        }
    }
    add_up(&counted);
    for (size_t i = 0; i < counted.n; i++) {
        double share = (double) counted.rows[i].packets / counted.packets;

        bits -= share * log2(share);
    }
    append(text, "%s{\"of\":\"%s\",\"keys\":%zu,\"packets\":%"PRIu64
           ",\"bits\":%.6f,\"normalised\":%.6f}", first ? "" : ",", name,
           counted.n, counted.packets, bits,
           counted.n > 1 ? bits / log2(counted.n) : 0);
    free(rows.rows);
    free(counted.rows);
}

/* Returns true if 'a' and 'b' are the same, with numbers that have decimals
 * nearly so. */
static bool
nearly_same(const char *a, const char *b)
{
    while (*a || *b) {
        if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
            char *a_end, *b_end;
            double a_value = strtod(a, &a_end), b_value = strtod(b, &b_end);
            bool decimals = (memchr(a, '.', a_end - a)
                             || memchr(b, '.', b_end - b));

            if (decimals ? fabs(a_value - b_value) > .00101
                : a_end - a != b_end - b || memcmp(a, b, a_end - a)) {
                return false;
            }
            a = a_end;
            b = b_end;
        } else if (*a++ != *b++) {
            return false;
        }
    }
    return true;
}

void
ask_distribution(void)
{
    struct measure_output *o;
    struct measure_totals totals;
    struct measure_group_by group_by;
    static struct text text;
    struct group_by g = { fields_by[world.key_kind], 128, 128 };
    struct rows flows;
    struct scope s;
    char *got, *tail;

    draw_scope(&s);
    describe_question(" distribution");
    measure_distribution_group(&s.scope, &group_by);
    if (!check_complete(&s) || !check_scope(&s, &g, &group_by)) {
        return;
    }
    check_totals(&s, &totals);
    o = measure_output_create(MEASURE_JSON);
    CHECK(measure_distribution_write(o, &s.scope));
    got = measure_output_finish(o);
    seen.distributions++;
    if (measure_totals_exact(&totals)) {
        flows = group_packets(&s, &g);
        text.n = 0;
        append(&text, "\"flows\":%zu,", flows.n);
        append_buckets(&text, &flows, false);
        append_buckets(&text, &flows, true);
        append_quantiles(&text, &flows);
        append(&text, "\"entropy\":[");
        if (measure_kind_has_source(world.key_kind)) {
            append_entropy(&text, &s, "source", MEASURE_FIELD_SOURCE, true);
        }
        if (measure_kind_has_destination(world.key_kind)) {
            append_entropy(&text, &s, "destination",
                           MEASURE_FIELD_DESTINATION,
                           !measure_kind_has_source(world.key_kind));
        }
        if (world.key_kind == MEASURE_KIND_FLOW) {
            append_entropy(&text, &s, "source-port",
                           MEASURE_FIELD_SOURCE_PORT, false);
            append_entropy(&text, &s, "destination-port",
                           MEASURE_FIELD_DESTINATION_PORT, false);
        }
        append(&text, "]}");
        tail = strstr(got, "\"flows\":");
        CHECK(tail);
        if (!nearly_same(tail, text.s)) {
            printf("got      %s\nexpected %s\n", tail, text.s);
            CHECK(!"the same distribution");
        }
        free(flows.rows);
    }
    free(got);
}
