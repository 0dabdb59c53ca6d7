/* SPDX-License-Identifier: Apache-2.0 */
/* Contenders: the other structures of the library. */

/* The structures of the paper beside the linear table.
 *
 * They count packet records, as in the switch; only the count array, of which
 * each instruction shows, is fed from the keys directly, like the linear table
 * and the floor. */

#include <config.h>

#include "sketches.h"

#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "burst.h"
#include "contenders/measure-table-pointer.h"

/* Defaults for what estimates: about a megabyte each. */
#define DEFAULT_MEMORY MEASURE_MIB
#define MAX_HEAVY_KEYS 2000

struct sketch {
    union {
        struct measure_count_array count_array;
        struct measure_count_min count_min;
        struct measure_cuckoo cuckoo;
        struct measure_space_saving space_saving;
        struct measure_table_pointer pointer;
    };
    union {
        struct measure_count_array_params count_array_params;
        struct measure_count_min_params count_min_params;
        struct measure_cuckoo_params cuckoo_params;
        struct measure_space_saving_params space_saving_params;
        struct measure_table_pointer_params pointer_params;
    };
    struct measure_hash_secret secret;
    struct measure_heavy_params heavy;
    void *memory;
    size_t size;
};

static struct sketch *
sketch_create(struct bench_settings *settings)
{
    struct sketch *sketch = measure_xzalloc(sizeof *sketch);

    sketch->secret = settings->secret;
    sketch->heavy = (struct measure_heavy_params) {
        .max_keys = MAX_HEAVY_KEYS,
        .min_packets = settings->threshold,
        .min_bytes = MEASURE_NEVER,
    };
    return sketch;
}

static void *
sketch_memory(struct sketch *sketch, size_t size,
              struct bench_settings *settings, const char **why_not)
{
    sketch->size = size;
    sketch->memory = measure_memory_alloc(&settings->budget, size,
                                          MEASURE_ANY_NODE);
    if (!sketch->memory) {
        *why_not = "no memory";
        free(sketch);
        return NULL;
    }
    return sketch;
}

static size_t
sketch_size(const void *sketch_)
{
    const struct sketch *sketch = sketch_;

    return sketch->size;
}

static size_t
memory_or_default(const struct bench_settings *settings)
{
    return settings->memory ? settings->memory : DEFAULT_MEMORY;
}

/* NAME_create() and NAME_clear(), where NAME_fill() sets the parameters. */
#define LIFE(NAME, MEMBER)                                              \
    static void                                                         \
    NAME##_clear(void *sketch_)                                         \
    {                                                                   \
        struct sketch *sketch = sketch_;                                \
                                                                        \
        memset(sketch->memory, 0, sketch->size);                        \
        measure_##NAME##_init(&sketch->MEMBER, &sketch->MEMBER##_params, \
                              sketch->memory);                          \
    }                                                                   \
                                                                        \
    static void *                                                       \
    NAME##_create(struct bench_settings *settings, const char **why_not) \
    {                                                                   \
        struct sketch *sketch = sketch_create(settings);                \
                                                                        \
        NAME##_fill(sketch, settings);                                  \
        if (!sketch_memory(sketch,                                      \
                           measure_##NAME##_size(&sketch->MEMBER##_params), \
                           settings, why_not)) {                        \
            return NULL;                                                \
        }                                                               \
        NAME##_clear(sketch);                                           \
        return sketch;                                                  \
    }

/* NAME_update(), by way of packet records. */
#define UPDATE(NAME, ADD_BURST, MEMBER)                                 \
    static void                                                         \
    NAME##_update(void *sketch_, const struct bench_key *keys,          \
                  const uint16_t *bytes)                                \
    {                                                                   \
        struct measure_record records[BENCH_BURST];                     \
        struct sketch *sketch = sketch_;                                \
                                                                        \
        fill_records(records, keys, bytes);                             \
        ADD_BURST(&sketch->MEMBER, records, BENCH_BURST);               \
    }

