// SPDX-License-Identifier: PostgreSQL
//
// The library behind `pgfold explain`: it tells in words what becomes of a statement, and why. It uses the
// same shapes, groups and vetting as the engine, so both always agree. The connection to a server belongs to
// proxy/explain.c.
//
//   x = explainer_create()
//   for each statement:
//       explain_learn(x, text)                       all of them teach which parameters vary
//   for each statement:
//       explain_statement(x, text, &e)
//       with a server:
//           explain_write_vet(&e, out)
//           vetting_feed(e.group->vetting, reply)    for each reply
//           explain_vetted(x, &e)
//       explain_report(&e, out)
#ifndef PGFOLD_BATCHING_EXPLAIN_H
#define PGFOLD_BATCHING_EXPLAIN_H

#include "batching/fold/group.h"

struct explainer;

struct explanation {
    struct slice text; // borrowed from the caller
    bool extended;     // it has parameters
    enum reason reason;
    struct shape *shape; // borrowed from the explainer; NULL: the statement has none
    struct group *group; // borrowed from the explainer; NULL: the statement is no lookup
    struct shape_text values;
    bool vetted;
    const char *refusal; // after vetting: why it does not fold; NULL: it folds
    bool discreet;       // the caller's wish: no value of a constant is told
};

struct engine;

struct explainer *explainer_create(void);    // NULL: out of memory
void explainer_destroy(struct explainer *x); // takes NULL

void explain_learn(struct explainer *x, struct slice text);
void explain_statement(struct explainer *x, struct slice text, struct explanation *e);

// Writes the messages that vet a lookup, up to Sync. Returns false when a name cannot be quoted safely or
// memory is out.
bool explain_write_vet(struct explanation *e, struct buf *out) __attribute__((warn_unused_result));
void explain_vetted(struct explainer *x, struct explanation *e);

// Appends the folded statement of a group that folds. It leaves out the condition of a seal (seal.h), which
// does not change the plan. Returns false when the statement cannot be written.
bool explain_write_folded(const struct explanation *e, struct buf *out) __attribute__((warn_unused_result));
// Appends the report as lines, each with its line end.
void explain_report(const struct explanation *e, struct buf *out);

// Appends what the catalogue has said to an engine about statements like this one, whose constants may be others.
void explain_known(const struct explanation *e, const struct engine *engine, struct buf *out);

// What a table that was not found, or another refusal, asks of the user; NULL: nothing. The text is static.
const char *explain_remedy(const char *refusal);

// Returns advice for the reason with this name, or NULL when there is nothing to say. The text is static.
const char *explain_advice(const char *reason);

#endif
