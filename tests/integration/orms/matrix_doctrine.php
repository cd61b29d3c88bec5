<?php
// SPDX-License-Identifier: PostgreSQL
//
// The matrix' pages with Doctrine over PDO: proxies and lazy collections; each page begins with a cleared entity manager, as each request does.
require '/usr/share/php/Doctrine/ORM/autoload.php';
require 'matrix.php';

use Doctrine\ORM\Configuration;
use Doctrine\ORM\EntityManager;
use Doctrine\ORM\Mapping as ORM;
use Doctrine\ORM\Mapping\Driver\AttributeDriver;


#[ORM\Entity, ORM\Table('authors')]
class Author
{
    #[ORM\Id, ORM\Column, ORM\GeneratedValue] private int $id;
    #[ORM\Column(name: 'tenant_id')] private int $tenantId;
    #[ORM\Column(type: 'text')] private string $name;
    #[ORM\Column(type: 'text')] private string $bio;
    #[ORM\Column(type: 'date')] private DateTime $born;
    #[ORM\Column(name: 'created_at', type: 'datetimetz')] private DateTime $createdAt;
    #[ORM\Column(name: 'deleted_at', type: 'datetimetz', nullable: true)] private ?DateTime $deletedAt;
    #[ORM\OneToMany(mappedBy: 'author', targetEntity: Book::class), ORM\OrderBy(['id' => 'ASC'])] private $books;
    #[ORM\OneToMany(mappedBy: 'author', targetEntity: Book::class, fetch: 'EXTRA_LAZY')] private $allBooks;
    #[ORM\OneToMany(mappedBy: 'author', targetEntity: Award::class), ORM\OrderBy(['id' => 'ASC'])] private $awards;
    #[ORM\OneToMany(mappedBy: 'author', targetEntity: BookInfo::class), ORM\OrderBy(['id' => 'ASC'])] private $infos;
    public function getId() { return $this->id; }
    public function getName() { return $this->name; }
    public function getBio() { return $this->bio; }
    public function getBooks() { return $this->books; }
    public function getAllBooks() { return $this->allBooks; }
    public function getAwards() { return $this->awards; }
    public function getInfos() { return $this->infos; }
}

#[ORM\Entity, ORM\Table('profiles')]
class Profile
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\ManyToOne(targetEntity: Author::class), ORM\JoinColumn(name: 'author_id')] private $author;
    #[ORM\Column(type: 'text')] private string $site;
    public function getSite() { return $this->site; }
}

#[ORM\Entity, ORM\Table('awards')]
class Award
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\ManyToOne(targetEntity: Author::class, inversedBy: 'awards'), ORM\JoinColumn(name: 'author_id')] private $author;
    #[ORM\Column(type: 'text')] private string $name;
    public function getName() { return $this->name; }
}

#[ORM\Entity, ORM\Table('books')]
class Book
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\ManyToOne(targetEntity: Author::class, inversedBy: 'books'), ORM\JoinColumn(name: 'author_id')] private $author;
    #[ORM\Column(name: 'tenant_id')] private int $tenantId;
    #[ORM\Column(type: 'text')] private string $title;
    #[ORM\Column(type: 'decimal', precision: 10, scale: 2)] private string $price;
    #[ORM\Column(type: 'date')] private DateTime $published;
    #[ORM\Column(name: 'deleted_at', type: 'datetimetz', nullable: true)] private ?DateTime $deletedAt;
    #[ORM\OneToMany(mappedBy: 'book', targetEntity: Review::class), ORM\OrderBy(['id' => 'ASC'])] private $reviews;
    #[ORM\ManyToMany(targetEntity: Tag::class), ORM\JoinTable(name: 'book_tags'), ORM\JoinColumn(name: 'book_id'), ORM\InverseJoinColumn(name: 'tag_id'),
        ORM\OrderBy(['id' => 'ASC'])] private $tags;
    public function getTitle() { return $this->title; }
    public function getAuthor() { return $this->author; }
    public function getReviews() { return $this->reviews; }
    public function getTags() { return $this->tags; }
}

#[ORM\Entity, ORM\Table('reviews')]
class Review
{
    #[ORM\Id, ORM\Column(type: 'bigint')] private string $id;
    #[ORM\ManyToOne(targetEntity: Book::class, inversedBy: 'reviews'), ORM\JoinColumn(name: 'book_id')] private $book;
    #[ORM\Column] private int $stars;
    #[ORM\Column(type: 'text')] private string $body;
    public function getBody() { return $this->body; }
}

#[ORM\Entity, ORM\Table('tags')]
class Tag
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\Column(length: 40)] private string $name;
    public function getName() { return $this->name; }
}

