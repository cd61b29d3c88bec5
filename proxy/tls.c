// SPDX-License-Identifier: PostgreSQL
//
// TLS contexts. For the server's side every rule is libpq's: which file is looked for where, which absence is
// an error, when the server's certificate is checked. The difference: files are read once, at start and
// reload, so that a broken file is reported there instead of at the first connection.
#include "proxy/tls.h"

#include <errno.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proxy/complaint.h"
#include "proxy/stream.h"

// 8 kB: larger records make some libpq-based clients wait for bytes that they already hold.
#define CLIENT_RECORD_MAX 8192
#define PATH_ROOM         1024

// The protocol's name in ALPN, with its length in front.
static const unsigned char alpn_postgresql[] = "\012postgresql";
#define ALPN_LEN (sizeof(alpn_postgresql) - 1)

static bool given(const char *text) {
    return text != NULL && text[0] != '\0';
}

// The oldest entry of OpenSSL's queue of errors is the cause; the later ones only say who passed it on.
static const char *tls_reason(void) {
    unsigned long e = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(e))
        return strerror(ERR_GET_REASON(e));
    const char *reason = ERR_reason_error_string(e);
    return reason != NULL ? reason : "unknown TLS error";
}

// ---- key and certificate ----

struct passphrase {
    const char *text;
    bool asked;
};

// Stands in for OpenSSL's own callback, which would stop a daemon at a terminal prompt.
static int answer_passphrase(char *to, int size, int writing, void *arg) {
    (void)writing;
    struct passphrase *phrase = arg;
    if (phrase == NULL)
        return -1;
    phrase->asked = true;
    if (!given(phrase->text) || strlen(phrase->text) >= (size_t)size)
        return -1;
    memcpy(to, phrase->text, strlen(phrase->text) + 1);
    return (int)strlen(phrase->text);
}

static bool load_certificate(SSL_CTX *ctx, const char *file, const struct complaint *to) {
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, file) == 1)
        return true;
    return complain(to, "could not load certificate file \"%s\": %s", file, tls_reason());
}

static bool complain_key(const char *cert, const char *key, const struct passphrase *phrase,
                         const struct complaint *to) {
    int reason = ERR_GET_REASON(ERR_peek_error());
    bool x509 = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_X509;
    if (x509 && (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH))
        return complain(to, "certificate file \"%s\" and private key file \"%s\" do not belong together",
                        cert, key);
    if (phrase->asked && !given(phrase->text))
        return complain(to, "private key file \"%s\" is encrypted: give its passphrase, or a key without one",
                        key);
    if (phrase->asked)
        return complain(to, "could not decrypt private key file \"%s\": check its passphrase", key);
    return complain(to, "could not load private key file \"%s\": %s", key, tls_reason());
}

static bool load_key(SSL_CTX *ctx, const char *cert, const char *key, const char *password,
                     const struct complaint *to) {
    struct passphrase phrase = {.text = password};
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, answer_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ctx, &phrase);
    bool loaded = SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
    if (!loaded)
        return complain_key(cert, key, &phrase, to);
    if (SSL_CTX_check_private_key(ctx) == 1)
        return true;
    // OpenSSL loads a key of another kind (EC beside an RSA certificate) without complaint; it is found here.
    return complain(to, "certificate file \"%s\" and private key file \"%s\" do not belong together", cert,
                    key);
}

// Nobody else may read the key. Only a file of root's may be readable by a group: by that of a system's
// certificates, or that of a pod's secrets (fsGroup).
static bool check_key_access(const char *key, const struct stat *st, const struct complaint *to) {
    if (!S_ISREG(st->st_mode))
        return complain(to, "private key file \"%s\" is not a regular file", key);
    mode_t refused = st->st_uid == 0 ? S_IWGRP | S_IXGRP | S_IRWXO : S_IRWXG | S_IRWXO;
    if ((st->st_mode & refused) == 0)
        return true;
    return complain(
        to,
        "private key file \"%s\" has group or world access: make it u=rw (0600) or less, or u=rw,g=r (0640) "
        "or less if owned by root",
        key);
}

