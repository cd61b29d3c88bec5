// SPDX-License-Identifier: PostgreSQL
//
// Statements about the settings of a test, and about tags, which pgfold answers itself and the server never sees:
//
//   SET [SESSION | LOCAL] pgfold.expect { = | TO } { value | DEFAULT }         RESET pgfold.expect
//   SELECT set_config('pgfold.expect', 'value', false)
//   SELECT current_setting('pgfold.counts' [, true]) [[AS] name]               SHOW pgfold.counts
//
// and the same for pgfold.scope and pgfold.tags. The names may be quoted, constants written in any way that PostgreSQL
// has, and arguments may be parameters. A pure function of the text.
#ifndef PGFOLD_BATCHING_WATCH_CONTROL_H
#define PGFOLD_BATCHING_WATCH_CONTROL_H

#include <stdbool.h>

#include "protocol/message.h"

enum control_verb { CONTROL_NONE, CONTROL_SET, CONTROL_RESET, CONTROL_SHOW, CONTROL_READ, CONTROL_CONFIG };
enum control_setting { CONTROL_EXPECT, CONTROL_SCOPE, CONTROL_COUNTS, CONTROL_TAGS, CONTROL_UNKNOWN };

#define CONTROL_PREFIX    "pgfold." // of all these settings
#define CONTROL_LONGEST   4096      // bytes of such a text
#define CONTROL_ARGUMENTS 3

struct control {
    enum control_verb verb;
    enum control_setting setting;
    struct slice name; // of the setting; only what a parameter told
    struct slice
        value; // SET, CONFIG: without its quotes; borrowed from the text, or from `plain`. Data NULL: the default
    // The numbers of the parameters that stand for the name, the value and the flag; 0: it is written in the text.
    unsigned name_param, value_param, flag_param;
    bool bad_value;  // a parameter gave one that no constant could be: too long, or with a zero in it
    char column[64]; // that the answer has; empty: the name that PostgreSQL gives it
    uint8_t plain[CONTROL_LONGEST];
};

// Does the text name a setting of this kind, or anything that looks like one? Cheap, and seldom true.
bool control_is_named(struct slice text) __attribute__((warn_unused_result));

// May it be a call of set_config or current_setting whose first argument is a parameter? As cheap.
bool control_may_be_bound(struct slice text) __attribute__((warn_unused_result));

// Reads the text. Returns false when it is another statement, or is written in another way.
bool control_read(struct slice text, struct control *c) __attribute__((warn_unused_result));

// Puts the values of its parameters in. They are borrowed. Returns false when it is about another setting than pgfold's.
bool control_bind(struct control *c, const struct msg_bind *m) __attribute__((warn_unused_result));
unsigned control_params(const struct control *c); // how many it has

// The setting of this name. Where it is UNKNOWN: is the name of their kind all the same?
bool control_setting_of(struct slice name, enum control_setting *setting);

// Looks for one of their kind in start-up parameters that may not be set there: pgfold.scope and pgfold.tags may. Its name is
// copied, cut off. False: there is none.
bool control_bad_start(struct slice startup_params, char *name, size_t size)
    __attribute__((warn_unused_result));

// The setting's name, static; NULL: UNKNOWN.
const char *control_name(const struct control *c);

// The name of the column that the answer has; NULL: it has no row.
const char *control_column(const struct control *c);
// The tag of its CommandComplete. It is static.
const char *control_tag(const struct control *c);

#endif
