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

#include "measure-port.h"

#include <stdlib.h>
#include <string.h>

#include "measure-memory.h"

/* Returns the number of port 'name', which it gets now unless it has one, or 0
 * if there are no numbers left. */
uint16_t
measure_port_number(struct measure_port_names *ports, const char *name)
{
    for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
        if (!ports->names[i]) {
            char *copy = measure_check_memory(strdup(name));

            __atomic_store_n(&ports->names[i], copy, __ATOMIC_RELEASE);
            return i;
        }
        if (!strcmp(ports->names[i], name)) {
            return i;
        }
    }
    ports->n_refused++;
    return 0;
}

/* Returns the name of the port with 'number', which stays valid until 'ports'
 * is destroyed, or NULL if that is none. */
const char *
measure_port_name(const struct measure_port_names *ports, uint16_t number)
{
    return (number > MEASURE_MAX_PORT ? NULL
            : __atomic_load_n(&ports->names[number], __ATOMIC_ACQUIRE));
}

void
measure_port_names_destroy(struct measure_port_names *ports)
{
    for (int i = 1; i <= MEASURE_MAX_PORT; i++) {
        free(ports->names[i]);
    }
}
