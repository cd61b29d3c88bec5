// SPDX-License-Identifier: PostgreSQL
//
// Do a loop's keys come from this list, although the catalogue does not say so? Lists of serial numbers have each other's
// keys by chance, and in the same order. So that five lookups went through its rows one after the other is not enough.
#ifndef PGFOLD_BATCHING_REPORT_EVIDENCE_H
#define PGFOLD_BATCHING_REPORT_EVIDENCE_H

#include "batching/ahead/place.h"

struct naming;
struct shape;

#define EVIDENCE_STEPS 5 // rows one after the other

// Have so many lookups gone through the list, and does no foreign key of their column to another table speak against it? Then
// one of these must speak for it.
bool evidence_is_due(const struct guess *w, const struct group *g);

// The names agree: author_id and a table author or authors, or the same name in both. `list`: the statement of the list; NULL:
// not known. `database`: as naming.h has it.
bool evidence_in_names(const struct guess *w, const struct group *g, const struct shape *list,
                       const struct naming *names, uint64_t database);

// What went through the list is half of it, and its values are no numbers in steps.
bool evidence_in_values(const struct guess *w);

#endif
