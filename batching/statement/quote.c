// SPDX-License-Identifier: PostgreSQL
//
// The literals of quote.h.
#include "batching/statement/quote.h"

#include <string.h>

bool quote_string(struct buf *out, struct slice text) {
    if (text.len && (memchr(text.data, '\\', text.len) || memchr(text.data, 0, text.len)))
        return false;
    buf_put_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'')
            buf_put_u8(out, '\'');
        buf_put_u8(out, text.data[i]);
    }
    buf_put_u8(out, '\'');
    return true;
}

bool quote_literal(struct buf *out, const char *text) {
    return quote_string(out, (struct slice){(const uint8_t *)text, strlen(text)});
}

static void put_identifier(struct buf *out, const char *name) {
    buf_put_u8(out, '"');
    for (const char *p = name; *p; p++) {
        if (*p == '"')
            buf_put_u8(out, '"');
        buf_put_u8(out, (uint8_t)*p);
    }
    buf_put_u8(out, '"');
}

bool quote_relation(struct buf *out, const struct parsed_relation *r) {
    struct buf name = buf_make(1024);
    if (r->schema) {
        put_identifier(&name, r->schema);
        buf_put_u8(&name, '.');
    }
    put_identifier(&name, r->name);
    buf_put_u8(&name, 0);
    bool ok = !name.failed && quote_literal(out, (const char *)name.data);
    buf_free(&name);
    return ok;
}

bool quote_names(struct buf *out, const void *list, int n, const char *(*next)(const void *list, int i)) {
    buf_put_text(out, "ARRAY[");
    for (int i = 0; i < n; i++) {
        const char *name = next(list, i);
        if (i)
            buf_put_u8(out, ',');
        if (!name)
            buf_put_text(out, "NULL");
        else if (!quote_literal(out, name))
            return false;
    }
    buf_put_text(out, "]::pg_catalog.name[]");
    return true;
}

const char *quote_next_text(const void *list, int i) {
    return ((const char *const *)list)[i];
}

const char *quote_next_function(const void *list, int i) {
    return ((const struct parsed_function *)list)[i].name;
}
