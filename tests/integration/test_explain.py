# SPDX-License-Identifier: PostgreSQL
"""`pgfold explain`: what it says with and without a server, and that it says it of what the proxy does."""
import os
import subprocess

import pytest

import conftest

pytestmark = pytest.mark.pgfold


def explain(*args, text=None, env=None):
    r = subprocess.run([conftest.BINARY, "explain", *args], input=text, capture_output=True, text=True, timeout=60,
                       env={**os.environ, "PGPASSWORD": "secret", **(env or {})})
    return r.returncode, r.stdout, r.stderr


@pytest.fixture(scope="module")
def server(pg):
    """As the application connects."""
    with pg.connect() as c:
        user = c.value("SELECT current_user")
    return "host=127.0.0.1 port=%d user=%s dbname=app" % (pg.port, user)


def test_without_a_server(tmp_path):
    f = tmp_path / "a.sql"
    f.write_text("-- a ; comment\nSELECT name FROM item WHERE id = 17;\n\nSELECT ';' FROM item\n WHERE id = $1 FOR UPDATE;"
                 "DELETE FROM item WHERE id = 1; SELECT name FROM item WHERE id = 18")
    code, out, err = explain(str(f))
    assert (code, err) == (0, ""), err
    one, two, three, four = out.split("\n\n")[:4]
    assert one.startswith("statement 1:\n  SELECT name FROM item WHERE id = 17\n  verdict   a lookup, if")
    assert 'key       $1 (here 17), compared with "id"' in one
    assert 'folded    SELECT "id", name FROM item WHERE id = ANY ($1)' in one and "CROSS JOIN LATERAL" in one
    assert "verdict   forwarded untouched: locking" in two and "remedy" in two
    assert "verdict   forwarded untouched: not_select" in three
    assert four == "statement 4: of the same shape as statement 1"


def test_the_key_is_what_varies():
    text = ";".join("SELECT note FROM item WHERE %s = %d AND flag = true AND ratio = %d" % ("id", i, i) for i in range(20))
    code, out, _ = explain(text=text)
    assert code == 0
    assert '(here 0), compared with "id"' in out and "statement 20: of the same shape as statement 1" in out


def test_with_a_server(server):
    text = """SELECT name FROM item WHERE id = 17;
              SELECT id, body FROM child WHERE item_id = $1 ORDER BY id LIMIT 2;
              SELECT name FROM nowhere WHERE id = 3;
              SELECT relname FROM pg_class WHERE oid = 3;
              SELECT body FROM big WHERE id = 3"""
    code, out, err = explain("--server", server, text=text)
    assert (code, err) == (0, ""), err
    item, child, nowhere, system, big = out.strip().split("\n\n")
    assert "verdict   a lookup; the server's catalogue allows it" in item
    assert "form      IN:" in item and 'folded    SELECT "id", name FROM item WHERE id = ANY ($1)' in item
    assert "types     $1 oid 1007" in item
    assert "plan as sent" in item and item.count("(cost=") >= 2 and "item_pkey" in item
    assert "form      fenced LATERAL" in child and "WITH ORDINALITY" in child and "child_item_id_idx" in child
    assert "verdict   forwarded untouched: vet_refused" in nowhere and "plan" not in nowhere
    assert "forwarded untouched: " in system
    assert "form      IN:" in big and "types     $1 oid 1007" in big


def test_tls(pg, server):
    code, out, err = explain("--server=" + server + " sslmode=require", text="SELECT name FROM item WHERE id = 17")
    assert (code, err) == (0, ""), err
    assert "form      IN:" in out and "item_pkey" in out


def test_nothing_is_executed(pg, server):
    with pg.connect() as c:
        before = c.value("SELECT count(*) FROM scratch")
        code, out, _ = explain("--server", server, text="INSERT INTO scratch VALUES (1, 'x'); DROP TABLE scratch;"
                                                        "SELECT a FROM scratch WHERE a = 1; SELECT nextval('child_id_seq') FROM item WHERE id = 1")
        assert code == 0 and out.count("forwarded untouched") == 3, out
        assert c.value("SELECT count(*) FROM scratch") == before


@pytest.mark.parametrize("args, code, message", [
    (["--server"], 2, "--server needs a connection string"),
    (["--sever", "x"], 2, "unknown option, see --help: --sever"),
    (["a", "b"], 2, "one file at most"),
    (["/nowhere/at/all.sql"], 1, 'could not open file "/nowhere/at/all.sql": No such file or directory'),
    (["--server", "host=127.0.0.1 port=1"], 1, "could not connect to the server"),
    (["--server", "nonsense"], 1, "could not connect to the server"),
    ([], 1, "there is no statement in the input"),
])
def test_wrong_use(args, code, message):
    got, out, err = explain(*args, text="SELECT 1" if len(args) == 2 and code == 1 else " ; -- nothing")
    assert got == code and message in err and err.startswith("pgfold explain: ") and not out, (got, err)


def test_help():
    code, out, err = explain("--help")
    assert (code, err) == (0, "") and out.startswith("pgfold explain says") and "--server CONNINFO" in out
