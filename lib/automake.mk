# Licensed under the Apache License, Version 2.0: see the file COPYING.

# The measurement library, for the unit tests and the utilities.  In the
# switch the same files are compiled into libopenvswitch instead: keep this
# list and the one in datapath-hooks/ovs-measure.mk in step.
noinst_LIBRARIES += lib/libmeasure.a
lib_libmeasure_a_SOURCES = \
LIBLIST
