// SPDX-License-Identifier: PostgreSQL
//
// What columns are called, for the report. The catalogue tells the names of those that supply a lookup's keys
// (trust/vet.h), and each result those of its own.
//
// Bounded: NAMING at a time, each at most NAMING_LONGEST bytes. A new one takes the place of another.
#ifndef PGFOLD_BATCHING_REPORT_NAMING_H
#define PGFOLD_BATCHING_REPORT_NAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/memory.h"
#include "protocol/message.h"

#define NAMING         1024
#define NAMING_SEEN    256 // results whose columns' names were kept
#define NAMING_LONGEST 400

struct trail_columns;
struct trail_column;
struct vet_result;

struct name;

struct naming {
    struct name *of[NAMING]; // by key
    uint64_t seen[NAMING_SEEN];
    struct account *memory; // NULL: not counted
    size_t weighs;
};

void naming_finish(struct naming *n);

// The catalogue has named the columns of these links. `database`: a digest of its name, since each counts its tables
// from the same number on.
void naming_of_links(struct naming *n, uint64_t database, const struct vet_result *r);

// The columns of a result, as the body of its RowDescription calls them; what was seen before costs little.
void naming_of_result(struct naming *n, uint64_t database, const struct trail_columns *c, const uint8_t *body,
                      size_t len);

// "public.author.id"; NULL: not known. It is borrowed until the next one is put.
const char *naming_of_column(const struct naming *n, uint64_t database, uint32_t table, uint16_t attribute);

// The same of any column of the table.
const char *naming_of_table(const struct naming *n, uint64_t database, uint32_t table);

// What the result calls this column of its own; NULL: not known.
const char *naming_label(const struct naming *n, uint64_t database, const struct trail_columns *c,
                         unsigned column);

// The part of "public.author.id" in front of its last dot, "public.author", ends where this says.
size_t naming_table_end(const char *name);

#endif
