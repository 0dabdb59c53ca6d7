/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of the reader of record files. */

/* Fuzzer of measure_record_reader_next().  With a fuzzing engine see
 * fuzz-parse.c; without one, as in "make check", it is a program of its own:
 *
 *     fuzz-record-file [--mutations N | --minutes M] [FILE]...
 *
 * which tries the FILEs and files that it makes itself, and mutations of them.
 * In most of those it sets the checksums right again, so that what stands
 * behind them is reached.  MEASURE_SEED in the environment repeats a run. */

#include "check-common.h"

#include "base/measure-crc32c.h"
#include "check-slots.h"
#include "stream/measure-record-reader.h"
#include "stream/measure-record-writer.h"

#undef REQUIRE
#define REQUIRE(CONDITION)                                              \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            fprintf(stderr, "'%s' does not hold\n", #CONDITION);       \
            abort();                                                    \
        }                                                               \
    } while (0)

/* Reads all that there is.  What the reader gives must be whole. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct measure_record_reader *r;
    struct measure_record_block block;
    enum measure_record_result result;
    uint64_t n_records = 0;
    volatile uint8_t sum = 0;   /* All bytes are read. */
    uint8_t *copy;
    FILE *file;
    char *error;

    if (!size) {
        return 0;
    }
    copy = malloc(size);
    memcpy(copy, data, size);
    file = fmemopen(copy, size, "rb");
    error = measure_record_reader_open_stream(&r, file, "input");
    if (error) {
        REQUIRE(strstr(error, "input: "));
        free(error);
        free(copy);
        return 0;
    }
    while ((result = measure_record_reader_next(r, &block))
           == MEASURE_RECORD_BLOCK) {
        uint32_t n = 0;

        for (size_t i = 0; i < block.n_slots;
             i += measure_slot_size(&block.slots[i])) {
            const struct measure_slot *slot = &block.slots[i];

            if (measure_slot_kind(slot) == MEASURE_SLOT_MARK) {
                struct measure_mark mark;

                measure_slot_mark(slot, &mark);
            } else if (measure_slot_kind(slot) != MEASURE_SLOT_FILL) {
                uint64_t key[MEASURE_KEY_WORDS];
                size_t n_bytes;
                const uint8_t *bytes = measure_slot_headers(slot, &n_bytes);

                measure_slot_key(slot, key);
                for (size_t j = 0; j < n_bytes; j++) {
                    sum += bytes[j];
                }
                n++;
            }
        }
        REQUIRE(n == block.n_records);
        n_records += n;
        if (block.kind == MEASURE_RECORD_PORTS && n_records % 2) {
            struct measure_port_names *ports
                = measure_record_reader_take_ports(r);

            measure_port_names_destroy(ports);
            free(ports);
        }
    }
    REQUIRE(n_records == measure_record_reader_records(r));
    REQUIRE(!measure_record_reader_error(r)
            == (result == MEASURE_RECORD_FINISHED));
    REQUIRE(measure_record_reader_offset(r) <= size);
    measure_record_reader_close(r);
    free(copy);
    return 0;
}

/* A fuzzing engine has a main() of its own. */
#ifndef FUZZING_ENGINE

#include <getopt.h>

#define DEFAULT_MUTATIONS 100000
#define MAX_INPUT 8192
#define MAX_INPUTS 64

static uint8_t inputs[MAX_INPUTS][MAX_INPUT];
static size_t sizes[MAX_INPUTS];
static size_t n_inputs;

static void
add_file(const char *name)
{
    FILE *file = fopen(name, "rb");

    if (!file || n_inputs >= MAX_INPUTS) {
        fprintf(stderr, "fuzz-record-file: %s: cannot be opened\n", name);
        exit(1);
    }
    sizes[n_inputs] = fread(inputs[n_inputs], 1, MAX_INPUT, file);
    n_inputs++;
    fclose(file);
}

static void
add_own_inputs(struct random *r)
{
    char name[] = "fuzz-record-file-XXXXXX";
    int fd = mkstemp(name);

    for (int i = 0; i < 10; i++) {
        struct measure_record_writer_options options = {
            .zstd = i % 2 && measure_record_file_has_zstd(),
        };
        struct measure_port_names *ports = measure_xzalloc(sizeof *ports);
        struct measure_record_writer *w;
        char *error = measure_record_writer_open(&w, name, &options);

        REQUIRE(!error);
        for (int j = 1; j < i; j++) {
            char port[20];

            snprintf(port, sizeof port, "port%d", j);
            measure_port_adopt(ports, j * 3, port);
        }
        measure_record_writer_ports(w, ports);
        for (int j = 0; j < i * 4; j++) {
            struct measure_slot slots[MEASURE_SLOT_MAX];
            struct measure_mark mark = { .epoch = j };

            random_packet(r, slots);
            measure_record_writer_put(w, j % 3, j % 3, slots);
            measure_record_writer_mark(w, j % 2, j % 2, &mark);
            if (j % 10 == 9) {
                measure_record_writer_flush(w);
            }
        }
        error = measure_record_writer_close(w);
        REQUIRE(!error);
        measure_port_names_destroy(ports);
        free(ports);
        add_file(name);
    }
    close(fd);
    unlink(name);
}

