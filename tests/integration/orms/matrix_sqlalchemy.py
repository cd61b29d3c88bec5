# SPDX-License-Identifier: PostgreSQL
"""The matrix' pages with SQLAlchemy: a session for each page, in a transaction as it is by default, psycopg2."""
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import UUID

from matrix import DATABASE, N, PORT, STEP, serve

engine = sa.create_engine("postgresql+psycopg2://app@127.0.0.1:%d/%s" % (PORT, DATABASE))
Base = orm.declarative_base()
book_tags = sa.Table("book_tags", Base.metadata, sa.Column("book_id", sa.ForeignKey("books.id"), primary_key=True),
                     sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True))


class Author(Base):
    __tablename__ = "authors"
    id = sa.Column(sa.Integer, primary_key=True)
    tenant_id = sa.Column(sa.Integer)
    name = sa.Column(sa.Text)
    bio = sa.Column(sa.Text)
    born = sa.Column(sa.Date)
    created_at = sa.Column(sa.DateTime(timezone=True))
    deleted_at = sa.Column(sa.DateTime(timezone=True))
    books = orm.relationship("Book", order_by="Book.id", back_populates="author")
    all_books = orm.relationship("Book", lazy="dynamic", viewonly=True)
    profile = orm.relationship("Profile", uselist=False)
    awards = orm.relationship("Award", order_by="Award.id")
    comments = orm.relationship("Comment", primaryjoin="and_(foreign(Comment.commentable_id) == Author.id, Comment.commentable_type == 'Author')",
                                order_by="Comment.id", viewonly=True)
    book_infos = orm.relationship("BookInfo", order_by="BookInfo.id", viewonly=True)
    totals = orm.relationship("AuthorTotal", uselist=False, viewonly=True)


class Profile(Base):
    __tablename__ = "profiles"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    site = sa.Column(sa.Text)


class Award(Base):
    __tablename__ = "awards"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    name = sa.Column(sa.Text)


class Book(Base):
    __tablename__ = "books"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    tenant_id = sa.Column(sa.Integer)
    title = sa.Column(sa.Text)
    price = sa.Column(sa.Numeric(10, 2))
    published = sa.Column(sa.Date)
    deleted_at = sa.Column(sa.DateTime(timezone=True))
    author = orm.relationship("Author", back_populates="books")
    reviews = orm.relationship("Review", order_by="Review.id")
    tags = orm.relationship("Tag", secondary=book_tags, order_by="Tag.id")


class Review(Base):
    __tablename__ = "reviews"
    id = sa.Column(sa.BigInteger, primary_key=True)
    book_id = sa.Column(sa.ForeignKey("books.id"))
    stars = sa.Column(sa.Integer)
    body = sa.Column(sa.Text)


class Tag(Base):
    __tablename__ = "tags"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(40))


class Comment(Base):
    __tablename__ = "comments"
    id = sa.Column(sa.Integer, primary_key=True)
    commentable_type = sa.Column(sa.String(20))
    commentable_id = sa.Column(sa.Integer)
    body = sa.Column(sa.Text)

    @property
    def commentable(self):
        return orm.object_session(self).get({"Author": Author, "Book": Book}[self.commentable_type], self.commentable_id)


class Category(Base):
    __tablename__ = "categories"
    id = sa.Column(sa.Integer, primary_key=True)
    parent_id = sa.Column(sa.ForeignKey("categories.id"))
    name = sa.Column(sa.Text)
    parent = orm.relationship("Category", remote_side=id, back_populates="children")
    children = orm.relationship("Category", order_by="Category.id", back_populates="parent")


class Account(Base):
    __tablename__ = "accounts"
    id = sa.Column(UUID(as_uuid=True), primary_key=True)
    owner = sa.Column(sa.Text)
    position = sa.Column(sa.Integer)
    entries = orm.relationship("Entry", order_by="Entry.position", back_populates="account")


class Entry(Base):
    __tablename__ = "entries"
    id = sa.Column(UUID(as_uuid=True), primary_key=True)
    account_id = sa.Column(sa.ForeignKey("accounts.id"))
    amount = sa.Column(sa.Numeric(10, 2))
    position = sa.Column(sa.Integer)
    account = orm.relationship("Account", back_populates="entries")


class BookInfo(Base):
    __tablename__ = "book_infos"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    title = sa.Column(sa.Text)
    author_name = sa.Column(sa.Text)


