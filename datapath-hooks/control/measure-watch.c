/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked for in every epoch: heavy hitters, changes, alerts. */

#include <config.h>

#include "measure-watch.h"

#include <math.h>

#include "measure-monitor.h"
#include "measure-sizing.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"
#include "questions/measure-threshold.h"
#include "seq.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(measure_watch);

/* What one evaluation works with. */
struct evaluation {
    struct monitor *monitor;        /* A reference. */
    struct kept_report *kept;       /* A reference. */
    const struct measure_report *report;
    struct measure_scope scope;     /* The report. */
    struct measure_config config;   /* When it began. */
    uint64_t period_ms;             /* See measure_period_ms(). */
    uint64_t change_limit;          /* Of expectations, in bytes. */

    /* Alerts to be added. */
    struct measure_alert *alerts;
    size_t n_alerts;
    size_t allocated;
    uint64_t not_listed;
    bool no_memory;                 /* For a task. */
};

/* Alerts. */

static struct measure_alert *
new_alert(struct evaluation *e, const char *task, const char *unit,
          uint64_t value, uint64_t threshold)
{
    struct measure_alert *alert;

    if (e->n_alerts == e->allocated) {
        e->alerts = x2nrealloc(e->alerts, &e->allocated, sizeof *e->alerts);
    }
    alert = &e->alerts[e->n_alerts++];
    memset(alert, 0, sizeof *alert);
    alert->task = task;
    alert->epoch = e->report->number;
    alert->time_ms = e->report->start_ms + e->report->duration_ms;
    alert->unit = unit;
    alert->value = value;
    alert->threshold = threshold;
    return alert;
}

static void
set_key(struct measure_alert *alert, enum measure_key_kind key_kind,
        const struct measure_fields *fields)
{
    struct measure_key_field key[MEASURE_KEY_FIELDS];
    size_t n = measure_key_fields(key_kind, fields, key);

    for (size_t i = 0; i < n; i++) {
        if (key[i].is_number) {
            measure_alert_number(alert, key[i].name, key[i].number);
        } else {
            measure_alert_field(alert, key[i].name, key[i].text);
        }
    }
}

static int
compare_fields(const void *a, const void *b)
{
    return measure_fields_compare(a, b);
}

static bool
is_known(const struct measure_known *known, const struct measure_fields *key)
{
    return known->n && bsearch(key, known->keys, known->n, sizeof *key,
                               compare_fields);
}

/* Makes the 'n' 'keys' (which it takes) those that are known. */
static void
set_known(struct measure_known *known, struct measure_fields *keys, size_t n)
{
    if (n) {
        qsort(keys, n, sizeof *keys, compare_fields);
    }
    free(known->keys);
    known->keys = keys;
    known->n = n;
}

static struct measure_fields *
new_keys(size_t n)
{
    return xmalloc(MAX(n, 1) * sizeof(struct measure_fields));
}

/* Returns true if 'key' deserves an alert: it has none yet, and less than
 * MEASURE_WATCH_ALERTS of this task, of which there are '*n', had one in this
 * epoch. */
static bool
may_alert(struct evaluation *e, const struct measure_known *known,
          const struct measure_fields *key, size_t *n)
{
    if (is_known(known, key)) {
        return false;
    }
    if (*n >= MEASURE_WATCH_ALERTS) {
        e->not_listed++;
        return false;
    }
    ++*n;
    return true;
}

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

/* The keys that are known, and those that will be in the next epoch. */
struct remembering {
    struct measure_known *known;
    struct measure_known listed;    /* Looked at in this epoch. */
    struct measure_fields *keys;
    size_t n;
};

static struct remembering
remembering_begin(struct measure_known *known, size_t n_listed)
{
    return (struct remembering) {
        .known = known,
        .listed = { .keys = new_keys(n_listed) },
        .keys = new_keys(n_listed + known->n),
    };
}

/* Notes whether 'key' certainly is what it makes an alert for, or may be. */
static void
remember(struct remembering *r, const struct measure_fields *key, bool certain,
         bool possible)
{
    r->listed.keys[r->listed.n++] = *key;
    if (certain || (possible && is_known(r->known, key))) {
        r->keys[r->n++] = *key;
    }
}

/* 'may_be' says which of the keys that were known before, but were not seen in
 * this epoch, may still be what they were. */
