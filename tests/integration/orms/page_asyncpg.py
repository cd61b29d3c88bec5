# SPDX-License-Identifier: PostgreSQL
"""asyncpg: a pool, and gather. Argument `fetchrow` asks for single rows as most code does, which limits Execute to one row."""
import asyncio
import sys

import asyncpg

from pages import N, SQL, URL, serve_async

SINGLE = {"author", "profile", "review_count", "average", "has_five", "tag_by_name", "author_by_token", "book_at", "last_book"}


def rows(got):
    return [list(r) for r in got]


def asker(pool, text, values, single):
    async def fetchrow(i):
        got = await pool.fetchrow(text, *values(i))
        return got and list(got)

    async def fetch(i):
        return rows(await pool.fetch(text, *values(i)))
    return fetchrow if single else fetch


async def main():
    single = SINGLE if sys.argv[1:] == ["fetchrow"] else ()
    async with asyncpg.create_pool(URL, min_size=N, max_size=N) as pool:
        await serve_async({kind: asker(pool, text, values, kind in single) for kind, (text, values) in SQL.items()}, asyncpg.__version__)

asyncio.run(main())
