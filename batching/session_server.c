// SPDX-License-Identifier: PostgreSQL
//
// What the server says. The entry at the head of the queue of owed replies tells what becomes of it: a
// client's replies are passed on in runs, without a copy, with an eye on the few messages that tell
// something; a batch's are read whole and fed to it.
#include <stdlib.h>
#include <string.h>

#include "batching/session.h"

struct feed {
    struct session *s;
    const uint8_t *bytes;
    size_t len, at, run;
};

static void flush_run(struct feed *f, bool more) {
    if (f->at > f->run && !f->s->client_gone)
        f->s->engine->effects->to_client(f->s->owner, f->bytes + f->run, f->at - f->run, more);
    f->run = f->at;
}

// ---- the end of a reply

static void apply_setting(struct session *s, const struct shape *shape) {
    struct identity_table *t = &s->engine->identities;
    const struct parsed *p = shape->parsed;
    if (p->kind == STATEMENT_SET)
        session_identity_set(t, &s->identity, p->settings, p->n_settings);
    else if (p->kind == STATEMENT_RESET_ALL)
        session_identity_reset_all(t, &s->identity);
    else if (p->kind == STATEMENT_DISCARD_ALL)
        session_identity_discard_all(t, &s->identity);
}

// Definitions count as changed when the statement was sent, when it ended, and when its transaction ended.
static void note_definitions(struct session *s, const struct owed *o) {
    if (o->changes || (s->definitions_in_txn && s->txn == 'I'))
        engine_definitions_changed(s->engine);
    s->definitions_in_txn = (s->definitions_in_txn || o->changes) && s->txn != 'I';
}

static void end_forward(struct session *s, struct owed *o) {
    struct identity_table *t = &s->engine->identities;
    if (o->effect && !o->error && s->txn == 'I')
        apply_setting(s, o->effect);
    else if (o->effect)
        session_identity_doubt(t, &s->identity);
    shape_unref(o->effect);
    note_definitions(s, o);
    struct group *g = o->of.group;
    if (g) {
        g->in_flight--;
        // The read that was being vetted while it ran: only a good verdict leaves the session what it was.
        if (g->key == GROUP_READ && g->state != GROUP_READY)
            session_identity_doubt(t, &s->identity);
    }
    session_end_expected(s, o);
    if (s->txn == 'I' && !s->in_unit && s->portal) {
        statement_unref(s->portal); // portals end with the transaction
        s->portal = NULL;
    }
}

static void end_lookup(struct session *s, struct owed *o) {
    struct lookup *l = o->of.lookup;
    if (!l)
        return; // the client is gone
    s->first = l->next;
    if (s->first)
        s->first->previous = NULL;
    else
        s->last = NULL;
    s->n_lookups--;
    l->session = NULL;
    lookup_free(s->engine, l);
}

static void end_vet(struct session *s, struct owed *o) {
    struct engine *e = s->engine;
    struct group *g = o->of.group;
    uint64_t generation = g->generation; // as it was when the query was sent
    if (o->kind == OWED_VET) {
        if (o->error)
            o->vet = (struct vet_result){0};
        const char *refusal = group_vetted(g, &o->vet, e->now, generation);
        if (refusal)
            e->effects->log(e->ctx, REASON_VET_REFUSED, s->id, refusal);
    } else {
        g->state = o->answer && !o->error ? GROUP_READY : GROUP_REFUSED;
        g->vetted_at = e->now;
        if (g->state == GROUP_REFUSED)
            session_identity_doubt(&e->identities, &s->identity);
    }
    if (generation != e->generation)
        group_forget(g);
    if (g->n_waiting)
        engine_list_group(e, g);
}

static void relay_pending_cancel(struct session *s) {
    const struct owed *o = owed_head(s);
    if (!s->cancel_pending || !o)
        return;
    if (o->kind == OWED_FORWARD || o->kind == OWED_LOOKUP) {
        s->cancel_pending = false;
        s->cancelling += s->engine->effects->relay_cancel(s->owner);
    }
}

