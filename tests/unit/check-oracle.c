/* SPDX-License-Identifier: Apache-2.0 */
/* Random questions about random packets, each answered twice. */

/* Random questions about random packets, each answered twice
 * ==========================================================
 *
 * By the library, and by an oracle that goes through the list of all packets.
 *
 *     check-oracle [--questions N | --minutes M]
 *
 * What is counted is in oracle-world.h, the oracle in oracle.h, and the
 * questions, and what must hold of their answers, in oracle-questions.h.
 * Bounds that hold with a probability are looked at here, over the whole run:
 * counts must not be outside them more often than they say.
 *
 * MEASURE_SEED in the environment repeats a run; a failure says the seed of a
 * run whose first world is the one that failed. */

#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "oracle-questions.h"

#define QUESTIONS 25            /* About one world. */
#define DEFAULT_QUESTIONS 12000
#define DEFAULT_SECONDS 30      /* After so many it ends in any case. */

static void
ask_questions(void)
{
    for (int i = 0; i < QUESTIONS; i++) {
        uint32_t kind = below(100);

        seen.questions++;
        if (kind < 45) {
            ask_hitters();
        } else if (kind < 60) {
            ask_prefixes();
        } else if (kind < 78) {
            ask_spreaders();
        } else if (kind < 88) {
            ask_distribution();
        } else if (kind < 94) {
            ask_changes();
        } else {
            ask_hitters_without_memory();
        }
    }
}

/* Returns true if the bounds of 'kind' held as often as they say. */
static bool
bounds_hold(enum measure_structure_kind kind, double stated)
{
    double share = (seen.counts[kind]
                    ? (double) seen.outside[kind] / seen.counts[kind] : 0);

    printf("%s: counts beyond their bounds [stated %.4f, seen %.4f], of %"
           PRIu64"\n", measure_structure_name(kind), stated, share,
           seen.counts[kind]);
    return share <= stated;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "questions", required_argument, NULL, 'q' },
        { "minutes", required_argument, NULL, 'm' },
        { NULL, 0, NULL, 0 },
    };
    const char *seed_text = getenv("MEASURE_SEED");
    uint64_t n_questions = DEFAULT_QUESTIONS;
    time_t end = time(NULL) + DEFAULT_SECONDS;
    uint64_t seed;
    int option;
    bool ok;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *rest = NULL;

        if (option == 'q') {
            n_questions = strtoull(optarg, &rest, 10);
            end = 0;
        } else if (option == 'm') {
            n_questions = UINT64_MAX;
            end = time(NULL) + strtod(optarg, &rest) * 60;
        }
        if (!rest || rest == optarg || *rest) {
            fputs("usage: check-oracle [--questions N | --minutes M]\n",
                  stderr);
            return 1;
        }
    }
    seed = seed_text ? strtoull(seed_text, NULL, 0) : (uint64_t) time(NULL);
    printf("MEASURE_SEED=%"PRIu64"\n", seed);
    fflush(stdout);
    while (seen.questions < n_questions && (!end || time(NULL) < end)) {
        open_world(seed + seen.worlds);
        seen.worlds++;
        ask_questions();
        close_world();
    }

    printf("summary: %"PRIu64" questions about %"PRIu64" worlds: %"PRIu64
           " of heavy hitters, %"PRIu64" of prefixes, %"PRIu64
           " of superspreaders, %"PRIu64" of distributions, %"PRIu64
           " of changes; %"PRIu64" exact, %"PRIu64" bounded, %"PRIu64
           " estimated, %"PRIu64" refused, %"PRIu64
           " without memory; %"PRIu64" changes of exact epochs, %"PRIu64
           " of others\n", seen.questions, seen.worlds, seen.hitters,
           seen.prefixes, seen.spreaders, seen.distributions, seen.changes,
           seen.exact, seen.bounded, seen.estimated, seen.refused,
           seen.no_memory, seen.change_rows, seen.inexact_change_rows);
    ok = bounds_hold(MEASURE_COUNT_ARRAY, .05);
    ok &= bounds_hold(MEASURE_COUNT_MIN, exp(-3));
    printf("%d passed, %d failed\n", ok, !ok);
    return !ok;
}
