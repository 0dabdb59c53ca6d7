/* SPDX-License-Identifier: Apache-2.0 */
/* The ports of datapaths, and who measures them. */

#ifndef MEASURE_PORT_TABLE_H
#define MEASURE_PORT_TABLE_H 1

#include "measure-monitor.h"

struct smap;

/* Ports, as configured and in datapaths
 * =====================================
 *
 * Which bridge a packet belongs to is decided by the port that it came in by.
 * The configuration says which monitor a port belongs to, by its name; the
 * datapath says which number it has, in whichever order the two come.
 *
 * Thread safety: 'measure_mutex'.  Only the main thread adds and removes
 * ports. */

void measure_port_configs_begin(void)
    OVS_REQUIRES(measure_mutex);
void measure_port_config_add(struct monitor *, const char *port)
    OVS_REQUIRES(measure_mutex);
void measure_port_configure(struct monitor *, const char *port,
                            const struct smap *config)
    OVS_REQUIRES(measure_mutex);
void measure_port_configs_forget(void)
    OVS_REQUIRES(measure_mutex);
void measure_port_table_update(void)
    OVS_REQUIRES(measure_mutex);
void measure_ports_number(struct monitor *)
    OVS_REQUIRES(measure_mutex);
void measure_ports_names(const struct monitor *, struct sset *names)
    OVS_REQUIRES(measure_mutex);

#endif /* measure-port-table.h */
