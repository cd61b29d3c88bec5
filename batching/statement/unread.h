// SPDX-License-Identifier: PostgreSQL
//
// A statement whose text was not read: it is too long, or new texts have taken too much time already
// (ration.h). Its first word tells what it cannot be. It may be anything else: it may write, change settings
// and definitions, end a transaction, prepare and deallocate.
#ifndef PGFOLD_BATCHING_STATEMENT_UNREAD_H
#define PGFOLD_BATCHING_STATEMENT_UNREAD_H

#include "batching/base/reason.h"
#include "protocol/message.h"

enum unread {
    UNREAD_NOTHING,    // nothing is said here
    UNREAD_WRITE,      // an INSERT and the like
    UNREAD_QUERY,      // a SELECT with whatever it calls: it neither prepares nor deallocates
    UNREAD_ANY,        // anything but
    UNREAD_DEFINITIONS // what may change definitions
};

enum unread unread_of(struct slice text); // takes the text or its beginning
// Tells whether the same may be asked for by a text that is read: a SELECT that is not too long.
bool unread_may_be_asked_again(enum unread u, enum reason why);
// Tells whether a text that has no shape for this reason was left unread.
bool unread_is_why(enum reason why);

#endif
