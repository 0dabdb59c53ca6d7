/* SPDX-License-Identifier: Apache-2.0 */
/* Lets the packets of a bridge, or of a file, go through chains of stages. */

#include <config.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stages/measure-stages.h"
#include "stream-bridge.h"
#include "stream-capture-input.h"
#include "stream-chains.h"
#include "stream-list.h"
#include "stream-message.h"
#include "stream-options.h"
#include "stream-outputs.h"
#include "stream-progress.h"
#include "stream-read.h"
#include "stream-signal.h"
#include "stream-stop-after.h"

/* Slots of the ring that a file is read to. */
#define FILE_SLOTS 16384

struct stream {
    struct stream_options options;
    struct stream_chains chains;
    struct measure_pipeline *pipeline;
    struct stream_input *input;
    struct stream_progress progress;
    uint64_t counters_ns;       /* By the clock, when they are written next;
                                 * UINT64_MAX for never. */
    uint64_t warning_ns;        /* When stages have had time to look at their
                                 * arguments; likewise. */
};

/* Starting. */

static void
create_pipeline(struct stream *s)
{
    const struct measure_pipeline_options options = {
        .memory_bytes = s->options.memory_mb * MEASURE_MIB,
        .live = s->options.bridge != NULL,
        .classes = measure_stages,
        .more_classes = stream_stages,
    };

    char *error;

    s->pipeline = measure_pipeline_create(&options);
    for (size_t i = 0; i < s->chains.n; i++) {
        error = measure_pipeline_add_chain(s->pipeline, s->chains.texts[i]);

        if (error) {
            stream_fail(STREAM_BAD_INPUT, "%s", error);
        }
    }
    error = stream_outputs_check(&s->chains);
    if (error) {
        stream_fail(STREAM_BAD_INPUT, "%s", error);
    }
}

static void
look_for_headers(const struct measure_stage *stage, void *aux)
{
    bool *wants_headers = aux;

    *wants_headers |= stage->wants_headers;
}

/* Says so in '*error' if 'file' is for another option than 'option'. */
static void
name_option(char **error, const char *option, const char *file)
{
    const char *right = stream_option_of(file);

    if (right && strcmp(right, option)) {
        measure_append(error, "; %s reads it", right);
    }
}

static void
open_input(struct stream *s)
{
    const struct stream_options *o = &s->options;
    const char *file = o->read ? o->read : o->pcap_file;
    uint64_t n_slots = o->slots ? o->slots : FILE_SLOTS;
    bool headers = o->headers;
    char *error;

    measure_pipeline_for_each_stage(s->pipeline, look_for_headers, &headers);
    if (o->bridge) {
        error = stream_bridge_open(&s->input, o, headers, s->pipeline);
    } else if (o->read) {
        error = stream_read_open(&s->input, file, s->pipeline, n_slots);
    } else {
        error = stream_capture_input_open(&s->input, file, headers,
                                          s->pipeline, n_slots);
    }
    if (error && file) {
        name_option(&error, o->read ? "--read" : "--pcap-file", file);
    }
    if (error) {
        stream_fail(o->bridge ? STREAM_NO_START : STREAM_BAD_INPUT, "%s",
                    error);
    }
    if (file) {
        error = stream_outputs_check_input(&s->chains, file);
        if (error) {
            stream_fail(STREAM_BAD_INPUT, "%s", error);
        }
        /* Progress and rows would stand in one another's way. */
        stream_progress_init(&s->progress, file, o->progress,
                             isatty(STDOUT_FILENO)
                             && stream_outputs_have_stdout(&s->chains));
    }
}

static void
start(struct stream *s)
{
    uint64_t now_ns = measure_monotonic_ns();
    char *error;

    /* Threads inherit what is blocked. */
    stream_signal_block();
    error = measure_pipeline_start(s->pipeline);
    stream_signal_unblock();
    if (error) {
        /* An output cannot be opened. */
        stream_fail(STREAM_BAD_INPUT, "%s", error);
    }
    if (s->options.duration_ns) {
        stream_signal_after(s->options.duration_ns);
    }
    s->counters_ns = (s->options.counters_ns
                      ? now_ns + s->options.counters_ns : UINT64_MAX);
    s->warning_ns = now_ns + MEASURE_NS_PER_S;
}

