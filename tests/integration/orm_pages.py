# SPDX-License-Identifier: PostgreSQL
"""Runs the pages of orms/: small programs, one for each driver or mapper, that ask for many things at once. Used by test_orms.py and by
tests/bench/pages.

PROGRAMS says how each is started. A program that is not installed is skipped. `Page` is one that runs against one end, `Relay` an end
that is a millisecond away, `Fold` reads pgfold's counters.
"""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time

import servers

HERE = os.path.dirname(os.path.abspath(__file__))
ORMS = os.path.join(HERE, "orms")
RELAY_SOURCE = os.path.join(HERE, "../bench/relay.c")
AHEAD = re.compile(r"looked ahead: (\d+) keys in (\d+) batches, answered (\d+), never asked for (\d+), stale (\d+)(?:, again (\d+))?(?:, with lists (\d+))?(?:, with bursts (\d+))?")
N = 24
PAGE_SECONDS = 60
COUNTERS = re.compile(r"clients \d+, .*?lookups (\d+), folded (\d+) in (\d+) batches of (\d+) keys, alone (\d+).*?vettings (\d+), proofs (\d+)")

SCHEMA = """
CREATE TABLE authors (id serial PRIMARY KEY, tenant_id int NOT NULL, name text NOT NULL UNIQUE, email text, token uuid NOT NULL UNIQUE,
                      deleted_at timestamptz);
INSERT INTO authors SELECT i, i % 3, 'author ' || i, CASE WHEN i % 5 > 0 THEN 'a' || i || '@example.org' END, md5(i::text)::uuid,
       CASE WHEN i % 7 = 0 THEN '2024-01-01Z'::timestamptz + i * interval '1 day' END FROM generate_series(1, 400) i;
CREATE TABLE profiles (id serial PRIMARY KEY, author_id int NOT NULL UNIQUE REFERENCES authors, bio text);
INSERT INTO profiles SELECT i, 401 - i, 'bio ' || repeat(md5(i::text), i % 4) FROM generate_series(1, 400) i;
CREATE TABLE books (id serial PRIMARY KEY, author_id int NOT NULL REFERENCES authors, title text, price numeric(10,2), position int,
                    published date, deleted_at timestamptz, UNIQUE (author_id, position));
INSERT INTO books SELECT i, (i - 1) / 4 + 1, 'book ' || i, i * 0.37, (i * 3) % 4 + 1, '2020-01-01'::date + i,
       CASE WHEN i % 6 = 0 THEN '2024-06-01Z'::timestamptz END FROM generate_series(1, 1600) i;
CREATE TABLE reviews (id bigserial PRIMARY KEY, book_id int NOT NULL REFERENCES books, stars int, body text);
INSERT INTO reviews SELECT i, (i * 7) % 1600 + 1, i % 5 + 1, 'review ' || i FROM generate_series(1, 4800) i;
CREATE INDEX ON reviews (book_id);
CREATE TABLE tags (id serial PRIMARY KEY, name varchar(40) NOT NULL UNIQUE);
INSERT INTO tags SELECT i, 'tag-' || i FROM generate_series(1, 50) i;
CREATE TABLE book_tags (book_id int REFERENCES books, tag_id int REFERENCES tags, PRIMARY KEY (book_id, tag_id));
INSERT INTO book_tags SELECT b, (b * 7 + k * 11) % 50 + 1 FROM generate_series(1, 1600) b, generate_series(0, 2) k;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
ANALYZE
"""


