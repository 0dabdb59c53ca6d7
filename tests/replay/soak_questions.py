# SPDX-License-Identifier: Apache-2.0

"""The questions of the soak test: good ones, garbage, and what an answer must
be."""

import json

from replaying import load_script, shorten

schemas_test = load_script("tests/replay/schemas-test")

GROUPS = ("flow", "pair", "source", "destination", "source-port",
          "destination-port", "protocol", "port", "vlan", "tunnel",
          "source/24", "destination/64", "source/*", "destination/*",
          "source+destination-port", "source/8+protocol+vlan")
FILTERS = ("source=10.0.0.0/8", "destination=2000::/3", "source=::/0",
           "protocol=tcp,destination-port=443", "protocol=udp", "vlan=1",
           "source=0.0.0.0/1,destination=128.0.0.0/1")
TIMES = ("epoch=-1", "epoch=-2", "last=1s", "last=1m", "pmd=0", "pmd=1")
COMMANDS = {
    "heavy-hitters": (["by=" + group for group in GROUPS],
                      ["where=" + words for words in FILTERS], TIMES,
                      ["sort=bytes", "sort=packets"],
                      ["n=0", "n=1", "n=10", "n=1000"]),
    "superspreaders": (["by=source", "by=destination", "by=source-port"],
                       ["where=" + words for words in FILTERS], TIMES,
                       ["min=1", "min=100"], ["n=5", "n=100"]),
    "changes": (["n=0", "n=7"],),
    "alerts": (["n=0", "n=7"], ["since=0", "since=3"]),
    "distribution": (["where=" + words for words in FILTERS], TIMES),
    "status": (),
    "metrics": (["top=0", "top=5", "top=100"],),
}
# Each makes any question wrong.
GARBAGE = ("", "=", "by=", "by=+", "by=source/129", "where=", "where=source=x",
           "where=,", "n=-1", "n=1e9", "n=%s" % 10 ** 30, "epoch=0",
           "epoch=--1", "last=1", "last=-1s", "pmd=-1", "sort=", "format=",
           "format=xml", "min=0", "since=-1", "top=101", "x" * 5000, "%s%n",
           "\u20ac=\u20ac", "-", "--help", "n=1 n=2", "by=source+",
           "where=" + "source=10.0.0.0/8," * 500, "no-such-bridge")
# A question of the right form that cannot be answered as things are.
CANNOT = ("valid is", "ask again later", "no memory", "measure-key",
          "measure-structure", "measurement is off", "has never been measured",
          "no report")
# The validator takes its time with the rest.
MAX_VALIDATED = 200000


class Question:
    def __init__(self, command, arguments, good, json_format):
        self.command = "measure/" + command
        self.name = command
        self.good = good
        self.json = json_format and command != "metrics"
        self.arguments = arguments + (["format=json"] if self.json else [])

    def __str__(self):
        return shorten("%s %s" % (self.command, " ".join(self.arguments)))


def draw(random, bridges):
    """A question, good or not, about one of 'bridges' or all."""
    command = random.choice(sorted(COMMANDS))
    arguments = [random.choice(choices) for choices in COMMANDS[command]
                 if random.random() < 0.4]
    if random.random() < 0.7:
        arguments.append(random.choice(bridges))
    random.shuffle(arguments)
    good = random.random() < 0.8
    if not good:
        # Behind what it may replace.
        arguments.append(random.choice(GARBAGE))
    return Question(command, arguments, good, random.random() < 0.7)


def judge(validators, question, result, error):
    """What is wrong with an answer, or an empty string."""
    if error is not None:
        return judge_error(question, error)
    if not question.good:
        return "%s: answered" % question
    if not result.strip():
        # No bridge is measured, or none of the rows has been asked for.
        return "%s: empty" % question
    if question.name == "metrics":
        return ("" if result.endswith("# EOF\n")
                else "%s: no end: %s" % (question, result[-100:]))
    if question.json:
        return judge_json(validators[question.name], question, result)
    return ""


def judge_error(question, error):
    if not error.strip():
        return "%s: an error without a word" % question
    if question.good and not any(word in error for word in CANNOT):
        return "%s: %s" % (question, shorten(error))
    return ""


def judge_json(validator, question, result):
    try:
        answer = json.loads(result)
    except ValueError as error:
        return "%s: %s: %s" % (question, error, shorten(result))
    if len(result) <= MAX_VALIDATED:
        wrong = schemas_test.message(validator, answer)
        if wrong:
            return "%s: %s" % (question, wrong)
    if question.name == "heavy-hitters":
        return judge_sums(question, answer)
    return ""


def judge_sums(question, answer):
    """The rows and all others make the total, where all have a row."""
    hierarchical = any(word.endswith("/*") for word in question.arguments)
    for name, report in answer.items():
        if name == "schema-version" or "other" not in report or hierarchical:
            continue
        total = report.get("matched", report["total"])
        for unit in ("packets", "bytes"):
            rows = sum(row[unit] for row in report["heavy-hitters"])
            if rows + report["other"][unit] != total[unit]:
                return "%s: %s: %d %s in rows, %d in others, %d in all" % (
                    question, name, rows, unit, report["other"][unit],
                    total[unit])
    return ""
