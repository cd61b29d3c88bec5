// SPDX-License-Identifier: PostgreSQL
//
// The messages of the extended protocol, while they are forwarded one by one: Parse, Bind, Describe, Execute
// and Close. The files talk/forward.c and talk/feed.c send the bytes; here is noted what each message does to
// the client's prepared statements and portals.
//
// pgfold may have answered a Parse itself, so that the server lacks the statement. It is given to the server
// in front of the message that needs it (session/lazy.h). When that turns out to be refused, the message that
// needs it is refused in the server's place (talk/given.h).
//
// A message whose body makes no sense is forwarded all the same: the server refuses it and skips the rest of
// the unit. Since that is not certain, nothing is known of the session's state after it.
#ifndef PGFOLD_BATCHING_TALK_EXTENDED_H
#define PGFOLD_BATCHING_TALK_EXTENDED_H

#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/talk/feed.h"

// Notes the message at f->at, which is there whole, in the unit that is open; puts in front of it what it
// needs. With s->hold.unit set the message has to wait. With f->drop set it is not for the server.
void extended_forward(struct feed *f, const struct frame *fr);

// The same for a Parse or Bind that is too large to be kept, such as one with a long list of rows. Only its
// first bytes are read: they hold the names.
void extended_forward_large(struct feed *f, const struct frame *fr);

// Before a unit is opened: closes the server's unnamed statement if the client believes that there is none.
// False: the session failed.
bool extended_restore_unnamed(struct feed *f, const struct frame *fr);

// Reads a zero-terminated string at offset *at of the message at f->at, and moves *at behind it. False: its
// end has not come. The slice borrows from the input.
bool extended_read_name(const struct feed *f, size_t *at, struct slice *out);

// Notes which statement the unnamed portal runs from now on, and takes a reference of its own. NULL: none, or
// an unknown one.
void extended_set_portal(struct session *s, struct statement *st);

// "A simple Query message also destroys the unnamed statement", and the unnamed portal with it.
void extended_drop_unnamed(struct session *s);

// Notes a message whose body makes no sense.
void extended_note_unreadable(struct session *s);

#endif
