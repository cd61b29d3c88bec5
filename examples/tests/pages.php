<?php
// SPDX-License-Identifier: PostgreSQL
//
// pgfold test -- php pages.php [lazy | eager]
$u = parse_url(getenv('DATABASE_URL'));
$db = new PDO("pgsql:host={$u['host']};port={$u['port']};dbname=" . substr($u['path'], 1), $u['user'], $u['pass'],
              [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);

function lazy(PDO $db): void
{
    $books = $db->prepare('SELECT title FROM book WHERE author_id = ? ORDER BY id');
    foreach ($db->query('SELECT id, name FROM author ORDER BY id')->fetchAll() as $author) {
        $books->execute([$author['id']]);
        $books->fetchAll();
    }
}

function eager(PDO $db): void
{
    $db->query('SELECT a.name, b.title FROM author a JOIN book b ON b.author_id = a.id ORDER BY b.id')->fetchAll();
}

$argv[1] === 'lazy' ? lazy($db) : eager($db);
