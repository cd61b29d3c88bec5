# SPDX-License-Identifier: PostgreSQL
"""pgfold test -- pytest test_sqlalchemy.py"""
import os

import pytest
from sqlalchemy import Column, ForeignKey, Integer, Text, create_engine
from sqlalchemy.orm import Session, declarative_base, relationship, selectinload

Base = declarative_base()


class Author(Base):
    __tablename__ = "author"
    id = Column(Integer, primary_key=True)
    name = Column(Text)
    books = relationship("Book", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)
    author_id = Column(Integer, ForeignKey("author.id"))
    title = Column(Text)


@pytest.fixture
def session():
    with Session(create_engine(os.environ["DATABASE_URL"])) as s:
        yield s


def page(authors):
    return {a.name: [b.title for b in a.books] for a in authors}


def test_lazy(session):
    assert len(page(session.query(Author).order_by(Author.id))) == 3


def test_eager(session):
    assert len(page(session.query(Author).options(selectinload(Author.books)).order_by(Author.id))) == 3
