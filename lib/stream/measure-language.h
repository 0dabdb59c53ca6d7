/* SPDX-License-Identifier: Apache-2.0 */
/* The language in which chains of stages are written. */

#ifndef MEASURE_LANGUAGE_H
#define MEASURE_LANGUAGE_H 1

#include "stream/measure-stage.h"

/* The language of chains
 * ======================
 *
 *     where protocol=tcp | count by=source | top n=10 every=1s | write text
 *
 * Stages are divided by "|", the words of a stage by spaces.  The first word
 * is the name of the stage; the others are NAME=VALUE or a bare word.  What is
 * between single or double quotes belongs to one word, with spaces and bars.
 *
 * Two arguments belong to the chain and not to a stage:
 *
 *     every=TIME     the length of intervals, as 100ms, 1s, 5m or 1h; at a
 *                    stage that takes or gives rows
 *     replicas=N     1 to 64 threads, up to and with the first stage that
 *                    makes rows of packets, where it must stand
 *
 * It is checked here that stages and arguments exist and that each stage takes
 * what the one before gives.  What the value of an argument means is the
 * affair of the stage.
 *
 * Thread safety: pure functions. */

#define MEASURE_LANGUAGE_MAX_REPLICAS 64

struct measure_language_word {
    char *name;                 /* Or NULL. */
    char *value;
};

struct measure_language_stage {
    const struct measure_stage_class *class;
    struct measure_language_word *words;
    size_t n_words;
};

struct measure_language_chain {
    struct measure_language_stage *stages;
    size_t n;
    uint64_t every_ns;          /* 0 without intervals. */
    unsigned int replicas;      /* At least 1. */
    size_t n_replicated;        /* Stages that each replica has; all if there
                                 * is one only. */
};

/* Lists of classes that end with NULL; either may be NULL. */
struct measure_language_classes {
    const struct measure_stage_class *const *lists[2];
};

const struct measure_stage_class *
measure_language_find(const struct measure_language_classes *,
                      const char *name);

void measure_language_quote(char **text, const char *word);
char *measure_language_parse(const char *text,
                             const struct measure_language_classes *,
                             struct measure_language_chain *);
void measure_language_chain_destroy(struct measure_language_chain *);

#endif /* measure-language.h */
