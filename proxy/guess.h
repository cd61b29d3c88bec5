// SPDX-License-Identifier: PostgreSQL
//
// Cancel requests with a wrong key: guesses, perhaps. Each is answered later than the one before from the
// same source, and GUESS_SHARE of a source may wait at once. While they do, further requests from there
// cannot reach sessions of other sources, and are answered at once. A place is taken for the whole time, even
// if the client does not wait for the answer. A client can always cancel a session that came from its own
// address, whatever its neighbours do.
#ifndef PGFOLD_PROXY_GUESS_H
#define PGFOLD_PROXY_GUESS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/source.h"

#define GUESS_SOURCES 64
#define GUESS_PLACES  64     // in all: each may hold a descriptor
#define GUESS_SHARE   8      // of one source
#define GUESS_FIRST   50000  // microseconds until the first one is answered, then twice as long each time
#define GUESS_LONGEST 400000 // but no longer than this
#define GUESS_FORGET  10000000

struct link;

struct guess_source {
    struct source source;
    unsigned n, waiting; // guesses of late, and those among them that have a place
    uint64_t last;       // microseconds; 0: free
};

struct guess {
    struct guess_source *from; // NULL: free
    struct link *link;         // NULL: it has gone
    uint64_t until;
};

struct guesses {
    struct guess_source sources[GUESS_SOURCES];
    struct guess waiting[GUESS_PLACES];
    unsigned n_waiting;
    uint64_t total;
};

// May a request from there reach sessions of other sources?
bool guess_is_allowed(const struct guesses *g, const struct source *from);
// Notes a wrong one. True: the link waits until guess_due names it. False: it is to be answered at once.
bool guess_note(struct guesses *g, const struct source *from, struct link *l, uint64_t now);
void guess_forget_link(struct guesses *g, const struct link *l);
// Names a link that has waited long enough; each is named once. NULL: there is none.
struct link *guess_due(struct guesses *g, uint64_t now);

#endif
