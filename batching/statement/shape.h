// SPDX-License-Identifier: PostgreSQL
//
// The cache of statement texts. What a text means is found out once (parse.h) and remembered. A shape is a
// text without its varying constants (simple protocol), or a text with its declared parameter types (extended
// protocol).
//
// Bounded in number and in bytes. When the cache is full, the least recently used shapes to which nothing
// refers make room. When there are none, the caller is told to forward. A shape that something refers to (a
// prepared statement, a group) stays alive after it left the cache.
#ifndef PGFOLD_BATCHING_STATEMENT_SHAPE_H
#define PGFOLD_BATCHING_STATEMENT_SHAPE_H

#include "batching/base/hash.h"
#include "batching/statement/alike.h"
#include "batching/base/memory.h"
#include "batching/base/outcome.h"
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
    SHAPE_LITERAL = 'L', // a text with its constants, of a Parse without parameters; see shape_with_constants
    SHAPE_JOINED = 'J',  // simple protocol, more constants than SHAPE_MAX_VALUES: no lookup
};

// Answered statements of a shape, since it has been remembered.
struct shape_figures {
    uint64_t answered[OUTCOME_COUNT], failed;
    uint64_t took; // microseconds, from their coming to their answers
    uint32_t one;  // microseconds: what a lookup that is not sent would take, an estimate; 0: not known yet
};

struct shape {
    UT_hash_handle hh;
    struct shape *newer, *older; // in order of use
    unsigned refs;               // the cache's own is one of them
    struct account *memory;      // where it is counted, with so many bytes:
    size_t weighs;
    uint8_t *cache_key; // owned: protocol, types, text
    size_t cache_key_len;
    uint64_t digest; // of cache_key
    enum shape_protocol protocol;
    struct shape *of; // literal: the same without its constants; a reference
    // The tail of the key, zero-terminated. Simple: without constants. Extended: as sent, without the comments
    // in front and behind.
    char *text;
    size_t text_len;
    unsigned n_types;      // extended: declared parameter types
    uint32_t *types;       // owned
    struct parsed *parsed; // owned; literal: that of `of`
    uint16_t family;       // family.h
    struct alike alike;    // of a SELECT
    unsigned n_lookups;    // lookups of this shape that wait for their answers
    uint32_t keys;         // the candidates that vary, a mask over parsed->keys; see shape_keys
    bool unsorted;         // ORDER BY does not tell its rows apart: keys that are `ordered` are none
    uint32_t lookups;      // seen lately
    struct {
        uint64_t last;    // hash of the last value
        uint32_t changes; // among those lookups
    } watch[SHAPE_MAX_KEYS];
    bool changes;                 // it may change definitions that vetting looked at
    enum reason reason;           // why a statement of this shape is no lookup; NONE: it may be one
    struct shape_figures figures; // writer: session/figures.c
    uint8_t n_tags;               // sets of tags that it has brought; writer: session/reporting.c
    struct guard guard;           // what its lookups cost, folded and alone
    bool wrong;           // a folded answer differed from the original's, see check.h: never forgotten
    uint64_t outdated;    // the engine's generation when a folded answer had other columns; 0: none lately
    uint32_t until_check; // folded lookups until the next one is checked
    struct association *associations; // see ahead.h; owned; NULL: none yet
    struct budget budget;             // of what is loaded ahead for its lookups
    unsigned ahead_vets;              // questions about it that lookahead has asked
    bool leads;                       // its answers' own key column has had other keys than those asked for
    bool untold;                      // a question about it must wait until the server has a Parse of it
    bool wide;                        // the catalogue is asked for what is below it, too; trust/vet_own.h
    uint64_t no_plain_read; // microseconds: when the catalogue has said that it is none; 0: it has not
};

struct shape_cache {
    struct shape *table;
    struct shape *newest, *oldest;
    unsigned n, max, n_long; // n_long: long ones, which are writes
    size_t max_text;
    struct rations *rations; // what new texts may cost; borrowed; NULL: anything
    struct buf scratch;      // the key that is being looked up
    struct account memory;
    bool wanting; // there was no room for a new one: what keeps others alive may be given up
};

// max: number of shapes; max_text: bytes, see batching.max_text.
void shape_cache_init(struct shape_cache *c, unsigned max, size_t max_text);
void shape_cache_finish(struct shape_cache *c);

// The shape of a Query message's text. `values` gets the constants that were taken out. The shape is
// borrowed: valid until the next call unless shape_ref()ed. NULL with *why: out of memory; no room
// (REASON_TOO_MANY_SHAPES); the text was not looked at (REASON_TEXT_TOO_LONG, REASON_NOT_PARSED); or it has
// no shape.
struct shape *shape_simple(struct shape_cache *c, struct slice text, struct shape_text *values,
                           enum reason *why);

// The shape of a Parse message's text and types (n_types OIDs in network order). Otherwise as above.
struct shape *shape_extended(struct shape_cache *c, struct slice text, unsigned n_types, const uint8_t *types,
                             enum reason *why);

// The shape of a SELECT that has its values in the text of its Parse, taken out as in a Query message; it is the same
// one. NULL: it has none, or a name or types, or as above.
struct shape *shape_literal(struct shape_cache *c, const struct msg_parse *m, struct shape_text *values);

// What a Parse message prepares: the literal shape, else the extended one.
struct shape *shape_of_parse(struct shape_cache *c, const struct msg_parse *m, enum reason *why);

// What a Parse of such a text has prepared: the text with its constants, in no cache. It means what `of` means, and is
// no lookup. With one reference, the caller's. NULL: out of memory.
struct shape *shape_with_constants(struct shape_cache *c, struct shape *of, struct slice text);

// The shape that tells what a statement does: of a literal one, the one without constants. Takes NULL.
static inline struct shape *shape_meaning(struct shape *s) {
    return s && s->of ? s->of : s;
}

// The shape of a text as it stands, with its constants: for SET and the like. Otherwise as above.
struct shape *shape_verbatim(struct shape_cache *c, struct slice text, enum reason *why);

// Bytes in front of a Parse message's text that are no part of its shape's; all are ASCII. A statement that is given
// to the server late has as many blanks there, so that positions in errors are right.
size_t shape_skipped(struct slice text);

// May a text of so many bytes be gone through once? What is long is charged for.
bool shape_may_scan(struct shape_cache *c, size_t len);

// Tells whether a statement that starts with this text may change definitions (tables, functions,
// permissions).
bool shape_text_changes_definitions(struct slice text);

struct shape *shape_ref(struct shape *s);
void shape_unref(struct shape *s); // takes NULL

// Forgets shapes to which nothing refers, among the n that were used longest ago.
void shape_cache_shrink(struct shape_cache *c, unsigned n);
// The same for texts that are too long to be parsed. Nothing is known of them; they are kept only for a
// session that has prepared them.
void shape_cache_tidy(struct shape_cache *c);

// The shape's name in logs: a digest of its text and types.
uint64_t shape_digest(const struct shape *s);

// Tells the shape the value of its i-th key candidate in the lookup at hand, so that it learns which ones
// vary.
void shape_watch(struct shape *s, int candidate, struct slice value);

// Counts the lookup at hand, after all its candidates were told. Returns the candidates that are its key, at
// most KEY_MAX_PARTS: those that vary among the last lookups. A candidate that hardly ever varies stays a
// constant, which the planner can use. The result is never 0 for a shape that may be a lookup: while nothing
// was seen to vary, it is the last candidate of the outermost WHERE.
uint32_t shape_keys(struct shape *s);

// The catalogue says that ORDER BY does not tell its rows apart.
void shape_is_unsorted(struct shape *s);

#endif
