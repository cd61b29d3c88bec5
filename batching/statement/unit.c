// SPDX-License-Identifier: PostgreSQL
//
// A reader that goes through the messages of a unit in stages.
#include "batching/statement/unit.h"

#include <string.h>

#include "protocol/frame.h"

// What was read of an extended unit so far.
enum stage {
    STAGE_START,
    STAGE_PARSED,
    STAGE_DESCRIBED,
    STAGE_BOUND,
    STAGE_PORTAL_DESCRIBED,
    STAGE_EXECUTED
};

struct reader {
    const uint8_t *bytes;
    size_t len, max, at;
    struct unit *u;
    enum stage stage;
    unsigned n_parts; // before this one
};

// Reads the frame at r->at if it is complete, and moves behind it. Otherwise *state says why not.
static bool next_frame(struct reader *r, struct frame *f, enum unit_result *state) {
    enum frame_result result = frame_header(r->bytes + r->at, r->len - r->at, f);
    if (result == FRAME_MALFORMED || (result == FRAME_OK && r->at + f->size > r->max)) {
        *state = UNIT_OTHER;
        return false;
    }
    if (result == FRAME_INCOMPLETE || r->at + f->size > r->len) {
        *state = r->len - r->at >= r->max ? UNIT_OTHER : UNIT_PARTIAL;
        return false;
    }
    r->at += f->size;
    return true;
}

static bool same_name(struct slice a, struct slice b) {
    return a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0);
}

// Begins the next statement of the same unit. Its Parse must be of the unnamed statement: named ones are made
// at known places only.
static bool next_part(struct reader *r) {
    struct unit *u = r->u;
    if (r->stage != STAGE_EXECUTED)
        return true;
    bool named = u->has_parse && u->parse.name.len;
    *u = (struct unit){.why = REASON_FRAMING};
    r->stage = STAGE_START;
    r->n_parts++;
    return !named;
}

static bool take_parse(struct reader *r, const struct frame *f) {
    if (!next_part(r) || r->stage != STAGE_START || !msg_parse_read(f->body, f->body_len, &r->u->parse))
        return false;
    r->u->has_parse = true;
    r->stage = STAGE_PARSED;
    return !r->n_parts || !r->u->parse.name.len;
}

static bool take_bind(struct reader *r, const struct frame *f) {
    struct unit *u = r->u;
    if (!next_part(r) || r->stage > STAGE_PARSED || !msg_bind_read(f->body, f->body_len, &u->bind) ||
        u->bind.portal.len)
        return false;
    u->bind_at = r->at - f->size;
    r->stage = STAGE_BOUND;
    return !u->has_parse || same_name(u->bind.statement, u->parse.name);
}

static bool take_describe(struct reader *r, const struct frame *f) {
    struct msg_target d;
    if (!msg_target_read(f->body, f->body_len, &d))
        return false;
    r->u->has_describe = true;
    if (r->stage == STAGE_PARSED) {
        r->stage = STAGE_DESCRIBED;
        return !r->n_parts && d.kind == 'S' && same_name(d.name, r->u->parse.name);
    }
    bool fits = r->stage == STAGE_BOUND && d.kind == 'P' && !d.name.len;
    r->stage = STAGE_PORTAL_DESCRIBED;
    return fits;
}

static bool take_execute(struct reader *r, const struct frame *f) {
    struct msg_execute e;
    if (r->stage < STAGE_BOUND || r->stage == STAGE_EXECUTED || !msg_execute_read(f->body, f->body_len, &e) ||
        e.portal.len)
        return false;
    r->u->max_rows = e.max_rows;
    r->stage = STAGE_EXECUTED;
    return true;
}

// Behind the Execute. A Close of a statement must reach the server, where a folded lookup does not go.
static bool take_close(struct reader *r, const struct frame *f) {
    struct unit *u = r->u;
    struct msg_target c;
    if (r->stage != STAGE_EXECUTED || !msg_target_read(f->body, f->body_len, &c) || c.name.len)
        return false;
    u->n_closes++;
    return c.kind == 'P' && u->n_closes <= UNIT_MAX_CLOSES;
}

static bool take_flush(const struct reader *r) {
    return r->stage >= STAGE_BOUND && r->at < r->len; // else the client may wait for what it asks for
}

static bool take_message(struct reader *r, const struct frame *f) {
    switch (f->type) {
    case F_PARSE:
        return take_parse(r, f);
    case F_BIND:
        return take_bind(r, f);
    case F_DESCRIBE:
        return take_describe(r, f);
    case F_EXECUTE:
        return take_execute(r, f);
    case F_CLOSE:
        return take_close(r, f);
    case F_FLUSH:
        return take_flush(r);
    default:
        return false;
    }
}

// The statement is prepared, and this is the type of the next message. Tells whether the part that can be
// answered now ends here.
static bool ends_prepare(const struct reader *r, uint8_t type) {
    return r->stage == STAGE_DESCRIBED ||
           (r->stage == STAGE_PARSED && !r->n_parts && (type == F_SYNC || type == F_FLUSH));
}

