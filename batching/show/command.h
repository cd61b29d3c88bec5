// SPDX-License-Identifier: PostgreSQL
//
// What is said to the console: one command of a text, as PgBouncer's console understands it, and what drivers
// say by themselves (BEGIN, SET, SELECT 1). Pure: nothing is done here.
//
// What a role may do is decided in one place, command_needs_admin().
#ifndef PGFOLD_BATCHING_SHOW_COMMAND_H
#define PGFOLD_BATCHING_SHOW_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/message.h"

#define COMMAND_WORD 256 // bytes of a name or a value, with its zero

// X(name, word): what SHOW shows
#define CONSOLE_SHOWS(X)                                                                                     \
    X(STATS, "stats")                                                                                        \
    X(STATS_TOTALS, "stats_totals")                                                                          \
    X(STATS_AVERAGES, "stats_averages")                                                                      \
    X(TOTALS, "totals")                                                                                      \
    X(POOLS, "pools")                                                                                        \
    X(DATABASES, "databases")                                                                                \
    X(CLIENTS, "clients")                                                                                    \
    X(SERVERS, "servers")                                                                                    \
    X(USERS, "users")                                                                                        \
    X(LISTS, "lists")                                                                                        \
    X(CONFIG, "config")                                                                                      \
    X(ALL, "all")                                                                                            \
    X(STATE, "state")                                                                                        \
    X(VERSION, "version")                                                                                    \
    X(HELP, "help")                                                                                          \
    X(FOLDING, "folding")                                                                                    \
    X(SHAPES, "shapes")                                                                                      \
    X(REASONS, "reasons")                                                                                    \
    X(AHEAD, "ahead")                                                                                        \
    X(LOOPS, "loops")                                                                                        \
    X(TAGS, "tags")                                                                                          \
    X(EXPECTATIONS, "expectations")

#define X(name, word) SHOW_##name,
enum console_show { CONSOLE_SHOWS(X) CONSOLE_SHOW_COUNT };
#undef X

enum command_kind {
    COMMAND_EMPTY,     // nothing but blanks and comments
    COMMAND_SHOW,      // `show`, `like`
    COMMAND_PARAMETER, // SHOW of one of the server's settings: `key` is its name, `value` what it is here
    COMMAND_VALUE,     // a SELECT of drivers: `key` is the column, `value` a number or a text
    COMMAND_BEGIN,
    COMMAND_COMMIT,
    COMMAND_ROLLBACK,
    COMMAND_EXPLAIN, // `statement`
    COMMAND_NOTHING, // SET, DISCARD and the like of drivers: `tag` says that it is done
    // What follows needs an admin.
    COMMAND_RELOAD,
    COMMAND_SET, // section.key = value: `key`, `value`
    COMMAND_PAUSE,
    COMMAND_RESUME,
    COMMAND_KILL, // `id`
    COMMAND_RESET_STATS,
    COMMAND_SHUTDOWN,
    COMMAND_UNKNOWN, // none of these: `tag` says what would be right
};

struct command {
    enum command_kind kind;
    enum console_show show;
    bool has_like;
    bool is_number;         // VALUE: int4, else text
    uint64_t id;            // KILL
    const char *tag;        // static: CommandComplete's, or the error's text
    struct slice statement; // EXPLAIN: borrowed from the text
    char like[COMMAND_WORD], key[COMMAND_WORD], value[COMMAND_WORD];
};

// Reads the command at the front of a text: up to its semicolon. Returns the bytes it takes; 0: the text is
// empty. `version`: for SELECT version().
size_t command_read(struct slice text, const char *version, struct command *out);

// May only an admin do this? All others may be done by whoever may show something.
bool command_needs_admin(enum command_kind kind);

// The word of what SHOW shows; static.
const char *console_show_word(enum console_show s);

// SQL's LIKE: % any text, _ one character, a backslash takes the next one as it is.
bool like_matches(const char *pattern, const char *text, size_t len);

#endif
