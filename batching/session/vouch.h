// SPDX-License-Identifier: PostgreSQL
//
// What sessions run on their own connections because the catalogue once said that it is a plain read, or may
// be folded, is believed for a time (vet_max_age). Somebody may meanwhile have put something else behind the
// text, past this proxy: a view in a table's place, a function of a user's that fits better than the server's
// own. It may change settings, and the session is no longer what it was proven to be.
//
// So a batch's check tells now and then what the newest functions, rules, policies, operators and casts are
// (the stamp of facts.h; those ahead of a loop tell it each time), and so does each verdict. As long as that
// is the same, nothing was put behind any text. Else all is vetted anew, and every session of the database
// that has run something since it was last told is in doubt: its lookups in this batch run alone, and it is
// proved again before it shares rows.
//
// So it is with writes to tables where nothing of a user's runs (facts.h); for them triggers, defaults and
// constraints count as well, and a batch asks whenever one of its sessions has written since it was last
// told.
//
// What only gets another name, or another schema, is not seen: for that vet_max_age is the bound.
#ifndef PGFOLD_BATCHING_SESSION_VOUCH_H
#define PGFOLD_BATCHING_SESSION_VOUCH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/message.h"

struct session;

// It runs what is believed to leave it as it is.
void trust_note_run(struct session *s);
// The same of a write: triggers, defaults and constraints count, too.
void trust_note_write(struct session *s);
// Is it time that a batch on this connection asks?
bool trust_is_due(const struct session *s);
// The facts' stamp as the server has told it on this connection; `asked`: when the question was sent.
void trust_take(struct session *s, struct slice facts, uint64_t asked);
// The names by which a write may run something of a user's are others than those of `since` (engine time).
void trust_names_changed(struct session *s, uint64_t since);
// A batch's check says that what it was vetted by has changed: who has run it is in doubt.
void trust_broken(struct session *s);

#endif