/* Running. */

static void
print_counters(const struct stream *s)
{
    struct measure_output *o = measure_output_create(MEASURE_TEXT);
    char *text;

    if (s->input->class->write) {
        s->input->class->write(s->input, o);
    }
    measure_pipeline_write_counters(s->pipeline, o);
    text = measure_output_finish(o);
    stream_print(text);
    free(text);
}

static void
say_warning(const struct measure_stage *stage, void *aux)
{
    const char *warning = __atomic_load_n(&stage->warning, __ATOMIC_RELAXED);

    (void) aux;
    if (warning) {
        stream_say("%s: %s", stage->class->name, warning);
    }
}

/* Does what is due. */
static void
look_at_clock(struct stream *s)
{
    uint64_t now_ns = measure_monotonic_ns();

    stream_progress_show(&s->progress, s->input, now_ns);
    if (now_ns >= s->warning_ns) {
        measure_pipeline_for_each_stage(s->pipeline, say_warning, NULL);
        s->warning_ns = UINT64_MAX;
    }
    if (now_ns >= s->counters_ns) {
        print_counters(s);
        s->counters_ns = now_ns + s->options.counters_ns;
    }
}

static bool
is_over(const struct stream *s)
{
    return (stream_signal_came()
            || measure_pipeline_has_failed(s->pipeline)
            || (s->options.count && stream_all_stopped(s->chains.n_counted)));
}

/* Lets packets through until the input has ended, or the program is to end.
 * Returns false after an error, which has been said. */
static bool
run(struct stream *s)
{
    while (!is_over(s)) {
        look_at_clock(s);
        switch (s->input->class->step(s->input)) {
        case STREAM_MORE:
            break;
        case STREAM_END:
            return true;
        case STREAM_FAILED:
            return false;
        }
        measure_pipeline_work(s->pipeline);
    }
    return true;
}

/* Ending. */

static bool
end(struct stream *s)
{
    char *lost = NULL, *error;

    s->input->class->end(s->input, &lost);
    stream_progress_end(&s->progress);
    error = measure_pipeline_finish(s->pipeline);
    if (s->options.counters) {
        print_counters(s);
    }
    if (s->warning_ns < UINT64_MAX) {
        measure_pipeline_for_each_stage(s->pipeline, say_warning, NULL);
    }
    stream_lost(&lost, measure_pipeline_lost(s->pipeline),
                "packet or row that a stage had no memory for",
                "packets or rows that stages had no memory for");
    if (lost) {
        stream_say("not complete: %s", lost);
        free(lost);
    }
    if (!error && measure_pipeline_has_failed(s->pipeline)) {
        error = measure_format("a stage could not go on, and does not say "
                               "why");
    }
    if (error) {
        stream_say("%s", error);
        free(error);
        return false;
    }
    return true;
}

/* Lets no file be opened in the place of a standard stream that is closed:
 * what is read from or written to that fails instead. */
static void
occupy_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

/* Somebody waits for what is on standard output. */
static void
close_stdout(void)
{
    if (fflush(stdout) || ferror(stdout)) {
        stream_fail(STREAM_BAD_INPUT, "standard output: %m");
    }
}

int
main(int argc, char *argv[])
{
    static struct stream s;
    bool good;

    occupy_streams();
    switch (stream_options_parse(&s.options, argc, argv)) {
    case STREAM_LIST:
        stream_list(stdout, measure_stages);
        stream_list(stdout, stream_stages);
        stream_list_common(stdout);
        close_stdout();
        return STREAM_OK;
    case STREAM_HELP:
        stream_usage();
        close_stdout();
        return STREAM_OK;
    case STREAM_VERSION:
        puts(STREAM_PROGRAM" "PACKAGE_VERSION);
        close_stdout();
        return STREAM_OK;
    case STREAM_RUN:
    default:
        break;
    }

    stream_chains_init(&s.chains, &s.options);
    create_pipeline(&s);
    stream_signal_init(s.pipeline);
    open_input(&s);
    start(&s);
    good = run(&s);
    good = end(&s) && good;
    stream_signal_forget();
    measure_pipeline_destroy(s.pipeline);
    s.input->class->destroy(s.input);
    stream_chains_destroy(&s.chains);
    return good ? STREAM_OK : STREAM_BAD_INPUT;
}
