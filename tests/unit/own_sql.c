// SPDX-License-Identifier: PostgreSQL
//
// Finds an operator that names no schema.
#include "tests/unit/own_sql.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static bool is_sign(char c) {
    return c && strchr("+-*/<>=~!@#%^&|`?", c);
}

// A star alone is one of count(*) or SELECT *; strings hold no operators.
const char *unqualified_operator(const char *sql) {
    static const char qualified[] = "OPERATOR(pg_catalog.";
    for (const char *at = sql; *at; at++) {
        if (*at == '\'' || *at == '"') {
            at = strchr(at + 1, *at);
            if (!at)
                return sql;
        } else if (strncmp(at, qualified, sizeof qualified - 1) == 0) {
            at = strchr(at, ')');
        } else if (is_sign(*at) && !(*at == '*' && !is_sign(at[1]))) {
            return at;
        } else if (strncmp(at, " IN (", 5) == 0 || strncmp(at, " DISTINCT FROM ", 15) == 0 ||
                   strncmp(at, " LIKE ", 6) == 0 || strncmp(at, " BETWEEN ", 9) == 0 ||
                   strncmp(at, "NULLIF(", 7) == 0 || strncmp(at, " USING ", 7) == 0) {
            return at;
        }
    }
    return NULL;
}
