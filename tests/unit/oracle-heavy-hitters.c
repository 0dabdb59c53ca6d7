/* SPDX-License-Identifier: Apache-2.0 */
/* Heavy hitters by any group, against the oracle. */

#include <config.h>

#include "oracle-questions.h"

#include <stdlib.h>

/* Questions. */

static void
draw_threshold(struct measure_threshold *threshold)
{
    static const double shares[] = { .1, 1, 5, 20, 50, 100 };

    threshold->unit = below(3);
    threshold->value = (threshold->unit == MEASURE_SHARE
                        ? shares[below(ARRAY_SIZE(shares))]
                        : threshold->unit == MEASURE_PACKETS_PER_SECOND
                        ? 1 + below(100) : 1000 * (1 + below(1000)));
}

void
draw_hitters(struct measure_hitters_question *q, const char *by)
{
    memset(q, 0, sizeof *q);
    CHECK(measure_hitters_parse_by(by, q));
    q->sort = below(2) ? MEASURE_SORT_PACKETS : MEASURE_SORT_BYTES;
    q->heavy_only = below(2);
    q->n = below(2) ? 0 : 1 + below(10);
    q->threshold_text = "?";
    draw_threshold(&q->threshold);
    describe_question(" heavy-hitters by=%s sort=%d heavy %d n=%d "
                      "threshold %d:%g", by, q->sort, q->heavy_only,
                      (int) q->n, q->threshold.unit, q->threshold.value);
}

/* Answers. */

bool
is_heavy(const struct scope *s, const struct measure_hitters_question *q,
         const struct row *sum, uint64_t packets, uint64_t bytes)
{
    bool by_bytes = q->sort == MEASURE_SORT_BYTES;
    double ms = 0, size, least;

    for (int i = 0; i < s->n; i++) {
        ms += world.reports[s->first + i]->duration_ms;
    }
    if (q->threshold.unit == MEASURE_SHARE) {
        size = by_bytes ? bytes : packets;
        least = q->threshold.value * (by_bytes ? sum->bytes : sum->packets)
                / 100;
    } else if (q->threshold.unit == MEASURE_PACKETS_PER_SECOND) {
        size = packets;
        least = q->threshold.value * ms / 1000;
    } else {
        size = bytes * 8.;
        least = q->threshold.value * ms / 1000;
    }
    return size >= least * (1 - 1e-9);
}

static bool sort_by_bytes;

static int
compare_sizes(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;
    uint64_t a_size = sort_by_bytes ? a->bytes : a->packets;
    uint64_t b_size = sort_by_bytes ? b->bytes : b->packets;

    return (a_size > b_size ? -1 : a_size < b_size ? 1
            : compare_order(&a->key, &b->key));
}

static void
check_exact_hitters(const struct scope *s,
                    const struct measure_hitters_question *q,
                    const struct measure_hitters_answer *answer,
                    struct rows *truth, bool addresses)
{
    struct row sum = all_packets(s);
    uint64_t packets = s->n_conditions ? truth->packets : sum.packets;
    uint64_t bytes = s->n_conditions ? truth->bytes : sum.bytes;
    size_t n = 0;

    CHECK(answer->keys == truth->n);
    CHECK(answer->packets == truth->packets);
    CHECK(answer->bytes == truth->bytes);
    sort_by_bytes = q->sort == MEASURE_SORT_BYTES;
    qsort(truth->rows, truth->n, sizeof *truth->rows, compare_sizes);
    for (size_t i = 0; i < truth->n && (!q->n || n < q->n); i++) {
        const struct row *row = &truth->rows[i];
        const struct measure_hitters_row *got = &answer->rows[n];
        bool heavy = is_heavy(s, q, &sum, row->packets, row->bytes);
        struct key key;

        if (q->heavy_only && !heavy) {
            continue;
        }
        CHECK(n < answer->n_rows);
        key = key_of(&got->fields, addresses);
        CHECK(!compare_keys(&key, &row->key));
        CHECK(got->packets == row->packets && got->bytes == row->bytes);
        CHECK(!got->packets_error_max && !got->bytes_error_max);
        CHECK(got->heavy == heavy && got->may_be_heavy == heavy);
        packets -= row->packets;
        bytes -= row->bytes;
        n++;
    }
    CHECK(answer->n_rows == n && !answer->omitted_rows);
    CHECK(answer->other_known && answer->other_packets == packets);
    CHECK(answer->other_bytes == bytes && answer->other_keys == truth->n - n);
}

