// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/gather.h"

#include <string.h>

#include "batching/ahead/values.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"

struct gathering {
    const struct guess *guess;
    const struct group *g;
    const struct key *asked;
    struct batch *b;
    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys);
    void *arg;
};

// Room for a row's key, until the batch has copied it.
struct scratch {
    uint8_t of[KEY_MAX_PARTS][KEY_MAX_RAW];
};

// Makes the row's key. Returns false when no lookup of the group would send it.
static bool key_of_row(const struct gathering *x, const struct trail_result *r, uint32_t row,
                       const int *columns, struct scratch *scratch, struct key *keys) {
    for (unsigned i = 0; i < x->g->n_parts; i++) {
        keys[i] = x->asked[i];
        if (columns[i] < 0)
            continue;
        if (!value_to_key(&x->g->parts[i], x->g->values != NULL, r, row, (unsigned)columns[i],
                          &x->guess->spellings[i], scratch->of[i], &keys[i]))
            return false;
    }
    return true;
}

// Tells whether the row was asked for. Of the group's own answers a row counts as asked for when any row with
// its value was.
static bool is_over(const struct gathering *x, struct trail_result *r, uint32_t row, unsigned column,
                    const struct trail_target *target) {
    uint32_t first;
    if (trail_was_asked(target, row) || trail_value(r, row, column).kind == KEY_NULL)
        return true;
    return !place_counts_rows(x->g, r) &&
           (!trail_find_equal(x->guess->trail, r, column, row, &first) || trail_was_asked(target, first));
}

// Counts the rows with the key of this row that were not asked for yet.
static uint16_t count_turns(const struct gathering *x, struct trail_result *r, const int *columns,
                            uint32_t row, const struct trail_target *target) {
    struct guess w = {.result = r, .lead = x->guess->lead};
    unsigned lead = (unsigned)columns[w.lead], n = 0, seen = 0;
    uint32_t at;
    memcpy(w.columns, columns, sizeof w.columns);
    if (!place_counts_rows(x->g, r) || !trail_find_equal(x->guess->trail, r, lead, row, &at))
        return place_counts_rows(x->g, r) ? 0 : 1;
    do
        n += !trail_was_asked(target, at) && place_is_same_key(&w, x->g->n_parts, at, row);
    while (++seen < PLACE_TURNS && trail_next_equal(r, lead, &at));
    return (uint16_t)n;
}

static bool is_asked(const struct gathering *x, const struct key *keys) {
    for (unsigned i = 0; i < x->g->n_parts; i++)
        if (!key_equal(&keys[i], &x->asked[i]))
            return false;
    return true;
}

static void gather_rows(struct gathering *x, struct trail_result *r, const int *columns, int64_t from,
                        int step) {
    struct scratch scratch;
    struct key keys[KEY_MAX_PARTS];
    unsigned lead = (unsigned)columns[x->guess->lead];
    const struct trail_target *target = trail_target(r, x->guess->who, lead, true);
    for (int64_t at = from; target && at >= 0 && at < r->n_rows; at += step) {
        uint32_t row = (uint32_t)at, n = x->b->n_keys;
        if (is_over(x, r, row, lead, target) || !key_of_row(x, r, row, columns, &scratch, keys) ||
            is_asked(x, keys) || x->skip(x->arg, r, keys))
            continue;
        if (!batch_add_key(x->b, keys))
            return;
        if (x->b->n_keys == n)
            continue;
        x->b->ahead.left[n] = count_turns(x, r, columns, row, target);
        x->b->ahead.n_left += x->b->ahead.left[n];
    }
}

// The next result of the same statement after this one.
static struct trail_result *next_of_source(const struct trail *t, uint64_t source, uint64_t serial) {
    struct trail_result *next = NULL;
    for (struct trail_result *r = t->results; r; r = r->next)
        if (r->columns.source == source && r->serial > serial && (!next || r->serial < next->serial))
            next = r;
    return next;
}

// The loop will come to the rows of this statement's later results, one result after the other.
static void gather_later(struct gathering *x) {
    const struct trail *t = x->guess->trail;
    struct trail_result *r = x->guess->result;
    uint64_t source = r->columns.source;
    int columns[KEY_MAX_PARTS];
    while (x->b->n_keys < x->b->max_keys && (r = next_of_source(t, source, r->serial)))
        if (trail_is_whole(t, r) && association_is_in(x->guess->association, r, x->g->n_parts, columns))
            gather_rows(x, r, columns, 0, 1);
}

// Counts the other rows of the key at hand, unless it is held.
static unsigned count_again(struct gathering *x) {
    struct trail_result *r = x->guess->result;
    unsigned lead = (unsigned)x->guess->columns[x->guess->lead];
    const struct trail_target *target = trail_target(r, x->guess->who, lead, true);
    if (!target || !place_counts_rows(x->g, r) || x->skip(x->arg, r, x->asked))
        return 0;
    return count_turns(x, r, x->guess->columns, x->guess->row, target);
}

void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys),
                    void *arg) {
    struct gathering x = {guess, g, keys, b, skip, arg};
    b->ahead.again = count_again(&x);
    if (!guess->backwards)
        gather_rows(&x, guess->result, guess->columns, (int64_t)guess->row + 1, 1);
    if (!guess->backwards)
        gather_later(&x);
    if (guess->backwards || (guess->turns && !b->n_keys))
        gather_rows(&x, guess->result, guess->columns, (int64_t)guess->row - 1, -1);
}
