#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the packet stream of a bridge, for the Autotest suite.  The switch is
the one whose run directory is OVS_RUNDIR.

  stream_reader.py records BRIDGE N [OPTION]... COMMAND
      Subscribes, runs the shell COMMAND, waits until N packets were offered
      to its rings, and prints each record and mark.  A record is its key
      (source destination protocol source-port destination-port, vlan and
      tunnel if there are some, and the name of the port), length, and for TCP
      flags, sequence and payload.  OPTIONs:
        slots=N          slots of each ring
        headers          the first bytes of each frame, in hex
        count            only numbers of records and marks
        marks            only marks
        twice            a second reader, which reads nothing
        end              reads until the switch ends the stream
  stream_reader.py account BRIDGE N PORT...
      Sends N packets to PORTs in turn, while epochs end and readers come, are
      slow, stop and are killed, and compares marks with reports.
  stream_reader.py hostile BRIDGE PORT
      Does to its descriptors and cursors what a reader must not do.
  stream_reader.py limited BRIDGE
      The switch has no file descriptor left for a while.
  stream_reader.py flood BRIDGE
      Eight readers send without end.
  stream_reader.py deaf BRIDGE COMMAND
      Readers that do not answer, and one that receives nothing while the
      shell COMMAND makes the switch send it much.
  stream_reader.py refused BRIDGE CASE
      Prints the error that the switch answers to a wrong reader.
  stream_reader.py threads BRIDGE COMMAND...
      Runs the shell COMMANDs, and prints after each what has become of the
      rings.
  stream_reader.py epochs BRIDGE COMMAND...
      Runs the shell COMMANDs, and prints after each what the headers of rings
      say of epochs, and what is in the rings."""

import ctypes
import errno
import fcntl
import ipaddress
import json
import mmap
import os
import random
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
from control import Control, rx_packets  # noqa: E402

SECONDS = 60
POLL_SECONDS = 0.001
MAGIC = 0x6d7274732d73766f
HELLO, SUBSCRIBE, RING, PORT, READY, RING_END, ERROR, MAPPED = range(1, 9)
MAIN_THREAD = 0xffffffff
HEADER = 4096
HEAD, OFFERED, FILTERED, DROPPED, RECORDS, LOST, BAD, ENDED, CLOSED, EPOCH = (
    8, 16, 17, 18, 19, 20, 21, 22, 24, 25)  # Words of the header of a ring.
MARK, FILL = 2, 3


class Refused(Exception):
    """The switch has sent an error."""


class Ring:
    def __init__(self, data, fds):
        (self.id, self.core, self.numa, _, self.n,
         self.size) = struct.unpack("IIiIQQ", data[8:])
        self.fds = fds
        self.map = mmap.mmap(fds[0], self.size, prot=mmap.PROT_READ)
        self.words = memoryview(self.map).cast("Q")
        self.cursor_map = mmap.mmap(fds[1], 4096)
        self.cursor = memoryview(self.cursor_map).cast("Q")
        self.tail = self.cursor[0]
        self.over = False               # RING_END has come.

    def read(self, most=None):
        """What has been written: tuples of slots.  They are released."""
        head = self.words[HEAD]
        end = head if most is None else min(head, self.tail + most)
        items = []
        while self.tail < end:
            at = HEADER // 8 + self.tail % self.n * 4
            kind = self.words[at + 2] >> 62
            size = 1 if kind in (0, FILL) else 2
            if kind < MARK and self.words[at + 2] >> 61 & 1:
                size += 3
            if kind != FILL:
                items.append(tuple(self.words[at:at + 4 * size]))
            self.tail += size
        self.cursor[0] = self.tail
        return items


class Reader:
    def __init__(self, bridge, slots=0, headers=False, version=1, magic=MAGIC,
                 name="test", subscribe=True, length=256, flags=None,
                 answer=True):
        self.answer = answer            # Every RING, by MAPPED.
        self.rings = {}
        self.ports = {}
        self.ready = False
        self.error = None
        self.closed = False
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(SECONDS)
        fd = os.open(os.environ["OVS_RUNDIR"], os.O_PATH)
        self.socket.connect("/proc/self/fd/%d/measure-stream.%s"
                            % (fd, bridge))
        os.close(fd)
        data = self.receive()
        kind, size, got_magic, got_version = struct.unpack("IIQI", data[:20])
        assert (kind, size, got_magic, got_version) == (
            HELLO, len(data), MAGIC, 1)
        assert data[24:].rstrip(b"\0") == bridge.encode()
        if subscribe:
            if flags is None:
                flags = int(headers)
            self.subscribe(magic, version, flags, slots, name, length)

    def subscribe(self, magic=MAGIC, version=1, flags=0, slots=0, name="test",
                  length=256):
        message = struct.pack("IIQIIQ224s", SUBSCRIBE, 256, magic, version,
                              flags, slots, name.encode())
        self.socket.send(message[:length])

    def receive(self):
        data, ancillary, _, _ = self.socket.recvmsg(
            512, socket.CMSG_SPACE(8), socket.MSG_CMSG_CLOEXEC)
        if not data:
            self.closed = True
            return data
        if len(data) >= 16 and struct.unpack("I", data[:4])[0] == ERROR:
            number, version = struct.unpack("II", data[8:16])
            text = data[16:].rstrip(b"\0").decode()
            self.error = (number, version, text)
        for level, kind, fds in ancillary:
            assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
            ring = Ring(data, struct.unpack("2i", fds))
            self.rings[ring.id] = ring
            if self.answer:
                self.say_mapped(ring.id)
        kind = struct.unpack("I", data[:4])[0]
        if kind == PORT:
            name = data[16:].rstrip(b"\0").decode()
            self.ports[struct.unpack("I", data[8:12])[0]] = name
        elif kind == READY:
            self.ready = True
        elif kind == RING_END:
            self.rings[struct.unpack("I", data[8:12])[0]].over = True
        return data

    def say_mapped(self, number):
        self.socket.send(struct.pack("IIII", MAPPED, 16, number, 0))

    def wait_ready(self):
        while not self.ready:
            if self.error:
                raise Refused(self.error)
            assert not self.closed
            self.receive()
        return self

    def poll(self):
        """Receives what there is."""
        self.socket.setblocking(False)
        try:
            while not self.closed:
                self.receive()
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.closed = True
        self.socket.settimeout(SECONDS)

    def offered(self):
        return sum(ring.words[OFFERED] for ring in self.rings.values())


class Switch:
    def __init__(self):
        directory = os.environ["OVS_RUNDIR"]
        with open(directory + "/ovs-vswitchd.pid", encoding="ascii") as f:
            self.pid = int(f.read())
        self.control = Control("%s/ovs-vswitchd.%d.ctl" % (directory, self.pid),
                               SECONDS)

    def ask(self, *command):
        result, error = self.control.ask(*command)
        if error is not None:
            sys.exit("%s: %s" % (command, error))
        return result

    def json(self, *command):
        return json.loads(self.ask(*command, "format=json"))


def wait_for(condition, what):
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            sys.exit("%s: not within %d s" % (what, SECONDS))
        time.sleep(POLL_SECONDS)


def run(command):
    subprocess.run(["/bin/bash", "-c", command], check=True,
                   stdout=subprocess.DEVNULL)


def describe(item, ports):
    """A record as text."""
    if item[2] >> 62 == MARK:
        return ("mark: offered %d, records %d, filtered %d, dropped %d, "
                "lost %d%s" % (item[1], item[5], item[3], item[4], item[6],
                               ", end" if item[7] & 1 else ""))
    wide = item[2] >> 62 == 1
    words = list(item[:2]) + (list(item[4:8]) if wide else [])
    ports_word = words[4] if wide else words[1]
    more = ""
    if wide:
        data = struct.pack("4Q", *words[:4])
        ipv4 = words[5] >> 33 & 1
        addresses = [data[:16], data[16:]]
        if ipv4:
            addresses = [address[12:] for address in addresses]
        if words[5] >> 32 & 1:
            more = " tunnel %d" % (words[5] & 0xffffffff)
    else:
        data = struct.pack("Q", words[0])
        addresses = [data[:4], data[4:]]
    text = "%s %s %d %d %d" % (*map(ipaddress.ip_address, addresses),
                               ports_word >> 32 & 0xff, ports_word & 0xffff,
                               ports_word >> 16 & 0xffff)
    if ports_word >> 40 & 0xfff:
        text += " vlan %d" % (ports_word >> 40 & 0xfff)
    length = item[3] >> 40 & 0x1ffff
    text += "%s %s length %d" % (more, ports.get(ports_word >> 52, "-"),
                                 length)
    if item[3] & ~(0x1ffff << 40):
        other = item[3] >> 57
        text += " flags 0x%x sequence %d" % (item[3] >> 32 & 0xff,
                                            item[3] & 0xffffffff)
        if other:
            text += " payload %d" % (length - other - 13)
    if item[2] >> 61 & 1:
        at = 8 if wide else 4
        frame = struct.pack("12Q", *item[at:at + 12])[:length]
        text += " " + frame.hex()
    return text


def seconds_ago(item):
    return time.time() - (item[2] & ((1 << 61) - 1)) / 1e9


def records(bridge, n, *options):
    *options, command = options
    slots = [int(o[6:]) for o in options if o.startswith("slots=")]
    reader = Reader(bridge, slots[0] if slots else 0, "headers" in options)
    reader.wait_ready()
    other = None
    if "twice" in options:
        other = Reader(bridge, 4096, name="other").wait_ready()
    begin = time.time()
    run(command)
    if "end" in options:
        while not reader.closed:
            reader.receive()
    else:
        wait_for(lambda: reader.offered() >= int(n), "%s packets" % n)
        reader.poll()
    items = []
    for number in sorted(reader.rings):
        ring = reader.rings[number]
        last = 0
        for item in ring.read():
            moment = item[2] & ((1 << 61) - 1)
            assert last <= moment, "time has fallen"
            assert begin - 1 < moment / 1e9 < time.time() + 1, "wrong time"
            last = moment
            items.append(item)
    marks = [item for item in items if item[2] >> 62 == MARK]
    if "count" in options:
        print("records %d, marks %d, dropped %d, lost %d" % (
            len(items) - len(marks), len(marks),
            sum(r.words[DROPPED] for r in reader.rings.values()),
            sum(r.words[LOST] for r in reader.rings.values())))
    else:
        for item in marks if "marks" in options else items:
            print(describe(item, reader.ports))
    if other:
        rings = other.rings.values()
        print("other: offered %d, records %d, dropped %d" % tuple(
            sum(r.words[i] for r in rings)
            for i in (OFFERED, RECORDS, DROPPED)))
    if reader.error:
        print("error %d: %s" % (reader.error[0], reader.error[2]))


class Ledger:
    """Packets of each thread and epoch, by the marks of a reader."""

    def __init__(self, reader, kind):
        self.reader = reader
        self.kind = kind
        self.before = {}                # The last mark of each ring.
        self.records = {}               # Since it.
        self.epochs = {}                # (core, epoch): packets.
        self.first = {}                 # The first epoch of each core.
        self.ended = {}                 # The last mark was the last of all.

    def read(self, most=None):
        self.reader.poll()
        for ring in self.reader.rings.values():
            for item in ring.read(most):
                self.note(ring, item)

    def note(self, ring, item):
        if item[2] >> 62 != MARK:
            self.records[ring.id] = self.records.get(ring.id, 0) + 1
            return
        epoch, offered, filtered = item[0], item[1], item[3]
        dropped, n_records, lost = item[4], item[5], item[6]
        assert offered == filtered + dropped + n_records, "does not add up"
        assert n_records == self.records.get(ring.id, 0), (
            "%s: %d records instead of %d" % (
                self.kind, self.records.get(ring.id, 0), n_records))
        before = self.before.get(ring.id, (0, 0, 0))
        assert epoch > before[0] or item[7] & 1, "epochs fall"
        if ring.id not in self.before:
            self.first[ring.core] = epoch
        self.epochs[ring.core, epoch] = (
            self.epochs.get((ring.core, epoch), 0) + offered - before[1],
            before[0], lost > before[2])
        self.before[ring.id] = (epoch, offered, lost)
        self.ended[ring.id] = item[7] & 1


def account(bridge, n, *ports):
    """While N packets come, epochs end all the time, and so do readers."""
    seed = int(os.environ.get("MEASURE_SEED", 0)) or random.randrange(1 << 32)
    print("MEASURE_SEED=%d" % seed, file=sys.stderr)
    choose = random.Random(seed)
    switch = Switch()
    n = int(n)
    ledgers = [Ledger(Reader(bridge, name=kind, slots=4096).wait_ready(), kind)
               for kind in ("fast", "slow", "stopped")]
    sent = 0
    victims = []
    n_killed = 0
    while sent < n:
        # The queue of a dummy port holds 100 packets.
        for port in ports:
            frames = []
            for _ in range(90):
                flow = choose.randrange(300)
                frames.append("in_port(1),eth(src=50:54:00:00:00:09,"
                              "dst=50:54:00:00:00:0a),eth_type(0x0800),"
                              "ipv4(src=10.0.%d.%d,dst=10.0.1.1,proto=17,"
                              "tos=0,ttl=64,frag=no),udp(src=1,dst=2)"
                              % (flow >> 8, flow & 255))
            before = rx_packets(switch.ask("dpctl/show", "-s"))[port]
            switch.ask("netdev-dummy/receive", port, *frames)
            if choose.randrange(4) == 0:
                # In the middle of a burst, as far as that can be done.
                switch.ask("measure/close-epoch", bridge)
            wait_for(lambda: rx_packets(switch.ask("dpctl/show", "-s"))[port]
                     >= before + 90, "90 packets")
            sent += 90
        if choose.randrange(2):
            switch.ask("time/warp", "100")
        ledgers[0].read()
        if choose.randrange(3) == 0:
            ledgers[1].read(most=choose.randrange(60))
        if len(victims) < 3:
            victims.append(start_victim(bridge))
        elif choose.randrange(3) == 0:
            n_killed += 1
            end_victim(victims.pop(0))
    for victim in victims:
        n_killed += 1
        end_victim(victim)
    assert n_killed > 2
    # The threads write the mark of an epoch with their next packet: the end of
    # the stream makes them write the last.
    switch.ask("measure/close-epoch", bridge)
    check_status(switch, bridge, ledgers)
    run("ovs-vsctl set Bridge %s other_config:measure-stream=false" % bridge)
    for ledger in ledgers:
        while not ledger.reader.closed:
            ledger.reader.receive()
        # The stopped reader wakes up.
        ledger.read()
    n_epochs = {ledger.kind: compare(switch, bridge, ledger)
                for ledger in ledgers}
    print("%d packets" % sent)
    assert n_epochs["fast"] > 20, n_epochs
    drops = {ledger.kind: sum(r.words[DROPPED] for r in
                              ledger.reader.rings.values())
             for ledger in ledgers}
    assert drops["stopped"] > 0 and drops["fast"] == 0, drops
    print("fast, slow and stopped readers add up")


def start_victim(bridge):
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        reader = Reader(bridge, slots=4096, name="victim").wait_ready()
        os.write(write_end, b"!")
        while True:
            for ring in reader.rings.values():
                ring.read()
            time.sleep(POLL_SECONDS)
    assert os.read(read_end, 1) == b"!"
    os.close(read_end)
    os.close(write_end)
    return pid


def end_victim(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def check_status(switch, bridge, ledgers):
    """measure/status says of each reader what its rings say."""
    def status():
        return {reader["name"]: reader["total"] for reader in switch.json(
            "measure/status", bridge)[bridge]["stream"]["readers"]}
    wait_for(lambda: "victim" not in status(), "end of the victims")
    totals = status()
    for ledger in ledgers:
        total = totals[ledger.kind]
        rings = ledger.reader.rings.values()
        for name, word in (("offered", OFFERED), ("records", RECORDS),
                           ("dropped", DROPPED), ("marks-lost", LOST)):
            # Headers of rings are brought up to date from time to time.
            wait_for(lambda n=name, w=word, r=rings, t=total:
                     t[n] == sum(ring.words[w] for ring in r), name)


def compare(switch, bridge, ledger):
    """Compares the marks of a reader with the reports of all epochs."""
    last = switch.json("measure/status", bridge)[bridge]["epoch"]["number"]
    cores = {ring.core for ring in ledger.reader.rings.values()}
    tables = {epoch: packets_of(switch, bridge, epoch, cores)
              for epoch in range(1, last)}
    n = 0
    for core in cores:
        name = "main" if core == MAIN_THREAD else str(core)
        table = {epoch: tables[epoch][core] for epoch in range(1, last)}
        marked = sorted(e for c, e in ledger.epochs if c == core)
        for epoch in marked:
            offered, before, lost = ledger.epochs[core, epoch]
            if lost:
                # Of several epochs together.
                expected = sum(table.get(e, 0)
                               for e in range(before + 1, epoch + 1))
            else:
                expected = table.get(epoch, 0)
            assert offered == expected, (
                "%s: thread %s, epoch %d: table %d, stream %d"
                % (ledger.kind, name, epoch, expected, offered))
            n += 1
        # What has no mark, and was not marked together, has no packets; or
        # the last mark had no room: then the header of the ring tells.
        ring, = [ring for ring in ledger.reader.rings.values()
                 if ring.core == core]
        total = sum(table.values())
        assert ring.words[ENDED] and total == ring.words[OFFERED]
        if ledger.ended.get(ring.id):
            assert total == sum(ledger.epochs[core, e][0] for e in marked), (
                "%s: thread %s" % (ledger.kind, name))
        else:
            assert ring.words[LOST] > 0 and ledger.kind != "fast"
    return n


def packets_of(switch, bridge, epoch, cores):
    """Packets of the report of an epoch, by core."""
    def total(*arguments):
        return switch.json("measure/heavy-hitters", bridge, "n=0",
                           "epoch=%d" % epoch, *arguments)[bridge]["total"][
                               "packets"]
    packets = {core: total("pmd=%d" % core) for core in cores
               if core != MAIN_THREAD}
    packets[MAIN_THREAD] = total() - sum(packets.values())
    return packets


def fails(errors, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return error.errno in errors
    except (PermissionError, ValueError):
        return True
    return False


def punch(ring):
    """Tries to take the page of a cursor away.  Returns an errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = ctypes.c_long
    return (ctypes.get_errno() if libc.fallocate(
        ring.fds[1], 3, size(0), size(4096)) else 0)


