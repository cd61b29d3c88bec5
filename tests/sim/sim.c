// SPDX-License-Identifier: PostgreSQL
//
// Runs the simulated world with a fixed set of seeds, each with options of its own (options.c). A run that
// fails prints its seed.
//
//   SIM_SEED=n    this seed alone      SIM_STEPS=n   so many steps of each
//   SIM_TRACE=1   with what is sent    SIM_RUNS=n    more seeds than usual
//
// How the world hangs together. The session in the middle is pgfold's own code, all else is made up:
//
//     client.c                   batching/                   server.c
//    +--------+              +--------------+              +--------------------+
//    | client | <-- bytes -> | session of   | <-- bytes -> | server: its tables |
//    +--------+              | the engine   |              | are computed       |
//        |                   +--------------+              +--------------------+
//        | the same bytes,                                           |
//        | without pgfold          struct sim_database: the versions of the tables, locks, the clock
//        v                                                           |
//    +--------+                                                      |
//    | oracle | -----------------------------------------------------+
//    +--------+  another one of server.c: what it answers, the client must get
//
// There are up to WORLD_MAX_CONNECTIONS of these rows, of one engine and one database.
// world.c moves the bytes in pieces of random size, lets time pass, cancels, disconnects, and checks the
// invariants after each step: each unit gets one answer, in order; nobody gets another's rows; what is
// counted adds up. alloc.c counts the blocks of memory and lets some allocations fail. All random numbers
// come from the seed, and the clock is a number, so a run is the same each time.
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/world.h"
#include "batching/session/engine.h"

static unsigned long number(const char *name, unsigned long otherwise) {
    const char *text = getenv(name);
    return text ? strtoul(text, NULL, 10) : otherwise;
}

static unsigned long units, folded, checked, differences, held, again, frozen, held_back;

static bool run(uint64_t seed, unsigned steps) {
    struct world *w = calloc(1, sizeof *w);
    w->options = world_options_of(seed);
    bool good = world_run(w, seed, steps);
    units += w->units;
    folded += w->folded;
    checked += w->checked;
    differences += w->differences;
    held += w->held;
    again += w->again;
    frozen += w->frozen;
    held_back += w->held_back;
    if (!good)
        printf("SIM_SEED=%lu SIM_STEPS=%u: step %lu%s: %s\n", (unsigned long)seed, steps, w->steps,
               w->options.failing_malloc ? ", malloc fails" : "", w->failure);
    free(w);
    return good;
}

// Something that worlds are there for has not happened in any of them.
static bool has_missed_something(void) {
    return !differences || !held || !frozen || !held_back;
}

int main(void) {
    unsigned long passed = 0, failed = 0;
    unsigned long first = number("SIM_SEED", 1), runs = number("SIM_RUNS", getenv("SIM_SEED") ? 1 : 200);
    bool many = runs >= 100;
    // What happens seldom depends on the compiler's order of things, too: then there are a few worlds more.
    for (unsigned long seed = first;
         seed < first + runs || (many && has_missed_something() && seed < first + 4 * runs); seed++) {
        bool good = run(seed, (unsigned)number("SIM_STEPS", 60000));
        passed += good;
        failed += !good;
        fflush(stdout);
    }
    printf("%lu units, %lu of them from batches; %lu checked, %lu differences found\n%lu answers were loaded "
           "ahead, %lu of them for other rows with their keys, %lu for one snapshot; held back for memory "
           "%lu times\nsim: passed=%lu failed=%lu\n",
           units, folded, checked, differences, held, again, frozen, held_back, passed, failed);
    return failed || (many && has_missed_something()) ? 1 : 0;
}