#[ORM\Entity, ORM\Table('comments')]
class Comment
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\Column(name: 'commentable_type', length: 20)] private string $commentableType;
    #[ORM\Column(name: 'commentable_id')] private int $commentableId;
    #[ORM\Column(type: 'text')] private string $body;
    public function getBody() { return $this->body; }
    public function getCommentableType() { return $this->commentableType; }
    public function getCommentableId() { return $this->commentableId; }
}

#[ORM\Entity, ORM\Table('categories')]
class Category
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\ManyToOne(targetEntity: Category::class, inversedBy: 'children'), ORM\JoinColumn(name: 'parent_id')] private $parent;
    #[ORM\OneToMany(mappedBy: 'parent', targetEntity: Category::class), ORM\OrderBy(['id' => 'ASC'])] private $children;
    #[ORM\Column(type: 'text')] private string $name;
    public function getName() { return $this->name; }
    public function getParent() { return $this->parent; }
    public function getChildren() { return $this->children; }
}

#[ORM\Entity, ORM\Table('accounts')]
class Account
{
    #[ORM\Id, ORM\Column(type: 'guid')] private string $id;
    #[ORM\Column(type: 'text')] private string $owner;
    #[ORM\Column] private int $position;
    #[ORM\OneToMany(mappedBy: 'account', targetEntity: Entry::class), ORM\OrderBy(['position' => 'ASC'])] private $entries;
    public function getOwner() { return $this->owner; }
    public function getEntries() { return $this->entries; }
}

#[ORM\Entity, ORM\Table('entries')]
class Entry
{
    #[ORM\Id, ORM\Column(type: 'guid')] private string $id;
    #[ORM\ManyToOne(targetEntity: Account::class, inversedBy: 'entries'), ORM\JoinColumn(name: 'account_id')] private $account;
    #[ORM\Column(type: 'decimal', precision: 10, scale: 2)] private string $amount;
    #[ORM\Column] private int $position;
    public function getAmount() { return $this->amount; }
    public function getAccount() { return $this->account; }
}

#[ORM\Entity(readOnly: true), ORM\Table('book_infos')]
class BookInfo
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\ManyToOne(targetEntity: Author::class, inversedBy: 'infos'), ORM\JoinColumn(name: 'author_id')] private $author;
    #[ORM\Column(type: 'text')] private string $title;
    #[ORM\Column(name: 'author_name', type: 'text')] private string $authorName;
    public function getTitle() { return $this->title; }
    public function getAuthorName() { return $this->authorName; }
}

#[ORM\Entity(readOnly: true), ORM\Table('author_totals')]
class AuthorTotal
{
    #[ORM\Id, ORM\Column] private int $id;
    #[ORM\ManyToOne(targetEntity: Author::class), ORM\JoinColumn(name: 'author_id')] private $author;
    #[ORM\Column(name: 'n_books', type: 'bigint')] private string $nBooks;
    public function getNBooks() { return $this->nBooks; }
}

#[ORM\Entity, ORM\Table('audits')]
class Audit
{
    #[ORM\Id, ORM\Column, ORM\GeneratedValue(strategy: 'IDENTITY')] private int $id;
    #[ORM\Column(name: 'author_id')] private int $authorId;
    #[ORM\Column(type: 'text')] private string $what;
    public function __construct(int $authorId, string $what)
    {
        $this->authorId = $authorId;
        $this->what = $what;
    }
}

$proxies = sys_get_temp_dir() . '/pgfold-doctrine-' . getmypid();
$setup = new Configuration(); // without a cache for metadata, which is for tests only
$setup->setMetadataDriverImpl(new AttributeDriver([__DIR__]));
$setup->setProxyDir($proxies);
$setup->setProxyNamespace('Proxies');
$setup->setAutoGenerateProxyClasses(true);
$em = EntityManager::create(['driver' => 'pdo_pgsql', 'host' => '127.0.0.1', 'port' => getenv('ORM_PORT'), 'dbname' => 'matrix', 'user' => 'app', 'password' => ''], $setup);
register_shutdown_function(fn() => array_map('unlink', glob("$proxies/*")) && rmdir($proxies));

function listOf(string $of, int $n, array $where = [], array $order = ['id' => 'ASC']): array
{
    return $GLOBALS['em']->getRepository($of)->findBy($where, $order, $n);
}

function one(string $of, array $where) { return $GLOBALS['em']->getRepository($of)->findOneBy($where); }
function authors(int $n = N): array { return listOf(Author::class, $n); }
function map($rows, callable $of): array { return array_map($of, is_array($rows) ? $rows : $rows->toArray()); }
function titles($books): array { return map($books, fn($b) => $b->getTitle()); }
function withBooks(array $list): array { return map($list, fn($a) => [$a->getName(), titles($a->getBooks())]); }
function manyAndOne($a): array { return [$a->getName(), titles($a->getBooks()), one(Profile::class, ['author' => $a->getId()])->getSite()]; }
function up($c): array { return array_merge([$c->getName()], $c->getParent() ? up($c->getParent()) : []); }
function below($c): array { return [$c->getName(), map($c->getChildren(), fn($child) => below($child))]; }

