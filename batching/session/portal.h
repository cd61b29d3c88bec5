// SPDX-License-Identifier: PostgreSQL
//
// The unnamed portal of a lookup that was answered without the server, inside a transaction. It stays until the next
// Bind, Query, or the end of the transaction, and the client may execute it once more. Only answers that have all rows
// are given where an Execute limits their number: so the portal has none left, and says so.
#ifndef PGFOLD_BATCHING_SESSION_PORTAL_H
#define PGFOLD_BATCHING_SESSION_PORTAL_H

#include <stdbool.h>

struct lookup;
struct session;

// Writer: portal.c.
struct answered_portal {
    const struct lookup *asked; // the last one that the client has bound, until it is answered; NULL: none
    bool given;                 // the portal is known here alone
};

// The client has bound the portal to the lookup.
void portal_asked(struct session *s, const struct lookup *l);
// The lookup was answered from a batch.
void portal_given(struct session *s, const struct lookup *l);
// The lookup goes to the server. NULL: the last one that has bound the portal is among those that go.
void portal_sent(struct session *s, const struct lookup *l);
// The portal is the server's, or there is none.
void portal_gone(struct session *s);

#endif
