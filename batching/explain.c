// SPDX-License-Identifier: PostgreSQL
//
// The explainer of explain.h: it reads a statement as the engine does, and writes the report.
#include "batching/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/fold/group.h"
#include "batching/fold/verdict.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/family.h"
#include "batching/statement/parse.h"
#include "batching/statement/parse_error.h"
#include "batching/statement/redact.h"

#define MAX_TEXT   65536
#define MAX_SHAPES 10000

struct explainer {
    struct shape_cache shapes;
    struct identity_table identities;
    struct session_identity session;
    struct group_table groups;
    struct buf bind; // the body of a Bind message; groups borrow it while they are made
};

struct explainer *explainer_create(void) {
    static const uint8_t nobody[] = "explain";
    struct explainer *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    shape_cache_init(&x->shapes, MAX_SHAPES, MAX_TEXT);
    identity_table_init(&x->identities);
    session_identity_init(&x->session, (struct slice){nobody, sizeof nobody - 1}, (struct slice){0});
    group_table_init(&x->groups, MAX_SHAPES);
    x->bind = buf_make(MAX_TEXT);
    return x;
}

void explainer_destroy(struct explainer *x) {
    if (!x)
        return;
    group_table_finish(&x->groups, &x->identities);
    shape_cache_finish(&x->shapes);
    session_identity_finish(&x->identities, &x->session);
    identity_table_finish(&x->identities);
    buf_free(&x->bind);
    free(x);
}

// ---- reading a statement

static bool has_parameters(struct slice text) {
    struct lexer lx = {.text = (const char *)text.data, .len = text.len};
    for (struct token t = lexer_next(&lx); t.type != TOKEN_END && t.type != TOKEN_ERROR; t = lexer_next(&lx))
        if (t.type == TOKEN_PARAM)
            return true;
    return false;
}

static void shape_of_text(struct explainer *x, struct slice text, struct explanation *e) {
    *e = (struct explanation){.text = text, .extended = has_parameters(text)};
    e->shape = e->extended ? shape_extended(&x->shapes, text, 0, NULL, &e->reason)
                           : shape_simple(&x->shapes, text, &e->values, &e->reason);
    if (e->shape)
        e->reason = e->shape->reason;
}

static struct slice value_at(const struct explanation *e, int param) {
    const struct shape_value *v = &e->values.values[param - 1];
    return (struct slice){e->text.data + v->at, v->len};
}

void explain_learn(struct explainer *x, struct slice text) {
    struct explanation e;
    shape_of_text(x, text, &e);
    if (!e.shape || e.reason != REASON_NONE)
        return;
    for (int i = 0; !e.extended && i < e.shape->parsed->n_keys; i++)
        shape_watch(e.shape, i, value_at(&e, e.shape->parsed->keys[i].param));
    (void)shape_keys(e.shape);
}

// Finds the group by a Bind message that has a NULL for each parameter, all in text format.
static struct group *group_of_extended(struct explainer *x, struct shape *s, struct identity *id) {
    struct msg_bind bind;
    buf_reset(&x->bind);
    buf_put(&x->bind, "\0\0\0\0", 4); // portal, statement, no formats
    buf_put_u16(&x->bind, (uint16_t)s->parsed->n_params);
    for (int i = 0; i < s->parsed->n_params; i++)
        buf_put_u32(&x->bind, UINT32_MAX);
    buf_put_u16(&x->bind, 0);
    if (x->bind.failed || !msg_bind_read(x->bind.data, x->bind.len, &bind))
        return NULL;
    return group_for_extended(&x->groups, &x->identities, s, id, &bind);
}

void explain_statement(struct explainer *x, struct slice text, struct explanation *e) {
    shape_of_text(x, text, e);
    if (!e->shape || e->reason != REASON_NONE)
        return;
    struct identity *id = session_identity_current(&x->identities, &x->session);
    if (id)
        e->group = e->extended
                       ? group_of_extended(x, e->shape, id)
                       : group_for_simple(&x->groups, &x->identities, e->shape, id, text, &e->values, NULL);
    if (!e->group)
        e->reason = REASON_MEMORY;
}

