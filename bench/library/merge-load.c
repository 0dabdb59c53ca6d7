/* SPDX-License-Identifier: Apache-2.0 */
/* What merge-scale counts: many flows, in the tallies of many threads. */

#include <config.h>

#include "merge-load.h"

#include <string.h>

#include "base/measure-base.h"
#include "report/measure-merge.h"
#include "support.h"

#define FLOWS_PER_PAIR 2        /* That differ by their ports. */
#define PAIRS_PER_SOURCE 4
#define CHANGE_KEYS 786432      /* As many as the switch ever expects. */

/* Gives 'load', whose first members say how large it is, its tallies. */
void
merge_load_init(struct merge_load *load)
{
    measure_hash_secret_init(&load->secret, load->seed);
    for (int layout = 0; layout < MEASURE_N_LAYOUTS; layout++) {
        /* All flows are narrow. */
        const struct measure_expectations_config config = {
            .layout = layout, .alpha = .25, .factor = 3, .floor = 100,
            .max_keys = layout == MEASURE_NARROW ? CHANGE_KEYS : 1,
        };
        size_t size = measure_expectations_size(&config);

        measure_expectations_init(&load->changes[layout], &config,
                                  &load->secret,
                                  measure_check_memory(
                                      measure_memory_alloc(
                                          &load->budget, size,
                                          MEASURE_ANY_NODE)));
    }
    for (uint32_t i = 0; i < load->n_threads; i++) {
        load->tallies[i] = merge_new_tally(load);
    }
}

/* Returns an empty tally with room for the flows of a thread. */
struct measure_tally *
merge_new_tally(struct merge_load *load)
{
    struct measure_tally *tally = measure_tally_create(&load->secret,
                                                       &load->budget,
                                                       MEASURE_ANY_NODE);

    merge_reset_tally(load, tally);
    return tally;
}

/* Empties 'tally', and gives it room for the flows of a thread. */
void
merge_reset_tally(const struct merge_load *load, struct measure_tally *tally)
{
    uint32_t n_lines[MEASURE_N_LAYOUTS] = {
        measure_table_lines_for(MEASURE_NARROW, load->n_flows), 64
    };
    uint32_t next_lines[MEASURE_N_LAYOUTS] = { 64, 64 };

    measure_tally_reset(tally, n_lines, next_lines);
    measure_tally_begin(tally, MEASURE_KIND_FLOW);
}

/* The 'i'th flow of all, in an order that has nothing to do with where it
 * lies in a table.  Most flows have one packet, as when somebody scans: each
 * thousandth has a train of them, here as one record. */
void
merge_make_record(const struct merge_load *load,
                  struct measure_record *record, uint32_t i)
{
    uint32_t pair = i / FLOWS_PER_PAIR;
    uint32_t source = 0x0a000000u + pair / PAIRS_PER_SOURCE;
    uint32_t destination = (pair * UINT32_C(2654435761)) >> 12;

    memset(record, 0, sizeof *record);
    if (load->random_addresses) {
        uint64_t r = measure_hash_fold(i + load->seed,
                                       UINT64_C(0x9e3779b97f4a7c15));

        record->key[0] = measure_hash_fold(r, UINT64_C(0xbf58476d1ce4e5b9));
    } else {
        record->key[0] = source | (uint64_t) destination << 32;
    }
    record->key[1] = measure_ports_word(1024 + i % FLOWS_PER_PAIR, 443, 6);
    record->bytes = 60 + i % 1400;
    record->verdict = MEASURE_COUNT_NARROW;
}

/* Counts the flows of the 'number'th thread in its tally. */
void
merge_count_flows(const struct merge_load *load, uint32_t number)
{
    uint32_t first = load->same_flows ? 0 : number * load->n_flows;

    for (uint32_t i = 0; i < load->n_flows; ) {
        struct measure_record records[MEASURE_BURST];
        size_t n = 0;

        while (n < MEASURE_BURST && i < load->n_flows) {
            merge_make_record(load, &records[n++], first + i++);
        }
        measure_tally_count(load->tallies[number], records, n);
    }
}

struct measure_report *
merge_tallies(struct merge_load *load, struct measure_tally *const tallies[],
              uint32_t n_tallies)
{
    return measure_report_merge(tallies, n_tallies, MEASURE_KIND_FLOW,
                                &load->secret, &load->budget);
}

/* Begins a row with the time of a step: that of the first round, which takes
 * memory from the kernel, the median of the others, and the longest of all.
 * The caller must close it. */
void
merge_write_step(const struct merge_load *load, struct measure_output *out,
                 const char *name, const double *ms)
{
    double max = 0;

    for (uint32_t i = 0; i < load->n_rounds; i++) {
        max = ms[i] > max ? ms[i] : max;
    }
    measure_output_open_row(out);
    measure_output_string(out, "step", name);
    measure_output_decimal(out, "first-ms", ms[0]);
    measure_output_decimal(out, "median-ms",
                           bench_median(ms + 1, load->n_rounds - 1));
    measure_output_decimal(out, "longest-ms", max);
}
