# SPDX-License-Identifier: PostgreSQL
"""leak.py for a short while, with fixed seeds: no session gets a row, or an error, that its twin at PostgreSQL does not get.

PGFOLD_LEAK=SECONDS takes so long for each seed, PGFOLD_SEED=N another seed."""
import os

import pytest

import conftest
import leak
from busy import unless_busy

SECONDS = int(os.environ.get("PGFOLD_LEAK", "10"))
SEEDS = [int(os.environ["PGFOLD_SEED"])] if "PGFOLD_SEED" in os.environ else [11, 12]


@pytest.fixture(scope="module")
def database(pg):
    leak.make_database(pg)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_leaks(pg, database, long_lived, seed):
    proxy = long_lived(**{k.replace(".", "__"): v for k, v in leak.SETTINGS_OF_PGFOLD.items()})
    before = leak.folded(proxy)
    turns = leak.run(pg, proxy, seed, SECONDS, 28)
    n = leak.folded(proxy) - before
    print("%d turns, %d lookups were folded" % (turns, n))
    with unless_busy():
        assert conftest.DIRECT or n > turns // 4, "too little was folded for this to prove anything"


@pytest.mark.skipif(not leak.STAMPED and not conftest.DIRECT, reason="batches do not check yet that what they read is what was vetted")
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_leaks_in_a_storm(pg, database, long_lived, seed):
    proxy = long_lived(**{k.replace(".", "__"): v for k, v in leak.SETTINGS_OF_PGFOLD.items()})
    before = leak.folded(proxy)
    turns = leak.storm(pg, proxy, seed, SECONDS, 24)
    n = leak.folded(proxy) - before
    print("%d turns, %d lookups were folded" % (turns, n))
    with unless_busy():
        assert conftest.DIRECT or n > 100, "too little was folded for this to prove anything"
