// SPDX-License-Identifier: PostgreSQL
//
// Queries of our own on a client's connection: the proof of an identity, the catalogue's verdict, the facts.
#ifndef PGFOLD_BATCHING_FLOW_OWN_QUERIES_H
#define PGFOLD_BATCHING_FLOW_OWN_QUERIES_H

#include "batching/session/session.h"

// May the catalogue be asked on its connection, as far as its transaction goes?
bool session_may_ask(const struct session *s);
bool session_vets(const struct session *s, const struct group *g); // the group's catalogue query runs here
void session_start_vet(struct session *s, struct group *g);
void session_start_proof(struct session *s);

// Asks what is the same for the whole database (facts.h) when that is due, behind what else was sent.
// `again`: see facts_are_due.
void session_ask_facts(struct session *s, bool again);
bool session_lacks_facts(const struct session *s); // those that there were are not believed any more

#endif
