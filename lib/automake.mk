# SPDX-License-Identifier: Apache-2.0

# libovs-measure: knows neither Open vSwitch nor DPDK.  The switch and the
# tests are linked with the static library, the utilities with the shared one.
#
# These are all sources, in the order of their folders: each uses only what
# stands above it.
measure_sources = \
	lib/base/measure-base.c \
	lib/base/measure-crc32c.c \
	lib/base/measure-hash.c \
	lib/base/measure-memory.c \
	lib/base/measure-number.c \
	lib/base/measure-output.c \
	lib/base/measure-pace.c \
	lib/base/measure-text.c \
	lib/base/measure-units.c \
	lib/key/measure-filter.c \
	lib/key/measure-group-by.c \
	lib/key/measure-parse.c \
	lib/key/measure-record.c \
	lib/key/measure-switch-port.c \
	lib/structures/measure-count-array.c \
	lib/structures/measure-count-min.c \
	lib/structures/measure-cuckoo.c \
	lib/structures/measure-heavy-keys.c \
	lib/structures/measure-space-saving.c \
	lib/structures/measure-structure.c \
	lib/structures/measure-superspreader.c \
	lib/structures/measure-table.c \
	lib/tally/measure-config.c \
	lib/tally/measure-growth.c \
	lib/tally/measure-tally.c \
	lib/report/measure-aggregate.c \
	lib/report/measure-expectations.c \
	lib/report/measure-group-cache.c \
	lib/report/measure-merge.c \
	lib/report/measure-partition.c \
	lib/report/measure-report-estimates.c \
	lib/report/measure-report.c \
	lib/questions/measure-alert.c \
	lib/questions/measure-arguments.c \
	lib/questions/measure-changes.c \
	lib/questions/measure-distribution.c \
	lib/questions/measure-heavy-hitters.c \
	lib/questions/measure-hierarchy.c \
	lib/questions/measure-quantiles.c \
	lib/questions/measure-query.c \
	lib/questions/measure-question.c \
	lib/questions/measure-raise.c \
	lib/questions/measure-scope.c \
	lib/questions/measure-superspreaders.c \
	lib/questions/measure-threshold.c \
	lib/stream/measure-chain.c \
	lib/stream/measure-flow-state.c \
	lib/stream/measure-key-table.c \
	lib/stream/measure-language.c \
	lib/stream/measure-packet-make.c \
	lib/stream/measure-packet-runner.c \
	lib/stream/measure-packet-write.c \
	lib/stream/measure-pcapng.c \
	lib/stream/measure-pipeline.c \
	lib/stream/measure-record-file.c \
	lib/stream/measure-record-reader.c \
	lib/stream/measure-record-writer.c \
	lib/stream/measure-ring.c \
	lib/stream/measure-row-cell.c \
	lib/stream/measure-row-map.c \
	lib/stream/measure-row-runner.c \
	lib/stream/measure-row-table.c \
	lib/stream/measure-row-write.c \
	lib/stream/measure-row.c \
	lib/stream/measure-source.c \
	lib/stream/measure-stage.c \
	lib/stream/measure-stream-account.c \
	lib/stream/measure-stream-client.c \
	lib/stream/measure-stream-connection.c \
	lib/stream/measure-stream-feed.c \
	lib/stages/measure-stage-count.c \
	lib/stages/measure-stage-distinct.c \
	lib/stages/measure-stage-ewma.c \
	lib/stages/measure-stage-features.c \
	lib/stages/measure-stage-flowlets.c \
	lib/stages/measure-stage-half-open.c \
	lib/stages/measure-stage-histogram.c \
	lib/stages/measure-stage-microbursts.c \
	lib/stages/measure-stage-out-of-order.c \
	lib/stages/measure-stage-rtt.c \
	lib/stages/measure-stage-top.c \
	lib/stages/measure-stage-where.c \
	lib/stages/measure-stage-window.c \
	lib/stages/measure-stage-write.c \
	lib/stages/measure-stages.c \
	lib/stages/measure-write-alerts.c \
	lib/stages/measure-write-csv.c \
	lib/stages/measure-write-format.c \
	lib/stages/measure-write-json.c \
	lib/stages/measure-write-pcapng.c \
	lib/stages/measure-write-records.c \
	lib/stages/measure-write-text.c

lib_LTLIBRARIES += lib/libovs-measure.la
lib_libovs_measure_la_SOURCES = $(measure_sources) \
	$(measure_base_HEADERS) \
	$(measure_key_HEADERS) \
	$(measure_structures_HEADERS) \
	$(measure_tally_HEADERS) \
	$(measure_report_HEADERS) \
	$(measure_questions_HEADERS) \
	$(measure_stream_HEADERS) \
	$(measure_stages_HEADERS)
