# SPDX-License-Identifier: PostgreSQL
"""What loops.py and loops_waste.py measure with: the servers, and the two ways to count."""
import collections
import os
import re
import subprocess
import sys
import time

import ahead
import loops_pages
import servers
from loops_clients import CLIENTS

HERE = os.path.dirname(os.path.abspath(__file__))
SETTLE_SECONDS = 0.02  # what was loaded ahead in vain has reached the server by then, too


def keys_of(seen):
    """How many keys a batch has asked for."""
    return max([len(re.findall(r'"(?:[^"\\]|\\.)*"|[^,{}]+', v)) for v in seen.values if v and v.startswith("{")] or [0])


class World:
    """PostgreSQL, the relay in front of it, and the two ways to count."""

    def __init__(self, stack):
        self.pg = servers.Postgres(ssl=False, settings={"log_parameter_max_length": "-1"})
        stack.callback(self.pg.remove)
        with self.pg.admin("postgres") as c:
            c.sql("CREATE ROLE app LOGIN")
            c.sql("CREATE DATABASE %s" % loops_pages.DATABASE)
            c.sql("ALTER DATABASE %s SET log_statement = 'all'" % loops_pages.DATABASE)
        with self.pg.admin(loops_pages.DATABASE) as c:
            loops_pages.make_schema(c)
        self.relay = subprocess.Popen([sys.executable, "-B", os.path.join(HERE, "loops_relay.py"), str(self.pg.port)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True, preexec_fn=servers.die_with_parent)
        stack.callback(self.stop_relay)
        self.port = int(self.relay.stdout.readline())
        self.watch = ahead.Watch(self.pg)

    def stop_relay(self):
        self.relay.stdin.close()
        self.relay.wait()

    def passed(self):
        self.relay.stdin.write("\n")
        self.relay.stdin.flush()
        return int(self.relay.stdout.readline())

    def mark(self):
        time.sleep(SETTLE_SECONDS)
        self.at = self.passed()
        self.watch.mark()

    def read(self):
        """(what was seen, how many the relay has counted) since the mark. What has passed the relay may not have begun yet."""
        for _ in range(10):
            time.sleep(SETTLE_SECONDS)
            passed, seen = self.passed() - self.at, self.watch.seen()
            if len(seen) == passed:
                break
        return seen, passed

    def start_pgfold(self, binary, settings):
        return servers.Pgfold(binary, "host=127.0.0.1 port=%d sslmode=disable" % self.port, settings, "fold")


def connect(world, port, of):
    c = CLIENTS[of.client](port, "app", loops_pages.DATABASE)
    c.mark = world.mark
    for s in of.setup:
        c.say(s)
    return c


def note(world, sent):
    """One time: counts by what they are, keys, and whether the log and the relay agree. An empty statement that has been parsed is not logged."""
    seen, passed = world.read()
    kinds = collections.Counter(ahead.kind_of(s, sent) for s in seen)
    keys = sum(keys_of(s) for s in seen if ahead.kind_of(s, sent) == "batch")
    return dict(n=kinds["client"] + kinds["batch"], frames=kinds["frame"], questions=kinds["question"], batches=kinds["batch"], keys=keys, all=len(seen),
                relay=passed), seen


def vain_of(count):
    """Keys that were loaded ahead and not asked for."""
    return count.get("ahead_keys", 0) + count.get("ahead_again", 0) - count.get("ahead_answers", 0)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(map(str, r)) + " |" for r in rows)]
