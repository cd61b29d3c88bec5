# SPDX-License-Identifier: PostgreSQL
"""Histories of readers that loop lazily while writers change rows, and what must hold of them.

Every owner has two rows of a ledger, which one statement changes together: their versions are equal and their amounts sum to zero. Owners
2n and 2n+1 are twins, changed in one transaction to equal versions. An amount is never used twice, so that a row that was rolled back
is known wherever it turns up. Times are those of the clients' clock: a write was visible at the latest when its COMMIT was confirmed.

judge() takes the recorded writes and answers and returns what is wrong with them. What it demands:

- one answer is one state: versions equal, sum zero, and the amounts those of the committed write of that version, or of one's own
- nothing comes from the future, nothing that was rolled back, nothing uncommitted of others
- READ COMMITTED and autocommit: no answer is older than `max_age`; what was written through pgfold, by whomever, is seen from its
  confirmation on; what one session asks with one statement never goes back (another statement's later answer may show an earlier moment)
- REPEATABLE READ and SERIALIZABLE: all answers of a transaction, but those of what it wrote itself, fit one snapshot, which is not
  older than its first statement; twins are equal
- in a transaction that has written, its own version is seen
- who asks more often than the list has rows for it, without having read it meanwhile, and who is SERIALIZABLE by default, gets no answer that is older than the question
"""
import itertools
import random
import threading
import time
from collections import Counter, namedtuple

import ahead
import proto

OWNERS = 40
SQL = "SELECT side, version, amount FROM ledger WHERE owner = $1 ORDER BY side"
# The same with a second value that varies, of the list's row: one row of what is the same for both, and it must be.
SECOND = "SELECT min(version), max(version), max(amount), min(amount) FROM ledger WHERE owner = $1 AND amount <> $2"
# What is not shared with other sessions: a view of what is due by now, and a function of a user's.
STATEMENTS = {"plain": SQL, "second": SECOND, "view": SQL.replace("ledger", "ledger_due"), "function": SQL.replace("ORDER", "AND is_fine(amount) ORDER")}
LIST = "SELECT id, odd FROM owner ORDER BY id"
# Each owner in three rows, each of which may be answered from what was loaded for it.
LIST_OF_THREE = "SELECT id, odd FROM owner, generate_series(1, 3) g ORDER BY g, id"
WRITE = "UPDATE ledger SET version = version + 1, amount = CASE side WHEN 'l' THEN {n} ELSE -{n} END WHERE owner IN ({a}, {b}) RETURNING version"
# The same by a generated column: no word of the statement tells what it writes to.
HIDDEN = "INSERT INTO push (n, a, b) VALUES ({n}, {a}, {b}) RETURNING version"
TABLES = """
DROP TABLE IF EXISTS push, ledger, owner, audit CASCADE;
CREATE TABLE owner (id int PRIMARY KEY, odd int);
CREATE TABLE ledger (owner int REFERENCES owner, side char(1), version int, amount int, PRIMARY KEY (owner, side));
INSERT INTO owner SELECT i, 2000000000 - 7 * i FROM generate_series(0, %d) i;
INSERT INTO ledger SELECT i, s, 0, 0 FROM generate_series(0, %d) i, unnest('{l,r}'::char[]) s;
CREATE OR REPLACE FUNCTION push_it(n int, a int, b int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS $$DECLARE v int; BEGIN
  UPDATE ledger SET version = version + 1, amount = CASE side WHEN 'l' THEN n ELSE -n END WHERE owner IN (a, b); SELECT max(version) INTO v FROM ledger WHERE owner = a; RETURN v; END$$;
CREATE OR REPLACE FUNCTION pushed(n int, a int, b int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN push_it(n, a, b); END';
CREATE TABLE push (n int, a int, b int, version int GENERATED ALWAYS AS (pushed(n, a, b)) STORED);
CREATE TABLE audit (n int);
CREATE VIEW ledger_due AS SELECT * FROM ledger WHERE version < 1e9 AND now() > '2024-01-01';
CREATE OR REPLACE FUNCTION is_fine(int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 IS NOT NULL; END';
GRANT ALL ON owner, ledger, ledger_due, push, audit TO PUBLIC;
ANALYZE owner, ledger
""" % (OWNERS - 1, OWNERS - 1)
SEEN_LATE = {None: False, "read committed": False, "repeatable read": True, "serializable": True}  # level: it has a snapshot

