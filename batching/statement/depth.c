// SPDX-License-Identifier: PostgreSQL
//
// An upper bound without a grammar. Every token may add a level to the tree of its segment. A segment lies
// between two commas, semicolons, ANDs or ORs inside one pair of brackets: these make siblings, however many
// there are. The AND of BETWEEN does not end a segment ("a BETWEEN b AND NOT c BETWEEN d AND NOT …" nests).
// Joins, set operations and BEGIN ATOMIC nest across segments. CASE opens a level as a bracket does.
#include "batching/statement/depth.h"

#include "batching/statement/lexer.h"

struct level {
    bool is_case;
    int chain;    // tokens of the segment
    int inner;    // depth of the deepest bracket that was closed in the segment
    int best;     // depth of the deepest segment before
    int across;   // what nests across segments
    int betweens; // BETWEENs whose AND has not come
};

struct scan {
    struct level levels[DEPTH_MAX_BRACKETS + 1];
    int top, max;
    bool dotted, too_deep;
};

static int segment_depth(const struct level *l) {
    int depth = l->chain + l->inner;
    return depth > l->best ? depth : l->best;
}

static void end_segment(struct level *l) {
    l->best = segment_depth(l);
    l->chain = l->inner = 0;
}

static int level_depth(const struct level *l) {
    return segment_depth(l) + l->across + 1;
}

static void open_level(struct scan *s, bool is_case) {
    if (s->top >= s->max) {
        s->too_deep = true;
        return;
    }
    s->levels[++s->top] = (struct level){.is_case = is_case};
}

static void close_level(struct scan *s) {
    int depth = level_depth(&s->levels[s->top]);
    struct level *outer = &s->levels[--s->top];
    if (depth > outer->inner)
        outer->inner = depth;
}

// Also closes CASEs that have no END. Such a text is no SQL.
static void close_bracket(struct scan *s) {
    while (s->top > 0 && s->levels[s->top].is_case)
        close_level(s);
    if (s->top > 0)
        close_level(s);
}

static void see_and(struct level *l) {
    if (l->betweens > 0)
        l->betweens--;
    else
        end_segment(l);
}

static bool nests_across(const char *text, struct token t) {
    return token_is(text, t, "join") || token_is(text, t, "union") || token_is(text, t, "except") ||
           token_is(text, t, "intersect") || token_is(text, t, "atomic");
}

static void see_word(struct scan *s, const char *text, struct token t) {
    struct level *l = &s->levels[s->top];
    if (token_is(text, t, "and"))
        see_and(l);
    else if (token_is(text, t, "or"))
        end_segment(l);
    else if (token_is(text, t, "between"))
        l->betweens++;
    else if (token_is(text, t, "case"))
        open_level(s, true);
    else if (token_is(text, t, "end") && l->is_case)
        close_level(s);
    else if (nests_across(text, t))
        l->across++;
}

static void see_token(struct scan *s, const char *text, struct token t) {
    s->levels[s->top].chain++;
    if (t.type == TOKEN_IDENT && !s->dotted)
        see_word(s, text, t);
    else if (t.type == TOKEN_OPEN)
        open_level(s, false);
    else if (t.type == TOKEN_CLOSE)
        close_bracket(s);
    else if (t.type == TOKEN_COMMA || t.type == TOKEN_SEMICOLON)
        end_segment(&s->levels[s->top]);
    s->dotted = t.type == TOKEN_DOT;
    if (level_depth(&s->levels[s->top]) > DEPTH_MAX_TREE)
        s->too_deep = true;
}

struct depth depth_scan(const char *text, size_t len, int max_brackets) {
    struct depth d = {.error = false};
    struct scan s = {.max = max_brackets < DEPTH_MAX_BRACKETS ? max_brackets : DEPTH_MAX_BRACKETS};
    struct lexer lx = {text, len, 0};
    for (;;) {
        struct token t = lexer_next(&lx);
        if (t.type == TOKEN_END)
            break;
        d.error |= t.type == TOKEN_ERROR;
        d.setting_dependent |= lexer_setting_dependent(text, t);
        if (!d.select_at && token_is(text, t, "select"))
            d.select_at = t.at + t.len;
        see_token(&s, text, t);
        if (s.too_deep)
            break;
    }
    // Levels that are still open count together with those around them.
    while (s.top > 0)
        close_level(&s);
    d.too_deep = s.too_deep || level_depth(&s.levels[0]) > DEPTH_MAX_TREE;
    return d;
}
