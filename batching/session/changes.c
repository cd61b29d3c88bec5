// SPDX-License-Identifier: PostgreSQL
#include "batching/session/changes.h"

#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/statement/parse.h"
#include "batching/statement/shape.h"
#include "batching/trust/identity.h"

static bool is_one_of(const char *name, const char *const *names) {
    for (; *names; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

// A role counts, too: it may lack the right to look into a schema of its search_path.
static bool changes_names(const char *setting) {
    static const char *const names[] = {"search_path", "role", "session_authorization", NULL};
    return is_one_of(setting, names);
}

static bool changes_text(const char *setting) {
    static const char *const names[] = {"standard_conforming_strings", "client_encoding", NULL};
    return is_one_of(setting, names);
}

static bool any_changes(const struct shape *shape, bool (*changes)(const char *setting)) {
    for (int i = 0; i < shape->parsed->n_settings; i++)
        if (changes(shape->parsed->settings[i].name))
            return true;
    return false;
}

void session_note_change(struct session *s, struct owed *o, enum statement_kind kind,
                         const struct shape *shape) {
    bool all = !shape || kind == STATEMENT_RESET_ALL || kind == STATEMENT_DISCARD_ALL;
    bool text = all || any_changes(shape, changes_text);
    bool meaning = text || any_changes(shape, changes_names);
    uint64_t answered = s->n_replies + s->owed.n;
    if (text)
        s->changes.text = answered;
    if (meaning)
        s->changes.meaning = answered;
    // Pools send RESET ALL. It brings back what was before, so it changes nothing where nothing had been set.
    s->meaning += meaning && (s->meaning || kind != STATEMENT_RESET_ALL);
    if (meaning && o->forward.setting)
        s->changes.effect = answered;
    if (kind != STATEMENT_SET_LOCAL)
        return;
    o->forward.renames |= meaning;
    o->forward.customs |= !shape || any_changes(shape, setting_is_custom);
}

void session_note_unread_change(struct session *s, struct owed *o) {
    session_note_change(s, o, STATEMENT_SET, NULL);
    s->changes.effect = s->changes.meaning;
}

void session_note_uncertain(struct session *s) {
    s->changes.effect = s->n_replies + s->owed.n;
}

bool session_meaning_is_pending(const struct session *s) {
    return s->n_replies < s->changes.meaning || s->transaction.renamed;
}

bool session_text_is_pending(const struct session *s) {
    return s->n_replies < s->changes.text;
}

bool session_effect_is_pending(const struct session *s) {
    return s->n_replies < s->changes.effect && !session_copy_waits(s);
}
