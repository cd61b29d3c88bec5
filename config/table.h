// SPDX-License-Identifier: PostgreSQL
//
// Names of tables in settings. They are written as in PostgreSQL: schema.name, with double quotes around a
// part that has more than a-z, 0-9 and _ in it: public."Odd Name".
#ifndef PGFOLD_CONFIG_TABLE_H
#define PGFOLD_CONFIG_TABLE_H

#include <stddef.h>

#define TABLE_PART_SIZE 64                              // PostgreSQL's NAMEDATALEN
#define TABLE_TEXT_SIZE (2 * (2 * TABLE_PART_SIZE + 1)) // room for whatever table_write writes

struct table_parts {
    char schema[TABLE_PART_SIZE], name[TABLE_PART_SIZE]; // without their quotes
};

// Reads schema.name at the beginning of text[0..len) into out; *end gets the offset behind it. Returns NULL,
// or what is wrong: a static text that fits behind the words "the setting".
const char *table_read(const char *text, size_t len, struct table_parts *out, size_t *end);

// Writes it so that table_read() gives the same parts back. Parts are at most TABLE_PART_SIZE long. Returns
// text.
const char *table_write(const char *schema, const char *name, char text[static TABLE_TEXT_SIZE]);

#endif
