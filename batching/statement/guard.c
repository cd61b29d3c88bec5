// SPDX-License-Identifier: PostgreSQL
//
// The states of guard.h, and the measurements that move them.
#include "batching/statement/guard.h"

#define FIRST_PAUSE    UINT64_C(1000000) // all times are in microseconds
#define LAST_PAUSE     UINT64_C(300000000)
#define QUIET          10   // after so many pauses without a doubt there is a trial all the same
#define SLACK          50   // a smaller difference is not worth a change
#define SHORT_GAP      500  // a gap without a pending lookup that still counts as busy
#define FORGET         4096 // answers after which older ones count half
#define MAX_WIDER      3    // doublings of the batches under way at once
#define MIN_SAMPLES    8    // fewer samples decide nothing
#define TRIAL_MIN      32   // samples of a trial
#define TRIAL_MAX      512
#define TRIAL_TIME     50000 // the longest trial, plus TRIAL_TURNS folded answers
#define TRIAL_LEAST    20000
#define CONFIRM        100000
#define PATIENCE       4      // times what a batch takes
#define PATIENCE_FIRST 250000 // when nothing is known of it
#define PATIENCE_MOST  400000
#define LATE_FIRST     50000 // the first pause after a late batch
#define LATE_LAST      6400000
#define TRIAL_TURNS    16
#define TRIAL_LAST     5000000
#define SERVICE_LEAST  100 // what the server spends on a batch, at least
// A smaller difference raises no doubt: a trial costs a statement on each of many connections.
#define NOISE 1000

// The average of about the last 16 values. A value that is far off counts as eight times the average: a lock
// that somebody else holds says nothing about either way.
static uint32_t average(uint32_t old, uint64_t value) {
    value = value < 1 ? 1 : value > UINT32_MAX / 2 ? UINT32_MAX / 2 : value;
    if (!old)
        return (uint32_t)value;
    uint64_t most = (uint64_t)old * 8;
    value = value < most ? value : most;
    uint64_t new = ((uint64_t)old * 15 + value + 8) / 16;
    return new ? (uint32_t) new : 1;
}

// Follows faster values at once and slower ones slowly: the first run of a statement reads from disk.
static uint32_t lower_bound(uint32_t old, uint64_t value) {
    return old && value > old ? average(old, value < old + old / 4 ? value : old + old / 4)
                              : average(0, value);
}

// Between an answer and the next question the client needs some time of its own. A longer gap is idleness.
static void pass_time(struct guard *g, uint64_t now) {
    uint64_t passed = now > g->clock ? now - g->clock : 0;
    bool others = g->before && g->pending <= g->before; // only those of the state before are waited for
    if (!others && (g->pending || passed < SHORT_GAP + 4 * (uint64_t)g->lone))
        g->busy[g->state == GUARD_TRIAL] += passed;
    g->clock = now;
}

void guard_note_came(struct guard *g, uint64_t now) {
    pass_time(g, now);
    g->pending++;
}

void guard_note_went(struct guard *g, uint64_t now) {
    bool trial = g->state == GUARD_TRIAL;
    pass_time(g, now);
    g->pending -= g->pending > 0;
    if (g->before) {
        g->before--;
        return;
    }
    if (++g->answered[trial] < FORGET)
        return;
    g->answered[trial] /= 2;
    g->busy[trial] /= 2;
}

static void enter(struct guard *g, enum guard_state state, uint64_t until) {
    g->state = state;
    g->until = until;
    g->n = 0;
    g->doubt = false;
    g->before = g->pending;
}

// Returns the pause that is due now; the next one is twice as long. Not `longer`: it begins with the first
// one again.
static uint64_t take_pause(struct guard *g, bool longer) {
    if (!g->pause || !longer)
        g->pause = FIRST_PAUSE;
    uint64_t pause = g->pause;
    g->pause = pause * 2 < LAST_PAUSE ? pause * 2 : LAST_PAUSE;
    return pause;
}

static bool is_slower(uint32_t folded, uint32_t alone) {
    return alone && (uint64_t)folded * 4 > (uint64_t)alone * 5 && folded > alone + SLACK;
}

// Tells whether lookups as sent give at least `percent` of the answers that folding gives in the same time.
static bool throughput_is(const struct guard *g, unsigned percent) {
    return g->busy[1] / 64 * g->answered[0] * percent <= g->busy[0] / 64 * g->answered[1] * 100;
}

