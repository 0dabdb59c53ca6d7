/* SPDX-License-Identifier: Apache-2.0 */
/* A chain of a pipeline: its stages, for each replica. */

#include <config.h>

#include "stream/measure-chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

/* Returns stage 'i' of the text, as 'replica' has it. */
struct measure_stage *
measure_chain_stage(const struct measure_chain *chain, unsigned int replica,
                    size_t i)
{
    return chain->stages[i < chain->n_replicated
                         ? replica * chain->n_replicated + i
                         : (chain->replicas - 1) * chain->n_replicated + i];
}

/* Makes a stage and sets its arguments. */
static char *
create_stage(const struct measure_language_stage *language,
             struct measure_stage *stage)
{
    for (size_t i = 0; i < language->n_words; i++) {
        const struct measure_language_word *word = &language->words[i];
        char *wrong = language->class->set(stage, word->name, word->value);
        char *error;

        if (wrong) {
            error = measure_format("%s: %s%s%s: %s", language->class->name,
                                   word->name ? word->name : "",
                                   word->name ? "=" : "", word->value, wrong);
            free(wrong);
            return error;
        }
    }
    return NULL;
}

static char *
create_stages(struct measure_chain *chain,
              const struct measure_language_chain *language,
              struct measure_budget *budget,
              const struct measure_port_names *ports)
{
    for (size_t i = 0; i < chain->n_stages; i++) {
        const struct measure_language_stage *stage = &language->stages[i];
        bool replicated = i < chain->n_replicated;

        for (unsigned int r = 0; r < (replicated ? chain->replicas : 1);
             r++) {
            struct measure_stage *new
                = measure_xzalloc_lines(stage->class->size);
            size_t at = (replicated ? r : chain->replicas - 1)
                        * chain->n_replicated + i;
            char *error;

            *new = (struct measure_stage) {
                .class = stage->class,
                .budget = budget,
                .ports = ports,
                .replica = r,
            };
            if (chain->rings && i + 1 == chain->n_replicated) {
                new->output = &chain->rings[r].writer;
            }
            chain->stages[at] = new;
            error = create_stage(stage, new);
            if (error) {
                return error;
            }
        }
    }
    return NULL;
}

/* Returns the stage that gives to that at 'i' of 'chain->stages', or NULL. */
static struct measure_stage *
stage_before(const struct measure_chain *chain, size_t i)
{
    bool first = (i < chain->replicas * chain->n_replicated
                  && i % chain->n_replicated == 0);

    return first ? NULL : chain->stages[i - 1];
}

/* Tells each stage what it will be given. */
static char *
begin_stages(struct measure_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        struct measure_stage *before = stage_before(chain, i);

        if (before && !before->output) {
            before->next = chain->stages[i];
        }
    }
    for (size_t i = 0; i < chain->n; i++) {
        struct measure_stage *stage = chain->stages[i];
        const struct measure_stage *before = stage_before(chain, i);
        bool rows = before && before->class->gives == MEASURE_GIVES_ROWS;
        char *wrong = (stage->class->begin
                       ? stage->class->begin(stage,
                                             rows ? &before->schema : NULL)
                       : NULL);
        char *error;

        if (wrong) {
            error = measure_format("%s: %s", stage->class->name, wrong);
            free(wrong);
            return error;
        }
    }
    return NULL;
}

static void
create_ring(struct measure_chain_ring *ring)
{
    ring->memory = measure_xzalloc_lines(
        measure_ring_size(MEASURE_CHAIN_RING_SLOTS));
    ring->cursor = measure_xzalloc_lines(sizeof *ring->cursor);
    measure_ring_header_init(ring->memory, MEASURE_CHAIN_RING_SLOTS, 0, -1);
    measure_ring_writer_init(&ring->writer, ring->memory);
    measure_ring_add_cursor(&ring->writer, ring->cursor);
    measure_ring_reader_init(&ring->reader, ring->memory, ring->cursor, NULL);
}

/* Makes '*chainp' of 'text'.  Returns NULL, or an error that the caller frees,
 * and then there is no chain. */
char *
measure_chain_create(const char *text,
                     const struct measure_language_classes *classes,
                     struct measure_budget *budget,
                     const struct measure_port_names *ports,
                     struct measure_chain **chainp)
{
    struct measure_language_chain language;
    struct measure_chain *chain;
    char *error = measure_language_parse(text, classes, &language);

    *chainp = NULL;
    if (error) {
        return error;
    }
    chain = measure_xzalloc(sizeof *chain);
    chain->text = measure_format("%s", text);
    chain->every_ns = language.every_ns;
    chain->replicas = language.replicas;
    chain->n_stages = language.n;
    chain->n_replicated = language.n_replicated;
    chain->n = ((chain->replicas - 1) * chain->n_replicated
                + chain->n_stages);
    chain->stages = measure_xzalloc(chain->n * sizeof *chain->stages);
    if (chain->replicas > 1) {
        chain->rings = measure_xzalloc_lines(chain->replicas
                                         * sizeof *chain->rings);
        for (unsigned int r = 0; r < chain->replicas; r++) {
            create_ring(&chain->rings[r]);
        }
    }
    error = create_stages(chain, &language, budget, ports);
    if (!error) {
        error = begin_stages(chain);
    }
    measure_language_chain_destroy(&language);
    if (error) {
        measure_chain_destroy(chain);
        return error;
    }
    *chainp = chain;
    return NULL;
}

/* Has all stages open what they write to. */
char *
measure_chain_open(struct measure_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        struct measure_stage *stage = chain->stages[i];
        char *wrong = stage->class->open ? stage->class->open(stage) : NULL;
        char *error;

        if (wrong) {
            error = measure_format("%s: %s", stage->class->name, wrong);
            free(wrong);
            return error;
        }
    }
    return NULL;
}

/* Closes all stages, in their order.  Returns the first error, or NULL. */
char *
measure_chain_close(struct measure_chain *chain)
{
    char *first = NULL;

    for (size_t i = 0; i < chain->n; i++) {
        struct measure_stage *stage = chain->stages[i];
        char *wrong = stage->class->close ? stage->class->close(stage) : NULL;

        if (wrong && !first) {
            first = measure_format("%s: %s", stage->class->name, wrong);
        }
        free(wrong);
    }
    return first;
}

void
measure_chain_destroy(struct measure_chain *chain)
{
    if (!chain) {
        return;
    }
    for (size_t i = 0; i < chain->n; i++) {
        struct measure_stage *stage = chain->stages[i];

        if (stage && stage->class->destroy) {
            stage->class->destroy(stage);
        }
        free(stage);
    }
    for (unsigned int r = 0; chain->rings && r < chain->replicas; r++) {
        free(chain->rings[r].memory);
        free(chain->rings[r].cursor);
    }
    free(chain->rings);
    free(chain->stages);
    free(chain->text);
    free(chain);
}
