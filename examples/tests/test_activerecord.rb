# SPDX-License-Identifier: PostgreSQL
#
# pgfold test -- ruby test_activerecord.rb
require 'active_record'
require 'minitest/autorun'

ActiveRecord::Base.establish_connection(ENV.fetch('DATABASE_URL'))

class Author < ActiveRecord::Base
  self.table_name = 'author'
  has_many :books, -> { order(:id) }
end

class Book < ActiveRecord::Base
  self.table_name = 'book'
  belongs_to :author
end

class PagesTest < Minitest::Test
  def page(authors)
    authors.to_h { |a| [a.name, a.books.map(&:title)] }
  end

  def test_lazy
    assert_equal 3, page(Author.order(:id)).size
  end

  def test_eager
    assert_equal 3, page(Author.order(:id).includes(:books)).size
  end
end
