// SPDX-License-Identifier: PostgreSQL
#include "batching/session/unnamed.h"

#include "batching/session/engine.h"
#include "batching/session/expected.h"
#include "batching/session/owed.h"
#include "batching/session/session.h"
#include "batching/session/statements.h"
#include "batching/session/wire.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

bool session_unnamed_fits(const struct session *s) {
    // A Close of the client's that is on the way may still fail. Either way the server and the client will
    // agree, whatever an earlier unit's end says of the server's statement.
    if (!s->names.unnamed)
        return !s->names.server_has_unnamed ||
               (s->names.closing && session_expects(s, EXPECT_CLOSE, s->names.closing));
    if (!s->names.unnamed->confirmed) // its Parse is on the way: the two will agree
        return true;
    return s->names.server_has_unnamed && s->names.server_unnamed == s->names.unnamed->shape;
}

// This is a unit of its own: if it fails, the client's unit behind it must not be skipped.
bool session_restore_unnamed(struct session *s, struct shape *wanted) {
    struct buf *b = &s->engine->request;
    struct slice unnamed = {0};
    buf_reset(b);
    if (wanted)
        write_parse(b, unnamed, (struct slice){(uint8_t *)wanted->text, wanted->text_len}, wanted->types,
                    wanted->n_types);
    else
        write_close(b, 'S', unnamed);
    write_empty(b, F_SYNC);
    if (b->failed || !owed_push(s, OWED_SETUP)) {
        session_fail(s, "53200", "out of memory");
        return false;
    }
    session_note_unnamed(s, wanted, wanted);
    s->engine->effects->to_server(s->owner, b->data, b->len, true);
    return true;
}
