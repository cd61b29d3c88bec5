// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/watch_take.h"

#include "batching/session/engine.h"
#include "batching/session/statements.h"
#include "batching/session/watched.h"
#include "batching/statement/shape.h"
#include "batching/talk/classify.h"
#include "batching/talk/watch_lookups.h"
#include "batching/talk/watch_refuse.h"
#include "batching/talk/watch_settings.h"

static enum statement_kind kind_of(struct feed *f, const struct unit *u, enum unit_result r,
                                   const struct parsed **p) {
    struct session *s = f->s;
    const struct shape *shape = NULL;
    enum reason why;
    if (r == UNIT_SIMPLE) {
        const struct statement_class *k = feed_classify(f, u->query);
        *p = k->shape ? k->shape->parsed : NULL;
        return k->kind;
    }
    if (u->has_parse) {
        shape = shape_of_parse(&s->engine->shapes, &u->parse, &why);
    } else {
        const struct statement *st = session_statement(s, u->bind.statement);
        shape = st ? st->shape : NULL;
    }
    *p = shape ? shape->parsed : NULL;
    return shape ? shape->parsed->kind : STATEMENT_OTHER;
}

static enum take take_any(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    const struct parsed *p = NULL;
    enum statement_kind kind = kind_of(f, u, r, &p);
    if (s->txn == 'E' || !section_counts(kind, p))
        return TAKE_FORWARD;
    for (unsigned i = 0; i < 2; i++) {
        struct section *at = session_section(s, i);
        if (!at || !at->expect.of[METRIC_STATEMENTS].set || section_exceeds(at, true) != METRIC_STATEMENTS)
            continue;
        if (watch_must_wait(s))
            return TAKE_WAIT;
        enum take t = watch_refuse_for(s, at, METRIC_STATEMENTS, NULL, true);
        watched_note(s, kind, p); // it was asked, though in vain
        return t;
    }
    return TAKE_FORWARD;
}

enum take watch_take(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    if (s->no_scan)
        return TAKE_FORWARD;
    enum take t = watch_settings_take(f, u, r);
    if (t != TAKE_FORWARD || !session_is_watched(s))
        return t;
    bool runs = r == UNIT_SIMPLE || r == UNIT_EXTENDED || r == UNIT_PIPELINE;
    if (r == UNIT_OTHER)
        return watch_lookups_other(f);
    if (!runs)
        return TAKE_FORWARD;
    t = watch_lookups_take(f, u, r);
    return t == TAKE_FORWARD && r != UNIT_PIPELINE ? take_any(f, u, r) : t;
}
