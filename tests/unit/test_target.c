// SPDX-License-Identifier: PostgreSQL
//
// Connection strings, compared with what libpq makes of them.
//
// A test's HOME is a directory made for it, so that no file of ~/.postgresql takes part. "$D" in a string
// stands for the directory of test certificates (tls_files.h).
#include "proxy/target.h"

#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ssl.h>

#include "tests/unit/tls_files.h"

static void setup(void) {
    tls_files_create();
    setenv("HOME", tls_file("home"), 1);
    setenv("PGHOST", "from-the-environment", 1);
    setenv("PGSSLMODE", "verify-full", 1);
}

TestSuite(target, .init = setup, .fini = tls_files_remove);

static char ignored[256], message[512];

static void expand(const char *text, char *out, size_t size) {
    size_t n = 0;
    for (; *text != '\0' && n + 1 < size; text++) {
        if (strncmp(text, "$D", 2) != 0) {
            out[n++] = *text;
            continue;
        }
        n += (size_t)snprintf(out + n, size - n, "%s", tls_dir);
        text++;
    }
    out[n] = '\0';
}

static struct target *create(const char *conninfo) {
    char text[1024];
    expand(conninfo, text, sizeof(text));
    message[0] = '\0';
    return target_create(text, ignored, sizeof(ignored), message, sizeof(message));
}

static void destroy(struct target *t) {
    target_destroy(t);
    expect_no_leaks();
}

// host/hostaddr/port of each host, '-' for a missing one.
static void describe_hosts(const struct target *t, char *out, size_t size) {
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < t->n_hosts; i++) {
        const struct target_host *h = &t->hosts[i];
        n += (size_t)snprintf(out + n, size - n, "%s%s|%s|%s", i > 0 ? " " : "",
                              h->host != NULL ? h->host : "-", h->hostaddr != NULL ? h->hostaddr : "-",
                              h->port);
    }
}

static const struct {
    const char *conninfo, *hosts;
} host_cases[] = {
    {"", "/var/run/postgresql|-|5432"},
    {"port=6000", "/var/run/postgresql|-|6000"},
    {"host=a", "a|-|5432"},
    {"host=a port=' 6000 '", "a|-|6000"},
    {"host=a,b", "a|-|5432 b|-|5432"},
    {"host=a,b port=6000", "a|-|6000 b|-|6000"},
    {"host=a,b port=1,2", "a|-|1 b|-|2"},
    {"host=a,b port=,2", "a|-|5432 b|-|2"},
    {"host=a,,b", "a|-|5432 /var/run/postgresql|-|5432 b|-|5432"},
    {"host=/tmp,b port=1,2", "/tmp|-|1 b|-|2"},
    {"host=@abstract", "@abstract|-|5432"},
    {"hostaddr=10.0.0.1", "-|10.0.0.1|5432"},
    {"hostaddr=::1,fe80::1%lo", "-|::1|5432 -|fe80::1%lo|5432"},
    {"host=a,b hostaddr=10.0.0.1,", "a|10.0.0.1|5432 b|-|5432"},
    {"postgresql://", "/var/run/postgresql|-|5432"},
    {"postgres://u:p@a:1,b:2/db", "a|-|1 b|-|2"},
    {"postgresql://a,b:2/db", "a|-|5432 b|-|2"},
    {"postgresql://[::1]:7/db", "::1|-|7"},
    {"postgresql://%2Ftmp:7/db", "/tmp|-|7"},
    {"postgresql:///db?host=a&port=8", "a|-|8"},
};

Test(target, hosts) {
    for (size_t i = 0; i < sizeof(host_cases) / sizeof(host_cases[0]); i++) {
        char hosts[512];
        struct target *t = create(host_cases[i].conninfo);
        cr_assert_not_null(t, "\"%s\": %s", host_cases[i].conninfo, message);
        describe_hosts(t, hosts, sizeof(hosts));
        cr_expect_str_eq(hosts, host_cases[i].hosts, "\"%s\" gave %s", host_cases[i].conninfo, hosts);
        destroy(t);
    }
}

