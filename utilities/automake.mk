# SPDX-License-Identifier: Apache-2.0

bin_PROGRAMS += utilities/ovs-measure-pcap
utilities_ovs_measure_pcap_SOURCES = utilities/ovs-measure-pcap.c
# With the shared library.
utilities_ovs_measure_pcap_LDFLAGS =
utilities_ovs_measure_pcap_LDADD = lib/libovs-measure.la $(PCAP_LIBS)

dist_bin_SCRIPTS += utilities/ovs-measure-replay

dist_man_MANS += \
	utilities/ovs-measure-pcap.1 \
	utilities/ovs-measure-replay.1 \
	utilities/ovs-measure.8

# JSON schemas of the answers to the commands.
schemasdir = $(pkgdatadir)/schemas
dist_schemas_DATA = \
	doc/schemas/alerts.json \
	doc/schemas/changes.json \
	doc/schemas/distribution.json \
	doc/schemas/heavy-hitters.json \
	doc/schemas/status.json \
	doc/schemas/superspreaders.json

EXTRA_DIST += \
	doc/accuracy.md \
	doc/architecture.md \
	doc/configuration.md \
	doc/extending.md \
	doc/first-questions.md \
	doc/glossary.md \
	doc/notes/README.md \
	doc/notes/end-of-epoch.md \
	doc/notes/exact-match-cache.md \
	doc/notes/linear-table.md \
	doc/notes/merging.md \
	doc/notes/packet-path.md \
	doc/notes/sketches.md \
	doc/overhead.md \
	doc/record-files.md \
	doc/what-counts.md
