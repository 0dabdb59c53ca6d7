# Included by Open vSwitch's Makefile.am: the sources of ovs-measure that call
# it or are called by it.  configure asks pkg-config for the library.

AM_CPPFLAGS += $(MEASURE_CFLAGS)
lib_libopenvswitch_la_LIBADD += $(MEASURE_LIBS)
lib_libopenvswitch_la_SOURCES += \
	lib/dpif-netdev-measure.c \
	lib/dpif-netdev-measure.h \
	lib/measure-answer.c \
	lib/measure-answer.h \
	lib/measure-arguments.c \
	lib/measure-arguments.h \
	lib/measure-command.c \
	lib/measure-control.c \
	lib/measure-history.c \
	lib/measure-history.h \
	lib/measure-metrics.c \
	lib/measure-monitor.c \
	lib/measure-monitor.h \
	lib/measure-prefetch.c \
	lib/measure-prefetch.h \
	lib/measure-sets.c \
	lib/measure-sets.h \
	lib/measure-status.c \
	lib/measure-tasks.c \
	lib/measure-tasks.h \
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