static const struct {
    const char *conninfo, *part; // of the message
} bad[] = {
    {"host", "missing \"=\" in connection info string"},
    {"nonsense=1", "invalid connection option \"nonsense\""},
    {"host='a", "unterminated quoted string"},
    {"postgresql://[::1", "end of string"},
    {"host=a,b port=1,2,3", "could not match 3 port numbers to 2 hosts"},
    {"host=a hostaddr=10.0.0.1,10.0.0.2", "could not match 1 host names to 2 hostaddr values"},
    {"host=a port=0", "invalid port number: \"0\""},
    {"host=a port=65536", "invalid port number: \"65536\""},
    {"host=a port=x", "invalid port number: \"x\""},
    {"host=a port=5432x", "invalid port number: \"5432x\""},
    {"hostaddr=localhost", "could not parse network address \"localhost\""},
    {"host=/"
     "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
     "is too long (maximum 107 bytes)"},
    {"host=,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,", "too many hosts"},
    {"connect_timeout=soon", "invalid integer value \"soon\" for connection option \"connect_timeout\""},
    {"connect_timeout=99999999999", "invalid integer value"},
    {"keepalives_idle=1s", "connection option \"keepalives_idle\""},
    {"target_session_attrs=master",
     "invalid value \"master\" for connection option \"target_session_attrs\""},
    {"sslmode=on", "invalid value \"on\" for connection option \"sslmode\""},
    {"sslsni=yes", "connection option \"sslsni\""},
    {"gssencmode=require", "use disable"},
    {"channel_binding=require", "use prefer or disable"},
    {"service=main", "service files are not read"},
    {"requirepeer=postgres", "requirepeer"},
    {"host=a sslnegotiation=direct", "weak sslmode \"prefer\" may not be used with sslnegotiation=direct"},
    {"host=a sslnegotiation=direct sslmode=allow", "weak sslmode \"allow\""},
    {"host=a sslnegotiation=quick sslmode=require", "\"sslnegotiation\": use postgres or direct"},
    {"host=a sslnegotiation='' sslmode=require", "\"sslnegotiation\": use postgres or direct"},
    {"postgresql://a/?sslnegotiation=quick&sslmode=require", "\"sslnegotiation\": use postgres or direct"},
    {"host=a sslmode=verify-ca", "home/.postgresql/root.crt\" does not exist"},
    {"host=a sslmode=verify-full sslrootcert=$D/none", "/none\" does not exist"},
    {"host=a sslmode=require sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"},
    {"host=a sslrootcert=$D/ca.key", "could not load root certificate file"},
    {"host=a sslcrl=$D/ca.key sslrootcert=$D/ca.crt", "could not load certificate revocation list"},
    {"host=a ssl_min_protocol_version=SSLv3", "invalid ssl_min_protocol_version value: \"SSLv3\""},
    {"host=a ssl_max_protocol_version=2", "invalid ssl_max_protocol_version value: \"2\""},
    {"host=a ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2", "protocol version range"},
    {"host=a sslcert=$D/server.crt", "postgresql.key\" is not: No such file"},
    {"host=a sslcert=$D/server.crt sslkey=$D/other.key", "do not belong together"},
    {"host=a sslcert=$D/server.key sslkey=$D/server.key", "could not load certificate file"},
    {"host=a sslcert=$D/server.crt sslkey=$D/home", "is not a regular file"},
    {"host=a sslcert=$D/server.crt sslkey=pkcs11:x", "OpenSSL engine"},
    {"host=a sslcert=$D/locked.crt sslkey=$D/locked.key", "is encrypted"},
    {"host=a sslcert=$D/locked.crt sslkey=$D/locked.key sslpassword=wrong", "check its passphrase"},
};

