// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/watch_settings.h"

#include <stdio.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/lazy.h"
#include "batching/session/portal.h"
#include "batching/session/reporting.h"
#include "batching/session/room.h"
#include "batching/session/statements.h"
#include "batching/session/watched.h"
#include "batching/statement/cost.h"
#include "batching/statement/parse_setting.h"
#include "batching/statement/shape.h"
#include "batching/talk/answer.h"
#include "batching/talk/given.h"
#include "batching/talk/watch_refuse.h"
#include "batching/watch/control.h"
#include "protocol/message.h"
#include "protocol/write.h"

#define OID_BOOL 16
#define OID_TEXT 25

#define LONGEST_USE 16384 // bytes of a text that is looked at

// ---- what is read

// May it be worth to read this text? All but a few are not, and this is asked for each.
static bool is_worth_it(struct slice text, const struct unit *u, enum unit_result r) {
    bool binds = r == UNIT_EXTENDED && u->bind.n_params;
    return text.len <= LONGEST_USE && (control_is_named(text) || (binds && control_may_be_bound(text)));
}

// The text of what was prepared before, if it is about these settings, or may be once its parameters are known. What names one
// as a constant was not let through to the server.
static struct slice text_of_prepared(struct session *s, const struct unit *u) {
    const struct statement *st = session_statement(s, u->bind.statement);
    struct slice text = {0};
    if (st && st->shape && (st->ours || u->bind.n_params))
        text = (struct slice){(const uint8_t *)st->shape->text, st->shape->text_len};
    return text.data && (st->ours || control_may_be_bound(text)) ? text : (struct slice){0};
}

// The text that the unit runs, if it may be about these settings. Data NULL: it is not, or not known.
static struct slice text_of(struct session *s, const struct unit *u, enum unit_result r) {
    if (r == UNIT_EXTENDED && !u->has_parse)
        return text_of_prepared(s, u);
    if (r != UNIT_SIMPLE && r != UNIT_PREPARE && r != UNIT_EXTENDED)
        return (struct slice){0};
    struct slice text = r == UNIT_SIMPLE ? u->query : u->parse.text;
    return is_worth_it(text, u, r) ? text : (struct slice){0};
}

// Reads the unit as a statement about pgfold's settings. Where the name is a parameter, a Parse alone is none.
static bool read_unit(struct slice text, const struct unit *u, enum unit_result r, struct control *c) {
    if (!control_read(text, c) || (r == UNIT_SIMPLE && control_params(c)))
        return false;
    if (r == UNIT_PREPARE)
        return !c->name_param;
    return r == UNIT_SIMPLE || control_bind(c, &u->bind);
}

// ---- what is written in a way that is not read

// Finds what a text says of these settings that control_read() has not read.
static bool find_use(struct session *s, struct slice text, struct setting_use *use) {
    struct rations *r = &s->engine->rations;
    struct buf copy = buf_make(LONGEST_USE + 1);
    if (text.len > LONGEST_USE || !control_is_named(text) || !rations_may_work(r))
        return false;
    rations_spend(r, cost_of_parse((const char *)text.data, text.len));
    buf_put(&copy, text.data, text.len);
    buf_put_u8(&copy, 0);
    bool found = !copy.failed && setting_find((char *)copy.data, text.len, CONTROL_PREFIX, use);
    buf_free(&copy);
    return found;
}

static void write_unknown(struct buf *error, const char *name) {
    char message[120];
    snprintf(message, sizeof message, "unrecognized configuration parameter \"%s\"", name);
    write_error(error, "ERROR", "42704", message, NULL,
                "There are pgfold.expect, pgfold.scope, pgfold.tags and, to be read, pgfold.counts.");
}