#define CONTENDER(VARIABLE, NAME, LABEL, PARAMETER)             \
    const struct bench_contender VARIABLE = {                   \
        .name = LABEL,                                          \
        .create = NAME##_create,                                \
        .clear = NAME##_clear,                                  \
        .update = NAME##_update,                                \
        .report = NAME##_report,                                \
        .memory = sketch_size,                                  \
        .parameter = PARAMETER,                                 \
    }

static inline void
fill_records(struct measure_record *records, const struct bench_key *keys,
             const uint16_t *bytes)
{
    for (int i = 0; i < BENCH_BURST; i++) {
        records[i].key[0] = keys[i].words[0];
        records[i].key[1] = keys[i].words[1];
        records[i].bytes = bytes[i];
    }
}

static void
report_row(const uint64_t *row, uint64_t packets, uint64_t threshold,
           bench_report_function *report, void *aux)
{
    if (packets >= threshold) {
        struct bench_key key = { { row[0], row[1] } };

        report(aux, &key, packets);
    }
}

/* Count array. */

static void
count_array_fill(struct sketch *sketch, const struct bench_settings *settings)
{
    sketch->count_array_params = (struct measure_count_array_params) {
        .layout = MEASURE_NARROW,
        .n_cells = memory_or_default(settings) / sizeof(struct measure_cell),
        .heavy = sketch->heavy,
        .secret = &sketch->secret,
    };
}

LIFE(count_array, count_array)

static void
count_array_update(void *sketch_, const struct bench_key *keys,
                   const uint16_t *bytes)
{
    struct sketch *sketch = sketch_;
    struct measure_count_array *array = &sketch->count_array;
    measure_pair thresholds = array->heavy.thresholds;
    struct measure_cell *cells[BENCH_BURST];
    measure_pair sum = { 0 };

#pragma GCC unroll 4
    for (int i = 0; i < BENCH_BURST; i++) {
        cells[i] = measure_count_array_cell(
            array, measure_hash(&sketch->secret, keys[i].words,
                                measure_key_words(MEASURE_NARROW)));
        __builtin_prefetch(cells[i], 1);
    }
#pragma GCC unroll 4
    for (int i = 0; i < BENCH_BURST; i++) {
        measure_pair more = measure_pair_from(1, bytes[i]);

        if (__builtin_expect(measure_cell_add(cells[i], more, thresholds),
                             0)) {
            measure_count_array_record(
                array, keys[i].words,
                measure_hash(&sketch->secret, keys[i].words, 2));
        }
        sum += more;
    }
    measure_heavy_keys_advance(&array->heavy, BENCH_BURST, sum[0]);
}

static void
count_array_report(void *sketch_, uint64_t threshold,
                   bench_report_function *report, void *aux)
{
    struct sketch *sketch = sketch_;

    MEASURE_TABLE_FOR_EACH (row, &sketch->count_array.heavy.table) {
        struct measure_estimate estimate;

        measure_count_array_estimate(&sketch->count_array,
                                     measure_hash(&sketch->secret, row, 2),
                                     &estimate);
        report_row(row, estimate.packets, threshold, report, aux);
    }
}

CONTENDER(bench_count_array, count_array, "count-array", 0);

/* Count-Min sketch, of three rows as in the paper. */

static void
count_min_fill(struct sketch *sketch, const struct bench_settings *settings)
{
    sketch->count_min_params = (struct measure_count_min_params) {
        .layout = MEASURE_NARROW,
        .depth = MEASURE_COUNT_MIN_DEPTH,
        .width = (memory_or_default(settings) / MEASURE_COUNT_MIN_DEPTH
                  / sizeof(struct measure_cell)),
        .heavy = sketch->heavy,
        .secret = &sketch->secret,
    };
}

LIFE(count_min, count_min)

UPDATE(count_min, count_min_add_burst, count_min)

