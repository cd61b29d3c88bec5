// SPDX-License-Identifier: PostgreSQL
#include "proxy/login_server.h"

#include <stdlib.h>
#include <string.h>

#include "protocol/frame.h"
#include "protocol/write.h"
#include "proxy/cancel_key.h"
#include "proxy/connector.h"
#include "proxy/console.h"
#include "proxy/reach.h"
#include "proxy/relay.h"
#include "proxy/target.h"
#include "proxy/traffic.h"

#define ASK_AGAIN 10      // how often a full server is asked once more
#define MAKE_ROOM 4       // log-ins that are closed for each that finds the server full
#define SILENCE   1000000 // microseconds: only clients that have been silent for so long are closed

// ---- connecting

static void on_connected(void *arg, struct stream *stream, size_t host_index, const char *address,
                         const char *message);

void login_refuse_for_descriptors(struct link *l) {
    link_refuse(l, "53300", "pgfold has no file descriptors left",
                "Raise the limit on open files (ulimit -n, LimitNOFILE).");
}

void login_refuse_for_clients(struct link *l) {
    link_refuse(l, "53300", "sorry, too many clients already",
                "Raise max_clients in pgfold's configuration, or open fewer connections.");
}

void login_server_connect(struct link *l, size_t first_host) {
    link_set_state(l, LINK_CONNECTING);
    l->connector =
        connector_start(l->proxy->loop, l->settings->target, first_host, l->login->skip, on_connected, l);
    if (!l->connector)
        return login_refuse_for_descriptors(l); // or no memory, but descriptors run out first
    connector_keep_back(l->connector, gate_files(l->proxy->gate, GATE_LOGIN));
    link_update(l);
}

static void on_connected(void *arg, struct stream *stream, size_t host_index, const char *address,
                         const char *message) {
    struct link *l = arg;
    l->connector = NULL;
    if (!stream && message && strstr(message, CONNECTOR_NO_DESCRIPTORS)) {
        login_refuse_for_descriptors(l);
        return;
    }
    reach_note(l->proxy->reach, stream != NULL, message ? message : "no host is left");
    if (!stream) {
        char text[1024];
        snprintf(text, sizeof text, "could not connect to the server: %s",
                 message ? message : "no host is left");
        link_refuse(l, "08001", text,
                    "Check pgfold's setting \"server\", and whether PostgreSQL runs there.");
        return;
    }
    free(l->address);
    l->address = strdup(address);
    l->host_index = host_index;
    if (!l->address || !link_open_server(l, stream, traffic_on_server)) {
        if (!l->server.poll)
            stream_close(stream);
        link_refuse(l, "53200", "out of memory", NULL);
        return;
    }
    link_set_state(l, LINK_LOGIN);
    log_event(&l->proxy->log, LOG_LEVEL_DEBUG, l->id, "connected to %s", address);
    const struct buf *packet = l->login->console ? &l->login->instead : &l->login->packet;
    link_to_server(l, packet->data, packet->len, false);
    traffic_feed_client(l);
}

// ---- its messages

static void note_status(struct login *login, const struct frame *f) {
    const char *name = (const char *)f->body;
    size_t n = strnlen(name, f->body_len);
    if (n + 2 > f->body_len || f->body[f->body_len - 1])
        return;
    const char *value = name + n + 1;
    if (strcmp(name, "client_encoding") == 0)
        snprintf(login->client_encoding, sizeof login->client_encoding, "%s", value);
    if (strcmp(name, "standard_conforming_strings") == 0)
        snprintf(login->conforming_strings, sizeof login->conforming_strings, "%s", value);
    if (strcmp(name, "in_hot_standby") == 0)
        login->hot_standby = strcmp(value, "on") == 0;
    if (strcmp(name, "default_transaction_read_only") == 0)
        login->read_only = strcmp(value, "on") == 0;
}

static bool role_fits(const struct link *l) {
    const struct login *g = l->login;
    bool writes = !g->hot_standby && !g->read_only;
    switch (l->settings->target->attrs) {
    case TARGET_READ_WRITE:
        return writes;
    case TARGET_READ_ONLY:
        return !writes;
    case TARGET_PRIMARY:
        return !g->hot_standby;
    case TARGET_STANDBY:
        return g->hot_standby;
    case TARGET_PREFER_STANDBY: // a second round, which takes any host, has nothing left out
        return g->hot_standby || !g->skip;
    default:
        return true;
    }
}

// A client gets its place when the server has accepted it and before it is told so. That there was a place
// when it came is no promise.
static bool take_place(struct link *l) {
    bool placed = link_take_place(l);
    if (!placed)
        login_refuse_for_clients(l);
    return placed;
}

static void forget_server(struct link *l) {
    link_leave_place(l);
    cancel_key_remove(l);
    link_close_server(l);
    buf_reset(&l->login->held);
    l->login->authenticated = false;
}

// The server is not of the kind that is wanted. A log-in in which the client had to say nothing can be
// repeated at the next host.
static void try_next_host(struct link *l) {
    struct login *g = l->login;
    const struct target *t = l->settings->target;
    if (!g->skip)
        g->skip = calloc(t->n_hosts, sizeof *g->skip);
    size_t next = l->host_index + 1;
    if (g->skip)
        g->skip[l->host_index] = true;
    bool prefer = t->attrs == TARGET_PREFER_STANDBY && next >= t->n_hosts;
    if (g->client_spoke || !g->skip || (next >= t->n_hosts && !prefer)) {
        link_refuse(
            l, "08001", "the server is not of the kind that target_session_attrs asks for",
            "List the host that is wanted first in pgfold's setting \"server\": a log-in with a password "
            "cannot be repeated at another host.");
        return;
    }
    forget_server(l);
    if (prefer) {
        free(g->skip);
        g->skip = NULL;
        next = 0;
    }
    login_server_connect(l, next);
}

