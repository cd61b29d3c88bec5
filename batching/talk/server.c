// SPDX-License-Identifier: PostgreSQL
//
// What the server says. The entry at the head of the queue of owed replies tells what becomes of it: a
// client's replies are passed on in runs, without a copy, with an eye on the few messages that tell
// something; a batch's are read whole and fed to it.
#include <stdlib.h>
#include <string.h>

#include "batching/flow/check.h"
#include "batching/session/room.h"
#include "batching/session/session.h"

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

// A pool that resets its connections gives them back with it: the proof that the next such statement leads
// back to is made now, while nobody waits.
static void prove_early(struct session *s) {
    if (s->identity.state == IDENTITY_UNPROVEN && s->identity.n_proofs)
        engine_list_proof(s->engine, s);
}

// Settings by which constants are read, which the server does when a statement is parsed, and not anew when
// the setting changes.
static bool any_reads_constants(const struct parsed_setting *settings, unsigned n) {
    static const char *const names[] = {"datestyle",   "timezone", "intervalstyle", "array_nulls",
                                        "lc_monetary", "lc_time",  "xmloption"};
    for (unsigned i = 0; i < n; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            if (strcmp(settings[i].name, names[j]) == 0)
                return true;
    return false;
}

// What the client prepared under other settings does not fold any more: a batch would read its constants by
// those of now. What the server lacks it would read so, too.
static void forget_constants(struct session *s, const struct parsed *p) {
    bool set = p->kind == STATEMENT_SET && any_reads_constants(p->settings, (unsigned)p->n_settings);
    bool reset =
        p->kind == STATEMENT_RESET_ALL && any_reads_constants(s->identity.settings, s->identity.n_settings);
    if (set || reset)
        session_forget_constants(s);
}

static void apply_setting(struct session *s, const struct shape *shape) {
    struct identity_table *t = &s->engine->identities;
    const struct parsed *p = shape->parsed;
    forget_constants(s, p);
    if (p->kind == STATEMENT_SET)
        session_identity_set(t, &s->identity, p->settings, p->n_settings);
    else if (p->kind == STATEMENT_RESET_ALL)
        session_identity_reset_all(t, &s->identity);
    else if (p->kind == STATEMENT_DISCARD_ALL)
        session_identity_discard_all(t, &s->identity);
    if (p->kind != STATEMENT_SET)
        prove_early(s);
}

// Definitions count as changed when the statement was sent, when it ended, and when its transaction ended.
static void note_definitions(struct session *s, const struct owed *o) {
    if (o->changes || (s->definitions_in_txn && s->txn == 'I'))
        engine_definitions_changed(s->engine);
    s->definitions_in_txn = (s->definitions_in_txn || o->changes) && s->txn != 'I';
}

static void end_forward(struct session *s, struct owed *o, char before) {
    trust_note_run(s);
    ahead_answered(s);
    session_txn_ended(s, o, before);
    if (o->drops)
        ahead_drop(s);
    if (o->error)
        session_forget_cursors(s, true);
    if (o->effect && !o->error && s->txn == 'I')
        apply_setting(s, o->effect);
    else if (o->effect)
        session_doubt(s);
    shape_unref(o->effect);
    statement_unref(o->bound);
    note_definitions(s, o);
    struct group *g = o->of.group;
    if (g) {
        g->in_flight--;
        // The read that was being vetted while it ran: only a good verdict leaves the session what it was.
        if (group_is_read(g) && g->state != GROUP_READY) {
            session_doubt(s);
            session_note_write(s, NULL);
        }
    }
    session_end_expected(s, o);
    session_end_learning(s);
    if (o->clears_names && !o->error && !s->n_forward)
        s->names_unknown = false;
    if (s->txn == 'I' && !s->in_unit && s->portal) {
        statement_unref(s->portal); // portals end with the transaction
        s->portal = NULL;
    }
}

static void end_lookup(struct session *s, struct owed *o) {
    struct lookup *l = o->of.lookup;
    s->gives = false; // nothing was sent behind it
    session_end_expected(s, o);
    if (!l)
        return; // the client is gone
    if (l->loop)
        l->loop->last_answer = s->engine->now;
    ahead_answered(s);
    s->transaction.taken |= s->txn == 'T';
    trust_note_run(s);
    if (!o->error)
        engine_note_alone(s->engine, l);
    session_shift(s);
    l->session = NULL;
    lookup_free(s->engine, l);
}

// When the catalogue was as it is told.
static uint64_t verdict_time(const struct session *s) {
    return session_snapshot_is_fixed(s) ? s->transaction.began : s->engine->now;
}

#define VET_AGAIN 1000000 // microseconds

// The query was not answered, for no reason of its own. It is asked again, but not at once.
static void postpone_vet(struct session *s, struct group *g) {
    vetting_destroy(g->vetting);
    g->vetting = NULL;
    g->state = GROUP_REFUSED;
    g->vetted_at = s->engine->now + VET_AGAIN - s->engine->limits.vet_max_age;
}

static void refuse_read(struct session *s) {
    session_doubt(s);
    session_note_write(s, NULL); // what runs behind it
}

static void end_vet(struct session *s, struct owed *o) {
    struct engine *e = s->engine;
    struct group *g = o->of.group;
    uint64_t generation = g->generation; // as it was when the query was sent
    g->asked_in_vain = o->unwanted ? g->asked_in_vain : 0;
    if (o->kind == OWED_VET && !o->framed && o->error)
        session_note_unnamed(s, true, NULL); // it may not have come to closing it
    if ((o->framed && s->txn == 'E') || (o->unwanted && o->error)) {
        // The client's transaction was aborted before it, or its client has cancelled: nobody was asked.
        g->state = GROUP_NEW;
        if (o->unwanted && o->error)
            late_verdict(e, g);
        if (o->kind == OWED_READ_VET && s->txn != 'E')
            refuse_read(s); // what was let through for its sake runs now
    } else if (o->interrupted) {
        postpone_vet(s, g);
        if (o->kind == OWED_READ_VET)
            refuse_read(s);
    } else if (o->kind == OWED_VET) {
        g->vetting->failed |= o->error;
        const char *refusal = group_vetted(&e->groups, g, verdict_time(s), generation);
        g->shape->until_check = 0; // the first batch is checked
        if (refusal)
            e->effects->log(e->ctx, REASON_VET_REFUSED, s->id, refusal);
    } else {
        group_read_vetted(&e->groups, g, o->answer && !o->error, !o->error, verdict_time(s), generation);
        if (g->state == GROUP_REFUSED)
            refuse_read(s);
    }
    if (generation != e->generation)
        group_forget(g);
    if (g->n_waiting)
        engine_list_group(e, g);
    await_verdict_given(e, g);
}

static void end_batch(struct session *s, struct batch *b) {
    if (b->failed) {
        session_unprepare(s, b->statement);
        session_unprepare(s, b->stamp);
    } else {
        session_note_seal(s, b);
    }
    if (b->changed)
        trust_broken(s);
    session_check_members(s, b);
    b->lender = NULL;
    engine_batch_ended(s->engine, b);
}

static void end_proof(struct session *s, const struct owed *o) {
    s->engine->proving--;
    pooler_note(s, o->error ? 0 : s->identity.proof_reader.process);
    identity_proof_end(&s->engine->identities, &s->identity, !o->error);
    if (o->unwanted && o->error && s->identity.state == IDENTITY_REFUSED)
        s->identity.state = IDENTITY_UNPROVEN; // it was cancelled; it is asked again, less eagerly each time
    await_proof_ended(s);
}

static void end_facts(struct session *s, const struct owed *o) {
    facts_answered(&s->database->facts, s->engine->now, !o->error);
    room_weigh_database(s->engine, s->database);
}

// What of ours runs in the client's transaction does not change what the client knows of it.
static void end_check(struct session *s, const struct owed *o) {
    struct engine *e = s->engine;
    struct lookup *l = o->of.lookup;
    if (!check_replied(e, l, o))
        return;
    if (!e->limits.verify)
        engine_abandon_shape(e, l->shape, "a folded answer of its shape differed from the original's");
    check_answer(e, l);
}

static void take_status(struct session *s, const struct owed *o, char status) {
    if (o->framed)
        session_frame_ended(s, status);
    else if (o->kind == OWED_REPAIR)
        session_repair_ended(s, status);
    else
        s->txn = status;
}

// ReadyForQuery came for the entry at the head.
static void end_reply(struct session *s, char status) {
    struct owed o = *owed_head(s);
    char before = s->txn;
    owed_pop(s);
    take_status(s, &o, status);
    if (!s->owed.n)
        s->copying = false;
    if (!s->owed.n && s->in_unit)
        session_go_opaque(s); // it was not asked for yet
    switch (o.kind) {
    case OWED_FORWARD:
        end_forward(s, &o, before);
        break;
    case OWED_LOOKUP:
        end_lookup(s, &o);
        break;
    case OWED_BATCH:
        end_batch(s, o.of.batch);
        break;
    case OWED_PROOF:
        end_proof(s, &o);
        break;
    case OWED_FACTS:
        end_facts(s, &o);
        break;
    case OWED_VET:
    case OWED_READ_VET:
        end_vet(s, &o);
        break;
    case OWED_CHECK:
        end_check(s, &o);
        break;
    case OWED_UNNAMED:
        if (o.error)
            session_note_unnamed(s, false, NULL);
        break;
    case OWED_PARSE:
        session_end_parse(s, &o);
        break;
    case OWED_REPAIR:
        break;
    }
    if (o.kind == OWED_FORWARD || o.kind == OWED_LOOKUP) {
        buf_free(&s->giving_error);
        session_note_written(s, &o);
    }
    if (session_is_pooled(s) && s->txn == 'I' && s->unnamed && s->unnamed->confirmed)
        session_note_unnamed(s, true, NULL); // the next unit may run in another process
    session_relay_cancel(s);
    if (s->wants_proof && s->txn == 'I' && !s->n_forward && !s->in_unit)
        engine_list_proof(s->engine, s);
    session_pump(s);
}

// ---- replies for the client

static enum expected_kind kind_of_reply(uint8_t type) {
    return type == B_PARSE_COMPLETE   ? EXPECT_PARSE
           : type == B_CLOSE_COMPLETE ? EXPECT_CLOSE
                                      : EXPECT_DESCRIBE;
}

// The statement that a ParseComplete, CloseComplete, RowDescription or NoData of an extended unit is about.
static void take_expected(struct session *s, struct owed *o, const struct frame *f) {
    enum expected_kind kind = kind_of_reply(f->type);
    if (!o->n_expected || !s->n_expected || s->expected[s->expected_head].kind != kind) {
        session_end_expected(s, o);
        return;
    }
    struct statement *st = session_shift_expected(s, o);
    if (st && kind == EXPECT_PARSE)
        st->confirmed = true;
    if (st && f->type == B_ROW_DESCRIPTION) {
        st->described = true;
        st->row_hash = row_description_hash(f->body, f->body_len);
        st->types_hash = row_types_hash(f->body, f->body_len);
        ahead_note_columns(s, st, f->body, f->body_len);
    }
    statement_unref(st);
}

// The same of a ParameterDescription, which comes before it.
static void take_parameters(struct session *s, const struct frame *f) {
    const struct expected *x = s->n_expected ? &s->expected[s->expected_head] : NULL;
    if (!x || x->kind != EXPECT_DESCRIBE || !x->statement)
        return;
    x->statement->parameters_described = true;
    x->statement->parameters_hash = XXH3_128bits(f->body, f->body_len);
}

// COPY in the extended protocol and COPY BOTH: what the client sends is no longer answered message by
// message.
static bool copy_makes_opaque(const struct owed *o, uint8_t type) {
    return type == B_COPY_BOTH || (type == B_COPY_IN && o->extended);
}

static void note_complete(struct session *s, const struct owed *o, const struct frame *f, bool whole,
                          bool last) {
    struct slice tag = {0};
    const uint8_t *zero = whole ? memchr(f->body, 0, f->body_len) : NULL;
    if (zero)
        tag = (struct slice){f->body, (size_t)(zero - f->body)};
    session_note_complete(s, o, tag, last);
}

// `o` is NULL when nothing is owed: a message of the server's own accord. `last`: ReadyForQuery is behind it.
static void note_reply(struct session *s, struct owed *o, const struct frame *f, bool whole, bool last) {
    if (!o)
        return;
    if (s->learning.group && o->kind == OWED_FORWARD)
        session_feed_learning(s, f, whole);
    if (f->type == B_ERROR)
        o->error = true;
    if (copy_makes_opaque(o, f->type))
        session_go_opaque(s);
    bool tells = f->type == B_PARSE_COMPLETE || f->type == B_ROW_DESCRIPTION || f->type == B_NO_DATA ||
                 f->type == B_CLOSE_COMPLETE;
    if (f->type == B_PARAMETER_DESCRIPTION && o->extended && whole)
        take_parameters(s, f);
    if (tells && o->extended && whole)
        take_expected(s, o, f);
    else if ((tells && o->extended) || f->type == B_ERROR)
        session_end_expected(s, o);
    session_note_answer(s, o, f->type);
    if (f->type == B_COMMAND_COMPLETE)
        note_complete(s, o, f, whole, last);
    if (o->reads)
        ahead_reply(s, o, f, whole);
    if (s->held_unit || f->type == B_COPY_IN)
        session_settle(s);
    // Behind an error the server says nothing before the Sync, which the client may still have to say.
    if (s->held_full && s->n_expected <= s->engine->limits.max_expected / 2)
        session_settle(s);
}

// What a poisoned reply still says, and what answers messages of our own, is not for the client.
static bool is_dropped(struct session *s, struct owed *o, const struct frame *f, bool whole) {
    if (o && whole && session_take_missing(s, o, f))
        return true;
    if (!o || !o->extended)
        return false;
    if (whole && session_take_refusal(s, o, f))
        return true;
    if (o->poisoned && f->type == B_READY_FOR_QUERY && whole && f->body_len == 1)
        return session_abort_refused(s, o, (char)f->body[0]);
    if (o->poisoned)
        return f->type != B_READY_FOR_QUERY && f->type != B_PARAMETER_STATUS && f->type != B_NOTIFICATION;
    return whole && session_take_delayed(s, o, f);
}

// A setting that no statement of the session's has changed: the server has read its configuration anew, at
// least on this connection. What was proven and prepared is void. (Inside a transaction that has done more
// than read it may as well be SET LOCAL.)
static void note_reload(struct session *s, const struct owed *o) {
    if ((s->txn != 'I' && s->transaction.spent) || (o && (o->effect || o->spends)))
        return;
    if (o && o->kind == OWED_BATCH && !o->of.batch->failed) {
        o->of.batch->failed = true;
        o->of.batch->why = "a setting changed while it ran";
    }
    session_identity_reloaded(&s->engine->identities, &s->identity);
    ahead_drop(s);
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

// Errors that say nothing about the statement: time ran out, a lock was not to be had, something is full.
static bool is_interruption(const struct frame *f) {
    static const char *const codes[] = {"57014", "55P03", "40P01", "40001"};
    struct slice code;
    if (!msg_error_field(f->body, f->body_len, 'C', &code))
        return false;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (slice_is(code, codes[i], 5))
            return true;
    return code.len == 5 && memcmp(code.data, "53", 2) == 0;
}

static void take_read_row(struct session *s, struct owed *o, struct slice row) {
    struct slice facts;
    o->answer = vet_read_row(row);
    if (vet_read_facts(row, &facts))
        trust_take(s, facts, o->of.group->asked_at);
}

static void feed_own_query(struct session *s, struct owed *o, const struct frame *f) {
    struct slice body = {f->body, f->body_len};
    if (f->type == B_ERROR) {
        o->error = true;
        o->interrupted = is_interruption(f);
    }
    if (o->kind == OWED_VET)
        vetting_feed(o->of.group->vetting, f);
    if (f->type == B_COMMAND_COMPLETE && o->kind == OWED_PROOF)
        proof_reader_next(&s->identity.proof_reader);
    if (f->type == B_COMMAND_COMPLETE && o->kind == OWED_FACTS)
        facts_next(&s->database->facts);
    if (f->type != B_DATA_ROW)
        return;
    if (o->kind == OWED_PROOF)
        proof_reader_row(&s->identity.proof_reader, body);
    else if (o->kind == OWED_FACTS)
        facts_row(&s->database->facts, body);
    else if (o->kind == OWED_READ_VET)
        take_read_row(s, o, body);
}

static void take_checked(struct session *s, struct owed *o, const struct frame *f) {
    check_feed(o->of.lookup, f, o);
    if (o->reads && o->of.lookup)
        ahead_reply(s, o, f, true);
}

// What the check tells besides. Rows of another process than the session's are those of another session.
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

// Takes one whole message of a reply that is not the client's.
static void take_own(struct session *s, struct owed *o, const struct frame *f) {
    if (is_unasked(f)) {
        if (!s->client_gone)
            s->engine->effects->to_client(s->owner, f->body - FRAME_HEADER, f->size, true);
        if (f->type == B_PARAMETER_STATUS)
            note_parameter_status(s, o, f);
        if (f->type == B_NOTIFICATION)
            ahead_drop(s); // it may tell of a change
        return;
    }
    bool ended = f->type == B_READY_FOR_QUERY;
    if (o->kind == OWED_BATCH)
        ended = feed_batch(s, o->of.batch, f);
    else if (o->kind == OWED_CHECK)
        take_checked(s, o, f);
    else if (o->kind == OWED_PARSE)
        session_feed_parse(s, o, f, f->type == B_ERROR && is_interruption(f));
    else
        feed_own_query(s, o, f);
    if (ended)
        end_reply(s, f->body_len == 1 ? (char)f->body[0] : 'E');
}

// ---- entry

static bool is_own(const struct owed *o) {
    return o && o->kind >= OWED_BATCH;
}

// Its bytes that are there, and those to come.
static void drop_message(struct feed *f, const struct frame *fr) {
    size_t have = f->len - f->at;
    f->s->server_skip = fr->size > have ? fr->size - have : 0;
    f->s->server_skip_drop = f->s->server_skip > 0;
    f->at += fr->size - f->s->server_skip;
    f->run = f->at;
}

// Too large for a batch or one of our own queries: its rest is dropped, and the batch fails.
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
    if (f->type == B_ROW_DESCRIPTION || f->type == B_PARAMETER_DESCRIPTION)
        return s->n_expected && f->size <= session_largest_message(s);
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
    // What nobody asked for must not be cut in two either: a batch may answer this client meanwhile.
    bool refusal = o && (o->refused || s->giving_error.len) && fr->type == B_ERROR;
    if (!whole && (refusal || is_read_whole(s, fr) || ahead_wants(s, o, fr) ||
                   (!o && fr->size <= session_largest_message(s))))
        return false;
    if (o && (o->n_expected || o->poisoned || o->refused || s->giving_error.len)) {
        flush_run(f, true); // an error may have to come behind it
        if (is_dropped(s, o, fr, whole)) {
            drop_message(f, fr);
            return true;
        }
    }
    note_reply(s, o, fr, whole, whole && ready_follows(f, fr->size));
    if (fr->type == B_PARAMETER_STATUS && whole)
        note_parameter_status(s, o, fr);
    if (fr->type == B_NOTIFICATION)
        ahead_drop(s); // it may tell of a change
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
        const struct owed *o = owed_at(s, i);
        if (o->kind != OWED_FORWARD)
            return true;
    }
    return false;
}

size_t session_from_server(struct session *s, const uint8_t *bytes, size_t len, uint64_t now) {
    struct feed f = {.s = s, .bytes = bytes, .len = len};
    engine_wakes(s->engine, now);
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
    flush_run(&f, false);
    room_weigh_session(s);
    return f.at;
}
