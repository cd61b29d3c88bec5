# SPDX-License-Identifier: PostgreSQL
"""HTTP: metrics for Prometheus, and whether pgfold is alive and ready. Whoever asks, and however badly, delays no statement."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

import proto
import servers

pytestmark = pytest.mark.pgfold
SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
SECRET = "planted-8461"


@pytest.fixture
def web(start_pgfold):
    """web(settings): a pgfold with HTTP; its port is p.http."""
    def start(settings=None, **kw):
        port = servers.free_port()
        p = start_pgfold({"http.listen": "127.0.0.1:%d" % port} | (settings or {}), **kw)
        p.http = port
        return p
    return start


def ask(p, path="/metrics", method="GET", **headers):
    c = http.client.HTTPConnection("127.0.0.1", p.http, timeout=20)
    with contextlib.closing(c):
        c.request(method, path, headers=headers)
        r = c.getresponse()
        return r.status, dict(r.getheaders()), r.read().decode()


def samples(text):
    """(name, labels) -> value."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, value = SAMPLE.match(line).groups()
            assert (name, labels) not in found, line
            found[name, labels or ""] = float(value)
    return found


def scrape(p):
    return samples(ask(p)[2])


def total(found, name):
    return sum(v for (n, _), v in found.items() if n == name)


def promtool():
    unpacked = os.path.join(os.environ.get("PGFOLD_UNPACKED", ""), "usr/bin/promtool")
    return unpacked if os.path.exists(unpacked) else shutil.which("promtool")


def test_prometheus_reads_them(web):
    p = web()
    with p.connect() as c:
        c.sql("SELECT name FROM item WHERE id = 1")
    status, headers, text = ask(p)
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    for name in ("statements_total", "lookups_total", "forwarded_total", "batches_total", "lookup_duration_seconds_bucket", "batch_keys_sum",
                 "batch_duration_seconds_count", "ahead_keys_total", "checks_total", "server_seconds_saved_total", "clients", "server_connections",
                 "held_bytes", "loop_lag_seconds_bucket", "build_info"):
        assert re.search(r"^pgfold_%s[{ ]" % name, text, re.M), name
    assert "ESTIMATE" in re.search(r"^# HELP pgfold_server_seconds_saved_total (.*)$", text, re.M).group(1)
    if promtool():
        done = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def deployed(name):
    with open(os.path.join(os.path.dirname(__file__), "../../deploy", name)) as f:
        return f.read()


def test_alerts_and_dashboard_name_what_there_is(web):
    there = {name for name, _ in scrape(web())}
    for text in (deployed("alerts.yml"), deployed("grafana.json")):
        named = set(re.findall(r"pgfold_\w+", text))
        assert named and named <= there, named - there
    assert json.loads(deployed("grafana.json"))["panels"]
    if promtool():
        assert subprocess.run([promtool(), "check", "rules", os.path.join(os.path.dirname(__file__), "../../deploy/alerts.yml")]).returncode == 0


def test_open_metrics(web):
    p = web()
    status, headers, text = ask(p, Accept="application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert status == 200 and headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n") and "# TYPE pgfold_statements counter\n" in text
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    families = {f.name: f for f in parser.text_string_to_metric_families(text)}
    assert families["pgfold_lookup_duration_seconds"].type == "histogram" and families["pgfold_forwarded"].type == "counter"


def test_each_statement_counts_once(web):
    p = web()
    with p.connect() as c, p.connect(database="second") as other:
        before = scrape(p)
        for i in range(20):
            c.sql("SELECT name FROM item WHERE id = %d" % i)
        c.sql("UPDATE scratch SET a = 1 WHERE a = -1")
        c.sql("BEGIN")
        c.sql("COMMIT")
        other.sql("SELECT 1")
        after = scrape(p)
    grown = {k: v - before[k] for k, v in after.items() if k in before}
    asked = grown["pgfold_statements_total", 'side="client"']
    assert asked == 24
    assert total(grown, "pgfold_lookups_total") + total(grown, "pgfold_forwarded_total") + total(grown, "pgfold_statements_answered_here_total") == asked
    assert total(grown, "pgfold_database_statements_total") == asked
    timed = total(grown, "pgfold_lookup_duration_seconds_count") + total(grown, "pgfold_forwarded_duration_seconds_count")
    assert timed + total(grown, "pgfold_statements_answered_here_total") == asked
    assert sum(v for (n, l), v in grown.items() if n == "pgfold_database_statements_total" and 'database="second"' in l) == 1


def test_buckets_add_up(web):
    p = web()
    with p.connect() as c:
        for i in range(5):
            c.sql("SELECT name FROM item WHERE id = %d" % i)
    found = scrape(p)
    for (name, labels), value in found.items():
        if not name.endswith("_count"):
            continue
        buckets = [v for (n, l), v in found.items() if n == name[:-6] + "_bucket" and (not labels or labels in l)]
        assert buckets == sorted(buckets) and buckets[-1] == value, name
    assert any(l.endswith('le="0.00005"') for _, l in found) and any(l.endswith('le="10"') for _, l in found)


