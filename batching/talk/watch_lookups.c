// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/watch_lookups.h"

#include <string.h>

#include "batching/ahead/predict.h"
#include "batching/flow/await.h"
#include "batching/flow/own_queries.h"
#include "batching/fold/group.h"
#include "batching/session/engine.h"
#include "batching/session/hold.h"
#include "batching/session/pooler.h"
#include "batching/session/reporting.h"
#include "batching/session/watched.h"
#include "batching/statement/shape.h"
#include "batching/talk/lookup_take.h"
#include "batching/talk/reads.h"
#include "batching/talk/watch_refuse.h"

// Its text asks to be excused.
static bool is_excused(const struct session *s, const struct shape *shape) {
    return scopes_allow(&s->engine->scopes, shape, false) ||
           memmem(shape->text, shape->text_len, "pgfold:allow", 12);
}

static bool find_candidate(struct candidate *c) {
    enum reason why = candidate_shape(c);
    return c->shape && c->shape->reason == REASON_NONE && c->shape->parsed->kind == STATEMENT_READ &&
           (why == REASON_NONE || why == REASON_NOT_DESCRIBED || why == REASON_NAME_MOVED);
}

// Finds the group that knows what the shape's keys refer to. NULL: there is none.
static void find_group(struct session *s, struct candidate *c) {
    if (candidate_group(c) != REASON_NONE && !c->group)
        return;
    reads_refresh_group(s->engine, c->group);
    if (c->group->state == GROUP_REFUSED && c->group->level == LEVEL_OWN) {
        c->group = group_for_owner(&s->engine->groups, &s->engine->identities, c->group, s->id);
        if (c->group)
            reads_refresh_group(s->engine, c->group);
    }
}

// Waits until the catalogue has told that. True: the unit has to wait.
static bool waits_for_verdict(struct session *s, struct candidate *c) {
    find_group(s, c);
    struct group *g = c->group;
    if (!g || g->state == GROUP_READY || g->state == GROUP_REFUSED || session_only_forwards(s))
        return false;
    if (g->state == GROUP_NEW && s->n_forward) {
        hold_for_lookups(s);
        return true;
    }
    if (g->state == GROUP_NEW)
        session_start_vet(s, g);
    if (g->state == GROUP_VETTING && session_vets(s, g)) {
        hold_for_lookups(s);
        return true;
    }
    return g->state == GROUP_VETTING && await_read(s, c->shape, g);
}

#define MOST_TRAILS 64 // sessions of a scope whose lists are looked at
#define MOST_LISTS  32

// Lists that have the key of the lookup at hand.
struct sources {
    unsigned n;
    struct {
        uint64_t number; // of the list, in all sessions
        uint64_t text;   // what its statement is known by
        bool parted;     // it was read in another test of the run
        bool before;     // or before the section
    } list[MOST_LISTS];
};

static void add_lists(struct sources *found, struct session *o, const struct group *g,
                      const struct key *keys) {
    const struct trail_result *lists[PREDICT_LISTS];
    unsigned n = o->ahead ? predict_lists(&o->ahead->trail, g, keys, lists) : 0;
    for (unsigned i = 0; i < n && found->n < MOST_LISTS; i++, found->n++) {
        found->list[found->n].number = o->id << 32 ^ lists[i]->serial;
        found->list[found->n].text = lists[i]->columns.text;
        found->list[found->n].parted = lists[i]->serial <= o->watch.parted;
        found->list[found->n].before = lists[i]->serial <= o->watch.before;
    }
}

// Finds the lists that the scope's sessions have read and that have the key.
static void find_sources(struct session *s, const struct candidate *c, struct sources *found) {
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    struct scope *of = session_scope(s);
    found->n = 0;
    if (!c->group || c->group->state != GROUP_READY)
        return;
    candidate_raw(c, raw);
    if (!group_read_key(c->group, raw, keys))
        return;
    add_lists(found, s, c->group, keys);
    unsigned n = 0;
    for (struct session *o = s->engine->sessions; o && n < MOST_TRAILS; o = o->next) {
        if (o == s || session_scope(o) != of)
            continue;
        add_lists(found, o, c->group, keys);
        n++;
    }
}

static uint32_t hash_of_key(const struct candidate *c) {
    struct slice raw[KEY_MAX_PARTS];
    uint64_t hash = 0;
    if (!c->group) {
        for (int i = 0; i < c->shape->parsed->n_keys; i++) {
            struct slice v = candidate_value(c, c->shape->parsed->keys[i].param);
            hash = XXH3_64bits_withSeed(v.data, v.len, hash);
        }
        return (uint32_t)hash;
    }
    candidate_raw(c, raw);
    for (unsigned i = 0; i < c->group->n_parts; i++)
        hash = XXH3_64bits_withSeed(raw[i].data, raw[i].len, hash);
    return (uint32_t)hash;
}

// Is the shape asked with one key too many, in the test at hand?
static bool repeats(const struct section *x, const struct section_shape *of) {
    return x->expect.of[METRIC_REPEATS].set && of->fresh && of->n_keys > x->expect.of[METRIC_REPEATS].most;
}

