// SPDX-License-Identifier: PostgreSQL
#include "batching/report/tag_wild.h"

#include <string.h>
#include <strings.h>

#include "batching/base/hash.h"

// Their values are as many as an application has pages.
static const char *const places[] = {"route",     "controller", "action", "namespaced_controller",
                                     "job",       "page",       "view",   "handler",
                                     "endpoint",  "operation",  "task",   "resolver",
                                     "framework", "application"};

static bool is_place(const char *name) {
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strcasecmp(places[i], name) == 0)
            return true;
    return tag_text_role(name) != TAG_PAGE;
}

static bool is_wild(const struct tag_wild *w, const char *name) {
    for (unsigned i = 0; i < w->n; i++)
        if (strcmp(w->names[i], name) == 0)
            return true;
    return false;
}

void tag_wild_tame(const struct tag_wild *w, struct tag_text *x) {
    for (unsigned i = 0; w->n && i < x->n; i++)
        if (is_wild(w, x->of[i].name))
            strcpy(x->of[i].value, "(other)");
}

static uint64_t rest_of(const struct tag_text *x, unsigned without) {
    uint64_t hash = XXH3_64bits(x->of[without].name, strlen(x->of[without].name));
    for (unsigned i = 0; i < x->n; i++)
        if (i != without) {
            hash = XXH3_64bits_withSeed(x->of[i].name, strlen(x->of[i].name), hash);
            hash = XXH3_64bits_withSeed(x->of[i].value, strlen(x->of[i].value), hash);
        }
    return hash;
}

void tag_wild_note(struct tag_wild *w, const struct tag_text *x) {
    for (unsigned i = 0; i < x->n && w->n < TAG_WILD_NAMES; i++) {
        if (is_place(x->of[i].name) || is_wild(w, x->of[i].name))
            continue;
        uint64_t rest = rest_of(x, i), at = rest % TAG_WILD_COUNTS;
        w->counts[at].sets = w->counts[at].rest == rest ? w->counts[at].sets + 1 : 1;
        w->counts[at].rest = rest;
        if (w->counts[at].sets == TAG_WILD_SETS)
            strcpy(w->names[w->n++], x->of[i].name);
    }
}

bool tag_wild_begins(const struct tag_wild *w, struct slice text) {
    for (unsigned i = 0; i < w->n; i++)
        if (tag_text_begins(text, w->names[i]))
            return true;
    return false;
}
