/* SPDX-License-Identifier: Apache-2.0 */
/* What chains write to, and whether that is in the way of something. */

#include <config.h>

#include "stream-outputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stages/measure-stages.h"
#include "stream/measure-language.h"
#include "stream-stop-after.h"

static const struct measure_language_classes classes = {
    { measure_stages, stream_stages },
};

/* Where a chain writes to. */
struct output {
    const char *file;           /* NULL for standard output. */
    bool binary;                /* Bytes, not lines. */
};

/* Returns what the stage 'write' does. */
static struct output
get_output(const struct measure_language_stage *stage)
{
    struct output output = { NULL, false };

    for (size_t i = 0; i < stage->n_words; i++) {
        const struct measure_language_word *word = &stage->words[i];

        if (!word->name) {
            output.binary = (!strcmp(word->value, "pcapng")
                             || !strcmp(word->value, "records"));
        } else if (!strcmp(word->name, "file")) {
            output.file = strcmp(word->value, "-") ? word->value : NULL;
        }
    }
    return output;
}

/* Calls 'check' for each output of 'chains', until it returns something else
 * than NULL, and returns that. */
static char *
for_each_output(const struct stream_chains *chains,
                char *(*check)(const struct output *, void *aux), void *aux)
{
    char *result = NULL;

    for (size_t i = 0; i < chains->n && !result; i++) {
        struct measure_language_chain chain;
        const struct measure_language_stage *last;

        free(measure_language_parse(chains->texts[i], &classes, &chain));
        if (!chain.n) {
            continue;
        }
        last = &chain.stages[chain.n - 1];
        if (!strcmp(last->class->name, "write")) {
            struct output output = get_output(last);

            result = check(&output, aux);
        }
        measure_language_chain_destroy(&chain);
    }
    return result;
}

static char *
check_file(const struct output *to, void *input_)
{
    const struct stat *input = input_;
    const char *file = to->file;
    struct stat output;

    if ((file ? stat(file, &output) : fstat(STDOUT_FILENO, &output))
        || !S_ISREG(output.st_mode) || input->st_dev != output.st_dev
        || input->st_ino != output.st_ino) {
        return NULL;
    }
    return measure_format("%s is read, and cannot be written to at the same "
                          "time: name another file",
                          file ? file : "standard output");
}

/* Returns an error, which the caller frees, if a chain would write over the
 * file 'input', "-" for standard input; else NULL. */
char *
stream_outputs_check_input(const struct stream_chains *chains,
                          const char *input)
{
    struct stat s;

    if (strcmp(input, "-") ? stat(input, &s) : fstat(STDIN_FILENO, &s)) {
        return NULL;
    }
    return for_each_output(chains, check_file, &s);
}

/* Which file an output is, whatever its name. */
struct place {
    bool standard;              /* Standard output. */
    bool binary;
    bool device;                /* Takes from several: /dev/null. */
    dev_t dev;                  /* Of the file or, if it is not there yet... */
    ino_t ino;
    char *name;                 /* ...of its directory, and its name there. */
};

struct places {
    struct place list[STREAM_MAX_CHAINS];
    size_t n;
};

/* Returns false if there is no telling: it will not be opened. */
static bool
find_place(const struct output *output, struct place *place)
{
    const char *base;
    struct stat s;

    *place = (struct place) {
        .standard = !output->file, .binary = output->binary,
    };
    if (output->file ? stat(output->file, &s) : fstat(STDOUT_FILENO, &s)) {
        char *directory;
        bool found;

        if (!output->file) {
            return false;
        }
        base = strrchr(output->file, '/');
        directory = (base ? measure_format("%.*s/",
                                           (int) (base - output->file),
                                           output->file)
                     : measure_format("."));
        found = !stat(directory, &s);
        free(directory);
        if (!found) {
            return false;
        }
        place->name = measure_format("%s", base ? base + 1 : output->file);
    }
    place->device = S_ISCHR(s.st_mode);
    place->dev = s.st_dev;
    place->ino = s.st_ino;
    return true;
}

static bool
is_same(const struct place *a, const struct place *b)
{
    return (a->dev == b->dev && a->ino == b->ino && !a->name == !b->name
            && (!a->name || !strcmp(a->name, b->name)));
}

/* Lines of several chains may follow each other on standard output. */
static char *
check_place(const struct output *output, void *places_)
{
    struct places *places = places_;
    struct place *place = &places->list[places->n];

    if (!find_place(output, place)) {
        return NULL;
    }
    places->n++;
    for (struct place *other = places->list; other < place; other++) {
        if (!is_same(place, other)) {
            continue;
        }
        if (place->standard && other->standard) {
            if (place->binary || other->binary) {
                return measure_format("standard output: pcapng and records "
                                      "stand alone, and two chains write "
                                      "there: give one of them file=PATH");
            }
        } else if (!place->device) {
            return measure_format("%s: two chains write to it: name another "
                                  "file for one",
                                  (output->file ? output->file
                                   : "standard output"));
        }
    }
    return NULL;
}

/* Returns an error, which the caller frees, if chains would damage what
 * another one writes; else NULL. */
char *
stream_outputs_check(const struct stream_chains *chains)
{
    struct places places = { .n = 0 };
    char *error = for_each_output(chains, check_place, &places);

    for (size_t i = 0; i < places.n; i++) {
        free(places.list[i].name);
    }
    return error;
}

static char *
check_stdout(const struct output *output, void *aux)
{
    (void) aux;
    return output->file ? NULL : measure_format("yes");
}

/* Returns true if a chain writes to standard output. */
bool
stream_outputs_have_stdout(const struct stream_chains *chains)
{
    char *answer = for_each_output(chains, check_stdout, NULL);

    free(answer);
    return answer != NULL;
}
