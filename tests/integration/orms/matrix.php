<?php
// SPDX-License-Identifier: PostgreSQL
//
// What the PHP programs of the matrix have in common; ../orm_matrix.py says what a page is.
define('N', (int) (getenv('ORM_N') ?: 60)); // rows of a list
const STEP = 20; // rows of a page that begins where the one before ended
error_reporting(E_ALL & ~E_DEPRECATED);

// A page for each line of input, which is its name.
function serve(array $pages, string $version): void
{
    echo json_encode(['version' => $version, 'pages' => array_keys($pages)]), "\n";
    while (($line = fgets(STDIN)) !== false) {
        echo json_encode(['page' => $pages[trim($line)]()]), "\n";
    }
}