bool explain_write_vet(struct explanation *e, struct buf *out) {
    e->shape->wide = true;
    return group_write_vet(e->group, true, VET_LOCK_TIMEOUT, out);
}

void explain_vetted(struct explainer *x, struct explanation *e) {
    e->refusal = group_vetted(&x->groups, e->group, 1, 1);
    e->vetted = true;
}

// ---- the report

static void put_indented(struct buf *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        buf_put_u8(out, (uint8_t)text[i]);
        if (text[i] == '\n')
            buf_put_text(out, "            ");
    }
    buf_put_u8(out, '\n');
}

__attribute__((format(printf, 3, 4))) static void put_line(struct buf *out, const char *label,
                                                           const char *format, ...) {
    char line[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    snprintf(line + sizeof line - 4, 4, "…"); // marks a line that was cut
    buf_put_text(out, "  ");
    buf_put_text(out, label);
    for (size_t n = strlen(label); n < 10; n++)
        buf_put_u8(out, ' ');
    put_indented(out, line, strlen(line));
}

static void put_text_line(struct buf *out, const char *label, const char *text, size_t len) {
    buf_put_text(out, "  ");
    buf_put_text(out, label);
    for (size_t n = strlen(label); n < 10; n++)
        buf_put_u8(out, ' ');
    put_indented(out, text, len);
}

static const struct {
    const char *reason, *advice;
} advices[] = {
    {"unparsable",
     "Check the text. pgfold reads SQL as PostgreSQL 15 does; $1 and constants may both stand for values."},
    {"multi_statement", "Send the statements one by one."},
    {"text_too_long", "Raise batching.max_text if such texts are lookups."},
    {"no_key", "Compare a column with the value that varies: column = $1, IN ($1) or = ANY ($1), in WHERE or "
               "in a join's ON."},
    {"locking", "Nothing: a lock belongs to the transaction that takes it."},
    {"cte", "Write the recursive part as a statement of its own."},
    {"function", "Compute it in the application and send its value, or call it in the select list."},
    {"system_schema", "Nothing: drivers ask such tables when they connect."},
    {"construct", "Write the plainer form if there is one; docs/reasons.md lists what is not understood."},
    {"skip", "Take the comment pgfold:skip out of the statement."},
    {"parameters", "Use at most 32 constants or parameters."},
};

const char *explain_advice(const char *reason) {
    for (size_t i = 0; i < sizeof advices / sizeof *advices; i++)
        if (strcmp(advices[i].reason, reason) == 0)
            return advices[i].advice;
    return NULL;
}

// By the beginning of a refusal of the catalogue's.
static const struct {
    const char *refusal, *remedy;
} remedies[] = {
    {"a table was not found",
     "Check its name and its schema. Names mean what they mean to the user, in the database and with the "
     "search_path that "
     "are asked for: connect as the application does, for example with options=-csearch_path=shop."},
    {"a table has row-level security",
     "Nothing: its rows are loaded ahead for the connection's own loops alone."},
    {"it names something that is no column",
     "Check the columns' names; a newer version of the table may have others."},
    {"the server could not prepare",
     "Run the statement with psql, as this user and in this database: the server says what is wrong."},
    {"the catalogue could not be asked",
     "Look into the server's log; the user needs no rights but those to read the catalogue."},
};

const char *explain_remedy(const char *refusal) {
    for (size_t i = 0; refusal && i < sizeof remedies / sizeof *remedies; i++)
        if (strncmp(refusal, remedies[i].refusal, strlen(remedies[i].refusal)) == 0)
            return remedies[i].remedy;
    return NULL;
}

static void put_place(const struct explanation *e, struct buf *out) {
    struct parse_error x;
    if (e->reason != REASON_UNPARSABLE || !parse_error_find(e->text, &x))
        return;
    put_line(out, "at", "character %u (line %u, column %u)%s%s", x.position, x.line, x.column,
             e->discreet ? "" : ": ", e->discreet ? "" : x.text);
}

static void put_refusal(const struct explanation *e, struct buf *out) {
    const char *advice = explain_advice(reason_name(e->reason));
    put_line(out, "verdict", "forwarded untouched: %s", reason_name(e->reason));
    put_line(out, "reason", "%s", reason_text(e->reason));
    put_place(e, out);
    if (advice)
        put_line(out, "remedy", "%s", advice);
}

static void put_key_line(const struct explanation *e, int i, const char *label, struct buf *out) {
    const struct parsed_key *k = &e->shape->parsed->keys[i];
    struct slice v = e->extended || e->discreet ? (struct slice){0} : value_at(e, k->param);
    char value[100] = "";
    if (v.len)
        snprintf(value, sizeof value, " (here %.*s)", (int)(v.len < 60 ? v.len : 60), (const char *)v.data);
    put_line(out, label, "$%d%s, compared with %s%s", k->param, value,
             k->column_sql ? k->column_sql : "an expression",
             k->array ? ", as the one element of an array" : "");
}

static void put_keys(const struct explanation *e, struct buf *out) {
    const struct parsed *p = e->shape->parsed;
    for (int i = 0; i < p->n_keys; i++)
        if (e->group->keys >> i & 1)
            put_key_line(e, i, "key", out);
    for (int i = 0; i < p->n_keys; i++)
        if (!(e->group->keys >> i & 1))
            put_key_line(e, i, "or", out);
    if ((int)e->group->n_parts < p->n_keys)
        put_line(out, "",
                 "pgfold takes for the key what varies from lookup to lookup, and learns that as they come.\n"
                 "Lookups that differ in another value are folded apart.");
}

static const char form_in[] = "IN: the key's column is unique, so that every key has one row at most";
static const char form_lateral[] =
    "fenced LATERAL: the statement runs once for each key, by its own plan, in one round trip;\n"
    "the rows of a key keep their order";

bool explain_write_folded(const struct explanation *e, struct buf *out) {
    const struct group *g = e->group;
    return rewrite_folded(e->shape, g->keys, g->form, g->values, out);
}

static void put_redacted(struct buf *out, const char *label, struct buf text) {
    struct buf bare = buf_make((size_t)1 << 20);
    redact_text((const char *)text.data, text.len, MAX_TEXT, &bare);
    put_text_line(out, label, (const char *)bare.data, bare.len);
    buf_free(&bare);
}

static void put_form(const struct explanation *e, enum fold_form form, const char *label, struct buf *out) {
    struct buf text = buf_make((size_t)1 << 20);
    bool written = rewrite_folded(e->shape, e->group->keys, form, e->group->values, &text);
    if (written && e->discreet)
        put_redacted(out, label, text);
    else if (written)
        put_text_line(out, label, (const char *)text.data, text.len);
    else
        put_line(out, label, "cannot be written: the text names something with pgfold_, or is too long");
    buf_free(&text);
}

static bool in_is_possible(const struct explanation *e) {
    return e->group->n_parts == 1 && rewrite_in_possible(e->shape, e->group->parts[0].key);
}

static void put_unvetted(const struct explanation *e, struct buf *out) {
    put_line(out, "verdict", "a lookup, if the server's catalogue allows it%s",
             e->discreet ? "" : " (--server asks)");
    put_keys(e, out);
    if (in_is_possible(e)) {
        put_line(out, "form", "%s;\nfor an integer or uuid alone", form_in);
        put_form(e, FORM_IN, "folded", out);
        put_line(out, "or", "%s", form_lateral);
    } else {
        put_line(out, "form", "%s", form_lateral);
    }
    put_form(e, FORM_LATERAL, "folded", out);
}

static void put_types(const struct explanation *e, struct buf *out) {
    char line[200] = "";
    for (unsigned i = 0; i < e->group->n_params; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, "%s$%u oid %u", i ? ", " : "", i + 1, e->group->params[i]);
    }
    put_line(out, "types", "%s", line);
}

