// SPDX-License-Identifier: PostgreSQL
//
// A session lends its connection to a batch: what is prepared there, under which seal, and the messages.
#ifndef PGFOLD_BATCHING_FLOW_LEND_H
#define PGFOLD_BATCHING_FLOW_LEND_H

#include "batching/session/session.h"

bool session_can_lend(const struct session *s);
bool session_has_prepared(struct session *s, XXH128_hash_t statement);

// Its client uses a name like ours: what we have prepared is given up, and nothing is prepared any more.
// `name`: of a statement that is to be its own now, and may be left from a batch that failed; or empty.
void session_keep_out(struct session *s, struct slice name);

// What a batch was sent under, or with a check, has been right.
void session_note_seal(struct session *s, const struct batch *b);
void session_unprepare(struct session *s, XXH128_hash_t statement); // it failed: its state is not known

// False: nothing of it was sent, and it has failed; the caller ends it.
bool session_run_batch(struct session *s, struct batch *b) __attribute__((warn_unused_result));

#endif
