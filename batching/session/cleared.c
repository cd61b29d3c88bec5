// SPDX-License-Identifier: PostgreSQL
#include "batching/session/cleared.h"

#include "batching/statement/shape.h"
#include "batching/trust/identity.h"

void cleared_note(struct session *s, const struct shape *shape) {
    bool alone = !s->owed.n && !s->order.n && !s->in_unit && s->txn == 'I';
    s->cleared = alone ? shape_digest(shape) : 0;
}

bool cleared_by(const struct session *s, const struct shape *shape) {
    return s->cleared && s->cleared == shape_digest(shape) && session_identity_is_clear(&s->identity);
}
