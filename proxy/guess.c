// SPDX-License-Identifier: PostgreSQL
#include "proxy/guess.h"

#include <stddef.h>
#include <string.h>

bool guess_is_allowed(const struct guesses *g, const struct source *from) {
    if (g->n_waiting == GUESS_PLACES)
        return false;
    for (size_t i = 0; i < GUESS_SOURCES; i++)
        if (g->sources[i].last && source_equal(&g->sources[i].source, from))
            return g->sources[i].waiting < GUESS_SHARE;
    return true;
}

// The entry of the source, or else the one that has been idle for longest. Sources with a link that waits
// keep theirs; there are as many entries as places.
static struct guess_source *entry_for(struct guesses *g, const struct source *from) {
    struct guess_source *oldest = NULL;
    for (size_t i = 0; i < GUESS_SOURCES; i++) {
        struct guess_source *s = &g->sources[i];
        if (s->last && source_equal(&s->source, from))
            return s;
        if (!s->waiting && (!oldest || s->last < oldest->last))
            oldest = s;
    }
    if (oldest)
        *oldest = (struct guess_source){.source = *from};
    return oldest;
}

static uint64_t delay_of(unsigned n) {
    uint64_t delay = n > 16 ? GUESS_LONGEST : (uint64_t)GUESS_FIRST << (n - 1);
    return delay < GUESS_LONGEST ? delay : GUESS_LONGEST;
}

bool guess_note(struct guesses *g, const struct source *from, struct link *l, uint64_t now) {
    struct guess_source *s = entry_for(g, from);
    g->total++;
    if (!s)
        return false;
    if (now > s->last + GUESS_FORGET)
        s->n = 0;
    s->n++;
    s->last = now;
    if (s->waiting >= GUESS_SHARE || g->n_waiting == GUESS_PLACES)
        return false;
    size_t i = 0;
    while (g->waiting[i].from)
        i++;
    g->waiting[i] = (struct guess){s, l, now + delay_of(s->n)};
    s->waiting++;
    g->n_waiting++;
    return true;
}

void guess_forget_link(struct guesses *g, const struct link *l) {
    for (size_t i = 0; g->n_waiting && i < GUESS_PLACES; i++)
        if (g->waiting[i].link == l)
            g->waiting[i].link = NULL;
}

struct link *guess_due(struct guesses *g, uint64_t now) {
    for (size_t i = 0; g->n_waiting && i < GUESS_PLACES; i++) {
        struct guess *w = &g->waiting[i];
        if (!w->from || now < w->until)
            continue;
        struct link *l = w->link;
        w->from->waiting--;
        g->n_waiting--;
        *w = (struct guess){0};
        if (l)
            return l;
    }
    return NULL;
}
