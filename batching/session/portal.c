// SPDX-License-Identifier: PostgreSQL
#include "batching/session/portal.h"

#include "batching/session/session.h"

void portal_asked(struct session *s, const struct lookup *l) {
    s->answered_portal = (struct answered_portal){.asked = s->txn == 'T' ? l : NULL};
}

void portal_given(struct session *s, const struct lookup *l) {
    if (s->answered_portal.asked == l)
        s->answered_portal = (struct answered_portal){.given = true};
}

void portal_gone(struct session *s) {
    s->answered_portal = (struct answered_portal){0};
}

void portal_sent(struct session *s, const struct lookup *l) {
    if (!l || s->answered_portal.asked == l)
        portal_gone(s);
}
