// SPDX-License-Identifier: PostgreSQL
//
// A session of the fixture goes through a loop: it reads a list of the ids 1 to 9 from `list`, then looks up one after the other in
// the table `t`. The test answers as the server.
#ifndef PGFOLD_TESTS_UNIT_LOOPS_H
#define PGFOLD_TESTS_UNIT_LOOPS_H

#include "tests/unit/fixture.h"

extern const char *const keys_1_to_9[];

// ---- beginning and end

// Three clients, with these changes to the limits.
void init(struct fixture *f);
void start(struct fixture *f);
void setup(struct fixture *f); // both
// Ends the conversation: each key that was loaded has had exactly one end, and no memory is left.
void end(struct fixture *f);
struct engine_counters *counters(struct fixture *f);

// ---- what is said

// What went to either side since the last call.
const char *asked(struct client *c);
const char *told(struct client *c);
void lookup(struct client *c, int key);
// Replies by their letters (see put_reply), and: T describes `t`, L the list, D is a row of the next key, C
// says that there was one row.
void reply_with(struct client *c, const char *letters, const char *const *keys);
void answer(struct client *c, int key, char status);
// SAVEPOINT or RELEASE, each with the closing of its name.
void put_frame(struct buf *b);
// What has to be prepared for a batch: nothing, its statement and its check, or its statement alone.
enum preparing { KNOWN, NEW, STATEMENT_ANEW };
// A batch's answer in the IN form: one row for each of the keys first … last. `framed`: inside a transaction,
// between a SAVEPOINT and its RELEASE.
void answer_batch(struct client *c, int first, int last, enum preparing what, bool framed);
void prove_read_committed(struct client *c);
// The list, with the verdict that it is a plain read when nobody has asked for that yet.
void list(struct client *c, bool vetted, char status);
// Another list of nine rows, in which keys stand several times.
void list_repeated(struct client *c);
// The first lookup, with the verdict that it is a plain read.
void lookup_new(struct client *c, int key);
// A vetting's messages: the settings, the stamp, the catalogue, the statement. Without patience there is no bound around them.
#define VETTING "CPBECCPBECCPBECCPDCS"
// Vetting's answer: nothing speaks against it, its key is its table's own and the list's.
void answer_vetting(struct client *c);
// The shape of the lookups; borrowed.
struct shape *shape_of_lookups(struct client *c);

// ---- how far the loop is

// The list is known, the lookups are READY, and key 1 was asked for, twice: one lookup is no loop. It is not known what one takes.
void begin_proven(struct client *c);
void begin(struct client *c);
// Key 2 is asked for, and the rest loaded behind it, which is under way.
void load(struct client *c);
void load_and_hold(struct client *c);
// The same behind a list of the test's own.
void load_behind(struct client *c);
bool is_held(struct client *c, int key);

#endif
