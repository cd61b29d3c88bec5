// SPDX-License-Identifier: PostgreSQL
#include "protocol/write.h"

#include <stdio.h>
#include <string.h>

size_t write_begin(struct buf *b, char type) {
    buf_put_u8(b, (uint8_t)type);
    size_t at = b->len;
    buf_put_u32(b, 0);
    return at;
}

void write_end(struct buf *b, size_t begin) {
    buf_set_u32(b, begin, (uint32_t)(b->len - begin));
}

static void put_string(struct buf *b, struct slice s) {
    buf_put(b, s.data, s.len);
    buf_put_u8(b, 0);
}

void write_empty(struct buf *b, char type) {
    write_end(b, write_begin(b, type));
}

void write_query(struct buf *b, const char *text, size_t len) {
    size_t at = write_begin(b, F_QUERY);
    put_string(b, (struct slice){(const uint8_t *)text, len});
    write_end(b, at);
}

void write_parse(struct buf *b, struct slice name, struct slice text, const uint32_t *types,
                 unsigned n_types) {
    write_parse_at(b, name, 0, text, types, n_types);
}

void write_parse_at(struct buf *b, struct slice name, unsigned blanks, struct slice text,
                    const uint32_t *types, unsigned n_types) {
    size_t at = write_begin(b, F_PARSE);
    put_string(b, name);
    while (blanks--)
        buf_put_u8(b, ' ');
    put_string(b, text);
    buf_put_u16(b, (uint16_t)n_types);
    for (unsigned i = 0; i < n_types; i++)
        buf_put_u32(b, types[i]);
    write_end(b, at);
}

static void write_target(struct buf *b, char type, char kind, struct slice name) {
    size_t at = write_begin(b, type);
    buf_put_u8(b, (uint8_t)kind);
    put_string(b, name);
    write_end(b, at);
}

void write_describe(struct buf *b, char kind, struct slice name) {
    write_target(b, F_DESCRIBE, kind, name);
}

void write_close(struct buf *b, char kind, struct slice name) {
    write_target(b, F_CLOSE, kind, name);
}

void write_execute_all(struct buf *b, struct slice portal) {
    size_t at = write_begin(b, F_EXECUTE);
    put_string(b, portal);
    buf_put_u32(b, 0);
    write_end(b, at);
}

void write_ready(struct buf *b, char status) {
    size_t at = write_begin(b, B_READY_FOR_QUERY);
    buf_put_u8(b, (uint8_t)status);
    write_end(b, at);
}

void write_complete(struct buf *b, const char *tag) {
    size_t at = write_begin(b, B_COMMAND_COMPLETE);
    buf_put_str(b, tag);
    write_end(b, at);
}

void write_select_complete(struct buf *b, unsigned long rows) {
    char tag[32];
    snprintf(tag, sizeof tag, "SELECT %lu", rows);
    write_complete(b, tag);
}

static void put_field(struct buf *b, char code, const char *value) {
    if (!value)
        return;
    buf_put_u8(b, (uint8_t)code);
    buf_put_str(b, value);
}

static void write_response(struct buf *b, char type, const char *severity, const char *sqlstate,
                           const char *message, const char *detail, const char *hint) {
    size_t at = write_begin(b, type);
    put_field(b, 'S', severity);
    put_field(b, 'V', severity);
    put_field(b, 'C', sqlstate);
    put_field(b, 'M', message);
    put_field(b, 'D', detail);
    put_field(b, 'H', hint);
    buf_put_u8(b, 0);
    write_end(b, at);
}

void write_error(struct buf *b, const char *severity, const char *sqlstate, const char *message,
                 const char *detail, const char *hint) {
    write_response(b, B_ERROR, severity, sqlstate, message, detail, hint);
}

void write_warning(struct buf *b, const char *sqlstate, const char *message, const char *detail,
                   const char *hint) {
    write_response(b, B_NOTICE, "WARNING", sqlstate, message, detail, hint);
}

void write_cancel_request(struct buf *b, uint32_t pid, struct slice secret) {
    buf_put_u32(b, (uint32_t)(12 + secret.len));
    buf_put_u32(b, 80877102);
    buf_put_u32(b, pid);
    buf_put(b, secret.data, secret.len);
}
