/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that answers commands. */

#include <config.h>

#include "measure-requests.h"

#include "measure-ovs.h"
#include "measure-sizing.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "ovs-rcu.h"
#include "ovs-thread.h"
#include "seq.h"
#include "unixctl.h"
#include "util.h"

static struct ovs_mutex mutex = OVS_MUTEX_INITIALIZER;
static struct ovs_list requests OVS_GUARDED_BY(mutex)
    = OVS_LIST_INITIALIZER(&requests);
static struct ovs_list answers OVS_GUARDED_BY(mutex)
    = OVS_LIST_INITIALIZER(&answers);

/* Requests that are not sent yet, and counters: main thread only. */
static size_t n_waiting;
static uint64_t answered;
static uint64_t refused;

static struct seq *request_seq;
static struct seq *answer_seq;

/* Copies from 'monitor' what an answer about it needs. */
void
measure_subject_init(struct measure_subject *subject, struct monitor *monitor)
{
    memset(subject, 0, sizeof *subject);
    subject->name = xstrdup(monitor->name);
    subject->monitor = measure_monitor_ref(monitor);
    subject->config = monitor->config;
    subject->changes = measure_changes_ref(monitor->findings.changes);
}

/* Lets go of the reports, which can free much memory. */
static void
forget_reports(struct measure_request *request)
{
    for (size_t i = 0; i < request->n_subjects; i++) {
        struct measure_subject *subject = &request->subjects[i];

        for (size_t j = 0; j < subject->n_reports; j++) {
            measure_kept_report_unref(subject->reports[j]);
        }
        if (subject->n_reports) {
            measure_sizing_trim(subject->monitor, 0);
        }
        subject->n_reports = 0;
        measure_changes_unref(subject->changes);
        subject->changes = NULL;
    }
}

static void
destroy_request(struct measure_request *request)
{
    forget_reports(request);
    for (size_t i = 0; i < request->n_subjects; i++) {
        free(request->subjects[i].reports);
        free(request->subjects[i].plain_reports);
        measure_monitor_unref(request->subjects[i].monitor);
        free(request->subjects[i].name);
    }
    measure_arguments_destroy(&request->args);
    free(request->subjects);
    free(request->text);
    free(request->error);
    free(request);
}

/* 'ovs-appctl --format json' takes trees of JSON only, and is there since Open
 * vSwitch 3.4.  The thread makes the tree and what is sent of it, for that
 * takes longer than anything else. */
#if MEASURE_OVS_JSON_REPLY
/* Makes an answer in JSON if the client wants nothing else. */
void
measure_request_choose_format(struct measure_request *request)
{
    if (unixctl_command_get_output_format(request->conn)
        == UNIXCTL_OUTPUT_FMT_JSON) {
        request->args.format = MEASURE_JSON;
        request->json_reply = true;
    }
}

static void
make_json(struct measure_request *request)
{
    struct json *json = json_from_string(request->text);

    request->json = json_serialized_object_create(json);
    json_destroy(json);
}

static void
send_json(struct measure_request *request)
{
    unixctl_command_reply_json(request->conn, request->json);
}
#else
void
measure_request_choose_format(struct measure_request *request OVS_UNUSED)
{
}

static void
make_json(struct measure_request *request OVS_UNUSED)
{
    OVS_NOT_REACHED();
}

static void
send_json(struct measure_request *request OVS_UNUSED)
{
    OVS_NOT_REACHED();
}
#endif

/* Sends the answer of 'request' and destroys it. */
static void
send_answer(struct measure_request *request)
{
    if (request->error) {
        unixctl_command_reply_error(request->conn, request->error);
    } else if (request->json) {
        send_json(request);
    } else {
        unixctl_command_reply(request->conn, request->text);
    }
    destroy_request(request);
}

/* Each answer in JSON has this member, beside those that are called as the
 * bridges are. */
#define SCHEMA_VERSION "schema-version"

/* Opens the object of 'bridge'.  One that is called as another member gets a
 * slash in front, which no name of a bridge may have. */
static void
open_bridge(struct measure_output *o, const char *bridge)
{
    bool taken = !measure_output_is_text(o) && !strcmp(bridge, SCHEMA_VERSION);

    measure_output_open_object(o, taken ? "/" SCHEMA_VERSION : bridge);
}

