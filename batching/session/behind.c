// SPDX-License-Identifier: PostgreSQL
#include "batching/session/behind.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/memory.h"
#include "batching/fold/group.h"
#include "batching/session/session.h"
#include "batching/trust/identity.h"

bool behind_any_begin(const struct owed *o) {
    const struct forward_effects *e = &o->forward;
    bool more = e->ends || e->more_than_read || e->drops || e->selects || e->returns || e->setting;
    return o->kind == OWED_FORWARD && e->begins && !more && !o->error;
}

bool behind_begin(const struct owed *o) {
    const struct forward_effects *e = &o->forward;
    uint8_t level = e->level ? e->isolation : e->standard;
    return behind_any_begin(o) && e->known && e->may_idle && level == ISOLATION_READ_COMMITTED;
}

struct behind *behind_create(struct session *s, struct group *g, const struct slice *raw, uint64_t question,
                             const uint8_t *bytes, size_t len) {
    size_t size = sizeof(struct behind) + len;
    struct behind *b = account_is_full(&s->queue_memory, size) ? NULL : calloc(1, size);
    if (!b)
        return NULL;
    memcpy(b->bytes, bytes, len);
    b->len = len;
    b->question = question;
    b->memory = &s->queue_memory;
    account_set(b->memory, &b->weighs, size + MEMORY_BLOCK);
    b->group = g;
    group_pin(g);
    for (unsigned i = 0; i < g->n_parts; i++)
        if (raw[i].data) // not an SQL NULL
            b->raw[i] = (struct slice){b->bytes + (raw[i].data - bytes), raw[i].len};
    return b;
}

void behind_free(struct behind *b) {
    if (!b)
        return;
    account_set(b->memory, &b->weighs, 0);
    group_unpin(b->group);
    free(b);
}
