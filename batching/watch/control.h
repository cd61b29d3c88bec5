// SPDX-License-Identifier: PostgreSQL
//
// Statements about the settings of a test, and about tags, which pgfold answers itself and the server never sees:
//
//   SET [SESSION | LOCAL] pgfold.expect { = | TO } { 'value' | DEFAULT }       RESET pgfold.expect
//   SELECT set_config('pgfold.expect', 'value', false)
//   SELECT current_setting('pgfold.counts' [, true])                          SHOW pgfold.counts
//
// and the same for pgfold.scope and pgfold.tags. A pure function of the text.
#ifndef PGFOLD_BATCHING_WATCH_CONTROL_H
#define PGFOLD_BATCHING_WATCH_CONTROL_H

#include <stdbool.h>

#include "protocol/message.h"

enum control_verb { CONTROL_NONE, CONTROL_SET, CONTROL_RESET, CONTROL_SHOW, CONTROL_READ, CONTROL_CONFIG };
enum control_setting { CONTROL_EXPECT, CONTROL_SCOPE, CONTROL_COUNTS, CONTROL_TAGS };

#define CONTROL_LONGEST 4096 // bytes of such a text

struct control {
    enum control_verb verb;
    enum control_setting setting;
    struct slice value; // SET, CONFIG: without its quotes; borrowed from the text, or from `undoubled`
    uint8_t undoubled[CONTROL_LONGEST];
};

// Reads the text. Returns false when it is another statement, or is written in another way: it is the server's then,
// which takes such settings for custom ones.
bool control_read(struct slice text, struct control *c) __attribute__((warn_unused_result));

// The name of the column that the answer has; NULL: it has no row.
const char *control_column(const struct control *c);
// The tag of its CommandComplete. Both are static.
const char *control_tag(const struct control *c);

#endif
