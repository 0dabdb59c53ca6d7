/* SPDX-License-Identifier: Apache-2.0 */
/* What the database says: bridges, interfaces and their keys. */

#include <config.h>

#include "measure-settings.h"

#include "measure-control.h"
#include "measure-epochs.h"
#include "measure-merge-thread.h"
#include "measure-monitor.h"
#include "measure-port-table.h"
#include "measure-sizing.h"
#include "netdev-provider.h"
#include "netdev-vport.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "seq.h"
#include "smap.h"
#include "sset.h"
#include "util.h"
#include "vswitch-idl.h"

VLOG_DEFINE_THIS_MODULE(measure_settings);

static bool configured;             /* Main thread only. */

static void
start_monitor(struct monitor *monitor)
    OVS_REQUIRES(measure_mutex)
{
    measure_control_start();
    monitor->running = true;
    measure_epochs_begin(monitor);
    VLOG_INFO("%s: measurement is on", monitor->name);
}

/* What is not configured anew will be gone. */
static void
configure_begin(void)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        monitor->named = false;
    }
    measure_port_configs_begin();
}

static void
configure_setting(struct monitor *monitor, enum measure_setting setting,
                  const char *value)
{
    const struct measure_setting_info *info = &measure_settings[setting];
    char **rejected = &monitor->rejected[setting];

    if (measure_config_set(&monitor->config, setting,
                           value ? value : info->default_value)) {
        free(*rejected);
        *rejected = NULL;
    } else if (!nullable_string_is_equal(*rejected, value)) {
        char *valid = measure_setting_valid(setting);

        VLOG_WARN("%s: other_config:%s=%s is not valid, the old setting stays;"
                  " valid is %s", monitor->name, info->name, value, valid);
        free(valid);
        free(*rejected);
        *rejected = xstrdup(value);
    }
}

static bool
is_setting(const char *key)
{
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        if (!strcmp(key, measure_settings[i].name)) {
            return true;
        }
    }
    return false;
}

/* A mistyped key would otherwise do nothing and say nothing. */
static void
warn_of_unknown_keys(struct monitor *monitor, const struct smap *config)
{
    const struct smap_node *node;

    SMAP_FOR_EACH (node, config) {
        if (!strncmp(node->key, "measure", strlen("measure"))
            && !is_setting(node->key)
            && sset_add(&monitor->unknown, node->key)) {
            struct ds valid = DS_EMPTY_INITIALIZER;

            for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
                ds_put_format(&valid, "%s%s", i ? ", " : "",
                              measure_settings[i].name);
            }
            VLOG_WARN("%s: other_config:%s=%s is not a known key; valid are "
                      "%s", monitor->name, node->key, node->value,
                      ds_cstr(&valid));
            ds_destroy(&valid);
        }
    }
}

/* Configures the bridge 'name'.  Its local port is measured, too, unless
 * measure_port_configure() says otherwise.  Returns its monitor if it is
 * measured, else NULL. */
static struct monitor *
configure_bridge(const char *name, const struct smap *config)
    OVS_REQUIRES(measure_mutex)
{
    struct monitor *monitor = shash_find_data(&measure_monitors, name);

    if (!monitor) {
        if (!smap_get(config, measure_settings[0].name)) {
            return NULL;
        }
        monitor = measure_monitor_create(name);
        shash_add(&measure_monitors, name, monitor);
    }
    monitor->named = true;
    for (int i = 0; i < MEASURE_N_SETTINGS; i++) {
        configure_setting(monitor, i,
                          smap_get(config, measure_settings[i].name));
    }
    warn_of_unknown_keys(monitor, config);
    if (!monitor->config.enable) {
        return NULL;
    }
    measure_port_config_add(monitor, name);
    return monitor;
}

/* Puts the configuration into effect. */
static void
configure_end(void)
    OVS_REQUIRES(measure_mutex)
{
    struct shash_node *node;

    measure_port_configs_forget();
    SHASH_FOR_EACH (node, &measure_monitors) {
        struct monitor *monitor = node->data;
        bool enable = monitor->named && monitor->config.enable;

        measure_sizing_apply_limit(monitor);
        monitor->stopping = monitor->running && !enable;
        if (monitor->stopping) {
            monitor->running = false;
        } else if (enable && !monitor->running) {
            start_monitor(monitor);
        } else if (enable && (monitor->config.key != monitor->key_kind
                              || monitor->config.tiers != monitor->tiers
                              || (monitor->config.memory_mb
                                  < monitor->memory_mb)
                              || (monitor->config.structure
                                  != monitor->structure))) {
            measure_epochs_close(monitor);
        }
    }
    measure_port_table_update();
    SHASH_FOR_EACH_SAFE (node, &measure_monitors) {
        struct monitor *monitor = node->data;

        if (monitor->stopping) {
            measure_epochs_close(monitor);
            monitor->stopping = false;
            VLOG_INFO("%s: measurement is off", monitor->name);
        }
        measure_sizing_apply_limit(monitor);
        if (!monitor->named) {
            shash_delete(&measure_monitors, node);
            measure_merge_retire(monitor);
        }
    }
    measure_control_wake();
    seq_change(measure_stream_seq);
}

/* Configures an interface of 'monitor'.  A tunnel port has another name in the
 * datapath, which is known once it exists. */
static void
configure_interface(struct monitor *monitor,
                    const struct ovsrec_interface *iface)
    OVS_REQUIRES(measure_mutex)
{
    struct netdev *netdev = netdev_from_name(iface->name);
    char namebuf[NETDEV_VPORT_NAME_BUFSIZE];

    measure_port_configure(monitor, netdev
                           ? netdev_vport_get_dpif_port(netdev, namebuf,
                                                        sizeof namebuf)
                           : iface->name, &iface->other_config);
    netdev_close(netdev);
}

/* Measures the bridges and ports that 'cfg' says. */
void
measure_configure(const struct ovsrec_open_vswitch *cfg)
{
    measure_init();
    ovs_mutex_lock(&measure_mutex);
    configure_begin();
    for (size_t i = 0; i < cfg->n_bridges; i++) {
        const struct ovsrec_bridge *bridge = cfg->bridges[i];

        struct monitor *monitor = configure_bridge(bridge->name,
                                                   &bridge->other_config);

        for (size_t j = 0; monitor && j < bridge->n_ports; j++) {
            const struct ovsrec_port *port = bridge->ports[j];

            for (size_t k = 0; k < port->n_interfaces; k++) {
                configure_interface(monitor, port->interfaces[k]);
            }
        }
    }
    configure_end();
    ovs_mutex_unlock(&measure_mutex);
    configured = true;
}

/* Returns false as long as the bridges are not known. */
bool
measure_is_configured(void)
{
    return configured;
}
