/* SPDX-License-Identifier: Apache-2.0 */
/* Pipelines: chains of stages, and the threads that run them. */

#include <config.h>

#include "stream/measure-pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "stream/measure-chain.h"
#include "stream/measure-packet-runner.h"
#include "stream/measure-row-runner.h"

struct measure_pipeline {
    struct measure_language_classes classes;
    struct measure_budget budget;
    struct measure_hash_secret secret;
    struct measure_sources sources;

    struct measure_chain **chains;
    size_t n_chains;

    /* Threads. */
    struct measure_packet_runner **packet_runners;
    size_t n_packet_runners;
    struct measure_row_runner **row_runners;
    size_t n_row_runners;
    bool running;

    /* Tables of names that threads may use; the last one is that of now. */
    struct measure_port_names **ports;
    size_t n_ports;
};

struct measure_pipeline *
measure_pipeline_create(const struct measure_pipeline_options *options)
{
    struct measure_pipeline *p = measure_xzalloc(sizeof *p);

    measure_hash_secret_draw(&p->secret);
    p->classes.lists[0] = options->classes;
    p->classes.lists[1] = options->more_classes;
    p->budget.limit = options->memory_bytes;
    measure_sources_init(&p->sources);
    p->sources.live = options->live;
    p->sources.now_ns = (options->now_ns
                         ? options->now_ns : measure_realtime_ns);
    return p;
}

/* Adds a chain, before the start.  Names of ports must be known, if it has
 * any.  Returns NULL, or an error that the caller frees. */
char *
measure_pipeline_add_chain(struct measure_pipeline *p, const char *text)
{
    struct measure_chain *chain;
    char *error = measure_chain_create(text, &p->classes, &p->budget,
                                       p->sources.ports, &chain);

    if (error) {
        return error;
    }
    p->chains = measure_xrealloc(p->chains, (p->n_chains + 1)
                                            * sizeof *p->chains);
    p->chains[p->n_chains++] = chain;
    return NULL;
}

/* Makes the runners of 'chain'. */
static void
add_runners(struct measure_pipeline *p, const struct measure_chain *chain)
{
    struct measure_row_runner *rows = NULL;

    if (chain->rings) {
        rows = measure_xzalloc_lines(sizeof *rows);
        measure_row_runner_init(rows, &p->sources, chain);
        p->row_runners = measure_xrealloc(p->row_runners,
                                          (p->n_row_runners + 1)
                                          * sizeof *p->row_runners);
        p->row_runners[p->n_row_runners++] = rows;
    }
    for (unsigned int i = 0; i < chain->replicas; i++) {
        struct measure_packet_runner *r = measure_xzalloc_lines(sizeof *r);

        measure_packet_runner_init(r, &p->sources, chain, i,
                                   p->n_packet_runners, &p->secret);
        if (rows) {
            measure_row_runner_set_replica(rows, i, &r->reached);
        }
        p->packet_runners = measure_xrealloc(p->packet_runners,
                                             (p->n_packet_runners + 1)
                                             * sizeof *p->packet_runners);
        p->packet_runners[p->n_packet_runners++] = r;
    }
}

static void
start_thread(pthread_t *thread, void *(*main)(void *), void *arg)
{
    int error = pthread_create(thread, NULL, main, arg);

    if (error) {
        fprintf(stderr, "measure: a thread of a pipeline cannot be made: %s\n",
                strerror(error));
        abort();
    }
}

/* Packets that come for ever: people may wait for rows.  'warning' is NULL
 * when these come. */
static void
warn_of_rows_at_end(const struct measure_pipeline *p, const char *warning)
{
    for (size_t i = 0; p->sources.live && i < p->n_chains; i++) {
        const struct measure_chain *chain = p->chains[i];

        for (size_t j = 0; j < chain->n_stages && !chain->every_ns; j++) {
            struct measure_stage *stage = measure_chain_stage(chain, 0, j);

            if (stage->class->gives == MEASURE_GIVES_ROWS
                && stage->schema.order != MEASURE_ORDER_TIME) {
                __atomic_store_n(&stage->warning, warning,
                                 __ATOMIC_RELAXED);
                break;
            }
        }
    }
}

/* Opens what the stages write to, and begins.  Returns NULL, or an error that
 * the caller frees, and then there are no threads. */
