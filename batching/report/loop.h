// SPDX-License-Identifier: PostgreSQL
//
// A loop, as the report tells of it: a list (the parent) and the lookups that an application sends for its rows (the
// child), one after the other. Nothing in it is a value: texts are without constants, and names are those of tables
// and columns.
#ifndef PGFOLD_BATCHING_REPORT_LOOP_H
#define PGFOLD_BATCHING_REPORT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/memory.h"
#include "batching/statement/key.h"
#include "protocol/message.h"

#define LOOP_TAGS      64   // tag sets of one loop, at most; limits may say less
#define LOOP_STATEMENT 1000 // bytes of a statement

struct group;
struct naming;
struct shape;
struct trail_columns;

// What the foreign key says of the child's rows.
enum loop_direction { LOOP_UNKNOWN, LOOP_TO_ONE, LOOP_TO_MANY };

// Texts of a loop. Columns are in lines. Empty: not known.
enum loop_text {
    LOOP_DATABASE,
    LOOP_APPLICATION,
    LOOP_PARENT_TABLE,
    LOOP_PARENT_COLUMNS,
    LOOP_PARENT_STATEMENT,
    LOOP_CHILD_TABLE,
    LOOP_CHILD_COLUMNS,
    LOOP_CHILD_STATEMENT,
    LOOP_ROWS_TABLE, // that the child's rows are of, where it is another than that of its key's column
    LOOP_TEXTS
};

// Lookups, what reached the server for them, and times in microseconds.
struct loop_counts {
    uint64_t asked, sent, waited, alone;
    uint64_t with_list; // lookups: given what was sent in their list's own write
};

struct loop {
    uint64_t key; // finds it, as long as pgfold runs
    uint64_t id;  // names it: a digest of its texts
    bool proven;  // the keys were seen in a list; else many lookups came without one
    bool counts;  // the child counts rows
    bool vetted;  // the catalogue was asked about the child before it was made
    enum loop_direction direction;
    uint64_t pages;
    struct loop_counts of;
    uint64_t last; // microseconds: when it last ran
    unsigned n_tags;
    bool more_tags; // it had others, for which there was no room
    uint16_t last_tags;
    uint16_t tags[LOOP_TAGS];
    char *texts; // owned: one behind the other, each with its zero
    size_t text_len;
    uint32_t text_at[LOOP_TEXTS];
};

// What a loop is found by.
struct loop_about {
    const struct naming *names;
    uint64_t key;
    uint64_t database; // digest of its name
    struct slice database_name, application;
    const struct shape *child;
    const struct group *group; // NULL: nothing is known of what its keys refer to
    // The list, and the columns of it that supply the parts of the group's key, -1: none; NULL: there is none.
    const struct trail_columns *list;
    const int *columns;
    const struct shape *list_shape; // NULL: not known
};

// Fills in what is known of the loop. Returns false when memory is out.
bool loop_make(struct loop *l, const struct loop_about *about) __attribute__((warn_unused_result));
void loop_free(struct loop *l);
size_t loop_bytes(const struct loop *l);

static inline const char *loop_text(const struct loop *l, enum loop_text t) {
    return l->texts + l->text_at[t];
}

// "to-one", "to-many" or "unknown"; static.
const char *loop_direction_name(enum loop_direction d);

#endif
