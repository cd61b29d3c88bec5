<?php
// SPDX-License-Identifier: PostgreSQL
//
// PHP's PDO, one connection; page_nested.py says what a page is. Argument: `prepared` (a statement for each lookup),
// `emulated`, or `transactions` (prepared, a transaction for each page).
$levels = json_decode($argv[2], true);
$took = [];
$db = new PDO('pgsql:host=127.0.0.1;dbname=nested;user=app;port=' . getenv('ORM_PORT'));
$db->setAttribute(PDO::ATTR_ERRMODE, PDO::ERRMODE_EXCEPTION);
$db->setAttribute(PDO::ATTR_EMULATE_PREPARES, $argv[1] === 'emulated');

function ask(array $level, $value): array
{
    global $db, $took;
    $start = hrtime(true);
    $statement = $db->prepare(str_replace('%s', '?', $level['sql']));
    $statement->bindValue(1, $value, is_int($value) ? PDO::PARAM_INT : PDO::PARAM_STR);
    $statement->execute();
    $rows = $statement->fetchAll(PDO::FETCH_NUM);
    unset($statement);
    $took[] = (hrtime(true) - $start) / 1e6;
    return $rows;
}

function walk(array $row, int $depth): array
{
    global $levels;
    if ($depth === count($levels)) {
        return $row;
    }
    return [...$row, array_map(fn($r) => walk($r, $depth + 1), ask($levels[$depth], $row[$levels[$depth]['from']]))];
}

echo json_encode(['version' => PHP_VERSION]), "\n";
while (($line = fgets(STDIN)) !== false) {
    $took = [];
    $start = hrtime(true);
    $inside = $argv[1] === 'transactions';
    $inside && $db->beginTransaction();
    $page = array_map(fn($r) => walk($r, 1), ask($levels[0], json_decode($line)));
    $inside && $db->commit();
    echo json_encode(['ms' => (hrtime(true) - $start) / 1e6, 'began' => $start / 1e9, 'took' => $took, 'page' => $page]), "\n";
}
