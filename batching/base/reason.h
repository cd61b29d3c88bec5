// SPDX-License-Identifier: PostgreSQL
//
// The reasons why a statement was forwarded and not folded: one line for each, counted under its name. A new
// reason belongs in three places: here, in docs/reasons.md, and at the one line of code that finds it.
#ifndef PGFOLD_BATCHING_BASE_REASON_H
#define PGFOLD_BATCHING_BASE_REASON_H

//   name                 what a user reads
#define PGFOLD_REASONS(X)                                                                                    \
    X(NONE, "none", "the statement is a lookup")                                                             \
    X(NOT_SELECT, "not_select", "only SELECT statements are folded")                                         \
    X(UNPARSABLE, "unparsable", "the statement could not be parsed")                                         \
    X(MULTI_STATEMENT, "multi_statement", "the string holds several statements")                             \
    X(TEXT_TOO_LONG, "text_too_long", "the text is longer than batching.max_text or nested too deeply")      \
    X(NOT_PARSED, "not_parsed", "new texts took more than batching.parse_budget allows")                     \
    X(NO_TABLE, "no_table", "the SELECT reads no table")                                                     \
    X(NO_KEY, "no_key", "nothing in a WHERE or ON is compared for equality with a value that may vary")      \
    X(LOCKING, "locking", "the SELECT locks rows (FOR UPDATE or FOR SHARE)")                                 \
    X(INTO, "into", "SELECT INTO creates a table")                                                           \
    X(CTE, "cte", "the SELECT has a recursive WITH clause")                                                  \
    X(FUNCTION, "function",                                                                                  \
      "the SELECT calls a function in FROM, one that returns a set, or one of the time or user")             \
    X(CONSTRUCT, "construct", "the SELECT uses a construct that is not on the list of those understood")     \
    X(SYSTEM_SCHEMA, "system_schema", "a table belongs to a system schema")                                  \
    X(PARAMETERS, "parameters", "the parameters do not fit the statement or have no plain form")             \
    X(KEY_VALUE, "key_value", "the key's value is null, out of range or not in plain form")                  \
    X(MAY_FAIL, "may_fail", "something computed from a value may be an error even where no row is read")     \
    X(FRAMING, "framing", "the messages are not one Bind, one Execute and one Sync")                         \
    X(ROW_LIMIT, "row_limit", "Execute limits the number of rows, in a transaction")                         \
    X(UNKNOWN_STATEMENT, "unknown_statement", "the prepared statement is not known")                         \
    X(NOT_DESCRIBED, "not_described", "the prepared statement's result columns were not seen yet")           \
    X(CHANGED_RESULT, "changed_result", "the prepared statement's result columns differ from the batch's")   \
    X(NAME_MOVED, "name_moved", "what its names mean has changed since the statement was prepared")          \
    X(TRANSACTION, "transaction", "the transaction has done, or may have done, more than read")              \
    X(ISOLATION, "isolation", "the transaction is not READ COMMITTED, or not known to be")                   \
    X(BEHIND_FORWARD, "behind_forward", "the session still waits for the answer to a forwarded statement")   \
    X(NOT_VETTED, "not_vetted", "the server's catalogue has not confirmed the shape yet")                    \
    X(VET_REFUSED, "vet_refused", "the server's catalogue does not allow the shape to be folded")            \
    X(SLOWER, "slower", "folding the shape was slower than running its lookups as they come")                \
    X(LARGE_ANSWER, "large_answer", "the answers of two lookups together exceed batching.max_answer")        \
    X(SWITCHED_OFF, "switched_off", "a folded answer of the shape differed from the original's")             \
    X(SKIP, "skip", "a comment in the statement says pgfold:skip")                                           \
    X(TOO_MANY_SHAPES, "too_many_shapes", "no room for another shape or group")                              \
    X(OBSERVE, "observe", "mode is observe")                                                                 \
    X(VERIFY, "verify", "mode is verify: a folded answer differed, the original's was given")                \
    X(POOLER, "pooler", "a pooler in front of the server shares its connections (transaction mode)")         \
    X(POOLER_SEEN, "pooler_seen", "there is a pooler in front of the server")                                \
    X(ENCODING, "encoding", "client_encoding or standard_conforming_strings makes quotes hard to tell")      \
    X(MEMORY, "memory", "a limit on memory is reached, or the system has none")

enum reason {
#define X(name, id, text) REASON_##name,
    PGFOLD_REASONS(X)
#undef X
        REASON_COUNT
};

// The name under which the reason is counted, and its sentence. Both are static.
const char *reason_name(enum reason r);
const char *reason_text(enum reason r);

#endif
