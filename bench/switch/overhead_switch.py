# SPDX-License-Identifier: Apache-2.0

"""A private Open vSwitch whose one PMD thread forwards a loop of packets.

The start of the servers is that of utilities/ovs-measure-replay, which is
loaded as a module."""

import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.realpath(__file__))))


def load_replay():
    # Its name has no suffix, and nothing is written beside it.
    sys.dont_write_bytecode = True
    path = os.path.join(SOURCE, "utilities/ovs-measure-replay")
    loader = importlib.machinery.SourceFileLoader("replay", path)
    spec = importlib.util.spec_from_loader("replay", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


replay = load_replay()
Failure = replay.Failure
NO_SWITCH = replay.NO_SWITCH
BAD_INPUT = replay.BAD_INPUT
BRIDGE = replay.BRIDGE

IN_PORT = "p0"
PMD_CORE = 1
CONTROL_CORE = 0

# net_pcap takes the packets of an endless loop out of the pool of the port,
# so that this must be larger than the loop.  The pool that all ports share
# has 2**18 buffers, of 3 KiB with what DPDK adds.
SHARED_BUFFERS = 1 << 18
HUGEPAGE_MB = 1100
# For the process at the other end of a vhost-user port.
SENDER_BUFFERS = 1 << 16
SENDER_MB = 300
# Without hugepages, the smallest pool of one port.
PORT_BUFFERS = 16384
NO_HUGE_MB = 512

# From a change of the database to the answer of a PMD thread.
SETTLE_SECONDS = 30


class Hugepages:
    """Sets aside 2 MiB pages for the time of the benchmark, and gives them
    back after it."""

    PATH = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"

    def __init__(self):
        self.before = None

    def read(self):
        with open(self.PATH, encoding="ascii") as f:
            return int(f.read())

    def write(self, number):
        with open(self.PATH, "w", encoding="ascii") as f:
            f.write("%d\n" % number)

    def reserve(self, needed):
        """Returns None, or why there are not 'needed' MiB."""
        free = replay.free_hugepage_mb()
        if free >= needed:
            return None
        try:
            before = self.read()
            self.write(before + (needed - free) // 2 + 1)
            self.before = before
        except OSError as error:
            return str(error)
        free = replay.free_hugepage_mb()
        if free < needed:
            self.restore()
            return "only %d MiB can be set aside, %d are needed" \
                % (free, needed)
        return None

    def restore(self):
        if self.before is not None:
            self.write(self.before)
            self.before = None


class Control:
    """A connection to the control socket of the switch, for a program run
    for each question would disturb the packet thread's neighbours."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(SETTLE_SECONDS)
        self.socket.connect(path)
        self.decoder = json.JSONDecoder()

    def ask(self, method, *parameters):
        """Returns the answer and whether it is an error."""
        self.socket.sendall(json.dumps(
            {"id": 0, "method": method,
             "params": list(parameters)}).encode())
        received = b""
        while True:
            data = self.socket.recv(1 << 20)
            if not data:
                raise Failure(NO_SWITCH, "%s: the switch has hung up"
                              % method)
            received += data
            # An answer is one object; most pieces of a long one do not end
            # like it.
            if not data.rstrip().endswith(b"}"):
                continue
            try:
                answer = json.loads(received)
            except ValueError:
                continue
            if answer.get("error"):
                return answer["error"], True
            return answer["result"], False

    def get(self, method, *parameters):
        answer, failed = self.ask(method, *parameters)
        if failed:
            raise Failure(NO_SWITCH, "%s: %s"
                          % (method, replay.one_line(answer)))
        return answer

    def close(self):
        self.socket.close()


class Counters:
    """What the PMD thread says of itself in one answer: numbers since its
    start.  Differences of two of these are one interval."""

    LINES = {
        "received": "Rx packets",
        "forwarded": "Tx packets",
        "cycles": "- Used TSC cycles",
        "passes": "Datapath passes",
        "simple-match-hits": "- Simple Match hits",
        "emc-hits": "- EMC hits",
        "smc-hits": "- SMC hits",
        "megaflow-hits": "- Megaflow hits",
        "upcalls": "- Upcalls",
        "lost-upcalls": "- Lost upcalls",
    }
    HITS = ("simple-match-hits", "emc-hits", "smc-hits", "megaflow-hits",
            "upcalls", "lost-upcalls")

    def __init__(self, numbers):
        self.numbers = numbers

    @classmethod
    def parse(cls, text):
        found = {}
        for line in text.splitlines():
            name, colon, rest = line.partition(":")
            words = rest.split()
            if colon and words and words[0].isdigit():
                found[name.strip()] = int(words[0])
        # Older and newer versions lack some of the hits.
        return cls({key: found.get(name, 0)
                    for key, name in cls.LINES.items()})

    def __getitem__(self, key):
        return self.numbers[key]

    def __sub__(self, other):
        return Counters({key: self[key] - other[key] for key in self.LINES})

    def shares(self):
        """Where packets found their flow, in percent of the passes."""
        return {key: round(100 * self[key] / max(self["passes"], 1), 2)
                for key in self.HITS if self[key]}


def pass_time(seconds):
    """Lets the switch forward for 'seconds', which is what is measured."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        replay.check_interrupted()
        time.sleep(min(0.05, max(0, end - time.monotonic())))


def tail(text, pattern):
    match = re.search(pattern, text)
    return match.group(1) if match else None


class Switch(replay.Switch):
    """Like that for a replay, but for speed: one PMD thread on a core of its
    own, all else on another core."""

    def __init__(self, programs, directory, hugepages, vswitchd=None):
        super().__init__(programs, directory)
        self.hugepages = hugepages
        self.vswitchd = vswitchd
        self.control = None
        self.collector = None
        self.pmd_task = None
        self.sender = None
        self.prefer = not os.geteuid()

    def start_server(self, name, arguments):
        if name != "ovs-vswitchd" or not self.vswitchd:
            super().start_server(name, arguments)
            return
        programs, self.programs = self.programs, OtherSwitch(self.programs,
                                                             self.vswitchd)
        try:
            super().start_server(name, arguments)
        finally:
            self.programs = programs

    def start_forwarding(self, settings=()):
        """Starts the switch with an empty bridge."""
        extra = ("--no-pci --no-telemetry --file-prefix=%s"
                 % self.directory[-8:])
        if not self.hugepages:
            extra += " --no-huge --legacy-mem -m %d" % NO_HUGE_MB
        self.start_database()
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true",
                   "other_config:dpdk-extra=" + json.dumps(extra),
                   "other_config:per-port-memory=%s"
                   % ("false" if self.hugepages else "true"),
                   "other_config:pmd-cpu-mask=0x%x" % (1 << PMD_CORE),
                   *["other_config:" + setting for setting in settings])
        self.start_server("ovs-vswitchd",
                          ["unix:" + self.file("db.sock"), "--enable-dummy",
                           "--disable-system"])
        self.vsctl("add-br", BRIDGE, "--", "set", "Bridge", BRIDGE,
                   "datapath_type=dummy", "fail_mode=secure")
        self.control = Control(self.file("ovs-vswitchd.ctl"))

    def add_flows(self, flows):
        path = self.file("flows")
        with open(path, "w", encoding="ascii") as f:
            f.write("".join(flow + "\n" for flow in flows))
        status, _, err = self.run(
            [os.path.join(self.programs.build or "", "ovs/utilities/ovs-ofctl")
             if self.programs.build else "ovs-ofctl",
             "add-flows", "unix:" + self.file(BRIDGE + ".mgmt"), path])
        if status:
            raise Failure(NO_SWITCH, replay.one_line(err))

    def add_dpdk_port(self, name, devargs, *options):
        self.vsctl("add-port", BRIDGE, name, "--", "set", "Interface", name,
                   "type=dpdk", "options:dpdk-devargs=" + json.dumps(devargs),
                   *options)
        status, out, _ = self.run(
            [self.programs.path("ovs-vsctl"), "--db=unix:"
             + self.file("db.sock"), "get", "Interface", name, "error"])
        error = out.strip()
        if status or error not in ("[]", ""):
            raise Failure(NO_SWITCH, "port %s: %s" % (name, error))

    def add_vhost_port(self, name, capture, *options):
        """Adds a vhost-user port, to which another process of DPDK sends the
        loop of packets in 'capture', as a virtual machine would."""
        path = self.file("vhost")
        self.start_sender(path, capture)
        self.vsctl("add-port", BRIDGE, name, "--", "set", "Interface", name,
                   "type=dpdkvhostuserclient",
                   "options:vhost-server-path=" + path, *options)

        def connected():
            self.check_alive()
            if self.sender.poll() is not None:
                raise Failure(NO_SWITCH, "dpdk-testpmd has ended: "
                              + self.sender_says())
            return self.counters()["received"]
        if not replay.wait_until(connected, SETTLE_SECONDS):
            raise Failure(NO_SWITCH, "no packets from dpdk-testpmd after %d "
                          "seconds: %s" % (SETTLE_SECONDS,
                                           self.sender_says()))

    def start_sender(self, path, capture):
        program = shutil.which("dpdk-testpmd")
        if not program:
            raise Failure(NO_SWITCH, "dpdk-testpmd is not installed: it comes "
                          "with the package dpdk-dev")
        if not self.hugepages:
            raise Failure(NO_SWITCH, "a vhost-user port needs hugepages")
        with open(self.file("testpmd.log"), "wb") as log:
            # It forwards until its standard input ends.
            self.sender = subprocess.Popen(
                [program, "--no-pci", "--no-telemetry", "--in-memory",
                 "--single-file-segments",
                 "--lcores=0@%d,1@%d" % (CONTROL_CORE, CONTROL_CORE),
                 "-m", str(SENDER_MB),
                 "--vdev=net_pcap0,rx_pcap=%s,infinite_rx=1" % capture,
                 "--vdev=net_virtio_user0,path=%s,server=1,queue_size=1024"
                 % path, "--", "--forward-mode=io", "--no-lsc-interrupt",
                 "--total-num-mbufs=%d" % SENDER_BUFFERS],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)

    def sender_says(self):
        with open(self.file("testpmd.log"), encoding="utf-8",
                  errors="replace") as f:
            return replay.one_line(f.read()[-1000:])

    def add_tunnel(self, local, mac):
        """Makes the bridge the end of VXLAN tunnels: port 3."""
        self.vsctl("set", "Bridge", BRIDGE, "other_config:hwaddr=\"%s\""
                   % mac, "--", "add-port", BRIDGE, "vx0", "--", "set",
                   "Interface", "vx0", "type=vxlan", "ofport_request=3",
                   "options:remote_ip=flow", "options:key=flow")
        self.control.get("netdev-dummy/ip4addr", BRIDGE, local + "/24")
        self.control.get("ovs/route/add", local + "/24", BRIDGE)

    def counters(self):
        self.check_alive()
        return Counters.parse(self.control.get(
            "dpif-netdev/pmd-perf-show", "-nh", "-it", "0", "-ms", "0",
            "-pmd", str(PMD_CORE)))

    def idle_cycles(self):
        """Those of the PMD thread, since its start, in which no packet came:
        none but where another process sends them."""
        if not self.sender:
            return 0
        text = self.control.get("dpif-netdev/pmd-stats-show", "-pmd",
                                str(PMD_CORE))
        return int(tail(text, r"idle cycles: (\d+)") or 0)

    def waited_ns(self):
        """How long the PMD thread could have run while its core was busy with
        another thread, since its start."""
        tasks = "/proc/%d/task" % self.servers[-1][1].pid
        if not self.pmd_task:
            for task in os.listdir(tasks):
                path = os.path.join(tasks, task)
                with open(path + "/comm", encoding="ascii") as f:
                    if f.read().startswith("pmd-c%02d" % PMD_CORE):
                        self.pmd_task = path
        if not self.pmd_task:
            raise Failure(NO_SWITCH, "there is no PMD thread on core %d"
                          % PMD_CORE)
        if self.prefer:
            # What little else there is must not have the core meanwhile.
            # Where sessions share the processor, theirs counts.
            os.setpriority(os.PRIO_PROCESS,
                           int(os.path.basename(self.pmd_task)), -20)
            group = "/proc/%d/autogroup" % self.servers[-1][1].pid
            if os.path.exists(group):
                with open(group, "w", encoding="ascii") as f:
                    f.write("-20")
            self.prefer = False
        with open(self.pmd_task + "/schedstat", encoding="ascii") as f:
            return int(f.read().split()[1])

    def wait_for_flows(self, marker, there):
        """Waits until the actions of the datapath's flows contain 'marker',
        or no longer, and no more flows come."""
        before = None

        def settled():
            nonlocal before
            text = self.control.get("dpctl/dump-flows", "-m")
            flows = [line for line in text.splitlines()
                     if "in_port(%s)" % IN_PORT in line]
            upcalls = self.counters()["upcalls"]
            quiet, before = upcalls == before, upcalls
            return quiet and flows and (
                not marker
                or all((marker in flow) == there for flow in flows))
        if not replay.wait_until(settled, SETTLE_SECONDS):
            raise Failure(NO_SWITCH, "the flows have not changed after %d "
                          "seconds" % SETTLE_SECONDS)

    def collector_port(self):
        """A UDP port of this machine whose datagrams nobody reads."""
        if not self.collector:
            self.collector = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.collector.bind(("127.0.0.1", 0))
        return self.collector.getsockname()[1]

    def version(self):
        return tail(self.control.get("version"), r"\(Open vSwitch\) (\S+)")

    def dpdk_version(self):
        with open(self.file("ovs-vswitchd.log"), encoding="utf-8",
                  errors="replace") as f:
            return tail(f.read(), r"Using DPDK (\d\S*)")

    def stop(self):
        for connection in (self.control, self.collector):
            if connection:
                connection.close()
        self.control = self.collector = None
        if self.sender:
            self.sender.kill()
            self.sender.wait()
            self.sender.stdin.close()
            self.sender = None
        super().stop()


class OtherSwitch:
    """The programs of the build, but for the switch itself."""

    def __init__(self, programs, vswitchd):
        self.programs = programs
        self.vswitchd = vswitchd

    def path(self, name):
        return (self.vswitchd if name == "ovs-vswitchd"
                else self.programs.path(name))
