// SPDX-License-Identifier: PostgreSQL
//
// A batch is one folded statement under way, with its members. The demultiplexer turns its rows into each
// member's own answer. A batch knows nothing of connections or of the order of a session's answers: it takes
// messages and gives out messages.
//
// It expects these replies in this order. Anything else is a failure.
//
//   CloseComplete*                                              statements that make room
//   [ParseComplete]  [ParameterDescription RowDescription]      the folded statement
//   BindComplete  DataRow*  CommandComplete
//   [ParseComplete]  BindComplete  DataRow  CommandComplete     the stamp's check (stamp.h)
//   ReadyForQuery
//
// The check's one row tells whether the first statement may be believed. Under a seal (seal.h) there is no
// check, and the rows themselves tell. Inside a transaction the replies to SAVEPOINT come first, and those to
// RELEASE before ReadyForQuery. Portals are closed there, so a CloseComplete comes behind each of the two
// statements.
#ifndef PGFOLD_BATCHING_FOLD_BATCH_H
#define PGFOLD_BATCHING_FOLD_BATCH_H

#include "batching/fold/derived.h"
#include "batching/fold/group.h"
#include "protocol/frame.h"

struct session;
struct statement;
struct pipeline;
struct batch;

// Whether a lookup had company: it decides what its time until the answer stands for, see guard.h.
enum lookup_company { COMPANY_UNKNOWN, COMPANY_NONE, COMPANY_SOME };

enum check_stage { CHECK_NONE, CHECK_NO, CHECK_ORIGINAL, CHECK_FOLDED, CHECK_AGAIN }; // see check.h

// A lookup's way; lookup_state.h has each move.
//
//              +---------- its answer is to be compared ----------+
//              v                                                  |
//   NEW --> WAITING --one in so many is checked--> CHECKING ------+--it is not--> ANSWERED
//              |
//              +--> BATCHED --the batch has its rows--> given to the client; before its turn: ANSWERED
//              |       |
//              |       +--the batch fails, or takes long--+
//              |                                          v
//              +--it has no company-------------------> ALONE --> SENT, and its reply goes to the client
//
// What was loaded ahead takes a NEW one to BATCHED, ALONE or ANSWERED at once. A cancel request answers one that
// was not sent. In a transaction that has failed what is ANSWERED goes back to ALONE: the server shall say so.
enum lookup_state {
    LOOKUP_NEW,      // in no queue yet
    LOOKUP_WAITING,  // in its group's queue
    LOOKUP_BATCHED,  // member of a batch that is under way
    LOOKUP_ALONE,    // will run as sent on its own connection, not sent yet
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
    struct group *group; // NULL: none, it runs alone; alive while the lookup waits or is counted in flight
    struct batch *batch; // LOOKUP_BATCHED
    uint32_t member;     // LOOKUP_BATCHED: its index there
    bool counted;        // LOOKUP_ALONE, LOOKUP_SENT, LOOKUP_CHECKING: counts in group->in_flight
    bool listed_alone;   // the same, and is in the group's list of those (late.h), linked as in its queue
    bool joined;         // LOOKUP_BATCHED: it joined a batch that was under way
    enum lookup_company company; // LOOKUP_ALONE, LOOKUP_SENT
    uint64_t asked;              // microseconds: when it came; 0: not queued yet
    uint64_t seen;               // microseconds: when its client's unit was first looked at
    uint8_t outcome, reason;     // enum outcome, as far as it is known; enum reason: why it was not folded
    uint16_t tags;               // report/tags.h
    uint8_t kind;                // enum statement_kind; an answer of our own need not be to a read
    bool failed;                 // LOOKUP_ANSWERED, CHECK_ORIGINAL: its answer is an error
    enum check_stage check;
    bool cancelled; // CHECK_ORIGINAL: its client has sent a cancel request; it does not wait for a comparison
    bool differs;   // CHECK_FOLDED, CHECK_AGAIN: from the answer that is kept
    bool outdated;  // CHECK_FOLDED: that answer has other columns than the statement had
    size_t compared; // CHECK_AGAIN: bytes of that answer that were compared
    bool simple, has_parse, has_describe;
    struct statement *statement;     // extended: a reference
    struct pipeline *pipeline;       // of several statements in one unit, see session/pipeline.h; a reference
    bool more;                       // more lookups of its unit follow
    uint32_t max_rows;               // 0: all
    bool whole;                      // more rows than that are not for a batch: the client may fetch them
    unsigned n_closes;               // CloseComplete messages at the end
    struct shape *shape;             // a reference
    struct slice raw[KEY_MAX_PARTS]; // its key as sent, slices of `bytes`; by the group's parts
    struct key keys[KEY_MAX_PARTS];  // valid if has_key
    bool has_key;
    bool with_list;    // it was found in what was sent in its list's own write
    uint64_t question; // hash of what it asks (ahead/asked.h); 0: not known
    bool followed;     // lookahead has looked at it (ahead.h)
    bool plain;        // it is certainly a plain read
    bool loops;        // it is one of a loop, which will not wait for such lookups when they are loaded ahead
    bool settled;      // its session had lookups of its group a moment ago (ahead/recent.h)
    struct ahead *loop;     // the loop that it belongs to; a reference; NULL: none
    bool check_row_hash;    // the client knows its columns from an earlier Describe:
    XXH128_hash_t row_hash; // the answer must have these
    struct buf answer;      // LOOKUP_ANSWERED; from CHECK_FOLDED on
    struct account *memory; // where it is counted, with so many bytes:
    size_t weighs;
    size_t len;
    uint8_t bytes[]; // the unit as the client sent it
};

