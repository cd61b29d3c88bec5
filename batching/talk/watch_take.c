// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/watch_take.h"

#include <stdio.h>
#include <string.h>

#include "batching/ahead/predict.h"
#include "batching/flow/await.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/lazy.h"
#include "batching/session/pooler.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/watched.h"
#include "batching/statement/shape.h"
#include "batching/talk/answer.h"
#include "batching/talk/classify.h"
#include "batching/talk/given.h"
#include "batching/talk/lookup_take.h"
#include "batching/talk/question.h"
#include "batching/talk/reads.h"
#include "batching/watch/control.h"
#include "batching/watch/report.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

// ---- refusing

// An answer of pgfold's own comes when all that was asked before is answered.
static bool must_wait(struct session *s) {
    bool waits = s->n_forward || s->order.n;
    if (waits)
        hold_for_lookups(s);
    return waits;
}

// Gives the client this error in place of an answer, and makes its transaction fail.
static enum take refuse(struct session *s, const char *sqlstate, const char *message, const char *detail,
                        const char *hint) {
    struct buf error = buf_make(65536);
    write_error(&error, "ERROR", sqlstate, message, detail, hint);
    watched_refuse(s);
    if (s->txn == 'T') {
        (void)session_refuse_unit(s, &error); // false: the session has failed
    } else {
        write_ready(&error, s->txn);
        s->engine->effects->to_client(s->owner, error.data, error.len, true);
    }
    buf_free(&error);
    return TAKE_TAKEN;
}

// ---- what is told of a section

static void put_statement(struct buf *b, const char *what, struct shape *shape) {
    buf_put_text(b, b->len ? "\n" : "");
    report_put_statement(b, what, shape);
}

// The loop, or the shape with most keys, that a report names first. NULL: there is none.
static const struct section_shape *worst(const struct section *at, bool looped) {
    const struct section_shape *found = NULL;
    for (unsigned i = 0; at->shapes && i < SECTION_SHAPES; i++) {
        const struct section_shape *of = &at->shapes[i];
        if (of->shape && !of->excused && of->looped >= looped && (!found || of->n_keys > found->n_keys))
            found = of;
    }
    return found;
}

static void put_count(struct buf *b, const struct section *at, enum metric m, bool more) {
    char text[160];
    bool exact = at->expect.of[m].exact;
    snprintf(text, sizeof text, "expected %s%u %s, and there %s %llu", exact ? "" : "at most ",
             at->expect.of[m].most, metric_name(m), at->n[m] + more == 1 ? "is" : "are",
             (unsigned long long)(at->n[m] + more));
    buf_put_text(b, text);
}

static const char advice[] =
    "Load the rows of all keys with the list: by eager loading, a join, or one SELECT with IN. "
    "The comment /* pgfold:allow */ in the statement excuses it.";

// Refuses the statement at hand, or the end of the section, since this metric is not as expected. `of`: the lookups at
// hand; NULL: it is not because of them.
static enum take refuse_for(struct session *s, struct section *at, enum metric m,
                            const struct section_shape *of, bool more) {
    s->engine->scopes.n_refused++;
    struct buf message = buf_make(1024), detail = buf_make(8192);
    bool loop = m == METRIC_LOOPS || m == METRIC_REPEATS;
    of = of ? of : loop ? worst(at, m == METRIC_LOOPS) : NULL;
    if (loop)
        buf_put_text(&message, "N+1: the same SELECT is sent once for each row");
    else
        put_count(&message, at, m, more);
    if (of && of->list)
        put_statement(&detail, "The list: ", of->list);
    if (of)
        put_statement(&detail, "Once for each row: ", of->shape);
    buf_put_u8(&message, 0);
    buf_put_u8(&detail, 0);
    enum take t =
        refuse(s, loop ? "PF001" : "PF002", message.failed ? "N+1" : (char *)message.data,
               detail.len > 1 && !detail.failed ? (char *)detail.data : NULL,
               loop ? advice : "SELECT current_setting('pgfold.counts', true) shows what was counted.");
    buf_free(&message);
    buf_free(&detail);
    return t;
}

// ---- statements about pgfold's settings

// Says no to most other statements at little cost.
static bool may_be_control(struct slice text) {
    if (!text.len || !memchr("sSrR \n\t(/-", text.data[0], 10))
        return false;
    bool select =
        text.len > 7 && (text.data[1] | 0x20) == 'e' && (text.data[2] | 0x20) == 'l' && text.data[6] == ' ';
    return !select || memchr("cCsSpP \n/-", text.data[7], 10);
}

