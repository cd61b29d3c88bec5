// SPDX-License-Identifier: PostgreSQL
#include "batching/statement/bound_config.h"

#include <string.h>
#include <strings.h>

#include "batching/statement/parse.h"
#include "batching/statement/quote.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"
#include "protocol/message.h"

// OIDs of the types of which a value in either format is known.
#define OID_BOOL    16
#define OID_TEXT    25
#define OID_VARCHAR 1043

struct bound {
    const struct shape *shape;
    const struct msg_bind *bind;
};

static uint32_t declared(const struct bound *b, int param) {
    return (unsigned)param <= b->shape->n_types ? b->shape->types[param - 1] : 0;
}

// The value of a parameter; data NULL: it is NULL. False: there is none.
static bool value_of(const struct bound *b, int param, struct slice *value) {
    size_t at = 0;
    for (int i = 0; i < param; i++)
        if (!msg_bind_next_param(b->bind, &at, value))
            return false;
    return true;
}

// A parameter that is declared as text, or not at all: it is one then, since set_config takes texts.
static bool is_text(const struct bound *b, const struct parsed_argument *a) {
    uint32_t type = a->param ? declared(b, a->param) : 0;
    return !type || type == OID_TEXT || type == OID_VARCHAR;
}

// A text argument as the server reads it.
static bool text_of(const struct bound *b, const struct parsed_argument *a, struct slice *text) {
    *text = (struct slice){(const uint8_t *)a->text, a->text ? strlen(a->text) : 0};
    return a->exact && is_text(b, a) && (!a->param || value_of(b, a->param, text));
}

static bool is_word(struct slice text, const char *word) {
    return text.len == strlen(word) && strncasecmp((const char *)text.data, word, text.len) == 0;
}

static bool is_one_of(struct slice text, const char *const *words) {
    for (; *words; words++)
        if (is_word(text, *words))
            return true;
    return false;
}

static bool truth_of(const struct bound *b, const struct parsed_argument *a, bool *truth) {
    static const char *const yes[] = {"t", "true", "1", "on", "yes", NULL}, *const no[] = {"f",  "false",
                                                                                           "0",  "off",
                                                                                           "no", NULL};
    struct slice text = {(const uint8_t *)a->text, a->text ? strlen(a->text) : 0};
    uint32_t type = a->param ? declared(b, a->param) : 0;
    if (!a->exact || (type && type != OID_BOOL) || (a->param && !value_of(b, a->param, &text)) || !text.data)
        return false;
    if (a->param && msg_bind_param_format(b->bind, (unsigned)a->param - 1)) {
        *truth = text.len == 1 && text.data[0];
        return text.len == 1;
    }
    *truth = is_one_of(text, yes);
    return *truth || is_one_of(text, no);
}

static bool is_name(struct slice name) {
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '.')
            return false;
    }
    return name.len && name.data;
}

static bool put_call(struct buf *out, const struct bound *b, const struct parsed_config *c) {
    struct slice name, value = {(const uint8_t *)"", 0};
    bool local, ok = c->value.cast || is_text(b, &c->value);
    if (!ok || !text_of(b, &c->name, &name) || !is_name(name) || !truth_of(b, &c->local, &local))
        return false;
    bool matters = !local || !memchr(name.data, '.', name.len);
    if (matters && !text_of(b, &c->value, &value))
        return false;
    buf_put_text(out, "set_config(");
    ok = quote_string(out, name);
    buf_put_text(out, ", ");
    if (value.data)
        ok = quote_string(out, value) && ok;
    else
        buf_put_text(out, "NULL");
    buf_put_text(out, local ? ", true)" : ", false)");
    return ok;
}

bool bound_config_text(const struct shape *shape, const struct msg_bind *m, struct buf *out) {
    const struct parsed *p = shape->parsed;
    struct bound b = {shape, m};
    if (!p->n_configs || m->n_params != p->n_params)
        return false;
    buf_put_text(out, "SELECT ");
    for (int i = 0; i < p->n_configs; i++) {
        if (i)
            buf_put_text(out, ", ");
        if (!put_call(out, &b, &p->configs[i]))
            return false;
    }
    return !out->failed;
}
