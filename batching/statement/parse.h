// SPDX-License-Identifier: PostgreSQL
//
// What a statement is and may do, read from libpg_query's parse tree. parse*.c are the only files that name
// libpg_query. Parsing runs only when a text is seen for the first time; every caller caches the result.
//
// It is a positive list: a node type, clause or function that the walker does not know leads to a reason,
// never to a lookup.
//
// The text is read as with standard_conforming_strings = on; `setting_dependent` says when that matters.
// Names are as PostgreSQL makes them: in lower case unless quoted.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSE_H
#define PGFOLD_BATCHING_STATEMENT_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/base/reason.h"

enum statement_kind {
    // one plain SELECT without side effects of its own, if its tables, functions and operators are as vetted
    STATEMENT_READ,
    STATEMENT_BEGIN,    // BEGIN, START TRANSACTION; its options are in `settings` (transaction_isolation …)
    STATEMENT_COMMIT,   // COMMIT, END, also AND CHAIN
    STATEMENT_ROLLBACK, // ROLLBACK, ABORT (not TO SAVEPOINT)
    STATEMENT_SAVEPOINT,   // SAVEPOINT, RELEASE
    STATEMENT_ROLLBACK_TO, // ROLLBACK TO
    // SET LOCAL …, SET TRANSACTION …, SELECT set_config('x', 'y', true): they end with the transaction; in
    // `settings`
    STATEMENT_SET_LOCAL,
    // In `settings`: SET x = constants, SET TIME ZONE, SET NAMES, SET SESSION CHARACTERISTICS,
    // SELECT set_config('x', 'y', false) with constants, RESET x. Not settings whose effect ends otherwise:
    // session_authorization, transaction_isolation and the like.
    STATEMENT_SET,
    STATEMENT_RESET_ALL,
    STATEMENT_DISCARD_ALL,
    STATEMENT_DEALLOCATE, // DEALLOCATE name (in `name`) or ALL (`name` NULL)
    // SHOW, LISTEN, UNLISTEN, NOTIFY, empty statement: changes nothing that a later SELECT sees
    STATEMENT_HARMLESS,
    STATEMENT_WRITE, // INSERT, UPDATE, DELETE, MERGE, COPY: data, not definitions
    STATEMENT_LOAD,  // LOAD: what it did cannot be seen or undone
    // anything else: definitions, DO, CALL, cursors (cursor.h), EXPLAIN, PREPARE, several statements …
    STATEMENT_OTHER,
};

struct parsed_setting {
    char *name; // lower case, as PostgreSQL folds it
    // The constants as SQL, strings in quotes, joined with ", ". Behind "raw " when they come from
    // set_config, which reads lists in another way. NULL: RESET or TO DEFAULT.
    char *value;
};

// An argument of set_config(): a constant or a parameter.
struct parsed_argument {
    const char *text; // the constant; of a truth value t or f. NULL: there is none
    bool null;        // it is NULL
    int param;        // n of $n; 0: it is no parameter
    bool exact;       // nothing but casts to text or varchar (is_local: to bool) stands around it
    bool cast;        // the outermost of them is one of these. Else there is none
};

struct parsed_config {
    struct parsed_argument name, value, local;
};

#define PARSED_MAX_CONFIGS 32

struct parsed_relation {
    char *schema; // NULL: not qualified
    char *name;
    char *alias;    // NULL: none; columns are qualified with the alias, or else the name
    bool maybe_cte; // it is also a name of the statement's WITH clauses: in some places it means that
};

struct parsed_column {
    char *qualifier; // NULL: not qualified; "*" columns are not listed
    char *name;      // may be a function in attribute notation: t.f and (t).f can mean f(t)
    bool bare;       // written as its name alone wherever it is; such a name is never a function
};

// A function that is called. A cast to a type that is not the server's own is listed under the type's name,
// because it runs a user's function.
struct parsed_function {
    char *schema; // NULL: not qualified
    char *name;
};

// A key candidate: a parameter whose value may be replaced with a column. Each of its uses is one side of an
// equality, in a WHERE or ON at any level: `x = $n` or `$n = x`, with or without a cast around the parameter,
// `x IN ($n)`, `x = ANY (ARRAY[$n::type])`, `x = ANY ($n)`, or `x = f($n)` with a value computed from it. The
// other fields describe its first use there.
//
// Beside others, and behind them in the list, come candidates that stand in no equality: in the outermost select
// list, in its other comparisons, ORDER BY and LIMIT. Such a value decides the plan, and the plan decides the
// order of rows that no ORDER BY tells apart: so the answer must have one row in any case, or the catalogue must
// say that ORDER BY does (`ordered`).
struct parsed_key {
    int param;        // n of $n
    int relation;     // index into relations; -1: not known
    char *column;     // NULL: the other side is no plain column, or this one is computed
    char *column_sql; // the column, qualified as it was written, every part in double quotes: "t1"."id"
    char *cast;       // type name of an explicit cast around the parameter, canonical ("int4"); NULL: none
    bool plain_right; // exactly `column = $n`: no cast, the parameter at the right
    bool top;         // stands on the top-level AND of the outermost WHERE
    bool range;       // it stands in no equality: of no column
    bool ordered;     // it may be a key only where the columns of parsed->sort tell all rows apart
    bool limits;      // it stands in LIMIT or OFFSET and nowhere else: no column decides its type
    bool nullable;    // IS NOT DISTINCT FROM: NULL is compared, too
    bool array; // `= ANY ($n)`, `= ANY ($n::type[])`: the parameter is an array; `cast`: of its elements
    int uses;   // how often $n occurs in the statement
};

