# SPDX-License-Identifier: PostgreSQL
"""Random sessions for PGFOLD_SOAK seconds: lookups, writes, errors, cancels, departures. Every reply is checked against what
the key demands, and at the end memory and descriptors are what they were. The seed is printed; PGFOLD_SEED repeats it."""
import os
import random
import time

import pytest

import conftest
import proto
import servers
from proto import query, unit

SECONDS = int(os.environ.get("PGFOLD_SOAK", "0"))
SESSIONS, MAX_PENDING = 60, 8


class Session:
    """Sends at random and remembers what it must get, reply by reply."""

    def __init__(self, end, rng):
        self.c, self.rng, self.expected = end.connect(application_name=rng.choice(["", "a", "b"])), rng, []
        if rng.random() < 0.3:
            self.c.ask(query("SET search_path = public, pg_temp"))

    def send(self):
        k, kind = self.rng.randint(-5, 2100), self.rng.randrange(8)
        found = [[b"%d" % k, b"item %d" % k]] if 1 <= k <= 2000 else []
        if kind < 3:
            self.put(query("SELECT id, name FROM item WHERE id = %d" % k), found)
        elif kind < 6:
            self.put(unit("SELECT id, name FROM item WHERE id = $1", [k], want_describe=self.rng.random() < 0.8), found)
        elif kind == 6:
            self.put(query("SELECT %d" % k), [[b"%d" % k]])
        else:
            self.put(query("SELECT 1/0"), [])

    def put(self, data, rows):
        self.c.send(data)
        self.expected.append(rows)

    def receive(self, cancelled=False):
        want = self.expected.pop(0)
        got = self.c.ready()
        codes = [e["C"] for e in proto.errors(got)]
        assert proto.rows(got) == want or (cancelled and "57014" in codes), (got, want)
        assert all(c == "22012" or cancelled for c in codes)


@pytest.mark.skipif(not SECONDS, reason="a soak is asked for with PGFOLD_SOAK=SECONDS")
def test_soak(start_pgfold, pg):
    seed = int(os.environ.get("PGFOLD_SEED", str(time.time_ns() % 1000000)))
    print("PGFOLD_SEED=%d" % seed)
    rng, p = random.Random(seed), pg if conftest.DIRECT else start_pgfold()
    sessions = [Session(p, rng) for _ in range(SESSIONS)]
    end, turn, baseline = time.monotonic() + SECONDS, 0, None
    while time.monotonic() < end:
        turn += 1
        for s in rng.sample(sessions, rng.randint(1, SESSIONS)):
            for _ in range(rng.randint(1, MAX_PENDING)):
                s.send()
        victim = rng.choice(sessions) if rng.random() < 0.1 else None
        if victim:
            with p.dial() as k:
                k.send(proto.cancel_request(victim.c.pid, victim.c.secret))
                k.drain_raw()
        if rng.random() < 0.2:  # one leaves with everything pending
            sessions.remove(leaver := rng.choice(sessions))
            rng.choice([leaver.c.close, leaver.c.reset])()
            sessions.append(Session(p, rng))
        for s in rng.sample(sessions, len(sessions)):
            while s.expected:
                s.receive(cancelled=s is victim)
        if turn == 200 and p is not pg:
            baseline = p.status("VmRSS"), p.descriptors()
    for s in sessions:
        s.c.close()
    if baseline:
        servers.wait_for(lambda: p.descriptors() < baseline[1], "descriptors to be closed")
        assert p.status("VmRSS") < baseline[0] * 1.5 + 20480, "memory grew from %d to %d kB" % (baseline[0], p.status("VmRSS"))
    print("%d turns" % turn)
