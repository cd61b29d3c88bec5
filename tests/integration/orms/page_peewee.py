# SPDX-License-Identifier: PostgreSQL
"""Peewee over psycopg2, threads with the connection that each has; it commits behind every statement. Argument: none, or `loop`: one
transaction that loads lazily."""
import sys

import peewee as p

from pages import N, PORT, book_of, serve_loop, serve_threads, tag_of, token_of

db = p.PostgresqlDatabase("orms", user="app", host="127.0.0.1", port=PORT)


class Model(p.Model):
    class Meta:
        database = db


class Author(Model):
    tenant_id = p.IntegerField()
    name = p.TextField()
    email = p.TextField(null=True)
    token = p.UUIDField()

    class Meta:
        table_name = "authors"


class Profile(Model):
    author = p.ForeignKeyField(Author, backref="profiles")
    bio = p.TextField()

    class Meta:
        table_name = "profiles"


class Book(Model):
    author = p.ForeignKeyField(Author, backref="books")
    title = p.TextField()
    price = p.DecimalField(10, 2)
    position = p.IntegerField()
    deleted_at = p.DateTimeField(null=True)

    class Meta:
        table_name = "books"


class Tag(Model):
    name = p.CharField(40)

    class Meta:
        table_name = "tags"


class BookTag(Model):
    book = p.ForeignKeyField(Book)
    tag = p.ForeignKeyField(Tag)

    class Meta:
        table_name = "book_tags"
        primary_key = p.CompositeKey("book", "tag")


class Review(Model):
    book = p.ForeignKeyField(Book, backref="reviews")
    stars = p.IntegerField()

    class Meta:
        table_name = "reviews"


def rows(q):
    return list(q.dicts())


def author(i):
    return Author.get_by_id(i).__data__


def books(i):
    return rows(Author(id=i).books)


def lazy_loads(i):
    book = Book.get_by_id(book_of(i))
    return [book.__data__, book.author.__data__]


@db.atomic()
def loop():
    page = []
    for a in Author.select().order_by(Author.id).limit(N):
        books = list(a.books)
        page.append([a.__data__, [b.__data__ for b in books], a.profiles.get().__data__, [rows(b.reviews) for b in books]])
    return page


if sys.argv[1:] == ["loop"]:
    serve_loop(loop, p.__version__)
    sys.exit()
serve_threads({
    "author": author,
    "books": books,
    "ordered": lambda i: rows(Author(id=i).books.where(Book.deleted_at.is_null()).order_by(Book.title)),
    "profile": lambda i: Profile.get(Profile.author == i).__data__,
    "tags": lambda i: rows(Tag.select().join(BookTag).where(BookTag.book == book_of(i)).order_by(Tag.id)),
    "review_count": lambda i: Review.select().where(Review.book == book_of(i)).count(),
    "has_five": lambda i: Review.select().where(Review.book == book_of(i), Review.stars == 5).exists(),
    "tag_by_name": lambda i: Tag.get(Tag.name == tag_of(i)).__data__,
    "author_by_token": lambda i: Author.get(Author.token == token_of(i)).__data__,
    "last_book": lambda i: Author(id=i).books.order_by(Book.id.desc()).first().__data__,
    "lazy_loads": lazy_loads,
}, p.__version__)