def hostile(bridge, port):
    reader = Reader(bridge, slots=4096).wait_ready()
    switch = Switch()
    for ring in reader.rings.values():
        fd, cursor_fd = ring.fds
        no = (errno.EPERM, errno.EBADF, errno.EINVAL, errno.EACCES)
        assert fails(no, os.ftruncate, fd, 0)
        assert fails(no, os.ftruncate, cursor_fd, 0)
        assert fails(no, os.ftruncate, cursor_fd, 8192)
        assert fails(no, mmap.mmap, fd, ring.size)
        assert fails(no, os.write, fd, b"x")
        # Another descriptor of the same file, which root may have.
        try:
            again = os.open("/proc/self/fd/%d" % fd, os.O_RDWR)
        except OSError:
            again = None
        if again is not None:
            assert fails(no, os.ftruncate, again, 0)
            assert fails(no, mmap.mmap, again, ring.size)
            assert fails(no, os.write, again, b"x")
            os.close(again)
        for fd_ in fd, cursor_fd:
            seals = fcntl.fcntl(fd_, 1034)
            assert seals & 0x17 == 0x17, seals
        assert fails(no, mmap.mmap, cursor_fd, 4096)
    print("descriptors are sealed")

    # The page of a cursor, until and after the switch has sealed it.
    early = Reader(bridge, slots=4096, name="early", answer=False)
    while not early.rings:
        early.receive()
    for ring in early.rings.values():
        assert not punch(ring), "cannot punch: the test tests nothing"
        ring.cursor[0] = 12345
        early.answer = True
        early.say_mapped(ring.id)
    early.wait_ready()
    for victim in reader, early:
        for ring in victim.rings.values():
            for _ in range(1000):
                assert punch(ring) == errno.EPERM, punch(ring)
                assert fails(no, ring.cursor_map.madvise, mmap.MADV_REMOVE)
            assert ring.cursor[0] == ring.tail
            ring.cursor[0] = 0
    early.socket.close()
    print("pages stay")

    seed = int(os.environ.get("MEASURE_SEED", 0)) or random.randrange(1 << 32)
    print("MEASURE_SEED=%d" % seed, file=sys.stderr)
    choose = random.Random(seed)
    bad = 0
    for i in range(200):
        for ring in reader.rings.values():
            for word in range(512):
                ring.cursor[word] = choose.getrandbits(64)
            # More than the head, of now and after 50 packets more, less than
            # the tail, and what wraps.
            ring.cursor[0] = choose.choice(
                (ring.words[HEAD] + 1000, (1 << 64) - 1, 1 << 63,
                 choose.getrandbits(64), ring.words[HEAD] + ring.n))
        before = rx_packets(switch.ask("dpctl/show", "-s"))[port]
        switch.ask("netdev-dummy/receive", port, *(
            ["in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),"
             "eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.1.1,proto=17,tos=0,"
             "ttl=64,frag=no),udp(src=1,dst=2)"] * 50))
        wait_for(lambda: rx_packets(switch.ask("dpctl/show", "-s"))[port]
                 >= before + 50, "50 packets")
    bad = sum(r.words[BAD] for r in reader.rings.values())
    assert bad > 0
    rings = reader.rings.values()
    wait_for(lambda: reader.offered() >= 10000, "10000 packets")
    assert sum(r.words[DROPPED] for r in rings) > 0
    total = switch.json("measure/status", bridge)[bridge][
        "stream"]["readers"][0]["total"]
    assert total["bad-cursors"] == bad
    # A cursor that is right again is believed.
    for ring in rings:
        ring.tail = ring.words[HEAD]
        ring.cursor[0] = ring.tail
    print("bad cursors are counted")


