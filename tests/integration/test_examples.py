# SPDX-License-Identifier: PostgreSQL
"""examples/tests/: in each language a lazy page fails under `pgfold test` and an eager one passes; without pgfold both pass."""
import os
import subprocess

import pytest

import conftest
import orm_pages
import servers

pytestmark = pytest.mark.pgfold
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/tests")
PYTHON = "/usr/bin/python3"
DATABASE = "examples"

# name: (whether it can run, command for "lazy" or "eager", folder)
PROGRAMS = {
    "sqlalchemy": (lambda: orm_pages.python("sqlalchemy") is not None, lambda which: [PYTHON, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", which, "test_sqlalchemy.py"], ""),
    "django": (lambda: True, lambda which: [PYTHON, "-B", "manage.py", "test", "-k", which, "--noinput"], "django"),
    "activerecord": (lambda: orm_pages.ruby_has("active_record", "pg", "minitest"), lambda which: ["ruby", "test_activerecord.rb", "-n", "test_" + which], ""),
    "node": (lambda: orm_pages.node_has("pg"), lambda which: ["node", "--test-name-pattern=" + which, "test_pg.mjs"], ""),
    "go": (orm_pages.go_installed, lambda which: ["go", "test", "-run", which.title(), "pages_test.go"], ""),
    "jdbc": (orm_pages.jdbc_installed, lambda which: ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", orm_pages.JDBC_JAR, "Pages.java", which], ""),
    "php": (lambda: orm_pages.php_has("pdo_pgsql"), lambda which: ["php", "pages.php", which], ""),
    "psql": (lambda: servers.client_program("psql"), lambda which: [servers.client_program("psql"), "-X", "-v", "ON_ERROR_STOP=1", "-f", which + ".sql"], ""),
}


@pytest.fixture(scope="module")
def url(pg):
    with pg.admin("postgres") as a:
        a.sql("DROP DATABASE IF EXISTS " + DATABASE)
        a.sql("CREATE DATABASE %s OWNER app" % DATABASE)
        a.sql("ALTER ROLE app CREATEDB")
    with pg.connect("app", DATABASE) as c, open(os.path.join(HERE, "schema.sql"), encoding="utf-8") as f:
        c.sql(f.read())
    yield "postgresql://app:app@127.0.0.1:%d/%s" % (pg.port, DATABASE)
    with pg.admin("postgres") as a:
        a.sql("ALTER ROLE app NOCREATEDB")
        a.sql("DROP DATABASE %s WITH (FORCE)" % DATABASE)


@pytest.fixture
def run(url, tmp_path):
    def start(program, which, test):
        can, command, folder = PROGRAMS[program]
        if not can():
            pytest.skip("what %s needs is not installed" % program)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PGFOLD_"))}
        env |= {"DATABASE_URL": url, "PGDATABASE": DATABASE, "PGUSER": "app", "PGPASSWORD": "app", "PGHOST": "127.0.0.1", "PGPORT": url.split(":")[-1].split("/")[0],
                "GO111MODULE": "off", "GOPATH": orm_pages.GOPATH, "GOFLAGS": "", "GOCACHE": os.environ.get("GOCACHE", str(tmp_path / "go")),
                "NODE_MODULES": os.path.join(orm_pages.ORMS, "node_modules/x.js"), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
        words = ([conftest.BINARY, "test", "--"] if test else []) + command(which)
        got = subprocess.run(words, cwd=os.path.join(HERE, folder), env=env, capture_output=True, text=True, timeout=300)
        assert "Sanitizer" not in got.stderr, got.stderr
        return got
    return start


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_lazy_page_fails(run, program):
    got = run(program, "lazy", True)
    assert got.returncode not in (0, 127) and "N+1" in got.stdout + got.stderr and "1 loops" in got.stderr, got.stdout + got.stderr


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_eager_page_passes(run, program):
    got = run(program, "eager", True)
    assert got.returncode == 0 and "0 loops" in got.stderr and "pgfold test: 0 statements" not in got.stderr, got.stdout + got.stderr


@pytest.mark.parametrize("program", ["django", "psql"])
def test_without_pgfold_both_pass(run, program):
    for which in ("lazy", "eager", *(["of_two_statements"] if program == "django" else [])):
        got = run(program, which, False)
        assert got.returncode == 0, got.stdout + got.stderr