def make_schema(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("CREATE DATABASE orms OWNER app")
    with pg.connect(servers.SUPERUSER, "orms") as c:
        for statement in SCHEMA.split(";\n"):
            c.sql(statement)


# ---- programs

def python_has(*modules):
    code = "import importlib.util as u, sys; sys.exit(not all(u.find_spec(m) for m in sys.argv[1:]))"
    return subprocess.run(["/usr/bin/python3", "-c", code, *modules]).returncode == 0


def node_has(*modules):
    return shutil.which("node") and all(os.path.isdir(os.path.join(ORMS, "node_modules", m)) for m in modules)


def ruby_has(*modules):
    return shutil.which("ruby") and subprocess.run(["ruby", "-e", "ARGV.each { |m| require m }", *modules], stderr=subprocess.DEVNULL).returncode == 0


def perl_has(module):
    return shutil.which("perl") and subprocess.run(["perl", "-M" + module, "-e", "1"], stderr=subprocess.DEVNULL).returncode == 0


def php_has(*extensions):
    if not shutil.which("php"):
        return False
    loaded = subprocess.run(["php", "-m"], capture_output=True, text=True).stdout.split()
    return all(e in loaded for e in extensions)


JDBC_JAR = "/usr/share/java/postgresql.jar"
GOPATH = "/usr/share/gocode"


def jdbc_installed():
    return shutil.which("javac") and os.path.exists(JDBC_JAR)


def go_installed():
    return shutil.which("go") and all(os.path.isdir(os.path.join(GOPATH, "src/github.com", p)) for p in ("jackc/pgx/v4/pgxpool", "lib/pq"))


def python(name, *modules):
    return {"command": lambda folder: ["/usr/bin/python3", "-B", name], "installed": lambda: python_has(*modules)}


def node(name, *modules):
    return {"command": lambda folder: ["node", name], "installed": lambda: node_has(*modules)}


def jdbc(folder, program="PageJdbc"):
    if not os.path.exists(os.path.join(folder, program + ".class")):
        servers.run("javac", "-d", folder, os.path.join(ORMS, program + ".java"))
    # Small and quick to start: a page is a few hundred statements.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", folder + ":" + JDBC_JAR, program]


def go(folder):
    program = os.path.join(folder, "page_go")
    if not os.path.exists(program):
        env = dict(os.environ, GO111MODULE="off", GOPATH=GOPATH, GOFLAGS="", GOCACHE=os.environ.get("GOCACHE", os.path.join(folder, "go-cache")))
        servers.run("go", "build", "-o", program, os.path.join(ORMS, "page_go.go"), env=env)
    return [program]


# name of the library: (how it is started, its arguments: the ways in which it is used)
PROGRAMS = {
    "asyncpg": (python("page_asyncpg.py", "asyncpg"), ["fetch", "fetchrow"]),
    "psycopg": (python("page_psycopg.py", "psycopg"), ["threads", "async", "prepare", "pipeline"]),
    "psycopg2": (python("page_psycopg2.py", "psycopg2"), ["autocommit", "transactions"]),
    "sqlalchemy": (python("page_sqlalchemy.py", "sqlalchemy", "psycopg2"), ["autocommit", "transactions"]),
    "sqlalchemy_async": (python("page_sqlalchemy_async.py", "sqlalchemy", "asyncpg", "greenlet"), ["autocommit", "transactions"]),
    "django": (python("page_django.py", "django", "psycopg2"), ["autocommit", "atomic"]),
    "peewee": (python("page_peewee.py", "peewee", "psycopg2"), [""]),
    "pony": (python("page_pony.py", "pony", "psycopg2"), [""]),
    "pg": (node("page_pg.js", "pg"), ["unnamed", "named", "transactions", "one"]),
    "postgres": (node("page_postgres.js", "postgres"), ["pool", "one", "unsafe", "transactions"]),
    "knex": (node("page_knex.js", "knex", "pg"), ["pool", "transactions"]),
    "sequelize": (node("page_sequelize.js", "sequelize", "pg"), ["pool", "transactions"]),
    "typeorm": (node("page_typeorm.js", "typeorm", "pg"), [""]),
    "drizzle": (node("page_drizzle.js", "drizzle-orm", "pg", "postgres"), ["pg", "postgres"]),
    "mikro": (node("page_mikro.js", "@mikro-orm/postgresql"), [""]),
    "activerecord": ({"command": lambda folder: ["ruby", "page_activerecord.rb"], "installed": lambda: ruby_has("active_record", "pg")},
                     ["prepared", "plain", "transactions"]),
    "go": ({"command": go, "installed": go_installed}, ["pool", "batch", "simple", "pq", "transactions"]),
    "jdbc": ({"command": jdbc, "installed": jdbc_installed}, ["autocommit", "cached", "transactions", "fetch"]),
    "pdo": ({"command": lambda folder: ["php", "page_pdo.php"], "installed": lambda: php_has("pdo_pgsql", "pcntl")},
            ["prepared", "emulated", "disabled", "transactions"]),
    "dbi": ({"command": lambda folder: ["perl", "page_dbi.pl"], "installed": lambda: perl_has("DBD::Pg")}, ["autocommit", "transactions"]),
    "dbix": ({"command": lambda folder: ["perl", "page_dbix.pl"], "installed": lambda: perl_has("DBIx::Class") and perl_has("DBD::Pg")}, []),
}
# Those that load lazily in a loop, in the way `loop`.
LOOPS = ["sqlalchemy", "django", "peewee", "activerecord", "sequelize", "typeorm", "dbix"]
CASES = [(library, way) for library, (_, ways) in PROGRAMS.items() for way in ways]


class Program:
    """A program that prints a line of JSON with its version when it is ready, and makes its page once for each line that it reads."""

    def __init__(self, command, env, errors, cwd=None):
        self.errors = open(errors, "w+")
        self.process = subprocess.Popen(command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        preexec_fn=servers.die_with_parent)
        self.buffer = b""
        self.version = self.read()["version"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def read(self):
        end = time.monotonic() + PAGE_SECONDS
        while b"\n" not in self.buffer:
            ready = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]
            more = os.read(self.process.stdout.fileno(), 1 << 20) if ready else b""
            if not more:
                self.errors.seek(0)
                raise AssertionError("the page %s: %s" % ("ended" if ready else "hangs", self.errors.read()[-3000:]))
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def start(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def ask(self):
        """{"ms", "lookups", "page"}"""
        self.start()
        return self.read()


class Page(Program):
    """A program of orms/ that talks to the port. ask() has it make its page once more."""

    def __init__(self, library, way, port, folder, n=N):
        how = PROGRAMS[library][0]
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        env.update(ORM_PORT=str(port), ORM_N=str(n), PGSSLMODE="disable")
        super().__init__(how["command"](folder) + ([way] if way else []), env, os.path.join(folder, "errors-%s-%s-%d" % (library, way, port)), ORMS)


# ---- ends

class Relay(servers.Endpoint):
    """The end, seen over a round-trip time."""

    def __init__(self, end, folder, delay_us=1000):
        program = os.path.join(folder, "relay")
        if not os.path.exists(program):
            servers.run("gcc", "-O2", "-D_GNU_SOURCE", "-o", program, RELAY_SOURCE, "-luv")
        self.port = servers.free_port()
        self.process = subprocess.Popen([program, "--listen", "127.0.0.1:%d" % self.port, "--to", "127.0.0.1:%d" % end.port, "--delay-us",
                                         str(delay_us)], stdout=subprocess.PIPE, preexec_fn=servers.die_with_parent)
        assert self.process.stdout.readline()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


class Counts:
    """What a pgfold has counted since the last look."""

    def __init__(self, pgfold):
        self.pgfold, self.seen = pgfold, {}

    def read(self):
        before = len(COUNTERS.findall(self.pgfold.log()))
        self.pgfold.signal(signal.SIGUSR1)
        log = servers.wait_for(lambda: self.settled(before), "the counters")
        found = list(COUNTERS.finditer(log))[-1]
        now = dict(zip(("lookups", "folded", "batches", "keys", "alone", "vettings", "proofs"), map(int, found.groups())))
        for ahead in AHEAD.findall(log, found.end()):
            now.update(zip(("ahead_keys", "ahead_batches", "ahead_answers", "ahead_unused", "ahead_stale", "ahead_again", "ahead_with_list", "ahead_with_burst"), (int(n or 0) for n in ahead)))
        now.update((name, int(n)) for n, name in re.findall(r"forwarded (\d+): (\w+)", log[found.end():]))
        got = {k: v - self.seen.get(k, 0) for k, v in now.items()}
        self.seen = now
        return {k: v for k, v in got.items() if v}

    def settled(self, before):
        """The log, once it has one more block of counters and nothing was added for a moment."""
        log = self.pgfold.log()
        if len(COUNTERS.findall(log)) <= before:
            return None
        time.sleep(0.02)
        return log if self.pgfold.log() == log else None
