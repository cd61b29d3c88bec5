// SPDX-License-Identifier: PostgreSQL
//
// The rules of risk.h for one parameter and for one value.
#include "batching/statement/risk.h"

#include <string.h>

#include "batching/statement/key.h"

enum { INT2 = 21, TEXT = 25, FLOAT4 = 700, FLOAT8, BPCHAR = 1042, VARCHAR = 1043, NUMERIC = 1700 };

static const struct {
    const char *name;
    uint32_t oid;
} types[] = {
    {"int2", INT2},        {"int4", OID_INT4}, {"int8", OID_INT8},   {"float4", FLOAT4}, {"float8", FLOAT8},
    {"numeric", NUMERIC},  {"text", TEXT},     {"varchar", VARCHAR}, {"bpchar", BPCHAR}, {"bool", 16},
    {"uuid", OID_UUID},    {"date", 1082},     {"time", 1083},       {"timetz", 1266},   {"timestamp", 1114},
    {"timestamptz", 1184}, {"interval", 1186}, {"json", 114},        {"jsonb", 3802},    {"bytea", 17},
    {"name", 19},          {"oid", 26},        {"inet", 869},        {"cidr", 650},
};

static uint32_t type_named(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].oid;
    return 0;
}

// Wider types take all values of narrower ones.
static int width_of(uint32_t oid) {
    return oid == INT2 ? 1 : oid == OID_INT4 ? 2 : oid == OID_INT8 ? 3 : oid == NUMERIC ? 4 : 0;
}

static bool type_is_text(uint32_t oid) {
    return oid == TEXT || oid == VARCHAR || oid == BPCHAR;
}

static bool cast_is_safe(uint32_t declared, const char *name, bool array) {
    uint32_t to = name ? type_named(name) : 0;
    if (!declared)
        return name;
    if (array)
        return to && key_array_type(to) == declared;
    if (!to || to == declared)
        return to;
    int from = width_of(declared), wide = width_of(to);
    if (from && from <= 3 && (wide > from || to == FLOAT8))
        return true;
    return to == TEXT || to == VARCHAR || (type_is_text(declared) && to == BPCHAR);
}

enum risk risk_of_param(const struct parsed *p, int param, uint32_t declared) {
    const struct parsed_param *r = &p->params[param - 1];
    if (!r->cast || cast_is_safe(declared, r->cast_name, r->cast_array))
        return r->computed;
    return r->cast > r->computed ? r->cast : r->computed;
}

#define MAX_DIGITS 30 // within what float4 can hold

bool risk_of_value(uint32_t type, uint16_t format, struct slice value) {
    if (type != NUMERIC || !value.data)
        return false;
    if (format)
        return value.len > MAX_DIGITS || (value.len >= 4 && (int16_t)get_u16(value.data + 2) > 6);
    return value.len > MAX_DIGITS || memchr(value.data, 'e', value.len) || memchr(value.data, 'E', value.len);
}
