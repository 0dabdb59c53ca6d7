# SPDX-License-Identifier: Apache-2.0

"""What can be switched on (settings) and what is forwarded (cases)."""

import collections
import json
import subprocess

import overhead_statistics
import overhead_switch
import overhead_traces

Failure = overhead_switch.Failure
BRIDGE = overhead_switch.BRIDGE
IN, OUT = overhead_switch.IN_PORT, "p1"

# A rule that asks for a field that simple match does not know, so that the
# exact-match cache is used.
UDP_RULES = ("priority=9,in_port=1,udp,actions=output:2",
             "priority=9,in_port=1,udp6,actions=output:2")

Case = collections.namedtuple(
    "Case", "about frames packets pairs zipf rules settings vhost")

EMC = Case("the exact-match cache: 60-byte frames, a loop of 20,000 packets "
           "of 1 M pairs by Zipf 1.1", "ipv4", 20000, 1000000, 1.1, UDP_RULES,
           (), False)


def many_rules():
    """Rules that make a megaflow of each destination of 16 bits."""
    return ["priority=%d,in_port=1,udp,nw_dst=11.%d.0.0/%d,actions=output:2"
            % (9 + length, i, length)
            for length in range(9, 17)
            for i in range(length % 3, 256, 3)] + list(UDP_RULES)


CASES = {
    "simple-match": EMC._replace(
        about="one rule by port: simple match",
        rules=("in_port=1,actions=output:2",)),
    "emc": EMC,
    "emc-200k": EMC._replace(
        about="as emc, with a loop of 200,000 packets", packets=200000),
    "smc": EMC._replace(
        about="the signature-match cache, without the exact-match cache",
        packets=200000, settings=("emc-insert-inv-prob=0",
                                  "smc-enable=true")),
    "megaflow": EMC._replace(
        about="the classifier only: both caches off",
        settings=("emc-insert-inv-prob=0", "smc-enable=false")),
    "many-megaflows": EMC._replace(
        about="the classifier only, with rules of many prefix lengths",
        rules=many_rules(), settings=("emc-insert-inv-prob=0",
                                      "smc-enable=false")),
    "ipv6": EMC._replace(about="as emc, with IPv6", frames="ipv6"),
    "mixed-sizes": EMC._replace(
        about="as emc, with frames of 60, 576 and 1500 bytes, 7 : 4 : 1",
        frames="mixed-sizes"),
}
CASES["vxlan-pop"] = EMC._replace(
    about="as emc, in VXLAN that the switch takes off", frames="vxlan",
    rules=("priority=9,in_port=1,udp,tp_dst=%d,actions=LOCAL"
           % overhead_traces.VXLAN_PORT,
           "priority=9,in_port=3,udp,actions=output:2"))
CASES["vhost-user"] = EMC._replace(
    about="as emc, from another process by a vhost-user port", vhost=True)
# What somebody sends on purpose.
CASES["attack-new-flows"] = EMC._replace(
    about="a loop of 200,000 packets, each a flow of its own",
    frames="new-flows", packets=200000)
CASES["attack-collisions"] = EMC._replace(
    about="a loop of 20,000 flows whose addresses cancel each other",
    frames="collisions")
CASES["attack-elephant"] = EMC._replace(about="one flow only",
                                        frames="elephant")
ATTACKS = [name[len("attack-"):] for name in CASES
           if name.startswith("attack-")]
for _pairs, _name in ((1000, "1k"), (100000, "100k"), (1000000, "1M")):
    for _zipf in (0.75, 1.1, 1.5):
        CASES["pairs-%s-zipf-%g" % (_name, _zipf)] = EMC._replace(
            about="a loop of 200,000 packets of %s pairs by Zipf %g"
            % (_name, _zipf), packets=200000, pairs=_pairs, zipf=_zipf)


class Setting:
    """Something that is switched on and off while the switch forwards.  off()
    undoes all that on() did: the next setting is measured in the same
    switch."""

    about = "off against off: what the noise is"

    def begin(self, switch):
        """Before the first interval."""

    def on(self, switch):
        pass

    def off(self, switch):
        pass

    def facts(self):
        """What else there is to say, behind the last interval."""
        return {}


class Measure(Setting):
    """Measurement, with keys of the bridge."""

    def __init__(self, about, **keys):
        self.about = about
        self.keys = dict({"measure": "true"}, **{
            "measure-" + key.replace("_", "-"): value
            for key, value in keys.items()})

    def on(self, switch):
        switch.vsctl("set", "Bridge", BRIDGE,
                     *["other_config:%s=%s" % item
                       for item in self.keys.items()])
        # A value that is refused must not pass for a measurement.
        for key in self.keys:
            warnings = switch.warnings(key)
            if warnings:
                raise Failure(overhead_switch.BAD_INPUT, warnings[-1])
        # The tables of the first epoch after the start grow, those of later
        # ones fit the flows seen: measure the latter.
        for _ in range(2):
            switch.control.get("measure/close-epoch", BRIDGE)

    def off(self, switch):
        switch.vsctl("remove", "Bridge", BRIDGE, "other_config", *self.keys)


