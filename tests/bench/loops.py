#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Counts what loops of lookups cost: the statements that reach the server, directly and through pgfold, of each loop that loops_pages.py has.

    tests/bench/loops.py [--bin PGFOLD]… [--only TEXT]… [--row TEXT]… [--waste | --no-waste] [--way TEXT]… [--set KEY=VALUE]… [--json FILE] [--output FILE] [--list] [--show]

Everything is started here on free ports and stopped at the end: a throw-away PostgreSQL, a relay in front of it that counts, and a pgfold for each loop,
just started. Each loop runs twelve times on one connection, since it must not become worse, and all answers are compared with those that the server gives
directly. Default settings, but for times that nothing reaches (--set changes that).

Statements are counted twice. The server's log says what they were: the client's own, batches, what frames a batch in a transaction (SAVEPOINT and the like),
questions about the connection and about statements. The relay counts Query and Execute messages; the two must agree. A figure is what the client has sent and
pgfold's batches; frames follow as "+n"; questions are left out, since a statement is asked about once. A loop is fine if from its second time on no figure,
frames left out, is above what is wanted. --show prints what reached the server the last time.

The part about waste is in loops_waste.py. With several --bin each has columns of its own.
"""
import argparse
import contextlib
import json
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration"))
import ahead  # noqa: E402
import loops_pages  # noqa: E402
import loops_waste  # noqa: E402
import orm_pages  # noqa: E402
import servers  # noqa: E402
from loops_world import World, connect, note, table, vain_of  # noqa: E402

ROOT = os.path.normpath(os.path.join(HERE, "../.."))
# Default settings, but for times.
PATIENT = {"lookahead.max_gap": "1s", "lookahead.max_age": "60s", "batching.never_slower": "on", "batching.patience": "10s", "batching.timeout": "30s"}


def go(world, port, of, times, sent=()):
    """[{"n", …}] by time, the answers by time, and what the server has seen."""
    counts, answers, seen = [], [], []
    with contextlib.closing(connect(world, port, of)) as c:
        for _ in range(times):
            c.got.clear()
            world.mark()
            of.run(c)
            count, seen = note(world, sent)
            counts.append(count)
            answers.append(list(c.got))
    return counts, answers, seen


def refusals(pgfold):
    """What pgfold says of statements that it does not fold; its reasons are in its counters, too."""
    return sorted(set(re.findall(r"(?:a shape is not folded|a batch failed)[^\n]*?: ([^\n]*)", pgfold.log())))


def why(by):
    """What pgfold counted, in a line: keys ahead and what became of them, and reasons to forward."""
    return ", ".join("%s %s" % (v, k) for k, v in by["counters"].items() if k not in ("lookups", "folded", "batches", "keys")) + "".join("; " + w for w in by["why"])


def measure(world, binaries, of, args):
    """What one loop costs: {"direct": n, binary: {"times": [...], "same", "ok", "counters"}}."""
    times = args.times or of.times
    direct, want, seen = go(world, world.port, of, times if of.differs else 2)
    sent = {s.text for s in seen}
    out = dict(name=of.name, row=of.row, client=of.client, wanted=of.wanted, direct=direct[-1]["n"], by={})
    for binary in binaries:
        pgfold = world.start_pgfold(binary, args.settings)
        try:
            counts = orm_pages.Counts(pgfold)
            got, have, seen = go(world, pgfold.port, of, times, sent)
            same = all(a == want[min(i, len(want) - 1)] for i, a in enumerate(have))
            count = counts.read()
            out["by"][binary] = dict(times=got, same=same, ok=same and max(t["n"] for t in got[min(1, len(got) - 1):]) <= of.wanted, agree=all(t["all"] == t["relay"] for t in got),
                                     counters=count, vain=vain_of(count), why=refusals(pgfold))
        finally:
            pgfold.stop()
        if args.show:
            for s in seen:
                print("        %-8s %s%s" % (ahead.kind_of(s, sent), s.text[:args.show].replace("\n", " "), "  " + str(s.values)[:100] if s.values else ""))
    return out


# ---- the report

def figure(t):
    return "%d%s" % (t["n"], "+%d" % t["frames"] if t["frames"] else "")


def figures(times):
    """The same figure again and again is written once."""
    out = []
    for t in map(figure, times):
        if out and out[-1][0] == t:
            out[-1][1] += 1
        else:
            out.append([t, 1])
    return ", ".join(t if n == 1 else "%s × %d" % (t, n) for t, n in out)


def verdict(by):
    if not by["same"]:
        return "**answers differ**"
    return ("ok" if by["ok"] else "**no**") + ("" if by["agree"] else " (log and relay differ)")


def loop_lines(results, binaries):
    names = ["pgfold"] if len(binaries) == 1 else binaries
    head = ["loop", "direct", *(x for n in names for x in (n + ", time by time", "keys for nothing")), "wanted", *("ok" for _ in names)]
    lines, rows, row = [], [], None
    for r in results:
        if r["row"] != row:
            row = r["row"]
            rows.append(["**%s**" % row, "", *("" for _ in 2 * names), r["wanted"], *("" for _ in names)])
        rows.append([r["name"].replace("|", "\\|"), r["direct"], *(x for b in binaries for x in (figures(r["by"][b]["times"]), r["by"][b]["vain"])), r["wanted"],
                     *(verdict(r["by"][b]) for b in binaries)])
    lines += table(head, rows)
    for b in binaries:
        lines += ["", "%s: %d of %d loops as wanted" % (b, sum(r["by"][b]["ok"] for r in results), len(results))]
    return lines


def introduction(args):
    head = servers.run("git", "-C", ROOT, "describe", "--always", "--dirty").strip()
    return ["# Loops, statements at the server, %s UTC" % time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "",
            "pgfold %s; %s; %s. Figures: what the client sent and pgfold's batches; +n: SAVEPOINT and the like around batches in transactions; questions to the "
            "catalogue are left out in the first table and counted in the second." % (
                head, servers.run(servers.pg_bin("postgres"), "--version").strip(), ", ".join("%s = %s" % s for s in args.settings.items())), ""]


def build():
    where = os.path.join(ROOT, "build-bench")
    if not os.path.exists(os.path.join(where, "build.ninja")):
        servers.run("meson", "setup", where, ROOT, "--buildtype=release", "-Dtests=false")
    servers.run("ninja", "-C", where, "pgfold")
    return os.path.join(where, "pgfold")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", action="append", help="pgfold to measure, instead of a release build made in build-bench/; may be said several times")
    p.add_argument("--only", action="append", default=[], help="loops whose name contains this")
    p.add_argument("--row", action="append", default=[], help="loops of the rows that contain this")
    p.add_argument("--times", type=int, help="how often each loop runs on its connection (12)")
    p.add_argument("--waste", action="store_true", help="only the part about waste")
    p.add_argument("--way", action="append", default=[], help="waste only: lists gone through in ways that contain this")
    p.add_argument("--no-waste", action="store_true", help="only the loops")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for pgfold")
    p.add_argument("--json", help="a file for all that was measured")
    p.add_argument("--output", help="a file for the report, too")
    p.add_argument("--list", action="store_true", help="only names the loops")
    p.add_argument("--why", action="store_true", help="print what pgfold counted, and why it refused statements")
    p.add_argument("--show", type=int, nargs="?", const=160, help="print what reached the server the last time, so many bytes of each")
    args = p.parse_args()
    args.settings = PATIENT | ({"pgfold.log_level": "debug", "pgfold.log_repeats": "0"} if args.why else {}) | dict(s.split("=", 1) for s in args.set)
    return args


def chosen(p, args):
    return (not args.only or any(o in p.name for o in args.only)) and (not args.row or any(o in p.row for o in args.row))


def run_loops(world, binaries, args):
    out = []
    for of in loops_pages.PAGES:
        if not chosen(of, args):
            continue
        try:
            out.append(measure(world, binaries, of, args))
        except Exception as e:  # one loop that fails is told, and the others go on
            print("%s: %s" % (of.name, repr(e)[:300]), file=sys.stderr, flush=True)
            continue
        r = out[-1]
        print("%-50s %4d  %s  (%d)" % (r["name"], r["direct"], "; ".join("%s %s" % (figures(r["by"][b]["times"]), verdict(r["by"][b])) for b in binaries),
                                       r["wanted"]), file=sys.stderr, flush=True)
        for b in binaries if args.why else ():
            print("        " + why(r["by"][b]), file=sys.stderr, flush=True)
    return out


def main():
    args = arguments()
    if args.list:
        return print("\n".join("%s: %s" % (p.row, p.name) for p in loops_pages.PAGES if chosen(p, args)))
    binaries = [os.path.abspath(b) for b in args.bin] if args.bin else [build()]
    with contextlib.ExitStack() as stack:
        world = World(stack)
        results = [] if args.waste else run_loops(world, binaries, args)
        waste = [] if args.no_waste else [dict(r, binary=b) for b in binaries for r in loops_waste.run(world, b, args)]
    lines = introduction(args) + (loop_lines(results, binaries) if results else [])
    for b in binaries if waste else ():
        lines += ["", "## Waste, " + b, ""] + loops_waste.lines([r for r in waste if r["binary"] == b])
    print("\n".join(lines))
    if args.output:
        with open(args.output, "w") as f:
            f.write("\n".join(lines) + "\n")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(dict(settings=args.settings, loops=results, waste=waste), f, indent=1, default=str)


if __name__ == "__main__":
    main()
