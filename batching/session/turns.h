// SPDX-License-Identifier: PostgreSQL
//
// How much of one client's input is looked at before others have their turn. All sessions share one event
// loop: whoever sends without waiting (thousands of messages in one read, new texts) would else make each of
// its turns long, and each statement of a client that waits for its answers takes two turns.
//
// What a session's messages take is estimated and added up, less what it gets back with time. Beyond a slice
// the session is not read until the loop has looked for others; if there are any, those that wait for their
// next slice get it one after the other, each when the loop has been free for twice as long as the last one
// took. So they take half of it with what they bring about, however many they are. Where nobody else speaks,
// nothing waits.
#ifndef PGFOLD_BATCHING_SESSION_TURNS_H
#define PGFOLD_BATCHING_SESSION_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct session;

struct turn {
    uint32_t work;     // nanoseconds
    uint64_t work_at;  // engine time of it
    uint64_t ended_at; // engine time: the last one was used up
    struct session *next;
};

struct turns {
    struct session *first, *last; // that wait for their next slice
    uint64_t due;                 // engine time: the first one gets it
    uint64_t slept;               // the loop has not waited since
    bool fresh;                   // `due` is to be said when the turn ends
    uint64_t others_at;           // engine time: one that had used up none has spoken
};

// The session's input is looked at.
void turns_begin(struct session *s);
// A unit or message of so many bytes was looked at, which has cost this much besides; `ends`: it may be the
// last one of a unit. Sets s->hold.turn when the slice is used up.
void turns_note(struct session *s, size_t bytes, bool ends, uint64_t cost);
// That is all of its input, or all that it takes.
void turns_end(struct session *s);
void turns_unlist(struct session *s);
void turns_go_on(struct engine *e);              // at the end of a turn: whose slice is due is read again
uint64_t turns_deadline(const struct engine *e); // UINT64_MAX: none

#endif