static void
remembering_end(struct remembering *r,
                bool (*may_be)(const struct measure_fields *, void *aux),
                void *aux)
{
    if (r->listed.n) {
        qsort(r->listed.keys, r->listed.n, sizeof *r->listed.keys,
              compare_fields);
    }
    for (size_t i = 0; i < r->known->n && r->n < MEASURE_WATCH_KEYS; i++) {
        const struct measure_fields *key = &r->known->keys[i];

        if (!is_known(&r->listed, key) && may_be(key, aux)) {
            r->keys[r->n++] = *key;
        }
    }
    free(r->listed.keys);
    set_known(r->known, r->keys, r->n);
}

/* Heavy hitters. */

struct hitters_task {
    const struct evaluation *e;
    struct measure_totals totals;

    /* What a key that is not in the answer can have, save what overflowed. */
    uint64_t hidden_packets;
    uint64_t hidden_bytes;
};

static bool
is_heavy(const struct hitters_task *task, uint64_t packets, uint64_t bytes)
{
    return measure_is_heavy(&task->totals, &task->e->config.heavy_hitter,
                            MEASURE_SORT_PACKETS, packets, bytes);
}

/* Adds 'b' to '*a', which may be all that there is. */
static void
add_up(uint64_t *a, uint64_t b)
{
    *a = *a > UINT64_MAX - b ? UINT64_MAX : *a + b;
}

