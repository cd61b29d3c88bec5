// SPDX-License-Identifier: PostgreSQL
#include "batching/flow/named.h"

#include "batching/ahead/ahead.h"
#include "batching/ahead/place.h"
#include "batching/ahead/recorder.h"
#include "batching/flow/find.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/session.h"
#include "batching/statement/shape.h"
#include "protocol/frame.h"

static const struct batch *find_held(const struct ahead *a, uint64_t number) {
    const struct batch *b = a->held;
    while (b && b->ahead.number != number)
        b = b->ahead.next;
    return b;
}

// The one row of an answer. NULL: it has none, or more.
static const struct batch_row *row_of(const struct batch *b, uint32_t key) {
    const struct batch_key *k = &b->key_rows[key];
    return k->n_rows == 1 ? &b->rows[k->first_row - 1] : NULL;
}

// Did the statement itself, asked for another key, answer with a row that has this one? Then it joins its table with itself, and
// its own key's column does not just repeat what was asked for. Only of plain keys other bytes are another key.
static bool leads_on(const struct batch *b, const struct group *g, const struct key *asked, uint32_t key) {
    uint32_t same;
    return b->group == g && asked->kind == KEY_PLAIN && !(batch_find_key(b, asked, &same) && same == key);
}

// Does the row name the keys? Notes what it shows of the statement.
static bool is_named(const struct batch *b, uint32_t key, const struct group *g, const struct key *asked,
                     const struct trail_columns *c, const struct key *row) {
    bool other = place_is_named(g, asked, c, row, false);
    bool own = !other && leads_on(b, g, asked, key) && place_is_named(g, asked, c, row, true);
    g->shape->leads |= own;
    return other || own;
}

// The batch that has given this answer, if it is one row that names the keys. Else NULL.
static const struct batch *naming(const struct session *s, const struct group *g, const struct key *asked,
                                  uint64_t number) {
    const struct batch *b = s->ahead && number ? find_held(s->ahead, number) : NULL;
    const struct batch_row *row = b ? row_of(b, s->climb.key) : NULL;
    struct trail_columns c;
    struct key keys[TRAIL_MAX_COLUMNS];
    if (!row || !trail_columns_read(&c, b->group->row_description.data, b->group->row_description.len))
        return NULL;
    trail_columns_format(&c, b->group->n_formats, b->group->formats);
    bool named = trail_read_row(&c, b->data.data + row->at + FRAME_HEADER, row->len - FRAME_HEADER, keys) &&
                 is_named(b, s->climb.key, g, asked, &c, keys);
    return named ? b : NULL;
}

bool ahead_is_named(const struct session *s, const struct group *g, const struct ahead_hit *hit,
                    uint64_t question) {
    return hit->own && climb_may(&s->climb, question) && hit->batch->ahead.number >= s->climb.batch &&
           naming(s, g, hit->keys, s->climb.batch);
}

uint64_t ahead_naming_list(const struct session *s, const struct group *g, const struct key *keys) {
    const struct batch *b = naming(s, g, keys, s->climb.before);
    return b ? b->ahead.list : 0;
}