Test(target, bad_strings) {
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct target *t = create(bad[i].conninfo);
        cr_expect_null(t, "\"%s\" was accepted", bad[i].conninfo);
        cr_expect(strstr(message, bad[i].part) != NULL, "\"%s\": %s", bad[i].conninfo, message);
        cr_expect(strchr(message, '\n') == NULL);
        destroy(t);
    }
}

static const struct {
    const char *conninfo;
    enum target_sslmode mode;
    bool direct, context, verifies;
} tls_cases[] = {
    {"host=a", SSLMODE_PREFER, false, true, false},
    {"host=a sslmode=disable", SSLMODE_DISABLE, false, false, false},
    {"host=a sslmode=allow", SSLMODE_ALLOW, false, true, false},
    {"host=a sslmode=require", SSLMODE_REQUIRE, false, true, false},
    {"host=a sslmode=require sslrootcert=$D/ca.crt", SSLMODE_REQUIRE, false, true, true},
    {"host=a sslmode=require sslrootcert=$D/none", SSLMODE_REQUIRE, false, true, false},
    {"host=a sslmode=verify-ca sslrootcert=$D/ca.crt", SSLMODE_VERIFY_CA, false, true, true},
    {"host=a sslmode=verify-full sslrootcert=$D/ca.crt", SSLMODE_VERIFY_FULL, false, true, true},
    {"host=a sslrootcert=system", SSLMODE_VERIFY_FULL, false, true, true},
    {"host=/tmp sslmode=verify-full sslrootcert=$D/none", SSLMODE_VERIFY_FULL, false, false, false},
    {"host=/tmp,a sslmode=require", SSLMODE_REQUIRE, false, true, false},
    {"host=a sslmode=require sslnegotiation=postgres", SSLMODE_REQUIRE, false, true, false},
    {"sslnegotiation=direct host=a sslmode=require", SSLMODE_REQUIRE, true, true, false},
    {"host=a sslmode=require sslnegotiation = 'direct'", SSLMODE_REQUIRE, true, true, false},
    {"host=a sslnegotiation=direct sslmode=require sslnegotiation=postgres", SSLMODE_REQUIRE, false, true,
     false},
    {"host=a sslmode=require options='-c x=\\'sslnegotiation=direct\\''", SSLMODE_REQUIRE, false, true,
     false},
    {"host=a sslmode=require password='sslnegotiation=direct '", SSLMODE_REQUIRE, false, true, false},
    {"postgresql://a/db?sslnegotiation=direct&sslmode=require", SSLMODE_REQUIRE, true, true, false},
    {"postgresql://a/db?sslmode=require&sslnegotiation=direct", SSLMODE_REQUIRE, true, true, false},
    {"postgresql://a/db?sslmode=require&sslnegotiation=direct&sslsni=0", SSLMODE_REQUIRE, true, true, false},
    {"postgresql://u:x?sslnegotiation=direct@a/db?sslmode=require", SSLMODE_REQUIRE, false, true, false},
    {"postgresql://a?sslnegotiation=postgres", SSLMODE_PREFER, false, true, false},
    {"host=a ssl_min_protocol_version=tlsv1.3 ssl_max_protocol_version=TLSv1.3", SSLMODE_PREFER, false, true,
     false},
    {"host=a sslcert=$D/server.crt sslkey=$D/server.key", SSLMODE_PREFER, false, true, false},
    {"host=a sslcert=$D/none sslkey=$D/none", SSLMODE_PREFER, false, true, false},
    {"host=a sslcert=$D/locked.crt sslkey=$D/locked.key sslpassword=secret", SSLMODE_PREFER, false, true,
     false},
    {"host=a sslrootcert=$D/ca.crt sslcrl=$D/none", SSLMODE_PREFER, false, true, true},
};

