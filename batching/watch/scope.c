// SPDX-License-Identifier: PostgreSQL
#include "batching/watch/scope.h"

#include <stdlib.h>
#include <string.h>

#include "batching/statement/redact.h"
#include "batching/statement/shape.h"

#define SECTION_WEIGHS (SECTION_SHAPES * sizeof(struct section_shape))

void scopes_expect(struct scopes *s, const struct expectation *e) {
    bool runs = expectation_is_set(e);
    if (!runs || !s->runs)
        section_clear(&s->run);
    s->runs = runs;
    s->run.expect = *e;
    account_set(s->memory, &s->weighs, runs ? SECTION_WEIGHS : 0);
}

void scopes_note_list(struct scopes *s, struct shape *shape) {
    struct shape **at = &s->lists[shape->digest % SCOPES_LISTS];
    if (*at == shape)
        return;
    shape_unref(*at);
    *at = shape_ref(shape);
}

struct shape *scopes_list(const struct scopes *s, uint64_t digest) {
    struct shape *at = s->lists[digest % SCOPES_LISTS];
    return at && at->digest == digest ? at : NULL;
}

bool scopes_add_allowance(struct scopes *s, const char *text) {
    struct allowance **at = &s->allowed, *a = calloc(1, sizeof *a + strlen(text) + 1);
    if (!a)
        return false;
    strcpy(a->text, text);
    while (*at)
        at = &(*at)->next;
    *at = a;
    return true;
}

#define LONGEST 65536 // bytes of a statement that are looked at

bool scopes_allow(struct scopes *s, const struct shape *shape, bool used) {
    bool found = false;
    struct buf text = buf_make(LONGEST);
    if (s->allowed)
        redact_text(shape->text, shape->text_len, LONGEST / 2, &text);
    for (struct allowance *a = s->allowed; a && text.len; a = a->next) {
        if (!memmem(text.data, text.len, a->text, strlen(a->text)))
            continue;
        a->used |= used;
        found = true;
    }
    buf_free(&text);
    return found;
}

static void drop(struct scopes *s, struct scope *of) {
    struct scope **at = &s->list;
    while (*at != of)
        at = &(*at)->next;
    *at = of->next;
    account_set(s->memory, &of->weighs, 0);
    free(of);
}

void scopes_finish(struct scopes *s) {
    for (struct allowance *a = s->allowed, *next; a; a = next) {
        next = a->next;
        free(a);
    }
    s->allowed = NULL;
    for (struct scope *of = s->list, *next; of; of = next) {
        next = of->next;
        if (of->refs)
            continue;
        scope_end(s, of);
        drop(s, of);
    }
    for (unsigned i = 0; i < SCOPES_LISTS; i++) {
        shape_unref(s->lists[i]);
        s->lists[i] = NULL;
    }
    section_clear(&s->run);
    account_set(s->memory, &s->weighs, 0);
    s->runs = false;
}

struct scope *scope_for(struct scopes *s, struct slice name) {
    for (struct scope *of = s->list; of; of = of->next) {
        if (slice_is(name, (const char *)of->name, of->len)) {
            of->refs++;
            return of;
        }
    }
    struct scope *of = calloc(1, sizeof *of + name.len);
    if (!of)
        return NULL;
    memcpy(of->name, name.data, name.len);
    of->len = name.len;
    of->refs = 1;
    of->next = s->list;
    s->list = of;
    account_set(s->memory, &of->weighs, sizeof *of + name.len);
    return of;
}

// The last session has gone. Returns whether the scope stays, for the sake of what was not as expected.
static bool leave(struct scopes *s, struct scope *of) {
    if (of->left)
        return true;
    if (!of->begun || !section_is_broken(&of->section) || s->n_left >= SCOPES_BEGUN)
        return false;
    struct section kept = of->section;
    kept.shapes = NULL;
    scope_end(s, of);
    of->section = kept;
    of->left = true;
    s->n_left++;
    return true;
}

void scope_unref(struct scopes *s, struct scope *of) {
    if (!of || --of->refs || leave(s, of))
        return;
    scope_end(s, of);
    drop(s, of);
}

bool scope_begin(struct scopes *s, struct scope *of, const struct expectation *e) {
    scope_end(s, of);
    if (s->n_begun >= SCOPES_BEGUN)
        return false;
    of->begun = true;
    of->section.expect = *e;
    s->n_begun++;
    account_set(s->memory, &of->weighs, sizeof *of + of->len + SECTION_WEIGHS);
    return true;
}

void scope_end(struct scopes *s, struct scope *of) {
    s->n_begun -= of->begun;
    s->n_left -= of->left;
    of->begun = of->left = false;
    section_clear(&of->section);
    account_set(s->memory, &of->weighs, sizeof *of + of->len);
}
