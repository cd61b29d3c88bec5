// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/reply_end.h"

#include <string.h>

#include "batching/flow/await.h"
#include "batching/flow/batches.h"
#include "batching/flow/check.h"
#include "batching/flow/children.h"
#include "batching/flow/lend.h"
#include "batching/flow/load.h"
#include "batching/fold/batch.h"
#include "batching/fold/erring.h"
#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/session/answered.h"
#include "batching/session/behind.h"
#include "batching/session/cancel_request.h"
#include "batching/session/cleared.h"
#include "batching/session/cursors.h"
#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/frame.h"
#include "batching/session/held.h"
#include "batching/session/late.h"
#include "batching/session/lazy.h"
#include "batching/session/learn.h"
#include "batching/session/lists.h"
#include "batching/session/lookup.h"
#include "batching/session/order.h"
#include "batching/session/owed.h"
#include "batching/session/own_prepared.h"
#include "batching/session/pooler.h"
#include "batching/session/pump.h"
#include "batching/session/record.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/sent.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/txn.h"
#include "batching/session/vouch.h"
#include "batching/session/whole_unit.h"
#include "batching/session/wire.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/talk/dry_reply.h"
#include "batching/talk/end_take.h"
#include "batching/talk/extended.h"
#include "batching/talk/given.h"
#include "batching/talk/opaque.h"
#include "batching/trust/facts.h"
#include "batching/trust/identity.h"
#include "batching/trust/vet.h"
#include "protocol/buf.h"

// ---- the client's statements

// A session is mostly reset when a pool gets its connection back. It is proved now, while nobody waits; the
// next RESET ALL or DISCARD ALL leads back to that proof.
static void prove_early(struct session *s) {
    if (s->identity.state == IDENTITY_UNPROVEN && s->identity.n_proofs)
        engine_list_proof(s->engine, s);
}

// Does one of these settings decide how constants are read? The server reads constants when it parses a
// statement, and does not read them again when the setting changes.
static bool any_reads_constants(const struct parsed_setting *settings, unsigned n) {
    static const char *const names[] = {"datestyle",   "timezone", "intervalstyle", "array_nulls",
                                        "lc_monetary", "lc_time",  "xmloption"};
    for (unsigned i = 0; i < n; i++)
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            if (strcmp(settings[i].name, names[j]) == 0)
                return true;
    return false;
}

// What the client has prepared under the old settings no longer folds: a batch would read its constants by
// the new ones. A statement that the server lacks would be parsed under the new ones, too.
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
    if (p->kind == STATEMENT_SET)
        return;
    reporting_reset_tags(s); // a pool gives the connection to somebody else
    if (p->kind == STATEMENT_RESET_ALL)
        cleared_note(s, shape);
    prove_early(s);
}

// Definitions count as changed three times: when the statement is sent, when it has ended, and when its
// transaction has ended.
static void note_definitions(struct session *s, const struct owed *o) {
    if (o->forward.changes || (s->definitions_in_txn && s->txn == 'I'))
        engine_definitions_changed(s->engine);
    s->definitions_in_txn = (s->definitions_in_txn || o->forward.changes) && s->txn != 'I';
}

static void end_forward(struct session *s, struct owed *o, char before) {
    dry_reply(s, o);
    sent_ended(s, o);
    trust_note_run(s);
    if (o->forward.writes)
        trust_note_write(s); // what was made meanwhile may have run
    ahead_answered(s);
    session_txn_ended(s, o, before);
    if (o->forward.drops)
        ahead_drop(s);
    if (o->error)
        session_forget_cursors(s, true);
    if (o->forward.setting && !o->error && s->txn == 'I')
        apply_setting(s, o->forward.setting);
    else if (o->forward.setting)
        session_doubt(s);
    shape_unref(o->forward.setting);
    statement_unref(o->forward.bound);
    note_definitions(s, o);
    struct group *g = o->of.group;
    if (g) {
        group_unpin(g);
        // The read ran while it was being vetted. Only a good verdict leaves the session as it was.
        if (group_is_read(g) && g->state != GROUP_READY) {
            session_doubt(s);
            session_note_write(s, NULL);
        }
    }
    session_end_expected(s, o);
    session_end_learning(s);
    if (o->forward.clears_names && !o->error && !s->n_forward)
        names_are_known(s);
    if (s->txn == 'I' && !s->in_unit)
        extended_set_portal(s, NULL); // a portal ends with its transaction
}

