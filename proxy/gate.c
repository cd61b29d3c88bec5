// SPDX-License-Identifier: PostgreSQL
#include "proxy/gate.h"

#include <limits.h>
#include <sys/resource.h>

#include "proxy/link.h"
#include "proxy/listener.h"

#define MS           1000000   // nanoseconds
#define TURN         (2 * MS)  // of one turn, at most
#define CREDIT_MOST  (2 * MS)  // what may be saved up
#define CREDIT_LEAST (-5 * MS) // a debt that is larger is forgiven: others had the processor
#define AT_WORK      20        // milliseconds: a session that had something to do has more
#define GRACE_MOST   1000000   // microseconds
#define KEPT_LEAST   16        // descriptors
#define EXTRA        16        // connections, when the server keeps all others waiting
#define STALLED      2000000   // microseconds
#define OWN_FILES    16        // the loop's, those of listeners and log

static struct gate *gate_of(const struct link *l) {
    return &l->proxy->gate;
}

// ---- descriptors

static unsigned long long kept(const struct proxy *p) {
    unsigned long long n = p->gate.n_files / 8;
    return n < KEPT_LEAST ? KEPT_LEAST : n > GATE_KEEPS ? GATE_KEEPS : n;
}

static int files_but(const struct proxy *p, unsigned long long but) {
    unsigned long long n = p->gate.n_files;
    return n <= but ? 0 : n - but < INT_MAX ? (int)(n - but) : INT_MAX;
}

int gate_files(const struct proxy *p, enum gate_use use) {
    return files_but(p, use == GATE_LOGIN ? kept(p) : kept(p) / 2);
}

static void look_at_limit(struct gate *g) {
    struct rlimit r;
    bool known = getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur != RLIM_INFINITY;
    g->n_files = known ? r.rlim_cur : ULLONG_MAX;
}

bool gate_is_short(struct proxy *p, int fd, enum gate_use use) {
    if (fd < gate_files(p, use))
        return false;
    look_at_limit(&p->gate); // it can be raised from outside
    return fd >= gate_files(p, use);
}

// ---- places

// In the order of `since`: whoever takes a new step goes to the end.
static void list(struct gate *g, struct link *l) {
    struct gate_place *place = &l->place;
    place->listed = true;
    place->steps++;
    place->since = proxy_now();
    place->next = NULL;
    place->previous = g->last;
    *(g->last ? &g->last->place.next : &g->first) = l;
    g->last = l;
}

static void unlist(struct gate *g, struct link *l) {
    struct gate_place *place = &l->place;
    if (!place->listed)
        return;
    place->listed = false;
    *(place->previous ? &place->previous->place.next : &g->first) = place->next;
    *(place->next ? &place->next->place.previous : &g->last) = place->previous;
}

static void unlist_due(struct gate *g, struct link *l) {
    struct gate_work *w = &g->work[l->place.kind];
    struct link *before = NULL;
    if (!l->place.due)
        return;
    l->place.due = false;
    for (struct link *at = w->due; at != l; at = at->place.next_due)
        before = at;
    *(before ? &before->place.next_due : &w->due) = l->place.next_due;
    if (w->due_end == l)
        w->due_end = before;
}

static void on_open(uv_timer_t *timer) {
    struct proxy *p = timer->data;
    p->gate.shut = false;
    listeners_watch(p, true);
}

void gate_shut(struct proxy *p, uint64_t ms) {
    p->gate.shut = true;
    listeners_watch(p, false);
    uv_timer_start(&p->gate.open, on_open, ms, 0);
}

static void count(struct link *l, int change) {
    struct gate *g = gate_of(l);
    *(l->place.extra ? &g->n_extra : &g->n) += (unsigned)change;
}

void gate_enter(struct link *l) {
    l->place.taken = true;
    l->place.extra = gate_is_full(l->proxy);
    count(l, 1);
    list(gate_of(l), l);
}

void gate_leave(struct link *l) {
    struct gate *g = gate_of(l);
    if (!l->place.taken)
        return;
    unlist(g, l);
    unlist_due(g, l);
    l->place.taken = false;
    count(l, -1);
    if (!l->place.extra)
        g->left_at = proxy_now();
    if (g->shut) // not from within whatever this is called by
        uv_timer_start(&g->open, on_open, 0, 0);
}