# A write that was committed. began: before its COMMIT was sent; confirmed: after its answer; proxied: it went through pgfold
Write = namedtuple("Write", "amount began confirmed proxied")
# session; level; txn: number of the transaction, None in autocommit; rows: [(side, version, amount)]; asked, answered: times;
# started: when the transaction's first statement was sent; own: (version, amount) that it wrote itself before, and not yet committed;
# late: how long pgfold had to wait for a processor meanwhile, so that its clock may have stood still; exact: nothing may have been loaded ahead for it;
# by: the statement that it was asked with, of STATEMENTS
Answer = namedtuple("Answer", "session level txn owner rows asked answered started own late exact by", defaults=(0, False, "plain"))


# ---- the judge

def judge(writes, answers, max_age):
    """writes: {(owner, version): Write}. Returns a list of texts, empty when all is well."""
    wrong, last, transactions = [], {}, {}

    def say(a, what):
        wrong.append("%s: %s" % (what, a))
    for a in sorted(answers, key=lambda a: a.answered):
        if [r[0] for r in a.rows] != ["l", "r"] or a.rows[0][1] != a.rows[1][1] or a.rows[0][2] + a.rows[1][2]:
            say(a, "torn")
            continue
        version, amount = a.rows[0][1:]
        if a.own:
            if (version, amount) != a.own:
                say(a, "does not see its own write")
            continue
        w = writes.get((a.owner, version))
        if not w or w.amount != amount:
            say(a, "was never committed")
            continue
        if w.began > a.answered:
            say(a, "from the future")
        if SEEN_LATE[a.level]:
            transactions.setdefault((a.session, a.txn), []).append((a, version))
            continue
        before = last.get((a.session, a.owner, a.by))
        if before and before.rows[0][1] > version:
            say(a, "went back behind %s" % (before,))
        last[a.session, a.owner, a.by] = a
        judge_age(writes, a, version, 0 if a.exact else max_age, say)
    for seen in transactions.values():
        judge_snapshot(writes, seen, say)
    return wrong


def later(writes, owner, version):
    for v in itertools.count(version + 1):
        w = writes.get((owner, v))
        if not w:
            return
        yield w


def judge_age(writes, a, version, max_age, say):
    for w in later(writes, a.owner, version):
        if w.proxied and w.confirmed < a.asked:
            say(a, "misses a write through pgfold, confirmed %.1f ms before" % ((a.asked - w.confirmed) * 1e3))
            return
        if w.confirmed < a.asked - max_age - a.late:
            say(a, "misses a write confirmed %.1f ms before" % ((a.asked - w.confirmed) * 1e3))
            return


