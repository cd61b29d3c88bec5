// SPDX-License-Identifier: PostgreSQL
//
// Tells the report what a session asks (report/report.h). Nothing is allocated for a statement: the first lookup of a
// session makes room for its runs, and a loop that is found for the first time is listed.
//
// Nothing here fails. Out of memory, what is asked is not reported.
#ifndef PGFOLD_BATCHING_SESSION_REPORTING_H
#define PGFOLD_BATCHING_SESSION_REPORTING_H

#include "batching/session/answered.h"
#include "batching/session/session.h"

struct guess;
struct key;
struct trail;
struct trail_columns;
struct vet_result;

void reporting_begin(struct session *s, struct slice startup_params);
void reporting_finish(struct session *s);

// The question of the read at hand, and back: it is another one's behind that.
void reporting_asks(struct session *s, uint64_t question);
uint64_t reporting_take_question(struct session *s);

// The text at hand, of a Query or a Parse: reads the tags in its comments. `shape`: of it; NULL: not known, then no new tags
// are kept. And: a prepared statement is run, whose text came earlier.
void reporting_text(struct session *s, struct shape *shape, struct slice text);
void reporting_runs(struct session *s, const struct statement *st);
// The tags of the statement at hand, which is the last one of them: those of a text at hand, else of the setting, else of
// the prepared statement, else the application's name.
uint16_t reporting_take_tags(struct session *s);

// pgfold.tags is set. Empty: to nothing. And what it is, borrowed.
void reporting_set_tags(struct session *s, struct slice value);
void reporting_reset_tags(struct session *s); // to what it was when the session began
struct slice reporting_tags(const struct session *s);

// The application's name is this one from now on.
void reporting_set_application(struct session *s, struct slice name);

// A statement was answered. Called by session_answered() alone.
void reporting_answered(struct session *s, const struct answered *a);

// The key of a lookup of this READY group was found in a list of a trail, and is followed there. The report looks in that
// trail for where it comes from.
void reporting_found(struct session *s, const struct group *g, const struct key *keys, uint64_t question,
                     const struct guess *followed);

// The same for a lookup that came with others in one unit: it is looked for in the session's own trail, and nothing is
// followed there.
void reporting_piped(struct session *s, const struct group *g, const struct key *keys, uint64_t question);

// A lookup is not sent, since it makes a loop that a test does not expect. `t`: a trail with a list that has its key, which
// the READY group reads; NULL: it is no more than a candidate. Returns false when there is no such list in it.
bool reporting_refused(struct session *s, const struct shape *shape, const struct group *g,
                       const struct key *keys, struct trail *t);

// A statement was sent for the session's lookups of this shape, that answers several.
void reporting_sent(struct session *s, const struct shape *shape);
// The same: a batch of concurrent lookups has ended.
void reporting_batch(const struct batch *b);

// The rows of a result come, of this statement, which has asked this. It is noted in *c whether the statement has a key.
void reporting_read(struct session *s, struct trail_columns *c, const struct shape *text, uint64_t question);
// Its columns are described by the body of a RowDescription.
void reporting_described(struct session *s, const struct trail_columns *c, const uint8_t *body, size_t len);

// The catalogue has answered about a lookup: keeps the names that it tells, and frees them.
void reporting_vetted(struct session *s, struct vet_result *r);

#endif