Test(target, tls) {
    for (size_t i = 0; i < sizeof(tls_cases) / sizeof(tls_cases[0]); i++) {
        const char *text = tls_cases[i].conninfo;
        struct target *t = create(text);
        cr_assert_not_null(t, "\"%s\": %s", text, message);
        cr_expect_eq(t->sslmode, tls_cases[i].mode, "\"%s\": sslmode %d", text, (int)t->sslmode);
        cr_expect_eq(t->ssl_direct, tls_cases[i].direct, "\"%s\"", text);
        cr_expect_eq(t->ssl_ctx != NULL, tls_cases[i].context, "\"%s\"", text);
        bool verifies = t->ssl_ctx != NULL && SSL_CTX_get_verify_mode(t->ssl_ctx) == SSL_VERIFY_PEER;
        cr_expect_eq(verifies, tls_cases[i].verifies, "\"%s\"", text);
        destroy(t);
    }
}

Test(target, default_files_in_home) {
    cr_assert_eq(link(tls_file("ca.crt"), tls_file("home/.postgresql/root.crt")), 0);
    cr_assert_eq(link(tls_file("server.crt"), tls_file("home/.postgresql/postgresql.crt")), 0);
    cr_assert_eq(link(tls_file("server.key"), tls_file("home/.postgresql/postgresql.key")), 0);
    struct target *t = create("host=a sslmode=require");
    cr_assert_not_null(t, "%s", message);
    cr_expect_eq(SSL_CTX_get_verify_mode(t->ssl_ctx), SSL_VERIFY_PEER);
    cr_expect_not_null(SSL_CTX_get0_certificate(t->ssl_ctx));
    destroy(t);
    tls_write_text("home/.postgresql/root.crl", "broken");
    cr_expect_null(create("host=a sslmode=require"));
    cr_expect(strstr(message, "revocation list") != NULL, "%s", message);
}

Test(target, a_home_that_cannot_be_read) {
    const char *hint = "name another file with sslcert in \"server\", set HOME to that of pgfold's own user, "
                       "or use sslmode=disable";
    cr_assert_eq(symlink("loop", tls_file("loop")), 0);
    setenv("HOME", tls_file("loop"), 1);
    cr_expect_null(create("host=a"));
    cr_expect(strncmp(message, "pgfold.server: could not open certificate file \"", 48) == 0, "%s", message);
    cr_expect(strstr(message, hint) != NULL, "%s", message);
    cr_expect_null(create("host=a sslcert=$D/loop/c"));
    cr_expect(strstr(message, "Too many levels") != NULL && strstr(message, hint) == NULL, "%s", message);
    struct target *t = create("host=a sslmode=disable");
    cr_expect_not_null(t, "%s", message);
    destroy(t);
}

Test(target, a_broken_file_of_home_names_the_option) {
    tls_write_text("home/.postgresql/postgresql.crt", "broken");
    cr_expect_null(create("host=a"));
    cr_expect(strstr(message, "could not load certificate file") != NULL, "%s", message);
    cr_expect(strstr(message, "sslcert and sslkey") != NULL, "%s", message);
    cr_expect_null(create("host=a sslcert=$D/home/.postgresql/postgresql.crt"));
    cr_expect(strstr(message, "sslcert and sslkey") == NULL, "%s", message);
}

