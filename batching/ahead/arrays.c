// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/arrays.h"

#include <string.h>

enum { JSON = 114, JSONB = 3802, TEXT = 25 }; // OIDs
#define HEADER 20                             // bytes of a binary array of one dimension, see array_recv

static bool is_json(uint32_t type) {
    return type == JSON || type == JSONB;
}

uint32_t arrays_element_type(uint32_t type) {
    return is_json(type) ? (uint32_t)TEXT : key_element_type(type);
}

static void skip(struct slice *s, size_t n) {
    s->data += n;
    s->len -= n;
}

static bool begins(struct slice s, char c) {
    return s.len && s.data[0] == (uint8_t)c;
}

// ---- the beginning

static bool begin_binary(struct arrays_walk *w, uint32_t element) {
    struct slice s = w->rest;
    if (s.len < HEADER || get_u32(s.data) != 1 || get_u32(s.data + 8) != element)
        return false;
    w->left = get_u32(s.data + 12);
    skip(&w->rest, HEADER);
    return true;
}

bool arrays_begin(struct arrays_walk *w, uint32_t type, uint16_t format, struct slice value) {
    *w = (struct arrays_walk){.rest = value, .format = format, .json = is_json(type)};
    if (!value.data || !value.len)
        return false;
    if (format == 1 && !w->json)
        return begin_binary(w, key_element_type(type));
    if (format == 1 && type == JSONB)
        skip(&w->rest, 1); // the version
    w->format = 0;
    if (!begins(w->rest, w->json ? '[' : '{'))
        return false;
    skip(&w->rest, 1);
    return true;
}

// ---- an element

static bool next_binary(struct arrays_walk *w, struct slice *element) {
    if (!w->left || w->rest.len < 4)
        return false;
    uint32_t n = get_u32(w->rest.data);
    w->left--;
    skip(&w->rest, 4);
    *element = (struct slice){NULL, 0};
    if (n == UINT32_MAX)
        return true;
    if (n > w->rest.len)
        return false;
    *element = (struct slice){w->rest.data, n};
    skip(&w->rest, n);
    return true;
}

// Between quotes, where a backslash stands before quotes and backslashes. Of JSON one with a backslash is none.
static bool next_quoted(struct arrays_walk *w, uint8_t *scratch, struct slice *element) {
    size_t n = 0;
    bool fits = true;
    skip(&w->rest, 1);
    const uint8_t *from = w->rest.data;
    for (; w->rest.len && w->rest.data[0] != '"'; skip(&w->rest, 1)) {
        if (w->rest.data[0] == '\\') {
            fits &= !w->json;
            skip(&w->rest, 1);
            if (!w->rest.len)
                return false;
        }
        fits &= n < KEY_MAX_RAW;
        if (fits)
            scratch[n++] = w->rest.data[0];
    }
    if (!w->rest.len)
        return false;
    bool same = (size_t)(w->rest.data - from) == n;
    *element = fits ? (struct slice){same ? from : scratch, n} : (struct slice){NULL, 0};
    skip(&w->rest, 1);
    return true;
}

static bool is_null(struct slice s) {
    return s.len == 4 && (memcmp(s.data, "NULL", 4) == 0 || memcmp(s.data, "null", 4) == 0);
}

static bool next_plain(struct arrays_walk *w, struct slice *element) {
    size_t n = 0;
    while (n < w->rest.len && !strchr(",{}[]\"\\: ", w->rest.data[n]))
        n++;
    *element = (struct slice){w->rest.data, n};
    skip(&w->rest, n);
    if (is_null(*element))
        *element = (struct slice){NULL, 0};
    return n > 0;
}

bool arrays_next(struct arrays_walk *w, uint8_t *scratch, struct slice *element) {
    if (w->format == 1)
        return next_binary(w, element);
    while (w->json && begins(w->rest, ' '))
        skip(&w->rest, 1);
    bool any = begins(w->rest, '"') ? next_quoted(w, scratch, element) : next_plain(w, element);
    if (!any)
        return false;
    if (begins(w->rest, ',')) {
        skip(&w->rest, 1);
        return true;
    }
    any = begins(w->rest, w->json ? ']' : '}');
    w->rest.len = 0;
    return any;
}
