# SPDX-License-Identifier: PostgreSQL
#
# ActiveRecord, threads over its pool. Argument: `prepared` (the default), `plain` (prepared_statements: false, as with
# query_log_tags_enabled) or `transactions`; `loop`: one connection that loads lazily.
require 'active_record'
require 'digest/md5'
require 'json'

N = Integer(ENV.fetch('ORM_N', '24'))
HOW = ARGV[0]
ActiveRecord::Base.establish_connection(adapter: 'postgresql', host: '127.0.0.1', port: ENV['ORM_PORT'], username: 'app',
                                        database: 'orms', pool: N + 1, prepared_statements: HOW != 'plain')

class Author < ActiveRecord::Base
  has_many :books
  has_one :profile
  has_many :reviews, through: :books
end

class Profile < ActiveRecord::Base
  belongs_to :author
end

class Book < ActiveRecord::Base
  belongs_to :author
  has_many :reviews
  has_and_belongs_to_many :tags, join_table: 'book_tags'
  scope :live, -> { where(deleted_at: nil) }
end

class Review < ActiveRecord::Base
  belongs_to :book
end

class Tag < ActiveRecord::Base
end

def book_of(i) = i * 4 - 1
def tag_of(i) = "tag-#{i % 50 + 1}"
def token_of(i) = Digest::MD5.hexdigest(i.to_s).sub(/^(.{8})(.{4})(.{4})(.{4})/, '\1-\2-\3-\4-')
def book(i) = Book.instantiate('id' => book_of(i), 'author_id' => i)
def author(i) = Author.instantiate('id' => i)

PAGE = {
  author: ->(i) { Author.find(i) },
  books: ->(i) { author(i).books.order(:position).to_a },
  belongs_to: ->(i) { book(i).author },
  profile: ->(i) { author(i).profile },
  tags: ->(i) { book(i).tags.order(:id).to_a },
  through: ->(i) { author(i).reviews.order(:id).to_a },
  review_count: ->(i) { book(i).reviews.count },
  average: ->(i) { book(i).reviews.average(:stars) },
  has_five: ->(i) { book(i).reviews.exists?(stars: 5) },
  tag_by_name: ->(i) { Tag.find_by(name: tag_of(i)) },
  author_by_token: ->(i) { Author.find_by(token: token_of(i)) },
  book_at: ->(i) { author(i).books.where(position: i % 4 + 1).to_a },
  last_book: ->(i) { author(i).books.live.last },
}.freeze

def asked(work, i)
  ActiveRecord::Base.connection_pool.with_connection do
    HOW == 'transactions' ? ActiveRecord::Base.transaction { work.(i) } : work.(i)
  end
end

# A pool of threads: each takes numbers until none is left.
def all_at_once(work)
  numbers = Queue.new
  (1..N).each { |i| numbers << i }
  got = Array.new(N)
  threads = Array.new(N) do
    Thread.new do
      while (i = (numbers.pop(true) rescue nil))
        got[i - 1] = asked(work, i)
      end
    end
  end
  threads.each(&:join)
  got
end

def lazy_loop
  Author.order(:id).limit(N).map { |a| [a, a.books.to_a, a.profile, a.books.map { |b| b.reviews.to_a }] }
end

def page
  return PAGE.transform_values { |work| all_at_once(work) } unless HOW == 'loop'

  { loop: ActiveRecord::Base.connection_pool.with_connection { lazy_loop } }
end

$stdout.sync = true
ActiveRecord::Base.connection_pool.with_connection { [Author, Profile, Book, Review, Tag].each(&:columns) }
puts JSON.generate(ready: true, version: ActiveRecord::VERSION::STRING)
while $stdin.gets
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  made = page
  ms = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start) * 1000
  lookups = HOW == 'loop' ? made[:loop].sum { |row| 2 + row[3].size } : N * PAGE.size
  puts({ ms: ms, lookups: lookups, page: made }.to_json)
end