Test(target, description) {
    static const char *const cases[][2] = {
        {"host=db.example.com port=5433 sslmode=require password=geheim user=u dbname=d",
         "db.example.com:5433 (sslmode=require)"},
        {"host=/run/postgresql", "/run/postgresql:5432"},
        {"postgresql://u:geheim@a,[::1]:7/x?sslmode=disable", "a:5432,[::1]:7 (sslmode=disable)"},
        {"hostaddr=10.0.0.1", "10.0.0.1:5432 (sslmode=prefer)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target *t = create(cases[i][0]);
        cr_assert_not_null(t, "%s", message);
        char out[128], small[8];
        cr_expect_str_eq(target_describe(t, out, sizeof(out)), cases[i][1]);
        cr_expect_eq(strlen(target_describe(t, small, sizeof(small))), sizeof(small) - 1);
        destroy(t);
    }
}

Test(target, messages_begin_with_their_setting) {
    cr_expect_null(create("foo=bar"));
    cr_expect_str_eq(message, "pgfold.server: invalid connection option \"foo\"");
    cr_expect_null(client_tls_create(&TLS_OF("none.crt", "server.key"), message, sizeof(message)));
    cr_expect(strncmp(message, "pgfold.client_tls_cert: could not load", 38) == 0, "%s", message);
    cr_expect_null(client_tls_create(&TLS_OF("server.crt", "none.key"), message, sizeof(message)));
    cr_expect(strncmp(message, "pgfold.client_tls_key: could not access", 39) == 0, "%s", message);
    char small[8];
    cr_expect_null(target_create("foo=bar", ignored, sizeof(ignored), small, sizeof(small)));
    cr_expect_str_eq(small, "pgfold.");
}

// Whatever libpq says of them.
Test(target, no_message_has_a_password) {
    static const char *const texts[] = {"postgresql://u:geheim@[::1",        "postgresql://u:geheim@[::1]x",
                                        "postgresql://u:geheim%zz@a/b",      "postgresql://u:geheim%00@a/b",
                                        "host=a password=my geheim",         "host=a password=geheim foo",
                                        "postgresql://u:geheim@a/?foo=1",    "host=a password='geheim",
                                        "postgresql://a/?password=x=geheim", "postgresql://a/?geheim"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        cr_expect_null(create(texts[i]), "%s", texts[i]);
        cr_expect(strstr(message, "geheim") == NULL && strlen(message) > 30, "%s: %s", texts[i], message);
    }
}

static const struct {
    mode_t mode;
    bool root_may, other_may;
} modes[] = {
    {0600, true, true}, {0400, true, true}, {0640, true, false}, {0660, false, false}, {0604, false, false}};

Test(target, key_permissions) {
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        cr_assert_eq(chmod(tls_file("server.key"), modes[i].mode), 0);
        struct target *t = create("host=a sslcert=$D/server.crt sslkey=$D/server.key");
        cr_expect_eq(t != NULL, geteuid() == 0 ? modes[i].root_may : modes[i].other_may, "mode %o: %s",
                     (unsigned)modes[i].mode, message);
        destroy(t);
    }
    cr_expect(strstr(message, "group or world access") != NULL, "%s", message);
}

Test(target, defaults_of_sockets) {
    struct target *t = create("host=a");
    cr_assert_not_null(t, "%s", message);
    cr_expect_eq(t->attrs, TARGET_ANY);
    cr_expect_eq(t->connect_timeout, 0);
    cr_expect(t->keepalives);
    cr_expect_eq(t->keepalives_idle + t->keepalives_interval + t->keepalives_count + t->tcp_user_timeout, 0);
    cr_expect_str_eq(ignored, "");
    destroy(t);
}

Test(target, settings_of_sockets) {
    struct target *t =
        create("connect_timeout=10 keepalives=0 keepalives_idle=30 keepalives_interval=5 "
               "keepalives_count=-1 tcp_user_timeout=7000 target_session_attrs=prefer-standby");
    cr_assert_not_null(t, "%s", message);
    cr_expect_eq(t->connect_timeout, 10000000);
    cr_expect_not(t->keepalives);
    cr_expect_eq(t->keepalives_idle, 30);
    cr_expect_eq(t->keepalives_interval, 5);
    cr_expect_eq(t->keepalives_count, 0);
    cr_expect_eq(t->tcp_user_timeout, 7000);
    cr_expect_eq(t->attrs, TARGET_PREFER_STANDBY);
    destroy(t);
}

// libpq: 1 is interpreted as 2; zero and negative values mean no limit.
Test(target, small_timeouts) {
    static const struct {
        const char *conninfo;
        uint64_t expected;
    } cases[] = {{"connect_timeout=0", 0},
                 {"connect_timeout=-1", 0},
                 {"connect_timeout=1", 2000000},
                 {"connect_timeout=2", 2000000}};
    for (size_t i = 0; i < 4; i++) {
        struct target *t = create(cases[i].conninfo);
        cr_assert_not_null(t, "%s", message);
        cr_expect_eq(t->connect_timeout, cases[i].expected, "%s", cases[i].conninfo);
        destroy(t);
    }
}

