# SPDX-License-Identifier: PostgreSQL
"""Starts and stops what the tests talk to: a throw-away PostgreSQL and pgfold. By pid, on free ports, on loopback.

Every server dies with the test run, also when that is killed (parent-death signal).
"""
import ctypes
import glob
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import embedded
from proto import Conn

SUPERUSER = "postgres"
# What the tests run pgfold with unless they say otherwise: no pause and no age plays a part on a busy machine. A test of these sets its own.
PATIENT = {"lookahead.max_gap": "1s", "lookahead.max_age": "60s"}
START_SECONDS = 60
STOP_SECONDS = 60
# What a sanitizer or valgrind writes when it has found something.
FINDINGS = re.compile(r"^.*(?:ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|DEADLYSIGNAL"
                      r"|==\d+== (?:Invalid|Conditional|Use of|Source and dest|Process terminating)).*$", re.M)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pg_bin(name):
    folder = os.environ.get("PG_BIN")
    if not folder:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
        assert found, "no PostgreSQL server is installed; install the package postgresql"
        folder = found[-1]
    return os.path.join(embedded.prepared(folder), name)


def client_program(name):
    """A program of the server's clients: the server's own, or what is installed; None where there is none."""
    own = pg_bin(name)
    return own if os.path.exists(own) else shutil.which(name)


def as_postgres(*command):
    """The command as a user that PostgreSQL agrees to run under; replaces itself, so that pids hold."""
    prefix = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() == 0:
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "QUIT"]
    own = embedded.libraries(os.path.dirname(command[0]))
    return [*prefix, *(["env", "LD_LIBRARY_PATH=" + own] if own else []), *command]


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def run(*command, **kw):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    assert done.returncode == 0, "%s: %s" % (shlex.join(command), done.stdout)
    return done.stdout


def make_certificates(folder):
    """A self-made authority and a certificate for localhost and 127.0.0.1."""
    def path(name):
        return os.path.join(folder, name)
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=pgfold test authority",
        "-keyout", path("ca.key"), "-out", path("ca.crt"))
    run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", path("server.key"),
        "-out", path("server.csr"))
    with open(path("san.cnf"), "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    run("openssl", "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.crt"), "-CAkey", path("ca.key"),
        "-CAcreateserial", "-days", "30", "-extfile", path("san.cnf"), "-out", path("server.crt"))
    os.chmod(path("server.key"), 0o600)


def wait_for(condition, what, seconds=START_SECONDS):
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        assert time.monotonic() < end, "waited %d s for %s" % (seconds, what)
        time.sleep(0.02)


class Endpoint:
    """Where clients go: TCP and a Unix socket's folder."""
    host = "127.0.0.1"

    @property
    def where(self):
        return (self.host, self.port)

    @property
    def unix(self):
        return os.path.join(self.socket_dir, ".s.PGSQL.%d" % self.port)

    def dial(self, unix=False, **kw):
        return Conn(self.unix if unix else self.where, **kw)

    def connect(self, user="app", database="app", password=None, unix=False, timeout=None, **params):
        c = self.dial(unix, **({"timeout": timeout} if timeout else {}))
        got = c.login(user, database, password, **params)
        assert got[-1].type == "Z", "login failed: %r" % got
        c.greeting = got
        return c


