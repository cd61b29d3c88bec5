# SPDX-License-Identifier: PostgreSQL
"""One statement in its three ways: a Query, an unnamed statement, and one that is prepared once. FRAMINGS[way](conn) gives
make(sql, *values), which gives the bytes; the statement is written with %s."""
from proto import SYNC, describe, parse, query, unit


def simple(sql, *values):
    return query(sql % values if values else sql)


def extended(sql, *values):
    return unit(sql.replace("%s", "$1"), list(values))


def named(c):
    """Prepared once, then run by name."""
    names = {}

    def make(sql, *values):
        if sql not in names:
            names[sql] = "s%d" % len(names)
            c.ask(parse(sql.replace("%s", "$1"), names[sql]), describe("S", names[sql]), SYNC)
        return unit("", list(values), name=names[sql], want_parse=False)
    return make


FRAMINGS = {"simple": lambda c: simple, "extended": lambda c: extended, "named": named}
