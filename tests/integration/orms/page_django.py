# SPDX-License-Identifier: PostgreSQL
"""Django, threads with the connection that each has. Argument: `autocommit` (the default) or `atomic` (as with ATOMIC_REQUESTS); `loop`: one
connection that loads lazily."""
import contextlib
import sys

import django
from django.conf import settings

from pages import N, PORT, book_of, serve_loop, serve_threads, tag_of, token_of

settings.configure(INSTALLED_APPS=["__main__"], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField", DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": "orms", "USER": "app", "HOST": "127.0.0.1", "PORT": PORT, "CONN_MAX_AGE": None}})
django.setup()

from django.db import models, transaction  # noqa: E402


def meta(table):
    return type("Meta", (), {"db_table": table, "managed": False})


class Author(models.Model):
    tenant_id = models.IntegerField()
    name = models.TextField()
    email = models.TextField(null=True)
    token = models.UUIDField()
    deleted_at = models.DateTimeField(null=True)
    Meta = meta("authors")


class Profile(models.Model):
    author = models.OneToOneField(Author, models.CASCADE)
    bio = models.TextField()
    Meta = meta("profiles")


class Tag(models.Model):
    name = models.CharField(max_length=40)
    Meta = meta("tags")


class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
    title = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    position = models.IntegerField()
    published = models.DateField()
    deleted_at = models.DateTimeField(null=True)
    tags = models.ManyToManyField(Tag, db_table="book_tags")
    Meta = meta("books")


class Review(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    stars = models.IntegerField()
    body = models.TextField()
    Meta = meta("reviews")


def plain(o):
    return {k: v for k, v in vars(o).items() if not k.startswith("_")}


def rows(q):
    return [plain(o) for o in q]


def lazy_loads(i):
    a = Author.objects.get(pk=i)
    books = list(a.book_set.order_by("position"))
    return [plain(a), plain(a.profile), rows(books), rows(books[0].tags.order_by("id")), plain(books[0].author)]


PAGE = {
    "author": lambda i: plain(Author.objects.get(pk=i)),
    "books": lambda i: rows(Book.objects.filter(author_id=i).order_by("position")),
    "profile": lambda i: plain(Profile.objects.get(author_id=i)),
    "tags": lambda i: rows(Book(id=book_of(i)).tags.order_by("id")),
    "review_count": lambda i: Review.objects.filter(book_id=book_of(i)).count(),
    "average": lambda i: Review.objects.filter(book_id=book_of(i)).aggregate(models.Avg("stars"), models.Max("stars")),
    "has_five": lambda i: Review.objects.filter(book_id=book_of(i), stars=5).exists(),
    "tag_by_name": lambda i: plain(Tag.objects.get(name=tag_of(i))),
    "author_by_token": lambda i: plain(Author.objects.get(token=token_of(i))),
    "book_at": lambda i: rows(Book.objects.filter(author_id=i, position=i % 4 + 1)),
    "last_book": lambda i: plain(Book.objects.filter(author_id=i, deleted_at__isnull=True).order_by("-id").first()),
    "deferred": lambda i: Author.objects.only("name").get(pk=i).email,
    "lazy_loads": lazy_loads,
}


def asker(work):
    def ask(i):
        with transaction.atomic() if sys.argv[1] == "atomic" else contextlib.nullcontext():
            return work(i)
    return ask


def loop():
    page = []
    for a in Author.objects.order_by("id")[:N]:
        books = list(a.book_set.all())
        page.append([plain(a), rows(books), plain(a.profile), [rows(b.review_set.all()) for b in books]])
    return page


if sys.argv[1] == "loop":
    serve_loop(loop, django.get_version())
    sys.exit()
serve_threads({kind: asker(work) for kind, work in PAGE.items()}, django.get_version())
