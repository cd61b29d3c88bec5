// SPDX-License-Identifier: PostgreSQL
//
// What a statement is and may do, read from libpg_query's parse tree. parse*.c are the only files that
// name libpg_query. Runs only when a text is seen for the first time; every caller caches the result.
//
// A positive list: a node type, clause or function that the walker does not know leads to a reason, never to
// a lookup.
//
// The text is read as with standard_conforming_strings = on; `setting_dependent` says when that matters.
// Names are those that PostgreSQL makes of the text, folded to lower case unless quoted.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/base/reason.h"

enum statement_kind {
    STATEMENT_READ,     // one plain SELECT without side effects of its own, if its tables, functions and
                        // operators are as vetted
    STATEMENT_BEGIN,    // BEGIN, START TRANSACTION; its options are in `settings` (transaction_isolation …)
    STATEMENT_COMMIT,   // COMMIT, END, also AND CHAIN
    STATEMENT_ROLLBACK, // ROLLBACK, ABORT (not TO SAVEPOINT)
    STATEMENT_SAVEPOINT,   // SAVEPOINT, RELEASE
    STATEMENT_ROLLBACK_TO, // ROLLBACK TO
    STATEMENT_SET_LOCAL, // SET LOCAL …, SET TRANSACTION …, SELECT set_config('x', 'y', true): gone with the
                         // transaction; in `settings`
    STATEMENT_SET,       // settings in `settings`: SET x = constants, SET TIME ZONE, SET NAMES, SET SESSION
    // CHARACTERISTICS, SELECT set_config('x', 'y', false) with constants, RESET x. Not those
    // whose effect ends otherwise: session_authorization, transaction_isolation and its like
    STATEMENT_RESET_ALL,
    STATEMENT_DISCARD_ALL,
    STATEMENT_DEALLOCATE, // DEALLOCATE name (in `name`) or ALL (`name` NULL)
    STATEMENT_HARMLESS,   // SHOW, LISTEN, UNLISTEN, NOTIFY, empty statement: changes nothing a later SELECT
                          // sees
    STATEMENT_WRITE,      // INSERT, UPDATE, DELETE, MERGE, COPY: data, not definitions
    STATEMENT_LOAD,       // LOAD: what it did cannot be seen or undone
    STATEMENT_OTHER, // anything else: definitions, DO, CALL, cursors (cursor.h), EXPLAIN, PREPARE, several
                     // statements …
};

struct parsed_setting {
    char *name;  // lower case, as PostgreSQL folds it
    char *value; // the constants as SQL, strings in quotes, joined with ", ", behind "raw " when from
                 // set_config (it reads lists in another way); NULL: RESET or TO DEFAULT
};

struct parsed_relation {
    char *schema; // NULL when not qualified
    char *name;
    char *alias;    // NULL when none; the name columns are qualified with is alias or name
    bool maybe_cte; // a name of the statement's WITH clauses too: in some places it means that
};

struct parsed_column {
    char *qualifier; // NULL when not qualified; "*" columns are not listed
    char *name;      // may be a function in attribute notation: t.f and (t).f can mean f(t)
    bool bare;       // written as its name alone wherever it is, which is never a function
};

// A cast to a type that is not the server's own is listed under the type's name: it runs a user's function.
struct parsed_function {
    char *schema; // NULL when not qualified
    char *name;
};

