# SPDX-License-Identifier: PostgreSQL
"""A list, the rows of each of its rows, the rows of each of these …, each asked for when it is touched, depth first. Arguments: psycopg2 (autocommit),
psycopg (autocommit), transactions (psycopg2, one for each page), sqlalchemy (a session for each page), autocommit (the same without transactions),
django or atomic (Django, a transaction for each page); and the tree's levels as JSON, see tests/bench/nested.py.

A line of input is what the page's list is asked for by, as JSON, or (programs that write their SQL) [that, whether its rows are gone through], its answer {"ms", "began": monotonic seconds, "took": ms of each statement, "page"}.
"""
import contextlib
import json
import os
import sys
import time

PORT, LEVELS = int(os.environ["ORM_PORT"]), json.loads(sys.argv[2])
DSN = "host=127.0.0.1 port=%d user=app dbname=nested" % PORT
URL = "postgresql+psycopg2://app@127.0.0.1:%d/nested" % PORT
took = []  # milliseconds that each statement of the page has taken
began = []  # of those under way


class Timed:
    def __enter__(self):
        began.append(time.monotonic())

    def __exit__(self, *_):
        took.append((time.monotonic() - began.pop()) * 1e3)


def walk(ask, row, depth=1):
    """[the row, what is below it]"""
    if depth == len(LEVELS):
        return list(row)
    level = LEVELS[depth]
    return [*row, [walk(ask, r, depth + 1) for r in ask(level["sql"], row[level["from"]])]]


def asked(ask):
    def page(by):
        by, touched = by if isinstance(by, list) else (by, True)
        rows = ask(LEVELS[0]["sql"], by)
        return [walk(ask, r) for r in rows] if touched else [list(r) for r in rows]
    return page


def psycopg2_pages(in_transaction=False):
    import psycopg2
    conn = psycopg2.connect(DSN)
    conn.autocommit = not in_transaction

    def ask(sql, value):
        with Timed(), conn.cursor() as c:
            c.execute(sql, (value,))
            return c.fetchall()

    def page(number):
        got = asked(ask)(number)
        if in_transaction:
            with Timed():
                conn.commit()
        return got
    return page, psycopg2.__version__


def psycopg_pages():
    import psycopg
    conn = psycopg.connect(DSN, autocommit=True)

    def ask(sql, value):
        with Timed():
            return conn.execute(sql, (value,)).fetchall()
    return asked(ask), psycopg.__version__


def alchemy_models():
    from sqlalchemy import Column, ForeignKey, Integer, Text
    from sqlalchemy import orm
    base = orm.declarative_base()
    models = []
    for depth, level in enumerate(LEVELS):
        up, below = depth and not level["one"], LEVELS[depth + 1] if depth + 1 < len(LEVELS) else None
        what = {"__tablename__": level["table"], "id": Column(Integer, primary_key=True), "name": Column(Text)}
        if not depth:
            what["page"] = Column(Integer)
        if up:
            what["up"] = Column(Integer, ForeignKey(LEVELS[depth - 1]["table"] + ".id"))
        if below and below["one"]:
            what["down"] = Column(Integer, ForeignKey(below["table"] + ".id"))
            what["below"] = orm.relationship("M%d" % (depth + 1))
        elif below:
            what["below"] = orm.relationship("M%d" % (depth + 1), order_by="M%d.id" % (depth + 1))
        models.append(type("M%d" % depth, (base,), what))
    return models


def alchemy_pages(options):
    import sqlalchemy as sa
    from sqlalchemy import orm
    models = alchemy_models()
    engine = sa.create_engine(URL, pool_size=1, **options)
    sa.event.listen(engine, "before_cursor_execute", lambda *_: began.append(time.monotonic()))
    sa.event.listen(engine, "after_cursor_execute", lambda *_: took.append((time.monotonic() - began.pop()) * 1e3))

    def below(row, depth):
        if depth + 1 == len(LEVELS):
            return [row.id, row.name]
        rows = [row.below] if LEVELS[depth + 1]["one"] else row.below
        return [row.id, row.name, [below(r, depth + 1) for r in rows]]

    def page(number):
        with orm.Session(engine) as s:
            return [below(r, 0) for r in s.query(models[0]).filter(models[0].page == number).order_by(models[0].id)]
    return page, sa.__version__


def django_models():
    import django
    from django.conf import settings
    settings.configure(INSTALLED_APPS=[], DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": PORT, "USER": "app", "NAME": "nested"}})
    django.setup()
    from django.db import models
    made = []
    for depth in reversed(range(len(LEVELS))):
        level, above = LEVELS[depth], LEVELS[depth - 1] if depth else None
        below = LEVELS[depth + 1] if depth + 1 < len(LEVELS) else None
        what = {"__module__": __name__, "name": models.TextField(), "Meta": type("Meta", (), {"app_label": "nested", "db_table": level["table"]})}
        if not depth:
            what["page"] = models.IntegerField()
        elif not level["one"]:
            what["up"] = models.ForeignKey("nested.M%d" % (depth - 1), models.CASCADE, db_column="up", related_name="rows")
        if below and below["one"]:
            what["down"] = models.ForeignKey("nested.M%d" % (depth + 1), models.CASCADE, db_column="down", related_name="+")
        made.insert(0, type("M%d" % depth, (models.Model,), what))
        assert above is None or above["table"]
    return made, django.__version__


def django_pages(atomic=False):
    models, version = django_models()
    from django.db import connection, transaction

    def timed(execute, sql, params, many, context):
        with Timed():
            return execute(sql, params, many, context)
    connection.execute_wrappers.append(timed)

    def below(row, depth):
        if depth + 1 == len(LEVELS):
            return [row.id, row.name]
        rows = [row.down] if LEVELS[depth + 1]["one"] else row.rows.order_by("id")
        return [row.id, row.name, [below(r, depth + 1) for r in rows]]

    def page(number):
        with transaction.atomic() if atomic else contextlib.nullcontext():
            return [below(r, 0) for r in models[0].objects.filter(page=number).order_by("id")]
    return page, version


PAGES = {"psycopg2": psycopg2_pages, "transactions": lambda: psycopg2_pages(True), "psycopg": psycopg_pages, "sqlalchemy": lambda: alchemy_pages({}),
         "autocommit": lambda: alchemy_pages({"isolation_level": "AUTOCOMMIT"}), "django": django_pages,
         "atomic": lambda: django_pages(True)}


def main():
    page, version = PAGES[sys.argv[1]]()
    print(json.dumps({"version": version}), flush=True)
    for line in sys.stdin:
        took.clear()
        start = time.monotonic()
        got = page(json.loads(line))
        ms = (time.monotonic() - start) * 1e3
        print(json.dumps({"ms": ms, "began": start, "took": took, "page": got}), flush=True)


main()
