// SPDX-License-Identifier: PostgreSQL
//
// The linker sends every malloc of the program here (--wrap): blocks are counted, and while armed some are
// refused.
#include <stdlib.h>
#include <string.h>

#include "tests/sim/world.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *s);

static struct {
    uint64_t *random;
    unsigned one_in;
    long live;
} state;

void alloc_arm(uint64_t *random, unsigned one_in) {
    state.random = random;
    state.one_in = one_in;
}

void alloc_disarm(void) {
    state.one_in = 0;
}

long alloc_live(void) {
    return state.live;
}

static bool refused(void) {
    if (!state.one_in)
        return false;
    *state.random = *state.random * 6364136223846793005u + 1442695040888963407u;
    return (*state.random >> 33) % state.one_in == 0;
}

void *__wrap_malloc(size_t size) {
    void *p = refused() ? NULL : __real_malloc(size);
    state.live += p != NULL;
    return p;
}

void *__wrap_calloc(size_t n, size_t size) {
    void *p = refused() ? NULL : __real_calloc(n, size);
    state.live += p != NULL;
    return p;
}

void *__wrap_realloc(void *old, size_t size) {
    void *p = refused() ? NULL : __real_realloc(old, size);
    state.live += p && !old;
    return p;
}

void __wrap_free(void *p) {
    state.live -= p != NULL;
    __real_free(p);
}

char *__wrap_strdup(const char *s) {
    size_t size = strlen(s) + 1;
    char *p = __wrap_malloc(size);
    return p ? memcpy(p, s, size) : NULL;
}
