// SPDX-License-Identifier: PostgreSQL
//
// When rows may pass between sessions. An identity is a string of bytes that two sessions must share: server
// address, start-up parameters as sent, what the server itself reports about the session (proof.h), and the
// settings statements that the server has confirmed. Equal bytes are one object, so equality is pointer
// equality.
//
// The proof is a query on the session's own connection. It is run when a session first asks for a lookup, and
// again after statements whose effect on the session cannot be known from their text (doubt). Until then, and
// while it is in doubt, a session is private: it folds only within itself.
//
// A setting that a confirmed statement has given a value is known by that statement; what the proof says of
// it is left out, so that it makes no difference whether it was set before the proof or after it.
//
// What settings would be after a RESET matters, too, and who has set them: a value of the configuration file
// changes when the server reads it anew, one that the session was given does not. As long as nothing but
// known statements has touched the session, values that none of them has set are those of a RESET. Otherwise
// (ORIGIN_UNKNOWN) the server is asked, which takes it three times as long.
//
// A proof tells of the configuration that the session's server process has read. Each process reads a new one
// when its client's next message comes, and pg_conf_load_time() is when it did. So rows of a session whose
// process has read it later than the proof of another was asked for are not for that other one, nor is what
// is known of it still true: session_identity_may_take().
//
// Settings that the server does not show (custom ones such as app.tenant_id) are tracked by the list alone,
// and where more than known statements may have set them, nothing is known of them (CUSTOMS_UNKNOWN).
// Sessions of which that much is known are kept apart from those of which it is not. Nor can a custom setting
// reach the rows of a vetted shape: its tables have no row-level security, and it calls no function that
// reads settings.
#ifndef PGFOLD_BATCHING_TRUST_IDENTITY_H
#define PGFOLD_BATCHING_TRUST_IDENTITY_H

#include "batching/base/hash.h"
#include "batching/statement/parse.h"
#include "batching/trust/proof.h"
#include "protocol/buf.h"
#include "protocol/message.h"

struct identity {
    UT_hash_handle hh; // only when shared
    uint64_t id;       // never used twice
    unsigned refs;
    bool is_private;
    struct proof *proof; // a reference; the bytes name it by its id. NULL when private
    size_t len;
    uint8_t bytes[];
};

struct identity_table {
    struct identity *table;
    struct proof_table proofs;
    uint64_t next_id;
    struct account memory; // with the proofs; at its ceiling there are no new ones
    bool wanting;          // there was no room for one
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

// What has made the settings that no statement of the list has set.
enum identity_origin {
    ORIGIN_LOGIN,   // the log-in
    ORIGIN_RESET,   // RESET ALL
    ORIGIN_DISCARD, // DISCARD ALL, which ends roles, too
    ORIGIN_UNKNOWN, // any statement
};

// What is known of the custom settings that no statement of the list has set.
enum identity_customs {
    CUSTOMS_NONE,    // they are those of the log-in, or there are none
    CUSTOMS_RESET,   // the same, but some are there: behind RESET, RESET ALL, DISCARD ALL or a SET LOCAL one
                     // that was never set reads as '', not as NULL
    CUSTOMS_UNKNOWN, // any statement may have set any
};

enum identity_isolation { // of a transaction that does not say which
    ISOLATION_UNKNOWN,
    ISOLATION_READ_COMMITTED, // also READ UNCOMMITTED, which is the same
    ISOLATION_REPEATABLE_READ,
    ISOLATION_SERIALIZABLE,
};

// A session's side of it.
struct session_identity {
    enum identity_state state;
    enum identity_origin origin;
    enum identity_customs customs;
    bool touched;                     // something ran since the origin that nobody has vetted
    struct buf login;                 // server address and start-up parameters
    struct proof_reader proof_reader; // PROVING
    struct proof *proof;              // a reference; PROVEN: what the server said
    uint64_t proved_at;               // when it was asked for, by the server's clock
    // A reference to what it said just behind a RESET ALL or DISCARD ALL: what the next one leads back to.
    struct proof *home;
    enum identity_origin home_origin;
    uint64_t home_proved_at;
    struct parsed_setting *settings; // sorted by name; owned
    unsigned n_settings;
    size_t settings_bytes;    // of memory
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
// Settings, or definitions, have gone back to what they were: a private identity stands for those before.
void session_identity_moved(struct identity_table *t, struct session_identity *s);
void session_identity_forever(struct identity_table *t, struct session_identity *s);
void session_identity_set(struct identity_table *t, struct session_identity *s,
                          const struct parsed_setting *settings,
                          int n); // confirmed SET or RESET
void session_identity_reset_all(struct identity_table *t, struct session_identity *s); // confirmed RESET ALL
void session_identity_discard_all(struct identity_table *t,
                                  struct session_identity *s); // confirmed DISCARD ALL

// A lookup runs that nobody has vetted. `plain`: its text names no function of a user's.
void session_identity_touched(struct session_identity *s, bool plain);
// The server has read its configuration anew.
void session_identity_reloaded(struct identity_table *t, struct session_identity *s);
// A transaction has ended in which custom settings had values of its own: they are there from now on.
void session_identity_set_local(struct identity_table *t, struct session_identity *s);

// The server does not show a setting of this name, unless an extension has defined it.
bool setting_is_custom(const char *name);

// Rows that were read under the identity `of`, by a server process whose pg_conf_load_time() was `loaded`
// then (microseconds since 2000; 0: not known): may this session have them? `own`: it is the session's own
// process. If the process has read the configuration later than the session was proven, then what is known of
// it is no longer so: UNPROVEN.
bool session_identity_may_take(struct identity_table *t, struct session_identity *s,
                               const struct identity *of, uint64_t loaded, bool own);

// The level that a setting's value names, as the server shows it or as a constant of a statement.
enum identity_isolation identity_isolation_of(const char *value);

// May the session's server connection do nothing for a while in the middle of a transaction, as far as
// idle_in_transaction_session_timeout goes? Where it is set it must be a minute or more, which is longer than
// batches take.
bool session_identity_may_idle(const struct session_identity *s);

// default_transaction_isolation as it is now; UNKNOWN unless PROVEN.
enum identity_isolation session_identity_isolation(const struct session_identity *s);

// Starts a proof (PROVING): the SQL to be sent. Its rows and ends of results go to s->proof_reader.
const char *identity_proof_start(struct session_identity *s);
// The query has ended, `ok` without an error: the verdict.
void identity_proof_end(struct identity_table *t, struct session_identity *s, bool ok);

#endif
