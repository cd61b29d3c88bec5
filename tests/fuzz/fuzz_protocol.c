// SPDX-License-Identifier: PostgreSQL
//
// Every reader of protocol/ on any bytes. The input is copied to a block of exactly its size, so that the
// sanitizer sees a read past its end; and it is read as a whole and cut short, which must never turn
// "incomplete" into "malformed" for a frame that is sound.
#include <stdlib.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/message.h"
#include "protocol/startup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_client_body(const uint8_t *body, size_t len) {
    struct msg_parse parse;
    struct msg_bind bind;
    struct msg_target target;
    struct msg_execute execute;
    struct slice slice;
    (void)!msg_parse_read(body, len, &parse);
    (void)!msg_target_read(body, len, &target);
    (void)!msg_execute_read(body, len, &execute);
    (void)!msg_query_read(body, len, &slice);
    if (!msg_bind_read(body, len, &bind))
        return;
    unsigned n = 0;
    for (size_t at = 0; msg_bind_next_param(&bind, &at, &slice); n++)
        if (msg_bind_param_format(&bind, n) > 1 && slice.data)
            break;
    if (n > bind.n_params)
        abort();
}

static void read_server_body(const uint8_t *body, size_t len) {
    struct msg_row row;
    struct slice slice;
    uint16_t fields;
    if (msg_row_read(body, len, &row))
        for (unsigned i = 0; i < row.n_columns && msg_row_column(body, len, i, &slice); i++)
            if (slice.data && slice.len > len)
                abort();
    if (msg_row_description_first(body, len, &fields) > len)
        abort();
    (void)!msg_error_field(body, len, 'C', &slice);
    (void)!msg_tag_read(body, len, &slice);
}

static void read_startup(const uint8_t *bytes, size_t len) {
    struct frame f;
    if (frame_startup(bytes, len, 10000, &f) != FRAME_OK)
        return;
    struct startup s = startup_read(&f);
    struct slice value;
    if (s.kind == STARTUP_SESSION)
        startup_param(&s, "user", &value);
}

static void read_frame(const uint8_t *bytes, size_t len) {
    struct frame f, shorter;
    if (frame_read(bytes, len, &f) != FRAME_OK)
        return;
    if (f.size > len || f.body_len > f.size)
        abort();
    for (size_t cut = 0; cut < f.size && cut < 64; cut++)
        if (frame_read(bytes, cut, &shorter) != FRAME_INCOMPLETE)
            abort();
    read_client_body(f.body, f.body_len);
    read_server_body(f.body, f.body_len);
    struct buf out = buf_make(1 << 16);
    startup_strip_plus(&f, &out);
    startup_sasl_denied_binding(&f);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    read_frame(copy, size);
    read_startup(copy, size);
    read_client_body(copy, size);
    read_server_body(copy, size);
    free(copy);
    return 0;
}
