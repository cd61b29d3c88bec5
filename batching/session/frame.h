// SPDX-License-Identifier: PostgreSQL
//
// A unit of ours that runs inside the client's transaction is framed by SAVEPOINT and RELEASE
// (fold/savepoint.h). While it runs, nothing of the client's is sent. If it fails, the transaction is
// repaired first (ROLLBACK TO). If that fails as well, the client's transaction is lost and the session
// fails.
//
// Questions to the catalogue end soon, and bring what takes them back along, in a unit of its own. So what the client asks goes
// out behind them; they do not count here. Not so where another framed unit is under way, which may leave a savepoint behind, and
// where the client may have a savepoint of our name.
#ifndef PGFOLD_BATCHING_SESSION_FRAME_H
#define PGFOLD_BATCHING_SESSION_FRAME_H

#include <stdbool.h>

#include "batching/session/session.h"

// A framed unit has been sent.
static inline void frame_begin(struct session *s) {
    s->frame.n++;
}

// The same for a unit that also prepares SAVEPOINT and RELEASE where the connection lacks them.
static inline void frame_begin_prepared(struct session *s) {
    s->frame.n++;
    s->frame.prepared = true;
}

// The client may have a savepoint of our name. If ours is not made, since the transaction is aborted by then, to go back to the name
// would go back to the client's: so what is ours and goes back is not sent before it is known that ours was made.
static inline void frame_name_taken(struct session *s) {
    s->frame.taken = true;
}

// The connection may not have SAVEPOINT and RELEASE prepared any more.
static inline void frame_forget_prepared(struct session *s) {
    s->frame.prepared = false;
}

// Does something of ours run inside the client's transaction, or has something of ours broken it? Then
// nothing of the client's is sent.
bool session_is_framed(const struct session *s);

// ReadyForQuery of a framed unit has come. `status`: I, T or E. May make a repair due, or fail the session.
void session_frame_ended(struct session *s, char status);

// Sends the repair that is due, if it may be sent now. Out of memory fails the session.
void session_repair(struct session *s);

// ReadyForQuery of what takes a question back has come, the entry `o`. If the transaction is not as it was, a repair is due, or the
// session fails.
void session_undone(struct session *s, const struct owed *o, char status);

// ReadyForQuery of a unit of ours outside transactions has come, and says that it has left a block (trust/own_settings.h). It is
// ended. Out of memory fails the session.
void session_block_left(struct session *s);

// ReadyForQuery of the repair has come. Fails the session if the transaction is not as it was.
void session_repair_ended(struct session *s, char status);

#endif
