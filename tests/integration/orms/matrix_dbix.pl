# SPDX-License-Identifier: PostgreSQL
#
# The matrix' pages with Perl's DBIx::Class over DBD::Pg, AutoCommit on as its documentation wants it.
use strict;
use warnings;

sub table {
    my ($class, $table, @columns) = @_;
    no strict 'refs';
    @{"Shop::${class}::ISA"} = ('DBIx::Class::Core');
    my $of = "Shop::$class";
    $of->table($table);
    $of->add_columns(@columns);
    $of->set_primary_key($class eq 'BookTag' ? qw(book_id tag_id) : 'id');
    return $of;
}

package Shop;
use base 'DBIx::Class::Schema';
use DBIx::Class::Core;

my $author = main::table('Author', 'authors', qw(id tenant_id name bio born created_at deleted_at));
my $profile = main::table('Profile', 'profiles', qw(id author_id site));
my $award = main::table('Award', 'awards', qw(id author_id name));
my $book = main::table('Book', 'books', qw(id author_id tenant_id title price published deleted_at));
my $review = main::table('Review', 'reviews', qw(id book_id stars body));
my $tag = main::table('Tag', 'tags', qw(id name));
my $book_tag = main::table('BookTag', 'book_tags', qw(book_id tag_id));
my $comment = main::table('Comment', 'comments', qw(id commentable_type commentable_id body));
my $category = main::table('Category', 'categories', qw(id parent_id name));
my $account = main::table('Account', 'accounts', qw(id owner position));
my $entry = main::table('Entry', 'entries', qw(id account_id amount position));
my $info = main::table('BookInfo', 'book_infos', qw(id author_id title author_name));
my $total = main::table('AuthorTotal', 'author_totals', qw(id author_id n_books total));
my $audit = main::table('Audit', 'audits', 'id', 'author_id', 'what');
$audit->add_columns('+id' => { is_auto_increment => 1 });
$author->has_many(books => 'Shop::Book', 'author_id');
$author->might_have(profile => 'Shop::Profile', 'author_id');
$author->has_many(awards => 'Shop::Award', 'author_id');
$author->has_many(comments => 'Shop::Comment', { 'foreign.commentable_id' => 'self.id' }, { where => { commentable_type => 'Author' } });
$author->has_many(infos => 'Shop::BookInfo', 'author_id');
$author->might_have(totals => 'Shop::AuthorTotal', 'author_id');
$book->belongs_to(author => 'Shop::Author', 'author_id');
$book->has_many(reviews => 'Shop::Review', 'book_id');
$book->has_many(book_tags => 'Shop::BookTag', 'book_id');
$book_tag->belongs_to(tag => 'Shop::Tag', 'tag_id');
$book->many_to_many(tags => 'book_tags', 'tag');
$category->belongs_to(parent => 'Shop::Category', 'parent_id', { join_type => 'left' });
$category->has_many(children => 'Shop::Category', 'parent_id');
$account->has_many(entries => 'Shop::Entry', 'account_id');
$entry->belongs_to(account => 'Shop::Account', 'account_id');
for ([Author => $author], [Profile => $profile], [Award => $award], [Book => $book], [Review => $review], [Tag => $tag], [BookTag => $book_tag],
    [Comment => $comment], [Category => $category], [Account => $account], [Entry => $entry], [BookInfo => $info], [AuthorTotal => $total],
    [Audit => $audit]) {
    __PACKAGE__->register_class(@$_);
}

package main;
use IO::Handle;
use JSON::PP;

my $N = $ENV{ORM_N} || 60;
my $STEP = 20;
my $json = JSON::PP->new->canonical;
my $db = Shop->connect("dbi:Pg:host=127.0.0.1;dbname=matrix;port=$ENV{ORM_PORT}", 'app', '', { RaiseError => 1, AutoCommit => 1 });

sub list {
    my ($of, $n, $where, $order) = @_;
    return $db->resultset($of)->search($where, { order_by => $order || 'id', rows => $n })->all;
}

sub authors { return list('Author', $_[0] || $N) }
sub by_id { return { order_by => 'me.id' } }
sub titles { return [map { $_->title } $_[0]->search_related('books', {}, by_id())] }

sub many_and_one {
    my $author = shift;
    return [$author->name, titles($author), $author->profile->site];
}

