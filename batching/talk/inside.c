// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/inside.h"

#include "batching/session/hold.h"
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
    case B_ROW_DESCRIPTION: // of a Describe, as long as the unit has extended messages only
    case B_NO_DATA:
    case B_COMMAND_COMPLETE:
    case B_EMPTY_QUERY:
    case B_PORTAL_SUSPENDED:
        o->n_asked -= o->n_asked > 0;
        return;
    case B_COPY_IN:
        // Messages were sent behind the COPY, before the end of its data: a Sync among them is ignored, and
        // anything else makes COPY fail.
        if (++o->forward.n_copies > o->forward.n_copied && s->owed.n > 1)
            session_go_opaque(s);
        return;
    default:
        return;
    }
}

bool inside_wait(struct feed *f) {
    feed_ask_for_replies(f);
    if (f->s->failed)
        hold_end_unit(f->s);
    else
        hold_until_answered(f->s);
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

// A COPY was sent and is not answered yet: soon it is known whether it waits for data.
static bool may_be_inside_copy(const struct session *s) {
    return s->owed.n && owed_last(s)->forward.copies && !owed_last(s)->forward.n_copied;
}

enum inside inside_no_data(struct feed *f, uint8_t type) {
    struct session *s = f->s;
    if (type == F_TERMINATE)
        return INSIDE_PASS;
    if (session_copy_waits(s)) {
        if (type != F_FLUSH) // the server ignores Flush, which has no reply
            session_go_opaque(s);
        return INSIDE_SKIPPED;
    }
    if (!may_be_inside_copy(s))
        return INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}

// Data behind an extended unit: its answer says whether the unit runs COPY, which makes the session opaque.
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

// Data came before the Sync. Only the server can say whether there is a COPY that takes them.
enum inside inside_sync(struct feed *f) {
    struct session *s = f->s;
    s->copying = s->copying && s->owed.n;
    if (!s->copying || s->in_unit)
        return INSIDE_PASS;
    (void)inside_wait(f);
    return INSIDE_WAIT;
}
