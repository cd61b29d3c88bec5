// SPDX-License-Identifier: PostgreSQL
//
// Queries of our own on a client's connection: the proof of its identity (trust/identity.h), the catalogue's
// verdict on a group (trust/vet.h), and the facts about the database (trust/facts.h).
//
// Each function here sends its query only if the connection is free for it; otherwise it does nothing, and is
// called again later. Inside a client's transaction a query runs between SAVEPOINT and RELEASE
// (fold/savepoint.h). The replies are read in talk/own_reply.c.
#ifndef PGFOLD_BATCHING_FLOW_OWN_QUERIES_H
#define PGFOLD_BATCHING_FLOW_OWN_QUERIES_H

#include "batching/session/session.h"

// Asks for the proof of the session's identity. Not inside a transaction, whose settings may end with it.
void session_start_proof(struct session *s);

// Asks the catalogue about a group, or about a read group. The group is VETTING if the question was sent.
void session_start_vet(struct session *s, struct group *g);

// The same. Where the catalogue may not be asked now (mode observe), it is asked later (session/dry.h).
void session_ask_vet(struct session *s, struct group *g);

// Asks for what is the same for the whole database if that is due, behind what else was sent. `again`: see
// facts_are_due().
void session_ask_facts(struct session *s, bool again);

// May the catalogue be asked on this connection, as far as its transaction goes?
bool session_may_ask(struct session *s);

// Is a question about the group under way on this connection?
bool session_vets(const struct session *s, const struct group *g);

// Were the database's facts asked for once, and are no longer believed?
bool session_lacks_facts(const struct session *s);

#endif
