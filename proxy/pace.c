// SPDX-License-Identifier: PostgreSQL
#include "proxy/pace.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "proxy/link.h"

#define ONE            16 // the unit of the limit
#define AT_ONCE_FIRST  4
#define AT_ONCE_MOST   32
#define ASKING_MOST    50        // each is a process of the server's
#define FAILURES       20        // fewer, in a second or two, are nothing
#define REMEMBERED     600000000 // microseconds
#define PLACELESS_MOST 8
#define UNKNOWN_TURN   4 // one log-in in so many is of those who are not known, if these wait

static struct pace *pace_of(const struct link *l) {
    return &l->proxy->pace;
}

static bool is_under_attack(const struct proxy *p) {
    const struct pace *s = &p->pace;
    return s->bad > FAILURES && s->bad > s->good / 2;
}

static bool has_room(const struct pace *s) {
    return s->working < s->limit / ONE;
}

// One more while the server takes about as long as it does when it has nothing else to do; less when it takes
// twice as long: its processors have other work then.
static void adapt(struct pace *s, uint64_t took) {
    if (!s->fastest || took < s->fastest)
        s->fastest = took;
    if (took < 2 * s->fastest)
        s->limit += s->limit < AT_ONCE_MOST * ONE;
    else if (s->limit > ONE)
        s->limit -= s->limit / 8 < s->limit - ONE ? s->limit / 8 : s->limit - ONE;
}

// ---- who is known

static uint64_t digest(uint64_t h, const void *bytes, size_t len) {
    const uint8_t *b = bytes;
    for (size_t i = 0; i < len; i++)
        h = (h ^ b[i]) * 0x100000001b3;
    return h;
}

// The address without its port, and the user.
static uint64_t who_is(const struct link *l, const uint8_t *user, size_t len) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } a;
    socklen_t size = sizeof a;
    uint64_t h = digest(l->proxy->pace.seed, user, len);
    memset(&a, 0, sizeof a);
    if (getpeername(l->client.stream.fd, &a.any, &size) != 0)
        return h;
    if (a.any.sa_family == AF_INET)
        return digest(h, &a.v4.sin_addr, sizeof a.v4.sin_addr);
    return a.any.sa_family == AF_INET6 ? digest(h, &a.v6.sin6_addr, sizeof a.v6.sin6_addr) : h;
}

static bool is_known(const struct pace *s, uint64_t who, uint64_t now) {
    size_t i = who % PACE_KNOWN;
    return s->known[i].who == who && s->known[i].at && now < s->known[i].at + REMEMBERED;
}

static void remember(struct pace *s, uint64_t who) {
    s->known[who % PACE_KNOWN].who = who;
    s->known[who % PACE_KNOWN].at = proxy_now();
}

// ---- the queues

static void enqueue(struct pace_queue *q, struct link *l) {
    l->pace.queued = true;
    l->pace.next = NULL;
    l->pace.previous = q->last;
    *(q->last ? &q->last->pace.next : &q->first) = l;
    q->last = l;
    q->n++;
}

static void dequeue(struct pace_queue *q, struct link *l) {
    if (!l->pace.queued)
        return;
    l->pace.queued = false;
    *(l->pace.previous ? &l->pace.previous->pace.next : &q->first) = l->pace.next;
    *(l->pace.next ? &l->pace.next->pace.previous : &q->last) = l->pace.previous;
    q->n--;
}

static struct link *next_of(struct pace *s) {
    struct pace_queue *known = &s->queue[0], *others = &s->queue[1];
    bool turn = ++s->turn % UNKNOWN_TURN == 0;
    return others->first && (turn || !known->first) ? others->first : known->first;
}

// ---- a log-in's way

static void count(struct link *l, bool working, bool asking) {
    struct pace *s = pace_of(l);
    s->working += (unsigned)working - (unsigned)l->pace.working;
    s->asking += (unsigned)asking - (unsigned)l->pace.asking;
    l->pace.working = working;
    l->pace.asking = asking;
}

static void begin(struct link *l) {
    l->pace.begun = proxy_now();
    count(l, true, false);
    if (is_under_attack(l->proxy) && pace_of(l)->asking >= ASKING_MOST)
        gate_evict_at_server(l->proxy, GATE_PATIENCE);
}

static enum pace_answer await_place(struct pace *s, struct link *l) {
    l->pace.lane = PACE_PLACELESS;
    if (s->queue[PACE_PLACELESS].n >= PLACELESS_MOST)
        return PACE_FULL;
    enqueue(&s->queue[PACE_PLACELESS], l);
    return PACE_WAIT;
}

static void give_places(struct pace *s) {
    struct link *l;
    while ((l = s->queue[PACE_PLACELESS].first) && gate_has_place(l)) {
        dequeue(&s->queue[PACE_PLACELESS], l);
        l->pace.lane = is_known(s, l->pace.who, proxy_now()) ? 0 : 1;
        enqueue(&s->queue[l->pace.lane], l);
    }
}

enum pace_answer pace_begins(struct link *l, const uint8_t *user, size_t len) {
    struct proxy *p = l->proxy;
    struct pace *s = &p->pace;
    unsigned places = (unsigned)p->settings->config->max_logins;
    l->pace.who = who_is(l, user, len);
    l->pace.lane = is_known(s, l->pace.who, proxy_now()) ? 0 : 1;
    bool waits = s->queue[0].n || s->queue[1].n || !has_room(s);
    if (!gate_has_place(l))
        return await_place(s, l);
    if (!is_under_attack(p) || !waits) {
        begin(l);
        return PACE_GO;
    }
    if (s->queue[l->pace.lane].n > places / 4)
        return PACE_REFUSE;
    enqueue(&s->queue[l->pace.lane], l);
    return PACE_WAIT;
}

void pace_asks(struct link *l, bool asks) {
    if (!l->pace.begun)
        return;
    if (l->pace.working)
        adapt(pace_of(l), proxy_now() - l->pace.begun);
    count(l, false, asks);
}

void pace_withdraw(struct link *l) {
    dequeue(&pace_of(l)->queue[l->pace.lane], l);
    count(l, false, false);
    l->pace.begun = 0;
}

void pace_ends(struct link *l, bool logged_in) {
    struct pace *s = pace_of(l);
    bool begun = l->pace.begun;
    pace_withdraw(l);
    if (!begun)
        return;
    s->good += logged_in;
    s->bad += !logged_in && l->address; // one that cannot be reached has no work
    if (logged_in)
        remember(s, l->pace.who);
}

void pace_turn(struct proxy *p) {
    struct pace *s = &p->pace;
    give_places(s);
    while ((s->queue[0].n || s->queue[1].n) && (has_room(s) || !is_under_attack(p))) {
        struct link *l = next_of(s);
        dequeue(&s->queue[l->pace.lane], l);
        begin(l);
        login_connect(l);
    }
}

void pace_init(struct proxy *p) {
    p->pace.limit = AT_ONCE_FIRST * ONE;
    p->pace.seed = 0xcbf29ce484222325;
    ssize_t ignored = getrandom(&p->pace.seed, sizeof p->pace.seed, GRND_NONBLOCK);
    (void)ignored;
}

void pace_tick(struct proxy *p) {
    p->pace.fastest += p->pace.fastest / 64; // it may have become slower for good
    p->pace.good /= 2;
    p->pace.bad /= 2;
}