def limited(bridge):
    """The switch has no file descriptor left, and then it has."""
    switch = Switch()
    pid = switch.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)

    def limit():
        used = {int(name) for name in os.listdir("/proc/%d/fd" % pid)}
        free = min(set(range(len(used) + 1)) - used)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, before[1]))

    def unlimit():
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    def logged(text):
        with open("ovs-vswitchd.log", encoding="ascii") as log:
            return text in log.read()

    limit()
    run("ovs-vsctl set Bridge %s other_config:measure-stream=true" % bridge)
    wait_for(lambda: logged("cannot listen") or logged("can listen"), "warning")
    unlimit()
    # The socket is there a little before somebody listens.
    wait_for(lambda: logged("readers of the stream connect to"), "socket")
    print("it listens later")

    reader = Reader(bridge, subscribe=False)
    limit()
    reader.subscribe()
    while not reader.error:
        reader.receive()
    print(reader.error[0], reader.error[2])
    readers = []
    thread = threading.Thread(target=lambda: readers.append(Reader(bridge)))
    thread.start()
    wait_for(lambda: logged("cannot accept a reader"), "warning")
    unlimit()
    thread.join()
    readers[0].wait_ready()
    print("it accepts later")


def flood(bridge):
    switch = Switch()
    children = []
    for _ in range(8):
        pid = os.fork()
        if not pid:
            reader = Reader(bridge, name="flood", answer=False)
            try:
                while True:
                    reader.socket.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                os._exit(0)
            os._exit(1)
        children.append(pid)
    switch.ask("measure/close-epoch", bridge)
    print("the epoch has ended")

    def are_gone():
        children[:] = [pid for pid in children
                       if os.waitpid(pid, os.WNOHANG) == (0, 0)]
        return not children
    try:
        wait_for(are_gone, "hung up on all")
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    print("all have been hung up on")