// PostgreSQL's rule for ssl_key_file. PostgreSQL never runs as root; pgfold may, and root may use any key.
static bool check_client_side_key(const char *key, const struct complaint *to) {
    struct stat st;
    if (stat(key, &st) != 0)
        return complain(to, "could not access private key file \"%s\": %s", key, strerror(errno));
    if (S_ISREG(st.st_mode) && geteuid() != 0 && st.st_uid != geteuid() && st.st_uid != 0)
        return complain(to,
                        "private key file \"%s\" must be owned by the user that pgfold runs as or by root: "
                        "change its owner, or use a copy",
                        key);
    return check_key_access(key, &st, to);
}

// libpq's rule.
static bool check_key_file(const char *cert, const char *key, const struct complaint *to) {
    struct stat st;
    if (strchr(key, ':') != NULL && strchr(key, '/') == NULL)
        return complain(to, "sslkey \"%s\" names an OpenSSL engine, which is not supported: name a file",
                        key);
    if (stat(key, &st) != 0)
        return complain(to, "certificate file \"%s\" is present, but its private key file \"%s\" is not: %s",
                        cert, key, strerror(errno));
    return check_key_access(key, &st, to);
}

// ---- the server's side ----

// A file of ~/.postgresql, or "" where there is no home. HOME goes before the password file, as in libpq.
static void home_file(const char *name, char *path, size_t size) {
    struct passwd entry, *found = NULL;
    char room[4096];
    const char *home = getenv("HOME");
    if (!given(home) && getpwuid_r(geteuid(), &entry, room, sizeof(room), &found) == 0 && found != NULL)
        home = found->pw_dir;
    path[0] = '\0';
    if (given(home) && (size_t)snprintf(path, size, "%s/.postgresql/%s", home, name) >= size)
        path[0] = '\0';
}

// The file that was asked for, or the default one.
static const char *file_or_home(const char *file, const char *name, char *path, size_t size) {
    if (given(file))
        return file;
    home_file(name, path, size);
    return path;
}

// Nobody has named a file of the home directory, so the message names the option that names another.
static bool blame_home(bool ok, const char *named, const char *option, const struct complaint *to) {
    size_t used = strlen(to->text);
    if (!ok && !given(named) && used < to->size)
        snprintf(
            to->text + used, to->size - used,
            "; it is read since it is there: name another file with %s in \"server\", set HOME to that of "
            "pgfold's own user, or use sslmode=disable",
            option);
    return ok;
}

