/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "measure-answer.h"

#include "measure-distribution.h"
#include "util.h"

/* measure/distribution: how large the flows of an epoch are, and how evenly
 * its packets spread over addresses and ports. */

static const struct {
    const char *name;
    double quantile;
} quantiles[] = {
    { "minimum", 0 },
    { "25%", 0.25 },
    { "50%", 0.5 },
    { "75%", 0.75 },
    { "90%", 0.9 },
    { "99%", 0.99 },
    { "99.9%", 0.999 },
    { "maximum", 1 },
};

#define N_PORTS 65536

/* Calls 'f' with each key that the flows of 'report' have if only 'mask' is
 * left of theirs, and its counts.  Returns false if there is no memory. */
static bool
for_each_group(const struct measure_report *report,
               const struct measure_mask *mask,
               void (*f)(uint64_t packets, uint64_t bytes, void *aux),
               void *aux)
{
    struct measure_budget scratch = { 0 };

    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        const struct measure_table *table = &report->tables[family];
        struct measure_table groups;
        uint32_t n_lines = measure_table_lines_for(
            family, measure_table_n_used(table));

        if (!measure_table_init(&groups, family, n_lines, &scratch,
                                MEASURE_ANY_NODE)) {
            return false;
        }
        measure_table_merge(&groups, table, mask->words[family],
                            report->secret);
        MEASURE_TABLE_FOR_EACH (row, &groups) {
            f(*measure_row_packets(row, family),
              *measure_row_bytes(row, family), aux);
        }
        measure_table_destroy(&groups, &scratch);
    }
    return true;
}

struct sizes {
    struct measure_distribution distribution;
    size_t n;
    uint64_t *packets;              /* Of each flow. */
    uint64_t *bytes;
};

static void
add_size(uint64_t packets, uint64_t bytes, void *sizes_)
{
    struct sizes *sizes = sizes_;

    measure_distribution_add(&sizes->distribution, packets, bytes);
    sizes->packets[sizes->n] = packets;
    sizes->bytes[sizes->n++] = bytes;
}

static bool
get_sizes(const struct measure_report *report, struct sizes *sizes)
{
    uint64_t n = 1;

    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        n += measure_table_n_used(&report->tables[family]);
    }
    measure_distribution_init(&sizes->distribution);
    sizes->n = 0;
    sizes->packets = malloc(n * sizeof *sizes->packets);
    sizes->bytes = malloc(n * sizeof *sizes->bytes);
    return (sizes->packets && sizes->bytes
            && for_each_group(report, &measure_masks[report->by], add_size,
                              sizes));
}

static void
write_buckets(struct measure_output *o, const char *list, const char *min,
              const char *max, const struct measure_bucket *buckets)
{
    measure_output_open_list(o, list);
    for (unsigned int i = 0; i < MEASURE_BUCKETS; i++) {
        if (buckets[i].flows) {
            measure_output_open_row(o);
            measure_output_uint(o, min, measure_bucket_min(i));
            measure_output_uint(o, max, measure_bucket_max(i));
            measure_output_uint(o, "flows", buckets[i].flows);
            measure_output_uint(o, "packets", buckets[i].packets);
            measure_output_uint(o, "bytes", buckets[i].bytes);
            measure_output_close(o);
        }
    }
    measure_output_close(o);
}

static void
write_sizes(struct measure_output *o, const struct sizes *sizes)
{
    const struct measure_distribution *distribution = &sizes->distribution;

    measure_output_uint(o, "flows", distribution->flows);
    write_buckets(o, "flows-by-packets", "packets-min", "packets-max",
                  distribution->by_packets);
    write_buckets(o, "flows-by-bytes", "bytes-min", "bytes-max",
                  distribution->by_bytes);

    measure_output_open_list(o, "quantiles");
    for (size_t i = 0; sizes->n && i < ARRAY_SIZE(quantiles); i++) {
        double quantile = quantiles[i].quantile;

        measure_output_open_row(o);
        measure_output_string(o, "quantile", quantiles[i].name);
        measure_output_uint(o, "packets", measure_quantile(
                                sizes->packets, sizes->n, quantile));
        measure_output_uint(o, "bytes", measure_quantile(
                                sizes->bytes, sizes->n, quantile));
        measure_output_close(o);
    }
    measure_output_close(o);
}

