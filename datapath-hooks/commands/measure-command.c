/* SPDX-License-Identifier: Apache-2.0 */
/* The commands measure/..., in the main thread. */

#include <config.h>

#include "measure-command.h"

#include "measure-answers.h"
#include "measure-epochs.h"
#include "measure-requests.h"
#include "measure-settings.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "seq.h"
#include "unixctl.h"
#include "util.h"

/* The ovs-appctl commands measure/...
 * ===================================
 *
 * All take the arguments '[bridge] [NAME=VALUE]...' in any order.  Without a
 * bridge the answer covers every bridge that has a monitor.
 *
 * Thread safety: main thread only. */

/* One that asks no question (measure-question.h). */
struct command {
    const char *name;
    const struct measure_argument *arguments[4];    /* NULL behind the last. */
    measure_write_func *write;
    measure_raw_func *raw;          /* Instead of 'write'. */
    bool reports;                   /* Asks reports: takes long. */
};

static const struct command commands[] = {
    { "measure/changes",
      { &measure_argument_n, &measure_argument_format },
      measure_write_changes, NULL, true },
    { "measure/alerts",
      { &measure_argument_since, &measure_argument_n,
        &measure_argument_format },
      measure_write_alerts, NULL, false },
    { "measure/metrics", { &measure_argument_top },
      NULL, measure_metrics, true },
    { "measure/status", { &measure_argument_format },
      measure_write_status, NULL, false },
};

/* A command that waits for reports. */
struct waiting {
    struct ovs_list node;
    struct unixctl_conn *conn;
    struct shash epochs;            /* Bridge name to uint64_t: its epoch. */
};

static struct ovs_list all_waiting = OVS_LIST_INITIALIZER(&all_waiting);
static bool close_now;              /* Somebody has begun to wait. */

/* Returns the monitors that 'args' mean, sorted by name, in an array of '*n'
 * elements that the caller must free.  Returns NULL with '*error' set if the
 * bridge has none. */
static const struct shash_node **
find_monitors(const struct measure_arguments *args, size_t *n, char **error)
    OVS_REQUIRES(measure_mutex)
{
    const struct shash_node **nodes = shash_sort(&measure_monitors);

    *n = shash_count(&measure_monitors);
    *error = NULL;
    if (args->bridge) {
        const struct shash_node *node = shash_find(&measure_monitors,
                                                   args->bridge);

        if (node) {
            nodes[0] = node;
            *n = 1;
        } else if (!measure_is_configured()) {
            *error = xasprintf("%s: no bridge is known yet: ovs-vswitchd has "
                               "not read its configuration from the database",
                               args->bridge);
        } else {
            struct ds known = DS_EMPTY_INITIALIZER;

            for (size_t i = 0; i < *n; i++) {
                ds_put_format(&known, "%s%s", i ? ", " : "", nodes[i]->name);
            }
            *error = xasprintf(
                "%s: no such bridge, or it has never been measured (measured: "
                "%s); 'ovs-vsctl set Bridge %s other_config:measure=true' "
                "switches measurement on", args->bridge,
                known.length ? ds_cstr(&known) : "none", args->bridge);
            ds_destroy(&known);
        }
    }
    if (*error) {
        free(nodes);
        return NULL;
    }
    return nodes;
}

static void
reply_error(struct unixctl_conn *conn, char *error)
{
    unixctl_command_reply_error(conn, error);
    free(error);
}

/* Copies into 'request' the monitors that its arguments mean. */
static void
choose_subjects(struct measure_request *request)
{
    size_t n;

    ovs_mutex_lock(&measure_mutex);
    const struct shash_node **nodes = find_monitors(&request->args, &n,
                                                    &request->error);
    if (nodes && n) {
        request->subjects = xcalloc(n, sizeof *request->subjects);
    }
    for (size_t i = 0; nodes && i < n && !request->error; i++) {
        struct measure_subject *subject = &request->subjects[i];

        measure_subject_init(subject, nodes[i]->data);
        request->n_subjects++;
    }
    ovs_mutex_unlock(&measure_mutex);
    free(nodes);
}

/* Parses the arguments of 'request', which may have what 'arguments' lists,
 * and answers it, at once or, if it asks 'reports', from another thread. */
static void
run_request(struct measure_request *request, struct unixctl_conn *conn,
            int argc, const char *argv[],
            const struct measure_argument *const arguments[], bool reports)
{
    request->conn = conn;
    request->configured = measure_is_configured();
    request->choose = reports ? measure_subject_choose_reports : NULL;
    request->error = measure_arguments_parse(argc, argv, arguments,
                                             &request->args);
    measure_request_choose_format(request);
    if (!request->error) {
        choose_subjects(request);
    }
    if (reports && !request->error) {
        measure_requests_submit(request);
    } else {
        measure_request_send(request);
    }
}

/* Runs 'command_', a "struct command". */
static void
run_command(struct unixctl_conn *conn, int argc, const char *argv[],
            void *command_)
{
    const struct command *command = command_;
    struct measure_request *request = xzalloc(sizeof *request);

    request->write = command->write;
    request->raw = command->raw;
    run_request(request, conn, argc, argv, command->arguments,
                command->reports);
}

/* Asks 'question_', a "struct measure_question_class". */
static void
run_question(struct unixctl_conn *conn, int argc, const char *argv[],
             void *question_)
{
    const struct measure_question_class *question = question_;
    struct measure_request *request = xzalloc(sizeof *request);

    request->question = question;
    request->write = measure_write_question;
    run_request(request, conn, argc, argv, question->arguments, true);
}

