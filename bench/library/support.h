/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the benchmarks needs. */

#ifndef BENCH_SUPPORT_H
#define BENCH_SUPPORT_H 1

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What every part of the benchmarks needs
 * =======================================
 *
 * Errors end the program.  Memory is like that of the library: zeroed, present
 * and in huge pages where the kernel grants them.
 *
 * Thread safety: bench_set_program() before there are threads, all else at any
 * time. */

/* Errors, which begin with the name of the program. */
void bench_set_program(const char *name);
void bench_fail(const char *, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Memory. */
void *bench_memory(size_t size);
void bench_memory_free(void *, size_t size);

/* Time: the cycle counter, and a clock of the kernel in nanoseconds. */
static inline uint64_t
bench_clock(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t clock;

    __asm__ volatile ("mrs %0, cntvct_el0" : "=r" (clock));
    return clock;
#else
#error "no cycle counter is known for this processor"
#endif
}

uint64_t bench_nanoseconds(clockid_t);

/* Random numbers: SplitMix64. */
static inline uint64_t
bench_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

double bench_median(const double *values, size_t n);
void bench_median_interval(const double *values, size_t n, double *low,
                           double *high);

/* The machine, and how the program was called. */
void bench_bind_to_processor(int i);
unsigned int bench_processors(void);
void bench_bind_to_first(void);
void bench_bind_to_others(void);
void bench_processor_name(char *name, size_t size);
void bench_command_line(int argc, char *argv[], char *line, size_t size);

#endif /* bench/library/support.h */
