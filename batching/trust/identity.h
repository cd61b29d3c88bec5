// SPDX-License-Identifier: PostgreSQL
//
// An identity says between which sessions rows may pass. It is a string of bytes that two sessions must
// share: the server's address, the start-up parameters as sent, what the server itself reports about the
// session (proof.h), and the SET statements that the server has confirmed. Equal bytes are one object, so two
// identities are equal when their pointers are.
//
// The proof is a query on the session's own connection. It runs when the session first asks for a lookup. It
// runs again after a statement whose effect on the session is not known from its text: the session is in
// doubt then. Until the proof is there, the session has a private identity: it folds only its own lookups.
//
// A setting that a confirmed statement has given a value is known by that statement. The proof's value for it
// is left out, so it makes no difference whether the setting was made before or after the proof.
//
// The values that a RESET would restore matter, too, and so does the origin of a value: a value of the
// configuration file changes when the server reads the file again, a value given by the session does not.
// While only known statements have touched the session, the values that none of them has set are those of a
// RESET. Otherwise (ORIGIN_UNKNOWN) the server is asked, which takes three times as long.
//
// A proof describes the configuration that the session's server process has read. Each process reads a new
// configuration when the next message of its client comes; pg_conf_load_time() is the time of that. Suppose
// process A has read its configuration after session B asked for its proof. Then rows from A must not go to
// B, and what is known about A is out of date: session_identity_may_take() checks this.
//
// The server does not show custom settings such as app.tenant_id. The list of confirmed statements alone
// tracks them. Where other statements may have set some, nothing is known of them (CUSTOMS_UNKNOWN), and the
// two kinds of sessions never share an identity. A custom setting cannot reach rows that sessions
// share: the tables have no row-level security, and no function that reads settings is called. Rows that may
// depend on one are given to their own session alone (LEVEL_OWN in vet.h).
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
    struct proof *proof; // a reference; the bytes contain its id. NULL: private
    // Digest of all but the custom settings. The catalogue says the same to all identities with the same one: none of its answers depends
    // on a custom setting. So what it has said to one tenant's sessions holds for those of the others.
    XXH128_hash_t base;
    size_t len;
    uint8_t bytes[];
};

struct identity_table {
    struct identity *table;
    struct proof_table proofs;
    uint64_t next_id;
    struct account memory; // includes the proofs; at its ceiling no new identities are made
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
    IDENTITY_REFUSED, // private until DISCARD ALL: there is a temporary schema, or the query failed
    IDENTITY_FOREVER, // private for good: LOAD was used
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
    CUSTOMS_NONE, // they are those of the log-in, or there are none
    // The values are those of the log-in, but more settings exist: after RESET, RESET ALL, DISCARD ALL or a
    // SET LOCAL, a custom setting that was never set before reads as '' and not as NULL.
    CUSTOMS_RESET,
    CUSTOMS_UNKNOWN, // any statement may have set any
};

enum identity_isolation { // the level of a transaction that does not name one
    ISOLATION_UNKNOWN,
    ISOLATION_READ_COMMITTED, // also READ UNCOMMITTED, which is the same in PostgreSQL
    ISOLATION_REPEATABLE_READ,
    ISOLATION_SERIALIZABLE,
};

// What a session remembers to find its identity.
struct session_identity {
    enum identity_state state;
    enum identity_origin origin;
    enum identity_customs customs;
    bool touched;                     // since the origin, a statement ran that nobody has vetted
    struct buf login;                 // server address and start-up parameters
    struct proof_reader proof_reader; // in use while PROVING
    struct proof *proof;              // PROVEN: what the server said; a reference
    uint64_t proved_at;               // when the proof was asked for, by the server's clock
    // What the server said right after a RESET ALL or DISCARD ALL. The next such statement leads back to it.
    // A reference, or NULL.
    struct proof *home;
    enum identity_origin home_origin;
    uint64_t home_proved_at;
    struct parsed_setting *settings; // sorted by name; owned
    unsigned n_settings;
    size_t settings_bytes; // bytes of memory
    unsigned n_proofs;     // how often the session was proven
    // What the last proof said of transactions, also one that a doubt has overtaken.
    enum identity_isolation told_isolation;
    bool told_may_idle;
    unsigned asked;           // lookups since the last proof
    struct identity *current; // a reference; NULL: not made yet
};