lib_libovs_measure_la_LIBADD = $(ZSTD_LIBS) -lm -lpthread
# Much of the library is compiled into its users, with the structures: until
# there is an interface that lasts, each release is a library of its own.
lib_libovs_measure_la_LDFLAGS = -release $(PACKAGE_VERSION) -no-undefined \
	-Wl,--version-script=$(srcdir)/lib/libovs-measure.map
EXTRA_lib_libovs_measure_la_DEPENDENCIES = lib/libovs-measure.map
EXTRA_DIST += lib/libovs-measure.map

# Each in the folder that an #include names.
measure_basedir = $(includedir)/ovs-measure/base
measure_base_HEADERS = \
	lib/base/measure-base.h \
	lib/base/measure-crc32c.h \
	lib/base/measure-hash.h \
	lib/base/measure-memory.h \
	lib/base/measure-number.h \
	lib/base/measure-output.h \
	lib/base/measure-pace.h \
	lib/base/measure-text.h \
	lib/base/measure-top.h \
	lib/base/measure-units.h
measure_keydir = $(includedir)/ovs-measure/key
measure_key_HEADERS = \
	lib/key/measure-filter.h \
	lib/key/measure-group-by.h \
	lib/key/measure-parse.h \
	lib/key/measure-record.h \
	lib/key/measure-switch-port.h
measure_structuresdir = $(includedir)/ovs-measure/structures
measure_structures_HEADERS = \
	lib/structures/measure-count-array.h \
	lib/structures/measure-count-min.h \
	lib/structures/measure-cuckoo.h \
	lib/structures/measure-heavy-keys.h \
	lib/structures/measure-space-saving.h \
	lib/structures/measure-structure-class.h \
	lib/structures/measure-structure-list.h \
	lib/structures/measure-structure.h \
	lib/structures/measure-superspreader.h \
	lib/structures/measure-table.h
measure_tallydir = $(includedir)/ovs-measure/tally
measure_tally_HEADERS = \
	lib/tally/measure-config.h \
	lib/tally/measure-flow-cache.h \
	lib/tally/measure-growth.h \
	lib/tally/measure-tally.h
measure_reportdir = $(includedir)/ovs-measure/report
measure_report_HEADERS = \
	lib/report/measure-aggregate.h \
	lib/report/measure-expectations.h \
	lib/report/measure-group-cache.h \
	lib/report/measure-merge.h \
	lib/report/measure-partition.h \
	lib/report/measure-report-estimates.h \
	lib/report/measure-report.h
measure_questionsdir = $(includedir)/ovs-measure/questions
measure_questions_HEADERS = \
	lib/questions/measure-alert.h \
	lib/questions/measure-arguments.h \
	lib/questions/measure-changes.h \
	lib/questions/measure-distribution.h \
	lib/questions/measure-heavy-hitters.h \
	lib/questions/measure-hierarchy.h \
	lib/questions/measure-quantiles.h \
	lib/questions/measure-query.h \
	lib/questions/measure-question-list.h \
	lib/questions/measure-question.h \
	lib/questions/measure-raise.h \
	lib/questions/measure-scope.h \
	lib/questions/measure-superspreaders.h \
	lib/questions/measure-threshold.h
measure_streamdir = $(includedir)/ovs-measure/stream
measure_stream_HEADERS = \
	lib/stream/measure-chain.h \
	lib/stream/measure-flow-state.h \
	lib/stream/measure-key-table.h \
	lib/stream/measure-language.h \
	lib/stream/measure-packet-make.h \
	lib/stream/measure-packet-runner.h \
	lib/stream/measure-packet-write.h \
	lib/stream/measure-pcapng.h \
	lib/stream/measure-pipeline.h \
	lib/stream/measure-place.h \
	lib/stream/measure-record-file.h \
	lib/stream/measure-record-reader.h \
	lib/stream/measure-record-writer.h \
	lib/stream/measure-ring.h \
	lib/stream/measure-row-cell.h \
	lib/stream/measure-row-map.h \
	lib/stream/measure-row-runner.h \
	lib/stream/measure-row-table.h \
	lib/stream/measure-row-write.h \
	lib/stream/measure-row.h \
	lib/stream/measure-slot.h \
	lib/stream/measure-source.h \
	lib/stream/measure-stage.h \
	lib/stream/measure-stream-account.h \
	lib/stream/measure-stream-client.h \
	lib/stream/measure-stream-connection.h \
	lib/stream/measure-stream-feed.h \
	lib/stream/measure-stream-protocol.h
measure_stagesdir = $(includedir)/ovs-measure/stages
measure_stages_HEADERS = \
	lib/stream/measure-slot.h \
	lib/stream/measure-stream-protocol.h \
	lib/stream/measure-tcp.h \
	lib/stages/measure-stage-list.h \
	lib/stages/measure-stages.h \
	lib/stages/measure-write-format-list.h \
	lib/stages/measure-write-format.h

pkgconfig_DATA = lib/libovs-measure.pc lib/ovs-measure.pc