// ReadyForQuery came for the entry at the head.
static void end_reply(struct session *s, char status) {
    struct owed o = *owed_head(s);
    owed_pop(s);
    s->txn = status;
    if (!s->owed.n)
        s->copying = false;
    if (!s->owed.n && s->in_unit)
        session_go_opaque(s); // it was not asked for yet
    switch (o.kind) {
    case OWED_FORWARD:
        end_forward(s, &o);
        break;
    case OWED_LOOKUP:
        end_lookup(s, &o);
        break;
    case OWED_BATCH:
        if (o.of.batch->failed)
            session_unprepare(s, o.of.batch->statement);
        o.of.batch->lender = NULL;
        engine_batch_ended(s->engine, o.of.batch);
        break;
    case OWED_PROOF:
        s->engine->proving--;
        identity_proof_end(&s->engine->identities, &s->identity, !o.error);
        break;
    case OWED_VET:
    case OWED_READ_VET:
        end_vet(s, &o);
        break;
    case OWED_UNNAMED:
        if (o.error)
            session_note_unnamed(s, false, NULL);
        break;
    }
    relay_pending_cancel(s);
    session_pump(s);
}

// ---- replies for the client

// The statement that a ParseComplete, RowDescription or NoData of an extended unit is about.
static void take_expected(struct session *s, struct owed *o, const struct frame *f) {
    bool describe = f->type != B_PARSE_COMPLETE;
    if (!o->n_expected || !s->n_expected || s->expected[s->expected_head].describe != describe) {
        session_end_expected(s, o);
        return;
    }
    o->n_expected--;
    struct statement *st = s->expected[s->expected_head].statement;
    s->expected_head = (s->expected_head + 1) % SESSION_MAX_EXPECTED;
    s->n_expected--;
    if (!st)
        return;
    if (!describe)
        st->confirmed = true;
    if (f->type == B_ROW_DESCRIPTION) {
        st->described = true;
        st->row_hash = row_description_hash(f->body, f->body_len);
    }
    statement_unref(st);
}

// COPY in the extended protocol and COPY BOTH: what the client sends is no longer answered message by
// message.
static bool copy_makes_opaque(const struct owed *o, uint8_t type) {
    return type == B_COPY_BOTH || (type == B_COPY_IN && o->extended);
}

// `o` is NULL when nothing is owed: a message of the server's own accord.
static void note_reply(struct session *s, struct owed *o, const struct frame *f, bool whole) {
    if (!o)
        return;
    if (f->type == B_ERROR)
        o->error = true;
    if (copy_makes_opaque(o, f->type))
        session_go_opaque(s);
    bool tells = f->type == B_PARSE_COMPLETE || f->type == B_ROW_DESCRIPTION || f->type == B_NO_DATA;
    if (tells && o->extended && o->kind == OWED_FORWARD) {
        if (whole)
            take_expected(s, o, f);
        else
            session_end_expected(s, o);
    }
}

// A setting that no statement of the session's has changed: the server has read its configuration anew, at
// least on this connection. What was proven and prepared is void. (Inside a transaction it may as well be SET
// LOCAL.)
static void note_reload(struct session *s, const struct owed *o) {
    if (s->txn != 'I' || (o && o->effect))
        return;
    if (o && o->kind == OWED_BATCH && !o->of.batch->failed) {
        o->of.batch->failed = true;
        o->of.batch->why = "a setting changed while it ran";
    }
    session_identity_doubt(&s->engine->identities, &s->identity);
}

static void note_parameter_status(struct session *s, const struct owed *o, const struct frame *f) {
    note_reload(s, o);
    const uint8_t *zero = memchr(f->body, 0, f->body_len);
    if (!zero || f->body[f->body_len - 1])
        return;
    struct slice name = {f->body, (size_t)(zero - f->body)};
    struct slice value = {zero + 1, f->body_len - name.len - 2};
    if (f->body_len >= name.len + 2)
        session_parameter(s, name, value);
}

// ---- replies for ourselves

// Messages that the server sends of its own accord belong to the client whose connection it is, whatever else
// runs there.
static bool is_unasked(const struct frame *f) {
    struct slice severity;
    if (f->type == B_NOTIFICATION || f->type == B_PARAMETER_STATUS)
        return true;
    return f->type == B_ERROR && msg_error_field(f->body, f->body_len, 'V', &severity) &&
           (slice_is(severity, "FATAL", 5) || slice_is(severity, "PANIC", 5));
}

static void feed_own_query(struct session *s, struct owed *o, const struct frame *f) {
    struct slice body = {f->body, f->body_len};
    if (f->type == B_ERROR)
        o->error = true;
    if (f->type != B_DATA_ROW)
        return;
    if (o->kind == OWED_PROOF)
        identity_proof_row(&s->identity, body);
    else if (o->kind == OWED_VET)
        vet_row(body, &o->vet);
    else
        o->answer = vet_read_row(body);
}

