// SPDX-License-Identifier: PostgreSQL
//
// What is due goes out: answers in the order of the questions, and the lookups that run as they were sent.
#ifndef PGFOLD_BATCHING_SESSION_PUMP_H
#define PGFOLD_BATCHING_SESSION_PUMP_H

#include "batching/session/session.h"

void session_pump(struct session *s);                           // answers and sends what is due
void session_send_checked(struct session *s, struct lookup *l); // LOOKUP_CHECKING

#endif
