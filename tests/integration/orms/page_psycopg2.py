# SPDX-License-Identifier: PostgreSQL
"""psycopg2, threads over its own pool. Argument: `transactions` (the driver's default) or `autocommit`."""
import sys

import psycopg2
import psycopg2.extras
import psycopg2.pool

from pages import DSN, N, serve_threads, statements

psycopg2.extras.register_uuid()
pool = psycopg2.pool.ThreadedConnectionPool(N, N, DSN)


def asker(text, values):
    def ask(i):
        conn = pool.getconn()
        try:
            conn.autocommit = sys.argv[1] == "autocommit"
            with conn.cursor() as cursor:
                cursor.execute(text, values(i))
                return cursor.fetchall()
        finally:
            pool.putconn(conn)  # rolls back
    return ask


serve_threads({kind: asker(*s) for kind, s in statements("%s").items()}, psycopg2.__version__)
