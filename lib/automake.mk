# Licensed under the Apache License, Version 2.0: see the file COPYING.

# libovs-measure: knows neither Open vSwitch nor DPDK.  The switch and the
# tests are linked with the static library, the utilities with the shared one.
lib_LTLIBRARIES += lib/libovs-measure.la
lib_libovs_measure_la_SOURCES = \
	lib/measure-alert.c \
	lib/measure-change.c \
	lib/measure-config.c \
	lib/measure-count-array.c \
	lib/measure-count-min.c \
	lib/measure-cuckoo.c \
	lib/measure-distribution.c \
	lib/measure-epoch.c \
	lib/measure-estimate.c \
	lib/measure-filter.c \
	lib/measure-group.c \
	lib/measure-grouping.c \
	lib/measure-groups.c \
	lib/measure-growth.c \
	lib/measure-heavy-hitters.c \
	lib/measure-memory.c \
	lib/measure-number.c \
	lib/measure-output.c \
	lib/measure-pace.c \
	lib/measure-parse.c \
	lib/measure-partition.c \
	lib/measure-port.c \
	lib/measure-prefixes.c \
	lib/measure-query.c \
	lib/measure-record.c \
	lib/measure-report-structures.c \
	lib/measure-report.c \
	lib/measure-scope.c \
	lib/measure-shared.c \
	lib/measure-sizes.c \
	lib/measure-space-saving.c \
	lib/measure-spreaders.c \
	lib/measure-structure.c \
	lib/measure-superspreader.c \
	lib/measure-table-pointer.c \
	lib/measure-table.c \
	$(measure_headers)
lib_libovs_measure_la_LIBADD = -lm
# -version-info CURRENT:REVISION:AGE: see "Updating library version
# information" in the manual of libtool.
lib_libovs_measure_la_LDFLAGS = -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(srcdir)/lib/libovs-measure.map
EXTRA_lib_libovs_measure_la_DEPENDENCIES = lib/libovs-measure.map
EXTRA_DIST += lib/libovs-measure.map

measure_headersdir = $(includedir)/ovs-measure
measure_headers = \
	lib/measure-alert.h \
	lib/measure-cache.h \
	lib/measure-change.h \
	lib/measure-config.h \
	lib/measure-count-array.h \
	lib/measure-count-min.h \
	lib/measure-cuckoo.h \
	lib/measure-distribution.h \
	lib/measure-epoch.h \
	lib/measure-estimate.h \
	lib/measure-filter.h \
	lib/measure-group.h \
	lib/measure-grouping.h \
	lib/measure-groups.h \
	lib/measure-growth.h \
	lib/measure-hash.h \
	lib/measure-heavy-hitters.h \
	lib/measure-memory.h \
	lib/measure-number.h \
	lib/measure-output.h \
	lib/measure-pace.h \
	lib/measure-parse.h \
	lib/measure-partition.h \
	lib/measure-port.h \
	lib/measure-prefixes.h \
	lib/measure-query.h \
	lib/measure-record.h \
	lib/measure-report-structures.h \
	lib/measure-report.h \
	lib/measure-scope.h \
	lib/measure-shared.h \
	lib/measure-sizes.h \
	lib/measure-space-saving.h \
	lib/measure-spreaders.h \
	lib/measure-structure.h \
	lib/measure-superspreader.h \
	lib/measure-table-pointer.h \
	lib/measure-table.h \
	lib/measure-top.h
measure_headers_HEADERS = $(measure_headers)

pkgconfig_DATA = lib/libovs-measure.pc