/* measure/close-epoch
 *
 * An epoch is closed when the one before it is merged: else each of a crowd of
 * clients would close one more, for all of which there must be tallies.  All
 * that ask meanwhile get the same epoch. */

static void
close_epoch(struct unixctl_conn *conn, int argc, const char *argv[],
            void *aux OVS_UNUSED)
{
    static const struct measure_argument *const none[] = { NULL };
    struct measure_arguments args;
    char *error = measure_arguments_parse(argc, argv, none, &args);
    size_t n;

    if (error) {
        reply_error(conn, error);
        return;
    }

    ovs_mutex_lock(&measure_mutex);
    const struct shash_node **nodes = find_monitors(&args, &n, &error);
    struct waiting *waiting = xzalloc(sizeof *waiting);
    waiting->conn = conn;
    shash_init(&waiting->epochs);
    for (size_t i = 0; !error && i < n; i++) {
        struct monitor *monitor = nodes[i]->data;

        if (monitor->running) {
            monitor->close_requested = true;
            shash_add(&waiting->epochs, monitor->name,
                      xmemdup(&monitor->epoch, sizeof monitor->epoch));
        } else if (args.bridge) {
            error = xasprintf("%s: measurement is off", monitor->name);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
    free(nodes);

    if (!error && shash_is_empty(&waiting->epochs)) {
        error = xstrdup(measure_is_configured()
                        ? "measurement is off on all bridges"
                        : "no bridge is known yet: ovs-vswitchd has not read "
                          "its configuration from the database");
    }
    if (error) {
        reply_error(conn, error);
        shash_destroy_free_data(&waiting->epochs);
        free(waiting);
    } else {
        ovs_list_push_back(&all_waiting, &waiting->node);
        close_now = true;
    }
}

static void
close_requested_epochs(void)
{
    const struct shash_node *node;

    close_now = false;
    ovs_mutex_lock(&measure_mutex);
    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->close_requested && monitor->running
            && ovs_list_is_empty(&monitor->closing)) {
            measure_epochs_close(monitor);
        }
    }
    ovs_mutex_unlock(&measure_mutex);
}

/* Returns true if the reports that 'waiting' waits for are there, or their
 * bridges gone.  A monitor that has not come as far as the epoch is a new one,
 * of a bridge that was deleted and made again. */
static bool
is_ready(const struct waiting *waiting)
    OVS_REQUIRES(measure_mutex)
{
    const struct shash_node *node;

    SHASH_FOR_EACH (node, &waiting->epochs) {
        const struct monitor *monitor = shash_find_data(&measure_monitors,
                                                        node->name);
        const uint64_t *number = node->data;

        if (monitor && (monitor->epoch > *number
                        ? monitor->findings.evaluated < *number
                        : monitor->running && monitor->close_requested)) {
            return false;
        }
    }
    return true;
}

static void
reply_closed(struct waiting *waiting)
{
    const struct shash_node **nodes = shash_sort(&waiting->epochs);
    struct ds reply = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < shash_count(&waiting->epochs); i++) {
        const uint64_t *number = nodes[i]->data;

        ds_put_format(&reply, "%s: closed epoch %"PRIu64"\n", nodes[i]->name,
                      *number);
    }
    unixctl_command_reply(waiting->conn, ds_cstr(&reply));
    ds_destroy(&reply);
    free(nodes);
}

static void register_commands(void);

/* Does not depend on the database: commands exist and are answered before it
 * is there, and while it is away. */
void
measure_run(void)
{
    struct waiting *waiting;

    measure_init();
    register_commands();
    measure_requests_run();
    if (!ovs_list_is_empty(&all_waiting)) {
        close_requested_epochs();
    }
    LIST_FOR_EACH_SAFE (waiting, node, &all_waiting) {
        ovs_mutex_lock(&measure_mutex);
        bool ready = is_ready(waiting);
        ovs_mutex_unlock(&measure_mutex);

        if (ready) {
            reply_closed(waiting);
            ovs_list_remove(&waiting->node);
            shash_destroy_free_data(&waiting->epochs);
            free(waiting);
        }
    }
}

void
measure_wait(void)
{
    static uint64_t seen;

    measure_requests_wait();
    if (!ovs_list_is_empty(&all_waiting)) {
        struct seq *seq = measure_report_seq();
        uint64_t now = seq_read(seq);

        /* What came since the last look may be what somebody waits for. */
        if (now != seen || close_now) {
            seen = now;
            poll_immediate_wake();
        }
        seq_wait(seq, now);
    }
}

/* Registers 'name', which nobody unregisters: its usage stays. */
static void
register_command(const char *name,
                 const struct measure_argument *const arguments[],
                 unixctl_cb_func *run, const void *aux)
{
    int max_args = 1;

    while (arguments[max_args - 1]) {
        max_args++;
    }
    unixctl_command_register(name, measure_arguments_usage(arguments), 0,
                             max_args, run, CONST_CAST(void *, aux));
}

static void
register_commands(void)
{
    static bool registered;

    if (registered) {
        return;
    }
    registered = true;
    for (size_t i = 0; measure_questions[i]; i++) {
        const struct measure_question_class *question = measure_questions[i];

        register_command(xasprintf("measure/%s", question->name),
                         question->arguments, run_question, question);
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        register_command(commands[i].name, commands[i].arguments, run_command,
                         &commands[i]);
    }
    unixctl_command_register("measure/close-epoch", "[bridge]", 0, 1,
                             close_epoch, NULL);
}
