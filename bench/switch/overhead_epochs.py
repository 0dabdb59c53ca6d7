# SPDX-License-Identifier: Apache-2.0

"""The forwarding rate around the ends of epochs, by the millisecond.

Open vSwitch keeps for each of the last 1000 milliseconds how many packets the
PMD thread received (other_config:pmd-perf-metrics), by the monotonic clock.
The epochs say when they began, by the clock on the wall."""

import json
import time

from overhead_cases import BRIDGE, SETTINGS, Measure
from overhead_statistics import median_interval, significant
from overhead_switch import NO_SWITCH, PMD_CORE, Failure, pass_time

EPOCH_MS = 250
READ_MS = 1000                  # What the switch keeps.
AROUND = (-5, 5)                # Milliseconds from the end of an epoch.
# Parts of an epoch that have nothing to do with its end.
BETWEEN = ((-80, -20), (80, 140))
# As far from any end as can be: what the noise is.
MIDDLE = (EPOCH_MS // 2 - 5, EPOCH_MS // 2 + 5)
PROFILE = (-10, -5, -2, -1, 0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 80)
ENDS_PER_PAIR = 10


def read_milliseconds(switch):
    """Returns the packets of each of the last milliseconds.  One in which the
    thread did not end an iteration has none: the next has its packets."""
    text = switch.control.get("dpif-netdev/pmd-perf-show", "-nh", "-it", "0",
                              "-ms", str(READ_MS - 1), "-pmd", str(PMD_CORE))
    packets = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 9 and words[0].isdigit():
            packets[int(words[0])] = int(words[3])
    return packets


def running_epoch(switch):
    return json.loads(switch.control.get(
        "measure/status", BRIDGE, "format=json"))[BRIDGE]["epoch"]["number"]


def read_ends(switch, first, last):
    """Returns the ends of those of the epochs that the switch still has, by
    the monotonic clock, in milliseconds."""
    ahead = (time.time() - time.monotonic()) * 1000
    ends = []
    for number in range(first, last):
        text, failed = switch.control.ask(
            "measure/heavy-hitters", BRIDGE, "n=1", "epoch=%d" % number,
            "format=json")
        if not failed:
            epoch = json.loads(text)[BRIDGE]["epoch"]
            ends.append(int(epoch["start-ms"] + epoch["duration-ms"] - ahead))
    return ends


def rate(packets, end, *windows):
    """Returns packets in a millisecond, or None if some are not known."""
    total = length = 0
    for low, high in windows:
        if end + low < min(packets) or end + high > max(packets):
            return None
        total += sum(packets.get(ms, 0) for ms in range(end + low,
                                                        end + high))
        length += high - low
    return total / length


class EpochTurns(Measure):
    """The 10 ms around the ends of epochs against what is between them."""

    def __init__(self):
        super().__init__("the ends of epochs, %d ms apart, by the millisecond"
                         % EPOCH_MS, epoch_ms=str(EPOCH_MS), history="8")
        self.ratios = {}

    def add(self, name, end, packets, windows):
        around = rate(packets, end, windows)
        between = rate(packets, end, *BETWEEN)
        if around is not None and between:
            self.ratios.setdefault(name, []).append(around / between)
            return between
        return None

    def result(self, switch, case, arguments):
        switch.vsctl("set", "Open_vSwitch", ".",
                     "other_config:pmd-perf-metrics=true")
        self.on(switch)
        rates = []
        number = running_epoch(switch)
        while len(self.ratios.get("around", ())) < (ENDS_PER_PAIR
                                                    * arguments.pairs):
            asked = int(time.monotonic() * 1000)
            pass_time(READ_MS / 1000)
            packets = read_milliseconds(switch)
            first, number = number, running_epoch(switch)
            # To ask takes bandwidth of memory, too.
            packets = {ms: n for ms, n in packets.items() if ms > asked + 20}
            if not packets:
                raise Failure(NO_SWITCH, "the switch keeps no history of "
                              "milliseconds")
            for end in read_ends(switch, first, number):
                between = self.add("around", end, packets, AROUND)
                if between:
                    rates.append(between)
                self.add("middle", end, packets, MIDDLE)
                for window in zip(PROFILE, PROFILE[1:]):
                    self.add(window, end, packets, window)
        self.off(switch)
        switch.vsctl("remove", "Open_vSwitch", ".", "other_config",
                     "pmd-perf-metrics")
        answer = self.summary("around")
        answer.update({
            "case": case,
            "setting": "epoch-turns",
            "pairs": len(self.ratios["around"]),
            "packets-per-s": round(1000 * median_interval(rates)[0]),
            "middle-of-epochs": self.summary("middle"),
            "profile": [dict(self.summary(window), **{
                "from-ms": window[0], "to-ms": window[1]})
                for window in zip(PROFILE, PROFILE[1:])],
        })
        return answer

    def summary(self, name):
        median, low, high = median_interval(self.ratios[name])
        return {"throughput-ratio": significant(median),
                "ci95": [significant(low), significant(high)]}


SETTINGS["epoch-turns"] = EpochTurns
