# SPDX-License-Identifier: Apache-2.0

# Compiled inside Open vSwitch only, nothing to build here: ovs-patches/apply
# copies the sources in this list, all of them, into the lib/ of its tree.
measure_hooks = \
	datapath-hooks/packet/dpif-netdev-measure.c \
	datapath-hooks/packet/dpif-netdev-measure.h \
	datapath-hooks/packet/measure-prefetch.c \
	datapath-hooks/packet/measure-prefetch.h \
	datapath-hooks/packet/measure-stream-producer.c \
	datapath-hooks/packet/measure-stream-producer.h \
	datapath-hooks/control/measure-control.c \
	datapath-hooks/control/measure-control.h \
	datapath-hooks/control/measure-epochs.c \
	datapath-hooks/control/measure-epochs.h \
	datapath-hooks/control/measure-findings.c \
	datapath-hooks/control/measure-findings.h \
	datapath-hooks/control/measure-history.c \
	datapath-hooks/control/measure-history.h \
	datapath-hooks/control/measure-merge-thread.c \
	datapath-hooks/control/measure-merge-thread.h \
	datapath-hooks/control/measure-monitor.c \
	datapath-hooks/control/measure-monitor.h \
	datapath-hooks/control/measure-port-table.c \
	datapath-hooks/control/measure-port-table.h \
	datapath-hooks/control/measure-readers.c \
	datapath-hooks/control/measure-readers.h \
	datapath-hooks/control/measure-settings.c \
	datapath-hooks/control/measure-settings.h \
	datapath-hooks/control/measure-shared-ring.c \
	datapath-hooks/control/measure-shared-ring.h \
	datapath-hooks/control/measure-sizing.c \
	datapath-hooks/control/measure-sizing.h \
	datapath-hooks/control/measure-stream.c \
	datapath-hooks/control/measure-stream.h \
	datapath-hooks/control/measure-supply.c \
	datapath-hooks/control/measure-supply.h \
	datapath-hooks/control/measure-threads.c \
	datapath-hooks/control/measure-threads.h \
	datapath-hooks/control/measure-watch.c \
	datapath-hooks/control/measure-watch.h \
	datapath-hooks/commands/measure-answers.c \
	datapath-hooks/commands/measure-answers.h \
	datapath-hooks/commands/measure-command.c \
	datapath-hooks/commands/measure-command.h \
	datapath-hooks/commands/measure-metrics.c \
	datapath-hooks/commands/measure-requests.c \
	datapath-hooks/commands/measure-requests.h \
	datapath-hooks/commands/measure-status.c \
	datapath-hooks/ovs-measure.mk

EXTRA_DIST += $(measure_hooks)
