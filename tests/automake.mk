# SPDX-License-Identifier: Apache-2.0

# Each test ends its output with a line such as
#
#     12 passed, 0 failed, 1 skipped
#
# or, when written with libcheck, with "100%: Checks: 12, Failures: 0,
# Errors: 0".  tests/scripts/count-results adds them up.  A test that cannot run
# at all exits with status 77 and says what it has left out.

AM_TESTS_ENVIRONMENT = \
	MEASURE_SOURCE='$(abs_top_srcdir)'; export MEASURE_SOURCE; \
	MEASURE_BUILD='$(abs_top_builddir)'; export MEASURE_BUILD; \
	UBSAN_OPTIONS=print_stacktrace=1; export UBSAN_OPTIONS;
LOG_COMPILER = $(TEST_PREFIX)

# Unit tests of the library, with libcheck: tests/unit/check-NAME is made from
# tests/unit/check-NAME.c, unless it has a list of sources below.  The fuzzer,
# without a fuzzing engine, is one more test.  Those that take long come first,
# so that others run beside them.
unit_tests = \
	tests/unit/check-bounds \
	tests/unit/check-flow-stages \
	tests/unit/check-pipeline \
	tests/unit/check-ring-model \
	tests/unit/check-aggregate \
	tests/unit/check-alert \
	tests/unit/check-capture \
	tests/unit/check-changes \
	tests/unit/check-config \
	tests/unit/check-count-array \
	tests/unit/check-count-min \
	tests/unit/check-crc32c \
	tests/unit/check-cuckoo \
	tests/unit/check-expectations \
	tests/unit/check-flow-cache \
	tests/unit/check-flow-state \
	tests/unit/check-group-cache \
	tests/unit/check-growth \
	tests/unit/check-handover \
	tests/unit/check-hash \
	tests/unit/check-heavy-hitters \
	tests/unit/check-hierarchy \
	tests/unit/check-language \
	tests/unit/check-memory \
	tests/unit/check-oracle \
	tests/unit/check-output \
	tests/unit/check-pace \
	tests/unit/check-packet-filter \
	tests/unit/check-packet-make \
	tests/unit/check-parse \
	tests/unit/check-pcapng \
	tests/unit/check-quantiles \
	tests/unit/check-raise \
	tests/unit/check-record \
	tests/unit/check-record-file \
	tests/unit/check-report \
	tests/unit/check-ring \
	tests/unit/check-shared \
	tests/unit/check-skew \
	tests/unit/check-space-saving \
	tests/unit/check-stages-keys \
	tests/unit/check-stages-rows \
	tests/unit/check-stages-write \
	tests/unit/check-stream-client \
	tests/unit/check-structure \
	tests/unit/check-superspreader \
	tests/unit/check-superspreaders \
	tests/unit/check-switch-port \
	tests/unit/check-table \
	tests/unit/check-table-pointer \
	tests/unit/check-tally \
	tests/unit/check-texts \
	tests/unit/check-units \
	tests/unit/check-write-pcapng \
	tests/unit/fuzz-capture \
	tests/unit/fuzz-language \
	tests/unit/fuzz-parse \
	tests/unit/fuzz-record-file
# Those that start threads.
threaded_tests = \
	tests/unit/check-pipeline \
	tests/unit/check-flow-stages \
	tests/unit/check-group-cache \
	tests/unit/check-handover \
	tests/unit/check-ring \
	tests/unit/check-shared \
	tests/unit/check-stream-client \
	tests/unit/check-write-pcapng
noinst_HEADERS += \
	tests/unit/check-answer.h \
	tests/unit/check-common.h \
	tests/unit/check-expectations.h \
	tests/unit/check-flow-cache.h \
	tests/unit/check-flow-stages.h \
	tests/unit/check-frames.h \
	tests/unit/check-json.h \
	tests/unit/check-packets.h \
	tests/unit/check-scopes.h \
	tests/unit/check-secret.h \
	tests/unit/check-stage.h \
	tests/unit/check-slots.h \
	tests/unit/check-structures.h \
	tests/unit/check-tally.h \
	tests/unit/oracle.h \
	tests/unit/oracle-questions.h \
	tests/unit/oracle-world.h
check_PROGRAMS += $(unit_tests)
AM_CFLAGS += $(CHECK_CFLAGS)
LDADD = lib/libovs-measure.la $(CHECK_LIBS)
# What the switch runs is tested, and --wrap does not reach shared libraries.
AM_LDFLAGS = -static
tests_unit_check_capture_SOURCES = tests/unit/check-capture.c \
	utilities/stream/stream-capture.c utilities/stream/stream-capture.h
