// SPDX-License-Identifier: PostgreSQL
#include "proxy/gate.h"

#include <limits.h>
#include <sys/resource.h>

#include "proxy/proxy.h"

#define MS           1000000   // nanoseconds
#define TURN         (2 * MS)  // the most that is spent in one turn
#define CREDIT_MOST  (2 * MS)  // what may be saved up
#define CREDIT_LEAST (-5 * MS) // a larger debt is forgiven: another process had the processor meanwhile
#define AT_WORK      20        // milliseconds for which a session that had something to do counts as at work
#define GRACE_MOST   1000000   // microseconds
#define KEPT_LEAST   16        // descriptors that are kept back, at least
#define EXTRA        16        // connections, when the server keeps all others waiting
#define STALLED      2000000   // microseconds without any log-in that has ended
#define OWN_FILES    16        // descriptors of the loop, the listeners and the log

// ---- descriptors

static unsigned long long kept(const struct gate *g) {
    unsigned long long n = g->n_files / 8;
    return n < KEPT_LEAST ? KEPT_LEAST : n > GATE_KEEPS ? GATE_KEEPS : n;
}

static int files_but(const struct gate *g, unsigned long long but) {
    unsigned long long n = g->n_files;
    return n <= but ? 0 : n - but < INT_MAX ? (int)(n - but) : INT_MAX;
}

int gate_files(const struct gate *g, enum gate_use use) {
    return files_but(g, use == GATE_LOGIN ? kept(g) : kept(g) / 2);
}

static void look_at_limit(struct gate *g) {
    struct rlimit r;
    bool known = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY;
    g->n_files = known ? r.rlim_cur : ULLONG_MAX;
}

bool gate_is_short(struct gate *g, int fd, enum gate_use use) {
    if (fd < gate_files(g, use))
        return false;
    look_at_limit(g); // it can be raised from outside
    return fd >= gate_files(g, use);
}

// ---- places

// The list is in the order of `since`: a link that takes a new step goes to its end.
static void list(struct gate *g, struct gate_place *place) {
    place->listed = true;
    place->steps++;
    place->since = proxy_now();
    place->next = NULL;
    place->previous = g->last;
    *(g->last ? &g->last->next : &g->first) = place;
    g->last = place;
}

static void unlist(struct gate *g, struct gate_place *place) {
    if (!place->listed)
        return;
    place->listed = false;
    *(place->previous ? &place->previous->next : &g->first) = place->next;
    *(place->next ? &place->next->previous : &g->last) = place->previous;
}

static void unlist_due(struct gate *g, struct gate_place *place) {
    struct gate_work *w = &g->work[place->kind];
    struct gate_place *before = NULL;
    if (!place->due)
        return;
    place->due = false;
    for (struct gate_place *at = w->due; at != place; at = at->next_due)
        before = at;
    *(before ? &before->next_due : &w->due) = place->next_due;
    if (w->due_end == place)
        w->due_end = before;
}

static void on_open(uv_timer_t *timer) {
    struct gate *g = timer->data;
    g->shut = false;
    g->calls->listen(g->proxy, true);
}

void gate_shut(struct gate *g, uint64_t ms) {
    g->shut = true;
    g->calls->listen(g->proxy, false);
    uv_timer_start(&g->open, on_open, ms, 0);
}

static void count(struct gate *g, const struct gate_place *place, int change) {
    *(place->extra ? &g->n_extra : &g->n) += (unsigned)change;
}

void gate_enter(struct gate *g, struct gate_place *place, struct link *l) {
    place->link = l;
    place->taken = true;
    place->extra = gate_is_full(g);
    count(g, place, 1);
    list(g, place);
}

void gate_leave(struct gate *g, struct gate_place *place) {
    if (!place->taken)
        return;
    unlist(g, place);
    unlist_due(g, place);
    place->taken = false;
    count(g, place, -1);
    if (!place->extra)
        g->left_at = proxy_now();
    if (g->shut) // not from within whatever this is called by
        uv_timer_start(&g->open, on_open, 0, 0);
}

void gate_waits(struct gate *g, struct gate_place *place, bool does) {
    if (!place->taken)
        return;
    unlist(g, place);
    if (does)
        list(g, place);
}

// Whoever is due does not keep us waiting: its client has come, and it waits for us.
static struct gate_place *slowest(const struct gate *g) {
    struct gate_place *place = g->first;
    while (place && place->due)
        place = place->next;
    return place;
}

static bool is_silent(const struct gate_place *place) {
    return place->steps <= 1;
}

static bool evict_if_late(struct gate *g, struct gate_place *place, uint64_t patience) {
    if (!place || proxy_now() < place->since + patience)
        return false;
    g->evicted++;
    g->proxy->refused++;
    if (is_silent(place))
        g->grace = g->grace / 2 > GATE_PATIENCE ? g->grace / 2 : GATE_PATIENCE;
    g->calls->evict(place->link);
    return true;
}

// Those that have answered nothing come first: a client that answers step by step may only be far away.
bool gate_evict(struct gate *g, uint64_t patience) {
    struct gate_place *place = slowest(g), *first = place;
    uint64_t now = proxy_now();
    while (place && (place->due || !is_silent(place)) && now >= place->since + patience)
        place = place->next;
    return evict_if_late(g, place, patience) || evict_if_late(g, first, patience);
}

bool gate_evict_at_server(struct gate *g, uint64_t patience) {
    struct gate_place *place = g->first;
    while (place && (place->due || !g->calls->is_at_server(place->link)))
        place = place->next;
    return evict_if_late(g, place, patience);
}

