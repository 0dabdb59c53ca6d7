/* SPDX-License-Identifier: Apache-2.0 */
/* Superspreaders, against the oracle. */

#include <config.h>

#include "oracle-questions.h"

#include <stdlib.h>

#include "questions/measure-superspreaders.h"

static bool sort_by_ports;

static int
compare_spreads(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;
    uint64_t a_size = sort_by_ports ? a->ports : a->spread;
    uint64_t b_size = sort_by_ports ? b->ports : b->spread;

    return (a_size > b_size ? -1 : a_size < b_size ? 1
            : compare_order(&a->key, &b->key));
}

/* Groups the packets in 's' by 'fields'.  In each row is from or to how many
 * addresses they are, and to how many addresses and ports. */
static struct rows
group_spreaders(const struct scope *s, unsigned int fields)
{
    struct group_by g = { fields, 128, 128 };
    struct group_by pair = { fields | MEASURE_FIELDS_PAIR, 128, 128 };
    struct group_by triple = { pair.fields | MEASURE_FIELD_DESTINATION_PORT,
                               128, 128 };
    struct rows rows = group_packets(s, &g);
    struct rows pairs = group_packets(s, &pair);
    struct rows triples = group_packets(s, &triple);

    for (size_t i = 0; i < pairs.n; i++) {
        struct key key = group_key(&pairs.rows[i].key, &g);

        find_row(&rows, &key)->spread++;
    }
    for (size_t i = 0; i < triples.n; i++) {
        struct key key = group_key(&triples.rows[i].key, &g);

        find_row(&rows, &key)->ports++;
    }
    free(pairs.rows);
    free(triples.rows);
    return rows;
}

/* Checks rows that may be too low by what overflowed. */
static void
check_rows(const struct measure_superspreaders_question *q,
           const struct measure_superspreaders_answer *answer,
           const struct rows *truth, bool ports)
{
    uint64_t error = answer->error_max;

    for (size_t i = 0; i < answer->n_rows; i++) {
        const struct measure_superspreaders_row *got = &answer->rows[i];
        struct key key = key_of(&got->fields, true);
        struct row *row = find_row(truth, &key);

        CHECK(row && !row->seen);
        row->seen = true;
        CHECK(got->spread <= row->spread);
        CHECK(got->spread + error >= row->spread);
        CHECK(!ports || got->ports <= row->ports);
        CHECK(!ports || got->ports + error >= row->ports);
        CHECK(got->packets <= row->packets && got->bytes <= row->bytes);
        CHECK(got->packets + error >= row->packets);
        CHECK(error || got->bytes == row->bytes);
        CHECK((q->sort_by_ports ? got->ports : got->spread) >= q->min);
    }
}

/* Checks that just the rows of an answer that is exact are there. */
static void
check_exact_spreaders(const struct measure_superspreaders_question *q,
                      const struct measure_superspreaders_answer *answer,
                      struct rows *truth)
{
    size_t n = 0, n_listed = 0;

    sort_by_ports = q->sort_by_ports;
    qsort(truth->rows, truth->n, sizeof *truth->rows, compare_spreads);
    for (size_t i = 0; i < truth->n; i++) {
        const struct row *row = &truth->rows[i];

        if ((sort_by_ports ? row->ports : row->spread) < q->min) {
            break;
        }
        n++;
        if (n_listed < answer->n_rows) {
            struct key key = key_of(&answer->rows[n_listed++].fields, true);

            CHECK(!compare_keys(&key, &row->key));
        }
    }
    CHECK(answer->keys == truth->n);
    CHECK(answer->n_rows == (q->n && q->n < n ? q->n : n));
    CHECK(answer->omitted_rows == n - answer->n_rows);
}

void
ask_spreaders(void)
{
    static const unsigned int fields[] = {
        [MEASURE_SUPERSPREADERS_BY_SOURCE] = MEASURE_FIELD_SOURCE,
        [MEASURE_SUPERSPREADERS_BY_DESTINATION] = MEASURE_FIELD_DESTINATION,
        [MEASURE_SUPERSPREADERS_BY_SOURCE_PORT]
            = MEASURE_FIELD_SOURCE | MEASURE_FIELD_SOURCE_PORT,
    };
    enum measure_superspreaders_by by = below(3);
    bool ports = (by != MEASURE_SUPERSPREADERS_BY_DESTINATION
                  && world.key_kind == MEASURE_KIND_FLOW);
    struct group_by pair = { fields[by] | MEASURE_FIELDS_PAIR, 128, 128 };
    struct measure_superspreaders_question q = {
        .by = by, .sort_by_ports = ports && below(2),
        .min = 1 + below(below(2) ? 3 : 100), .n = below(2) ? 0 : below(10),
    };
    struct measure_superspreaders_answer answer;
    struct measure_totals totals;
    struct measure_group_by group_by;
    struct rows truth;
    struct scope s;

    draw_scope(&s);
    describe_question(" superspreaders by=%d min=%d n=%d ports %d", by,
                      (int) q.min, (int) q.n, q.sort_by_ports);
    measure_superspreaders_group(by, &group_by);
    if (!check_complete(&s) || !check_scope(&s, &pair, &group_by)) {
        return;
    }
    check_totals(&s, &totals);
    truth = group_spreaders(&s, fields[by]);
    CHECK(measure_superspreaders_ask(&s.scope, &q, &answer));
    seen.spreaders++;
    CHECK(answer.error_max == totals.counters.overflow_packets);
    check_rows(&q, &answer, &truth, ports);
    if (measure_totals_exact(&totals)) {
        check_exact_spreaders(&q, &answer, &truth);
    }
    measure_superspreaders_answer_destroy(&answer);
    free(truth.rows);
}
