// SPDX-License-Identifier: PostgreSQL
//
// The cache, and how a text is brought to its shape: scanned, looked up, and on a miss parsed.
#include "batching/statement/shape.h"

#include <stdlib.h>
#include <string.h>

#include "batching/statement/cost.h"
#include "batching/statement/family.h"
#include "batching/statement/key.h"
#include "batching/statement/parse.h"
#include "batching/statement/parse_write.h"
#include "batching/statement/parsed.h"

#define MAX_DEPTH  100     // nested brackets in a text that the parser gets
#define MAX_PARSED 8192    // bytes of such a text
#define MAX_COST   8000000 // nanoseconds that parsing one may take
#define FREE_SCAN  4096    // bytes of a text that are scanned each time without charge

void shape_cache_init(struct shape_cache *c, unsigned max, size_t max_text) {
    *c = (struct shape_cache){.max = max, .max_text = max_text, .scratch = buf_make(max_text + 4096)};
}

// Two functions: a literal shape has another one, which has none.
static void shape_free(struct shape *s) {
    account_set(s->memory, &s->weighs, 0);
    if (!s->of)
        parsed_destroy(s->parsed);
    shape_unref(s->of);
    free(s->cache_key);
    free(s->associations);
    free(s->types);
    free(s);
}

struct shape *shape_ref(struct shape *s) {
    s->refs++;
    return s;
}

void shape_unref(struct shape *s) {
    if (s && --s->refs == 0)
        shape_free(s);
}

static void list_remove(struct shape_cache *c, struct shape *s) {
    *(s->newer ? &s->newer->older : &c->newest) = s->older;
    *(s->older ? &s->older->newer : &c->oldest) = s->newer;
}

static void list_push(struct shape_cache *c, struct shape *s) {
    s->newer = NULL;
    s->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = s;
    c->newest = s;
}

static void cache_remove(struct shape_cache *c, struct shape *s) {
    HASH_DEL(c->table, s);
    list_remove(c, s);
    c->n--;
    c->n_long -= s->text_len > MAX_PARSED;
    shape_unref(s);
}

void shape_cache_finish(struct shape_cache *c) {
    while (c->newest)
        cache_remove(c, c->newest);
    buf_free(&c->scratch);
}

static bool lacks_bytes(const struct shape_cache *c, size_t bytes) {
    return account_is_full(&c->memory, bytes) || account_is_short(&c->memory, bytes);
}

// Makes room for one more shape of so many bytes. It looks only at a few of the oldest, so a cache full of
// shapes in use costs no scan.
static bool cache_has_room(struct shape_cache *c, size_t bytes) {
    struct shape *s = c->oldest;
    for (int tries = 0; s && tries < 16 && (c->n >= c->max || lacks_bytes(c, bytes)); tries++) {
        struct shape *newer = s->newer;
        if (s->refs == 1 && !s->wrong)
            cache_remove(c, s);
        s = newer;
    }
    // All of them are in use: the oldest leaves the cache, and its users keep it alive.
    for (s = c->n >= c->max ? c->oldest : NULL; s && s->wrong; s = s->newer)
        ;
    if (s)
        cache_remove(c, s);
    bool room = !lacks_bytes(c, bytes);
    c->wanting |= !room;
    return room && c->n < c->max;
}

static void forget_some(struct shape_cache *c, unsigned tries, size_t shortest) {
    for (struct shape *s = c->oldest, *newer; s && tries > 0; tries--, s = newer) {
        newer = s->newer;
        if (s->refs == 1 && !s->wrong && s->text_len >= shortest)
            cache_remove(c, s);
    }
}

void shape_cache_shrink(struct shape_cache *c, unsigned n) {
    forget_some(c, n, 0);
}

void shape_cache_tidy(struct shape_cache *c) {
    if (c->n_long)
        forget_some(c, 4096, MAX_PARSED + 1);
}

static size_t bytes_of(const struct shape *s) {
    return sizeof *s + s->cache_key_len + 1 + s->n_types * sizeof *s->types + parsed_bytes(s->parsed) +
           3 * MEMORY_BLOCK;
}

// A lookup needs everything that is needed to send it in another form. What is missing becomes the shape's
// reason.
static enum reason lookup_reason(const struct shape *s) {
    const struct parsed *p = s->parsed;
    if (p->kind != STATEMENT_READ)
        return p->reason == REASON_NONE ? REASON_NOT_SELECT : p->reason;
    if (lexer_says_skip(s->text, s->text_len))
        return REASON_SKIP;
    if (p->reason != REASON_NONE)
        return p->reason;
    if (p->n_keys == 0)
        return REASON_NO_KEY;
    return p->n_params > SHAPE_MAX_VALUES || s->protocol == SHAPE_JOINED ? REASON_PARAMETERS : REASON_NONE;
}

