/* SPDX-License-Identifier: Apache-2.0 */
/* Compares structures that count packets: time, memory, accuracy. */

/* measure-bench compares structures that count packets: their time, memory
 * and accuracy, in one process and on the same packets.  See README.md.
 *
 * A round is one epoch of traffic.  In each round every contender runs more
 * than once, each time from empty: first with a clock reading every 64
 * packets, for the histogram, and then without any, for the mean, in several
 * sweeps over all contenders.  The order changes from sweep to sweep, so that
 * what else the machine does meets all of them.  Nothing but the updates is
 * timed.
 *
 * The speed of a shared machine changes within a second.  Hence the floor runs
 * anew beside each contender, before it in one sweep and after it in the next,
 * and what is reported is the median of the ratios of these pairs. */

#include <config.h>

#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "bench/library/build.h"

#define PROGRAM "measure-bench"
#define MAX_CONTENDERS 32

/* The histogram of the paper has buckets of 2 cycles for one packet.  These
 * are finer: half a tick of the clock for one packet. */
#define N_BUCKETS 16384
#define BUCKET_TICKS (BENCH_LATENCY_BATCH / 2)

static const struct bench_contender *const all_contenders[] = {
    &bench_floor,
    &bench_count_array,
    &bench_linear_table,
    &bench_linear_table_pointer,
    &bench_count_min,
    &bench_cuckoo_1,
    &bench_cuckoo_4,
    &bench_space_saving,
    &bench_rte_hash_bulk,
    &bench_rte_member[0],
    &bench_rte_member[1],
    &bench_rte_member[2],
    &bench_rte_member[3],
    &bench_cmap,
};
static const struct bench_contender *const spread_contenders[] = {
    &bench_floor, &bench_spread_derived, &bench_spread_bloom,
    &bench_spread_bitmap,
};
static const struct bench_contender *const change_contenders[] = {
    &bench_floor, &bench_change_derived, &bench_change_table,
};
static const struct bench_contender *const entry_contenders[] = {
    &bench_entry_array, &bench_entry_table, &bench_entry_pointer,
};
static const struct bench_contender *const variant_contenders[] = {
    &bench_floor, &bench_variant_floor, &bench_linear_table,
    &bench_variant_plain, &bench_variant_second_line,
    &bench_variant_next_burst, &bench_variant_sparse, &bench_variant_choose,
    &bench_variant_find_first,
    &bench_variant_first_row, &bench_variant_blind,
};
static const struct bench_contender *const shared_contenders[] = {
    &bench_separate, &bench_shared,
};

#define LIST(LIST) LIST, sizeof LIST / sizeof LIST[0]
static const struct {
    const char *name;
    const struct bench_contender *const *contenders;
    size_t n;
} tasks[BENCH_N_TASKS] = {
    [BENCH_HEAVY_HITTERS] = { "heavy-hitters", LIST(all_contenders) },
    [BENCH_SUPERSPREADERS] = { "superspreaders", LIST(spread_contenders) },
    [BENCH_CHANGES] = { "changes", LIST(change_contenders) },
    [BENCH_SHARED] = { "shared", LIST(shared_contenders) },
    [BENCH_ENTRIES] = { "entries", LIST(entry_contenders) },
    [BENCH_VARIANTS] = { "variants", LIST(variant_contenders) },
};

struct result {
    const struct bench_contender *contender;
    void *structure;
    const char *why_not;        /* If there is no structure. */
    size_t memory;              /* Largest at the end of an epoch. */

    double *ns;                 /* Mean of each timed run... */
    double *to_floor;           /* ...as a ratio to the floor's beside it... */
    double *to_table;           /* ...and to the linear table's nearest one. */
    uint32_t n_runs;
    uint64_t *histogram;
    uint64_t n_samples;

    double precision;           /* Sums over the rounds, as are... */
    double recall;
    double count_error;
    uint32_t n_accuracy;        /* ...these rounds. */
    double max_count_error;
};

struct options {
    double skew;
    uint32_t flows;
    uint64_t packets;
    uint32_t epoch;
    uint64_t seed;
    uint32_t repeat;
    size_t memory;
    uint32_t entry;
    const char *capture;
    bool pairs;
    bool json;
    char *contenders;
    enum bench_task task;
};

static struct result results[MAX_CONTENDERS];
static size_t n_results;
static struct result *floor_result;     /* Of these, or NULL. */
static struct result *table_result;     /* Likewise. */
static double ns_per_tick;

