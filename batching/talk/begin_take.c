// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/begin_take.h"

#include "batching/flow/children.h"
#include "batching/flow/find.h"
#include "batching/flow/own_queries.h"
#include "batching/session/begun.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/pooler.h"
#include "batching/session/record.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/watched.h"
#include "batching/statement/boundary.h"
#include "batching/statement/parse.h"
#include "batching/talk/answer.h"
#include "batching/talk/extended.h"
#include "batching/trust/identity.h"
#include "protocol/write.h"

// Rows are held that may answer what comes, or a list is expected that goes out with its children and takes BEGIN along.
static bool is_worth_it(struct session *s) {
    return s->ahead && ((s->ahead->held && ahead_holds_any(s)) || children_are_sent(s));
}

// What would go out in front of BEGIN, such as statements that the server lacks, must not go out behind it.
static bool may_begin(struct session *s) {
    return s->txn == 'I' && s->identity.state == IDENTITY_PROVEN && !session_is_careful(s) &&
           !s->names.n_lazy && !session_lacks_facts(s) && session_identity_may_idle(&s->identity) &&
           session_identity_isolation(&s->identity) == ISOLATION_READ_COMMITTED && is_worth_it(s);
}

static bool begins(const struct boundary *is) {
    return is->kind == STATEMENT_BEGIN;
}

static bool answer(struct session *s, const struct boundary *is) {
    struct buf *b = &s->engine->answer;
    buf_reset(b);
    write_complete(b, is->tag);
    write_ready(b, begins(is) ? 'T' : 'I');
    return session_answer(s, b, &is->kind);
}

// The session is as if the server had answered.
static void note(struct session *s, const struct boundary *is) {
    struct owed o = {.kind = OWED_FORWARD};
    char before = s->txn;
    session_txn_note(&o, is->kind, NULL);
    s->txn = begins(is) ? 'T' : 'I';
    ahead_answered(s);
    session_txn_ended(s, &o, before);
    extended_drop_unnamed(s);
    if (is->kind == STATEMENT_ROLLBACK)
        watched_part(s);
    if (begins(is))
        begun_here(s);
    else
        begun_is_over(s);
}

enum take begin_take(struct feed *f, const struct unit *u) {
    struct session *s = f->s;
    struct boundary is;
    bool dry = s->engine->limits.dry, due = dry ? s->dry_txn.due : s->begun.due;
    if ((!due && (s->txn != 'I' || !s->ahead)) || !session_is_quiet(s) || !boundary_read(u->query, &is) ||
        begins(&is) == due || (begins(&is) && !may_begin(s)))
        return TAKE_FORWARD;
    if (dry)
        dry_takes_boundary(s, begins(&is));
    if (s->engine->limits.observe || !answer(s, &is))
        return TAKE_FORWARD;
    note(s, &is);
    return TAKE_TAKEN;
}