class AllAnswers(Measure):
    """Measurement, and somebody asks for all answers of the last epoch."""

    QUESTIONS = ("measure/heavy-hitters", "measure/superspreaders",
                 "measure/changes", "measure/distribution",
                 "measure/metrics", "measure/status")

    def ask(self, switch):
        known = switch.control.get("list-commands")
        for question in self.QUESTIONS:
            if question + " " in known:
                arguments = ([BRIDGE] if question == "measure/metrics"
                             else [BRIDGE, "format=json"])
                switch.control.get(question, *arguments)


class Stream(Measure):
    """Measurement, and a record of each packet to a reader on the core of the
    main thread."""

    # The cheapest that looks at each record.
    CHAIN = "histogram of=length every=1s | write csv"

    def __init__(self, about, reader=True, headers=False, **keys):
        super().__init__(about, stream="true", **keys)
        self.has_reader = reader
        self.options = ["--headers"] if headers else []
        self.reader = None
        self.dropped = self.offered = 0

    def readers(self, switch):
        answer = json.loads(switch.control.get("measure/status", BRIDGE,
                                               "format=json"))
        return answer[BRIDGE].get("stream", {}).get("readers", [])

    def on(self, switch):
        super().on(switch)
        if not self.has_reader:
            return
        self.reader = subprocess.Popen(
            [switch.programs.path("ovs-measure-stream"), "--bridge", BRIDGE,
             *self.options, self.CHAIN], env=switch.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            preexec_fn=overhead_switch.replay.end_with_parent)
        if not overhead_switch.replay.wait_until(
                lambda: self.readers(switch), overhead_switch.SETTLE_SECONDS):
            raise Failure(overhead_switch.NO_SWITCH,
                          "ovs-measure-stream does not read")

    def off(self, switch):
        for reader in self.readers(switch):
            self.offered += reader["total"]["offered"]
            self.dropped += reader["total"]["dropped"]
        if self.reader:
            self.reader.terminate()
            self.reader.wait()
            self.reader = None
        super().off(switch)

    def facts(self):
        return {"dropped-percentage": overhead_statistics.significant(
            100 * self.dropped / max(self.offered, 1))}


class Sampling(Setting):
    """What Open vSwitch exports itself."""

    def __init__(self, about, table, column, flows_change, **values):
        self.about = about
        self.table = table
        self.column = column
        self.flows_change = flows_change
        self.values = values

    def on(self, switch):
        target = "\"127.0.0.1:%d\"" % switch.collector_port()
        switch.vsctl("--", "--id=@it", "create", self.table,
                     "targets=%s" % target,
                     *["%s=%s" % item for item in self.values.items()],
                     "--", "set", "Bridge", BRIDGE, self.column + "=@it")
        switch.wait_for_flows(self.flows_change, True)

    def off(self, switch):
        switch.vsctl("clear", "Bridge", BRIDGE, self.column)
        switch.wait_for_flows(self.flows_change, False)


def measure(about, **keys):
    return lambda: Measure(about, **keys)


def sampling(*arguments, **values):
    return lambda: Sampling(*arguments, **values)


SETTINGS = {
    "off": Setting,
    "linear-table": measure("exact counting with the default settings"),
    "count-array": measure("the count array", structure="count-array"),
    "count-min": measure("a Count-Min sketch", structure="count-min"),
    "cuckoo-table": measure("a cuckoo table", structure="cuckoo-table"),
    "space-saving": measure("SpaceSaving", structure="space-saving"),
    "tiers-1": measure("every packet into the flow table", tiers="1"),
    "tiers-2": measure("counters in the exact-match cache before it",
                       tiers="2"),
    "without-prefetch": measure("entries of the exact-match cache not "
                                "prefetched", prefetch="false"),
    "key-flow": measure("key: flow", key="flow"),
    "key-pair": measure("key: pair of addresses", key="pair"),
    "key-source": measure("key: source address", key="source"),
    "key-destination": measure("key: destination address",
                               key="destination"),
    "stream": lambda: Stream("counting, and a record of each packet to a "
                             "reader"),
    "stream-headers": lambda: Stream("the same, with the first 96 bytes of "
                                     "each", headers=True,
                                     stream_headers="true"),
    "stream-nothing": lambda: Stream("a filter that lets no packet in, and a "
                                     "reader", stream_where="vlan=4095"),
    "stream-unread": lambda: Stream("streams, and nobody reads",
                                    reader=False),
    "memory-1": measure("1 MiB, which overflows", memory_mb="1"),
    "all-answers": lambda: AllAnswers("counting, and every answer asked for "
                                      "in each interval"),
    "sflow-1000": sampling("sFlow, 1 packet in 1000", "sflow", "sflow",
                           "sample(", sampling=1000),
    "sflow-100": sampling("sFlow, 1 packet in 100", "sflow", "sflow",
                          "sample(", sampling=100),
    "ipfix-1000": sampling("IPFIX, 1 packet in 1000", "ipfix", "ipfix",
                           "sample(", sampling=1000,
                           cache_active_timeout=60, cache_max_flows=100000),
    "ipfix-1": sampling("IPFIX, every packet", "ipfix", "ipfix",
                        "userspace(", sampling=1,
                        cache_active_timeout=60, cache_max_flows=100000),
    "netflow": sampling("NetFlow", "netflow", "netflow", None),
}
