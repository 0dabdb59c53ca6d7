/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of captures that are read as streams, and written again. */

/* Fuzzer of stream-capture.h, measure-packet-make.h, measure-pcapng.h and
 * stream-pcap-filter.h.
 *
 * With a fuzzing engine, in a configured source tree:
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -DFUZZING_ENGINE \
 *         -I. -Ilib -Iutilities/stream tests/unit/fuzz-capture.c \
 *         utilities/stream/stream-capture.c \
 *         utilities/stream/stream-pcap-filter.c \
 *         $(find lib -name '*.c') -lm -lpcap -o fuzz-capture
 *     ./fuzz-capture CORPUS
 *
 * Without one, as in "make check", it is a program of its own:
 *
 *     fuzz-capture [--mutations N | --minutes M] [FILE]...
 *
 * which tries the FILEs, or the malformed captures of the shared ones without
 * FILEs, and captures of its own; then mutations of them.  MEASURE_SEED in the
 * environment repeats a run. */

#include <config.h>

#include "check-common.h"

#include <dirent.h>
#include <getopt.h>
#include <limits.h>

#include "key/measure-parse.h"
#include "stream-capture.h"
#include "stream-pcap-filter.h"
#include "stream/measure-pcapng.h"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* Without libcheck, which a fuzzing engine knows nothing of. */
#undef REQUIRE
#define REQUIRE(CONDITION)                                              \
    do {                                                                \
        if (!(CONDITION)) {                                             \
            fprintf(stderr, "%s:%d: '%s' does not hold\n",              \
                    __FILE__, __LINE__, #CONDITION);                    \
            abort();                                                    \
        }                                                               \
    } while (0)

/* What was made of one input, to be read again. */
struct written {
    uint8_t *bytes;
    size_t n;
    uint64_t packets;
    uint64_t length;            /* Of them together. */
};

static void
put_block(void *written_, const void *block, size_t size)
{
    struct written *written = written_;

    REQUIRE(size % 4 == 0);
    written->bytes = realloc(written->bytes, written->n + size);
    memcpy(written->bytes + written->n, block, size);
    written->n += size;
}

static struct stream_capture *
open_bytes(const uint8_t *bytes, size_t size, bool headers)
{
    struct stream_capture_options options = { .headers = headers };
    FILE *file = size ? fmemopen((void *) bytes, size, "rb") : NULL;
    struct stream_capture *capture;
    char *error;

    if (!file) {
        return NULL;
    }
    capture = stream_capture_open_file(file, "input", &options, &error);
    REQUIRE(!capture == !!error);
    free(error);
    return capture;
}

/* Headers made of a record have its key and its length. */
static void
check_made(const struct measure_slot *slots)
{
    static uint8_t frame[MEASURE_SLOT_LENGTH_MASK + MEASURE_PACKET_MAX];
    uint64_t key[MEASURE_KEY_WORDS];
    enum measure_layout layout = measure_slot_key(slots, key);
    size_t length = measure_slot_length(slots);
    size_t captured = measure_packet_make(slots, frame);
    struct measure_record record;

    memset(&record, 0, sizeof record);
    memset(frame + captured, 0, MEASURE_PACKET_MAX - captured);
    REQUIRE(captured <= length);
    measure_parse(frame, length, MEASURE_ETHERTYPE_ETHERNET, &record);
    REQUIRE(record.verdict == layout);
    REQUIRE(!memcmp(record.key, key, measure_key_words(layout) * sizeof *key));
    memset(frame, 0, MEASURE_PACKET_MAX);
}

static struct measure_stage *filter;

static void
make_filter(void)
{
    filter = calloc(1, stream_pcap_filter.size);
    filter->class = &stream_pcap_filter;
    REQUIRE(!stream_pcap_filter.set(filter, NULL,
                                    "port 53 or vlan or tcp[13] & 2 != 0"));
    REQUIRE(!stream_pcap_filter.begin(filter, NULL));
}

static void
read_capture(struct stream_capture *capture, struct written *written)
{
    struct measure_pcapng *pcapng = measure_pcapng_create(put_block, written,
                                                          "fuzz-capture");
    struct measure_slot slots[MEASURE_SLOT_MAX];
    const struct stream_capture_counters *c;
    struct measure_batch batch;
    unsigned int n;
    char *error;

    memset(&batch, 0, sizeof batch);
    while ((n = stream_capture_next(capture, slots, &error)) > 0) {
        REQUIRE(!error);
        REQUIRE(n == measure_slot_size(slots));
        check_made(slots);
        measure_pcapng_packet(pcapng, slots, 0, NULL);
        written->packets++;
        written->length += measure_slot_length(slots);
        batch.records[0] = slots;
        batch.n = 1;
        stream_pcap_filter.packets(filter, &batch);
    }
    free(error);
    c = stream_capture_counters(capture);
    REQUIRE(c->packets == c->narrow + c->wide + c->not_ip + c->malformed
                          + c->too_long);
    REQUIRE(c->narrow + c->wide == written->packets);
    REQUIRE(c->bytes == written->length);
    measure_pcapng_finish(pcapng);
    measure_pcapng_destroy(pcapng);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!filter) {
        make_filter();
    }
    for (int headers = 0; headers < 2; headers++) {
        struct stream_capture *capture = open_bytes(data, size, headers);
        struct written written = { NULL, 0, 0, 0 };
        struct written again = { NULL, 0, 0, 0 };

        if (!capture) {
            return 0;
        }
        read_capture(capture, &written);
        stream_capture_close(capture);

        /* What was written is a capture of as many packets and bytes. */
        capture = open_bytes(written.bytes, written.n, headers);
        REQUIRE(capture);
        read_capture(capture, &again);
        REQUIRE(again.packets == written.packets);
        REQUIRE(again.length == written.length);
        stream_capture_close(capture);
        free(written.bytes);
        free(again.bytes);
    }
    return 0;
}

