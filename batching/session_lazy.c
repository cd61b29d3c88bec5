// SPDX-License-Identifier: PostgreSQL
//
// Lazy Parse: a statement whose description is known for this identity is prepared without the server
// (session_prepare.c answers the client), which gets it when something needs it: in the same write, in front
// of the Bind or Describe that names it (EXPECT_DELAYED), or in a unit of its own, before a statement that
// may ask for it in a way that cannot be seen (OWED_PARSE). A Close goes before the Parse, so that it may be
// sent any number of times; until its reply is there nobody counts on it.
//
// What the client was told of the statement may no longer hold when the server gets it at last: definitions
// have changed past this proxy. The server describes it anew each time, and if that is another description,
// the client is told what PostgreSQL says of a prepared statement whose columns have changed.
//
// And how descriptions become known: by watching what the server answers to a client that asks it.
#include <stdlib.h>
#include <string.h>

#include "batching/savepoint.h"
#include "batching/session.h"
#include "protocol/write.h"

static struct slice name_of(const struct statement *st) {
    return (struct slice){(const uint8_t *)st->name, strlen(st->name)};
}

// ---- what the server lacks

bool session_lacks(const struct session *s, const struct statement *st) {
    if (!st->shape || !st->confirmed)
        return false; // it is the server's own affair
    return st->name[0] ? !st->on_server : !s->server_has_unnamed || s->server_unnamed != st->shape;
}

static void count_lazy(struct session *s) {
    struct statement *st, *next;
    s->n_lazy = 0;
    HASH_ITER(hh, s->statements, st, next) {
        s->n_lazy += session_lacks(s, st);
    }
}

bool session_name_is_free(struct session *s, struct slice name) {
    if (!name.len)
        return true;
    if (savepoint_is_own_name(name))
        return false;
    if (s->n_lazy >= SESSION_MAX_LAZY)
        count_lazy(s);
    return !s->names_unknown && name.len <= SESSION_MAX_LAZY_NAME && s->n_lazy < SESSION_MAX_LAZY &&
           s->n_statements < s->engine->limits.max_statements && !session_statement(s, name);
}

// ---- giving it

static void write_delayed(struct buf *b, const struct statement *st) {
    const struct shape *shape = st->shape;
    buf_reset(b);
    if (st->name[0])
        write_close(b, 'S', name_of(st));
    write_parse(b, name_of(st), (struct slice){(uint8_t *)shape->text, shape->text_len}, shape->types,
                shape->n_types);
    write_describe(b, 'S', name_of(st));
}

bool session_send_delayed(struct session *s, struct statement *st, bool waited) {
    struct buf *b = &s->engine->request;
    write_delayed(b, st);
    if (b->failed) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    session_expect_delayed(s, st, waited);
    if (!st->name[0])
        session_note_unnamed(s, true, st->shape);
    if (!s->failed)
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return !s->failed;
}

static bool send_parse(struct session *s, struct statement *st) {
    struct buf *b = &s->engine->request;
    write_delayed(b, st);
    write_empty(b, F_SYNC);
    struct owed *o = b->failed ? NULL : owed_push(s, OWED_PARSE);
    if (!o)
        return false;
    st->refs++;
    o->of.statement = st;
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return true;
}

void session_parse_all(struct session *s) {
    struct statement *st, *next;
    if (!s->n_lazy || s->txn == 'E' || s->in_unit)
        return;
    s->n_lazy = 0;
    HASH_ITER(hh, s->statements, st, next) {
        if (session_lacks(s, st) && !send_parse(s, st))
            s->n_lazy++;
    }
}

bool session_give_all(struct session *s) {
    struct statement *st, *next;
    s->n_lazy = 0;
    HASH_ITER(hh, s->statements, st, next) {
        if (st->changed) // the server has it, and what comes here waits until it has said so
            s->n_lazy++;
        else if (session_lacks(s, st) && !session_send_delayed(s, st, true))
            return false;
    }
    return true;
}

// ---- what the server says to it

static bool hash_differs(bool known, XXH128_hash_t hash, XXH128_hash_t told) {
    return known && !XXH128_isEqual(hash, told);
}

enum stage_result { STAGE_NO, STAGE_FITS, STAGE_DIFFERS };

