/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of the numbers of ports. */

#include <config.h>

#include "check-common.h"
#include "key/measure-switch-port.h"

START_TEST(ports_keep_their_numbers)
{
    static struct measure_port_names ports;
    char name[32];

    memset(&ports, 0, sizeof ports);
    for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
        snprintf(name, sizeof name, "port%d", i);
        ck_assert_int_eq(measure_port_number(&ports, name), i);
    }
    for (int i = MEASURE_MAX_PORT; i > 0; i--) {
        snprintf(name, sizeof name, "port%d", i);
        ck_assert_int_eq(measure_port_number(&ports, name), i);
        ck_assert_str_eq(measure_port_name(&ports, i), name);
    }
    measure_port_names_destroy(&ports);
}
END_TEST

START_TEST(ports_above_the_last_number_get_none)
{
    static struct measure_port_names ports;
    char name[32];

    memset(&ports, 0, sizeof ports);
    for (int i = 1; i <= MEASURE_MAX_PORT + 3; i++) {
        snprintf(name, sizeof name, "port%d", i);
        ck_assert_int_eq(measure_port_number(&ports, name),
                         i <= MEASURE_MAX_PORT ? i : 0);
    }
    for (int i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "port%d", MEASURE_MAX_PORT + i);
        ck_assert_uint_eq(measure_port_find(&ports, name), 0);
        measure_port_release(&ports, 0, 1);
    }
    ck_assert_int_eq(measure_port_number(&ports, "port1"), 1);
    measure_port_names_destroy(&ports);
}
END_TEST

START_TEST(no_port_has_no_name)
{
    static struct measure_port_names ports;

    memset(&ports, 0, sizeof ports);
    ck_assert_ptr_null(measure_port_name(&ports, 0));
    ck_assert_ptr_null(measure_port_name(&ports, 1));
    ck_assert_int_eq(measure_port_number(&ports, "p"), 1);
    ck_assert_ptr_null(measure_port_name(&ports, 0));
    ck_assert_ptr_null(measure_port_name(&ports, 2));
    ck_assert_ptr_null(measure_port_name(&ports, UINT16_MAX));
    measure_port_names_destroy(&ports);
}
END_TEST

/* Names that many ports share must not all have one hash. */
START_TEST(names_are_found_in_few_steps)
{
    static struct measure_port_names ports;
    static unsigned int length[MEASURE_PORT_BUCKETS];
    char name[32];

    memset(&ports, 0, sizeof ports);
    memset(length, 0, sizeof length);
    for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
        uint16_t before[MEASURE_PORT_BUCKETS];

        memcpy(before, ports.buckets, sizeof before);
        snprintf(name, sizeof name, "vhost-user-%04x", i * 16);
        measure_port_number(&ports, name);
        for (int j = 0; j < MEASURE_PORT_BUCKETS; j++) {
            length[j] += ports.buckets[j] != before[j];
        }
    }
    for (int j = 0; j < MEASURE_PORT_BUCKETS; j++) {
        ck_assert_uint_le(length[j], 16);
    }
    measure_port_names_destroy(&ports);
}
END_TEST

START_TEST(numbers_are_given_again)
{
    static struct measure_port_names ports;
    uint16_t a, b;

    memset(&ports, 0, sizeof ports);
    a = measure_port_number(&ports, "a");
    ck_assert_int_eq(measure_port_number(&ports, "a"), a);
    measure_port_release(&ports, a, 5);
    measure_port_settle(&ports, 100, 100);
    measure_port_recycle(&ports, 1000);
    ck_assert_str_eq(measure_port_name(&ports, a), "a");

    /* Its last user goes in epoch 5, and epoch 7 is running when the packet
     * threads have been seen. */
    measure_port_release(&ports, a, 5);
    measure_port_settle(&ports, 4, 6);
    measure_port_recycle(&ports, 1000);
    ck_assert_str_eq(measure_port_name(&ports, a), "a");
    measure_port_settle(&ports, 5, 7);
    measure_port_recycle(&ports, 7);
    ck_assert_str_eq(measure_port_name(&ports, a), "a");
    b = measure_port_number(&ports, "b");
    ck_assert_int_ne(b, a);

    /* It comes back in time. */
    ck_assert_int_eq(measure_port_number(&ports, "a"), a);
    measure_port_recycle(&ports, 8);
    ck_assert_str_eq(measure_port_name(&ports, a), "a");

    measure_port_release(&ports, a, 8);
    measure_port_settle(&ports, 8, 9);
    measure_port_recycle(&ports, 10);
    ck_assert_ptr_null(measure_port_name(&ports, a));
    ck_assert_uint_eq(measure_port_find(&ports, "a"), 0);
    ck_assert_int_eq(measure_port_number(&ports, "c"), a);
    ck_assert_str_eq(measure_port_name(&ports, b), "b");
    measure_port_names_destroy(&ports);
}
END_TEST

/* Ports come and go at random while epochs are closed, merged and forgotten.
 * Whatever a port may have counted in an epoch must be named right for as long
 * as there are counts of it. */

#define N_NAMES 12000           /* Of ports, by index. */
#define N_EPOCHS 100
#define MAX_LINGERING 4096

