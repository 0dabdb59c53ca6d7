/* SPDX-License-Identifier: Apache-2.0 */
/* The language in which chains of stages are written. */

#include <config.h>

#include "stream/measure-language.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-number.h"
#include "base/measure-units.h"

#define MS MEASURE_NS_PER_MS
#define MAX_EVERY_MS (UINT64_C(8760) * 3600 * 1000)

#define EVERY_VALID "valid is a time from 1ms to 8760h, as 100ms, 1s, 5m or 1h"

/* What is being parsed. */
struct parser {
    const struct measure_language_classes *classes;
    struct measure_language_chain *chain;
    const char *every;          /* Its value and stage, or NULL. */
    size_t every_at;
    const char *replicas;       /* Likewise. */
    size_t replicas_at;
};

static const char *
stage_name(const struct parser *p, size_t i)
{
    return p->chain->stages[i].class->name;
}

/* Lists of names: "a, b or c". */

struct names {
    char **names;
    size_t n;
};

/* Adds 'name', which join_names() will free. */
static void
add_name(struct names *names, char *name)
{
    names->names = measure_xrealloc(names->names, (names->n + 1)
                                                  * sizeof *names->names);
    names->names[names->n++] = name;
}

static char *
join_names(struct names *names)
{
    char *text = measure_format("%s", names->n ? names->names[0] : "none");

    for (size_t i = 1; i < names->n; i++) {
        measure_append(&text, "%s%s", i + 1 < names->n ? ", " : " or ",
                       names->names[i]);
    }
    for (size_t i = 0; i < names->n; i++) {
        free(names->names[i]);
    }
    free(names->names);
    return text;
}

/* Returns the names of the stages that are shown, take one of 'takes', and,
 * unless it is negative, give 'gives'. */
static char *
stage_names(const struct measure_language_classes *classes,
            unsigned int takes, int gives)
{
    struct names names = { NULL, 0 };

    for (size_t i = 0; i < 2; i++) {
        const struct measure_stage_class *const *class = classes->lists[i];

        for (; class && *class; class++) {
            if (!(*class)->hidden && (*class)->takes & takes
                && (gives < 0 || (int) (*class)->gives == gives)) {
                add_name(&names, measure_format("%s", (*class)->name));
            }
        }
    }
    return join_names(&names);
}

/* Appends 'word' to '*text' (see measure_append()) so that it is one word of a
 * chain, whatever is in it. */
void
measure_language_quote(char **text, const char *word)
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

/* Returns the class 'name', or NULL. */
const struct measure_stage_class *
measure_language_find(const struct measure_language_classes *classes,
                      const char *name)
{
    for (size_t i = 0; i < 2; i++) {
        const struct measure_stage_class *const *class = classes->lists[i];

        for (; class && *class; class++) {
            if (!strcmp((*class)->name, name)) {
                return *class;
            }
        }
    }
    return NULL;
}

/* Returns how many letters must be changed, added or left out to make 'b' of
 * 'a' (Levenshtein's distance), or SIZE_MAX if one of them is long. */
static size_t
distance(const char *a, const char *b)
{
    size_t row[32], n = strlen(b);

    if (n >= sizeof row / sizeof row[0] || strlen(a) > n * 2 + 2) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i] != b[j - 1]);

            diagonal = row[j];
            row[j] = measure_min(change, measure_min(row[j], row[j - 1]) + 1);
        }
    }
    return row[n];
}

/* Returns the name of a stage that 'word' may mean, or NULL. */
static const char *
find_meant(const struct measure_language_classes *classes, const char *word)
{
    size_t length = strlen(word), least = (length + 1) / 3 + 1;
    const char *meant = NULL;

    for (size_t i = 0; i < 2; i++) {
        const struct measure_stage_class *const *class = classes->lists[i];

        for (; class && *class; class++) {
            const char *name = (*class)->name;
            size_t d = (length > 2 && !strncmp(name, word, length)
                        ? 0 : distance(word, name));

            if (!(*class)->hidden && d < least) {
                least = d;
                meant = name;
            }
        }
    }
    return meant;
}

static char *
unknown_stage(const struct measure_language_classes *classes, const char *word)
{
    const char *meant = find_meant(classes, word);
    char *valid = stage_names(classes, ~0u, -1);
    char *error = (meant
                   ? measure_format("unknown stage '%s': did you mean '%s'?  "
                                    "Valid is %s", word, meant, valid)
                   : measure_format("unknown stage '%s': valid is %s", word,
                                    valid));

    free(valid);
    return error;
}

