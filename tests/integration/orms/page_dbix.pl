# SPDX-License-Identifier: PostgreSQL
#
# Perl's DBIx::Class over DBD::Pg. Argument: `loop`: lazily, one after the other.
use strict;
use warnings;

package Shop::Author;
use base 'DBIx::Class::Core';
__PACKAGE__->table('authors');
__PACKAGE__->add_columns(qw(id name email));
__PACKAGE__->set_primary_key('id');
__PACKAGE__->has_many(books => 'Shop::Book', 'author_id');
__PACKAGE__->might_have(profile => 'Shop::Profile', 'author_id');

package Shop::Profile;
use base 'DBIx::Class::Core';
__PACKAGE__->table('profiles');
__PACKAGE__->add_columns(qw(id author_id bio));
__PACKAGE__->set_primary_key('id');

package Shop::Book;
use base 'DBIx::Class::Core';
__PACKAGE__->table('books');
__PACKAGE__->add_columns(qw(id author_id title price position));
__PACKAGE__->set_primary_key('id');
__PACKAGE__->has_many(reviews => 'Shop::Review', 'book_id');

package Shop::Review;
use base 'DBIx::Class::Core';
__PACKAGE__->table('reviews');
__PACKAGE__->add_columns(qw(id book_id stars));
__PACKAGE__->set_primary_key('id');

package Shop;
use base 'DBIx::Class::Schema';
__PACKAGE__->register_class(Author => 'Shop::Author');
__PACKAGE__->register_class(Profile => 'Shop::Profile');
__PACKAGE__->register_class(Book => 'Shop::Book');
__PACKAGE__->register_class(Review => 'Shop::Review');

package main;
use IO::Handle;
use JSON::PP;
use Time::HiRes 'time';

my $json = JSON::PP->new->canonical;
my $db = Shop->connect("dbi:Pg:host=127.0.0.1;dbname=orms;port=$ENV{ORM_PORT}", 'app', '', { RaiseError => 1, AutoCommit => 1 });

sub plain {
    return { $_[0]->get_columns };
}

sub lazy_loop {
    my @page;
    for my $author ($db->resultset('Author')->search(undef, { order_by => 'id', rows => $ENV{ORM_N} || 24 })->all) {
        my @books = $author->books;
        push @page, [plain($author), [map { plain($_) } @books], plain($author->profile), [map { [map { plain($_) } $_->reviews] } @books]];
    }
    return \@page;
}

STDOUT->autoflush(1);
print $json->encode({ ready => \1, version => DBIx::Class->VERSION }), "\n";
while (<STDIN>) {
    my $start = time;
    my $page = lazy_loop();
    my $lookups = 0;
    $lookups += 2 + @{ $_->[3] } for @$page;
    print $json->encode({ ms => (time - $start) * 1000, lookups => $lookups, page => { loop => $page } }), "\n";
}