void gate_waits(struct link *l, bool does) {
    if (!l->place.taken)
        return;
    unlist(gate_of(l), l);
    if (does)
        list(gate_of(l), l);
}

// Those that are due have come: it is they who wait.
static struct link *slowest(const struct gate *g) {
    struct link *l = g->first;
    while (l && l->place.due)
        l = l->place.next;
    return l;
}

static bool is_silent(const struct link *l) {
    return l->place.steps <= 1;
}

static void evict(struct link *l) {
    struct proxy *p = l->proxy;
    struct gate *g = &p->gate;
    g->evicted++;
    p->refused++;
    if (is_silent(l))
        g->grace = g->grace / 2 > GATE_PATIENCE ? g->grace / 2 : GATE_PATIENCE;
    pace_withdraw(l);
    if (l->state == LINK_CLOSING)
        link_close(l);
    else
        link_dismiss(
            l, "53300", "connection closed before its log-in was complete, to make room for others",
            "Connect again. Raise max_logins in pgfold's configuration if this happens to clients of "
            "your own.");
    if (l->state != LINK_CLOSED)
        link_close(l); // it does not read what it is told
}

static bool evict_if_late(struct link *l, uint64_t patience) {
    if (!l || proxy_now() < l->place.since + patience)
        return false;
    evict(l);
    return true;
}

// Who answers step by step may be far away.
bool gate_evict(struct proxy *p, uint64_t patience) {
    struct link *l = slowest(&p->gate), *first = l;
    uint64_t now = proxy_now();
    while (l && (l->place.due || !is_silent(l)) && now >= l->place.since + patience)
        l = l->place.next;
    return evict_if_late(l, patience) || evict_if_late(first, patience);
}

bool gate_evict_at_server(struct proxy *p, uint64_t patience) {
    struct link *l = p->gate.first;
    while (l && (l->place.due || l->state != LINK_LOGIN))
        l = l->place.next;
    return evict_if_late(l, patience);
}

// No more than have two descriptors each when the others have theirs; some in any case, for cancel requests.
bool gate_is_full(const struct proxy *p) {
    unsigned long long most = (unsigned)p->settings->config->max_logins, least = kept(p) / 4;
    unsigned long long taken = OWN_FILES + 2ULL * (p->n_links - p->gate.n - p->gate.n_extra);
    unsigned long long files = (unsigned long long)gate_files(p, GATE_LOGIN);
    unsigned long long room = files > taken ? (files - taken) / 2 : 0;
    room = room < least ? least : room;
    return p->gate.n >= (room < most ? room : most);
}

bool gate_has_place(struct link *l) {
    if (!l->place.extra)
        return true;
    if (gate_is_full(l->proxy))
        return false;
    count(l, -1);
    l->place.extra = false;
    count(l, 1);
    return true;
}

// All have been waiting for the server for a while.
static bool is_stalled(const struct proxy *p) {
    const struct link *l = p->gate.first;
    while (l && (l->place.due || l->place.extra))
        l = l->place.next;
    return !l && proxy_now() > p->gate.left_at + STALLED;
}

bool gate_admits(struct proxy *p) {
    struct gate *g = &p->gate;
    if (!gate_is_full(p))
        return true;
    if (g->n_extra < EXTRA && is_stalled(p))
        return true;
    if (gate_evict(p, g->grace))
        return true;
    const struct link *l = slowest(g);
    uint64_t now = proxy_now(), from = l ? l->place.since + g->grace : UINT64_MAX;
    uint64_t ms = from > now ? (from - now) / 1000 + 1 : 1;
    gate_shut(p, ms < GRACE_MOST / 1000 ? ms : GRACE_MOST / 1000);
    return false;
}

// ---- time

uint64_t gate_begins(void) {
    return uv_hrtime();
}

static bool others_are_at_work(const struct proxy *p) {
    return uv_now(p->loop) < p->gate.session_at + AT_WORK;
}