static bool load_crls(SSL_CTX *ctx, const struct tls_settings *set, const struct complaint *to) {
    char path[PATH_ROOM];
    const char *dir = given(set->crldir) ? set->crldir : NULL;
    const char *file =
        dir != NULL && !given(set->crl) ? "" : file_or_home(set->crl, "root.crl", path, sizeof(path));
    // In libpq a revocation list that does not exist is no error. One that exists and cannot be read is one
    // here: revoked certificates would stay valid.
    if (!given(file) || access(file, F_OK) != 0)
        file = NULL;
    if (file == NULL && dir == NULL)
        return true;
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    ERR_clear_error();
    if (X509_STORE_load_locations(store, file, dir) != 1)
        return blame_home(complain(to, "could not load certificate revocation list \"%s\": %s",
                                   file != NULL ? file : dir, tls_reason()),
                          given(set->crl) ? set->crl : dir, "sslcrl", to);
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

static bool load_system_roots(SSL_CTX *ctx, const struct tls_settings *set, const struct complaint *to) {
    if (set->mode != SSLMODE_VERIFY_FULL)
        return complain(
            to, "sslrootcert=system needs sslmode=verify-full: anybody can get a certificate from a public "
                "authority, only the name tells whose it is");
    ERR_clear_error();
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        return complain(to, "could not load the system's root certificates: %s", tls_reason());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return load_crls(ctx, set, to);
}

// A root certificate that exists is used in every mode. That is why libpq's require then behaves like
// verify-ca.
static bool load_roots(SSL_CTX *ctx, const struct tls_settings *set, const struct complaint *to) {
    char path[PATH_ROOM];
    struct stat st;
    if (given(set->rootcert) && strcmp(set->rootcert, "system") == 0)
        return load_system_roots(ctx, set, to);
    const char *file = file_or_home(set->rootcert, "root.crt", path, sizeof(path));
    if (!given(file) || stat(file, &st) != 0) {
        if (set->mode < SSLMODE_VERIFY_CA)
            return true;
        return complain(
            to,
            "root certificate file \"%s\" does not exist: provide it, use the system's trusted roots with "
            "sslrootcert=system, or choose a weaker sslmode",
            given(file) ? file : "~/.postgresql/root.crt");
    }
    ERR_clear_error();
    if (SSL_CTX_load_verify_locations(ctx, file, NULL) != 1)
        return blame_home(complain(to, "could not load root certificate file \"%s\": %s", file, tls_reason()),
                          set->rootcert, "sslrootcert", to);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    return load_crls(ctx, set, to);
}

// As libpq, this goes on without a certificate: the server decides whether it wants one.
static bool load_own_certificate(SSL_CTX *ctx, const struct tls_settings *set, const struct complaint *to) {
    char cert_path[PATH_ROOM], key_path[PATH_ROOM];
    struct stat st;
    const char *cert = file_or_home(set->cert, "postgresql.crt", cert_path, sizeof(cert_path));
    if (!given(cert))
        return true;
    if (stat(cert, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return true;
        return blame_home(complain(to, "could not open certificate file \"%s\": %s", cert, strerror(errno)),
                          set->cert, "sslcert", to);
    }
    const char *key = file_or_home(set->key, "postgresql.key", key_path, sizeof(key_path));
    bool ok = load_certificate(ctx, cert, to) && check_key_file(cert, key, to) &&
              load_key(ctx, cert, key, set->password, to);
    return blame_home(ok, set->cert, "sslcert and sslkey", to);
}

static const struct {
    const char *name;
    int version;
} versions[] = {
    {"TLSv1", TLS1_VERSION},
    {"TLSv1.1", TLS1_1_VERSION},
    {"TLSv1.2", TLS1_2_VERSION},
    {"TLSv1.3", TLS1_3_VERSION},
};

static int version_number(const char *name) {
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (strcasecmp(name, versions[i].name) == 0)
            return versions[i].version;
    }
    return -1;
}

// 0 as the highest version is OpenSSL's word for "no limit".
static bool set_versions(SSL_CTX *ctx, const struct tls_settings *set, const struct complaint *to) {
    int lowest = given(set->min_version) ? version_number(set->min_version) : TLS1_2_VERSION;
    int highest = given(set->max_version) ? version_number(set->max_version) : 0;
    if (lowest < 0)
        return complain(to, "invalid ssl_min_protocol_version value: \"%s\"", set->min_version);
    if (highest < 0)
        return complain(to, "invalid ssl_max_protocol_version value: \"%s\"", set->max_version);
    if (highest != 0 && lowest > highest)
        return complain(to, "invalid TLS protocol version range: ssl_min_protocol_version is above "
                            "ssl_max_protocol_version");
    if (SSL_CTX_set_min_proto_version(ctx, lowest) != 1 || SSL_CTX_set_max_proto_version(ctx, highest) != 1)
        return complain(to, "could not set the TLS protocol versions: %s", tls_reason());
    return true;
}

static bool set_up_server_side(SSL_CTX *ctx, const struct tls_settings *set, const struct complaint *to) {
    unsigned policy = set->sni ? 0 : STREAM_TLS_NO_SNI;
    if (set->mode == SSLMODE_VERIFY_FULL)
        policy |= STREAM_TLS_CHECK_NAME;
    stream_set_tls_policy(ctx, policy);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_alpn_protos(ctx, alpn_postgresql, ALPN_LEN) != 0)
        return complain(to, "could not set ALPN: %s", tls_reason());
    return set_versions(ctx, set, to) && load_roots(ctx, set, to) && load_own_certificate(ctx, set, to);
}

static SSL_CTX *new_context(const SSL_METHOD *method, const struct complaint *to) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL)
        complain(to, "could not create a TLS context: %s", tls_reason());
    return ctx;
}

