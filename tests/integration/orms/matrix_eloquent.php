<?php
// SPDX-License-Identifier: PostgreSQL
//
// The matrix' pages with Eloquent, Laravel's models, over PDO: server-side prepared statements, autocommit.
require '/usr/share/php/Illuminate/Database/autoload.php';
require 'matrix.php';

use Illuminate\Database\Capsule\Manager as Database;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\Relations\Relation;

$database = new Database();
$database->addConnection(['driver' => 'pgsql', 'host' => '127.0.0.1', 'port' => getenv('ORM_PORT'), 'database' => 'matrix', 'username' => 'app', 'password' => '']);
$database->setAsGlobal();
$database->bootEloquent();
Relation::morphMap(['Author' => Author::class, 'Book' => Book::class]);

abstract class Row extends Model
{
    public $timestamps = false;
    protected $guarded = [];
}

class Author extends Row
{
    public function books() { return $this->hasMany(Book::class)->orderBy('id'); }
    public function allBooks() { return $this->hasMany(Book::class); }
    public function latestBook() { return $this->hasOne(Book::class)->orderByDesc('published')->orderByDesc('id'); }
    public function profile() { return $this->hasOne(Profile::class); }
    public function awards() { return $this->hasMany(Award::class)->orderBy('id'); }
    public function comments() { return $this->morphMany(Comment::class, 'commentable')->orderBy('id'); }
    public function infos() { return $this->hasMany(BookInfo::class)->orderBy('id'); }
    public function totals() { return $this->hasOne(AuthorTotal::class); }
}

class Profile extends Row {}
class Award extends Row {}

class Book extends Row
{
    public function author() { return $this->belongsTo(Author::class); }
    public function reviews() { return $this->hasMany(Review::class)->orderBy('id'); }
    public function tags() { return $this->belongsToMany(Tag::class, 'book_tags')->orderBy('tags.id'); }
}

class Review extends Row {}
class Tag extends Row {}

class Comment extends Row
{
    public function commentable() { return $this->morphTo(); }
}

class Category extends Row
{
    public function parent() { return $this->belongsTo(Category::class, 'parent_id'); }
    public function children() { return $this->hasMany(Category::class, 'parent_id')->orderBy('id'); }
}

class Account extends Row
{
    protected $keyType = 'string';
    public $incrementing = false;
    public function entries() { return $this->hasMany(Entry::class)->orderBy('position'); }
}

class Entry extends Row
{
    protected $keyType = 'string';
    public $incrementing = false;
    public function account() { return $this->belongsTo(Account::class); }
}

class BookInfo extends Row {}
class AuthorTotal extends Row {}
class Audit extends Row {}

function authors(int $n = N) { return Author::orderBy('id')->limit($n)->get(); }
function titles($books): array { return $books->map(fn($b) => $b->title)->all(); }
function manyAndOne($a): array { return [$a->name, titles($a->books), $a->profile->site]; }
function up($c): array { return array_merge([$c->name], $c->parent ? up($c->parent) : []); }
function below($c): array { return [$c->name, $c->children->map(fn($child) => below($child))->all()]; }
function withBooks($list): array { return $list->map(fn($a) => [$a->name, titles($a->books)])->all(); }

function audited(): array
{
    return authors()->map(function ($a) {
        $row = [$a->name, titles($a->books)];
        Audit::create(['author_id' => $a->id, 'what' => 'seen']);
        return $row;
    })->all();
}

function keyset(): array
{
    for ($page = [], $last = 0; count($page) < N; $last = $list->last()->id) {
        $list = Author::where('id', '>', $last)->orderBy('id')->limit(STEP)->get();
        $page = array_merge($page, withBooks($list));
    }
    return $page;
}

serve([
    'to_many' => fn() => withBooks(authors()),
    'to_one' => fn() => Book::orderBy('id')->limit(4 * N)->get()->map(fn($b) => [$b->title, $b->author->name])->all(),
    'nested' => fn() => authors(intdiv(N, 2))->map(fn($a) => [$a->name, $a->books->map(fn($b) => [$b->title, $b->reviews->map(fn($r) => $r->body)->all()])->all()])->all(),
    'many_to_many' => fn() => Book::orderBy('id')->limit(N)->get()->map(fn($b) => [$b->title, $b->tags->map(fn($t) => $t->name)->all()])->all(),
    'counts' => fn() => authors()->map(fn($a) => [$a->name, $a->allBooks()->count()])->all(),
    'latest' => fn() => authors()->map(fn($a) => [$a->name, $a->latestBook->title])->all(),
    'polymorphic' => fn() => [Comment::orderBy('id')->limit(N)->get()->map(fn($c) => [$c->body, $c->commentable->title ?? $c->commentable->name])->all(),
        authors(intdiv(N, 2))->map(fn($a) => [$a->name, $a->comments->map(fn($c) => $c->body)->all()])->all()],
    'tree' => fn() => [Category::orderByDesc('id')->limit(N)->get()->map(fn($c) => up($c))->all(), below(Category::whereNull('parent_id')->first())],
    'tenant' => fn() => Author::where('tenant_id', 1)->whereNull('deleted_at')->orderBy('id')->limit(N)->get()
        ->map(fn($a) => [$a->name, titles($a->books()->where('tenant_id', 1)->whereNull('deleted_at')->get())])->all(),
    'write' => fn() => audited(),
    'write_in_transaction' => fn() => Database::transaction(fn() => audited()),
    'relations' => fn() => [authors(intdiv(N, 2))->map(fn($a) => manyAndOne($a))->all(),
        authors()->map(fn($a) => array_merge(manyAndOne($a), [$a->awards->map(fn($w) => $w->name)->all()]))->all()],
    'keyset' => fn() => keyset(),
    'after_write' => fn() => Database::transaction(function () {
        Audit::create(['author_id' => 1, 'what' => 'begun']);
        return withBooks(authors());
    }),
    'deferred' => fn() => Author::select('id', 'name')->orderBy('id')->limit(N)->get()->map(fn($a) => [$a->name, Author::whereKey($a->id)->value('bio')])->all(),
    'refresh' => fn() => authors()->map(fn($a) => $a->refresh()->name)->all(),
    'view' => fn() => authors()->map(fn($a) => [$a->name, $a->infos->map(fn($i) => [$i->title, $i->author_name])->all(), $a->totals->n_books])->all(),
    'uuid' => fn() => [Account::orderBy('position')->limit(N)->get()->map(fn($a) => [$a->owner, $a->entries->map(fn($e) => $e->amount)->all()])->all(),
        Entry::orderBy('position')->limit(N)->get()->map(fn($e) => [$e->amount, $e->account->owner])->all()],
], 'debian');