tests_unit_check_capture_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/utilities/stream
tests_unit_check_capture_LDADD = $(LDADD) $(PCAP_LIBS)
tests_unit_check_packet_filter_SOURCES = tests/unit/check-packet-filter.c \
	utilities/stream/stream-pcap-filter.c \
	utilities/stream/stream-pcap-filter.h
tests_unit_check_packet_filter_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/utilities/stream
tests_unit_check_packet_filter_LDADD = $(LDADD) $(PCAP_LIBS)
tests_unit_check_parse_LDADD = $(LDADD) $(PCAP_LIBS)
tests_unit_check_write_pcapng_SOURCES = tests/unit/check-write-pcapng.c \
	utilities/stream/stream-pcap-filter.c \
	utilities/stream/stream-pcap-filter.h
tests_unit_check_write_pcapng_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/utilities/stream
tests_unit_check_write_pcapng_LDADD = $(LDADD) $(PCAP_LIBS) -lpthread
tests_unit_fuzz_capture_SOURCES = tests/unit/fuzz-capture.c \
	utilities/stream/stream-capture.c utilities/stream/stream-capture.h \
	utilities/stream/stream-pcap-filter.c \
	utilities/stream/stream-pcap-filter.h
tests_unit_fuzz_capture_CPPFLAGS = $(AM_CPPFLAGS) \
	-I$(top_srcdir)/utilities/stream
tests_unit_fuzz_capture_LDADD = $(LDADD) $(PCAP_LIBS)
tests_unit_check_pcapng_LDADD = $(LDADD) $(PCAP_LIBS)
tests_unit_check_flow_stages_LDADD = $(LDADD) $(PCAP_LIBS) -lpthread
tests_unit_check_group_cache_LDADD = $(LDADD) -lpthread
tests_unit_check_handover_LDADD = $(LDADD) -lpthread
tests_unit_check_ring_LDADD = $(LDADD) -lpthread
tests_unit_check_shared_SOURCES = tests/unit/check-shared.c \
	bench/library/contenders/measure-shared.c
tests_unit_check_table_pointer_SOURCES = tests/unit/check-table-pointer.c \
	bench/library/contenders/measure-table-pointer.c
tests_unit_check_pipeline_LDADD = $(LDADD) -lpthread
tests_unit_check_shared_LDADD = $(LDADD) -lpthread
tests_unit_check_superspreader_LDADD = $(LDADD) -lpthread
tests_unit_check_bounds_LDADD = $(LDADD) -lm -lpthread
tests_unit_check_count_min_LDADD = $(LDADD) -lm
tests_unit_check_oracle_SOURCES = \
	tests/unit/check-oracle.c \
	tests/unit/oracle.c \
	tests/unit/oracle-changes.c \
	tests/unit/oracle-distribution.c \
	tests/unit/oracle-heavy-hitters.c \
	tests/unit/oracle-hierarchy.c \
	tests/unit/oracle-questions.c \
	tests/unit/oracle-superspreaders.c \
	tests/unit/oracle-world.c
tests_unit_check_oracle_LDADD = $(LDADD) -lm
# What the packet path must not call, for WRAP() in tests/unit/check-tally.c.
tests_unit_check_tally_LDADD = $(LDADD) -lpthread
tests_unit_check_tally_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free \
	-Wl,--wrap=aligned_alloc \
	-Wl,--wrap=mmap,--wrap=munmap,--wrap=madvise \
	-Wl,--wrap=pthread_mutex_lock,--wrap=pthread_spin_lock \
	-Wl,--wrap=pthread_rwlock_rdlock,--wrap=pthread_rwlock_wrlock
tests_unit_check_report_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=mmap,--wrap=realloc \
	-Wl,--wrap=aligned_alloc

# Tests of the scripts and utilities that need no switch.
script_tests = \
	bench/library/check \
	tests/replay/replay-pcap \
	tests/replay/stream-tool \
	tests/scripts/bench-output \
	tests/scripts/check-house \
	tests/scripts/count-results-test \
	tests/scripts/documentation-test \
	tests/scripts/extending-test \
	tests/scripts/install-test \
	tests/scripts/patch-apply \
	tests/scripts/read-stream-test \
	tests/scripts/stages-test

# Tests that fetch something.
fetching_tests = ovs-patches/check-versions

# Our tests of the patched switch, with dummy ports.
switch_tests = tests/switch/switch-testsuite
switch_suite = \
	tests/switch/testsuite.at \
	tests/switch/measure-commands.at \
	tests/switch/measure-completion.at \
	tests/switch/measure-config.at \
	tests/switch/measure-epochs.at \
	tests/switch/measure-frames.at \
	tests/switch/measure-macros.at \
	tests/switch/measure-memory.at \
	tests/switch/measure-questions.at \
	tests/switch/measure-watch.at \
	tests/switch/measure-pmd.at \
	tests/switch/measure-ports.at \
	tests/switch/measure-stream.at \
	tests/switch/measure-structures.at \
	tests/switch/measure-stream-tool.at \
	tests/switch/measure-tunnels.at
