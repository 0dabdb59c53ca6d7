/* SPDX-License-Identifier: Apache-2.0 */
/* What the end of an epoch takes with many flows. */

/* merge-scale: the end of an epoch with many flows
 * ================================================
 *
 * It measures
 *
 *   - epochs, once with different flows in each thread, as behind a network
 *     card that spreads flows, and once with the same flows in all of them
 *     (merge-epochs.h),
 *
 *   - questions, with flows as above and with flows between random addresses
 *     (merge-questions.h),
 *
 *   - the hand-over (merge-hand-over.h). */

#include <config.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/measure-memory.h"
#include "base/measure-output.h"
#include "bench/library/build.h"
#include "merge-epochs.h"
#include "merge-hand-over.h"
#include "merge-load.h"
#include "merge-questions.h"
#include "support.h"

/* Where, by what, and how this was measured. */
static void
write_origin(struct measure_output *out, int argc, char *argv[], uint64_t seed)
{
    struct utsname system;
    char text[512];

    bench_processor_name(text, sizeof text);
    measure_output_string(out, "processor", text);
    uname(&system);
    snprintf(text, sizeof text, "%.80s %.80s", system.sysname, system.release);
    measure_output_string(out, "kernel", text);
    measure_output_string(out, "compiler", "gcc "__VERSION__);
    measure_output_string(out, "compiler-flags", BENCH_FLAGS);
    measure_output_string(out, "commit", BENCH_COMMIT);
    bench_command_line(argc, argv, text, sizeof text);
    measure_output_string(out, "command-line", text);
    measure_output_uint(out, "seed", seed);
}

struct options {
    uint32_t n_epochs;          /* Of the hand-over. */
    enum measure_format format;
};

static void
parse_options(int argc, char *argv[], struct merge_load *load,
              struct options *options)
{
    static const struct option longs[] = {
        { "threads", required_argument, NULL, 't' },
        { "flows", required_argument, NULL, 'f' },
        { "rounds", required_argument, NULL, 'r' },
        { "epochs", required_argument, NULL, 'e' },
        { "seed", required_argument, NULL, 's' },
        { "format", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (option) {
        case 't': load->n_threads = atoi(optarg); break;
        case 'f': load->n_flows = atoi(optarg); break;
        case 'r': load->n_rounds = atoi(optarg); break;
        case 'e': options->n_epochs = atoi(optarg); break;
        case 's': load->seed = strtoull(optarg, NULL, 0); break;
        case 'o':
            options->format = (strcmp(optarg, "json")
                               ? MEASURE_TEXT : MEASURE_JSON);
            break;
        default: exit(EXIT_FAILURE);
        }
    }
    if (!load->n_threads || load->n_threads > MERGE_MAX_THREADS
        || !load->n_flows || load->n_rounds < 2
        || load->n_rounds > MERGE_MAX_ROUNDS) {
        bench_fail("--threads must be 1 to %d, --flows at least 1, --rounds 2 "
                   "to %d", MERGE_MAX_THREADS, MERGE_MAX_ROUNDS);
    }
}

int
main(int argc, char *argv[])
{
    static struct merge_load load = {
        .n_threads = 8, .n_flows = 1000000, .n_rounds = 5, .seed = 1,
    };
    struct options options = { .n_epochs = 40, .format = MEASURE_TEXT };
    struct measure_output *out;
    bool met = true;
    bool lost;
    char *text;

    bench_set_program("merge-scale");
    parse_options(argc, argv, &load, &options);
    out = measure_output_create(options.format);
    write_origin(out, argc, argv, load.seed);
    merge_load_init(&load);

    met &= merge_epochs(&load, out, "different-flows");
    measure_memory_trim(&load.budget, 0);
    load.same_flows = true;
    met &= merge_epochs(&load, out, "same-flows");
    load.same_flows = false;
    met &= merge_ask_all(&load, out, "questions");
    load.random_addresses = true;
    met &= merge_ask_all(&load, out, "questions-random-addresses");
    load.random_addresses = false;
    met &= merge_hand_over(&load, out, options.n_epochs, &lost);
    measure_output_bool(out, "all-targets-met", met);

    text = measure_output_finish(out);
    puts(text);
    free(text);
    return lost ? EXIT_FAILURE : EXIT_SUCCESS;
}