// Clients that ask again as soon as they are answered get more answers in a time. Clients with a pace of
// their own get as many, but later.
static bool has_lost(const struct guard *g) {
    bool clearly = (uint64_t)g->folded * 2 > (uint64_t)g->alone * 3;
    return is_slower(g->folded, g->alone) && (throughput_is(g, 110) || (clearly && throughput_is(g, 97)));
}

// ---- from one state to the next

static void forget_folding(struct guard *g) {
    g->folded = g->batch = g->keys = g->answered[0] = 0;
    g->busy[0] = 0;
}

static void begin_trial(struct guard *g, uint64_t now) {
    uint64_t length = TRIAL_TIME + (uint64_t)g->folded * TRIAL_TURNS;
    pass_time(g, now);
    enter(g, GUARD_TRIAL, now + (length < TRIAL_LAST ? length : TRIAL_LAST));
    g->alone = 0; // as it is now, not as it was
    g->sum = g->busy[1] = 0;
    g->since = now;
    g->answered[1] = 0;
}

// A verdict that is repeated holds twice as long.
static void end_trial(struct guard *g, uint64_t now) {
    if (g->n < MIN_SAMPLES) {
        enter(g, GUARD_FOLDING, now + FIRST_PAUSE);
        return;
    }
    g->alone = g->tried = (uint32_t)(g->sum / g->n);
    pass_time(g, now);
    bool slower = has_lost(g);
    if (slower && !g->lost && !g->once) { // once is chance, or caches that were cold
        forget_folding(g);
        enter(g, GUARD_FOLDING, now + CONFIRM);
        g->once = g->doubt = true;
        return;
    }
    g->once = false;
    if (slower && !is_slower(g->batch, g->alone) && g->wider < MAX_WIDER) {
        g->wider++; // the loss comes from waiting for earlier batches
        forget_folding(g);
        enter(g, GUARD_FOLDING, now);
        return;
    }
    uint64_t pause = take_pause(g, slower == g->lost);
    g->lost = slower;
    g->oversized = false;
    enter(g, slower ? GUARD_ALONE : GUARD_FOLDING, now + pause);
}

// After a pause folding must prove itself again, with answers of any size.
static void end_pause(struct guard *g, uint64_t now) {
    forget_folding(g);
    g->wider = 0;
    g->oversized = false;
    enter(g, GUARD_FOLDING, now);
}

static uint32_t trial_samples(const struct guard *g) {
    uint32_t n = g->members < TRIAL_MAX / 4 ? 4 * g->members : TRIAL_MAX;
    return n > TRIAL_MIN ? n : TRIAL_MIN;
}

static bool wants_trial(const struct guard *g, uint64_t now) {
    bool near_lone = g->lone && (uint64_t)g->folded * 4 <= (uint64_t)g->lone * 5;
    if (g->n < (g->wider ? trial_samples(g) : MIN_SAMPLES) || near_lone)
        return false;
    return now >= g->until + (g->doubt ? 0 : QUIET * g->pause);
}

enum guard_state guard_state_at(struct guard *g, bool enabled, uint64_t now) {
    if (!enabled)
        return GUARD_FOLDING;
    if (g->state == GUARD_TRIAL && now >= g->until)
        end_trial(g, now);
    if (g->state == GUARD_ALONE && now >= g->until)
        end_pause(g, now);
    if (g->state == GUARD_FOLDING && wants_trial(g, now))
        begin_trial(g, now);
    return g->state;
}

// ---- what was measured

void guard_note_lone(struct guard *g, uint64_t took) {
    g->n_alone++;
    g->lone = lower_bound(g->lone, took);
}

void guard_note_alone(struct guard *g, uint64_t now, uint64_t took) {
    g->n_alone++;
    if (g->lone && took < g->lone)
        g->lone = average(0, took);
    g->alone = average(g->alone, took);
    if (g->state != GUARD_TRIAL)
        return;
    uint64_t most = (uint64_t)g->alone * 8;
    g->sum += took < most ? took : most;
    if (++g->n >= trial_samples(g) && now >= g->since + TRIAL_LEAST)
        end_trial(g, now);
}

// The longest time is forgotten after some dozens of batches: on a busy machine one in many is late for no
// reason of its own.
static void note_took(struct guard *g, uint64_t took) {
    g->took = average(g->took, took);
    g->worst -= g->worst / 64;
    if (took > g->worst)
        g->worst = took < PATIENCE_MOST ? (uint32_t)took : PATIENCE_MOST;
}

