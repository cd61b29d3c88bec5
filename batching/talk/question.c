// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/question.h"

#include "batching/ahead/asked.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/lexer.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "protocol/message.h"

static uint64_t hash_bound(const struct shape *shape, const struct msg_bind *m) {
    uint64_t hash = (uintptr_t)shape;
    struct slice value;
    size_t walk = 0;
    while (msg_bind_next_param(m, &walk, &value))
        hash = XXH3_64bits_withSeed(value.data ? value.data : (const uint8_t *)"", value.len,
                                    hash + !value.data);
    return hash;
}

uint64_t question_hash(const struct candidate *c) {
    uint64_t hash = (uintptr_t)c->shape;
    if (!c->simple)
        return hash_bound(c->shape, &c->unit->bind);
    for (int i = 0; i < c->values->n_values; i++) {
        const struct shape_value *v = &c->values->values[i];
        hash = XXH3_64bits_withSeed(c->unit->query.data + v->at, v->len, hash);
    }
    return hash;
}

void question_note(struct session *s, uint64_t hash, uint32_t loads) {
    if (s->engine->limits.lookahead != LOOKAHEAD_OFF)
        asked_note(&s->asked, hash, (uint32_t)(s->ahead ? s->ahead->trail.serial : s->lists), loads);
}

void question_note_bind(struct session *s, const struct shape *shape, const struct msg_bind *m) {
    if (shape && shape->reason == REASON_NONE && shape->parsed->kind == STATEMENT_READ)
        question_note(s, hash_bound(shape, m), (uint32_t)s->engine->aheads.loads);
}
