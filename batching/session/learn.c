// SPDX-License-Identifier: PostgreSQL
#include "batching/session/learn.h"

#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/message.h"

struct group *session_read_group(struct session *s, struct shape *shape) {
    struct engine *e = s->engine;
    struct identity *i = session_identity_current(&e->identities, &s->identity);
    return i ? group_for_read(&e->groups, &e->identities, shape, i) : NULL;
}

void session_end_learning(struct session *s) {
    if (s->learning.group)
        group_unpin(s->learning.group);
    s->learning.group = NULL;
}

void session_learn(struct session *s, struct group *read, bool describes) {
    session_end_learning(s);
    group_pin(read);
    s->learning = (struct learning){
        .group = read, .generation = s->engine->generation, .describes = describes, .asked = s->engine->now};
}

static bool learn_row(struct group *g, const struct frame *f) {
    buf_reset(&g->row_description);
    buf_put(&g->row_description, f->body, f->body_len);
    g->row_hash = row_description_hash(f->body, f->body_len);
    g->parameters_hash = XXH3_128bits(g->parameters.data, g->parameters.len);
    group_weigh(g);
    return !g->row_description.failed && !g->parameters.failed;
}

void session_feed_learning(struct session *s, const struct frame *f, bool whole) {
    static const char wanted[] = {B_PARSE_COMPLETE, B_PARAMETER_DESCRIPTION, B_ROW_DESCRIPTION};
    struct learning *l = &s->learning;
    struct group *g = l->group;
    uint64_t now = s->engine->generation;
    bool current = g->state == GROUP_READY && l->generation == now && g->generation == now;
    if (!whole || !current || f->type != (uint8_t)wanted[l->stage])
        return session_end_learning(s);
    if (l->stage == 0) {
        g->parses = true;
        g->parsed_at = l->asked;
    }
    if (l->stage == 0 && !l->describes)
        return session_end_learning(s);
    if (l->stage == 1) {
        buf_reset(&g->parameters);
        buf_put(&g->parameters, f->body, f->body_len);
    }
    if (l->stage++ < 2)
        return;
    g->described = learn_row(g, f);
    g->described_at = l->asked;
    session_end_learning(s);
}

static void note_certain(struct group *g, uint64_t at, bool same) {
    if (!same) {
        g->parses = g->described = false;
        return;
    }
    g->parsed_at = at > g->parsed_at ? at : g->parsed_at;
    g->described_at = at > g->described_at ? at : g->described_at;
}

void session_learn_again(struct session *s, struct shape *shape, const struct frame *row, uint64_t asked) {
    struct group *g = session_read_group(s, shape);
    if (g && g->described)
        note_certain(g, asked, XXH128_isEqual(g->row_hash, row_description_hash(row->body, row->body_len)));
}

void learn_from_batch(struct group_table *t, const struct group *g, uint64_t sent) {
    struct group *read = group_known_read(t, g->shape, g->identity);
    if (read && read->described)
        note_certain(read, sent,
                     XXH128_isEqual(read->row_hash, g->row_hash) &&
                         XXH128_isEqual(read->parameters_hash, g->types_hash));
    else if (read && read->parses) // drivers that prepare and do not describe (PDO)
        read->parsed_at = sent > read->parsed_at ? sent : read->parsed_at;
}
