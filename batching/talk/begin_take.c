// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/begin_take.h"

#include "batching/flow/find.h"
#include "batching/flow/own_queries.h"
#include "batching/session/begun.h"
#include "batching/session/bounds.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/pooler.h"
#include "batching/session/statements.h"
#include "batching/talk/boundary_unit.h"
#include "batching/trust/identity.h"

// Rows are held that may answer what comes. Or the server is far: whatever comes takes BEGIN along, and the client need not wait
// for its answer.
static bool is_worth_it(struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    bool far = l->with_list && !l->dry && distance_is_far(&s->engine->distance) && ahead_is_on(s);
    return far || (s->ahead && s->ahead->held && ahead_holds_any(s));
}

// May the text be BEGIN or START? Most are neither, and what the session's proof says takes time to look up.
static bool may_be_begin(const struct unit *u, enum unit_result r) {
    struct slice text = {0};
    size_t at = 0;
    if (r == UNIT_SIMPLE)
        text = u->query;
    else if (r == UNIT_EXTENDED && u->has_parse) // of several statements it may be another one's
        text = u->parse.text;
    while (at < text.len && text.data[at] <= ' ')
        at++;
    if (text.len < at + 2)
        return true;
    int first = text.data[at] | 0x20, second = text.data[at + 1] | 0x20;
    return first == 'b' || (first == 's' && second == 't') || first == '/' || first == '-';
}

// What would go out in front of BEGIN, such as statements that the server lacks, must not go out behind it.
static bool may_begin(struct session *s) {
    return s->txn == 'I' && s->identity.state == IDENTITY_PROVEN && is_worth_it(s) &&
           !session_is_careful(s) && !s->names.n_lazy && !session_lacks_facts(s) &&
           session_identity_may_idle(&s->identity) &&
           session_identity_isolation(&s->identity) == ISOLATION_READ_COMMITTED;
}

// Of a unit of several statements only the beginning is answered here. Mode observe looks at whole units.
static bool reads(struct feed *f, const struct unit *u, enum unit_result r, struct boundary_unit *b) {
    bool is = (r == UNIT_SIMPLE || !f->s->engine->limits.observe) && boundary_unit_read(f, u, r, b);
    return is && (b->whole || boundary_begins(b));
}

enum take begin_take(struct feed *f, struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    struct boundary_unit b;
    bool dry = s->engine->limits.dry, due = dry ? s->dry_txn.due : s->begun.due;
    if (!session_is_quiet(s) || (!due && (!may_be_begin(u, r) || !may_begin(s))) || !reads(f, u, r, &b))
        return TAKE_FORWARD;
    bool begins = boundary_begins(&b);
    if (begins == due)
        return TAKE_FORWARD;
    if (dry)
        dry_takes_boundary(s, begins);
    if (s->engine->limits.observe || !boundary_unit_answer(s, &b))
        return TAKE_FORWARD;
    u->size = b.unit.size;
    if (begins) {
        begun_here(s, b.is.access);
        return TAKE_TAKEN;
    }
    begun_is_over(s);
    session_note_unnamed(s, true, NULL); // it has got neither, and has what it had
    return TAKE_TAKEN;
}