class AuthorTotal(Base):
    __tablename__ = "author_totals"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    n_books = sa.Column(sa.BigInteger)
    total = sa.Column(sa.Numeric(10, 2))


class Audit(Base):
    __tablename__ = "audits"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.Integer)
    what = sa.Column(sa.Text)


def authors(s, n=N):
    return s.query(Author).order_by(Author.id).limit(n)


def titles(books):
    return [b.title for b in books]


def many_and_one(a):
    return [a.name, titles(a.books), a.profile.site]


def tree(s):
    def below(c):
        return [c.name, [below(child) for child in c.children]]

    def up(c):
        return [c.name] + (up(c.parent) if c.parent else [])
    page = [up(c) for c in s.query(Category).order_by(Category.id.desc()).limit(N)]
    return [page, below(s.query(Category).filter(Category.parent_id.is_(None)).one())]


def audited(s):
    page = []
    for a in authors(s):
        page.append([a.name, titles(a.books)])
        s.add(Audit(author_id=a.id, what="seen"))
        s.flush()
    s.commit()
    return page


def write(_):
    """The engine commits behind each statement."""
    with orm.Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as s:
        return audited(s)


def named(c):
    subject = c.commentable  # once: the session forgets what nobody holds
    return [c.body, subject.title if isinstance(subject, Book) else subject.name]


def keyset(s):
    page, last = [], 0
    while len(page) < N:
        for a in s.query(Author).filter(Author.id > last).order_by(Author.id).limit(STEP):
            page.append([a.name, titles(a.books)])
            last = a.id
    return page


def after_write(s):
    s.add(Audit(author_id=1, what="begun"))
    s.flush()
    page = [[a.name, titles(a.books)] for a in authors(s)]
    s.commit()
    return page


def refresh(s):
    page = []
    for a in authors(s):
        s.refresh(a)
        page.append(a.name)
    return page


def in_session(page):
    def run():
        with orm.Session(engine) as s:
            return page(s)
    return run


serve({name: in_session(page) for name, page in {
    "to_many": lambda s: [[a.name, titles(a.books)] for a in authors(s)],
    "to_one": lambda s: [[b.title, b.author.name] for b in s.query(Book).order_by(Book.id).limit(4 * N)],
    "nested": lambda s: [[a.name, [[b.title, [r.body for r in b.reviews]] for b in a.books]] for a in authors(s, N // 2)],
    "many_to_many": lambda s: [[b.title, [t.name for t in b.tags]] for b in s.query(Book).order_by(Book.id).limit(N)],
    "counts": lambda s: [[a.name, a.all_books.count()] for a in authors(s)],
    "latest": lambda s: [[a.name, a.all_books.order_by(Book.published.desc(), Book.id.desc()).first().title] for a in authors(s)],
    "polymorphic": lambda s: [[named(c) for c in s.query(Comment).order_by(Comment.id).limit(N)],
                              [[a.name, [c.body for c in a.comments]] for a in authors(s, N // 2)]],
    "tree": tree,
    "tenant": lambda s: [[a.name, titles(a.all_books.filter(Book.tenant_id == 1, Book.deleted_at.is_(None)).order_by(Book.id))]
                         for a in s.query(Author).filter(Author.tenant_id == 1, Author.deleted_at.is_(None)).order_by(Author.id).limit(N)],
    "write": write,
    "write_in_transaction": audited,
    "relations": lambda s: [[many_and_one(a) for a in authors(s, N // 2)],
                            [many_and_one(a) + [[w.name for w in a.awards]] for a in s.query(Author).order_by(Author.id).offset(N // 2).limit(N)]],
    "keyset": keyset,
    "after_write": after_write,
    "deferred": lambda s: [[a.name, a.bio] for a in authors(s).options(orm.defer(Author.bio))],
    "refresh": refresh,
    "view": lambda s: [[a.name, [[i.title, i.author_name] for i in a.book_infos], a.totals.n_books] for a in authors(s)],
    "uuid": lambda s: [[[a.owner, [str(e.amount) for e in a.entries]] for a in s.query(Account).order_by(Account.position).limit(N)],
                       [[str(e.amount), e.account.owner] for e in s.query(Entry).order_by(Entry.position.desc()).limit(N)]],
}.items()}, sa.__version__)
