#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Counts the statements that reach the server, directly and through pgfold, of each mapper's lazy pages (tests/integration/orm_matrix.py).

    tests/bench/matrix.py [--bin PGFOLD] [--mapper NAME]… [--page NAME]… [--times 10] [--rows 60] [--set KEY=VALUE]… [--why] [--show] [--output FILE] [--json FILE] [--of FILE]…

Everything is started here on free ports and stopped at the end. A cell is a mapper's page, made ten times in a row by one process, on the connection that
the mapper has by default, through a pgfold just started; each time it must be what it is directly. Default settings, but for times that nothing reaches.
What is counted is what the server's log has of all ten, the first one, too. As in loops.py a figure is the client's statements and pgfold's batches; what
frames these in transactions, and questions to the catalogue, follow as +n.
"""
import argparse
import collections
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration"))
import ahead  # noqa: E402
import loops  # noqa: E402
import orm_matrix  # noqa: E402
import orm_pages  # noqa: E402
import servers  # noqa: E402

WANTED = 0.9  # of a cell's statements are lost
WANTED_CELLS = 0.85
MORE = 1.02


def run(watch, mapper, port, folder, page, args):
    with orm_matrix.Application(mapper, port, folder, args.rows) as application:
        watch.mark()
        return [application.ask(page) for _ in range(args.times)]


def measure(pg, watch, mapper, page, folder, args):
    pages = run(watch, mapper, pg.port, folder, page, args)
    seen = watch.settled()
    out = dict(mapper=mapper, page=page, direct=len(seen), stable=all(p == pages[0] for p in pages))
    pgfold = servers.Pgfold(args.bin, "host=127.0.0.1 port=%d sslmode=disable" % pg.port, args.settings, "fold")
    try:
        counters = orm_pages.Counts(pgfold)
        got = run(watch, mapper, pgfold.port, folder, page, args)
        sent, seen = {s.text for s in seen}, watch.settled()
        kinds = collections.Counter(ahead.kind_of(s, sent) for s in seen)
        n = kinds["client"] + kinds["batch"]
        out.update(pgfold=n, all=len(seen), kinds=dict(kinds), same=got == pages, lost=1 - n / out["direct"], counters=counters.read(),
                   why=loops.refusals(pgfold))
    finally:
        if args.log:
            shutil.copy(pgfold.log_file, args.log)
        pgfold.stop()
    if args.show:
        for s in seen[-args.show:]:
            print("        %-8s %s%s" % (ahead.kind_of(s, ()), s.text[:args.show * 40].replace("\n", " "), "  " + str(s.values)[:100] if s.values else ""))
    return out


# ---- the report

def verdict(cell):
    return "ok" if cell["lost"] >= WANTED else "MORE" if cell["pgfold"] > MORE * cell["direct"] else "half" if cell["lost"] < 0.5 else "some"


def line(cell):
    return "%-13s %-21s %5d -> %5d, all %5d  %4.0f %% %-4s %s %s" % (cell["mapper"], cell["page"], cell["direct"], cell["pgfold"], cell["all"], 100 * cell["lost"], verdict(cell),
                                                           dict(cell["kinds"]), "" if cell["same"] else "PAGES DIFFER")


def why(cell):
    return loops.why(cell)


def summary(cells):
    good = sum(c["lost"] >= WANTED for c in cells)
    return ["%d of %d cells (%.0f %%) lose 90 %% of their statements; %d lose less than half; %d gain more than 2 %%; %d have other pages than directly." % (
        good, len(cells), 100 * good / len(cells), sum(c["lost"] < 0.5 for c in cells), sum(c["pgfold"] > MORE * c["direct"] for c in cells),
        sum(not c["same"] for c in cells)),
        "%d statements become %d, %d with what frames batches in transactions and questions to the catalogue; with these %d cells lose 90 %%." % (
            sum(c["direct"] for c in cells), sum(c["pgfold"] for c in cells), sum(c["all"] for c in cells), sum(1 - c["all"] / c["direct"] >= WANTED for c in cells))]


def figure(cell):
    if cell is None:
        return ""
    text = "%d → %d%s" % (cell["direct"], cell["pgfold"], "+%d" % (cell["all"] - cell["pgfold"]) if cell["all"] > cell["pgfold"] else "")
    return ("**%s**" if cell["lost"] < WANTED else "%s") % text + ("" if cell["same"] else " **differs**")


def report(cells, args):
    by = {(c["mapper"], c["page"]): c for c in cells}
    mappers = [m for m in orm_matrix.MAPPERS if any(c["mapper"] == m for c in cells)]
    pages = [p for p in orm_matrix.PAGES if any(c["page"] == p for c in cells)]
    head = servers.run("git", "-C", loops.ROOT, "describe", "--always", "--dirty").strip()
    lines = ["# Mappers by pages, statements at the server, %s UTC" % time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "",
             "pgfold %s; %s; lists of %d rows; %d pages in a row; %s. Figures: what the server was sent for them directly → the client's statements and pgfold's "
             "batches; +n: what frames these in transactions, and questions to the catalogue; bold: loses less than 90 %%." % (head, servers.run(servers.pg_bin("postgres"), "--version").strip(), args.rows, args.times,
                              ", ".join("%s = %s" % s for s in args.settings.items())), "", *summary(cells), ""]
    lines += loops.table(["page", *mappers], [[p, *(figure(by.get((m, p))) for m in mappers)] for p in pages])
    worst = sorted((c for c in cells if c["lost"] < WANTED), key=lambda c: c["direct"] * WANTED - (c["direct"] - c["pgfold"]), reverse=True)
    lines += ["", "## What is left", ""] + loops.table(["cell", "direct", "pgfold", "what it was", "counted"],
                                                      [["%s, %s" % (c["mapper"], c["page"]), c["direct"], c["pgfold"],
                                                        ", ".join("%d %s" % (n, k) for k, n in c["kinds"].items()), why(c).replace("|", "\\|")] for c in worst])
    return lines


def together(files, cells):
    """The newest measurement of each cell."""
    found = {}
    for name in files:
        with open(name) as f:
            found.update(((c["mapper"], c["page"]), c) for c in json.load(f))
    found.update(((c["mapper"], c["page"]), c) for c in cells)
    return list(found.values())


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", help="pgfold to measure, instead of a release build made in build-bench/")
    p.add_argument("--mapper", action="append", help="only these")
    p.add_argument("--page", action="append", help="only these")
    p.add_argument("--times", type=int, default=10, help="how often a page is made in a row (10)")
    p.add_argument("--rows", type=int, default=orm_matrix.N, help="rows of a list (%d)" % orm_matrix.N)
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for pgfold")
    p.add_argument("--why", action="store_true", help="print what pgfold counted, and why it refused statements")
    p.add_argument("--show", type=int, nargs="?", const=60, help="print so many of the last statements that reached the server")
    p.add_argument("--of", action="append", default=[], metavar="FILE", help="cells that --json has written: report these, with those that are measured now instead")
    p.add_argument("--log", help="a file for what pgfold has logged of the last cell")
    p.add_argument("--output", help="a file for the report, too")
    p.add_argument("--json", help="a file for all that was measured")
    args = p.parse_args()
    args.settings = loops.PATIENT | ({"pgfold.log_level": "debug", "pgfold.log_repeats": "0"} if args.why else {}) | dict(s.split("=", 1) for s in args.set)
    args.bin = os.path.abspath(args.bin) if args.bin else loops.build()
    return args


def main():
    args = arguments()
    cells = []
    with contextlib.ExitStack() as stack:
        pg = servers.Postgres(ssl=False, settings={"log_parameter_max_length": "-1"})
        stack.callback(pg.remove)
        with pg.admin("postgres") as c:
            c.sql("CREATE ROLE app LOGIN")
        orm_matrix.make_database(pg)
        watch = ahead.Watch(pg)
        folder = tempfile.mkdtemp(prefix="pgfold-matrix-", dir="/tmp")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for mapper, how in orm_matrix.MAPPERS.items():
            if (args.mapper or args.of) and mapper not in (args.mapper or []):
                continue
            if not how["installed"]():
                print(mapper + " is not installed", file=sys.stderr)
                continue
            for page in args.page or orm_matrix.PAGES:
                try:
                    cells.append(measure(pg, watch, mapper, page, folder, args))
                except Exception as e:  # one cell that fails is told, and the others go on
                    print("%s, %s: %s" % (mapper, page, str(e)[-600:]), file=sys.stderr, flush=True)
                    continue
                print(line(cells[-1]), file=sys.stderr, flush=True)
                if args.why:
                    print("        " + why(cells[-1]), file=sys.stderr, flush=True)
    cells = together(args.of, cells)
    lines = report(cells, args)
    print("\n".join(lines[4:]))
    if args.output:
        with open(args.output, "w") as f:
            f.write("\n".join(lines) + "\n")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(cells, f, indent=1)


if __name__ == "__main__":
    main()
