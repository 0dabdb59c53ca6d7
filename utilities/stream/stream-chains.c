/* SPDX-License-Identifier: Apache-2.0 */
/* The chains that the arguments of ovs-measure-stream ask for. */

#include <config.h>

#include "stream-chains.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stages/measure-stages.h"
#include "stream/measure-language.h"
#include "stream-accounting.h"
#include "stream-expect-headers.h"
#include "stream-pcap-filter.h"
#include "stream-stop-after.h"

#define DEFAULT_LIVE "count by=flow | top n=20 every=1s | write text"
#define DEFAULT_FILE "count by=flow | top n=20 | write text"

const struct measure_stage_class *const stream_stages[] = {
    &stream_accounting,
    &stream_expect_headers,
    &stream_pcap_filter,
    &stream_stop_after,
    NULL
};

/* Appends 'word' so that it is one word of a chain, whatever is in it. */
static void
append_quoted(char **text, const char *word)
{
    if (!*word) {
        measure_append(text, "''");
    }
    while (*word) {
        char quote = *word == '\'' ? '"' : '\'';
        size_t n = (quote == '"' ? strspn(word, "'") : strcspn(word, "'"));

        measure_append(text, "%c%.*s%c", quote, (int) n, word, quote);
        word += n;
    }
}

static void
add(struct stream_chains *chains, const struct stream_options *o,
    const char *stages)
{
    char *text = NULL;

    if (o->headers && !chains->n) {
        measure_append(&text, "expect-headers | ");
    }
    if (o->pcap) {
        measure_append(&text, "pcap-filter ");
        append_quoted(&text, o->pcap);
        measure_append(&text, " | ");
    }
    if (o->count) {
        measure_append(&text, "stop-after n=%"PRIu64" chain=%zu | ", o->count,
                       chains->n);
    }
    measure_append(&text, "%s", stages);
    chains->texts[chains->n++] = text;
}

void
stream_chains_init(struct stream_chains *chains,
                   const struct stream_options *o)
{
    memset(chains, 0, sizeof *chains);
    chains->texts = measure_xzalloc((o->n_chains + 3) * sizeof *chains->texts);
    for (size_t i = 0; i < o->n_chains; i++) {
        add(chains, o, o->chains[i]);
    }
    if (o->write) {
        char *stage = measure_format("write pcapng");

        if (strcmp(o->write, "-")) {
            measure_append(&stage, " file=");
            append_quoted(&stage, o->write);
        }
        add(chains, o, stage);
        free(stage);
    }
    if (!chains->n && !o->accounting) {
        add(chains, o, o->bridge ? DEFAULT_LIVE : DEFAULT_FILE);
    }
    chains->n_counted = chains->n;
    if (o->accounting) {
        chains->texts[chains->n++] = measure_format("accounting");
    }
}

void
stream_chains_destroy(struct stream_chains *chains)
{
    for (size_t i = 0; i < chains->n; i++) {
        free(chains->texts[i]);
    }
    free(chains->texts);
}

static const struct measure_language_classes classes = {
    { measure_stages, stream_stages },
};

/* Calls 'check' for each file that 'chains' write to, NULL for standard
 * output, until it returns something else than NULL, and returns that. */
static char *
for_each_output(const struct stream_chains *chains,
                char *(*check)(const char *file, void *aux), void *aux)
{
    char *result = NULL;

    for (size_t i = 0; i < chains->n && !result; i++) {
        struct measure_language_chain chain;
        const struct measure_language_stage *last;
        const char *file = NULL;

        free(measure_language_parse(chains->texts[i], &classes, &chain));
        if (!chain.n) {
            continue;
        }
        last = &chain.stages[chain.n - 1];
        if (!strcmp(last->class->name, "write")) {
            for (size_t j = 0; j < last->n_words; j++) {
                if (last->words[j].name
                    && !strcmp(last->words[j].name, "file")) {
                    file = last->words[j].value;
                }
            }
            result = check(file, aux);
        }
        measure_language_chain_destroy(&chain);
    }
    return result;
}

static char *
check_file(const char *file, void *input_)
{
    const struct stat *input = input_;
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
stream_chains_check_files(const struct stream_chains *chains,
                          const char *input)
{
    struct stat s;

    if (strcmp(input, "-") ? stat(input, &s) : fstat(STDIN_FILENO, &s)) {
        return NULL;
    }
    return for_each_output(chains, check_file, &s);
}

static char *
check_stdout(const char *file, void *aux)
{
    (void) aux;
    return file ? NULL : measure_format("yes");
}

/* Returns true if a chain writes to standard output. */
bool
stream_chains_write_to_stdout(const struct stream_chains *chains)
{
    char *answer = for_each_output(chains, check_stdout, NULL);

    free(answer);
    return answer != NULL;
}
