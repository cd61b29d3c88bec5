// SPDX-License-Identifier: PostgreSQL
//
// Lazy Parse: a statement whose description is known for this identity is prepared without the server
// (session_prepare.c answers the client), which gets it when something needs it: in the same write, in front
// of the Bind or Describe that names it (EXPECT_DELAYED), or in a unit of its own, before a statement that
// may ask for it in a way that cannot be seen (OWED_PARSE). A Close goes before the Parse, so that it may be
// sent any number of times; until its reply is there nobody counts on it.
//
// A Parse locks the tables that it names. In front of the Bind it waits for what the Bind would wait for. A
// unit of its own is in front of a statement that may have nothing to do with these tables, so the server
// gives it up when it waits long, one statement without the others; inside a transaction, where the setting
// for that would stay, it is framed, awaited and cancelled like any unit of ours there (late.h). What was not
// given is lacking still.
//
// What the client was told of the statement may no longer hold when the server gets it at last: definitions
// have changed past this proxy. The server describes it anew each time, and if that is another description,
// the client is told what PostgreSQL says of a prepared statement whose columns have changed.
//
// And how descriptions become known: by watching what the server answers to a client that asks it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/fold/savepoint.h"
#include "batching/session/session.h"
#include "batching/trust/vet.h"
#include "protocol/write.h"

#define GIVE_AGAIN    1000000 // microseconds from one that could not be given to the next try
#define MAX_DOUBLINGS 6       // of that

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
    if (st->name[0])
        write_close(b, 'S', name_of(st));
    write_parse(b, name_of(st), (struct slice){(uint8_t *)shape->text, shape->text_len}, shape->types,
                shape->n_types);
    write_describe(b, 'S', name_of(st));
}

