// SPDX-License-Identifier: PostgreSQL
#include "batching/session/portal.h"

#include "batching/session/session.h"

void portal_asked(struct session *s, const struct lookup *l, bool ends) {
    s->answered_portal = (struct answered_portal){.asked = s->txn == 'T' ? l : NULL, .ends = ends};
}

void portal_given(struct session *s, const struct lookup *l) {
    const struct answered_portal p = s->answered_portal;
    if (p.asked == l)
        s->answered_portal = (struct answered_portal){.given = !p.ends, .closed = p.ends};
}

void portal_closed(struct session *s) {
    s->answered_portal = (struct answered_portal){.closed = s->txn == 'T'};
}

void portal_gone(struct session *s) {
    s->answered_portal = (struct answered_portal){0};
}

void portal_sent(struct session *s, const struct lookup *l) {
    if (!l || s->answered_portal.asked == l)
        portal_gone(s);
}
