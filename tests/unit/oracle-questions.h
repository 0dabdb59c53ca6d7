/* SPDX-License-Identifier: Apache-2.0 */
/* Random questions about a world, answered by the library and the oracle. */

#ifndef ORACLE_QUESTIONS_H
#define ORACLE_QUESTIONS_H 1

#include "oracle.h"

#include "questions/measure-heavy-hitters.h"

/* Random questions
 * ================
 *
 * Each of these draws a question of its kind, asks it, and compares.  Answers
 * that say that they are exact must be equal to those of the oracle.  Of
 * others, bounds that are certain must hold always; those that hold with a
 * probability are counted. */

void ask_changes(void);
void ask_distribution(void);
void ask_hitters(void);
void ask_hitters_without_memory(void);
void ask_prefixes(void);
void ask_spreaders(void);

/* What has been seen so far. */
struct seen {
    uint64_t worlds, questions, refused, exact, bounded, estimated, no_memory;
    uint64_t hitters, prefixes, spreaders, distributions, changes;
    uint64_t change_rows, inexact_change_rows;

    /* Counts that have bounds, and those outside. */
    uint64_t counts[MEASURE_N_STRUCTURES], outside[MEASURE_N_STRUCTURES];
};

extern struct seen seen;

/* What questions of several kinds need. */

/* Draws what a question is about, and begins its description. */
void draw_scope(struct scope *s);

/* Draws a group and writes its text to the 'size' bytes of 'by'. */
struct group_by draw_group(char *by, size_t size);

/* Draws a question by 'by' for heavy hitters, and describes it. */
void draw_hitters(struct measure_hitters_question *q, const char *by);

/* Returns true if 'packets' with 'bytes' are heavy by 'q', where all packets
 * in 's' add up to 'sum'. */
bool is_heavy(const struct scope *s, const struct measure_hitters_question *q,
              const struct row *sum, uint64_t packets, uint64_t bytes);

/* Checks whether the library takes questions about 's' by 'g', which it calls
 * 'group_by'.  Returns false if not. */
bool check_scope(const struct scope *s, const struct group_by *g,
                 const struct measure_group_by *group_by);

/* The same for a question that needs every key. */
bool check_complete(const struct scope *s);

/* Checks the totals of 's', and counts what kind of answer it will have. */
void check_totals(const struct scope *s, struct measure_totals *totals);

#endif /* oracle-questions.h */