// Counts the lookup in one section. Returns false when it breaks what is expected there.
static bool note_in(struct session *s, const struct candidate *c, const struct sources *found,
                    struct section *x, struct section_shape **of) {
    uint64_t before[METRIC_COUNT];
    uint32_t key = hash_of_key(c);
    memcpy(before, x->n, sizeof before);
    struct section_shape *y = section_lookup(x, shape_meaning(c->shape), key, s->id, is_excused(s, c->shape));
    if (!y)
        return true;
    *of = y;
    for (unsigned i = 0; i < found->n; i++)
        if (!(x == &s->engine->scopes.run ? found->list[i].parted : found->list[i].before) &&
            section_from_list(y, found->list[i].number, key))
            section_looped(x, y, scopes_list(&s->engine->scopes, found->list[i].text));
    if (y->excused && (y->looped || y->n_keys >= EXPECT_REPEATS))
        scopes_allow(&s->engine->scopes, c->shape, true);
    enum metric m = section_exceeds(x, false);
    if (m == METRIC_LOOKUPS)
        return false;
    bool loops = m == METRIC_LOOPS || m == METRIC_REPEATS, more = loops && x->n[m] > before[m];
    return !loops || y->excused || y->warned || !(more || y->loop_by || repeats(x, y));
}

// Counts the lookup in each section. Returns false when it breaks what is expected: *at and *of say where.
static bool note_lookup(struct session *s, const struct candidate *c, struct section **at,
                        struct section_shape **of) {
    struct sources found;
    bool right = true;
    find_sources(s, c, &found);
    for (unsigned i = 0; i < 2; i++) {
        struct section *x = session_section(s, i);
        struct section_shape *y = NULL;
        if (!x || note_in(s, c, &found, x, &y) || !right)
            continue;
        right = false;
        *at = x;
        *of = y;
    }
    return right;
}

// The lookups of a unit, one after the other.
struct walk {
    struct feed *f;
    const struct unit *unit;
    enum unit_result r;
    size_t at;
    struct unit part;
};

// The next one. Returns false when there are no more.
static bool next_lookup(struct walk *w, struct candidate *c) {
    const uint8_t *bytes = w->f->bytes + w->f->at;
    while (w->at < w->unit->size) {
        size_t from = w->at;
        if (w->r != UNIT_PIPELINE && w->r != UNIT_OTHER) {
            w->part = *w->unit;
            w->at = w->unit->size;
        } else if (!unit_part(bytes, w->unit->size, &w->at, &w->part)) {
            return false;
        }
        *c = (struct candidate){.f = w->f, .s = w->f->s, .bytes = bytes + from, .unit = &w->part};
        c->simple = w->r == UNIT_SIMPLE;
        if (find_candidate(c))
            return true;
    }
    return false;
}

// Notes the unit's lookups. Returns false when one, *c, is in a loop that nobody expects.
static bool note_lookups(struct walk *w, struct candidate *c, struct section **at,
                         struct section_shape **of) {
    while (next_lookup(w, c)) {
        find_group(c->s, c);
        if (!note_lookup(c->s, c, at, of))
            return false;
    }
    return true;
}

// The report tells of the loop that was refused, too. The list may be one that another session of the scope has read.
static void tell_report(struct candidate *c, bool looped) {
    struct session *s = c->s;
    struct slice raw[KEY_MAX_PARTS];
    struct key keys[KEY_MAX_PARTS];
    if (looped && c->group && c->group->state == GROUP_READY) {
        candidate_raw(c, raw);
        bool read = group_read_key(c->group, raw, keys);
        if (read && s->ahead && reporting_refused(s, c->shape, c->group, keys, &s->ahead->trail))
            return;
        for (struct session *o = s->engine->sessions; read && o; o = o->next)
            if (o != s && o->ahead && session_scope(o) == session_scope(s) &&
                reporting_refused(s, c->shape, c->group, keys, &o->ahead->trail))
                return;
    }
    (void)reporting_refused(s, c->shape, NULL, NULL, NULL);
}

enum take watch_lookups_take(struct feed *f, const struct unit *u, enum unit_result r) {
    struct session *s = f->s;
    struct section *at = NULL;
    struct section_shape *of = NULL;
    struct walk begin = {.f = f, .unit = u, .r = r}, noted = begin;
    struct candidate c;
    bool any = false;
    if (s->watch.looked || s->txn == 'E')
        return TAKE_FORWARD;
    for (struct walk w = begin; next_lookup(&w, &c); any = true)
        if (waits_for_verdict(s, &c))
            return TAKE_WAIT;
    if (!any)
        return TAKE_FORWARD;
    if (watch_must_wait(s))
        return TAKE_WAIT;
    await_is_over(s);
    watched_look(s);
    if (note_lookups(&noted, &c, &at, &of))
        return TAKE_FORWARD;
    if (r == UNIT_OTHER)
        return TAKE_FORWARD; // where it ends is not known
    enum metric m = section_exceeds(at, false);
    if (at->expect.warns && m != METRIC_LOOKUPS) {
        s->engine->scopes.n_warned++;
        watch_warn(s, of);
        of->warned = true;
        return TAKE_FORWARD;
    }
    if (m != METRIC_LOOKUPS)
        tell_report(&c, of && of->looped);
    enum take t = watch_refuse_for(s, at, m, of, false);
    watched_note(s, STATEMENT_READ, NULL);
    return t;
}

enum take watch_lookups_other(struct feed *f) {
    struct unit u = {.size = f->len - f->at};
    return watch_lookups_take(f, &u, UNIT_OTHER);
}