#ifndef FUZZING_ENGINE

#define INPUT_BYTES 65536
#define MAX_INPUTS 1000
#define DEFAULT_MUTATIONS 20000
#define LARGE_INPUT 4096        /* Mutated less often. */

static uint8_t *inputs[MAX_INPUTS];
static size_t sizes[MAX_INPUTS];
static size_t n_inputs;

static void
add_input(const uint8_t *data, size_t size)
{
    if (n_inputs < MAX_INPUTS) {
        inputs[n_inputs] = malloc(size + 1);
        memcpy(inputs[n_inputs], data, size);
        sizes[n_inputs++] = size;
    }
}

static void
add_file(const char *name)
{
    static uint8_t data[INPUT_BYTES];
    FILE *file = fopen(name, "rb");

    if (!file) {
        perror(name);
        exit(1);
    }
    add_input(data, fread(data, 1, sizeof data, file));
    fclose(file);
}

static void
add_malformed(void)
{
    const char *traces = getenv("MEASURE_TRACES");
    const char *source = getenv("MEASURE_SOURCE");
    char directory[PATH_MAX - 300], name[PATH_MAX];
    struct dirent *entry;
    DIR *d;

    if (traces && traces[0]) {
        snprintf(directory, sizeof directory, "%s/malformed", traces);
    } else {
        snprintf(directory, sizeof directory, "%s/../shared/traces/malformed",
                 source && source[0] ? source : ".");
    }
    d = opendir(directory);
    if (!d) {
        printf("skipped: malformed captures: none in %s (set MEASURE_TRACES)"
               "\n", directory);
        return;
    }
    while ((entry = readdir(d)) != NULL) {
        if (entry->d_name[0] != '.' && !strstr(entry->d_name, ".tsv")) {
            snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
            add_file(name);
        }
    }
    closedir(d);
}

/* Captures of random records: one in our own format, and some in pcap with
 * several link types. */
