// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/gather.h"

#include <string.h>

#include "batching/ahead/kind.h"
#include "batching/ahead/telling.h"
#include "batching/ahead/values.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"

struct gathering {
    const struct guess *guess;
    const struct group *g;
    const struct key *asked;
    struct batch *b;
    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys, unsigned turns);
    void *arg;
    unsigned steps; // from one row to the next with an equal value, as many as may still be taken
    int kind;       // column of the guess's list: rows with other values there are passed over; -1: none
    const uint16_t *turns; // by row of the guess's list: how often it may still be given; NULL: not again
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

#define MAX_STEPS 16384

// Counts the rows with the key of this row that were not asked for yet. Rows that may be given again count again.
static uint16_t count_turns(struct gathering *x, struct trail_result *r, const int *columns, uint32_t row,
                            const struct trail_target *target) {
    struct guess w = {.result = r, .lead = x->guess->lead};
    const uint16_t *again = r == x->guess->result ? x->turns : NULL;
    unsigned lead = (unsigned)columns[w.lead], n = 0, given = 0;
    unsigned most = x->steps < PLACE_TURNS ? x->steps : PLACE_TURNS, left = most;
    uint32_t at;
    memcpy(w.columns, columns, sizeof w.columns);
    bool counts = place_counts_rows(x->g, r);
    if ((!counts && !again) || !trail_find_equal(x->guess->trail, r, lead, row, &at))
        return counts ? 0 : 1;
    do {
        bool same = place_is_same_key(&w, x->g->n_parts, at, row);
        n += same && !trail_was_asked(target, at);
        given += same && again ? again[at] : 0;
    } while (left && left-- && trail_next_equal(r, lead, &at));
    x->steps -= most - left;
    n = counts ? n : 1;
    n = given > n ? given : n;
    return (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
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
        uint32_t row = (uint32_t)at, n = x->b->n_keys, known;
        if ((r == x->guess->result && kind_differs(x->guess, x->kind, row)) ||
            is_over(x, r, row, lead, target) || !key_of_row(x, r, row, columns, &scratch, keys) ||
            is_asked(x, keys) || batch_find_key(x->b, keys, &known))
            continue;
        uint16_t turns = count_turns(x, r, columns, row, target);
        turns = turns ? turns : 1; // this row
        if (x->skip(x->arg, r, keys, turns))
            continue;
        if (!batch_add_key(x->b, keys))
            return;
        if (x->b->n_keys == n)
            continue;
        x->b->ahead.left[n] = turns;
        x->b->ahead.n_left += turns;
    }
}

// The next result of the same statement after this one.
static struct trail_result *next_of_kind(const struct trail *t, const struct trail_result *of,
                                         uint64_t serial) {
    struct trail_result *next = NULL;
    for (struct trail_result *r = t->results; r; r = r->next)
        if (trail_is_same_kind(r, of) && r->serial > serial && (!next || r->serial < next->serial))
            next = r;
    return next;
}

// The loop will come to the rows of this statement's later results, one result after the other.
static void gather_later(struct gathering *x) {
    const struct trail *t = x->guess->trail;
    struct trail_result *r = x->guess->result;
    const struct trail_result *of = r;
    int columns[KEY_MAX_PARTS];
    while (x->b->n_keys < x->b->max_keys && (r = next_of_kind(t, of, r->serial)))
        if (trail_is_whole(t, r) && association_is_in(x->guess->association, r, x->g->n_parts, columns))
            gather_rows(x, r, columns, 0, 1);
}

// Counts the other rows of the key at hand, unless it is held.
static unsigned count_again(struct gathering *x) {
    struct trail_result *r = x->guess->result;
    unsigned lead = (unsigned)x->guess->columns[x->guess->lead];
    const struct trail_target *target = trail_target(r, x->guess->who, lead, true);
    if (!target || (!place_counts_rows(x->g, r) && !x->turns))
        return 0;
    unsigned turns = count_turns(x, r, x->guess->columns, x->guess->row, target);
    return turns && !x->skip(x->arg, r, x->asked, turns) ? turns : 0;
}

void predict_gather(const struct guess *guess, const struct group *g, const struct key *keys, struct batch *b,
                    bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys,
                                 unsigned turns),
                    void *arg, const uint16_t *turns) {
    struct gathering x = {guess, g, keys, b, skip, arg, MAX_STEPS, telling_column(guess, g), turns};
    b->ahead.again = count_again(&x);
    if (!guess->backwards)
        gather_rows(&x, guess->result, guess->columns, (int64_t)guess->row + 1, 1);
    if (!guess->backwards)
        gather_later(&x);
    if (guess->backwards || (guess->turns && !guess->seconded && !b->n_keys))
        gather_rows(&x, guess->result, guess->columns, (int64_t)guess->row - 1, -1);
}

void predict_gather_all(const struct guess *guess, const struct group *g, struct batch *b,
                        bool (*skip)(void *arg, const struct trail_result *list, const struct key *keys,
                                     unsigned turns),
                        void *arg) {
    static const struct key none[KEY_MAX_PARTS];
    struct gathering x = {guess, g, none, b, skip, arg, MAX_STEPS, -1, NULL};
    gather_rows(&x, guess->result, guess->columns, 0, 1);
}
