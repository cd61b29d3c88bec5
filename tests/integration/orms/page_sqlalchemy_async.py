# SPDX-License-Identifier: PostgreSQL
"""SQLAlchemy over asyncpg, an AsyncSession for each lookup, gathered. Argument: `transactions` (the default) or `autocommit`."""
import asyncio
import sys

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

import alchemy
from pages import N, URL, book_of, serve_async, tag_of, token_of

options = {"isolation_level": "AUTOCOMMIT"} if sys.argv[1] == "autocommit" else {}
engine = create_async_engine(URL.replace("postgresql:", "postgresql+asyncpg:"), pool_size=N, **options)


def asker(work):
    async def ask(i):
        async with AsyncSession(engine) as session:
            return await session.run_sync(work, i)
    return ask

asyncio.run(serve_async({kind: asker(work) for kind, work in alchemy.page(book_of, tag_of, token_of).items()}, sa.__version__))