// What a value may do when no row is read, see risk.h: nothing; fail, but a row in the answer shows that it
// did not; fail in any case.
enum risk { RISK_NONE, RISK_EMPTY, RISK_ALWAYS };

// What the server makes of a parameter's value before it reads any row. Only for statements that may be
// lookups.
struct parsed_param {
    enum risk computed; // of something that is computed from the value
    enum risk cast;     // the same, unless the value's type goes well with this one:
    char *cast_name;
    bool cast_array;
};

#define PARSED_MAX_SORT 8

struct parsed {
    enum statement_kind kind;
    // Kind READ: REASON_NONE when the statement may be a lookup, else why not. REASON_LOCKING comes before
    // all others, wherever the locking clause stands, also for kind WRITE. Other kinds: why not, mostly
    // NOT_SELECT.
    enum reason reason;
    bool nothing; // kind HARMLESS: no statement at all, or SHOW
    // holds a string whose end depends on standard_conforming_strings; never with REASON_NONE
    bool setting_dependent;
    int n_params;                // highest n of $n
    struct parsed_param *params; // REASON_NONE: of $n, at n - 1
    struct parsed_setting *settings;
    int n_settings;
    // Kind OTHER: a SELECT that does nothing but call set_config, with parameters. With their values it is SET or SET_LOCAL
    // (bound_config.h).
    struct parsed_config *configs;
    int n_configs;
    char *name; // DEALLOCATE
    // Relations, columns, functions and operators; also for kind WRITE. They include what the grammar makes
    // of a clause: pg_catalog.extract for EXTRACT, "=" for IN and NULLIF, ">=" and "<=" for BETWEEN.
    struct parsed_relation *relations;
    int n_relations;
    struct parsed_column *columns; // every column that is named anywhere, once
    int n_columns;
    struct parsed_function *functions; // every function that is called, once
    int n_functions;
    bool rare_types; // it names a type of the server's that common columns and constants do not have
    // Places that can hide a cast or an operator: types that are named; uses of operators; joined conditions,
    // COALESCE, CASE and the like, whose parts are brought to one type.
    int n_types_named, n_operator_uses;
    bool mixes;
    bool
        foreign_types; // a parameter is declared to be of a type that is not the server's own; shape.c says so
    char **operators;  // every operator's name without its schema, once ("~~" for LIKE)
    int n_operators;
    // Names that the statement itself gives to columns: labels, column aliases, and those that the server
    // invents for target list entries without one ("count", "case", "?column?"). Each once.
    char **labels;
    int n_labels;
    struct parsed_key *keys; // candidates, in order of appearance; at most PARSED_MAX_KEYS
    int n_keys;
    // Columns of its only table that stand in the outermost ORDER BY. Only if a key is `ordered`.
    char *sort[PARSED_MAX_SORT];
    int n_sort;
    // `column = $n` may become `column = ANY ($n)`: one plain table; no subselect, function, WITH, LIMIT,
    // OFFSET, ORDER BY, DISTINCT, grouping, window or set operation
    bool in_form;
    // the outermost select has LIMIT or OFFSET: the planner never flattens it into a query around it
    bool fenced;
    bool asks_session; // it has CURRENT_DATE, CURRENT_USER or the like
    size_t select_at;  // offset just behind the first SELECT keyword (kind READ); 0: there is none
};

#define PARSED_MAX_KEYS 32

// Parses one statement's text (zero-terminated, at most max_len bytes, else TEXT_TOO_LONG and kind OTHER). It
// always returns a result, which the caller owns. What cannot be parsed is STATEMENT_OTHER with
// REASON_UNPARSABLE; out of memory is REASON_MEMORY. Some texts are not handed to the parser: those nested
// deeper than max_depth brackets (CASEs included), and those with longer chains of operators than depth.h
// allows.
struct parsed *parse_statement(const char *text, size_t max_len, int max_depth);
#define PARSE_MAX_WRITE 16384 // bytes of a write that are looked at

#endif
