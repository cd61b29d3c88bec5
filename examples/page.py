#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""A page with the N+1 problem, as it looks in an application: 200 books, and for each a resolver that loads its author.

    page.py --setup               creates the sample data in a schema of its own, demo_of_folding, if it is not there
    page.py --times 5             renders the page and prints one line of JSON: the seconds of each, and digests of the pages
    page.py --serve HOST:PORT     renders it for each HTTP request, until SIGTERM; GET /health answers without a page
    page.py --drop                drops the schema again

DATABASE_URL says where PostgreSQL is, as a URI. To use pgfold, name its host and port there: nothing else changes.

The resolvers know nothing of each other, as in GraphQL servers or serializers: each asks for one id, with a session of
its own. They run concurrently, so their lookups come to pgfold together. Reads need no transaction of their own here,
hence AUTOCOMMIT, which spares a BEGIN and a COMMIT for each.
"""
import argparse
import asyncio
import hashlib
import json
import os
import signal
import sys
import time

from sqlalchemy import Column, ForeignKey, Integer, Text, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import declarative_base, sessionmaker

SCHEMA = "demo_of_folding"
MARK = "sample data of pgfold's demo"
SETUP = """
CREATE SCHEMA demo_of_folding;
COMMENT ON SCHEMA demo_of_folding IS '%s';
CREATE TABLE demo_of_folding.author (id int PRIMARY KEY, name text NOT NULL, born int NOT NULL);
CREATE TABLE demo_of_folding.book (id int PRIMARY KEY, title text NOT NULL,
                                   author_id int NOT NULL REFERENCES demo_of_folding.author);
CREATE TABLE demo_of_folding.review (id int PRIMARY KEY, book_id int NOT NULL REFERENCES demo_of_folding.book, stars int NOT NULL);
INSERT INTO demo_of_folding.author SELECT i, 'Author ' || i, 1800 + i %% 200 FROM generate_series(1, 10000) i;
INSERT INTO demo_of_folding.book SELECT i, 'Book ' || i, 1 + i * 7919 %% 10000 FROM generate_series(1, 20000) i;
INSERT INTO demo_of_folding.review SELECT i, 1 + i * 7 %% 20000, 1 + i %% 5 FROM generate_series(1, 40000) i;
CREATE INDEX ON demo_of_folding.book (author_id);
CREATE INDEX ON demo_of_folding.review (book_id);
ANALYZE demo_of_folding.author, demo_of_folding.book, demo_of_folding.review;
""" % MARK.replace("'", "''")
BOOKS_ON_PAGE = 200
Base = declarative_base()


class Author(Base):
    __tablename__ = "author"
    __table_args__ = {"schema": SCHEMA}
    id = Column(Integer, primary_key=True)
    name = Column(Text, nullable=False)
    born = Column(Integer, nullable=False)


class Book(Base):
    __tablename__ = "book"
    __table_args__ = {"schema": SCHEMA}
    id = Column(Integer, primary_key=True)
    title = Column(Text, nullable=False)
    author_id = Column(Integer, ForeignKey(SCHEMA + ".author.id"), nullable=False)


class Library:
    """The application: an engine with its pool, and the page."""

    def __init__(self, url, pool):
        self.engine = create_async_engine("postgresql+asyncpg://", connect_args={"dsn": url}, pool_size=pool, max_overflow=0,
                                          isolation_level="AUTOCOMMIT")
        self.session = sessionmaker(self.engine, class_=AsyncSession, expire_on_commit=False)
        self.pool = pool

    async def open_pool(self):
        """Connects as often as the pool allows, so that no page pays for it."""
        connections = await asyncio.gather(*(self.engine.connect() for _ in range(self.pool)))
        for c in connections:
            await c.close()

    async def resolve_author(self, book):
        async with self.session() as s:
            return await s.get(Author, book.author_id)

    async def page(self):
        async with self.session() as s:
            books = (await s.execute(select(Book).order_by(Book.id).limit(BOOKS_ON_PAGE))).scalars().all()
        authors = await asyncio.gather(*(self.resolve_author(b) for b in books))
        return "\n".join("%s, by %s (%d)" % (b.title, a.name, a.born) for b, a in zip(books, authors))

    async def close(self):
        await self.engine.dispose()


async def mark_of(connection):
    """None: there is no such schema; MARK: it is ours."""
    return await connection.fetchval("SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace "
                                     "WHERE nspname = '%s'" % SCHEMA)


async def change_data(url, drop):
    import asyncpg
    connection = await asyncpg.connect(dsn=url)
    mark = await mark_of(connection)
    if mark not in (None, MARK):
        sys.exit("page.py: the schema %s is not the demo's; rename it" % SCHEMA)
    if drop and mark:
        await connection.execute("DROP SCHEMA %s CASCADE" % SCHEMA)
    elif not drop and not mark:
        await connection.execute(SETUP)
    await connection.close()


def wait_for_cue(wanted, line):
    if wanted:
        print(line, flush=True)
        sys.stdin.readline()


async def measure(library, times, warm_up, on_cue):
    await library.open_pool()
    seconds, pages = [], set()
    for i in range(warm_up + times):
        if i == warm_up:
            wait_for_cue(on_cue, "ready")
        started = time.perf_counter()
        page = await library.page()
        if i >= warm_up:
            seconds.append(time.perf_counter() - started)
        pages.add(hashlib.sha256(page.encode()).hexdigest())
    result = json.dumps({"seconds": seconds, "pages": sorted(pages)})
    wait_for_cue(on_cue, result)
    await library.close()
    if not on_cue:
        print(result)


async def answer(library, reader, writer):
    request = (await reader.readline()).decode("latin-1").split()
    while (await reader.readline()).strip():
        pass
    if len(request) > 1 and request[1] == "/health":
        status, body = "200 OK", "healthy\n"
    else:
        started = time.perf_counter()
        try:
            status, body = "200 OK", await library.page()
        except Exception as e:  # the page must say what is wrong with its database
            status, body = "503 Service Unavailable", "%s: %s" % (type(e).__name__, e)
        body += "\n\nrendered in %.0f ms\n" % (1000 * (time.perf_counter() - started))
    data = body.encode()
    head = "HTTP/1.1 %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    writer.write((head % (status, len(data))).encode() + data)
    await writer.drain()
    writer.close()


async def serve(library, address):
    host, port = address.rsplit(":", 1)
    server = await asyncio.start_server(lambda r, w: answer(library, r, w), host or None, int(port))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print("serving the page on http://%s/" % address, flush=True)
    await stop.wait()
    server.close()
    await library.close()


async def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--setup", action="store_true")
    p.add_argument("--drop", action="store_true")
    p.add_argument("--times", type=int, default=0)
    p.add_argument("--warm-up", type=int, default=0, help="pages rendered before those that are measured")
    p.add_argument("--on-cue", action="store_true", help="wait for a line before and after the pages, so that others can count")
    p.add_argument("--serve", metavar="HOST:PORT")
    p.add_argument("--pool", type=int, default=20, help="connections in the pool (20)")
    args = p.parse_args()
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("page.py: set DATABASE_URL to a URI such as postgresql://user@127.0.0.1:6432/database")
    if args.setup:
        await change_data(url, drop=False)
    if args.times:
        await measure(Library(url, args.pool), args.times, args.warm_up, args.on_cue)
    if args.serve:
        await serve(Library(url, args.pool), args.serve)
    if args.drop:
        await change_data(url, drop=True)


if __name__ == "__main__":
    asyncio.run(main())
