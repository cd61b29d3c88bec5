// SPDX-License-Identifier: PostgreSQL
//
// What the files that read a client's bytes share: session_client.c finds units and keeps their order,
// classify.c says what a statement is, session_forward.c forwards it and notes what it will do,
// session_lookup.c accepts lookups.
#ifndef PGFOLD_BATCHING_TALK_CLIENT_H
#define PGFOLD_BATCHING_TALK_CLIENT_H

#include "batching/statement/cursor.h"
#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "protocol/frame.h"

#define UNIT_SLACK 4096 // bytes of a unit beside its text

// What a Query message's text is.
struct statement_class {
    enum statement_kind kind;
    enum reason reason;             // why it is no lookup; NONE: it may be one
    struct shape *shape;            // borrowed; NULL: the text alone says enough, or has no shape
    struct shape_text values;       // the constants taken out
    struct slice name;              // DEALLOCATE without a shape: of this statement
    enum unread unread;             // shape NULL: its text was not read
    bool changes;                   // may change definitions
    struct cursor_statement cursor; // when it is about one; no shape then
};

struct statement_class classify_query(struct session *s, struct slice text);
void classify_verbatim(struct session *s, struct slice text, struct statement_class *c); // by the whole text
struct slice class_name(const struct statement_class *c); // of DEALLOCATE; empty: ALL

// The client's bytes at hand, and the run of them that is still to be forwarded: bytes[run] to bytes[at].
struct feed {
    struct session *s;
    const uint8_t *bytes;
    size_t len, at, run;
    struct statement_class query; // of the Query message at `at`, when classified
    bool classified;
    bool learns, describes; // the Parse at `at`, and the Describe behind it, tell about all like them
    bool single;            // the unit at `at` is a lookup and nothing else
    bool asks_no_more;      // it goes out now, inside a transaction: not behind a question of our own
    bool prepares;          // the unit at `at` prepares a statement and runs none
    bool drop;              // the message at `at` is not for the server
};

// Sends the run.
void feed_flush(struct feed *f, bool more);
const struct statement_class *feed_classify(struct feed *f, struct slice text);

// ---- session_forward.c

// Forwards the message at f->at. False: more of its bytes are needed first, or the queue of owed replies is
// full.
bool forward_message(struct feed *f, const struct frame *fr);
// The replies to an open unit may wait in the server for its end, which the client may not say before it is
// read again.
void forward_ask_for_replies(struct feed *f);

// What is known of a SELECT's effects on the session that runs it.
enum read_effect {
    READ_PLAIN,
    READ_DOUBTFUL,
    READ_BEING_VETTED // `vetting` knows when the catalogue has answered
};
// Is this SELECT a plain read? If nobody knows yet, the catalogue is asked in front of it, so that it cannot
// change the answer.
enum read_effect forward_read_effect(struct feed *f, struct shape *shape, struct group **vetting);

// At the unit at f->at, inside a transaction: if it is a SELECT that nobody has vetted, the catalogue is
// asked, and the unit must wait for the answer: true.
bool forward_vets_first(struct feed *f);

// A group that is too old, or was vetted under other definitions, starts anew.
void group_refresh(struct engine *e, struct group *g);

enum take { TAKE_FORWARD, TAKE_TAKEN, TAKE_WAIT };

// ---- session_inside.c: what depends on how the unit before it has ended

// The unit must be answered first: the client waits. Returns false.
bool inside_wait(struct feed *f);
// PASS: go on; WAIT: until more is known; SKIPPED: the server does not look at it.
enum inside { INSIDE_PASS, INSIDE_WAIT, INSIDE_SKIPPED };
// A Query or a function call, which end an extended unit that is open unless it has failed.
enum inside inside_end(struct feed *f);
// CopyData and its like, and Sync.
enum inside inside_copy(struct feed *f, uint8_t type);
enum inside inside_sync(struct feed *f);
// What is no data of a COPY's; before the two for Query and Sync.
enum inside inside_no_data(struct feed *f, uint8_t type);

// ---- session_cursor.c

// What DECLARE, FETCH or MOVE runs, which does what it does; borrowed. NULL: it is not known, or no SELECT,
// or cannot be followed. `extended`: the protocol.
struct shape *session_cursor_select(struct session *s, const struct cursor_statement *c, bool extended);
// It is forwarded as a plain read, as CLOSE always is.
void session_note_cursor(struct session *s, const struct cursor_statement *c, struct shape *select);

// ---- session_prepare.c: the unit at f->at is answered without the server, or forwarded

enum take prepare_take(struct feed *f, const struct unit *u, enum reason *why);
enum take close_take(struct feed *f, const struct unit *u);
enum take deallocate_take(struct feed *f, const struct unit *u);
enum take sync_take(struct feed *f);

// ---- session_lookup.c

// Accepts the whole unit at f->at as a lookup, or says why not.
enum take lookup_take(struct feed *f, const struct unit *u, bool simple, enum reason *why);
// The same for a unit of several lookups: all or none.
enum take pipeline_take(struct feed *f, const struct unit *u, enum reason *why);
// The client asks with these values for what may be a lookup's statement, in a unit that is forwarded: what
// was loaded ahead for the same question may be older than what it will be told. `shape` may be NULL.
void lookup_note_bound(struct session *s, const struct shape *shape, const struct msg_bind *m);

#endif
