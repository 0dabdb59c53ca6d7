/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the benchmarks needs. */

#include <config.h>

#include "support.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/measure-base.h"
#include "base/measure-memory.h"

static const char *program = "benchmark";
static struct measure_budget memory_budget;

/* Sets the 'name' that errors begin with, which must remain. */
void
bench_set_program(const char *name)
{
    program = name;
}

void
bench_fail(const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    putc('\n', stderr);
    exit(EXIT_FAILURE);
}

void *
bench_memory(size_t size)
{
    void *p = measure_memory_alloc(&memory_budget, size, MEASURE_ANY_NODE);

    if (!p) {
        bench_fail("no memory for %zu bytes", size);
    }
    return p;
}

void
bench_memory_free(void *p, size_t size)
{
    measure_memory_free(&memory_budget, p, size);
}

uint64_t
bench_nanoseconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static int
compare_doubles(const void *a_, const void *b_)
{
    const double *a = a_, *b = b_;

    return (*a > *b) - (*a < *b);
}

/* Returns a sorted copy of 'values', which the caller frees. */
static double *
sort(const double *values, size_t n)
{
    double *sorted = measure_xzalloc(n * sizeof *sorted);

    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare_doubles);
    return sorted;
}

/* Returns the median of 'values', of which there must be one at least. */
double
bench_median(const double *values, size_t n)
{
    double *sorted = sort(values, n);
    double median;

    median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    free(sorted);
    return median;
}

/* Sets '*low' and '*high' to the confidence interval of 95 % of the median of
 * 'values', or to the least and the greatest if there are less than 6.  Of n
 * values, the number below the true median is binomial (n, 1/2), whatever
 * their distribution. */
void
bench_median_interval(const double *values, size_t n, double *low,
                      double *high)
{
    double *sorted = sort(values, n);
    double probability = ldexp(1, -(int) n), sum = probability;
    size_t below = 0;

    while (sum <= 0.025 && below < n / 2) {
        below++;
        probability *= (double) (n - below + 1) / below;
        sum += probability;
    }
    below = below ? below - 1 : 0;
    *low = sorted[below];
    *high = sorted[n - 1 - below];
    free(sorted);
}

/* Lets the calling thread run on the 'i'th processor only, if there is one. */
void
bench_bind_to_processor(int i)
{
    cpu_set_t processors;

    CPU_ZERO(&processors);
    CPU_SET(i, &processors);
    pthread_setaffinity_np(pthread_self(), sizeof processors, &processors);
}

/* The processors that the program may run on: those of the thread that asks
 * first. */
static const cpu_set_t *
allowed_processors(void)
{
    static cpu_set_t allowed;

    if (!CPU_COUNT(&allowed)
        && pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed)) {
        bench_fail("cannot find out on which processors to run");
    }
    return &allowed;
}

/* Returns on how many processors the program may run.  Must be called before
 * there are threads, and before any is bound. */
unsigned int
bench_processors(void)
{
    return CPU_COUNT(allowed_processors());
}

/* Lets the calling thread, and threads that it makes, run on the first
 * processor only, or on all others if 'others', and there are any. */
static void
bind_to(bool others)
{
    cpu_set_t processors = *allowed_processors(), first;
    int i = 0;

    while (!CPU_ISSET(i, &processors)) {
        i++;
    }
    CPU_ZERO(&first);
    CPU_SET(i, &first);
    if (others && CPU_COUNT(&processors) > 1) {
        CPU_CLR(i, &processors);
    } else {
        processors = first;
    }
    pthread_setaffinity_np(pthread_self(), sizeof processors, &processors);
}

void
bench_bind_to_first(void)
{
    bind_to(false);
}

void
bench_bind_to_others(void)
{
    bind_to(true);
}

/* Stores the name of the processor in 'name', or "unknown". */
void
bench_processor_name(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];

    snprintf(name, size, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strstr(line, ": ");

        if (!strncmp(line, "model name", 10) && value) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, size, "%s", value + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
}

/* Stores the command line in 'line', without the folder of the program. */
void
bench_command_line(int argc, char *argv[], char *line, size_t size)
{
    size_t used = 0;

    line[0] = '\0';
    for (int i = 0; i < argc && used < size; i++) {
        const char *slash = i ? NULL : strrchr(argv[i], '/');

        used += snprintf(line + used, size - used, "%s%s", i ? " " : "",
                         slash ? slash + 1 : argv[i]);
    }
}
