// SPDX-License-Identifier: PostgreSQL
//
// Builds a struct parsed: the memory, the lists without repetition, the limits. Only parse*.c use it, but it
// does not know libpg_query. A failure is remembered, so the user checks once, with builder_finish.
#ifndef PGFOLD_BATCHING_STATEMENT_PARSED_H
#define PGFOLD_BATCHING_STATEMENT_PARSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batching/statement/parse.h"

#define PARSED_MAX_NAMES 1700  // a longer list overflows; a table has at most 1,600 columns
#define PARSED_MAX_PARAM 65535 // the protocol counts parameters with 16 bits

struct chunk;

struct builder {
    struct parsed p;      // first, so that a struct parsed leads back to its builder
    struct chunk *chunks; // all that p points to
    bool no_memory;
    bool overflow; // a list was full, so the lists are not complete
    int room_settings, room_relations, room_columns, room_functions, room_operators, room_labels, room_keys,
        room_uses;
    struct entry *index; // of the lists without repetition; a hash table
    uint32_t n_indexed, room_index;
    int *uses; // how often $n occurs, at n; kept until the end, like the index
    char **sources;
    int n_sources, room_sources;
    bool renames; // a table's columns have other names here: FROM t AS x(a, b)
};

struct builder *builder_create(void); // NULL: out of memory
void builder_destroy(struct builder *b);

// Copies into the builder's memory, or allocates there. NULL: out of memory, which is remembered.
char *builder_text(struct builder *b, const char *s);
void *builder_alloc(struct builder *b, size_t size);

// Each copies the strings. Empty strings are stored as NULL where the field may be NULL.
// The name of a setting is folded to lower case.
void builder_setting(struct builder *b, const char *name, const char *value);
void builder_relation(struct builder *b, const char *schema, const char *name, const char *alias);
void builder_column(struct builder *b, const char *qualifier, const char *name, bool bare);
void builder_function(struct builder *b, const char *schema, const char *name);
void builder_operator(struct builder *b, const char *name);
void builder_label(struct builder *b, const char *name);
void builder_source(struct builder *b, const char *name); // a name in FROM that is no table's
void builder_param(struct builder *b, int n);
void builder_cte(struct builder *b, const char *name); // call it after all relations were added
struct parsed_key *builder_key(struct builder *b);     // a zeroed one; NULL: there is no room

size_t parsed_bytes(const struct parsed *p); // bytes of memory; takes NULL

// Takes the builder and returns the parsed statement for the caller to own, or a refusal where the lists are
// not complete. Never NULL.
struct parsed *builder_finish(struct builder *b);
struct parsed *parsed_no_memory(void); // static; parsed_destroy knows it

void parsed_destroy(struct parsed *p); // takes NULL

#endif