// The server has let the user in. That is all it was asked for.
static void finish_console(struct link *l) {
    struct buf b = buf_make(16);
    write_empty(&b, F_TERMINATE);
    link_to_server(l, b.data, b.len, false);
    buf_free(&b);
    forget_server(l);
    console_start(l, &l->login->startup);
}

// Of the server's log-in a client of the console sees what it is asked, and errors.
static bool is_for_console(const struct frame *f) {
    return f->type == B_ERROR || (f->type == B_AUTHENTICATION && f->body_len >= 4 && get_u32(f->body) != 0);
}

static void pass_to_client(struct link *l, const uint8_t *bytes, size_t len) {
    if (l->settings->target->attrs != TARGET_ANY && l->login->authenticated)
        buf_put(&l->login->held, bytes, len);
    else
        link_to_client(l, bytes, len, true);
}

static void finish_login(struct link *l) {
    if (l->settings->target->attrs != TARGET_ANY && !role_fits(l)) {
        try_next_host(l);
        return;
    }
    link_to_client(l, l->login->held.data, l->login->held.len, true);
    link_note_names(l, &l->login->startup);
    relay_start(l, l->login->startup.params, l->login->replication);
    relay_parameter(l, "client_encoding", l->login->client_encoding);
    relay_parameter(l, "standard_conforming_strings", l->login->conforming_strings);
    if (l->state == LINK_READY)
        log_event(&l->proxy->log, LOG_LEVEL_DEBUG, l->id, "logged in at %s", l->address);
}

// AuthenticationOk (0) and AuthenticationSASLFinal (12) want no answer.
static void note_question(struct link *l, const struct frame *f) {
    uint32_t code = f->body_len >= 4 ? get_u32(f->body) : 0;
    l->login->authenticated |= f->body_len >= 4 && code == 0;
    gate_waits(l->proxy->gate, &l->place, code != 0 && code != 12);
    pace_asks(l->proxy->pace, &l->pace, code != 0 && code != 12);
}

// The server is full. Its processes may belong to log-ins whose clients have been silent for long: some of
// those are closed, and the server is asked again, if this client has said nothing yet. It is asked several
// times: processes need a moment to end.
static bool make_room_at_server(struct link *l, const struct frame *f) {
    struct slice code = {NULL, 0};
    bool room = false;
    if (!msg_error_field(f->body, f->body_len, 'C', &code) || !slice_is(code, "53300", 5))
        return false;
    gate_waits(l->proxy->gate, &l->place, false); // it is not one of those that are closed
    for (int i = 0; i < MAKE_ROOM; i++)
        room |= gate_evict_at_server(l->proxy->gate, SILENCE);
    if ((!room && !l->login->n_again) || l->login->authenticated || l->login->client_spoke ||
        l->login->n_again == ASK_AGAIN)
        return false;
    l->login->n_again++;
    forget_server(l);
    login_server_connect(l, l->host_index);
    return true;
}

// Returns false when the message is not one of a log-in.
static bool take_message(struct link *l, const struct frame *f, const uint8_t *bytes) {
    struct buf changed = buf_make(LOGIN_MESSAGE_MOST);
    switch (f->type) {
    case B_AUTHENTICATION:
        note_question(l, f);
        if (l->login->authenticated && !l->login->console && !take_place(l))
            return true;
        if (startup_strip_plus(f, &changed)) {
            l->login->stripped_plus = true;
            link_to_client(l, changed.data, changed.len, true);
            buf_free(&changed);
            return true;
        }
        buf_free(&changed);
        break;
    case B_PARAMETER_STATUS:
        note_status(l->login, f);
        break;
    case B_BACKEND_KEY_DATA:
        if (!l->login->console)
            cancel_key_add(l, f->body, f->body_len);
        break;
    case B_ERROR:
        if (make_room_at_server(l, f))
            return true;
        break;
    case B_NOTICE:
    case B_NEGOTIATE_VERSION:
    case B_READY_FOR_QUERY:
        break;
    default:
        return false;
    }
    if (!l->login->console)
        pass_to_client(l, bytes, f->size);
    else if (is_for_console(f))
        link_to_client(l, bytes, f->size, true);
    if (f->type == B_ERROR &&
        l->login->held.len) { // it failed after AuthenticationOk: its role will not be known
        link_to_client(l, l->login->held.data, l->login->held.len, true);
        buf_reset(&l->login->held);
    }
    if (f->type == B_READY_FOR_QUERY)
        l->login->console ? finish_console(l) : finish_login(l);
    return true;
}

size_t login_server_take(struct link *l, const uint8_t *bytes, size_t len) {
    size_t at = 0;
    while (at < len && l->state == LINK_LOGIN) {
        struct frame f;
        enum frame_result r = frame_read(bytes + at, len - at, &f);
        if (r == FRAME_INCOMPLETE && len - at < LOGIN_MESSAGE_MOST)
            break;
        if (r != FRAME_OK || !take_message(l, &f, bytes + at)) {
            link_refuse(l, "08P01", "unexpected message from the server during log-in", NULL);
            return len;
        }
        at += f.size;
    }
    return l->state == LINK_LOGIN || l->state == LINK_READY ? at : len;
}