struct ahead;

// What a batch that was loaded ahead has in addition, see ahead.h.
struct batch_ahead {
    struct ahead *home;    // whose trail predicted it; a reference; NULL: it was not loaded ahead
    struct batch *next;    // in home's list of batches that are held, or under way
    uint64_t epoch;        // home's epoch when the batch was sent
    uint64_t began;        // when the transaction began in which it ran; 0: in none
    uint64_t number;       // numbers all batches that were loaded ahead, from 1
    bool own;              // it runs on the connection of home's session
    uint64_t seq;          // of the database's writes: none up to this one has made it stale
    unsigned association;  // index into the shape's
    unsigned n_used;       // number of keys that were asked for
    unsigned n_left;       // number of answers that it may still give
    uint16_t *left;        // the same by key: at first the number of the list's rows that have it
    unsigned again;        // the list's other rows with the key of the lookup for which it was loaded
    unsigned n_served;     // number of lookups that were answered with what was loaded for them
    bool *used;            // by key: it was asked for
    bool ended;            // its answers are held
    bool asked;            // it also has the key of the lookup for which it was loaded
    bool told;             // that lookup has its answer
    uint32_t known;        // index + 1 of a key that was answered just before; 0: none. Of that answer:
    uint32_t known_rows;   // the number of rows,
    uint64_t known_digest; // and their digest (ahead/second.h)
    bool late;             // the loop asked for more of it when it had become stale
    // Mode observe: shape digest of the lookups whose answers its list is, more of which are to come; 0: none are.
    uint64_t list_of;
    bool dry; // mode observe: it was not sent and has no rows (flow/dry.h)
    uint64_t
        spared; // microseconds of its age that its loop has waited for answers that it would have had at once
    bool grown; // the association was told that it served
    uint32_t key_cost; // of each key, see budget.h
    uint64_t recorded; // serial of its result in home's trail while nothing of that was given; 0: none
    uint64_t list;     // the same, from then on
    uint64_t
        behind; // digest of the list that it followed before the first lookup came (followers.h); 0: of none
    uint64_t burst; // number of the burst that it was sent with (burst.h); 0: none
    size_t bytes;
};

struct batch_row {
    uint32_t next; // index + 1 of the key's next row; 0: last
    uint32_t len;
    size_t at; // in `data`: a whole DataRow message without the added column
};

struct batch_key {
    uint32_t first_row, last_row, n_rows; // indexes + 1
    uint32_t listed;                      // loaded ahead: its first row in the list that they count as
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
    struct session *lender;             // whose connection it runs on; NULL: gone
    uint64_t started;                   // microseconds
    uint64_t patience;                  // microseconds after `started`, see late.h
    uint64_t due;                       // when the patience counts as over; 0: not set
    uint32_t n_members, n_keys, n_left; // n_left: members that are still wanted
    uint32_t max_members;
    struct lookup **members; // NULL where a member left
    uint32_t *member_key;    // index into keys
    // Without duplicates, n_parts each. Raw ones are borrowed from the members, until batch_write has
    // run.
    struct key *keys;
    uint32_t n_parts;
    uint32_t max_keys; // loaded ahead
    size_t key_bytes;
    struct batch_key *key_rows;
    uint32_t *slots; // a hash table with open addressing over keys: index + 1
    uint32_t n_slots;
    struct batch_row *rows;
    uint32_t n_rows, max_rows;
    struct buf data;
    enum batch_stage stage;
    enum fold_form form;            // as sent; the group may be vetted again meanwhile
    XXH128_hash_t statement, stamp; // digests of what it runs, and of what it is checked by
    // the group's count when it was sent; what the group learnt later does not concern this batch
    uint64_t vettings;
    unsigned n_closes;
    bool parse, describe, stamp_parse;
    bool sealed; // sent without a check, under this seal
    struct seal seal;
    bool unproved;              // failed: sealed, and without a row
    struct stamp_news news;     // the check's; its slice is valid while the batch is being fed
    bool stamped;               // the check has said that what was vetted is unchanged
    bool snapshot;              // it runs in a transaction that sees a snapshot
    bool asks_facts;            // its check tells the stamp of the facts
    bool changed, shadowed;     // failed: the check has said STAMP_CHANGED or STAMP_SHADOWED
    bool framed;                // it runs between SAVEPOINT and RELEASE (savepoint.h)
    bool frame_prepared;        // the connection has those statements; both are set before batch_write
    const char *open, *release; // types of the messages that still have to come in answer to them
    // A lookup as sent; its values except the keys are those of all members. Borrowed; for batch_write.
    const uint8_t *pattern;
    size_t pattern_len;
    struct buf own; // loaded ahead: its raw keys
    struct batch_ahead ahead;
    struct derived *derived; // owned: the server finds the keys; NULL: they are sent
    bool *covered;           // derived, by key, once its keys are there: the server has looked it up; owned
    bool sent;               // to its lender
    bool failed;             // members run alone; the rest of the replies is read and dropped
    bool abandoned;          // failed, and its members have been given back already
    bool left;               // only its lender's own members still wait for it
    bool late;               // it was not waited for to the end, which says nothing about the statement
    bool oversized;          // failed: its answer was larger than max_answer
    bool erred;              // failed: the rows of one of its keys have raised an error
    const char *why;         // static: what failed
    struct account *memory;  // its lender's account, while it is sent; counted there with so many bytes:
    size_t weighs, seen_cap; // of `data`, when it was counted
};

