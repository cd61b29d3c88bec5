// SPDX-License-Identifier: PostgreSQL
//
// A made-up application: it sends units of all kinds, drawn from its random numbers, and checks what comes
// back against its oracle, a server of its own that got the same bytes. Allowed to differ: the versions in a
// row, which must lie between those of the sending and of the receiving, unless it was loaded ahead, for
// which held_fits() has rules of its own; messages that the server sends of its own accord; and a unit that
// was under way when the client asked for a cancel may end with that error.
#ifndef PGFOLD_TESTS_SIM_CLIENT_H
#define PGFOLD_TESTS_SIM_CLIENT_H

#include "tests/sim/server.h"

#define CLIENT_SEEN 256

struct client {
    unsigned id;
    uint64_t random;
    struct server oracle;
    struct buf sending; // to the proxy
    struct buf in;      // from the proxy, not read yet
    bool pipelines;     // sends before it has read all answers
    unsigned calmness;  // one unit in so many is no lookup
    bool moody;         // the others are settings and what hides them
    bool transactional; // most lookups come inside transactions
    bool focused;       // mostly the same lookup in the same framing
    bool loops;         // goes over lists
    bool restless;      // does other things meanwhile
    bool writes;        // often
    bool pooled;        // and shares one such loop with others
    bool bursts;        // takes part in pages that ask for many things at once
    bool alone;         // nobody else is there
    struct sim_loop own_loop;
    uint64_t heard;                 // when the proxy last told it something
    uint64_t given;                 // the same, but notifications
    const struct sim_loop *looping; // whose lookup is being sent; NULL: none's
    int loop_key;                   // its key
    unsigned checked;               // number of the asking whose answer was looked at last, and one more
    bool gone;                      // has closed or been closed
    bool said_goodbye;
    unsigned long sent, answered;    // units
    bool unseen;                     // the proxy relays what it sends unread
    unsigned announced;              // the database's, when the oldest unit that is not answered was sent
    unsigned long cancel_until;      // units before this one may be cancelled
    unsigned long cancelled;         // how many were answered when it last cancelled, and one more
    unsigned long transaction_until; // units before this one were sent inside a transaction
    bool aborted;                    // a cancel has aborted the transaction, of which the oracle knew nothing
    unsigned snapshot[SIM_TABLES];   // the versions that the transaction at hand sees, when it keeps to them;
                                     // and one more
    bool cut;      // the unit at hand ended with a cancel error: only ReadyForQuery is awaited
    bool named[8]; // its prepared statements
    bool fatal;    // a FATAL error came
    bool lost;     // it cannot tell what its answers should be any more, and leaves
    struct {
        bool closes; // the unnamed statement
        bool had;    // there was one in front of the unit
    } unnamed[64];   // of each unit that is not answered
    struct {
        uint64_t hash; // of a row
        unsigned version;
    } seen[CLIENT_SEEN]; // what it was told last of each
    unsigned notifications;
    char failure[512]; // what is wrong; empty: nothing
};

void client_init(struct client *c, struct sim_database *db, unsigned id, uint64_t seed, const char *user,
                 bool pipelines);
void client_finish(struct client *c);
bool client_may_send(const struct client *c);
// Sends a unit; `calm`: one that is a lookup or ends a transaction.
void client_send(struct client *c, bool calm);
void client_say_goodbye(struct client *c);
bool client_may_cancel(const struct client *c);
void client_cancels(struct client *c);
// Reads what has come. False: something is wrong, see `failure`.
bool client_receive(struct client *c, const uint8_t *bytes, size_t len);
bool client_is_answered(const struct client *c);

#endif