bool session_send_delayed(struct session *s, struct statement *st, bool waited) {
    struct buf *b = &s->engine->request;
    buf_reset(b);
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

// In front of what is given, under a name that is free until it is: the setting ends with the unit.
static void write_bound(struct buf *b, const struct statement *st, unsigned milliseconds) {
    char sql[96];
    int len =
        snprintf(sql, sizeof sql, "SELECT pg_catalog.set_config('lock_timeout', '%u', true)", milliseconds);
    write_close(b, 'S', name_of(st));
    write_parse(b, name_of(st), (struct slice){(const uint8_t *)sql, (size_t)len}, NULL, 0);
    size_t at = write_begin(b, F_BIND);
    buf_put_str(b, "");
    buf_put_str(b, st->name);
    buf_put(b, "\0\0\0\0\0\0", 6);
    write_end(b, at);
    write_execute_all(b, (struct slice){0});
    write_close(b, 'S', name_of(st));
}
#define BOUND_REPLIES 6 // messages

static bool may_be_given(const struct session *s, const struct statement *st) {
    return session_lacks(s, st) && !st->unfit;
}

// Inside a transaction: one unit, that is framed as a whole.
static bool put_inside(struct session *s, struct buf *unit) {
    struct statement *st, *next;
    struct owed *o = owed_push(s, OWED_PARSE);
    if (!o)
        return false;
    o->framed = !s->keeps_out;
    HASH_ITER(hh, s->statements, st, next) {
        if (!may_be_given(s, st))
            continue;
        write_delayed(unit, st);
        session_expect_delayed(s, st, true);
    }
    if (o->framed)
        o->n_asked = (unsigned)strlen(savepoint_open_replies(s->frame_prepared));
    write_empty(unit, F_SYNC);
    if (!unit->failed)
        session_send_parses(s, o, unit);
    return !unit->failed;
}

#define LEAST_LOCK_WAIT 5 // milliseconds

// Each in a unit of its own: one that has to wait for a lock takes no other one along. All together they wait
// no longer than one would.
static bool put_each(struct session *s, unsigned n, struct buf *units) {
    struct statement *st, *next;
    struct owed *o = NULL;
    unsigned wait = VET_LOCK_TIMEOUT / n;
    HASH_ITER(hh, s->statements, st, next) {
        if (!may_be_given(s, st))
            continue;
        o = owed_push(s, OWED_PARSE);
        if (!o)
            return false;
        write_bound(units, st, wait > LEAST_LOCK_WAIT ? wait : LEAST_LOCK_WAIT);
        o->n_asked = BOUND_REPLIES;
        write_delayed(units, st);
        session_expect_delayed(s, st, true);
        write_empty(units, F_SYNC);
    }
    if (!units->failed)
        session_send_parses(s, o, units);
    return !units->failed;
}

static unsigned count_to_give(struct session *s) {
    struct statement *st, *next;
    unsigned n = 0;
    s->n_lazy = 0;
    HASH_ITER(hh, s->statements, st, next) {
        n += may_be_given(s, st);
        s->n_lazy += session_lacks(s, st);
    }
    return n;
}

enum giving session_parse_all(struct session *s, bool asks) {
    bool inside = s->txn != 'I';
    bool again = (asks && !inside) || s->engine->now >= s->give_from;
    unsigned n = !s->n_lazy || s->txn == 'E' || s->in_unit || !again ? 0 : count_to_give(s);
    if (!n)
        return GIVING_NOTHING;
    struct buf unit = buf_make((size_t)1 << 30);
    if (!(inside ? put_inside(s, &unit) : put_each(s, n, &unit)))
        session_fail(s, "53200", "out of memory");
    buf_free(&unit);
    return session_is_framed(s) ? GIVING_FIRST : GIVING_IN_FRONT;
}

bool session_give_named(struct session *s, struct slice name) {
    struct statement *st = name.len ? session_statement(s, name) : NULL;
    if (!st || !session_lacks(s, st) || s->txn == 'E' || s->in_unit)
        return false;
    struct buf *b = &s->engine->request;
    struct owed *o = owed_push(s, OWED_PARSE);
    buf_reset(b);
    write_delayed(b, st);
    write_empty(b, F_SYNC);
    if (o) {
        o->named = true;
        session_expect_delayed(s, st, true);
    }
    if (o && !b->failed)
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
    else
        session_fail(s, "53200", "out of memory");
    return true;
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

// Strings, in whatever quotes; not $1.
static bool has_constants(const struct shape *shape) {
    const char *text = shape->text, *end = text + shape->text_len;
    if (memchr(text, '\'', shape->text_len))
        return true;
    for (const char *p = text; (p = memchr(p, '$', (size_t)(end - p))); p++)
        if (p + 1 == end || p[1] < '0' || p[1] > '9')
            return true;
    return false;
}

static void forget(struct session *s, bool constants) {
    struct statement *st, *next;
    session_forget_statements(s, false);
    HASH_ITER(hh, s->statements, st, next) {
        bool lacks = session_lacks(s, st) && !(constants && has_constants(st->shape));
        if (lacks && !session_expects(s, EXPECT_DELAYED, st))
            continue;
        st->forgotten = lacks;
        HASH_DEL(s->statements, st);
        s->n_statements--;
        statement_unref(st);
    }
}

void session_forget_given(struct session *s) {
    forget(s, false);
}

void session_forget_constants(struct session *s) {
    forget(s, true);
}

void session_list_again(struct session *s, struct statement *st) {
    struct slice name = name_of(st);
    st->forgotten = false;
    if (session_statement(s, name) || s->n_statements >= s->engine->limits.max_statements)
        return;
    HASH_ADD_KEYPTR(hh, s->statements, st->name, name.len, st);
    if (!st->hh.tbl)
        return;
    st->refs++;
    s->n_statements++;
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
    st->unfit &= st->changed;
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

// What the client was told of it no longer holds: that is said when it needs it.
static void end_given(struct session *s, struct owed *o) {
    struct statement *st = session_shift_expected(s, o);
    st->on_server = !o->answer;
    s->n_lazy = st->on_server ? s->n_lazy - (s->n_lazy > 0) : s->n_lazy;
    st->unfit = o->answer;
    s->delayed_stage = 0;
    o->answer = false;
    statement_unref(st);
}

// Without what belongs to our Parse: where in its text.
static void keep_error(struct session *s, const struct frame *f) {
    struct slice code, message;
    char sqlstate[6], text[512];
    if (!msg_error_field(f->body, f->body_len, 'C', &code) ||
        !msg_error_field(f->body, f->body_len, 'M', &message))
        return;
    snprintf(sqlstate, sizeof sqlstate, "%.*s", (int)code.len, (const char *)code.data);
    snprintf(text, sizeof text, "%.*s", message.len < 512 ? (int)message.len : 511,
             (const char *)message.data);
    buf_free(&s->giving_error);
    s->giving_error = buf_make(2048);
    write_error(&s->giving_error, "ERROR", sqlstate, text, NULL, NULL);
}

bool session_take_missing(struct session *s, struct owed *o, const struct frame *f) {
    struct slice code;
    if (!s->giving_error.len || o->kind != OWED_FORWARD || f->type != B_ERROR ||
        !msg_error_field(f->body, f->body_len, 'C', &code) ||
        (!slice_is(code, "26000", 5) && !slice_is(code, "25P02", 5)))
        return false;
    o->error = true;
    session_end_expected(s, o);
    if (!s->client_gone && !s->giving_error.failed)
        s->engine->effects->to_client(s->owner, s->giving_error.data, s->giving_error.len, true);
    buf_free(&s->giving_error);
    if (s->held_unit)
        session_settle(s);
    return true;
}

void session_feed_parse(struct session *s, struct owed *o, const struct frame *f, bool interruption) {
    struct expected *x = o->n_expected && s->n_expected ? &s->expected[s->expected_head] : NULL;
    if (f->type == B_ERROR) {
        o->error = true;
        o->interrupted = interruption;
        if (o->named)
            keep_error(s, f);
        if (x && !o->n_asked && !interruption)
            x->statement->unfit = true; // not the others, which come behind it
        session_end_expected(s, o);
    } else if (o->n_asked) {
        o->n_asked--;
    } else if (x) {
        o->answer |= take_stage(s, x->statement, f) == STAGE_DIFFERS;
        if (s->delayed_stage == 4)
            end_given(s, o);
    }
}

// Who waits for the lock is not asked again each time.
void session_end_parse(struct session *s, struct owed *o) {
    session_end_expected(s, o);
    bool counts = s->engine->now >= s->give_from; // of those that were given together one
    if (o->error && o->interrupted && counts) {
        s->give_from = s->engine->now + ((uint64_t)GIVE_AGAIN << s->gave_in_vain);
        s->gave_in_vain += s->gave_in_vain < MAX_DOUBLINGS;
    } else if (!o->error) {
        s->gave_in_vain = 0;
    }
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
