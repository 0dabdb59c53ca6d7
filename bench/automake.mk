# SPDX-License-Identifier: Apache-2.0

# Benchmarks.  See bench/README.md.

AM_CPPFLAGS += -I$(top_srcdir)/bench/library

# Structures of the papers that the switch has no use for.
bench_contenders = \
	bench/library/contenders/measure-shared.c \
	bench/library/contenders/measure-shared.h \
	bench/library/contenders/measure-table-pointer.c \
	bench/library/contenders/measure-table-pointer.h

check_PROGRAMS += bench/library/measure-bench
bench_library_measure_bench_SOURCES = \
	$(bench_contenders) \
	bench/library/accuracy.c \
	bench/library/accuracy.h \
	bench/library/beside.c \
	bench/library/beside.h \
	bench/library/burst.h \
	bench/library/changes.c \
	bench/library/changes.h \
	bench/library/contender.h \
	bench/library/entries.c \
	bench/library/entries.h \
	bench/library/linear.c \
	bench/library/linear.h \
	bench/library/measure-bench.c \
	bench/library/options.c \
	bench/library/options.h \
	bench/library/paper-ring.h \
	bench/library/pipeline-model.c \
	bench/library/pipeline-model.h \
	bench/library/pipeline-ours.c \
	bench/library/pipeline-ours.h \
	bench/library/pipeline-paper.c \
	bench/library/pipeline-paper.h \
	bench/library/pipeline-records.c \
	bench/library/pipeline-records.h \
	bench/library/pipeline-rounds.c \
	bench/library/pipeline-rounds.h \
	bench/library/pipeline.h \
	bench/library/results.c \
	bench/library/results.h \
	bench/library/ring-rounds.c \
	bench/library/ring-rounds.h \
	bench/library/ring.h \
	bench/library/rings.c \
	bench/library/rings.h \
	bench/library/shared.c \
	bench/library/shared.h \
	bench/library/sketches.c \
	bench/library/sketches.h \
	bench/library/superspreaders.c \
	bench/library/superspreaders.h \
	bench/library/support.c \
	bench/library/support.h \
	bench/library/tasks.c \
	bench/library/tasks.h \
	bench/library/traffic.c \
	bench/library/traffic.h \
	bench/library/variants.c \
	bench/library/variants.h
bench_library_measure_bench_CFLAGS = $(WARNING_CFLAGS) $(SANITIZER_CFLAGS)
bench_library_measure_bench_LDADD = $(bench_peers) lib/libovs-measure.la \
	$(PCAP_LIBS) -lpthread
bench_library_measure_bench_DEPENDENCIES = $(bench_peers) lib/libovs-measure.la
EXTRA_DIST += \
	bench/README.md \
	bench/library/instructions.json \
	bench/library/peer-ck.c \
	bench/library/peer-ck.h \
	bench/library/peer-cmap.c \
	bench/library/peer-cmap.h \
	bench/library/peer-dpdk.c \
	bench/library/peer-dpdk.h \
	bench/library/peer-rte-ring.c \
	bench/library/peer-rte-ring.h \
	bench/switch/ovs-overhead \
	bench/switch/overhead_cases.py \
	bench/switch/overhead_epochs.py \
	bench/switch/overhead_instructions.py \
	bench/switch/overhead_statistics.py \
	bench/switch/overhead_switch.py \
	bench/switch/overhead_traces.py

check_PROGRAMS += bench/library/merge-scale
bench_library_merge_scale_SOURCES = \
	bench/library/merge-epochs.c \
	bench/library/merge-epochs.h \
	bench/library/merge-hand-over.c \
	bench/library/merge-hand-over.h \
	bench/library/merge-load.c \
	bench/library/merge-load.h \
	bench/library/merge-questions.c \
	bench/library/merge-questions.h \
	bench/library/merge-scale.c \
	bench/library/support.c \
	bench/library/support.h
bench_library_merge_scale_LDADD = lib/libovs-measure.la -lpthread

# The peers are compiled with the flags of those that they come from.
bench_peers = \
	bench/library/peer-ck.o \
	bench/library/peer-cmap.o \
	bench/library/peer-dpdk.o \
	bench/library/peer-rte-ring.o
CLEANFILES += $(bench_peers)
bench_compile = $(MKDIR_P) bench/library && \
	$(CC) -Ilib -I$(srcdir)/lib -I$(srcdir)/bench/library
bench_compile_end = $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -c -o $@

peer_headers = bench/library/contender.h bench/library/ring.h \
	bench/library/support.h bench/library/traffic.h

bench/library/peer-ck.o: bench/library/peer-ck.c bench/library/peer-ck.h \
    $(peer_headers)