static void
add_own_inputs(struct random *r)
{
    static const uint8_t links[] = { 1, 101, 113, 0, 108, 228, 229 };
    struct written written = { NULL, 0, 0, 0 };
    struct measure_pcapng *pcapng = measure_pcapng_create(put_block, &written,
                                                          "fuzz-capture");
    uint8_t pcap[24 + 20 * (16 + 120)];
    size_t n = 24;

    memset(pcap, 0, sizeof pcap);
    memcpy(pcap, "\xd4\xc3\xb2\xa1\2\0\4\0", 8);
    pcap[18] = 1;               /* Snaplen 65536. */
    for (int i = 0; i < 20; i++) {
        struct measure_fields fields = random_fields(r);
        struct measure_slot slots[MEASURE_SLOT_MAX];
        uint64_t key[MEASURE_KEY_WORDS];
        enum measure_layout layout;
        uint8_t frame[MEASURE_PACKET_MAX];
        size_t captured;

        fields.protocol = i % 2 ? 6 : 17;
        layout = measure_key_from_fields(key, &fields);
        measure_slot_write(slots, layout, key, random_next(r), 120,
                           measure_slot_tcp(i, 2, 78));
        measure_pcapng_packet(pcapng, slots, 0, NULL);
        captured = measure_packet_make(slots, frame);
        pcap[n + 8] = captured;
        pcap[n + 12] = 120;
        memcpy(pcap + n + 16, frame, captured);
        n += 16 + captured;
    }
    measure_pcapng_finish(pcapng);
    measure_pcapng_destroy(pcapng);
    add_input(written.bytes, written.n);
    free(written.bytes);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        pcap[20] = links[i];
        add_input(pcap, n);
    }
}

/* Tries a mutation of one of the inputs. */
static void
mutate(struct random *r)
{
    static uint8_t data[INPUT_BYTES];
    size_t i = random_below(r, n_inputs);
    size_t size;

    if (sizes[i] > LARGE_INPUT && random_below(r, 8)) {
        i = n_inputs - 1 - random_below(r, 8);
    }
    size = sizes[i];
    memcpy(data, inputs[i], size);
    for (int n = 1 + random_below(r, 6); n > 0 && size; n--) {
        /* Most often in the headers of the file and of the first packets. */
        size_t at = random_below(r, random_below(r, 3)
                                 ? measure_min(size, 200) : size);

        switch (random_below(r, 6)) {
        case 0:
            data[at] ^= 1 << random_below(r, 8);
            break;
        case 1:
            data[at] = random_next(r) >> 56;
            break;
        case 2:
            data[at] += random_below(r, 3) - 1;
            break;
        case 3:
            size = at;
            break;
        case 4:
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
            break;
        case 5:
            data[at] = random_below(r, 2) ? 0 : 0xff;
            break;
        }
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
            fputs("usage: fuzz-capture [--mutations N | --minutes M] "
                  "[FILE]...\n", stderr);
            return 1;
        }
    }
    test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t) time(NULL);
    printf("MEASURE_SEED=%"PRIu64"\n", test_seed);
    fflush(stdout);
    r = random_from(test_seed);

    if (optind == argc) {
        add_malformed();
    }
    for (int i = optind; i < argc; i++) {
        add_file(argv[i]);
    }
    add_own_inputs(&r);
    for (size_t i = 0; i < n_inputs; i++) {
        LLVMFuzzerTestOneInput(inputs[i], sizes[i]);
    }
    while (end ? n % 1024 || time(NULL) < end : n < n_mutations) {
        mutate(&r);
        n++;
    }
    printf("summary: %zu inputs and %lu mutations of them tried\n"
           "1 passed, 0 failed\n", n_inputs, n);
    stream_pcap_filter.destroy(filter);
    free(filter);
    for (size_t i = 0; i < n_inputs; i++) {
        free(inputs[i]);
    }
    return 0;
}

#endif
