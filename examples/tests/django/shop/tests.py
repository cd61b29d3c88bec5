# SPDX-License-Identifier: PostgreSQL
"""Each test runs in a transaction that has written its rows. pgfold sees the loop all the same."""
from django.db import connection
from django.test import TestCase

from shop.models import Author, Book


class Pages(TestCase):
    @classmethod
    def setUpTestData(cls):
        for name in ("Ada", "Grace", "Barbara"):
            author = Author.objects.create(name=name)
            Book.objects.create(author=author, title="Notes of " + name)

    def page(self, authors):
        return {a.name: [b.title for b in a.books.all()] for a in authors}

    def test_lazy(self):
        self.assertEqual(len(self.page(Author.objects.order_by("id"))), 3)

    def test_eager(self):
        self.assertEqual(len(self.page(Author.objects.order_by("id").prefetch_related("books"))), 3)

    def test_of_two_statements(self):
        """What pgfold counts is known without it, too, but not to other languages."""
        with connection.cursor() as c:
            c.execute("SET pgfold.expect = 'loops=0 statements<=2'")
            self.page(Author.objects.order_by("id").prefetch_related("books"))
            c.execute("SET pgfold.expect = ''")
