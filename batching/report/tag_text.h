// SPDX-License-Identifier: PostgreSQL
//
// Reads names and values of tags from a comment's text. See tags.h.
#ifndef PGFOLD_BATCHING_REPORT_TAG_TEXT_H
#define PGFOLD_BATCHING_REPORT_TAG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/message.h"

#define TAG_TEXT_PAIRS 16
#define TAG_TEXT_NAME  40  // bytes of a name; what is longer is none
#define TAG_TEXT_VALUE 200 // bytes of a value; what is longer is cut

// What a tag is about. CODE: it tells no page from another. PASSING: it differs with each request, and is left out.
enum tag_role { TAG_PAGE, TAG_FILE, TAG_LINE, TAG_CODE, TAG_PASSING };

struct tag_text {
    unsigned n;
    struct {
        char name[TAG_TEXT_NAME + 1], value[TAG_TEXT_VALUE + 1];
    } of[TAG_TEXT_PAIRS];
};

enum tag_role tag_text_role(const char *name);

// Tells whether the text begins with this name, behind blanks and a comment's signs. And: with one that is left out.
bool tag_text_begins(struct slice text, const char *name);
bool tag_text_passes(struct slice text);

// Takes the pairs from comments that stand one behind the other, or from a list of pairs.
void tag_text_comments(struct tag_text *x, struct slice comments);
void tag_text_pairs(struct tag_text *x, struct slice list);
void tag_text_add(struct tag_text *x, struct slice name, struct slice value);

// In the order of the names.
void tag_text_sort(struct tag_text *x);

// Writes them one behind the other, each with its zero, and a zero at the end. What has no room is left out. Returns the
// number of bytes.
size_t tag_text_write(const struct tag_text *x, char *out, size_t room);

// The digest of those that are no places in the code; 0: there are none.
uint64_t tag_text_page(const struct tag_text *x);

#endif