if BUILD_OVS
check_DATA += tests/switch/testsuite $(wrapped_switches)
endif
CLEANFILES += tests/switch/testsuite
CLEAN_LOCAL += clean-switch-tests

# With the macros of Open vSwitch's own test suite.
AUTOM4TE = autom4te
tests/switch/testsuite: $(switch_suite) ovs.source
	$(AM_V_GEN)$(MKDIR_P) tests/switch && \
	$(AUTOM4TE) --language=autotest -I $(srcdir) -I ovs -o $@ \
	    $(srcdir)/tests/switch/testsuite.at

# Switches whose measure_batch__() is wrapped by the source named after them.
wrapped_switches = \
	ovs/vswitchd/ovs-vswitchd-batch-gathering \
	ovs/vswitchd/ovs-vswitchd-input-switching
EXTRA_DIST += \
	tests/switch/batch-gathering.c \
	tests/switch/input-switching.c
ovs/vswitchd/ovs-vswitchd-batch-gathering: tests/switch/batch-gathering.c
ovs/vswitchd/ovs-vswitchd-input-switching: tests/switch/input-switching.c
$(wrapped_switches): ovs.built
	$(MAKE) -C ovs -f $(abs_srcdir)/ovs-patches/generated.mk \
	    WRAPPER='$(abs_srcdir)/tests/switch/$(@F:ovs-vswitchd-%=%).c' \
	    vswitchd/$(@F)
.PHONY: clean-switch-tests
clean-switch-tests:
	-rm -rf tests/switch/work

# Captures, replayed through the patched switch and DPDK.
replay_tests = \
	tests/replay/bench-overhead \
	tests/replay/replay-answers \
	tests/replay/replay-errors \
	tests/replay/replay-malformed \
	tests/replay/replay-truth \
	tests/replay/schemas-test \
	tests/replay/soak-test

# Commands of 'make check-long', each an argument of tests/scripts/check-long.
long_tests = \
	'tests/replay/soak --minutes=10' \
	'$$MEASURE_BUILD/tests/unit/check-oracle --minutes=10' \
	'$$MEASURE_BUILD/tests/unit/fuzz-capture --minutes=10' \
	'$$MEASURE_BUILD/tests/unit/fuzz-parse --minutes=10' \
	'$$MEASURE_BUILD/tests/unit/fuzz-record-file --minutes=10'

# Open vSwitch's own tests.
ovs_tests = tests/switch/ovs-testsuite

TESTS += $(unit_tests) $(script_tests) $(fetching_tests)
if BUILD_OVS
TESTS += $(switch_tests)
if HAVE_DPDK
TESTS += $(replay_tests)
endif
TESTS += $(ovs_tests)
endif

EXTRA_DIST += \
	$(script_tests) \
	$(switch_tests) \
	$(switch_suite) \
	$(replay_tests) \
	$(ovs_tests) \
	tests/scripts/check-long \
	tests/switch/control.py \
	tests/scripts/count-results \
	tests/switch/dummy-switch \
	tests/switch/stream_reader.py \
	tests/replay/replaying.py \
	tests/replay/soak \
	tests/replay/soak_questions.py \
	tests/replay/soak_switch.py

# Parts of 'make check', and the sum over the last one.  Some tests can run
# beside each other; the others need the machine for themselves.
beside_tests = tests/replay/stream-tool $(unit_tests)
CLEANFILES += test-suite-beside.log
.PHONY: check-house check-unit check-threads check-switch check-count \
    check-long check-beside check-alone
check-beside:
	$(MAKE) check TESTS='$(beside_tests)' \
	    TEST_SUITE_LOG=test-suite-beside.log
check-alone:
	$(MAKE) check TESTS="`echo ' $(TESTS) ' \
	    | awk -v beside=' $(beside_tests) ' -v RS=' ' \
	        'NF && !index(beside, " " $$0 " ")'`"
check-house:
	$(srcdir)/tests/scripts/check-house
check-unit:
	$(MAKE) check TESTS='$(unit_tests) tests/replay/replay-pcap'
check-threads:
	$(MAKE) check TESTS='$(threaded_tests)'
check-switch:
	$(MAKE) check TESTS='$(switch_tests)'
check-count:
	@$(srcdir)/tests/scripts/count-results $(TEST_LOGS)
check-long:
	@$(AM_TESTS_ENVIRONMENT) $(srcdir)/tests/scripts/check-long $(long_tests)
