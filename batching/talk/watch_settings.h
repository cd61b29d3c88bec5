// SPDX-License-Identifier: PostgreSQL
//
// Statements about pgfold's own settings (watch/control.h), which pgfold answers itself: what a test expects and has counted,
// and tags. None is without effect in silence: what sets or reads one of them in a way that is not read, or in the middle of
// other statements, is refused, with what to write instead. Texts that only have such a name in a string are not touched.
#ifndef PGFOLD_BATCHING_TALK_WATCH_SETTINGS_H
#define PGFOLD_BATCHING_TALK_WATCH_SETTINGS_H

#include "batching/session/session.h"
#include "batching/statement/unit.h"
#include "batching/talk/feed.h"
#include "protocol/message.h"

// Answers or refuses the unit at f->at. TAKE_FORWARD: it is about something else.
enum take watch_settings_take(struct feed *f, const struct unit *u, enum unit_result r);

// A Parse of this text, or a Bind of what it has prepared, is to be forwarded. If it is about such a setting, true: what the
// server refuses was sent in its place.
bool watch_settings_refuse(struct session *s, struct slice text);

// The same for a Bind that gives such a setting's name as a parameter, where pgfold cannot answer it.
bool watch_settings_refuse_bound(struct session *s, const struct statement *st, const struct msg_bind *m);

// Would pgfold answer this unit?
bool watch_settings_is_one(struct session *s, const struct unit *u, enum unit_result r);

#endif
