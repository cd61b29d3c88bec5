// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/dry_reply.h"

#include "batching/flow/dry.h"
#include "batching/fold/group.h"
#include "batching/session/dry.h"
#include "batching/statement/ration.h"
#include "batching/statement/shape.h"
#include "batching/statement/unit.h"
#include "batching/talk/dry_take.h"
#include "batching/talk/feed.h"
#include "batching/talk/lookup_take.h"
#include "batching/trust/identity.h"

void dry_sent(struct session *s) {
    struct owed *o = s->owed.n ? owed_last(s) : NULL;
    if (!o || !s->engine->limits.dry) // the mode may have changed since the unit began
        return;
    dry_attach(s, o);
    if (o->dry && !o->dry->came && !s->in_unit)
        dry_came(s, o->dry);
}

// The session has been proven since, or its group judged: the lookup may be one of another group.
static void judge_again(struct session *s, struct dry *d) {
    struct behind *l = d->lookup;
    struct feed f = {.s = s, .bytes = l->bytes, .len = l->len};
    struct unit u;
    rations_begin(&s->engine->rations, &s->ration, s->engine->now); // a text may have to be read again
    enum unit_result r = unit_read(l->bytes, l->len, s->engine->limits.max_text + UNIT_SLACK, &u);
    struct candidate c = {
        .f = &f, .s = s, .bytes = l->bytes, .unit = &u, .simple = d->simple, .question = l->question};
    if (r != (d->simple ? UNIT_SIMPLE : UNIT_EXTENDED) || candidate_shape(&c) != REASON_NONE ||
        c.shape != d->shape || candidate_judge_group(&c) != REASON_OBSERVE || c.group == l->group)
        return;
    struct slice raw[KEY_MAX_PARTS];
    candidate_raw(&c, raw);
    struct behind *now = dry_copy(&c, raw, l);
    if (now)
        dry_regroup(d, now);
}

void dry_reply(struct session *s, struct owed *o) {
    if (!o->dry)
        return;
    if (dry_is_late(s, o->dry))
        judge_again(s, o->dry);
    dry_answered(s, o->dry);
}

void dry_end(struct session *s, struct owed *o) {
    if (o->dry)
        dry_ended(s, o->dry);
    dry_free(o->dry);
    dry_ask(s);
}
