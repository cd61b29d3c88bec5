// SPDX-License-Identifier: PostgreSQL
//
// A unit that may be a lookup is accepted as one, or the reason is said why it is not.
//
// Happy path: the statement's shape is looked up, its group is found by shape, identity and values, and the
// lookup is queued there. At the end of the event loop's turn flow/dispatch.c decides what becomes of the
// queue. A lookup whose answer was loaded ahead is answered at once (flow/find.h).
//
// Any doubt is a reason (base/reason.h) and the unit is forwarded. A lookup may also have to wait, for a
// proof or a verdict that will be there soon (flow/await.h), or for room.
#ifndef PGFOLD_BATCHING_TALK_LOOKUP_TAKE_H
#define PGFOLD_BATCHING_TALK_LOOKUP_TAKE_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"
#include "batching/talk/question.h"

// Decides about the whole unit `u` at f->at. `simple`: it is a Query message, else a UNIT_EXTENDED.
// TAKE_FORWARD: *why says why.
enum take lookup_take(struct feed *f, const struct unit *u, bool simple, enum reason *why);

// In the open unit only the BEGIN of its transaction has come before the unit `u` at f->at, which may be a
// lookup. Is an answer held for it that may be given when BEGIN is answered? If not, the lookup is noted in
// f->behind.
bool lookup_is_held_behind_begin(struct feed *f, const struct unit *u);

// ---- the steps, for units of several lookups (talk/pipeline_take.c)

// Everything that a lookup must be, in the order of cost. Fills in the candidate's shape, group, statement
// and `apart`. NONE: it is a lookup.
enum reason candidate_judge(struct candidate *c);

// Two of these steps: finds the shape; finds the group, and counts the lookup for its shape. NONE: it is there.
enum reason candidate_shape(struct candidate *c);
enum reason candidate_group(struct candidate *c);
// The same, and what speaks against it. OBSERVE: nothing but the mode.
enum reason candidate_judge_group(struct candidate *c);

// The value of parameter `param`, from 1, as sent. Data NULL: an SQL NULL.
struct slice candidate_value(const struct candidate *c, int param);

// The values of the key as sent, one for each part of the group's key.
void candidate_raw(const struct candidate *c, struct slice *raw);

// May the lookup run as sent, on its own connection? A lookup may always end up there, so what runs alone
// must be a plain read. *elsewhere: set if another session has asked for the verdict on that; it is worth
// waiting for.
bool candidate_may_run_alone(struct feed *f, struct candidate *c, struct group **elsewhere);

// Copies the unit into a lookup and queues it: last in the session's order, and in its group. False: out of
// memory, nothing has changed.
bool candidate_accept(struct session *s, const struct candidate *c);

// The session is to be proved, so that this lookup, or those after it, may be folded.
bool candidate_wants_proof(const struct candidate *c);

#endif
