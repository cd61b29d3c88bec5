// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/end_take.h"

#include "batching/base/distance.h"
#include "batching/session/engine.h"
#include "batching/session/lazy.h"
#include "batching/session/owed.h"
#include "batching/session/pooler.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/wire.h"
#include "batching/talk/boundary_unit.h"
#include "protocol/write.h"

#define MOST 4 // that the server has not answered

bool end_may_be_early(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    return l->early_commit && !l->observe && !l->verify && distance_is_far(&s->engine->distance) &&
           !s->terminating && !s->server_gone;
}

static bool may_end(const struct session *s) {
    return end_may_be_early(s) && s->n_ends < MOST && session_is_quiet(s) && !session_is_careful(s) &&
           session_txn_has_only_read(s);
}

// Sends the ROLLBACK that was cancelled, or whatever it was.
static void send_again(struct session *s) {
    struct buf *b = &s->engine->request;
    struct owed *o = owed_push_end(s);
    buf_reset(b);
    write_query(b, "ROLLBACK", 8);
    if (!o || b->failed) {
        session_fail(s, "53200", "out of memory");
        return;
    }
    o->again = true;
    session_note_unnamed(s, false, NULL);
    s->engine->effects->to_server(s->owner, b->data, b->len, false);
}

enum take end_take(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    struct boundary_unit b;
    if (s->txn != 'T' || s->begun.due || !may_end(s) || !boundary_unit_read(f, u, r, &b) ||
        boundary_begins(&b) || !b.whole || (b.runs && session_lacks(s, b.runs)))
        return TAKE_FORWARD;
    feed_to_server(f, true);
    if (!owed_push_end(s))
        return TAKE_FORWARD;
    s->engine->effects->to_server(s->owner, f->bytes + f->at, u->size, true);
    s->engine->counters.early_ends++;
    if (!boundary_unit_answer(s, &b))
        session_fail(s, "53200", "out of memory");
    return TAKE_TAKEN;
}

void end_late(struct session *s, const struct owed *o, char status) {
    if (o->error)
        session_note_unnamed(s, false, NULL);
    bool over = status == 'I', undone = over && o->error && !o->again;
    if (undone)
        engine_definitions_changed(s->engine); // what was taken for a plain read has become something else
    if ((over && !undone) || s->client_gone)
        return;
    if (undone) {
        session_fail(s, "08006",
                     "the server has failed to commit a transaction whose end the client was told of");
        return;
    }
    if (o->error && !o->again && !s->owed.n && !s->in_unit)
        send_again(s);
    else
        session_fail(s, "08006", "the server has not ended a transaction whose end the client was told of");
}