/* Returns true if 'key', which is not in the answer, may be heavy. */
static bool
may_be_heavy(const struct measure_fields *key, void *task_)
{
    const struct hitters_task *task = task_;
    const struct measure_report *report = task->e->report;
    uint64_t packets = task->hidden_packets, bytes = task->hidden_bytes;
    uint64_t missed_packets = 0, missed_bytes = 0;
    uint64_t words[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_key_from_fields(words, key);

    measure_report_add_missed(report, layout, words, &missed_packets,
                              &missed_bytes);
    add_up(&packets, missed_packets);
    add_up(&bytes, missed_bytes);
    return packets && is_heavy(task, packets, bytes);
}

static void
find_heavy_hitters(struct evaluation *e)
{
    const struct measure_report *report = e->report;
    const struct measure_threshold *threshold = &e->config.heavy_hitter;
    struct measure_known *known
        = &e->monitor->findings.known[MEASURE_WATCH_HEAVY_HITTER];
    struct measure_hitters_question question = {
        .sort = (threshold->unit == MEASURE_BITS_PER_SECOND
                 ? MEASURE_SORT_BYTES : MEASURE_SORT_PACKETS),
        .heavy_only = true,
        .n = MEASURE_WATCH_KEYS,
        .threshold = *threshold,
        .threshold_text = e->config.heavy_hitter_text,
    };
    bool bytes = threshold->unit == MEASURE_BITS_PER_SECOND;
    double limit = (threshold->unit == MEASURE_SHARE
                    ? threshold->value * report->counters.packets / 100
                    : threshold->value * report->duration_ms / 1000
                      / (bytes ? 8 : 1));
    struct hitters_task task = { .e = e };
    struct measure_hitters_answer answer;

    measure_scope_sum(&e->scope, &task.totals);
    measure_group_by_of_kind(&question.group_by, report->key_kind);
    if (measure_hitters_ask(&e->scope, &question, &answer)) {
        struct remembering r = remembering_begin(known, answer.n_rows);
        size_t n = 0;

        for (size_t i = 0; i < answer.n_rows; i++) {
            const struct measure_hitters_row *row = &answer.rows[i];

            if (row->heavy && may_alert(e, known, &row->fields, &n)) {
                struct measure_alert *alert
                    = new_alert(e, "heavy-hitter",
                                bytes ? "bytes" : "packets",
                                bytes ? row->bytes : row->packets,
                                ceil(limit));

                snprintf(alert->rule, sizeof alert->rule,
                         "at or above measure-heavy-hitter=%s",
                         e->config.heavy_hitter_text);
                alert->estimate = measure_totals_estimate(&task.totals);
                alert->error_max = (bytes ? row->bytes_error_max
                                    : row->packets_error_max);
                alert->error_probability = task.totals.error_probability;
                set_key(alert, report->key_kind, &row->fields);
            }
            remember(&r, &row->fields, row->heavy, row->may_be_heavy);
        }
        if (answer.n_rows == MEASURE_WATCH_KEYS) {
            const struct measure_hitters_row *last
                = &answer.rows[answer.n_rows - 1];

            task.hidden_packets = last->packets;
            task.hidden_bytes = last->bytes;
        }
        if (!report->complete) {
            add_up(&task.hidden_packets, report->missed.packets);
            add_up(&task.hidden_bytes, report->missed.bytes);
        }
        remembering_end(&r, may_be_heavy, &task);
    } else {
        no_memory(e, "heavy hitters");
    }
    measure_hitters_answer_destroy(&answer);
}

/* Superspreaders. */

static bool
may_be_spreader(const struct measure_fields *key OVS_UNUSED, void *any)
{
    return *(bool *) any;
}

static void
find_superspreaders(struct evaluation *e, enum measure_task task,
                    enum measure_superspreaders_by by,
                    enum measure_key_kind key, const char *unit)
{
    struct measure_known *known = &e->monitor->findings.known[task];
    uint64_t missed = e->report->counters.overflow_packets;
    uint64_t min = e->config.superspreader;
    bool any = missed >= min;   /* Any key may be one. */
    struct measure_superspreaders_question question = {
        .by = by,
        .min = any ? min : min - missed,
        .n = MEASURE_WATCH_KEYS,
        .exclude = &e->config.superspreader_exclude,
    };
    struct measure_superspreaders_answer answer;

    /* Coarser keys than pairs do not tell, nor do some of the keys. */
    if (!e->report->complete
        || !measure_kind_derives(e->report->key_kind, MEASURE_KIND_PAIR)) {
        set_known(known, NULL, 0);
        return;
    }
    if (measure_superspreaders_ask(&e->scope, &question, &answer)) {
        struct remembering r = remembering_begin(known, answer.n_rows);
        size_t n = 0;

        for (size_t i = 0; i < answer.n_rows; i++) {
            const struct measure_superspreaders_row *row = &answer.rows[i];
            bool certain = row->spread >= min;

            if (certain && may_alert(e, known, &row->fields, &n)) {
                struct measure_alert *alert
                    = new_alert(e, "superspreader", unit, row->spread, min);

                snprintf(alert->rule, sizeof alert->rule,
                         "at or above measure-superspreader=%"PRIu64, min);
                if (answer.error_max) {
                    alert->estimate = "lower-bound";
                    alert->error_max = answer.error_max;
                }
                set_key(alert, key, &row->fields);
            }
            remember(&r, &row->fields, certain, true);
        }
        any |= missed && answer.omitted_rows;
        remembering_end(&r, may_be_spreader, &any);
    } else {
        no_memory(e, "superspreaders");
    }
    measure_superspreaders_answer_destroy(&answer);
}

/* Changes. */

/* Forgets what is expected if it would not mean the same any more, or takes
 * another amount of memory than it may: whether this epoch is compared with it
 * or not. */
static void
forget_old_change_tables(struct evaluation *e)
{
    struct measure_findings *findings = &e->monitor->findings;
    const struct measure_config *config = &e->config;

    if (findings->change_by != config->change_key
        || findings->change_alpha != config->change_alpha
        || findings->change_limit != e->change_limit
        || findings->change_epoch_ms != config->epoch_ms) {
        measure_findings_forget(&e->monitor->findings,
                                &e->monitor->budget);
        findings->change_by = config->change_key;
        findings->change_alpha = config->change_alpha;
        findings->change_limit = e->change_limit;
        findings->change_epoch_ms = config->epoch_ms;
        findings->change_epochs = 0;
    }
}

/* Returns true if nothing has come and nothing is expected, of any key.  Then
 * the number of epochs is all that there is to know. */
static bool
is_nothing_expected(const struct evaluation *e)
{
    const struct measure_findings *findings = &e->monitor->findings;

    if (e->report->counters.packets) {
        return false;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        const struct measure_expectations *change = &findings->change[layout];

        if (findings->change_memory[layout]
            && (change->n_keys || change->unknown_error > 0
                || change->unknown_variance > 0)) {
            return false;
        }
    }
    return true;
}

/* Makes the tables of expectations that are missing, with the thresholds of
 * the configuration.  Returns false if there is no memory. */
static bool
prepare_change_tables(struct evaluation *e)
{
    /* The shares of the layouts, and what a key takes.  The tables are there
     * at once, whatever the traffic: hence the limit. */
    static const double shares[MEASURE_N_LAYOUTS] = {
        [MEASURE_NARROW] = 2. / 3 / 128,
        [MEASURE_WIDE] = 1. / 3 / 256,
    };
    struct measure_findings *findings = &e->monitor->findings;
    const struct measure_config *config = &e->config;

    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_expectations *change = &findings->change[layout];
        struct measure_expectations_config new = {
            .layout = layout,
            .max_keys = e->change_limit * shares[layout],
            .alpha = config->change_alpha,
        };

        if (!findings->change_memory[layout]) {
            void *p = measure_memory_alloc(&e->monitor->budget,
                                           measure_expectations_size(&new),
                                           MEASURE_ANY_NODE);
            if (!p) {
                measure_findings_forget(&e->monitor->findings,
                                        &e->monitor->budget);
                return false;
            }
            findings->change_memory[layout] = p;
            __atomic_add_fetch(&findings->change_bytes,
                               measure_expectations_size(&new),
                               __ATOMIC_RELAXED);
            measure_expectations_init(change, &new, e->report->secret, p);
            change->epoch = findings->change_epochs;
        }
        change->config.factor = config->change_factor;
        change->config.deviations = config->change_deviations;
        change->config.floor = config->change_floor;
        change->config.warm_up = config->change_warmup;
        change->config.hold_down = config->change_hold_down;
    }
    return true;
}

