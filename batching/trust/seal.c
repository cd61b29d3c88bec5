// SPDX-License-Identifier: PostgreSQL
//
// When a seal holds, and how many batches must have gone well before seals are used.
#include "batching/trust/seal.h"

#define FEWEST 4
#define MOST   65536
#define QUIET  30000000 // microseconds; after this time an earlier break is forgotten

void seal_checked(struct seal *s, const struct seal *of_batch, bool parsed, bool framed) {
    if (parsed) {
        *s = *of_batch;
        s->sound = false;
        if (framed)
            s->read = 0;
    } else if (s->read && of_batch->read > s->read) {
        s->loaded = of_batch->loaded;
        s->process = of_batch->process;
        s->sound = true;
    }
}

static bool is_trusted(const struct seal_trust *t) {
    return t->run >= (t->needed ? t->needed : FEWEST);
}

bool seal_is_usable(const struct seal *s, const struct seal_trust *t) {
    return s->read && s->sound && s->since > t->doubted && is_trusted(t);
}

bool seal_is_worn(const struct seal *s, const struct seal_trust *t) {
    return (!s->read || s->since <= t->doubted) && is_trusted(t);
}

void seal_batch_right(struct seal_trust *t, bool has_rows) {
    if (!has_rows)
        t->run = 0;
    else if (t->run < MOST)
        t->run++;
}

void seal_broken(struct seal_trust *t, uint64_t now) {
    unsigned needed = t->needed && now - t->doubted < QUIET ? t->needed : FEWEST / 2;
    t->needed = needed < MOST ? 2 * needed : MOST;
    t->doubted = now;
    t->run = 0;
}