def judge_snapshot(writes, seen, say):
    """A snapshot lies behind the begin of every write that was seen, and before the confirmation of every one that was not."""
    def end(a, v):
        following = writes.get((a.owner, v + 1))
        return following.confirmed if following else float("inf")
    newest = max(seen, key=lambda s: writes[s[0].owner, s[1]].began)
    oldest = min(seen, key=lambda s: end(*s))
    first = seen[0][0]
    if writes[newest[0].owner, newest[1]].began > end(*oldest):
        say(newest[0], "does not fit the snapshot of %s" % (oldest[0],))
    if end(*oldest) < first.started:
        say(oldest[0], "older than its transaction")
    versions = {}
    for a, v in seen:
        if versions.setdefault(a.owner // 2, v) != v:
            say(a, "its twin has another version, or it had one itself")


# ---- what happens

class History:
    """Runs writers and readers for a while and keeps what they saw."""

    def __init__(self, pg, proxy, seed):
        self.pg, self.proxy, self.seed = pg, proxy, seed
        self.lock, self.amounts, self.numbers = threading.Lock(), itertools.count(1), itertools.count(1)
        self.writes = {(o, 0): Write(0, 0.0, 0.0, True) for o in range(OWNERS)}
        self.answers, self.failures, self.stop = [], [], False
        self.process, self.waited = getattr(proxy, "process", None), {}
        with pg.admin(ahead.DATABASE) as c:
            for statement in TABLES.strip().split(";\n"):
                c.sql(statement)

    def run(self, seconds, readers, writers, pollers):
        threads = [threading.Thread(target=self.guarded, args=(self.poller, readers + i)) for i in range(pollers)]
        threads += [threading.Thread(target=self.guarded, args=(self.reader, i)) for i in range(readers)]
        threads += [threading.Thread(target=self.guarded, args=(self.writer, i)) for i in range(writers)]
        for t in threads:
            t.start()
        time.sleep(seconds)
        self.stop = True
        for t in threads:
            t.join(proto.TIMEOUT * 2)
            assert not t.is_alive(), "a client hangs"
        assert not self.failures, "seed %d: %s" % (self.seed, self.failures[0])

    def guarded(self, what, number):
        try:
            what(number, random.Random("%d %s %d" % (self.seed, what.__name__, number)))
        except Exception as e:  # noqa: BLE001
            self.stop = True
            self.failures.append("%s %d: %r" % (what.__name__, number, e))

    def note_write(self, twins, version, amount, began, confirmed, proxied):
        with self.lock:
            for owner in twins:
                self.writes[owner, version] = Write(amount, began, confirmed, proxied)

    def update(self, conn, twin):
        """(owners, version, amount), or None when the server refused: a deadlock, or a snapshot that is too old."""
        owners, amount = (2 * twin, 2 * twin + 1), next(self.amounts)
        got = conn.ask(proto.query((WRITE if amount % 3 else HIDDEN).format(n=amount, a=owners[0], b=owners[1])))
        if proto.errors(got):
            assert proto.errors(got)[0]["C"] in ("40001", "40P01"), proto.errors(got)
            return None
        return owners, int(proto.rows(got)[0][0]), amount

    def writer(self, number, rng):
        """Odd ones write past the proxy."""
        proxied = number % 2 == 0
        with (self.proxy if proxied else self.pg).connect(database=ahead.DATABASE) as c:
            while not self.stop:
                time.sleep(rng.choice([0, 0.1, 0.2]) if proxied else rng.choice([0, 0.001, 0.01]))
                way, twin = rng.randrange(4), rng.randrange(OWNERS // 2)
                began = time.monotonic()
                if way == 0:
                    done = self.update(c, twin)
                    if done:
                        self.note_write(*done, began, time.monotonic(), proxied)
                    continue
                c.sql("BEGIN")
                done = self.update(c, twin)
                time.sleep(rng.choice([0, 0, 0.005]))
                began = time.monotonic()
                if way == 1 or not done:
                    c.sql("ROLLBACK")
                else:
                    c.sql("COMMIT")
                    self.note_write(*done, began, time.monotonic(), proxied)

    def reader(self, number, rng):
        r, times = ahead.Reader(self.proxy, rng.choice(["simple", "psycopg", "pg", "postgres.js"])), rng.choice([1, 1, 3])
        try:
            while not self.stop:
                level = rng.choice([None, None, "read committed", "repeatable read", "serializable"])
                self.loop(r, number, rng, level, rng.random() < 0.1, times)
                r.got.clear()
        finally:
            r.close()

    def poller(self, number, rng):
        """Asks for a few keys again and again, and reads no list."""
        r = ahead.Reader(self.proxy, rng.choice(["simple", "psycopg", "pg", "postgres.js"]))
        owners, asked, serial = rng.sample(range(OWNERS), 3), set(), number % 2
        try:
            if serial:
                r.say("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            while not self.stop:
                time.sleep(rng.choice([0, 0.001, 0.02]))
                if serial and rng.random() < 0.05:
                    r.ask(LIST)
                owner = rng.choice(owners if not serial else range(OWNERS))
                self.look(r, number, None, None, owner, time.monotonic(), {}, exact=serial or owner in asked)
                asked.add(owner)
                r.got.clear()
        finally:
            r.close()

    # What a loop does in each of its turns besides; None: its lookups.
    TURNS = {False: [[None]] * 12 + [["INSERT INTO audit VALUES (1)", None], ["BEGIN", None, "COMMIT"], ["BEGIN READ ONLY", None, "ROLLBACK"], [";", None],
                                    ["BEGIN", "INSERT INTO audit VALUES (1)", None, "ROLLBACK"], ["BEGIN", None, "SHOW work_mem", "COMMIT"]],
             True: [[None]] * 12 + [["INSERT INTO audit VALUES (1)", None], ["SAVEPOINT s", None, "RELEASE s"], ["SAVEPOINT s", None, "ROLLBACK TO s"],
                                   ["SAVEPOINT s", "INSERT INTO audit VALUES (1)", "ROLLBACK TO s", None]]}

    def back(self, r, number, rng, level, txn, owner, started):
        """A write that goes back to a savepoint, and what is read between."""
        r.conn.sql("SAVEPOINT back")
        done = self.update(r.conn, owner // 2)
        for o in done[0] if done and rng.random() < 0.5 else []:
            self.look(r, number, level, txn, o, started, {o: done})
        r.conn.sql("ROLLBACK TO back")

    def loop(self, r, number, rng, level, writes, times):
        """One page: a list, a loop over some of it, perhaps a write in its middle and once more what was seen before; and something in each turn."""
        txn = next(self.numbers) if level else None
        started, own, began = time.monotonic(), {}, 0
        if level:
            r.conn.sql("BEGIN ISOLATION LEVEL " + level)
        if rng.random() < 0.85:  # else it goes in steps
            r.ask(LIST if times == 1 else LIST_OF_THREE)
        owners, asked, by = list(range(OWNERS)) * times, Counter(), rng.choice(["plain", "plain", *STATEMENTS])
        if rng.random() < 0.3:
            owners = owners[::rng.choice([-1, 2, 3])]
        owners = owners[:rng.choice([5, OWNERS, OWNERS * times])]
        write_at, broken = rng.randrange(len(owners)) if writes else -1, False
        turn = [None] if level == "serializable" else rng.choice(self.TURNS[bool(level)])
        before, behind = turn[:turn.index(None)], turn[turn.index(None) + 1:]
        for i, owner in enumerate(owners):
            if rng.random() < 0.02:
                time.sleep(0.02)
            if i == write_at:
                twin = rng.choice([owner, owners[-1]]) // 2
                began = time.monotonic()
                done = self.update(r.conn, twin)
                if not done:
                    break
                if not level:
                    self.note_write(*done, began, time.monotonic(), True)
                else:
                    own = {o: done for o in done[0]}
            for s in before:
                r.conn.sql(s)
            if level in ("read committed", "repeatable read") and owner not in own and rng.random() < 0.003:
                self.back(r, number, rng, level, txn, owner, started)
            for o in [owner] if rng.random() > 0.03 else [owner, rng.choice(owners)]:
                if not self.look(r, number, level, txn, o, started, own, asked[o] >= times, by):
                    broken = True
                asked[o] += 1
            if broken:
                break
            for s in behind:
                r.conn.sql(s)
        if level:
            self.end(r.conn, rng, own)

    def lateness(self, number):
        """How long pgfold was ready to run and did not, since this reader's last answer."""
        try:
            with open("/proc/%d/schedstat" % self.process.pid) as f:
                now = int(f.read().split()[1]) / 1e9
        except (AttributeError, OSError, IndexError):  # no pgfold, or a kernel that does not tell
            return 0
        before, self.waited[number] = self.waited.get(number, now), now
        return now - before

    def look(self, r, number, level, txn, owner, started, own, exact=False, by="plain"):
        asked = time.monotonic()
        if by == "second":
            rows = [(side, int(row[i]), int(row[2 + i])) for row in r.ask(SECOND, ("int4", str(owner)), ("int4", str(2000000000 - 7 * owner)))
                    for i, side in enumerate("lr")]
        else:
            rows = [(s.decode(), int(v), int(a)) for s, v, a in r.ask(STATEMENTS[by], ("int4", str(owner)))]
        if r.failure:
            assert r.failure == "40001" and level == "serializable", r.failure
            return False
        mine = own.get(owner)
        self.answers.append(Answer(number, level, txn, owner, rows, asked, time.monotonic(), started, mine and mine[1:], self.lateness(number),
                                   exact, by))
        return True

    def end(self, conn, rng, own):
        if conn.status == "T" and rng.random() < 0.8:
            began = time.monotonic()
            if not proto.errors(conn.ask(proto.query("COMMIT"))):
                for owner, (_, version, amount) in own.items():
                    self.note_write([owner], version, amount, began, time.monotonic(), True)
                return
        conn.sql("ROLLBACK")

    def lookups_at_server(self, admin):
        return int(admin.value("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
                               "WHERE datname = '%s' AND query ~ 'FROM ledger'" % ahead.DATABASE))


def run(pg, proxy, seed, seconds, max_age, readers=4, writers=4, pollers=2):
    """Returns (lookups asked, statements at the server that read for them); asserts that nothing was wrong."""
    h = History(pg, proxy, seed)
    with pg.admin() as admin:  # the extension is in its database
        before = h.lookups_at_server(admin)
        h.run(seconds, readers, writers, pollers)
        after = h.lookups_at_server(admin)
    wrong = judge(h.writes, h.answers, max_age)
    assert not wrong, "seed %d: %d of %d answers are wrong:\n%s" % (seed, len(wrong), len(h.answers), "\n".join(wrong[:5]))
    return len(h.answers), after - before
