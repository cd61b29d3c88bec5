// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/dry_take.h"

#include "batching/ahead/recent.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/session/dry.h"
#include "batching/statement/shape.h"
#include "batching/statement/unit.h"
#include "batching/trust/identity.h"

struct behind *dry_copy(const struct candidate *c, const struct slice *raw, const struct behind *of) {
    struct behind *l =
        behind_create(c->s, c->group, raw, c->question, c->bytes, of ? of->len : c->unit->size);
    if (!l)
        return NULL;
    l->again = of ? of->again : c->again;
    l->settled = of ? of->settled : recent_has(&c->s->recent, c->shape->family, c->group->id);
    return l;
}

void dry_prove(struct session *s) {
    bool first = s->identity.state == IDENTITY_UNPROVEN && !s->identity.n_proofs;
    if (first && !s->n_forward && !s->in_unit)
        session_start_proof(s);
}

void dry_take(struct candidate *c, const struct slice *raw) {
    struct session *s = c->s;
    if (c->shape->n_lookups)
        dry_prove(s);
    dry_hold(s, dry_copy(c, raw, NULL), c->shape);
    if (!s->dry)
        return;
    s->dry->simple = c->simple;
    s->dry->apart = c->apart;
    s->dry->asked = c->asked;
    s->dry->question = c->question;
    s->dry->statement = c->statement;
    if (c->statement)
        c->statement->refs++;
}
