# SPDX-License-Identifier: Apache-2.0
# Included by Open vSwitch's Makefile.am: what ovs-measure has in its tree.
# ovs-patches/apply adds the list of sources.  configure asks pkg-config for
# the library that they call.

AM_CPPFLAGS += $(MEASURE_CFLAGS)
lib_libopenvswitch_la_LIBADD += $(MEASURE_LIBS)
EXTRA_DIST += lib/ovs-measure.mk

# What this version of Open vSwitch has.
lib/measure-ovs.h: lib/unixctl.h
	$(AM_V_GEN)if grep unixctl_command_reply_json $(srcdir)/lib/unixctl.h \
	    > /dev/null; then json=1; else json=0; fi && \
	echo "#define MEASURE_OVS_JSON_REPLY $$json" > $@
BUILT_SOURCES += lib/measure-ovs.h
CLEANFILES += lib/measure-ovs.h
