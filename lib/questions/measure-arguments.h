/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of questions. */

#ifndef MEASURE_ARGUMENTS_H
#define MEASURE_ARGUMENTS_H 1

#include <stdbool.h>
#include <stdint.h>

#include "base/measure-output.h"

/* The arguments of questions
 * ==========================
 *
 * Whoever asks, a command of the switch or another program, writes '[bridge]
 * [NAME=VALUE]...' in any order.  Each question has a list of the arguments
 * that it takes, which makes its usage, parses what is given, and says in an
 * error what is valid.
 *
 * Thread safety: no shared state. */

struct measure_arguments {
    const char *bridge;             /* As it was given.  NULL for all. */
    enum measure_format format;

    /* Valid for the question, or NULL. */
    char *by;
    char *where;

    /* The epochs: the last one, one by its number or from the end, or those
     * of the last milliseconds. */
    bool epoch_given;
    bool epoch_from_end;            /* 'epoch' is 1 for the last. */
    uint64_t epoch;
    bool last_given;
    uint64_t last_ms;
    bool pmd_given;
    uint64_t pmd;                   /* Core. */

    bool sort_by_bytes;
    bool n_given;
    uint64_t n;                     /* 0 for all. */
    bool min_given;
    uint64_t min;
    uint64_t since;
    uint64_t top;
};

struct measure_argument {
    const char *prefix;             /* With '='. */
    const char *usage;              /* Without brackets. */
    const char *valid;              /* For messages. */
    bool (*parse)(const char *value, struct measure_arguments *);
};

/* Those that several take.  Lists of arguments end with NULL. */
extern const struct measure_argument measure_argument_where;
extern const struct measure_argument measure_argument_epoch;
extern const struct measure_argument measure_argument_last;
extern const struct measure_argument measure_argument_pmd;
extern const struct measure_argument measure_argument_sort;
extern const struct measure_argument measure_argument_n;
extern const struct measure_argument measure_argument_min;
extern const struct measure_argument measure_argument_since;
extern const struct measure_argument measure_argument_top;
extern const struct measure_argument measure_argument_format;

char *measure_arguments_usage(const struct measure_argument *const[]);
char *measure_arguments_parse(int argc, const char *argv[],
                              const struct measure_argument *const[],
                              struct measure_arguments *);
void measure_arguments_destroy(struct measure_arguments *);
void measure_argument_keep(char **to, const char *value);

#endif /* measure-arguments.h */
