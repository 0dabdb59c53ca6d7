/* SPDX-License-Identifier: Apache-2.0 */
/* Hierarchical heavy hitters, against the oracle. */

#include <config.h>

#include "oracle-questions.h"

#include <stdlib.h>

/* Hierarchical heavy hitters: from the longest prefixes up, those whose
 * addresses that are in no heavy prefix yet add up to the threshold. */

struct hierarchy {
    struct scope s;
    struct measure_hitters_question q;
    struct measure_hitters_answer answer;
    struct measure_totals totals;
    struct row sum;             /* Of all packets. */
    struct rows addresses;      /* 'seen' of those in a heavy prefix. */
    size_t n_found;
};

/* Returns the prefixes of 'g' of the addresses of 'h', or of those in no heavy
 * prefix. */
static struct rows
group_addresses(const struct hierarchy *h, const struct group_by *g, bool all)
{
    unsigned int bits = g->source_bits;
    struct rows rows = { .n = 0 };

    rows.rows = calloc(h->addresses.n + 1, sizeof *rows.rows);
    for (size_t i = 0; i < h->addresses.n; i++) {
        const struct row *address = &h->addresses.rows[i];

        if (address->key.family == 4 ? bits <= 32 : bits % 16 == 0) {
            if (all || !address->seen) {
                struct row *row = &rows.rows[rows.n++];

                *row = *address;
                row->key = group_key(&address->key, g);
                row->seen = false;
            }
        }
    }
    add_up(&rows);
    return rows;
}

static const struct measure_hitters_row *
find_prefix(const struct measure_hitters_answer *answer, const struct key *key,
            unsigned int bits)
{
    const struct measure_hitters_row *found = NULL;

    for (size_t i = 0; i < answer->n_rows; i++) {
        struct key other = key_of(&answer->rows[i].fields, true);

        if (answer->rows[i].bits == bits && !compare_keys(&other, key)) {
            found = &answer->rows[i];
        }
    }
    return found;
}

/* Checks what the answer has of a prefix.  'row' are its addresses that are in
 * no heavy prefix yet, 'all' are all of them. */
static void
check_prefix(const struct hierarchy *h, const struct measure_hitters_row *got,
             const struct row *row, const struct row *all, bool heavy)
{
    const struct measure_counters *c = &h->totals.counters;
    bool exact = measure_totals_exact(&h->totals);

    CHECK(got || !heavy
          || (all->packets <= c->overflow_packets
              && all->bytes <= c->overflow_bytes));
    if (!got) {
        return;
    }
    CHECK(heavy || !got->heavy);
    CHECK(!exact || got->heavy);
    CHECK(!exact || (!got->packets_error_max && !got->bytes_error_max));
    CHECK(got->packets <= row->packets && got->bytes <= row->bytes);
    CHECK(got->packets + got->packets_error_max >= row->packets);
    CHECK(got->bytes + got->bytes_error_max >= row->bytes);
    CHECK(got->prefix_packets <= all->packets);
    CHECK(got->prefix_bytes <= all->bytes);
    CHECK(got->prefix_packets + c->overflow_packets >= all->packets);
    CHECK(got->prefix_bytes + c->overflow_bytes >= all->bytes);
}

/* Checks all prefixes of 'g', and marks the addresses in heavy ones. */
static void
check_prefixes(struct hierarchy *h, const struct group_by *g)
{
    struct rows left = group_addresses(h, g, false);
    struct rows all = group_addresses(h, g, true);

    for (size_t i = 0; i < left.n; i++) {
        const struct row *row = &left.rows[i];
        const struct measure_hitters_row *found
            = find_prefix(&h->answer, &row->key, g->source_bits);
        bool heavy = is_heavy(&h->s, &h->q, &h->sum, row->packets, row->bytes);

        check_prefix(h, found, row, find_row(&all, &row->key), heavy);
        h->n_found += found != NULL;
        for (size_t j = 0; heavy && j < h->addresses.n; j++) {
            struct row *address = &h->addresses.rows[j];
            struct key key = group_key(&address->key, g);

            address->seen |= !compare_keys(&key, &row->key);
        }
    }
    free(left.rows);
    free(all.rows);
}

void
ask_prefixes(void)
{
    bool destination = below(2);
    struct group_by g = { (destination ? MEASURE_FIELD_DESTINATION
                           : MEASURE_FIELD_SOURCE), 128, 128 };
    struct hierarchy h = { .n_found = 0 };
    bool exact;

    draw_scope(&h.s);
    draw_hitters(&h.q, destination ? "destination/*" : "source/*");
    h.q.heavy_only = true;
    h.q.n = 0;
    if (!check_complete(&h.s) || !check_scope(&h.s, &g, &h.q.group_by)) {
        return;
    }
    check_totals(&h.s, &h.totals);
    CHECK(measure_hitters_ask(&h.s.scope, &h.q, &h.answer));
    seen.prefixes++;
    h.sum = all_packets(&h.s);
    h.addresses = group_packets(&h.s, &g);
    exact = measure_totals_exact(&h.totals);
    CHECK(!exact || h.answer.packets == h.addresses.packets);
    for (unsigned int bits = 128; bits > 0; bits -= 8) {
        struct group_by prefix = { g.fields, bits, bits };

        check_prefixes(&h, &prefix);
    }
    CHECK(!exact || h.n_found == h.answer.n_rows);
    measure_hitters_answer_destroy(&h.answer);
    free(h.addresses.rows);
}
