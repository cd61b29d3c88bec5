// SPDX-License-Identifier: PostgreSQL
#include "batching/session/wire.h"

#include <string.h>

#include "batching/session/engine.h"
#include "batching/session/reporting.h"
#include "batching/session/session.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

void session_fail(struct session *s, const char *sqlstate, const char *message) {
    struct buf *b = &s->engine->answer;
    buf_reset(b);
    write_error(b, "FATAL", sqlstate, message, NULL, NULL);
    if (!s->server_skip && !b->failed) // not into the middle of a message
        s->engine->effects->to_client(s->owner, b->data, b->len, false);
    s->failed = true;
}

size_t session_largest_message(const struct session *s) {
    const struct engine_limits *l = &s->engine->limits;
    size_t largest = l->max_text + 65536;
    return l->max_answer > largest ? l->max_answer : largest;
}

// Encodings in which the second byte of a character may have the value of a quote or a backslash
// (src/include/mb/pg_wchar.h).
static bool encoding_hides_quotes(struct slice value) {
    static const char *const encodings[] = {"SJIS",    "BIG5",  "GBK",           "UHC",
                                            "GB18030", "JOHAB", "SHIFT_JIS_2004"};
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (slice_is(value, encodings[i], strlen(encodings[i])))
            return true;
    return false;
}

void session_parameter(struct session *s, struct slice name, struct slice value) {
    if (slice_is(name, "client_encoding", 15))
        s->encoding_hides_quotes = encoding_hides_quotes(value);
    else if (slice_is(name, "standard_conforming_strings", 27))
        s->backslash_escapes = !slice_is(value, "on", 2);
    else if (slice_is(name, "application_name", 16))
        reporting_set_application(s, value);
    s->no_scan = s->encoding_hides_quotes || s->backslash_escapes;
}
