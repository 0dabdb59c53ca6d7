/*
 * Copyright (c) 2026 The ovs-measure developers.
 *
 * Licensed under the Apache License, Version 2.0 (the "License");
 * you may not use this file except in compliance with the License.
 * You may obtain a copy of the License at:
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS,
 * WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
 * See the License for the specific language governing permissions and
 * limitations under the License.
 */

#include <config.h>

#include "check-common.h"
#include "measure-port.h"

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
    ck_assert_uint_eq(ports.n_refused, 0);
    measure_port_names_destroy(&ports);
}
END_TEST

START_TEST(ports_without_a_number_are_counted)
{
    static struct measure_port_names ports;
    char name[32];

    memset(&ports, 0, sizeof ports);
    for (int i = 1; i <= MEASURE_MAX_PORT + 3; i++) {
        snprintf(name, sizeof name, "port%d", i);
        ck_assert_int_eq(measure_port_number(&ports, name),
                         i <= MEASURE_MAX_PORT ? i : 0);
    }
    ck_assert_uint_eq(ports.n_refused, 3);
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

int
main(void)
{
    TCase *tests = tests_begin("measure-port");

    tcase_add_test(tests, ports_keep_their_numbers);
    tcase_add_test(tests, ports_without_a_number_are_counted);
    tcase_add_test(tests, no_port_has_no_name);
    return tests_run(tests);
}
