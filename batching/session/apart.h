// SPDX-License-Identifier: PostgreSQL
//
// Lookups that are answered from what their own connection has loaded alone, and when the catalogue is asked
// for one session's sake.
#ifndef PGFOLD_BATCHING_SESSION_APART_H
#define PGFOLD_BATCHING_SESSION_APART_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/session/session.h"

// One more lookup was accepted: are there enough for the catalogue to be asked?
bool apart_is_worth_asking(struct session *s);
void apart_asked(struct session *s, bool alone); // it is asked, `alone`: for this session
void apart_given(struct session *s);             // an answer that this brought
void apart_forget(struct session *s);            // the session did more than read
void apart_note_costs(struct session *s, bool costs);

// A lookup came inside the transaction at hand; the transaction has ended.
void apart_came_inside(struct session *s);
void apart_transaction_ended(struct session *s);

// Of an identity it is known whether its statements outside transactions may be SERIALIZABLE.
static inline void apart_note_serial(struct session *s, uint64_t identity, bool serial) {
    s->apart.serial_of = identity;
    s->apart.serial = serial;
}

#endif
