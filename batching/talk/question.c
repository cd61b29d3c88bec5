// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/question.h"

#include "batching/ahead/asked.h"
#include "batching/ahead/climb.h"
#include "batching/session/asking.h"
#include "batching/session/dry.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "protocol/message.h"

static uint64_t hash_bound(const struct shape *shape, const struct msg_bind *m) {
    uint64_t hash = shape->alike.hash;
    struct slice value;
    size_t walk = 0;
    for (unsigned i = 0; i < SHAPE_MAX_VALUES && msg_bind_next_param(m, &walk, &value); i++)
        hash += shape->alike.uses[i] * alike_value(msg_bind_param_format(m, i), value);
    return hash;
}

static uint64_t hash_constants(const struct shape *shape, const uint8_t *text,
                               const struct shape_text *values) {
    uint64_t hash = shape->alike.hash;
    for (int i = 0; i < values->n_values; i++) {
        const struct shape_value *v = &values->values[i];
        size_t quote = v->type == TOKEN_STRING;
        hash += alike_value(0, (struct slice){text + v->at + quote, v->len - 2 * quote});
    }
    return hash;
}

uint64_t question_hash(const struct candidate *c) {
    return c->values ? hash_constants(c->shape, c->text.data, c->values)
                     : hash_bound(c->shape, &c->unit->bind);
}

void question_note_unread(struct session *s) {
    climb_asked(&s->climb);
    asked_note_unread(&s->asked, session_lists_read(s), (uint32_t)s->engine->aheads.loads);
}

// The same statement with its constants is asked in other units, too, and there it may be answered with what was loaded
// ahead.
static void note_literal(struct session *s, const struct shape *shape) {
    struct shape_text values;
    struct buf *scratch = &s->engine->shapes.scratch;
    if (shape->of->reason == REASON_NONE &&
        shape_text_scan(shape->text, shape->text_len, scratch, &values) == SHAPE_OK)
        session_note_question(s, hash_constants(shape->of, (const uint8_t *)shape->text, &values),
                              (uint32_t)s->engine->aheads.loads);
}

void question_note_bind(struct session *s, const struct shape *shape, const struct msg_bind *m) {
    if (dry_at_hand(s))
        return; // it was noted as a lookup
    if (shape && shape->of)
        note_literal(s, shape);
    else if (shape && (shape->reason == REASON_NONE || shape->reason == REASON_NO_KEY) &&
             shape->parsed->kind == STATEMENT_READ)
        session_note_question(s, hash_bound(shape, m), (uint32_t)s->engine->aheads.loads);
}
