# SPDX-License-Identifier: Apache-2.0

"""Counts the instructions of the PMD thread between two receptions, one by
one: a number without noise, also where the processor's counters are out of
reach."""

import ctypes
import os
import statistics
import subprocess

import overhead_switch

Failure = overhead_switch.Failure

PTRACE_PEEKUSER = 3
PTRACE_SINGLESTEP = 9
PTRACE_DETACH = 17
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
RIP = 16 * 8
WALL = 0x40000000

# Called once for each batch, and for each poll that finds no packets.
START = "netdev_rxq_recv"


def libc_ptrace():
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p,
                       ctypes.c_void_p)
    ptrace.restype = ctypes.c_long
    return ptrace


def address_of(pid, symbol):
    """Where 'symbol' is in the memory of process 'pid'."""
    path = os.readlink("/proc/%d/exe" % pid)
    listing = subprocess.run(["nm", path], capture_output=True, text=True,
                             check=True).stdout
    for line in listing.splitlines():
        words = line.split()
        if len(words) == 3 and words[2] == symbol and words[1] in "tT":
            offset = int(words[0], 16)
            break
    else:
        raise Failure(overhead_switch.NO_SWITCH, "%s: no symbol %s"
                      % (path, symbol))
    with open("/proc/%d/maps" % pid, encoding="utf-8") as f:
        base = int(next(line for line in f
                        if line.rstrip().endswith(path)).split("-")[0], 16)
    with open(path, "rb") as f:
        relocated = f.read(18)[16] == 3
    return base + offset if relocated else offset


def per_batch(switch, batches):
    """Returns the median number of instructions of batches, of 'batches'
    polls, half of which find packets: the output port is polled, too."""
    switch.waited_ns()
    pid = switch.servers[-1][1].pid
    thread = int(os.path.basename(switch.pmd_task))
    start = address_of(pid, START)
    ptrace = libc_ptrace()

    def call(request, what=None):
        result = ptrace(request, thread, what, None)
        if result == -1 and ctypes.get_errno():
            raise OSError(ctypes.get_errno(), "ptrace: "
                          + os.strerror(ctypes.get_errno()))
        return result

    counts = []
    cores = os.sched_getaffinity(0)
    # Between threads of one core a step is fastest.
    os.sched_setaffinity(0, {overhead_switch.PMD_CORE})
    call(PTRACE_SEIZE)
    try:
        call(PTRACE_INTERRUPT)
        os.waitpid(thread, WALL)
        count = None
        while len(counts) < batches:
            overhead_switch.replay.check_interrupted()
            call(PTRACE_SINGLESTEP)
            os.waitpid(thread, WALL)
            if count is not None:
                count += 1
            if ptrace(PTRACE_PEEKUSER, thread, RIP, None) == start:
                if count is not None:
                    counts.append(count)
                count = 0
    finally:
        ptrace(PTRACE_DETACH, thread, None, None)
        os.sched_setaffinity(0, cores)
    # A poll that finds nothing is the shortest there is.
    return statistics.median(count for count in counts
                             if count > 2 * min(counts))
