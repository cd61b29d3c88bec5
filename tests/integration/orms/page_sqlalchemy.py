# SPDX-License-Identifier: PostgreSQL
"""SQLAlchemy, a session in each thread. Argument: `transactions` (BEGIN … ROLLBACK, the default) or `autocommit`."""
import sys

import sqlalchemy as sa
from sqlalchemy import orm

import alchemy
from pages import N, URL, book_of, serve_threads, tag_of, token_of

options = {"isolation_level": "AUTOCOMMIT"} if sys.argv[1] == "autocommit" else {}
engine = sa.create_engine(URL.replace("postgresql:", "postgresql+psycopg2:"), pool_size=N, **options)


def asker(work):
    def ask(i):
        with orm.Session(engine) as session:
            return work(session, i)
    return ask


serve_threads({kind: asker(work) for kind, work in alchemy.page(book_of, tag_of, token_of).items()}, sa.__version__)
