# Included by Open vSwitch's Makefile.am: the sources of ovs-measure.

lib_libopenvswitch_la_SOURCES += \
	lib/dpif-netdev-measure.c \
	lib/dpif-netdev-measure.h \
	lib/measure-alert.c \
	lib/measure-alert.h \
	lib/measure-answer.c \
	lib/measure-answer.h \
	lib/measure-arguments.c \
	lib/measure-arguments.h \
	lib/measure-cache.h \
	lib/measure-change.c \
	lib/measure-change.h \
	lib/measure-command.c \
	lib/measure-config.c \
	lib/measure-config.h \
	lib/measure-control.c \
	lib/measure-count-array.c \
	lib/measure-count-array.h \
	lib/measure-count-min.c \
	lib/measure-count-min.h \
	lib/measure-cuckoo.c \
	lib/measure-cuckoo.h \
	lib/measure-distribution.c \
	lib/measure-distribution.h \
	lib/measure-epoch.c \
	lib/measure-epoch.h \
	lib/measure-estimate.c \
	lib/measure-estimate.h \
	lib/measure-filter.c \
	lib/measure-filter.h \
	lib/measure-group.c \
	lib/measure-group.h \
	lib/measure-grouping.c \
	lib/measure-grouping.h \
	lib/measure-groups.c \
	lib/measure-groups.h \
	lib/measure-growth.c \
	lib/measure-growth.h \
	lib/measure-hash.h \
	lib/measure-heavy-hitters.c \
	lib/measure-heavy-hitters.h \
	lib/measure-history.c \
	lib/measure-history.h \
	lib/measure-memory.c \
	lib/measure-memory.h \
	lib/measure-metrics.c \
	lib/measure-monitor.c \
	lib/measure-monitor.h \
	lib/measure-number.c \
	lib/measure-number.h \
	lib/measure-output.c \
	lib/measure-output.h \
	lib/measure-pace.c \
	lib/measure-pace.h \
	lib/measure-parse.c \
	lib/measure-parse.h \
	lib/measure-partition.c \
	lib/measure-partition.h \
	lib/measure-port.c \
	lib/measure-port.h \
	lib/measure-prefetch.c \
	lib/measure-prefetch.h \
	lib/measure-prefixes.c \
	lib/measure-prefixes.h \
	lib/measure-query.c \
	lib/measure-query.h \
	lib/measure-record.c \
	lib/measure-record.h \
	lib/measure-report-structures.c \
	lib/measure-report-structures.h \
	lib/measure-report.c \
	lib/measure-report.h \
	lib/measure-scope.c \
	lib/measure-scope.h \
	lib/measure-shared.c \
	lib/measure-shared.h \
	lib/measure-sets.c \
	lib/measure-sets.h \
	lib/measure-sizes.c \
	lib/measure-sizes.h \
	lib/measure-space-saving.c \
	lib/measure-space-saving.h \
	lib/measure-spreaders.c \
	lib/measure-spreaders.h \
	lib/measure-status.c \
	lib/measure-structure.c \
	lib/measure-structure.h \
	lib/measure-superspreader.c \
	lib/measure-superspreader.h \
	lib/measure-table-pointer.c \
	lib/measure-table-pointer.h \
	lib/measure-table.c \
	lib/measure-table.h \
	lib/measure-tasks.c \
	lib/measure-tasks.h \
	lib/measure-top.h \
	lib/measure-worker.c \
	lib/measure-worker.h
EXTRA_DIST += lib/ovs-measure.mk

# What this version of Open vSwitch has.
lib/measure-ovs.h: lib/unixctl.h
	$(AM_V_GEN)if grep unixctl_command_reply_json $(srcdir)/lib/unixctl.h \
	    > /dev/null; then json=1; else json=0; fi && \
	echo "#define MEASURE_OVS_JSON_REPLY $$json" > $@
BUILT_SOURCES += lib/measure-ovs.h
CLEANFILES += lib/measure-ovs.h