// A parameter whose value may be replaced with a column: each of its uses is one side of an equality, in a
// WHERE or ON at any level: `x = $n` or `$n = x`, with or without a cast around the parameter, `x IN ($n)`,
// `x = ANY (ARRAY[$n::type])` or `x = ANY ($n)`, or `x = f($n)`, computed from it. The other fields tell of
// its first use. Where the result has one row in any case, a side of a comparison may be one, too, beside the
// others and behind them in the list.
struct parsed_key {
    int param;        // n of $n
    int relation;     // index into relations, -1 when not known which
    char *column;     // NULL when the other side is no plain column, or this one is computed
    char *column_sql; // the column, qualified as it was written, every part in double quotes: "t1"."id"
    char *cast; // type name of an explicit cast around the parameter, canonical ("int4"), NULL when none
    bool plain_right; // exactly `column = $n`: no cast, the parameter at the right
    bool top;         // stands on the top-level AND of the outermost WHERE
    bool range;       // a side of <, <=, >, >= or <>: of no column
    bool array; // `= ANY ($n)`, `= ANY ($n::type[])`: the parameter is an array; `cast`: of its elements
    int uses;   // how often $n occurs in the statement
};

// What a value may do without a row: see risk.h. EMPTY: a row in the answer shows that it did not.
enum risk { RISK_NONE, RISK_EMPTY, RISK_ALWAYS };

// What is made of a parameter's value before any row is read. Only where the statement may be a lookup.
struct parsed_param {
    enum risk computed; // something that may fail
    enum risk cast;     // the same, unless its type goes well with this one:
    char *cast_name;
    bool cast_array;
};

struct parsed {
    enum statement_kind kind;
    // Kind READ: REASON_NONE when it may be a lookup, else why not; REASON_LOCKING before all others,
    // wherever the locking clause stands. Other kinds: why not, mostly NOT_SELECT.
    enum reason reason;
    bool setting_dependent; // holds a string whose end depends on standard_conforming_strings; never with
                            // REASON_NONE
    int n_params;           // highest n of $n
    struct parsed_param *params; // REASON_NONE: of $n, at n - 1
    struct parsed_setting *settings;
    int n_settings;
    char *name; // DEALLOCATE
    // Relations, columns, functions and operators: also for kind WRITE. What the grammar makes of a clause is
    // among them: pg_catalog.extract of EXTRACT, "=" of IN and of NULLIF, ">=" and "<=" of BETWEEN.
    struct parsed_relation *relations;
    int n_relations;
    struct parsed_column *columns; // every column named anywhere, without repetition
    int n_columns;
    struct parsed_function *functions; // every function called, without repetition
    int n_functions;
    bool
        rare_types; // a type of the server's is named that values of common columns and constants do not have
    // What a cast or an operator could stand behind: types named; operators, each time; conditions joined,
    // COALESCE, CASE and the like, whose parts are made one type.
    int n_types_named, n_operator_uses;
    bool mixes;
    char **operators; // every operator's name without its schema, without repetition ("~~" for LIKE)
    int n_operators;
    // Names that the statement itself gives to columns: labels, column aliases, and those that the server
    // makes up for target list entries without one ("count", "case", "?column?"). Without repetition.
    char **labels;
    int n_labels;
    struct parsed_key *keys; // candidates, in order of appearance; at most PARSED_MAX_KEYS
    int n_keys;
    bool in_form;     // one plain table; no subselect, function, WITH, LIMIT, OFFSET, ORDER BY, DISTINCT,
                      // grouping, window or set operation: `column = $n` may become `column = ANY ($n)`
    bool fenced;      // the outermost select has LIMIT or OFFSET: never flattened into a query around it
    size_t select_at; // offset just behind the first SELECT keyword (kind READ), 0 when there is none
};

#define PARSED_MAX_KEYS 32

// Parses one statement's text (zero-terminated, at most max_len bytes, else reason TEXT_TOO_LONG and kind
// OTHER). Never fails: what cannot be parsed is STATEMENT_OTHER with REASON_UNPARSABLE, out of memory
// REASON_MEMORY. Text nested deeper than max_depth brackets, CASEs included, or with longer chains of
// operators than depth.h says, is not handed to the parser. The result is owned by the caller, never NULL.
struct parsed *parse_statement(const char *text, size_t max_len, int max_depth);
#define PARSE_MAX_WRITE 16384 // bytes of a write that are looked at

#endif