bool shape_text_changes_definitions(struct slice text) {
    static const char *const words[] = {"create", "alter", "drop",     "grant",  "revoke",
                                        "do",     "call",  "reassign", "import", "security"};
    struct token t = lexer_first_word((const char *)text.data, text.len);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (token_is((const char *)text.data, t, words[i]))
            return true;
    return false;
}

// The first word tells. Everything else that matters is what parse_write() says: each such statement leaves
// its session in doubt. INSERTs of many rows are long and rarely the same.
static bool is_write(struct slice text) {
    static const char *const words[] = {"insert", "update", "delete", "merge"};
    struct token t = lexer_first_word((const char *)text.data, text.len);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (token_is((const char *)text.data, t, words[i]))
            return true;
    return false;
}

static uint32_t cost_of(struct slice text) {
    if (is_write(text))
        return text.len > PARSE_MAX_WRITE ? 0 : (uint32_t)text.len * COST_OF_WRITE;
    return cost_of_parse((const char *)text.data, text.len);
}

static bool shape_fill(struct shape *s, const struct buf *cache_key, struct slice text, bool dear) {
    s->cache_key = malloc(cache_key->len + 1);
    if (!s->cache_key)
        return false;
    memcpy(s->cache_key, cache_key->data, cache_key->len);
    s->cache_key[cache_key->len] = 0;
    s->cache_key_len = cache_key->len;
    s->digest = XXH3_64bits(s->cache_key, s->cache_key_len);
    s->text = (char *)s->cache_key + cache_key->len - text.len;
    s->text_len = text.len;
    s->parsed = is_write(text) ? parse_write(s->text, s->text_len)
                               : parse_statement(s->text, dear ? 0 : MAX_PARSED, MAX_DEPTH);
    if (!s->parsed)
        return false;
    s->reason = lookup_reason(s);
    s->family = s->reason == REASON_NONE ? family_of(s->text, s->text_len) : 0;
    if (s->parsed->kind == STATEMENT_READ)
        alike_of_text(s->text, s->text_len, &s->alike);
    s->changes = s->parsed->kind == STATEMENT_OTHER && shape_text_changes_definitions(text);
    return true;
}

static struct shape *cache_find(struct shape_cache *c) {
    struct shape *s;
    HASH_FIND(hh, c->table, c->scratch.data, c->scratch.len, s);
    if (s && s != c->newest) {
        list_remove(c, s);
        list_push(c, s);
    }
    return s;
}

// The text may lie in the scratch buffer that holds the cache's key.
static struct shape *cache_add(struct shape_cache *c, enum shape_protocol protocol, struct slice text,
                               unsigned n_types, const uint8_t *types, enum reason *why) {
    uint32_t cost = cost_of(text);
    if (c->rations)
        rations_spend(c->rations, cost < MAX_COST ? cost : text.len * COST_OF_SCAN);
    *why = REASON_MEMORY;
    if (lacks_bytes(c, c->scratch.len) && !cache_has_room(c, c->scratch.len))
        return NULL; // before it is parsed
    struct shape *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->refs = 1;
    s->protocol = protocol;
    s->n_types = n_types;
    s->types = n_types ? malloc(n_types * sizeof *s->types) : NULL;
    if ((n_types && !s->types) || !shape_fill(s, &c->scratch, text, cost > MAX_COST)) {
        shape_free(s);
        return NULL;
    }
    for (unsigned i = 0; i < n_types; i++) {
        s->types[i] = get_u32(types + (size_t)i * 4);
        if (s->parsed->reason != REASON_MEMORY) // that may be one that nobody owns
            s->parsed->foreign_types |= key_type_is_foreign(s->types[i]);
    }
    if (!cache_has_room(c, bytes_of(s))) {
        *why = c->n >= c->max ? REASON_TOO_MANY_SHAPES : REASON_MEMORY;
        shape_free(s);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, c->table, s->cache_key, s->cache_key_len, s);
    if (!s->hh.tbl) {
        shape_free(s);
        return NULL;
    }
    list_push(c, s);
    c->n++;
    c->n_long += s->text_len > MAX_PARSED;
    s->memory = &c->memory;
    account_set(s->memory, &s->weighs, bytes_of(s));
    return s;
}

// The key starts with the protocol and the types, so the text is its tail.
static void scratch_start(struct shape_cache *c, enum shape_protocol protocol, unsigned n_types,
                          const uint8_t *types) {
    buf_reset(&c->scratch);
    buf_put_u8(&c->scratch, (uint8_t)protocol);
    buf_put_u16(&c->scratch, (uint16_t)n_types);
    buf_put(&c->scratch, types, (size_t)n_types * 4);
}

// Such a text is not remembered either: they are often never the same again.
static bool is_too_long(struct slice text) {
    return text.len > MAX_PARSED && !is_write(text);
}