/* Words. */

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes a word off '*text', without its quotes.  Returns NULL, or an error. */
static char *
take_word(const char **text, char **word)
{
    const char *s = *text;
    char *to = measure_xzalloc(strlen(s) + 1);

    *word = to;
    while (*s && !is_space(*s) && *s != '|') {
        if (*s == '\'' || *s == '"') {
            const char *end = strchr(s + 1, *s);

            if (!end) {
                free(*word);
                *word = NULL;
                return measure_format("the quote %c at \"%.20s\" is not "
                                      "closed", *s, s);
            }
            memcpy(to, s + 1, end - s - 1);
            to += end - s - 1;
            s = end + 1;
        } else {
            *to++ = *s++;
        }
    }
    *text = s;
    return NULL;
}

/* Returns how many bytes of 'word' are the NAME of NAME=VALUE, or 0. */
static size_t
name_length(const char *word)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789-_");

    return word[n] == '=' ? n : 0;
}

static bool
is_named(const char *word, const char *name)
{
    size_t n = name_length(word);

    return n == strlen(name) && !memcmp(word, name, n);
}

/* Arguments. */

/* Returns the argument of 'class' that 'word' is, or NULL. */
static const struct measure_stage_argument *
find_argument(const struct measure_stage_class *class, const char *word)
{
    const struct measure_stage_argument *a = class->arguments;

    for (; a && a->name; a++) {
        if (*a->name && is_named(word, a->name)) {
            return a;
        }
    }
    return NULL;
}

/* Returns true if 'class' takes words that are no listed argument. */
static bool
takes_any_word(const struct measure_stage_class *class)
{
    const struct measure_stage_argument *a = class->arguments;

    for (; a && a->name; a++) {
        if (!*a->name) {
            return true;
        }
    }
    return false;
}

/* Returns what may follow the name of 'class'. */
static char *
argument_names(const struct measure_stage_class *class)
{
    const struct measure_stage_argument *a = class->arguments;
    struct names names = { NULL, 0 };

    for (; a && a->name; a++) {
        add_name(&names, measure_format("%s%s%s", a->name,
                                        *a->name ? "=" : "", a->value));
    }
    if (class->gives == MEASURE_GIVES_ROWS
        || class->takes & MEASURE_TAKES_ROWS) {
        add_name(&names, measure_format("every=TIME"));
    }
    if (class->gives == MEASURE_GIVES_ROWS
        && class->takes & MEASURE_TAKES_PACKETS
        && class->partition != MEASURE_PARTITION_NONE) {
        add_name(&names, measure_format("replicas=N"));
    }
    return join_names(&names);
}