static void put_vetted(const struct explanation *e, struct buf *out) {
    bool own = e->refusal && e->group->level == LEVEL_OWN;
    if (e->refusal && !own) {
        put_line(out, "verdict", "forwarded untouched: vet_refused");
        put_line(out, "reason", "the server's catalogue does not allow it: %s", e->refusal);
        if (e->group->own_refusal)
            put_line(out, "", "nor for one session's loop or pipeline: %s", e->group->own_refusal);
        if (explain_remedy(e->refusal))
            put_line(out, "remedy", "%s", explain_remedy(e->refusal));
        put_keys(e, out);
        return;
    }
    if (own)
        put_line(out, "verdict",
                 "a lookup; the server's catalogue allows it for one session's loop or pipeline");
    else
        put_line(out, "verdict", "a lookup; the server's catalogue allows it");
    put_line(out, "level", "%s%s",
             own ? "own, not shared with other sessions: " : "shared by sessions of the same identity",
             own ? e->refusal : "");
    put_keys(e, out);
    put_line(out, "form", "%s", e->group->form == FORM_IN ? form_in : form_lateral);
    put_form(e, e->group->form, "folded", out);
    put_types(e, out);
}

void explain_report(const struct explanation *e, struct buf *out) {
    if (!e->group)
        put_refusal(e, out);
    else if (e->vetted)
        put_vetted(e, out);
    else
        put_unvetted(e, out);
}

