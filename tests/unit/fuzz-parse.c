/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzer of what reads bytes of others. */

/* Fuzzer of what reads bytes of others: measure_parse() and
 * measure_config_set().
 *
 * With a fuzzing engine, in a configured source tree:
 *
 *     clang -g -fsanitize=fuzzer,address,undefined -DFUZZING_ENGINE \
 *         -I. -Ilib tests/unit/fuzz-parse.c $(find lib -name '*.c') -lm \
 *         -o fuzz-parse
 *     ./fuzz-parse CORPUS
 *
 * Without one, as in "make check", it is a program of its own:
 *
 *     fuzz-parse [--mutations N | --minutes M] [FILE]...
 *
 * which tries the FILEs, then mutations of them and of the frames in
 * check-frames.h.  MEASURE_SEED in the environment repeats a run.
 *
 * The first byte of an input says what it is for. */

#include "check-common.h"

#include "check-json.h"
#include "key/measure-filter.h"
#include "key/measure-parse.h"
#include "questions/measure-distribution.h"
#include "questions/measure-heavy-hitters.h"
#include "questions/measure-superspreaders.h"
#include "report/measure-merge.h"
#include "tally/measure-config.h"

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

/* Texts whose first byte, by 4, is above are parts of questions, or whole
 * questions, below settings. */
#define FUZZ_QUESTION 48
#define FUZZ_ANSWER 56

static void
fuzz_parse(const uint8_t *frame, size_t size, uint16_t ethertype)
{
    struct measure_record a, b;
    bool v4, v6;

    memset(&a, 0, sizeof a);
    memset(&b, 0xff, sizeof b);
    measure_parse(frame, size, ethertype, &a);
    measure_parse(frame, size, ethertype, &b);
    v4 = a.verdict == MEASURE_COUNT_NARROW;
    v6 = a.verdict == MEASURE_COUNT_WIDE;

    REQUIRE(a.verdict < MEASURE_N_VERDICTS && a.verdict == b.verdict);
    REQUIRE(a.bytes == size && b.bytes == size);
    if (v4 || v6) {
        enum measure_layout layout = v4 ? MEASURE_NARROW : MEASURE_WIDE;
        unsigned int n_words = measure_key_words(layout);
        struct measure_fields fields;

        /* The key is set as a whole, and nothing is above the protocol. */
        REQUIRE(!memcmp(a.key, b.key, n_words * sizeof *a.key));
        REQUIRE(!(a.key[measure_key_ports(layout)] >> MEASURE_PORT_SHIFT));
        measure_fields_from_key(&fields, layout, a.key);
        if (fields.source_port || fields.destination_port) {
            REQUIRE(fields.protocol == 6 || fields.protocol == 17
                    || fields.protocol == 132);
        }
        REQUIRE(size >= (v4 ? 20 : 40));
    }
    if (!ethertype && size < 14) {
        REQUIRE(a.verdict == MEASURE_NOT_IP);
    }
}

static void
fuzz_config(const uint8_t *data, size_t size, uint8_t kind)
{
    enum measure_setting setting = kind % MEASURE_N_SETTINGS;
    struct measure_config config, before;
    char *value = malloc(size + 1);

    memcpy(value, data, size);
    value[size] = '\0';

    memset(&config, 0, sizeof config);
    measure_config_init(&config);
    before = config;
    if (!measure_config_set(&config, setting, value)) {
        REQUIRE(!memcmp(&config, &before, sizeof config));
    }
    REQUIRE(config.key < MEASURE_N_KINDS);
    REQUIRE(config.epoch_ms >= 100 && config.epoch_ms <= 86400000);
    REQUIRE(config.memory_mb >= 1 && config.memory_mb <= 1048576);
    REQUIRE(config.heavy_hitter.value > 0
            && config.heavy_hitter.value <= 1e15);
    if (config.heavy_hitter.unit == MEASURE_SHARE) {
        REQUIRE(config.heavy_hitter.value <= 100);
    }
    free(value);
}

/* What people ask.  A text is taken, or an error says why not; a group that is
 * taken has a name that means the same. */
