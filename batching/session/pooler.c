// SPDX-License-Identifier: PostgreSQL
#include "batching/session/pooler.h"

#include <stdlib.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/session.h"

void pooler_finish(struct engine *e) {
    while (e->servers) {
        struct endpoint *server = e->servers;
        e->servers = server->next;
        free(server);
    }
}

static struct endpoint *server_for(struct engine *e, struct slice address) {
    struct endpoint *server = e->servers;
    while (server && !slice_is(address, server->address, strlen(server->address)))
        server = server->next;
    if (server)
        return server;
    server = calloc(1, sizeof *server + address.len + 1);
    if (!server)
        return NULL;
    memcpy(server->address, address.data, address.len);
    server->next = e->servers;
    return e->servers = server;
}

void session_server(struct session *s, struct slice address, uint32_t pid) {
    s->server = server_for(s->engine, address);
    s->login_process = pid;
    s->wants_proof = s->server && s->server->kind == POOLER_SOME;
}

// Was another session that is still there answered by the same process? A session that is leaving does not
// count, since it may have given the process back. Two sessions whose log-ins both named this process do not
// count either: they are at two servers behind one address.
static bool is_anothers(const struct session *s, uint32_t pid) {
    for (const struct session *o = s->engine->sessions; o; o = o->next)
        if (o != s && o->server == s->server && o->process == pid && !o->terminating && !o->server_gone &&
            (s->login_process != pid || o->login_process != pid))
            return true;
    return false;
}

static void tell(struct session *s, enum reason reason) {
    struct engine *e = s->engine;
    e->effects->log(e->ctx, reason, s->id, s->server->address);
}

// Has all sessions at this address proved, so that their processes can be compared.
static void ask_all(struct engine *e, const struct endpoint *server) {
    for (struct session *s = e->sessions; s; s = s->next)
        s->wants_proof |= s->server == server && !s->process;
}

static void drop_held_of_all(struct endpoint *server, struct session *first) {
    for (struct session *s = first; s; s = s->next)
        if (s->server == server)
            ahead_drop(s);
}

void pooler_note(struct session *s, uint32_t pid) {
    struct endpoint *server = s->server;
    if (!server || !pid || server->kind == POOLER_SHARES)
        return;
    bool moved = (s->process && s->process != pid) || is_anothers(s, pid);
    s->process = pid;
    if (moved) {
        server->kind = POOLER_SHARES;
        drop_held_of_all(server, s->engine->sessions);
        tell(s, REASON_POOLER);
        return;
    }
    server->kind = pid == s->login_process ? POOLER_NONE : POOLER_SOME;
    if (server->kind != POOLER_SOME || server->told)
        return;
    server->told = true;
    tell(s, REASON_POOLER_SEEN);
    ask_all(s->engine, server);
}

bool session_is_careful(const struct session *s) {
    return s->server && s->server->kind != POOLER_NONE;
}

bool session_is_pooled(const struct session *s) {
    return s->server && s->server->kind == POOLER_SOME;
}

bool session_only_forwards(const struct session *s) {
    return s->server && s->server->kind == POOLER_SHARES;
}

bool session_runs_own(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++)
        if (owed_is_own(owed_at(s, i)))
            return true;
    return false;
}
