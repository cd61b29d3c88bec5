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
    bool ends;                  // it was a Query, or the portal was closed in its unit
    bool given;                 // the portal is known here alone
    bool closed;                // the client has none, and the server may have an older one
};

// The client has bound the portal to the lookup. `ends`: it has none when that is answered.
void portal_asked(struct session *s, const struct lookup *l, bool ends);
// What pgfold answers without the server leaves the client without one: a Query, or a statement that is no lookup.
void portal_closed(struct session *s);
// The lookup was answered from a batch.
void portal_given(struct session *s, const struct lookup *l);
// The lookup goes to the server. NULL: the last one that has bound the portal is among those that go.
void portal_sent(struct session *s, const struct lookup *l);
// The portal is the server's, or there is none.
void portal_gone(struct session *s);

#endif
