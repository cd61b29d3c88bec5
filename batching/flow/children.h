// SPDX-License-Identifier: PostgreSQL
//
// What a list leads to is sent behind it, before the first lookup has come: where its rows were gone through each time
// (ahead/followers.h). There are two ways.
//
//   in the list's own write      SELECT … FROM author …                          the client's
//                                books of (SELECT DISTINCT id FROM (<list>))     ours: the server finds the keys,
//                                reviews of the books of (…)                     for as many levels as were seen
//   when the list's rows are     SELECT … FROM author …
//   there                              its rows pass
//                                books of unnest({1, 2, 3 …})                    ours: one more way there and back
//
// The first one runs the list's statement again for each level, so it is for cheap lists and far servers. Either way the
// rows are held like everything that is loaded ahead (ahead/ahead.h), and given by the same rules.
//
// Nothing here fails: what cannot be sent so is loaded when its first lookup comes.
#ifndef PGFOLD_BATCHING_FLOW_CHILDREN_H
#define PGFOLD_BATCHING_FLOW_CHILDREN_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"

// A statement whose rows may be such a list, as its client sent it. All borrowed.
struct list_unit {
    struct shape *shape;
    struct slice text;           // as it is, constants included
    const struct msg_bind *bind; // extended protocol; NULL: simple
    bool plain;                  // it is known to be a plain read
    uint16_t tags;               // of a lookup (report/tags.h)
};

// Is it worth a look whether a statement of this session's is such a list?
bool children_are_sent(struct session *s);

// What the unit is as a list. `prepared`: the shape of the statement that it binds, if it does not parse one itself; NULL: not
// known. Borrows from all three.
struct list_unit children_list(struct shape *shape, const struct unit *u, const struct shape *prepared);

// The unit was forwarded, and nothing behind it: sends what it leads to.
void children_forwarded(struct session *s, const struct list_unit *list);

// Is anything known to follow this statement with these tags, which is one of the session's?
bool children_may_follow(struct session *s, struct shape *shape, uint16_t tags);

// Were the rows of this statement with these tags ever gone through?
bool children_is_list(struct session *s, struct shape *shape, uint16_t tags);

// A lookup was accepted that is such a list, and waits or was sent by itself: sends it, and what follows it behind it. Nothing
// is done for one that has become a batch's. May free the lookup.
void children_follow(struct session *s, struct lookup *l);

// A reply to the client has ended. If it was a list, the keys of what was sent behind it are known now; what was not, is
// sent.
void children_list_read(struct session *s);

// The same for the rows of a batch that was loaded ahead, and has ended.
void children_loaded(struct session *s, uint64_t number);

// ---- of anything that follows (flow/bursts.h)

// The follower's group, if batches of it may be sent for this session now. NULL: they may not.
struct group *children_group(struct session *s, const struct follower *f);

// How many keys may be loaded for it; 0: none.
unsigned children_most(struct session *s, const struct ahead *a, const struct group *g,
                       const struct follower *f, const struct association *association);

// A batch without keys yet. `source`: what it follows. NULL: there is no room for it.
struct batch *children_batch(struct ahead *a, struct group *g, unsigned max, uint64_t source);

#endif