if BENCH_CK
	$(AM_V_CC)$(bench_compile) -I. -DBENCH_HAVE_CK \
	    -DBENCH_CK_VERSION='"$(CK_VERSION)"' $(CK_CFLAGS) \
	    $(bench_compile_end) $(srcdir)/bench/library/peer-ck.c
bench_library_measure_bench_LDADD += $(CK_LIBS)
else
	$(AM_V_CC)$(bench_compile) -I. $(bench_compile_end) \
	    $(srcdir)/bench/library/peer-ck.c
endif

bench/library/peer-dpdk.o: bench/library/peer-dpdk.c \
    bench/library/peer-dpdk.h $(peer_headers)
if BENCH_DPDK
	$(AM_V_CC)$(bench_compile) -I. -DBENCH_HAVE_DPDK \
	    -DALLOW_EXPERIMENTAL_API $(DPDK_CFLAGS) $(bench_compile_end) \
	    $(srcdir)/bench/library/peer-dpdk.c
bench_library_measure_bench_LDADD += $(DPDK_LIBS)
else
	$(AM_V_CC)$(bench_compile) -I. $(bench_compile_end) \
	    $(srcdir)/bench/library/peer-dpdk.c
endif

bench/library/peer-rte-ring.o: bench/library/peer-rte-ring.c \
    bench/library/peer-rte-ring.h $(peer_headers)
if BENCH_DPDK
	$(AM_V_CC)$(bench_compile) -I. -DBENCH_HAVE_DPDK $(DPDK_CFLAGS) \
	    $(bench_compile_end) $(srcdir)/bench/library/peer-rte-ring.c
else
	$(AM_V_CC)$(bench_compile) -I. $(bench_compile_end) \
	    $(srcdir)/bench/library/peer-rte-ring.c
endif

if BUILD_OVS
# With the configuration of Open vSwitch.
bench/library/peer-cmap.o: bench/library/peer-cmap.c \
    bench/library/peer-cmap.h $(peer_headers) ovs.built
	$(AM_V_CC)version=`sed -n 's/^#define PACKAGE_VERSION //p' \
	    ovs/config.h` && \
	$(bench_compile) -isystem ovs -isystem ovs/include -isystem ovs/lib \
	    -DBENCH_HAVE_OVS -DBENCH_OVS_VERSION="$$version" \
	    $(bench_compile_end) $(srcdir)/bench/library/peer-cmap.c
bench_library_measure_bench_LDADD += ovs/lib/libopenvswitch.la
bench_library_measure_bench_DEPENDENCIES += ovs.built
else
bench/library/peer-cmap.o: bench/library/peer-cmap.c \
    bench/library/peer-cmap.h $(peer_headers)
	$(AM_V_CC)$(bench_compile) -I. $(bench_compile_end) \
	    $(srcdir)/bench/library/peer-cmap.c
endif
bench_library_measure_bench_LINK = $(LIBTOOL) --silent --tag=CC --mode=link \
	$(CCLD) $(bench_library_measure_bench_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) \
	-o $@

# What the results say of the program.
bench/library/measure_bench-results.$(OBJEXT): bench/library/build.h
bench/library/merge-scale.$(OBJEXT): bench/library/build.h
CLEANFILES += bench/library/build.h
bench/library/build.h: FORCE
	@$(MKDIR_P) bench/library && { \
	    commit=`cd $(srcdir) && git describe --always --dirty \
	        --exclude='*' 2>/dev/null` || commit=unknown; \
	    echo "#define BENCH_COMMIT \"$$commit\""; \
	    echo '#define BENCH_FLAGS "$(CFLAGS)"'; \
	} > $@.new && \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
.PHONY: FORCE
FORCE:

# Result files and plots; a comparison of a minute; the plots only.
.PHONY: bench bench-short bench-stream bench-plot bench-merge
bench: bench/library/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/library/run
bench-short: bench/library/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/library/run --short
bench-stream: bench/library/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/library/run-stream
bench-merge: bench/library/merge-scale
	$(MKDIR_P) $(srcdir)/bench/results
	bench/library/merge-scale --format json \
	    > $(srcdir)/bench/results/merge-scale.json
bench-plot:
	$(srcdir)/bench/library/run --plot
	$(srcdir)/bench/library/run-stream --plot
EXTRA_DIST += bench/results bench/library/bench_figures.py bench/library/run \
	bench/library/run-stream bench/switch/run-overhead

# What measurement costs in the switch: as root, on a quiet machine.
.PHONY: bench-overhead
bench-overhead: all
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/switch/run-overhead

# Instruction counts, as in 'make check'.
.PHONY: bench-check
bench-check: bench/library/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/library/check
