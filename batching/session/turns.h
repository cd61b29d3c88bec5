// SPDX-License-Identifier: PostgreSQL
//
// How much of one client's input is looked at before others have their turn. All sessions share one event
// loop. A client that sends without waiting (thousands of messages in one read, new texts) would make each
// turn of the loop long. A client that waits for its answers needs two turns for each statement.
//
// The work for a session's messages is estimated and added up, less what the session gets back with time.
// Beyond a slice, its input is not looked at until the loop has waited for events once more. If other clients
// speak, the sessions that wait for their next slice get it one after the other, each when the loop has been
// free for twice as long as the last one took. So they take half of the loop's time with all that they cause,
// however many they are. If no other client speaks, nothing waits.
//
//   turns_begin   input comes
//   turns_note    for each unit or message of it; may set hold.turn
//   turns_end     all of it was looked at, or all that is taken
//   turns_go_on   at the end of the loop's turn: the session whose slice is due is read again
//
// Nothing here fails.
#ifndef PGFOLD_BATCHING_SESSION_TURNS_H
#define PGFOLD_BATCHING_SESSION_TURNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct session;

struct turn {
    uint32_t work;     // nanoseconds
    uint64_t work_at;  // engine time for which `work` is right
    uint64_t ended_at; // engine time at which the last slice was used up
    struct session *next;
};

struct turns {
    struct session *first, *last; // sessions that wait for their next slice
    uint64_t due;                 // engine time at which the first one gets it
    uint64_t slept;               // vigil.slept when the slice was used up: the loop must wait once more
    bool fresh;                   // `due` is still to be computed, when the turn ends
    uint64_t others_at;           // engine time at which a client that had not used up its slice last spoke
};

// The session's input is looked at.
void turns_begin(struct session *s);

// A unit or message of so many bytes was looked at. `cost`: nanoseconds that it has taken besides; `ends`: it
// may be the last one of a unit. Sets s->hold.turn when the slice is used up.
void turns_note(struct session *s, size_t bytes, bool ends, uint64_t cost);

// That is all of its input, or all that it takes.
void turns_end(struct session *s);

// At the end of a turn of the loop: the first session whose slice is due is read again.
void turns_go_on(struct engine *e);

// Engine time at which turns_go_on must be called; UINT64_MAX: never.
uint64_t turns_deadline(const struct engine *e);

// The session waits for no slice any more.
void turns_unlist(struct session *s);

#endif