// The text that the unit runs. Data NULL: it is not known.
static struct slice text_of(struct session *s, const struct unit *u, enum unit_result r) {
    if (r == UNIT_SIMPLE)
        return u->query;
    if (r == UNIT_PREPARE)
        return u->parse.text;
    if (r != UNIT_EXTENDED || u->bind.n_params)
        return (struct slice){0};
    if (u->has_parse)
        return u->parse.text;
    const struct statement *st = session_statement(s, u->bind.statement);
    bool may =
        st && st->shape && (st->shape->parsed->kind != STATEMENT_READ || !st->shape->parsed->n_relations);
    return may ? (struct slice){(const uint8_t *)st->shape->text, st->shape->text_len} : (struct slice){0};
}

static void write_columns(struct buf *b, const char *name) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 1);
    buf_put_str(b, name);
    buf_put_u32(b, 0); // of no table
    buf_put_u16(b, 0);
    buf_put_u32(b, 25);         // text
    buf_put_u16(b, UINT16_MAX); // of any length
    buf_put_u32(b, UINT32_MAX);
    buf_put_u16(b, 0);
    write_end(b, at);
}

static void write_row(struct buf *b, const struct buf *value) {
    size_t at = write_begin(b, B_DATA_ROW);
    buf_put_u16(b, 1);
    buf_put_u32(b, (uint32_t)value->len);
    buf_put(b, value->data, value->len);
    write_end(b, at);
}

static void write_answer(struct buf *b, const struct unit *u, enum unit_result r, const struct control *c,
                         const struct buf *value, char status) {
    const char *column = control_column(c);
    bool extended = r == UNIT_EXTENDED;
    buf_reset(b);
    if (extended && u->has_parse)
        write_empty(b, B_PARSE_COMPLETE);
    if (extended)
        write_empty(b, B_BIND_COMPLETE);
    if (column && (!extended || u->has_describe))
        write_columns(b, column);
    if (!column && extended && u->has_describe)
        write_empty(b, B_NO_DATA);
    if (column)
        write_row(b, value);
    size_t at = write_begin(b, B_COMMAND_COMPLETE);
    buf_put_str(b, control_tag(c));
    write_end(b, at);
    for (unsigned i = 0; extended && i < u->n_closes; i++)
        write_empty(b, B_CLOSE_COMPLETE);
    write_ready(b, status);
}

// What is read of a setting. Without a section there are no counts.
static void put_value(struct session *s, const struct control *c, struct buf *out) {
    struct scope *of = session_scope(s);
    struct section *at = session_section(s, 0) ? session_section(s, 0) : session_section(s, 1);
    if (c->verb == CONTROL_CONFIG)
        buf_put(out, c->value.data, c->value.len);
    else if (c->setting == CONTROL_TAGS)
        buf_put(out, reporting_tags(s).data, reporting_tags(s).len);
    else if (c->setting == CONTROL_SCOPE && of)
        buf_put(out, of->name, strnlen((const char *)of->name, of->len));
    else if (c->setting == CONTROL_COUNTS && at)
        section_write_counts(at, out);
    else if (c->setting == CONTROL_EXPECT && at)
        expectation_write(&at->expect, out);
}

static enum take end_section(struct session *s) {
    struct scope *of = session_scope(s);
    if (!of || (!of->begun && !of->left))
        return TAKE_FORWARD;
    enum metric m = section_fails(&of->section);
    enum take t = m == METRIC_COUNT || of->section.expect.warns ? TAKE_FORWARD
                                                                : refuse_for(s, &of->section, m, NULL, false);
    scope_end(&s->engine->scopes, of);
    watched_part_all(s->engine, session_scope(s));
    return t;
}

// Does what a SET says. TAKE_FORWARD: it was done, and is to be answered.
static enum take apply(struct session *s, const struct control *c) {
    struct expectation e;
    struct slice bad = {0};
    char message[200];
    if (c->verb == CONTROL_SHOW || c->verb == CONTROL_READ)
        return TAKE_FORWARD;
    if (c->setting == CONTROL_TAGS && c->value.data)
        reporting_set_tags(s, c->value);
    else if (c->setting == CONTROL_TAGS)
        reporting_reset_tags(s);
    if (c->setting == CONTROL_TAGS)
        return TAKE_FORWARD;
    if (c->setting == CONTROL_SCOPE) {
        watched_enter(s, c->value);
        return TAKE_FORWARD;
    }
    if (!expectation_read(c->value, &e, &bad)) {
        snprintf(message, sizeof message, "invalid value for parameter \"pgfold.expect\": \"%.*s\"",
                 (int)(bad.len < 60 ? bad.len : 60), (const char *)bad.data);
        return refuse(
            s, "22023", message, NULL,
            "Write for example loops=0 statements<=3; there are statements, lookups, loops and repeats.");
    }
    if (!expectation_is_set(&e))
        return end_section(s);
    if (session_scope(s) && scope_begin(&s->engine->scopes, session_scope(s), &e)) {
        watched_part_all(s->engine, session_scope(s));
        return TAKE_FORWARD;
    }
    return refuse(s, "53400", "too many sections of tests are open", NULL,
                  "End them with SET pgfold.expect = '', or give the tests fewer scopes.");
}