// ---- what an engine knows

// Verdicts of one kind, about sessions of different identities and other values.
struct known {
    const struct group *example;
    unsigned n;
};

#define KNOWN_MOST 8

static bool same_verdict(const struct group *a, const struct group *b) {
    return a->state == b->state &&
           (a->state == GROUP_REFUSED ? a->refusal == b->refusal : a->level == b->level);
}

static bool is_about(const struct group *g, const struct explanation *e, uint16_t family) {
    return !group_is_read(g) && !g->owner && g->shape->family == family &&
           g->shape->parsed->n_relations == e->shape->parsed->n_relations &&
           (g->state == GROUP_READY || g->state == GROUP_REFUSED || g->state == GROUP_VETTING);
}

static void put_known(const struct known *k, uint64_t now, struct buf *out) {
    const struct group *g = k->example;
    char when[64] = "";
    if (g->vetted_at && now >= g->vetted_at)
        snprintf(when, sizeof when, ", last asked %llu s ago",
                 (unsigned long long)((now - g->vetted_at) / 1000000));
    if (g->state == GROUP_VETTING)
        put_line(out, "catalogue", "is being asked");
    else if (g->state == GROUP_READY)
        put_line(out, "catalogue", "allows it, form %s (%u of its groups%s)",
                 g->form == FORM_IN ? "IN" : "LATERAL", k->n, when);
    else
        put_line(out, "catalogue", "%s: %s (%u of its groups%s)",
                 g->level == LEVEL_OWN ? "allows it for one session's loop or pipeline alone"
                                       : "does not allow it",
                 g->refusal ? g->refusal : "not known", k->n, when);
    if (g->state == GROUP_REFUSED && explain_remedy(g->refusal))
        put_line(out, "remedy", "%s", explain_remedy(g->refusal));
}

void explain_known(const struct explanation *e, const struct engine *engine, struct buf *out) {
    struct known known[KNOWN_MOST];
    unsigned n = 0;
    if (!e->group)
        return;
    uint16_t family = family_of(e->shape->text, e->shape->text_len);
    for (const struct group *g = engine->groups.newest; g; g = g->older) {
        unsigned i = 0;
        if (!is_about(g, e, family))
            continue;
        while (i < n && !same_verdict(known[i].example, g))
            i++;
        if (i < n)
            known[i].n++;
        else if (n < KNOWN_MOST)
            known[n++] = (struct known){g, 1};
    }
    for (unsigned i = 0; i < n; i++)
        put_known(&known[i], engine->now, out);
    if (!n)
        put_line(out, "catalogue",
                 "was not asked: no session has sent it often enough yet. pgfold explain --server asks");
}
