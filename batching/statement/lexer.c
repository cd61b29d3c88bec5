// SPDX-License-Identifier: PostgreSQL
//
// The lexer is a table of byte classes and one function for each kind of token. The pass that makes a
// statement's shape follows below it.
//
// PostgreSQL's releases differ: 0x1F, 1_000 and $1abc are numbers, tokens or errors. Here such a token is an
// error, so the text is forwarded, which is right on every server.
//
// The shape pass copies the text in runs: the bytes that stay are put out when something between them has to
// go. A constant is decided on when the token behind it is known.
#include "batching/statement/lexer.h"

#include <string.h>

enum {
    OPERATOR_MAX = 63, // PostgreSQL refuses longer ones (NAMEDATALEN)
};

// What a token may start with, and what it may continue with.
enum byte_class {
    B_NONE,
    B_SPACE,
    B_LETTER,
    B_DIGIT,
    B_QUOTE,
    B_DQUOTE,
    B_DOLLAR,
    B_OPERATOR,
    B_SINGLE,
    B_DOT,
    B_COLON
};

#define LETTERS16                                                                                            \
    B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER,      \
        B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER, B_LETTER

static const uint8_t byte_class[256] = {
    ['\t'] = B_SPACE,   ['\n'] = B_SPACE,   ['\f'] = B_SPACE,   ['\r'] = B_SPACE,   [' '] = B_SPACE,
    ['!'] = B_OPERATOR, ['"'] = B_DQUOTE,   ['#'] = B_OPERATOR, ['$'] = B_DOLLAR,   ['%'] = B_OPERATOR,
    ['&'] = B_OPERATOR, ['\''] = B_QUOTE,   ['('] = B_SINGLE,   [')'] = B_SINGLE,   ['*'] = B_OPERATOR,
    ['+'] = B_OPERATOR, [','] = B_SINGLE,   ['-'] = B_OPERATOR, ['.'] = B_DOT,      ['/'] = B_OPERATOR,
    ['0'] = B_DIGIT,    ['1'] = B_DIGIT,    ['2'] = B_DIGIT,    ['3'] = B_DIGIT,    ['4'] = B_DIGIT,
    ['5'] = B_DIGIT,    ['6'] = B_DIGIT,    ['7'] = B_DIGIT,    ['8'] = B_DIGIT,    ['9'] = B_DIGIT,
    [':'] = B_COLON,    [';'] = B_SINGLE,   ['<'] = B_OPERATOR, ['='] = B_OPERATOR, ['>'] = B_OPERATOR,
    ['?'] = B_OPERATOR, ['@'] = B_OPERATOR, ['['] = B_SINGLE,   [']'] = B_SINGLE,   ['^'] = B_OPERATOR,
    ['_'] = B_LETTER,   ['`'] = B_OPERATOR, ['|'] = B_OPERATOR, ['~'] = B_OPERATOR, ['A'] = LETTERS16,
    ['Q'] = B_LETTER,   ['R'] = B_LETTER,   ['S'] = B_LETTER,   ['T'] = B_LETTER,   ['U'] = B_LETTER,
    ['V'] = B_LETTER,   ['W'] = B_LETTER,   ['X'] = B_LETTER,   ['Y'] = B_LETTER,   ['Z'] = B_LETTER,
    ['a'] = LETTERS16,  ['q'] = B_LETTER,   ['r'] = B_LETTER,   ['s'] = B_LETTER,   ['t'] = B_LETTER,
    ['u'] = B_LETTER,   ['v'] = B_LETTER,   ['w'] = B_LETTER,   ['x'] = B_LETTER,   ['y'] = B_LETTER,
    ['z'] = B_LETTER,   [128] = LETTERS16,  [144] = LETTERS16,  [160] = LETTERS16,  [176] = LETTERS16,
    [192] = LETTERS16,  [208] = LETTERS16,  [224] = LETTERS16,  [240] = LETTERS16,
};

static inline uint8_t class_at(const struct lexer *lx, size_t at) {
    return at < lx->len ? byte_class[(uint8_t)lx->text[at]] : (uint8_t)B_NONE;
}

static inline char byte_at(const struct lexer *lx, size_t at) {
    return at < lx->len ? lx->text[at] : '\0';
}

// Letters, digits and $ continue an identifier.
static inline bool is_word_class(uint8_t class) {
    return class == B_LETTER || class == B_DIGIT || class == B_DOLLAR;
}

// ---- white space and comments

static size_t skip_line_comment(const struct lexer *lx, size_t at) {
    while (at < lx->len && lx->text[at] != '\n' && lx->text[at] != '\r')
        at++;
    return at;
}