char *
measure_pipeline_start(struct measure_pipeline *p)
{
    if (!p->n_chains) {
        return measure_format("there is no chain");
    }
    for (size_t i = 0; i < p->n_chains; i++) {
        char *error = measure_chain_open(p->chains[i]);

        if (error) {
            return error;
        }
    }
    for (size_t i = 0; i < p->n_chains; i++) {
        add_runners(p, p->chains[i]);
    }
    warn_of_rows_at_end(p, "without every=TIME its rows come at the end");
    measure_sources_start(&p->sources, p->n_packet_runners);
    p->running = true;
    for (size_t i = 0; i < p->n_row_runners; i++) {
        start_thread(&p->row_runners[i]->thread, measure_row_runner_main,
                     p->row_runners[i]);
    }
    for (size_t i = 0; i < p->n_packet_runners; i++) {
        start_thread(&p->packet_runners[i]->thread,
                     measure_packet_runner_main, p->packet_runners[i]);
    }
    return NULL;
}

struct measure_source *
measure_pipeline_create_source(struct measure_pipeline *p, uint64_t n_slots,
                               uint32_t core_id)
{
    return measure_source_create(&p->sources, n_slots, core_id);
}

struct measure_source *
measure_pipeline_add_source(struct measure_pipeline *p, const void *ring,
                            struct measure_cursor *cursor,
                            struct measure_stream_account *account)
{
    return measure_source_attach(&p->sources, ring, cursor, account);
}

/* Gives numbers of ports the names in 'ports', which the pipeline owns from
 * now on and frees.  It was made by malloc().  Threads take notice between two
 * batches; measure_pipeline_work() frees tables that none uses any more. */
void
measure_pipeline_set_ports(struct measure_pipeline *p,
                           struct measure_port_names *ports)
{
    p->ports = measure_xrealloc(p->ports, (p->n_ports + 1)
                                          * sizeof *p->ports);
    p->ports[p->n_ports++] = ports;
    __atomic_store_n(&p->sources.ports, ports, __ATOMIC_RELEASE);
}

/* Returns true if all threads use the last table of names. */
static bool
all_have_ports(const struct measure_pipeline *p)
{
    const struct measure_port_names *ports = p->sources.ports;

    for (size_t i = 0; i < p->n_packet_runners; i++) {
        if (__atomic_load_n(&p->packet_runners[i]->ports, __ATOMIC_ACQUIRE)
            != ports) {
            return false;
        }
    }
    for (size_t i = 0; i < p->n_row_runners; i++) {
        if (__atomic_load_n(&p->row_runners[i]->ports, __ATOMIC_ACQUIRE)
            != ports) {
            return false;
        }
    }
    return true;
}

/* Waits until all threads use the names that were set last.  Returns false if
 * the pipeline was stopped or has failed.  Nothing is waited for before it was
 * started. */
bool
measure_pipeline_await_ports(const struct measure_pipeline *p)
{
    bool done;

    while (!(done = all_have_ports(p))
           && !__atomic_load_n(&p->sources.stopping, __ATOMIC_RELAXED)
           && !__atomic_load_n(&p->sources.failed, __ATOMIC_RELAXED)) {
        measure_nap();
    }
    return done;
}

static void
free_ports(struct measure_port_names *ports)
{
    measure_port_names_destroy(ports);
    free(ports);
}

/* For the owner, now and then: frees what no thread needs any more.  The
 * threads need nothing of it. */
void
measure_pipeline_work(struct measure_pipeline *p)
{
    if (p->running && p->n_ports > 1 && all_have_ports(p)) {
        for (size_t i = 0; i + 1 < p->n_ports; i++) {
            free_ports(p->ports[i]);
        }
        p->ports[0] = p->ports[p->n_ports - 1];
        p->n_ports = 1;
    }
}

/* Has producers that wait for room in a source give up.  May be called by a
 * signal handler, and by any thread. */
void
measure_pipeline_stop(struct measure_pipeline *p)
{
    __atomic_store_n(&p->sources.stopping, true, __ATOMIC_RELAXED);
}

/* Returns true if a stage cannot go on; measure_pipeline_finish() says why. */
bool
measure_pipeline_has_failed(const struct measure_pipeline *p)
{
    return __atomic_load_n(&p->sources.failed, __ATOMIC_ACQUIRE);
}

/* Returns what all stages have left out for want of memory. */
uint64_t
measure_pipeline_lost(const struct measure_pipeline *p)
{
    uint64_t lost = 0;

    for (size_t i = 0; i < p->n_chains; i++) {
        for (size_t j = 0; j < p->chains[i]->n; j++) {
            lost += __atomic_load_n(&p->chains[i]->stages[j]->lost,
                                    __ATOMIC_RELAXED);
        }
    }
    return lost;
}

