// SPDX-License-Identifier: PostgreSQL
//
// Tags say which part of an application a statement comes from. They come from comments in front of a statement or
// behind it, as libraries write them, or from the setting pgfold.tags:
//
//   /*controller='authors',action='index'*/     sqlcommenter; values may be encoded as in URLs
//   /*application:Shop,controller:authors*/     marginalia
//   /* controller=authors line=app/x.rb:7 */    and any other list of names and values
//
// They are an application's own text. They are kept as sets, each once, and known by a number. What differs with each
// request is left out: traceparent, request_id and the like.
//
// A name whose value is another one again and again keeps none (tag_wild.h).
//
// Bounded: at most limits.report_tags sets. Others, and those beyond limits.report_loop_tags that one statement brings,
// are TAGS_OTHER.
#ifndef PGFOLD_BATCHING_REPORT_TAGS_H
#define PGFOLD_BATCHING_REPORT_TAGS_H

#include <stdbool.h>
#include <stdint.h>

#include "batching/base/memory.h"
#include "protocol/message.h"

#define TAGS_NONE    0
#define TAGS_OTHER   1
#define TAGS_SLOTS   32768 // of the table by digest; more than there can be sets
#define TAGS_KEPT    1024  // comments whose set is remembered
#define TAGS_LONGEST 1000  // bytes of a set
#define TAGS_PAIRS   16

struct tag_wild;

struct tag_set {
    uint64_t digest,
        page; // page: digest of those that tell pages apart, not lines of code; 0: there are none
    uint64_t statements, lookups, sent, waited; // microseconds
    char *text;                                 // owned: "name\0value\0…", by name; ends with an empty name
};

struct tags {
    struct tag_set *of; // by number, from 2 on; those before are not used but for their figures
    unsigned n, room, max;
    uint16_t *slots;       // owned; by digest
    struct tag_wild *wild; // owned
    struct {
        uint64_t digest;
        uint16_t number;
    } kept[TAGS_KEPT];
    struct account *memory; // NULL: not counted
    size_t weighs;
};

void tags_finish(struct tags *t);
void tags_forget_figures(struct tags *t); // sets stay, since statements are known by them

// The comments in front of the text and behind it, as two slices of it. Returns false when there are none, which costs
// little.
bool tags_comments(struct slice text, struct slice out[2]);

// The digest of what comments say, without what differs with each request.
uint64_t tags_digest(const struct tags *t, const struct slice comments[2]);

// The number of a set that is known. Returns false when it is not.
bool tags_known(const struct tags *t, uint64_t digest, uint16_t *number);

// Reads the text's comments. `may_add`: a set that is new is added, else it is TAGS_OTHER. *added: it was.
uint16_t tags_read(struct tags *t, struct slice text, uint64_t digest, bool may_add, bool *added);

// Reads what the setting pgfold.tags says, in any of these ways.
uint16_t tags_set(struct tags *t, struct slice value);

// The set of this one tag.
uint16_t tags_of(struct tags *t, const char *name, struct slice value);

// The set of this number. NULL: there is none.
struct tag_set *tags_at(const struct tags *t, uint16_t number);

// Goes through a set's names and values. *at is NULL at first. Returns false at its end.
bool tags_next(const struct tag_set *s, const char **at, const char **name, const char **value);

// The place in the code that a set names, "app/views.py:42". Returns false when it names none.
bool tags_call_site(const struct tag_set *s, char *out, size_t room);

#endif
