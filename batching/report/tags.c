// SPDX-License-Identifier: PostgreSQL
#include "batching/report/tags.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "batching/base/hash.h"
#include "batching/report/tag_text.h"
#include "batching/report/tag_wild.h"
#include "batching/statement/lexer.h"

// ---- comments

#define LOOKED_AT 4096 // bytes at either end of a text

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ';';
}

// What begins with a comment: up to the end of the last one of those in a row.
static struct slice front_of(struct slice text) {
    size_t at = 0, end = 0, len = text.len < LOOKED_AT ? text.len : LOOKED_AT;
    for (;;) {
        while (at < len && is_blank(text.data[at]))
            at++;
        bool block = at + 1 < len && text.data[at] == '/' && text.data[at + 1] == '*';
        bool line = at + 1 < len && text.data[at] == '-' && text.data[at + 1] == '-';
        const uint8_t *over = block  ? memmem(text.data + at + 2, len - at - 2, "*/", 2)
                              : line ? memchr(text.data + at, '\n', len - at)
                                     : NULL;
        if (!over)
            return (struct slice){text.data, end};
        end = at = (size_t)(over - text.data) + (block ? 2 : 1);
    }
}

// The beginning of the comment that ends at `end`; `end`: none does.
static size_t begin_of(struct slice text, size_t end, size_t least) {
    size_t at = end;
    if (end < least + 4 || text.data[end - 1] != '/' || text.data[end - 2] != '*')
        return end;
    for (at = end - 4; at > least && !(text.data[at] == '/' && text.data[at + 1] == '*'); at--)
        ;
    return text.data[at] == '/' && text.data[at + 1] == '*' ? at : end;
}

// The line comment that the text ends with; its own length: there is none. Most texts have no such sign at all.
static size_t line_of(struct slice text, size_t least) {
    if (!memrchr(text.data + least, '-', text.len - least))
        return text.len;
    const uint8_t *newline = memrchr(text.data + least, '\n', text.len - least);
    size_t line = newline ? (size_t)(newline - text.data) + 1 : least;
    const uint8_t *at = memmem(text.data + line, text.len - line, "--", 2);
    return at ? (size_t)(at - text.data) : text.len;
}

static struct slice back_of(struct slice text, size_t front) {
    size_t least = text.len > LOOKED_AT ? text.len - LOOKED_AT : 0, end = text.len, begin;
    least = least > front ? least : front;
    while (end > least && is_blank(text.data[end - 1]))
        end--;
    size_t from = end;
    while ((begin = begin_of(text, from, least)) < from) {
        for (from = begin; from > least && is_blank(text.data[from - 1]); from--)
            ;
    }
    if (from == end)
        from = line_of((struct slice){text.data, end}, least);
    return (struct slice){text.data + from, end - from};
}

bool tags_comments(struct slice text, struct slice out[2]) {
    if (!text.len)
        return false;
    uint8_t first = text.data[0];
    bool may = first == '/' || first == '-' || is_blank(first);
    out[0] = may ? front_of(text) : (struct slice){text.data, 0};
    out[1] = back_of(text, out[0].len);
    return out[0].len || out[1].len;
}

// Is this what the lexer says, too? What stands in a string is no comment.
static bool are_comments(struct slice text, const struct slice comments[2]) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    size_t front = comments[0].len, back = (size_t)(comments[1].data - text.data), end = front;
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END; t = lexer_next(&lx)) {
        if (t.type == TOKEN_ERROR || t.at < front ||
            (comments[1].len && t.at + t.len > back && t.type != TOKEN_SEMICOLON))
            return false;
        end = t.at + t.len;
    }
    return end > front || !comments[1].len;
}

uint64_t tags_digest(const struct tags *t, const struct slice comments[2]) {
    uint64_t hash = 0;
    for (unsigned i = 0; i < 2; i++)
        for (size_t at = 0; at < comments[i].len;) {
            const uint8_t *from = comments[i].data + at, *end = memchr(from, ',', comments[i].len - at);
            size_t n = end ? (size_t)(end - from) + 1 : comments[i].len - at;
            struct slice pair = {from, n};
            if (!tag_text_passes(pair) && !(t->wild && tag_wild_begins(t->wild, pair)))
                hash = XXH3_64bits_withSeed(from, n, hash);
            at += n;
        }
    return hash | 1;
}

// ---- sets

static void weigh(struct tags *t, size_t more) {
    account_set(t->memory, &t->weighs, t->weighs + more);
}

static bool make_room(struct tags *t) {
    if (!t->slots) {
        t->slots = calloc(TAGS_SLOTS, sizeof *t->slots);
        weigh(t, t->slots ? TAGS_SLOTS * sizeof *t->slots + MEMORY_BLOCK : 0);
    }
    if (!t->wild) {
        t->wild = calloc(1, sizeof *t->wild);
        weigh(t, t->wild ? sizeof *t->wild + MEMORY_BLOCK : 0);
    }
    if (!t->slots || t->n < t->room)
        return t->slots;
    unsigned room = t->room ? 2 * t->room : 32;
    struct tag_set *of = realloc(t->of, room * sizeof *of);
    if (!of)
        return false;
    memset(of + t->room, 0, (room - t->room) * sizeof *of);
    weigh(t, (room - t->room) * sizeof *of);
    t->of = of;
    t->room = room;
    t->n = t->n < 2 ? 2 : t->n;
    return true;
}

