// SPDX-License-Identifier: PostgreSQL
//
// Names of models and relations, as an application would derive them from those of tables and columns:
// "public.book_reviews" is BookReview, many of them book_reviews. They are guesses, by rules of English.
#ifndef PGFOLD_BATCHING_REPORT_WORDING_H
#define PGFOLD_BATCHING_REPORT_WORDING_H

#include <stdbool.h>

#define WORDING_LONGEST 80 // bytes of a name, with its zero; longer ones are cut

// All write WORDING_LONGEST bytes at most. `name`: perhaps with a schema, and quoted; "" gives "".
void wording_bare(const char *name, char *out);     // without schema and quotes
void wording_singular(const char *name, char *out); // book_review
void wording_plural(const char *name, char *out);   // book_reviews
void wording_class(const char *name, char *out);    // BookReview

// The relation that a foreign key's column names: author of author_id, authorId, author_uuid. Returns false when it names
// none.
bool wording_relation(const char *column, char *out);

#endif