// The offset behind a /* comment */, nested ones included. 0: it has no end.
static size_t skip_block_comment(const struct lexer *lx, size_t at) {
    size_t depth = 1;
    for (at += 2; at + 1 < lx->len;) {
        if (lx->text[at] == '*' && lx->text[at + 1] == '/') {
            at += 2;
            if (--depth == 0)
                return at;
        } else if (lx->text[at] == '/' && lx->text[at + 1] == '*') {
            at += 2;
            depth++;
        } else {
            at++;
        }
    }
    return 0;
}

static bool at_line_comment(const struct lexer *lx, size_t at) {
    return byte_at(lx, at) == '-' && byte_at(lx, at + 1) == '-';
}

static bool at_block_comment(const struct lexer *lx, size_t at) {
    return byte_at(lx, at) == '/' && byte_at(lx, at + 1) == '*';
}

static size_t skip_space(const struct lexer *lx, size_t at) {
    while (class_at(lx, at) == B_SPACE)
        at++;
    return at;
}

// Moves *at to the next byte that belongs to a token. Returns false when a comment has no end.
static bool skip_blank(const struct lexer *lx, size_t *at) {
    for (;;) {
        *at = skip_space(lx, *at);
        if (at_line_comment(lx, *at)) {
            *at = skip_line_comment(lx, *at);
        } else if (at_block_comment(lx, *at)) {
            *at = skip_block_comment(lx, *at);
            if (!*at)
                return false;
        } else {
            return true;
        }
    }
}

// ---- one function for each kind of token: it returns the offset behind the token, 0 for an error

static size_t scan_word(const struct lexer *lx, size_t at) {
    while (is_word_class(class_at(lx, at)))
        at++;
    return at;
}

static size_t scan_digits(const struct lexer *lx, size_t at) {
    while (class_at(lx, at) == B_DIGIT)
        at++;
    return at;
}

// Scans 12, 1.5, .5, 1., 1e5. "1..2" is 1, two dots, 2. Letters directly behind are an error, as in
// PostgreSQL 15 and later.
static size_t scan_number(const struct lexer *lx, size_t at, enum token_type *type) {
    size_t end = scan_digits(lx, at);
    *type = TOKEN_INTEGER;
    if (byte_at(lx, end) == '.' && !(end > at && byte_at(lx, end + 1) == '.')) {
        *type = TOKEN_NUMBER;
        end = scan_digits(lx, end + 1);
    }
    if ((byte_at(lx, end) | 0x20) == 'e') {
        size_t digits = end + 1;
        if (byte_at(lx, digits) == '+' || byte_at(lx, digits) == '-')
            digits++;
        if (class_at(lx, digits) != B_DIGIT)
            return 0;
        *type = TOKEN_NUMBER;
        end = scan_digits(lx, digits);
    }
    return class_at(lx, end) == B_LETTER ? 0 : end;
}

// The run of operator bytes from `at`, up to a comment.
static size_t operator_run(const struct lexer *lx, size_t at) {
    size_t end = at;
    while (class_at(lx, end) == B_OPERATOR && !at_line_comment(lx, end) && !at_block_comment(lx, end))
        end++;
    return end;
}

// An operator of several bytes may end in + or - only if it holds one of these.
static bool may_end_in_sign(const char *s, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (memchr("~!@#^&|`?%", s[i], 10))
            return true;
    return false;
}

static size_t scan_operator(const struct lexer *lx, size_t at) {
    size_t end = operator_run(lx, at);
    while (end > at + 1 && (lx->text[end - 1] == '+' || lx->text[end - 1] == '-') &&
           !may_end_in_sign(lx->text + at, end - 1 - at))
        end--;
    return end - at > OPERATOR_MAX ? 0 : end;
}

// Returns the offset behind the closing quote of what opened at `at`; *backslash: one was inside.
static size_t scan_quoted(const struct lexer *lx, size_t at, char quote, bool *backslash) {
    for (at++; at < lx->len; at++) {
        if (lx->text[at] == '\\') {
            *backslash = true;
        } else if (lx->text[at] == quote) {
            if (byte_at(lx, at + 1) != quote)
                return at + 1;
            at++;
        }
    }
    return 0;
}

static size_t scan_escape_string(const struct lexer *lx, size_t at) {
    for (at++; at < lx->len; at++) {
        if (lx->text[at] == '\\') {
            at++;
        } else if (lx->text[at] == '\'') {
            if (byte_at(lx, at + 1) != '\'')
                return at + 1;
            at++;
        }
    }
    return 0;
}

// "'a'<newline>'b'" is one constant: between the quotes there is white space with a newline in it, --
// comments included. Returns the offset of the second opening quote; 0: the string ends here.
static size_t find_continuation(const struct lexer *lx, size_t at) {
    bool newline = false;
    for (;; at++) {
        if (at_line_comment(lx, at))
            at = skip_line_comment(lx, at);
        if (class_at(lx, at) != B_SPACE)
            return newline && byte_at(lx, at) == '\'' ? at : 0;
        newline |= lx->text[at] == '\n' || lx->text[at] == '\r';
    }
}

