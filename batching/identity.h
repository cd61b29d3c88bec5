// SPDX-License-Identifier: PostgreSQL
//
// When rows may pass between sessions. An identity is a string of bytes that two sessions must share: server
// address, start-up parameters as sent, what the server itself reports about the session (proof), and the
// settings statements since that the server has confirmed. Equal bytes are one object, so equality is pointer
// equality.
//
// The proof is one query on the session's own connection: a digest of the values in force at login of every
// setting that the server shows, the settings that differ from them now, the three roles, and that there is
// no temporary schema. It is run when a session first asks for a lookup, and again after statements whose
// effect on the session cannot be known from their text (doubt). Until then, and while it is in doubt, a
// session is private: it folds only within itself.
//
// Settings that the server does not show (custom ones such as app.tenant_id) are tracked by the list alone.
// They cannot reach the rows of a vetted shape: its tables have no row-level security, and it calls no
// function that reads settings.
#ifndef PGFOLD_BATCHING_IDENTITY_H
#define PGFOLD_BATCHING_IDENTITY_H

#include "batching/hash.h"
#include "batching/parse.h"
#include "protocol/buf.h"
#include "protocol/message.h"

struct identity {
    UT_hash_handle hh; // only when shared
    uint64_t id;       // never used twice
    unsigned refs;
    bool is_private;
    size_t len;
    uint8_t bytes[];
};

struct identity_table {
    struct identity *table;
    uint64_t next_id;
};

void identity_table_init(struct identity_table *t);
void identity_table_finish(struct identity_table *t);

struct identity *identity_ref(struct identity *i);
void identity_unref(struct identity_table *t, struct identity *i); // takes NULL

enum identity_state {
    IDENTITY_UNPROVEN, // nothing is known beyond the log-in
    IDENTITY_PROVING,  // the query is on its way
    IDENTITY_PROVEN,
    IDENTITY_REFUSED, // a temporary schema, or the query failed: private until the next DISCARD ALL
    IDENTITY_FOREVER, // LOAD: private for good
};

#define IDENTITY_MAX_SETTINGS 64
#define IDENTITY_MAX_BYTES    16384

// A session's side of it.
struct session_identity {
    enum identity_state state;
    struct buf login; // server address and start-up parameters
    struct buf proof; // what the server said, see identity_proof_row
    bool reset;       // RESET ALL was confirmed: every setting has the value that the proof's digest knows
    bool clean;       // nothing has touched the session since its log-in or DISCARD ALL
    struct buf clean_proof;          // one that was made in such a state: what DISCARD ALL leads back to
    struct parsed_setting *settings; // sorted by name; owned
    unsigned n_settings;
    unsigned n_proofs;        // how often it was proven
    unsigned asked;           // lookups since the last proof
    struct identity *current; // NULL: not made yet
};

void session_identity_init(struct session_identity *s, struct slice address, struct slice startup_params);
void session_identity_finish(struct identity_table *t, struct session_identity *s);

// The identity at this moment: the shared one when proven, else a private one. NULL: out of memory.
struct identity *session_identity_current(struct identity_table *t, struct session_identity *s);

// Should the proof be run now? Counts a lookup. The more often a session fell into doubt, the more lookups it
// must bring before the query is worth its cost.
bool session_identity_wants_proof(struct session_identity *s);

// What happened to the session. Each drops `current` when it changes what it stands for.
void session_identity_doubt(struct identity_table *t, struct session_identity *s);
void session_identity_forever(struct identity_table *t, struct session_identity *s);
void session_identity_set(struct identity_table *t, struct session_identity *s,
                          const struct parsed_setting *settings,
                          int n); // confirmed SET or RESET
void session_identity_reset_all(struct identity_table *t, struct session_identity *s); // confirmed RESET ALL
void session_identity_discard_all(struct identity_table *t,
                                  struct session_identity *s); // confirmed DISCARD ALL

// The proof's SQL, and what its one row means. identity_proof_row keeps the row; identity_proof_end gives the
// verdict (ok: the query ended without an error).
const char *identity_proof_query(void);
void identity_proof_row(struct session_identity *s, struct slice row);
void identity_proof_end(struct identity_table *t, struct session_identity *s, bool ok);

#endif