/* Takes references to the reports that 'request' is about. */
static void
choose_reports(struct measure_request *request)
{
    for (size_t i = 0; request->choose && i < request->n_subjects
         && !request->error; i++) {
        ovs_mutex_lock(&measure_mutex);
        request->error = request->choose(&request->subjects[i],
                                         &request->args);
        ovs_mutex_unlock(&measure_mutex);
    }
}

/* Writes the answer of 'request'. */
static void
write_answer(struct measure_request *request)
{
    const struct measure_arguments *args = &request->args;
    struct measure_output *o;

    if (request->raw) {
        request->text = request->error ? NULL : request->raw(request);
        return;
    }
    o = measure_output_create(args->format);
    if (args->format == MEASURE_JSON) {
        measure_output_uint(o, SCHEMA_VERSION, 1);
    }
    for (size_t i = 0; !request->error && i < request->n_subjects; i++) {
        open_bridge(o, request->subjects[i].name);
        request->error = request->write(o, &request->subjects[i], request);
        measure_output_close(o);
    }
    if (!request->n_subjects) {
        measure_output_note(o, request->configured
                            ? "No bridge is measured; 'ovs-vsctl set Bridge "
                              "BRIDGE other_config:measure=true' switches "
                              "measurement on."
                            : "No bridge is known yet: ovs-vswitchd has not "
                              "read its configuration from the database.");
    }
    request->text = measure_output_finish(o);
    if (request->json_reply && !request->error) {
        make_json(request);
    }
}

static void *
answer_main(void *aux OVS_UNUSED)
{
    for (;;) {
        uint64_t seq = seq_read(request_seq);
        struct measure_request *request = NULL;

        ovs_mutex_lock(&mutex);
        if (!ovs_list_is_empty(&requests)) {
            request = CONTAINER_OF(ovs_list_pop_front(&requests),
                                   struct measure_request, node);
        }
        ovs_mutex_unlock(&mutex);

        if (request) {
            ovsrcu_quiesce_start();
            choose_reports(request);
            write_answer(request);
            forget_reports(request);
            ovsrcu_quiesce_end();

            ovs_mutex_lock(&mutex);
            ovs_list_push_back(&answers, &request->node);
            ovs_mutex_unlock(&mutex);
            seq_change(answer_seq);
        } else {
            seq_wait(request_seq, seq);
            poll_block();
        }
    }
    OVS_NOT_REACHED();
}

static void
start_thread(void)
{
    static struct ovsthread_once once = OVSTHREAD_ONCE_INITIALIZER;

    if (ovsthread_once_start(&once)) {
        request_seq = seq_create();
        answer_seq = seq_create();
        ovs_thread_create("measure-query", answer_main, NULL);
        ovsthread_once_done(&once);
    }
}

/* Writes the answer of 'request' here and now, sends it and destroys the
 * request: for answers that take no time. */
void
measure_request_send(struct measure_request *request)
{
    write_answer(request);
    send_answer(request);
}

/* Has 'request' answered, or refuses it.  Takes ownership. */
void
measure_requests_submit(struct measure_request *request)
{
    start_thread();
    if (n_waiting >= MEASURE_MAX_REQUESTS) {
        refused++;
        request->error = xasprintf("%d questions are waiting for their "
                                   "answers; ask again later",
                                   MEASURE_MAX_REQUESTS);
        send_answer(request);
        return;
    }
    n_waiting++;

    ovs_mutex_lock(&mutex);
    ovs_list_push_back(&requests, &request->node);
    ovs_mutex_unlock(&mutex);
    seq_change(request_seq);
}

/* Sends the answers that are there. */
void
measure_requests_run(void)
{
    struct ovs_list done = OVS_LIST_INITIALIZER(&done);
    struct measure_request *request;

    if (!n_waiting) {
        return;
    }
    ovs_mutex_lock(&mutex);
    ovs_list_push_back_all(&done, &answers);
    ovs_mutex_unlock(&mutex);
    LIST_FOR_EACH_POP (request, node, &done) {
        n_waiting--;
        answered++;
        send_answer(request);
    }
}

void
measure_requests_wait(void)
{
    if (n_waiting) {
        uint64_t seq = seq_read(answer_seq);

        ovs_mutex_lock(&mutex);
        if (!ovs_list_is_empty(&answers)) {
            poll_immediate_wake();
        }
        ovs_mutex_unlock(&mutex);
        seq_wait(answer_seq, seq);
    }
}

void
measure_requests_state(struct measure_requests_state *state)
{
    state->n_waiting = n_waiting;
    state->answered = answered;
    state->refused = refused;
}
