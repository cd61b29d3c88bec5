// SPDX-License-Identifier: PostgreSQL
//
// PostgreSQL's lexical structure, one token at a time, and the one pass that takes the constants out of a
// simple-protocol statement. It obeys https://www.postgresql.org/docs/current/sql-syntax-lexical.html and
// src/backend/parser/scan.l with standard_conforming_strings = on. Some texts depend on that setting: those
// with a backslash in a plain '…' string. shape_text_scan refuses them and does not guess.
//
// Some encodings are not safe: in SJIS, BIG5, GBK, GB18030, UHC and JOHAB the second byte of a character can
// be an ASCII byte, for example a backslash. The caller does not scan texts of a session with such a
// client_encoding.
//
// Nothing here allocates except into the buffers that are handed in. The text need not end with a zero.
#ifndef PGFOLD_BATCHING_STATEMENT_LEXER_H
#define PGFOLD_BATCHING_STATEMENT_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"

enum token_type {
    TOKEN_END,    // no more input
    TOKEN_ERROR,  // unterminated string, identifier or comment, or a byte that starts no token
    TOKEN_IDENT,  // unquoted identifier or keyword
    TOKEN_QUOTED, // "quoted identifier" or U&"…"
    TOKEN_STRING, // plain '…' string ('' inside allowed, no continuation over a newline)
    // E'…', B'…', X'…', N'…', U&'…', $tag$…$tag$, a plain string that holds a backslash, or one that goes on
    // behind a newline ('a'<newline>'b', one token from the first quote to the last)
    TOKEN_STRING_OTHER,
    TOKEN_INTEGER, // 123
    TOKEN_NUMBER,  // 1.5, 1e5, .5
    TOKEN_PARAM,   // $1
    // + - = <> :: and so on, by PostgreSQL's longest-match rules; "::", ":=" and ".." are operators here
    TOKEN_OPERATOR,
    TOKEN_COMMA,
    TOKEN_SEMICOLON,
    TOKEN_DOT,
    TOKEN_OPEN,  // ( or [
    TOKEN_CLOSE, // ) or ]
    TOKEN_COLON,
};

struct token {
    enum token_type type;
    size_t at;  // offset of its first byte in the text
    size_t len; // in bytes
};

struct lexer {
    const char *text; // borrowed
    size_t len;
    size_t at; // where the next token is looked for
};

// The next token. White space and comments (nested /* */ too) are skipped. After TOKEN_ERROR the lexer is
// done.
struct token lexer_next(struct lexer *lx);

// Tells whether the token is this keyword (given in lower case), unquoted, in any case.
bool token_is(const char *text, struct token t, const char *keyword);

// The first word of a statement, behind comments and opening brackets: TOKEN_IDENT, or another token when
// there is no word.
struct token lexer_first_word(const char *text, size_t len);

// Tells whether the end of a string depends on standard_conforming_strings: '…' or N'…' with a backslash in
// it.
bool lexer_setting_dependent(const char *text, struct token t);

// Tells whether a comment of the text, of either kind, holds pgfold:skip between blanks or the comment's own
// signs.
bool lexer_says_skip(const char *text, size_t len);

// ---- shape of a simple-protocol text

#define SHAPE_MAX_VALUES 32

struct shape_value {
    enum token_type type; // TOKEN_INTEGER, TOKEN_NUMBER or TOKEN_STRING
    // The constant in the original text, with its quotes. A minus sign directly before a number is part of
    // it.
    size_t at, len;
};

struct shape_text {
    size_t statement_len; // bytes of the text up to the trailing semicolon, blanks and comments
    int n_values;
    struct shape_value values[SHAPE_MAX_VALUES];
};

enum shape_scan {
    SHAPE_OK,
    // lexical error, a $n parameter (not allowed in a Query message), or a setting-dependent string
    SHAPE_ERROR,
    SHAPE_MULTI,    // something other than comments follows a semicolon
    SHAPE_TOO_MANY, // more than SHAPE_MAX_VALUES constants, or the buffer's limit was passed
};

// Makes one pass over a statement's text and writes the shape's text to `out` (reset first, not
// zero-terminated). Comments are dropped, runs of white space become one blank, a trailing semicolon is
// dropped. Every constant that stands where a value may vary becomes $1, $2, … in order of appearance. A
// constant is taken out when
//
//   - the token before it is a comparison operator (= <> != < > <= >=), with or without a minus between, or
//   - a comparison operator follows and the token before it is a keyword WHERE, AND, OR, NOT, ON, SELECT,
//     HAVING or "("; between may be casts ('…'::uuid = a), and the ends of such brackets, or
//   - it is an element of IN (…), = ANY (…) or = ANY (ARRAY[…]), or of brackets where such an element or the
//     right side of a comparison may stand, and which are no subselect, or
//   - it stands in a select list, perhaps cast, with AS behind it, or
//   - it is all that a subselect behind IN or ANY selects: IN (SELECT 5), or
//   - it follows BETWEEN, its AND, or DISTINCT FROM, or
//   - it follows LIMIT, OFFSET or CAST (, or LOWER ( or UPPER ( behind a comparison operator.
//
// Only statements that start with SELECT, WITH, INSERT, UPDATE, DELETE, VALUES or TABLE have constants taken
// out. Others, such as SET, need a constant where these take a parameter. All other constants stay in the
// text as they are: in a select list, typed literals such as DATE '…', type modifiers, function arguments, -5
// before a cast. Hint comments (/*+ … */) and comments that contain "pgfold:" stay wherever they are, so they
// make another shape. A $n gets a blank beside it where it would touch a letter or digit.
//
// The text may be more specific than necessary, but never less: with its values put back it has the tokens of
// the original. An empty statement gives an empty text. When the result is not SHAPE_OK, `out` and `st` hold
// nothing of use.
enum shape_scan shape_text_scan(const char *text, size_t len, struct buf *out, struct shape_text *st);

// The same pass for a statement with too many constants, whose values nobody wants back. Each becomes $1, and
// those that follow one another in a list become one. So lists of any length make one text.
enum shape_scan shape_text_join(const char *text, size_t len, struct buf *out);

#endif