def deaf(bridge, command):
    silent = Reader(bridge, subscribe=False, name="silent")
    mute = Reader(bridge, name="mute", answer=False)
    deaf_reader = Reader(bridge, name="deaf").wait_ready()
    listeners = [threading.Thread(target=receive_error, args=(reader,))
                 for reader in (silent, mute)]
    for listener in listeners:
        listener.start()
    run(command)
    for listener in listeners:
        listener.join()
    for reader in silent, mute:
        print(reader.error[0], reader.error[2])
    wait_for(lambda: hung_up(deaf_reader.socket), "hung up on")
    while not deaf_reader.closed:
        deaf_reader.receive()
    print("hung up, error", deaf_reader.error)


def receive_error(reader):
    while not reader.error and not reader.closed:
        reader.receive()


def hung_up(connection):
    poll = select.poll()
    poll.register(connection, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def refused(bridge, case):
    cases = {
        "version": {"version": 7},
        "magic": {"magic": 1},
        "slots": {"slots": 5000},
        "few-slots": {"slots": 2048},
        "many-slots": {"slots": 1 << 21},
        "flags": {"flags": 6},
        "short": {"length": 100},
        "runt": {"length": 3},
        "memory": {}, "message": {}, "mapped": {}, "mapped-twice": {},
    }
    try:
        if case == "readers":
            readers = [Reader(bridge).wait_ready() for _ in range(8)]
            try:
                Reader(bridge)
            except AssertionError:
                pass
            # The ninth gets an error in place of a greeting.
            nine = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            nine.connect(os.environ["OVS_RUNDIR"] + "/measure-stream."
                         + bridge)
            data = nine.recv(512)
            assert struct.unpack("I", data[:4])[0] == ERROR
            print(struct.unpack("I", data[8:12])[0],
                  data[16:].rstrip(b"\0").decode())
            assert nine.recv(512) == b""
            readers[0].socket.close()

            def room():
                try:
                    Reader(bridge).wait_ready()
                except AssertionError:
                    return False
                return True
            wait_for(room, "room for a reader")
            return
        if case == "memory":
            first = Reader(bridge).wait_ready()
        reader = Reader(bridge, **cases[case])
        if case in ("message", "mapped", "mapped-twice"):
            reader.wait_ready()
            if case == "message":
                reader.socket.send(b"x")
            else:
                reader.say_mapped(1 if case == "mapped-twice" else 99)
        while not reader.error and not reader.closed:
            reader.receive()
        number, version, text = reader.error
        assert version == 1
        print(number, text)
        assert reader.receive() == b""
        if case == "memory":
            Reader(bridge, slots=4096).wait_ready()
            first.socket.close()
    except ConnectionResetError:
        sys.exit("reset")


def threads(bridge, *commands):
    """Prints the rings after each command."""
    reader = Reader(bridge).wait_ready()

    def show():
        # Until nothing changes any more.
        for number, ring in sorted(reader.rings.items()):
            core = ("main" if ring.core == MAIN_THREAD
                    else "core %d" % ring.core)
            print("ring %d: %s%s%s" % (
                number, core, " ended" if ring.words[ENDED] else "",
                " over" if ring.over else ""))
        sys.stdout.flush()
    show()
    for command in commands:
        n, _, command = command.partition(":")
        run(command)

        def changed(n=int(n)):
            reader.poll()
            return sum(1 + r.over for r in reader.rings.values()) == n
        wait_for(changed, "%s rings and ends" % n)
        print(command.split()[0])
        show()
    for number, ring in sorted(reader.rings.items()):
        for item in ring.read():
            if item[2] >> 62 == MARK:
                print("ring %d: %s" % (number, describe(item, {})))


def epochs(bridge, *commands):
    reader = Reader(bridge).wait_ready()
    for command in commands:
        run(command)
        for ring in sorted(reader.rings.values(), key=lambda r: r.core):
            if ring.core == MAIN_THREAD:
                continue
            closed, last = ring.words[CLOSED], ring.words[EPOCH]
            items = ring.read()
            print("core %d: closed %d, last packet %d, offered %d, records %d"
                  % (ring.core, closed, last, ring.words[OFFERED],
                     sum(item[2] >> 62 != MARK for item in items)))
            for item in items:
                if item[2] >> 62 == MARK:
                    print("  %s" % describe(item, {}))


if __name__ == "__main__":
    {"records": records, "account": account, "hostile": hostile,
     "flood": flood, "deaf": deaf,
     "epochs": epochs, "limited": limited, "refused": refused, "threads": threads}[sys.argv[1]](*sys.argv[2:])
