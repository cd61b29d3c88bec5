// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/lend.h"

#include <string.h>

#include "batching/base/memory.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/savepoint.h"
#include "batching/session/engine.h"
#include "batching/session/frame.h"
#include "batching/session/late.h"
#include "batching/session/owed.h"
#include "batching/session/own_prepared.h"
#include "batching/session/pooler.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/vouch.h"
#include "batching/trust/seal.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

bool session_can_lend(const struct session *s) {
    if (s->own.keeps_out || s->terminating || s->server_gone || s->failed || s->backlogged || s->opaque ||
        session_only_forwards(s) || session_is_cancelling(s) || s->in_unit ||
        session_txn_reason(s) != REASON_NONE || s->frame.repair_due || s->n_forward || s->server_skip ||
        s->owed.n >= s->engine->limits.max_owed)
        return false;
    for (unsigned i = 0; i < s->owed.n; i++)
        if (owed_at(s, i)->kind == OWED_LOOKUP)
            return false; // the client of that lookup may read slowly
    return true;
}

// ---- a client with names like ours

// This is a unit of our own. Inside a unit of the client's nothing can be closed; then the server says that
// the name is taken. It also says so if the client came to the name in a way that pgfold did not notice,
// since `name` is closed only if a batch may have left it.
void session_keep_out(struct session *s, struct slice name) {
    struct buf *b = &s->engine->request;
    char own[GROUP_NAME_SIZE];
    bool left = s->own.lent && group_is_statement_name(name);
    bool frame = s->frame.prepared || (s->own.lent && !s->own.keeps_out);
    own_prepared_keep_out(s);
    if ((!s->own.n && !frame && !left) || s->in_unit)
        return;
    buf_reset(b);
    if (frame)
        savepoint_write_forget(b);
    for (unsigned i = 0; i < s->own.n; i++) {
        group_statement_name(s->own.ring[i].name, own);
        write_close(b, 'S', (struct slice){(const uint8_t *)own, strlen(own)});
    }
    if (left)
        write_close(b, 'S', name);
    write_empty(b, F_SYNC);
    if (b->failed || !owed_push(s, OWED_SETUP))
        return;
    session_forget_statements(s, false);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

// ---- seals

// The seal under which the batch can be sent without a check; NULL: none. A check also tells of writes and
// definitions, so it is sent all the same now and then, and always with rows that will be held (asks_facts).
static const struct seal *seal_for(struct session *s, const struct batch *b) {
    struct group *g = b->group;
    const struct seal *seal = g->sealed && !b->asks_facts ? own_prepared_seal(s, g->statement) : NULL;
    if (seal && seal_is_usable(seal, &g->seals))
        return seal;
    if (seal && !b->framed && seal_is_worn(seal, &g->seals))
        session_unprepare(s, g->statement);
    return NULL;
}

// ---- the batch

// Nothing new may have run on the connections that share its rows that nobody has been told of.
static bool asks_facts(const struct session *s, const struct batch *b) {
    bool asks = b->ahead.home, shared = false;
    for (uint32_t i = 0; i < b->n_members && !asks; i++) {
        const struct session *member = b->members[i] ? b->members[i]->session : s;
        shared |= member != s;
        asks = member != s && trust_is_due(member);
    }
    return asks || (shared && trust_is_due(s));
}

static void batch_not_sent(struct session *s, struct batch *b, const struct batch_prepared *p,
                           const char *why) {
    own_prepared_take_back(s, b, p);
    b->failed = true;
    b->why = why;
}

bool session_run_batch(struct session *s, struct batch *b) {
    struct engine *e = s->engine;
    struct batch_prepared p = {0};
    if (s->own.keeps_out) {
        p.statement = p.stamp = true;
        batch_not_sent(s, b, &p, "its client uses names that begin with pgfold_");
        return false;
    }
    b->framed = s->txn != 'I';
    b->frame_prepared = s->frame.prepared;
    b->snapshot = session_snapshot_is_fixed(s);
    b->asks_facts = asks_facts(s, b);
    const struct seal *seal = seal_for(s, b);
    struct seal copy = seal ? *seal : (struct seal){0};
    p.seal = seal ? &copy : NULL;
    p.statement = own_prepared_use(s, batch_statement(b), &p);
    if (p.statement && b->derived && b->derived->once) { // another text had its name
        p.closes[p.n_closes++] = b->derived->name;
        p.statement = false;
    }
    p.stamp = p.seal || own_prepared_use(s, batch_stamp(b), &p);
    buf_reset(&e->request);
    batch_write(b, &p, &e->request);
    struct owed *o = e->request.failed ? NULL : owed_push(s, OWED_BATCH);
    if (!o) {
        batch_not_sent(s, b, &p, "the request is too large, or too many replies are owed");
        return false;
    }
    o->of.batch = b;
    o->framed = b->framed;
    if (b->framed)
        frame_begin_prepared(s);
    b->lender = s;
    b->sent = true;
    own_prepared_lend(s);
    b->memory = &s->queue_memory;
    account_set(b->memory, &b->weighs, batch_bytes(b));
    late_batch_sent(s, b);
    s->last_used = e->now;
    e->effects->to_server(s->owner, e->request.data, e->request.len, false);
    return true;
}
