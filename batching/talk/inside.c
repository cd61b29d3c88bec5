// SPDX-License-Identifier: PostgreSQL
//
// How many replies there will be does not always follow from the messages alone. A Query or a function call
// inside an extended unit ends the unit, with one ReadyForQuery for both; unless something before it has
// failed: then the server skips all up to the Sync. A Sync is ignored while COPY FROM STDIN waits for data,
// and CopyData while it does not. Nobody who speaks like that does so often, so it is simple: what comes
// waits until the server has answered what was sent before it, for which a Flush asks.
//
// While COPY waits for data the server alone knows what becomes of a message that is none: it ignores a Sync,
// unless the data before it have failed meanwhile, and breaks off for anything else. Then the session becomes
// opaque.
#include "batching/talk/inside.h"

#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/talk/feed.h"
#include "batching/talk/opaque.h"
#include "protocol/message.h"

void session_note_answer(struct session *s, struct owed *o, uint8_t type) {
    switch (type) {
    case B_PARSE_COMPLETE:
    case B_BIND_COMPLETE:
    case B_CLOSE_COMPLETE:
    case B_ROW_DESCRIPTION: // of a Describe, as long as the unit is one of extended messages
    case B_NO_DATA:
    case B_COMMAND_COMPLETE:
    case B_EMPTY_QUERY:
    case B_PORTAL_SUSPENDED:
        o->n_asked -= o->n_asked > 0;
        return;
    case B_COPY_IN:
        // Of what was sent behind it, and not behind the end of its data, a Sync is ignored, and it fails for
        // anything else.
        if (++o->forward.n_copies > o->forward.n_copied && s->owed.n > 1)
            session_go_opaque(s);
        return;
    default:
        return;
    }
}

bool inside_wait(struct feed *f) {
    feed_ask_for_replies(f);
    f->s->hold.unit = !f->s->failed;
    return false;
}

enum inside inside_end(struct feed *f) {
    struct session *s = f->s;
    if (!s->in_unit)
        return INSIDE_PASS;
    if (session_unit_is_answered(s))
        return owed_last(s)->error ? INSIDE_SKIPPED : INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}

// Behind a COPY that has not been answered it is known soon.
static bool may_be_inside_copy(const struct session *s) {
    return s->owed.n && owed_last(s)->forward.copies && !owed_last(s)->forward.n_copied;
}

enum inside inside_no_data(struct feed *f, uint8_t type) {
    struct session *s = f->s;
    if (type == F_TERMINATE)
        return INSIDE_PASS;
    if (session_copy_waits(s)) {
        if (type != F_FLUSH) // which is ignored, and has no reply
            session_go_opaque(s);
        return INSIDE_SKIPPED;
    }
    if (!may_be_inside_copy(s))
        return INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}

// Behind an extended unit it is known by its answer whether it makes COPY run, which makes the session
// opaque.
enum inside inside_copy(struct feed *f, uint8_t type) {
    struct session *s = f->s;
    if (!s->owed.n)
        return INSIDE_SKIPPED;
    struct owed *o = owed_last(s);
    if (!o->extended) {
        s->copying = true;
        o->forward.n_copied += type != F_COPY_DATA;
        return INSIDE_PASS;
    }
    if (session_unit_is_answered(s))
        return INSIDE_SKIPPED;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}

// Whether the data before it are for a COPY is said by the server, or that there is none.
enum inside inside_sync(struct feed *f) {
    struct session *s = f->s;
    s->copying = s->copying && s->owed.n;
    if (!s->copying || s->in_unit)
        return INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}
