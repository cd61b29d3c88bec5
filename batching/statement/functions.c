// SPDX-License-Identifier: PostgreSQL
//
// The lists.
#include "batching/statement/functions.h"

#include <stdlib.h>
#include <string.h>

#include "batching/statement/parse.h"

// Sorted. In the server's catalogue, its functions whose result depends on the time, the session, chance or
// settings are stable or volatile. These are the stable ones that depend only on their arguments and on
// settings that an identity covers (TimeZone, DateStyle, lc_…).
static const char *const stable_functions[] = {
    "array_to_json",
    "array_to_string",
    "concat",
    "concat_ws",
    "date",
    "date_part",
    "date_trunc",
    "extract",
    "format",
    "generate_series",
    "isfinite",
    "json_agg",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "make_timestamptz",
    "phraseto_tsquery",
    "plainto_tsquery",
    "row_to_json",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "websearch_to_tsquery",
};

// Sorted. Aggregates and functions that ORMs write into their SELECTs, and functions that drivers call when
// they connect. None changes anything.
static const char *const plain_functions[] = {
    "abs",
    "array_agg",
    "array_length",
    "array_lower",
    "array_upper",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "ceil",
    "ceiling",
    "char_length",
    "col_description",
    "concat",
    "concat_ws",
    "count",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "date",
    "date_part",
    "date_trunc",
    "dense_rank",
    "every",
    "extract",
    "first_value",
    "floor",
    "format_type",
    "greatest",
    "initcap",
    "json_agg",
    "json_array_elements",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_object_agg",
    "lag",
    "last_value",
    "lead",
    "left",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "ntile",
    "obj_description",
    "octet_length",
    "percent_rank",
    "pg_backend_pid",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_indexdef",
    "pg_get_userbyid",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "position",
    "power",
    "rank",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "starts_with",
    "stddev",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_regclass",
    "to_regtype",
    "to_timestamp",
    "trim",
    "trunc",
    "unnest",
    "upper",
    "variance",
    "version",
};

// Sorted. Functions of the server that return sets and depend on nothing but their arguments and settings.
static const char *const row_functions[] = {
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_path_query",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "unnest",
};

// Sorted. Volatile functions of the server that change neither rows nor what statements mean. Drivers ask with some
// of them for the key of the row just written.
static const char *const harmless_functions[] = {
    "clock_timestamp", "currval", "gen_random_uuid", "lastval", "random", "timeofday",
};

static int compare_names(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

#define ON_LIST(list, name) bsearch(name, list, sizeof list / sizeof *list, sizeof *list, compare_names)

bool function_is_foldable(const struct parsed *p, int i) {
    return ON_LIST(stable_functions, p->functions[i].name);
}

bool function_returns_rows(const char *name) {
    return ON_LIST(row_functions, name);
}

const char *const *functions_that_return_rows(int *n) {
    *n = sizeof row_functions / sizeof *row_functions;
    return row_functions;
}

bool function_is_read_only(const struct parsed *p, int i) {
    const char *name = p->functions[i].name;
    return function_is_foldable(p, i) || ON_LIST(plain_functions, name) || ON_LIST(harmless_functions, name);
}

bool function_is_plain(const struct parsed_function *f) {
    return (!f->schema || strcmp(f->schema, "pg_catalog") == 0) && ON_LIST(plain_functions, f->name);
}

bool functions_are_plain(const struct parsed *p) {
    for (int i = 0; i < p->n_functions; i++)
        if (!function_is_plain(&p->functions[i]))
            return false;
    return true;
}
