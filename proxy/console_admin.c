// SPDX-License-Identifier: PostgreSQL
#include "proxy/console_admin.h"

#include <stdio.h>

#include "batching/session/figures.h"

static bool kill_client(struct link *own, uint64_t id, char *err, size_t err_size) {
    struct link *l = own->proxy->links;
    while (l && l->id != id)
        l = l->next;
    if (!l || l == own) {
        snprintf(err, err_size, l ? "that is this console: close it instead" : "there is no client %llu",
                 (unsigned long long)id);
        return false;
    }
    if (l->state == LINK_READY || l->state == LINK_CONSOLE)
        link_dismiss(l, "57P01", "terminating connection due to administrator command", NULL);
    else
        link_close(l);
    return true;
}

static bool reload(struct proxy *p, const char *key, const char *value, char *err, size_t err_size) {
    return p->calls->reload(p, key, value, err, err_size);
}

bool console_admin(struct link *l, const struct command *c, char *err, size_t err_size) {
    struct proxy *p = l->proxy;
    bool done = false;
    switch (c->kind) {
    case COMMAND_RELOAD:
        done = reload(p, NULL, NULL, err, err_size);
        break;
    case COMMAND_SET:
        done = reload(p, c->key, c->value, err, err_size);
        break;
    case COMMAND_PAUSE:
    case COMMAND_RESUME:
        p->calls->pause(p, c->kind == COMMAND_PAUSE);
        done = true;
        break;
    case COMMAND_KILL:
        done = kill_client(l, c->id, err, err_size);
        break;
    case COMMAND_RESET_STATS:
        figures_reset(p->engine);
        done = true;
        break;
    case COMMAND_SHUTDOWN:
        p->calls->shut_down(p);
        done = true;
        break;
    default:
        snprintf(err, err_size, "this is no command of the console");
    }
    if (done) // what was set is not logged: it may be a secret
        log_event(&p->log, LOG_LEVEL_INFO, l->id, "console: %s by %s", c->tag, link_user(l));
    return done;
}
