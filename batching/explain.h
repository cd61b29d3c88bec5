// SPDX-License-Identifier: PostgreSQL
//
// `pgfold explain`: what becomes of a statement, and why, in words. Uses what the engine uses (shapes,
// groups, vetting), so that both say the same; the connection to a server is proxy/explain.c's.
//
//   x = explainer_create()
//   for each statement: explain_learn(x, text)     which parameters vary is learnt from all of them
//   for each statement:
//     e = explain_statement(x, text)
//     explain_write_vet(e, out), vetting_feed(e->group->vetting, reply) …, explain_vetted(x, e)    with a
//     server explain_report(x, e, out)
#ifndef PGFOLD_BATCHING_EXPLAIN_H
#define PGFOLD_BATCHING_EXPLAIN_H

#include "batching/fold/group.h"

struct explainer;

struct explanation {
    struct slice text; // borrowed
    bool extended;     // it has parameters
    enum reason reason;
    struct shape *shape; // borrowed from the explainer; NULL: it has none
    struct group *group; // borrowed from the explainer; NULL: it is no lookup
    struct shape_text values;
    bool vetted;
    const char *refusal; // vetted: why not; NULL: it folds
};

struct explainer *explainer_create(void);    // NULL: out of memory
void explainer_destroy(struct explainer *x); // takes NULL

void explain_learn(struct explainer *x, struct slice text);
void explain_statement(struct explainer *x, struct slice text, struct explanation *e);

// The messages to send for a lookup, up to Sync. False: a name cannot be quoted safely, or no memory.
bool explain_write_vet(struct explanation *e, struct buf *out) __attribute__((warn_unused_result));
void explain_vetted(struct explainer *x, struct explanation *e);

// Appends the folded statement of a group that folds, without the condition of a seal (seal.h), which changes
// nothing about its plan. False: it cannot be written.
bool explain_write_folded(const struct explanation *e, struct buf *out) __attribute__((warn_unused_result));
// Appends the report, lines with line ends.
void explain_report(const struct explanation *e, struct buf *out);

// What to do about a reason, by its name; NULL: nothing is to be said.
const char *explain_advice(const char *reason);

#endif