static int
compare_changes(const void *a_, const void *b_)
{
    const struct measure_listed_change *a = a_;
    const struct measure_listed_change *b = b_;
    double a_size = fabs(a->packets - a->expectation);
    double b_size = fabs(b->packets - b->expectation);

    return (a_size > b_size ? -1
            : a_size < b_size ? 1
            : measure_fields_compare(&a->fields, &b->fields));
}

/* Ends the epoch of 'change' and adds what has changed to 'changes'. */
static void
close_change(struct measure_expectations *change,
             struct measure_changes *changes)
{
    enum measure_layout layout = change->config.layout;
    size_t max = MIN(change->n_keys, MEASURE_CHANGES_KEPT - changes->n);
    struct measure_change_row *rows = xmalloc(MAX(max, 1) * sizeof *rows);
    size_t found = measure_expectations_close(change, rows, max);
    size_t n = MIN(found, max);

    changes->rows = xrealloc(changes->rows,
                             MAX(changes->n + n, 1) * sizeof *changes->rows);
    for (size_t i = 0; i < n; i++) {
        struct measure_listed_change *listed = &changes->rows[changes->n++];

        measure_fields_from_key(&listed->fields, layout, rows[i].key);
        listed->kind = rows[i].kind;
        listed->packets = rows[i].value;
        listed->packets_error = rows[i].value_error;
        listed->expectation = rows[i].expectation;
        listed->expectation_error = rows[i].expectation_error;
        listed->deviation = rows[i].deviation;
    }
    changes->not_listed += found - n;
    free(rows);
}

static void
alert_changes(struct evaluation *e, const struct measure_changes *changes)
{
    const struct measure_config *config = &e->config;

    for (size_t i = 0; i < changes->n; i++) {
        const struct measure_listed_change *row = &changes->rows[i];
        struct measure_alert *alert;

        if (i >= MEASURE_WATCH_ALERTS) {
            e->not_listed += changes->n - i;
            break;
        }
        bool grew = row->packets > row->expectation;
        double most = row->expectation + row->expectation_error;
        char expected[64];

        snprintf(expected, sizeof expected,
                 row->expectation_error ? "%.1f to %.1f" : "%.1f",
                 row->expectation, most);
        alert = new_alert(e, "change", "packets", row->packets,
                          llround(grew ? most : row->expectation));
        snprintf(alert->rule, sizeof alert->rule,
                 "%s: expected %s with a deviation of %.1f; by "
                 "measure-change-factor=%g, -deviations=%g, -floor=%.0f",
                 measure_change_kind_name(row->kind), expected,
                 row->deviation, config->change_factor,
                 config->change_deviations, config->change_floor);
        if (row->packets_error || row->expectation_error) {
            alert->estimate = "lower-bound";
            alert->error_max = row->packets_error;
        }
        set_key(alert, changes->key_kind, &row->fields);
    }
    e->not_listed += changes->not_listed;
}