/* Rows that may be too low by what overflowed, or too high. */
static void
check_bounded_hitters(const struct scope *s,
                      const struct measure_hitters_question *q,
                      const struct measure_hitters_answer *answer,
                      struct rows *truth, const struct measure_totals *totals,
                      bool addresses)
{
    const struct measure_counters *c = &totals->counters;
    bool certain = !totals->error_probability;
    struct row sum = all_packets(s);
    uint64_t packets = 0;

    for (size_t i = 0; i < answer->n_rows; i++) {
        const struct measure_hitters_row *got = &answer->rows[i];
        struct key key = key_of(&got->fields, addresses);
        struct row *row = find_row(truth, &key);
        bool outside[2], heavy;

        CHECK(row && !row->seen);
        row->seen = true;
        packets += got->packets;
        CHECK(i == 0 || (q->sort == MEASURE_SORT_BYTES
                         ? got[-1].bytes >= got->bytes
                         : got[-1].packets >= got->packets));
        heavy = is_heavy(s, q, &sum, row->packets, row->bytes);
        CHECK(heavy ? got->may_be_heavy : !certain || !got->heavy);
        CHECK(!q->heavy_only || got->may_be_heavy);
        if (!totals->estimates) {
            CHECK(got->packets <= row->packets && got->bytes <= row->bytes);
            CHECK(got->packets + got->packets_error_max >= row->packets);
            CHECK(got->bytes + got->bytes_error_max >= row->bytes);
            continue;
        }
        CHECK(got->packets + c->overflow_packets >= row->packets);
        CHECK(got->bytes + c->overflow_bytes >= row->bytes);
        CHECK(got->packets + got->packets_error_max >= row->packets);
        CHECK(got->bytes + got->bytes_error_max >= row->bytes);
        outside[0] = got->packets > row->packets + got->packets_error_max;
        outside[1] = got->bytes > row->bytes + got->bytes_error_max;
        CHECK(!certain || (!outside[0] && !outside[1]));
        seen.counts[world.structure] += 2;
        seen.outside[world.structure] += outside[0] + outside[1];
    }
    CHECK(answer->other_known == !totals->estimates);
    if (!totals->estimates && !s->n_conditions) {
        CHECK(packets + answer->other_packets == c->packets);
    }
    for (size_t i = 0; i < truth->n && !q->n; i++) {
        const struct row *row = &truth->rows[i];

        /* All rows were asked for, or all heavy ones. */
        if (!row->seen
            && (!q->heavy_only
                || is_heavy(s, q, &sum, row->packets, row->bytes))) {
            CHECK(row->packets <= answer->missed.packets);
            CHECK(row->bytes <= answer->missed.bytes);
        }
    }
}

void
ask_hitters(void)
{
    struct measure_hitters_question q;
    struct measure_hitters_answer answer;
    struct measure_totals totals;
    struct rows truth;
    struct group_by g;
    struct scope s;
    char by[200];
    bool addresses;

    draw_scope(&s);
    g = draw_group(by, sizeof by);
    draw_hitters(&q, by);
    if (!check_scope(&s, &g, &q.group_by)) {
        return;
    }
    check_totals(&s, &totals);
    truth = group_packets(&s, &g);
    addresses = g.fields & MEASURE_FIELDS_PAIR;
    CHECK(measure_hitters_ask(&s.scope, &q, &answer));
    if (measure_totals_exact(&totals)) {
        check_exact_hitters(&s, &q, &answer, &truth, addresses);
    } else {
        check_bounded_hitters(&s, &q, &answer, &truth, &totals, addresses);
    }
    measure_hitters_answer_destroy(&answer);
    free(truth.rows);
    seen.hitters++;
}

/* No memory: an answer says so, and has no rows. */
void
ask_hitters_without_memory(void)
{
    struct measure_hitters_question q;
    struct measure_hitters_answer answer;
    struct rows truth;
    struct group_by g;
    struct scope s;
    char by[200];

    draw_scope(&s);
    g = draw_group(by, sizeof by);
    draw_hitters(&q, by);
    if (!check_scope(&s, &g, &q.group_by)) {
        return;
    }
    take_memory();
    truth = group_packets(&s, &g);
    if (!measure_hitters_ask(&s.scope, &q, &answer)) {
        CHECK(!answer.n_rows);
        seen.no_memory++;
    } else {
        struct measure_totals totals;

        check_totals(&s, &totals);
        if (measure_totals_exact(&totals)) {
            check_exact_hitters(&s, &q, &answer, &truth,
                                g.fields & MEASURE_FIELDS_PAIR);
        }
    }
    give_memory();
    measure_hitters_answer_destroy(&answer);
    free(truth.rows);
}