// B'0' and X'F' know neither escapes nor doubled quotes.
static size_t scan_bits(const struct lexer *lx, size_t at) {
    const char *end = at + 1 < lx->len ? memchr(lx->text + at + 1, '\'', lx->len - at - 1) : NULL;
    return end ? (size_t)(end - lx->text) + 1 : 0;
}

enum string_style { STRING_PLAIN, STRING_ESCAPE, STRING_BITS, STRING_OTHER };

// Scans a string whose opening quote stands at `at`, with its continuations.
static size_t scan_string(const struct lexer *lx, size_t at, enum string_style style, enum token_type *type) {
    bool backslash = false, continued = false;
    for (;;) {
        size_t end = style == STRING_ESCAPE ? scan_escape_string(lx, at)
                     : style == STRING_BITS ? scan_bits(lx, at)
                                            : scan_quoted(lx, at, '\'', &backslash);
        if (!end)
            return 0;
        at = find_continuation(lx, end);
        if (!at) {
            *type = style == STRING_PLAIN && !backslash && !continued ? TOKEN_STRING : TOKEN_STRING_OTHER;
            return end;
        }
        continued = true;
    }
}

static size_t scan_quoted_identifier(const struct lexer *lx, size_t at) {
    bool backslash = false;
    size_t end = scan_quoted(lx, at, '"', &backslash);
    return end == at + 2 ? 0 : end; // "" names nothing
}

// Scans what starts with a letter: an identifier, or a string or quoted identifier with a prefix.
static size_t scan_letter(const struct lexer *lx, size_t at, enum token_type *type) {
    char first = (char)(lx->text[at] | 0x20), next = byte_at(lx, at + 1);
    if (next == '\'') {
        if (first == 'e')
            return scan_string(lx, at + 1, STRING_ESCAPE, type);
        if (first == 'b' || first == 'x')
            return scan_string(lx, at + 1, STRING_BITS, type);
        if (first == 'n')
            return scan_string(lx, at + 1, STRING_OTHER, type);
    } else if (next == '&' && first == 'u' && byte_at(lx, at + 2) == '\'') {
        return scan_string(lx, at + 2, STRING_OTHER, type);
    } else if (next == '&' && first == 'u' && byte_at(lx, at + 2) == '"') {
        *type = TOKEN_QUOTED;
        return scan_quoted_identifier(lx, at + 2);
    }
    *type = TOKEN_IDENT;
    return scan_word(lx, at + 1);
}

// Scans $tag$ … $tag$; its opening tag ends before `body`.
static size_t scan_dollar_quote(const struct lexer *lx, size_t at, size_t body) {
    const char *end = memmem(lx->text + body, lx->len - body, lx->text + at, body - at);
    return end ? (size_t)(end - lx->text) + (body - at) : 0;
}

static size_t scan_dollar(const struct lexer *lx, size_t at, enum token_type *type) {
    size_t end = at + 1;
    if (class_at(lx, end) == B_DIGIT) {
        *type = TOKEN_PARAM;
        end = scan_digits(lx, end);
        return class_at(lx, end) == B_LETTER ? 0 : end;
    }
    *type = TOKEN_STRING_OTHER;
    while (class_at(lx, end) == B_LETTER || class_at(lx, end) == B_DIGIT)
        end++;
    return byte_at(lx, end) == '$' ? scan_dollar_quote(lx, at, end + 1) : 0;
}

static size_t scan_colon(const struct lexer *lx, size_t at, enum token_type *type) {
    char next = byte_at(lx, at + 1);
    bool pair = next == ':' || next == '=';
    *type = pair ? TOKEN_OPERATOR : TOKEN_COLON;
    return at + (pair ? 2 : 1);
}

static size_t scan_dot(const struct lexer *lx, size_t at, enum token_type *type) {
    if (class_at(lx, at + 1) == B_DIGIT)
        return scan_number(lx, at, type);
    bool pair = byte_at(lx, at + 1) == '.';
    *type = pair ? TOKEN_OPERATOR : TOKEN_DOT;
    return at + (pair ? 2 : 1);
}

static enum token_type single_type(char c) {
    switch (c) {
    case ',':
        return TOKEN_COMMA;
    case ';':
        return TOKEN_SEMICOLON;
    case '(':
    case '[':
        return TOKEN_OPEN;
    default:
        return TOKEN_CLOSE;
    }
}

static size_t scan_token(const struct lexer *lx, size_t at, enum token_type *type) {
    switch ((enum byte_class)class_at(lx, at)) {
    case B_LETTER:
        return scan_letter(lx, at, type);
    case B_DQUOTE:
        *type = TOKEN_QUOTED;
        return scan_quoted_identifier(lx, at);
    case B_DOT:
        return scan_dot(lx, at, type);
    case B_SINGLE:
        *type = single_type(lx->text[at]);
        return at + 1;
    case B_OPERATOR:
        *type = TOKEN_OPERATOR;
        return scan_operator(lx, at);
    case B_DIGIT:
        return scan_number(lx, at, type);
    case B_QUOTE:
        return scan_string(lx, at, STRING_PLAIN, type);
    case B_DOLLAR:
        return scan_dollar(lx, at, type);
    case B_COLON:
        return scan_colon(lx, at, type);
    case B_SPACE:
    case B_NONE:
        break;
    }
    return 0;
}

