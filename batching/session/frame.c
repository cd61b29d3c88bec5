// SPDX-License-Identifier: PostgreSQL
#include "batching/session/frame.h"

#include <string.h>

#include "batching/fold/savepoint.h"
#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/wire.h"
#include "protocol/buf.h"
#include "protocol/write.h"

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

// The client's transaction is lost and the client does not know. It must not go on as if nothing had happened.
static void lose(struct session *s) {
    session_fail(s, "08006", "a statement of pgfold's has failed and taken the transaction with it");
}

void session_repair_ended(struct session *s, char status) {
    s->frame.n--;
    if (status != s->txn && !s->client_gone)
        lose(s);
}

static bool owes_client(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++)
        if (owed_is_the_clients(owed_at(s, i)))
            return true;
    return false;
}

// Such a block is only rolled back by the last statement of the unit, which a cancel request has hit. If a statement of the client's was
// sent behind it, that fails, and tells the client so.
void session_block_left(struct session *s) {
    struct buf *b = &s->engine->request;
    if (s->client_gone || s->failed || owes_client(s))
        return;
    buf_reset(b);
    write_query(b, "ROLLBACK", strlen("ROLLBACK"));
    if (b->failed || !owed_push(s, OWED_UNDO))
        session_fail(s, "53200", "out of memory");
    else
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

// A cancel request of the client's that came late may have hit it. If a statement of the client's was sent behind it, that
// fails, as it would if the request had hit it, and tells the client so.
void session_undone(struct session *s, const struct owed *o, char status) {
    if (status == s->txn || s->client_gone)
        return;
    if (!o->interrupted)
        lose(s);
    else if (!owes_client(s))
        s->frame.repair_due = true;
}
