// SPDX-License-Identifier: PostgreSQL
//
// What a run of the simulated world is like, drawn from its seed: who is there, what goes wrong, and pgfold's
// settings. Every option comes with every other sooner or later, but for those that exclude one another.
#include "tests/sim/world.h"

// Random numbers of one seed; each option takes bits of its own.
struct draws {
    uint64_t r, q, m; // for most; for what lookahead adds; for limits on memory
};

static struct draws draw(uint64_t seed) {
    struct draws d = {.r = seed * 0xd1342543de82ef95u + 7,
                      .q = (seed + 1) * 0x9e3779b97f4a7c15u,
                      .m = (seed + 2) * 0xd1342543de82ef95u};
    d.r ^= d.r >> 29;
    d.q ^= d.q >> 31;
    return d;
}

static bool bit(uint64_t draws, unsigned at) {
    return draws >> at & 1;
}

// What servers and memory do. Locks need clients that cancel, and servers that hang need patience of
// pgfold's, since they hang on and on.
static void choose_troubles(struct world_options *o, struct draws d) {
    o->disconnects = bit(d.r, 0);
    o->cancels =
        bit(d.r, 1) && (d.r >> 32) % 3; // not of the moody: a cancelled statement may have run or not
    o->slow_readers = bit(d.r, 2);
    o->locks = o->cancels && bit(d.r, 42);
    o->stalls = o->locks || bit(d.r, 7);
    o->hangs = (d.q >> 28) % 4 == 0 && !o->cancels && !o->slow_readers;
    o->failing_malloc = (d.r & 0x38) == 0x38 && !o->hangs;
}

// A server that folds wrongly goes with a proxy that checks all that it folds: in mode fold not all can be.
static void choose_checks(struct world_options *o, struct draws d) {
    bool all = (d.r >> 36) % 8 == 0;
    o->verify = (d.r >> 36) % 8 == 1;
    o->check_one_in = all ? 1 : bit(d.r, 40) ? 5 : 0;
    o->wrong = (o->verify || all) && bit(d.r, 41);
    o->observe = (d.r >> 16) % 24 == 0;
    o->dry = (d.r >> 24) % 4 != 0;
    o->never_slower = !o->verify && bit(d.r, 35);
}

static void choose_clients(struct world_options *o, struct draws d) {
    o->loops = d.q & 3;
    o->quiet = o->loops && !o->locks && !o->hangs && (d.q >> 26) % 3;
    o->connections = 1 + (unsigned)(d.r >> 8) % (o->quiet ? 3 : WORLD_MAX_CONNECTIONS);
    o->pipelines = !o->locks && bit(d.r, 6); // who pipelines may not always cancel
    o->moody = (d.r >> 32) % 3 == 0;
    o->calm = bit(d.r, 19);
    o->transactional = o->locks || bit(d.r, 34);
    o->bursty = o->hangs || bit(d.r, 18);
    o->focused = o->verify || o->locks || o->hangs || bit(d.r, 17);
    o->pooled = (d.q >> 2) % 4 == 0;
    o->outsiders = bit(d.q, 4);
}

// A pool's clients, which do little else.
static void choose_bursts(struct world_options *o, struct draws d) {
    o->bursts = (d.q >> 34) % 4 == 0 && !o->locks && !o->hangs;
    if (!o->bursts || bit(d.q, 36))
        return;
    o->pages = true;
    o->connections = 3 + (unsigned)(d.r >> 8) % (WORLD_MAX_CONNECTIONS - 2);
    o->quiet = o->calm = o->bursty = o->with_list = true;
    o->moody = o->transactional = false;
    o->lookahead = LOOKAHEAD_BOUNDED;
    o->ahead_gap = 100000;
    o->ahead_age = 1000000;
    o->max_keys = o->ahead_keys = 500;
    o->max_answer = 1u << 20;
    o->max_session = 1u << 26;
    o->max_memory = 1u << 30;
    o->ahead_session = 1u << 22;
    o->ahead_memory = 1u << 26;
}

static void choose_limits(struct world_options *o, struct draws d) {
    static const size_t sessions[] = {0, 1u << 26, 1u << 16, 1u << 14}, // 0: none
        all[] = {0, 1u << 30, 1u << 20, 1u << 18};
    o->window = bit(d.r, 20) ? 2000 : 0;
    o->timeout = !bit(d.r, 21) || o->hangs ? 0 : o->quiet ? 40000 : 4000;
    o->patience = o->hangs || bit(d.q, 32) ? 20000 : 0;
    o->max_keys = bit(d.r, 22) ? 500 : 3;
    o->max_in_flight = 1 + (unsigned)(d.r >> 23) % 3;
    o->max_waiting = bit(d.r, 25) ? 1024 : 2;
    o->max_answer = (d.r >> 26) & 3 ? 1u << 20 : 200;
    o->max_groups = (d.r >> 28) & 3 ? 1000 : 6;
    o->max_shapes = (d.r >> 30) & 3 ? 1000 : 4;
    o->parse_budget = (d.r >> 52) % 5 ? 250000 : 1 + (unsigned)(d.r >> 40) % 1000;
    o->max_session = sessions[(d.m >> 33) % 4];
    o->max_memory = all[(d.m >> 43) % 4];
}

static void choose_lookahead(struct world_options *o, struct draws d) {
    static const unsigned gaps[] = {500, 5000, 100000}, ages[] = {1000, 10000, 1000000};
    unsigned mode = (d.q >> 13) % 8;
    o->lookahead = mode == 0 ? LOOKAHEAD_OFF : mode == 1 ? LOOKAHEAD_SNAPSHOT : LOOKAHEAD_BOUNDED;
    o->linked = (d.q >> 5) % 4 != 0;
    o->all_write = (d.q >> 7) % 8 == 0;
    o->books_off = (d.q >> 10) % 8 == 0;
    o->ahead_gap = gaps[(d.q >> 16) % 3];
    o->ahead_age = ages[(d.q >> 18) % 3];
    o->ahead_keys = bit(d.q, 20) ? 500 : 4;
    o->with_list = (d.q >> 25) % 4 != 0;
    o->early_commit = (d.q >> 28) % 4 != 0;
    o->ahead_session = (d.q >> 21) & 3 ? 1u << 22 : 1u << 14;
    o->ahead_memory = (d.q >> 23) & 3 ? 1u << 26 : 1u << 15;
}

struct world_options world_options_of(uint64_t seed) {
    struct world_options o = {0};
    struct draws d = draw(seed);
    choose_troubles(&o, d);
    choose_checks(&o, d);
    choose_clients(&o, d); // after the troubles, which decide about some
    choose_limits(&o, d);
    choose_lookahead(&o, d);
    choose_bursts(&o, d);
    return o;
}
