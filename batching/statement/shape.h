// SPDX-License-Identifier: PostgreSQL
//
// The cache of statement texts: what a text means is found out once (parse.h) and remembered. A shape is a
// text without its varying constants (simple protocol) or a text with its declared parameter types (extended
// protocol).
//
// Bounded in number and in bytes: when full, the least recently used shapes that nothing refers to make room;
// when there are none, the caller is told to forward. A shape that is referred to (a prepared statement, a
// group) stays alive after it left the cache.
#ifndef PGFOLD_BATCHING_STATEMENT_SHAPE_H
#define PGFOLD_BATCHING_STATEMENT_SHAPE_H

#include "batching/base/hash.h"
#include "batching/base/memory.h"
#include "batching/statement/budget.h"
#include "batching/statement/guard.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/ration.h"
#include "protocol/message.h"

#define SHAPE_MAX_KEYS 8 // candidates that are watched; more are not considered

enum shape_protocol {
    SHAPE_SIMPLE = 'Q',
    SHAPE_EXTENDED = 'P',
    SHAPE_JOINED = 'J', // simple protocol, more constants than SHAPE_MAX_VALUES: no lookup
};

struct shape {
    UT_hash_handle hh;
    struct shape *newer, *older; // in order of use
    unsigned refs;               // the cache's own is one of them
    struct account *memory;      // that it is counted in, with so many bytes:
    size_t weighs;
    uint8_t *cache_key; // owned: protocol, types, text
    size_t cache_key_len;
    enum shape_protocol protocol;
    char *text; // its tail, zero-terminated: constants out (simple), or as sent but for trailing comments
    size_t text_len;
    unsigned n_types;      // extended: declared parameter types
    uint32_t *types;       // owned
    struct parsed *parsed; // owned
    unsigned n_lookups;    // lookups of this shape that are not answered yet
    uint32_t keys;         // the candidates that vary, a mask over parsed->keys; see shape_keys
    uint32_t lookups;      // seen lately
    struct {
        uint64_t last;    // hash of the last value seen
        uint32_t changes; // among those lookups
    } watch[SHAPE_MAX_KEYS];
    bool changes;         // may change definitions that vetting looked at
    enum reason reason;   // why a statement of this shape is no lookup; NONE: it may be one
    struct guard guard;   // what its lookups cost, folded and alone
    bool wrong;           // a folded answer differed from the original's, see check.h: never forgotten
    uint64_t outdated;    // the engine's generation since a folded answer had other columns; 0: none lately
    uint32_t until_check; // folded lookups until the next one is checked
    struct association *associations; // see ahead.h; owned, NULL: none yet
    struct budget budget;             // of what is loaded ahead for them
    unsigned ahead_vets;              // questions about it that were asked for that
};

struct shape_cache {
    struct shape *table;
    struct shape *newest, *oldest;
    unsigned n, max, n_long; // n_long: long ones, which are writes
    size_t max_text;
    struct rations *rations; // what new texts may cost; NULL: anything
    struct buf scratch;      // the key being looked up
    struct account memory;
    bool wanting; // no room could be made for one: what refers to others may be given up
};

void shape_cache_init(struct shape_cache *c, unsigned max, size_t max_text);
void shape_cache_finish(struct shape_cache *c);

// The shape of a Query message's text. `values` gets the constants taken out. Borrowed: valid until the next
// call unless shape_ref()ed. NULL: out of memory, or no room (REASON_TOO_MANY_SHAPES), or the text was not
// looked at (REASON_TEXT_TOO_LONG, REASON_NOT_PARSED), or it has no shape (reason says which).
struct shape *shape_simple(struct shape_cache *c, struct slice text, struct shape_text *values,
                           enum reason *why);

// The shape of a Parse message's text and types (n_types OIDs in network order).
struct shape *shape_extended(struct shape_cache *c, struct slice text, unsigned n_types, const uint8_t *types,
                             enum reason *why);

// The shape of a text as it stands, constants and all: for SET and its like.
struct shape *shape_verbatim(struct shape_cache *c, struct slice text, enum reason *why);

// May a statement that starts with this text change definitions (tables, functions, permissions)?
bool shape_text_changes_definitions(struct slice text);

struct shape *shape_ref(struct shape *s);
void shape_unref(struct shape *s); // takes NULL

// Forgets those that nothing refers to, of the n that were used longest ago.
void shape_cache_shrink(struct shape_cache *c, unsigned n);
// The same of texts too long to be parsed, of which there is nothing to know: they are kept for whoever has
// prepared them.
void shape_cache_tidy(struct shape_cache *c);

// What the shape is called in logs: a digest of its text and types.
uint64_t shape_digest(const struct shape *s);

// Tells the shape the value of its i-th key candidate in the lookup at hand, so that it learns which ones
// vary.
void shape_watch(struct shape *s, int candidate, struct slice value);

// Counts the lookup at hand, all of whose candidates were told, and returns the candidates that are its key,
// at most KEY_MAX_PARTS: those that vary among the last lookups. One that hardly ever does stays a constant,
// as which the planner knows it. Never 0 for a shape that may be a lookup: while nothing was seen to vary, it
// is the last candidate of the outermost WHERE.
uint32_t shape_keys(struct shape *s);

#endif
