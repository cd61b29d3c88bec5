// SPDX-License-Identifier: PostgreSQL
#include "batching/session/watched.h"

#include <string.h>

#include "batching/base/hash.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"
#include "batching/trust/writes.h"
#include "batching/watch/scope.h"
#include "protocol/startup.h"

static void enter(struct session *s, struct slice name) {
    struct scopes *all = &s->engine->scopes;
    struct scope *of = scope_for(all, name);
    scope_unref(all, s->watch.scope);
    s->watch.scope = of;
}

// The scope of a database and a user. A name that a client chooses has no zero in it, so it is none of these.
static void enter_default(struct session *s) {
    uint8_t name[sizeof s->watch.user + 1 + 63];
    size_t len = s->database->len < 63 ? s->database->len : 63;
    memcpy(name, s->database->name, len);
    name[len] = 0;
    memcpy(name + len + 1, &s->watch.user, sizeof s->watch.user);
    enter(s, (struct slice){name, len + 1 + sizeof s->watch.user});
}

struct scope *session_scope(struct session *s) {
    if (!s->watch.scope)
        enter_default(s);
    return s->watch.scope;
}

void watched_enter(struct session *s, struct slice name) {
    if (name.len)
        enter(s, name);
    else
        enter_default(s);
}

struct section *session_section(struct session *s, unsigned i) {
    struct scopes *all = &s->engine->scopes;
    if (!scopes_are_watched(all))
        return NULL;
    return scope_section(all, all->n_begun ? session_scope(s) : NULL, i);
}

bool session_is_watched(struct session *s) {
    return session_section(s, 0) || session_section(s, 1);
}

void watched_begin(struct session *s, struct slice startup_params) {
    struct startup start = {.params = startup_params};
    struct slice value;
    char room[1024];
    if (startup_param(&start, "user", &value))
        s->watch.user = XXH3_64bits(value.data, value.len);
    if (startup_setting(&start, "pgfold.scope", room, sizeof room, &value) && value.len)
        enter(s, value);
}

static uint64_t last_list(const struct session *s) {
    return s->ahead ? s->ahead->trail.serial : 0;
}

void watched_part(struct session *s) {
    if (!s->engine->scopes.runs)
        return;
    s->watch.parted = last_list(s);
    section_part(&s->engine->scopes.run, s->id);
}

void watched_part_all(struct engine *e, const struct scope *of) {
    for (struct session *s = e->sessions; s; s = s->next) {
        s->watch.parted = last_list(s);
        if (session_scope(s) == of)
            s->watch.before = s->watch.parted;
    }
    section_part(&e->scopes.run, 0);
}

void watched_finish(struct session *s) {
    watched_part(s);
    scope_unref(&s->engine->scopes, s->watch.scope);
    s->watch.scope = NULL;
}

void watched_note(struct session *s, enum statement_kind kind, const struct parsed *p) {
    s->watch.looked = false;
    if (kind == STATEMENT_ROLLBACK)
        watched_part(s);
    s->engine->scopes.n_seen += scopes_are_watched(&s->engine->scopes);
    for (unsigned i = 0; i < 2; i++) {
        struct section *at = session_section(s, i);
        if (at)
            section_note(at, kind, p);
    }
}

void watched_note_list(struct session *s, struct shape *shape) {
    if (shape && session_is_watched(s))
        scopes_note_list(&s->engine->scopes, shape);
}
