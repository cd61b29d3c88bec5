// SPDX-License-Identifier: PostgreSQL
//
// No effect of the engine's closes anything or calls back into the engine. What an effect notices is handled
// when the turn ends.
#include "proxy/relay.h"

#include <string.h>

#include "batching/session/pooler.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/session_state.h"
#include "batching/session/settle.h"
#include "batching/session/wire.h"
#include "batching/talk/client.h"
#include "batching/talk/life.h"
#include "batching/talk/server.h"
#include "protocol/write.h"
#include "proxy/cancel.h"
#include "proxy/cancel_key.h"

// ---- the engine's effects

static void to_client(void *owner, const uint8_t *bytes, size_t len, bool more) {
    link_to_client(owner, bytes, len, more);
}

static void to_server(void *owner, const uint8_t *bytes, size_t len, bool more) {
    link_to_server(owner, bytes, len, more);
}

static void resume_client(void *owner) {
    struct link *l = owner;
    l->resume = true;
    link_mark_dirty(l);
}

static bool relay_cancel(void *owner) {
    return cancel_for_engine(owner);
}

static void finished(void *owner) {
    link_mark_dirty(owner); // nothing of ours runs on the connection any more: ending.c closes it
}

// The engine's message is a sentence, or the text of a statement without its constants.
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
            "start pgfold again",
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

// ---- the stage

static size_t from_client(struct link *l, const uint8_t *bytes, size_t len) {
    bool open = l->state == LINK_READY || l->state == LINK_LENDING;
    return open ? session_from_client(l->session, bytes, len, proxy_now()) : len;
}

static size_t from_server(struct link *l, const uint8_t *bytes, size_t len) {
    bool open = l->state == LINK_READY || l->state == LINK_LENDING;
    return open ? session_from_server(l->session, bytes, len, proxy_now()) : len;
}

// A client that does not read its answers is not asked for more questions, as PostgreSQL does it. One that
// has gone has sent what is still to be run.
static bool takes_client(const struct link *l) {
    bool open = l->state == LINK_READY || l->state == LINK_LENDING;
    return open && session_takes_client(l->session) && !link_is_backlogged(l, &l->server) &&
           (l->state == LINK_LENDING || !link_is_backlogged(l, &l->client));
}

// There must be room for what one more read and a batch may add to the bytes that wait for the client.
static bool looks_on(const struct link *l) {
    const struct engine *e = l->proxy->engine;
    size_t waiting = l->client.out.len;
    size_t adds = (size_t)l->settings->config->max_answer + (size_t)2 * PROXY_READ_SIZE;
    return l->looks_on && waiting < room_share(e) && waiting < engine_max_session(e) / 8 &&
           waiting + adds < l->client.out.limit;
}

static bool takes_server(const struct link *l) {
    if (l->state == LINK_READY)
        return !link_is_backlogged(l, &l->client) || session_server_is_lending(l->session) || looks_on(l);
    return l->state == LINK_LENDING;
}

// The client has ended. Units that wait for their rest go out now. False: the link was closed by that.
static bool tell_session(struct link *l) {
    if (session_is_ending(l->session))
        return true;
    session_client_ends(l->session);
    link_offer_leftover(l, &l->client);
    return l->state != LINK_CLOSED;
}

static bool end_is_due(struct link *l) {
    return tell_session(l) && !session_has_failed(l->session) && session_end_is_due(l->session);
}

static void closes(struct link *l) {
    session_destroy(l->session, proxy_now());
    l->session = NULL;
    cancel_forget_link(l);
    cancel_key_remove(l);
}

static const struct link_stage relay_stage = {
    .from_client = from_client,
    .from_server = from_server,
    .takes_client = takes_client,
    .takes_server = takes_server,
    .end_is_due = end_is_due,
    .closes = closes,
};

void relay_start(struct link *l, struct slice startup_params, bool opaque) {
    struct slice address = {(const uint8_t *)l->address, strlen(l->address)};
    l->session = session_create(l->proxy->engine, l, address, startup_params, opaque, proxy_now());
    if (!l->session)
        return link_refuse(l, "53200", "out of memory", NULL);
    session_server(l->session, address, l->key ? get_u32(l->key) : 0);
    l->stage = &relay_stage;
    link_set_state(l, LINK_READY);
}

void relay_parameter(struct link *l, const char *name, const char *value) {
    if (l->session && *value)
        session_parameter(l->session, (struct slice){(const uint8_t *)name, strlen(name)},
                          (struct slice){(const uint8_t *)value, strlen(value)});
}
