// SPDX-License-Identifier: PostgreSQL
//
// The list.
#include "batching/statement/server_types.h"

#include <string.h>

static const char *const server_types[] = {
    "int2",     "int4",        "int8",      "float4",      "float8",       "numeric",   "text",
    "varchar",  "bpchar",      "char",      "name",        "bool",         "uuid",      "date",
    "time",     "timetz",      "timestamp", "timestamptz", "interval",     "json",      "jsonb",
    "jsonpath", "bytea",       "bit",       "varbit",      "inet",         "cidr",      "macaddr",
    "macaddr8", "money",       "xml",       "oid",         "regclass",     "regproc",   "regprocedure",
    "regoper",  "regoperator", "regtype",   "regrole",     "regnamespace", "regconfig", "point",
    "line",     "lseg",        "box",       "path",        "polygon",      "circle",    "tsvector",
    "tsquery",  "int4range",   "int8range", "numrange",    "tsrange",      "tstzrange", "daterange",
    "xid",      "tid",         "pg_lsn"};

bool type_is_built_in(const char *name) {
    for (size_t i = 0; i < sizeof server_types / sizeof *server_types; i++)
        if (strcmp(name, server_types[i]) == 0)
            return true;
    return false;
}
