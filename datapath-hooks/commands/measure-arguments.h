/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of the commands measure/.... */

#ifndef MEASURE_ARGUMENTS_H
#define MEASURE_ARGUMENTS_H 1

#include "base/measure-output.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"

/* The arguments of the commands measure/...
 * =========================================
 *
 * All commands take '[bridge] [NAME=VALUE]...' in any order.  A command has a
 * list of the arguments that it takes, which makes its usage, parses what is
 * given, and says in an error what is valid.
 *
 * Thread safety: no shared state. */

struct measure_arguments {
    const char *bridge;             /* NULL for all.  Main thread only. */
    enum measure_format format;
    bool json_reply;                /* 'ovs-appctl --format json'. */

    struct measure_hitters_question hitters;    /* Its by= and sort=. */
    bool by_given;
    enum measure_superspreaders_by spreaders_by;
    char *where;                    /* NULL for all rows. */

    /* The epochs: the last one, one by its number or from the end, or those
     * of the last milliseconds. */
    bool epoch_given;
    bool epoch_from_end;            /* 'epoch' is 1 for the last. */
    uint64_t epoch;
    bool last_given;
    uint64_t last_ms;
    bool pmd_given;
    uint64_t pmd;                   /* Core. */

    uint64_t n;
    bool n_given;
    uint64_t min;
    bool min_given;
    uint64_t since;
    uint64_t top;
};

struct measure_argument {
    const char *prefix;             /* With '='. */
    const char *usage;              /* Without brackets. */
    const char *valid;              /* For messages. */
    bool (*parse)(const char *value, struct measure_arguments *);
};

/* The lists of arguments end with NULL. */
extern const struct measure_argument measure_argument_by;
extern const struct measure_argument measure_argument_spreaders_by;
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

#endif /* measure-arguments.h */
