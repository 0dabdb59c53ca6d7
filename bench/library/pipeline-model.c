/* SPDX-License-Identifier: Apache-2.0 */
/* A model of our pipeline with more replicas than were measured. */

#include <config.h>

#include "pipeline-model.h"

#include <math.h>

static double
replica_ns(const struct bench_model *model, unsigned int replicas)
{
    return (replicas == 1 ? model->single.replica_ns
            : model->skip_ns + model->work_ns / replicas);
}

static double
source_ns(const struct bench_model *model, unsigned int replicas)
{
    return replicas == 1 ? model->single.source_ns : model->source_ns;
}

/* Fits 'model' to 'n' points: one of a single replica, and two or more of
 * others.  Costs are not negative. */
void
bench_model_fit(struct bench_model *model,
                const struct bench_model_point *points, size_t n)
{
    double sum = 0, x = 0, y = 0, xx = 0, xy = 0;

    *model = (struct bench_model) { .source_ns = 0 };
    for (size_t i = 0; i < n; i++) {
        double share = 1.0 / points[i].replicas;

        if (points[i].replicas == 1) {
            model->single = points[i];
            continue;
        }
        sum++;
        x += share;
        y += points[i].replica_ns;
        xx += share * share;
        xy += share * points[i].replica_ns;
        model->source_ns += points[i].source_ns;
    }
    model->source_ns /= sum;
    model->work_ns = (sum * xy - x * y) / (sum * xx - x * x);
    model->work_ns = fmax(model->work_ns, 0);
    model->skip_ns = (y - model->work_ns * x) / sum;
    if (model->skip_ns < 0) {
        model->skip_ns = 0;
        model->work_ns = xy / xx;
    }
    for (size_t i = 0; i < n; i++) {
        double error = fabs(replica_ns(model, points[i].replicas)
                            / points[i].replica_ns - 1);

        model->residual = fmax(model->residual, error);
    }
}

/* Returns the records per second with 'replicas'. */
double
bench_model_rate(const struct bench_model *model, unsigned int replicas)
{
    return 1e9 / fmax(source_ns(model, replicas),
                      replica_ns(model, replicas));
}

double
bench_model_rate_per_core(const struct bench_model *model,
                          unsigned int replicas)
{
    return 1e9 / (source_ns(model, replicas)
                  + replicas * replica_ns(model, replicas));
}
