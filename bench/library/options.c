/* SPDX-License-Identifier: Apache-2.0 */
/* The options of measure-bench. */

#include <config.h>

#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "support.h"

#define MAX_ENTRY 4096

static uint64_t
parse_number(const char *option, const char *s, uint64_t min, uint64_t max)
{
    unsigned long long int value;
    char *end;

    errno = 0;
    value = strtoull(s, &end, 10);
    if (errno || end == s || *end || s[0] < '0' || s[0] > '9' || value < min
        || value > max) {
        bench_fail("%s: \"%s\" is not a number from %"PRIu64" to %"PRIu64,
                   option, s, min, max);
    }
    return value;
}

static double
parse_real(const char *option, const char *s, double min, double max)
{
    char *end;
    double value = strtod(s, &end);

    if (end == s || *end || !(value >= min && value <= max)) {
        bench_fail("%s: \"%s\" is not a number from %g to %g", option, s, min,
                   max);
    }
    return value;
}

static enum bench_task
parse_task(const char *name)
{
    for (int i = 0; i < BENCH_N_TASKS; i++) {
        if (!strcmp(name, bench_tasks[i].name)) {
            return i;
        }
    }
    bench_fail("--task: \"%s\" is none of heavy-hitters, superspreaders, "
               "changes, shared, entries, variants, rings, pipeline, beside",
               name);
}

static void
usage(void)
{
    printf("Usage: measure-bench [OPTION...]\n"
           "Compares structures that count packets, rings and "
           "pipelines.\n\n"
           "Packets:\n"
           "  --zipf=SKEW          draw them by Zipf's law (default: 1.1)\n"
           "  --flows=N            from so many flows (default: 1000000)\n"
           "  --packets=N          so many (default: 20000000); of 'rings' "
           "and 'pipeline',\n"
           "                       the records of each contender\n"
           "  --seed=N             default: 1\n"
           "  --capture=FILE       read them from a capture instead; without, "
           "'pipeline'\n"
           "                       also has those in $MEASURE_TRACES\n"
           "  --key=pair|flow      its keys (default: pair)\n"
           "  --epoch=N            packets of an epoch (default: 2000000)\n\n"
           "Contenders:\n"
           "  --task=heavy-hitters|superspreaders|changes|shared|entries|\n"
           "         variants|rings|pipeline|beside\n"
           "                       default: heavy-hitters; 'shared' and those "
           "from 'rings'\n"
           "                       on run several threads\n"
           "  --entry=BYTES        of a value, for 'entries' (default: 16)\n"
           "  --contenders=A,B...  default: all\n"
           "  --memory=BYTES       of each structure (default: as the flows "
           "need)\n"
           "  --repeat=N           timed runs in a round, and the rounds of "
           "those from\n"
           "                       'rings' on (default: 5)\n\n"
           "Output:\n"
           "  --format=text|json   default: text\n"
           "  --help               this text\n");
}

/* Ends the program because 'name' is none of 'all'. */
static void __attribute__((noreturn))
unknown_contender(const char *name, const struct bench_contender *const *all,
                  size_t n_all)
{
    char *valid = NULL;

    for (size_t i = 0; i < n_all; i++) {
        measure_append(&valid, " %s", all[i]->name);
    }
    bench_fail("--contenders: \"%s\" is none of%s", name, valid);
}

/* Takes those of the task that 'names' has, which is overwritten, or all of
 * them if it is NULL. */
static void
choose_contenders(struct bench_options *options, char *names)
{
    const struct bench_contender *const *all
        = bench_tasks[options->task].contenders;
    size_t n_all = bench_tasks[options->task].n;

    if (!names) {
        for (size_t i = 0; i < n_all; i++) {
            options->contenders[options->n_contenders++] = all[i];
        }
        return;
    }
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        size_t i;

        for (i = 0; i < n_all && strcmp(name, all[i]->name); i++) {
            continue;
        }
        if (i == n_all) {
            unknown_contender(name, all, n_all);
        }
        if (options->n_contenders < BENCH_MAX_CONTENDERS) {
            options->contenders[options->n_contenders++] = all[i];
        }
    }
}

