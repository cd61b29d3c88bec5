// SPDX-License-Identifier: PostgreSQL
#include "batching/ahead/pace.h"

#define FIRST        8  // where one lookup has followed the list
#define FIRST_LEARNT 25 // where two have
#define MODEST       100
#define LEAST        4
#define NEAR         500 // microseconds
#define COST_KEYS    16
#define FIRST_COSTS  4    // measurements
#define LEAST_COST   1000 // nanoseconds
#define FAILURES     4    // in a row
#define FIRST_PAUSE  100000
#define LAST_PAUSE   60000000

static uint32_t average(uint32_t old, uint64_t value) {
    uint32_t v = value < UINT32_MAX / 8 ? (uint32_t)value : UINT32_MAX / 8;
    return old ? (uint32_t)((old * 7u + v) / 8) : v;
}

static uint64_t next_pause(uint64_t pause) {
    return !pause ? FIRST_PAUSE : 2 * pause < LAST_PAUSE ? 2 * pause : LAST_PAUSE;
}

static bool is_in_vain(const struct association *a) {
    return a->unserved >= FAILURES;
}

// Batches count when they are sent, so it makes no difference what becomes of them, and when.
static bool is_resting(const struct association *a, uint64_t now) {
    return is_in_vain(a) && now < a->last_sent + (a->pause ? a->pause : FIRST_PAUSE);
}

void association_sent(struct association *a, uint64_t now) {
    if (is_in_vain(a))
        a->pause = next_pause(a->pause ? a->pause : FIRST_PAUSE);
    else
        a->unserved++;
    a->last_sent = now;
}

void association_served(struct association *a) {
    a->unserved = 0;
}

// So many of them take the server as long as a batch may.
static uint64_t affordable(const struct association *a, uint64_t n) {
    uint64_t most = a->cost ? PACE_LATENCY * UINT64_C(1000) / a->cost : n;
    return n < most ? n : most;
}

unsigned association_all(const struct association *a, uint64_t now, unsigned max) {
    bool off = now < a->off_until || is_in_vain(a);
    return off ? 0 : (unsigned)affordable(a, max);
}

unsigned association_window(const struct association *a, uint64_t now, uint64_t age, unsigned max) {
    uint64_t n = a->window ? a->window : FIRST_LEARNT;
    if (now < a->off_until || is_resting(a, now))
        return 0;
    n = is_in_vain(a) ? LEAST : n;
    if (age && a->gap && n * a->gap > age / 10 * 8)
        n = age / 10 * 8 / a->gap; // more would be too old when they are asked for
    n = affordable(a, n);
    n = n < LEAST ? LEAST : n;
    return n < max ? (unsigned)n : max;
}

// A key costs the server some ten microseconds. So many more of them take a tenth of the time that a client waits if they are
// not there.
static unsigned more_for(uint64_t way) {
    uint64_t n = way > NEAR ? way / 100 : 0;
    return n < MODEST ? (unsigned)n : MODEST;
}

void association_begin(struct association *a, bool sure, uint64_t way) {
    if (!a->window)
        a->window = (sure ? FIRST_LEARNT : FIRST) + more_for(way);
}

bool association_is_low(const struct association *a, unsigned left) {
    unsigned half = a->window / 2;
    uint64_t needed = a->gap ? 2 * (uint64_t)a->latency / a->gap + 1 : half;
    return left <= (needed < half ? needed : half);
}

// A pause between two loops is not a gap between two lookups, so long gaps are left out. A pause inside a
// loop, from the application's own work, is rare; it is cut to four times the average.
void association_asked(struct association *a, uint64_t now, uint64_t asker, uint64_t waited) {
    uint64_t gap = now - a->last_asked, most = a->gap ? UINT64_C(4) * a->gap + 100 : UINT64_MAX;
    uint64_t less = asker == a->asker ? waited - a->waited : 0;
    gap = gap > less ? gap - less : 0;
    if (a->last_asked && gap < 100000)
        a->gap = average(a->gap, !gap ? 1 : gap < most ? gap : most);
    a->last_asked = now;
    a->asker = asker;
    a->waited = waited;
}

// Loops that skip rows use less of what is loaded, however little that is. So a part is enough where it is little.
bool association_is_used(const struct association *a, unsigned n_keys, unsigned n_used) {
    return (a->window < MODEST ? 4 : 2) * n_used >= n_keys;
}

void association_grow(struct association *a, unsigned max) {
    a->window = a->window >= max / 2 ? max : 2 * a->window;
    a->pause = 0;
    a->failures = 0;
    a->useful = true;
}

// It falls faster than it rises: what the machine does besides makes a key look dear. What one lookup takes,
// with which it is compared, is a lower bound, too. Nothing is known yet beside the first few measurements, one of which may be
// all noise: of the first half is believed, then the least.
static uint32_t first_cost(const struct association *a, uint64_t cost) {
    uint64_t most = a->cost ? a->cost : UINT32_MAX, value = a->n_costs ? cost : cost / 2;
    value = value < LEAST_COST ? LEAST_COST : value;
    return (uint32_t)(value < most ? value : most);
}

void association_loaded(struct association *a, uint64_t took, uint64_t lone, unsigned n_keys) {
    a->latency = average(a->latency, took);
    uint64_t cost = (took > lone ? took - lone : 0) * 1000 / (n_keys ? n_keys : 1);
    if (n_keys < COST_KEYS && (!n_keys || cost >= a->cost))
        return; // a smaller batch takes mostly the way there and back: a key costs less than that
    if (a->n_costs < FIRST_COSTS)
        a->cost = first_cost(a, cost);
    else if (cost < a->cost)
        a->cost = (uint32_t)((a->cost + cost) / 2);
    else
        a->cost = average(a->cost, cost > 2u * a->cost ? 2u * a->cost : cost);
    a->n_costs += a->n_costs < FIRST_COSTS;
}

// What one pause of the loop has made stale counts once. A pause now and then is no reason to stop loading.
// Only when successive batches are of no use, nothing is loaded for a while.
void association_ended(struct association *a, uint64_t now, unsigned n_keys, unsigned n_served, bool late) {
    unsigned share = n_keys <= LEAST ? 2 : 4; // of a small batch, a larger part must be of use
    if (share * n_served >= n_keys) {
        a->failures = 0;
        if (a->window < MODEST) // a loop that skips rows gets back what a pause has cost it
            a->window *= 2;
        return;
    }
    if (now == a->last_ended || now < a->off_until)
        return;
    a->last_ended = now;
    uint32_t half = a->window / 2 > LEAST ? a->window / 2 : LEAST;
    a->window = 2 * n_served > half ? 2 * n_served : half;
    if (late && n_served)
        return; // the guess was right
    a->useful = false;
    if (++a->failures < FAILURES)
        return;
    a->window = LEAST;
    a->pause = next_pause(a->pause);
    a->off_until = now + a->pause;
}

// The keys in front of the one that has raised it can be loaded by smaller batches. The smallest one counts as of no
// use.
void association_erred(struct association *a, uint64_t now, unsigned n_keys) {
    if (n_keys <= LEAST) {
        association_ended(a, now, n_keys, 0, false);
        return;
    }
    a->unserved -= a->unserved > 0; // it could not serve
    a->window = n_keys / 2 > LEAST ? n_keys / 2 : LEAST;
}