static struct token lexer_fail(struct lexer *lx, size_t at) {
    struct token t = {TOKEN_ERROR, at, lx->len - at};
    lx->at = lx->len;
    return t;
}

// The token that starts at `at`; blanks were skipped.
static inline struct token token_at(struct lexer *lx, size_t at) {
    if (at >= lx->len) {
        lx->at = lx->len;
        return (struct token){TOKEN_END, lx->len, 0};
    }
    enum token_type type = TOKEN_ERROR;
    size_t end = scan_token(lx, at, &type);
    if (!end)
        return lexer_fail(lx, at);
    lx->at = end;
    return (struct token){type, at, end - at};
}

struct token lexer_next(struct lexer *lx) {
    size_t at = lx->at;
    if (!skip_blank(lx, &at))
        return lexer_fail(lx, lx->at);
    return token_at(lx, at);
}

// `word` holds lower-case letters only, so setting a byte's case bit cannot make another byte equal to it.
static inline bool word_is(const char *s, const char *word, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((s[i] | 0x20) != word[i] || !(s[i] & 0x40))
            return false;
    }
    return true;
}

bool token_is(const char *text, struct token t, const char *keyword) {
    size_t len = strlen(keyword);
    return t.type == TOKEN_IDENT && t.len == len && word_is(text + t.at, keyword, len);
}

struct token lexer_first_word(const char *text, size_t len) {
    struct lexer lx = {text, len, 0};
    struct token t;
    do {
        t = lexer_next(&lx);
    } while (t.type == TOKEN_OPEN);
    return t;
}

bool lexer_setting_dependent(const char *text, struct token t) {
    if (t.type != TOKEN_STRING_OTHER)
        return false;
    const char *s = text + t.at;
    return (*s == '\'' || *s == 'n' || *s == 'N') && memchr(s, '\\', t.len);
}

// ---- shape of a simple-protocol text

enum word {
    WORD_OTHER,
    WORD_LEFT, // a constant behind it may be the left side of a comparison
    WORD_IN,
    WORD_ANY,
    WORD_ARRAY,
    WORD_CAST,
    WORD_LOWER, // LOWER, UPPER
    WORD_LIMIT, // LIMIT, OFFSET
    WORD_BETWEEN,
    WORD_DISTINCT,
    WORD_FROM,
    WORD_QUERY, // SELECT, WITH, VALUES, TABLE
};

// What the next constant is to the shape.
enum place {
    PLACE_STAYS,
    PLACE_TAKEN, // it varies
    PLACE_LEFT,  // it varies if a comparison follows,
    PLACE_LABEL, // if a label follows,
    PLACE_FIRST, // if either follows
    PLACE_SOLE,  // the same, or if it is all that is selected
};

// The last thing that was seen of the left side of a comparison, which begins with a constant.
enum operand {
    OPERAND_CONSTANT,
    OPERAND_COLONS,
    OPERAND_TYPE,
    OPERAND_DOT,
    OPERAND_MODIFIER,
    OPERAND_CLOSED
};

struct shaper {
    const char *text;
    struct buf *out;
    struct shape_text *st;
    size_t copied;  // the text before this offset is in `out`, or left out for good
    bool takes;     // this kind of statement has its constants taken out
    bool started;   // a token other than an opening bracket was seen
    bool ended;     // a semicolon was seen
    bool compared;  // the last token is "="
    bool member;    // the last token is the bracket behind IN or ANY
    bool between;   // BETWEEN was seen, and its AND is to come
    bool joined;    // shape_text_join: every constant is $1, and many in a list are one
    enum word word; // the last token's
    enum place place;
    bool dotted;       // the last token is a dot, so the next is no keyword
    bool after_sign;   // the last token is a minus sign that belongs to the place
    uint64_t lists;    // a bit for each open bracket, the innermost lowest: its elements vary
    uint64_t selects;  // the same: it is in a select list
    unsigned opens;    // brackets that were opened last, where the left side of a comparison may stand
    struct token held; // a constant not yet decided on; TOKEN_END: none
    enum place held_place;
    enum operand held_operand; // what was seen of it: it may be in brackets, and be cast
    unsigned held_opens;       // brackets around it that are still open
    bool held_copied;          // it is in `out`, at held_out
    size_t held_out;
};

