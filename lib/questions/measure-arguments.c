/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of questions. */

#include <config.h>

#include "questions/measure-arguments.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/measure-base.h"
#include "base/measure-number.h"
#include "key/measure-filter.h"

/* Replaces '*to' by a copy of 'value'. */
void
measure_argument_keep(char **to, const char *value)
{
    free(*to);
    *to = measure_check_memory(strdup(value));
}

/* What it means depends on the bridge. */
static bool
parse_where(const char *value, struct measure_arguments *args)
{
    measure_argument_keep(&args->where, value);
    return true;
}

static bool
parse_epoch(const char *value, struct measure_arguments *args)
{
    args->epoch_given = true;
    args->epoch_from_end = value[0] == '-';
    return measure_integer_parse(value + args->epoch_from_end, 1, UINT64_MAX,
                                 &args->epoch);
}

static bool
parse_last(const char *value, struct measure_arguments *args)
{
    static const struct {
        const char *suffix;
        uint64_t ms;
    } units[] = {
        { "ms", 1 },
        { "s", 1000 },
        { "m", 60 * 1000 },
        { "h", 60 * 60 * 1000 },
    };
    size_t digits = strspn(value, "0123456789");
    char number[16];

    if (digits >= sizeof number) {
        return false;
    }
    memcpy(number, value, digits);
    number[digits] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!strcmp(value + digits, units[i].suffix)
            && measure_integer_parse(number, 1, UINT32_MAX, &args->last_ms)) {
            args->last_ms *= units[i].ms;
            args->last_given = true;
            return true;
        }
    }
    return false;
}

static bool
parse_pmd(const char *value, struct measure_arguments *args)
{
    args->pmd_given = true;
    return measure_integer_parse(value, 0, UINT32_MAX - 1, &args->pmd);
}

static bool
parse_sort(const char *value, struct measure_arguments *args)
{
    args->sort_by_bytes = !strcmp(value, "bytes");
    return args->sort_by_bytes || !strcmp(value, "packets");
}

static bool
parse_n(const char *value, struct measure_arguments *args)
{
    args->n_given = true;
    return measure_integer_parse(value, 0, UINT64_MAX, &args->n);
}

static bool
parse_min(const char *value, struct measure_arguments *args)
{
    args->min_given = true;
    return measure_integer_parse(value, 1, UINT64_MAX, &args->min);
}

static bool
parse_since(const char *value, struct measure_arguments *args)
{
    return measure_integer_parse(value, 0, UINT64_MAX, &args->since);
}

static bool
parse_top(const char *value, struct measure_arguments *args)
{
    return measure_integer_parse(value, 0, 100, &args->top);
}

static bool
parse_format(const char *value, struct measure_arguments *args)
{
    args->format = !strcmp(value, "json") ? MEASURE_JSON : MEASURE_TEXT;
    return !strcmp(value, "json") || !strcmp(value, "text");
}

const struct measure_argument measure_argument_where = {
    "where=", "where=FILTER", "where=" MEASURE_FILTER_VALID, parse_where
};
const struct measure_argument measure_argument_epoch = {
    "epoch=", "epoch=NUMBER|epoch=-N",
    "epoch=NUMBER of a report that is kept, or epoch=-N, the Nth from the "
    "end", parse_epoch
};
const struct measure_argument measure_argument_last = {
    "last=", "last=TIME", "last=TIME such as last=60s (ms, s, m, h)",
    parse_last
};
const struct measure_argument measure_argument_pmd = {
    "pmd=", "pmd=CORE", "pmd=CORE with the number of a core", parse_pmd
};
const struct measure_argument measure_argument_sort = {
    "sort=", "sort=packets|sort=bytes", "sort=packets or sort=bytes",
    parse_sort
};
const struct measure_argument measure_argument_n = {
    "n=", "n=N", "n=N with a whole number from 0 (all)", parse_n
};
const struct measure_argument measure_argument_min = {
    "min=", "min=N", "min=N with a whole number from 1", parse_min
};
const struct measure_argument measure_argument_since = {
    "since=", "since=SEQUENCE",
    "since=SEQUENCE with a whole number from 0 (all)", parse_since
};
const struct measure_argument measure_argument_top = {
    "top=", "top=N", "top=N with a whole number from 0 to 100", parse_top
};
const struct measure_argument measure_argument_format = {
    "format=", "format=json", "format=text or format=json", parse_format
};

/* Returns the usage of what takes 'arguments', which the caller must
 * free(). */
char *
measure_arguments_usage(const struct measure_argument *const arguments[])
{
    char *usage = measure_format("[bridge]");

    for (; *arguments; arguments++) {
        measure_append(&usage, " [%s]", (*arguments)->usage);
    }
    return usage;
}

/* Returns the one of 'arguments' whose name 'word' has but for dashes in front
 * and the size of letters, or NULL.  Stores in '*value' what follows, or
 * NULL. */
static const struct measure_argument *
find_meant(const char *word, const struct measure_argument *const arguments[],
           const char **value)
{
    const char *name = word + strspn(word, "-");
    size_t length = strcspn(name, "=");

    *value = name[length] ? name + length + 1 : NULL;
    for (; *arguments; arguments++) {
        const char *prefix = (*arguments)->prefix;

        if (strlen(prefix) == length + 1
            && !strncasecmp(name, prefix, length)) {
            return *arguments;
        }
    }
    return NULL;
}

/* Returns a message about 'word', which is none of 'arguments' but may mean
 * one, also together with the 'next' word (NULL if there is none). */
static char *
unknown_argument(const char *word, const char *next,
                 const struct measure_argument *const arguments[],
                 struct measure_arguments *args)
{
    const char *value;
    const struct measure_argument *meant = find_meant(word, arguments, &value);
    char *error;

    if (meant) {
        value = value ? value : next;
        return measure_format("%s: unknown argument; did you mean %s%s?", word,
                              meant->prefix,
                              (value && meant->parse(value, args)
                               ? value : "..."));
    }
    error = measure_format("%s: unknown argument; valid is one bridge", word);
    for (; *arguments; arguments++) {
        measure_append(&error, ", %s", (*arguments)->valid);
    }
    return error;
}

/* Parses 'argv', behind its first element, which may have what 'arguments'
 * lists, into 'args'.  Returns NULL if all is well, else an error message,
 * which the caller must free().  measure_arguments_destroy() must follow in
 * any case. */
char *
measure_arguments_parse(int argc, const char *argv[],
                        const struct measure_argument *const arguments[],
                        struct measure_arguments *args)
{
    memset(args, 0, sizeof *args);
    for (int i = 1; i < argc; i++) {
        const struct measure_argument *const *match = arguments;

        while (*match && strncmp(argv[i], (*match)->prefix,
                                 strlen((*match)->prefix))) {
            match++;
        }
        if (*match) {
            const char *value = argv[i] + strlen((*match)->prefix);

            if (!(*match)->parse(value, args)) {
                return measure_format("%s: valid is %s", argv[i],
                                      (*match)->valid);
            }
        } else if (argv[i][0] == '-' || strchr(argv[i], '=') || args->bridge) {
            return unknown_argument(argv[i], i + 1 < argc ? argv[i + 1] : NULL,
                                    arguments, args);
        } else {
            args->bridge = argv[i];
        }
    }
    if (args->epoch_given && args->last_given) {
        return measure_format("epoch= and last= exclude each other");
    }
    return NULL;
}

void
measure_arguments_destroy(struct measure_arguments *args)
{
    free(args->by);
    free(args->where);
}
