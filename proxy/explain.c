// SPDX-License-Identifier: PostgreSQL
//
// The words come from batching/explain.c. Here are the options, the file, the connection and the plans.
//
// What the server is asked when a statement is vetted is written as protocol messages, by the same functions
// that the proxy uses. libpq logs in. Then the messages go through its socket without it, and the replies are
// read to the end, so that libpq can go on.
#include "proxy/explain.h"

#include <errno.h>
#include <libpq-fe.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "batching/explain.h"
#include "batching/statement/script.h"
#include "batching/fold/group.h"
#include "batching/trust/vet.h"

#define LARGEST_INPUT ((size_t)64 << 20)
#define REPLY_TIMEOUT 30000 // milliseconds

static const char help[] =
    "pgfold explain says whether pgfold folds a statement, in which form, and if not, why.\n"
    "\n"
    "Usage:\n"
    "  pgfold explain [--server CONNINFO] [FILE]\n"
    "\n"
    "Reads statements separated by semicolons from FILE, or from standard input. Values may stand as "
    "constants or\n"
    "as $1, $2, …. No statement is executed. Several statements that differ in values alone show which of "
    "their values is\n"
    "the key.\n"
    "\n"
    "Options:\n"
    "  --server CONNINFO  a libpq connection string: asks this server's catalogue, as pgfold does, and shows "
    "the\n"
    "                     plans of the statement as it stands and folded. Connect as the application does: "
    "with its\n"
    "                     user, database and search_path\n"
    "  -h, --help         print this text and exit\n"
    "\n"
    "Exit codes: 0 all statements were read; 1 a file or server that could not be reached or read; 2 wrong "
    "usage.\n";

struct options {
    const char *server, *file;
    bool help;
};

static bool complain(const char *what, const char *detail) {
    fprintf(stderr, "pgfold explain: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    return false;
}

// ---- options and input

static bool read_options(int argc, char *const *argv, struct options *o) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            o->help = true;
        else if (strncmp(argv[i], "--server=", 9) == 0)
            o->server = argv[i] + 9;
        else if (strcmp(argv[i], "--server") == 0 && i + 1 < argc)
            o->server = argv[++i];
        else if (strcmp(argv[i], "--server") == 0)
            return complain("--server needs a connection string behind it, see --help", NULL);
        else if (argv[i][0] == '-' && argv[i][1])
            return complain("unknown option, see --help", argv[i]);
        else if (o->file)
            return complain("one file at most can be read, see --help", argv[i]);
        else
            o->file = argv[i];
    }
    return true;
}

static bool read_input(const char *path, struct buf *out) {
    bool named = path && strcmp(path, "-") != 0;
    FILE *f = named ? fopen(path, "re") : stdin;
    char piece[65536];
    if (!f) {
        fprintf(stderr, "pgfold explain: could not open file \"%s\": %s\n", path, strerror(errno));
        return false;
    }
    for (size_t n; (n = fread(piece, 1, sizeof piece, f)) > 0;)
        buf_put(out, piece, n);
    bool bad = ferror(f);
    if (named)
        fclose(f);
    if (bad)
        return complain("could not read the statements", strerror(errno));
    return !out->failed || complain("the input is larger than 64 MB", NULL);
}

// ---- the server, past libpq

static PGconn *connect_to(const char *conninfo) {
    const char *const names[] = {"dbname", "gssencmode", "fallback_application_name", NULL};
    const char *const values[] = {conninfo, "disable", "pgfold explain",
                                  NULL}; // the socket is used past libpq
    PGconn *c = PQconnectdbParams(names, values, 1);
    if (PQstatus(c) == CONNECTION_OK)
        return c;
    fprintf(stderr, "pgfold explain: could not connect to the server: %s", PQerrorMessage(c));
    PQfinish(c);
    return NULL;
}

static bool await(PGconn *c, short events) {
    struct pollfd p = {.fd = PQsocket(c), .events = events};
    int n;
    while ((n = poll(&p, 1, REPLY_TIMEOUT)) < 0 && errno == EINTR)
        ;
    return n > 0;
}

