// SPDX-License-Identifier: PostgreSQL
//
// Is a SELECT a plain read, which leaves its session as it is? Who knows, and who is asked.
#ifndef PGFOLD_BATCHING_TALK_READS_H
#define PGFOLD_BATCHING_TALK_READS_H

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/talk/feed.h"

// What is known of a SELECT's effects on the session that runs it.
enum read_effect {
    READ_PLAIN,
    READ_DOUBTFUL,
    READ_BEING_VETTED // `vetting` knows when the catalogue has answered
};

// Is this SELECT a plain read? If nobody knows yet, the catalogue is asked in front of it, so that it cannot
// change the answer.
enum read_effect reads_effect(struct feed *f, struct shape *shape, struct group **vetting);

// A group that is too old, or was vetted under other definitions, starts anew.
void reads_refresh_group(struct engine *e, struct group *g);

// A SELECT's effect, decided before its unit is opened, and noted in the unit's entry afterwards.
struct read_judgement {
    enum read_effect effect;
    struct group *vetting;
    bool may_write; // DOUBTFUL
};

void reads_pin_group(struct owed *o, struct group *g);
bool reads_can_judge(const struct session *s);
struct read_judgement reads_judge_query(struct feed *f, enum statement_kind kind, struct shape *shape);
void reads_note_judged(struct session *s, struct owed *o, const struct read_judgement *n);
struct read_judgement reads_judge_cursor(struct feed *f, struct slice text);
void reads_note_execute(struct session *s, struct owed *o, struct shape *shape);
bool reads_note_execute_cursor(struct session *s, struct owed *o, const struct shape *shape);

#endif