static uint16_t *slot_of(const struct tags *t, uint64_t digest) {
    uint16_t *slot = &t->slots[digest % TAGS_SLOTS];
    while (*slot && t->of[*slot].digest != digest)
        slot = slot + 1 < t->slots + TAGS_SLOTS ? slot + 1 : t->slots;
    return slot;
}

static void keep(struct tags *t, uint64_t digest, uint16_t number) {
    t->kept[digest % TAGS_KEPT].digest = digest;
    t->kept[digest % TAGS_KEPT].number = number;
}

// The set of these names and values, in the order of the names.
static uint16_t find(struct tags *t, const struct tag_text *x, bool may_add, bool *added) {
    char text[TAGS_LONGEST + 2];
    size_t len = tag_text_write(x, text, sizeof text);
    uint64_t digest = XXH3_64bits(text, len) | 1;
    if (!x->n)
        return TAGS_NONE;
    if (!make_room(t))
        return TAGS_OTHER;
    uint16_t *slot = slot_of(t, digest);
    if (*slot || !may_add || t->n >= t->max + 2 || t->n >= TAGS_SLOTS / 2)
        return *slot ? *slot : TAGS_OTHER;
    char *own = account_is_short(t->memory, len) ? NULL : malloc(len);
    if (!own)
        return TAGS_OTHER;
    memcpy(own, text, len);
    weigh(t, len + MEMORY_BLOCK);
    t->of[t->n] = (struct tag_set){.digest = digest, .page = tag_text_page(x), .text = own};
    if (t->wild)
        tag_wild_note(t->wild, x);
    *added = true;
    return *slot = (uint16_t)t->n++;
}

static uint16_t find_tamed(struct tags *t, struct tag_text *x, bool may_add, bool *added) {
    tag_text_sort(x);
    if (t->wild)
        tag_wild_tame(t->wild, x);
    return find(t, x, may_add, added);
}

void tags_finish(struct tags *t) {
    for (unsigned i = 2; i < t->n; i++)
        free(t->of[i].text);
    free(t->of);
    free(t->slots);
    free(t->wild);
    account_set(t->memory, &t->weighs, 0);
    *t = (struct tags){.max = t->max, .memory = t->memory};
}

void tags_forget_figures(struct tags *t) {
    for (unsigned i = 0; i < t->n; i++)
        t->of[i].statements = t->of[i].lookups = t->of[i].sent = t->of[i].waited = 0;
}

bool tags_known(const struct tags *t, uint64_t digest, uint16_t *number) {
    *number = t->kept[digest % TAGS_KEPT].number;
    return t->kept[digest % TAGS_KEPT].digest == digest;
}

uint16_t tags_read(struct tags *t, struct slice text, uint64_t digest, bool may_add, bool *added) {
    struct slice comments[2];
    struct tag_text x = {0};
    if (!tags_comments(text, comments) || !are_comments(text, comments))
        return TAGS_NONE;
    for (unsigned i = 0; i < 2; i++)
        tag_text_comments(&x, comments[i]);
    uint16_t number = find_tamed(t, &x, may_add, added);
    if (number != TAGS_OTHER)
        keep(t, digest, number);
    return number;
}

uint16_t tags_set(struct tags *t, struct slice value) {
    struct tag_text x = {0};
    bool added;
    tag_text_pairs(&x, value);
    return find_tamed(t, &x, true, &added);
}

uint16_t tags_of(struct tags *t, const char *name, struct slice value) {
    struct tag_text x = {0};
    bool added;
    tag_text_add(&x, (struct slice){(const uint8_t *)name, strlen(name)}, value);
    return find(t, &x, true, &added);
}

struct tag_set *tags_at(const struct tags *t, uint16_t number) {
    return number && number < t->n ? &t->of[number] : NULL;
}

bool tags_next(const struct tag_set *s, const char **at, const char **name, const char **value) {
    const char *from = *at ? *at : s->text;
    if (!from || !*from)
        return false;
    *name = from;
    *value = from + strlen(from) + 1;
    *at = *value + strlen(*value) + 1;
    return true;
}

bool tags_call_site(const struct tag_set *s, char *out, size_t room) {
    const char *at = NULL, *name, *value, *file = NULL, *line = NULL;
    while (tags_next(s, &at, &name, &value)) {
        enum tag_role role = tag_text_role(name);
        file = role == TAG_FILE ? value : file;
        line = role == TAG_LINE ? value : line;
    }
    bool place = line && (strchr(line, ':') || strchr(line, '/') || strchr(line, '.')); // marginalia's
    if (file && line && !place)
        snprintf(out, room, "%s:%s", file, line);
    else
        snprintf(out, room, "%s", file ? file : place ? line : "");
    return *out;
}
