# SPDX-License-Identifier: PostgreSQL
#
# The matrix' pages with Sequel's models over ruby-pg: values in the text, autocommit, one connection.
require 'sequel'
require 'json'

N = Integer(ENV.fetch('ORM_N', '60'))
STEP = 20
DB = Sequel.connect("postgres://app@127.0.0.1:#{ENV['ORM_PORT']}/matrix")

class Author < Sequel::Model
  one_to_many :books, order: :id
  one_to_one :profile
  one_to_many :awards, order: :id
  one_to_many :comments, key: :commentable_id, order: :id, conditions: { commentable_type: 'Author' }
  one_to_many :book_infos, order: :id
  one_to_one :author_total
end

class Profile < Sequel::Model
  many_to_one :author
end

class Award < Sequel::Model
  many_to_one :author
end

class Book < Sequel::Model
  many_to_one :author
  one_to_many :reviews, order: :id
  many_to_many :tags, join_table: :book_tags, order: Sequel[:tags][:id]
end

class Review < Sequel::Model
  many_to_one :book
end

class Tag < Sequel::Model
end

class Comment < Sequel::Model
  def commentable = { 'Author' => Author, 'Book' => Book }[commentable_type][commentable_id]
end

class Category < Sequel::Model
  many_to_one :parent, class: :Category
  one_to_many :children, class: :Category, key: :parent_id, order: :id
end

class Account < Sequel::Model
  one_to_many :entries, order: :position
end

class Entry < Sequel::Model
  many_to_one :account
end

class BookInfo < Sequel::Model
  set_primary_key :id
end

class AuthorTotal < Sequel::Model
  set_primary_key :id
end

class Audit < Sequel::Model
end

def authors(n = N) = Author.order(:id).limit(n).all
def titles(author) = author.books.map(&:title)
def many_and_one(author) = [author.name, titles(author), author.profile.site]
def below(category) = [category.name, category.children.map { |child| below(child) }]
def up(category) = [category.name] + (category.parent ? up(category.parent) : [])
def title_of(subject) = subject.is_a?(Book) ? subject.title : subject.name

def audited
  authors.map do |a|
    row = [a.name, titles(a)]
    Audit.create(author_id: a.id, what: 'seen')
    row
  end
end

def keyset
  page = []
  last = 0
  while page.size < N
    Author.where { id > last }.order(:id).limit(STEP).all.each do |a|
      page << [a.name, titles(a)]
      last = a.id
    end
  end
  page
end

PAGES = {
  to_many: -> { authors.map { |a| [a.name, titles(a)] } },
  to_one: -> { Book.order(:id).limit(4 * N).all.map { |b| [b.title, b.author.name] } },
  nested: -> { authors(N / 2).map { |a| [a.name, a.books.map { |b| [b.title, b.reviews.map(&:body)] }] } },
  many_to_many: -> { Book.order(:id).limit(N).all.map { |b| [b.title, b.tags.map(&:name)] } },
  counts: -> { authors.map { |a| [a.name, a.books_dataset.count] } },
  latest: -> { authors.map { |a| [a.name, a.books_dataset.order(Sequel.desc(:published), Sequel.desc(:id)).first.title] } },
  polymorphic: lambda {
    [Comment.order(:id).limit(N).all.map { |c| [c.body, title_of(c.commentable)] }, authors(N / 2).map { |a| [a.name, a.comments.map(&:body)] }]
  },
  tree: -> { [Category.order(Sequel.desc(:id)).limit(N).all.map { |c| up(c) }, below(Category.first(parent_id: nil))] },
  tenant: lambda {
    Author.where(tenant_id: 1, deleted_at: nil).order(:id).limit(N).all.map do |a|
      [a.name, a.books_dataset.where(tenant_id: 1, deleted_at: nil).all.map(&:title)]
    end
  },
  write: -> { audited },
  write_in_transaction: -> { DB.transaction { audited } },
  relations: -> { [authors(N / 2).map { |a| many_and_one(a) }, authors.map { |a| many_and_one(a) + [a.awards.map(&:name)] }] },
  keyset: -> { keyset },
  after_write: lambda {
    DB.transaction do
      Audit.create(author_id: 1, what: 'begun')
      authors.map { |a| [a.name, titles(a)] }
    end
  },
  deferred: -> { Author.select(:id, :name).order(:id).limit(N).all.map { |a| [a.name, Author.where(id: a.id).get(:bio)] } },
  refresh: -> { authors.map { |a| a.refresh.name } },
  view: -> { authors.map { |a| [a.name, a.book_infos.map { |i| [i.title, i.author_name] }, a.author_total.n_books] } },
  uuid: lambda {
    [Account.order(:position).limit(N).all.map { |a| [a.owner, a.entries.map { |e| e.amount.to_s }] },
     Entry.order(:position).limit(N).all.map { |e| [e.amount.to_s, e.account.owner] }]
  },
}.freeze

$stdout.sync = true
puts JSON.generate(version: Sequel::VERSION, pages: PAGES.keys)
while (line = $stdin.gets)
  puts JSON.generate(page: PAGES.fetch(line.strip.to_sym).call)
end