void
bench_fail(const char *format, ...)
{
    va_list args;

    fputs(PROGRAM": ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
    exit(1);
}

static struct measure_budget bench_budget;

void *
bench_memory(size_t size)
{
    void *p = measure_memory_alloc(&bench_budget, size, MEASURE_ANY_NODE);

    if (!p) {
        bench_fail("no memory for %zu bytes", size);
    }
    return p;
}

void
bench_memory_free(void *p, size_t size)
{
    measure_memory_free(&bench_budget, p, size);
}

static double
clock_ns(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static double
now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Without the time in which something else ran on this processor. */
static double
cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void
calibrate(void)
{
    double start_ns = now_ns();
    uint64_t start = bench_clock();
    double ns;

    do {
        ns = now_ns() - start_ns;
    } while (ns < 5e7);
    ns_per_tick = ns / (bench_clock() - start);
}

/* One run of a contender over packets of the current epoch. */

struct run {
    const struct bench_contender *contender;
    void *structure;
    const struct bench_traffic *traffic;
    uint32_t begin;
    uint32_t end;
    uint64_t *histogram;        /* Or NULL. */
    int processor;              /* To run on, or -1 for any. */
    double ns;
};

static void
run_timed(struct run *r)
{
    double start = cpu_ns();

    for (uint32_t i = r->begin; i < r->end; i += BENCH_BURST) {
        r->contender->update(r->structure, &r->traffic->keys[i],
                             &r->traffic->bytes[i]);
    }
    r->ns = (cpu_ns() - start) / (r->end - r->begin);
}

static void
run_histogram(struct run *r)
{
    uint64_t start = bench_clock();

    for (uint32_t i = r->begin; i < r->end; i += BENCH_LATENCY_BATCH) {
        for (uint32_t j = i; j < i + BENCH_LATENCY_BATCH; j += BENCH_BURST) {
            r->contender->update(r->structure, &r->traffic->keys[j],
                                 &r->traffic->bytes[j]);
        }

        uint64_t end = bench_clock();
        uint64_t bucket = (end - start) / BUCKET_TICKS;

        __atomic_fetch_add(&r->histogram[bucket < N_BUCKETS
                                         ? bucket : N_BUCKETS - 1],
                           1, __ATOMIC_RELAXED);
        start = bench_clock();
    }
}

static pthread_barrier_t barrier;

static void *
run_thread(void *r_)
{
    struct run *r = r_;
    cpu_set_t tally;

    CPU_ZERO(&tally);
    CPU_SET(r->processor, &tally);
    pthread_setaffinity_np(pthread_self(), sizeof tally, &tally);
    pthread_barrier_wait(&barrier);
    if (r->histogram) {
        run_histogram(r);
    } else {
        run_timed(r);
    }
    return NULL;
}

/* Returns the mean time of a packet, unless there is a histogram to fill. */
static double
run(struct result *result, const struct bench_traffic *traffic,
    uint64_t *histogram)
{
    const struct bench_contender *contender = result->contender;
    struct run r = { .contender = contender, .structure = result->structure,
                     .traffic = traffic, .end = traffic->n,
                     .histogram = histogram };

    if (histogram) {
        result->n_samples += traffic->n / BENCH_LATENCY_BATCH;
    }
    if (contender->side) {
        struct run sides[2];
        pthread_t threads[2];
        uint32_t half = (traffic->n / 2 / BENCH_LATENCY_BATCH
                         * BENCH_LATENCY_BATCH);

        pthread_barrier_init(&barrier, NULL, 2);
        for (int i = 0; i < 2; i++) {
            sides[i] = r;
            sides[i].structure = contender->side(result->structure, i);
            sides[i].begin = i ? half : 0;
            sides[i].end = i ? traffic->n : half;
            sides[i].processor = i;
            if (pthread_create(&threads[i], NULL, run_thread, &sides[i])) {
                bench_fail("cannot start a thread");
            }
        }
        for (int i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
        }
        pthread_barrier_destroy(&barrier);
        return (sides[0].ns + sides[1].ns) / 2;
    }
    if (histogram) {
        run_histogram(&r);
    } else {
        run_timed(&r);
    }
    return r.ns;
}

/* Statistics. */

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

static double
median(const double *values, uint32_t n)
{
    double *sorted = measure_xzalloc(n * sizeof *sorted);
    double result;

    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    result = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    free(sorted);
    return result;
}

static double
percentile(const struct result *result, double share)
{
    uint64_t rank = ceil(share * result->n_samples), sum = 0;
    uint32_t bucket = 0;

    while (bucket < N_BUCKETS - 1
           && (sum += result->histogram[bucket]) < rank) {
        bucket++;
    }
    return ((bucket + 0.5) * BUCKET_TICKS / BENCH_LATENCY_BATCH
            * ns_per_tick);
}

/* Output. */

static void
print_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            putchar('\\');
        }
        if ((unsigned char) *s >= ' ') {
            putchar(*s);
        }
    }
    putchar('"');
}