Test(target, names_what_it_ignores) {
    struct target *t = create("user=u password=geheim dbname=d host=a application_name=n options='-c a=b' "
                              "gssencmode=disable channel_binding=prefer");
    cr_assert_not_null(t, "%s", message);
    const char *names[] = {"user", "password", "dbname", "application_name", "options"};
    for (size_t i = 0; i < 5; i++)
        cr_expect(strstr(ignored, names[i]) != NULL, "%s is not in %s", names[i], ignored);
    cr_expect(strstr(ignored, "geheim") == NULL);
    cr_expect(strstr(ignored, "host") == NULL && strstr(ignored, "gssencmode") == NULL, "%s", ignored);
    destroy(t);
}

Test(target, a_short_ignored_buffer_is_not_overrun) {
    char small[8];
    struct target *t =
        target_create("user=u password=p dbname=d", small, sizeof(small), message, sizeof(message));
    cr_assert_not_null(t, "%s", message);
    cr_expect_eq(strlen(small), sizeof(small) - 1);
    destroy(t);
}

static const struct {
    const char *cert, *key, *part; // NULL: accepted
} client_cases[] = {
    {"server.crt", "server.key", NULL},
    {"none.crt", "server.key", "none.crt\": No such file or directory"},
    {"server.crt", "none.key", "none.key\": No such file or directory"},
    {"server.crt", "other.key", "other.key\" do not belong together"},
    {"server.crt", "server.crt", "could not load private key file"},
    {"locked.crt", "locked.key", "locked.key\" is encrypted"},
    {"home", "server.key", "could not load certificate file"},
};

Test(target, client_tls) {
    for (size_t i = 0; i < sizeof(client_cases) / sizeof(client_cases[0]); i++) {
        message[0] = '\0';
        SSL_CTX *ctx =
            client_tls_create(&TLS_OF(client_cases[i].cert, client_cases[i].key), message, sizeof(message));
        cr_expect_eq(ctx != NULL, client_cases[i].part == NULL, "%s %s: %s", client_cases[i].cert,
                     client_cases[i].key, message);
        cr_expect(client_cases[i].part == NULL || strstr(message, client_cases[i].part) != NULL, "%s",
                  message);
        SSL_CTX_free(ctx);
        expect_no_leaks();
    }
}

// As PostgreSQL checks ssl_key_file: https://www.postgresql.org/docs/current/ssl-tcp.html
Test(target, client_tls_key_permissions) {
    static const struct {
        uid_t owner; // 1: another user than root
        mode_t mode;
        const char *part; // NULL: accepted by root
    } cases[] = {{0, 0600, NULL},
                 {0, 0400, NULL},
                 {0, 0640, NULL},
                 {0, 0440, NULL},
                 {0, 0660, "has group or world access: make it u=rw (0600)"},
                 {0, 0650, "has group or world access"},
                 {0, 0604, "has group or world access"},
                 {0, 0644, "has group or world access"},
                 {1, 0600, NULL},
                 {1, 0640, "has group or world access"},
                 {1, 0644, "has group or world access"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].owner != 0 && chown(tls_file("server.key"), cases[i].owner, (gid_t)-1) != 0)
            continue;
        cr_assert_eq(chmod(tls_file("server.key"), cases[i].mode), 0);
        bool accepted = cases[i].part == NULL && (geteuid() == 0 || !(cases[i].mode & 077));
        SSL_CTX *ctx = client_tls_create(&TLS_OF("server.crt", "server.key"), message, sizeof(message));
        cr_expect_eq(ctx != NULL, accepted, "mode %o: %s", (unsigned)cases[i].mode, message);
        cr_expect(ctx != NULL || cases[i].part == NULL || strstr(message, cases[i].part) != NULL, "%s",
                  message);
        SSL_CTX_free(ctx);
    }
}