/* Entropy. */

static void
add_entropy(uint64_t packets, uint64_t bytes OVS_UNUSED, void *entropy)
{
    measure_entropy_add(entropy, packets);
}

static void
write_entropy(struct measure_output *o, const char *name,
              const struct measure_entropy *entropy)
{
    measure_output_open_row(o);
    measure_output_string(o, "of", name);
    measure_output_uint(o, "keys", entropy->keys);
    measure_output_uint(o, "packets", entropy->total);
    measure_output_decimal(o, "bits", measure_entropy_bits(entropy));
    measure_output_decimal(o, "normalised",
                           measure_entropy_normalised(entropy));
    measure_output_close(o);
}

static bool
write_address_entropy(struct measure_output *o,
                      const struct measure_report *report, const char *name,
                      enum measure_by by)
{
    struct measure_entropy entropy;

    if (measure_by_derives(report->by, by)) {
        measure_entropy_init(&entropy);
        if (!for_each_group(report, &measure_masks[by], add_entropy,
                            &entropy)) {
            return false;
        }
        write_entropy(o, name, &entropy);
    }
    return true;
}

static bool
has_ports(uint8_t protocol)
{
    return (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP
            || protocol == IPPROTO_SCTP);
}

/* Ports of both families are the same: an array counts them. */
static bool
write_port_entropy(struct measure_output *o,
                   const struct measure_report *report)
{
    static const char *const names[] = { "source-port", "destination-port" };
    uint64_t (*packets)[N_PORTS];

    if (report->by != MEASURE_BY_FLOW) {
        return true;
    }
    packets = calloc(ARRAY_SIZE(names), sizeof *packets);
    if (!packets) {
        return false;
    }
    for (int family = 0; family < MEASURE_N_FAMILIES; family++) {
        MEASURE_TABLE_FOR_EACH (row, &report->tables[family]) {
            uint64_t ports = row[measure_key_ports(family)];

            if (has_ports(ports >> 32)) {
                uint64_t n = *measure_row_packets(row, family);

                packets[0][ports & 0xffff] += n;
                packets[1][ports >> 16 & 0xffff] += n;
            }
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct measure_entropy entropy;

        measure_entropy_init(&entropy);
        for (size_t port = 0; port < N_PORTS; port++) {
            measure_entropy_add(&entropy, packets[i][port]);
        }
        write_entropy(o, names[i], &entropy);
    }
    free(packets);
    return true;
}

char *
measure_write_distribution(struct measure_output *o,
                           const struct measure_subject *subject,
                           const struct measure_arguments *args OVS_UNUSED)
{
    const struct measure_report *report;
    struct sizes sizes;
    bool ok;

    if (!subject->n_reports) {
        measure_output_note(o, "No epoch has been closed yet.");
        return NULL;
    }
    report = subject->reports[0]->report;

    measure_write_epoch(o, report->number, report->start_ms,
                        report->duration_ms);
    measure_output_bool(o, "exact", measure_report_exact(report));
    measure_output_string(o, "key", measure_by_name(report->by));
    ok = get_sizes(report, &sizes);
    if (ok) {
        write_sizes(o, &sizes);
    }
    free(sizes.packets);
    free(sizes.bytes);

    measure_output_open_list(o, "entropy");
    ok = (ok
          && write_address_entropy(o, report, "source", MEASURE_BY_SOURCE)
          && write_address_entropy(o, report, "destination",
                                   MEASURE_BY_DESTINATION)
          && write_port_entropy(o, report));
    measure_output_close(o);
    return ok ? NULL : xasprintf("%s: no memory for the answer",
                                 subject->name);
}