// init copies the login's bytes. finish gives up all references.
void session_identity_init(struct session_identity *s, struct slice address, struct slice startup_params);
void session_identity_finish(struct identity_table *t, struct session_identity *s);

// Returns the session's identity at this moment: the shared one when proven, else a private one. Borrowed
// until the state changes. NULL: out of memory.
struct identity *session_identity_current(struct identity_table *t, struct session_identity *s);

// Is all as RESET ALL leaves it, and mean the names of the server's functions these?
bool session_identity_is_clear(const struct session_identity *s);

// Counts a lookup and tells whether the proof should run now. The more often a session was proven before, the
// more lookups it must bring before the query is worth its cost. `waits`: the first proof, too, must be worth it.
bool session_identity_wants_proof(struct session_identity *s, bool waits);

// The following tell what happened to the session. Each drops `current` when the identity changes by it.
// Doubt: a statement ran whose effect is not known.
void session_identity_doubt(struct identity_table *t, struct session_identity *s);
// Settings or definitions went back to what they were (ROLLBACK). A private identity stood for the state
// before.
void session_identity_moved(struct identity_table *t, struct session_identity *s);
// LOAD was used: the session stays private for good.
void session_identity_forever(struct identity_table *t, struct session_identity *s);
// The server has confirmed SET or RESET with these n settings.
void session_identity_set(struct identity_table *t, struct session_identity *s,
                          const struct parsed_setting *settings, int n);
// Tells whether the session has just these by such statements already.
bool session_identity_has(const struct session_identity *s, const struct parsed_setting *settings, int n);
// The server has confirmed RESET ALL.
void session_identity_reset_all(struct identity_table *t, struct session_identity *s);
// The server has confirmed DISCARD ALL.
void session_identity_discard_all(struct identity_table *t, struct session_identity *s);

// A lookup runs that nobody has vetted. `plain`: its text names no function of a user's.
void session_identity_touched(struct session_identity *s, bool plain);
// The server has read its configuration again.
void session_identity_reloaded(struct identity_table *t, struct session_identity *s);
// A transaction has ended that had custom settings of its own (SET LOCAL). These settings exist from now on.
void session_identity_set_local(struct identity_table *t, struct session_identity *s);

// Tells whether the server does not show a setting of this name. It shows one that an extension has defined.
bool setting_is_custom(const char *name);

// Tells whether the session may have rows that were read under the identity `of`. `loaded` is the
// pg_conf_load_time() of the server process that read them, at that moment (microseconds since 2000; 0: not
// known). `own`: it is the session's own process. If that process has read the configuration after the
// session was proven, the proof no longer holds: the session becomes UNPROVEN.
bool session_identity_may_take(struct identity_table *t, struct session_identity *s,
                               const struct identity *of, uint64_t loaded, bool own);

// The level that a setting's value names. The value is written as the server shows it, or as a constant of a
// statement.
enum identity_isolation identity_isolation_of(const char *value);

// Tells whether the session's server connection may do nothing for a while inside a transaction without
// running into idle_in_transaction_session_timeout. That is so when the timeout is off or at least a minute,
// which is longer than batches take.
bool session_identity_may_idle(const struct session_identity *s);

// Is it known that a statement of the session's waits for a lock without end, outside a transaction?
bool session_identity_waits_for_locks(const struct session_identity *s);

// The current value of default_transaction_isolation; UNKNOWN unless PROVEN.
enum identity_isolation session_identity_isolation(const struct session_identity *s);

// Starts a proof (PROVING) and returns the SQL to send, which is static. The rows of the reply and the ends
// of its results go to s->proof_reader.
const char *identity_proof_start(struct session_identity *s);
// The query was not sent, or was cancelled: UNPROVEN, as if it had not been asked.
void session_identity_not_asked(struct session_identity *s);
// UNPROVEN becomes PROVEN without a query: for sessions that share nothing.
void session_identity_take_for_proven(struct session_identity *s);
// The query has ended; `ok`: without an error. The session is PROVEN or REFUSED then, unless it fell into
// doubt again while the query was under way.
void identity_proof_end(struct identity_table *t, struct session_identity *s, bool ok);

#endif