// As Kubernetes mounts secrets.
Test(target, client_tls_key_behind_a_link) {
    cr_assert_eq(symlink("server.key", tls_file("link.key")), 0);
    SSL_CTX *ctx = client_tls_create(&TLS_OF("server.crt", "link.key"), message, sizeof(message));
    cr_expect_not_null(ctx, "%s", message);
    SSL_CTX_free(ctx);
    cr_assert_eq(chmod(tls_file("server.key"), 0644), 0);
    cr_expect_null(client_tls_create(&TLS_OF("server.crt", "link.key"), message, sizeof(message)));
    cr_expect_null(client_tls_create(&TLS_OF("server.crt", "home"), message, sizeof(message)));
    cr_expect(strstr(message, "home\" is not a regular file") != NULL, "%s", message);
}

Test(target, client_tls_ciphers) {
    static const struct {
        const char *list;
        bool valid;
    } cases[] = {{"HIGH:MEDIUM:+3DES:!aNULL", true},
                 {"ECDHE-ECDSA-AES128-GCM-SHA256", true},
                 {"DHE+AESGCM", true},
                 {"nonsense", false},
                 {"TLS_AES_128_GCM_SHA256", false},
                 {"!ALL", false}};
    struct client_tls_settings set = TLS_OF("server.crt", "server.key");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set.ciphers = cases[i].list;
        SSL_CTX *ctx = client_tls_create(&set, message, sizeof(message));
        cr_expect_eq(ctx != NULL, cases[i].valid, "%s: %s", cases[i].list, message);
        cr_expect(ctx != NULL || strncmp(message, "pgfold.client_tls_ciphers: ", 27) == 0, "%s", message);
        SSL_CTX_free(ctx);
        expect_no_leaks();
    }
}

Test(target, client_tls_ciphers_of_old_versions) {
    static const struct {
        unsigned min_version;
        const char *list;
        bool lacks;
    } cases[] = {{2, "ECDHE+AESGCM", false},    {3, "ECDHE+AESGCM", false},
                 {1, "ECDHE+AESGCM", true},     {0, "ECDHE+AESGCM:@SECLEVEL=0", true},
                 {0, "ALL:@SECLEVEL=0", false}, {1, "AES128-SHA:@SECLEVEL=0", false}};
    struct client_tls_settings set = TLS_OF("server.crt", "server.key");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set.ciphers = cases[i].list;
        set.min_version = cases[i].min_version;
        SSL_CTX *ctx = client_tls_create(&set, message, sizeof(message));
        cr_assert_not_null(ctx, "%s", message);
        cr_expect_eq(client_tls_lacks_ciphers(ctx), cases[i].lacks, "%u, %s", set.min_version, set.ciphers);
        SSL_CTX_free(ctx);
        expect_no_leaks();
    }
}

// Nothing without forward secrecy, nothing in CBC mode, nothing anonymous.
Test(target, client_tls_ciphers_of_the_default) {
    SSL_CTX *ctx = client_tls_create(&TLS_OF("server.crt", "server.key"), message, sizeof(message));
    cr_assert_not_null(ctx, "%s", message);
    STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(ctx);
    cr_assert_gt(sk_SSL_CIPHER_num(list), 3);
    for (int i = 0; i < sk_SSL_CIPHER_num(list); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(list, i);
        int exchange = SSL_CIPHER_get_kx_nid(c), who = SSL_CIPHER_get_auth_nid(c);
        cr_expect(SSL_CIPHER_is_aead(c), "%s", SSL_CIPHER_get_name(c));
        cr_expect(exchange == NID_kx_ecdhe || exchange == NID_kx_any, "%s", SSL_CIPHER_get_name(c));
        cr_expect(who != NID_auth_null, "%s", SSL_CIPHER_get_name(c));
    }
    cr_expect_eq(SSL_CTX_get_min_proto_version(ctx), TLS1_2_VERSION);
    cr_expect_eq(SSL_CTX_get_options(ctx) &
                     (SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION),
                 SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_free(ctx);
}
