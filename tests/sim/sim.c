// SPDX-License-Identifier: PostgreSQL
//
// Runs the simulated world with a fixed set of seeds, each with options of its own. A run that fails prints
// its seed; SIM_SEED=n SIM_STEPS=n runs it alone, SIM_TRACE=1 with the engine's log, SIM_RUNS=n more seeds
// than usual.
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"
#include "batching/session/engine.h"

static unsigned long number(const char *name, unsigned long otherwise) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

// Every option comes with every other sooner or later.
static struct world_options options_of(uint64_t seed) {
    uint64_t r = seed * 0xd1342543de82ef95u + 7;
    r ^= r >> 29;
    // A server that folds wrongly goes with a proxy that checks all that it folds: in mode fold not all can
    // be.
    bool checks_all = (r >> 36) % 8 == 0, verify = (r >> 36) % 8 == 1;
    uint64_t q = (seed + 1) * 0x9e3779b97f4a7c15u; // what lookahead adds
    q ^= q >> 31;
    uint64_t m = (seed + 2) * 0xd1342543de82ef95u; // limits on memory; 0: none
    static const size_t sessions[] = {0, 1u << 26, 1u << 16, 1u << 14},
                        all[] = {0, 1u << 30, 1u << 20, 1u << 18};
    static const unsigned gaps[] = {500, 5000, 100000}, ages[] = {1000, 10000, 1000000};
    bool cancels = (r & 2) && (r >> 32) % 3, locks = cancels && (r >> 42) & 1;
    bool hangs = (q >> 28) % 4 == 0 && !cancels && !(r & 4); // on and on, but for patience
    bool loops = q & 3, quiet = loops && !locks && !hangs && (q >> 26) % 3;
    return (struct world_options){
        .verify = verify,
        .check_one_in = checks_all      ? 1
                        : (r >> 40) & 1 ? 5
                                        : 0,
        .wrong = (verify || checks_all) && (r >> 41) & 1,
        .connections = quiet ? 1 + (unsigned)(r >> 8) % 3 : 1 + (unsigned)(r >> 8) % WORLD_MAX_CONNECTIONS,
        .disconnects = r & 1,
        .cancels = cancels, // a cancelled lookup of the moody ones may have run or not
        .slow_readers = r & 4,
        .hangs = hangs,
        .patience = hangs || (q >> 32) & 1 ? 20000 : 0,
        .failing_malloc = (r & 0x38) == 0x38 && !hangs,
        .pipelines = !locks && r & 0x40, // who pipelines may not always cancel
        .stalls = locks || r & 0x80,
        .locks = locks,
        .observe = (r >> 16) % 24 == 0,
        .moody = (r >> 32) % 3 == 0,
        .calm = (r >> 19) & 1,
        .transactional = locks || (r >> 34) & 1,
        .bursty = hangs || (r >> 18) & 1,
        .never_slower = !verify && (r >> 35) & 1,
        .focused = verify || locks || hangs || (r >> 17) & 1,
        .window = (r >> 20) & 1 ? 2000 : 0,
        .timeout = (r >> 21) & 1 && !hangs ? (quiet ? 40000 : 4000) : 0,
        .max_keys = (r >> 22) & 1 ? 500 : 3,
        .max_in_flight = 1 + (unsigned)(r >> 23) % 3,
        .max_waiting = (r >> 25) & 1 ? 1024 : 2,
        .max_answer = (r >> 26) & 3 ? 1u << 20 : 200,
        .max_groups = (r >> 28) & 3 ? 1000 : 6,
        .max_shapes = (r >> 30) & 3 ? 1000 : 4,
        .parse_budget = (r >> 52) % 5 ? 250000 : 1 + (unsigned)(r >> 40) % 1000,
        .loops = loops,
        .quiet = quiet,
        .pooled = (q >> 2) % 4 == 0,
        .outsiders = (q >> 4) & 1,
        .linked = (q >> 5) % 4 != 0,
        .all_write = (q >> 7) % 8 == 0,
        .books_off = (q >> 10) % 8 == 0,
        .lookahead = (q >> 13) % 8 == 0   ? LOOKAHEAD_OFF
                     : (q >> 13) % 8 == 1 ? LOOKAHEAD_SNAPSHOT
                                          : LOOKAHEAD_BOUNDED,
        .ahead_gap = gaps[(q >> 16) % 3],
        .ahead_age = ages[(q >> 18) % 3],
        .ahead_keys = (q >> 20) & 1 ? 500 : 4,
        .ahead_session = (q >> 21) & 3 ? 1u << 22 : 1u << 14,
        .ahead_memory = (q >> 23) & 3 ? 1u << 26 : 1u << 15,
        .max_session = sessions[(m >> 33) % 4],
        .max_memory = all[(m >> 43) % 4],
    };
}

static unsigned long units, folded, checked, differences, held, frozen, held_back;

static bool run(uint64_t seed, unsigned steps) {
    struct world *w = calloc(1, sizeof *w);
    w->options = options_of(seed);
    bool good = world_run(w, seed, steps);
    units += w->units;
    folded += w->folded;
    checked += w->checked;
    differences += w->differences;
    held += w->held;
    frozen += w->frozen;
    held_back += w->held_back;
    if (!good)
        printf("SIM_SEED=%lu SIM_STEPS=%u: step %lu%s: %s\n", (unsigned long)seed, steps, w->steps,
               w->options.failing_malloc ? ", malloc fails" : "", w->failure);
    free(w);
    return good;
}

int main(void) {
    unsigned long passed = 0, failed = 0;
    unsigned long first = number("SIM_SEED", 1), runs = number("SIM_RUNS", getenv("SIM_SEED") ? 1 : 150);
    for (unsigned long seed = first; seed < first + runs; seed++) {
        bool good = run(seed, (unsigned)number("SIM_STEPS", 60000));
        passed += good;
        failed += !good;
        fflush(stdout);
    }
    printf(
        "%lu units, %lu of them from batches; %lu checked, %lu differences found\n%lu answers were loaded "
        "ahead, %lu of them for one snapshot; held back for memory %lu times\nsim: passed=%lu failed=%lu\n",
        units, folded, checked, differences, held, frozen, held_back, passed, failed);
    return failed || (runs >= 100 && (!differences || !held || !frozen || !held_back)) ? 1 : 0;
}