struct churn {
    struct measure_port_names ports;
    uint16_t number[N_NAMES];   /* Of those that are measured. */
    bool measured[N_NAMES];
    struct {
        int port;
        uint16_t number;
        uint64_t epoch;
    } lingering[MAX_LINGERING];
    size_t n_lingering;         /* That packet threads may still count. */
    int counted[N_EPOCHS + 2][MEASURE_MAX_PORT + 1];    /* 1 + port. */
    uint64_t running;
    uint64_t merged;
    uint64_t oldest;
    unsigned int n_none;
};

static void
count_port(struct churn *c, int port, uint16_t number)
{
    int *counted = &c->counted[c->running][number];

    if (number) {
        ck_assert(!*counted || *counted == port + 1);
        *counted = port + 1;
    }
}

static void
check_names(const struct churn *c)
{
    for (uint64_t epoch = c->oldest; epoch <= c->running; epoch++) {
        for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
            if (c->counted[epoch][i]) {
                char name[32];

                snprintf(name, sizeof name, "port%d",
                         c->counted[epoch][i] - 1);
                ck_assert_ptr_nonnull(measure_port_name(&c->ports, i));
                ck_assert_str_eq(measure_port_name(&c->ports, i), name);
                ck_assert_int_eq(measure_port_find(&c->ports, name), i);
            }
        }
    }
}

/* A number may be refused only if each may be in some counts. */
static void
check_none_left(const struct churn *c)
{
    static bool used[MEASURE_MAX_PORT + 1];
    unsigned int n = 0;

    memset(used, 0, sizeof used);
    for (int i = 0; i < N_NAMES; i++) {
        used[c->number[i]] |= c->measured[i];
    }
    for (size_t i = 0; i < c->n_lingering; i++) {
        used[c->lingering[i].number] = true;
    }
    for (uint64_t epoch = c->oldest; epoch <= c->running; epoch++) {
        for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
            used[i] |= c->counted[epoch][i];
        }
    }
    for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
        n += used[i];
    }
    ck_assert_uint_eq(n, MEASURE_MAX_PORT);
}

static void
toggle_port(struct churn *c, int port)
{
    char name[32];

    snprintf(name, sizeof name, "port%d", port);
    if (!c->measured[port]) {
        measure_port_recycle(&c->ports, c->oldest);
        c->measured[port] = true;
        c->number[port] = measure_port_number(&c->ports, name);
        if (!c->number[port] && !(c->n_none++ % 256)) {
            check_none_left(c);
        }
        count_port(c, port, c->number[port]);
    } else {
        measure_port_release(&c->ports, c->number[port], c->running);
        c->measured[port] = false;
        if (c->number[port]) {
            ck_assert_uint_lt(c->n_lingering, MAX_LINGERING);
            c->lingering[c->n_lingering].port = port;
            c->lingering[c->n_lingering].number = c->number[port];
            c->lingering[c->n_lingering++].epoch = c->running;
        }
    }
}

/* Begins another epoch, in which everything that can count does. */
static void
next_epoch(struct churn *c)
{
    c->running++;
    for (int i = 0; i < N_NAMES; i++) {
        if (c->measured[i]) {
            count_port(c, i, c->number[i]);
        }
    }
    for (size_t i = 0; i < c->n_lingering; i++) {
        count_port(c, c->lingering[i].port, c->lingering[i].number);
    }
}

static void
merge_epoch(struct churn *c)
{
    size_t n = 0;

    c->merged++;
    for (size_t i = 0; i < c->n_lingering; i++) {
        if (c->lingering[i].epoch > c->merged) {
            c->lingering[n++] = c->lingering[i];
        }
    }
    c->n_lingering = n;
    measure_port_settle(&c->ports, c->merged, c->running);
}

START_TEST(rows_name_the_right_port)
{
    static const unsigned int ports_per_epoch[] = { 20, 200, 900 };
    struct churn *c = calloc(1, sizeof *c);
    struct random r = random_from(test_seed + _i);
    unsigned int per_epoch = ports_per_epoch[_i];

    ck_assert_ptr_nonnull(c);
    c->running = c->oldest = 1;
    for (int epoch = 1; epoch <= N_EPOCHS; epoch++) {
        unsigned int n = random_below(&r, per_epoch);

        for (unsigned int i = 0; i < n; i++) {
            /* Most are new ones, some come back. */
            int port = (random_below(&r, 4) * (N_NAMES / 4)
                        + (epoch * per_epoch / 4
                           + random_below(&r, per_epoch)) % (N_NAMES / 4));

            toggle_port(c, port);
        }
        next_epoch(c);
        while (c->merged + 1 < c->running && random_below(&r, 4)) {
            merge_epoch(c);
        }
        while (c->oldest <= c->merged
               && (c->running - c->oldest > 5 || !random_below(&r, 8))) {
            c->oldest++;
        }
        measure_port_recycle(&c->ports, c->oldest);
        check_names(c);
    }
    ck_assert(c->n_none || per_epoch < 900);
    measure_port_names_destroy(&c->ports);
    free(c);
}
END_TEST

int
main(void)
{
    TCase *tests = tests_begin("measure-switch-port");

    tcase_add_test(tests, ports_keep_their_numbers);
    tcase_add_test(tests, ports_above_the_last_number_get_none);
    tcase_add_test(tests, no_port_has_no_name);
    tcase_add_test(tests, names_are_found_in_few_steps);
    tcase_add_test(tests, numbers_are_given_again);
    tcase_add_loop_test(tests, rows_name_the_right_port, 0, 3);
    return tests_run(tests);
}