static void
count_min_report(void *sketch_, uint64_t threshold,
                 bench_report_function *report, void *aux)
{
    struct sketch *sketch = sketch_;

    MEASURE_TABLE_FOR_EACH (row, &sketch->count_min.heavy.table) {
        struct measure_estimate estimate;

        measure_count_min_estimate(&sketch->count_min,
                                   measure_hash(&sketch->secret, row, 2),
                                   &estimate);
        report_row(row, estimate.packets, threshold, report, aux);
    }
}

CONTENDER(bench_count_min, count_min, "count-min", 0);

/* Cuckoo tables, as large as their own rule for the flows wants them. */

static void
cuckoo_fill(struct sketch *sketch, const struct bench_settings *settings)
{
    uint32_t rows = settings->contender->parameter;
    size_t bucket = rows * sizeof(struct measure_row_ipv4);

    sketch->cuckoo_params = (struct measure_cuckoo_params) {
        .layout = MEASURE_NARROW,
        .n_buckets = (settings->memory ? settings->memory / bucket
                      : measure_cuckoo_buckets_for(rows, settings->n_flows)),
        .rows_per_bucket = rows,
        .secret = &sketch->secret,
    };
}

LIFE(cuckoo, cuckoo)
UPDATE(cuckoo, cuckoo_add_burst, cuckoo)

static void
cuckoo_report(void *sketch_, uint64_t threshold,
              bench_report_function *report, void *aux)
{
    struct sketch *sketch = sketch_;

    MEASURE_CUCKOO_FOR_EACH (row, &sketch->cuckoo) {
        report_row(row, *measure_row_packets(row, MEASURE_NARROW), threshold,
                   report, aux);
    }
}

CONTENDER(bench_cuckoo_1, cuckoo, "cuckoo-table-1", 1);
CONTENDER(bench_cuckoo_4, cuckoo, "cuckoo-table-4", 4);

/* SpaceSaving. */

static void
space_saving_fill(struct sketch *sketch, const struct bench_settings *settings)
{
    sketch->space_saving_params = (struct measure_space_saving_params) {
        .layout = MEASURE_NARROW,
        .n_entries = memory_or_default(settings) / 128,
        .secret = &sketch->secret,
    };
}

LIFE(space_saving, space_saving)
UPDATE(space_saving, space_saving_add_burst, space_saving)

static void
space_saving_report(void *sketch_, uint64_t threshold,
                    bench_report_function *report, void *aux)
{
    struct sketch *sketch = sketch_;
    uint32_t n = measure_space_saving_n_used(&sketch->space_saving);

    for (uint32_t i = 0; i < n; i++) {
        const struct measure_space_saving_entry *entry
            = measure_space_saving_entry(&sketch->space_saving, i);

        report_row(entry->key, entry->estimate.packets, threshold, report,
                   aux);
    }
}

CONTENDER(bench_space_saving, space_saving, "space-saving", 0);

/* The linear table with values behind a pointer. */

static void
table_pointer_fill(struct sketch *sketch,
                   const struct bench_settings *settings)
{
    sketch->pointer_params = (struct measure_table_pointer_params) {
        .layout = MEASURE_NARROW,
        .max_keys = (settings->memory ? settings->memory / 64
                     : settings->n_flows),
        .value_words = 2,
        .secret = &sketch->secret,
    };
}

LIFE(table_pointer, pointer)
UPDATE(table_pointer, measure_table_pointer_add_burst, pointer)

static void
table_pointer_report(void *sketch_, uint64_t threshold,
                     bench_report_function *report, void *aux)
{
    struct sketch *sketch = sketch_;

    MEASURE_TABLE_POINTER_FOR_EACH (row, &sketch->pointer) {
        const uint64_t *value
            = measure_table_pointer_row_value(&sketch->pointer, row);

        report_row(row, value[0], threshold, report, aux);
    }
}

CONTENDER(bench_linear_table_pointer, table_pointer, "linear-table-pointer",
          0);
