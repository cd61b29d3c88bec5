// SPDX-License-Identifier: PostgreSQL
#include "batching/talk/feed.h"

#include "batching/session/engine.h"
#include "batching/session/session.h"
#include "batching/talk/classify.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "protocol/write.h"

void feed_to_server(struct feed *f, bool more) {
    if (f->at > f->run)
        f->s->engine->effects->to_server(f->s->owner, f->bytes + f->run, f->at - f->run, more);
    f->run = f->at;
}

const struct statement_class *feed_classify(struct feed *f, struct slice text) {
    if (!f->classified)
        f->query = classify_query(f->s, text);
    f->classified = true;
    return &f->query;
}

void feed_ask_for_replies(struct feed *f) {
    struct session *s = f->s;
    struct buf *b = &s->engine->request;
    feed_to_server(f, true);
    if (!s->in_unit)
        return;
    buf_reset(b);
    write_empty(b, F_FLUSH);
    if (!b->failed)
        s->engine->effects->to_server(s->owner, b->data, b->len, true);
}

void feed_to_client(struct feed *f, bool more) {
    if (f->at > f->run && !f->s->client_gone)
        f->s->engine->effects->to_client(f->s->owner, f->bytes + f->run, f->at - f->run, more);
    f->run = f->at;
}
