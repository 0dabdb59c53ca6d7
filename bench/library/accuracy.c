/* SPDX-License-Identifier: Apache-2.0 */
/* Exact answers, and how right those of a contender are. */

#include <config.h>

#include "accuracy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"

struct judge {
    const struct bench_traffic *traffic;
    const struct bench_truth *truth;
    uint64_t threshold;
    bool *seen;                 /* Flows or sources reported. */
    uint32_t n_reported;
    uint32_t n_right;
    double error;
    double max_error;
};

static int
compare_sources(const void *a_, const void *b_)
{
    const uint32_t *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static uint32_t
find_source(const struct bench_truth *truth, uint32_t source)
{
    const uint32_t *found = bsearch(&source, truth->sources, truth->n,
                                    sizeof source, compare_sources);

    return found ? found - truth->sources : UINT32_MAX;
}

static int64_t
truth_find(const struct bench_truth *truth,
           const struct bench_traffic *traffic, const struct bench_key *key)
{
    if (truth->sources) {
        uint32_t i = find_source(truth, key->words[0]);

        return i == UINT32_MAX ? -1 : (int64_t) i;
    }
    return bench_traffic_find(traffic, key);
}

/* Prepares to judge answers to 'task'. */
void
bench_truth_init(struct bench_truth *truth,
                 const struct bench_traffic *traffic, enum bench_task task,
                 uint64_t threshold)
{
    uint32_t n = traffic->n_flows;

    memset(truth, 0, sizeof *truth);
    truth->n = n;
    truth->threshold = threshold;
    truth->seen = measure_xzalloc(n * sizeof *truth->seen);
    truth->values = traffic->packets;
    if (task == BENCH_SUPERSPREADERS) {
        truth->threshold = 129;
        truth->sources = measure_xzalloc(n * sizeof *truth->sources);
        for (uint32_t i = 0; i < n; i++) {
            truth->sources[i] = traffic->flows[i].words[0];
        }
        qsort(truth->sources, n, sizeof *truth->sources, compare_sources);
        truth->n = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (!i || truth->sources[i] != truth->sources[truth->n - 1]) {
                truth->sources[truth->n++] = truth->sources[i];
            }
        }
        truth->source_of = measure_xzalloc(n * sizeof *truth->source_of);
        for (uint32_t i = 0; i < n; i++) {
            truth->source_of[i] = find_source(truth,
                                              traffic->flows[i].words[0]);
        }
        truth->values = measure_xzalloc(n * sizeof *truth->values);
    } else if (task == BENCH_CHANGES) {
        truth->threshold = 1;
        truth->values = measure_xzalloc(n * sizeof *truth->values);
        truth->expectations = measure_xzalloc(n * sizeof(double));
        truth->vanished = measure_xzalloc(n * sizeof(bool));
    }
}

/* Works out what is true of the current epoch, the next one in order.
 * 'floor' is that of changes.  Of pairs, each flow of an epoch is one
 * destination of its source. */
void
bench_truth_load(struct bench_truth *truth,
                 const struct bench_traffic *traffic, uint64_t floor)
{
    if (truth->sources) {
        memset(truth->values, 0, truth->n * sizeof *truth->values);
        for (uint32_t i = 0; i < traffic->n_flows; i++) {
            truth->values[truth->source_of[i]] += traffic->packets[i] > 0;
        }
    } else if (truth->expectations) {
        for (uint32_t i = 0; i < traffic->n_flows; i++) {
            double x = traffic->packets[i], m = truth->expectations[i];
            double small = x < m ? x : m, large = x < m ? m : x;

            /* What vanished is reported once until it is seen again. */
            truth->values[i] = (truth->epochs && x != m && large >= floor
                                && large >= BENCH_CHANGE_FACTOR * small
                                && !(truth->vanished[i] && !x));
            truth->vanished[i] = !x && (truth->values[i]
                                        || truth->vanished[i]);
            truth->expectations[i] = (truth->epochs
                                      ? m + BENCH_CHANGE_ALPHA * (x - m) : x);
        }
        truth->epochs++;
    }
}

static void
judge_report(void *judge_, const struct bench_key *key, uint64_t packets)
{
    struct judge *judge = judge_;
    int64_t number = truth_find(judge->truth, judge->traffic, key);
    uint64_t truth = number < 0 ? 0 : judge->truth->values[number];

    if (number >= 0) {
        if (judge->seen[number]) {
            return;
        }
        judge->seen[number] = true;
    }
    judge->n_reported++;
    if (truth >= judge->threshold) {
        double error = fabs((double) packets - truth) / truth;

        judge->n_right++;
        judge->error += error;
        if (error > judge->max_error) {
            judge->max_error = error;
        }
    }
}

/* Judges what 'contender' reports of the current epoch. */
void
bench_judge(const struct bench_contender *contender, void *structure,
            const struct bench_traffic *traffic,
            const struct bench_truth *truth, struct bench_accuracy *accuracy)
{
    struct judge judge = { .traffic = traffic, .truth = truth,
                           .threshold = truth->threshold,
                           .seen = truth->seen };
    uint32_t n_true = 0;

    memset(truth->seen, 0, truth->n * sizeof *truth->seen);
    contender->report(structure, truth->threshold, judge_report, &judge);
    for (uint32_t i = 0; i < truth->n; i++) {
        n_true += truth->values[i] >= truth->threshold;
    }
    accuracy->precision = (judge.n_reported
                           ? (double) judge.n_right / judge.n_reported : 1);
    accuracy->recall = n_true ? (double) judge.n_right / n_true : 1;
    accuracy->count_error = judge.n_right ? judge.error / judge.n_right : 0;
    accuracy->max_count_error = judge.max_error;
}