PG_CONF = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 600
max_wal_senders = 10
wal_level = logical
fsync = off
synchronous_commit = off
full_page_writes = off
shared_buffers = 64MB
autovacuum = off
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track_utility = off
pg_stat_statements.max = 5000
max_prepared_transactions = 5
ssl = {ssl}
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
log_min_messages = warning
timezone = UTC
lc_messages = C
"""
PG_HBA = """
local     all          password_user                 password
local     all          md5_user                      md5
local     all          scram_user                    scram-sha-256
hostnossl all          tls_user      127.0.0.1/32    reject
hostssl   all          tls_user      127.0.0.1/32    trust
host      all          password_user 127.0.0.1/32    password
host      all          md5_user      127.0.0.1/32    md5
host      all          scram_user    127.0.0.1/32    scram-sha-256
local     all          all                           trust
host      all          all           127.0.0.1/32    trust
local     replication  all                           trust
host      replication  all           127.0.0.1/32    trust
"""
ROLES = """
CREATE ROLE app LOGIN;
CREATE ROLE other LOGIN;
CREATE ROLE tls_user LOGIN;
CREATE ROLE password_user LOGIN PASSWORD 'open sesame';
SET password_encryption = 'scram-sha-256';
CREATE ROLE scram_user LOGIN PASSWORD 'open sesame';
SET password_encryption = md5;
CREATE ROLE md5_user LOGIN PASSWORD 'open sesame';
RESET password_encryption;
GRANT pg_read_all_stats TO app
"""


class Postgres(Endpoint):
    def __init__(self, ssl=True, standby_of=None, settings=None):
        self.folder = tempfile.mkdtemp(prefix="pgfold-pg-", dir="/tmp")
        self.data = os.path.join(self.folder, "data")
        self.socket_dir, self.process, self.ssl, self.settings = self.folder, None, ssl, settings or {}
        make_certificates(self.folder)
        if os.geteuid() == 0:
            run("chown", "-R", "postgres:postgres", self.folder)
        os.chmod(self.folder, 0o755)
        if standby_of:
            run(*as_postgres(pg_bin("pg_basebackup"), "-h", "127.0.0.1", "-p", str(standby_of.port), "-U", SUPERUSER,
                             "-D", self.data, "-R", "-c", "fast", "--no-sync"), cwd="/")
        else:
            run(*as_postgres(pg_bin("initdb"), "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8",
                             "--locale=C", "--no-sync"), cwd="/")
        self.start()

    @property
    def cafile(self):
        return os.path.join(self.folder, "ca.crt")

    def start(self, port=None):
        self.port = port or free_port()
        with open(os.path.join(self.data, "postgresql.conf"), "w") as f:
            f.write(PG_CONF.format(port=self.port, folder=self.folder, ssl="on" if self.ssl else "off"))
            f.writelines("%s = %s\n" % pair for pair in self.settings.items())
        with open(os.path.join(self.data, "pg_hba.conf"), "w") as f:
            f.write(PG_HBA)
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(as_postgres(pg_bin("postgres"), "-D", self.data), stdout=log, stderr=log,
                                            cwd="/")
        wait_for(self.answers, "PostgreSQL (see %s/log)" % self.folder)

    def answers(self):
        assert self.process.poll() is None, "PostgreSQL ended: " + open(os.path.join(self.folder, "log")).read()[-2000:]
        try:
            with Conn(self.where) as c:
                return c.login(SUPERUSER, "postgres")[-1].type == "Z"
        except OSError:
            return False

    def stop(self, how=signal.SIGINT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(STOP_SECONDS)

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def admin(self, database="app"):
        return self.connect(SUPERUSER, database)


class Pgfold(Endpoint):
    """One pgfold process. `settings`: {"section.key": value}. The log goes to a file; see log()."""

    def __init__(self, binary, server, settings=None, mode=None, listen=None, config=None, wait=True):
        self.socket_dir = tempfile.mkdtemp(prefix="pgfold-", dir="/tmp")
        os.chmod(self.socket_dir, 0o755)
        self.port, self.log_file = free_port(), os.path.join(self.socket_dir, "log")
        self.listen = listen or "127.0.0.1:%d,%s:%d" % (self.port, self.socket_dir, self.port)
        command = shlex.split(os.environ.get("PGFOLD_WRAPPER", "")) + [binary]
        if config is not None:
            self.config_file = os.path.join(self.socket_dir, "pgfold.ini")
            self.write_config(config)
            command += ["-c", self.config_file]
        command += ["--listen", self.listen, "--server", server]
        mode = mode or os.environ.get("PGFOLD_TEST_MODE")  # verify: everything that is folded is compared
        command += ["--mode", mode] if mode else []
        # Tables that are locked so that lookups pile up would make folding look slow.
        # Likewise, nobody would wait for them in a batch.
        # No two of them share a port.
        for key, value in ({"batching.never_slower": "off", "batching.patience": "60s", "http.listen": ""} | (settings or {})).items():
            command += ["--set", "%s=%s" % (key, value)]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PGFOLD_", "PG"))}
        if embedded.libraries(os.path.dirname(pg_bin("postgres"))):  # the server's libraries are not pgfold's
            env.pop("LD_LIBRARY_PATH", None)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:halt_on_error=1:quarantine_size_mb=8")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env,
                                            preexec_fn=die_with_parent)
        self.expect_exit, self.may_differ = 0, False  # may_differ: rows without a defined order are expected
        if wait:
            wait_for(self.is_listening, "pgfold to listen")

    def write_config(self, text):
        with open(self.config_file, "w") as f:
            f.write(text)

    def is_listening(self):
        assert self.process.poll() is None, "pgfold ended at once: " + self.log()
        return "listening on" in self.log()

    def log(self):
        with open(self.log_file, errors="replace") as f:
            return f.read()

    def status(self, key):
        """A number from /proc/PID/status: VmHWM and VmRSS in kB."""
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"^%s:\s+(\d+)" % key, f.read(), re.M).group(1))

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Drains; the exit code and the log must be clean. Idempotent."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "none: it did not end within %d s of SIGTERM" % STOP_SECONDS
        log = self.log()
        shutil.rmtree(self.socket_dir, ignore_errors=True)
        found = FINDINGS.findall(log)
        assert not found, "a sanitizer found something:\n%s\n%s" % (found[0], log[-6000:])
        differing = [line for line in log.splitlines() if "a folded answer differ" in line]
        assert self.may_differ or not differing, "a folded answer was not the original's:\n" + "\n".join(differing)
        assert code == self.expect_exit, "pgfold's exit code: %s\n%s" % (code, log[-3000:])


class Direct(Endpoint):
    """Stands in for pgfold where the tests themselves are proved: PGFOLD_BIN=direct."""

    def __init__(self, pg):
        self.pg, self.socket_dir = pg, pg.socket_dir

    @property
    def port(self):
        return self.pg.port

    def log(self):
        return ""

    def stop(self):
        pass
