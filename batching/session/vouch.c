// SPDX-License-Identifier: PostgreSQL
#include "batching/session/vouch.h"

#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/trust/writes.h"

#define FRESH 100000 // microseconds for which a stamp is not asked for again

// Which fields of the facts' stamp count. Its fields are those of pg_proc, pg_trigger, pg_rewrite,
// pg_attrdef, pg_constraint, pg_policy, pg_operator and pg_cast. No read runs triggers, defaults or
// constraints, and temporary tables bring new ones all the time.
static const bool counts[] = {true, false, true, false, false, true, true, true};

// Reads the fields that count. False: this is no such stamp.
static bool read_stamp(struct slice facts, char stamp[TRUST_MAX_STAMP]) {
    size_t n = 0, field = 0;
    for (size_t i = 0; i < facts.len && facts.data[i] != '|'; i++) {
        bool comma = facts.data[i] == ',';
        if (n + 1 == TRUST_MAX_STAMP || field >= sizeof counts)
            return false;
        if (counts[field])
            stamp[n++] = (char)facts.data[i];
        field += comma;
    }
    stamp[n] = 0;
    return n > 0;
}

void trust_note_run(struct session *s) {
    s->trusted_at = s->engine->now + 1; // 0: never
}

bool trust_is_due(const struct session *s) {
    return s->engine->now - s->database->trust.told >= FRESH;
}

void trust_broken(struct session *s) {
    if (s->identity.state != IDENTITY_PROVEN && s->identity.state != IDENTITY_PROVING)
        return;
    session_doubt(s);
    session_note_write(s, NULL);
}

void trust_take(struct session *s, struct slice facts, uint64_t asked) {
    struct trust *t = &s->database->trust;
    char stamp[TRUST_MAX_STAMP];
    if (session_snapshot_is_fixed(s) || !facts.data || !read_stamp(facts, stamp))
        return; // a fixed snapshot shows the catalogue as it was
    bool changed = *t->stamp && strcmp(stamp, t->stamp) != 0;
    memcpy(t->stamp, stamp, sizeof stamp);
    for (struct session *other = changed ? s->engine->sessions : NULL; other; other = other->next)
        if (other->database == s->database && other->trusted_at > t->told)
            trust_broken(other);
    if (changed)
        engine_definitions_changed(s->engine);
    if (asked > t->told)
        t->told = asked;
}
