// SPDX-License-Identifier: PostgreSQL
//
// A batch: one folded statement under way, its members, and the demultiplexer that turns its rows into each
// member's own answer. Knows nothing of sessions' order or connections: it is given messages and gives out
// messages.
//
// The replies that it expects, in this order, anything else being a failure:
//   CloseComplete*  [ParseComplete]  [ParameterDescription RowDescription]  BindComplete  DataRow*
//   CommandComplete  [ParseComplete]  BindComplete  DataRow  CommandComplete  ReadyForQuery
// The second statement is the stamp's check (stamp.h): its one row says whether the first may be believed.
// Under a seal (seal.h) there is no second statement, and the rows say it themselves.
// Inside a transaction those of SAVEPOINT come first, and those of RELEASE before ReadyForQuery; and portals
// are closed: a CloseComplete comes behind each of the two statements.
#ifndef PGFOLD_BATCHING_FOLD_BATCH_H
#define PGFOLD_BATCHING_FOLD_BATCH_H

#include "batching/fold/group.h"
#include "protocol/frame.h"

struct session;
struct statement;
struct pipeline;
struct batch;

// What the time until a lookup's answer says, see guard.h.
enum lookup_company { COMPANY_UNKNOWN, COMPANY_NONE, COMPANY_SOME };

enum check_stage { CHECK_NONE, CHECK_NO, CHECK_ORIGINAL, CHECK_FOLDED, CHECK_AGAIN }; // see check.h

enum lookup_state {
    LOOKUP_WAITING,  // in its group's queue
    LOOKUP_BATCHED,  // member of a batch that is under way
    LOOKUP_ALONE,    // shall run as sent on its own connection, not sent yet
    LOOKUP_SENT,     // runs as sent on its own connection
    LOOKUP_CHECKING, // the same, and its answer is kept or compared, see check.h
    LOOKUP_ANSWERED, // its answer waits for earlier ones of the same session
};

// One lookup of a client, from its recognition to its answer.
struct lookup {
    enum lookup_state state;
    struct session *session;                        // NULL: the client is gone, the answer is not wanted
    struct lookup *next, *previous;                 // in the session's order
    struct lookup *next_waiting, *previous_waiting; // in the group's queue
    struct group *group; // NULL: none, it runs alone; alive while the lookup is waiting or counted in flight
    struct batch *batch; // LOOKUP_BATCHED
    uint32_t member;     // LOOKUP_BATCHED: its index there
    bool counted;        // LOOKUP_ALONE, LOOKUP_SENT: counts in group->in_flight (LOOKUP_CHECKING, too)
    bool listed_alone;   // the same, and stands in the group's list of those (late.h), linked as in its queue
    bool joined;         // LOOKUP_BATCHED: a batch that was under way
    enum lookup_company company; // LOOKUP_ALONE, LOOKUP_SENT
    uint64_t asked;              // microseconds: when it came; 0: not queued yet
    uint64_t seen;               // microseconds: when its client's unit was first looked at
    uint8_t outcome, reason;     // enum outcome, as far as it is known; enum reason: why it was not folded
    uint8_t kind;                // enum statement_kind; an answer of our own need not be to a read
    bool failed;                 // LOOKUP_ANSWERED, CHECK_ORIGINAL: its answer is an error
    enum check_stage check;
    bool cancelled;  // CHECK_ORIGINAL: its client has asked for that; it is not kept waiting for a comparison
    bool differs;    // CHECK_FOLDED, CHECK_AGAIN: from the answer that is kept
    bool outdated;   // CHECK_FOLDED: that answer has other columns than the statement had
    size_t compared; // CHECK_AGAIN: bytes of that answer
    bool simple, has_parse, has_describe;
    struct statement *statement;     // extended: a reference
    struct pipeline *pipeline;       // of several statements in one unit, see session/pipeline.h; a reference
    bool more;                       // others of its unit come behind it
    uint32_t max_rows;               // 0: all
    unsigned n_closes;               // CloseComplete messages at the end
    struct shape *shape;             // a reference
    struct slice raw[KEY_MAX_PARTS]; // its key as sent, into bytes; by the group's parts
    struct key keys[KEY_MAX_PARTS];  // when has_key
    bool has_key;
    bool followed;          // ahead.h has looked at it
    struct ahead *loop;     // whose loop it belongs to; a reference, NULL: none
    bool check_row_hash;    // the client knows its columns from an earlier Describe:
    XXH128_hash_t row_hash; // the answer must have these
    struct buf answer;      // LOOKUP_ANSWERED; from CHECK_FOLDED on
    struct account *memory; // that it is counted in, with so many bytes:
    size_t weighs;
    size_t len;
    uint8_t bytes[]; // the unit as the client sent it
};

struct ahead;

// Of a batch that was loaded ahead, see ahead.h.
struct batch_ahead {
    struct ahead *home;   // whose trail predicted it; a reference. NULL: it is none
    struct batch *next;   // in home's list of those that are held, or under way
    uint64_t epoch;       // home's when it was sent
    uint64_t seq;         // of the database's writes, up to which none has made it stale
    unsigned association; // index into the shape's
    unsigned n_used;
    unsigned n_served; // lookups that were answered with what was loaded for them
    bool *used;        // by key: asked for
    bool ended;        // held
    bool asked;        // the key of the lookup that it was loaded for is in it, too
    bool late;         // the loop came for more of it when it had become stale
    bool grown;        // the association was told that it served
    uint32_t key_cost; // of each of them, see budget.h
    uint64_t recorded; // serial of the result in home's trail that nothing was given of yet; 0: none
    size_t bytes;
};