// The client may run the statement by its name, or again, without a Parse. False: out of memory.
static bool note_statement(struct session *s, const struct unit *u) {
    enum reason why;
    struct slice name = u->parse.name;
    struct shape *shape = shape_of_parse(&s->engine->shapes, &u->parse, &why);
    struct statement *st = shape ? statement_create(s, (const char *)name.data, name.len, shape) : NULL;
    if (!st)
        return false;
    st->confirmed = st->ours = true;
    st->generation = s->engine->generation;
    names_more_lazy(s, name.len > 0);
    session_put_statement(s, st);
    return true;
}

// The statement is prepared, and the server hears nothing of it.
static enum take prepare_control(struct session *s, const struct unit *u, const struct control *c) {
    struct buf *b = &s->engine->answer;
    if (must_wait(s))
        return TAKE_WAIT;
    if (!session_may_remember(s, u->parse.name.len) || !session_name_is_free(s, u->parse.name))
        return TAKE_FORWARD;
    buf_reset(b);
    write_empty(b, B_PARSE_COMPLETE);
    if (u->has_describe) {
        size_t at = write_begin(b, B_PARAMETER_DESCRIPTION);
        buf_put_u16(b, 0);
        write_end(b, at);
    }
    if (u->has_describe && control_column(c))
        write_columns(b, control_column(c));
    else if (u->has_describe)
        write_empty(b, B_NO_DATA);
    if (u->sync)
        write_ready(b, s->txn);
    if (b->failed || !note_statement(s, u) || !session_answer(s, b, NULL))
        return TAKE_FORWARD;
    s->lazy_unit = !u->sync;
    return TAKE_TAKEN;
}

static enum take take_control(struct session *s, const struct unit *u, enum unit_result r,
                              const struct control *c) {
    static const enum statement_kind kind = STATEMENT_HARMLESS;
    struct buf value = buf_make(4096);
    if (must_wait(s))
        return TAKE_WAIT;
    enum take t = apply(s, c);
    if (t != TAKE_FORWARD)
        return t;
    put_value(s, c, &value);
    write_answer(&s->engine->answer, u, r, c, &value, s->txn);
    buf_free(&value);
    if (!session_answer(s, &s->engine->answer, &kind))
        return TAKE_FORWARD;
    if (r == UNIT_SIMPLE)
        session_drop_unnamed(s);
    if (r == UNIT_EXTENDED && u->has_parse)
        (void)note_statement(s, u); // else the client prepares it again
    s->lazy_unit = false;
    return TAKE_TAKEN;
}

// ---- lookups

// Its text asks to be excused.
static bool is_excused(const struct session *s, const struct shape *shape) {
    return scopes_allow(&s->engine->scopes, shape, false) ||
           memmem(shape->text, shape->text_len, "pgfold:allow", 12);
}

static bool find_candidate(struct candidate *c) {
    enum reason why = candidate_shape(c);
    return c->shape && c->shape->reason == REASON_NONE && c->shape->parsed->kind == STATEMENT_READ &&
           (why == REASON_NONE || why == REASON_NOT_DESCRIBED || why == REASON_NAME_MOVED);
}

// Finds the group that knows what the shape's keys refer to. NULL: there is none.
static void find_group(struct session *s, struct candidate *c) {
    if (candidate_group(c) != REASON_NONE && !c->group)
        return;
    reads_refresh_group(s->engine, c->group);
    if (c->group->state == GROUP_REFUSED && c->group->level == LEVEL_OWN) {
        c->group = group_for_owner(&s->engine->groups, &s->engine->identities, c->group, s->id);
        if (c->group)
            reads_refresh_group(s->engine, c->group);
    }
}

// Waits until the catalogue has told that. True: the unit has to wait.
static bool waits_for_verdict(struct session *s, struct candidate *c) {
    find_group(s, c);
    struct group *g = c->group;
    if (!g || g->state == GROUP_READY || g->state == GROUP_REFUSED || session_only_forwards(s))
        return false;
    if (g->state == GROUP_NEW && s->n_forward) {
        hold_for_lookups(s);
        return true;
    }
    if (g->state == GROUP_NEW)
        session_start_vet(s, g);
    if (g->state == GROUP_VETTING && session_vets(s, g)) {
        hold_for_lookups(s);
        return true;
    }
    return g->state == GROUP_VETTING && await_read(s, c->shape, g);
}

