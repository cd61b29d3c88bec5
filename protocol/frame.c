// SPDX-License-Identifier: PostgreSQL
#include "protocol/frame.h"

#include "protocol/buf.h"

enum frame_result frame_header(const uint8_t *bytes, size_t len, struct frame *f) {
    if (len < FRAME_HEADER)
        return FRAME_INCOMPLETE;
    uint32_t length = get_u32(bytes + 1);
    if (length < 4 || length > FRAME_MAX_LENGTH)
        return FRAME_MALFORMED;
    *f = (struct frame){
        .type = bytes[0], .body = bytes + FRAME_HEADER, .body_len = length - 4, .size = (size_t)length + 1};
    return FRAME_OK;
}

enum frame_result frame_read(const uint8_t *bytes, size_t len, struct frame *f) {
    enum frame_result r = frame_header(bytes, len, f);
    if (r == FRAME_OK && f->size > len)
        return FRAME_INCOMPLETE;
    return r;
}

enum frame_result frame_startup(const uint8_t *bytes, size_t len, size_t max, struct frame *f) {
    if (len < 4)
        return FRAME_INCOMPLETE;
    uint32_t length = get_u32(bytes);
    if (length < 8 || length > max)
        return FRAME_MALFORMED;
    if (len < length)
        return FRAME_INCOMPLETE;
    *f = (struct frame){.type = 0, .body = bytes + 4, .body_len = length - 4, .size = length};
    return FRAME_OK;
}
