// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/lend.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/memory.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/fold/savepoint.h"
#include "batching/session/engine.h"
#include "batching/session/late.h"
#include "batching/session/owed.h"
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

// ---- our statements on the connection

bool session_has_prepared(struct session *s, XXH128_hash_t statement) {
    for (unsigned i = s->own.n; i-- > 0;) {
        if (!XXH128_isEqual(s->own.ring[i].name, statement))
            continue;
        struct own_statement found = s->own.ring[i];
        memmove(s->own.ring + i, s->own.ring + i + 1, (s->own.n - i - 1) * sizeof *s->own.ring);
        s->own.ring[s->own.n - 1] = found;
        return true;
    }
    return false;
}

void session_unprepare(struct session *s, XXH128_hash_t statement) {
    if (session_has_prepared(s, statement))
        s->own.n--; // session_has_prepared() made it the last one
}

// Has the connection prepared the statement? If not, it counts as prepared from now on, and p says what must
// be closed first: the name itself, since one left by a failed batch would make Parse fail; and the least
// recently used statement if there are too many.
static bool prepare(struct session *s, XXH128_hash_t statement, struct batch_prepared *p) {
    if (session_has_prepared(s, statement))
        return true;
    p->closes[p->n_closes++] = statement;
    if (!s->own.ring)
        s->own.ring = malloc(SESSION_MAX_PREPARED * sizeof *s->own.ring);
    if (!s->own.ring)
        return false; // out of memory: it is prepared again each time
    if (s->own.n == SESSION_MAX_PREPARED) {
        p->closes[p->n_closes++] = s->own.ring[0].name;
        memmove(s->own.ring, s->own.ring + 1, --s->own.n * sizeof *s->own.ring);
    }
    s->own.ring[s->own.n++] = (struct own_statement){.name = statement};
    return false;
}

// Nothing has reached the server: what was to be prepared is not, and what was to be closed is still there.
static void take_back_prepared(struct session *s, const struct batch *b, const struct batch_prepared *p) {
    if (!p->statement)
        session_unprepare(s, b->group->statement);
    if (!p->stamp)
        session_unprepare(s, batch_stamp(b));
    for (unsigned i = 0; s->own.ring && i < p->n_closes && s->own.n < SESSION_MAX_PREPARED; i++) {
        bool own =
            XXH128_isEqual(p->closes[i], b->group->statement) || XXH128_isEqual(p->closes[i], batch_stamp(b));
        if (!own)
            s->own.ring[s->own.n++] = (struct own_statement){.name = p->closes[i]};
    }
}

// This is a unit of our own. Inside a unit of the client's nothing can be closed; then the server says that
// the name is taken. It also says so if the client came to the name in a way that pgfold did not notice,
// since `name` is closed only if a batch may have left it.
void session_keep_out(struct session *s, struct slice name) {
    struct buf *b = &s->engine->request;
    char own[GROUP_NAME_SIZE];
    bool left = s->own.lent && group_is_statement_name(name);
    bool frame = s->frame.prepared || (s->own.lent && !s->own.keeps_out);
    s->own.keeps_out = true;
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
    if (b->failed || !owed_push(s, OWED_UNNAMED))
        return;
    session_forget_statements(s, false);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

// ---- seals

// The seal of a statement that is prepared; NULL: it is not.
static struct seal *seal_of(struct session *s, XXH128_hash_t statement) {
    return session_has_prepared(s, statement) ? &s->own.ring[s->own.n - 1].seal : NULL;
}

void session_note_seal(struct session *s, const struct batch *b) {
    struct seal *seal = b->sealed || !b->group->sealed ? NULL : seal_of(s, b->statement);
    struct seal of_batch = {
        .read = b->news.now, .loaded = b->news.loaded, .process = b->news.process, .since = s->engine->now};
    if (seal)
        seal_checked(seal, &of_batch, b->parse, b->framed);
}

// The seal under which the batch can be sent without a check; NULL: none. A check also tells of writes and
// definitions, so it is sent all the same now and then, and always with rows that will be held (asks_facts).
static const struct seal *seal_for(struct session *s, const struct batch *b) {
    struct group *g = b->group;
    struct seal *seal = g->sealed && !b->asks_facts ? seal_of(s, g->statement) : NULL;
    if (seal && seal_is_usable(seal, &g->seals))
        return seal;
    if (seal && !b->framed && seal_is_worn(seal, &g->seals))
        session_unprepare(s, g->statement);
    return NULL;
}

// ---- the batch

static void batch_not_sent(struct session *s, struct batch *b, const struct batch_prepared *p,
                           const char *why) {
    take_back_prepared(s, b, p);
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
    b->asks_facts = b->ahead.home || trust_is_due(s);
    const struct seal *seal = seal_for(s, b);
    struct seal copy = seal ? *seal : (struct seal){0};
    p.seal = seal ? &copy : NULL;
    p.statement = prepare(s, b->group->statement, &p);
    p.stamp = p.seal || prepare(s, batch_stamp(b), &p);
    buf_reset(&e->request);
    batch_write(b, &p, &e->request);
    struct owed *o = e->request.failed ? NULL : owed_push(s, OWED_BATCH);
    if (!o) {
        batch_not_sent(s, b, &p, "the request is too large, or too many replies are owed");
        return false;
    }
    o->of.batch = b;
    o->framed = b->framed;
    s->frame.n += b->framed;
    s->frame.prepared |= b->framed;
    b->lender = s;
    b->sent = s->own.lent = true;
    b->memory = &s->queue_memory;
    account_set(b->memory, &b->weighs, batch_bytes(b));
    late_batch_sent(s, b);
    s->last_used = e->now;
    e->effects->to_server(s->owner, e->request.data, e->request.len, false);
    return true;
}
