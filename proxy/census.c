// SPDX-License-Identifier: PostgreSQL
#include "proxy/census.h"

#include "batching/session/session_state.h"

enum show_client census_client(const struct link *l) {
    switch (l->state) {
    case LINK_READY:
        if (session_client_waits(l->session) || session_is_opaque(l->session))
            return CLIENT_ACTIVE;
        return session_is_in_transaction(l->session) ? CLIENT_IDLE_IN_TRANSACTION : CLIENT_IDLE;
    case LINK_CLOSING:
    case LINK_CANCEL:
        return CLIENT_CLOSING;
    case LINK_LENDING:
    case LINK_CONSOLE:
    case LINK_CLOSED:
        return CLIENT_STATES;
    default:
        return CLIENT_LOGIN;
    }
}

enum show_server census_server(const struct link *l) {
    if (!l->server.poll)
        return SERVER_STATES;
    if (l->state == LINK_LENDING)
        return SERVER_LENDING;
    if (l->state != LINK_READY)
        return SERVER_LOGIN;
    if (session_server_owes(l->session) || session_is_opaque(l->session))
        return SERVER_ACTIVE;
    return session_is_in_transaction(l->session) ? SERVER_IDLE_IN_TRANSACTION : SERVER_IDLE;
}

const char *census_mode(const struct proxy *p) {
    static const char *const modes[] = {
        [MODE_FOLD] = "fold", [MODE_OBSERVE] = "observe", [MODE_VERIFY] = "verify"};
    return p->paused ? "observe" : modes[p->settings->config->mode];
}

struct show_outside census_take(const struct proxy *p) {
    struct show_outside o = {.version = PGFOLD_VERSION,
                             .mode = census_mode(p),
                             .accepted = p->accepted,
                             .refused = p->refused,
                             .draining = p->draining};
    for (const struct link *l = p->links; l; l = l->next) {
        enum show_client client = census_client(l);
        enum show_server server = census_server(l);
        if (client < CLIENT_STATES)
            o.clients[client]++;
        if (server < SERVER_STATES)
            o.servers[server]++;
    }
    return o;
}
