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

#ifndef MEASURE_PORT_H
#define MEASURE_PORT_H 1

#include <stdint.h>

#include "measure-record.h"

/* Numbers for the ports of the switch
 * ===================================
 *
 * A flow key has 12 bits for the port that its packets came in by.  A monitor
 * gives each of its ports a number, from 1 in the order in which it meets
 * them, and keeps it for as long as it exists: reports of old epochs name
 * ports by it.  A port that comes back under its old name gets its old number.
 * When MEASURE_MAX_PORT numbers are given away, further ports get 0, which is
 * no port; 'n_refused' says how many did.
 *
 * Memory: 8 bytes for each possible number, and the names.
 *
 * Thread safety: measure_port_number() by one thread at a time;
 * measure_port_name() by any thread at any time. */

struct measure_port_names {
    char *names[MEASURE_MAX_PORT + 1];  /* Atomic.  NULL if not given away. */
    uint64_t n_refused;
};

uint16_t measure_port_number(struct measure_port_names *, const char *name);
const char *measure_port_name(const struct measure_port_names *,
                              uint16_t number);
void measure_port_names_destroy(struct measure_port_names *);

#endif /* measure-port.h */