void guard_note_batch(struct guard *g, uint64_t now, uint32_t n_keys, uint32_t n_members, uint64_t took,
                      uint64_t waited) {
    if (!n_members)
        return;
    g->n_folded += n_members;
    g->members = average(g->members, n_members);
    note_took(g, took);
    if (now >= g->late_until && (g->late_pause /= 2) < LATE_FIRST)
        g->late_pause = 0;
    if (!g->pause) {
        g->pause = FIRST_PAUSE;
        g->until = now;
    }
    if (g->state != GUARD_FOLDING)
        return; // it was sent before the trial began
    g->folded = average(g->folded, waited / n_members);
    g->batch = average(g->batch, took);
    g->n = g->n < UINT32_MAX - n_members ? g->n + n_members : g->n;
    g->keys = average(g->keys, n_keys);
    // One after the other on a single connection they would hardly have taken longer. A single batch of two or three keys often
    // does on a busy machine, so it is the average that counts.
    g->doubt |= g->keys > 1 && g->lone && g->batch > (uint64_t)g->keys * g->lone / 2 + NOISE;
    g->doubt |= is_slower(g->folded, g->tried);
}

uint64_t guard_patience_of(uint64_t took, uint64_t least) {
    uint64_t patience = took * PATIENCE < PATIENCE_MOST ? took * PATIENCE : PATIENCE_MOST;
    return patience > least ? patience : least;
}

// The average is that of a batch of average size. A larger one may take longer.
uint64_t guard_patience(const struct guard *g, uint32_t n_keys, uint64_t least) {
    if (!g->took)
        return least > PATIENCE_FIRST ? least : PATIENCE_FIRST;
    uint32_t average_keys = g->members ? g->members : 1;
    uint64_t times = n_keys > average_keys ? n_keys / average_keys : 1;
    uint64_t worst = g->worst / (PATIENCE / 2);
    return guard_patience_of(times * (worst > g->took ? worst : g->took), least);
}

// If batches take longer from now on, a few late ones make the patience long enough.
void guard_note_late(struct guard *g, uint64_t now, uint64_t patience) {
    uint64_t worst = patience / 4 * 3;
    if (worst > g->worst)
        g->worst = worst < PATIENCE_MOST ? (uint32_t)worst : PATIENCE_MOST;
    if (now < g->late_until)
        return; // sent before the pause began
    g->late_pause = g->late_pause ? g->late_pause * 2 : LATE_FIRST;
    g->late_pause = g->late_pause < LATE_LAST ? g->late_pause : LATE_LAST;
    g->late_until = now + g->late_pause;
}

bool guard_is_late(const struct guard *g, uint64_t now) {
    return now < g->late_until;
}

void guard_note_first_batch(struct guard *g, uint32_t n_members) {
    g->n_folded += n_members;
    g->members = n_members ? average(g->members, n_members) : g->members;
}

// Allows half as many keys for a while, or none.
void guard_note_oversized(struct guard *g, uint64_t now, uint32_t n_keys) {
    g->size_pause = g->size_pause ? g->size_pause * 2 : FIRST_PAUSE;
    g->size_pause = g->size_pause < LAST_PAUSE ? g->size_pause : LAST_PAUSE;
    g->max_keys = n_keys / 2 > 2 ? n_keys / 2 : 2;
    g->max_keys_until = now + g->size_pause;
    if (n_keys > 2)
        return;
    enter(g, GUARD_ALONE, now + g->size_pause);
    g->oversized = true;
}

unsigned guard_max_in_flight(const struct guard *g, unsigned max_in_flight) {
    return max_in_flight << g->wider;
}

uint64_t guard_spacing(const struct guard *g, uint64_t distance, unsigned most) {
    uint64_t took = g->took ? g->took : g->lone;
    if (!took || !distance || took >= 2 * distance)
        return UINT64_MAX;
    uint64_t service = took > distance ? took - distance : 0;
    return (service > SERVICE_LEAST ? service : SERVICE_LEAST) / most;
}

unsigned guard_max_keys(struct guard *g, uint64_t now, unsigned max_keys) {
    if (g->max_keys && now >= g->max_keys_until)
        g->max_keys = 0;
    return g->max_keys && g->max_keys < max_keys ? g->max_keys : max_keys;
}

const char *guard_state_name(const struct guard *g) {
    if (g->state == GUARD_ALONE)
        return g->oversized ? "alone, its answers are too large" : "alone, folding was slower";
    return g->state == GUARD_TRIAL ? "trial" : "folding";
}