static SSL_CTX *keep_or_free(SSL_CTX *ctx, bool keep) {
    ERR_clear_error();
    if (keep)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

struct ssl_ctx_st *tls_server_context(const struct tls_settings *set, char *err, size_t err_size) {
    const struct complaint to = {err, err_size, "pgfold.server"};
    SSL_CTX *ctx = new_context(TLS_client_method(), &to);
    if (ctx == NULL)
        return NULL;
    return keep_or_free(ctx, set_up_server_side(ctx, set, &to));
}

// ---- the clients' side ----

// A client that offers only other protocols does not speak PostgreSQL's; cross-protocol attacks look like
// that.
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned int in_len, void *arg) {
    (void)ssl;
    (void)arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, alpn_postgresql, ALPN_LEN, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static struct complaint about(const struct complaint *to, const char *setting) {
    return (struct complaint){to->text, to->size, setting};
}

static bool set_ciphers(SSL_CTX *ctx, const struct client_tls_settings *set, const struct complaint *to) {
    const struct complaint version = about(to, "pgfold.client_tls_min_version");
    const struct complaint ciphers = about(to, "pgfold.client_tls_ciphers");
    ERR_clear_error();
    if (SSL_CTX_set_min_proto_version(ctx, versions[set->min_version].version) != 1)
        return complain(&version, "this OpenSSL has no %s", versions[set->min_version].name);
    if (SSL_CTX_set_cipher_list(ctx, set->ciphers) == 1)
        return true;
    return complain(&ciphers,
                    "\"%s\" names no cipher of TLS 1.2 that this OpenSSL has (%s): write a list as \"openssl "
                    "ciphers\" takes it, for example ECDHE+AESGCM",
                    set->ciphers, tls_reason());
}

static bool load_files(SSL_CTX *ctx, const struct client_tls_settings *set, const struct complaint *to) {
    const struct complaint cert = about(to, "pgfold.client_tls_cert");
    const struct complaint key = about(to, "pgfold.client_tls_key");
    return load_certificate(ctx, set->cert, &cert) && check_client_side_key(set->key, &key) &&
           load_key(ctx, set->cert, set->key, NULL, &key);
}

// As in PostgreSQL, nothing is compressed or renegotiated. TLS sessions are not resumed: a ticket would
// outlive a reload of certificate and key.
static bool set_up_client_side(SSL_CTX *ctx, const struct client_tls_settings *set,
                               const struct complaint *to) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, NULL);
    SSL_CTX_set_dh_auto(ctx, 1); // for lists that name DHE
    if (SSL_CTX_set_num_tickets(ctx, 0) != 1 || SSL_CTX_set_max_send_fragment(ctx, CLIENT_RECORD_MAX) != 1)
        return complain(to, "could not set up TLS for clients: %s", tls_reason());
    return set_ciphers(ctx, set, to) && load_files(ctx, set, to);
}

struct ssl_ctx_st *client_tls_create(const struct client_tls_settings *set, char *err, size_t err_size) {
    const struct complaint to = {err, err_size, "pgfold.client_tls"};
    SSL_CTX *ctx = new_context(TLS_server_method(), &to);
    if (ctx == NULL)
        return NULL;
    return keep_or_free(ctx, set_up_client_side(ctx, set, &to));
}

// The list alone does not tell: at a high security level a handshake fails with some ciphers that are in it.
// So a connection is asked which of them it would offer.
bool client_tls_lacks_ciphers(struct ssl_ctx_st *ctx) {
    if (SSL_CTX_get_min_proto_version(ctx) >= TLS1_2_VERSION)
        return false;
    SSL *ssl = SSL_new(ctx);
    STACK_OF(SSL_CIPHER) *list = NULL;
    if (ssl != NULL && SSL_set_max_proto_version(ssl, TLS1_1_VERSION) == 1)
        list = SSL_get1_supported_ciphers(ssl);
    bool lacks = ssl != NULL && sk_SSL_CIPHER_num(list) <= 0;
    sk_SSL_CIPHER_free(list);
    SSL_free(ssl);
    ERR_clear_error();
    return lacks;
}
