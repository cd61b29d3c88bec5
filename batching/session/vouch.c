// SPDX-License-Identifier: PostgreSQL
#include "batching/session/vouch.h"

#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/session/txn.h"
#include "batching/trust/writes.h"

#define FRESH 100000 // microseconds after which a batch asks for the stamp whatever has run

// Which fields of the facts' stamp count. Its fields are those of pg_proc, pg_trigger, pg_rewrite,
// pg_attrdef, pg_constraint, pg_policy, pg_operator and pg_cast. No read runs triggers, defaults or
// constraints, and temporary tables bring new ones all the time.
static const bool runs_by_reads[] = {true, false, true, false, false, true, true, true};

// Reads the fields of what reads run, or those of what only writes do. False: this is no such stamp.
static bool read_stamp(struct slice facts, bool by_reads, char stamp[TRUST_MAX_STAMP]) {
    size_t n = 0, field = 0;
    for (size_t i = 0; i < facts.len && facts.data[i] != '|'; i++) {
        bool comma = facts.data[i] == ',';
        if (n + 1 == TRUST_MAX_STAMP || field >= sizeof runs_by_reads)
            return false;
        if (runs_by_reads[field] == by_reads)
            stamp[n++] = (char)facts.data[i];
        field += comma;
    }
    stamp[n] = 0;
    return n > 0;
}

static bool take_stamp(char *of, const char *stamp) {
    bool changed = *of && strcmp(stamp, of) != 0;
    memcpy(of, stamp, TRUST_MAX_STAMP);
    return changed;
}

void trust_note_run(struct session *s) {
    s->trusted_at = s->engine->now + 1; // 0: never
}

void trust_note_write(struct session *s) {
    s->wrote_at = s->engine->now + 1;
}

bool trust_is_due(const struct session *s) {
    const struct trust *t = &s->database->trust;
    return s->trusted_at > t->told || s->wrote_at > t->told || s->engine->now - t->told >= FRESH;
}

void trust_broken(struct session *s) {
    if (s->identity.state != IDENTITY_PROVEN && s->identity.state != IDENTITY_PROVING)
        return;
    session_doubt(s);
    session_note_write(s, NULL);
}

void trust_names_changed(struct session *s, uint64_t since) {
    for (struct session *other = s->engine->sessions; other; other = other->next)
        if (other->database == s->database && other->wrote_at > since)
            trust_broken(other);
}

void trust_take(struct session *s, struct slice facts, uint64_t asked) {
    struct trust *t = &s->database->trust;
    char by_reads[TRUST_MAX_STAMP], by_writes[TRUST_MAX_STAMP];
    if (session_snapshot_is_fixed(s) || !facts.data || !read_stamp(facts, true, by_reads) ||
        !read_stamp(facts, false, by_writes))
        return; // a fixed snapshot shows the catalogue as it was
    bool read = take_stamp(t->stamp, by_reads);
    bool write = take_stamp(t->write_stamp, by_writes) || read;
    for (struct session *other = write ? s->engine->sessions : NULL; other; other = other->next)
        if (other->database == s->database &&
            ((read && other->trusted_at > t->told) || other->wrote_at > t->told))
            trust_broken(other);
    if (read)
        engine_definitions_changed(s->engine);
    if (asked > t->told)
        t->told = asked;
}
