#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0

"""Prints the packets of a bridge with measure-stream=true, a JSON line each.

doc/stream-protocol.md describes what is read here.  What Python cannot keep up
with, the switch counts as dropped."""

import argparse
import array
import ipaddress
import json
import mmap
import os
import select
import socket
import struct
import sys

HELLO, SUBSCRIBE, RING, PORT, READY, RING_END, ERROR, MAPPED = range(1, 9)
MAGIC = int.from_bytes(b"ovs-strm", sys.byteorder)
RING_MAGIC = int.from_bytes(b"ovs-ring", sys.byteorder)
NARROW, WIDE, MARK, FILL = range(4)


class Ring:
    """A ring that was mapped, and our cursor in it."""

    def __init__(self, core, n_slots, size, fds):
        self.core, self.n_slots, self.ended = core, n_slots, False
        self.memory = mmap.mmap(fds[0], size, mmap.MAP_SHARED, mmap.PROT_READ)
        self.cursor = mmap.mmap(fds[1], mmap.PAGESIZE)
        for fd in fds:
            os.close(fd)
        if struct.unpack_from("=QII", self.memory) != (RING_MAGIC, 1, 32):
            sys.exit("not a ring of version 1 with slots of 32 bytes")
        # As words: the processor reads and writes them whole.
        self.words = memoryview(self.memory).cast("Q")
        self.tail_word = memoryview(self.cursor).cast("Q")
        self.tail = self.tail_word[0]

    def read(self):
        """Where each record and mark begins, and which of them it is."""
        head = self.words[8]
        while self.tail < head:
            word = 512 + self.tail % self.n_slots * 4
            kind = self.words[word + 2] >> 62
            if kind != FILL:
                yield word, kind
            self.tail += 2 if kind in (WIDE, MARK) else 1
            if kind < MARK and self.words[word + 2] >> 61 & 1:
                self.tail += 3
        self.tail_word[0] = self.tail


def describe(ring, word, kind, ports):
    """A record or mark, for JSON."""
    w = ring.words[word:word + (4 if kind == NARROW else 8)].tolist()
    result = {"core": ring.core} if ring.core != 0xffffffff else {}
    result["time-ns"] = w[2] & (1 << 61) - 1
    if kind == MARK:
        return {**result, "epoch": w[0], "offered": w[1], "filtered": w[3],
                "dropped": w[4], "records": w[5], "marks-lost": w[6]}
    if kind == NARROW:
        addresses, key, n = struct.pack("=Q", w[0]), w[1], 4
    else:
        addresses, key, n = struct.pack("=4Q", *w[:2], *w[4:6]), w[6], 16
    skip = 12 if kind == WIDE and w[7] >> 33 & 1 else 0         # IPv4.
    result.update({
        "source": str(ipaddress.ip_address(addresses[skip:n])),
        "destination": str(ipaddress.ip_address(addresses[n + skip:])),
        "protocol": key >> 32 & 0xff, "bytes": w[3] >> 40 & 0x1ffff})
    if result["protocol"] in (6, 17, 132):
        result["source-port"] = key & 0xffff
        result["destination-port"] = key >> 16 & 0xffff
    if key >> 40 & 0xfff:
        result["vlan"] = key >> 40 & 0xfff
    if kind == WIDE and w[7] >> 32 & 1:
        result["tunnel"] = w[7] & 0xffffffff
    if key >> 52 in ports:
        result["port"] = ports[key >> 52]
    return result


def receive(connection, rings, ports):
    """Takes a message.  Returns its type, or None if there are no more."""
    m, control, _, _ = connection.recvmsg(256, socket.CMSG_SPACE(8))
    if not m:
        return None
    kind = struct.unpack_from("=I", m)[0]
    if kind == HELLO:
        if struct.unpack_from("=QI", m, 8) != (MAGIC, 1):
            sys.exit("the switch does not speak version 1")
        connection.send(struct.pack("=IIQIIQ224s", SUBSCRIBE, 256, MAGIC, 1,
                                    0, 0, b"read-stream.py"))
    elif kind == ERROR:
        sys.exit("the switch says: " + m[16:].rstrip(b"\0").decode())
    elif kind == RING:
        id_, core = struct.unpack_from("=II", m, 8)
        rings[id_] = Ring(core, *struct.unpack_from("=QQ", m, 24),
                          array.array("i", control[0][2]))
        connection.send(struct.pack("=IIII", MAPPED, 16, id_, 0))
    elif kind == PORT:
        ports[struct.unpack_from("=I", m, 8)[0]] = m[16:].rstrip(b"\0").decode()
    elif kind == RING_END:
        rings[struct.unpack_from("=I", m, 8)[0]].ended = True
    return kind


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bridge", required=True)
    parser.add_argument("--count", type=int, help="end after so many packets")
    parser.add_argument("--marks", action="store_true", help="print them, too")
    options = parser.parse_args()

    path = (os.environ.get("OVS_RUNDIR") or "/var/run/openvswitch"
            ) + "/measure-stream." + options.bridge
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(path)
    except OSError as error:
        sys.exit("%s: %s; valid are bridges with measure-stream=true"
                 % (path, error.strerror))
    rings, ports, n, kind, idle = {}, {}, 0, HELLO, False
    while kind not in (READY, None):
        kind = receive(connection, rings, ports)
    while kind or rings:
        if kind and select.select([connection], [], [],
                                  0.001 if idle else 0)[0]:
            kind = receive(connection, rings, ports)
        idle = True
        for id_, ring in list(rings.items()):
            last = ring.ended or not kind
            for word, what in ring.read():
                idle = False
                if what != MARK or options.marks:
                    print(json.dumps(describe(ring, word, what, ports)))
                n += what != MARK
                if n == options.count:
                    return
            if last:
                del rings[id_]
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)
