// SPDX-License-Identifier: PostgreSQL
//
// What of ours runs inside the client's transaction is framed by SAVEPOINT and RELEASE (fold/savepoint.h). If
// it fails, the connection is repaired before anything of its client's is sent; until then the client is held.
#ifndef PGFOLD_BATCHING_SESSION_FRAME_H
#define PGFOLD_BATCHING_SESSION_FRAME_H

#include <stdbool.h>

#include "batching/session/session.h"

// A framed unit has been sent.
static inline void frame_begin(struct session *s) {
    s->frame.n++;
}
// The same of one that prepares the frame's statements where the connection lacks them.
static inline void frame_begin_prepared(struct session *s) {
    s->frame.n++;
    s->frame.prepared = true;
}
static inline void frame_forget_prepared(struct session *s) {
    s->frame.prepared = false;
}

// Something of ours runs inside the client's transaction, or has broken it: nothing of the client's is sent.
bool session_is_framed(const struct session *s);
void session_frame_ended(struct session *s, char status);
void session_repair(struct session *s); // sends the repair that is due, if it may be sent now
void session_repair_ended(struct session *s, char status);

#endif
