// SPDX-License-Identifier: PostgreSQL
#include "proxy/trim.h"

#include <malloc.h>

#include "batching/session/room.h"
#include "batching/session/engine.h"
#include "proxy/proxy.h"

#define LEAST   4194304 // bytes freed that are worth the call
#define BUSY    100     // units in a second: others would notice
#define PATIENT 10      // seconds that it waits for a quiet one

void trim_start(void) {
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1); // the threads that look up names and write the log allocate next to nothing
#endif
}

static void give_back(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static uint64_t work_done(const struct engine_counters *c) {
    uint64_t units = c->lookups + c->lazy;
    for (int r = 0; r < REASON_COUNT; r++)
        units += c->forwarded[r];
    return units;
}

void trim_tick(struct proxy *p) {
    struct trim *t = &p->trim;
    const struct engine *e = p->engine;
    uint64_t work = work_done(&e->counters);
    bool quiet = work - t->work < BUSY;
    t->work = work;
    account_note_peak(&p->engine->memory);
    t->high = e->memory.high > t->high ? e->memory.high : t->high;
    p->engine->memory.high = e->memory.used;
    room_age(p->engine);
    if (quiet)
        room_rest(p->engine);
    if (t->high < e->memory.used + LEAST || t->high - e->memory.used < t->high / 8) {
        t->waiting = 0;
        return;
    }
    if (!quiet && ++t->waiting < PATIENT)
        return;
    give_back();
    *t = (struct trim){.high = e->memory.used, .work = work};
}
