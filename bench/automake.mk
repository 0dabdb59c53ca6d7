# SPDX-License-Identifier: Apache-2.0

# Benchmarks.  See bench/README.md.

AM_CPPFLAGS += -I$(top_srcdir)/bench

# Structures of the papers that the switch has no use for.
bench_contenders = \
	bench/contenders/measure-shared.c \
	bench/contenders/measure-shared.h \
	bench/contenders/measure-table-pointer.c \
	bench/contenders/measure-table-pointer.h

check_PROGRAMS += bench/measure-bench
bench_measure_bench_SOURCES = \
	$(bench_contenders) \
	bench/accuracy.c \
	bench/bench.h \
	bench/entries.c \
	bench/linear.h \
	bench/measure-bench.c \
	bench/sketches.c \
	bench/structures.c \
	bench/tasks.c \
	bench/traffic.c \
	bench/variants.c
bench_measure_bench_CFLAGS = $(WARNING_CFLAGS) $(SANITIZER_CFLAGS)
bench_measure_bench_LDADD = $(bench_peers) lib/libovs-measure.la $(PCAP_LIBS) \
	-lpthread
bench_measure_bench_DEPENDENCIES = $(bench_peers) lib/libovs-measure.la
EXTRA_DIST += bench/README.md bench/instructions.json bench/peer-cmap.c \
	bench/peer-dpdk.c
EXTRA_DIST += bench/ovs-overhead bench/overhead_cases.py \
	bench/overhead_epochs.py bench/overhead_instructions.py \
	bench/overhead_statistics.py \
	bench/overhead_switch.py bench/overhead_traces.py

check_PROGRAMS += bench/merge-scale
bench_merge_scale_LDADD = lib/libovs-measure.la -lpthread

# The peers are compiled with the flags of those that they come from.
bench_peers = bench/peer-cmap.o bench/peer-dpdk.o
CLEANFILES += $(bench_peers)
bench_compile = $(MKDIR_P) bench && \
	$(CC) -Ilib -I$(srcdir)/lib -I$(srcdir)/bench
bench_compile_end = $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) -c -o $@

bench/peer-dpdk.o: bench/peer-dpdk.c bench/bench.h
if BENCH_DPDK
	$(AM_V_CC)$(bench_compile) -I. -DBENCH_HAVE_DPDK \
	    -DALLOW_EXPERIMENTAL_API $(DPDK_CFLAGS) $(bench_compile_end) \
	    $(srcdir)/bench/peer-dpdk.c
bench_measure_bench_LDADD += $(DPDK_LIBS)
else
	$(AM_V_CC)$(bench_compile) -I. $(bench_compile_end) \
	    $(srcdir)/bench/peer-dpdk.c
endif

if BUILD_OVS
# With the configuration of Open vSwitch.
bench/peer-cmap.o: bench/peer-cmap.c bench/bench.h ovs.built
	$(AM_V_CC)version=`sed -n 's/^#define PACKAGE_VERSION //p' \
	    ovs/config.h` && \
	$(bench_compile) -isystem ovs -isystem ovs/include -isystem ovs/lib \
	    -DBENCH_HAVE_OVS -DBENCH_OVS_VERSION="$$version" \
	    $(bench_compile_end) $(srcdir)/bench/peer-cmap.c
bench_measure_bench_LDADD += ovs/lib/libopenvswitch.la
bench_measure_bench_DEPENDENCIES += ovs.built
else
bench/peer-cmap.o: bench/peer-cmap.c bench/bench.h
	$(AM_V_CC)$(bench_compile) -I. $(bench_compile_end) \
	    $(srcdir)/bench/peer-cmap.c
endif
bench_measure_bench_LINK = $(LIBTOOL) --silent --tag=CC --mode=link $(CCLD) \
	$(bench_measure_bench_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) \
	-o $@

# What the results say of the program.
bench/measure_bench-measure-bench.$(OBJEXT): bench/build.h
bench/merge-scale.$(OBJEXT): bench/build.h
CLEANFILES += bench/build.h
bench/build.h: FORCE
	@$(MKDIR_P) bench && { \
	    commit=`cd $(srcdir) && git describe --always --dirty \
	        --exclude='*' 2>/dev/null` || commit=unknown; \
	    echo "#define BENCH_COMMIT \"$$commit\""; \
	    echo '#define BENCH_FLAGS "$(CFLAGS)"'; \
	} > $@.new && \
	if cmp -s $@.new $@; then rm -f $@.new; else mv $@.new $@; fi
.PHONY: FORCE
FORCE:

# Result files and plots; a comparison of a minute; the plots only.
.PHONY: bench bench-short bench-plot bench-merge
bench: bench/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/run
bench-short: bench/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/run --short
bench-merge: bench/merge-scale
	$(MKDIR_P) $(srcdir)/bench/results
	bench/merge-scale --format json > $(srcdir)/bench/results/merge-scale.json
bench-plot:
	$(srcdir)/bench/run --plot
EXTRA_DIST += bench/results bench/run bench/run-overhead

# What measurement costs in the switch: as root, on a quiet machine.
.PHONY: bench-overhead
bench-overhead: all
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/run-overhead

# Instruction counts, as in 'make check'.
.PHONY: bench-check
bench-check: bench/measure-bench
	MEASURE_BUILD='$(abs_builddir)' $(srcdir)/bench/check
