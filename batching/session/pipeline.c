// SPDX-License-Identifier: PostgreSQL
#include "batching/session/pipeline.h"

#include <stdlib.h>

#include "batching/base/memory.h"
#include "batching/fold/batch.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"

struct pipeline *pipeline_create(struct session *s, unsigned n) {
    size_t bytes = sizeof(struct pipeline) + n * sizeof(struct pipeline_part);
    struct pipeline *p = calloc(1, bytes);
    if (!p)
        return NULL;
    p->refs = 1;
    p->memory = &s->queue_memory;
    account_set(p->memory, &p->weighs, bytes + MEMORY_BLOCK);
    return p;
}

void pipeline_unref(struct pipeline *p) {
    if (!p || --p->refs)
        return;
    for (unsigned i = 0; i < p->n; i++)
        statement_unref(p->parts[i].statement);
    account_set(p->memory, &p->weighs, 0);
    free(p);
}

void pipeline_add(struct pipeline *p, struct lookup *l) {
    l->pipeline = p;
    p->refs++;
    if (!p->n)
        p->first = l;
    else
        l->previous->more = true;
    l->statement->refs++;
    p->parts[p->n++] = (struct pipeline_part){l->statement, l->has_parse, l->has_describe, l->n_closes};
}

bool pipeline_is_answered(const struct lookup *l) {
    const struct pipeline *p = l->pipeline;
    return !p || p->whole || p->n_answered == p->n;
}
