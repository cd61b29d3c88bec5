#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""A page with the N+1 problem in its classic form: a loop over authors, in which the books of each are loaded when they are touched,
and in that a loop over the books, in which the reviews of each are.

    loop.py                       renders the page once and prints one line of JSON: milliseconds, lookups, a digest of the page
    loop.py --times 5             five times, with a session each, over one connection
    loop.py --way selectin        the same page with the selectinload that one would write by hand
    loop.py --levels 1            without the reviews
    loop.py --authors 1000        so many authors
    loop.py --warm-up 5           renders a page of so many authors first, for SQLAlchemy to compile what it will send
    loop.py --on-cue              prints a line when it is connected, then waits for a line before each page; ends with its input

DATABASE_URL says where PostgreSQL is, as a URI; page.py --setup makes the sample data. To use pgfold, name its host and port
there: nothing else changes.

One session, one connection, one transaction, and the next statement is not known before the answer to the last: no two lookups
are ever under way at once.
"""
import argparse
import hashlib
import json
import os
import sys
import time

from sqlalchemy import Column, ForeignKey, Integer, Text, create_engine, select
from sqlalchemy import __version__ as version
from sqlalchemy.orm import Session, declarative_base, relationship, selectinload

SCHEMA = "demo_of_folding"
Base = declarative_base()


class Author(Base):
    __tablename__ = "author"
    __table_args__ = {"schema": SCHEMA}
    id = Column(Integer, primary_key=True)
    name = Column(Text, nullable=False)
    born = Column(Integer, nullable=False)
    books = relationship("Book")


class Book(Base):
    __tablename__ = "book"
    __table_args__ = {"schema": SCHEMA}
    id = Column(Integer, primary_key=True)
    title = Column(Text, nullable=False)
    author_id = Column(Integer, ForeignKey(SCHEMA + ".author.id"), nullable=False)
    reviews = relationship("Review")


class Review(Base):
    __tablename__ = "review"
    __table_args__ = {"schema": SCHEMA}
    id = Column(Integer, primary_key=True)
    book_id = Column(Integer, ForeignKey(SCHEMA + ".book.id"), nullable=False)
    stars = Column(Integer, nullable=False)


def by_id(rows):
    return sorted(rows, key=lambda row: row.id)


def stars_of(book):
    return " ".join(str(review.stars) for review in by_id(book.reviews))


def render(authors, levels):
    """The page, and how many collections it has touched."""
    lines, touched = [], 0
    for author in authors:
        lines.append("%s (%d)" % (author.name, author.born))
        touched += 1
        for book in by_id(author.books):
            lines.append("  %s %s" % (book.title, stars_of(book) if levels > 1 else ""))
            touched += levels > 1
    return "\n".join(lines), touched


def page(engine, args, authors):
    wanted = select(Author).order_by(Author.id).limit(authors)
    if args.way == "selectin":
        books = selectinload(Author.books)
        wanted = wanted.options(books.selectinload(Book.reviews) if args.levels > 1 else books)
    with Session(engine) as session:
        return render(session.execute(wanted).scalars().all(), args.levels)


def measure(engine, args):
    started = time.perf_counter()
    text, touched = page(engine, args, args.authors)
    milliseconds = 1000 * (time.perf_counter() - started)
    return json.dumps({"ms": round(milliseconds, 3), "lookups": touched if args.way == "lazy" else 0,
                       "page": hashlib.sha256(text.encode()).hexdigest()})


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--times", type=int, default=1)
    p.add_argument("--way", choices=("lazy", "selectin"), default="lazy")
    p.add_argument("--levels", type=int, choices=(1, 2), default=2)
    p.add_argument("--authors", type=int, default=1000)
    p.add_argument("--warm-up", type=int, default=0, metavar="AUTHORS")
    p.add_argument("--on-cue", action="store_true")
    args = p.parse_args()
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("loop.py: set DATABASE_URL to a URI such as postgresql://user@127.0.0.1:6432/database")
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg2:", 1))
    engine.connect().close()  # the connection waits in the pool
    if args.warm_up:
        page(engine, args, args.warm_up)
    if args.on_cue:
        print(json.dumps({"version": version}), flush=True)
    for _ in sys.stdin if args.on_cue else range(args.times):
        print(measure(engine, args), flush=True)


if __name__ == "__main__":
    main()
