// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/opaque.h"

#include "batching/flow/await.h"
#include "batching/session/cancel_request.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/hold.h"
#include "batching/session/learn.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/session/wire.h"
#include "batching/talk/life.h"
#include "batching/trust/identity.h"

// Forwarded units will not get a reply that can be recognised: what waits for one is let go.
static void release_forwarded(struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        struct owed *o = owed_at(s, i);
        if (o->kind == OWED_FORWARD)
            owed_release(s, o);
        if (o->kind == OWED_FORWARD)
            o->of.group = NULL;
    }
}

// Are replies to messages of ours still to come inside a client's unit?
static bool awaits_delayed(const struct session *s) {
    unsigned at = s->expect.head;
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        for (unsigned end = at + o->n_expected; s->expect.ring && at != end; at++)
            if (s->expect.ring[at & (s->expect.cap - 1)].kind == EXPECT_DELAYED && o->kind != OWED_PARSE)
                return true;
    }
    return false;
}

void session_go_opaque(struct session *s) {
    if (s->begun.due)
        owed_send_begin(s); // nothing is put between its bytes from now on
    s->opaque = true;
    session_note_write(s, NULL);
    release_forwarded(s);
    s->in_unit = false;
    cancel_forget(s);
    session_end_learning(s);
    if (awaits_delayed(s)) // the client would get those replies
        session_fail(s, "08P01", "the statements behind this one cannot be told apart any more");
    if (s->hold.lookups || s->hold.full || s->hold.unit)
        s->engine->effects->resume_client(s->owner);
    hold_end_all(s);
    await_end(s);
    session_identity_forever(&s->engine->identities, &s->identity);
    session_drop_expected(s);
}
