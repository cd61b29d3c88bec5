// SPDX-License-Identifier: PostgreSQL
#include "proxy/pace.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "proxy/gate.h"
#include "proxy/proxy.h"

#define ONE            16 // a whole log-in: the limit counts in sixteenths
#define AT_ONCE_FIRST  4
#define AT_ONCE_MOST   32
#define ASKING_MOST    50        // each of them has a process of the server's
#define FAILURES       20        // of late; fewer are nothing unusual
#define REMEMBERED     600000000 // microseconds
#define PLACELESS_MOST 8
#define UNKNOWN_TURN   4 // when both wait, one log-in in so many is of an unknown client

static bool is_under_attack(const struct pace *s) {
    return s->bad > FAILURES && s->bad > s->good / 2;
}

static bool server_has_room(const struct pace *s) {
    return s->working < s->limit / ONE;
}

// The server gets a little more at once while it answers about as fast as it ever did. It gets less when it
// takes twice as long: then its processors have other work.
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

// A digest of the address, without its port, and the user.
static uint64_t who_is(const struct pace *s, int fd, const uint8_t *user, size_t len) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } a;
    socklen_t size = sizeof a;
    uint64_t h = digest(s->seed, user, len);
    memset(&a, 0, sizeof a);
    if (getpeername(fd, &a.any, &size) != 0)
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

static void enqueue(struct pace *s, struct pace_place *place, enum pace_lane lane) {
    struct pace_queue *q = &s->queue[lane];
    place->lane = lane;
    place->queued = true;
    place->next = NULL;
    place->previous = q->last;
    *(q->last ? &q->last->next : &q->first) = place;
    q->last = place;
    q->n++;
}

static void dequeue(struct pace *s, struct pace_place *place) {
    struct pace_queue *q = &s->queue[place->lane];
    if (!place->queued)
        return;
    place->queued = false;
    *(place->previous ? &place->previous->next : &q->first) = place->next;
    *(place->next ? &place->next->previous : &q->last) = place->previous;
    q->n--;
}

static bool somebody_waits(const struct pace *s) {
    return s->queue[PACE_IS_KNOWN].n || s->queue[PACE_IS_UNKNOWN].n;
}

static struct pace_place *next_of(struct pace *s) {
    struct pace_queue *known = &s->queue[PACE_IS_KNOWN], *others = &s->queue[PACE_IS_UNKNOWN];
    bool turn = ++s->turn % UNKNOWN_TURN == 0;
    return others->first && (turn || !known->first) ? others->first : known->first;
}

static enum pace_lane lane_of(const struct pace *s, const struct pace_place *place) {
    return is_known(s, place->who, proxy_now()) ? PACE_IS_KNOWN : PACE_IS_UNKNOWN;
}

// ---- a log-in's way

static void count(struct pace *s, struct pace_place *place, bool working, bool asking) {
    s->working += (unsigned)working - (unsigned)place->working;
    s->asking += (unsigned)asking - (unsigned)place->asking;
    place->working = working;
    place->asking = asking;
}

static void begin(struct pace *s, struct pace_place *place) {
    place->begun = proxy_now();
    count(s, place, true, false);
    if (is_under_attack(s) && s->asking >= ASKING_MOST)
        gate_evict_at_server(s->proxy->gate, GATE_PATIENCE);
}

static void give_places(struct pace *s) {
    struct pace_place *place;
    while ((place = s->queue[PACE_PLACELESS].first) && gate_has_place(s->proxy->gate, place->gate)) {
        dequeue(s, place);
        enqueue(s, place, lane_of(s, place));
    }
}

void pace_enter(struct pace_place *place, struct link *l, struct gate_place *gate) {
    place->link = l;
    place->gate = gate;
}

enum pace_answer pace_begins(struct pace *s, struct pace_place *place, int fd, const uint8_t *user,
                             size_t len) {
    unsigned places = (unsigned)s->proxy->settings->config->max_logins;
    place->who = who_is(s, fd, user, len);
    enum pace_lane lane = lane_of(s, place);
    bool waits = somebody_waits(s) || !server_has_room(s);
    bool placed = gate_has_place(s->proxy->gate, place->gate);
    if (placed && (!is_under_attack(s) || !waits)) {
        begin(s, place);
        return PACE_GO;
    }
    if (!placed && s->queue[PACE_PLACELESS].n >= PLACELESS_MOST)
        return PACE_FULL;
    if (placed && s->queue[lane].n > places / 4)
        return PACE_REFUSE;
    enqueue(s, place, placed ? lane : PACE_PLACELESS);
    return PACE_WAIT;
}

void pace_asks(struct pace *s, struct pace_place *place, bool asks) {
    if (!place->begun)
        return;
    if (place->working)
        adapt(s, proxy_now() - place->begun);
    count(s, place, false, asks);
}

void pace_withdraw(struct pace *s, struct pace_place *place) {
    dequeue(s, place);
    count(s, place, false, false);
    place->begun = 0;
}

void pace_ends(struct pace *s, struct pace_place *place, enum pace_end end) {
    bool begun = place->begun;
    pace_withdraw(s, place);
    if (!begun)
        return;
    s->good += end == PACE_LOGGED_IN;
    s->bad += end == PACE_FAILED; // a server that was not reached had no work
    if (end == PACE_LOGGED_IN)
        remember(s, place->who);
}

void pace_turn(struct pace *s) {
    give_places(s);
    while (somebody_waits(s) && (server_has_room(s) || !is_under_attack(s))) {
        struct pace_place *place = next_of(s);
        dequeue(s, place);
        begin(s, place);
        s->begin_login(place->link);
    }
}

// ---- life

void pace_init(struct pace *s, struct proxy *p, void (*begin_login)(struct link *l)) {
    s->proxy = p;
    s->begin_login = begin_login;
    s->limit = AT_ONCE_FIRST * ONE;
    s->seed = 0xcbf29ce484222325;
    ssize_t ignored = getrandom(&s->seed, sizeof s->seed, GRND_NONBLOCK);
    (void)ignored;
}

void pace_tick(struct pace *s) {
    s->fastest += s->fastest / 64; // it may have become slower for good
    s->good /= 2;
    s->bad /= 2;
}
