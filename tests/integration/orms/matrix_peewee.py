# SPDX-License-Identifier: PostgreSQL
"""The matrix' pages with Peewee over psycopg2: a COMMIT behind every statement, as it has it by default."""
import peewee as p

from matrix import DATABASE, N, PORT, STEP, serve

db = p.PostgresqlDatabase(DATABASE, user="app", host="127.0.0.1", port=PORT)


class Model(p.Model):
    class Meta:
        database = db
        legacy_table_names = False


class Authors(Model):
    tenant_id = p.IntegerField()
    name = p.TextField()
    bio = p.TextField()
    born = p.DateField()
    created_at = p.DateTimeField()
    deleted_at = p.DateTimeField(null=True)

    @property
    def comments(self):
        return Comments.select().where(Comments.commentable_type == "Author", Comments.commentable_id == self.id)


class Profiles(Model):
    author = p.ForeignKeyField(Authors, backref="profile")
    site = p.TextField()


class Awards(Model):
    author = p.ForeignKeyField(Authors, backref="awards")
    name = p.TextField()


class Books(Model):
    author = p.ForeignKeyField(Authors, backref="books")
    tenant_id = p.IntegerField()
    title = p.TextField()
    price = p.DecimalField(10, 2)
    published = p.DateField()
    deleted_at = p.DateTimeField(null=True)


class Reviews(Model):
    book = p.ForeignKeyField(Books, backref="reviews")
    stars = p.IntegerField()
    body = p.TextField()


class Tags(Model):
    name = p.CharField(40)


class BookTags(Model):
    book = p.ForeignKeyField(Books)
    tag = p.ForeignKeyField(Tags)

    class Meta:
        primary_key = p.CompositeKey("book", "tag")


class Comments(Model):
    commentable_type = p.CharField(20)
    commentable_id = p.IntegerField()
    body = p.TextField()

    @property
    def commentable(self):
        return {"Author": Authors, "Book": Books}[self.commentable_type].get_by_id(self.commentable_id)


class Categories(Model):
    parent = p.ForeignKeyField("self", null=True, backref="children")
    name = p.TextField()


class Accounts(Model):
    id = p.UUIDField(primary_key=True)
    owner = p.TextField()
    position = p.IntegerField()


class Entries(Model):
    id = p.UUIDField(primary_key=True)
    account = p.ForeignKeyField(Accounts, backref="entries")
    amount = p.DecimalField(10, 2)
    position = p.IntegerField()


class BookInfos(Model):
    author = p.ForeignKeyField(Authors, backref="book_infos")
    title = p.TextField()
    author_name = p.TextField()


class AuthorTotals(Model):
    author = p.ForeignKeyField(Authors, backref="totals")
    n_books = p.BigIntegerField()
    total = p.DecimalField(10, 2)


class Audits(Model):
    author_id = p.IntegerField()
    what = p.TextField()


def authors(n=N):
    return Authors.select().order_by(Authors.id).limit(n)


def titles(books):
    return [b.title for b in books.order_by(Books.id)]


def many_and_one(a):
    return [a.name, titles(a.books), a.profile.get().site]


def tree():
    def below(c):
        return [c.name, [below(child) for child in c.children.order_by(Categories.id)]]

    def up(c):
        return [c.name] + (up(c.parent) if c.parent else [])
    return [[up(c) for c in Categories.select().order_by(Categories.id.desc()).limit(N)], below(Categories.get(Categories.parent.is_null()))]


def audited():
    page = []
    for a in authors():
        page.append([a.name, titles(a.books)])
        Audits.create(author_id=a.id, what="seen")
    return page


def keyset():
    page, last = [], 0
    while len(page) < N:
        for a in Authors.select().where(Authors.id > last).order_by(Authors.id).limit(STEP):
            page.append([a.name, titles(a.books)])
            last = a.id
    return page


def after_write():
    with db.atomic():
        Audits.create(author_id=1, what="begun")
        return [[a.name, titles(a.books)] for a in authors()]


def named(c):
    subject = c.commentable
    return [c.body, subject.title if isinstance(subject, Books) else subject.name]


serve({
    "to_many": lambda: [[a.name, titles(a.books)] for a in authors()],
    "to_one": lambda: [[b.title, b.author.name] for b in Books.select().order_by(Books.id).limit(4 * N)],
    "nested": lambda: [[a.name, [[b.title, [r.body for r in b.reviews.order_by(Reviews.id)]] for b in a.books.order_by(Books.id)]] for a in authors(N // 2)],
    "many_to_many": lambda: [[b.title, [t.name for t in Tags.select().join(BookTags).where(BookTags.book == b).order_by(Tags.id)]]
                             for b in Books.select().order_by(Books.id).limit(N)],
    "counts": lambda: [[a.name, a.books.count()] for a in authors()],
    "latest": lambda: [[a.name, a.books.order_by(Books.published.desc(), Books.id.desc()).first().title] for a in authors()],
    "polymorphic": lambda: [[named(c) for c in Comments.select().order_by(Comments.id).limit(N)],
                            [[a.name, [c.body for c in a.comments.order_by(Comments.id)]] for a in authors(N // 2)]],
    "tree": tree,
    "tenant": lambda: [[a.name, titles(a.books.where(Books.tenant_id == 1, Books.deleted_at.is_null()))]
                       for a in Authors.select().where(Authors.tenant_id == 1, Authors.deleted_at.is_null()).order_by(Authors.id).limit(N)],
    "write": audited,
    "write_in_transaction": db.atomic()(audited),
    "relations": lambda: [[many_and_one(a) for a in authors(N // 2)],
                          [many_and_one(a) + [[w.name for w in a.awards.order_by(Awards.id)]] for a in authors()]],
    "keyset": keyset,
    "after_write": after_write,
    "deferred": lambda: [[a.name, Authors.select(Authors.bio).where(Authors.id == a.id).scalar()]
                         for a in Authors.select(Authors.id, Authors.name).order_by(Authors.id).limit(N)],
    "refresh": lambda: [Authors.get_by_id(a.id).name for a in authors()],
    "view": lambda: [[a.name, [[i.title, i.author_name] for i in a.book_infos.order_by(BookInfos.id)], a.totals.get().n_books] for a in authors()],
    "uuid": lambda: [[[a.owner, [str(e.amount) for e in a.entries.order_by(Entries.position)]] for a in Accounts.select().order_by(Accounts.position).limit(N)],
                     [[str(e.amount), e.account.owner] for e in Entries.select().order_by(Entries.position).limit(N)]],
}, p.__version__)
