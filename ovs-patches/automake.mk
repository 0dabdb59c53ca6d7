# SPDX-License-Identifier: Apache-2.0

# Builds the patched Open vSwitch in the directory ovs/ of the build tree, in
# steps that each leave a stamp:
#
#   ovs.source      a fresh copy of the source, with ovs-measure applied
#   ovs.configured  ... configured
#   ovs.refreshed   ... with the latest copies of our own sources
#   ovs.built       the programs that people run, with our library
#   ovs.all         everything, for its own tests and for installation
#
# A change of our sources leads to an incremental build; a change of a patch
# or of configure's arguments starts from a fresh copy of the source.

measure_patches = \
	ovs-patches/0001-dpif-netdev-Hand-received-batches-to-ovs-measure.patch \
	ovs-patches/0002-bridge-Configure-ovs-measure.patch \
	ovs-patches/0003-dpif-netdev-Let-ovs-measure-count-in-the-exact-match.patch \
	ovs-patches/0004-ovs-appctl-bashcomp-Complete-arguments-NAME-VALUE.patch \
	ovs-patches/0005-dpif-netdev-Prefetch-entries-of-the-exact-match-cache.patch

EXTRA_DIST += \
	$(measure_patches) \
	ovs-patches/README.md \
	ovs-patches/apply \
	ovs-patches/check-versions \
	ovs-patches/generated.mk

ovs_stamps = \
	ovs.all ovs.built ovs.configured ovs.refreshed ovs.source

if BUILD_OVS
ALL_LOCAL += ovs.built
CLEAN_LOCAL += clean-ovs
DISTCLEAN_LOCAL += distclean-ovs
INSTALL_LOCAL += install-ovs
UNINSTALL_LOCAL += uninstall-ovs
check_DATA += ovs.all
endif

# What people run and what the replay tools need.
ovs_targets = \
	ovsdb/ovsdb-client \
	ovsdb/ovsdb-server \
	ovsdb/ovsdb-tool \
	utilities/ovs-appctl \
	utilities/ovs-dpctl \
	utilities/ovs-ofctl \
	utilities/ovs-vsctl \
	vswitchd/ovs-vswitchd \
	vswitchd/vswitch.ovsschema

ovs.source: ovs.settings $(measure_patches) ovs-patches/apply
	$(AM_V_GEN)rm -rf ovs ovs.new $(ovs_stamps) && \
	mkdir ovs.new && \
	if test -d '$(OVS_SOURCE)'; then \
	    (cd '$(OVS_SOURCE)' && tar -cf - --exclude=./.git .) \
	        | tar -C ovs.new -xf -; \
	else \
	    tar -C ovs.new --strip-components=1 -xf '$(OVS_SOURCE)'; \
	fi && \
	$(srcdir)/ovs-patches/apply ovs.new && \
	(cd ovs.new && ./boot.sh > boot.log 2>&1) || \
	    { test ! -f ovs.new/boot.log || tail -n 20 ovs.new/boot.log; \
	      exit 1; } && \
	mv ovs.new ovs && \
	touch $@

ovs.configured: ovs.source
	$(AM_V_GEN)cd ovs && \
	./configure --quiet --enable-silent-rules --disable-ssl $(OVS_DPDK_ARGUMENT) \
	    MEASURE_CFLAGS='-I$(abs_top_srcdir)/lib' \
	    MEASURE_LIBS='-L$(abs_top_builddir)/lib/.libs -l:libovs-measure.a -lm' \
	    --prefix='$(prefix)' --exec-prefix='$(exec_prefix)' \
	    --bindir='$(bindir)' --sbindir='$(sbindir)' \
	    --libdir='$(libdir)' --includedir='$(includedir)' \
	    --datarootdir='$(datarootdir)' --mandir='$(mandir)' \
	    --sysconfdir='$(sysconfdir)' \
	    --localstatedir='$(localstatedir)' \
	    CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' LDFLAGS='$(LDFLAGS)' \
	    CFLAGS='$(CFLAGS) $(OVS_SANITIZER_CFLAGS)' PYTHON3='$(PYTHON3)'
	$(AM_V_at)touch $@

ovs.refreshed: ovs.configured $(measure_hooks)
	$(AM_V_GEN)$(srcdir)/ovs-patches/apply --refresh ovs
	$(AM_V_at)touch $@

# Open vSwitch does not know what its library was made from.
ovs.built: ovs.refreshed lib/libovs-measure.la
	rm -f ovs/lib/libopenvswitch.la
	$(MAKE) -C ovs -f $(abs_srcdir)/ovs-patches/generated.mk generated
	$(MAKE) -C ovs $(ovs_targets)
	$(AM_V_at)touch $@

ovs.all: ovs.built
	$(MAKE) -C ovs all
	$(AM_V_at)touch $@

.PHONY: clean-ovs distclean-ovs install-ovs uninstall-ovs
clean-ovs:
	-test ! -f ovs/Makefile || $(MAKE) -C ovs clean
	-rm -rf ovs.new ovs.built ovs.all
distclean-ovs:
	-rm -rf ovs ovs.new ovs.settings $(ovs_stamps)
install-ovs: ovs.all
	$(MAKE) -C ovs install
uninstall-ovs:
	-test ! -f ovs/Makefile || $(MAKE) -C ovs uninstall
