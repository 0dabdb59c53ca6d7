# SPDX-License-Identifier: Apache-2.0

"""The private Open vSwitch of the soak test: its servers, which end and start
again, its packet threads, which can be made to stand, and its log."""

import collections
import ctypes
import json
import os
import re
import signal
import sys
import time

from replaying import SOURCE, load_script

sys.path.append(os.path.join(SOURCE, "tests/switch"))
from control import Control, rx_packets  # noqa: E402

replay = load_script("utilities/ovs-measure-replay")
Failure = replay.Failure
NO_SWITCH = replay.NO_SWITCH

# Each DPDK port has a pool of its own of 16384 buffers, of 3 KiB with what
# DPDK adds.
DPDK_MB = 512
# An answer that takes longer is not alive.  Other tests may run on the same
# machine.
ANSWER_SECONDS = 30
# While the packet threads stand the main thread may wait for one of them.
STANDING_SECONDS = 1
SWITCH = "ovs-vswitchd"
DATABASE = "ovsdb-server"


class Switch(replay.Switch):
    """Two PMD threads at most, dummy ports, and DPDK without hugepages."""

    def start(self, settings):
        self.start_database()
        extra = ("--no-pci --no-telemetry --file-prefix=%s --no-huge "
                 "--legacy-mem -m %d" % (self.directory[-8:], DPDK_MB))
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".",
                   "other_config:dpdk-init=true",
                   "other_config:dpdk-extra=" + json.dumps(extra),
                   "other_config:per-port-memory=true",
                   *["other_config:%s=%s" % pair for pair in settings.items()])
        self.start_switch()

    def start_database(self):
        if os.path.exists(self.file("conf.db")):
            self.start_server(DATABASE, [
                self.file("conf.db"),
                "--remote=punix:" + self.file("db.sock")])
            self.wait_for_socket("db.sock")
        else:
            super().start_database()

    def start_switch(self):
        self.start_server(SWITCH, ["unix:" + self.file("db.sock"),
                                   "--enable-dummy", "--disable-system"])
        self.wait_for_socket(SWITCH + ".ctl")
        # Each packet that is sent would be in the log.
        self.get("vlog/set", "unixctl:info")

    def wait_for_socket(self, name):
        def is_there():
            self.check_alive()
            try:
                Control(self.file(name), ANSWER_SECONDS).close()
            except OSError:
                return False
            return True

        if not replay.wait_until(is_there, ANSWER_SECONDS):
            raise Failure(NO_SWITCH, "%s: nobody listens" % name)

    def server(self, name):
        return dict(self.servers)[name]

    def signal(self, name, number):
        self.server(name).send_signal(number)

    def end_server(self, name, number):
        """Ends the server by signal 'number'.  Returns its exit status, or
        None if it did not end."""
        server = self.server(name)
        self.servers = [pair for pair in self.servers if pair[0] != name]
        server.send_signal(number)
        try:
            return server.wait(timeout=ANSWER_SECONDS)
        except replay.subprocess.TimeoutExpired:
            server.kill()
            server.wait()
            return None

    def stop(self):
        for _, server in self.servers:
            server.send_signal(signal.SIGCONT)
        super().stop()

    def control(self, seconds=ANSWER_SECONDS):
        return Control(self.file(SWITCH + ".ctl"), seconds)

    def ask(self, name, *arguments, seconds=ANSWER_SECONDS):
        control = self.control(seconds)
        try:
            return control.ask(name, *arguments)
        finally:
            control.close()

    def get(self, name, *arguments, seconds=ANSWER_SECONDS):
        result, error = self.ask(name, *arguments, seconds=seconds)
        if error is not None:
            raise Failure(NO_SWITCH, "%s: %s" % (name, error))
        return result

    def rx_packets(self, seconds=ANSWER_SECONDS):
        return rx_packets(self.get("dpctl/show", "-s", seconds=seconds))

    def status(self, seconds=ANSWER_SECONDS):
        return json.loads(self.get("measure/status", "format=json",
                                   seconds=seconds))

    def standing_numbers(self):
        """What the ports have received and the state of the bridges, while
        no packet thread moves.  None if the main thread waits for one of
        them."""
        # What it does now may need them.
        self.get("version")
        with Standing(self.server(SWITCH).pid):
            try:
                return (self.rx_packets(STANDING_SECONDS),
                        self.status(STANDING_SECONDS))
            except TimeoutError:
                return None

    def resources(self):
        """What must not grow: resident memory without DPDK's, which is taken
        once, in MiB, threads, and open files; and the names of threads."""
        pid = self.server(SWITCH).pid
        # Threads that write the log come and go, and have the name of the one
        # that has something to write.
        names = sorted(set(name for _, name in thread_names(pid)))
        return {"rss": resident_kb("/proc/%d/smaps" % pid) // 1024,
                "threads": len(names),
                "files": len(os.listdir("/proc/%d/fd" % pid)),
                "names": names}


def resident_kb(path):
    total = size = 0
    with open(path, encoding="ascii", errors="replace") as f:
        for line in f:
            name, _, rest = line.partition(":")
            if name == "Size":
                size = int(rest.split()[0])
            elif name == "Rss" and size < DPDK_MB * 1024:
                total += int(rest.split()[0])
    return total


