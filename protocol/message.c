// SPDX-License-Identifier: PostgreSQL
//
// Readers move a cursor over the body. The cursor remembers that it ran out of bytes, so a reader takes all
// its fields and then checks once: the bytes were enough, and none is left over.
#include "protocol/message.h"

#include <string.h>

#include "protocol/buf.h"

struct cursor {
    const uint8_t *p, *end;
    bool bad;
};

static struct cursor cursor_make(const uint8_t *body, size_t len) {
    return (struct cursor){.p = body, .end = len ? body + len : body}; // an empty body may be NULL
}

static bool cursor_done(const struct cursor *c) {
    return !c->bad && c->p == c->end;
}

static const uint8_t *take(struct cursor *c, size_t len) {
    if (c->bad || (size_t)(c->end - c->p) < len) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *p = c->p;
    c->p += len;
    return p;
}

static uint8_t take_u8(struct cursor *c) {
    const uint8_t *p = take(c, 1);
    return p ? *p : 0;
}

static uint16_t take_u16(struct cursor *c) {
    const uint8_t *p = take(c, 2);
    return p ? get_u16(p) : 0;
}

static uint32_t take_u32(struct cursor *c) {
    const uint8_t *p = take(c, 4);
    return p ? get_u32(p) : 0;
}

static struct slice take_string(struct cursor *c) {
    if (c->bad)
        return (struct slice){0};
    const uint8_t *zero = c->p < c->end ? memchr(c->p, 0, (size_t)(c->end - c->p)) : NULL;
    if (!zero) {
        c->bad = true;
        return (struct slice){0};
    }
    struct slice s = {.data = c->p, .len = (size_t)(zero - c->p)};
    c->p = zero + 1;
    return s;
}

// A value with its 32-bit length in front. A length of -1 is NULL; anything else below zero is malformed.
static struct slice take_value(struct cursor *c) {
    uint32_t len = take_u32(c);
    if (len == UINT32_MAX)
        return (struct slice){0};
    struct slice s = {.data = take(c, len), .len = len};
    return c->bad ? (struct slice){0} : s;
}

bool msg_parse_read(const uint8_t *body, size_t len, struct msg_parse *m) {
    struct cursor c = cursor_make(body, len);
    m->name = take_string(&c);
    m->text = take_string(&c);
    m->n_types = take_u16(&c);
    m->types = take(&c, (size_t)m->n_types * 4);
    return cursor_done(&c);
}

bool msg_bind_read(const uint8_t *body, size_t len, struct msg_bind *m) {
    struct cursor c = cursor_make(body, len);
    m->portal = take_string(&c);
    m->statement = take_string(&c);
    m->n_param_formats = take_u16(&c);
    m->param_formats = take(&c, (size_t)m->n_param_formats * 2);
    m->n_params = take_u16(&c);
    m->params = c.p;
    for (unsigned i = 0; i < m->n_params && !c.bad; i++)
        take_value(&c);
    m->params_len = c.bad ? 0 : (size_t)(c.p - m->params);
    m->n_result_formats = take_u16(&c);
    m->result_formats = take(&c, (size_t)m->n_result_formats * 2);
    // "this can be zero …, one …, or it can equal the actual number of parameters"
    bool formats_fit = m->n_param_formats <= 1 || m->n_param_formats == m->n_params;
    return cursor_done(&c) && formats_fit;
}

uint16_t msg_bind_param_format(const struct msg_bind *m, unsigned i) {
    if (m->n_param_formats == 0)
        return 0;
    return get_u16(m->param_formats + (m->n_param_formats == 1 ? 0 : (size_t)i * 2));
}

bool msg_bind_next_param(const struct msg_bind *m, size_t *at, struct slice *value) {
    if (*at >= m->params_len)
        return false;
    struct cursor c = cursor_make(m->params + *at, m->params_len - *at);
    *value = take_value(&c);
    *at = (size_t)(c.p - m->params);
    return !c.bad;
}

bool msg_target_read(const uint8_t *body, size_t len, struct msg_target *m) {
    struct cursor c = cursor_make(body, len);
    m->kind = take_u8(&c);
    m->name = take_string(&c);
    return cursor_done(&c) && (m->kind == 'S' || m->kind == 'P');
}

bool msg_execute_read(const uint8_t *body, size_t len, struct msg_execute *m) {
    struct cursor c = cursor_make(body, len);
    m->portal = take_string(&c);
    m->max_rows = take_u32(&c);
    return cursor_done(&c);
}

bool msg_query_read(const uint8_t *body, size_t len, struct slice *text) {
    struct cursor c = cursor_make(body, len);
    *text = take_string(&c);
    return cursor_done(&c);
}

bool msg_row_read(const uint8_t *body, size_t len, struct msg_row *m) {
    struct cursor c = cursor_make(body, len);
    m->n_columns = take_u16(&c);
    if (m->n_columns == 0)
        return false;
    m->first = take_value(&c);
    if (c.bad)
        return false;
    m->rest = (struct slice){.data = c.p, .len = (size_t)(c.end - c.p)};
    return true;
}

bool msg_row_column(const uint8_t *body, size_t len, unsigned i, struct slice *value) {
    struct cursor c = cursor_make(body, len);
    unsigned n = take_u16(&c);
    for (unsigned at = 0; at < n && !c.bad; at++) {
        *value = take_value(&c);
        if (at == i)
            return !c.bad;
    }
    return false;
}

size_t msg_row_description_first(const uint8_t *body, size_t len, uint16_t *n_fields) {
    struct cursor c = cursor_make(body, len);
    size_t first = 0;
    *n_fields = take_u16(&c);
    for (unsigned i = 0; i < *n_fields && !c.bad; i++) {
        take_string(&c);
        // table OID 4, attribute number 2, type OID 4, type size 2, type modifier 4, format code 2
        take(&c, 18);
        if (i == 0 && !c.bad)
            first = (size_t)(c.p - body) - 2;
    }
    return cursor_done(&c) ? first : 0;
}

bool msg_error_field(const uint8_t *body, size_t len, char field, struct slice *value) {
    struct cursor c = cursor_make(body, len);
    for (;;) {
        uint8_t code = take_u8(&c);
        if (!code || c.bad)
            return false;
        struct slice s = take_string(&c);
        if (c.bad)
            return false;
        if (code == (uint8_t)field) {
            *value = s;
            return true;
        }
    }
}

bool msg_tag_read(const uint8_t *body, size_t len, struct slice *tag) {
    return msg_query_read(body, len, tag);
}
