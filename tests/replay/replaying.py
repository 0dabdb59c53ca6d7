# SPDX-License-Identifier: Apache-2.0

"""What the replay tests share: results of checks, running the tools, reading
and writing captures, and an independent idea of what is in a frame."""

import collections
import contextlib
import importlib.machinery
import importlib.util
import ipaddress
import json
import os
import struct
import subprocess
import sys
import tempfile

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))
TRACES = os.environ.get("MEASURE_TRACES",
                        os.path.join(SOURCE, "../shared/traces"))
REPLAY = os.path.join(SOURCE, "utilities/ovs-measure-replay")

# A replay takes about a second; this is for a machine that is very busy.
REPLAY_SECONDS = 300
MAX_FRAME = 1518


def find_build():
    build = os.environ.get("MEASURE_BUILD")
    if build:
        return os.path.abspath(build)
    build = os.path.join(SOURCE, "build")
    return build if os.path.isdir(build) else SOURCE


BUILD = find_build()
PCAP_TOOL = os.path.join(BUILD, "utilities/ovs-measure-pcap")


class Checks:
    """Counts and prints the results of checks."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        if not self.check("built", os.access(PCAP_TOOL, os.X_OK),
                          "%s is missing: build first, or name the build "
                          "directory in MEASURE_BUILD" % PCAP_TOOL):
            self.finish()

    def check(self, name, good, why=""):
        """Says whether check 'name' is good, and 'why' not."""
        if good:
            self.passed += 1
            print("ok %s" % name, flush=True)
        else:
            self.failed += 1
            print("FAIL %s%s" % (name, ": " + str(why) if why else ""),
                  flush=True)
        return good

    @contextlib.contextmanager
    def whole(self, name):
        """Around checks that need one another: an answer that is missing or
        that has not the expected form fails 'name', not the whole test."""
        try:
            yield
        except (ValueError, LookupError, TypeError) as error:
            self.check(name + " all checks", False,
                       "%s: %s" % (type(error).__name__, error))

    def equal(self, name, got, expected):
        return self.check(name, got == expected,
                          "got %s, expected %s" % (shorten(got),
                                                   shorten(expected)))

    def skip(self, name, why):
        self.skipped += 1
        print("skip %s: %s" % (name, why), flush=True)

    def finish(self):
        """Prints the sums and ends the test with the exit status for them."""
        print("%d passed, %d failed, %d skipped"
              % (self.passed, self.failed, self.skipped))
        sys.exit(1 if self.failed or not self.passed + self.skipped
                 else 77 if self.skipped else 0)


def load_script(name):
    """A program of the source tree as a module: its name has no suffix."""
    sys.dont_write_bytecode = True
    loader = importlib.machinery.SourceFileLoader(
        os.path.basename(name).replace("-", "_"), os.path.join(SOURCE, name))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def shorten(value):
    text = str(value)
    return text if len(text) <= 400 else text[:400] + "..."


def difference(got, expected):
    """What two dictionaries do not agree on, for people, at most 5 keys."""
    wrong = [key for key in set(got) | set(expected)
             if got.get(key) != expected.get(key)]
    return "%d keys differ: %s" % (
        len(wrong), "; ".join("%s: got %s, expected %s"
                              % (key, got.get(key), expected.get(key))
                              for key in sorted(wrong, key=str)[:5]))


def run(arguments, environment=None):
    """Runs a program to its end.  Returns its exit status, standard output
    and standard error."""
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True,
                          env=dict(os.environ, **(environment or {})),
                          timeout=REPLAY_SECONDS, check=False)
    return done.returncode, done.stdout, done.stderr


def json_documents(text):
    """The JSON documents in 'text'.  Raises ValueError if there is anything
    else."""
    decoder = json.JSONDecoder()
    documents = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position == len(text):
            return documents
        document, position = decoder.raw_decode(text, position)
        documents.append(document)


def replay(capture, commands, settings=(), options=()):
    """Replays 'capture' and returns the answers of 'commands', which must be
    JSON.  Raises ValueError if it goes wrong."""
    arguments = [REPLAY, *options]
    for setting in settings:
        arguments += ["--set", setting]
    for command in commands:
        arguments += ["--command", command]
    status, out, err = run(arguments + [capture])
    if status:
        raise ValueError("exit status %d: %s" % (status, err.strip()))
    documents = json_documents(out)
    if len(documents) != len(commands):
        raise ValueError("%d answers to %d commands"
                         % (len(documents), len(commands)))
    return documents


def write_capture(name, frames, link_type=1, times=None):
    """Writes 'frames', pairs of captured bytes and length on the wire, with
    'times' in microseconds."""
    with open(name, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535,
                            link_type))
        for i, (data, wire) in enumerate(frames):
            when = times[i] if times else 1700000000000000 + i % 1000000
            f.write(struct.pack("<IIII", *divmod(when, 1000000), len(data),
                                wire) + data)


def read_capture(name):
    """Yields captured bytes and length on the wire of each frame of a
    little-endian Ethernet capture without errors."""
    for data, wire, _ in read_timed_capture(name):
        yield data, wire


def read_timed_capture(name):
    """Like read_capture(), with the time in microseconds."""
    with open(name, "rb") as f:
        data = f.read()
    magic, = struct.unpack_from("<I", data)
    link_type, = struct.unpack_from("<I", data, 20)
    if magic != 0xa1b2c3d4 or link_type != 1:
        raise ValueError("%s: not a little-endian Ethernet capture" % name)
    position = 24
    while position < len(data):
        seconds, microseconds, captured, wire = struct.unpack_from(
            "<IIII", data, position)
        position += 16
        yield (data[position:position + captured], wire,
               seconds * 1000000 + microseconds)
        position += captured


def extended(frames):
    """The frames as long as they were on the wire."""
    for data, wire in frames:
        yield data[:wire].ljust(wire, b"\0")


Flow = collections.namedtuple("Flow", "source destination protocol "
                              "source_port destination_port vlan")

NOT_IP = "not-ip"
MALFORMED = "malformed"


def classify(frame):
    """What the documentation says of a frame: its Flow, or NOT_IP, or
    MALFORMED."""
    if len(frame) < 14:
        return NOT_IP
    at = 12
    vlan = None
    ethertype = int.from_bytes(frame[at:at + 2], "big")
    while ethertype in (0x8100, 0x88a8) and len(frame) >= at + 6:
        if vlan is None:
            vlan = int.from_bytes(frame[at + 2:at + 4], "big") % 4096
        at += 4
        ethertype = int.from_bytes(frame[at:at + 2], "big")
    at += 2
    if ethertype < 1536 and frame[at:at + 6] == bytes.fromhex("aaaa03000000") \
            and len(frame) >= at + 8:
        ethertype = int.from_bytes(frame[at + 6:at + 8], "big")
        at += 8
    packet = frame[at:]
    if ethertype == 0x0800:
        return classify_ipv4(packet, vlan or 0)
    if ethertype == 0x86dd:
        return classify_ipv6(packet, vlan or 0)
    return NOT_IP


def classify_ipv4(packet, vlan):
    if len(packet) < 20:
        return MALFORMED
    version, words = divmod(packet[0], 16)
    total, = struct.unpack_from(">H", packet, 2)
    fragment, = struct.unpack_from(">H", packet, 6)
    if version != 4 or words < 5 or not 4 * words <= total <= len(packet):
        return MALFORMED
    ports = (0, 0) if fragment % 8192 else find_ports(packet[9],
                                                      packet[4 * words:])
    return Flow(packet[12:16], packet[16:20], packet[9], *ports, vlan)


def classify_ipv6(packet, vlan):
    if len(packet) < 40:
        return MALFORMED
    payload, protocol = struct.unpack_from(">HB", packet, 4)
    if packet[0] // 16 != 6 or payload + 40 > len(packet):
        return MALFORMED
    addresses = packet[8:24], packet[24:40]
    rest = packet[40:]
    while protocol in (0, 43, 44, 51, 60, 135):
        if len(rest) < 8:
            return Flow(*addresses, protocol, 0, 0, vlan)
        size = {44: 8, 51: 4 * rest[1] + 8}.get(protocol, 8 * rest[1] + 8)
        later = protocol == 44 and struct.unpack_from(">H", rest, 2)[0] >= 8
        protocol = rest[0]
        if later or len(rest) < size:
            return Flow(*addresses, protocol, 0, 0, vlan)
        rest = rest[size:]
    return Flow(*addresses, protocol, *find_ports(protocol, rest), vlan)


def find_ports(protocol, transport):
    if protocol in (6, 17, 132) and len(transport) >= 4:
        return struct.unpack_from(">HH", transport)
    return 0, 0


class Truth:
    """What is in some frames, counted one by one."""

    def __init__(self, frames):
        self.frames = 0
        self.not_ip = 0
        self.malformed = 0
        self.flows = collections.defaultdict(lambda: [0, 0])
        for frame in frames:
            self.frames += 1
            what = classify(frame)
            if what is NOT_IP:
                self.not_ip += 1
            elif what is MALFORMED:
                self.malformed += 1
            else:
                add(self.flows[what], 1, len(frame))

    def grouped(self, fields):
        """Packets and bytes by the 'fields' of a flow."""
        groups = collections.defaultdict(lambda: [0, 0])
        for flow, numbers in self.flows.items():
            add(groups[tuple(getattr(flow, field) for field in fields)],
                *numbers)
        return dict(groups)

    def total(self):
        return {"packets": sum(n[0] for n in self.flows.values()),
                "bytes": sum(n[1] for n in self.flows.values())}


def add(numbers, packets, size):
    numbers[0] += packets
    numbers[1] += size


FIELDS = {
    "flow": Flow._fields,
    "pair": ("source", "destination"),
    "source": ("source",),
    "destination": ("destination",),
}


def row_key(row, fields):
    """The key of a row of the heavy hitters, with addresses as bytes as in a
    Flow."""
    key = []
    for field in fields:
        value = (row.get(field, 0) if field == "vlan"
                 else row[field.replace("_", "-")])
        if field in ("source", "destination"):
            value = ipaddress.ip_address(value).packed
        key.append(value)
    return tuple(key)


def rows(answer, fields):
    """Packets and bytes by key of an answer of measure/heavy-hitters.  Raises
    ValueError if a key comes twice."""
    groups = {}
    for row in answer["br0"]["heavy-hitters"]:
        key = row_key(row, fields)
        if key in groups:
            raise ValueError("%s comes twice" % (key,))
        groups[key] = [row["packets"], row["bytes"]]
    return groups


def regroup(groups, n):
    """'groups' by the first 'n' fields of their keys."""
    result = collections.defaultdict(lambda: [0, 0])
    for key, numbers in groups.items():
        add(result[key[:n]], *numbers)
    return dict(result)


def scratch_directory():
    return tempfile.TemporaryDirectory(prefix="ovs-measure-test-")