#define MOST_TRAILS 64 // sessions of a scope whose lists are looked at
#define MOST_LISTS  32

// Lists that have the key of the lookup at hand.
struct sources {
    unsigned n;
    struct {
        uint64_t number; // of the list, in all sessions
        uint64_t text;   // what its statement is known by
        bool parted;     // it was read in another test of the run
        bool before;     // or before the section
    } list[MOST_LISTS];
};

static void add_lists(struct sources *found, struct session *o, const struct group *g,
                      const struct key *keys) {
    const struct trail_result *lists[PREDICT_LISTS];
    unsigned n = o->ahead ? predict_lists(&o->ahead->trail, g, keys, lists) : 0;
    for (unsigned i = 0; i < n && found->n < MOST_LISTS; i++, found->n++) {
        found->list[found->n].number = o->id << 32 ^ lists[i]->serial;
        found->list[found->n].text = lists[i]->columns.text;
        found->list[found->n].parted = lists[i]->serial <= o->watch.parted;
        found->list[found->n].before = lists[i]->serial <= o->watch.before;
    }
}

// Finds the lists that the scope's sessions have read and that have the key.
static void find_sources(struct session *s, const struct candidate *c, struct sources *found) {
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    struct scope *of = session_scope(s);
    found->n = 0;
    if (!c->group || c->group->state != GROUP_READY)
        return;
    candidate_raw(c, raw);
    if (!group_read_key(c->group, raw, keys))
        return;
    add_lists(found, s, c->group, keys);
    unsigned n = 0;
    for (struct session *o = s->engine->sessions; o && n < MOST_TRAILS; o = o->next) {
        if (o == s || session_scope(o) != of)
            continue;
        add_lists(found, o, c->group, keys);
        n++;
    }
}

static uint32_t hash_of_key(const struct candidate *c) {
    struct slice raw[KEY_MAX_PARTS];
    uint64_t hash = 0;
    if (!c->group) {
        for (int i = 0; i < c->shape->parsed->n_keys; i++) {
            struct slice v = candidate_value(c, c->shape->parsed->keys[i].param);
            hash = XXH3_64bits_withSeed(v.data, v.len, hash);
        }
        return (uint32_t)hash;
    }
    candidate_raw(c, raw);
    for (unsigned i = 0; i < c->group->n_parts; i++)
        hash = XXH3_64bits_withSeed(raw[i].data, raw[i].len, hash);
    return (uint32_t)hash;
}

// Is the shape asked with one key too many, in the test at hand?
static bool repeats(const struct section *x, const struct section_shape *of) {
    return x->expect.of[METRIC_REPEATS].set && of->fresh && of->n_keys > x->expect.of[METRIC_REPEATS].most;
}

// Counts the lookup in one section. Returns false when it breaks what is expected there.
static bool note_in(struct session *s, const struct candidate *c, const struct sources *found,
                    struct section *x, struct section_shape **of) {
    uint64_t before[METRIC_COUNT];
    uint32_t key = hash_of_key(c);
    memcpy(before, x->n, sizeof before);
    struct section_shape *y = section_lookup(x, shape_meaning(c->shape), key, s->id, is_excused(s, c->shape));
    if (!y)
        return true;
    *of = y;
    for (unsigned i = 0; i < found->n; i++)
        if (!(x == &s->engine->scopes.run ? found->list[i].parted : found->list[i].before) &&
            section_from_list(y, found->list[i].number, key))
            section_looped(x, y, scopes_list(&s->engine->scopes, found->list[i].text));
    if (y->excused && (y->looped || y->n_keys >= EXPECT_REPEATS))
        scopes_allow(&s->engine->scopes, c->shape, true);
    enum metric m = section_exceeds(x, false);
    if (m == METRIC_LOOKUPS)
        return false;
    bool loops = m == METRIC_LOOPS || m == METRIC_REPEATS, more = loops && x->n[m] > before[m];
    return !loops || y->excused || y->warned || !(more || y->loop_by || repeats(x, y));
}

// Counts the lookup in each section. Returns false when it breaks what is expected: *at and *of say where.
static bool note_lookup(struct session *s, const struct candidate *c, struct section **at,
                        struct section_shape **of) {
    struct sources found;
    bool right = true;
    find_sources(s, c, &found);
    for (unsigned i = 0; i < 2; i++) {
        struct section *x = session_section(s, i);
        struct section_shape *y = NULL;
        if (!x || note_in(s, c, &found, x, &y) || !right)
            continue;
        right = false;
        *at = x;
        *of = y;
    }
    return right;
}

