// SPDX-License-Identifier: PostgreSQL
//
// Messages that pgfold itself writes. Each function appends one whole message to a buffer. The buffer
// remembers failure.
#ifndef PGFOLD_PROTOCOL_WRITE_H
#define PGFOLD_PROTOCOL_WRITE_H

#include "protocol/buf.h"
#include "protocol/message.h"

// A message of any type. `begin` returns the place where `end` fills in the length.
size_t write_begin(struct buf *b, char type);
void write_end(struct buf *b, size_t begin);

// A message without a body: Sync, Flush, ParseComplete, BindComplete, …
void write_empty(struct buf *b, char type);
void write_query(struct buf *b, const char *text, size_t len);
void write_parse(struct buf *b, struct slice name, struct slice text, const uint32_t *types,
                 unsigned n_types);
// The same, with so many blanks in front of the text.
void write_parse_at(struct buf *b, struct slice name, unsigned blanks, struct slice text,
                    const uint32_t *types, unsigned n_types);
void write_describe(struct buf *b, char kind, struct slice name);
void write_close(struct buf *b, char kind, struct slice name);
void write_execute_all(struct buf *b, struct slice portal);
void write_ready(struct buf *b, char status);
void write_complete(struct buf *b, const char *tag);           // CommandComplete
void write_select_complete(struct buf *b, unsigned long rows); // CommandComplete "SELECT n"

// ErrorResponse with severity ("ERROR", "FATAL"), SQLSTATE, message, and detail and hint unless NULL.
void write_error(struct buf *b, const char *severity, const char *sqlstate, const char *message,
                 const char *detail, const char *hint);
// NoticeResponse of severity WARNING. The same otherwise.
void write_warning(struct buf *b, const char *sqlstate, const char *message, const char *detail,
                   const char *hint);
void write_cancel_request(struct buf *b, uint32_t pid, struct slice secret);

#endif