static void
fuzz_question(const uint8_t *data, size_t size)
{
    struct measure_hitters_question question, again;
    struct measure_prefixes prefixes = { .n = SIZE_MAX };
    struct measure_filter filter;
    char *text = malloc(size + 1);
    char *error;

    memcpy(text, data, size);
    text[size] = '\0';

    memset(&question, 0, sizeof question);
    memset(&again, 0, sizeof again);
    if (measure_hitters_parse_by(text, &question) && !question.prefixes) {
        char name[MEASURE_GROUP_BY_NAME_SIZE];

        measure_group_by_name(&question.group_by, name);
        REQUIRE(measure_hitters_parse_by(name, &again));
        REQUIRE(!memcmp(&question, &again, sizeof question));
    }

    error = measure_filter_parse(text, NULL, &filter);
    REQUIRE(error ? strstr(error, ": ") != NULL : filter.fields != 0);
    free(error);
    REQUIRE(measure_prefixes_parse(text, &prefixes)
            ? prefixes.n <= MEASURE_MAX_PREFIXES : prefixes.n == SIZE_MAX);
    free(text);
}

/* Small reports, of which whole questions are asked. */
#define N_REPORTS 2
#define N_TALLIES 2

static struct measure_hash_secret secret;
static struct measure_report *reports[N_REPORTS];

static void
make_reports(void)
{
    static const unsigned int cores[N_TALLIES] = { 0, 7 };
    static const uint32_t none[MEASURE_N_LAYOUTS];
    uint32_t lines[MEASURE_N_LAYOUTS] = { 200, 200 };

    measure_hash_secret_init(&secret, 1);
    for (int i = 0; i < N_REPORTS; i++) {
        struct measure_tally *tallies[N_TALLIES];

        for (int j = 0; j < N_TALLIES; j++) {
            tallies[j] = measure_tally_create(&secret, &budget,
                                              MEASURE_ANY_NODE);
            REQUIRE(measure_tally_reset(tallies[j], lines, none));
            measure_tally_begin(tallies[j], MEASURE_KIND_FLOW);
            for (uint32_t k = 0; k < 100; k++) {
                struct measure_fields fields = make_fields(k % 2, k + 9 * i);
                struct measure_record record;

                fields.tunnelled = k % 3 == 0;
                fields.tunnel = fields.tunnelled ? k % 5 : 0;
                fields.vlan = k % 4;
                fields.port = k % 2;
                record = make_record(&fields, 60 + k);
                measure_tally_count(tallies[j], &record, 1);
            }
        }
        reports[i] = measure_report_merge(tallies, N_TALLIES,
                                          MEASURE_KIND_FLOW, &secret,
                                          &budget);
        measure_report_keep_threads(reports[i], tallies, cores, N_TALLIES);
        reports[i]->number = i + 1;
        reports[i]->duration_ms = 1000;
        for (int j = 0; j < N_TALLIES; j++) {
            measure_tally_destroy(tallies[j]);
        }
    }
}

static void
forget_reports(void)
{
    for (int i = 0; i < N_REPORTS; i++) {
        measure_report_destroy(reports[i]);
        reports[i] = NULL;
    }
}

/* The rows of an exact answer and what is not in them are all packets. */
static void
check_sum(const struct measure_scope *scope,
          const struct measure_hitters_question *question)
{
    struct measure_hitters_answer answer;
    uint64_t packets = 0, bytes = 0;

    REQUIRE(measure_hitters_ask(scope, question, &answer));
    for (size_t i = 0; i < answer.n_rows; i++) {
        REQUIRE(answer.rows[i].packets <= answer.rows[i].bytes);
        packets += answer.rows[i].packets;
        bytes += answer.rows[i].bytes;
    }
    REQUIRE(packets <= answer.packets && bytes <= answer.bytes);
    if (scope->filter) {
        REQUIRE(packets + answer.other_packets == answer.packets);
        REQUIRE(bytes + answer.other_bytes == answer.bytes);
    }
    measure_hitters_answer_destroy(&answer);
}

/* A whole question: its first byte says of what kind, then come a line for
 * by=, one for where=, and the name of the bridge and of a port. */
