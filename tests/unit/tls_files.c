// SPDX-License-Identifier: PostgreSQL
//
// Certificates and keys for tests, made by OpenSSL in a temporary directory.
#include "tests/unit/tls_files.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

char tls_dir[64];

const char *tls_file(const char *name) {
    static char paths[8][160];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof(paths[0]), "%s/%s", tls_dir, name);
    return path;
}

static FILE *tls_create_file(const char *name) {
    int fd = open(tls_file(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f == NULL)
        abort();
    return f;
}

void tls_write_text(const char *name, const char *text) {
    FILE *f = tls_create_file(name);
    fputs(text, f);
    fclose(f);
}

static EVP_PKEY *tls_new_key(const char *name, const char *passphrase) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = tls_create_file(name);
    PEM_write_PrivateKey(f, key, passphrase != NULL ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
                         (void *)(uintptr_t)passphrase);
    fclose(f);
    return key;
}

static void tls_extend(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

// issuer NULL: an authority that signs itself.
static X509 *tls_new_cert(const char *name, const char *cn, EVP_PKEY *key, X509 *issuer,
                          EVP_PKEY *issuer_key) {
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 24 * 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1,
                               -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    if (issuer == NULL)
        tls_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    else
        tls_extend(cert, issuer, NID_subject_alt_name, "DNS:db.example,IP:127.0.0.1");
    X509_sign(cert, issuer_key != NULL ? issuer_key : key, EVP_sha256());
    FILE *f = tls_create_file(name);
    PEM_write_X509(f, cert);
    fclose(f);
    return cert;
}

void tls_files_create(void) {
    snprintf(tls_dir, sizeof(tls_dir), "/tmp/pgfold-test-XXXXXX");
    if (mkdtemp(tls_dir) == NULL)
        abort();
    mkdir(tls_file("home"), 0700);
    mkdir(tls_file("home/.postgresql"), 0700);
    EVP_PKEY *ca_key = tls_new_key("ca.key", NULL), *key = tls_new_key("server.key", NULL);
    EVP_PKEY *other = tls_new_key("other.key", NULL), *locked = tls_new_key("locked.key", "secret");
    X509 *ca = tls_new_cert("ca.crt", "pgfold test authority", ca_key, NULL, NULL);
    X509 *other_ca = tls_new_cert("other-ca.crt", "pgfold other authority", other, NULL, NULL);
    X509 *cert = tls_new_cert("server.crt", "ignored.example", key, ca, ca_key);
    X509 *locked_cert = tls_new_cert("locked.crt", "locked.example", locked, ca, ca_key);
    X509_free(ca);
    X509_free(other_ca);
    X509_free(cert);
    X509_free(locked_cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
    EVP_PKEY_free(locked);
}

static int tls_remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

#if defined(__SANITIZE_ADDRESS__)
int __lsan_do_recoverable_leak_check(void);
#else
#define __lsan_do_recoverable_leak_check() 0
#endif

void expect_no_leaks(void) {
    cr_expect_eq(__lsan_do_recoverable_leak_check(), 0, "memory is left");
}

void tls_files_remove(void) {
    nftw(tls_dir, tls_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