static enum word word_of(const char *s, size_t len) {
#define IS(w) (len == sizeof(w) - 1 && word_is(s, w, sizeof(w) - 1))
    switch (s[0] | 0x20) {
    case 'a':
        return IS("and") ? WORD_LEFT : IS("any") ? WORD_ANY : IS("array") ? WORD_ARRAY : WORD_OTHER;
    case 'b':
        return IS("between") ? WORD_BETWEEN : WORD_OTHER;
    case 'c':
        return IS("cast") ? WORD_CAST : WORD_OTHER;
    case 'd':
        return IS("distinct") ? WORD_DISTINCT : WORD_OTHER;
    case 'f':
        return IS("from") ? WORD_FROM : WORD_OTHER;
    case 'h':
        return IS("having") ? WORD_LEFT : WORD_OTHER;
    case 'i':
        return IS("in") ? WORD_IN : WORD_OTHER;
    case 'l':
        return IS("limit") ? WORD_LIMIT : IS("lower") ? WORD_LOWER : WORD_OTHER;
    case 'n':
        return IS("not") ? WORD_LEFT : WORD_OTHER;
    case 'o':
        return IS("on") || IS("or") ? WORD_LEFT : IS("offset") ? WORD_LIMIT : WORD_OTHER;
    case 's':
        return IS("select") ? WORD_QUERY : WORD_OTHER;
    case 't':
        return IS("table") ? WORD_QUERY : WORD_OTHER;
    case 'u':
        return IS("upper") ? WORD_LOWER : WORD_OTHER;
    case 'v':
        return IS("values") ? WORD_QUERY : WORD_OTHER;
    case 'w':
        return IS("where") ? WORD_LEFT : IS("with") ? WORD_QUERY : WORD_OTHER;
    default:
        return WORD_OTHER;
    }
#undef IS
}

static bool is_comparison(const char *s, size_t len) {
    if (len == 1)
        return *s == '=' || *s == '<' || *s == '>';
    return len == 2 &&
           (!memcmp(s, "<>", 2) || !memcmp(s, "!=", 2) || !memcmp(s, "<=", 2) || !memcmp(s, ">=", 2));
}

