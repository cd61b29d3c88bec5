# SPDX-License-Identifier: PostgreSQL
"""What the Python pages have in common.

A page is a small program that stands for an application. It connects to 127.0.0.1:ORM_PORT, prints {"ready": …}, and for each line on
its standard input asks everything that a web page would ask for ORM_N authors at once, then prints
{"ms": …, "lookups": …, "page": {…}}. The page is only ever compared with that of the same program at another end, so how values are
written is the program's own choice; the order is that of the questions.
"""
import asyncio
import concurrent.futures
import json
import os
import sys
import time

N = int(os.environ.get("ORM_N", "24"))
PORT = int(os.environ["ORM_PORT"])
URL = "postgresql://app@127.0.0.1:%d/orms" % PORT
DSN = "host=127.0.0.1 port=%d user=app dbname=orms" % PORT
IDS = range(1, N + 1)


def book_of(i):
    return i * 4 - 1


def tag_of(i):
    return "tag-%d" % (i % 50 + 1)


def token_of(i):
    """md5 of the number, as a uuid; see the schema."""
    import hashlib
    import uuid
    return uuid.UUID(hashlib.md5(b"%d" % i).hexdigest())


def say(**what):
    print(json.dumps(what, default=str, sort_keys=True), flush=True)


def serve_threads(requests, version=""):
    """requests: {kind: function of i}. Each kind is asked for all authors at once, a thread each."""
    with concurrent.futures.ThreadPoolExecutor(N) as pool:
        say(ready=True, version=version)
        for _ in sys.stdin:
            start = time.perf_counter()
            page = {kind: list(pool.map(ask, IDS)) for kind, ask in requests.items()}
            say(ms=(time.perf_counter() - start) * 1e3, lookups=N * len(requests), page=page)


def serve_loop(loop, version=""):
    """loop() is a page that touches one thing after the other: [author, books, profile, reviews of each book] of each author. Nothing is
    under way twice, and nothing is known before the answer to the last."""
    say(ready=True, version=version)
    for _ in sys.stdin:
        start = time.perf_counter()
        page = loop()
        say(ms=(time.perf_counter() - start) * 1e3, lookups=sum(2 + len(reviews) for _, _, _, reviews in page), page={"loop": page})


async def serve_async(requests, version=""):
    """The same with coroutines and gather."""
    loop = asyncio.get_running_loop()
    say(ready=True, version=version)
    while await loop.run_in_executor(None, sys.stdin.readline):
        start = time.perf_counter()
        page = {kind: await asyncio.gather(*map(ask, IDS)) for kind, ask in requests.items()}
        say(ms=(time.perf_counter() - start) * 1e3, lookups=N * len(requests), page=page)


# The statements as a hand-written data layer has them; {0} is how the driver writes a parameter.
SQL = {
    "author": ("SELECT id, tenant_id, name, email, token, deleted_at FROM authors WHERE id = $1", lambda i: (i,)),
    "books": ("SELECT id, title, price, position, published FROM books WHERE author_id = $1 ORDER BY position", lambda i: (i,)),
    "profile": ("SELECT id, bio FROM profiles WHERE author_id = $1 LIMIT 1", lambda i: (i,)),
    "tags": ("SELECT t.id, t.name FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = $1 ORDER BY t.id",
             lambda i: (book_of(i),)),
    "review_count": ("SELECT count(*) FROM reviews WHERE book_id = $1", lambda i: (book_of(i),)),
    "average": ("SELECT avg(stars), max(stars) FROM reviews WHERE book_id = $1", lambda i: (book_of(i),)),
    "has_five": ("SELECT EXISTS (SELECT 1 FROM reviews WHERE book_id = $1 AND stars = 5)", lambda i: (book_of(i),)),
    "tag_by_name": ("SELECT id, name FROM tags WHERE name = $1", lambda i: (tag_of(i),)),
    "author_by_token": ("SELECT id, name FROM authors WHERE token = $1", lambda i: (token_of(i),)),
    "book_at": ("SELECT id, title FROM books WHERE author_id = $1 AND position = $2", lambda i: (i, i % 4 + 1)),
    "last_book": ("SELECT id, title FROM books WHERE author_id = $1 AND deleted_at IS NULL ORDER BY id DESC LIMIT 1", lambda i: (i,)),
}


def statements(mark):
    """SQL with the driver's own marks for parameters."""
    return {kind: (text.replace("$1", mark).replace("$2", mark) if mark else text, values) for kind, (text, values) in SQL.items()}