static void end_lookup(struct session *s, struct owed *o) {
    struct lookup *l = o->of.lookup;
    s->gives = false; // nothing was sent behind the lookup
    session_end_expected(s, o);
    if (!l)
        return; // the client is gone
    if (l->loop)
        l->loop->last_answer = s->engine->now;
    ahead_answered(s);
    if (s->txn == 'T')
        session_note_snapshot_taken(s);
    trust_note_run(s);
    if (!o->error)
        engine_note_alone(s->engine, l);
    if (l->counted && l->has_key)
        erring_note(l->group, l->keys, o->error);
    l->failed = o->error;
    if (l->pipeline)
        pipeline_ended(l, o);
    lookup_answered(s, l);
    order_shift(s);
    l->session = NULL;
    lookup_free(s->engine, l);
}

// ---- the catalogue's verdicts

// The time for which the catalogue's answer holds: a fixed snapshot shows it as it was when that was taken.
static uint64_t verdict_time(const struct session *s) {
    return session_snapshot_is_fixed(s) ? s->transaction.began : s->engine->now;
}

#define VET_AGAIN 1000000 // microseconds

// The query was interrupted, which says nothing about the group. It is asked again, but not at once.
static void postpone_vet(struct session *s, struct group *g) {
    vetting_destroy(g->vetting);
    g->vetting = NULL;
    group_set_state(g, GROUP_REFUSED);
    g->vetted_at = s->engine->now + VET_AGAIN - s->engine->limits.vet_max_age;
}

static void refuse_read(struct session *s) {
    session_doubt(s);
    session_note_write(s, NULL); // the reads sent behind the question may write
}

static void end_vet(struct session *s, struct owed *o) {
    struct engine *e = s->engine;
    struct group *g = o->of.group;
    uint64_t generation = g->generation; // of the definitions when the query was sent
    g->asked_in_vain = o->unwanted ? g->asked_in_vain : 0;
    if (o->kind == OWED_VET && !o->framed && o->error)
        session_note_unnamed(s, true, NULL); // the unit may have failed before its Close
    if ((o->framed && s->txn == 'E') || (o->unwanted && o->error)) {
        // The client's transaction had been aborted before the question, or the client has cancelled: nothing
        // was answered.
        group_set_state(g, GROUP_NEW);
        if (o->unwanted && o->error)
            late_verdict(e, g);
        if (o->kind == OWED_READ_VET && s->txn != 'E')
            refuse_read(s); // reads that were sent because the question was under way run now
    } else if (o->interrupted) {
        postpone_vet(s, g);
        if (o->kind == OWED_READ_VET)
            refuse_read(s);
    } else if (o->kind == OWED_VET) {
        g->vetting->failed |= o->error;
        reporting_vetted(s, &g->vetting->catalogue);
        const char *refusal = group_vetted(&e->groups, g, verdict_time(s), generation);
        g->shape->until_check = 0; // the first batch is checked
        if (refusal && g->state == GROUP_REFUSED)
            e->effects->log(e->ctx, REASON_VET_REFUSED, s->id, refusal);
    } else {
        group_read_vetted(&e->groups, g, o->answer && !o->error, !o->error, verdict_time(s), generation);
        if (g->state != GROUP_READY)
            refuse_read(s);
    }
    if (generation != e->generation) {
        group_forget(g);
        await_verdict_is_old(e, g);
    }
    if (g->n_waiting)
        engine_list_group(e, g);
    if (o->kind == OWED_VET)
        ahead_vetted(s, g);
    await_verdict_given(e, g);
}

// ---- what else is ours

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
    uint64_t number = b->ahead.home ? b->ahead.number : 0;
    engine_batch_ended(s->engine, b);
    if (number)
        children_loaded(s, number);
}

