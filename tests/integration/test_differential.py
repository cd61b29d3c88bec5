# SPDX-License-Identifier: PostgreSQL
"""differential.py for a short while, with fixed seeds. PGFOLD_DIFFERENTIAL=SECONDS takes longer, PGFOLD_SEED=N begins elsewhere."""
import os
import time

import pytest

import differential

SECONDS = int(os.environ.get("PGFOLD_DIFFERENTIAL", "40"))
SEED = int(os.environ.get("PGFOLD_SEED", "1"))


@pytest.fixture(scope="module")
def proxy_and_database(pg, long_lived):
    differential.make_database(pg)
    return long_lived(**{k.replace(".", "__"): v for k, v in differential.SETTINGS_OF_PGFOLD.items()})


def test_twins(pg, proxy_and_database):
    """As many seeds as there is time for."""
    end, seed = time.monotonic() + SECONDS * 3 / 4, SEED
    while time.monotonic() < end:
        differential.run_twins(seed, pg, proxy_and_database, 12)
        seed += 1
    print("seeds %d to %d" % (SEED, seed - 1))


def test_history(pg, proxy_and_database):
    assert differential.run_history(SEED, SECONDS / 4, 16, pg, proxy_and_database) > 0