class Standing:
    """Makes the packet threads of process 'pid' stand.  They stand anywhere,
    also within a batch.  If this program ends they go on."""

    SEIZE = 0x4206
    INTERRUPT = 0x4207
    DETACH = 17
    ALL_THREADS = 0x40000000

    def __init__(self, pid):
        self.pid = pid
        self.threads = []
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.argtypes = [ctypes.c_long] * 4
        self.ptrace.restype = ctypes.c_long

    def __enter__(self):
        for thread in packet_threads(self.pid):
            # One that has ended meanwhile does not move.
            if self.ptrace(self.SEIZE, thread, 0, 0):
                continue
            self.threads.append(thread)
            self.ptrace(self.INTERRUPT, thread, 0, 0)
            try:
                os.waitpid(thread, self.ALL_THREADS)
            except ChildProcessError:
                pass
        return self

    def __exit__(self, *exception):
        for thread in self.threads:
            self.ptrace(self.DETACH, thread, 0, 0)


def packet_threads(pid):
    return [thread for thread, name in thread_names(pid)
            if name.startswith("pmd-c")]


def thread_names(pid):
    for thread in os.listdir("/proc/%d/task" % pid):
        try:
            with open("/proc/%d/task/%s/comm" % (pid, thread),
                      encoding="ascii") as f:
                yield int(thread), f.read().strip()
        except OSError:
            pass


class Log:
    """The log of the switch.  Every warning of measurement must have been
    announced by expect(), and comes once."""

    # What Open vSwitch and DPDK say of what a soak does to them.
    EXPECTED = re.compile("|".join((
        r"^\w+\|Dropped \d+ log messages",
        r"^netdev_dpdk\|Rx checksum offload is not supported",
        r"^netdev_dpdk\|Interface \S+ does not support MTU configuration",
        # With the header of a tunnel.
        r"^netdev_dpdk\|\S+: Too big size \d+ max_packet_len",
        r"^reconnect\|.*(connection (dropped|attempt)|connect|clustered)",
        r"^timeval\|",
        r"^poll_loop\|.*(wakeup|Dropped)",
        r"^ovs_rcu\|.*blocked",
        r"^unixctl\|.*(connect|receive|error|Broken pipe)",
        r"^jsonrpc\|.*(receive error|send error|error parsing|bad JSON-RPC)",
        r"^dpif(_netdev)?\|.*failed to (flow_del|put|flow_put)",
        r"^ofproto_dpif_upcall\|upcall_cb failure: ukey installation fails",
        r"^ofproto_dpif_upcall\|xlate_key failed \(No such device\)",
        r"^tunnel\|receive tunnel port not found",
        r"^daemon_unix\|",
        r"^fatal_signal\|.*terminating",
    )))

    # What measurement says of too little memory, which a soak gives it.
    MEMORY = re.compile("keys found no room in measure-structure=|"
                        "no memory .* within measure-memory-mb=")

    def __init__(self, path):
        self.path = path
        self.position = 0
        self.rest = ""
        self.announced = collections.Counter()
        self.seen = collections.Counter()
        self.unexpected = []

    def expect(self, text):
        """One warning of measurement that begins like 'text' will come."""
        self.announced[text] += 1

    def read(self):
        """Reads what is new."""
        with open(self.path, encoding="utf-8", errors="replace") as f:
            f.seek(self.position)
            text = self.rest + f.read()
            self.position = f.tell()
        *lines, self.rest = text.split("\n")
        for line in lines:
            self.read_line(line)

    def read_line(self, line):
        words = line.split("|", 4)
        if len(words) < 5 or words[3] not in ("WARN", "ERR", "EMER"):
            return
        module = words[2].partition("(")[0]
        if module.startswith("measure"):
            # Alerts, if measure-alert-log=warn.
            if module == "measure_watch" and "no memory" not in words[4]:
                return
            if not self.MEMORY.search(words[4]):
                self.read_warning(line, words[4])
        elif not self.EXPECTED.search("%s|%s" % (module, words[4])):
            self.unexpected.append(line)

    def read_warning(self, line, message):
        for text in self.announced:
            if message.startswith(text):
                self.seen[text] += 1
                if self.seen[text] > self.announced[text]:
                    self.unexpected.append("once too often: " + line)
                if "valid " not in message:
                    self.unexpected.append("says not what is valid: " + line)
                return
        self.unexpected.append(line)

    def missing(self):
        """The warnings that were announced and are not there."""
        self.read()
        return [text for text, n in self.announced.items()
                if self.seen[text] < n]

    def wait(self):
        """Waits for the warnings that were announced.  Returns those that do
        not come, and takes them back."""
        replay.wait_until(lambda: not self.missing(), ANSWER_SECONDS)
        missing = self.missing()
        for text in missing:
            self.announced[text] = self.seen[text]
        return missing

    def take_unexpected(self):
        self.read()
        lines, self.unexpected = self.unexpected, []
        return lines
