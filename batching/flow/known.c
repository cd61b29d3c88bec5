// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/known.h"

#include "batching/ahead/ahead.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"
#include "protocol/frame.h"

bool known_add(struct session *s, struct group *g, struct batch *b) {
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    uint32_t n = b->n_keys, same;
    const struct second *of = s->ahead ? second_answered(&s->ahead->seconds, g, raw) : NULL;
    if (!of || !group_read_key(g, raw, keys) || batch_find_key(b, keys, &same))
        return false;
    b->max_keys++; // there is room for it
    if (!batch_add_key(b, keys) || b->n_keys == n)
        return false;
    b->ahead.used[n] = true;
    b->ahead.n_used++;
    b->ahead.known = b->n_keys;
    b->ahead.known_rows = of->n_rows;
    b->ahead.known_digest = of->rows;
    return true;
}

static bool is_same(const struct batch *b) {
    const struct batch_key *key = &b->key_rows[b->ahead.known - 1];
    uint64_t rows = 0;
    for (uint32_t at = key->first_row; at; at = b->rows[at - 1].next)
        rows = second_digest(rows, b->data.data + b->rows[at - 1].at + FRAME_HEADER,
                             b->rows[at - 1].len - FRAME_HEADER);
    return key->n_rows == b->ahead.known_rows && rows == b->ahead.known_digest;
}

void known_drop(const struct batch *b) {
    if (b->ahead.known)
        b->group->shape->until_check = 0;
}

void known_compare(struct engine *e, const struct batch *b) {
    if (!b->ahead.known)
        return;
    bool same = !b->failed && is_same(b);
    e->counters.checked += same;
    e->counters.check_changed += !b->failed && !same;
    if (!same)
        known_drop(b);
}