static struct shape *find_or_add(struct shape_cache *c, enum shape_protocol protocol, size_t text_at,
                                 unsigned n_types, const uint8_t *types, enum reason *why) {
    if (c->scratch.failed) {
        *why = REASON_TEXT_TOO_LONG;
        return NULL;
    }
    struct shape *s = cache_find(c);
    if (!s && is_too_long((struct slice){c->scratch.data + text_at, c->scratch.len - text_at})) {
        *why = REASON_TEXT_TOO_LONG;
        return NULL;
    }
    if (!s && c->rations && !rations_may(c->rations, XXH3_64bits(c->scratch.data, c->scratch.len))) {
        *why = REASON_NOT_PARSED;
        return NULL;
    }
    if (!s) {
        struct slice text = {c->scratch.data + text_at, c->scratch.len - text_at};
        s = cache_add(c, protocol, text, n_types, types, why);
    }
    return s;
}

// For example the ids of a thousand rows in one IN list: it is no lookup, but what it reads is still of
// interest. No other shape ends in a comment's sign.
static struct shape *find_joined(struct shape_cache *c, struct slice text, struct shape_text *values,
                                 enum reason *why) {
    values->n_values = 0;
    if (shape_text_join((const char *)text.data, text.len, &c->scratch) != SHAPE_OK) {
        *why = REASON_PARAMETERS;
        return NULL;
    }
    buf_put_text(&c->scratch, "--");
    return find_or_add(c, SHAPE_JOINED, 0, 0, NULL, why);
}

bool shape_may_scan(struct shape_cache *c, size_t len) {
    if (!c->rations)
        return true;
    if (len <= FREE_SCAN)
        rations_note(c->rations, len * COST_OF_SCAN);
    else if (rations_may_work(c->rations))
        rations_spend(c->rations, len * COST_OF_SCAN);
    else
        return false;
    return true;
}

struct shape *shape_simple(struct shape_cache *c, struct slice text, struct shape_text *values,
                           enum reason *why) {
    if (text.len > c->max_text) {
        *why = REASON_TEXT_TOO_LONG;
        return NULL;
    }
    if (!shape_may_scan(c, text.len)) {
        *why = REASON_NOT_PARSED;
        return NULL;
    }
    // The scan resets its buffer, so the key of a simple shape is the text alone. An extended one starts with
    // 'P' and two bytes of count, as no statement does that can be parsed.
    switch (shape_text_scan((const char *)text.data, text.len, &c->scratch, values)) {
    case SHAPE_OK:
        return find_or_add(c, SHAPE_SIMPLE, 0, 0, NULL, why);
    case SHAPE_MULTI:
        *why = REASON_MULTI_STATEMENT;
        return NULL;
    case SHAPE_TOO_MANY:
        return find_joined(c, text, values, why);
    case SHAPE_ERROR:
        break;
    }
    *why = REASON_UNPARSABLE;
    return NULL;
}

static bool holds(struct slice text, const char *what) {
    return memmem(text.data, text.len, what, strlen(what));
}

static bool is_ascii(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] & 0x80)
            return false;
    return true;
}

// Comments in front of a statement and behind it often differ each time (trace ids), so they are no part of the
// shape, nor are semicolons beside them. Those that mean something are, and so are those of a text that is too long to be
// parsed.
static struct slice without_outer_comments(struct slice text) {
    if (text.len > MAX_PARSED || (!holds(text, "*/") && !holds(text, "--")) || holds(text, "/*+") ||
        holds(text, "pgfold:"))
        return text;
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    struct token k = lexer_next(&lx);
    size_t from = k.at, end = 0;
    for (; k.type != TOKEN_END; k = lexer_next(&lx)) {
        if (k.type == TOKEN_ERROR)
            return text;
        if (k.type != TOKEN_SEMICOLON)
            end = k.at + k.len;
    }
    if (!end)
        return text;
    if (!is_ascii(text.data, from)) // its characters could not be counted
        from = 0;
    return (struct slice){text.data + from, end - from};
}

size_t shape_skipped(struct slice text) {
    return (size_t)(without_outer_comments(text).data - text.data);
}

struct shape *shape_extended(struct shape_cache *c, struct slice text, unsigned n_types, const uint8_t *types,
                             enum reason *why) {
    if (text.len > c->max_text || n_types > 1000) {
        *why = REASON_TEXT_TOO_LONG;
        return NULL;
    }
    scratch_start(c, SHAPE_EXTENDED, n_types, types);
    size_t text_at = c->scratch.len;
    struct slice kept = without_outer_comments(text);
    buf_put(&c->scratch, kept.data, kept.len);
    return find_or_add(c, SHAPE_EXTENDED, text_at, n_types, types, why);
}

