/* SPDX-License-Identifier: Apache-2.0 */
/* What watching found for a monitor: alerts, changes, expectations. */

#include <config.h>

#include "measure-findings.h"

#include "seq.h"
#include "util.h"

struct seq *measure_findings_seq;

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
    measure_expected_forget(&findings->expected, budget);
}