static enum unit_result end_prepare(struct reader *r, uint8_t type) {
    struct frame f;
    enum unit_result state;
    if (type == F_SYNC || type == F_FLUSH) {
        if (!next_frame(r, &f, &state))
            return state;
        if (f.body_len)
            return UNIT_OTHER;
    }
    r->u->sync = type == F_SYNC;
    r->u->size = r->at;
    return UNIT_PREPARE;
}

static enum unit_result read_extended(struct reader *r) {
    struct frame f;
    enum unit_result state = UNIT_OTHER;
    for (;;) {
        if (r->at == r->len)
            return UNIT_PARTIAL;
        uint8_t type = r->bytes[r->at];
        if (ends_prepare(r, type))
            return end_prepare(r, type);
        if (!next_frame(r, &f, &state))
            return state;
        if (type == F_SYNC)
            break;
        if (!take_message(r, &f))
            return UNIT_OTHER;
    }
    r->u->size = r->at;
    if (r->stage != STAGE_EXECUTED || f.body_len)
        return UNIT_OTHER;
    return r->n_parts ? UNIT_PIPELINE : UNIT_EXTENDED;
}

bool unit_part(const uint8_t *bytes, size_t len, size_t *at, struct unit *u) {
    struct reader r = {.bytes = bytes + *at, .len = len - *at, .max = len, .u = u};
    struct frame f;
    enum unit_result state;
    *u = (struct unit){.why = REASON_FRAMING};
    while (r.at < r.len) {
        uint8_t type = r.bytes[r.at];
        if (type == F_SYNC || (r.stage == STAGE_EXECUTED && (type == F_PARSE || type == F_BIND)))
            break;
        if (!next_frame(&r, &f, &state) || (type != F_FLUSH && !take_message(&r, &f)))
            return false;
    }
    u->size = r.at;
    *at += r.at;
    return r.stage == STAGE_EXECUTED;
}

static enum unit_result read_close_message(struct reader *r) {
    struct frame f;
    enum unit_result state = UNIT_OTHER;
    if (!next_frame(r, &f, &state))
        return state;
    if (!msg_target_read(f.body, f.body_len, &r->u->closing) || r->u->closing.kind != 'S')
        return UNIT_OTHER;
    if (r->at == r->len)
        return UNIT_PARTIAL;
    if (r->bytes[r->at] != F_SYNC)
        return UNIT_OTHER;
    if (!next_frame(r, &f, &state))
        return state;
    r->u->size = r->at;
    return f.body_len ? UNIT_OTHER : UNIT_CLOSE;
}

static enum unit_result read_execute(struct reader *r) {
    struct frame f;
    struct msg_execute e;
    enum unit_result state = UNIT_OTHER;
    r->u->why = REASON_FRAMING;
    if (!next_frame(r, &f, &state))
        return state;
    if (!msg_execute_read(f.body, f.body_len, &e) || e.portal.len)
        return UNIT_OTHER;
    r->u->size = r->at;
    r->u->sync = r->at < r->len && r->bytes[r->at] == F_SYNC && next_frame(r, &f, &state) && !f.body_len;
    if (r->u->sync)
        r->u->size = r->at;
    return UNIT_EXECUTE;
}

static enum unit_result read_one(struct reader *r, enum unit_result kind) {
    struct frame f;
    enum unit_result state = UNIT_OTHER;
    if (!next_frame(r, &f, &state))
        return state;
    r->u->size = r->at;
    if (kind == UNIT_SYNC)
        return f.body_len ? UNIT_OTHER : UNIT_SYNC;
    r->u->why = REASON_FRAMING;
    return msg_query_read(f.body, f.body_len, &r->u->query) ? UNIT_SIMPLE : UNIT_OTHER;
}

enum unit_result unit_read(const uint8_t *bytes, size_t len, size_t max, struct unit *u) {
    struct reader r = {.bytes = bytes, .len = len, .max = max, .u = u};
    *u = (struct unit){.why = REASON_FRAMING};
    if (len == 0)
        return UNIT_PARTIAL;
    switch (bytes[0]) {
    case F_PARSE:
    case F_BIND:
        return read_extended(&r);
    case F_CLOSE:
        return read_close_message(&r);
    case F_SYNC:
        return read_one(&r, UNIT_SYNC);
    case F_EXECUTE:
        return read_execute(&r);
    case F_QUERY:
        u->why = REASON_TEXT_TOO_LONG;
        return read_one(&r, UNIT_SIMPLE);
    default:
        return UNIT_OTHER;
    }
}

bool unit_bind(const uint8_t *bytes, size_t len, struct msg_bind *m) {
    struct frame f = {0};
    size_t at = 0;
    while (frame_read(bytes + at, len - at, &f) == FRAME_OK && f.type == F_PARSE)
        at += f.size;
    return f.type == F_BIND && msg_bind_read(f.body, f.body_len, m);
}
