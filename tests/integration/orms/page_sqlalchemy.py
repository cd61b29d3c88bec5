# SPDX-License-Identifier: PostgreSQL
"""SQLAlchemy, a session in each thread. Argument: `transactions` (BEGIN … ROLLBACK, the default) or `autocommit`; `loop`: one session that
loads lazily."""
import sys

import sqlalchemy as sa
from sqlalchemy import orm

import alchemy
from pages import N, URL, book_of, serve_loop, serve_threads, tag_of, token_of

options = {"isolation_level": "AUTOCOMMIT"} if sys.argv[1] == "autocommit" else {}
engine = sa.create_engine(URL.replace("postgresql:", "postgresql+psycopg2:"), pool_size=N, **options)


def asker(work):
    def ask(i):
        with orm.Session(engine) as session:
            return work(session, i)
    return ask


def loop():
    with orm.Session(engine) as s:
        return [[alchemy.plain(a), [alchemy.plain(b) for b in a.books], alchemy.plain(a.profile),
                 [[alchemy.plain(r) for r in b.reviews] for b in a.books]] for a in s.query(alchemy.Author).order_by(alchemy.Author.id).limit(N)]


if sys.argv[1] == "loop":
    serve_loop(loop, sa.__version__)
    sys.exit()
serve_threads({kind: asker(work) for kind, work in alchemy.page(book_of, tag_of, token_of).items()}, sa.__version__)
