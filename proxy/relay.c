// SPDX-License-Identifier: PostgreSQL
//
// Carries out what the engine decides: its effects become bytes on a link's sockets. None of them closes
// anything or calls back into the engine; what they notice is handled when the turn ends.
#include <string.h>

#include "proxy/link.h"
#include "batching/session/engine.h"
#include "batching/session/wire.h"
#include "batching/talk/life.h"

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    link_to_client(owner, bytes, len, more);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    link_to_server(owner, bytes, len, more);
}

static void list_dirty(struct link *l) {
    if (l->dirty || l->state == LINK_CLOSED)
        return;
    l->dirty = true;
    l->next_dirty = l->proxy->dirty;
    l->proxy->dirty = l;
}

static void resume_client(void *owner) {
    struct link *l = owner;
    l->resume = true;
    list_dirty(l);
}

static bool relay_cancel(void *owner) {
    return cancel_for_engine(owner);
}

static void finished(void *owner) {
    list_dirty(owner); // nothing of ours keeps the connection any more: ending.c
}

// What the engine says is a sentence, or the text of a shape without its constants.
static void engine_log(void *ctx, enum reason reason, uint64_t session, const char *message) {
    const struct proxy *p = ctx;
    if (reason == REASON_SWITCHED_OFF)
        log_limited(&p->log, NULL, LOG_LEVEL_WARNING, session,
                    "a folded answer differed from the original's, the statement is not folded any more: %s",
                    message);
    else if (reason == REASON_VERIFY)
        log_limited(&p->log, NULL, LOG_LEVEL_WARNING, session,
                    "a folded answer differs from the original's, which the client was given: %s", message);
    else if (reason == REASON_POOLER)
        log_limited(
            &p->log, NULL, LOG_LEVEL_ERROR, session,
            "between pgfold and the server at %s is a pooler that shares server connections between clients "
            "(PgBouncer in transaction mode, RDS Proxy, Supavisor): pgfold cannot work behind it and only "
            "forwards from now on. Put the pooler in front of pgfold, or set its pool_mode to session, and "
            "start pgfold anew",
            message);
    else if (reason == REASON_POOLER_SEEN)
        log_limited(
            &p->log, NULL, LOG_LEVEL_INFO, session,
            "between pgfold and the server at %s is a pooler (the process that the log-in names is not "
            "pg_backend_pid()): it must not share server connections (pool_mode = session)",
            message);
    else if (reason == REASON_VET_REFUSED)
        log_event(&p->log, LOG_LEVEL_DEBUG, session, "a shape is not folded: %s", message);
    else
        log_event(&p->log, LOG_LEVEL_DEBUG, session, "a batch failed, its members run alone: %s", message);
}

const struct engine_effects relay_effects = {
    .to_client = to_client,
    .to_server = to_server,
    .resume_client = resume_client,
    .relay_cancel = relay_cancel,
    .finished = finished,
    .log = engine_log,
};

void relay_start(struct link *l, struct slice startup_params, bool opaque) {
    struct slice address = {(const uint8_t *)l->address, strlen(l->address)};
    proxy_tell_time(l->proxy);
    l->session = session_create(l->proxy->engine, l, address, startup_params, opaque);
    if (l->session)
        session_server(l->session, address, l->key ? get_u32(l->key) : 0);
    if (l->session)
        link_set_state(l, LINK_READY);
    else
        link_refuse(l, "53200", "out of memory", NULL);
}

void relay_parameter(struct link *l, const char *name, const char *value) {
    if (l->session && *value)
        session_parameter(l->session, (struct slice){(const uint8_t *)name, strlen(name)},
                          (struct slice){(const uint8_t *)value, strlen(value)});
}
