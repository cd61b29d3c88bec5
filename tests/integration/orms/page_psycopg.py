# SPDX-License-Identifier: PostgreSQL
"""psycopg 3. Arguments: `threads` (a connection each, in transactions), `async` (autocommit, gather), `pipeline` (one connection, one
Sync for each kind of lookup), `prepare` (async, prepared at the first use)."""
import asyncio
import concurrent.futures
import queue
import sys
import time

import psycopg

from pages import IDS, N, URL, say, serve_async, serve_threads, statements

SQL = statements("%s")


def pool_of(connections):
    free = queue.LifoQueue()
    for c in connections:
        free.put(c)
    return free


def threads():
    with concurrent.futures.ThreadPoolExecutor(N) as pool:
        free = pool_of(pool.map(lambda _: psycopg.connect(URL), IDS))

    def asker(text, values):
        def ask(i):
            conn = free.get()
            try:
                with conn.transaction():
                    return conn.execute(text, values(i)).fetchall()
            finally:
                free.put(conn)
        return ask
    serve_threads({kind: asker(*s) for kind, s in SQL.items()}, psycopg.__version__)


async def gathered(**options):
    free = asyncio.LifoQueue()
    for c in await asyncio.gather(*(psycopg.AsyncConnection.connect(URL, autocommit=True, **options) for _ in IDS)):
        free.put_nowait(c)

    def asker(text, values):
        async def ask(i):
            conn = await free.get()
            try:
                return await (await conn.execute(text, values(i))).fetchall()
            finally:
                free.put_nowait(conn)
        return ask
    await serve_async({kind: asker(*s) for kind, s in SQL.items()}, psycopg.__version__)


def pipeline():
    conn = psycopg.connect(URL, autocommit=True)
    say(ready=True, version=psycopg.__version__)
    for _ in sys.stdin:
        start = time.perf_counter()
        page = {}
        for kind, (text, values) in SQL.items():
            with conn.pipeline():
                cursors = [conn.execute(text, values(i)) for i in IDS]
                page[kind] = [c.fetchall() for c in cursors]
        say(ms=(time.perf_counter() - start) * 1e3, lookups=N * len(SQL), page=page)


how = sys.argv[1]
if how == "threads":
    threads()
elif how == "pipeline":
    pipeline()
else:
    asyncio.run(gathered(**({"prepare_threshold": 0} if how == "prepare" else {})))
