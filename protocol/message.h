// SPDX-License-Identifier: PostgreSQL
//
// What is inside a frame's body. Each reader takes a body and fills a view that points into it. False means
// malformed: a string has no end, the body cannot hold what a count says, or bytes are left over. A caller
// that gets false forwards the message and lets PostgreSQL complain. Where it must understand the message, it
// treats the session as unreadable. See
// https://www.postgresql.org/docs/current/protocol-message-formats.html.
#ifndef PGFOLD_PROTOCOL_MESSAGE_H
#define PGFOLD_PROTOCOL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Message types by the names that the documentation gives them. F: from the client, B: from the server.
enum {
    F_BIND = 'B',
    F_CLOSE = 'C',
    F_COPY_DATA = 'd',
    F_COPY_DONE = 'c',
    F_COPY_FAIL = 'f',
    F_DESCRIBE = 'D',
    F_EXECUTE = 'E',
    F_FLUSH = 'H',
    F_FUNCTION_CALL = 'F',
    F_PARSE = 'P',
    F_PASSWORD = 'p',
    F_QUERY = 'Q',
    F_SYNC = 'S',
    F_TERMINATE = 'X',
    B_AUTHENTICATION = 'R',
    B_BACKEND_KEY_DATA = 'K',
    B_BIND_COMPLETE = '2',
    B_CLOSE_COMPLETE = '3',
    B_COMMAND_COMPLETE = 'C',
    B_COPY_BOTH = 'W',
    B_COPY_IN = 'G',
    B_COPY_OUT = 'H',
    B_DATA_ROW = 'D',
    B_EMPTY_QUERY = 'I',
    B_ERROR = 'E',
    B_NEGOTIATE_VERSION = 'v',
    B_NO_DATA = 'n',
    B_NOTICE = 'N',
    B_NOTIFICATION = 'A',
    B_PARAMETER_DESCRIPTION = 't',
    B_PARAMETER_STATUS = 'S',
    B_PARSE_COMPLETE = '1',
    B_PORTAL_SUSPENDED = 's',
    B_READY_FOR_QUERY = 'Z',
    B_ROW_DESCRIPTION = 'T',
    B_COPY_DONE = 'c',
};

struct slice {
    const uint8_t *data; // borrowed
    size_t len;
};

// SQL's NULL has no data. It differs from an empty value.
static inline bool slice_same(struct slice a, struct slice b) {
    return !a.data == !b.data && a.len == b.len && (!a.len || __builtin_memcmp(a.data, b.data, a.len) == 0);
}

static inline bool slice_is(struct slice s, const char *text, size_t len) {
    return s.len == len && (len == 0 || __builtin_memcmp(s.data, text, len) == 0);
}

struct msg_parse {
    struct slice name, text; // without their zeros
    uint16_t n_types;
    const uint8_t *types; // n_types OIDs in network order
};
bool msg_parse_read(const uint8_t *body, size_t len, struct msg_parse *m) __attribute__((warn_unused_result));

struct msg_bind {
    struct slice portal, statement;
    uint16_t n_param_formats;
    const uint8_t *param_formats; // 16-bit codes in network order
    uint16_t n_params;
    const uint8_t *params; // each: 32-bit length (-1: NULL) and bytes
    size_t params_len;
    uint16_t n_result_formats;
    const uint8_t *result_formats;
};
bool msg_bind_read(const uint8_t *body, size_t len, struct msg_bind *m) __attribute__((warn_unused_result));
// Format code of parameter i: 0 text, 1 binary. A message without codes means text for all; one code is for
// all.
uint16_t msg_bind_param_format(const struct msg_bind *m, unsigned i);

// Walks the parameters of a checked Bind. Start with *at = 0. Returns false behind the last one. A NULL has
// data NULL.
bool msg_bind_next_param(const struct msg_bind *m, size_t *at, struct slice *value);

struct msg_target { // Describe and Close
    uint8_t kind;   // 'S' statement, 'P' portal
    struct slice name;
};
bool msg_target_read(const uint8_t *body, size_t len, struct msg_target *m)
    __attribute__((warn_unused_result));

struct msg_execute {
    struct slice portal;
    uint32_t max_rows; // 0: all
};
bool msg_execute_read(const uint8_t *body, size_t len, struct msg_execute *m)
    __attribute__((warn_unused_result));

// Query: the text without its zero.
bool msg_query_read(const uint8_t *body, size_t len, struct slice *text) __attribute__((warn_unused_result));

// DataRow: the number of columns, and the first column's value (data is NULL when it is NULL). `rest` is what
// follows it.
struct msg_row {
    uint16_t n_columns;
    struct slice first;
    struct slice rest;
};
bool msg_row_read(const uint8_t *body, size_t len, struct msg_row *m) __attribute__((warn_unused_result));

// DataRow of n columns: the value of the i-th one. False when the row is too short or malformed.
bool msg_row_column(const uint8_t *body, size_t len, unsigned i, struct slice *value)
    __attribute__((warn_unused_result));

// RowDescription: bytes of the first field's description (name, zero, 18 bytes). Checks the whole message; 0
// when it is malformed.
size_t msg_row_description_first(const uint8_t *body, size_t len, uint16_t *n_fields)
    __attribute__((warn_unused_result));

// ErrorResponse and NoticeResponse: the value of a field ('S' severity, 'V' severity not localised, 'C'
// SQLSTATE, 'M' message).
bool msg_error_field(const uint8_t *body, size_t len, char field, struct slice *value)
    __attribute__((warn_unused_result));

// CommandComplete's tag without its zero.
bool msg_tag_read(const uint8_t *body, size_t len, struct slice *tag) __attribute__((warn_unused_result));

#endif