/* Returns true if the stage has the argument 'name' already. */
static bool
has_argument(const struct measure_language_stage *stage, const char *name)
{
    for (size_t i = 0; i < stage->n_words; i++) {
        if (stage->words[i].name && !strcmp(stage->words[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void
add_word(struct measure_language_stage *stage, char *name, char *value)
{
    stage->words = measure_xrealloc(stage->words, (stage->n_words + 1)
                                                  * sizeof *stage->words);
    stage->words[stage->n_words++] = (struct measure_language_word) {
        .name = name, .value = value,
    };
}

/* Takes every=TIME of stage 'i'. */
static char *
set_every(struct parser *p, size_t i, const char *value)
{
    struct measure_language_chain *chain = p->chain;
    uint64_t ns;

    if (!measure_duration_parse(value, &ns) || ns < MS || ns % MS
        || ns > MAX_EVERY_MS * MS) {
        return measure_format("%s: every=%s: %s", stage_name(p, i), value,
                              EVERY_VALID);
    }
    if (p->every && ns != chain->every_ns) {
        return measure_format("%s: every=%s: '%s' has every=%s, and a chain "
                              "has one length of intervals",
                              stage_name(p, i), value,
                              stage_name(p, p->every_at), p->every);
    }
    chain->every_ns = ns;
    p->every = value;
    p->every_at = i;
    return NULL;
}

static char *
set_replicas(struct parser *p, size_t i, const char *value)
{
    uint64_t n;

    if (p->replicas) {
        return measure_format("%s: replicas=%s: given twice",
                              stage_name(p, i), value);
    }
    if (!measure_integer_parse(value, 1, MEASURE_LANGUAGE_MAX_REPLICAS, &n)) {
        return measure_format("%s: replicas=%s: valid is a whole number from "
                              "1 to %d", stage_name(p, i), value,
                              MEASURE_LANGUAGE_MAX_REPLICAS);
    }
    p->chain->replicas = n;
    p->replicas = value;
    p->replicas_at = i;
    return NULL;
}

/* Takes 'word', which becomes part of the chain, for stage 'i'. */
static char *
set_word(struct parser *p, size_t i, char *word)
{
    struct measure_language_stage *stage = &p->chain->stages[i];
    const struct measure_stage_class *class = stage->class;
    bool listed = find_argument(class, word);
    size_t n = name_length(word);
    char *valid, *error;

    if (!listed && (is_named(word, "every") || is_named(word, "replicas"))) {
        add_word(stage, NULL, word);    /* Keeps it. */
        error = (is_named(word, "every") ? set_every(p, i, word + n + 1)
                 : set_replicas(p, i, word + n + 1));
        return error;
    }
    if (!listed && class->set && (!n || takes_any_word(class))) {
        add_word(stage, NULL, word);
        return NULL;
    }
    if (!listed || !class->set) {
        valid = argument_names(class);
        error = (n ? measure_format("'%s' has no argument '%.*s': valid is %s",
                                    class->name, (int) n, word, valid)
                 : measure_format("'%s' has no argument '%s': valid is %s",
                                  class->name, word, valid));
        free(valid);
        free(word);
        return error;
    }
    word[n] = '\0';
    if (has_argument(stage, word)) {
        error = measure_format("%s: %s=%s: given twice", class->name, word,
                               word + n + 1);
        free(word);
        return error;
    }
    add_word(stage, word, measure_format("%s", word + n + 1));
    return NULL;
}

/* A stage, from its first word on. */
static char *
parse_stage(struct parser *p, const char **text)
{
    struct measure_language_chain *chain = p->chain;
    const struct measure_stage_class *class;
    char *word, *error;
    size_t i = chain->n;

    error = take_word(text, &word);
    if (error) {
        return error;
    }
    class = measure_language_find(p->classes, word);
    if (!class) {
        error = unknown_stage(p->classes, word);
        free(word);
        return error;
    }
    free(word);
    chain->stages = measure_xrealloc(chain->stages, (i + 1)
                                                    * sizeof *chain->stages);
    chain->stages[chain->n++] = (struct measure_language_stage) {
        .class = class,
    };
    for (;;) {
        while (is_space(**text)) {
            ++*text;
        }
        if (!**text || **text == '|') {
            return NULL;
        }
        error = take_word(text, &word);
        if (!error) {
            error = set_word(p, i, word);
        }
        if (error) {
            return error;
        }
    }
}

static char *
parse_stages(struct parser *p, const char *text)
{
    char *error, *valid;

    for (;;) {
        while (is_space(*text)) {
            text++;
        }
        if (!*text || *text == '|') {
            valid = stage_names(p->classes, ~0u, -1);
            error = (p->chain->n
                     ? measure_format("there is no stage behind '%s |': valid "
                                      "is %s", stage_name(p, p->chain->n - 1),
                                      valid)
                     : measure_format("there is no stage %s: valid is %s",
                                      *text ? "before '|'" : "in ''", valid));
            free(valid);
            return error;
        }
        error = parse_stage(p, &text);
        if (error || !*text) {
            return error;
        }
        text++;
    }
}

/* Checks. */

/* Returns true if stage 'i' is given rows. */
static bool
is_given_rows(const struct measure_language_chain *chain, size_t i)
{
    return i && chain->stages[i - 1].class->gives == MEASURE_GIVES_ROWS;
}

/* Each stage takes what the one before gives, and the last gives nothing. */
static char *
check_order(const struct parser *p)
{
    const struct measure_language_chain *chain = p->chain;
    char *error = NULL, *valid;
    enum measure_stage_gives last;

    for (size_t i = 0; i < chain->n && !error; i++) {
        const struct measure_stage_class *class = chain->stages[i].class;
        bool rows = is_given_rows(chain, i);

        if (i && chain->stages[i - 1].class->gives == MEASURE_GIVES_NOTHING) {
            error = measure_format("'%s' gives nothing to '%s': it can only "
                                   "be the last stage",
                                   stage_name(p, i - 1), class->name);
        } else if (rows && !(class->takes & MEASURE_TAKES_ROWS)) {
            error = measure_format("'%s' takes packets, but '%s' gives rows: "
                                   "put '%s' before the first stage that "
                                   "gives rows", class->name,
                                   stage_name(p, i - 1), class->name);
        } else if (!rows && !(class->takes & MEASURE_TAKES_PACKETS)) {
            valid = stage_names(p->classes, MEASURE_TAKES_PACKETS,
                                MEASURE_GIVES_ROWS);
            error = (i
                     ? measure_format("'%s' takes rows, but '%s' gives "
                                      "packets: put %s between", class->name,
                                      stage_name(p, i - 1), valid)
                     : measure_format("'%s' takes rows, but a chain begins "
                                      "with packets: put %s before it",
                                      class->name, valid));
            free(valid);
        }
    }
    last = chain->stages[chain->n - 1].class->gives;
    if (!error && last != MEASURE_GIVES_NOTHING) {
        valid = stage_names(p->classes, (last == MEASURE_GIVES_ROWS
                                         ? MEASURE_TAKES_ROWS
                                         : MEASURE_TAKES_PACKETS),
                            MEASURE_GIVES_NOTHING);
        error = measure_format("nothing is done with what '%s' gives: end "
                               "with %s", stage_name(p, chain->n - 1), valid);
        free(valid);
    }
    return error;
}

static char *
check_every(const struct parser *p)
{
    const struct measure_language_chain *chain = p->chain;
    size_t i;

    if (!p->every || is_given_rows(chain, p->every_at)
        || (chain->stages[p->every_at].class->gives
            == MEASURE_GIVES_ROWS)) {
        return NULL;
    }
    for (i = 0; i < chain->n; i++) {
        if (chain->stages[i].class->gives == MEASURE_GIVES_ROWS) {
            return measure_format("%s: every=%s: it has no rows; valid at "
                                  "'%s' and behind it",
                                  stage_name(p, p->every_at), p->every,
                                  stage_name(p, i));
        }
    }
    return measure_format("%s: every=%s: no stage of this chain makes rows, "
                          "so there is nothing to give at the end of an "
                          "interval", stage_name(p, p->every_at), p->every);
}

static char *
check_replicas(const struct parser *p)
{
    struct measure_language_chain *chain = p->chain;
    size_t maker = 0;

    chain->n_replicated = chain->n;
    if (!p->replicas) {
        return NULL;
    }
    while (maker < chain->n
           && chain->stages[maker].class->gives != MEASURE_GIVES_ROWS) {
        maker++;
    }
    if (maker >= chain->n) {
        return measure_format("%s: replicas=%s: valid only at a stage that "
                              "makes rows of packets, and this chain has none",
                              stage_name(p, p->replicas_at), p->replicas);
    }
    if (maker != p->replicas_at) {
        return measure_format("%s: replicas=%s: valid only at the first stage "
                              "that makes rows of packets, here '%s'",
                              stage_name(p, p->replicas_at), p->replicas,
                              stage_name(p, maker));
    }
    if (chain->replicas == 1) {
        return NULL;
    }
    for (size_t i = 0; i <= maker; i++) {
        enum measure_partition partition = chain->stages[i].class->partition;

        if (partition == MEASURE_PARTITION_NONE
            || (i < maker && partition != MEASURE_PARTITION_ANY)) {
            return measure_format("%s: replicas=%s: valid is 1, for '%s' must "
                                  "see all packets",
                                  stage_name(p, maker), p->replicas,
                                  stage_name(p, i));
        }
    }
    chain->n_replicated = maker + 1;
    return NULL;
}

/* The words that belong to the chain are not given to its stages. */
static void
drop_general_words(struct measure_language_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        struct measure_language_stage *stage = &chain->stages[i];
        size_t n = 0;

        for (size_t j = 0; j < stage->n_words; j++) {
            struct measure_language_word word = stage->words[j];

            if (!word.name && (is_named(word.value, "every")
                               || is_named(word.value, "replicas"))) {
                free(word.value);
            } else {
                stage->words[n++] = word;
            }
        }
        stage->n_words = n;
    }
}

/* Parses 'text' to 'chain', for measure_language_chain_destroy().  Returns
 * NULL, or an error that the caller frees, and then 'chain' is empty. */
char *
measure_language_parse(const char *text,
                       const struct measure_language_classes *classes,
                       struct measure_language_chain *chain)
{
    struct parser p = { .classes = classes, .chain = chain };
    char *error;

    *chain = (struct measure_language_chain) { .replicas = 1 };
    error = parse_stages(&p, text);
    if (!error) {
        error = check_order(&p);
    }
    if (!error) {
        error = check_every(&p);
    }
    if (!error) {
        error = check_replicas(&p);
    }
    if (error) {
        measure_language_chain_destroy(chain);
        return error;
    }
    drop_general_words(chain);
    return NULL;
}

void
measure_language_chain_destroy(struct measure_language_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        for (size_t j = 0; j < chain->stages[i].n_words; j++) {
            free(chain->stages[i].words[j].name);
            free(chain->stages[i].words[j].value);
        }
        free(chain->stages[i].words);
    }
    free(chain->stages);
    *chain = (struct measure_language_chain) { .replicas = 1 };
}