static void write_refusal(struct buf *error, const struct setting_use *use) {
    enum control_setting setting;
    char message[120], hint[240];
    control_setting_of((struct slice){(const uint8_t *)use->name, strlen(use->name)}, &setting);
    if (setting == CONTROL_UNKNOWN)
        return write_unknown(error, use->name);
    if (setting == CONTROL_COUNTS && !use->reads)
        return write_error(error, "ERROR", "55P02", "parameter \"pgfold.counts\" cannot be changed", NULL,
                           "SELECT current_setting('pgfold.counts', true) shows what was counted.");
    snprintf(message, sizeof message, "parameter \"%s\" cannot be %s in this way", use->name,
             use->reads ? "read" : "set");
    snprintf(hint, sizeof hint,
             use->reads ? "Send SELECT current_setting('%s', true) as a statement of its own, without a cast."
                        : "Send SET %s = '...' as a statement of its own, with one constant.",
             use->name);
    write_error(error, "ERROR", "0A000", message,
                "pgfold itself answers statements about this setting; the server does not have it.", hint);
}

// Is it about a setting that is not there, or may not be set?
static bool misuses(const struct control *c, struct setting_use *use) {
    use->reads = c->verb == CONTROL_READ || c->verb == CONTROL_SHOW;
    snprintf(use->name, sizeof use->name, "%.*s", (int)(c->name.len < 63 ? c->name.len : 63),
             c->name.len ? (const char *)c->name.data : "");
    return c->setting == CONTROL_UNKNOWN || (c->setting == CONTROL_COUNTS && !use->reads);
}

static enum take refuse_use(struct session *s, const struct setting_use *use) {
    struct buf error = buf_make(65536);
    write_refusal(&error, use);
    return watch_refuse(s, &error);
}

bool watch_settings_refuse(struct session *s, struct slice text) {
    struct setting_use use;
    struct buf error = buf_make(65536);
    if (s->no_scan || !find_use(s, text, &use))
        return false;
    write_refusal(&error, &use);
    bool refused = session_refuse_as(s, &error);
    buf_free(&error);
    return refused;
}

bool watch_settings_refuse_bound(struct session *s, const struct statement *st, const struct msg_bind *m) {
    struct control c;
    struct slice text = {(const uint8_t *)st->shape->text, st->shape->text_len};
    if (s->no_scan || !m->n_params || !control_may_be_bound(text) || !control_read(text, &c) ||
        !control_bind(&c, m))
        return false;
    struct setting_use use;
    struct buf error = buf_make(65536);
    (void)misuses(&c, &use);
    write_refusal(&error, &use);
    bool refused = session_refuse_as(s, &error);
    buf_free(&error);
    return refused;
}

bool watch_settings_is_one(struct session *s, const struct unit *u, enum unit_result r) {
    struct control c;
    struct slice text = r == UNIT_EXTENDED ? text_of(s, u, r) : (struct slice){0};
    return text.data && read_unit(text, u, r, &c);
}

// ---- answers

static void write_columns(struct buf *b, const char *name) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 1);
    buf_put_str(b, name);
    buf_put_u32(b, 0); // of no table
    buf_put_u16(b, 0);
    buf_put_u32(b, OID_TEXT);
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
    write_complete(b, control_tag(c));
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
    enum take t = m == METRIC_COUNT || of->section.expect.warns
                      ? TAKE_FORWARD
                      : watch_refuse_for(s, &of->section, m, NULL, false);
    scope_end(&s->engine->scopes, of);
    watched_part_all(s->engine, session_scope(s));
    return t;
}

static enum take refuse(struct session *s, const char *sqlstate, const char *message, const char *hint) {
    struct buf error = buf_make(65536);
    write_error(&error, "ERROR", sqlstate, message, NULL, hint);
    return watch_refuse(s, &error);
}

static enum take refuse_expectation(struct session *s, struct slice bad) {
    char message[200];
    snprintf(message, sizeof message, "invalid value for parameter \"pgfold.expect\": \"%.*s\"",
             (int)(bad.len < 60 ? bad.len : 60), (const char *)bad.data);
    return refuse(
        s, "22023", message,
        "Write for example loops=0 statements<=3; there are statements, lookups, loops and repeats.");
}

// Does what a SET says. TAKE_FORWARD: it was done, and is to be answered.
static enum take apply(struct session *s, const struct control *c) {
    struct expectation e;
    struct slice bad = {0};
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
    if (!expectation_read(c->value, &e, &bad))
        return refuse_expectation(s, bad);
    if (!expectation_is_set(&e))
        return end_section(s);
    if (session_scope(s) && scope_begin(&s->engine->scopes, session_scope(s), &e)) {
        watched_part_all(s->engine, session_scope(s));
        return TAKE_FORWARD;
    }
    return refuse(s, "53400", "too many sections of tests are open",
                  "End them with SET pgfold.expect = '', or give the tests fewer scopes.");
}

