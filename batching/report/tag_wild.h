// SPDX-License-Identifier: PostgreSQL
//
// Names of tags whose values are others again and again: an id of the request, a time, a user. Sixteen sets that differ by
// nothing but one name's value show that. From then on its value is "(other)", so that it tells no page from the next one
// and fills no table. What says where in an application a statement comes from keeps its values, however many.
//
// Bounded: TAG_WILD_NAMES names. The counts are forgotten as others take their places.
#ifndef PGFOLD_BATCHING_REPORT_TAG_WILD_H
#define PGFOLD_BATCHING_REPORT_TAG_WILD_H

#include "batching/report/tag_text.h"

#define TAG_WILD_SETS   16
#define TAG_WILD_NAMES  16
#define TAG_WILD_COUNTS 2048

struct tag_wild {
    unsigned n;
    char names[TAG_WILD_NAMES][TAG_TEXT_NAME + 1];
    struct {
        uint64_t rest; // digest of a name, and of the set without it
        uint64_t sets;
    } counts[TAG_WILD_COUNTS];
};

// Takes the values of such names out of the set.
void tag_wild_tame(const struct tag_wild *w, struct tag_text *x);

// The set is a new one.
void tag_wild_note(struct tag_wild *w, const struct tag_text *x);

// Tells whether the text begins with such a name.
bool tag_wild_begins(const struct tag_wild *w, struct slice text);

#endif
