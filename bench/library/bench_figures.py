# SPDX-License-Identifier: Apache-2.0

"""Runs measure-bench, keeps its results, and draws."""

import json
import os
import shutil
import subprocess
import sys

SOURCE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(SOURCE, "../results")
BENCH = os.path.join(os.environ.get("MEASURE_BUILD", "."),
                     "bench/library/measure-bench")


def bench(*arguments):
    command = [BENCH, *map(str, arguments), "--format", "json"]
    print(" ".join(command[1:-2]), file=sys.stderr)
    return json.loads(subprocess.run(command, check=True,
                                     stdout=subprocess.PIPE).stdout)


def write(name, value):
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, name + ".json"), "w") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def read(name):
    with open(os.path.join(RESULTS, name + ".json")) as f:
        return json.load(f)


def contender(result, name):
    for row in result["contenders"]:
        if row["name"] == name:
            return row
    return None


def need_gnuplot():
    if not shutil.which("gnuplot"):
        sys.exit("%s: gnuplot is missing: install the Debian package "
                 "'gnuplot-nox'" % sys.argv[0])


def gnuplot(lines):
    subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", check=True,
                   universal_newlines=True)


def svg(name, size="640,400"):
    """What a plot in the file of that name begins with."""
    return ["set terminal svg size %s font 'sans,12' background 'white'"
            % size,
            "set output '%s'" % os.path.join(RESULTS, name + ".svg")]


# Plots.  A curve is a name and a list of (x, y).

def plot(name, title, x, y, curves, *settings):
    lines = [*svg(name), "set title \"%s\"" % title, "set xlabel \"%s\"" % x,
             "set ylabel \"%s\"" % y, "set key outside right", "set grid",
             "set yrange [0:*]", *settings]
    for i, (_, points) in enumerate(curves):
        lines.append("$curve%d << EOD" % i)
        lines += ["%s %s" % point for point in points] + ["EOD"]
    lines.append("plot " + ", ".join(
        "$curve%d using 1:2 with linespoints title '%s'" % (i, label)
        for i, (label, _) in enumerate(curves)))
    gnuplot(lines)
