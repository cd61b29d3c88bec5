// SPDX-License-Identifier: PostgreSQL
#include "batching/session/own_prepared.h"

#include <stdlib.h>
#include <string.h>

#include "batching/fold/batch.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/trust/seal.h"

bool session_has_prepared(struct session *s, XXH128_hash_t statement) {
    for (unsigned i = s->own.n; i-- > 0;) {
        if (!XXH128_isEqual(s->own.ring[i].name, statement))
            continue;
        struct own_statement found = s->own.ring[i];
        memmove(s->own.ring + i, s->own.ring + i + 1, (s->own.n - i - 1) * sizeof *s->own.ring);
        s->own.ring[s->own.n - 1] = found;
        return true;
    }
    return false;
}

static struct seal *seal_of(struct session *s, XXH128_hash_t statement) {
    return session_has_prepared(s, statement) ? &s->own.ring[s->own.n - 1].seal : NULL;
}

const struct seal *own_prepared_seal(struct session *s, XXH128_hash_t statement) {
    return seal_of(s, statement);
}

void session_note_seal(struct session *s, const struct batch *b) {
    struct seal *seal = b->sealed || !b->group->sealed ? NULL : seal_of(s, b->statement);
    struct seal of_batch = {
        .read = b->news.now, .loaded = b->news.loaded, .process = b->news.process, .since = s->engine->now};
    if (seal)
        seal_checked(seal, &of_batch, b->parse, b->framed);
}

void session_unprepare(struct session *s, XXH128_hash_t statement) {
    if (session_has_prepared(s, statement))
        s->own.n--; // session_has_prepared() has made it the last one
}

bool own_prepared_use(struct session *s, XXH128_hash_t statement, struct batch_prepared *p) {
    if (session_has_prepared(s, statement))
        return true;
    p->closes[p->n_closes++] = statement;
    if (!s->own.ring)
        s->own.ring = malloc(SESSION_MAX_PREPARED * sizeof *s->own.ring);
    if (!s->own.ring)
        return false; // out of memory: it is prepared again each time
    if (s->own.n == SESSION_MAX_PREPARED) {
        p->closes[p->n_closes++] = s->own.ring[0].name;
        memmove(s->own.ring, s->own.ring + 1, --s->own.n * sizeof *s->own.ring);
    }
    s->own.ring[s->own.n++] = (struct own_statement){.name = statement};
    return false;
}

void own_prepared_take_back(struct session *s, const struct batch *b, const struct batch_prepared *p) {
    if (!p->statement)
        session_unprepare(s, batch_statement(b));
    if (!p->stamp)
        session_unprepare(s, batch_stamp(b));
    for (unsigned i = 0; s->own.ring && i < p->n_closes && s->own.n < SESSION_MAX_PREPARED; i++) {
        bool own =
            XXH128_isEqual(p->closes[i], batch_statement(b)) || XXH128_isEqual(p->closes[i], batch_stamp(b));
        if (!own)
            s->own.ring[s->own.n++] = (struct own_statement){.name = p->closes[i]};
    }
}

void own_prepared_forget(struct session *s) {
    s->own.n = 0;
}

void own_prepared_finish(struct session *s) {
    free(s->own.ring);
    s->own = (struct own_prepared){0};
}
