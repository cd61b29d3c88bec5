# SPDX-License-Identifier: PostgreSQL
"""The schema as SQLAlchemy sees it, and the lookups that both its pages make with a session (each its own)."""
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects.postgresql import UUID

Base = orm.declarative_base()
book_tags = sa.Table("book_tags", Base.metadata, sa.Column("book_id", sa.ForeignKey("books.id"), primary_key=True),
                     sa.Column("tag_id", sa.ForeignKey("tags.id"), primary_key=True))


class Author(Base):
    __tablename__ = "authors"
    id = sa.Column(sa.Integer, primary_key=True)
    tenant_id = sa.Column(sa.Integer)
    name = sa.Column(sa.Text)
    email = sa.Column(sa.Text)
    token = sa.Column(UUID(as_uuid=True))
    deleted_at = sa.Column(sa.DateTime(timezone=True))
    books = orm.relationship("Book", order_by="Book.position")
    profile = orm.relationship("Profile", uselist=False)


class Profile(Base):
    __tablename__ = "profiles"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    bio = sa.Column(sa.Text)


class Book(Base):
    __tablename__ = "books"
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey("authors.id"))
    title = sa.Column(sa.Text)
    price = sa.Column(sa.Numeric(10, 2))
    position = sa.Column(sa.Integer)
    published = sa.Column(sa.Date)
    deleted_at = sa.Column(sa.DateTime(timezone=True))
    tags = orm.relationship("Tag", secondary=book_tags, order_by="Tag.id")
    reviews = orm.relationship("Review", order_by="Review.id")


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


def plain(row):
    """An object's columns."""
    return row and {c.key: getattr(row, c.key) for c in sa.inspect(type(row)).column_attrs}


def page(book_of, tag_of, token_of):
    """{kind: function of session and i}, in the classic style of queries."""
    def rows(q):
        return [plain(r) for r in q]

    def author(s, i):
        return plain(s.get(Author, i))

    def books(s, i):
        return rows(orm.Session.query(s, Book).filter(Book.author_id == i).order_by(Book.position))

    def profile(s, i):
        return plain(s.query(Profile).filter_by(author_id=i).first())

    def tags(s, i):
        return rows(s.query(Tag).join(book_tags).filter(book_tags.c.book_id == book_of(i)).order_by(Tag.id))

    def review_count(s, i):
        return s.query(Review).filter_by(book_id=book_of(i)).count()

    def best(s, i):
        return s.query(sa.func.max(Review.stars)).filter(Review.book_id == book_of(i)).scalar()

    def has_five(s, i):
        return s.query(s.query(Review).filter_by(book_id=book_of(i), stars=5).exists()).scalar()

    def tag_by_name(s, i):
        return plain(s.query(Tag).filter_by(name=tag_of(i)).first())

    def author_by_token(s, i):
        return plain(s.query(Author).filter_by(token=token_of(i)).one())

    def lazy_loads(s, i):
        """Four lookups in one session: the author, its books, its profile, the first book's tags."""
        a = s.get(Author, i)
        return [plain(a), [plain(b) for b in a.books], plain(a.profile), [plain(t) for t in a.books[0].tags]]
    return {f.__name__: f for f in (author, books, profile, tags, review_count, best, has_five, tag_by_name, author_by_token, lazy_loads)}