static void end_proof(struct session *s, const struct owed *o) {
    s->engine->proving--;
    pooler_note(s, o->error ? 0 : s->identity.proof_reader.process);
    identity_proof_end(&s->engine->identities, &s->identity, !o->error);
    if (o->unwanted && o->error && s->identity.state == IDENTITY_REFUSED)
        session_identity_not_asked(&s->identity); // it was cancelled; it is asked again, later each time
    await_proof_ended(s);
}

static void end_facts(struct session *s, const struct owed *o) {
    struct facts *f = &s->database->facts;
    uint64_t since = f->named, editions = f->editions;
    facts_answered(f, s->engine->now, !o->error);
    if (f->editions != editions)
        trust_names_changed(s, since);
    room_weigh_database(s->engine, s->database);
}

static void end_check(struct session *s, const struct owed *o) {
    struct engine *e = s->engine;
    struct lookup *l = o->of.lookup;
    if (!check_replied(e, l, o))
        return;
    if (!e->limits.verify)
        engine_abandon_shape(e, l->shape, "a folded answer of its shape differed from the original's");
    check_answer(e, l);
}

// What was sent behind a BEGIN that failed has run outside the transaction in which the client believes it to be.
static void end_setup(struct session *s, const struct owed *o, char status) {
    if (o->kind == OWED_END)
        end_late(s, o, status);
    if (o->error && o->kind == OWED_SETUP)
        session_note_unnamed(s, false, NULL);
    if (o->error && o->kind == OWED_BEGIN && !s->client_gone)
        session_fail(s, "08006", "the server has refused to begin a transaction that the client was told of");
}

// A lookup that came with BEGIN was answered: the keys that its loop will ask for next are loaded.
static void follow_behind(struct session *s, const struct owed *o) {
    struct behind *b = o->forward.behind;
    if (!b)
        return;
    if (!o->error && s->txn == 'T' && !s->order.n)
        ahead_follow_behind(s, b);
    behind_free(b);
}

// ---- the entry

// ReadyForQuery behind something of ours inside the client's transaction does not change the status that the
// client knows.
static void take_status(struct session *s, const struct owed *o, char status) {
    s->splits &= !o->split;
    s->skips_unit |= o->split && o->error;
    if (o->undone)
        return; // what comes behind it takes it back
    if (o->framed)
        session_frame_ended(s, status);
    else if (o->kind == OWED_UNDO)
        session_undone(s, o, status);
    else if (o->kind == OWED_REPAIR)
        session_repair_ended(s, status);
    else if (owed_is_bound(o) && s->txn == 'I' && status != 'I')
        session_block_left(s);
    else if (o->kind != OWED_END) // the client may have begun another one
        s->txn = status;
}

// A statement of the client's has been answered.
static void end_clients(struct session *s, const struct owed *o) {
    children_list_read(s);
    given_forget_error(s);
    session_note_written(s, o);
}

void reply_end(struct session *s, char status) {
    struct owed o = *owed_head(s);
    char before = s->txn;
    owed_pop(s);
    take_status(s, &o, status);
    if (!s->owed.n)
        s->copying = false;
    if (!s->owed.n && s->in_unit)
        session_go_opaque(s); // the client has not sent its Sync: nothing asked for this ReadyForQuery
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
    case OWED_PARSE:
        session_end_parse(s, &o);
        break;
    case OWED_SETUP:
    case OWED_BEGIN:
    case OWED_REPAIR:
    case OWED_UNDO:
    case OWED_END:
        end_setup(s, &o, status);
        break;
    }
    if (!owed_is_own(&o))
        end_clients(s, &o);
    follow_behind(s, &o);
    dry_end(s, &o);
    if (session_is_pooled(s) && s->txn == 'I' && s->names.unnamed && s->names.unnamed->confirmed)
        session_note_unnamed(s, true, NULL); // the next unit may run in another server process
    session_relay_cancel(s);
    if (s->wants_proof && s->txn == 'I' && !s->n_forward && !s->in_unit)
        engine_list_proof(s->engine, s);
    session_pump(s);
}
