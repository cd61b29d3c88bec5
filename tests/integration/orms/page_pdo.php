<?php
// SPDX-License-Identifier: PostgreSQL
//
// PHP's PDO, a process for each author, as PHP-FPM's workers are. Argument: `prepared` (the default), `emulated` (values written into the
// text), `disabled` (PDO::PGSQL_ATTR_DISABLE_PREPARES) or `transactions`.
$n = (int) (getenv('ORM_N') ?: 24);
$how = $argv[1];

function bookOf(int $i): int { return $i * 4 - 1; }

$sql = [
    'author' => ['SELECT * FROM authors WHERE id = ? LIMIT 1', fn($i) => [$i]],
    'books' => ['SELECT * FROM books WHERE books.author_id = ? AND books.author_id IS NOT NULL ORDER BY position', fn($i) => [$i]],
    'tags' => ['SELECT tags.*, book_tags.book_id AS pivot_book_id FROM tags INNER JOIN book_tags ON tags.id = book_tags.tag_id '
        . 'WHERE book_tags.book_id = ? ORDER BY tags.id', fn($i) => [bookOf($i)]],
    'review_count' => ['SELECT count(*) AS aggregate FROM reviews WHERE book_id = ?', fn($i) => [bookOf($i)]],
    'has_five' => ['SELECT EXISTS (SELECT * FROM reviews WHERE book_id = ? AND stars = 5) AS "exists"', fn($i) => [bookOf($i)]],
    'tag_by_name' => ['SELECT * FROM tags WHERE name = ?', fn($i) => ['tag-' . ($i % 50 + 1)]],
    'book_at' => ['SELECT t0.id AS id_1, t0.title AS title_2 FROM books t0 WHERE t0.author_id = ? AND t0.position = ?', fn($i) => [$i, $i % 4 + 1]],
];

// One worker: a line on its input is a kind, its answer a line of JSON.
function worker($pipe, int $i, string $how, array $sql): void
{
    $db = new PDO('pgsql:host=127.0.0.1;dbname=orms;user=app;port=' . getenv('ORM_PORT'));
    $db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
    $db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $how === 'emulated');
    if ($how === 'disabled') {
        $db->setAttribute(PDO::PGSQL_ATTR_DISABLE_PREPARES, true);
    }
    fwrite($pipe, "ready\n");
    while (($kind = fgets($pipe)) !== false) {
        [$text, $values] = $sql[trim($kind)];
        if ($how === 'transactions') {
            $db->beginTransaction();
        }
        $statement = $db->prepare($text);
        foreach ($values($i) as $at => $value) {
            $statement->bindValue($at + 1, $value, is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
        }
        $statement->execute();
        $rows = $statement->fetchAll(PDO::FETCH_ASSOC);
        unset($statement);
        if ($how === 'transactions') {
            $db->commit();
        }
        fwrite($pipe, json_encode($rows) . "\n");
    }
    exit(0);
}

$workers = [];
for ($i = 1; $i <= $n; $i++) {
    $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    if (pcntl_fork() === 0) {
        foreach ($workers as $w) {
            fclose($w);
        }
        fclose($pair[0]);
        worker($pair[1], $i, $how, $sql);
    }
    fclose($pair[1]);
    $workers[$i] = $pair[0];
}
foreach ($workers as $w) {
    fgets($w);
}
echo json_encode(['ready' => true, 'version' => PHP_VERSION]), "\n";
while (fgets(STDIN) !== false) {
    $start = hrtime(true);
    $page = [];
    foreach (array_keys($sql) as $kind) {
        foreach ($workers as $w) {
            fwrite($w, "$kind\n");
        }
        $page[$kind] = array_map(fn($w) => json_decode(fgets($w)), array_values($workers));
    }
    echo json_encode(['ms' => (hrtime(true) - $start) / 1e6, 'lookups' => $n * count($sql), 'page' => $page]), "\n";
}
