// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/clear_take.h"

#include <string.h>

#include "batching/session/cancel_request.h"
#include "batching/session/cleared.h"
#include "batching/session/engine.h"
#include "batching/session/pooler.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/watched.h"
#include "batching/statement/parse.h"
#include "batching/statement/script.h"
#include "batching/statement/shape.h"
#include "batching/talk/answer.h"
#include "batching/talk/extended.h"
#include "protocol/message.h"
#include "protocol/write.h"

#define VOID_OID    2278
#define MAX_PART    64
#define UNLOCK_NAME "pg_advisory_unlock_all"

// The words of a statement in small letters, with one space between them. False: it is longer than all that are known.
static bool words_of(struct slice part, char *words) {
    size_t n = 0;
    for (size_t i = 0; i < part.len; i++) {
        char c = (char)part.data[i];
        bool blank = c == ' ' || (c >= '\t' && c <= '\r');
        if (blank && n && words[n - 1] == ' ')
            continue;
        if (n == MAX_PART - 1)
            return false;
        words[n++] = blank ? ' ' : c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    words[n] = 0;
    return true;
}

// The result of a function that returns void: a row with an empty value.
static void put_unlocked(struct buf *b) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 1);
    buf_put_str(b, UNLOCK_NAME);
    buf_put_u32(b, 0); // no column of a table
    buf_put_u16(b, 0);
    buf_put_u32(b, VOID_OID);
    buf_put_u16(b, 4);
    buf_put_u32(b, UINT32_MAX);
    buf_put_u16(b, 0);
    write_end(b, at);
    at = write_begin(b, B_DATA_ROW);
    buf_put_u16(b, 1);
    buf_put_u32(b, 0);
    write_end(b, at);
    write_complete(b, "SELECT 1");
}

// Answers one of the text's statements. False: it is none of those that are known.
static bool put_part(struct buf *b, struct slice part) {
    static const struct {
        const char *words, *tag;
    } known[] = {{"reset all", "RESET"}, {"close all", "CLOSE CURSOR ALL"}, {"unlisten *", "UNLISTEN"}};
    char words[MAX_PART];
    if (!words_of(part, words))
        return false;
    if (strcmp(words, "select " UNLOCK_NAME "()") == 0 ||
        strcmp(words, "select pg_catalog." UNLOCK_NAME "()") == 0) {
        put_unlocked(b);
        return true;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(words, known[i].words) != 0)
            continue;
        write_complete(b, known[i].tag);
        return true;
    }
    return false;
}

static bool put_answer(struct buf *b, struct slice text) {
    size_t at = 0;
    buf_reset(b);
    for (struct slice part = script_next(text, &at); part.len; part = script_next(text, &at))
        if (!put_part(b, part))
            return false;
    write_ready(b, 'I');
    return true;
}

// The server may be left alone.
static bool may_answer(struct session *s) {
    return s->txn == 'I' && session_is_quiet(s) && !session_is_careful(s) && !session_is_watched(s) &&
           !engine_is_forgotten(s->engine, s);
}

// A pool gives the connection to somebody else.
static void note(struct session *s) {
    bool has = s->names.server_has_unnamed; // it does not hear of this
    extended_drop_unnamed(s);
    session_note_unnamed(s, has, NULL);
    reporting_reset_tags(s);
    if (!s->answered_since)
        s->answered_since = s->engine->now ? s->engine->now : 1;
}

enum take clear_take(struct feed *f, const struct unit *u) {
    static const enum statement_kind kind = STATEMENT_RESET_ALL;
    struct session *s = f->s;
    const struct engine_limits *l = &s->engine->limits;
    struct buf *b = &s->engine->answer;
    if (!s->cleared || l->observe || l->verify || !may_answer(s))
        return TAKE_FORWARD;
    const struct shape *shape = feed_classify(f, u->query)->shape;
    if (!shape || shape->parsed->kind != kind || !cleared_by(s, shape) || !put_answer(b, u->query) ||
        !session_answer(s, b, &kind))
        return TAKE_FORWARD;
    note(s);
    return TAKE_TAKEN;
}