/* Sets the checksums of all that looks like a block right. */
static void
repair(uint8_t *data, size_t size)
{
    struct measure_record_file_header file;
    struct measure_record_block_header block;

    if (size < sizeof file) {
        return;
    }
    memcpy(&file, data, sizeof file);
    file.crc = measure_crc32c(0, &file, offsetof(
                                  struct measure_record_file_header, crc));
    memcpy(data, &file, sizeof file);
    for (size_t at = sizeof file; at + sizeof block <= size;
         at += sizeof block + block.stored_size) {
        size_t from = offsetof(struct measure_record_block_header, kind);

        memcpy(&block, data + at, sizeof block);
        if (block.stored_size > size - at - sizeof block) {
            break;
        }
        block.crc = measure_crc32c(0, data + at + from,
                                   sizeof block - from + block.stored_size);
        memcpy(data + at, &block, sizeof block);
    }
}

static void
mutate(struct random *r)
{
    static uint8_t data[MAX_INPUT];
    size_t i = random_below(r, n_inputs);
    size_t size = sizes[i];

    memcpy(data, inputs[i], size);
    for (int n = random_below(r, 6); n > 0 && size; n--) {
        size_t at = random_below(r, size);

        switch (random_below(r, 7)) {
        case 0:
            data[at] ^= 1 << random_below(r, 8);
            break;
        case 1:
            data[at] = random_next(r) >> 56;
            break;
        case 2:
            data[at] = "\0\x01\x7f\x80\xff\x20\x40\x60"[random_below(r, 8)];
            break;
        case 3:
            size = at;
            break;
        case 4:
            if (size < MAX_INPUT) {
                memmove(data + at + 1, data + at, size - at);
                size++;
            }
            break;
        case 5:
            /* The end of another input. */
            i = random_below(r, n_inputs);
            if (at < sizes[i]) {
                memcpy(data + at, inputs[i] + at, sizes[i] - at);
                size = sizes[i];
            }
            break;
        case 6:
            /* A number in the header of the first block. */
            at = (sizeof(struct measure_record_file_header)
                  + random_below(r,
                                 sizeof(struct measure_record_block_header)));
            if (at < size) {
                data[at] ^= 1 << random_below(r, 8);
            }
            break;
        }
    }
    if (random_below(r, 8)) {
        repair(data, size);
    }
    LLVMFuzzerTestOneInput(data, size);
}

int
main(int argc, char *argv[])
{
    static const struct option options[] = {
        { "mutations", required_argument, NULL, 'n' },
        { "minutes", required_argument, NULL, 'm' },
        { NULL, 0, NULL, 0 },
    };
    const char *seed = getenv("MEASURE_SEED");
    unsigned long int n_mutations = DEFAULT_MUTATIONS, n = 0;
    time_t end = 0;
    struct random r;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *rest = NULL;

        if (option == 'n') {
            n_mutations = strtoul(optarg, &rest, 10);
        } else if (option == 'm') {
            end = time(NULL) + strtod(optarg, &rest) * 60;
        }
        if (!rest || rest == optarg || *rest) {
            fputs("usage: fuzz-record-file [--mutations N | --minutes M] "
                  "[FILE]...\n", stderr);
            return 1;
        }
    }
    test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t) time(NULL);
    printf("MEASURE_SEED=%"PRIu64"\n", test_seed);
    fflush(stdout);

    r = random_from(test_seed);
    add_own_inputs(&r);
    for (int i = optind; i < argc; i++) {
        add_file(argv[i]);
    }
    for (size_t i = 0; i < n_inputs; i++) {
        LLVMFuzzerTestOneInput(inputs[i], sizes[i]);
    }
    while (end ? n % 1024 || time(NULL) < end : n < n_mutations) {
        mutate(&r);
        n++;
    }
    printf("summary: %zu inputs and %lu mutations of them tried\n"
           "1 passed, 0 failed\n", n_inputs, n);
    return 0;
}

#endif
