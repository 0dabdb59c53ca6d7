/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that answers commands. */

#ifndef MEASURE_REQUESTS_H
#define MEASURE_REQUESTS_H 1

#include "base/measure-output.h"
#include "measure-history.h"
#include "measure-monitor.h"
#include "questions/measure-question.h"

struct json;
struct unixctl_conn;

/* The thread that answers commands
 * ================================
 *
 * To group a million flows takes longer than the main thread of ovs-vswitchd
 * may be away.  So the main thread only parses the arguments, and the thread
 * "measure-query" chooses the reports, to which the request takes references,
 * and writes the answer; the main thread sends it when it comes by again.  An
 * answer is thus of the moment when its turn comes: reports that are no longer
 * kept are held by one question at a time, not by all that wait.
 *
 * At most MEASURE_MAX_REQUESTS wait at a time.  What comes on top is refused
 * with an error.
 *
 * Thread safety: all functions belong to the main thread.  'choose' of a
 * request is called by the thread with measure_mutex, 'write' without any lock
 * and in a quiescent state of RCU: it must not use anything that RCU or a lock
 * protects. */

#define MEASURE_MAX_REQUESTS 32

/* What a request asks about one bridge. */
struct measure_subject {
    char *name;                     /* Of the bridge. */
    struct monitor *monitor;        /* A reference. */
    struct measure_config config;   /* When it was asked. */
    struct kept_report **reports;   /* References, oldest first. */
    size_t n_reports;
    const struct measure_report **plain_reports;    /* The same. */
    struct measure_filter filter;
    struct measure_scope scope;     /* Of all this. */
    struct measure_changes *changes;    /* A reference, or NULL. */
};

struct measure_request;

/* Writes the answer about one bridge.  Returns NULL or an error message. */
typedef char *measure_write_func(struct measure_output *,
                                 const struct measure_subject *,
                                 const struct measure_request *);

/* Chooses the reports that the arguments ask for.  Returns NULL or an error
 * message. */
typedef char *measure_choose_func(struct measure_subject *,
                                  const struct measure_arguments *);

/* Returns the answer about all bridges, in a format of its own. */
typedef char *measure_raw_func(const struct measure_request *);

struct measure_request {
    struct ovs_list node;
    struct unixctl_conn *conn;
    struct measure_arguments args;  /* 'bridge': main thread only. */
    bool json_reply;                /* 'ovs-appctl --format json'. */
    bool configured;                /* The bridges are known. */
    struct measure_subject *subjects;
    size_t n_subjects;
    measure_choose_func *choose;    /* NULL if no reports are asked. */
    const struct measure_question_class *question;  /* NULL if none. */
    measure_write_func *write;
    measure_raw_func *raw;          /* Instead of 'write', or NULL. */

    /* The answer. */
    char *text;
    struct json *json;              /* Instead of 'text', or NULL. */
    char *error;                    /* Instead of both, or NULL. */
};

/* Counters for measure/status. */
struct measure_requests_state {
    size_t n_waiting;
    uint64_t answered;
    uint64_t refused;
};

void measure_request_choose_format(struct measure_request *);
void measure_request_send(struct measure_request *);
void measure_requests_submit(struct measure_request *);
void measure_requests_run(void);
void measure_requests_wait(void);
void measure_requests_state(struct measure_requests_state *);

void measure_subject_init(struct measure_subject *, struct monitor *)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-requests.h */