static const int64_t parts[] = {[GATE_ANY] = 6, [GATE_TLS] = 4}; // one in so many of the time

static bool has_credit(struct proxy *p, enum gate_kind kind) {
    struct gate_work *w = &p->gate.work[kind];
    uint64_t now = uv_hrtime();
    int64_t earned = (int64_t)(now - w->credit_at) / parts[kind];
    w->credit_at = now;
    w->credit = w->credit + earned < CREDIT_MOST ? w->credit + earned : CREDIT_MOST;
    return w->credit > 0 || !others_are_at_work(p);
}

bool gate_may_work(struct proxy *p, enum gate_kind kind) {
    return p->gate.turn_left && !p->gate.work[kind].due && has_credit(p, kind);
}

void gate_worked(struct proxy *p, enum gate_kind kind, uint64_t begun) {
    struct gate *g = &p->gate;
    struct gate_work *w = &g->work[kind];
    uint64_t took = uv_hrtime() - begun;
    g->turn_left = took < g->turn_left ? g->turn_left - took : 0;
    w->credit -= (int64_t)took;
    if (w->credit < CREDIT_LEAST)
        w->credit = CREDIT_LEAST;
}

void gate_defer(struct link *l, enum gate_kind kind) {
    struct gate_work *w = &gate_of(l)->work[kind];
    if (l->place.due)
        return;
    l->place.due = true;
    l->place.kind = kind;
    l->place.next_due = NULL;
    *(w->due_end ? &w->due_end->place.next_due : &w->due) = l;
    w->due_end = l;
}

static void on_wake(uv_timer_t *timer) {
    (void)timer; // the turn that follows does the rest
}

// What is left over goes on as soon as the sockets of the others have been looked at, or when there is credit
// again.
static void plan(struct proxy *p) {
    uint64_t soonest = UINT64_MAX;
    for (int kind = GATE_ANY; kind <= GATE_TLS; kind++) {
        const struct gate_work *w = &p->gate.work[kind];
        bool waits = others_are_at_work(p) && w->credit <= 0;
        uint64_t ms = waits ? (uint64_t)(-w->credit * parts[kind] / MS) + 1 : 0;
        if (w->due && ms < soonest)
            soonest = ms;
    }
    if (soonest != UINT64_MAX)
        uv_timer_start(&p->gate.wake, on_wake, soonest, 0);
}

static void work_off(struct proxy *p, enum gate_kind kind) {
    struct gate_work *w = &p->gate.work[kind];
    while (w->due && p->gate.turn_left && has_credit(p, kind)) {
        struct link *l = w->due;
        uint64_t begun = gate_begins();
        w->due = l->place.next_due;
        if (!w->due)
            w->due_end = NULL;
        l->place.due = false;
        link_client_is_due(l);
        gate_worked(p, kind, begun);
    }
}

void gate_turn(struct proxy *p) {
    p->gate.turn_left = TURN;
    if (!p->gate.work[GATE_ANY].due && !p->gate.work[GATE_TLS].due)
        return;
    work_off(p, GATE_ANY);
    work_off(p, GATE_TLS);
    plan(p);
}

// ---- life

void gate_init(struct proxy *p) {
    struct gate *g = &p->gate;
    g->grace = GRACE_MOST;
    g->turn_left = TURN;
    g->work[GATE_ANY].credit_at = g->work[GATE_TLS].credit_at = uv_hrtime();
    uv_timer_init(p->loop, &g->wake);
    uv_timer_init(p->loop, &g->open);
    g->open.data = p;
    look_at_limit(g);
}

void gate_tick(struct proxy *p) {
    struct gate *g = &p->gate;
    look_at_limit(g);
    g->grace += g->grace / 4;
    if (g->grace > GRACE_MOST)
        g->grace = GRACE_MOST;
    if (g->evicted != g->told)
        log_event(&p->log, LOG_LEVEL_WARNING, 0,
                  "%u connections were closed before their log-in was complete, to make room for others: if "
                  "they were no strangers, raise max_logins (%d)",
                  g->evicted - g->told, p->settings->config->max_logins);
    g->told = g->evicted;
}
