// SPDX-License-Identifier: PostgreSQL
#include "batching/session/first.h"

#include <stdlib.h>
#include <string.h>

#include "batching/base/memory.h"
#include "batching/fold/batch.h"
#include "batching/fold/group.h"

void first_free(struct first *f) {
    if (!f)
        return;
    account_set(f->memory, &f->weighs, 0);
    f->group->held--;
    free(f);
}

static struct first *copy_of(struct session *s, const struct lookup *l) {
    size_t size = sizeof(struct first) + l->len;
    struct first *f = account_is_full(&s->queue_memory, size) ? NULL : calloc(1, size);
    if (!f)
        return NULL;
    memcpy(f->bytes, l->bytes, l->len);
    f->len = l->len;
    f->memory = &s->queue_memory;
    account_set(f->memory, &f->weighs, size + MEMORY_BLOCK);
    f->group = l->group;
    f->group->held++;
    for (unsigned i = 0; i < l->group->n_parts; i++)
        if (l->raw[i].data) // not an SQL NULL
            f->raw[i] = (struct slice){f->bytes + (l->raw[i].data - l->bytes), l->raw[i].len};
    return f;
}

void first_note(struct session *s, const struct lookup *l) {
    struct ahead *a = s->ahead;
    struct first *f = a ? copy_of(s, l) : NULL;
    if (!f)
        return;
    first_free(a->firsts[FIRSTS - 1]);
    memmove(a->firsts + 1, a->firsts, (FIRSTS - 1) * sizeof *a->firsts);
    a->firsts[0] = f;
}

struct first *first_take(struct ahead *a, const struct group *g) {
    for (unsigned i = 0; i < FIRSTS; i++) {
        struct first *f = a->firsts[i];
        if (!f || f->group != g)
            continue;
        a->firsts[i] = NULL;
        return f;
    }
    return NULL;
}

void first_forget(struct ahead *a) {
    for (unsigned i = 0; i < FIRSTS; i++) {
        first_free(a->firsts[i]);
        a->firsts[i] = NULL;
    }
}
