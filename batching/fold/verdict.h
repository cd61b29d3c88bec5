// SPDX-License-Identifier: PostgreSQL
//
// What vetting has found out about a group: how it is asked for, and what follows.
#ifndef PGFOLD_BATCHING_FOLD_VERDICT_H
#define PGFOLD_BATCHING_FOLD_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct group;
struct group_table;

// Appends the messages that vet the group, up to Sync, and makes room for the answer. `named`: the unnamed
// statement stays what it is; else it is closed in the end. False: a name cannot be
// quoted safely, or no memory. vetting_feed() takes the replies.
bool group_write_vet(struct group *g, bool named, struct buf *out) __attribute__((warn_unused_result));

// Judges what the vetting has found. READY with its text, or REFUSED with a reason in words (static), which
// is returned; NULL when READY.
const char *group_vetted(struct group_table *t, struct group *g, uint64_t now, uint64_t generation);

// The same for a plain read: READY when `plain`. `answered`: the catalogue has said so, and other reads about
// which the same is asked may take it over.
void group_read_vetted(struct group_table *t, struct group *g, bool plain, bool answered, uint64_t now,
                       uint64_t generation);

// A new group takes over what was found about another that differs in values alone, a plain read what was
// answered to the same question, unless that was found before `oldest` or under other definitions: it is
// READY or REFUSED then.
void group_inherit(struct group_table *t, struct group *g, uint64_t oldest, uint64_t generation);

#endif
