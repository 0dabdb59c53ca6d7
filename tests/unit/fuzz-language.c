/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the language of chains. */

/* Texts are made of words of the language and of noise.  Each is either taken,
 * and then what is found to be the chain has a sense, or an error says why
 * not.  Parsing it twice is the same, and what is taken is taken again when it
 * is written from the chain.
 *
 *   fuzz-language [--texts N]
 *
 * The environment variable MEASURE_SEED repeats a run. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check-packets.h"

#include "base/measure-base.h"
#include "stream/measure-language.h"

#define DEFAULT_TEXTS 200000
#define MAX_PIECES 24

#define REQUIRE(CONDITION)                                              \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            fprintf(stderr, "fuzz-language: '%s' does not hold for "    \
                    "<%s>\n", #CONDITION, current);                     \
            abort();                                                    \
        }                                                               \
    } while (0)

static const char *current = "";

static char *
set(struct measure_stage *stage UNUSED, const char *name UNUSED,
    const char *value UNUSED)
{
    return NULL;
}

static const struct measure_stage_argument arguments[] = {
    { "by", "GROUP", "" },
    { "n", "N", "" },
    { NULL, NULL, NULL },
};
static const struct measure_stage_argument free_arguments[] = {
    { "", "WORD", "" },
    { NULL, NULL, NULL },
};

#define PACKETS MEASURE_TAKES_PACKETS
#define ROWS MEASURE_TAKES_ROWS

static const struct measure_stage_class classes[] = {
    { .name = "where", .arguments = free_arguments, .set = set,
      .takes = PACKETS, .gives = MEASURE_GIVES_PACKETS,
      .partition = MEASURE_PARTITION_ANY },
    { .name = "count", .arguments = arguments, .set = set, .takes = PACKETS,
      .gives = MEASURE_GIVES_ROWS, .partition = MEASURE_PARTITION_KEY },
    { .name = "all", .takes = PACKETS, .gives = MEASURE_GIVES_ROWS },
    { .name = "top", .arguments = arguments, .set = set, .takes = ROWS,
      .gives = MEASURE_GIVES_ROWS },
    { .name = "write", .arguments = free_arguments, .set = set,
      .takes = PACKETS | ROWS, .gives = MEASURE_GIVES_NOTHING },
};

static const struct measure_stage_class *const list[] = {
    &classes[0], &classes[1], &classes[2], &classes[3], &classes[4], NULL,
};

static const char *const pieces[] = {
    "where", "count", "all", "top", "write", "|", "|", " | ", " ", " ", " ",
    "by=", "n=", "by=source", "n=10", "every=", "every=1s", "every=100ms",
    "replicas=", "replicas=2", "replicas=64", "65", "'", "\"", "=", "==",
    "'a b'", "\"|\"", "1", "\xff", "\t", "where x | count | write text",
    "count every=1s replicas=4 | top | write", "99999999999999999999h",
};

/* Writes 'chain' as a text that means the same. */
static char *
write_chain(const struct measure_language_chain *chain)
{
    char *text = NULL;

    for (size_t i = 0; i < chain->n; i++) {
        const struct measure_language_stage *stage = &chain->stages[i];

        measure_append(&text, "%s%s", i ? "|" : "", stage->class->name);
        for (size_t j = 0; j < stage->n_words; j++) {
            const char *value = stage->words[j].value;

            measure_append(&text, " %s%s",
                           stage->words[j].name ? stage->words[j].name : "",
                           stage->words[j].name ? "=" : "");
            measure_append(&text, "%s", *value ? "" : "''");
            for (; *value; value++) {
                const char *quote = *value == '\'' ? "\"" : "'";

                measure_append(&text, "%s%c%s", quote, *value, quote);
            }
        }
        if (i + 1 == chain->n_replicated && chain->replicas > 1) {
            measure_append(&text, " replicas=%u", chain->replicas);
        }
        if (i + 1 == chain->n && chain->every_ns) {
            measure_append(&text, " every=%"PRIu64"ms",
                           chain->every_ns / 1000000);
        }
    }
    return text;
}

static void
check_chain(const struct measure_language_chain *chain)
{
    bool rows = false;

    REQUIRE(chain->n && chain->n_replicated <= chain->n);
    REQUIRE(chain->replicas >= 1 && chain->replicas <= 64);
    REQUIRE(chain->replicas == 1 || chain->n_replicated < chain->n);
    REQUIRE(chain->every_ns % 1000000 == 0);
    for (size_t i = 0; i < chain->n; i++) {
        const struct measure_stage_class *class = chain->stages[i].class;

        REQUIRE(class->takes & (rows ? ROWS : PACKETS));
        REQUIRE((class->gives == MEASURE_GIVES_NOTHING)
                == (i + 1 == chain->n));
        rows = class->gives == MEASURE_GIVES_ROWS;
    }
}

/* Returns true if 'text' is right. */
static bool
fuzz(const char *text)
{
    const struct measure_language_classes own = { { list, NULL } };
    struct measure_language_chain chain, again;
    char *error, *written, *rewritten;

    current = text;
    error = measure_language_parse(text, &own, &chain);
    if (error) {
        REQUIRE(*error && !chain.n && !chain.stages);
        free(error);
        return false;
    }
    check_chain(&chain);
    written = write_chain(&chain);
    error = measure_language_parse(written, &own, &again);
    REQUIRE(!error);
    rewritten = write_chain(&again);
    REQUIRE(!strcmp(written, rewritten));
    REQUIRE(again.replicas == chain.replicas
            && again.every_ns == chain.every_ns);
    free(written);
    free(rewritten);
    measure_language_chain_destroy(&chain);
    measure_language_chain_destroy(&again);
    return true;
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "texts", required_argument, NULL, 'n' },
        { NULL, 0, NULL, 0 },
    };
    const char *text_of_seed = getenv("MEASURE_SEED");
    uint64_t seed = (text_of_seed ? strtoull(text_of_seed, NULL, 0)
                     : (uint64_t) time(NULL));
    unsigned long n_texts = DEFAULT_TEXTS, n_right = 0;
    struct random r;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'n') {
            fputs("usage: fuzz-language [--texts N]\n", stderr);
            return 1;
        }
        n_texts = strtoul(optarg, NULL, 10);
    }
    printf("MEASURE_SEED=%"PRIu64"\n", seed);
    fflush(stdout);
    r = random_from(seed);
    for (unsigned long i = 0; i < n_texts; i++) {
        char *text = measure_format("%s", "");

        for (uint32_t n = random_below(&r, MAX_PIECES); n > 0; n--) {
            measure_append(&text, "%s%s",
                           pieces[random_below(&r, ARRAY_SIZE(pieces))],
                           random_below(&r, 2) ? " " : "");
        }
        if (*text && !random_below(&r, 4)) {
            /* A byte of anything. */
            text[random_below(&r, strlen(text))] = random_next(&r) >> 56;
        }
        n_right += fuzz(text);
        free(text);
    }
    current = "all texts";
    REQUIRE(n_texts < 10000 || n_right);
    printf("summary: %lu texts tried, of which %lu are right\n"
           "1 passed, 0 failed\n", n_texts, n_right);
    return 0;
}
