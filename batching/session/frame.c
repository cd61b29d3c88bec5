// SPDX-License-Identifier: PostgreSQL
#include "batching/session/frame.h"

#include "batching/fold/savepoint.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/wire.h"
#include "protocol/buf.h"

bool session_is_framed(const struct session *s) {
    return s->frame.n || s->frame.repair_due;
}

// A transaction that was aborted before the unit began is the client's own affair.
void session_frame_ended(struct session *s, char status) {
    s->frame.n--;
    s->frame.prepared &= status == 'T'; // else the server may not have reached the Parse messages
    if (status == s->txn || s->client_gone)
        return;
    if (s->txn == 'T' && status == 'E')
        s->frame.repair_due = true;
    else
        session_fail(s, "08P01", "the server has ended a transaction unasked");
}

// A repair is not sent while a cancel request is under way that could hit it.
void session_repair(struct session *s) {
    struct buf *b = &s->engine->request;
    if (!s->frame.repair_due || s->cancel.under_way || s->frame.n || s->failed)
        return;
    s->frame.repair_due = false;
    buf_reset(b);
    savepoint_write_repair(b);
    if (b->failed || !owed_push(s, OWED_REPAIR)) {
        session_fail(s, "53200", "out of memory");
        return;
    }
    s->frame.n++;
    s->engine->effects->to_server(s->owner, b->data, b->len, false);
}

// If the repair failed, the client's transaction is lost and the client does not know. It must not go on as
// if nothing had happened.
void session_repair_ended(struct session *s, char status) {
    s->frame.n--;
    if (status != s->txn && !s->client_gone)
        session_fail(s, "08006", "a batch of lookups has failed and taken the transaction with it");
}
