# Licensed under the Apache License, Version 2.0: see the file COPYING.

# Run in a configured Open vSwitch tree.  Automake makes the generated headers
# before it compiles anything, but only for targets such as 'all'.  We build
# single programs and hence ask for them first.

include Makefile

.PHONY: generated
generated: config.h $(BUILT_SOURCES)
