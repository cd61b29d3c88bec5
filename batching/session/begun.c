// SPDX-License-Identifier: PostgreSQL
#include "batching/session/begun.h"

#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"

#define LONGEST 10000 // microseconds from the answer to BEGIN until the server gets it

void begun_here(struct session *s, const char *access) {
    struct begun_list *l = &s->engine->begun;
    s->begun =
        (struct begun){.due = true, .access = access, .until = s->engine->now + LONGEST, .previous = l->last};
    *(l->last ? &l->last->begun.next : &l->first) = s;
    l->last = s;
}

void begun_is_over(struct session *s) {
    struct begun_list *l = &s->engine->begun;
    struct begun *b = &s->begun;
    if (!b->due)
        return;
    *(b->previous ? &b->previous->begun.next : &l->first) = b->next;
    *(b->next ? &b->next->begun.previous : &l->last) = b->previous;
    *b = (struct begun){0};
}

void begun_goes(struct session *s) {
    static const uint8_t begin[] = {'Q', 0, 0, 0, 0, 'B', 'E', 'G', 'I', 'N'};
    uint8_t message[sizeof begin + 16];
    if (!s->begun.due)
        return;
    size_t len = strlen(s->begun.access) + 1; // with its zero
    memcpy(message, begin, sizeof begin);
    memcpy(message + sizeof begin, s->begun.access, len);
    message[4] = (uint8_t)(sizeof begin - 1 + len);
    begun_is_over(s);
    s->engine->effects->to_server(s->owner, message, sizeof begin + len, true);
}

// The first one that no cancel request could hit, and whose client goes on.
static struct session *first(const struct engine *e) {
    struct session *s = e->begun.first;
    while (s && (session_is_cancelling(s) || s->terminating))
        s = s->begun.next;
    return s;
}

struct session *begun_late(const struct engine *e) {
    struct session *s = first(e);
    return s && e->now >= s->begun.until ? s : NULL;
}

uint64_t begun_deadline(const struct engine *e) {
    const struct session *s = first(e);
    return s ? s->begun.until : UINT64_MAX;
}
