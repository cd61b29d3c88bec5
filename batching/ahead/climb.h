// SPDX-License-Identifier: PostgreSQL
//
// Remembers how a client climbs: it asks for what the answer before has named, as from a child to its parent and on
// to the root. What a held answer names again may be asked for again. That a row names itself, or two rows each other,
// gives no right to ask in turn for ever: each question counts once in a climb.
#ifndef PGFOLD_BATCHING_AHEAD_CLIMB_H
#define PGFOLD_BATCHING_AHEAD_CLIMB_H

#include <stdbool.h>
#include <stdint.h>

#define CLIMB_MAX 16 // steps

struct climb {       // all zero: none
    uint64_t batch;  // number of the batch that gave the last answer; 0: none did, or more was asked since
    uint64_t before; // the same, before the question at hand was asked
    uint32_t key;    // of that answer, in the batch
    unsigned n;      // number of steps
    uint64_t questions[CLIMB_MAX]; // hashes, from the first step on
};

// The question is answered from a batch. `named`: the answer before has named it, so the climb goes on.
void climb_step(struct climb *c, uint64_t question, bool named, uint64_t batch, uint32_t key);
// Something is asked: the last answer is no longer the last one.
void climb_asked(struct climb *c);
// May the question be the next step?
bool climb_may(const struct climb *c, uint64_t question);

#endif