/* Has the threads take what is in the sources, give the last intervals, and
 * end, and closes the stages.  Returns the first error of a stage, which the
 * caller frees, or NULL. */
char *
measure_pipeline_finish(struct measure_pipeline *p)
{
    char *first = NULL;

    if (!p->running) {
        return NULL;
    }
    warn_of_rows_at_end(p, NULL);
    measure_sources_finish(&p->sources);
    for (size_t i = 0; i < p->n_packet_runners; i++) {
        pthread_join(p->packet_runners[i]->thread, NULL);
    }
    for (size_t i = 0; i < p->n_row_runners; i++) {
        pthread_join(p->row_runners[i]->thread, NULL);
    }
    p->running = false;
    p->sources.ended = true;
    for (size_t i = 0; i < p->n_chains; i++) {
        char *error = measure_chain_close(p->chains[i]);

        if (error && !first) {
            first = error;
        } else {
            free(error);
        }
    }
    return first;
}

/* Calls 'visit' for each stage of each chain and replica.  It may read what
 * other threads may. */
void
measure_pipeline_for_each_stage(const struct measure_pipeline *p,
                                void (*visit)(const struct measure_stage *,
                                              void *aux), void *aux)
{
    for (size_t i = 0; i < p->n_chains; i++) {
        for (size_t j = 0; j < p->chains[i]->n; j++) {
            visit(p->chains[i]->stages[j], aux);
        }
    }
}

/* Writes the counters of one stage. */
static void
write_stage(struct measure_output *o, const struct measure_chain *chain,
            size_t number, unsigned int replica, size_t i)
{
    const struct measure_stage *stage = measure_chain_stage(chain, replica,
                                                            i);
    const char *warning = __atomic_load_n(&stage->warning, __ATOMIC_RELAXED);

    measure_output_open_row(o);
    measure_output_uint(o, "chain", number);
    measure_output_string(o, "stage", stage->class->name);
    measure_output_uint(o, "replica", replica);
    measure_output_uint(o, "records",
                        __atomic_load_n(&stage->records, __ATOMIC_RELAXED));
    measure_output_uint(o, "batches",
                        __atomic_load_n(&stage->batches, __ATOMIC_RELAXED));
    measure_output_uint(o, "given",
                        __atomic_load_n(&stage->given, __ATOMIC_RELAXED));
    measure_output_uint(o, "lost",
                        __atomic_load_n(&stage->lost, __ATOMIC_RELAXED));
    measure_output_uint(o, "waits",
                        __atomic_load_n(&stage->waits, __ATOMIC_RELAXED));
    if (warning) {
        measure_output_string(o, "warning", warning);
    }
    measure_output_close(o);
}

/* Writes "stages", a row for each stage and replica, and "sources". */
void
measure_pipeline_write_counters(const struct measure_pipeline *p,
                                struct measure_output *o)
{
    measure_output_open_list(o, "stages");
    for (size_t i = 0; i < p->n_chains; i++) {
        const struct measure_chain *chain = p->chains[i];

        for (size_t j = 0; j < chain->n_stages; j++) {
            unsigned int n = j < chain->n_replicated ? chain->replicas : 1;

            for (unsigned int r = 0; r < n; r++) {
                write_stage(o, chain, i + 1, r, j);
            }
        }
    }
    measure_output_close(o);
    measure_sources_write(&p->sources, o);
}

void
measure_pipeline_destroy(struct measure_pipeline *p)
{
    if (!p) {
        return;
    }
    measure_pipeline_stop(p);
    free(measure_pipeline_finish(p));
    for (size_t i = 0; i < p->n_packet_runners; i++) {
        measure_packet_runner_destroy(p->packet_runners[i]);
        free(p->packet_runners[i]);
    }
    for (size_t i = 0; i < p->n_row_runners; i++) {
        measure_row_runner_destroy(p->row_runners[i]);
        free(p->row_runners[i]);
    }
    free(p->packet_runners);
    free(p->row_runners);
    for (size_t i = 0; i < p->n_chains; i++) {
        measure_chain_destroy(p->chains[i]);
    }
    free(p->chains);
    measure_sources_destroy(&p->sources);
    for (size_t i = 0; i < p->n_ports; i++) {
        free_ports(p->ports[i]);
    }
    free(p->ports);
    free(p);
}

/* Returns the class 'name' of a stage that chains may have, or NULL. */
const struct measure_stage_class *
measure_pipeline_find_class(const struct measure_pipeline_options *options,
                            const char *name)
{
    struct measure_language_classes classes = {
        .lists = { options->classes, options->more_classes },
    };

    return measure_language_find(&classes, name);
}