struct batch_row {
    uint32_t next; // index + 1 of the key's next row, 0: last
    uint32_t len;
    size_t at; // in `data`: a whole DataRow message, the added column taken out
};

struct batch_key {
    uint32_t first_row, last_row, n_rows; // indexes + 1
};

enum batch_stage {
    STAGE_CLOSE,
    STAGE_PARSE,
    STAGE_DESCRIBE,
    STAGE_ROWS_OF,
    STAGE_BIND,
    STAGE_ROWS,
    STAGE_ROWS_CLOSE, // framed
    STAGE_STAMP_PARSE,
    STAGE_STAMP_BIND,
    STAGE_STAMP,
    STAGE_END
};

struct batch {
    struct group *group;
    struct batch *next, *previous;      // engine's list
    struct session *lender;             // NULL: gone
    uint64_t started;                   // microseconds
    uint64_t patience;                  // microseconds from then on, see late.h
    uint64_t due;                       // they have passed, and this is when it counts; 0: none
    uint32_t n_members, n_keys, n_left; // n_left: members still wanted
    uint32_t max_members;
    struct lookup **members; // NULL where a member left
    uint32_t *member_key;    // index into keys
    struct key
        *keys; // without duplicates, n_parts each; raw ones are the members', until batch_write has run
    uint32_t n_parts;
    uint32_t max_keys; // loaded ahead
    size_t key_bytes;
    struct batch_key *key_rows;
    uint32_t *slots; // open addressing over keys: index + 1
    uint32_t n_slots;
    struct batch_row *rows;
    uint32_t n_rows, max_rows;
    struct buf data;
    enum batch_stage stage;
    enum fold_form form;            // as sent; the group may be vetted anew meanwhile
    XXH128_hash_t statement, stamp; // what it runs, and is checked by
    uint64_t vettings;              // the group's when it was sent: what was learnt since is not this batch's
    unsigned n_closes;
    bool parse, describe, stamp_parse;
    bool sealed; // sent without a check, under this seal
    struct seal seal;
    bool unproved;              // failed: sealed, and without a row
    struct stamp_news news;     // the check's; its slice holds while it is being fed
    bool stamped;               // the check has said that what was vetted is as it was
    bool snapshot;              // runs in a transaction that sees one
    bool asks_facts;            // its check tells the facts' stamp
    bool changed, shadowed;     // failed: it has said that it is not (STAMP_…)
    bool framed;                // runs between SAVEPOINT and RELEASE (savepoint.h), `frame_prepared` or not;
    bool frame_prepared;        // set before batch_write
    const char *open, *release; // types of the messages still to come in answer to them
    const uint8_t *pattern; // a lookup as sent, whose values but the keys are those of all; for batch_write
    size_t pattern_len;
    struct buf own; // loaded ahead: its raw keys
    struct batch_ahead ahead;
    bool sent;               // to its lender
    bool failed;             // members run alone; the rest of the replies is read and dropped
    bool abandoned;          // failed, and its members have been given back already
    bool left;               // only its lender's own members wait for it any longer
    bool late;               // it was not waited for to the end; that says nothing about the statement
    bool oversized;          // failed: its answer was larger than max_answer
    const char *why;         // static: what failed
    struct account *memory;  // its lender's, while it is sent: counted with so many bytes:
    size_t weighs, seen_cap; // of `data`, when it was counted
};

// A batch of the group's first waiting lookups, at most max_keys different keys; takes them out of the queue.
// NULL when memory ran out: the queue is as it was.
struct batch *batch_create(struct group *g, unsigned max_keys, size_t max_answer);
// One without members, for keys that are added until there are `max`.
struct batch *batch_create_ahead(struct group *g, unsigned max, size_t max_answer);
// Copies it; an equal one is there once. False: there is room for no more.
bool batch_add_key(struct batch *b, const struct key *key) __attribute__((warn_unused_result));
bool batch_find_key(const struct batch *b, const struct key *key, uint32_t *index)
    __attribute__((warn_unused_result));
// The lookup becomes a member of one that is under way. False: out of memory.
bool batch_join(struct batch *b, struct lookup *l, uint32_t key) __attribute__((warn_unused_result));
size_t batch_bytes(const struct batch *b); // of memory, about
void batch_destroy(struct batch *b);       // its members must have been taken out

// Names the check that it is sent with: rows that will be held are checked with what tells of writes, too.
XXH128_hash_t batch_stamp(const struct batch *b);

// What the connection has prepared of a batch's two statements, and the names of those that it gives up.
#define BATCH_MAX_CLOSES 4
struct batch_prepared {
    bool statement, stamp;
    const struct seal *seal; // to be sent under, NULL: none
    XXH128_hash_t closes[BATCH_MAX_CLOSES];
    unsigned n_closes;
};

// The messages to send: Close, Parse and Describe as needed, Bind, Execute, the same for the stamp's check,
// Sync. A member supplies the other parameters of an extended lookup.
void batch_write(struct batch *b, const struct batch_prepared *prepared, struct buf *out);

// Takes one whole reply. True at ReadyForQuery: the batch has ended, `failed` says how.
bool batch_feed(struct batch *b, const struct frame *f) __attribute__((warn_unused_result));

// May the key's answer be given? Where it has no row, what is computed from the key may not have been, and be
// an error: see risk.h.
static inline bool batch_is_certain(const struct batch *b, uint32_t key) {
    return b->group->risk == RISK_NONE || b->key_rows[key].n_rows;
}

// Appends what a lookup for the key of this index gets, ReadyForQuery with the given status included.
void batch_answer(const struct batch *b, const struct lookup *l, uint32_t key, char status, struct buf *out);

#endif