static void
fuzz_answer(const uint8_t *data, size_t size)
{
    static const struct measure_report *const *all
        = (const struct measure_report *const *) reports;
    unsigned int flags = size ? data[0] : 0;
    enum measure_format format = flags >> 7 ? MEASURE_TEXT : MEASURE_JSON;
    struct measure_hitters_question hitters;
    struct measure_superspreaders_question spreaders = {
        .by
            = flags >> 3 & 1, .min = 1 + (flags & 7), .n = flags >> 4 & 3,
    };
    struct measure_port_names ports;
    struct measure_filter filter;
    struct measure_scope scope = {
        .reports = all + (flags & 1), .n_reports = flags & 1 ? 1 : N_REPORTS,
        .one_core = flags >> 5 & 1, .core = flags & 2 ? 7 : 0,
        .ports = &ports,
    };
    char *text = calloc(1, size + 1);
    char *lines[3] = { text, NULL, NULL };
    struct measure_group_by group_by;
    struct measure_output *o;
    char *error, *answer;

    if (!reports[0]) {
        make_reports();
    }
    memcpy(text, data + (size > 0), size - (size > 0));
    for (int i = 1; i < 3 && lines[i - 1]; i++) {
        lines[i] = strchr(lines[i - 1], '\n');
        if (lines[i]) {
            *lines[i]++ = '\0';
        }
    }
    memset(&ports, 0, sizeof ports);
    measure_port_number(&ports, lines[2] ? lines[2] : "p");

    memset(&hitters, 0, sizeof hitters);
    hitters.threshold_text = "1%";
    hitters.threshold.unit = MEASURE_SHARE;
    hitters.threshold.value = 1;
    hitters.heavy_only = flags >> 2 & 1;
    hitters.n = flags >> 3 & 3;
    if (!measure_hitters_parse_by(text, &hitters)) {
        measure_group_by_of_kind(&hitters.group_by, MEASURE_KIND_PAIR);
    }
    if (lines[1]) {
        error = measure_filter_parse(lines[1], &ports, &filter);
        scope.filter = error ? NULL : &filter;
        free(error);
    }

    o = measure_output_create(format);
    measure_output_open_object(o, lines[2] ? lines[2] : "br0");
    switch (flags % 5) {
    case 0:
        measure_superspreaders_group(spreaders.by, &group_by);
        REQUIRE(!measure_scope_check(&scope, &group_by));
        REQUIRE(measure_superspreaders_write(o, &scope, &spreaders));
        break;
    case 1:
        REQUIRE(measure_distribution_write(o, &scope));
        break;
    default:
        REQUIRE(!measure_scope_check(&scope, &hitters.group_by));
        check_sum(&scope, &hitters);
        REQUIRE(measure_hitters_write(o, &scope, &hitters));
        break;
    }
    measure_output_close(o);
    answer = measure_output_finish(o);
    REQUIRE(format == MEASURE_TEXT ? *answer : json_valid(answer));
    free(answer);
    measure_port_names_destroy(&ports);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy;

    if (!size) {
        return 0;
    }
    /* Ends where its memory ends. */
    copy = malloc(size);
    memcpy(copy, data, size);
    switch (data[0] % 4) {
    case 0:
        fuzz_parse(copy + 1, size - 1, MEASURE_ETHERTYPE_ETHERNET);
        break;
    case 1:
        fuzz_parse(copy + 1, size - 1, MEASURE_ETHERTYPE_IPV4);
        break;
    case 2:
        fuzz_parse(copy + 1, size - 1, MEASURE_ETHERTYPE_IPV6);
        break;
    case 3:
        if (data[0] / 4 < FUZZ_QUESTION) {
            fuzz_config(copy + 1, size - 1, data[0] / 4);
        } else if (data[0] / 4 < FUZZ_ANSWER) {
            fuzz_question(copy + 1, size - 1);
        } else {
            fuzz_answer(copy + 1, size - 1);
        }
        break;
    }
    free(copy);
    return 0;
}

/* A fuzzing engine has a main() of its own. */
#ifndef FUZZING_ENGINE

#include <getopt.h>

#include "check-frames.h"

#define DEFAULT_MUTATIONS 200000
#define MAX_INPUT 4096

/* Text that configurations are made of. */
static const char *const texts[] = {
    "true", "false", "flow", "pair", "source", "destination", "1000",
    "86400000", "1048576", "0.1%", "100%", "10Mbps", "5kpps", "1e3", "0x1p3",
    "inf", "nan", "99999999999999999999", "-1", "1.2.3bps",
};

/* Text that questions are made of. */
static const char *const questions[] = {
    "flow", "source/24+destination/125", "protocol+destination-port",
    "source/*", "source=10.0.0.0/8,protocol=tcp", "vlan=4095,tunnel=1",
    "destination=2001:db8::/32,destination-port=65535", "port=eth0",
    "10.0.0.0/8,2001:db8::1", "source-port=99999999999999999999",
};

/* Whole questions. */
static const char *const answers[] = {
    "source/24\nprotocol=tcp\nbr0", "source/*\nvlan=1\nbr \"\\0\x01",
    "destination/*\n\nb\xc3\xbc\xff", "port+vlan\nport=p1,tunnel=0\np1",
    "flow+port\nsource=10.0.0.0/29\n", "tunnel\nsource-port=1025\nbr-int",
};