struct shape *shape_literal(struct shape_cache *c, const struct msg_parse *m, struct shape_text *values) {
    enum reason why;
    if (m->name.len || m->n_types || m->text.len > FREE_SCAN || !shape_may_scan(c, m->text.len) ||
        shape_text_scan((const char *)m->text.data, m->text.len, &c->scratch, values) != SHAPE_OK ||
        !values->n_values)
        return NULL;
    struct shape *s = find_or_add(c, SHAPE_SIMPLE, 0, 0, NULL, &why);
    return s && s->parsed->kind == STATEMENT_READ ? s : NULL;
}

struct shape *shape_of_parse(struct shape_cache *c, const struct msg_parse *m, enum reason *why) {
    struct shape_text values;
    struct shape *literal = shape_literal(c, m, &values);
    return literal ? literal : shape_extended(c, m->text, m->n_types, m->types, why);
}

struct shape *shape_with_constants(struct shape_cache *c, struct shape *of, struct slice text) {
    struct shape *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->refs = 1;
    s->protocol = SHAPE_LITERAL;
    s->of = shape_ref(of);
    s->parsed = of->parsed;
    s->reason = of->reason == REASON_NONE ? REASON_NO_KEY : of->reason;
    s->text = malloc(text.len + 1);
    if (!s->text) {
        shape_free(s);
        return NULL;
    }
    memcpy(s->text, text.data, text.len);
    s->text[text.len] = 0;
    s->text_len = text.len;
    s->cache_key = (uint8_t *)s->text;
    s->cache_key_len = text.len;
    s->digest = XXH3_64bits(s->cache_key, s->cache_key_len);
    s->memory = &c->memory;
    account_set(s->memory, &s->weighs, sizeof *s + text.len + 1 + 2 * MEMORY_BLOCK);
    return s;
}

struct shape *shape_verbatim(struct shape_cache *c, struct slice text, enum reason *why) {
    return shape_extended(c, text, 0, NULL, why);
}

uint64_t shape_digest(const struct shape *s) {
    return s->digest;
}

void shape_watch(struct shape *s, int candidate, struct slice value) {
    if (candidate >= SHAPE_MAX_KEYS)
        return;
    uint64_t h = value.data ? XXH3_64bits(value.data, value.len) : 1;
    s->watch[candidate].changes += s->lookups && s->watch[candidate].last != h;
    s->watch[candidate].last = h;
}

// Looks at the last 64 to 128 lookups. Changes in a sixteenth of them make the candidate vary, changes in
// less than a sixty-fourth make it a constant again. Of those beside the key that may decide the plan (LIMIT) it
// takes a quarter, or less than a sixteenth.
static bool varies(const struct shape *s, int i) {
    uint64_t changes = s->watch[i].changes, factor = s->keys >> i & 1 ? 64 : 16;
    const struct parsed_key *k = &s->parsed->keys[i];
    if (k->range && k->ordered)
        factor /= 4;
    return changes && changes * factor >= s->lookups && !(s->unsorted && k->ordered);
}

static int n_watched(const struct shape *s) {
    return s->parsed->n_keys < SHAPE_MAX_KEYS ? s->parsed->n_keys : SHAPE_MAX_KEYS;
}

static void drop_rarest(const struct shape *s, uint32_t *mask) {
    int rarest = -1;
    for (int i = 0; i < n_watched(s); i++)
        if (*mask >> i & 1 && (rarest < 0 || s->watch[i].changes < s->watch[rarest].changes))
            rarest = i;
    *mask &= ~(1u << rarest);
}

static uint32_t first_guess(const struct parsed *p) {
    int key = 0;
    for (int i = 0; i < p->n_keys && i < SHAPE_MAX_KEYS; i++)
        if (!p->keys[i].range && !p->keys[i].ordered && (p->keys[i].top || !p->keys[key].top))
            key = i;
    return 1u << key;
}

static uint32_t ranges(const struct parsed *p) {
    uint32_t mask = 0;
    for (int i = 0; i < p->n_keys && i < SHAPE_MAX_KEYS; i++)
        mask |= p->keys[i].range ? 1u << i : 0;
    return mask;
}

void shape_is_unsorted(struct shape *s) {
    s->unsorted = true;
    s->keys = 0;
}

uint32_t shape_keys(struct shape *s) {
    uint32_t mask = 0;
    if (++s->lookups >= 128) {
        s->lookups /= 2;
        for (int i = 0; i < n_watched(s); i++)
            s->watch[i].changes /= 2;
    }
    for (int i = 0; i < n_watched(s); i++)
        mask |= varies(s, i) ? 1u << i : 0;
    if (mask && !(mask & ~ranges(s->parsed)))
        mask |= first_guess(s->parsed);
    while (__builtin_popcount(mask) > KEY_MAX_PARTS)
        drop_rarest(s, &mask);
    if (mask)
        s->keys = mask;
    else if (!s->keys)
        s->keys = first_guess(s->parsed);
    return s->keys;
}
