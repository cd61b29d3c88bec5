// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/server.h"

#include "batching/fold/batch.h"
#include "batching/session/held.h"
#include "batching/session/owed.h"
#include "batching/session/record.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/wire.h"
#include "batching/talk/client_reply.h"
#include "batching/talk/feed.h"
#include "batching/talk/own_reply.h"
#include "batching/talk/reply_end.h"
#include "batching/trust/writes.h"
#include "protocol/frame.h"
#include "protocol/message.h"

static bool is_own(const struct owed *o) {
    return o && owed_is_own(o);
}

// Drops the message at f->at: what is there of it, and what is still to come.
static void drop_message(struct feed *f, const struct frame *fr) {
    size_t have = f->len - f->at;
    f->s->server_skip = fr->size > have ? fr->size - have : 0;
    f->s->server_skip_drop = f->s->server_skip > 0;
    f->at += fr->size - f->s->server_skip;
    f->run = f->at;
}

// The message is too large for a batch or a query of ours: it is dropped, and the batch fails.
static void drop_large(struct feed *f, struct owed *o, const struct frame *fr) {
    if (o->kind == OWED_BATCH) {
        o->of.batch->oversized = !o->of.batch->failed;
        o->of.batch->failed = true;
        o->of.batch->why = "the answer is larger than batching.max_answer";
    }
    if (o->kind == OWED_CHECK && o->of.lookup)
        o->of.lookup->answer.failed = o->of.lookup->check == CHECK_ORIGINAL;
    o->error = true;
    drop_message(f, fr);
}

static bool step_own(struct feed *f, struct owed *o, const struct frame *fr) {
    struct session *s = f->s;
    struct frame whole;
    feed_to_client(f, true);
    if (fr->size > session_largest_message(s)) {
        drop_large(f, o, fr);
        return true;
    }
    if (frame_read(f->bytes + f->at, f->len - f->at, &whole) != FRAME_OK)
        return false;
    f->at += whole.size;
    f->run = f->at;
    own_reply_take(s, o, &whole);
    return true;
}

// Must this message of a client's reply be there whole before it is passed on? These are short, except for a
// row description.
static bool is_passed_on_whole(const struct session *s, const struct frame *f) {
    if (f->type == B_ROW_DESCRIPTION || f->type == B_PARAMETER_DESCRIPTION)
        return s->expect.n && f->size <= session_largest_message(s);
    return (f->type == B_READY_FOR_QUERY || f->type == B_PARAMETER_STATUS || f->type == B_PARSE_COMPLETE ||
            f->type == B_CLOSE_COMPLETE || f->type == B_NO_DATA) &&
           f->size <= 4096;
}

static bool ready_follows(const struct feed *f, size_t size) {
    struct frame next;
    return frame_read(f->bytes + f->at + size, f->len - f->at - size, &next) == FRAME_OK &&
           next.type == B_READY_FOR_QUERY;
}

static bool step_client(struct feed *f, struct owed *o, const struct frame *fr) {
    struct session *s = f->s;
    size_t have = f->len - f->at;
    bool whole = fr->size <= have;
    // A message that nobody asked for must not be cut in two either: an answer from a batch may be sent to
    // this client in between.
    bool refusal = o && (o->refused || s->giving.error.len) && fr->type == B_ERROR;
    if (!whole && (refusal || is_passed_on_whole(s, fr) || ahead_wants(s, o, fr) ||
                   (!o && fr->size <= session_largest_message(s))))
        return false;
    if (o && (o->n_expected || o->poisoned || o->refused || s->giving.error.len)) {
        feed_to_client(f, true); // an error may have to be sent in place of this message
        if (client_reply_is_dropped(s, o, fr, whole)) {
            drop_message(f, fr);
            return true;
        }
    }
    client_reply_note(s, o, fr, whole, whole && ready_follows(f, fr->size));
    if (fr->type == B_PARAMETER_STATUS && whole)
        own_reply_note_parameter(s, o, fr);
    if (fr->type == B_NOTIFICATION)
        ahead_drop(s); // it may be how the client learns of a change
    if (fr->type == B_READY_FOR_QUERY && whole && o && o->split && !o->error) {
        feed_to_client(f, true);
        drop_message(f, fr); // the client's Sync is still to come
        reply_end(s, fr->body_len == 1 ? (char)fr->body[0] : 'E');
        return true;
    }
    f->at += whole ? fr->size : have;
    s->server_skip = whole ? 0 : fr->size - have;
    s->server_skip_drop = false;
    if (fr->type == B_READY_FOR_QUERY && whole && o) {
        feed_to_client(f, true); // before anything that the end of the reply sends
        reply_end(s, fr->body_len == 1 ? (char)fr->body[0] : 'E');
    }
    return true;
}

static bool step(struct feed *f) {
    struct session *s = f->s;
    struct frame fr;
    switch (frame_header(f->bytes + f->at, f->len - f->at, &fr)) {
    case FRAME_INCOMPLETE:
        return false;
    case FRAME_MALFORMED:
        feed_to_client(f, true);
        session_fail(s, "08P01",
                     "invalid message length from the server: it does not speak PostgreSQL's protocol");
        return false;
    case FRAME_OK:
        break;
    }
    struct owed *o = owed_head(s);
    return is_own(o) ? step_own(f, o, &fr) : step_client(f, o, &fr);
}

// Does the server still owe something that is not for the client?
static bool owes_own(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = owed_at(s, i);
        if (o->kind != OWED_FORWARD)
            return true;
    }
    return false;
}

size_t session_from_server(struct session *s, const uint8_t *bytes, size_t len, uint64_t now) {
    engine_wakes(s->engine, now);
    struct feed f = {.s = s, .bytes = bytes, .len = len};
    while (f.at < f.len && !s->failed) {
        if (s->opaque && !s->server_skip_drop && !owes_own(s)) {
            f.at = f.len;
        } else if (s->server_skip) {
            size_t n = s->server_skip < f.len - f.at ? s->server_skip : f.len - f.at;
            s->server_skip -= n;
            f.at += n;
            if (s->server_skip_drop)
                f.run = f.at;
            s->server_skip_drop = s->server_skip_drop && s->server_skip;
        } else if (!step(&f)) {
            break;
        }
    }
    if (s->opaque)
        database_note(s->database, WRITES_ALL);
    if (s->failed)
        return len;
    s->figures->sent += f.at;
    feed_to_client(&f, false);
    room_weigh_session(s);
    return f.at;
}