static void
print_member(const char *name, const char *value)
{
    printf("  ");
    print_string(name);
    printf(": ");
    print_string(value);
    printf(",\n");
}

static void
processor(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, size, "%s", strchr(line, ':') + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
}

static void
print_json(const struct options *options, const struct bench_traffic *traffic,
           const struct bench_settings *settings, const char *command_line)
{
    struct utsname system;
    char text[256];
    bool first = true;

    printf("{\n");
    processor(text, sizeof text);
    print_member("processor", text);
    uname(&system);
    snprintf(text, sizeof text, "%s %s %s", system.sysname, system.release,
             system.machine);
    print_member("kernel", text);
    print_member("compiler", "gcc "__VERSION__);
    print_member("compiler-flags", BENCH_FLAGS);
    print_member("commit", BENCH_COMMIT);
    print_member("dpdk", bench_dpdk_version());
    print_member("ovs", bench_ovs_version());
    print_member("command-line", command_line);
    if (options->capture) {
        print_member("capture", options->capture);
    } else {
        printf("  \"zipf\": %g,\n  \"seed\": %"PRIu64",\n", options->skew,
               options->seed);
    }
    printf("  \"task\": \"%s\",\n", tasks[options->task].name);
    printf("  \"flows\": %"PRIu32",\n", traffic->n_flows);
    printf("  \"packets\": %"PRIu64",\n",
           (uint64_t) traffic->n * traffic->n_epochs);
    printf("  \"epoch-packets\": %"PRIu32",\n", traffic->n);
    printf("  \"epoch-flows\": %"PRIu32",\n", traffic->max_present);
    printf("  \"threshold-packets\": %"PRIu64",\n", settings->threshold);
    printf("  \"rounds\": %"PRIu32",\n", traffic->n_epochs);
    printf("  \"burst\": %d,\n", BENCH_BURST);
    printf("  \"contenders\": [");
    for (size_t i = 0; i < n_results; i++) {
        const struct result *result = &results[i];
        uint32_t n = result->n_accuracy;

        if (!result->structure) {
            continue;
        }
        printf("%s\n    {\"name\": \"%s\", \"ns-per-packet\": %.3f, "
               "\"ns-p50\": %.3f, \"ns-p99\": %.3f, \"memory-bytes\": %zu",
               first ? "" : ",", result->contender->name,
               median(result->ns, result->n_runs),
               percentile(result, 0.5), percentile(result, 0.99),
               result->memory);
        if (floor_result) {
            printf(", \"ratio-to-floor\": %.3f",
                   median(result->to_floor, result->n_runs));
        }
        if (table_result) {
            printf(", \"ratio-to-linear-table\": %.3f",
                   median(result->to_table, result->n_runs));
        }
        if (n) {
            printf(", \"precision\": %.6g, \"recall\": %.6g, "
                   "\"count-error\": %.6g, \"max-count-error\": %.6g",
                   result->precision / n, result->recall / n,
                   result->count_error / n, result->max_count_error);
        }
        printf("}");
        first = false;
    }
    printf("\n  ],\n  \"absent\": [");
    first = true;
    for (size_t i = 0; i < n_results; i++) {
        if (!results[i].structure) {
            printf("%s\n    {\"name\": \"%s\", \"why\": ", first ? "" : ",",
                   results[i].contender->name);
            print_string(results[i].why_not);
            printf("}");
            first = false;
        }
    }
    printf("%s]\n}\n", first ? "" : "\n  ");
}