static enum stage_result take_stage(struct session *s, const struct statement *st, const struct frame *f) {
    static const char wanted[] = {B_CLOSE_COMPLETE, B_PARSE_COMPLETE, B_PARAMETER_DESCRIPTION,
                                  B_ROW_DESCRIPTION, 0};
    if (!s->delayed_stage && !st->name[0])
        s->delayed_stage = 1;
    if (s->delayed_stage == 3 && f->type == B_NO_DATA) {
        s->delayed_stage++;
        return st->described ? STAGE_DIFFERS : STAGE_FITS;
    }
    if (s->delayed_stage > 3 || f->type != (uint8_t)wanted[s->delayed_stage])
        return STAGE_NO;
    bool differs = false;
    if (f->type == B_PARAMETER_DESCRIPTION)
        differs =
            hash_differs(st->parameters_described, XXH3_128bits(f->body, f->body_len), st->parameters_hash);
    if (f->type == B_ROW_DESCRIPTION)
        differs = hash_differs(st->described, row_types_hash(f->body, f->body_len), st->types_hash);
    s->delayed_stage++;
    return differs ? STAGE_DIFFERS : STAGE_FITS;
}

// What was learnt is out of date.
static void unlearn(struct session *s, struct shape *shape) {
    struct group *g = session_read_group(s, shape);
    if (g)
        g->parses = g->described = false;
}

static const char changed_text[] = "cached plan must not change result type";

static void tell_changed(struct session *s) {
    struct buf *b = &s->engine->answer;
    buf_reset(b);
    write_error(b, "ERROR", "0A000", changed_text, NULL, NULL);
    if (!s->client_gone && !b->failed)
        s->engine->effects->to_client(s->owner, b->data, b->len, true);
}

// What needs it was sent behind it, and nothing else: the client is told, and the rest of the reply is
// dropped. Inside a transaction that must fail, too, as it would have done.
static void refuse_reply(struct session *s, struct owed *o, struct statement *st) {
    unlearn(s, st->shape);
    session_end_expected(s, o);
    if (!o->single || (s->txn != 'I' && s->owed.n > 1)) {
        session_fail(s, "0A000", changed_text);
        return;
    }
    tell_changed(s);
    o->poisoned = o->error = true;
    o->aborts = s->txn == 'T';
}

// A statement that never was: the server's error stands where the refusal shall.
static bool send_nothing(struct session *s, bool sync) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
    size_t at = write_begin(b, F_BIND);
    buf_put_str(b, SAVEPOINT_PORTAL);
    buf_put_str(b, SAVEPOINT_NOTHING);
    buf_put(b, "\0\0\0\0\0\0", 6);
    write_end(b, at);
    if (sync)
        write_empty(b, F_SYNC);
    if (b->failed)
        session_fail(s, "53200", "out of memory");
    else
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return !b->failed;
}

bool session_refuse(struct session *s) {
    owed_last(s)->refused = true;
    return send_nothing(s, false);
}

bool session_take_refusal(struct session *s, struct owed *o, const struct frame *f) {
    struct slice code;
    if (!o->refused || f->type != B_ERROR)
        return false;
    o->refused = false;
    if (!msg_error_field(f->body, f->body_len, 'C', &code) || !slice_is(code, "26000", 5))
        return false; // the connection ends, for one
    o->error = true;
    session_end_expected(s, o);
    tell_changed(s);
    if (s->held_unit)
        session_settle(s);
    return true;
}

bool session_abort_refused(struct session *s, struct owed *o, char status) {
    if (!o->aborts || status != 'T')
        return false;
    o->aborts = false;
    return send_nothing(s, true);
}

// What has changed counts as lacking: it is given again each time, since it may have changed back.
static void end_delayed(struct session *s, struct owed *o) {
    struct statement *st = session_shift_expected(s, o);
    s->delayed_stage = 0;
    if (st->changed)
        unlearn(s, st->shape);
    st->on_server = !st->changed;
    s->n_lazy += st->changed && st->name[0];
    if (st->changed && !st->name[0])
        session_note_unnamed(s, true, NULL);
    statement_unref(st);
    if (s->held_unit)
        session_settle(s);
}

