// SPDX-License-Identifier: PostgreSQL
//
// Is a SELECT a plain read, one that leaves its session as it was? A function may change settings, so the
// text alone does not tell.
//
// The catalogue's verdict on each shape is remembered in its read group (group_for_read). A SELECT without a
// verdict is asked about in front of it, in the same write, so that it cannot change the answer. While the
// verdict is under way, the SELECT counts as good; if the verdict is bad, the session is in doubt when the
// SELECT ends (talk/reply_end.c). A SELECT that cannot be asked about leaves the session in doubt at once.
#ifndef PGFOLD_BATCHING_TALK_READS_H
#define PGFOLD_BATCHING_TALK_READS_H

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/talk/feed.h"

enum read_effect {
    READ_PLAIN,
    READ_DOUBTFUL,
    READ_BEING_VETTED // the read group knows when the catalogue has answered
};

// What is known of a SELECT before it is sent.
struct read_judgement {
    enum read_effect effect;
    struct group *vetting; // BEING_VETTED: the read group; borrowed
    bool may_write;        // if it is no plain read, it may write, too
};

// ---- before the unit is opened

// Judges the SELECT of this shape, and asks the catalogue in front of it if nobody knows. *vetting: set to
// the read group, where there is one; borrowed.
enum read_effect reads_effect(struct feed *f, struct shape *shape, struct group **vetting);

// The same for a Query message of this kind; what is no SELECT is PLAIN. `shape` may be NULL.
struct read_judgement reads_judge_query(struct feed *f, enum statement_kind kind, struct shape *shape);

// The same for a Query message about a cursor: it is a read where the cursor's SELECT is known. Otherwise it
// is classified by its whole text (f->query).
struct read_judgement reads_judge_cursor(struct feed *f, struct slice text);

// ---- in the open unit

// Notes a judgement in the unit's entry.
void reads_note_judged(struct session *s, struct owed *o, const struct read_judgement *n);

// Judges and notes the SELECT that an Execute runs. The unit is open, so the catalogue cannot be asked any
// more.
void reads_note_execute(struct session *s, struct owed *o, struct shape *shape);

// The same for a statement about a cursor. False: it is none, or no plain read; nothing was noted.
bool reads_note_execute_cursor(struct session *s, struct owed *o, const struct shape *shape);

// ---- for others

// Can reads of this session be judged? In a session in doubt nothing is known that a read could leave as it
// was.
bool reads_can_judge(const struct session *s);

// Mode observe: is nothing asked about the read at hand, whose session stays as it is?
bool reads_take_for_plain(const struct session *s);

// Forgets a group's verdict if it is older than vet_max_age or the definitions have changed since; takes over
// one that was found for an equal group.
void reads_refresh_group(struct engine *e, struct group *g);

// The FORWARD entry counts as under way in the group until its reply has ended.
void reads_pin_group(struct owed *o, struct group *g);

// Mode observe: the group of the lookup that is being forwarded. It is pinned until the lookup has been
// forwarded, or waits and will be looked at anew.
void reads_observe(struct session *s, struct group *g);
void reads_end_observed(struct session *s);

#endif
