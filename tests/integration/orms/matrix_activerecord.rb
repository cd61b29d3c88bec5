# SPDX-License-Identifier: PostgreSQL
#
# The matrix' pages with ActiveRecord, as Rails has it by default: prepared statements, autocommit, one connection.
require 'active_record'
require 'json'

N = Integer(ENV.fetch('ORM_N', '60'))
STEP = 20
ActiveRecord::Base.establish_connection(adapter: 'postgresql', host: '127.0.0.1', port: ENV['ORM_PORT'], username: 'app', database: 'matrix')

class Author < ActiveRecord::Base
  has_many :books, -> { order(:id) }
  has_one :profile
  has_many :awards, -> { order(:id) }
  has_many :comments, -> { order(:id) }, as: :commentable
  has_many :book_infos, -> { order(:id) }
  has_one :author_total
  scope :first_ones, ->(n = N) { order(:id).limit(n) }
end

class Profile < ActiveRecord::Base
  belongs_to :author
end

class Award < ActiveRecord::Base
  belongs_to :author
end

class Book < ActiveRecord::Base
  belongs_to :author
  has_many :reviews, -> { order(:id) }
  has_and_belongs_to_many :tags, -> { order(:id) }, join_table: 'book_tags'
  scope :live, -> { where(deleted_at: nil) }
end

class Review < ActiveRecord::Base
  belongs_to :book
end

class Tag < ActiveRecord::Base
end

class Comment < ActiveRecord::Base
  belongs_to :commentable, polymorphic: true
end

class Category < ActiveRecord::Base
  belongs_to :parent, class_name: 'Category', optional: true
  has_many :children, -> { order(:id) }, class_name: 'Category', foreign_key: 'parent_id'
end

class Account < ActiveRecord::Base
  has_many :entries, -> { order(:position) }
end

class Entry < ActiveRecord::Base
  belongs_to :account
end

class BookInfo < ActiveRecord::Base
  self.primary_key = 'id'
end

class AuthorTotal < ActiveRecord::Base
  self.primary_key = 'id'
end

class Audit < ActiveRecord::Base
end

def many_and_one(author) = [author.name, author.books.map(&:title), author.profile.site]
def below(category) = [category.name, category.children.map { |child| below(child) }]
def up(category) = [category.name] + (category.parent ? up(category.parent) : [])
def title_of(subject) = subject.is_a?(Book) ? subject.title : subject.name

def audited
  Author.first_ones.map do |a|
    titles = a.books.map(&:title)
    Audit.create!(author_id: a.id, what: 'seen')
    [a.name, titles]
  end
end

def keyset
  page = []
  last = 0
  while page.size < N
    Author.where('id > ?', last).order(:id).limit(STEP).each do |a|
      page << [a.name, a.books.map(&:title)]
      last = a.id
    end
  end
  page
end

PAGES = {
  to_many: -> { Author.first_ones.map { |a| [a.name, a.books.map(&:title)] } },
  to_one: -> { Book.order(:id).limit(4 * N).map { |b| [b.title, b.author.name] } },
  nested: -> { Author.first_ones(N / 2).map { |a| [a.name, a.books.map { |b| [b.title, b.reviews.map(&:body)] }] } },
  many_to_many: -> { Book.order(:id).limit(N).map { |b| [b.title, b.tags.map(&:name)] } },
  counts: -> { Author.first_ones.map { |a| [a.name, a.books.count] } },
  latest: -> { Author.first_ones.map { |a| [a.name, a.books.reorder(published: :desc, id: :desc).first.title] } },
  polymorphic: lambda {
    [Comment.order(:id).limit(N).map { |c| [c.body, title_of(c.commentable)] }, Author.first_ones(N / 2).map { |a| [a.name, a.comments.map(&:body)] }]
  },
  tree: -> { [Category.order(id: :desc).limit(N).map { |c| up(c) }, below(Category.find_by(parent_id: nil))] },
  tenant: lambda {
    Author.where(tenant_id: 1, deleted_at: nil).first_ones.map { |a| [a.name, a.books.live.where(tenant_id: 1).map(&:title)] }
  },
  write: -> { audited },
  write_in_transaction: -> { ActiveRecord::Base.transaction { audited } },
  relations: lambda {
    [Author.first_ones(N / 2).map { |a| many_and_one(a) }, Author.first_ones.map { |a| many_and_one(a) + [a.awards.map(&:name)] }]
  },
  keyset: -> { keyset },
  after_write: lambda {
    ActiveRecord::Base.transaction do
      Audit.create!(author_id: 1, what: 'begun')
      Author.first_ones.map { |a| [a.name, a.books.map(&:title)] }
    end
  },
  deferred: -> { Author.select(:id, :name).first_ones.map { |a| [a.name, Author.where(id: a.id).pick(:bio)] } },
  refresh: -> { Author.first_ones.map { |a| a.reload.name } },
  view: lambda {
    Author.first_ones.map { |a| [a.name, a.book_infos.map { |i| [i.title, i.author_name] }, a.author_total.n_books] }
  },
  uuid: lambda {
    [Account.order(:position).limit(N).map { |a| [a.owner, a.entries.map(&:amount)] }, Entry.order(:position).limit(N).map { |e| [e.amount, e.account.owner] }]
  },
}.freeze

$stdout.sync = true
puts JSON.generate(version: ActiveRecord::VERSION::STRING, pages: PAGES.keys)
while (line = $stdin.gets)
  puts({ page: PAGES.fetch(line.strip.to_sym).call }.to_json)
end