sub up {
    my $category = shift;
    return [$category->name, $category->parent ? @{ up($category->parent) } : ()];
}

sub below {
    my $category = shift;
    return [$category->name, [map { below($_) } $category->search_related('children', {}, by_id())]];
}

sub commented {
    my $comment = shift;
    my $subject = $db->resultset($comment->commentable_type)->find($comment->commentable_id);
    return [$comment->body, $comment->commentable_type eq 'Book' ? $subject->title : $subject->name];
}

sub audited {
    my @page;
    for my $author (authors()) {
        push @page, [$author->name, titles($author)];
        $db->resultset('Audit')->create({ author_id => $author->id, what => 'seen' });
    }
    return \@page;
}

sub keyset {
    my ($last, @page) = (0);
    while (@page < $N) {
        for my $author (list('Author', $STEP, { id => { '>' => $last } })) {
            push @page, [$author->name, titles($author)];
            $last = $author->id;
        }
    }
    return \@page;
}

sub refreshed {
    my @page;
    for my $author (authors()) {
        $author->discard_changes;
        push @page, $author->name;
    }
    return \@page;
}

my %pages = (
    to_many => sub { [map { [$_->name, titles($_)] } authors()] },
    to_one => sub { [map { [$_->title, $_->author->name] } list('Book', 4 * $N)] },
    nested => sub {
        [map { my $author = $_; [$author->name, [map { my $book = $_; [$book->title, [map { $_->body } $book->search_related('reviews', {}, by_id())]] }
                    $author->search_related('books', {}, by_id())]] } authors($N / 2)];
    },
    many_to_many => sub { [map { [$_->title, [map { $_->name } $_->tags({}, { order_by => 'tag.id' })]] } list('Book', $N)] },
    counts => sub { [map { [$_->name, $_->books->count] } authors()] },
    latest => sub {
        [map { [$_->name, $_->search_related('books', {}, { order_by => [{ -desc => 'published' }, { -desc => 'id' }], rows => 1 })->single->title] } authors()];
    },
    polymorphic => sub {
        [[map { commented($_) } list('Comment', $N)], [map { [$_->name, [map { $_->body } $_->search_related('comments', {}, by_id())]] } authors($N / 2)]];
    },
    tree => sub { [[map { up($_) } list('Category', $N, undef, { -desc => 'id' })], below($db->resultset('Category')->find({ parent_id => undef }))] },
    tenant => sub {
        [map { [$_->name, [map { $_->title } $_->search_related('books', { tenant_id => 1, deleted_at => undef }, by_id())]] }
            list('Author', $N, { tenant_id => 1, deleted_at => undef })];
    },
    write => \&audited,
    write_in_transaction => sub { $db->txn_do(\&audited) },
    relations => sub {
        [[map { many_and_one($_) } authors($N / 2)],
            [map { [@{ many_and_one($_) }, [map { $_->name } $_->search_related('awards', {}, by_id())]] } authors()]];
    },
    keyset => \&keyset,
    after_write => sub {
        $db->txn_do(sub {
            $db->resultset('Audit')->create({ author_id => 1, what => 'begun' });
            return [map { [$_->name, titles($_)] } authors()];
        });
    },
    deferred => sub {
        [map { [$_->name, $db->resultset('Author')->search({ id => $_->id }, { columns => ['bio'] })->single->bio] }
            $db->resultset('Author')->search(undef, { columns => ['id', 'name'], order_by => 'id', rows => $N })->all];
    },
    refresh => \&refreshed,
    view => sub {
        [map { [$_->name, [map { [$_->title, $_->author_name] } $_->search_related('infos', {}, by_id())], $_->totals->n_books] } authors()];
    },
    uuid => sub {
        [[map { [$_->owner, [map { $_->amount } $_->search_related('entries', {}, { order_by => 'position' })]] } list('Account', $N, undef, 'position')],
            [map { [$_->amount, $_->account->owner] } list('Entry', $N, undef, 'position')]];
    },
);

STDOUT->autoflush(1);
print $json->encode({ version => DBIx::Class->VERSION, pages => [sort keys %pages] }), "\n";
while (my $line = <STDIN>) {
    chomp $line;
    print $json->encode({ page => $pages{$line}->() }), "\n";
}
