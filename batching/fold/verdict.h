// SPDX-License-Identifier: PostgreSQL
//
// The vetting of a group: how it is asked for, and what follows from the answer.
#ifndef PGFOLD_BATCHING_FOLD_VERDICT_H
#define PGFOLD_BATCHING_FOLD_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct slice;
struct group;
struct group_table;

// Appends the messages that vet the group, up to Sync, and makes g->vetting for the answer. vetting_feed()
// takes the replies. `named`: the client's unnamed statement must stay as it is; otherwise it is used, and
// closed in the end. `lock_timeout`: milliseconds that each lock may be waited for, for a unit outside transactions; 0: as the client
// has it, or as the frame has set it. Returns false when a name cannot be quoted safely or memory is out.
bool group_write_vet(struct group *g, bool named, unsigned lock_timeout, struct buf *out)
    __attribute__((warn_unused_result));

// Judges what the vetting has found. The group becomes READY with its folded text, or REFUSED, at its level.
// Returns NULL when READY, else the reason in words (static). The group is NEW again when a question that is
// wider could tell more; the next one is. now: microseconds.
const char *group_vetted(struct group_table *t, struct group *g, uint64_t now, uint64_t generation);

// Mode observe, where the catalogue cannot be asked now: takes it for granted that it would agree. `raw`: the values of a
// lookup's key, by which their types are guessed where they are not declared. The group is READY, and nothing of it may be sent.
void group_assume(struct group *g, const struct slice *raw, uint64_t now, uint64_t generation);

// The same for a plain read: READY when `plain`. `answered`: the catalogue has said so, and other reads with
// the same question may take the answer over. The next question about a read that is not plain is a wide one.
void group_read_vetted(struct group_table *t, struct group *g, bool plain, bool answered, uint64_t now,
                       uint64_t generation);

// Gives a new group, or one whose verdict has only become too old, what was found for another one that differs in
// values alone or in the custom settings of its identity; or, for a plain read, the answer to the same question. The
// group is READY or REFUSED then. Nothing is taken over that was found before `oldest` (microseconds) or under other
// definitions.
void group_inherit(struct group_table *t, struct group *g, uint64_t oldest, uint64_t generation);

#endif
