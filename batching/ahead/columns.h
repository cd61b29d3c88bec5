// SPDX-License-Identifier: PostgreSQL
//
// The columns of a result whose values may be keys. Of all columns at most TRAIL_MAX_COLUMNS are kept, which
// a wide SELECT * does not reach; those of joins may. Then integers and uuids come before texts and others,
// and names such as id and author_id before all.
#ifndef PGFOLD_BATCHING_AHEAD_COLUMNS_H
#define PGFOLD_BATCHING_AHEAD_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRAIL_MAX_COLUMNS 64
#define TRAIL_MAX_ARRAYS  4

// TEXT: also values of types that are not the server's own, such as citext and enums. Their text is their
// binary form.
// OTHER: dates, times, numbers, addresses, bytes, as they came.
enum trail_kind { TRAIL_NOTHING, TRAIL_INTEGER, TRAIL_UUID, TRAIL_TEXT, TRAIL_OTHER, TRAIL_KINDS };

// The kind of a type (OID); TRAIL_NOTHING for types that are not kept.
enum trail_kind trail_kind_of(uint32_t type);

struct trail_column {
    uint16_t at; // index in the row
    uint16_t format;
    uint16_t attribute; // 0: computed
    uint8_t kind;       // enum trail_kind
    uint32_t table;     // OID; 0: computed
    uint32_t type;      // OID
};

struct trail_columns {
    uint64_t source; // digest of the description: equal for results of the same statement
    uint64_t shape;  // shape_digest() of the lookups whose answers they are; 0: of none
    uint16_t family; // the shape's
    uint64_t text;   // the same of the statement itself; 0: not known
    uint64_t list;   // the same, whatever constants it has
    uint16_t tags;   // the statement's, as a number (report/tags.h)
    uint64_t at;     // microseconds: when the client was given it
    uint64_t loads;  // number of batches that had been loaded ahead when it came
    bool loaded;     // it was loaded ahead
    bool keyed;      // it answers a statement by a key: in a loop there are many of them
    uint64_t
        batch;   // mode observe: it is the answers that the batch of this number would have had; 0: it is not
    bool unread; // the same, and the client was given nothing of it
    unsigned n_row; // columns of the row, of which n are kept
    unsigned n;
    unsigned n_arrays;
    struct trail_column arrays[TRAIL_MAX_ARRAYS];   // the first so many, by the kind of their elements
    struct trail_column columns[TRAIL_MAX_COLUMNS]; // in their order in the row
};

// The bytes of it that are in use, the first so many. It may be copied and kept as these.
size_t trail_columns_size(const struct trail_columns *c);

// Reads the body of a RowDescription. Returns false when nothing in it is worth keeping.
bool trail_columns_read(struct trail_columns *c, const uint8_t *body, size_t len)
    __attribute__((warn_unused_result));
// Sets the formats in which rows come, as in a Bind message: none, one for all, or one for each column.
void trail_columns_format(struct trail_columns *c, unsigned n_formats, const uint8_t *formats);

#endif