static uint8_t (*inputs)[MAX_INPUT];
static size_t *sizes;
static size_t n_inputs;

static uint8_t *
new_input(size_t size)
{
    inputs = realloc(inputs, (n_inputs + 1) * sizeof *inputs);
    sizes = realloc(sizes, (n_inputs + 1) * sizeof *sizes);
    if (!inputs || !sizes) {
        fputs("fuzz-parse: out of memory\n", stderr);
        exit(1);
    }
    sizes[n_inputs] = size;
    return inputs[n_inputs++];
}

static void
add_own_inputs(void)
{
    for (size_t i = 0; i < N_FRAME_CASES; i++) {
        uint8_t *input = new_input(0);

        input[0] = (frame_cases[i].ethertype == MEASURE_ETHERTYPE_IPV4 ? 1
                    : frame_cases[i].ethertype == MEASURE_ETHERTYPE_IPV6 ? 2
                    : 0);
        sizes[n_inputs - 1]
            = 1 + frame_case_bytes(&frame_cases[i], input + 1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        for (int setting = 0; setting < MEASURE_N_SETTINGS; setting++) {
            uint8_t *input = new_input(1 + strlen(texts[i]));

            input[0] = setting * 4 + 3;
            memcpy(input + 1, texts[i], strlen(texts[i]));
        }
    }
}

static void
add_questions(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
        uint8_t *input = new_input(1 + strlen(questions[i]));

        input[0] = FUZZ_QUESTION * 4 + 3;
        memcpy(input + 1, questions[i], strlen(questions[i]));
    }
}

static void
add_answers(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        for (unsigned int flags = 0; flags < 256; flags += 13) {
            uint8_t *input = new_input(2 + strlen(answers[i]));

            input[0] = FUZZ_ANSWER * 4 + 3;
            input[1] = flags;
            memcpy(input + 2, answers[i], strlen(answers[i]));
        }
    }
}

/* Tries the file as it is, as a frame, and as the start of mutations. */
static void
add_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    uint8_t *input;

    if (!file) {
        fprintf(stderr, "fuzz-parse: %s: cannot be opened\n", name);
        exit(1);
    }
    input = new_input(0);
    sizes[n_inputs - 1] = fread(input, 1, MAX_INPUT, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, sizes[n_inputs - 1]);
    for (uint8_t kind = 0; kind < 4; kind++) {
        uint8_t frame[MAX_INPUT + 1];

        frame[0] = kind;
        memcpy(frame + 1, input, sizes[n_inputs - 1]);
        LLVMFuzzerTestOneInput(frame, sizes[n_inputs - 1] + 1);
    }
}

static void
mutate(struct random *r)
{
    uint8_t data[MAX_INPUT];
    size_t i = random_below(r, n_inputs);
    size_t size = sizes[i];

    memcpy(data, inputs[i], size);
    for (int n = random_below(r, 8); n > 0 && size; n--) {
        size_t at = random_below(r, size);

        switch (random_below(r, 6)) {
        case 0:
            data[at] ^= 1 << random_below(r, 8);
            break;
        case 1:
            data[at] = random_next(r) >> 56;
            break;
        case 2:
            data[at] = "\0\x01\x7f\x80\xff.%0"[random_below(r, 8)];
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
            fputs("usage: fuzz-parse [--mutations N | --minutes M] "
                  "[FILE]...\n", stderr);
            return 1;
        }
    }
    test_seed = seed ? strtoull(seed, NULL, 0) : (uint64_t) time(NULL);
    printf("MEASURE_SEED=%"PRIu64"\n", test_seed);
    fflush(stdout);

    add_own_inputs();
    add_questions();
    add_answers();
    for (int i = optind; i < argc; i++) {
        add_file(argv[i]);
    }
    for (size_t i = 0; i < n_inputs; i++) {
        LLVMFuzzerTestOneInput(inputs[i], sizes[i]);
    }
    r = random_from(test_seed);
    while (end ? n % 1024 || time(NULL) < end : n < n_mutations) {
        mutate(&r);
        n++;
    }
    printf("summary: %zu inputs and %lu mutations of them tried\n"
           "1 passed, 0 failed\n", n_inputs, n);
    forget_reports();
    free(inputs);
    free(sizes);
    return 0;
}

#endif