/* Returns the epochs until changes are reported. */
static uint64_t
warmup_left(const struct evaluation *e)
{
    uint64_t epochs = e->monitor->findings.change_epochs;

    return (epochs < e->config.change_warmup
            ? e->config.change_warmup - epochs : 0);
}

/* Returns the changes of the epoch, a reference. */
static struct measure_changes *
find_changes(struct evaluation *e)
{
    struct measure_changes *changes = xzalloc(sizeof *changes);
    const struct measure_report *report = e->report;
    struct measure_findings *findings = &e->monitor->findings;
    struct measure_expectations *tables[MEASURE_N_LAYOUTS];

    ovs_refcount_init(&changes->refs);
    changes->epoch = report->number;
    changes->start_ms = report->start_ms;
    changes->duration_ms = report->duration_ms;
    changes->key_kind = e->config.change_key;
    forget_old_change_tables(e);
    changes->incomplete = measure_scope_check_complete(&e->scope,
                                                       "measure/changes");
    if (changes->incomplete) {
        return changes;
    }
    if (!measure_kind_derives(report->key_kind, changes->key_kind)) {
        changes->by_missing = true;
        return changes;
    }
    if (is_nothing_expected(e)) {
        measure_findings_forget(&e->monitor->findings,
                                &e->monitor->budget);
        findings->change_epochs++;
        changes->exact = true;
        changes->warmup_left = warmup_left(e);
        return changes;
    }
    if (!prepare_change_tables(e)) {
        no_memory(e, "changes");
        changes->no_memory = true;
        return changes;
    }
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        tables[layout] = &findings->change[layout];
        changes->refused_keys -= tables[layout]->refused_adds;
    }
    if (!measure_query_changes(&e->scope, changes->key_kind, tables)) {
        no_memory(e, "changes");
        changes->no_memory = true;
    }
    changes->exact = !changes->no_memory;
    changes->overflow_packets = report->counters.overflow_packets;
    changes->overflow_bytes = report->counters.overflow_bytes;
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        struct measure_expectations *change = tables[layout];

        changes->exact &= measure_expectations_is_exact(change);
        close_change(change, changes);
        changes->keys += change->n_keys;
        changes->refused_keys += change->refused_adds;
        findings->change_epochs = change->epoch;
    }
    changes->exact &= !changes->refused_keys;
    changes->warmup_left = warmup_left(e);
    if (changes->n) {
        qsort(changes->rows, changes->n, sizeof *changes->rows,
              compare_changes);
    }
    alert_changes(e, changes);
    return changes;
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
    struct measure_changes *changes;
    uint64_t work_us;

    measure_pace_begin(&findings->pace, e->period_ms);
    e->scope.reports = &e->report;
    e->scope.n_reports = 1;
    e->scope.ports = &e->monitor->ports;
    find_heavy_hitters(e);
    find_superspreaders(e, MEASURE_WATCH_SUPERSPREADER_SOURCE,
                        MEASURE_SUPERSPREADERS_BY_SOURCE, MEASURE_KIND_SOURCE,
                        "destinations");
    find_superspreaders(e, MEASURE_WATCH_SUPERSPREADER_DESTINATION,
                        MEASURE_SUPERSPREADERS_BY_DESTINATION,
                        MEASURE_KIND_DESTINATION, "sources");
    changes = find_changes(e);
    work_us = measure_pace_end() / 1000;

    ovs_mutex_lock(&measure_mutex);
    for (size_t i = 0; i < e->n_alerts; i++) {
        e->alerts[i].sequence = measure_alerts_add(&findings->alerts,
                                                   &e->alerts[i]);
    }
    struct measure_changes *old = findings->changes;
    findings->changes = changes;
    findings->not_listed += e->not_listed;
    findings->evaluated = e->report->number;
    findings->n_evaluated++;
    findings->n_no_memory += e->no_memory;
    findings->time_us = work_us;
    findings->max_time_us = MAX(findings->max_time_us, findings->time_us);
    bool running = e->monitor->running;
    ovs_mutex_unlock(&measure_mutex);

    measure_monitor_trim(e->monitor, 0);
    if (!running) {
        measure_findings_forget(&e->monitor->findings,
                                &e->monitor->budget);
    }
    measure_changes_unref(old);
    for (size_t i = 0; i < e->n_alerts; i++) {
        log_alert(e, &e->alerts[i]);
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
            e->change_limit = measure_expectations_limit(
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
            free(e.alerts);
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