static void warn(struct session *s, const struct section_shape *of) {
    struct buf detail = buf_make(8192), *b = &s->engine->answer;
    put_statement(&detail, "Once for each row: ", of->shape);
    buf_put_u8(&detail, 0);
    buf_reset(b);
    write_warning(b, "PF001", "N+1: the same SELECT is sent once for each row",
                  detail.failed ? NULL : (char *)detail.data, advice);
    if (!s->n_forward && !s->order.n && !b->failed)
        s->engine->effects->to_client(s->owner, b->data, b->len, true);
    buf_free(&detail);
}

// The lookups of a unit, one after the other.
struct walk {
    struct feed *f;
    const struct unit *unit;
    enum unit_result r;
    size_t at;
    struct unit part;
};

// The next one. Returns false when there are no more.
static bool next_lookup(struct walk *w, struct candidate *c) {
    const uint8_t *bytes = w->f->bytes + w->f->at;
    while (w->at < w->unit->size) {
        size_t from = w->at;
        if (w->r != UNIT_PIPELINE && w->r != UNIT_OTHER) {
            w->part = *w->unit;
            w->at = w->unit->size;
        } else if (!unit_part(bytes, w->unit->size, &w->at, &w->part)) {
            return false;
        }
        *c = (struct candidate){.f = w->f, .s = w->f->s, .bytes = bytes + from, .unit = &w->part};
        c->simple = w->r == UNIT_SIMPLE;
        if (find_candidate(c))
            return true;
    }
    return false;
}

// Notes the unit's lookups. Returns false when one is in a loop that nobody expects.
static bool note_lookups(struct walk w, struct section **at, struct section_shape **of) {
    struct candidate c;
    while (next_lookup(&w, &c)) {
        find_group(c.s, &c);
        if (!note_lookup(c.s, &c, at, of))
            return false;
    }
    return true;
}

static enum take take_lookups(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    struct section *at = NULL;
    struct section_shape *of = NULL;
    struct walk begin = {.f = f, .unit = u, .r = r};
    struct candidate c;
    bool any = false;
    if (s->watch.looked || s->txn == 'E')
        return TAKE_FORWARD;
    for (struct walk w = begin; next_lookup(&w, &c); any = true)
        if (waits_for_verdict(s, &c))
            return TAKE_WAIT;
    if (!any)
        return TAKE_FORWARD;
    if (must_wait(s))
        return TAKE_WAIT;
    await_is_over(s);
    watched_look(s);
    if (note_lookups(begin, &at, &of))
        return TAKE_FORWARD;
    if (r == UNIT_OTHER)
        return TAKE_FORWARD; // where it ends is not known
    enum metric m = section_exceeds(at, false);
    if (at->expect.warns && m != METRIC_LOOKUPS) {
        s->engine->scopes.n_warned++;
        warn(s, of);
        of->warned = true;
        return TAKE_FORWARD;
    }
    enum take t = refuse_for(s, at, m, of, false);
    watched_note(s, STATEMENT_READ, NULL);
    return t;
}

// A pipeline that is framed in another way, such as with a named statement in it, goes to the server as it is. What can be
// read of it is counted; what it breaks is told at the section's end, and by the exit code.
static enum take look_at_other(struct feed *f) {
    struct unit u = {.size = f->len - f->at};
    return take_lookups(f, &u, UNIT_OTHER);
}

// ---- any statement

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
        if (must_wait(s))
            return TAKE_WAIT;
        enum take t = refuse_for(s, at, METRIC_STATEMENTS, NULL, true);
        watched_note(s, kind, p); // it was asked, though in vain
        return t;
    }
    return TAKE_FORWARD;
}

enum take watch_take(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    struct control c;
    if (s->no_scan)
        return TAKE_FORWARD;
    struct slice text = text_of(s, u, r);
    if (may_be_control(text) && control_read(text, &c))
        return r == UNIT_PREPARE ? prepare_control(s, u, &c) : take_control(s, u, r, &c);
    bool runs = r == UNIT_SIMPLE || r == UNIT_EXTENDED || r == UNIT_PIPELINE;
    if (r == UNIT_OTHER && session_is_watched(s))
        return look_at_other(f);
    if (!runs || !session_is_watched(s))
        return TAKE_FORWARD;
    enum take t = take_lookups(f, u, r);
    return t == TAKE_FORWARD && r != UNIT_PIPELINE ? take_any(f, u, r) : t;
}
