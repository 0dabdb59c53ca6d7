# SPDX-License-Identifier: Apache-2.0

"""A connection to the control socket of ovs-vswitchd, for a program run for
each question would take its time."""

import json
import os
import re
import socket
import time


class Control:
    """Asks questions, whose answers come in the same order.  An answer must be
    there within 'seconds', or TimeoutError is raised."""

    def __init__(self, path, seconds):
        self.seconds = seconds
        self.received = b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        # The path of a socket may be too long for its address.
        directory, name = os.path.split(path)
        fd = os.open(directory, os.O_PATH)
        try:
            self.socket.connect("/proc/self/fd/%d/%s" % (fd, name))
        finally:
            os.close(fd)

    def send(self, name, *arguments):
        self.socket.sendall(json.dumps({"method": name, "params": arguments,
                                        "id": 0}).encode())

    def ask(self, name, *arguments):
        """Returns the result and the error, one of which is None."""
        self.send(name, *arguments)
        return self.answer(name)

    def answer(self, name):
        end = time.monotonic() + self.seconds
        while True:
            # An answer is one object; most pieces of a long one do not end
            # like it.
            if self.received.endswith(b"}"):
                text = self.received.decode()
                try:
                    reply, end = json.JSONDecoder().raw_decode(text)
                    break
                except ValueError:
                    pass
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("%s: no answer" % name)
            self.socket.settimeout(left)
            data = self.socket.recv(1 << 20)
            if not data:
                raise ConnectionError("%s: the switch has hung up" % name)
            self.received = (self.received + data).rstrip()
        self.received = text[end:].lstrip().encode()
        return reply.get("result"), reply.get("error")

    def close(self):
        self.socket.close()


def rx_packets(text):
    """Name of each port to packets received, from 'dpctl/show -s'."""
    return {name: int(n) for name, n in re.findall(
        r"port \d+: (\S+).*\n\s*RX packets:(\d+)", text)}
