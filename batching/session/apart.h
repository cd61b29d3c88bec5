// SPDX-License-Identifier: PostgreSQL
//
// Lookups that are apart: they are answered only from what their own connection has loaded, since their
// transaction may share nothing with other sessions. Here is counted when it is worth to ask the catalogue
// for the sake of one such session. Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_APART_H
#define PGFOLD_BATCHING_SESSION_APART_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/session/session.h"

// One more lookup was accepted. Are there enough for the catalogue to be asked?
bool apart_is_worth_asking(struct session *s);

// The catalogue is asked. `alone`: for this session only.
void apart_asked(struct session *s, bool alone);

// A lookup was answered thanks to that question.
void apart_given(struct session *s);

// The session did more than read: the count of lookups begins at zero.
void apart_forget(struct session *s);

// `costs`: a lookup that was not vetted has dropped what was held.
void apart_note_costs(struct session *s, bool costs);

// A lookup came inside the transaction at hand.
void apart_came_inside(struct session *s);

// The transaction has ended.
void apart_transaction_ended(struct session *s);

// Notes for the identity with this id whether its statements outside transactions may be SERIALIZABLE.
static inline void apart_note_serial(struct session *s, uint64_t identity, bool serial) {
    s->apart.serial_of = identity;
    s->apart.serial = serial;
}

#endif