// Takes one whole message of a reply that is not the client's.
static void take_own(struct session *s, struct owed *o, const struct frame *f) {
    if (is_unasked(f)) {
        if (!s->client_gone)
            s->engine->effects->to_client(s->owner, f->body - FRAME_HEADER, f->size, true);
        if (f->type == B_PARAMETER_STATUS)
            note_parameter_status(s, o, f);
        return;
    }
    bool ended = f->type == B_READY_FOR_QUERY;
    if (o->kind == OWED_BATCH)
        ended = batch_feed(o->of.batch, f);
    else
        feed_own_query(s, o, f);
    if (ended)
        end_reply(s, f->body_len == 1 ? (char)f->body[0] : 'E');
}

// ---- entry

static bool is_own(const struct owed *o) {
    return o && o->kind >= OWED_BATCH;
}

// Too large for a batch or one of our own queries: its rest is dropped, and the batch fails.
static void drop_large(struct feed *f, struct owed *o, const struct frame *fr) {
    struct session *s = f->s;
    size_t have = f->len - f->at;
    if (o->kind == OWED_BATCH) {
        o->of.batch->failed = true;
        o->of.batch->why = "the answer is larger than batching.max_answer";
    }
    o->error = true;
    s->server_skip = fr->size - (fr->size < have ? fr->size : have);
    s->server_skip_drop = true;
    f->at += fr->size - s->server_skip;
    f->run = f->at;
}

static bool step_own(struct feed *f, struct owed *o, const struct frame *fr) {
    struct session *s = f->s;
    struct frame whole;
    flush_run(f, true);
    if (fr->size > session_largest_message(s)) {
        drop_large(f, o, fr);
        return true;
    }
    if (frame_read(f->bytes + f->at, f->len - f->at, &whole) != FRAME_OK)
        return false;
    f->at += whole.size;
    f->run = f->at;
    take_own(s, o, &whole);
    return true;
}

// Messages of the client's that must be there whole before they are passed on: they are short, but for a row
// description.
static bool is_read_whole(const struct session *s, const struct frame *f) {
    if (f->type == B_ROW_DESCRIPTION)
        return s->n_expected && f->size <= session_largest_message(s);
    return (f->type == B_READY_FOR_QUERY || f->type == B_PARAMETER_STATUS || f->type == B_PARSE_COMPLETE) &&
           f->size <= 4096;
}

static bool step_client(struct feed *f, struct owed *o, const struct frame *fr) {
    struct session *s = f->s;
    size_t have = f->len - f->at;
    bool whole = fr->size <= have;
    // What nobody asked for must not be cut in two either: a batch may answer this client meanwhile.
    if (!whole && (is_read_whole(s, fr) || (!o && fr->size <= session_largest_message(s))))
        return false;
    note_reply(s, o, fr, whole);
    if (fr->type == B_PARAMETER_STATUS && whole)
        note_parameter_status(s, o, fr);
    f->at += whole ? fr->size : have;
    s->server_skip = whole ? 0 : fr->size - have;
    s->server_skip_drop = false;
    if (fr->type == B_READY_FOR_QUERY && whole && o) {
        flush_run(f, true); // before anything that ending it sends
        end_reply(s, fr->body_len == 1 ? (char)fr->body[0] : 'E');
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
        flush_run(f, true);
        session_fail(s, "08P01",
                     "invalid message length from the server: it does not speak PostgreSQL's protocol");
        return false;
    case FRAME_OK:
        break;
    }
    struct owed *o = owed_head(s);
    return is_own(o) ? step_own(f, o, &fr) : step_client(f, o, &fr);
}

// Something of what the server still owes is not for the client.
static bool owes_own(const struct session *s) {
    for (unsigned i = 0; i < s->owed.n; i++) {
        const struct owed *o = &s->owed.ring[(s->owed.head + i) & (s->owed.cap - 1)];
        if (o->kind != OWED_FORWARD)
            return true;
    }
    return false;
}

size_t session_from_server(struct session *s, const uint8_t *bytes, size_t len) {
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
    if (s->failed)
        return len;
    flush_run(&f, false);
    return f.at;
}
