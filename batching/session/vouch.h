// SPDX-License-Identifier: PostgreSQL
//
// Has anything new been put behind the texts that sessions run because they were vetted?
//
// The catalogue once said that a text is a plain read, or may be folded. pgfold believes that for a time
// (vet_max_age), and sessions run the text on their own connections. Meanwhile somebody may have put
// something else behind the text, past this proxy: a view in a table's place, or a user's function that fits
// better than the server's own. It may change settings. Then what was proven of the session is wrong.
//
// So the check of a batch whose rows pass between sessions tells what the newest functions, rules, policies,
// operators and casts are (the stamp of trust/facts.h), whenever one of these sessions has run a vetted text
// since the last stamp. Batches loaded ahead tell it each time, and so does each verdict. While that stamp is
// the same, nothing was put behind any text. If it differs, all is vetted once more. Every session of the
// database that has run a vetted text since the last stamp is in doubt: its lookups in this batch run alone,
// and it is proved again before it shares rows.
//
// So it is with writes to tables where nothing of a user's runs (trust/facts.h). For them triggers, defaults
// and constraints count as well.
//
// An object that only gets another name, or another schema, is not seen. For that the bound is vet_max_age.
#ifndef PGFOLD_BATCHING_SESSION_VOUCH_H
#define PGFOLD_BATCHING_SESSION_VOUCH_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/message.h"

struct session;

// The session runs a vetted text on its own connection.
void trust_note_run(struct session *s);

// It runs a write to tables where nothing of a user's is believed to run.
void trust_note_write(struct session *s);

// It has run something since the last stamp, or that was told a while ago: a batch by which the session shares
// rows with others asks for the next one.
bool trust_is_due(const struct session *s);

// The server has told the facts' stamp on this connection. `asked`: engine time when the question was sent.
void trust_take(struct session *s, struct slice facts, uint64_t asked);

// The names by which a write may run something of a user's are others now than they were at `since` (engine
// time).
void trust_names_changed(struct session *s, uint64_t since);

// The session has run a text whose verdict has turned out to be wrong: its identity is in doubt.
void trust_broken(struct session *s);

#endif
