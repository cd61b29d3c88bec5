# SPDX-License-Identifier: PostgreSQL
"""ahead_polls.py for a few seeds. PGFOLD_POLLS=N takes so many, PGFOLD_SEED=N begins elsewhere."""
import os

import pytest

import ahead_polls
import conftest

COUNT = int(os.environ.get("PGFOLD_POLLS", "5"))
SEED = int(os.environ.get("PGFOLD_SEED", "1"))


@pytest.fixture(scope="module")
def proxy(pg, long_lived):
    ahead_polls.make_database(pg)
    return long_lived(**{k.replace(".", "__"): v for k, v in ahead_polls.SETTINGS.items()})


def test_polls(pg, proxy):
    old = 0
    for seed in range(SEED, SEED + COUNT):
        w = ahead_polls.run(pg, proxy, seed, 100, seed % 3 + 1)
        assert not w.wrong, "seed %d:\n%s" % (seed, "\n".join(w.log[-60:] + w.wrong))
        old += w.old
    assert conftest.DIRECT or old > 20 * COUNT, "hardly anything was loaded ahead"
