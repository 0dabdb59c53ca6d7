# Licensed under the Apache License, Version 2.0: see the file COPYING.

# Compiled inside Open vSwitch only, by way of ovs-measure.mk: nothing to
# build here.
measure_hooks = \
	datapath-hooks/dpif-netdev-measure.c \
	datapath-hooks/dpif-netdev-measure.h \
	datapath-hooks/measure-answer.c \
	datapath-hooks/measure-answer.h \
	datapath-hooks/measure-arguments.c \
	datapath-hooks/measure-arguments.h \
	datapath-hooks/measure-command.c \
	datapath-hooks/measure-control.c \
	datapath-hooks/measure-history.c \
	datapath-hooks/measure-history.h \
	datapath-hooks/measure-metrics.c \
	datapath-hooks/measure-monitor.c \
	datapath-hooks/measure-monitor.h \
	datapath-hooks/measure-prefetch.c \
	datapath-hooks/measure-prefetch.h \
	datapath-hooks/measure-sets.c \
	datapath-hooks/measure-sets.h \
	datapath-hooks/measure-status.c \
	datapath-hooks/measure-tasks.c \
	datapath-hooks/measure-tasks.h \
	datapath-hooks/measure-worker.c \
	datapath-hooks/measure-worker.h \
	datapath-hooks/ovs-measure.mk

EXTRA_DIST += $(measure_hooks)
