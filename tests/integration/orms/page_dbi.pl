# SPDX-License-Identifier: PostgreSQL
#
# Perl's DBD::Pg, a process for each author. Argument: `autocommit` or `transactions` (AutoCommit off, rolled back behind each).
use strict;
use warnings;
use DBI;
use IO::Handle;
use IO::Socket;
use JSON::PP;
use Socket;
use Time::HiRes 'time';

my $n = $ENV{ORM_N} || 24;
my $how = $ARGV[0];
my $json = JSON::PP->new->canonical;
my %sql = (
    author => ['SELECT id, name, email, token FROM authors WHERE id = ?', sub { $_[0] }],
    books => ['SELECT id, title, price FROM books WHERE author_id = ? ORDER BY position', sub { $_[0] }],
    tags => ['SELECT t.id, t.name FROM tags t JOIN book_tags bt ON bt.tag_id = t.id WHERE bt.book_id = ? ORDER BY t.id', sub { $_[0] * 4 - 1 }],
    review_count => ['SELECT count(*) FROM reviews WHERE book_id = ?', sub { $_[0] * 4 - 1 }],
    tag_by_name => ['SELECT id, name FROM tags WHERE name = ?', sub { 'tag-' . ($_[0] % 50 + 1) }],
    book_at => ['SELECT id, title FROM books WHERE author_id = ? AND position = ?', sub { ($_[0], $_[0] % 4 + 1) }],
);

sub worker {
    my ($pipe, $i) = @_;
    my $db = DBI->connect("dbi:Pg:host=127.0.0.1;dbname=orms;port=$ENV{ORM_PORT}", 'app', '', { RaiseError => 1, AutoCommit => $how ne 'transactions' });
    print $pipe "ready\n";
    while (my $kind = <$pipe>) {
        chomp $kind;
        my ($text, $values) = @{ $sql{$kind} };
        my $rows = $db->selectall_arrayref($db->prepare_cached($text), undef, $values->($i));
        $db->rollback if $how eq 'transactions';
        print $pipe $json->encode($rows), "\n";
    }
    $db->disconnect;
    exit 0;
}

my @workers;
for my $i (1 .. $n) {
    socketpair(my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
    $_->autoflush(1) for $mine, $its;
    if (!fork) {
        close $_ for @workers, $mine;
        worker($its, $i);
    }
    close $its;
    push @workers, $mine;
}
readline $_ for @workers;
STDOUT->autoflush(1);
print $json->encode({ ready => \1, version => $DBD::Pg::VERSION // DBI->VERSION }), "\n";
while (<STDIN>) {
    my ($start, %page) = (time);
    for my $kind (sort keys %sql) {
        print $_ "$kind\n" for @workers;
        $page{$kind} = [map { $json->decode(scalar readline $_) } @workers];
    }
    print $json->encode({ ms => (time - $start) * 1000, lookups => $n * keys(%sql), page => \%page }), "\n";
}
