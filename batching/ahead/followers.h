// SPDX-License-Identifier: PostgreSQL
//
// Which lookups follow a list: whose rows are gone through each time that it is read, or nearly so. Then what they will
// ask for can be sent behind the list, before the first of them has come (flow/children.h).
//
//   list "SELECT … FROM author …"      read 12 times
//     +-- books of author.id           the loop came each time
//     +-- country of author.country    the loop came 3 times, but not the last time: not likely
//
// A list is known by the digest of its statement; answers to lookups are lists of their own, known by that of the
// lookups' shape. When a session reads a list again, it is seen of which lookups the one before has brought none. What was
// sent and not asked for is not sent again until the loop has come several times more, each time twice as many.
//
// Pages may read the same list, and one of them go through it. Where tags (report/tags.h) tell them apart, a list with tags is
// one of its own besides.
//
// Bounded: FOLLOWED_MAX lists, the one used longest ago makes room; FOLLOWERS of each.
#ifndef PGFOLD_BATCHING_AHEAD_FOLLOWERS_H
#define PGFOLD_BATCHING_AHEAD_FOLLOWERS_H

#include "batching/ahead/spelling.h"
#include "batching/ahead/trail.h"
#include "batching/base/hash.h"
#include "batching/base/memory.h"

#define FOLLOWED_MAX 512
#define FOLLOWERS    6

struct group;
struct guess;

// Lookups of one group that follow a list by one column.
struct follower {
    uint64_t group;     // id of their group; 0: there are none
    uint8_t *group_key; // owned: the group's cache key
    size_t group_key_len;
    uint8_t *unit; // owned: one of the lookups, as its client sent it
    size_t unit_len;
    unsigned association; // index into their shape's
    uint16_t column; // index in the list's row: what supplies the key; of several parts, that of the first
    uint32_t type;   // OID of that column
    bool linked;     // the catalogue says that it supplies the key
    struct spelling spellings[KEY_MAX_PARTS];
    uint32_t keys;   // that the list had when it was followed last
    unsigned streak; // readings one after the other in which the loop came
    unsigned wait;   // so many more loops until it is sent again
    unsigned
        failures;    // times that hardly anything of it was asked for; many that it was take one of them back
    unsigned served; // so many times since then
    unsigned late;   // times that it came too late since one was of use
};

struct followed {
    UT_hash_handle hh;
    uint64_t source; // digest of the list
    struct followed *newer, *older;
    uint64_t took; // microseconds from asking for the list to its end, mostly the least of late; 0: not known
    size_t weighs;
    struct follower all[FOLLOWERS];
};

struct followers { // all zero, but for the parent of `memory`: none
    struct followed *table, *newest, *oldest;
    unsigned n;
    struct account memory;
};

// The digest by which a result is known as a list; 0: it is not known.
uint64_t followers_source(const struct trail_columns *c);

// The same of a list with these tags.
uint64_t followers_tagged(uint64_t source, uint16_t tags);

// The list, if lookups follow it. Borrowed until the next call. NULL: none do.
struct followed *followers_of(struct followers *t, uint64_t source);
// The same: with these tags, if it was gone through with them; else without.
struct followed *followers_with(struct followers *t, uint64_t source, uint16_t tags);

// The group's lookups among those that follow the list; NULL: they do not.
struct follower *follower_find(struct followed *list, uint64_t group);

// The trail has got a result. Of the one before it, of the same list, it is now known what has followed it.
void followers_read(struct followers *t, const struct trail *trail, const struct trail_result *r);
// It took so long, from asking for it to its end: microseconds.
void followers_took(struct followers *t, uint64_t source, uint64_t took);

// The second row of the guess's list was asked for: its lookups, of which `unit` is one, follow it. Nothing is noted
// where a part of their key comes from no column of the list.
void followers_came(struct followers *t, const struct group *g, const struct guess *guess,
                    const uint8_t *unit, size_t len);

// The same where what is followed is no list but so many keys, which are the lookups' own (burst.h). *came: of its followers,
// those that have come; all zero at first.
void followers_asked(struct followers *t, uint64_t source, const struct group *g, struct slice unit,
                     unsigned keys, uint8_t *came);
// It is over: those that have not come are no longer likely.
void followers_missed(struct followers *t, uint64_t source, uint8_t came);

// Has the loop come the last times that the list was read?
bool follower_is_likely(const struct follower *f);

// Has it come so often that all its keys are worth sending, whatever such loops loaded at a time so far?
bool follower_is_proven(const struct follower *f);

// Was the list read in this trail, and what follows it has not come since? It may come only when the list is read again.
bool follower_was_left(const struct followed *list, const struct follower *f, const struct trail *trail);

// What was sent behind the list for this group is given up: so many of the keys were asked for. `late`: the loop came when it
// was too old, as on a machine that is too busy. That counts only if it goes on, as does a list without rows.
void followers_ended(struct followers *t, uint64_t source, uint64_t group, unsigned n_keys, unsigned n_served,
                     bool late);

void followers_finish(struct followers *t);

#endif
