# SPDX-License-Identifier: Apache-2.0

bin_PROGRAMS += utilities/ovs-measure-pcap
utilities_ovs_measure_pcap_SOURCES = utilities/ovs-measure-pcap.c
# With the shared library.
utilities_ovs_measure_pcap_LDFLAGS =
utilities_ovs_measure_pcap_LDADD = lib/libovs-measure.la $(PCAP_LIBS)

bin_PROGRAMS += utilities/ovs-measure-stream
utilities_ovs_measure_stream_SOURCES = \
	utilities/stream/ovs-measure-stream.c \
	utilities/stream/stream-accounting.c \
	utilities/stream/stream-accounting.h \
	utilities/stream/stream-bridge.c \
	utilities/stream/stream-bridge.h \
	utilities/stream/stream-capture-input.c \
	utilities/stream/stream-capture-input.h \
	utilities/stream/stream-capture.c \
	utilities/stream/stream-capture.h \
	utilities/stream/stream-chains.c \
	utilities/stream/stream-chains.h \
	utilities/stream/stream-expect-headers.c \
	utilities/stream/stream-expect-headers.h \
	utilities/stream/stream-input.c \
	utilities/stream/stream-input.h \
	utilities/stream/stream-list.c \
	utilities/stream/stream-list.h \
	utilities/stream/stream-message.c \
	utilities/stream/stream-message.h \
	utilities/stream/stream-options.c \
	utilities/stream/stream-options.h \
	utilities/stream/stream-outputs.c \
	utilities/stream/stream-outputs.h \
	utilities/stream/stream-pcap-filter.c \
	utilities/stream/stream-pcap-filter.h \
	utilities/stream/stream-progress.c \
	utilities/stream/stream-progress.h \
	utilities/stream/stream-read.c \
	utilities/stream/stream-read.h \
	utilities/stream/stream-signal.c \
	utilities/stream/stream-signal.h \
	utilities/stream/stream-stop-after.c \
	utilities/stream/stream-stop-after.h
# With the shared library.
utilities_ovs_measure_stream_LDFLAGS =
utilities_ovs_measure_stream_LDADD = lib/libovs-measure.la $(PCAP_LIBS) \
	-lpthread

# bash-completion looks for a file with the name of the command.
completiondir = $(datadir)/bash-completion/completions
INSTALL_LOCAL += install-completion
UNINSTALL_LOCAL += uninstall-completion
.PHONY: install-completion uninstall-completion
install-completion:
	$(MKDIR_P) '$(DESTDIR)$(completiondir)'
	$(INSTALL_DATA) $(srcdir)/utilities/ovs-measure-stream-completion.bash \
	    '$(DESTDIR)$(completiondir)/ovs-measure-stream'
uninstall-completion:
	rm -f '$(DESTDIR)$(completiondir)/ovs-measure-stream'
EXTRA_DIST += utilities/ovs-measure-stream-completion.bash

dist_bin_SCRIPTS += utilities/ovs-measure-replay

dist_man_MANS += \
	utilities/ovs-measure-pcap.1 \
	utilities/ovs-measure-replay.1 \
	utilities/ovs-measure-stream.1 \
	utilities/ovs-measure.8

# JSON schemas of the answers to the commands.
schemasdir = $(pkgdatadir)/schemas
dist_schemas_DATA = \
	doc/schemas/alerts.json \
	doc/schemas/changes.json \
	doc/schemas/distribution.json \
	doc/schemas/heavy-hitters.json \
	doc/schemas/status.json \
	doc/schemas/stream-alert.json \
	doc/schemas/stream-row.json \
	doc/schemas/superspreaders.json

# What manual pages refer to.
dist_doc_DATA = \
	doc/record-files.md \
	doc/stages-flows.md \
	doc/stages-packets.md \
	doc/stages-reference.md \
	doc/stages.md \
	doc/stream-protocol.md

EXTRA_DIST += \
	doc/accuracy.md \
	doc/architecture.md \
	doc/configuration.md \
	doc/examples/read-stream.py \
	doc/extending.md \
	doc/first-questions.md \
	doc/glossary.md \
	doc/notes/README.md \
	doc/notes/end-of-epoch.md \
	doc/notes/exact-match-cache.md \
	doc/notes/linear-table.md \
	doc/notes/merging.md \
	doc/notes/packet-path.md \
	doc/notes/rings.md \
	doc/notes/sketches.md \
	doc/overhead.md \
	doc/what-counts.md