static void
print_text(const struct bench_traffic *traffic,
           const struct bench_settings *settings)
{
    printf("%"PRIu32" rounds of %"PRIu32" packets of up to %"PRIu32" flows, "
           "heavy hitters from %"PRIu64" packets on\n\n",
           traffic->n_epochs, traffic->n, traffic->max_present,
           settings->threshold);
    printf("%-24s %9s %9s %9s %9s %9s %9s %11s\n", "", "ns", "ns p99",
           "to floor", "MiB", "precision", "recall", "count error");
    for (size_t i = 0; i < n_results; i++) {
        const struct result *result = &results[i];
        uint32_t n = result->n_accuracy;

        if (!result->structure) {
            printf("%-24s absent: %s\n", result->contender->name,
                   result->why_not);
            continue;
        }
        printf("%-24s %9.2f %9.2f ", result->contender->name,
               median(result->ns, result->n_runs),
               percentile(result, 0.99));
        if (floor_result) {
            printf("%9.2f ", median(result->to_floor, result->n_runs));
        } else {
            printf("%9s ", "-");
        }
        printf("%9.2f", result->memory / 1048576.0);
        if (n) {
            printf(" %9.4f %9.4f %11.6f", result->precision / n,
                   result->recall / n, result->count_error / n);
        }
        putchar('\n');
    }
}

/* Options. */

static uint64_t
parse_number(const char *option, const char *s, uint64_t min, uint64_t max)
{
    unsigned long long int value;
    char *end;

    errno = 0;
    value = strtoull(s, &end, 10);
    if (errno || end == s || *end || s[0] < '0' || s[0] > '9' || value < min
        || value > max) {
        bench_fail("%s: \"%s\" is not a number from %"PRIu64" to %"PRIu64,
                   option, s, min, max);
    }
    return value;
}

static double
parse_real(const char *option, const char *s, double min, double max)
{
    char *end;
    double value = strtod(s, &end);

    if (end == s || *end || !(value >= min && value <= max)) {
        bench_fail("%s: \"%s\" is not a number from %g to %g", option, s, min,
                   max);
    }
    return value;
}

static enum bench_task
parse_task(const char *name)
{
    for (int i = 0; i < BENCH_N_TASKS; i++) {
        if (!strcmp(name, tasks[i].name)) {
            return i;
        }
    }
    bench_fail("--task: \"%s\" is none of heavy-hitters, superspreaders, "
               "changes, shared, entries, variants", name);
}

static void
usage(void)
{
    printf("Usage: "PROGRAM" [OPTION...]\n"
           "Compares structures that count packets.\n\n"
           "Packets:\n"
           "  --zipf=SKEW          draw them by Zipf's law (default: 1.1)\n"
           "  --flows=N            from so many flows (default: 1000000)\n"
           "  --packets=N          so many (default: 20000000)\n"
           "  --seed=N             default: 1\n"
           "  --capture=FILE       read them from a capture instead\n"
           "  --key=pair|flow      its keys (default: pair)\n"
           "  --epoch=N            packets of an epoch (default: 2000000)\n\n"
           "Contenders:\n"
           "  --task=heavy-hitters|superspreaders|changes|shared|entries|\n"
           "         variants\n"
           "                       default: heavy-hitters; 'shared' runs two "
           "threads\n"
           "  --entry=BYTES        of a value, for 'entries' (default: 16)\n"
           "  --contenders=A,B...  default: all\n"
           "  --memory=BYTES       of each structure (default: as the flows "
           "need)\n"
           "  --repeat=N           timed runs in a round (default: 5)\n\n"
           "Output:\n"
           "  --format=text|json   default: text\n"
           "  --help               this text\n");
}

