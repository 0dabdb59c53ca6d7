/* SPDX-License-Identifier: Apache-2.0 */
/* The question for sizes of flows and their entropy. */

#include <config.h>

#include "questions/measure-distribution.h"

#include <netinet/in.h>
#include <stdlib.h>

#include "base/measure-base.h"
#include "questions/measure-quantiles.h"
#include "questions/measure-question.h"

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

#define N_QUANTILES (sizeof quantiles / sizeof *quantiles)
#define N_PORTS 65536

struct sizes {
    struct measure_quantiles distribution;
    struct measure_values *packets;     /* Of each flow. */
    struct measure_values *bytes;

    /* The packets of each port; if the keys have none, unused. */
    uint64_t source_ports[N_PORTS];
    uint64_t destination_ports[N_PORTS];
};

static bool
has_ports(uint8_t protocol)
{
    return (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP
            || protocol == IPPROTO_SCTP);
}

static bool
add_sizes(const struct measure_table *groups, void *sizes_)
{
    enum measure_layout layout = groups->layout;
    struct sizes *sizes = sizes_;

    MEASURE_ROWS_FOR_EACH (row, groups) {
        uint64_t packets = *measure_row_packets(row, layout);
        uint64_t bytes = *measure_row_bytes(row, layout);
        uint64_t word = row[measure_key_ports(layout)];

        measure_quantiles_add(&sizes->distribution, packets, bytes);
        measure_values_add(sizes->packets, packets);
        measure_values_add(sizes->bytes, bytes);

        /* The port 0 of protocols that have no ports is none. */
        if (has_ports(word >> 32)) {
            sizes->source_ports[word & 0xffff] += packets;
            sizes->destination_ports[word >> 16 & 0xffff] += packets;
        }
    }
    return true;
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
    const struct measure_quantiles *distribution = &sizes->distribution;

    measure_output_uint(o, "flows", distribution->flows);
    write_buckets(o, "flows-by-packets", "packets-min", "packets-max",
                  distribution->by_packets);
    write_buckets(o, "flows-by-bytes", "bytes-min", "bytes-max",
                  distribution->by_bytes);

    measure_output_open_list(o, "quantiles");
    for (size_t i = 0; distribution->flows && i < N_QUANTILES; i++) {
        double quantile = quantiles[i].quantile;

        measure_output_open_row(o);
        measure_output_string(o, "quantile", quantiles[i].name);
        measure_output_uint(o, "packets", measure_values_quantile(
                                sizes->packets, quantile));
        measure_output_uint(o, "bytes", measure_values_quantile(
                                sizes->bytes, quantile));
        measure_output_close(o);
    }
    measure_output_close(o);
}

/* Entropy. */

static bool
add_entropy(const struct measure_table *groups, void *entropy)
{
    MEASURE_ROWS_FOR_EACH (row, groups) {
        measure_entropy_add(entropy, *measure_row_packets(row,
                                                          groups->layout));
    }
    return true;
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
                      const struct measure_scope *scope, const char *name,
                      enum measure_key_kind key_kind)
{
    struct measure_entropy entropy;
    struct measure_group_by group_by;

    if (measure_kind_derives(scope->reports[0]->key_kind, key_kind)) {
        measure_group_by_of_kind(&group_by, key_kind);
        measure_entropy_init(&entropy);
        if (!measure_query(scope, &group_by, add_entropy, &entropy)) {
            return false;
        }
        write_entropy(o, name, &entropy);
    }
    return true;
}

static void
write_port_entropy(struct measure_output *o, const char *name,
                   const uint64_t packets[N_PORTS])
{
    struct measure_entropy entropy;

    measure_entropy_init(&entropy);
    for (size_t i = 0; i < N_PORTS; i++) {
        measure_entropy_add(&entropy, packets[i]);
    }
    write_entropy(o, name, &entropy);
}

/* Makes the group that a report must allow (measure_scope_check()): that of
 * its own keys. */
void
measure_distribution_group(const struct measure_scope *scope,
                           struct measure_group_by *group_by)
{
    measure_group_by_of_kind(group_by, scope->reports[0]->key_kind);
}

/* Writes the members of one bridge: the epoch, its totals, and how large its
 * keys are and how evenly its packets spread.  'scope' must have a report.
 * Returns false if there is no memory. */
bool
measure_distribution_write(struct measure_output *o,
                           const struct measure_scope *scope)
{
    struct sizes *sizes = measure_xzalloc(sizeof *sizes);
    enum measure_key_kind key_kind = scope->reports[0]->key_kind;
    struct measure_totals totals;
    struct measure_group_by group_by;
    bool ok;

    measure_distribution_group(scope, &group_by);
    measure_scope_sum(scope, &totals);
    measure_scope_write(o, scope, &totals);
    measure_output_string(o, "key", measure_kind_name(key_kind));
    measure_quantiles_init(&sizes->distribution);
    sizes->packets = measure_values_create();
    sizes->bytes = measure_values_create();
    ok = measure_query(scope, &group_by, add_sizes, sizes);
    if (ok) {
        write_sizes(o, sizes);
    }

    measure_output_open_list(o, "entropy");
    ok = (ok
          && write_address_entropy(o, scope, "source", MEASURE_KIND_SOURCE)
          && write_address_entropy(o, scope, "destination",
                                   MEASURE_KIND_DESTINATION));
    if (ok && key_kind == MEASURE_KIND_FLOW) {
        write_port_entropy(o, "source-port", sizes->source_ports);
        write_port_entropy(o, "destination-port", sizes->destination_ports);
    }
    measure_output_close(o);
    measure_values_destroy(sizes->packets);
    measure_values_destroy(sizes->bytes);
    free(sizes);
    return ok;
}

/* The class of the question. */

static const struct measure_argument *const arguments[] = {
    &measure_argument_where, &measure_argument_epoch, &measure_argument_last,
    &measure_argument_pmd, &measure_argument_format, NULL
};

static void
class_group(const struct measure_asked *asked,
            struct measure_group_by *group_by)
{
    measure_distribution_group(asked->scope, group_by);
}

static const char *
class_needs_complete(const struct measure_asked *asked)
{
    (void) asked;
    return "measure/distribution";
}

static bool
class_write(struct measure_output *o, const struct measure_asked *asked)
{
    return measure_distribution_write(o, asked->scope);
}

const struct measure_question_class measure_question_distribution = {
    .name = "distribution",
    .arguments = arguments,
    .group = class_group,
    .needs_complete = class_needs_complete,
    .write = class_write,
};
