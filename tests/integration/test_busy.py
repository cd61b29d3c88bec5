# SPDX-License-Identifier: PostgreSQL
"""busy.py: what is run again, and what the report says then. Tests of tests, in a pytest of their own."""
import os
import subprocess
import sys
import xml.etree.ElementTree

import pytest

import busy

TESTS = """
import pytest
from busy import unless_busy

runs, torn = {}, {}

def run(name):
    runs[name] = runs.get(name, 0) + 1
    return runs[name]

@pytest.fixture(scope="module")
def module():
    yield run("module")
    with open("torn down", "a") as f:
        f.write("module ")

@pytest.fixture
def mine(module):
    yield run("mine")

@pytest.fixture
def broken():
    yield
    assert run("broken") > 1, "behind it"

@pytest.fixture
def tardy():
    with unless_busy():
        assert run("tardy") > 1, "tardy"

def test_fixture_is_late(tardy, mine):
    assert run("behind it") == 1

def test_passes(mine):
    with unless_busy():
        assert True

def test_late(mine):
    n = run("late")
    with unless_busy():
        assert n > 1, "early"
    assert runs["mine"] == 4 and runs["module"] == 1, runs

def test_latest(mine):
    n = run("latest")
    with unless_busy():
        assert n > 2

def test_never(mine):
    with unless_busy():
        assert run("never") > 3, "never"

def test_answer(mine):
    assert run("answer") > 1, "an answer"

def test_answer_behind_a_count(mine):
    with unless_busy():
        assert run("counted") > 1, "a count"
    assert False, "an answer"

def test_error(mine):
    with unless_busy():
        if run("error") == 1:
            raise ValueError("an error")

def test_torn(broken, module):
    with unless_busy():
        assert run("fixture") > 1, "a count"

def test_skipped(mine):
    pytest.skip("here")

def test_last(mine):
    with unless_busy():
        assert run("last") > 1, "early"

def test_runs(mine):
    assert [runs[n] for n in ("late", "latest", "never", "answer", "counted", "error", "fixture", "last")] == [2, 3, 3, 1, 2, 1, 1, 2]
"""
FAIL = ["test_answer", "test_answer_behind_a_count", "test_error", "test_never", "test_torn"]


def pytest_in(folder, text):
    """The result, what it printed, and its report's elements for each test."""
    (folder / "test_it.py").write_text(text)
    done = subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "busy", "--rootdir", str(folder), "--junitxml=report.xml",
                           "test_it.py"], cwd=folder, text=True, capture_output=True, env=dict(os.environ, PYTHONPATH=os.path.dirname(__file__)))
    cases = {}
    for case in xml.etree.ElementTree.parse(folder / "report.xml").getroot().iter("testcase"):
        cases.setdefault(case.get("name"), []).append(case)
    return done, cases


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setenv("PGFOLD_BUSY_PAUSE", "0")


@pytest.mark.parametrize("last", ["test_runs", "test_last", "test_torn"])
def test_what_is_run_again(tmp_path, last):
    tests = TESTS.split("\n\ndef test_")
    text = "\n\ndef test_".join(tests[:1 + next(i for i, t in enumerate(tests) if ("test_" + t).startswith(last))])
    done, cases = pytest_in(tmp_path, text)
    outcomes = {name: [{child.tag for child in case} & {"failure", "error", "skipped"} for case in found] for name, found in cases.items()}
    assert sorted(name for name, found in outcomes.items() if {"failure", "error"} & set().union(*found)) == FAIL, done.stdout
    assert all(len(found) == 1 for name, found in cases.items() if name != "test_torn"), done.stdout
    passed = {"test_runs": "6 passed, 1 skipped", "test_last": "5 passed, 1 skipped", "test_torn": "4 passed"}[last]
    assert "5 failed, %s, 1 error" % passed in done.stdout and done.returncode == 1, done.stdout
    assert "%d run again" % (5 if last == "test_torn" else 6) in done.stdout and "test_it.py::test_late: early" in done.stdout, done.stdout
    assert (tmp_path / "torn down").read_text() == "module "
    again = {p.get("value") for case in cases["test_late"] for p in case.iter("property")}
    assert {x.split("\n")[0] for x in again} == {"early"}


def test_a_fault_of_the_product_is_not_hidden(tmp_path):
    """Many tests whose counts are too high are not run again for ever."""
    done, cases = pytest_in(tmp_path, """
import pytest
from busy import unless_busy
runs = {}

@pytest.mark.parametrize("n", range(20))
def test_it(n):
    runs[n] = runs.get(n, 0) + 1
    with unless_busy():
        assert runs[n] > 1
""")
    assert "%d failed, %d passed" % (20 - busy.MOST, busy.MOST) in done.stdout and len(cases) == 20, done.stdout