function commented($c): array
{
    $subject = $GLOBALS['em']->find($c->getCommentableType(), $c->getCommentableId());
    return [$c->getBody(), $subject instanceof Book ? $subject->getTitle() : $subject->getName()];
}

function audited(): array
{
    return map(authors(), function ($a) {
        $row = [$a->getName(), titles($a->getBooks())];
        $GLOBALS['em']->persist(new Audit($a->getId(), 'seen'));
        $GLOBALS['em']->flush();
        return $row;
    });
}

function keyset(): array
{
    for ($page = [], $last = 0; count($page) < N; $last = end($list)->getId()) {
        $query = $GLOBALS['em']->createQuery('SELECT a FROM Author a WHERE a.id > :last ORDER BY a.id')->setParameter('last', $last)->setMaxResults(STEP);
        $list = $query->getResult();
        $page = array_merge($page, withBooks($list));
    }
    return $page;
}

function deferred(): array
{
    $rows = $GLOBALS['em']->createQuery('SELECT a.id, a.name FROM Author a ORDER BY a.id')->setMaxResults(N)->getArrayResult();
    return map($rows, fn($a) => [$a['name'], $GLOBALS['em']->createQuery('SELECT a.bio FROM Author a WHERE a.id = :id')->setParameter('id', $a['id'])
        ->getSingleScalarResult()]);
}

function refreshed(): array
{
    return map(authors(), function ($a) {
        $GLOBALS['em']->refresh($a);
        return $a->getName();
    });
}

function anew(callable $page): callable
{
    return function () use ($page) {
        $GLOBALS['em']->clear();
        return $page();
    };
}

serve(array_map('anew', [
    'to_many' => fn() => withBooks(authors()),
    'to_one' => fn() => map(listOf(Book::class, 4 * N), fn($b) => [$b->getTitle(), $b->getAuthor()->getName()]),
    'nested' => fn() => map(authors(intdiv(N, 2)), fn($a) => [$a->getName(), map($a->getBooks(),
        fn($b) => [$b->getTitle(), map($b->getReviews(), fn($r) => $r->getBody())])]),
    'many_to_many' => fn() => map(listOf(Book::class, N), fn($b) => [$b->getTitle(), map($b->getTags(), fn($t) => $t->getName())]),
    'counts' => fn() => map(authors(), fn($a) => [$a->getName(), $a->getAllBooks()->count()]),
    'latest' => fn() => map(authors(), fn($a) => [$a->getName(), $em->getRepository(Book::class)->findOneBy(['author' => $a->getId()],
        ['published' => 'DESC', 'id' => 'DESC'])->getTitle()]),
    'polymorphic' => fn() => [map(listOf(Comment::class, N), 'commented'), map(authors(intdiv(N, 2)), fn($a) => [$a->getName(),
        map(listOf(Comment::class, 100, ['commentableType' => 'Author', 'commentableId' => $a->getId()]), fn($c) => $c->getBody())])],
    'tree' => fn() => [map(listOf(Category::class, N, [], ['id' => 'DESC']), 'up'), below(one(Category::class, ['parent' => null]))],
    'tenant' => fn() => map(listOf(Author::class, N, ['tenantId' => 1, 'deletedAt' => null]), fn($a) => [$a->getName(),
        titles(listOf(Book::class, 100, ['author' => $a->getId(), 'tenantId' => 1, 'deletedAt' => null]))]),
    'write' => fn() => audited(),
    'write_in_transaction' => fn() => $em->wrapInTransaction(fn() => audited()),
    'relations' => fn() => [map(authors(intdiv(N, 2)), 'manyAndOne'), map(listOf(Author::class, N, [], ['id' => 'DESC']),
        fn($a) => array_merge(manyAndOne($a), map($a->getAwards(), fn($w) => $w->getName())))],
    'keyset' => fn() => keyset(),
    'after_write' => fn() => $em->wrapInTransaction(function () use ($em) {
        $em->persist(new Audit(1, 'begun'));
        $em->flush();
        return withBooks(authors());
    }),
    'deferred' => fn() => deferred(),
    'refresh' => fn() => refreshed(),
    'view' => fn() => map(authors(), fn($a) => [$a->getName(), map($a->getInfos(), fn($i) => [$i->getTitle(), $i->getAuthorName()]),
        one(AuthorTotal::class, ['author' => $a->getId()])->getNBooks()]),
    'uuid' => fn() => [map(listOf(Account::class, N, [], ['position' => 'ASC']), fn($a) => [$a->getOwner(), map($a->getEntries(), fn($e) => $e->getAmount())]),
        map(listOf(Entry::class, N, [], ['position' => 'DESC']), fn($e) => [$e->getAmount(), $e->getAccount()->getOwner()])],
]), 'debian');