// The client may run the statement by its name, or again, without a Parse. False: out of memory.
static bool note_statement(struct session *s, const struct unit *u, const struct control *c) {
    enum reason why;
    struct slice name = u->parse.name;
    struct shape *shape = shape_of_parse(&s->engine->shapes, &u->parse, &why);
    struct statement *st = shape ? statement_create(s, (const char *)name.data, name.len, shape) : NULL;
    if (!st)
        return false;
    st->confirmed = true;
    st->ours = !c->name_param; // the next one may set something else
    st->generation = s->engine->generation;
    names_more_lazy(s, name.len > 0);
    session_put_statement(s, st);
    return true;
}

// Texts and a boolean, unless the client has declared something else.
static void write_params(struct buf *b, const struct unit *u, const struct control *c) {
    size_t at = write_begin(b, B_PARAMETER_DESCRIPTION);
    unsigned n = control_params(c);
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 1; i <= n; i++) {
        uint32_t declared = i <= u->parse.n_types ? get_u32(u->parse.types + (i - 1) * 4) : 0;
        buf_put_u32(b, declared ? declared : i == c->flag_param ? OID_BOOL : OID_TEXT);
    }
    write_end(b, at);
}

// The statement is prepared, and the server hears nothing of it.
static enum take prepare_control(struct session *s, const struct unit *u, const struct control *c) {
    struct buf *b = &s->engine->answer;
    if (watch_must_wait(s))
        return TAKE_WAIT;
    if (!session_may_remember(s, u->parse.name.len) || !session_name_is_free(s, u->parse.name))
        return TAKE_FORWARD;
    buf_reset(b);
    write_empty(b, B_PARSE_COMPLETE);
    if (u->has_describe)
        write_params(b, u, c);
    if (u->has_describe && control_column(c))
        write_columns(b, control_column(c));
    else if (u->has_describe)
        write_empty(b, B_NO_DATA);
    if (u->sync)
        write_ready(b, s->txn);
    if (b->failed || !note_statement(s, u, c) || !session_answer(s, b, NULL))
        return TAKE_FORWARD;
    s->lazy_unit = !u->sync;
    return TAKE_TAKEN;
}

static enum take take_control(struct session *s, const struct unit *u, enum unit_result r,
                              const struct control *c) {
    static const enum statement_kind kind = STATEMENT_HARMLESS;
    struct buf value = buf_make(4096);
    if (watch_must_wait(s))
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
    portal_closed(s);
    if (r == UNIT_EXTENDED && u->has_parse)
        (void)note_statement(s, u, c); // else the client prepares it again
    s->lazy_unit = false;
    return TAKE_TAKEN;
}

// What no constant could be, as a parameter.
static enum take refuse_value(struct session *s, const struct control *c) {
    char message[120];
    snprintf(message, sizeof message, "invalid value for parameter \"%s\"", control_name(c));
    return refuse(s, "22023", message, "A value has less than 4096 bytes, and no zero in it.");
}

enum take watch_settings_take(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    struct control c;
    struct setting_use use;
    struct slice text = text_of(s, u, r);
    bool whole = r == UNIT_SIMPLE || r == UNIT_EXTENDED;
    if (!text.data)
        return TAKE_FORWARD;
    bool read = read_unit(text, u, r, &c);
    if (read && c.bad_value && c.setting != CONTROL_UNKNOWN)
        return watch_must_wait(s) ? TAKE_WAIT : refuse_value(s, &c);
    if (read && !misuses(&c, &use))
        return r == UNIT_PREPARE ? prepare_control(s, u, &c) : take_control(s, u, r, &c);
    // A Parse whose unit goes on is refused where it is forwarded.
    if (!read && ((r != UNIT_SIMPLE && !u->has_parse) || !whole || !find_use(s, text, &use)))
        return TAKE_FORWARD;
    return watch_must_wait(s) ? TAKE_WAIT : refuse_use(s, &use);
}
