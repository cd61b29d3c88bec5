# SPDX-License-Identifier: PostgreSQL
"""PonyORM: a db_session in each thread. It batches within a session by itself; what it still asks one by one is here."""
import uuid
from datetime import date, datetime
from decimal import Decimal

import pony
from pony import orm

from pages import PORT, book_of, serve_threads, tag_of, token_of

db = orm.Database(provider="postgres", user="app", host="127.0.0.1", port=PORT, database="orms")


class Author(db.Entity):
    _table_ = "authors"
    id = orm.PrimaryKey(int)
    tenant_id = orm.Required(int)
    name = orm.Required(str)
    token = orm.Required(uuid.UUID)
    books = orm.Set("Book")
    profile = orm.Optional("Profile")


class Profile(db.Entity):
    _table_ = "profiles"
    id = orm.PrimaryKey(int)
    author = orm.Required(Author, column="author_id")
    bio = orm.Required(str)


class Book(db.Entity):
    _table_ = "books"
    id = orm.PrimaryKey(int)
    author = orm.Required(Author, column="author_id")
    title = orm.Required(str)
    price = orm.Required(Decimal)
    published = orm.Required(date)
    deleted_at = orm.Optional(datetime)
    tags = orm.Set("Tag", table="book_tags", column="tag_id")
    reviews = orm.Set("Review")


class Review(db.Entity):
    _table_ = "reviews"
    id = orm.PrimaryKey(int, size=64)
    book = orm.Required(Book, column="book_id")
    stars = orm.Required(int)


class Tag(db.Entity):
    _table_ = "tags"
    id = orm.PrimaryKey(int)
    name = orm.Required(str)
    books = orm.Set(Book, table="book_tags", column="book_id")


db.generate_mapping(create_tables=False)


def rows(q):
    return sorted((o.to_dict() for o in q), key=lambda d: d["id"])


serve_threads({kind: orm.db_session(work) for kind, work in {
    "author": lambda i: Author[i].to_dict(),
    "books": lambda i: rows(Author[i].books),
    "profile": lambda i: Author[i].profile.to_dict(),
    "tags": lambda i: rows(Book[book_of(i)].tags),
    "review_count": lambda i: Book[book_of(i)].reviews.count(),
    "tag_by_name": lambda i: Tag.get(name=tag_of(i)).to_dict(),
    "author_by_token": lambda i: Author.get(token=token_of(i)).to_dict(),
}.items()}, pony.__version__)
