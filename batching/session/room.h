// SPDX-License-Identifier: PostgreSQL
//
// What happens where memory is limited (memory.h). Nothing is lost at a limit, and nobody is told of an
// error:
//
//   a session's queue is full      its client is not read until half of it is gone, which takes no word of
//   the
//                                  client's: whole lookups are all that is in it
//   a session's names are full     further prepared statements are not remembered, and so forwarded
//   a cache is full                what was used longest ago goes; when all is in use, nothing new is
//   remembered less than an eighth is left    caches shrink, then nothing new is remembered, and a session
//   whose queue is of what all may hold           larger than its share of that eighth is not read
#ifndef PGFOLD_BATCHING_SESSION_ROOM_H
#define PGFOLD_BATCHING_SESSION_ROOM_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

// Makes the other limits agree with those of memory.
void room_fit_limits(struct engine_limits *limits);
void room_adopt_limits(struct engine *e); // after they have changed

void room_open_session(struct session *s);  // its accounts
void room_close_session(struct session *s); // all that it counted is gone
void room_weigh_session(struct session *s); // what grows and shrinks with what its client does
void room_weigh_database(struct engine *e, struct database *d);
void room_drop_database(struct engine *e, struct database *d); // if nobody else refers to it

// At the end of a turn: caches give up what there is no room for.
void room_shrink(struct engine *e);
// Once a second: what nobody has used for long is forgotten, as long as there is much.
void room_age(struct engine *e);
// Nothing is being done for anybody: gives back what is kept for the next time.
void room_rest(struct engine *e);

// What a session may keep waiting, or in a buffer, while memory is short; SIZE_MAX: it is not.
size_t room_share_now(const struct engine *e); // while it is
static inline size_t room_share(const struct engine *e) {
    return e->memory.used <= e->memory.most ? SIZE_MAX : room_share_now(e);
}

// An unnamed statement is counted with the lookup or the entry in `owed` that refers to it.
#define UNNAMED_BYTES (sizeof(struct statement) + sizeof(struct trail_columns) + 2 * MEMORY_BLOCK)

// Are there as many bytes as may be in what waits for answers, or would `more` be too many? Never of a
// session that waits for none.
bool session_queue_is_larger(const struct session *s, size_t bytes); // would so many be too many?

static inline bool session_queue_is_full(const struct session *s, size_t more) {
    return s->order.n && session_queue_is_larger(s, s->queue_memory.used + more);
}
bool session_queue_has_drained(const struct session *s); // half of it is gone
void session_hold_back(struct session *s);               // until then

// May another prepared statement be remembered? The unnamed one, of which there is one, may use what the
// named ones leave. `own`: bytes of its own that are counted already.
static inline bool session_has_room_for(const struct session *s, bool named, size_t own) {
    const struct account *a = &s->names_memory, *all = &s->engine->memory;
    size_t most = !a->limit ? SIZE_MAX : named ? a->limit / 4 * 3 : a->limit;
    return a->used + a->claimed - own <= most && all->used <= all->most;
}

static inline bool session_may_remember(const struct session *s, bool named) {
    return session_has_room_for(s, named, 0);
}

static inline size_t lookup_bytes(const struct lookup *l) {
    return sizeof *l + l->len + l->answer.cap + 2 * MEMORY_BLOCK + UNNAMED_BYTES;
}

static inline void lookup_weigh(struct lookup *l) { // counts it anew
    account_set(l->memory, &l->weighs, lookup_bytes(l));
}
void statement_weigh(struct statement *st); // a named one

#endif
