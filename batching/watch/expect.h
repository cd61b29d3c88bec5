// SPDX-License-Identifier: PostgreSQL
//
// What a test expects of its statements, as it writes it in the setting pgfold.expect:
//
//   loops=0 statements<=3
//
// Words are separated by blanks or commas. Each is a metric, "=" or "<=", and a number; or loops=warn: a loop
// brings a notice and no error. Who expects no loops expects no REPEATS of one shape either, unless it says how many.
// Nothing here allocates.
#ifndef PGFOLD_BATCHING_WATCH_EXPECT_H
#define PGFOLD_BATCHING_WATCH_EXPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/buf.h"
#include "protocol/message.h"

//   name, in the setting and in what is shown
#define PGFOLD_METRICS(X)                                                                                    \
    X(STATEMENTS, "statements") /* the client's, without what only frames them (section.h) */                \
    X(LOOKUPS, "lookups")       /* of these: a SELECT by a key */                                            \
    X(LOOPS, "loops")           /* shapes that were asked for with keys of one list, one after the other */  \
    X(REPEATS, "repeats")       /* the most different keys with which one shape was asked for */

#define EXPECT_REPEATS 5 // lookups of one shape with different keys, which no list has, that count as a loop

enum metric {
#define X(id, name) METRIC_##id,
    PGFOLD_METRICS(X)
#undef X
        METRIC_COUNT
};

struct expectation {
    struct {
        bool set, exact; // exact: so many, no more and no less
        uint32_t most;
    } of[METRIC_COUNT];
    bool warns; // loops=warn
};

// Reads the setting's text. An empty text expects nothing. Returns false when it is none; *bad is the word that is not
// understood, a slice of the text.
bool expectation_read(struct slice text, struct expectation *e, struct slice *bad)
    __attribute__((warn_unused_result));

// Appends it as it would be written in the setting.
void expectation_write(const struct expectation *e, struct buf *out);

// Tells whether anything is expected.
bool expectation_is_set(const struct expectation *e);

// Static.
const char *metric_name(enum metric m);

#endif
