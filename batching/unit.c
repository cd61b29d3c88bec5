// SPDX-License-Identifier: PostgreSQL
#include "batching/unit.h"

#include <string.h>

#include "protocol/frame.h"

// The frame at *at if it is of this type and all there. `state` says why not.
static bool next_frame(const uint8_t *bytes, size_t len, size_t max, size_t *at, struct frame *f,
                       enum unit_result *state) {
    enum frame_result r = frame_header(bytes + *at, len - *at, f);
    if (r == FRAME_MALFORMED || (r == FRAME_OK && *at + f->size > max)) {
        *state = UNIT_OTHER;
        return false;
    }
    if (r == FRAME_INCOMPLETE || *at + f->size > len) {
        *state = len - *at >= max ? UNIT_OTHER : UNIT_PARTIAL;
        return false;
    }
    *at += f->size;
    return true;
}

static bool parse_fits(const struct frame *f, struct unit *u) {
    u->has_parse = true;
    // A named Parse is forwarded always: the statement then exists on the session's own connection.
    return msg_parse_read(f->body, f->body_len, &u->parse) && u->parse.name.len == 0;
}

static bool bind_fits(const struct frame *f, struct unit *u) {
    return msg_bind_read(f->body, f->body_len, &u->bind) && u->bind.portal.len == 0 &&
           (!u->has_parse || u->bind.statement.len == 0);
}

static bool describe_fits(const struct frame *f, struct unit *u) {
    struct msg_target d;
    u->has_describe = true;
    return msg_target_read(f->body, f->body_len, &d) && d.kind == 'P' && d.name.len == 0;
}

static bool execute_fits(const struct frame *f, struct unit *u) {
    struct msg_execute e;
    if (!msg_execute_read(f->body, f->body_len, &e) || e.portal.len != 0)
        return false;
    if (e.max_rows != 0) {
        u->why = REASON_ROW_LIMIT;
        return false;
    }
    return true;
}

// The messages of an extended lookup, in order; `Parse` and `Describe` may be missing.
static enum unit_result read_extended(const uint8_t *bytes, size_t len, size_t max, struct unit *u) {
    static const char order[] = {F_PARSE, F_BIND, F_DESCRIBE, F_EXECUTE, F_SYNC};
    bool (*const fits[])(const struct frame *, struct unit *) = {parse_fits, bind_fits, describe_fits,
                                                                 execute_fits};
    size_t at = 0;
    struct frame f;
    enum unit_result state = UNIT_OTHER;
    for (unsigned step = 0; step < sizeof order;) {
        if (at == len)
            return UNIT_PARTIAL;
        if (bytes[at] != (uint8_t)order[step]) {
            bool optional = order[step] == F_PARSE || order[step] == F_DESCRIBE;
            if (!optional)
                return UNIT_OTHER;
            step++;
            continue;
        }
        if (!next_frame(bytes, len, max, &at, &f, &state))
            return state;
        if (order[step] == F_SYNC ? f.body_len != 0 : !fits[step](&f, u))
            return UNIT_OTHER;
        step++;
    }
    u->size = at;
    return UNIT_EXTENDED;
}

enum unit_result unit_read(const uint8_t *bytes, size_t len, size_t max, struct unit *u) {
    *u = (struct unit){.why = REASON_FRAMING};
    if (len == 0)
        return UNIT_PARTIAL;
    if (bytes[0] == F_PARSE || bytes[0] == F_BIND)
        return read_extended(bytes, len, max, u);
    if (bytes[0] != F_QUERY) {
        u->why = REASON_FRAMING;
        return UNIT_OTHER;
    }
    struct frame f;
    enum unit_result state;
    if (!next_frame(bytes, len, max, &u->size, &f, &state)) {
        u->why = REASON_TEXT_TOO_LONG;
        return state;
    }
    return msg_query_read(f.body, f.body_len, &u->query) ? UNIT_SIMPLE : UNIT_OTHER;
}