// Only statements whose grammar takes a parameter at each of the places have constants taken out.
static bool statement_takes(const char *text, struct token t) {
    static const char *const words[] = {"select", "with", "update", "delete", "insert", "values", "table"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (token_is(text, t, words[i]))
            return true;
    return false;
}

static void copy_up_to(struct shaper *s, size_t at) {
    if (at > s->copied)
        buf_put(s->out, s->text + s->copied, at - s->copied);
    s->copied = at;
}

static size_t without_blanks(const struct buf *b, size_t len) {
    while (len && b->data[len - 1] == ' ')
        len--;
    return len;
}

// Tells whether $1 and a comma were written last: the list goes on as it began. Takes the comma back.
static bool joins_list(struct shaper *s) {
    const uint8_t *data = s->out->data;
    size_t len = without_blanks(s->out, s->out->len);
    if (!(s->lists & 1) || !len || data[len - 1] != ',')
        return false;
    len = without_blanks(s->out, len - 1);
    if (len < 2 || memcmp(data + len - 2, "$1", 2) != 0)
        return false;
    s->out->len = len;
    return true;
}

// Spells $n for a constant that stands at this place of `out`, and makes it a value. A blank separates it from
// letters, digits and $, which would become part of it. Returns its length.
static size_t spell_parameter(struct shaper *s, struct token t, size_t out_at, char sign[8]) {
    int n = s->joined ? 1 : ++s->st->n_values;
    if (!s->joined)
        s->st->values[n - 1] = (struct shape_value){t.type, t.at, t.len};
    size_t len = 0;
    if (out_at && is_word_class(byte_class[s->out->data[out_at - 1]]))
        sign[len++] = ' ';
    sign[len++] = '$';
    if (n > 9)
        sign[len++] = (char)('0' + n / 10);
    sign[len++] = (char)('0' + n % 10);
    return len;
}

// Writes $n for a constant.
static void take_constant(struct shaper *s, struct token t) {
    char sign[8];
    copy_up_to(s, t.at);
    s->copied = t.at + t.len;
    if (!s->joined || !joins_list(s))
        buf_put(s->out, sign, spell_parameter(s, t, s->out->len, sign));
}

// Writes $n in place of a constant that was copied to `out`.
static void replace_constant(struct shaper *s, struct token t) {
    char sign[8];
    size_t at = s->held_out, len = spell_parameter(s, t, at, sign), end = s->out->len;
    if (len > t.len)
        buf_put(s->out, sign, len - t.len); // room
    if (s->out->failed)
        return;
    memmove(s->out->data + at + len, s->out->data + at + t.len, end - at - t.len);
    memcpy(s->out->data + at, sign, len);
    s->out->len = end - t.len + len;
}

static bool is_cast(const struct shaper *s, struct token t) {
    return t.type == TOKEN_OPERATOR && t.len == 2 && s->text[t.at] == ':' && s->text[t.at + 1] == ':';
}

// What is behind the held constant is to be copied before it is decided on.
static void copy_held(struct shaper *s) {
    if (s->held_copied)
        return;
    copy_up_to(s, s->held.at);
    s->held_out = s->out->len;
    s->held_copied = true;
}

// The words that may follow the first one in the name of a type: double precision, timestamp with time zone.
static bool continues_type(const struct shaper *s, struct token t) {
    static const char *const words[] = {"precision", "varying", "with", "without", "time", "zone"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (token_is(s->text, t, words[i]))
            return true;
    return false;
}

// Moves over a token behind the name of a type. Returns false if it is no part of it.
static bool type_goes_on(struct shaper *s, struct token t) {
    if (t.type == TOKEN_DOT)
        s->held_operand = OPERAND_DOT;
    else if (t.type == TOKEN_OPEN)
        s->held_operand = OPERAND_MODIFIER; // (10,2), or [] of an array
    else
        return continues_type(s, t);
    return true;
}

// Moves over a token that belongs to the left side of a comparison, behind a held constant: ::uuid, or a closing
// bracket. Returns false if it does not. A cast binds closer than a sign.
static bool operand_goes_on(struct shaper *s, struct token t) {
    bool is_name = t.type == TOKEN_IDENT || t.type == TOKEN_QUOTED;
    switch (s->held_operand) {
    case OPERAND_COLONS:
    case OPERAND_DOT:
        s->held_operand = OPERAND_TYPE;
        return is_name;
    case OPERAND_MODIFIER:
        if (t.type == TOKEN_CLOSE)
            s->held_operand = OPERAND_TYPE;
        return t.type == TOKEN_CLOSE || t.type == TOKEN_INTEGER || t.type == TOKEN_COMMA;
    case OPERAND_TYPE:
        if (type_goes_on(s, t))
            return true;
        break;
    case OPERAND_CONSTANT:
        if (s->text[s->held.at] == '-' && t.type != TOKEN_CLOSE)
            return false;
        break;
    case OPERAND_CLOSED:
        break;
    }
    bool closes = t.type == TOKEN_CLOSE && s->held_opens;
    s->held_opens -= closes;
    s->held_operand = closes ? OPERAND_CLOSED : OPERAND_COLONS;
    return closes || is_cast(s, t);
}

// Is this what must follow the held constant, so that it varies?
static bool follows(const struct shaper *s, struct token next) {
    bool label = s->held_place != PLACE_LEFT && token_is(s->text, next, "as");
    bool comparison = s->held_place != PLACE_LABEL && next.type == TOKEN_OPERATOR &&
                      is_comparison(s->text + next.at, next.len);
    return label || comparison || (s->held_place == PLACE_SOLE && next.type == TOKEN_CLOSE);
}

// A constant was seen, and now a token behind it. A cast binds closer than a sign, so -5::int8 stays.
static bool decide_held(struct shaper *s, struct token next) {
    struct token held = s->held;
    const char *bytes = s->text + next.at;
    if (s->held_place != PLACE_TAKEN && operand_goes_on(s, next))
        return true;
    s->held.type = TOKEN_END;
    if (s->held_place != PLACE_TAKEN && !follows(s, next))
        return true;
    bool tight = is_cast(s, next) || next.type == TOKEN_DOT || (next.type == TOKEN_OPEN && *bytes == '[');
    if (tight && s->text[held.at] == '-')
        return true;
    if (!s->joined && s->st->n_values == SHAPE_MAX_VALUES)
        return false;
    if (s->held_copied) {
        replace_constant(s, held);
        return true;
    }
    take_constant(s, held);
    if (next.at == s->copied && next.len && is_word_class(byte_class[(uint8_t)*bytes]))
        buf_put(s->out, " ", 1);
    return true;
}

#define SKIP_WORD "pgfold:skip"

// Blanks, and the signs that begin a comment or a hint, or end one.
static bool is_before_word(char c) {
    return byte_class[(uint8_t)c] == B_SPACE || c == '*' || c == '-' || c == '+';
}

static bool is_after_word(char c) {
    return byte_class[(uint8_t)c] == B_SPACE || c == '*';
}

static bool comment_says_skip(const char *comment, size_t len) {
    const size_t word = strlen(SKIP_WORD);
    const char *end = comment + len, *at = comment;
    while ((at = memmem(at, (size_t)(end - at), SKIP_WORD, word))) {
        if (is_before_word(at[-1]) && (at + word == end || is_after_word(at[word])))
            return true;
        at += word;
    }
    return false;
}

static bool gap_says_skip(const struct lexer *lx, size_t from, size_t to) {
    for (size_t at = skip_space(lx, from); at < to; at = skip_space(lx, at)) {
        size_t end = at_line_comment(lx, at) ? skip_line_comment(lx, at) : skip_block_comment(lx, at);
        if (comment_says_skip(lx->text + at, end - at))
            return true;
        at = end;
    }
    return false;
}

bool lexer_says_skip(const char *text, size_t len) {
    struct lexer lx = {text, len, 0};
    if (!memmem(text, len, SKIP_WORD, strlen(SKIP_WORD)))
        return false; // the common case
    for (;;) {
        size_t gap = lx.at, at = gap;
        if (!skip_blank(&lx, &at))
            return false;
        if (gap_says_skip(&lx, gap, at))
            return true;
        struct token t = token_at(&lx, at);
        if (t.type == TOKEN_END || t.type == TOKEN_ERROR)
            return false;
    }
}

static bool comment_is_kept(const char *comment, size_t len) {
    return (len > 2 && comment[0] == '/' && comment[2] == '+') || memmem(comment, len, "pgfold:", 7);
}

// Writes what belongs to the shape of the gap between two tokens: the comments that are kept, else one blank.
static void put_gap(struct shaper *s, const struct lexer *lx, size_t from, size_t to) {
    copy_up_to(s, from);
    bool first = s->out->len == 0, kept = false;
    for (size_t at = skip_space(lx, from); at < to; at = skip_space(lx, at)) {
        bool line = at_line_comment(lx, at);
        size_t end = line ? skip_line_comment(lx, at) : skip_block_comment(lx, at);
        if (comment_is_kept(s->text + at, end - at)) {
            if (!first || kept)
                buf_put(s->out, " ", 1);
            buf_put(s->out, s->text + at, end - at);
            if (line)
                buf_put(s->out, "\n", 1);
            kept = true;
        }
        at = end;
    }
    if (!first || kept)
        buf_put(s->out, " ", 1);
    s->copied = to;
}

// Trailing blanks are not part of the shape. Comments that are kept are.
static void put_last_gap(struct shaper *s, const struct lexer *lx, size_t from, size_t to) {
    put_gap(s, lx, from, to);
    if (s->out->len && s->out->data[s->out->len - 1] == ' ')
        s->out->len--;
}

static bool gap_is_plain(const struct shaper *s, size_t from, size_t to) {
    return from == to || (to == from + 1 && s->text[from] == ' ' && from > 0);
}

// x BETWEEN 1 AND 2, x IS NOT DISTINCT FROM 1
static bool compares(struct shaper *s, enum word before, struct token t) {
    bool ends = s->between && token_is(s->text, t, "and") && !s->dotted;
    s->between = s->word == WORD_BETWEEN || (s->between && !ends);
    return ends || s->word == WORD_BETWEEN || (s->word == WORD_FROM && before == WORD_DISTINCT);
}

static void see_word(struct shaper *s, struct token t) {
    enum word before = s->word;
    s->word = s->dotted ? WORD_OTHER : word_of(s->text + t.at, t.len);
    bool taken = compares(s, before, t);
    if (s->word == WORD_LOWER && s->place != PLACE_TAKEN)
        s->word = WORD_OTHER; // no side of a comparison
    s->place = PLACE_STAYS;
    if (s->word == WORD_LIMIT || taken)
        s->place = PLACE_TAKEN;
    else if (s->word == WORD_LEFT)
        s->place = PLACE_LEFT;
    if (s->word == WORD_FROM && before != WORD_DISTINCT)
        s->selects &= ~(uint64_t)1;
    if (s->word != WORD_QUERY)
        return;
    s->lists &= ~(uint64_t)1;
    if ((s->text[t.at] | 0x20) == 's') {
        s->place = s->member ? PLACE_SOLE : PLACE_FIRST;
        s->selects |= 1;
    }
}

static void see_open(struct shaper *s, struct token t) {
    s->between = false;
    bool bracket = s->text[t.at] == '[';
    bool left = s->place == PLACE_LEFT || s->place == PLACE_FIRST || s->place == PLACE_SOLE;
    s->opens = left && !bracket && !s->after_sign ? s->opens + 1 : 0;
    bool compared = s->place == PLACE_TAKEN && s->word != WORD_LIMIT && !s->after_sign; // a row, or just ( )
    bool list = bracket ? s->word == WORD_ARRAY && (s->lists & 1)
                        : s->word == WORD_IN || s->word == WORD_ANY || compared;
    s->lists = s->lists << 1 | list;
    s->member = list && !bracket && !compared;
    s->selects <<= 1;
    bool argument = s->word == WORD_CAST || s->word == WORD_LOWER;
    s->place = list || argument ? PLACE_TAKEN : bracket ? PLACE_STAYS : PLACE_LEFT;
}

// Tells whether the operator is a sign in front of a constant. Such a sign leaves the place as it was.
static bool see_operator(struct shaper *s, struct token t) {
    const char *op = s->text + t.at;
    if (t.len == 1 && *op == '-' && !s->after_sign && s->place != PLACE_STAYS && s->word != WORD_LIMIT)
        return true;
    s->place = is_comparison(op, t.len) ? PLACE_TAKEN : PLACE_STAYS;
    return false;
}

static void see_constant(struct shaper *s, struct token t) {
    if (s->held.type != TOKEN_END)
        return; // of a type
    if (s->takes && s->place != PLACE_STAYS && (!s->after_sign || t.type != TOKEN_STRING)) {
        s->held = t;
        s->held_place = s->place;
        s->held_operand = OPERAND_CONSTANT;
        s->held_opens = s->opens;
        s->held_copied = false;
        if (s->after_sign) {
            if (s->text[t.at - 1] != '-')
                s->held.type = TOKEN_END; // the sign stands apart from the number
            s->held.at--;
            s->held.len++;
        }
    }
    s->place = PLACE_STAYS;
}

// Notes a token, so that the place of the next one is known.
static void see_token(struct shaper *s, struct token t) {
    enum word before = s->word;
    bool was_compared = s->compared, sign = false;
    if (!s->started && t.type != TOKEN_OPEN) {
        s->started = true;
        s->takes = statement_takes(s->text, t);
    }
    if (t.type == TOKEN_IDENT) {
        see_word(s, t);
        if (s->word == WORD_ANY && !was_compared)
            s->word = WORD_OTHER;
    } else if (t.type == TOKEN_OPERATOR) {
        sign = see_operator(s, t);
    } else if (t.type == TOKEN_OPEN) {
        see_open(s, t);
    } else if (t.type == TOKEN_CLOSE) {
        s->lists >>= 1;
        s->selects >>= 1;
        s->place = PLACE_STAYS;
    } else if (t.type == TOKEN_COMMA) {
        s->place = s->lists & 1 ? PLACE_TAKEN : s->selects & 1 ? PLACE_LABEL : PLACE_STAYS;
    } else if (t.type == TOKEN_INTEGER || t.type == TOKEN_NUMBER || t.type == TOKEN_STRING) {
        see_constant(s, t);
    } else {
        s->place = PLACE_STAYS;
    }
    if (t.type != TOKEN_OPEN)
        s->member = false;
    if (t.type != TOKEN_IDENT)
        s->word = sign ? before : WORD_OTHER;
    if (t.type != TOKEN_OPEN && !sign)
        s->opens = 0;
    s->after_sign = sign;
    s->dotted = t.type == TOKEN_DOT;
    s->compared = t.type == TOKEN_OPERATOR && t.len == 1 && s->text[t.at] == '=';
}

// Takes one token and the gap before it. SHAPE_OK: go on.
static enum shape_scan shape_token(struct shaper *s, const struct lexer *lx, size_t gap, struct token t) {
    if (t.type == TOKEN_ERROR || t.type == TOKEN_PARAM || lexer_setting_dependent(s->text, t))
        return SHAPE_ERROR;
    if (s->held.type != TOKEN_END && !decide_held(s, t))
        return SHAPE_TOO_MANY;
    if (t.type == TOKEN_SEMICOLON) {
        // The gap before it may hold a comment that is kept.
        put_last_gap(s, lx, gap, t.at);
        s->copied = t.at + 1;
        s->ended = true;
        return SHAPE_OK;
    }
    if (s->ended)
        return SHAPE_MULTI;
    if (!gap_is_plain(s, gap, t.at)) {
        if (s->held.type != TOKEN_END)
            copy_held(s);
        put_gap(s, lx, gap, t.at);
    }
    see_token(s, t);
    s->st->statement_len = t.at + t.len;
    return SHAPE_OK;
}

static enum shape_scan shape_run(struct shaper *s, struct lexer *lx) {
    for (;;) {
        size_t gap = lx->at, at = gap;
        if (!skip_blank(lx, &at))
            return SHAPE_ERROR;
        struct token t = token_at(lx, at);
        if (t.type == TOKEN_END) {
            if (s->held.type != TOKEN_END && !decide_held(s, t))
                return SHAPE_TOO_MANY;
            put_last_gap(s, lx, gap, lx->len);
            return s->out->failed ? SHAPE_TOO_MANY : SHAPE_OK;
        }
        enum shape_scan rc = shape_token(s, lx, gap, t);
        if (rc != SHAPE_OK)
            return rc;
    }
}

static enum shape_scan scan(const char *text, size_t len, bool joined, struct buf *out,
                            struct shape_text *st) {
    struct lexer lx = {text, len, 0};
    struct shaper s = {.text = text, .out = out, .st = st, .joined = joined, .held = {.type = TOKEN_END}};
    buf_reset(out);
    st->statement_len = 0;
    st->n_values = 0;
    return shape_run(&s, &lx);
}

enum shape_scan shape_text_scan(const char *text, size_t len, struct buf *out, struct shape_text *st) {
    return scan(text, len, false, out, st);
}

enum shape_scan shape_text_join(const char *text, size_t len, struct buf *out) {
    struct shape_text st;
    return scan(text, len, true, out, &st);
}
