# SPDX-License-Identifier: Apache-2.0

# Run in a configured Open vSwitch tree.  Automake makes the generated headers
# before it compiles anything, but only for targets such as 'all'.  We build
# single programs and hence ask for them first.

include Makefile

.PHONY: generated
generated: config.h $(BUILT_SOURCES)

# The switch for one of our tests: see WRAPPER, its source.
vswitchd/ovs-vswitchd-%: $(WRAPPER) \
		$(vswitchd_ovs_vswitchd_OBJECTS) \
		$(vswitchd_ovs_vswitchd_DEPENDENCIES)
	$(AM_V_CC)$(COMPILE) -c -o $@.o $(WRAPPER)
	$(AM_V_CCLD)$(vswitchd_ovs_vswitchd_LINK) -Wl,--wrap=measure_batch__ \
	    $@.o $(vswitchd_ovs_vswitchd_OBJECTS) \
	    $(vswitchd_ovs_vswitchd_LDADD) $(LIBS)