// Each connection may need two descriptors, besides those of the sessions. A few are let in in any case, for
// cancel requests.
bool gate_is_full(const struct gate *g) {
    const struct proxy *p = g->proxy;
    unsigned long long most = (unsigned)p->settings->config->max_logins, least = kept(g) / 4;
    unsigned long long taken = OWN_FILES + 2ULL * (p->n_links - g->n - g->n_extra);
    unsigned long long files = (unsigned long long)gate_files(g, GATE_LOGIN);
    unsigned long long room = files > taken ? (files - taken) / 2 : 0;
    room = room < least ? least : room;
    return g->n >= (room < most ? room : most);
}

bool gate_has_place(struct gate *g, struct gate_place *place) {
    if (!place->extra)
        return true;
    if (gate_is_full(g))
        return false;
    count(g, place, -1);
    place->extra = false;
    count(g, place, 1);
    return true;
}

// All of them have been waiting for the server for a while.
static bool is_stalled(const struct gate *g) {
    const struct gate_place *place = g->first;
    while (place && (place->due || place->extra))
        place = place->next;
    return !place && proxy_now() > g->left_at + STALLED;
}

bool gate_admits(struct gate *g) {
    if (!gate_is_full(g))
        return true;
    if (g->n_extra < EXTRA && is_stalled(g))
        return true;
    if (gate_evict(g, g->grace))
        return true;
    const struct gate_place *place = slowest(g);
    uint64_t now = proxy_now(), from = place ? place->since + g->grace : UINT64_MAX;
    uint64_t ms = from > now ? (from - now) / 1000 + 1 : 1;
    gate_shut(g, ms < GRACE_MOST / 1000 ? ms : GRACE_MOST / 1000);
    return false;
}

// ---- time

uint64_t gate_begins(void) {
    return uv_hrtime();
}

static bool others_are_at_work(const struct gate *g) {
    return uv_now(g->proxy->loop) < g->session_at + AT_WORK;
}

static const int64_t parts[] = {
    [GATE_ANY] = 6, [GATE_TLS] = 4}; // the part of the loop's time: a sixth, a quarter

static bool has_credit(struct gate *g, enum gate_kind kind) {
    struct gate_work *w = &g->work[kind];
    uint64_t now = uv_hrtime();
    int64_t earned = (int64_t)(now - w->credit_at) / parts[kind];
    w->credit_at = now;
    w->credit = w->credit + earned < CREDIT_MOST ? w->credit + earned : CREDIT_MOST;
    return w->credit > 0 || !others_are_at_work(g);
}

bool gate_may_work(struct gate *g, enum gate_kind kind) {
    return g->turn_left && !g->work[kind].due && has_credit(g, kind);
}

void gate_worked(struct gate *g, enum gate_kind kind, uint64_t begun) {
    struct gate_work *w = &g->work[kind];
    uint64_t took = uv_hrtime() - begun;
    g->turn_left = took < g->turn_left ? g->turn_left - took : 0;
    w->credit -= (int64_t)took;
    if (w->credit < CREDIT_LEAST)
        w->credit = CREDIT_LEAST;
}

void gate_defer(struct gate *g, struct gate_place *place, enum gate_kind kind) {
    struct gate_work *w = &g->work[kind];
    if (place->due)
        return;
    place->due = true;
    place->kind = kind;
    place->next_due = NULL;
    *(w->due_end ? &w->due_end->next_due : &w->due) = place;
    w->due_end = place;
}

static void on_wake(uv_timer_t *timer) {
    (void)timer; // the turn that follows does the rest
}

// Work that is left over goes on when the other sockets have been looked at, or when there is credit again.
static void plan(struct gate *g) {
    uint64_t soonest = UINT64_MAX;
    for (int kind = GATE_ANY; kind <= GATE_TLS; kind++) {
        const struct gate_work *w = &g->work[kind];
        bool waits = others_are_at_work(g) && w->credit <= 0;
        uint64_t ms = waits ? (uint64_t)(-w->credit * parts[kind] / MS) + 1 : 0;
        if (w->due && ms < soonest)
            soonest = ms;
    }
    if (soonest != UINT64_MAX)
        uv_timer_start(&g->wake, on_wake, soonest, 0);
}

static void work_off(struct gate *g, enum gate_kind kind) {
    struct gate_work *w = &g->work[kind];
    while (w->due && g->turn_left && has_credit(g, kind)) {
        struct gate_place *place = w->due;
        uint64_t begun = gate_begins();
        w->due = place->next_due;
        if (!w->due)
            w->due_end = NULL;
        place->due = false;
        g->calls->work(place->link);
        gate_worked(g, kind, begun);
    }
}

void gate_turn(struct gate *g) {
    g->turn_left = TURN;
    if (!g->work[GATE_ANY].due && !g->work[GATE_TLS].due)
        return;
    work_off(g, GATE_ANY);
    work_off(g, GATE_TLS);
    plan(g);
}

// ---- life

void gate_init(struct gate *g, struct proxy *p, const struct gate_calls *calls) {
    g->proxy = p;
    g->calls = calls;
    g->grace = GRACE_MOST;
    g->turn_left = TURN;
    g->work[GATE_ANY].credit_at = g->work[GATE_TLS].credit_at = uv_hrtime();
    uv_timer_init(p->loop, &g->wake);
    uv_timer_init(p->loop, &g->open);
    g->open.data = g;
    look_at_limit(g);
}

void gate_tick(struct gate *g) {
    look_at_limit(g);
    g->grace += g->grace / 4;
    if (g->grace > GRACE_MOST)
        g->grace = GRACE_MOST;
    if (g->evicted != g->told)
        log_event(&g->proxy->log, LOG_LEVEL_WARNING, 0,
                  "%u connections were closed before their log-in was complete, to make room for others: if "
                  "they were no strangers, raise max_logins (%d)",
                  g->evicted - g->told, g->proxy->settings->config->max_logins);
    g->told = g->evicted;
}
