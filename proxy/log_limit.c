// SPDX-License-Identifier: PostgreSQL
#include "proxy/log_limit.h"

#include <string.h>
#include "batching/base/hash.h"

static uint64_t digest_of(const char *message) {
    uint64_t d = XXH3_64bits(message, strcspn(message, ":\"0123456789"));
    return d ? d : 1;
}

void log_kind_begin(struct log_kind *k, uint64_t now) {
    k->since = now;
    k->written = 0;
    k->held = 0;
}

// A kind whose period has passed, with nothing held, may be replaced. The last place is for all that find
// none.
static struct log_kind *place_for(struct log_limit *l, uint64_t now) {
    for (size_t i = 0; i < LOG_KINDS - 1; i++) {
        struct log_kind *k = &l->kinds[i];
        if (!k->digest || (!k->held && log_kind_is_over(k, now)))
            return k;
    }
    return NULL;
}

struct log_kind *log_limit_kind(struct log_limit *l, const char *message, uint64_t now) {
    uint64_t digest = digest_of(message);
    for (size_t i = 0; i < LOG_KINDS - 1; i++)
        if (l->kinds[i].digest == digest)
            return &l->kinds[i];
    struct log_kind *k = place_for(l, now);
    if (!k)
        return &l->kinds[LOG_KINDS - 1];
    k->digest = digest;
    log_kind_begin(k, now);
    return k;
}

bool log_limit_take(struct log_limit *l, struct log_kind *k, unsigned most, bool *first) {
    *first = false;
    if (k->written < most) {
        k->written++;
        return true;
    }
    *first = k->held++ == 0;
    l->total++;
    return false;
}
