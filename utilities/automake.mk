# Licensed under the Apache License, Version 2.0: see the file COPYING.

bin_PROGRAMS += utilities/ovs-measure-pcap
utilities_ovs_measure_pcap_SOURCES = utilities/ovs-measure-pcap.c
utilities_ovs_measure_pcap_LDADD = lib/libmeasure.a $(PCAP_LIBS)

dist_bin_SCRIPTS += utilities/ovs-measure-replay

dist_man_MANS += \
	utilities/ovs-measure-pcap.1 \
	utilities/ovs-measure-replay.1