def test_connections_by_state(web):
    p = web()
    with p.connect() as idle, p.connect() as busy:
        idle.sql("BEGIN")
        busy.send(proto.query("SELECT pg_sleep(2)"))
        found = servers.wait_for(lambda: (f := scrape(p))["pgfold_clients", 'state="active"'] and f, "the sleeper")
        assert found["pgfold_clients", 'state="idle_in_transaction"'] == 1
        assert total(found, "pgfold_clients") == 2 and total(found, "pgfold_server_connections") == 2
        busy.ready()
    servers.wait_for(lambda: total(scrape(p), "pgfold_clients") == 0, "the clients to be gone")


def test_nothing_shows_a_value(web):
    p = web({"pgfold.log_level": "debug"})
    with p.connect(application_name=SECRET) as c:
        c.sql("SELECT name FROM item WHERE note = '%s'" % SECRET)
        c.sql("SET app.tenant = '%s'" % SECRET)
        c.sql("SELECT '%s'" % SECRET)
        for path in ("/metrics", "/", "/readyz", "/%s" % SECRET):
            assert SECRET not in ask(p, path)[2]


def test_only_reading(web):
    p = web()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
        status, headers, _ = ask(p, method=method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    status, headers, text = ask(p, method="HEAD")
    assert status == 200 and int(headers["Content-Length"]) > 1000 and text == ""
    assert ask(p, "/nothing")[0] == 404
    headers = ask(p)[1]
    assert headers["Content-Security-Policy"].startswith("default-src 'self'") and headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers and "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host,allowed", [("127.0.0.1", True), ("localhost:6433", True), ("LOCALHOST", True), ("[::1]:6433", True), ("10.0.0.1", True),
                                          ("evil.example", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False),
                                          ("", False), ("[::1", False)])
def test_a_name_that_was_pointed_here_is_refused(web, host, allowed):
    p = web()
    assert ask(p, Host=host)[0] == (200 if allowed else 403)


def test_alive_and_ready(web, server_conninfo):
    p = web()
    assert ask(p, "/healthz")[0] == 200 and ask(p, "/readyz")[0] == 200
    gone = web(server="host=127.0.0.1 port=%d sslmode=disable" % servers.free_port())
    assert ask(gone, "/healthz")[0] == 200
    status, _, text = ask(gone, "/readyz")
    assert status == 503 and "cannot be reached" in text


def test_a_server_that_does_not_answer_is_not_waited_for_long(web):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        p = web(server="host=127.0.0.1 port=%d sslmode=require" % silent.getsockname()[1])
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(ask(p, "/readyz")[0])) for _ in range(5)]
        for t in threads:
            t.start()
        assert ask(p, "/healthz")[0] == 200  # meanwhile
        for t in threads:
            t.join()
        assert answers == [503] * 5


def test_draining_is_shown_to_the_end(web):
    p = web()
    with p.connect() as c:
        c.sql("BEGIN")
        p.signal(signal.SIGTERM)
        servers.wait_for(lambda: "draining" in p.log(), "the drain")
        assert ask(p, "/readyz")[0] == 503 and ask(p, "/healthz")[0] == 200
        assert scrape(p)["pgfold_draining", ""] == 1
        c.sql("COMMIT")
    p.process.wait(servers.STOP_SECONDS)


def hostile(p):
    """Connections that are kept: silent ones, ones that send byte by byte, with huge heads and bodies, and none of HTTP."""
    kept = []
    for what in (b"", b"G", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 100000, b"\0\0\0\x08\x04\xd2\x16\x2f",
                 b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100000,
                 b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200):
        for _ in range(8):
            s = socket.create_connection(("127.0.0.1", p.http))
            s.setblocking(False)
            with contextlib.suppress(OSError):
                s.send(what)
            kept.append(s)
    return kept


def test_hostile_requests_delay_no_statement(web):
    p = web()
    with p.connect() as c:
        kept = hostile(p) + hostile(p)  # more than may be connected
        took = []
        for i in range(200):
            begun = time.monotonic()
            c.sql("SELECT name FROM item WHERE id = %d" % i)
            took.append(time.monotonic() - begun)
        assert sorted(took)[100] < 0.5, "half of them took longer"
        assert p.descriptors() < 120
        for s in kept:
            s.close()
        servers.wait_for(lambda: ask(p, "/healthz")[0] == 200, "HTTP behind them")


def test_an_address_in_use_keeps_nobody_from_being_served(web, start_pgfold):
    first = web()
    second = start_pgfold({"http.listen": "127.0.0.1:%d" % first.http})
    with second.connect() as c:
        assert c.sql("SELECT 1") == [("1",)]
    assert "is in use" in second.log()
    first.signal(signal.SIGTERM)
    first.process.wait(servers.STOP_SECONDS)
    second.http = first.http
    servers.wait_for(lambda: "HTTP: http://" in second.log(), "the address")
    assert ask(second, "/readyz")[0] == 200


def test_no_address_no_http(start_pgfold):
    p = start_pgfold({"http.listen": ""})
    assert "HTTP" not in p.log()


@pytest.mark.parametrize("listen,says", [("/tmp:6433", "http.listen"), ("127.0.0.1", "http.listen: address"), ("127.0.0.1:99999", "http.listen"),
                                         ("no.such.host.invalid:6433", "http.listen: could not resolve")])
def test_an_address_that_is_none_is_told_at_once(start_pgfold, listen, says):
    p = start_pgfold({"http.listen": listen}, wait=False)
    p.expect_exit = 1
    servers.wait_for(lambda: p.process.poll() is not None, "the end")
    assert says in p.log()
