// SPDX-License-Identifier: PostgreSQL
#include "batching/session/turns.h"

#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/session.h"

#define SLICE       1000000 // nanoseconds
#define OF_A_UNIT   600     // nanoseconds to look at a unit, and to pass its reply on
#define OF_A_PART   150     // nanoseconds for another message of it
#define OF_A_BYTE   1       // nanoseconds for each of its bytes
#define OF_A_READ   5000    // nanoseconds that the system takes for one read
#define BACK        250     // nanoseconds that a session gets back in a microsecond
#define SHORT_WHILE 20000   // microseconds after which a client that has spoken counts no more
#define LONGEST     20000   // microseconds for which the loop must be free, at most

void turns_begin(struct session *s) {
    struct turn *own = &s->turn;
    uint64_t now = s->engine->now, back = now > own->work_at ? (now - own->work_at) * BACK : 0;
    own->work = (own->work > back ? own->work - (uint32_t)back : 0) + OF_A_READ;
    own->work_at = now;
}

void turns_note(struct session *s, size_t bytes, bool ends, uint64_t cost) {
    struct turns *t = &s->engine->turns;
    uint64_t work = s->turn.work + (ends ? OF_A_UNIT : OF_A_PART) + OF_A_BYTE * (uint64_t)bytes + cost;
    s->turn.work = work < UINT32_MAX ? (uint32_t)work : UINT32_MAX;
    if (work < SLICE || s->hold.turn)
        return;
    hold_until_turn(s);
    s->turn.ended_at = s->engine->now;
    s->turn.next = NULL;
    *(t->last ? &t->last->turn.next : &t->first) = s;
    t->last = s;
    t->slept = s->engine->vigil.slept;
    t->fresh = true;
}

void turns_end(struct session *s) {
    uint64_t now = s->engine->now;
    if (!s->turn.ended_at || now - s->turn.ended_at > 5 * SHORT_WHILE)
        s->engine->turns.others_at = now;
}

void turns_unlist(struct session *s) {
    struct turns *t = &s->engine->turns;
    struct session *before = NULL;
    if (!s->hold.turn)
        return;
    for (struct session *x = t->first; x && x != s; x = x->turn.next)
        before = x;
    *(before ? &before->turn.next : &t->first) = s->turn.next;
    if (t->last == s)
        t->last = before;
    hold_end_turn(s);
}

// Microseconds for which the loop must be free before the next slice: twice the length of this turn, or of a
// slice if that is longer, since the slice may have been used up over many turns. The length of a turn is
// known if the caller says when the loop waits.
static uint64_t free_for(const struct engine *e) {
    const struct vigil *v = &e->vigil;
    bool alone = !e->turns.others_at || e->now - e->turns.others_at > SHORT_WHILE;
    uint64_t turn = v->slept && e->now > v->woke ? e->now - v->woke : 0;
    turn = 2 * (turn > SLICE / 1000 ? turn : SLICE / 1000); // what the slice causes takes time, too
    return alone || !v->slept ? 0 : turn < LONGEST ? turn : LONGEST;
}

void turns_go_on(struct engine *e) {
    struct turns *t = &e->turns;
    if (t->fresh)
        t->due = e->now + free_for(e);
    t->fresh = false;
    struct session *s = t->first;
    bool waited = !e->vigil.slept || t->slept != e->vigil.slept;
    if (!s || !waited || e->now < t->due)
        return;
    turns_unlist(s);
    s->turn.work = 0;
    t->slept = e->vigil.slept;
    t->fresh = true;
    e->effects->resume_client(s->owner);
}

uint64_t turns_deadline(const struct engine *e) {
    return e->turns.first ? e->turns.due : UINT64_MAX;
}
