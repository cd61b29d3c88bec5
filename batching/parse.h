// SPDX-License-Identifier: PostgreSQL
//
// What a statement is and may do, read from libpg_query's parse tree. parse.c is the only file that names
// libpg_query. Runs only when a text is seen for the first time; every caller caches the result.
//
// A positive list: a node type, clause or function that the walker does not know leads to a reason, never to a lookup.
#ifndef PGFOLD_BATCHING_PARSE_H
#define PGFOLD_BATCHING_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/reason.h"

enum statement_kind {
    STATEMENT_READ,        // one plain SELECT without side effects of its own, if its tables, functions and
                           // operators are as vetted
    STATEMENT_BEGIN,       // BEGIN, START TRANSACTION (with any options)
    STATEMENT_COMMIT,      // COMMIT, END, also AND CHAIN
    STATEMENT_ROLLBACK,    // ROLLBACK, ABORT (not TO SAVEPOINT)
    STATEMENT_SAVEPOINT,   // SAVEPOINT, RELEASE
    STATEMENT_ROLLBACK_TO, // ROLLBACK TO
    STATEMENT_SET_LOCAL,   // SET LOCAL …, SET TRANSACTION …: gone with the transaction
    STATEMENT_SET,         // settings in `settings`: SET x = constants, SET TIME ZONE, SET NAMES, SET SESSION
                           // CHARACTERISTICS, SELECT set_config('x', 'y', false) with constants, RESET x
    STATEMENT_RESET_ALL,
    STATEMENT_DISCARD_ALL,
    STATEMENT_DEALLOCATE,  // DEALLOCATE name (in `name`) or ALL (`name` NULL)
    STATEMENT_HARMLESS,    // SHOW, LISTEN, UNLISTEN, NOTIFY, empty statement: changes nothing a later SELECT sees
    STATEMENT_WRITE,       // INSERT, UPDATE, DELETE, MERGE, COPY: data, not definitions
    STATEMENT_LOAD,        // LOAD: what it did cannot be seen or undone
    STATEMENT_OTHER,       // anything else: definitions, DO, CALL, cursors, EXPLAIN, PREPARE, several statements …
};

struct parsed_setting {
    char *name;  // lower case, as PostgreSQL folds it
    char *value; // canonical text of the constants (types and list structure kept apart); NULL: RESET or TO DEFAULT
};

struct parsed_relation {
    char *schema; // NULL when not qualified
    char *name;
    char *alias;  // NULL when none; the name columns are qualified with is alias or name
};

struct parsed_column {
    char *qualifier; // NULL when not qualified; "*" columns are not listed
    char *name;
};

struct parsed_function {
    char *schema; // NULL when not qualified
    char *name;
};

// One equality of a column with a value that may vary: `column = $n` or `$n = column`, with or without a cast around
// the parameter, also `column IN ($n)` and `column = ANY (ARRAY[$n])`, on the top-level AND of WHERE.
struct parsed_key {
    int param;          // n of $n
    int relation;       // index into relations, -1 when not known which
    char *column;
    char *column_sql;   // the column as written, quoted where needed, qualified as it was: "t1"."id"
    char *cast;         // type name of an explicit cast around the parameter, canonical ("int4"), NULL when none
    bool plain_right;   // exactly `column = $n`: no cast, the parameter at the right
    int uses;           // how often $n occurs in the statement
};

struct parsed {
    enum statement_kind kind;
    enum reason reason;      // kind READ: REASON_NONE when it may be a lookup, else why not
    int n_params;            // highest n of $n
    struct parsed_setting *settings;
    int n_settings;
    char *name;              // DEALLOCATE
    struct parsed_relation *relations;
    int n_relations;
    struct parsed_column *columns; // every column named anywhere, without repetition
    int n_columns;
    struct parsed_function *functions; // every function called, without repetition
    int n_functions;
    char **operators;        // every operator's name, without repetition ("=" where a key needs it too; "~~" for LIKE)
    int n_operators;
    struct parsed_key *keys; // candidates, in order of appearance
    int n_keys;
    bool in_form;            // no LIMIT, OFFSET, ORDER BY, DISTINCT, grouping, aggregate, window or set operation at the
                             // top level: `column = $n` may become `column = ANY ($n)`
    size_t select_at;        // offset just behind the first SELECT keyword (kind READ)
};

// Parses one statement's text (zero-terminated, at most max_len bytes, else reason TEXT_TOO_LONG and kind OTHER).
// Never fails: what cannot be parsed is STATEMENT_OTHER with REASON_UNPARSABLE, out of memory REASON_MEMORY.
// Text nested deeper than max_depth brackets is not handed to the parser. The result is owned by the caller.
struct parsed *parse_statement(const char *text, size_t max_len, int max_depth);
void parsed_destroy(struct parsed *p); // takes NULL

#endif
