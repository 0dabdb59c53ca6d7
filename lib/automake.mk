# Licensed under the Apache License, Version 2.0: see the file COPYING.

# The measurement library, for the unit tests and the utilities.  In the
# switch the same files are compiled into libopenvswitch instead: keep this
# list and the one in datapath-hooks/ovs-measure.mk in step.
noinst_LIBRARIES += lib/libmeasure.a
lib_libmeasure_a_SOURCES = \
	lib/measure-alert.c \
	lib/measure-alert.h \
	lib/measure-cache.h \
	lib/measure-change.c \
	lib/measure-change.h \
	lib/measure-config.c \
	lib/measure-config.h \
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
	lib/measure-memory.c \
	lib/measure-memory.h \
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
	lib/measure-sizes.c \
	lib/measure-sizes.h \
	lib/measure-space-saving.c \
	lib/measure-space-saving.h \
	lib/measure-spreaders.c \
	lib/measure-spreaders.h \
	lib/measure-structure.c \
	lib/measure-structure.h \
	lib/measure-superspreader.c \
	lib/measure-superspreader.h \
	lib/measure-table-pointer.c \
	lib/measure-table-pointer.h \
	lib/measure-table.c \
	lib/measure-table.h \
	lib/measure-top.h
