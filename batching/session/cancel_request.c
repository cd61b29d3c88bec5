// SPDX-License-Identifier: PostgreSQL
#include "batching/session/cancel_request.h"

#include "batching/fold/batch.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"

#define AGAIN         10000 // microseconds from the end of the first request to the second one
#define MAX_DOUBLINGS 8     // of that interval, one for each request

// ---- sending

// False: something that a request must not hit comes behind what the server runs now.
static bool hits_nothing_else(const struct session *s) {
    for (unsigned i = 1; i < s->owed.n; i++)
        if (!owed_may_be_hit(owed_at(s, i)))
            return false;
    return true;
}

static void repeat_later(struct session *s) {
    struct engine *e = s->engine;
    const struct owed *o = owed_head(s);
    if (!o || !o->cancels || s->cancel.under_way || s->opaque || !hits_nothing_else(s))
        return;
    s->cancel.at = e->now + ((uint64_t)AGAIN << (o->cancels - 1));
    if (s->cancel.listed)
        return;
    s->cancel.listed = true;
    s->cancel.next = e->cancelled;
    e->cancelled = s;
}

void cancel_request_done(struct session *s) {
    s->cancel.under_way--;
    repeat_later(s);
}

static void request(struct session *s) {
    struct owed *o = owed_head(s);
    bool sent = s->engine->effects->relay_cancel(s->owner);
    s->cancel.under_way += sent;
    if (o->kind == OWED_FORWARD && !o->cancels)
        return;
    if (o->cancels < MAX_DOUBLINGS)
        o->cancels++;
    repeat_later(s); // does nothing while it is under way: this is for one that could not be sent
}

void session_relay_cancel(struct session *s) {
    const struct owed *o = owed_head(s);
    if (!o)
        return;
    if (s->cancel.pending && owed_is_the_clients(o)) {
        s->cancel.pending = false;
        request(s);
    } else if (o->unwanted && !o->cancels && (s->cancel.pending || hits_nothing_else(s))) {
        request(s);
    }
}

void cancel_unlist(struct session *s) {
    for (struct session **at = &s->engine->cancelled; s->cancel.listed && *at; at = &(*at)->cancel.next) {
        if (*at != s)
            continue;
        *at = s->cancel.next;
        s->cancel.listed = false;
        return;
    }
}

void cancel_repeat(struct engine *e) {
    for (struct session *s = e->cancelled, *next; s; s = next) {
        next = s->cancel.next;
        if (s->cancel.at && e->now < s->cancel.at)
            continue;
        cancel_unlist(s);
        if (!s->cancel.at)
            continue; // its reply has come
        s->cancel.at = 0;
        request(s);
    }
}

uint64_t cancel_deadline(const struct engine *e) {
    uint64_t at = UINT64_MAX;
    for (const struct session *s = e->cancelled; s; s = s->cancel.next)
        at = s->cancel.at && s->cancel.at < at ? s->cancel.at : at;
    return at;
}

// ---- what it is for

void session_end_batch(struct session *s, const struct batch *b) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_BATCH && o->of.batch == b)
            o->unwanted = true;
    }
    if (!s->server_gone)
        session_relay_cancel(s);
}

void session_cancel_sent(struct session *s) {
    s->cancel.first = false;
    s->cancel.pending = true;
    session_relay_cancel(s);
}

bool cancel_take_held(struct session *s) {
    bool held = s->cancel.held;
    s->cancel.held = false;
    return held;
}

void session_cancel_forwarded(struct session *s) {
    struct owed *o = s->owed.n ? owed_last(s) : NULL;
    s->cancel.held = false;
    if (s->opaque || !o || o->kind != OWED_FORWARD)
        return;
    o->cancels = 1;
    s->cancel.pending = true;
    session_relay_cancel(s);
}
