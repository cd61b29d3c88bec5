// SPDX-License-Identifier: PostgreSQL
//
// What a PostgreSQL server says, put into a buffer.
#include "tests/unit/replies.h"

#include <string.h>

#include "protocol/write.h"

void put_text_row(struct buf *b, const char *const *values, unsigned n) {
    size_t at = write_begin(b, B_DATA_ROW);
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u32(b, values[i] ? (uint32_t)strlen(values[i]) : UINT32_MAX);
        if (values[i])
            buf_put_text(b, values[i]);
    }
    write_end(b, at);
}

void put_column(struct buf *b, const char *name, uint32_t table) {
    buf_put_str(b, name);
    buf_put_u32(b, table);
    buf_put(b, "\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\0",
            14); // the first one; int4, 4 bytes, no modifier, text
}

void put_description(struct buf *b, const char *name, uint32_t table) {
    size_t at = write_begin(b, B_ROW_DESCRIPTION);
    buf_put_u16(b, 1);
    put_column(b, name, table);
    write_end(b, at);
}

void put_reply(struct buf *b, char letter) {
    switch (letter) {
    case 'Z':
        write_ready(b, 'I');
        break;
    case 'z':
        write_ready(b, 'T');
        break;
    case 'x':
        write_ready(b, 'E');
        break;
    case 'C':
        write_select_complete(b, 0);
        break;
    case 'E':
        write_error(b, "ERROR", "42P01", "no", NULL, NULL);
        break;
    case '/':
        write_error(b, "ERROR", "22012", "no", NULL, NULL);
        break;
    case 'e':
        write_error(b, "ERROR", "57014", "canceled", NULL, NULL);
        break;
    case 'T':
        put_description(b, "a", 16384);
        break;
    default:
        write_empty(b, letter);
    }
}

void put_replies(struct buf *b, const char *letters) {
    for (; *letters; letters++)
        put_reply(b, *letters);
}

void put_proof_users(struct buf *b) {
    // Role, user, temporary schema, the OIDs of both, when the server was started, its clock, both names once
    // more. What else there is, the process, is not told.
    static const char *const row[] = {
        "alice", "alice", "0", "10", "10", "0002f00000000000", "0003000000000000", "alice", "alice"};
    put_text_row(b, row, 9);
}

void put_proof(struct buf *b, const char *const *settings) {
    put_proof_users(b);
    put_reply(b, 'C');
    for (; settings && *settings; settings += 2) {
        const char *row[] = {settings[0], settings[1], NULL};
        put_text_row(b, row, 3);
    }
    put_replies(b, "CZ");
}
