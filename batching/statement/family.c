// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/family.h"

#include "batching/base/hash.h"
#include "batching/statement/lexer.h"

static bool is_constant(enum token_type type) {
    return type == TOKEN_STRING || type == TOKEN_STRING_OTHER || type == TOKEN_INTEGER ||
           type == TOKEN_NUMBER || type == TOKEN_PARAM;
}

// A list of constants is one, however long it is.
uint16_t family_of(const char *text, size_t len) {
    struct lexer lx = {text, len, 0};
    uint64_t hash = 0;
    bool constant = false, comma = false;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR;
         t = lexer_next(&lx)) {
        bool was = constant;
        constant = is_constant(t.type);
        if (was && t.type == TOKEN_COMMA) {
            comma = constant = true;
            continue;
        }
        if (constant && comma) {
            comma = false;
            continue;
        }
        if (comma)
            hash = XXH3_64bits_withSeed(",", 1, hash);
        comma = false;
        hash = constant ? XXH3_64bits_withSeed("$", 1, hash) : XXH3_64bits_withSeed(text + t.at, t.len, hash);
    }
    return (uint16_t)(hash % FAMILIES);
}

bool family_may_guess(const struct families *f, uint16_t family) {
    return f->in_vain[family] < FAMILY_GUESSES;
}

void family_guessed(struct families *f, uint16_t family) {
    if (f->in_vain[family] < FAMILY_GUESSES)
        f->in_vain[family]++;
}

void family_served(struct families *f, uint16_t family) {
    f->in_vain[family] = 0;
}
