/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked for in every epoch: heavy hitters, changes, alerts. */

#include <config.h>

#include "measure-watch.h"

#include "measure-monitor.h"
#include "measure-sizing.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "seq.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_watch);

/* What one evaluation works with. */
struct evaluation {
    struct monitor *monitor;        /* A reference. */
    struct kept_report *kept;       /* A reference. */
    const struct measure_report *report;
    struct measure_config config;   /* When it began. */
    uint64_t period_ms;             /* See measure_period_ms(). */
    uint64_t expected_limit;        /* Of expectations, in bytes. */
    struct measure_raised raised;
    struct measure_changes *changes;    /* A reference. */
    bool no_memory;                 /* For a task. */
};

/* Says that 'what' could not be done for want of memory. */
static void
no_memory(struct evaluation *e, const char *what)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

    VLOG_WARN_RL(&rl, "%s: no memory to look for %s in epoch %"PRIu64" "
                 "within measure-memory-mb=%"PRIu32": raise it",
                 e->monitor->name, what, e->report->number,
                 e->config.memory_mb);
    e->no_memory = true;
}

/* Finds all that there is in the report, without the lock. */
static void
look(struct evaluation *e)
    OVS_EXCLUDED(measure_mutex)
{
    struct measure_findings *findings = &e->monitor->findings;
    struct measure_known *known = findings->known;
    const struct measure_scope scope = {
        .reports = &e->report,
        .n_reports = 1,
        .ports = &e->monitor->ports,
    };

    if (!measure_raise_heavy_hitters(&e->raised,
                                     &known[MEASURE_TASK_HEAVY_HITTERS],
                                     &scope, &e->config)) {
        no_memory(e, "heavy hitters");
    }
    if (!measure_raise_superspreaders(&e->raised, &known[MEASURE_TASK_SOURCES],
                                      &scope, &e->config,
                                      MEASURE_SUPERSPREADERS_BY_SOURCE)) {
        no_memory(e, "superspreaders");
    }
    if (!measure_raise_superspreaders(&e->raised,
                                      &known[MEASURE_TASK_DESTINATIONS],
                                      &scope, &e->config,
                                      MEASURE_SUPERSPREADERS_BY_DESTINATION)) {
        no_memory(e, "superspreaders");
    }
    e->changes = measure_changes_find(&findings->expected, &scope, &e->config,
                                      e->expected_limit, &e->monitor->budget);
    if (e->changes->no_memory) {
        no_memory(e, "changes");
    }
    measure_raise_changes(&e->raised, e->changes, e->report, &e->config);
}

/* The thread "measure-watch". */

static void
log_alert(const struct evaluation *e, const struct measure_alert *alert)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(60, 20);
    enum vlog_level level = (e->config.alert_log == MEASURE_LOG_WARN
                             ? VLL_WARN : VLL_INFO);
    char line[1024];

    if (e->config.alert_log != MEASURE_LOG_OFF) {
        measure_alert_format(alert, line, sizeof line);
        VLOG_RL(&rl, level, "%s: %s", e->monitor->name, line);
    }
}

static void
evaluate(struct evaluation *e)
{
    struct measure_findings *findings = &e->monitor->findings;
    struct measure_raised *raised = &e->raised;
    uint64_t work_us;

    measure_pace_begin(&findings->pace, e->period_ms);
    look(e);
    work_us = measure_pace_end() / 1000;

    ovs_mutex_lock(&measure_mutex);
    for (size_t i = 0; i < raised->n; i++) {
        raised->alerts[i].sequence = measure_alerts_add(&findings->alerts,
                                                        &raised->alerts[i]);
    }
    struct measure_changes *old = findings->changes;
    findings->changes = e->changes;
    findings->not_listed += raised->not_listed;
    findings->evaluated = e->report->number;
    findings->n_evaluated++;
    findings->n_no_memory += e->no_memory;
    findings->time_us = work_us;
    findings->max_time_us = MAX(findings->max_time_us, findings->time_us);
    bool running = e->monitor->running;
    ovs_mutex_unlock(&measure_mutex);

    measure_sizing_trim(e->monitor, 0);
    if (!running) {
        measure_expected_forget(&findings->expected, &e->monitor->budget);
    }
    measure_changes_unref(old);
    for (size_t i = 0; i < raised->n; i++) {
        log_alert(e, &raised->alerts[i]);
    }
    seq_change(measure_report_seq());
}

/* Takes the report of some monitor that is to be evaluated. */
static bool
find_pending(struct evaluation *e)
    OVS_REQUIRES(measure_mutex)
{
    const struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->findings.pending) {
            memset(e, 0, sizeof *e);
            e->monitor = measure_monitor_ref(monitor);
            e->kept = monitor->findings.pending;
            e->report = e->kept->report;
            e->config = monitor->config;
            e->expected_limit = measure_expectations_limit(
                measure_memory_limit(monitor));
            e->period_ms = measure_period_ms(e->report->duration_ms);
            monitor->findings.pending = NULL;
            return true;
        }
    }
    return false;
}

static void *
watch_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(measure_findings_seq);
        struct evaluation e;

        ovs_mutex_lock(&measure_mutex);
        bool found = find_pending(&e);
        ovs_mutex_unlock(&measure_mutex);

        if (found) {
            ovsrcu_quiesce_start();
            evaluate(&e);
            free(e.raised.alerts);
            measure_kept_report_unref(e.kept);
            measure_monitor_unref(e.monitor);
            ovsrcu_quiesce_end();
        } else {
            seq_wait(measure_findings_seq, seq);
            poll_block();
        }
    }
    OVS_NOT_REACHED();
}

void
measure_watch_start(void)
{
    ovs_thread_create("measure-watch", watch_main, NULL);
}
