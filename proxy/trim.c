// SPDX-License-Identifier: PostgreSQL
#include "proxy/trim.h"

#include <malloc.h>

#include "batching/session/engine.h"
#include "batching/session/room.h"
#include "batching/session/session_state.h"

#define LEAST   4194304 // bytes freed that are worth the call
#define BUSY    100     // units in a second: clients would notice the pause
#define PATIENT 10      // seconds that it waits for a quiet one

void trim_start(void) {
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1); // the other threads, for names and the log, allocate next to nothing
#endif
}

static void give_back(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static uint64_t work_done(const struct engine_counters *c) {
    return c->answered + c->lazy;
}

void trim_tick(struct trim *t, struct engine *e) {
    uint64_t work = work_done(engine_counters(e));
    bool quiet = work - t->work < BUSY;
    t->work = work;
    size_t high = engine_take_memory_high(e);
    t->high = high > t->high ? high : t->high;
    room_age(e);
    if (quiet)
        room_rest(e);
    size_t used = engine_memory_use(e).used;
    if (t->high < used + LEAST || t->high - used < t->high / 8) {
        t->waiting = 0;
        return;
    }
    if (!quiet && ++t->waiting < PATIENT)
        return;
    give_back();
    *t = (struct trim){.high = used, .work = work};
}
