# SPDX-License-Identifier: Apache-2.0

"""Captures for the benchmark of the switch: packets of pairs of addresses
drawn by Zipf's law, the same ones for the same seed."""

import array
import bisect
import itertools
import random
import struct

ETHERNET = bytes.fromhex("020000000002" "020000000001")
VXLAN_PORT = 4789

# The addresses of the tunnel's ends.
TUNNEL_LOCAL = "192.0.2.1"
TUNNEL_REMOTE = "192.0.2.2"


def checksum(header):
    total = sum(struct.unpack(">%dH" % (len(header) // 2), header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, payload):
    header = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(payload), 0, 0, 64,
                         17, 0, source, destination)
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return ETHERNET + b"\x08\x00" + header + payload


def ipv6(source, destination, payload):
    prefix = bytes.fromhex("20010db8000000000000000000")[:12]
    return (ETHERNET + b"\x86\xdd"
            + struct.pack(">IHBB", 6 << 28, len(payload), 17, 64)
            + prefix + struct.pack(">I", source)
            + prefix + struct.pack(">I", destination) + payload)


def udp(source_port, destination_port, data):
    # A checksum of 0 is none in IPv4; nobody looks at that of IPv6.
    return struct.pack(">HHHH", source_port, destination_port,
                       8 + len(data), 0) + data


def address(text):
    return int.from_bytes(bytes(int(part) for part in text.split(".")), "big")


class Pairs:
    """Pairs of addresses by rank.  The addresses of a rank look random, and
    no two ranks have the same ones."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self, rank):
        # Multiplying by an odd number permutes the numbers of 24 bits.
        mixed = (rank * 0x9e3779 + self.seed * 0x3c6ef3) & 0xffffff
        source = 0x0a000000 | mixed
        destination = 0x0b000000 | ((mixed ^ mixed >> 11) * 0x85ebcb
                                    & 0xffffff)
        return source, destination


def zipf(count, n_pairs, exponent, seed):
    """Returns 'count' ranks from 0 to n_pairs - 1, rank k drawn with a
    probability proportional to (k + 1) ** -exponent."""
    generator = random.Random(seed)
    weights = array.array("d", itertools.accumulate(
        (k + 1) ** -exponent for k in range(n_pairs)))
    total = weights[-1]
    return [min(bisect.bisect(weights, generator.random() * total),
                n_pairs - 1) for _ in range(count)]


# Simple mix of sizes of frames as on links of the Internet: 7 : 4 : 1.
MIXED_SIZES = (60,) * 7 + (576,) * 4 + (1500,)


def frames(kind, ranks, seed):
    """Yields the frames of 'kind' for pairs of these ranks."""
    pairs = Pairs(seed)
    generator = random.Random(seed + 1)
    outer = address(TUNNEL_REMOTE), address(TUNNEL_LOCAL)
    for i, rank in enumerate(ranks):
        pair = pairs({"new-flows": i, "elephant": 0}.get(kind, rank))
        if kind == "collisions":
            # The exclusive or, and the sum with the complement, are those of
            # all others.
            pair = 0x0a000000 | i, 0x0b000000 | i
        if kind == "ipv6":
            yield ipv6(*pair, udp(1024, 53, b""))
            continue
        size = (generator.choice(MIXED_SIZES) if kind == "mixed-sizes"
                else 60)
        frame = ipv4(*pair, udp(1024, 53, bytes(size - 42)))
        if kind == "vxlan":
            frame = ipv4(*outer, udp(49152 + rank % 1024, VXLAN_PORT,
                                     bytes.fromhex("0800000000002a00")
                                     + frame))
        yield frame


def write(path, all_frames):
    """Writes a capture.  Returns the number of its packets."""
    n = 0
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in all_frames:
            f.write(struct.pack("<IIII", n // 1000000, n % 1000000,
                                len(frame), len(frame)))
            f.write(frame)
            n += 1
    return n