bool session_take_delayed(struct session *s, struct owed *o, const struct frame *f) {
    if (!o->n_expected || !s->n_expected || s->expected[s->expected_head].kind != EXPECT_DELAYED)
        return false;
    struct expected x = s->expected[s->expected_head];
    struct statement *st = x.statement;
    enum stage_result r = take_stage(s, st, f);
    if (r == STAGE_NO)
        return false;
    if (r == STAGE_DIFFERS && !x.waited) {
        refuse_reply(s, o, st);
        return true;
    }
    st->changed |= r == STAGE_DIFFERS;
    if (s->delayed_stage == 4)
        end_delayed(s, o);
    return true;
}

void session_feed_parse(struct session *s, struct owed *o, const struct frame *f) {
    if (f->type == B_ERROR || take_stage(s, o->of.statement, f) == STAGE_DIFFERS)
        o->error = true;
}

void session_end_parse(struct session *s, struct owed *o) {
    o->of.statement->on_server = !o->error && s->delayed_stage == 4;
    s->n_lazy += !o->of.statement->on_server;
    s->delayed_stage = 0;
    statement_unref(o->of.statement);
}

// ---- answers of our own

// Behind an answer of our own it takes no place of its own.
static struct lookup *place_for_answer(struct session *s) {
    if (s->last && !s->last->shape)
        return s->last;
    struct lookup *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->answer = buf_make(s->engine->limits.max_answer);
    l->state = LOOKUP_ANSWERED;
    l->session = s;
    l->memory = &s->queue;
    return l;
}

bool session_answer(struct session *s, const struct buf *answer) {
    if (answer->failed)
        return false;
    if (!s->first) {
        s->engine->effects->to_client(s->owner, answer->data, answer->len, true);
        return true;
    }
    if (s->kept + answer->len > s->engine->limits.max_answer)
        return false;
    struct lookup *l = place_for_answer(s);
    if (!l || !buf_reserve(&l->answer, answer->len)) {
        if (l)
            l->answer.failed = false;
        if (l && l != s->last)
            free(l);
        return false;
    }
    buf_put(&l->answer, answer->data, answer->len);
    s->kept += answer->len;
    lookup_weigh(l);
    if (l != s->last)
        session_append(s, l);
    return true;
}

// ---- learning

struct group *session_read_group(struct session *s, struct shape *shape) {
    struct engine *e = s->engine;
    struct identity *i = session_identity_current(&e->identities, &s->identity);
    return i ? group_for_read(&e->groups, &e->identities, shape, i) : NULL;
}

void session_end_learning(struct session *s) {
    if (s->learning.group)
        s->learning.group->in_flight--;
    s->learning.group = NULL;
}

void session_learn(struct session *s, struct group *read, bool describes) {
    session_end_learning(s);
    read->in_flight++;
    s->learning =
        (struct learning){.group = read, .generation = s->engine->generation, .describes = describes};
}

static bool learn_row(struct group *g, const struct frame *f) {
    buf_reset(&g->row_description);
    buf_put(&g->row_description, f->body, f->body_len);
    g->row_hash = row_description_hash(f->body, f->body_len);
    g->parameters_hash = XXH3_128bits(g->parameters.data, g->parameters.len);
    group_weigh(g);
    return !g->row_description.failed && !g->parameters.failed;
}

// The reply's first messages are those to the Parse, and to the Describe behind it.
void session_feed_learning(struct session *s, const struct frame *f, bool whole) {
    static const char wanted[] = {B_PARSE_COMPLETE, B_PARAMETER_DESCRIPTION, B_ROW_DESCRIPTION};
    struct learning *l = &s->learning;
    struct group *g = l->group;
    uint64_t now = s->engine->generation;
    bool current = g->state == GROUP_READY && l->generation == now && g->generation == now;
    if (!whole || !current || f->type != (uint8_t)wanted[l->stage])
        return session_end_learning(s);
    if (l->stage == 0)
        g->parses = true;
    if (l->stage == 0 && (!l->describes || g->described))
        return session_end_learning(s);
    if (l->stage == 1) {
        buf_reset(&g->parameters);
        buf_put(&g->parameters, f->body, f->body_len);
    }
    if (l->stage++ < 2)
        return;
    g->described = learn_row(g, f);
    session_end_learning(s);
}
