// SPDX-License-Identifier: PostgreSQL
//
// What the Node programs of the matrix have in common; ../orm_matrix.py says what a page is.
'use strict';
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');

const N = Number(process.env.ORM_N || 60); // rows of a list
const STEP = 20; // rows of a page that begins where the one before ended
const PORT = Number(process.env.ORM_PORT);

function say(what) {
    process.stdout.write(JSON.stringify(what) + '\n');
}

// One after the other, as a loop with `await` in it.
async function each(rows, work) {
    const out = [];
    for (const row of await rows) out.push(await work(row));
    return out;
}

// A page for each line of input, which is its name.
async function serve(pages, library, end) {
    say({ version: JSON.parse(fs.readFileSync(path.join(__dirname, 'node_modules', library, 'package.json'))).version, pages: Object.keys(pages) });
    for await (const line of readline.createInterface({ input: process.stdin })) say({ page: await pages[line.trim()]() });
    await end();
}

module.exports = { N, STEP, PORT, each, serve };