static void
parse_options(int argc, char *argv[], struct options *options)
{
    enum { ZIPF = 256, FLOWS, PACKETS, SEED, CAPTURE, KEY, EPOCH, CONTENDERS,
           MEMORY, REPEAT, TASK, ENTRY, FORMAT, HELP };
    static const struct option longs[] = {
        { "zipf", required_argument, NULL, ZIPF },
        { "flows", required_argument, NULL, FLOWS },
        { "packets", required_argument, NULL, PACKETS },
        { "seed", required_argument, NULL, SEED },
        { "capture", required_argument, NULL, CAPTURE },
        { "key", required_argument, NULL, KEY },
        { "epoch", required_argument, NULL, EPOCH },
        { "contenders", required_argument, NULL, CONTENDERS },
        { "memory", required_argument, NULL, MEMORY },
        { "repeat", required_argument, NULL, REPEAT },
        { "entry", required_argument, NULL, ENTRY },
        { "task", required_argument, NULL, TASK },
        { "format", required_argument, NULL, FORMAT },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 },
    };

    *options = (struct options) {
        .skew = 1.1, .flows = 1000000, .packets = 20000000, .epoch = 2000000,
        .seed = 1, .repeat = 5, .pairs = true, .entry = 16,
    };
    for (int c; (c = getopt_long(argc, argv, "h", longs, NULL)) != -1;) {
        switch (c) {
        case ZIPF:
            options->skew = parse_real("--zipf", optarg, 0, 10);
            break;
        case FLOWS:
            options->flows = parse_number("--flows", optarg, 1, 1u << 30);
            break;
        case PACKETS:
            options->packets = parse_number("--packets", optarg,
                                            BENCH_LATENCY_BATCH,
                                            UINT64_C(1) << 40);
            break;
        case SEED:
            options->seed = parse_number("--seed", optarg, 0, UINT64_MAX);
            break;
        case CAPTURE:
            options->capture = optarg;
            break;
        case KEY:
            if (strcmp(optarg, "pair") && strcmp(optarg, "flow")) {
                bench_fail("--key: \"%s\" is neither \"pair\" nor \"flow\"",
                           optarg);
            }
            options->pairs = !strcmp(optarg, "pair");
            break;
        case EPOCH:
            options->epoch = parse_number("--epoch", optarg,
                                          BENCH_LATENCY_BATCH, 1u << 30);
            break;
        case CONTENDERS:
            options->contenders = optarg;
            break;
        case MEMORY:
            options->memory = parse_number("--memory", optarg, 1024,
                                           UINT64_C(1) << 36);
            break;
        case REPEAT:
            options->repeat = parse_number("--repeat", optarg, 1, 1000);
            break;
        case ENTRY:
            options->entry = parse_number("--entry", optarg, 16,
                                          BENCH_MAX_ENTRY) / 8 * 8;
            break;
        case TASK:
            options->task = parse_task(optarg);
            break;
        case FORMAT:
            if (strcmp(optarg, "text") && strcmp(optarg, "json")) {
                bench_fail("--format: \"%s\" is neither \"text\" nor "
                           "\"json\"", optarg);
            }
            options->json = !strcmp(optarg, "json");
            break;
        case HELP:
        case 'h':
            usage();
            exit(0);
        default:
            fprintf(stderr, "Try '"PROGRAM" --help'.\n");
            exit(1);
        }
    }
    if (optind < argc) {
        bench_fail("unknown argument \"%s\"", argv[optind]);
    }
}

static void
choose_contenders(char *names, enum bench_task task)
{
    const struct bench_contender *const *all = tasks[task].contenders;
    size_t n_all = tasks[task].n;

    if (!names) {
        for (size_t i = 0; i < n_all; i++) {
            results[n_results++].contender = all[i];
        }
        return;
    }
    for (char *name = strtok(names, ","); name; name = strtok(NULL, ",")) {
        size_t i;

        for (i = 0; i < n_all && strcmp(name, all[i]->name); i++) {
            continue;
        }
        if (i == n_all) {
            fprintf(stderr, PROGRAM": --contenders: \"%s\" is none of", name);
            for (i = 0; i < n_all; i++) {
                fprintf(stderr, " %s", all[i]->name);
            }
            fprintf(stderr, "\n");
            exit(1);
        }
        if (n_results < MAX_CONTENDERS) {
            results[n_results++].contender = all[i];
        }
    }
}

static void
create_contenders(struct bench_settings *settings, uint32_t max_runs)
{
    for (size_t i = 0; i < n_results; i++) {
        struct result *result = &results[i];

        bench_creating = result->contender;
        result->structure = result->contender->create(settings,
                                                      &result->why_not);
        result->ns = measure_xzalloc(max_runs * sizeof(double));
        result->to_floor = measure_xzalloc(max_runs * sizeof(double));
        result->to_table = measure_xzalloc(max_runs * sizeof(double));
        result->histogram = measure_xzalloc(N_BUCKETS * sizeof(uint64_t));
        if (result->structure && result->contender == &bench_floor) {
            floor_result = result;
        } else if (result->structure
                   && result->contender == &bench_linear_table) {
            table_result = result;
        }
    }
}

static void
add_accuracy(struct result *result, const struct bench_traffic *traffic,
             const struct bench_truth *truth)
{
    struct bench_accuracy accuracy;

    bench_judge(result->contender, result->structure, traffic, truth,
                &accuracy);
    result->precision += accuracy.precision;
    result->recall += accuracy.recall;
    result->count_error += accuracy.count_error;
    result->n_accuracy++;
    if (accuracy.max_count_error > result->max_count_error) {
        result->max_count_error = accuracy.max_count_error;
    }
}

/* The 'i'th of the contenders in the order of 'turn'. */
static struct result *
in_turn(uint32_t turn, size_t i)
{
    size_t j = (turn / 2 + i) % n_results;

    return &results[turn % 2 ? n_results - 1 - j : j];
}

