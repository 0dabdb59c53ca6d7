# Licensed under the Apache License, Version 2.0: see the file COPYING.

# Compiled inside Open vSwitch only, by way of ovs-measure.mk: nothing to
# build here.
measure_hooks = \
HOOKLIST

EXTRA_DIST += $(measure_hooks)
