/* SPDX-License-Identifier: Apache-2.0 */
/* What watching found for a monitor: alerts, changes, expectations. */

#include <config.h>

#include "measure-findings.h"

#include <arpa/inet.h>

#include "seq.h"
#include "util.h"

struct seq *measure_findings_seq;

/* Keys as text. */

static void
add_text(struct measure_key_field fields[], size_t *n, const char *name,
         enum measure_family family, const uint8_t *address)
{
    fields[*n].name = name;
    fields[*n].is_number = false;
    inet_ntop(family == MEASURE_IPV4 ? AF_INET : AF_INET6, address,
              fields[*n].text, sizeof fields[*n].text);
    (*n)++;
}

static void
add_number(struct measure_key_field fields[], size_t *n, const char *name,
           uint64_t number)
{
    fields[*n].name = name;
    fields[*n].is_number = true;
    fields[*n].number = number;
    (*n)++;
}

/* Puts into 'out' the fields of 'fields' that a key of kind 'key_kind' has.
 * Returns how many. */
size_t
measure_key_fields(enum measure_key_kind key_kind,
                   const struct measure_fields *fields,
                   struct measure_key_field out[MEASURE_KEY_FIELDS])
{
    size_t n = 0;

    if (measure_kind_has_source(key_kind)) {
        add_text(out, &n, "source", fields->family, fields->source);
    }
    if (measure_kind_has_destination(key_kind)) {
        add_text(out, &n, "destination", fields->family, fields->destination);
    }
    if (key_kind == MEASURE_KIND_FLOW) {
        add_number(out, &n, "protocol", fields->protocol);
        add_number(out, &n, "source-port", fields->source_port);
        add_number(out, &n, "destination-port", fields->destination_port);
        if (fields->vlan) {
            add_number(out, &n, "vlan", fields->vlan);
        }
        if (fields->tunnelled) {
            add_number(out, &n, "tunnel", fields->tunnel);
        }
    }
    return n;
}

/* Changes. */

struct measure_changes *
measure_changes_ref(struct measure_changes *changes)
{
    if (changes) {
        ovs_refcount_ref(&changes->refs);
    }
    return changes;
}

void
measure_changes_unref(struct measure_changes *changes)
{
    if (changes && ovs_refcount_unref(&changes->refs) == 1) {
        free(changes->rows);
        free(changes->incomplete);
        free(changes);
    }
}

/* Forgets what is expected of keys. */
void
measure_findings_forget(struct measure_findings *findings,
                        struct measure_budget *budget)
{
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        if (findings->change_memory[layout]) {
            measure_memory_free(budget, findings->change_memory[layout],
                                measure_expectations_size(
                                    &findings->change[layout].config));
            findings->change_memory[layout] = NULL;
        }
    }
    __atomic_store_n(&findings->change_bytes, 0, __ATOMIC_RELAXED);
}

/* Has 'kept', the newest report of the monitor of 'findings', evaluated.
 * Returns the one that is not, or NULL: the caller must unref it, best without
 * the lock. */
struct kept_report *
measure_findings_submit(struct measure_findings *findings,
                        struct kept_report *kept)
{
    struct kept_report *skipped = findings->pending;

    findings->n_skipped += skipped != NULL;
    findings->pending = measure_kept_report_ref(kept);
    seq_change(measure_findings_seq);
    return skipped;
}

void
measure_findings_init(struct measure_findings *findings)
{
    memset(findings, 0, sizeof *findings);
    measure_alerts_init(&findings->alerts, MEASURE_ALERTS_KEPT);
}

/* Frees what 'findings' has, when nobody has a reference to its monitor any
 * more. */
void
measure_findings_destroy(struct measure_findings *findings,
                         struct measure_budget *budget)
{
    measure_kept_report_unref(findings->pending);
    measure_changes_unref(findings->changes);
    measure_alerts_destroy(&findings->alerts);
    for (int i = 0; i < MEASURE_N_TASKS; i++) {
        free(findings->known[i].keys);
    }
    measure_findings_forget(findings, budget);
}