static double
run_from_empty(struct result *result, const struct bench_traffic *traffic)
{
    result->contender->clear(result->structure);
    return run(result, traffic, NULL);
}

/* Runs all contenders once, each of them beside the floor. */
static void
sweep(uint32_t turn, const struct bench_traffic *traffic)
{
    for (size_t i = 0; i < n_results; i++) {
        struct result *result = in_turn(turn, i);
        double floor_ns, ns;

        if (!result->structure) {
            continue;
        }
        if (!floor_result || result == floor_result) {
            floor_ns = ns = run_from_empty(result, traffic);
        } else if (turn % 2) {
            floor_ns = run_from_empty(floor_result, traffic);
            ns = run_from_empty(result, traffic);
        } else {
            ns = run_from_empty(result, traffic);
            floor_ns = run_from_empty(floor_result, traffic);
        }
        result->ns[result->n_runs] = ns;
        result->to_floor[result->n_runs] = ns / floor_ns;
        result->n_runs++;
    }
    for (size_t i = 0; table_result && i < n_results; i++) {
        uint32_t last = results[i].n_runs - 1;

        if (results[i].structure) {
            results[i].to_table[last] = (results[i].ns[last]
                                         / table_result->ns[last]);
        }
    }
}

static void
run_round(uint32_t round, struct bench_traffic *traffic,
          const struct options *options, struct bench_truth *truth,
          uint64_t threshold)
{
    bench_traffic_load(traffic, round);
    bench_truth_load(truth, traffic, threshold);
    for (size_t i = 0; i < n_results; i++) {
        struct result *result = in_turn(round, i);
        const struct bench_contender *contender = result->contender;

        if (!result->structure) {
            continue;
        }
        if (contender->begin) {
            contender->begin(result->structure);
        }
        contender->clear(result->structure);
        run(result, traffic, result->histogram);
        if (contender->report) {
            add_accuracy(result, traffic, truth);
        }
        if (contender->memory(result->structure) > result->memory) {
            result->memory = contender->memory(result->structure);
        }
    }
    for (uint32_t k = 0; k < options->repeat; k++) {
        sweep(round * options->repeat + k, traffic);
    }
}

/* Has the memory of malloc() in huge pages, too, as all other memory here:
 * that can be chosen when a program starts only. */
static void
use_huge_pages(char *argv[])
{
    if (!getenv("GLIBC_TUNABLES")) {
        setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", 1);
        execv("/proc/self/exe", argv);
    }
}

int
main(int argc, char *argv[])
{
    struct bench_settings settings = { .n_flows = 0 };
    struct bench_traffic *traffic;
    struct options options;
    char command_line[1024];
    size_t used = 0;
    struct bench_truth truth;

    use_huge_pages(argv);
    command_line[0] = '\0';
    for (int i = 0; i < argc && used < sizeof command_line; i++) {
        const char *slash = strrchr(argv[i], '/');

        used += snprintf(command_line + used, sizeof command_line - used,
                         "%s%s", i ? " " : "",
                         !i && slash ? slash + 1 : argv[i]);
    }
    parse_options(argc, argv, &options);
    choose_contenders(options.contenders, options.task);
    if (options.task == BENCH_SUPERSPREADERS && !options.pairs) {
        bench_fail("--task superspreaders needs --key pair");
    }
    calibrate();
    traffic = (options.capture
               ? bench_traffic_capture(options.capture, options.pairs,
                                       options.epoch)
               : bench_traffic_zipf(options.skew, options.flows,
                                    options.packets, options.epoch,
                                    options.seed,
                                    options.task == BENCH_CHANGES));

    settings.n_flows = traffic->max_present;
    settings.memory = options.memory;
    settings.entry = options.entry;
    settings.total = traffic->n;
    settings.threshold = traffic->n / 1000 + 1;
    measure_hash_secret_init(&settings.secret, options.seed ^ 0x5ec2e7);
    create_contenders(&settings, traffic->n_epochs * options.repeat);
    bench_truth_init(&truth, traffic, options.task, settings.threshold);
    for (uint32_t round = 0; round < traffic->n_epochs; round++) {
        run_round(round, traffic, &options, &truth, settings.threshold);
    }
    if (options.json) {
        print_json(&options, traffic, &settings, command_line);
    } else {
        print_text(traffic, &settings);
    }
    if (fflush(stdout) || ferror(stdout)) {
        bench_fail("cannot write the results: %s", strerror(errno));
    }
    return 0;
}
