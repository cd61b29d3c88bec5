#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Counts single test cases in a runner's report: `count.py NAME FILE` prints "PASSED FAILED".

FILE is meson's testlog.json (Criterion's summary of each executable, and those of purity.sh, layers.py, lengths.py and the simulation) or
pytest's JUnit XML. A test program that ended without a summary, or with a failure that its summary does not show, counts as one failed test.
"""
import json
import re
import sys
import xml.etree.ElementTree as ET

CRITERION = re.compile(r"Synthesis: Tested:\D*(\d+)\D*Passing:\D*(\d+)\D*Failing:\D*(\d+)\D*Crashing:\D*(\d+)")
OTHERS = re.compile(r"^(?:purity|layers|lengths|sim): passed=(\d+) failed=(\d+)", re.M)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def counts_of(test):
    text = COLOUR.sub("", (test.get("stdout") or "") + (test.get("stderr") or ""))
    found = CRITERION.search(text)
    if found:
        _, good, bad, crashed = map(int, found.groups())
        bad += crashed
    elif OTHERS.search(text):
        good, bad = map(int, OTHERS.search(text).groups())
    else:
        good, bad = 0, 0
    if test["result"] != "OK" and not bad or good + bad == 0:
        bad += 1
    return good, bad


def count_meson(path):
    with open(path) as f:
        counts = [counts_of(json.loads(line)) for line in f if line.strip()]
    return sum(c[0] for c in counts), sum(c[1] for c in counts)


def count_junit(path):
    """A test that failed and whose fixture failed behind it is one failed test."""
    verdicts = {}
    for case in ET.parse(path).getroot().iter("testcase"):
        outcomes = {child.tag for child in case} & {"failure", "error", "skipped"}
        verdicts.setdefault((case.get("classname"), case.get("name")), set()).update(outcomes or {"passed"})
    bad = sum(1 for v in verdicts.values() if v & {"failure", "error"})
    return sum(1 for v in verdicts.values() if v == {"passed"}), bad


good, bad = (count_junit if sys.argv[2].endswith(".xml") else count_meson)(sys.argv[2])
print(good, bad if good + bad else 1)
