// SPDX-License-Identifier: PostgreSQL
//
// A loop over numbers that no list supplies: for (id = a; id < b; id++) find(id). Three lookups of a group with
// the same distance between one part of their keys, and with all other parts equal, are a run. The keys that
// are expected behind its last one are that one and the same step again and again.
//
// Only what a session asks for the first time is part of a run. Who asks for the same numbers again and again
// polls, and is answered by the server.
//
// Bounded: of a session the last STEPS_GROUPS groups that it asked in are remembered.
#ifndef PGFOLD_BATCHING_AHEAD_STEPS_H
#define PGFOLD_BATCHING_AHEAD_STEPS_H

#include "batching/ahead/association.h"
#include "batching/statement/key.h"

#define STEPS_GROUPS 4

struct batch;
struct group;

// The last lookup of a group, and how it followed from those before.
struct step {
    uint64_t group;               // its id; 0: none
    int64_t last[KEY_MAX_PARTS];  // an integer, or a digest of anything else
    bool integers[KEY_MAX_PARTS]; // which it is
    unsigned part;                // the part that varies,
    int64_t by;                   // by so much; 0: by nothing, or by more than a loop would
    unsigned held;                // lookups in a row that followed by it
    unsigned window;              // keys to load at a time: more the longer the run is
};

struct steps {                    // all zero: empty
    struct step of[STEPS_GROUPS]; // the last one used in front
};

// A lookup has come, with these values as sent, one for each part of the group. `again`: the session has asked
// for the same before, or it is not known whether it has.
void steps_note(struct steps *s, const struct group *g, const struct slice *raw, bool again);
// The group's run, if its last lookup is part of one; else NULL. It is valid until the next steps_note().
struct step *steps_run(struct steps *s, const struct group *g);
// What was loaded for the run has been used: more is worth loading.
void steps_grow(struct step *run);

// What is known of the shape's runs, which is made if there is nothing. NULL: out of memory.
struct association *steps_association(const struct group *g, const struct step *run);
// Tells whether the association is one of runs.
bool steps_supply(const struct association *a);

// Adds the keys expected behind the READY group's last lookup to the batch, as many as it has room for, each for
// one lookup. None is beyond what the key's type can hold. `skip` says whether a key is held.
void steps_gather(const struct step *run, const struct group *g, const struct key *keys, struct batch *b,
                  bool (*skip)(void *arg, const struct key *keys), void *arg);

#endif