// Makes a batch of the group's first waiting lookups, with at most max_keys different keys, and takes them
// out of the queue. max_answer: bytes. NULL: out of memory; the queue is unchanged.
struct batch *batch_create(struct group *g, unsigned max_keys, size_t max_answer);
// Makes one without members. Keys are added until there are `max`, or until they fill their share of the batch's `room`, in
// bytes; the answer has the rest. NULL: out of memory.
struct batch *batch_create_ahead(struct group *g, unsigned max, size_t room);
// Copies the key into the batch; equal keys are kept once. Returns false when there is no room for more.
bool batch_add_key(struct batch *b, const struct key *key) __attribute__((warn_unused_result));
// Finds the index of a key. Returns false when the batch has no such key.
bool batch_find_key(const struct batch *b, const struct key *key, uint32_t *index)
    __attribute__((warn_unused_result));
// Makes the lookup a member of a batch that is under way; `key` is its key's index. Returns false when memory
// is out.
bool batch_join(struct batch *b, struct lookup *l, uint32_t key) __attribute__((warn_unused_result));
// Loaded ahead: the key may answer so many lookups, if that is more than it had left.
static inline void batch_hold_for(struct batch *b, uint32_t key, unsigned turns) {
    unsigned more = turns > b->ahead.left[key] ? turns - b->ahead.left[key] : 0;
    b->ahead.left[key] = (uint16_t)(b->ahead.left[key] + more);
    b->ahead.n_left += more;
}
// Of a batch that has failed: which key has most likely raised the error. With `behind` the first one of which no row had come, else the
// one in front of it, of which some may have been missing. NULL: there is none, or that cannot be told.
const struct key *batch_suspect(const struct batch *b, bool behind);
size_t batch_bytes(const struct batch *b); // bytes of memory, about
void batch_destroy(struct batch *b);       // its members must have been taken out

// The digest of the statement that it runs.
XXH128_hash_t batch_statement(const struct batch *b);
// The digest of the check that it is sent with. Rows that will be held need a check that also tells of
// writes.
XXH128_hash_t batch_stamp(const struct batch *b);

// What the connection has prepared of a batch's two statements, and the names of the statements that it gives
// up.
#define BATCH_MAX_CLOSES 4
struct batch_prepared {
    bool statement, stamp;
    const struct seal *seal; // borrowed: the seal to send it under; NULL: none
    XXH128_hash_t closes[BATCH_MAX_CLOSES];
    unsigned n_closes;
};

// Appends the messages to send: Close, Parse and Describe as needed, Bind, Execute, the same for the stamp's
// check, Sync. The other parameters of an extended lookup come from a member (`pattern`).
void batch_write(struct batch *b, const struct batch_prepared *prepared, struct buf *out);

// Takes one whole message of the reply. Returns true at ReadyForQuery: the batch has ended, and `failed`
// tells how.
bool batch_feed(struct batch *b, const struct frame *f) __attribute__((warn_unused_result));

// Derived: all keys that it will have are there. Out of memory, none of them is covered.
void batch_filled(struct batch *b);
// The same, and it has ended: what the server has not looked up answers nobody. Returns the number of such keys that
// nobody has asked for.
unsigned batch_drop_uncovered(struct batch *b);
// Has the server looked the key up?
static inline bool batch_covers(const struct batch *b, uint32_t key) {
    return !b->derived || (b->covered && b->covered[key]);
}

// Tells whether the key's answer may be given. Where the key has no row, something that is computed from it
// may not have been computed, and could be an error: see risk.h.
static inline bool batch_is_certain(const struct batch *b, uint32_t key) {
    return batch_covers(b, key) && (b->group->risk == RISK_NONE || b->key_rows[key].n_rows);
}

// Appends the whole reply that a lookup for the key of this index gets, up to ReadyForQuery with the given
// status.
void batch_answer(const struct batch *b, const struct lookup *l, uint32_t key, char status, struct buf *out);

#endif
