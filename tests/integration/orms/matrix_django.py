# SPDX-License-Identifier: PostgreSQL
"""The matrix' pages with Django, as its documentation has it: autocommit, psycopg2."""
import django
from django.conf import settings

from matrix import DATABASE, N, PORT, STEP, serve

settings.configure(INSTALLED_APPS=["__main__", "django.contrib.contenttypes"], USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.AutoField", DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": DATABASE, "USER": "app", "HOST": "127.0.0.1", "PORT": PORT, "CONN_MAX_AGE": None}})
django.setup()

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.db import models, transaction  # noqa: E402


def meta(table):
    return type("Meta", (), {"db_table": table, "managed": False})


class Author(models.Model):
    tenant_id = models.IntegerField()
    name = models.TextField()
    bio = models.TextField()
    born = models.DateField()
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)
    comments = GenericRelation("Comment", object_id_field="commentable_id")
    Meta = meta("authors")


class Profile(models.Model):
    author = models.OneToOneField(Author, models.CASCADE)
    site = models.TextField()
    Meta = meta("profiles")


class Award(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
    name = models.TextField()
    Meta = meta("awards")


class Tag(models.Model):
    name = models.CharField(max_length=40)
    Meta = meta("tags")


class Book(models.Model):
    author = models.ForeignKey(Author, models.CASCADE)
    tenant_id = models.IntegerField()
    title = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    published = models.DateField()
    deleted_at = models.DateTimeField(null=True)
    tags = models.ManyToManyField(Tag, db_table="book_tags")
    Meta = meta("books")


class Review(models.Model):
    book = models.ForeignKey(Book, models.CASCADE)
    stars = models.IntegerField()
    body = models.TextField()
    Meta = meta("reviews")


class Comment(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    commentable_id = models.IntegerField()
    body = models.TextField()
    commentable = GenericForeignKey("content_type", "commentable_id")
    Meta = meta("comments")


class Category(models.Model):
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    name = models.TextField()
    Meta = meta("categories")


class Account(models.Model):
    id = models.UUIDField(primary_key=True)
    owner = models.TextField()
    position = models.IntegerField()
    Meta = meta("accounts")


class Entry(models.Model):
    id = models.UUIDField(primary_key=True)
    account = models.ForeignKey(Account, models.CASCADE)
    amount = models.DecimalField(max_digits=10, decimal_places=2)
    position = models.IntegerField()
    Meta = meta("entries")


class BookInfo(models.Model):
    author = models.ForeignKey(Author, models.DO_NOTHING, related_name="book_infos")
    title = models.TextField()
    author_name = models.TextField()
    Meta = meta("book_infos")


class AuthorTotal(models.Model):
    author = models.OneToOneField(Author, models.DO_NOTHING, related_name="totals")
    n_books = models.IntegerField()
    total = models.DecimalField(max_digits=10, decimal_places=2)
    Meta = meta("author_totals")


class Audit(models.Model):
    author_id = models.IntegerField()
    what = models.TextField()
    Meta = meta("audits")


def authors(n=N):
    return Author.objects.order_by("id")[:n]


def titles(books):
    return [b.title for b in books.order_by("id")]


def many_and_one(a):
    return [a.name, titles(a.book_set), a.profile.site]


def tree():
    def below(c):
        return [c.name, [below(child) for child in c.children.order_by("id")]]

    def up(c):
        return [c.name] + (up(c.parent) if c.parent else [])
    return [[up(c) for c in Category.objects.order_by("-id")[:N]], below(Category.objects.get(parent=None))]


def audited():
    page = []
    for a in authors():
        page.append([a.name, titles(a.book_set)])
        Audit.objects.create(author_id=a.id, what="seen")
    return page


def keyset():
    page, last = [], 0
    while len(page) < N:
        for a in Author.objects.filter(id__gt=last).order_by("id")[:STEP]:
            page.append([a.name, titles(a.book_set)])
            last = a.id
    return page


def after_write():
    with transaction.atomic():
        Audit.objects.create(author_id=1, what="begun")
        return [[a.name, titles(a.book_set)] for a in authors()]


def refresh():
    page = []
    for a in authors():
        a.refresh_from_db()
        page.append(a.name)
    return page


serve({
    "to_many": lambda: [[a.name, titles(a.book_set)] for a in authors()],
    "to_one": lambda: [[b.title, b.author.name] for b in Book.objects.order_by("id")[:4 * N]],
    "nested": lambda: [[a.name, [[b.title, [r.body for r in b.review_set.order_by("id")]] for b in a.book_set.order_by("id")]] for a in authors(N // 2)],
    "many_to_many": lambda: [[b.title, [t.name for t in b.tags.order_by("id")]] for b in Book.objects.order_by("id")[:N]],
    "counts": lambda: [[a.name, a.book_set.count()] for a in authors()],
    "latest": lambda: [[a.name, a.book_set.order_by("-published", "-id").first().title] for a in authors()],
    "polymorphic": lambda: [[[c.body, str(getattr(c.commentable, "title", None) or c.commentable.name)] for c in Comment.objects.order_by("id")[:N]],
                            [[a.name, [c.body for c in a.comments.order_by("id")]] for a in authors(N // 2)]],
    "tree": tree,
    "tenant": lambda: [[a.name, titles(a.book_set.filter(tenant_id=1, deleted_at=None))]
                       for a in Author.objects.filter(tenant_id=1, deleted_at=None).order_by("id")[:N]],
    "write": audited,
    "write_in_transaction": transaction.atomic(audited),
    "relations": lambda: [[many_and_one(a) for a in authors(N // 2)], [many_and_one(a) + [[w.name for w in a.award_set.order_by("id")]] for a in authors()]],
    "keyset": keyset,
    "after_write": after_write,
    "deferred": lambda: [[a.name, a.bio] for a in Author.objects.only("name").order_by("id")[:N]],
    "refresh": refresh,
    "view": lambda: [[a.name, [[i.title, i.author_name] for i in a.book_infos.order_by("id")], a.totals.n_books] for a in authors()],
    "uuid": lambda: [[[a.owner, [str(e.amount) for e in a.entry_set.order_by("position")]] for a in Account.objects.order_by("position")[:N]],
                     [[str(e.amount), e.account.owner] for e in Entry.objects.order_by("position")[:N]]],
}, django.get_version())