// One try. Returns -1: again when `events` come; 0: the end.
static ssize_t transfer(PGconn *c, void *bytes, size_t len, bool writing, short *events) {
    SSL *tls = PQsslInUse(c) ? PQsslStruct(c, "OpenSSL") : NULL;
    int most = len > 65536 ? 65536 : (int)len;
    *events = writing ? POLLOUT : POLLIN;
    if (!tls) {
        ssize_t n = writing ? write(PQsocket(c), bytes, len) : read(PQsocket(c), bytes, len);
        return n < 0 && errno != EAGAIN && errno != EINTR ? 0 : n;
    }
    int n = writing ? SSL_write(tls, bytes, most) : SSL_read(tls, bytes, most);
    if (n > 0)
        return n;
    int why = SSL_get_error(tls, n);
    *events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? -1 : 0;
}

static bool send_all(PGconn *c, struct buf *b) {
    size_t at = 0;
    while (at < b->len) {
        short events;
        ssize_t n = transfer(c, b->data + at, b->len - at, true, &events);
        if (n == 0 || (n < 0 && !await(c, events)))
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

// Gives the whole messages in `b` to the vetting and removes them. True at ReadyForQuery.
static bool feed_vetting(struct vetting *v, struct buf *b, bool *malformed) {
    size_t at = 0;
    struct frame f;
    bool ready = false;
    while (!ready && frame_read(b->data + at, b->len - at, &f) == FRAME_OK) {
        ready = f.type == B_READY_FOR_QUERY;
        if (!ready && f.type != B_NOTIFICATION && f.type != B_PARAMETER_STATUS && f.type != B_NOTICE)
            vetting_feed(v, &f);
        at += f.size;
    }
    *malformed = !ready && b->len > at && frame_header(b->data + at, b->len - at, &f) == FRAME_MALFORMED;
    buf_consume(b, at);
    return ready;
}

static bool receive_all(PGconn *c, struct vetting *v) {
    struct buf b = buf_make((size_t)16 << 20);
    uint8_t piece[16384];
    bool ready = false, malformed = false;
    while (!ready && !malformed && !b.failed) {
        short events;
        ssize_t n = transfer(c, piece, sizeof piece, false, &events);
        if (n == 0 || (n < 0 && !await(c, events)))
            break;
        buf_put(&b, piece, n > 0 ? (size_t)n : 0);
        ready = feed_vetting(v, &b, &malformed);
    }
    buf_free(&b);
    return ready;
}

static bool vet(PGconn *c, struct explainer *x, struct explanation *e) {
    struct buf request = buf_make((size_t)4 << 20);
    bool written = explain_write_vet(e, &request);
    if (!written)
        vetting_destroy(e->group->vetting);
    if (!written)
        e->group->vetting = vetting_create(); // says that nothing was answered
    bool ok = !written || (send_all(c, &request) && receive_all(c, e->group->vetting));
    buf_free(&request);
    if (!ok || !e->group->vetting)
        return complain("the connection to the server was lost", NULL);
    explain_vetted(x, e);
    return true;
}

// ---- plans

static bool run(PGconn *c, const char *sql) {
    PGresult *r = PQexec(c, sql);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    PQclear(r);
    return ok;
}

// Prints the plan of the statement that was prepared under this name. Its parameters are nulls: the plan is a
// generic one, which does not depend on them.
static void print_plan(PGconn *c, const char *label, const char *name, unsigned n_params) {
    struct buf sql = buf_make(65536);
    buf_put_text(&sql, "EXPLAIN EXECUTE ");
    buf_put_text(&sql, name);
    for (unsigned i = 0; i < n_params; i++)
        buf_put_text(&sql, i ? ", NULL" : "(NULL");
    buf_put(&sql, n_params ? ")" : "", n_params ? 2 : 1); // with the zero behind
    PGresult *r = sql.failed ? NULL : PQexec(c, (const char *)sql.data);
    printf("  %s\n", label);
    if (PQresultStatus(r) != PGRES_TUPLES_OK)
        printf("            %s", r ? PQresultErrorMessage(r) : "out of memory\n");
    for (int i = 0; i < PQntuples(r); i++)
        printf("            %s\n", PQgetvalue(r, i, 0));
    PQclear(r);
    buf_free(&sql);
}

static bool prepare(PGconn *c, const char *name, struct slice text, const uint32_t *types, unsigned n_types) {
    struct buf sql = buf_make((size_t)4 << 20);
    buf_put(&sql, text.data, text.len);
    buf_put_u8(&sql, 0);
    PGresult *r = sql.failed ? NULL : PQprepare(c, name, (const char *)sql.data, (int)n_types, types);
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    if (!ok)
        printf("            %s", r ? PQresultErrorMessage(r) : "out of memory\n");
    PQclear(r);
    buf_free(&sql);
    return ok;
}

static void print_plans(PGconn *c, const struct explanation *e) {
    const struct group *g = e->group;
    unsigned n = e->extended ? (unsigned)e->shape->parsed->n_params : 0;
    struct buf folded = buf_make((size_t)1 << 20);
    if (!explain_write_folded(e, &folded))
        printf("            the folded statement could not be written\n");
    else if (!run(c, "BEGIN READ ONLY") || !run(c, "SET LOCAL plan_cache_mode = force_generic_plan"))
        printf("            %s", PQerrorMessage(c));
    else if (prepare(c, "pgfold_original", e->text, NULL, 0) &&
             prepare(c, "pgfold_folded", (struct slice){folded.data, folded.len}, g->params, g->n_params)) {
        print_plan(c, "plan as sent", "pgfold_original", n);
        print_plan(c, "plan folded, for as many keys as PostgreSQL guesses (about 10)", "pgfold_folded",
                   g->n_params);
    }
    run(c, "ROLLBACK");
    run(c, "DEALLOCATE ALL");
    buf_free(&folded);
}

// ---- all statements

static void print_statement(unsigned number, struct slice text) {
    printf("statement %u:\n  ", number);
    for (size_t i = 0; i < text.len; i++)
        printf("%c%s", text.data[i], text.data[i] == '\n' ? "  " : "");
    printf("\n");
}

// The shapes that were explained, with the number of the statement that each came from.
struct seen {
    struct shape **shapes; // a reference each
    unsigned *numbers;
    unsigned n;
};

static unsigned find_seen(const struct seen *s, const struct shape *shape) {
    for (unsigned i = 0; shape && i < s->n; i++)
        if (s->shapes[i] == shape)
            return s->numbers[i];
    return 0;
}

static void note_seen(struct seen *s, struct shape *shape, unsigned number) {
    struct shape **shapes = realloc(s->shapes, (s->n + 1) * sizeof *shapes);
    s->shapes = shapes ? shapes : s->shapes;
    unsigned *numbers = realloc(s->numbers, (s->n + 1) * sizeof *numbers);
    s->numbers = numbers ? numbers : s->numbers;
    if (!shape || !shapes || !numbers)
        return;
    s->shapes[s->n] = shape_ref(shape);
    s->numbers[s->n++] = number;
}

static void forget_seen(struct seen *s) {
    for (unsigned i = 0; i < s->n; i++)
        shape_unref(s->shapes[i]);
    free(s->shapes);
    free(s->numbers);
}

static bool explain_one(PGconn *c, struct explainer *x, struct explanation *e, unsigned number) {
    struct buf report = buf_make((size_t)4 << 20);
    bool ok = !c || !e->group || vet(c, x, e);
    if (ok) {
        print_statement(number, e->text);
        explain_report(e, &report);
        if (report.len)
            fwrite(report.data, 1, report.len, stdout);
        if (c && e->group && !e->refusal)
            print_plans(c, e);
        printf("\n");
    }
    buf_free(&report);
    return ok;
}

static bool explain_all(PGconn *c, struct explainer *x, struct slice text) {
    struct seen seen = {0};
    unsigned number = 0;
    struct slice s;
    bool ok = true;
    for (size_t at = 0; (s = script_next(text, &at)).len;)
        explain_learn(x, s);
    for (size_t at = 0; ok && (s = script_next(text, &at)).len;) {
        struct explanation e;
        number++;
        explain_statement(x, s, &e);
        unsigned before = e.group ? find_seen(&seen, e.shape) : 0;
        if (before) {
            printf("statement %u: of the same shape as statement %u\n\n", number, before);
            continue;
        }
        note_seen(&seen, e.group ? e.shape : NULL, number);
        ok = explain_one(c, x, &e, number);
    }
    forget_seen(&seen);
    if (!number)
        return complain("there is no statement in the input", NULL);
    return ok;
}

int explain_main(int argc, char *const *argv) {
    struct options o = {0};
    if (!read_options(argc, argv, &o))
        return 2;
    if (o.help)
        return fputs(help, stdout) < 0;
    signal(SIGPIPE, SIG_IGN);
    struct buf text = buf_make(LARGEST_INPUT);
    struct explainer *x = explainer_create();
    PGconn *c = NULL;
    bool ok = x && read_input(o.file, &text) && (!o.server || (c = connect_to(o.server))) &&
              explain_all(c, x, (struct slice){text.data, text.len});
    PQfinish(c);
    explainer_destroy(x);
    buf_free(&text);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}
