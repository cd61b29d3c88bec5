// SPDX-License-Identifier: PostgreSQL
//
// What happens where memory is limited (base/memory.h). Nothing is lost at a limit, and no client gets an
// error:
//
//   what is full                 what happens
//   ---------------------------  ----------------------------------------------------------------------------
//   a session's queue            Its client is not read until half of the queue is gone. No word of the
//                                client's is needed for that: the queue holds whole lookups only.
//   a session's names            Further prepared statements are not remembered, and so forwarded.
//   a cache                      What was used longest ago goes. If all is in use, nothing new is remembered.
//   less than an eighth is left  Caches shrink. Then nothing new is remembered, and a session whose queue is
//   of what all may hold         larger than its share of that eighth is not read.
#ifndef PGFOLD_BATCHING_SESSION_ROOM_H
#define PGFOLD_BATCHING_SESSION_ROOM_H

#include "batching/session/session.h"
#include "batching/session/statements.h"

// ---- limits

// Makes the other limits agree with those of memory.
void room_fit_limits(struct engine_limits *limits);

// The engine's limits have changed: the accounts follow.
void room_adopt_limits(struct engine *e);

// ---- accounts of a session and a database

// Opens the session's accounts.
void room_open_session(struct session *s);

// Closes them. All that was counted there must have been freed, or the session counts as miscounted.
void room_close_session(struct session *s);

// Counts again what grows and shrinks with what the session's client does.
void room_weigh_session(struct session *s);

// Counts the database again.
void room_weigh_database(struct engine *e, struct database *d);

// Gives a reference to the database back, and its bytes if it was the last one.
void room_drop_database(struct engine *e, struct database *d);

// ---- caches

// At the end of a turn: caches give up what there is no room for.
void room_shrink(struct engine *e);

// Once a second: what was not used for long is forgotten, if much is remembered.
void room_age(struct engine *e);

// Nothing is being done for any client: gives back large scratch buffers.
void room_rest(struct engine *e);

// ---- a session's queue

// Bytes that a session may keep waiting, or in a buffer. room_share: SIZE_MAX while memory is not short;
// room_share_now: as if it were.
size_t room_share_now(const struct engine *e);

static inline size_t room_share(const struct engine *e) {
    return e->memory.used <= e->memory.most ? SIZE_MAX : room_share_now(e);
}

// Are so many bytes too many for the session's queue?
bool session_queue_is_larger(const struct session *s, size_t bytes);

// Would `more` bytes be too many for what waits for answers? Never if nothing waits.
static inline bool session_queue_is_full(const struct session *s, size_t more) {
    return s->order.n && session_queue_is_larger(s, s->queue_memory.used + more);
}

// Is half of a full queue gone?
bool session_queue_has_drained(const struct session *s);

// Does not read the client until then.
void session_hold_back(struct session *s);

// Bytes of an unnamed statement, which is counted with the lookup or the entry in `owed` that refers to it.
#define UNNAMED_BYTES (sizeof(struct statement) + sizeof(struct trail_columns) + 2 * MEMORY_BLOCK)

static inline size_t lookup_bytes(const struct lookup *l) {
    return sizeof *l + l->len + l->answer.cap + 2 * MEMORY_BLOCK + UNNAMED_BYTES;
}

// Counts a lookup, also when its size has changed.
static inline void lookup_weigh(struct lookup *l) {
    account_set(l->memory, &l->weighs, lookup_bytes(l));
}

// ---- a session's names

// May another prepared statement be remembered? There is one unnamed statement; it may use what the named
// ones leave. `own`: bytes of the statement that are counted already.
static inline bool session_has_room_for(const struct session *s, bool named, size_t own) {
    const struct account *a = &s->names_memory, *all = &s->engine->memory;
    size_t most = !a->limit ? SIZE_MAX : named ? a->limit / 4 * 3 : a->limit;
    return a->used + a->claimed - own <= most && all->used <= all->most;
}

static inline bool session_may_remember(const struct session *s, bool named) {
    return session_has_room_for(s, named, 0);
}

// Counts a named statement, also when its size has changed.
void statement_weigh(struct statement *st);

#endif