/* Ends the program if the arguments are wrong, or ask for help. */
void
bench_options_parse(int argc, char *argv[], struct bench_options *options)
{
    enum { ZIPF = 256, FLOWS, PACKETS, SEED, CAPTURE, KEY, EPOCH, CONTENDERS,
           MEMORY, REPEAT, TASK, ENTRY, FORMAT, HELP };
    static const struct option longs[] = {
        { "zipf", required_argument, NULL, ZIPF },
        { "flows", required_argument, NULL, FLOWS },
        { "packets", required_argument, NULL, PACKETS },
        { "seed", required_argument, NULL, SEED },
        { "capture", required_argument, NULL, CAPTURE },
        { "key", required_argument, NULL, KEY },
        { "epoch", required_argument, NULL, EPOCH },
        { "contenders", required_argument, NULL, CONTENDERS },
        { "memory", required_argument, NULL, MEMORY },
        { "repeat", required_argument, NULL, REPEAT },
        { "entry", required_argument, NULL, ENTRY },
        { "task", required_argument, NULL, TASK },
        { "format", required_argument, NULL, FORMAT },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 },
    };
    char *contenders = NULL;

    *options = (struct bench_options) {
        .skew = 1.1, .flows = 1000000, .packets = 20000000, .epoch = 2000000,
        .seed = 1, .repeat = 5, .pairs = true, .entry = 16,
    };
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        switch (c) {
        case ZIPF:
            options->skew = parse_real("--zipf", optarg, 0, 10);
            break;
        case FLOWS:
            options->flows = parse_number("--flows", optarg, 1, 1u << 30);
            break;
        case PACKETS:
            options->packets = parse_number("--packets", optarg,
                                            BENCH_LATENCY_BATCH,
                                            UINT64_C(1) << 40);
            break;
        case SEED:
            options->seed = parse_number("--seed", optarg, 0, UINT64_MAX);
            break;
        case CAPTURE:
            options->capture = optarg;
            break;
        case KEY:
            if (strcmp(optarg, "pair") && strcmp(optarg, "flow")) {
                bench_fail("--key: \"%s\" is neither \"pair\" nor \"flow\"",
                           optarg);
            }
            options->pairs = !strcmp(optarg, "pair");
            break;
        case EPOCH:
            options->epoch = parse_number("--epoch", optarg,
                                          BENCH_LATENCY_BATCH, 1u << 30);
            break;
        case CONTENDERS:
            contenders = optarg;
            break;
        case MEMORY:
            options->memory = parse_number("--memory", optarg, 1024,
                                           UINT64_C(1) << 36);
            break;
        case REPEAT:
            options->repeat = parse_number("--repeat", optarg, 1, 1000);
            break;
        case ENTRY:
            options->entry = parse_number("--entry", optarg, 16,
                                          MAX_ENTRY) / 8 * 8;
            break;
        case TASK:
            options->task = parse_task(optarg);
            break;
        case FORMAT:
            if (strcmp(optarg, "text") && strcmp(optarg, "json")) {
                bench_fail("--format: \"%s\" is neither \"text\" nor "
                           "\"json\"", optarg);
            }
            options->json = !strcmp(optarg, "json");
            break;
        case HELP:
        case 'h':
            usage();
            exit(0);
        default:
            fprintf(stderr, "Try 'measure-bench --help'.\n");
            exit(1);
        }
    }
    if (optind < argc) {
        bench_fail("unknown argument \"%s\"", argv[optind]);
    }    choose_contenders(options, contenders);
    if (options->task == BENCH_SUPERSPREADERS && !options->pairs) {
        bench_fail("--task superspreaders needs --key pair");
    }
}
