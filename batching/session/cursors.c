// SPDX-License-Identifier: PostgreSQL
#include "batching/session/cursors.h"

#include <stdlib.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/statement/parse.h"

#define MAX_OPEN 16

struct open_cursor {
    char name[CURSOR_MAX_NAME + 1];
    struct shape *select;       // declared: what it runs, a reference
    struct statement *portal;   // bound: what it runs, a reference
    bool fresh;                 // bound in the unit that is open
    bool held;                  // stays when the transaction ends
    struct row_formats formats; // bound
};

struct open_cursors {
    unsigned n;
    struct open_cursor all[MAX_OPEN]; // the latest one last
};

static struct open_cursor *find(const struct session *s, struct slice name) {
    for (unsigned i = 0; s->cursors && i < s->cursors->n; i++)
        if (slice_is(name, s->cursors->all[i].name, strlen(s->cursors->all[i].name)))
            return &s->cursors->all[i];
    return NULL;
}

static void drop(struct session *s, struct open_cursor *c) {
    struct open_cursors *all = s->cursors;
    statement_unref(c->portal);
    shape_unref(c->select);
    size_t behind = (size_t)(all->all + --all->n - c);
    memmove(c, c + 1, behind * sizeof *c);
}

void session_forget_cursors(struct session *s, bool all) {
    for (unsigned i = s->cursors ? s->cursors->n : 0; i-- > 0;)
        if (all || !(s->cursors->all[i].held || s->cursors->all[i].fresh))
            drop(s, &s->cursors->all[i]);
    if (s->cursors && !s->cursors->n) {
        free(s->cursors);
        s->cursors = NULL;
    }
}

void session_forget_cursor(struct session *s, struct slice name) {
    struct open_cursor *c = find(s, name);
    if (c)
        drop(s, c);
    else if (name.len > CURSOR_MAX_NAME)
        session_forget_cursors(s, true);
}

// The entry of this name, new and empty. NULL: out of memory, or the name is too long.
static struct open_cursor *add(struct session *s, struct slice name) {
    session_forget_cursor(s, name);
    if (name.len > CURSOR_MAX_NAME)
        return NULL;
    if (!s->cursors)
        s->cursors = calloc(1, sizeof *s->cursors);
    if (!s->cursors)
        return NULL;
    if (s->cursors->n == MAX_OPEN)
        drop(s, s->cursors->all);
    struct open_cursor *c = &s->cursors->all[s->cursors->n++];
    *c = (struct open_cursor){0};
    memcpy(c->name, name.data, name.len);
    return c;
}

static struct slice name_of(const struct cursor_statement *c) {
    return (struct slice){(const uint8_t *)c->name, strlen(c->name)};
}

// ---- cursors

// Is nothing but the unit at hand under way for the client?
static bool is_alone(const struct session *s) {
    return s->n_forward == (s->in_unit ? 1u : 0u);
}

static struct shape *declared_select(struct session *s, const struct cursor_statement *c, bool extended) {
    enum reason why;
    struct shape_text values;
    if (s->txn != (c->hold ? 'I' : 'T'))
        return NULL;
    struct shape *shape = extended ? shape_verbatim(&s->engine->shapes, c->select, &why)
                                   : shape_simple(&s->engine->shapes, c->select, &values, &why);
    bool reads = shape && shape->parsed->kind == STATEMENT_READ && shape->parsed->reason != REASON_LOCKING;
    return reads ? shape : NULL;
}

struct shape *session_cursor_select(struct session *s, const struct cursor_statement *c, bool extended) {
    if (c->verb == CURSOR_DECLARE && is_alone(s))
        return declared_select(s, c, extended);
    const struct open_cursor *open = c->verb == CURSOR_FETCH && is_alone(s) ? find(s, name_of(c)) : NULL;
    return open && (open->held || s->txn == 'T') ? open->select : NULL;
}

void session_note_cursor(struct session *s, const struct cursor_statement *c, struct shape *select) {
    if (c->verb == CURSOR_CLOSE && !c->name[0])
        session_forget_cursors(s, true);
    else if (c->verb == CURSOR_CLOSE)
        session_forget_cursor(s, name_of(c));
    else if (c->verb == CURSOR_DECLARE) {
        struct open_cursor *open = add(s, name_of(c));
        if (open) {
            open->held = c->hold;
            open->select = shape_ref(select);
        }
    }
}

// ---- portals

void session_note_portal(struct session *s, struct slice name, struct statement *st,
                         const struct row_formats *formats) {
    struct open_cursor *c = st && st->shape ? add(s, name) : NULL;
    if (!c) {
        session_forget_cursor(s, name);
        return;
    }
    c->portal = st;
    st->refs++;
    c->fresh = true;
    c->formats = *formats;
}

struct statement *session_portal(const struct session *s, struct slice name) {
    const struct open_cursor *c = find(s, name);
    return c && (c->fresh || is_alone(s)) ? c->portal : NULL;
}

void session_resume_portal(const struct session *s, struct slice name, struct owed *o) {
    const struct open_cursor *c = find(s, name);
    if (!c || !c->portal || c->fresh || o->forward.binds)
        return;
    o->forward.binds = o->forward.resumes = true;
    o->forward.bound = c->portal;
    o->forward.bound->refs++;
    o->forward.formats = c->formats;
}

void session_end_portals(struct session *s) {
    for (unsigned i = 0; s->cursors && i < s->cursors->n; i++)
        s->cursors->all[i].fresh = false;
}
