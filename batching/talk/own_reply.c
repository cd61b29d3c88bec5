// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/own_reply.h"

#include <string.h>

#include "batching/base/memory.h"
#include "batching/flow/check.h"
#include "batching/fold/batch.h"
#include "batching/session/engine.h"
#include "batching/session/held.h"
#include "batching/session/pooler.h"
#include "batching/session/record.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/session/vouch.h"
#include "batching/session/wire.h"
#include "batching/talk/given.h"
#include "batching/talk/reply_end.h"
#include "batching/trust/facts.h"
#include "batching/trust/identity.h"
#include "batching/trust/proof.h"
#include "batching/trust/vet.h"
#include "protocol/frame.h"
#include "protocol/message.h"

// ---- the server's configuration

// A setting has changed that no statement of this session sets: the server has read its configuration again,
// at least in this process. What was proven and prepared is void. Inside a transaction that has done more
// than read, it may also be a SET LOCAL.
static void note_reload(struct session *s, const struct owed *o) {
    if (o && o->forward.writes) { // it has run something of a user's after all
        session_doubt(s);
        session_note_write(s, NULL);
    }
    if ((s->txn != 'I' && s->transaction.more_than_read) ||
        (o && (o->forward.setting || o->forward.more_than_read)))
        return;
    if (o && o->kind == OWED_BATCH && !o->of.batch->failed) {
        o->of.batch->failed = true;
        o->of.batch->why = "a setting changed while it ran";
    }
    session_identity_reloaded(&s->engine->identities, &s->identity);
    ahead_drop(s);
}

void own_reply_note_parameter(struct session *s, const struct owed *o, const struct frame *f) {
    note_reload(s, o);
    const uint8_t *zero = memchr(f->body, 0, f->body_len);
    if (!zero || f->body[f->body_len - 1])
        return;
    struct slice name = {f->body, (size_t)(zero - f->body)};
    struct slice value = {zero + 1, f->body_len - name.len - 2};
    if (f->body_len >= name.len + 2)
        session_parameter(s, name, value);
}

// ---- replies for us

// The server sends these of its own accord. They belong to the client whose connection it is, whatever runs
// there.
static bool is_unasked(const struct frame *f) {
    struct slice severity;
    if (f->type == B_NOTIFICATION || f->type == B_PARAMETER_STATUS)
        return true;
    return f->type == B_ERROR && msg_error_field(f->body, f->body_len, 'V', &severity) &&
           (slice_is(severity, "FATAL", 5) || slice_is(severity, "PANIC", 5));
}

// Errors that say nothing about the statement: a timeout or cancel request, a lock not available, a deadlock,
// a serialization failure, a lack of resources (class 53), of the system (58), and inside the server (XX), such as "cache lookup
// failed" of what somebody else drops just now.
static bool is_interruption(const struct frame *f) {
    static const char *const codes[] = {"57014", "55P03", "40P01", "40001", "53", "58", "XX"}; // or classes
    struct slice code;
    if (!msg_error_field(f->body, f->body_len, 'C', &code))
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (code.len == 5 && memcmp(code.data, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

static void take_read_row(struct session *s, struct owed *o, struct slice row) {
    struct slice facts;
    o->answer = vet_read_row(row);
    o->of.group->bare = vet_read_is_bare(row);
    if (!vet_read_facts(row, &facts))
        return;
    facts_check_stamp(&s->database->facts, facts);
    trust_take(s, facts, o->of.group->asked_at);
}

static void note_error(struct owed *o, const struct frame *f) {
    if (f->type != B_ERROR)
        return;
    o->error = true;
    o->interrupted = is_interruption(f);
}

static void feed_proof(struct proof_reader *r, const struct frame *f) {
    if (f->type == B_COMMAND_COMPLETE)
        proof_reader_next(r);
    if (f->type == B_DATA_ROW)
        proof_reader_row(r, (struct slice){f->body, f->body_len});
}

static void feed_facts(struct facts *facts, const struct frame *f) {
    if (f->type == B_COMMAND_COMPLETE)
        facts_next(facts);
    if (f->type == B_DATA_ROW)
        facts_row(facts, (struct slice){f->body, f->body_len});
}

static void take_checked(struct session *s, struct owed *o, const struct frame *f) {
    check_feed(o->of.lookup, f, o);
    if (o->reads && o->of.lookup)
        ahead_reply(s, o, f, true);
}

// Feeds a message to the batch, and takes what the check tells besides its verdict. If another process has
// answered than the session's own, there is a pooler, and the rows belong to another session. True: the batch
// has ended.
static bool feed_batch(struct session *s, struct batch *b, const struct frame *f) {
    bool ended = batch_feed(b, f);
    if (b->data.cap != b->seen_cap)
        account_set(b->memory, &b->weighs, batch_bytes(b));
    b->seen_cap = b->data.cap;
    if (b->news.facts.data && !b->failed) {
        facts_check_stamp(&s->database->facts, b->news.facts);
        trust_take(s, b->news.facts, b->started);
    }
    b->news.facts = (struct slice){0};
    if (ended && b->news.process && b->news.process != s->process) {
        b->why = b->failed || !s->process ? b->why : "another server process has answered: there is a pooler";
        b->failed |= s->process != 0;
        pooler_note(s, b->news.process);
    }
    return ended;
}

// Hands a message to whoever asked for it. True: the reply has ended.
static bool hand_over(struct session *s, struct owed *o, const struct frame *f) {
    switch (o->kind) {
    case OWED_BATCH:
        return feed_batch(s, o->of.batch, f);
    case OWED_CHECK:
        take_checked(s, o, f);
        break;
    case OWED_PARSE:
        session_feed_parse(s, o, f, f->type == B_ERROR && is_interruption(f));
        break;
    case OWED_PROOF:
        note_error(o, f);
        feed_proof(&s->identity.proof_reader, f);
        break;
    case OWED_FACTS:
        note_error(o, f);
        feed_facts(&s->database->facts, f);
        break;
    case OWED_VET:
        note_error(o, f);
        vetting_feed(o->of.group->vetting, f);
        break;
    case OWED_READ_VET:
        note_error(o, f);
        if (f->type == B_DATA_ROW)
            take_read_row(s, o, (struct slice){f->body, f->body_len});
        break;
    case OWED_SETUP:
    case OWED_REPAIR:
    case OWED_UNDO:
    case OWED_BEGIN:
    case OWED_END:
        note_error(o, f);
        break;
    case OWED_FORWARD: // the client's: talk/client_reply.c
    case OWED_LOOKUP:
        break;
    }
    return f->type == B_READY_FOR_QUERY;
}

void own_reply_take(struct session *s, struct owed *o, const struct frame *f) {
    if (is_unasked(f)) {
        if (!s->client_gone)
            s->engine->effects->to_client(s->owner, f->body - FRAME_HEADER, f->size, true);
        if (f->type == B_PARAMETER_STATUS)
            own_reply_note_parameter(s, o, f);
        if (f->type == B_NOTIFICATION)
            ahead_drop(s); // it may be how the client learns of a change
        return;
    }
    if (hand_over(s, o, f))
        reply_end(s, f->body_len == 1 ? (char)f->body[0] : 'E');
}
