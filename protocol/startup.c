// SPDX-License-Identifier: PostgreSQL
#include "protocol/startup.h"

#include <string.h>
#include <strings.h>

#include "protocol/write.h"

#define CODE_CANCEL 80877102u
#define CODE_SSL    80877103u
#define CODE_GSS    80877104u

// Pairs of zero-terminated strings, then one more zero: the check of PostgreSQL's ProcessStartupPacket.
static bool params_well_formed(struct slice p) {
    size_t at = 0;
    while (at < p.len) {
        for (int half = 0; half < 2; half++) {
            const uint8_t *zero = at < p.len ? memchr(p.data + at, 0, p.len - at) : NULL;
            if (!zero || (half == 0 && zero == p.data + at))
                return false;
            at = (size_t)(zero - p.data) + 1;
        }
    }
    return true;
}

static struct startup read_cancel(const struct frame *f) {
    // Protocol 3.2 allows secrets of 4 to 256 bytes; 3.0 has 4.
    if (f->body_len < 12 || f->body_len > 8 + 256)
        return (struct startup){.kind = STARTUP_BAD, .silent = true};
    return (struct startup){
        .kind = STARTUP_CANCEL, .pid = get_u32(f->body + 4), .secret = {f->body + 8, f->body_len - 8}};
}

struct startup startup_read(const struct frame *f) {
    uint32_t code = get_u32(f->body);
    if (code == CODE_CANCEL)
        return read_cancel(f);
    if (code == CODE_SSL || code == CODE_GSS)
        return (struct startup){.kind = code == CODE_SSL ? STARTUP_SSL : STARTUP_GSS}; // whatever its length
    // Only major version 3 has messages that we can read; minor versions are negotiated by the server.
    if (code >> 16 != 3 || f->body_len < 5 || f->body[f->body_len - 1] != 0)
        return (struct startup){.kind = STARTUP_BAD, .version = code};
    struct startup s = {.kind = STARTUP_SESSION, .version = code, .params = {f->body + 4, f->body_len - 5}};
    if (!params_well_formed(s.params))
        s.kind = STARTUP_BAD;
    return s;
}

bool startup_param(const struct startup *s, const char *name, struct slice *value) {
    const char *p = (const char *)s->params.data, *end = p + s->params.len;
    bool found = false;
    while (p < end) {
        const char *v = p + strlen(p) + 1;
        size_t len = strlen(v);
        if (strcmp(p, name) == 0) {
            *value = (struct slice){(const uint8_t *)v, len};
            found = true;
        }
        p = v + len + 1;
    }
    return found;
}

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// One word, as pg_split_opts() of PostgreSQL makes it; empty: it does not fit. False: there is none.
static bool next_word(struct slice o, size_t *at, char *word, size_t size) {
    size_t n = 0;
    while (*at < o.len && is_blank(o.data[*at]))
        ++*at;
    if (*at == o.len)
        return false;
    for (; *at < o.len && !is_blank(o.data[*at]); ++*at) {
        *at += o.data[*at] == '\\';
        if (*at < o.len && n + 1 < size)
            word[n] = (char)o.data[*at];
        n += *at < o.len;
    }
    *at = *at < o.len ? *at : o.len;
    word[n + 1 < size ? n : 0] = 0;
    return true;
}

// Makes two strings of name=value. In a name a dash stands for an underscore.
static bool split_setting(struct startup_option *o) {
    char *equals = strchr(o->name, '=');
    if (!equals)
        return false;
    *equals = 0;
    o->value = equals + 1;
    for (char *c = o->name; *c; c++)
        *c = *c == '-' ? '_' : *c;
    return true;
}

bool startup_next_option(struct slice options, size_t *at, char *room, size_t size,
                         struct startup_option *o) {
    while (next_word(options, at, room, size)) {
        bool apart = strcmp(room, "-c") == 0;
        if (strncmp(room, "-c", 2) != 0 && strncmp(room, "--", 2) != 0)
            continue;
        if (apart && !next_word(options, at, room, size))
            return false;
        o->name = apart ? room : room + 2;
        if (split_setting(o))
            return true;
    }
    return false;
}

bool startup_setting(const struct startup *s, const char *name, char *room, size_t size,
                     struct slice *value) {
    struct slice options;
    struct startup_option o;
    char all[2048];
    size_t at = 0;
    bool found = false;
    if (startup_param(s, "options", &options))
        while (startup_next_option(options, &at, all, sizeof all, &o))
            if (strcasecmp(o.name, name) == 0 && strlen(o.value) < size) {
                found = true;
                *value = (struct slice){(const uint8_t *)strcpy(room, o.value), strlen(o.value)};
            }
    return startup_param(s, name, value) || found;
}

// Is the text a beginning of the word, and at least so long? Upper and lower case count as the same.
static bool is_beginning(struct slice v, const char *word, size_t least) {
    return v.len >= least && v.len <= strlen(word) && strncasecmp((const char *)v.data, word, v.len) == 0;
}

// What PostgreSQL's parse_bool() takes for "no". A value that it does not understand ends the log-in.
bool startup_is_replication(const struct startup *s) {
    struct slice v;
    if (!startup_param(s, "replication", &v))
        return false;
    return !is_beginning(v, "false", 1) && !is_beginning(v, "no", 1) && !is_beginning(v, "off", 2) &&
           !slice_is(v, "0", 1);
}

bool startup_strip_plus(const struct frame *f, struct buf *out) {
    if (f->type != B_AUTHENTICATION || f->body_len < 5 || get_u32(f->body) != 10)
        return false;
    bool stripped = false;
    size_t begin = write_begin(out, B_AUTHENTICATION);
    buf_put_u32(out, 10);
    const uint8_t *p = f->body + 4, *end = f->body + f->body_len;
    while (p < end && *p) {
        const uint8_t *zero = memchr(p, 0, (size_t)(end - p));
        if (!zero)
            break;
        size_t len = (size_t)(zero - p);
        if (len > 5 && memcmp(zero - 5, "-PLUS", 5) == 0)
            stripped = true;
        else
            buf_put(out, p, len + 1);
        p = zero + 1;
    }
    buf_put_u8(out, 0);
    write_end(out, begin);
    if (!stripped)
        buf_reset(out);
    return stripped;
}

bool startup_sasl_denied_binding(const struct frame *f) {
    // SASLInitialResponse: mechanism name, zero, 32-bit length, the GS2 header "y,," (RFC 5802, section 7).
    if (f->type != F_PASSWORD || !f->body_len)
        return false;
    const uint8_t *zero = memchr(f->body, 0, f->body_len);
    size_t name = zero ? (size_t)(zero - f->body) + 1 : f->body_len;
    return f->body_len > name + 4 && memcmp(f->body, "SCRAM-", 6 < name ? 6 : name) == 0 &&
           f->body[name + 4] == 'y';
}
